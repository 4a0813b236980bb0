{% set handling_constructs = {
    'handling_score': 'HANDLING',
    'handling_distributive': 'DISTRIBUTIVE_JUSTICE',
    'handling_procedural': 'PROCEDURAL_JUSTICE',
    'handling_interactional': 'INTERACTIONAL_JUSTICE',
} %}

with

complaint_months as (

    select * from {{ ref('fct_complaint_month') }}
    -- what has no header yet is held for a complaint
    where coalesce(kind, 'COMPLAINT') = 'COMPLAINT'

),

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

targets as (

    select * from {{ ref('sla_target') }}

),

opening_hours as (

    select
        weekday,
        cast(split_part(opens_at, ':', 1) as integer) * 60
        + cast(split_part(opens_at, ':', 2) as integer) as opens_minute,
        cast(split_part(closes_at, ':', 1) as integer) * 60
        + cast(split_part(closes_at, ':', 2) as integer) as closes_minute
    from {{ ref('business_hours') }}

),

calendar as (

    select * from {{ ref('dim_date') }}

),

products as (

    select * from {{ ref('dim_product_history') }}

),

identity_history as (

    select * from {{ ref('bridge_customer_identity') }}

),

customer_months as (

    select * from {{ ref('fct_customer_month') }}

),

visits as (

    select * from {{ ref('fct_visit') }}

),

answers as (

    select * from {{ ref('int_survey_answer__known') }}

),

-- the customer as he was known before the complaint: the month-end up to its receipt
snapshots as (

    select
        receipts.received_on,
        max(as_of_dates.as_of_date) as snapshot_on
    from (select distinct complaint_months.received_on from complaint_months) as receipts
    inner join as_of_dates
        on
            receipts.received_on >= as_of_dates.as_of_date
            and as_of_dates.is_month_end
    group by receipts.received_on

),

dated as (

    select
        complaint_months.*,
        as_of_dates.fcr_window_days,
        as_of_dates.handling_max_days,
        as_of_dates.handling_high_min,
        as_of_dates.repeat_complainer_min,
        as_of_dates.repeat_complainer_days,
        as_of_dates.sla_response_clock,
        as_of_dates.sla_resolution_clock,
        snapshots.snapshot_on,
        identity_history.customer_id as snapshot_customer_id,
        cast(complaint_months.resolved_at as date) as resolved_on,
        complaint_months.customer_id not in ('ANONYMOUS', 'UNKNOWN') as is_identified,
        -- what was never resolved is watched from its receipt, in a denominator of its own
        coalesce(cast(complaint_months.resolved_at as date), complaint_months.received_on)
            as watched_from_on,
        case
            when complaint_months.is_valid
                then
                    cast(
                        coalesce(complaint_months.closed_at, complaint_months.resolved_at) as date
                    )
        end as finished_on,
        coalesce(response_targets.response_minutes, as_of_dates.sla_response_minutes)
            as response_target_minutes,
        case
            when products.warranty_class = 'SANBAO' then as_of_dates.sla_sanbao_resolution_minutes
            else coalesce(
                resolution_targets.resolution_minutes, as_of_dates.sla_resolution_minutes
            )
        end as resolution_target_minutes,
        least(
            as_of_dates.recovery_max_days,
            greatest(
                as_of_dates.recovery_min_days, customer_months.inactivity_threshold_days
            )
        ) as recovery_window_days
    from complaint_months
    inner join as_of_dates on complaint_months.as_of_date = as_of_dates.as_of_date
    left join snapshots on complaint_months.received_on = snapshots.received_on
    left join identity_history
        on
            complaint_months.card_key = identity_history.card_key
            and snapshots.snapshot_on >= identity_history.valid_from
            and snapshots.snapshot_on < identity_history.valid_to
            and identity_history.customer_id not in ('ANONYMOUS', 'UNKNOWN')
    left join customer_months
        on
            snapshots.snapshot_on = customer_months.as_of_date
            and identity_history.customer_id = customer_months.customer_id
    left join products
        on
            complaint_months.product_key = products.product_key
            and complaint_months.as_of_date >= products.valid_from
            and complaint_months.as_of_date < products.valid_to
    left join targets as response_targets
        on
            complaint_months.severity = response_targets.severity
            and complaint_months.entry_level = response_targets.level
    left join targets as resolution_targets
        on
            complaint_months.severity = resolution_targets.severity
            and complaint_months.max_level = resolution_targets.level

),

-- ------------------------------------------------------------------- the answer, in business hours

-- minutes of business before each day, so that a span is the difference of its two ends
business_days as (

    select
        calendar.date_on,
        coalesce(opening_hours.opens_minute, 0) as opens_minute,
        coalesce(opening_hours.closes_minute, 0) as closes_minute,
        coalesce(
            sum(opening_hours.closes_minute - opening_hours.opens_minute) over (
                order by calendar.date_on
                rows between unbounded preceding and 1 preceding
            ),
            0
        ) as minutes_before
    from calendar
    left join opening_hours
        on
            calendar.day_of_week_iso = opening_hours.weekday
            and not calendar.is_closed

),

response_spans as (

    select
        complaint_no,
        as_of_date,
        received_at,
        received_on,
        cast(coalesce(first_responded_at, cast(as_of_date + 1 as timestamp)) as date) as until_on,
        coalesce(first_responded_at, cast(as_of_date + 1 as timestamp)) as until_at
    from dated

),

business_minutes as (

    select
        response_spans.complaint_no,
        response_spans.as_of_date,
        last_days.minutes_before
        + greatest(
            0,
            least(
                last_days.closes_minute,
                {{ minutes_between(
                    'cast(response_spans.until_on as timestamp)', 'response_spans.until_at'
                ) }}
            ) - last_days.opens_minute
        )
        - first_days.minutes_before
        - greatest(
            0,
            least(
                first_days.closes_minute,
                {{ minutes_between(
                    'cast(response_spans.received_on as timestamp)', 'response_spans.received_at'
                ) }}
            ) - first_days.opens_minute
        ) as response_business_minutes
    from response_spans
    inner join business_days as first_days on response_spans.received_on = first_days.date_on
    inner join business_days as last_days on response_spans.until_on = last_days.date_on

),

-- ---------------------------------------------------------- other complaints of the same customer

others as (

    select
        complaint.complaint_no,
        complaint.as_of_date,
        -- the complaint itself among them
        count(
            case
                when
                    other.received_on > complaint.received_on - complaint.repeat_complainer_days
                    and (
                        other.received_at < complaint.received_at
                        or other.received_at = complaint.received_at
                        and other.complaint_no <= complaint.complaint_no
                    )
                    then 1
            end
        ) as count_complaints_recent,
        count(
            case
                when
                    other.reason_code = complaint.reason_code
                    and other.received_on <= complaint.finished_on + complaint.fcr_window_days
                    and (
                        other.received_at > complaint.received_at
                        or other.received_at = complaint.received_at
                        and other.complaint_no > complaint.complaint_no
                    )
                    then 1
            end
        ) as count_same_again,
        count(
            case
                when
                    other.received_at > complaint.resolved_at
                    and other.received_on
                    <= complaint.resolved_on + complaint.recovery_window_days
                    then 1
            end
        ) as count_later
    from dated as complaint
    inner join dated as other
        on
            complaint.as_of_date = other.as_of_date
            and complaint.customer_id = other.customer_id
            and other.is_valid
    where complaint.is_identified and complaint.is_valid
    group by complaint.complaint_no, complaint.as_of_date

),

-- ------------------------------------------------------------------------ answers about handling

handling_answers as (

    select
        answers.as_of_date,
        answers.complaint_no,
        answers.construct,
        answers.answered_on,
        answers.is_simulated,
        -- on five points, 5 best, whatever the scale of the question
        cast(
            case
                when answers.higher_is_better then answers.answer_num - answers.scale_min
                else answers.scale_max - answers.answer_num
            end * 4 / nullif(answers.scale_max - answers.scale_min, 0) + 1 as decimal(9, 3)
        ) as score
    from answers
    inner join dated
        on
            answers.as_of_date = dated.as_of_date
            and answers.complaint_no = dated.complaint_no
            and answers.answered_on >= dated.finished_on
            and answers.answered_on <= dated.finished_on + dated.handling_max_days
    where
        answers.construct in (
            {%- for construct in handling_constructs.values() %}
            '{{ construct }}'{{ ',' if not loop.last }}
            {%- endfor %}
        )
        and answers.answer_num is not null
        and not answers.is_missing
    qualify row_number() over (
        partition by answers.as_of_date, answers.complaint_no, answers.construct
        order by
            answers.submitted_at desc nulls last,
            answers.response_id desc nulls last,
            answers.question_id asc nulls last
    ) = 1

),

handling as (

    select
        as_of_date,
        complaint_no,
        {% for name, construct in handling_constructs.items() -%}
        max(case when construct = '{{ construct }}' then score end) as {{ name }},
        {% endfor -%}
        max(case when construct = 'HANDLING' then answered_on end) as handling_on,
        bool_or(is_simulated) as is_simulated
    from handling_answers
    group by as_of_date, complaint_no

),

-- ----------------------------------------------------------------------------- visits since then

repurchases as (

    select
        dated.complaint_no,
        dated.as_of_date,
        min(visits.visit_on) as repurchase_on
    from dated
    inner join visits
        on
            dated.customer_id = visits.customer_id
            and dated.watched_from_on < visits.visit_on
            and dated.watched_from_on + dated.recovery_window_days >= visits.visit_on
            and dated.as_of_date >= visits.known_from
            and dated.as_of_date < visits.known_to
    where dated.is_identified and dated.is_valid
    group by dated.complaint_no, dated.as_of_date

),

clocked as (

    select
        dated.*,
        case
            when dated.first_response_minutes is not null
                -- seconds are cut off at both ends here
                then least(
                    business_minutes.response_business_minutes, dated.first_response_minutes
                )
        end as first_response_business_minutes,
        case
            when dated.sla_response_clock = 'BUSINESS'
                then business_minutes.response_business_minutes
            else
                {{ minutes_between(
                    'dated.received_at',
                    'coalesce(dated.first_responded_at, cast(dated.as_of_date + 1 as timestamp))'
                ) }}
        end as response_clock_minutes,
        {{ minutes_between(
            'dated.received_at',
            'coalesce(dated.resolved_at, cast(dated.as_of_date + 1 as timestamp))'
        ) }}
        - case when dated.sla_resolution_clock = 'NET' then dated.waiting_minutes else 0 end
            as resolution_clock_minutes,
        others.count_complaints_recent,
        others.count_same_again,
        others.count_later,
        {% for name in handling_constructs -%}
        handling.{{ name }},
        {% endfor -%}
        handling.handling_on,
        coalesce(handling.is_simulated, false) as handling_is_simulated,
        repurchases.repurchase_on,
        dated.is_valid
        and dated.is_identified
        and dated.resolved_on is not null
        and dated.resolved_on + dated.recovery_window_days <= dated.as_of_date
            as is_recovery_matured,
        dated.is_valid
        and dated.is_identified
        and dated.resolved_on is null
        and dated.watched_from_on + dated.recovery_window_days <= dated.as_of_date
            as is_unresolved_matured,
        dated.is_valid
        and dated.is_identified
        and dated.finished_on is not null
        and dated.finished_on + dated.fcr_window_days <= dated.as_of_date as is_fcr_eligible
    from dated
    left join business_minutes
        on
            dated.as_of_date = business_minutes.as_of_date
            and dated.complaint_no = business_minutes.complaint_no
    left join others
        on
            dated.as_of_date = others.as_of_date
            and dated.complaint_no = others.complaint_no
    left join handling
        on
            dated.as_of_date = handling.as_of_date
            and dated.complaint_no = handling.complaint_no
    left join repurchases
        on
            dated.as_of_date = repurchases.as_of_date
            and dated.complaint_no = repurchases.complaint_no

)

select
    complaint_no,
    as_of_date,
    received_at,
    received_on,
    channel_code,
    entry_level,
    customer_id,
    is_identified,
    snapshot_on,
    snapshot_customer_id,
    store_key,
    product_key,
    department as complained_department,
    reason_code,
    severity,
    merged_into,
    is_valid,
    is_open,
    is_inferred,
    acknowledged_at,
    first_responded_at,
    resolved_at,
    resolved_on,
    reopened_at,
    closed_at,
    cancelled_at,
    finished_on,
    first_resolved_at,
    max_level,
    count_escalated,
    count_reopened,
    is_skip_level,
    {% for level in range(1, 6) -%}
    dwell_l{{ level }}_minutes,
    {% endfor -%}
    first_response_minutes,
    cast(first_response_business_minutes as integer) as first_response_business_minutes,
    resolution_gross_minutes,
    waiting_minutes,
    resolution_net_minutes,
    open_minutes,
    response_target_minutes,
    resolution_target_minutes,
    -- what has not come yet is judged once it is late; what came before the complaint, never
    case
        when not is_valid then null
        when first_response_minutes is not null
            then response_clock_minutes <= response_target_minutes
        when first_responded_at is null and response_clock_minutes > response_target_minutes
            then false
    end as is_response_sla_met,
    case
        when not is_valid then null
        when resolution_gross_minutes is not null
            then resolution_clock_minutes <= resolution_target_minutes
        when resolved_at is null and resolution_clock_minutes > resolution_target_minutes
            then false
    end as is_resolution_sla_met,
    is_fcr_eligible,
    case
        when is_fcr_eligible
            then
                resolved_at is not null
                and coalesce(max_level = 1, false)
                and count_escalated = 0
                and count_reopened = 0
                and coalesce(count_same_again, 0) = 0
    end as is_fcr,
    {% for name in handling_constructs -%}
    {{ name }},
    {% endfor -%}
    handling_on,
    compensation_type,
    compensation_amount,
    orig_store_code,
    orig_business_date,
    orig_till_no,
    orig_receipt_no,
    recovery_window_days,
    watched_from_on,
    case
        when is_valid and is_identified then watched_from_on + recovery_window_days
    end as recovery_until_on,
    repurchase_on,
    is_recovery_matured,
    case when is_recovery_matured then repurchase_on is not null end as is_repurchased,
    is_unresolved_matured,
    case when is_unresolved_matured then repurchase_on is not null end
        as is_unresolved_repurchased,
    case
        when is_recovery_matured
            then
                repurchase_on is not null
                and (
                    coalesce(handling_score >= handling_high_min, false)
                    or coalesce(count_later, 0) = 0
                )
    end as is_recovered,
    case when is_valid then handling_score >= handling_high_min end as is_handled_well,
    case
        when is_valid and is_identified and resolved_at is not null then count_later > 0
    end as has_later_complaint,
    cast(count_complaints_recent as integer) as count_complaints_recent,
    count_complaints_recent >= repeat_complainer_min as is_repeat_complainer,
    is_simulated or handling_is_simulated as is_simulated
from clocked
