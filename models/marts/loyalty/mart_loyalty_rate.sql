with

typed as (

    select * from {{ ref('int_loyalty__typed') }}

),

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

stores as (

    select * from {{ ref('dim_store') }}

),

customers as (

    select
        typed.*,
        typed.excluded_reason is null as is_scored,
        coalesce(stores.store_code, 'UNKNOWN') as store_code
    from typed
    left join stores on typed.home_store_key = stores.store_key

),

counted as (

    select
        as_of_date,
        case when grouping(store_code) = 1 then 'ALL' else store_code end as store_code,
        count(case when is_scored then 1 end) as count_customers,
        count(excluded_reason) as count_excluded,
        count(tolerance_flag) as count_incident_customers,
        count(case when tolerance_flag then 1 end) as count_tolerant,
        count(is_promoter) as count_nps_known,
        count(case when is_promoter then 1 end) as count_promoters,
        count(case when is_scored and is_member then 1 end) as count_members,
        sum(referral_count) as count_referred,
        max(case when is_scored then referral_missing_reason end) as referral_missing_reason,
        bool_or(is_scored and coalesce(increment_missing_reason = 'HISTORY_TOO_SHORT', false))
            as is_history_too_short,
        count(case when is_scored and is_in_both_windows then 1 end) as count_in_both_windows,
        sum(case when is_scored and is_in_both_windows then own_sales end) as sales_365d,
        sum(case when is_scored and is_in_both_windows then sales_previous_365d end)
            as sales_previous_365d,
        bool_or(
            is_simulated and (tolerance_flag is not null or is_promoter is not null)
        ) as is_simulated
    from customers
    group by as_of_date, rollup(store_code)

),

-- the company's row exists for each date, also where there is nobody to count
scopes as (

    select
        as_of_date,
        store_code
    from counted

    union

    select
        as_of_date,
        'ALL' as store_code
    from as_of_dates

),

completed as (

    select  -- noqa: ST06
        scopes.as_of_date,
        scopes.store_code,
        as_of_dates.is_latest,
        as_of_dates.min_n,
        as_of_dates.wilson_z,
        coalesce(counted.count_customers, 0) as count_customers,
        coalesce(counted.count_excluded, 0) as count_excluded,
        coalesce(counted.count_incident_customers, 0) as count_incident_customers,
        coalesce(counted.count_tolerant, 0) as count_tolerant,
        coalesce(counted.count_nps_known, 0) as count_nps_known,
        coalesce(counted.count_promoters, 0) as count_promoters,
        coalesce(counted.count_members, 0) as count_members,
        counted.count_referred,
        case
            when coalesce(counted.count_customers, 0) = 0 then 'NO_CUSTOMER'
            else counted.referral_missing_reason
        end as referral_missing_reason,
        coalesce(counted.count_in_both_windows, 0) as count_in_both_windows,
        counted.sales_365d,
        counted.sales_previous_365d,
        case
            when coalesce(counted.count_customers, 0) = 0 then 'NO_CUSTOMER'
            when counted.is_history_too_short then 'HISTORY_TOO_SHORT'
            when counted.count_in_both_windows = 0 then 'NOT_IN_BOTH_WINDOWS'
            when counted.sales_previous_365d <= 0 then 'NO_PREVIOUS_SPEND'
        end as increment_missing_reason,
        coalesce(counted.is_simulated, false) as is_simulated
    from scopes
    inner join as_of_dates on scopes.as_of_date = as_of_dates.as_of_date
    left join counted
        on
            scopes.as_of_date = counted.as_of_date
            and scopes.store_code = counted.store_code

)

select
    as_of_date,
    store_code,
    is_latest,
    cast(count_customers as integer) as count_customers,
    cast(count_excluded as integer) as count_excluded,

    -- tolerance
    cast(count_incident_customers as integer) as count_incident_customers,
    cast(count_tolerant as integer) as count_tolerant,
    cast(
        cast(count_tolerant as double) / nullif(count_incident_customers, 0) as decimal(9, 6)
    ) as tolerance_rate,
    {{ wilson_bound('count_tolerant', 'count_incident_customers', 'wilson_z', '-') }}
        as tolerance_rate_lo,
    {{ wilson_bound('count_tolerant', 'count_incident_customers', 'wilson_z', '+') }}
        as tolerance_rate_hi,
    count_incident_customers < min_n as is_tolerance_small_sample,

    -- word of mouth
    cast(count_nps_known as integer) as count_nps_known,
    cast(count_promoters as integer) as count_promoters,
    cast(cast(count_promoters as double) / nullif(count_nps_known, 0) as decimal(9, 6))
        as promoter_share,
    {{ wilson_bound('count_promoters', 'count_nps_known', 'wilson_z', '-') }}
        as promoter_share_lo,
    {{ wilson_bound('count_promoters', 'count_nps_known', 'wilson_z', '+') }}
        as promoter_share_hi,
    count_nps_known < min_n as is_promoter_small_sample,
    cast(count_members as integer) as count_members,
    cast(count_referred as integer) as count_referred,
    cast(
        1000 * cast(count_referred as double) / nullif(count_members, 0) as decimal(18, 6)
    ) as referrals_per_1000_members,
    referral_missing_reason,

    -- increment
    cast(count_in_both_windows as integer) as count_in_both_windows,
    case
        when increment_missing_reason is null then cast(sales_365d as decimal(18, 2))
    end as sales_365d,
    case
        when increment_missing_reason is null then cast(sales_previous_365d as decimal(18, 2))
    end as sales_previous_365d,
    case
        when increment_missing_reason is null
            then cast(
                cast(sales_365d as double) / nullif(cast(sales_previous_365d as double), 0)
                as decimal(18, 6)
            )
    end as increment_ratio,
    increment_missing_reason,
    is_simulated
from completed
