-- 20. Is the CRM programme worth it: what of the scorecard is known?
-- 中文：CRM 项目值不值得：平衡计分卡中哪些指标已有数据？
-- Trap: worth is the increment over what would have happened anyway; without control groups, cash
--   flows and targets there is no NPV, no IRR and no attainment, and none is invented here. What
--   remains are the figures themselves, each with its number of cases.
-- Definitions: V1, V2, C2, C3, T1, T2, T4, Y5, P1, P2, P3, P4, P5, P6, P9
with customers as (
    select
        sum(net_sales_365d) as net_sales,
        sum(margin_365d) as margin,
        count(margin_365d) as count_margin,
        count(*) as count_customers
    from marts.mart_customer_value
    where is_latest and excluded_reason is null
),

churn as (
    select
        pyramid_tier,
        active_start,
        churn_rate,
        retention_rate
    from marts.mart_churn_rate
    where is_latest and store_code = 'ALL'
),

ranked_waves as (
    select
        metric,
        touchpoint,
        value,
        n,
        row_number() over (
            partition by metric, touchpoint
            order by wave_start_on desc nulls last, survey_id asc
        ) as wave_rank
    from marts.mart_satisfaction
    where
        is_latest
        and is_wave_complete
        and store_code = 'ALL'
        and segment = 'ALL'
        and weighting = 'UNWEIGHTED'
),

satisfaction as (
    select
        metric,
        touchpoint,
        value,
        n
    from ranked_waves
    where wave_rank = 1
),

service as (
    select *
    from marts.mart_service_recovery
    where
        is_latest
        and window_code = 'YEAR'
        and store_code = 'ALL'
        and level_code = 'ALL'
        and reason_code = 'ALL'
),

kpis as (
    select
        1 as place,
        'FINANCIAL' as perspective,
        'MEMBER_SALES' as kpi,
        cast(net_sales as decimal(18, 4)) as actual,
        count_customers as n,
        cast(null as string) as missing_reason
    from customers
    union all
    select
        2 as place,
        'FINANCIAL' as perspective,
        'MEMBER_MARGIN' as kpi,
        cast(case when count_margin = count_customers then margin end as decimal(18, 4)) as actual,
        count_margin as n,
        case when count_margin < count_customers then 'COST_NOT_COMPLETE' end as missing_reason
    from customers
    union all
    select
        3 as place,
        'FINANCIAL' as perspective,
        'CRM_ROI' as kpi,
        cast(null as decimal(18, 4)) as actual,
        cast(null as bigint) as n,
        'NO_CRM_CASHFLOW_FEED' as missing_reason
    from customers
    union all
    select
        10 as place,
        'CUSTOMER' as perspective,
        'RETENTION_ALL' as kpi,
        cast(retention_rate as decimal(18, 4)) as actual,
        active_start as n,
        cast(null as string) as missing_reason
    from churn
    where pyramid_tier = 'ALL'
    union all
    select
        11 as place,
        'CUSTOMER' as perspective,
        'RETENTION_' || pyramid_tier as kpi,
        cast(retention_rate as decimal(18, 4)) as actual,
        active_start as n,
        cast(null as string) as missing_reason
    from churn
    where pyramid_tier in ('TOP', 'MAJOR')
    union all
    select
        12 as place,
        'CUSTOMER' as perspective,
        'CHURN' as kpi,
        cast(churn_rate as decimal(18, 4)) as actual,
        active_start as n,
        cast(null as string) as missing_reason
    from churn
    where pyramid_tier = 'ALL'
    union all
    select
        13 as place,
        'CUSTOMER' as perspective,
        case when metric = 'SERVQUAL_WEIGHTED' then 'SERVQUAL_GAP' else metric end as kpi,
        cast(value as decimal(18, 4)) as actual,
        n,
        cast(null as string) as missing_reason
    from satisfaction
    where
        metric = 'NPS'
        or metric = 'SERVQUAL_WEIGHTED'
        or (metric = 'CSAT' and touchpoint = 'SATISFACTION')
    union all
    select
        14 as place,
        'CUSTOMER' as perspective,
        'SHARE_OF_WALLET_PROXY' as kpi,
        cast(avg(sow_proxy) as decimal(18, 4)) as actual,
        count(sow_proxy) as n,
        cast(null as string) as missing_reason
    from marts.mart_loyalty
    where is_latest
    union all
    select
        15 as place,
        'CUSTOMER' as perspective,
        'COMPLAINTS_PER_10000_RECEIPTS' as kpi,
        cast(complaints_per_10000_receipts as decimal(18, 4)) as actual,
        count_receipts as n,
        cast(null as string) as missing_reason
    from service
    union all
    select
        16 as place,
        'CUSTOMER' as perspective,
        'RECOVERY_SUCCESS' as kpi,
        cast(recovery_rate as decimal(18, 4)) as actual,
        count_recovery_matured as n,
        cast(null as string) as missing_reason
    from service
    union all
    select
        20 as place,
        'INTERNAL' as perspective,
        'FIRST_RESPONSE_P90_MINUTES' as kpi,
        cast(first_response_minutes_p90 as decimal(18, 4)) as actual,
        count_complaints as n,
        cast(null as string) as missing_reason
    from service
    union all
    select
        21 as place,
        'INTERNAL' as perspective,
        'RESOLUTION_P90_MINUTES' as kpi,
        cast(resolution_gross_minutes_p90 as decimal(18, 4)) as actual,
        count_resolved as n,
        cast(null as string) as missing_reason
    from service
    union all
    select
        22 as place,
        'INTERNAL' as perspective,
        'RESOLUTION_SLA_MET' as kpi,
        cast(resolution_sla_met_share as decimal(18, 4)) as actual,
        count_resolution_due as n,
        cast(null as string) as missing_reason
    from service
    union all
    select
        23 as place,
        'INTERNAL' as perspective,
        'FIRST_CONTACT_RESOLUTION' as kpi,
        cast(fcr_rate as decimal(18, 4)) as actual,
        count_fcr_eligible as n,
        cast(null as string) as missing_reason
    from service
    union all
    select
        24 as place,
        'INTERNAL' as perspective,
        'REOPENED' as kpi,
        cast(reopen_rate as decimal(18, 4)) as actual,
        count_first_resolved as n,
        cast(null as string) as missing_reason
    from service
    union all
    select
        30 as place,
        'LEARNING' as perspective,
        'EMPLOYEE_CSAT' as kpi,
        cast(null as decimal(18, 4)) as actual,
        cast(null as bigint) as n,
        'NO_EMPLOYEE_SURVEY_FEED' as missing_reason
    from customers
)

select
    as_of_dates.as_of_date,
    kpis.perspective,
    kpis.kpi,
    kpis.actual,
    cast(null as decimal(18, 4)) as target_value,
    'NO_KPI_TARGET_FEED' as target_missing_reason,
    kpis.n,
    kpis.missing_reason
from kpis
cross join core.dim_as_of as as_of_dates
where as_of_dates.is_latest
order by kpis.place asc, kpis.kpi asc
