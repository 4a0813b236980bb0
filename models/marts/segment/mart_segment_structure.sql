with

customer_months as (

    select * from {{ ref('fct_customer_month') }}

),

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

voices as (

    select * from {{ ref('fct_customer_voice') }}

),

-- a warehouse that is younger than the window holds the value of fewer days
spans as (

    select
        as_of_date,
        min(first_visit_on) as first_visit_on
    from customer_months
    group by as_of_date

),

-- before the first complaint that is known nobody can tell content customers from a missing feed
heard as (

    select distinct as_of_date
    from voices
    where count_complaints_365d > 0 or last_complaint_on is not null

),

assigned as (

    select * from {{ ref('int_segment__assigned') }}

),

customers as (

    select
        assigned.*,
        customer_months.net_sales_365d,
        customer_months.margin_365d,
        customer_months.value_basis,
        voices.nps_score,
        customer_months.churn_status = 'ACTIVE' as is_active,
        voices.count_complaints_365d > 0 as is_complaining,
        voices.nps_score >= as_of_dates.nps_promoter_min as is_promoter,
        voices.nps_score <= as_of_dates.nps_detractor_max as is_detractor,
        coalesce(voices.is_simulated, false) as is_simulated
    from assigned
    inner join as_of_dates on assigned.as_of_date = as_of_dates.as_of_date
    inner join customer_months
        on
            assigned.as_of_date = customer_months.as_of_date
            and assigned.customer_id = customer_months.customer_id
    left join voices
        on
            assigned.as_of_date = voices.as_of_date
            and assigned.customer_id = voices.customer_id

),

-- C3 of a tier is that of the customers who were in it when the period began
starters as (

    select
        assigned.*,
        customer_months.as_of_date as period_end_date,
        customer_months.churned_in_period
    from assigned
    inner join customer_months
        on
            assigned.as_of_date = customer_months.period_start_date
            and assigned.customer_id = customer_months.customer_id
    where customer_months.was_active_at_start and customer_months.excluded_reason is null

),

members as (

    {% for item in segment_schemes() -%}
    select
        as_of_date,
        store_code,
        '{{ item.scheme }}' as scheme,
        '{{ item.scope }}' as ranking_scope,
        {{ item.column }} as tier,
        {{ tier_order(item.column, item.tiers) }} as tier_order,
        net_sales_365d,
        margin_365d,
        value_365d,
        value_basis,
        is_active,
        is_complaining,
        nps_score,
        is_promoter,
        is_detractor,
        is_simulated
    from customers
    where {{ item.column }} is not null
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

starting_members as (

    {% for item in segment_schemes() -%}
    select
        period_end_date,
        store_code,
        '{{ item.scheme }}' as scheme,
        '{{ item.scope }}' as ranking_scope,
        {{ item.column }} as tier,
        churned_in_period
    from starters
    where {{ item.column }} is not null
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

counted as (

    select
        as_of_date,
        scheme,
        ranking_scope,
        tier,
        tier_order,
        case when grouping(store_code) = 1 then 'ALL' else store_code end as store_code,
        max(value_basis) as value_basis,
        count(*) as n_customers,
        sum(net_sales_365d) as net_sales,
        sum(margin_365d) as margin,
        count(*) - count(margin_365d) as count_margin_missing,
        sum(value_365d) as value_total,
        count(*) - count(value_365d) as count_value_missing,
        count(case when is_active then 1 end) as count_active,
        count(case when is_complaining then 1 end) as count_complaining,
        count(nps_score) as nps_n,
        count(case when is_promoter then 1 end) as nps_promoters,
        count(case when is_detractor then 1 end) as nps_detractors,
        bool_or(is_simulated) as is_simulated
    from members
    group by as_of_date, scheme, ranking_scope, tier, tier_order, rollup(store_code)

),

counted_starters as (

    select
        period_end_date,
        scheme,
        ranking_scope,
        tier,
        case when grouping(store_code) = 1 then 'ALL' else store_code end as store_code,
        count(*) as active_start,
        count(case when not churned_in_period then 1 end) as retained
    from starting_members
    group by period_end_date, scheme, ranking_scope, tier, rollup(store_code)

),

rated as (

    select
        counted.*,
        as_of_dates.is_latest,
        as_of_dates.min_n,
        as_of_dates.min_n_complaint,
        as_of_dates.clv_first_margin,
        heard.as_of_date is not null as is_heard,
        coalesce(counted_starters.active_start, 0) as active_start,
        coalesce(counted_starters.retained, 0) as retained,
        cast(
            cast(counted_starters.retained as double) / nullif(counted_starters.active_start, 0)
            as decimal(9, 6)
        ) as retention_rate,
        sum(counted.n_customers) over whole as whole_customers,
        sum(counted.value_total) over whole as whole_value,
        -- the period is that of C3; value is taken to come evenly
        cast(
            cast(counted.value_total as double)
            * {{ days_between('as_of_dates.period_start_date', 'as_of_dates.as_of_date') }}
            / nullif(
                least(
                    as_of_dates.window_days,
                    1 + {{ days_between('spans.first_visit_on', 'as_of_dates.as_of_date') }}
                ) * (counted.n_customers - counted.count_value_missing), 0
            ) as decimal(18, 2)
        ) as value_per_period,
        power(
            cast(1 + as_of_dates.discount_rate_annual as double),
            {{ days_between('as_of_dates.period_start_date', 'as_of_dates.as_of_date') }} / 365.0
        ) - 1 as interest_per_period
    from counted
    inner join as_of_dates on counted.as_of_date = as_of_dates.as_of_date
    inner join spans on counted.as_of_date = spans.as_of_date
    left join heard on counted.as_of_date = heard.as_of_date
    left join counted_starters
        on
            counted.as_of_date = counted_starters.period_end_date
            and counted.store_code = counted_starters.store_code
            and counted.scheme = counted_starters.scheme
            and counted.ranking_scope = counted_starters.ranking_scope
            and counted.tier = counted_starters.tier
    window
        whole as (
            partition by
                counted.as_of_date, counted.store_code, counted.scheme, counted.ranking_scope
        )

)

select  -- noqa: ST06
    as_of_date,
    store_code,
    scheme,
    ranking_scope,
    tier,
    is_latest,
    tier_order,

    -- size
    cast(n_customers as integer) as n_customers,
    cast(cast(n_customers as double) / nullif(whole_customers, 0) as decimal(9, 6))
        as pct_customers,
    n_customers < min_n as is_small_sample,

    -- money of the window
    cast(net_sales as decimal(18, 2)) as net_sales,
    cast(margin as decimal(18, 2)) as margin,
    cast(count_margin_missing as integer) as count_margin_missing,
    value_basis,
    cast(value_total as decimal(18, 2)) as value_total,
    cast(count_value_missing as integer) as count_value_missing,
    cast(
        case when whole_value > 0 then cast(value_total as double) / cast(whole_value as double) end
        as decimal(18, 6)
    ) as pct_value,
    cast(null as decimal(18, 2)) as profit,
    cast(null as decimal(18, 2)) as avg_cost_to_serve,
    'NO_COST_TO_SERVE_FEED' as cost_to_serve_missing_reason,

    -- what they say
    cast(count_complaining as integer) as count_complaining,
    cast(count_active as integer) as count_active,
    cast(
        case
            when is_heard
                then 1000 * cast(count_complaining as double) / nullif(count_active, 0)
        end as decimal(18, 3)
    ) as complaint_rate,
    case when not is_heard then 'NO_COMPLAINT_FEED' end as complaint_missing_reason,
    count_complaining < min_n_complaint as is_complaint_rate_small_n,
    cast(nps_n as integer) as nps_n,
    cast(nps_promoters as integer) as nps_promoters,
    cast(nps_detractors as integer) as nps_detractors,
    cast(100 * cast(nps_promoters - nps_detractors as double) / nullif(nps_n, 0) as decimal(9, 4))
        as nps,
    nps_n < min_n as is_nps_small_n,
    is_simulated,

    -- value for life by formula
    cast(active_start as integer) as active_start,
    cast(retained as integer) as retained,
    retention_rate,
    active_start < min_n as is_retention_rate_small_n,
    value_per_period,
    cast(interest_per_period as decimal(9, 6)) as interest_per_period,
    clv_first_margin,
    cast(
        {{ formula_clv(
            'value_per_period', 'retention_rate', 'interest_per_period', 'clv_first_margin'
        ) }} as decimal(18, 2)
    ) as clv_formula,
    case
        when value_per_period is null then 'NO_VALUE'
        when active_start = 0 then 'NOBODY_ACTIVE_AT_START'
        when cast(retention_rate as double) >= 1 + interest_per_period
            then 'RETENTION_NOT_BELOW_DISCOUNT'
    end as clv_formula_missing_reason
from rated
