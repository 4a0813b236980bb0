{{ config(materialized='ephemeral', contract={'enforced': false}) }}

with

customer_months as (

    select * from {{ ref('fct_customer_month') }}

),

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

ranked as (

    select
        customer_months.customer_id,
        customer_months.as_of_date,
        customer_months.value_365d,
        as_of_dates.abc_a_share,
        as_of_dates.abc_b_share,
        as_of_dates.abc_count_a_pct,
        as_of_dates.abc_count_b_pct,
        as_of_dates.pyramid_top_pct,
        as_of_dates.pyramid_major_pct,
        as_of_dates.pyramid_ordinary_pct,
        as_of_dates.value_high_pct,
        as_of_dates.value_medium_pct,
        row_number() over by_value as value_rank,
        count(*) over (partition by customer_months.as_of_date) as count_ranked,
        sum(greatest(customer_months.value_365d, 0)) over (
            partition by customer_months.as_of_date
        ) as positive_value,
        sum(greatest(customer_months.value_365d, 0)) over (
            partition by customer_months.as_of_date
            order by customer_months.value_365d desc nulls last, customer_months.customer_id asc
            rows between unbounded preceding and 1 preceding
        ) as positive_value_before
    from customer_months
    inner join as_of_dates on customer_months.as_of_date = as_of_dates.as_of_date
    where
        customer_months.excluded_reason is null
        and customer_months.count_visits_365d > 0
        and customer_months.value_365d is not null
    window
        by_value as (
            partition by customer_months.as_of_date
            order by customer_months.value_365d desc nulls last, customer_months.customer_id asc
        )

)

select
    customer_id,
    as_of_date,
    value_rank,
    -- the customer who crosses a share still belongs to the class above it
    case
        when value_365d <= 0 then 'C'
        when coalesce(positive_value_before, 0) < abc_a_share * positive_value then 'A'
        when coalesce(positive_value_before, 0) < abc_b_share * positive_value then 'B'
        else 'C'
    end as abc_class,
    case
        when (value_rank - 1) * 100 < count_ranked * abc_count_a_pct then 'A'
        when (value_rank - 1) * 100 < count_ranked * abc_count_b_pct then 'B'
        else 'C'
    end as abc_count_class,
    case
        when (value_rank - 1) * 100 < count_ranked * pyramid_top_pct then 'TOP'
        when (value_rank - 1) * 100 < count_ranked * pyramid_major_pct then 'MAJOR'
        when (value_rank - 1) * 100 < count_ranked * pyramid_ordinary_pct then 'ORDINARY'
        else 'SMALL'
    end as pyramid_tier,
    case
        when (value_rank - 1) * 100 < count_ranked * value_high_pct then 'HIGH'
        when (value_rank - 1) * 100 < count_ranked * value_medium_pct then 'MEDIUM'
        else 'LOW'
    end as value_class
from ranked
