{% set periods = {'MONTH': 'period_start_date', 'YEAR': 'as_of_date - window_days'} %}

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

churn_reasons as (

    select * from {{ ref('churn_reason') }}

),

reasons as (

    select * from {{ ref('int_churn_reason__collected') }}

),

periods as (

    {% for period, starts_after in periods.items() -%}
    select
        as_of_date,
        '{{ period }}' as period,
        {{ starts_after }} as starts_after
    from as_of_dates
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

customers as (

    select
        customer_months.as_of_date,
        customer_months.customer_id,
        customer_months.churned_on,
        coalesce(stores.store_code, 'UNKNOWN') as store_code
    from customer_months
    left join stores on customer_months.home_store_key = stores.store_key
    where customer_months.excluded_reason is null

),

churned as (

    select
        periods.as_of_date,
        periods.period,
        case when grouping(customers.store_code) = 1 then 'ALL' else customers.store_code end
            as store_code,
        count(*) as count_churned
    from periods
    inner join customers
        on
            periods.as_of_date = customers.as_of_date
            and periods.starts_after < customers.churned_on
    group by periods.as_of_date, periods.period, rollup(customers.store_code)

),

-- a stated cause belongs to the period of the answer, an inferred one to that of the loss
given as (

    select
        periods.as_of_date,
        periods.period,
        reasons.reason_source,
        customers.store_code,
        reasons.reason_code,
        customers.customer_id,
        reasons.is_simulated
    from periods
    inner join customers on periods.as_of_date = customers.as_of_date
    inner join reasons
        on
            customers.as_of_date = reasons.as_of_date
            and customers.customer_id = reasons.customer_id
    where
        case
            when reasons.reason_source = 'STATED' then reasons.given_on else customers.churned_on
        end > periods.starts_after

),

respondents as (

    select
        as_of_date,
        period,
        reason_source,
        case when grouping(store_code) = 1 then 'ALL' else store_code end as store_code,
        count(distinct customer_id) as count_respondents,
        bool_or(is_simulated) as is_simulated
    from given
    group by as_of_date, period, reason_source, rollup(store_code)

),

mentions as (

    select
        as_of_date,
        period,
        reason_source,
        reason_code,
        case when grouping(store_code) = 1 then 'ALL' else store_code end as store_code,
        count(*) as count_mentions
    from given
    group by as_of_date, period, reason_source, reason_code, rollup(store_code)

),

reason_sources as (

    select 'STATED' as reason_source
    union all
    select 'INFERRED' as reason_source

),

-- the company's rows exist for each date, also where nobody said anything
scopes as (

    select
        as_of_date,
        period,
        reason_source,
        store_code
    from respondents

    union

    select
        periods.as_of_date,
        periods.period,
        reason_sources.reason_source,
        'ALL' as store_code
    from periods
    cross join reason_sources

),

completed as (

    select
        scopes.as_of_date,
        scopes.period,
        scopes.store_code,
        scopes.reason_source,
        churn_reasons.reason_code,
        churn_reasons.is_avoidable,
        periods.starts_after,
        as_of_dates.is_latest,
        as_of_dates.min_n,
        as_of_dates.wilson_z,
        coalesce(mentions.count_mentions, 0) as count_mentions,
        coalesce(respondents.count_respondents, 0) as count_respondents,
        coalesce(churned.count_churned, 0) as count_churned,
        coalesce(respondents.is_simulated, false) as is_simulated
    from scopes
    cross join churn_reasons
    inner join as_of_dates on scopes.as_of_date = as_of_dates.as_of_date
    inner join periods
        on
            scopes.as_of_date = periods.as_of_date
            and scopes.period = periods.period
    left join respondents
        on
            scopes.as_of_date = respondents.as_of_date
            and scopes.period = respondents.period
            and scopes.reason_source = respondents.reason_source
            and scopes.store_code = respondents.store_code
    left join mentions
        on
            scopes.as_of_date = mentions.as_of_date
            and scopes.period = mentions.period
            and scopes.reason_source = mentions.reason_source
            and scopes.store_code = mentions.store_code
            and churn_reasons.reason_code = mentions.reason_code
    left join churned
        on
            scopes.as_of_date = churned.as_of_date
            and scopes.period = churned.period
            and scopes.store_code = churned.store_code

)

select
    as_of_date,
    period,
    store_code,
    reason_source,
    reason_code,
    starts_after as period_start_date,
    is_latest,
    is_avoidable,

    -- C5
    cast(count_mentions as integer) as count_mentions,
    cast(count_respondents as integer) as count_respondents,
    cast(
        100 * cast(count_mentions as double) / nullif(count_respondents, 0) as decimal(9, 4)
    ) as mention_pct,
    cast(
        100 * {{ wilson_bound('count_mentions', 'count_respondents', 'wilson_z', '-') }}
        as decimal(9, 4)
    ) as mention_pct_lo,
    cast(
        100 * {{ wilson_bound('count_mentions', 'count_respondents', 'wilson_z', '+') }}
        as decimal(9, 4)
    ) as mention_pct_hi,
    count_respondents < min_n as is_small_sample,
    cast(count_churned as integer) as count_churned,
    is_simulated
from completed
