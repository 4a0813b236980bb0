-- 7. What are the top reasons for complaints this week, and is any out of control?
-- 中文：本周投诉的主要原因是什么，有没有失控的？
-- Trap: a number says little without the rate of the same weekday in the weeks before; an alert is
--   a day whose count such a rate would hardly ever bring. A week may reach back into the month
--   before, whose days stand under the date that ended it.
-- Definitions: P13, P17
with this_week as (
    select
        complaint_days.reason_code,
        complaint_days.received_on,
        complaint_days.count_complaints,
        complaint_days.expected_count,
        complaint_days.tail_probability,
        complaint_days.is_alert,
        complaint_days.is_simulated
    from marts.mart_complaint_day as complaint_days
    inner join core.dim_as_of as as_of_dates
        on
            complaint_days.as_of_date <= as_of_dates.as_of_date
            and complaint_days.received_on > as_of_dates.as_of_date - 7
    where
        as_of_dates.is_latest
        and complaint_days.store_code = 'ALL'
        and complaint_days.reason_code <> 'ALL'
)

select
    this_week.reason_code,
    reasons.name_en,
    reasons.name_zh,
    reasons.component,
    reasons.department,
    sum(this_week.count_complaints) as count_complaints,
    sum(this_week.expected_count) as expected_on_these_days,
    min(this_week.tail_probability) as least_tail_probability,
    count(case when this_week.is_alert then 1 end) as count_alert_days,
    bool_or(this_week.is_simulated) as is_simulated
from this_week
left join core.dim_reason as reasons on this_week.reason_code = reasons.reason_code
group by
    this_week.reason_code,
    reasons.name_en,
    reasons.name_zh,
    reasons.component,
    reasons.department
having sum(this_week.count_complaints) > 0
order by count_complaints desc nulls last, this_week.reason_code asc
