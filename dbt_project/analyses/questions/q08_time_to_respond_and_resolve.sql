-- 8. How long do first response and resolution take (median, P90), by level of the ladder and
--   store, and which targets are missed by complaints that are still open?
-- 中文：各级、各门店的首次响应与解决时长（中位数、P90）如何？目前有多少未结投诉已超时？
-- Trap: complaints that are still open have no duration; left out of sight they would make the
--   desk look fast, so those past their target are counted beside.
-- Definitions: P2, P3, P4, P7
select
    coalesce(store_code, 'ALL') as store_code,
    coalesce(cast(max_level as string), 'ALL') as max_level,
    count(*) as count_complaints,
    count(first_response_minutes) as count_responded,
    median(first_response_minutes) as response_median_minutes,
    percentile_cont(0.9) within group (
        order by first_response_minutes
    ) as response_p90_minutes,
    count(resolution_gross_minutes) as count_resolved,
    median(resolution_gross_minutes) as resolution_median_minutes,
    percentile_cont(0.9) within group (
        order by resolution_gross_minutes
    ) as resolution_p90_minutes,
    median(resolution_net_minutes) as resolution_net_median_minutes,
    count(case when is_open then 1 end) as count_open,
    count(case when is_open and not is_response_sla_met then 1 end) as count_open_response_late,
    count(case when is_open and not is_resolution_sla_met then 1 end)
        as count_open_resolution_late
from marts.mart_complaint
where is_latest and is_valid
group by cube(store_code, max_level)
order by count_complaints desc nulls last, store_code asc, max_level asc
