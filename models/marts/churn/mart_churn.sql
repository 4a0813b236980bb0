with

customer_months as (

    select * from {{ ref('fct_customer_month') }}

),

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

averages as (

    select
        as_of_date,
        avg(count_visits_365d) as mean_visits_365d,
        avg(cast(gap_cv as decimal(18, 9))) as mean_gap_cv
    from customer_months
    where
        excluded_reason is null
        and count_visits_365d > 0
    group by as_of_date

),

-- C1, partial churn: more frequent and more regular than the average
loyal as (

    select
        customer_months.customer_id,
        customer_months.as_of_date
    from customer_months
    inner join averages on customer_months.as_of_date = averages.as_of_date
    where
        customer_months.excluded_reason is null
        and customer_months.count_visits_365d > averages.mean_visits_365d
        and customer_months.gap_cv < averages.mean_gap_cv

)

select  -- noqa: ST06
    customer_months.customer_id,
    customer_months.as_of_date,
    as_of_dates.is_latest,
    customer_months.home_store_key,

    -- lifecycle
    customer_months.lifecycle_stage,
    customer_months.churn_status,
    customer_months.first_visit_on,
    customer_months.last_visit_on,
    customer_months.days_since_last_visit,
    customer_months.inactivity_threshold_days,
    customer_months.count_gaps,
    customer_months.mean_gap_days,
    customer_months.threshold_k,
    customer_months.churned_on,
    customer_months.count_spells_ended,
    customer_months.returned_on,
    customer_months.growth_ratio,
    case
        when customer_months.excluded_reason is null and customer_months.churn_status = 'ACTIVE'
            then
                (loyal_at_start.customer_id is not null and loyal_now.customer_id is null)
                or coalesce(
                    customer_months.growth_ratio_180d <= as_of_dates.partial_churn_ratio, false
                )
    end as is_partial_churn,

    -- the period that ends with the date
    customer_months.period_start_date,
    customer_months.was_active_at_start,
    customer_months.churned_in_period,
    customer_months.was_churned_at_start,
    customer_months.was_churned_at_start and customer_months.visited_in_period
        as is_won_back_in_period,
    customer_months.excluded_reason
from customer_months
inner join as_of_dates on customer_months.as_of_date = as_of_dates.as_of_date
left join loyal as loyal_now
    on
        customer_months.as_of_date = loyal_now.as_of_date
        and customer_months.customer_id = loyal_now.customer_id
left join loyal as loyal_at_start
    on
        customer_months.period_start_date = loyal_at_start.as_of_date
        and customer_months.customer_id = loyal_at_start.customer_id
