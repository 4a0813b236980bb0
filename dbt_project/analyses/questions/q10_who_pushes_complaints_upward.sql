-- 10. Which counters push complaints upward (escalation, skipped levels), and which solve on the
--   spot?
-- 中文：哪些柜组把投诉往上推（升级、越级），哪些当场解决？
-- Trap: departments get different complaints. `escalated_expected` is what a department would have
--   escalated if it treated each reason as the company does; only the ratio to it is its own doing.
-- Definitions: P6, P7
with at_the_counter as (
    select  -- noqa: ST06
        coalesce(complained_department, 'UNKNOWN') as department,
        reason_code,
        complaint_no,
        case when max_level > entry_level then 1 else 0 end as pushed_up,
        case when is_skip_level then 1 else 0 end as skipped,
        case when resolved_at is not null and max_level = 1 and not is_reopened then 1 else 0 end
            as solved_on_the_spot
    from marts.mart_complaint
    where is_latest and is_valid and entry_level = 1
),

by_reason as (
    select
        reason_code,
        avg(cast(pushed_up as double)) as pushed_up_rate
    from at_the_counter
    group by reason_code
),

by_department as (
    select
        at_the_counter.department,
        count(*) as count_complaints,
        sum(at_the_counter.pushed_up) as count_escalated,
        sum(by_reason.pushed_up_rate) as escalated_expected,
        sum(at_the_counter.skipped) as count_skipped_level,
        sum(at_the_counter.solved_on_the_spot) as count_solved_on_the_spot
    from at_the_counter
    inner join by_reason on at_the_counter.reason_code = by_reason.reason_code
    group by at_the_counter.department
)

select
    by_department.department,
    by_department.count_complaints,
    by_department.count_escalated,
    cast(by_department.escalated_expected as decimal(18, 4)) as escalated_expected,
    cast(
        by_department.count_escalated / nullif(by_department.escalated_expected, 0)
        as decimal(9, 4)
    ) as escalation_ratio,
    by_department.count_skipped_level,
    by_department.count_solved_on_the_spot,
    by_department.count_complaints < as_of_dates.min_n_complaint as is_small_sample
from by_department
cross join core.dim_as_of as as_of_dates
where as_of_dates.is_latest
order by escalation_ratio desc nulls last, by_department.department asc
