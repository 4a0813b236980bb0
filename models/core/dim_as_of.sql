with days as (
    select date_on from {{ ref('dim_date') }}
),

first_sales as (
    select min(business_date) as first_sales_on
    from {{ ref('stg_store_day') }}
    where count_rows > 0
),

as_of_dates as (
    select days.date_on as as_of_date
    from days
    cross join first_sales
    where
        days.date_on = last_day(days.date_on)
        and days.date_on >= first_sales.first_sales_on
        and days.date_on <= {{ as_of_date() }}
    union distinct
    select {{ as_of_date() }} as as_of_date
),

resolved as (
    {{ params_at('select as_of_date from as_of_dates') | indent(4) }}
),

final as (
    select
        as_of_dates.as_of_date,
        cast(date_trunc('month', as_of_dates.as_of_date) as date) - 1 as period_start_date,
        as_of_dates.as_of_date = {{ as_of_date() }} as is_latest,
        as_of_dates.as_of_date = last_day(as_of_dates.as_of_date) as is_month_end,
        {{ param_columns('resolved') | indent(8) }}
    from as_of_dates
    left join resolved on as_of_dates.as_of_date = resolved.as_of_date
    group by as_of_dates.as_of_date
)

select * from final
