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

values_ranked as (

    select * from {{ ref('int_customer_value__ranked') }}

),

reasons as (

    select * from {{ ref('int_churn_reason__collected') }}

),

-- C5: a loss with an involuntary cause among its causes could not have been avoided
causes as (

    select
        as_of_date,
        customer_id,
        bool_and(is_avoidable) as is_avoidable,
        bool_or(is_simulated) as is_simulated
    from reasons
    where is_current
    group by as_of_date, customer_id

),

-- store and tier are those of the start of the period, lest the outcome choose its own group
customers_grouped as (

    select
        customer_months.as_of_date,
        customer_months.was_active_at_start,
        customer_months.churned_in_period,
        customer_months.was_churned_at_start,
        customer_months.visited_in_period,
        customer_months.bought_in_previous_period,
        customer_months.excluded_reason,
        months_at_start.value_basis,
        causes.is_avoidable,
        -- of the year up to the start; who cost more than he brought has nothing to lose
        greatest(months_at_start.value_365d, 0) as value_at_start,
        months_at_start.value_365d is not null as has_value_at_start,
        coalesce(causes.is_simulated, false) as is_simulated,
        coalesce(stores.store_code, 'UNKNOWN') as store_code,
        coalesce(tiers_at_start.pyramid_tier, 'NONE') as pyramid_tier
    from customer_months
    left join customer_months as months_at_start
        on
            customer_months.period_start_date = months_at_start.as_of_date
            and customer_months.customer_id = months_at_start.customer_id
    left join values_ranked as tiers_at_start
        on
            customer_months.period_start_date = tiers_at_start.as_of_date
            and customer_months.customer_id = tiers_at_start.customer_id
    left join causes
        on
            customer_months.as_of_date = causes.as_of_date
            and customer_months.customer_id = causes.customer_id
    left join stores
        on
            stores.store_key
            = coalesce(months_at_start.home_store_key, customer_months.home_store_key)
    where
        customer_months.was_active_at_start
        or customer_months.was_churned_at_start
        or customer_months.bought_in_previous_period

),

counted as (

    select
        as_of_date,
        case when grouping(store_code) = 1 then 'ALL' else store_code end as store_code,
        case when grouping(pyramid_tier) = 1 then 'ALL' else pyramid_tier end as pyramid_tier,
        count(case when excluded_reason is null and was_active_at_start then 1 end)
            as count_active_start,
        count(case when excluded_reason is null and churned_in_period then 1 end)
            as count_churned,
        count(case when excluded_reason is null and bought_in_previous_period then 1 end)
            as count_previous_buyers,
        count(
            case
                when
                    excluded_reason is null and bought_in_previous_period and visited_in_period
                    then 1
            end
        ) as count_repeat_buyers,
        count(case when excluded_reason is null and was_churned_at_start then 1 end)
            as count_churned_start,
        count(
            case
                when excluded_reason is null and was_churned_at_start and visited_in_period then 1
            end
        ) as count_won_back,
        count(case when excluded_reason is null and churned_in_period and is_avoidable then 1 end)
            as count_churned_avoidable,
        count(
            case when excluded_reason is null and churned_in_period and not is_avoidable then 1 end
        ) as count_churned_involuntary,
        sum(
            case
                when excluded_reason is null and was_active_at_start and has_value_at_start
                    then value_at_start
            end
        ) as value_start,
        sum(
            case
                when excluded_reason is null and churned_in_period and has_value_at_start
                    then value_at_start
            end
        ) as value_lost,
        sum(
            case
                when
                    excluded_reason is null and churned_in_period and has_value_at_start
                    and is_avoidable
                    then value_at_start
            end
        ) as value_lost_avoidable,
        sum(
            case
                when
                    excluded_reason is null and churned_in_period and has_value_at_start
                    and not is_avoidable
                    then value_at_start
            end
        ) as value_lost_involuntary,
        count(
            case
                when excluded_reason is null and churned_in_period and has_value_at_start then 1
            end
        ) as count_churned_valued,
        count(
            case
                when excluded_reason is null and was_active_at_start and not has_value_at_start
                    then 1
            end
        ) as count_value_missing,
        max(case when excluded_reason is null and was_active_at_start then value_basis end)
            as value_basis,
        bool_or(is_simulated and churned_in_period and excluded_reason is null) as is_simulated,
        count(excluded_reason) as count_excluded
    from customers_grouped
    group by as_of_date, cube(store_code, pyramid_tier)

),

-- the company's row exists for each date, also where there is nobody to count
scopes as (

    select
        as_of_date,
        store_code,
        pyramid_tier
    from counted

    union

    select
        as_of_date,
        'ALL' as store_code,
        'ALL' as pyramid_tier
    from as_of_dates

),

completed as (

    select
        scopes.as_of_date,
        scopes.store_code,
        scopes.pyramid_tier,
        as_of_dates.period_start_date,
        as_of_dates.is_latest,
        as_of_dates.min_n,
        as_of_dates.wilson_z,
        counted.value_basis,
        counted.value_start,
        not as_of_dates.is_month_end as is_partial_period,
        coalesce(counted.count_active_start, 0) as count_active_start,
        coalesce(counted.count_churned, 0) as count_churned,
        coalesce(counted.count_previous_buyers, 0) as count_previous_buyers,
        coalesce(counted.count_repeat_buyers, 0) as count_repeat_buyers,
        coalesce(counted.count_churned_start, 0) as count_churned_start,
        coalesce(counted.count_won_back, 0) as count_won_back,
        coalesce(counted.count_churned_avoidable, 0) as count_churned_avoidable,
        coalesce(counted.count_churned_involuntary, 0) as count_churned_involuntary,
        -- without anybody of known value there is no value, not a value of 0
        case when counted.value_start is not null then coalesce(counted.value_lost, 0) end
            as value_lost,
        case
            when counted.value_start is not null then coalesce(counted.value_lost_avoidable, 0)
        end as value_lost_avoidable,
        case
            when counted.value_start is not null then coalesce(counted.value_lost_involuntary, 0)
        end as value_lost_involuntary,
        coalesce(counted.count_value_missing, 0) as count_value_missing,
        coalesce(counted.count_churned_valued, 0) as count_churned_valued,
        coalesce(counted.is_simulated, false) as is_simulated,
        coalesce(counted.count_excluded, 0) as count_excluded
    from scopes
    inner join as_of_dates on scopes.as_of_date = as_of_dates.as_of_date
    left join counted
        on
            scopes.as_of_date = counted.as_of_date
            and scopes.store_code = counted.store_code
            and scopes.pyramid_tier = counted.pyramid_tier

)

select
    as_of_date,
    store_code,
    pyramid_tier,
    period_start_date,
    is_latest,
    is_partial_period,

    -- C2, C3 on status
    cast(count_active_start as integer) as active_start,
    cast(count_churned as integer) as churned,
    cast(cast(count_churned as double) / nullif(count_active_start, 0) as decimal(9, 6))
        as churn_rate,
    {{ wilson_bound('count_churned', 'count_active_start', 'wilson_z', '-') }} as churn_rate_lo,
    {{ wilson_bound('count_churned', 'count_active_start', 'wilson_z', '+') }} as churn_rate_hi,
    cast(count_active_start - count_churned as integer) as retained,
    cast(
        1 - cast(cast(count_churned as double) / nullif(count_active_start, 0) as decimal(9, 6))
        as decimal(9, 6)
    ) as retention_rate,
    count_active_start < min_n as is_churn_rate_small_n,

    -- C5
    cast(count_churned_avoidable as integer) as churned_avoidable,
    cast(count_churned_involuntary as integer) as churned_involuntary,
    cast(count_churned - count_churned_avoidable - count_churned_involuntary as integer)
        as churned_reason_unknown,

    -- C3 by value
    value_basis,
    cast(value_start as decimal(18, 2)) as value_start,
    cast(value_lost as decimal(18, 2)) as value_lost,
    cast(value_lost_avoidable as decimal(18, 2)) as value_lost_avoidable,
    cast(value_lost_involuntary as decimal(18, 2)) as value_lost_involuntary,
    cast(
        1 - cast(
            cast(value_lost as double) / nullif(cast(value_start as double), 0) as decimal(9, 6)
        ) as decimal(9, 6)
    ) as value_retention_rate,
    cast(count_value_missing as integer) as count_value_missing,
    cast(count_churned_valued as integer) as count_churned_valued,

    -- C3 on purchases
    cast(count_previous_buyers as integer) as repurchase_base,
    cast(count_repeat_buyers as integer) as repurchase_buyers,
    cast(cast(count_repeat_buyers as double) / nullif(count_previous_buyers, 0) as decimal(9, 6))
        as repurchase_rate,
    {{ wilson_bound('count_repeat_buyers', 'count_previous_buyers', 'wilson_z', '-') }}
        as repurchase_rate_lo,
    {{ wilson_bound('count_repeat_buyers', 'count_previous_buyers', 'wilson_z', '+') }}
        as repurchase_rate_hi,
    count_previous_buyers < min_n as is_repurchase_rate_small_n,

    -- C4
    cast(count_churned_start as integer) as churned_start,
    cast(count_won_back as integer) as won_back,
    cast(cast(count_won_back as double) / nullif(count_churned_start, 0) as decimal(9, 6))
        as winback_rate,
    {{ wilson_bound('count_won_back', 'count_churned_start', 'wilson_z', '-') }}
        as winback_rate_lo,
    {{ wilson_bound('count_won_back', 'count_churned_start', 'wilson_z', '+') }}
        as winback_rate_hi,
    count_churned_start < min_n as is_winback_rate_small_n,

    -- G2 needs contacts and a control group
    cast(null as decimal(9, 6)) as campaign_winback_uplift,
    'NO_CAMPAIGN_FEED' as campaign_winback_missing_reason,

    is_simulated,
    cast(count_excluded as integer) as count_excluded
from completed
