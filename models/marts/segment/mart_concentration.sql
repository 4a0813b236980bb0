-- S3: shares of the best customers, in percent of customers
{% set top_pcts = [1, 4, 20] %}

with

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

customer_months as (

    select * from {{ ref('fct_customer_month') }}

),

stores as (

    select * from {{ ref('int_store__pooled') }}

),

-- the population that is ranked by value
ranked_customers as (

    select
        customer_months.as_of_date,
        customer_months.customer_id,
        stores.store_code,
        customer_months.value_365d,
        customer_months.value_basis
    from customer_months
    inner join stores
        on
            customer_months.as_of_date = stores.as_of_date
            and customer_months.home_store_key = stores.home_store_key
    where
        customer_months.excluded_reason is null
        and customer_months.count_visits_365d > 0
        and customer_months.value_365d is not null

),

scoped as (

    select
        as_of_date,
        store_code,
        customer_id,
        value_365d,
        value_basis
    from ranked_customers

    union all

    select
        as_of_date,
        'ALL' as store_code,
        customer_id,
        value_365d,
        value_basis
    from ranked_customers

),

placed as (

    select
        as_of_date,
        store_code,
        value_basis,
        value_365d,
        greatest(value_365d, 0) as positive_value,
        row_number() over (
            partition by as_of_date, store_code
            order by value_365d desc nulls last, customer_id asc
        ) as place,
        count(*) over (partition by as_of_date, store_code) as count_customers
    from scoped

),

measured as (

    select  -- noqa: ST06
        {% for pct in top_pcts -%}
        sum(
            case when (place - 1) * 100 < count_customers * {{ pct }} then positive_value else 0 end
        ) as top_{{ pct }}_value,
        {% endfor -%}
        as_of_date,
        store_code,
        max(value_basis) as value_basis,
        count(*) as n_customers,
        sum(value_365d) as value_total,
        sum(positive_value) as positive_value,
        sum(positive_value) - sum(value_365d) as value_destroyed,
        count(case when value_365d > 0 then 1 end) as count_profitable,
        -- the sum over customers in ascending order of place times value
        sum((count_customers - place + 1) * positive_value) as placed_value
    from placed
    group by as_of_date, store_code

)

select  -- noqa: ST06
    measured.as_of_date,
    measured.store_code,
    as_of_dates.is_latest,
    cast(measured.n_customers as integer) as n_customers,
    measured.n_customers < as_of_dates.min_n as is_small_sample,
    measured.value_basis,
    cast(measured.value_total as decimal(18, 2)) as value_total,
    cast(measured.positive_value as decimal(18, 2)) as positive_value,

    -- how unequal; 0 where all are equal
    cast(
        2 * cast(measured.placed_value as double)
        / nullif(measured.n_customers * cast(measured.positive_value as double), 0)
        - cast(measured.n_customers + 1 as double) / nullif(measured.n_customers, 0)
        as decimal(9, 6)
    ) as gini,
    {% for pct in top_pcts -%}
    cast(
        cast(measured.top_{{ pct }}_value as double)
        / nullif(cast(measured.positive_value as double), 0) as decimal(9, 6)
    ) as top_{{ pct }}_share,
    {% endfor -%}
    as_of_dates.abc_a_share as claimed_top_20_share,

    -- losses, which sales do not show
    {% set is_profit = "measured.value_basis <> 'SALES'" -%}
    cast(case when {{ is_profit }} then measured.count_profitable end as integer)
        as count_profitable,
    cast(
        case
            when {{ is_profit }}
                then
                    cast(measured.count_profitable as double)
                    / nullif(measured.n_customers, 0)
        end as decimal(9, 6)
    ) as pct_profitable,
    cast(
        case
            when {{ is_profit }} and measured.value_total > 0
                then
                    cast(measured.positive_value as double)
                    / cast(nullif(measured.value_total, 0) as double)
        end as decimal(18, 6)
    ) as whale_peak_ratio,
    cast(case when {{ is_profit }} then measured.value_destroyed end as decimal(18, 2))
        as value_destroyed,
    cast(
        case
            when {{ is_profit }}
                then
                    cast(measured.value_destroyed as double)
                    / nullif(cast(measured.positive_value as double), 0)
        end as decimal(18, 6)
    ) as profit_destroyed,
    case when not {{ is_profit }} then 'SALES_SHOW_NO_LOSS' end as loss_missing_reason
from measured
inner join as_of_dates on measured.as_of_date = as_of_dates.as_of_date
