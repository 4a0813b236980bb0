-- Each complaint of core has its row; what takes time takes none below 0; a complaint that was
-- reopened is not resolved until it is again; the three marts count the same complaints; an alert
-- follows from its numbers, and a share from its counts.
with as_of_dates as (
    select * from {{ ref('dim_as_of') }}
),

months as (
    select * from {{ ref('fct_complaint_month') }}
    where coalesce(kind, 'COMPLAINT') = 'COMPLAINT'
),

complaints as (
    select * from {{ ref('mart_complaint') }}
),

days as (
    select * from {{ ref('mart_complaint_day') }}
),

recovery as (
    select * from {{ ref('mart_service_recovery') }}
),

-- what is to be equal for a date, by where it is counted
counts as (
    select
        as_of_dates.as_of_date,
        'fct_complaint_month' as part,
        count(case when months.is_valid then 1 end) as count_complaints
    from as_of_dates
    left join months
        on
            as_of_dates.as_of_date = months.as_of_date
            and as_of_dates.period_start_date < months.received_on
    group by as_of_dates.as_of_date

    union all

    select
        as_of_dates.as_of_date,
        'mart_complaint' as part,
        count(case when complaints.is_valid then 1 end) as count_complaints
    from as_of_dates
    left join complaints
        on
            as_of_dates.as_of_date = complaints.as_of_date
            and as_of_dates.period_start_date < complaints.received_on
    group by as_of_dates.as_of_date

    union all

    {% for store, reason in [('all', 'all'), ('each', 'all'), ('all', 'each'), ('each', 'each')] -%}
    select
        as_of_dates.as_of_date,
        'mart_complaint_day, {{ store }} stores and {{ reason }} reasons' as part,
        coalesce(sum(days.count_complaints), 0) as count_complaints
    from as_of_dates
    left join days
        on
            as_of_dates.as_of_date = days.as_of_date
            and days.store_code {{ '=' if store == 'all' else '<>' }} 'ALL'
            and days.reason_code {{ '=' if reason == 'all' else '<>' }} 'ALL'
    group by as_of_dates.as_of_date

    union all

    {% endfor -%}
    {% for store, level, reason in [
        ('=', '=', '='), ('<>', '=', '='), ('=', '<>', '='), ('=', '=', '<>'), ('<>', '<>', '=')
    ] -%}
    select
        as_of_dates.as_of_date,
        'mart_service_recovery {{ loop.index }}' as part,
        coalesce(sum(recovery.count_complaints), 0) as count_complaints
    from as_of_dates
    left join recovery
        on
            as_of_dates.as_of_date = recovery.as_of_date
            and recovery.window_code = 'PERIOD'
            and recovery.store_code {{ store }} 'ALL'
            and recovery.level_code {{ level }} 'ALL'
            and recovery.reason_code {{ reason }} 'ALL'
    group by as_of_dates.as_of_date
    {% if not loop.last -%}
    union all

    {% endif -%}
    {% endfor %}
)

select
    'complaint is in one of fct_complaint_month and mart_complaint only' as failure,
    coalesce(months.as_of_date, complaints.as_of_date) as as_of_date,
    coalesce(months.complaint_no, complaints.complaint_no) as what
from months
full outer join complaints
    on
        months.as_of_date = complaints.as_of_date
        and months.complaint_no = complaints.complaint_no
where months.complaint_no is null or complaints.complaint_no is null

union all

select
    'time below 0, or a verdict before its time' as failure,
    as_of_date,
    complaint_no as what
from complaints
where
    first_response_minutes < 0
    or first_response_business_minutes not between 0 and first_response_minutes
    or resolution_gross_minutes < 0
    or resolution_net_minutes not between 0 and resolution_gross_minutes
    or waiting_minutes < 0
    or open_days < 0
    or least(
        dwell_l1_minutes,
        dwell_l2_minutes,
        dwell_l3_minutes,
        dwell_l4_minutes,
        dwell_l5_minutes
    ) < 0
    or repurchase_days not between 1 and recovery_window_days
    or repurchase_on > as_of_date
    or is_matured and recovery_until_on > as_of_date
    or (is_repurchased is not null) <> is_matured
    or (is_recovered is not null) <> is_matured
    or is_recovered and not is_repurchased
    or (is_fcr is not null) <> is_fcr_eligible
    or is_fcr and (is_reopened or count_escalated > 0 or resolved_at is null)
    or is_open and (resolved_at is not null or is_resolution_sla_met)
    or not is_valid and coalesce(is_response_sla_met, is_resolution_sla_met, is_fcr) is not null
    or control_repurchase_rate not between 0 and 1
    or (control_repurchase_rate is null) <> (coalesce(count_control_peers, 0) = 0)

union all

select
    'reopened complaint counts as resolved' as failure,
    complaints.as_of_date,
    complaints.complaint_no as what
from complaints
inner join {{ ref('fct_complaint_event') }} as events
    on
        complaints.complaint_no = events.complaint_no
        and complaints.as_of_date >= events.occurred_on
        and complaints.resolved_at < events.occurred_at
where
    events.event = 'REOPENED'
    and (
        complaints.resolution_gross_minutes is not null
        or complaints.is_resolution_sla_met
        or complaints.is_recovered is not null
    )

union all

select
    'number of complaints differs from core' as failure,
    counts.as_of_date,
    counts.part as what
from counts
inner join counts as counts_of_core
    on
        counts.as_of_date = counts_of_core.as_of_date
        and counts_of_core.part = 'fct_complaint_month'
where counts.count_complaints <> counts_of_core.count_complaints

union all

select
    'date without a total' as failure,
    as_of_dates.as_of_date,
    'mart_service_recovery' as what
from as_of_dates
left join recovery
    on
        as_of_dates.as_of_date = recovery.as_of_date
        and recovery.window_code = 'YEAR'
        and recovery.store_code = 'ALL'
        and recovery.level_code = 'ALL'
        and recovery.reason_code = 'ALL'
where recovery.as_of_date is null

union all

select
    'alert does not follow from its numbers' as failure,
    days.as_of_date,
    days.store_code || ' ' || days.reason_code as what
from days
inner join as_of_dates on days.as_of_date = as_of_dates.as_of_date
where
    days.is_alert
    <> coalesce(
        days.count_complaints >= as_of_dates.alert_min_count
        and days.tail_probability < as_of_dates.alert_tail_max,
        false
    )
    or (days.expected_count is null) <> (days.count_baseline_days = 0)
    or days.expected_count < as_of_dates.alert_rate_floor
    or days.tail_probability not between 0 and 1
    or days.received_on > days.as_of_date
    or days.received_on <= as_of_dates.period_start_date

union all

select
    'share does not follow from its counts' as failure,
    as_of_date,
    store_code || ' ' || level_code || ' ' || reason_code as what
from recovery
where
    {% for share, hits, base in [
        ('response_sla_met_share', 'count_response_met', 'count_response_due'),
        ('resolution_sla_met_share', 'count_resolution_met', 'count_resolution_due'),
        ('reopen_rate', 'count_reopened', 'count_first_resolved'),
        ('fcr_rate', 'count_fcr', 'count_fcr_eligible'),
        ('escalation_rate', 'count_escalated', 'count_complaints'),
        ('skip_level_share', 'count_skip_level', 'count_escalated'),
        ('handling_response_rate', 'count_handling_answered', 'count_handling_asked'),
        ('recovery_rate', 'count_recovered', 'count_recovery_matured'),
        ('repeat_complainer_share', 'count_repeat_complainers', 'count_complainants'),
        ('silent_share', 'count_silent', 'count_dissatisfied'),
    ] -%}
    {{ hits }} > {{ base }}
    or ({{ share }} is null) <> (coalesce({{ base }}, 0) = 0)
    or {{ share }} not between {{ share }}_lo and {{ share }}_hi
    or {% endfor -%}
    count_open <> count_open_age_1 + count_open_age_2 + count_open_age_3 + count_open_age_4
    or count_open_overdue > count_open
    or net_repurchase_effect not between net_repurchase_effect_lo and net_repurchase_effect_hi
