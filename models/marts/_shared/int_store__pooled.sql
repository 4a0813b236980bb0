with

customer_months as (

    select * from {{ ref('fct_customer_month') }}

),

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

stores as (

    select * from {{ ref('dim_store') }}

),

counted as (

    select
        as_of_date,
        home_store_key,
        count(case when count_visits_365d > 0 then 1 end) as count_buyers
    from customer_months
    where excluded_reason is null
    group by as_of_date, home_store_key

)

select  -- noqa: ST06
    counted.as_of_date,
    counted.home_store_key,
    -- a structure of a handful of customers says nothing
    case
        when counted.count_buyers < as_of_dates.min_n then 'OTHER'
        else coalesce(stores.store_code, 'UNKNOWN')
    end as store_code
from counted
inner join as_of_dates on counted.as_of_date = as_of_dates.as_of_date
left join stores on counted.home_store_key = stores.store_key
