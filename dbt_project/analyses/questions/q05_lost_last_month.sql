-- 5. What did we lose last month: customers and their value of the year before, avoidable or not?
-- 中文：上个月我们失去了什么：客户数与其此前一年的价值，其中哪些可避免、哪些不可避免？
-- Trap: lost is who was active when the month began and crossed the threshold within it; those who
--   joined in the month do not count, those who returned later do. Reasons are known only of those
--   who gave or showed one; nobody's is guessed.
-- Definitions: C1, C2, C5, V4
with last_month as (
    select
        max(as_of_date) as as_of_date,
        max(period_start_date) as period_start_date
    from core.dim_as_of
    where is_month_end
)

select  -- noqa: ST06
    churned.as_of_date,
    coalesce(churned.reason_source, 'UNKNOWN') as reason_source,
    coalesce(churned.reason_code, 'UNKNOWN') as reason_code,
    churned.is_avoidable,
    earlier.value_basis,
    count(*) as count_lost,
    sum(earlier.value_365d) as value_lost
from marts.mart_churn as churned
inner join last_month on churned.as_of_date = last_month.as_of_date
left join marts.mart_customer_value as earlier
    on
        churned.customer_id = earlier.customer_id
        and last_month.period_start_date = earlier.as_of_date
where
    churned.was_active_at_start
    and churned.churned_in_period
    and churned.excluded_reason is null
group by
    churned.as_of_date,
    churned.reason_source,
    churned.reason_code,
    churned.is_avoidable,
    earlier.value_basis
order by count_lost desc nulls last, reason_code asc, reason_source asc
