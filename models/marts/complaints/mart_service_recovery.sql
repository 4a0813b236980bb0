-- PERIOD is the month that ends with the date, YEAR the window_days before it. Each measure counts
-- a complaint in the window in which it can be told: rates, answers, targets, escalations and
-- compensation when it was received, resolution times when it was resolved, what needs time to
-- pass when that time had passed. So each complaint counts once over the months.

-- share: hits, base
{% set shares = {
    'response_sla_met_share': ['count_response_met', 'count_response_due'],
    'resolution_sla_met_share': ['count_resolution_met', 'count_resolution_due'],
    'reopen_rate': ['count_reopened', 'count_first_resolved'],
    'fcr_rate': ['count_fcr', 'count_fcr_eligible'],
    'escalation_rate': ['count_escalated', 'count_complaints'],
    'reached_l2_rate': ['count_reached_l2', 'count_complaints'],
    'reached_l3_rate': ['count_reached_l3', 'count_complaints'],
    'reached_l4_rate': ['count_reached_l4', 'count_complaints'],
    'reached_l5_rate': ['count_reached_l5', 'count_complaints'],
    'skip_level_share': ['count_skip_level', 'count_escalated'],
    'handling_response_rate': ['count_handling_answered', 'count_handling_asked'],
    'repurchase_rate': ['count_repurchased', 'count_recovery_matured'],
    'recovery_rate': ['count_recovered', 'count_recovery_matured'],
    'unresolved_repurchase_rate': ['count_unresolved_repurchased', 'count_unresolved_matured'],
    'compensated_recovery_rate': ['count_compensated_recovered', 'count_compensated_matured'],
    'uncompensated_recovery_rate': [
        'count_uncompensated_recovered', 'count_uncompensated_matured'
    ],
    'repeat_complainer_share': ['count_repeat_complainers', 'count_complainants'],
    'silent_share': ['count_silent', 'count_dissatisfied'],
} %}

-- column, what its median and 90th percentile are taken of
{% set durations = {
    'first_response_minutes': 'case when in_received then first_response_minutes end',
    'first_response_business_minutes':
        'case when in_received then first_response_business_minutes end',
    'resolution_gross_minutes': 'case when in_resolved then resolution_gross_minutes end',
    'resolution_net_minutes': 'case when in_resolved then resolution_net_minutes end',
} %}

with

judged as (

    select * from {{ ref('int_complaint__judged') }}

),

matched as (

    select * from {{ ref('int_complaint__matched') }}

),

answers as (

    select * from {{ ref('int_survey_answer__known') }}

),

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

stores as (

    select * from {{ ref('dim_store') }}

),

store_history as (

    select * from {{ ref('dim_store_history') }}

),

receipts as (

    select * from {{ ref('fct_receipt') }}

),

customer_months as (

    select * from {{ ref('fct_customer_month') }}

),

-- before the first complaint that is known nobody can tell content customers from a missing feed
heard as (

    select distinct as_of_date
    from judged

),

windows as (

    select
        as_of_dates.*,
        'PERIOD' as window_code,
        as_of_dates.period_start_date as window_start_on
    from as_of_dates

    union all

    select
        as_of_dates.*,
        'YEAR' as window_code,
        as_of_dates.as_of_date - as_of_dates.window_days as window_start_on
    from as_of_dates

),

-- --------------------------------------------------------------------------- what is compared with

store_days as (

    select
        store_key,
        business_date,
        count(case when is_sale_visit then 1 end) as count_receipts
    from receipts
    group by store_key, business_date

),

receipt_counts as (

    select
        windows.as_of_date,
        windows.window_code,
        case
            when grouping(stores.store_code) = 1 then 'ALL'
            else coalesce(stores.store_code, 'UNKNOWN')
        end as store_code,
        sum(store_days.count_receipts) as count_receipts
    from windows
    inner join store_days
        on
            windows.window_start_on < store_days.business_date
            and windows.as_of_date >= store_days.business_date
    left join store_history
        on
            store_days.store_key = store_history.store_key
            and windows.as_of_date >= store_history.valid_from
            and windows.as_of_date < store_history.valid_to
    left join stores on store_days.store_key = stores.store_key
    where not coalesce(store_history.is_test, false)
    group by windows.as_of_date, windows.window_code, rollup(stores.store_code)

),

member_counts as (

    select
        customer_months.as_of_date,
        case
            when grouping(stores.store_code) = 1 then 'ALL'
            else coalesce(stores.store_code, 'UNKNOWN')
        end as store_code,
        count(*) as count_active_members
    from customer_months
    left join stores on customer_months.home_store_key = stores.store_key
    where
        customer_months.churn_status = 'ACTIVE'
        and customer_months.excluded_reason is null
    group by customer_months.as_of_date, rollup(stores.store_code)

),

-- -------------------------------------------------------------------------------------- complaints

observed as (

    select
        windows.window_code,
        judged.*,
        coalesce(stores.store_code, 'UNKNOWN') as store_code,
        coalesce(cast(judged.max_level as {{ dbt.type_string() }}), 'UNKNOWN') as level_code,
        judged.received_on > windows.window_start_on as in_received,
        coalesce(judged.resolved_on > windows.window_start_on, false) as in_resolved,
        coalesce(cast(judged.first_resolved_at as date) > windows.window_start_on, false)
            as in_first_resolved,
        judged.is_fcr_eligible
        and judged.finished_on + windows.fcr_window_days > windows.window_start_on as in_fcr,
        coalesce(
            judged.finished_on + windows.handling_max_days > windows.window_start_on
            and judged.finished_on + windows.handling_max_days <= windows.as_of_date,
            false
        ) as in_handling,
        judged.is_recovery_matured
        and judged.recovery_until_on > windows.window_start_on as in_recovery,
        judged.is_unresolved_matured
        and judged.recovery_until_on > windows.window_start_on as in_unresolved,
        {{ days_between('judged.received_on', 'judged.as_of_date') }} as age_days,
        cast(split_part(windows.backlog_age_days, '|', 1) as integer) as age_1,
        cast(split_part(windows.backlog_age_days, '|', 2) as integer) as age_2,
        cast(split_part(windows.backlog_age_days, '|', 3) as integer) as age_3,
        matched.control_repurchase_rate,
        cast(
            case when judged.is_repurchased then 1 else 0 end - matched.control_repurchase_rate
            as decimal(9, 6)
        ) as repurchase_difference
    from judged
    inner join windows on judged.as_of_date = windows.as_of_date
    left join matched
        on
            judged.as_of_date = matched.as_of_date
            and judged.complaint_no = matched.complaint_no
    left join stores on judged.store_key = stores.store_key
    where judged.is_valid

),

counted as (

    select
        as_of_date,
        window_code,
        case when grouping(store_code) = 1 then 'ALL' else store_code end as store_code,
        case when grouping(level_code) = 1 then 'ALL' else level_code end as level_code,
        case when grouping(reason_code) = 1 then 'ALL' else reason_code end as reason_code,

        count(case when in_received then 1 end) as count_complaints,
        count(distinct case when in_received and is_identified then customer_id end)
            as count_complainants,

        count(case when in_received and is_response_sla_met is not null then 1 end)
            as count_response_due,
        count(case when in_received and is_response_sla_met then 1 end) as count_response_met,
        count(case when in_received and first_responded_at is null then 1 end)
            as count_unanswered,

        count(case when in_resolved then 1 end) as count_resolved,
        count(case when in_received and is_resolution_sla_met is not null then 1 end)
            as count_resolution_due,
        count(case when in_received and is_resolution_sla_met then 1 end)
            as count_resolution_met,
        count(case when is_open and not is_resolution_sla_met then 1 end) as count_open_overdue,
        {% for name, expression in durations.items() -%}
        cast(median({{ expression }}) as decimal(18, 2)) as {{ name }}_median,
        cast(percentile_cont(0.9) within group (order by {{ expression }}) as decimal(18, 2))
            as {{ name }}_p90,
        {% endfor %}
        count(case when in_first_resolved then 1 end) as count_first_resolved,
        count(case when in_first_resolved and count_reopened > 0 then 1 end) as count_reopened,
        count(case when in_fcr then 1 end) as count_fcr_eligible,
        count(case when in_fcr and is_fcr then 1 end) as count_fcr,

        count(case when in_received and count_escalated > 0 then 1 end) as count_escalated,
        count(case when in_received and is_skip_level then 1 end) as count_skip_level,
        {% for level in range(2, 6) -%}
        count(case when in_received and max_level >= {{ level }} then 1 end)
            as count_reached_l{{ level }},
        {% endfor -%}
        {% for level in range(1, 6) -%}
        cast(
            median(case when in_resolved then dwell_l{{ level }}_minutes end) as decimal(18, 2)
        ) as dwell_l{{ level }}_minutes_median,
        {% endfor %}
        count(case when in_handling then 1 end) as count_handling_asked,
        count(case when in_handling and handling_score is not null then 1 end)
            as count_handling_answered,
        {% for name in ['score', 'distributive', 'procedural', 'interactional'] -%}
        sum(case when in_handling then handling_{{ name }} end) as sum_handling_{{ name }},
        count(case when in_handling then handling_{{ name }} end) as count_handling_{{ name }},
        {% endfor %}
        count(case when in_recovery then 1 end) as count_recovery_matured,
        count(case when in_recovery and is_repurchased then 1 end) as count_repurchased,
        count(case when in_recovery and is_recovered then 1 end) as count_recovered,
        count(case when in_unresolved then 1 end) as count_unresolved_matured,
        count(case when in_unresolved and is_unresolved_repurchased then 1 end)
            as count_unresolved_repurchased,
        {% for prefix, condition in {
            'control': 'in_recovery',
            'well_handled': 'in_recovery and is_handled_well',
        }.items() -%}
        count(case when {{ condition }} then control_repurchase_rate end)
            as count_{{ prefix }},
        count(
            case
                when {{ condition }} and control_repurchase_rate is not null and is_repurchased
                    then 1
            end
        ) as count_{{ prefix }}_repurchased,
        sum(case when {{ condition }} then control_repurchase_rate end) as sum_{{ prefix }}_rate,
        sum(case when {{ condition }} then repurchase_difference end)
            as sum_{{ prefix }}_difference,
        sum(case when {{ condition }} then repurchase_difference * repurchase_difference end)
            as sum_{{ prefix }}_squares,
        {% endfor %}
        count(case when in_received and compensation_amount > 0 then 1 end) as count_compensated,
        sum(case when in_received then compensation_amount end) as compensation_total,
        {% for prefix, condition in {
            'compensated': 'coalesce(compensation_amount, 0) > 0',
            'uncompensated': 'coalesce(compensation_amount, 0) <= 0',
        }.items() -%}
        count(case when in_recovery and {{ condition }} then 1 end) as count_{{ prefix }}_matured,
        count(case when in_recovery and is_recovered and {{ condition }} then 1 end)
            as count_{{ prefix }}_recovered,
        {% endfor %}
        count(distinct case when in_received and is_repeat_complainer then customer_id end)
            as count_repeat_complainers,

        count(case when is_open then 1 end) as count_open,
        count(case when is_open and age_days <= age_1 then 1 end) as count_open_age_1,
        count(case when is_open and age_days > age_1 and age_days <= age_2 then 1 end)
            as count_open_age_2,
        count(case when is_open and age_days > age_2 and age_days <= age_3 then 1 end)
            as count_open_age_3,
        count(case when is_open and age_days > age_3 then 1 end) as count_open_age_4,
        max(case when is_open then age_days end) as open_days_max,
        bool_or(is_simulated) as is_simulated
    from observed
    where
        is_open or in_received or in_resolved or in_first_resolved or in_fcr or in_handling
        or in_recovery or in_unresolved
    group by as_of_date, window_code, cube(store_code, level_code, reason_code)
    -- by reason for the company and all levels only
    having
        grouping(reason_code) = 1
        or grouping(store_code) = 1 and grouping(level_code) = 1

),

-- --------------------------------------------------------------------------- those who say nothing

low_answers as (

    select
        windows.as_of_date,
        windows.window_code,
        windows.silent_window_days,
        answers.response_id,
        answers.customer_id,
        answers.answered_on,
        answers.is_simulated,
        coalesce(stores.store_code, 'UNKNOWN') as store_code
    from answers
    inner join windows
        on
            answers.as_of_date = windows.as_of_date
            -- whether they complained is known once the days after the answer have passed
            and answers.answered_on + windows.silent_window_days > windows.window_start_on
            and answers.answered_on + windows.silent_window_days <= windows.as_of_date
    left join stores on answers.store_key = stores.store_key
    where
        answers.survey_type = 'CSAT'
        and answers.construct = 'SATISFACTION'
        and answers.facet is null
        and answers.customer_id not in ('ANONYMOUS', 'UNKNOWN')
        and not answers.is_missing
        and answers.scale_min = 1
        and answers.scale_max = 5
        and case
            when answers.higher_is_better then answers.answer_num
            else 6 - answers.answer_num
        end <= windows.silent_satisfaction_max

),

low_responses as (

    select
        low_answers.as_of_date,
        low_answers.window_code,
        low_answers.store_code,
        low_answers.response_id,
        bool_or(judged.complaint_no is not null) as has_complained,
        bool_or(low_answers.is_simulated) as is_simulated
    from low_answers
    left join judged
        on
            low_answers.as_of_date = judged.as_of_date
            and low_answers.customer_id = judged.customer_id
            and judged.is_valid
            and low_answers.answered_on - low_answers.silent_window_days <= judged.received_on
            and low_answers.answered_on + low_answers.silent_window_days >= judged.received_on
    group by
        low_answers.as_of_date,
        low_answers.window_code,
        low_answers.store_code,
        low_answers.response_id

),

silent_counts as (

    select
        as_of_date,
        window_code,
        -- a low answer has neither level nor reason
        'ALL' as level_code,
        'ALL' as reason_code,
        case when grouping(store_code) = 1 then 'ALL' else store_code end as store_code,
        count(*) as count_dissatisfied,
        count(case when not has_complained then 1 end) as count_silent,
        bool_or(is_simulated) as is_simulated
    from low_responses
    group by as_of_date, window_code, rollup(store_code)

),

-- ------------------------------------------------------------------------------------ put together

-- stores without a complaint have a row too, and the company for each date
scopes as (

    select
        as_of_date,
        window_code,
        store_code,
        level_code,
        reason_code
    from counted

    union

    select
        as_of_date,
        window_code,
        store_code,
        'ALL' as level_code,
        'ALL' as reason_code
    from receipt_counts

    union

    select
        as_of_date,
        window_code,
        store_code,
        level_code,
        reason_code
    from silent_counts

    union

    select
        as_of_date,
        window_code,
        'ALL' as store_code,
        'ALL' as level_code,
        'ALL' as reason_code
    from windows

),

completed as (

    select
        scopes.*,
        windows.window_start_on,
        windows.is_latest,
        cast(windows.wilson_z as double) as z,
        windows.min_n,
        windows.min_n_complaint,
        cast(coalesce(receipt_counts.count_receipts, 0) as integer) as count_receipts,
        cast(coalesce(member_counts.count_active_members, 0) as integer)
            as count_active_members,
        {% for name in [
            'count_complaints', 'count_complainants', 'count_response_due', 'count_response_met',
            'count_unanswered', 'count_resolved', 'count_resolution_due', 'count_resolution_met',
            'count_open_overdue', 'count_first_resolved', 'count_reopened', 'count_fcr_eligible',
            'count_fcr', 'count_escalated', 'count_skip_level', 'count_reached_l2',
            'count_reached_l3', 'count_reached_l4', 'count_reached_l5', 'count_handling_asked',
            'count_handling_answered', 'count_recovery_matured', 'count_repurchased',
            'count_recovered', 'count_unresolved_matured', 'count_unresolved_repurchased',
            'count_control', 'count_control_repurchased', 'count_well_handled',
            'count_well_handled_repurchased', 'count_compensated', 'count_compensated_matured',
            'count_compensated_recovered', 'count_uncompensated_matured',
            'count_uncompensated_recovered', 'count_repeat_complainers', 'count_open',
            'count_open_age_1', 'count_open_age_2', 'count_open_age_3', 'count_open_age_4',
        ] -%}
        cast(coalesce(counted.{{ name }}, 0) as integer) as {{ name }},
        {% endfor -%}
        {% for name in durations -%}
        counted.{{ name }}_median,
        counted.{{ name }}_p90,
        {% endfor -%}
        {% for level in range(1, 6) -%}
        counted.dwell_l{{ level }}_minutes_median,
        {% endfor -%}
        {% for name in ['score', 'distributive', 'procedural', 'interactional'] -%}
        counted.sum_handling_{{ name }},
        counted.count_handling_{{ name }},
        {% endfor -%}
        {% for prefix in ['control', 'well_handled'] -%}
        counted.sum_{{ prefix }}_rate,
        counted.sum_{{ prefix }}_difference,
        counted.sum_{{ prefix }}_squares,
        {% endfor -%}
        counted.compensation_total,
        cast(counted.open_days_max as integer) as open_days_max,
        case
            when scopes.level_code = 'ALL' and scopes.reason_code = 'ALL'
                then cast(coalesce(silent_counts.count_dissatisfied, 0) as integer)
        end as count_dissatisfied,
        case
            when scopes.level_code = 'ALL' and scopes.reason_code = 'ALL'
                then cast(coalesce(silent_counts.count_silent, 0) as integer)
        end as count_silent,
        coalesce(counted.is_simulated, false) or coalesce(silent_counts.is_simulated, false)
            as is_simulated,
        heard.as_of_date is not null as is_heard
    from scopes
    inner join windows
        on
            scopes.as_of_date = windows.as_of_date
            and scopes.window_code = windows.window_code
    left join heard on scopes.as_of_date = heard.as_of_date
    left join counted
        on
            scopes.as_of_date = counted.as_of_date
            and scopes.window_code = counted.window_code
            and scopes.store_code = counted.store_code
            and scopes.level_code = counted.level_code
            and scopes.reason_code = counted.reason_code
    left join receipt_counts
        on
            scopes.as_of_date = receipt_counts.as_of_date
            and scopes.window_code = receipt_counts.window_code
            and scopes.store_code = receipt_counts.store_code
    left join member_counts
        on
            scopes.as_of_date = member_counts.as_of_date
            and scopes.store_code = member_counts.store_code
    left join silent_counts
        on
            scopes.as_of_date = silent_counts.as_of_date
            and scopes.window_code = silent_counts.window_code
            and scopes.store_code = silent_counts.store_code
            and scopes.level_code = silent_counts.level_code
            and scopes.reason_code = silent_counts.reason_code

),

-- the difference between a complainant and his peers: mean and standard error
compared as (

    select
        *,
        {% for prefix in ['control', 'well_handled'] -%}
        case
            when count_{{ prefix }} > 1
                then sqrt(
                    greatest(
                        0,
                        cast(sum_{{ prefix }}_squares as double)
                        - cast(sum_{{ prefix }}_difference as double)
                        * cast(sum_{{ prefix }}_difference as double) / count_{{ prefix }}
                    )
                    / (count_{{ prefix }} - 1)
                    / count_{{ prefix }}
                )
        end as se_{{ prefix }}_difference,
        {% endfor -%}
        cast(sum_control_difference as double) / nullif(count_control, 0)
            as mean_control_difference,
        cast(sum_well_handled_difference as double) / nullif(count_well_handled, 0)
            as mean_well_handled_difference
    from completed

)

select
    as_of_date,
    window_code,
    store_code,
    level_code,
    reason_code,
    is_latest,
    window_start_on,

    -- P1
    count_complaints,
    count_receipts,
    cast(
        case
            when is_heard
                then 10000 * cast(count_complaints as double) / nullif(count_receipts, 0)
        end as decimal(18, 6)
    ) as complaints_per_10000_receipts,
    count_complainants,
    count_active_members,
    cast(
        case
            when is_heard
                then 1000 * cast(count_complainants as double) / nullif(count_active_members, 0)
        end as decimal(18, 6)
    ) as complainants_per_1000_members,
    case when not is_heard then 'NO_COMPLAINT_FEED' end as complaint_missing_reason,
    count_complaints < min_n_complaint as is_small_sample,

    -- P2, P4: answer
    first_response_minutes_median,
    first_response_minutes_p90,
    first_response_business_minutes_median,
    first_response_business_minutes_p90,
    count_response_due,
    count_response_met,
    {{ wilson_share('response_sla_met_share', shares['response_sla_met_share'], 'z') }},
    count_unanswered,

    -- P3, P4: resolution
    count_resolved,
    resolution_gross_minutes_median,
    resolution_gross_minutes_p90,
    resolution_net_minutes_median,
    resolution_net_minutes_p90,
    count_resolution_due,
    count_resolution_met,
    {{ wilson_share('resolution_sla_met_share', shares['resolution_sla_met_share'], 'z') }},

    -- P5, P6
    count_first_resolved,
    count_reopened,
    {{ wilson_share('reopen_rate', shares['reopen_rate'], 'z') }},
    count_fcr_eligible,
    count_fcr,
    {{ wilson_share('fcr_rate', shares['fcr_rate'], 'z') }},
    count_fcr_eligible < min_n_complaint as is_fcr_small_n,

    -- P7
    count_escalated,
    {{ wilson_share('escalation_rate', shares['escalation_rate'], 'z') }},
    {% for level in range(2, 6) -%}
    count_reached_l{{ level }},
    {{ wilson_share(
        'reached_l' ~ level ~ '_rate', shares['reached_l' ~ level ~ '_rate'], 'z'
    ) }},
    {% endfor -%}
    count_skip_level,
    {{ wilson_share('skip_level_share', shares['skip_level_share'], 'z') }},
    {% for level in range(1, 6) -%}
    dwell_l{{ level }}_minutes_median,
    {% endfor %}
    -- P8
    count_handling_asked,
    count_handling_answered,
    {{ wilson_share('handling_response_rate', shares['handling_response_rate'], 'z') }},
    {% for name in ['score', 'distributive', 'procedural', 'interactional'] -%}
    cast(
        cast(sum_handling_{{ name }} as double) / nullif(count_handling_{{ name }}, 0)
        as decimal(9, 6)
    ) as handling_{{ name }}_mean,
    {% endfor -%}
    count_handling_answered < min_n as is_handling_small_n,

    -- P9
    count_recovery_matured,
    count_repurchased,
    {{ wilson_share('repurchase_rate', shares['repurchase_rate'], 'z') }},
    count_recovered,
    {{ wilson_share('recovery_rate', shares['recovery_rate'], 'z') }},
    {% for prefix, difference in {
        'control': 'net_repurchase_effect',
        'well_handled': 'paradox_difference',
    }.items() -%}
    {% if prefix == 'well_handled' -%}
    count_unresolved_matured,
    count_unresolved_repurchased,
    {{ wilson_share('unresolved_repurchase_rate', shares['unresolved_repurchase_rate'], 'z') }},
    count_recovery_matured < min_n_complaint as is_recovery_small_n,

    -- P10
    {% endif -%}
    count_{{ prefix }},
    cast(
        cast(count_{{ prefix }}_repurchased as double) / nullif(count_{{ prefix }}, 0)
        as decimal(9, 6)
    ) as {{ 'matched' if prefix == 'control' else prefix }}_repurchase_rate,
    cast(
        cast(sum_{{ prefix }}_rate as double) / nullif(count_{{ prefix }}, 0) as decimal(9, 6)
    ) as {{ 'control' if prefix == 'control' else 'no_problem' }}_repurchase_rate,
    cast(mean_{{ prefix }}_difference as decimal(9, 6)) as {{ difference }},
    cast(
        mean_{{ prefix }}_difference - z * se_{{ prefix }}_difference
        as decimal(9, 6)
    ) as {{ difference }}_lo,
    cast(
        mean_{{ prefix }}_difference + z * se_{{ prefix }}_difference
        as decimal(9, 6)
    ) as {{ difference }}_hi,
    {% endfor -%}
    count_well_handled < min_n as is_paradox_small_n,

    -- P11
    count_compensated,
    cast(
        case when count_complaints > 0 then coalesce(compensation_total, 0) end as decimal(18, 2)
    ) as compensation_total,
    {{ divide_to_money(
        'case when count_complaints > 0 then coalesce(compensation_total, 0) end',
        'count_complaints'
    ) }} as compensation_per_complaint,
    count_compensated_matured,
    count_compensated_recovered,
    {{ wilson_share('compensated_recovery_rate', shares['compensated_recovery_rate'], 'z') }},
    count_uncompensated_matured,
    count_uncompensated_recovered,
    {{ wilson_share('uncompensated_recovery_rate', shares['uncompensated_recovery_rate'], 'z') }},

    -- P12
    cast(null as decimal(9, 6)) as goods_return_rate,
    cast(null as decimal(9, 6)) as sanbao_compliance_rate,
    cast(null as integer) as ruling_execution_minutes,
    'NO_AFTERSALES_FEED' as aftersales_missing_reason,

    -- P14
    count_repeat_complainers,
    {{ wilson_share('repeat_complainer_share', shares['repeat_complainer_share'], 'z') }},

    -- P15
    count_open,
    count_open_overdue,
    count_open_age_1,
    count_open_age_2,
    count_open_age_3,
    count_open_age_4,
    open_days_max,

    -- P16
    count_dissatisfied,
    count_silent,
    {{ wilson_share('silent_share', shares['silent_share'], 'z') }},
    coalesce(count_dissatisfied < min_n, true) as is_silent_small_n,
    is_simulated
from compared
