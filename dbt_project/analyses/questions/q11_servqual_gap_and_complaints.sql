-- 11. Where is the SERVQUAL gap largest, and does it match what people complain about?
-- 中文：服务质量差距最大的维度是哪个，与投诉的内容是否一致？
-- Trap: only respondents who gave both expectation and perception count, and a dimension is the
--   mean of respondents, not of items. Which complaints belong to a dimension is a reading aid,
--   written below, not a definition.
-- Definitions: T4, P17
with ranked_waves as (
    select
        metric,
        value,
        se,
        n,
        is_small_sample,
        is_simulated,
        row_number() over (
            partition by metric order by wave_start_on desc nulls last, survey_id asc
        ) as wave_rank
    from marts.mart_satisfaction
    where
        is_latest
        and metric like 'SERVQUAL%'
        and metric <> 'SERVQUAL_WEIGHTED'
        and store_code = 'ALL'
        and segment = 'ALL'
        and weighting = 'UNWEIGHTED'
),

gaps as (
    select  -- noqa: ST06
        substr(metric, 10) as dimension,
        value as mean_gap,
        se as gap_se,
        n as count_respondents,
        is_small_sample,
        is_simulated
    from ranked_waves
    where wave_rank = 1
),

complaints as (
    select
        case component
            when 'PRODUCT_VALUE' then 'RELIABILITY'
            when 'MONETARY_COST' then 'RELIABILITY'
            when 'PERSONNEL_VALUE' then 'ASSURANCE'
            when 'SERVICE_VALUE' then 'EMPATHY'
            when 'PSYCHOLOGICAL_COST' then 'EMPATHY'
            when 'TIME_COST' then 'RESPONSIVENESS'
            when 'IMAGE_VALUE' then 'TANGIBLES'
            when 'ENERGY_COST' then 'TANGIBLES'
        end as dimension,
        count(*) as count_complaints
    from marts.mart_complaint
    where is_latest and is_valid
    group by dimension
)

select  -- noqa: ST06
    gaps.dimension,
    gaps.count_respondents,
    gaps.mean_gap,
    gaps.gap_se,
    rank() over (order by gaps.mean_gap asc nulls last) as gap_rank,
    coalesce(complaints.count_complaints, 0) as count_complaints,
    rank() over (order by coalesce(complaints.count_complaints, 0) desc nulls last)
        as complaint_rank,
    gaps.is_small_sample,
    gaps.is_simulated
from gaps
left join complaints on gaps.dimension = complaints.dimension
order by gap_rank asc, gaps.dimension asc
