with

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

header_history as (

    select * from {{ ref('fct_complaint_history') }}

),

events as (

    select * from {{ ref('fct_complaint_event') }}

),

identity_history as (

    select * from {{ ref('bridge_customer_identity') }}

),

headers as (

    select
        header_history.*,
        as_of_dates.as_of_date
    from as_of_dates
    inner join header_history
        on
            as_of_dates.as_of_date >= header_history.valid_from
            and as_of_dates.as_of_date < header_history.valid_to

),

-- --------------------------------------------------------------------------- milestones up to D

ordered as (

    select
        as_of_dates.as_of_date,
        events.complaint_no,
        events.seq,
        events.occurred_at,
        events.event,
        events.level,
        events.is_simulated,
        row_number() over (
            partition by as_of_dates.as_of_date, events.complaint_no
            order by events.occurred_at, events.seq
        ) as position,
        events.event = 'RESPONDED'
        and not coalesce(
            {{ is_one_of('upper(events.actor_type)', 'as_of_dates.non_human_actor_types') }}, false
        ) as is_human_response
    from as_of_dates
    inner join events on as_of_dates.as_of_date >= events.occurred_on

),

with_last_reopen as (

    select
        *,
        coalesce(
            max(case when event = 'REOPENED' then position end) over (
                partition by as_of_date, complaint_no
            ),
            0
        ) as last_reopen_position
    from ordered

),

milestones as (

    select
        as_of_date,
        complaint_no,
        min(occurred_at) as first_event_at,
        min(occurred_at) filter (where event = 'RECEIVED') as received_at,
        min(occurred_at) filter (where event = 'ACK_AUTO' or event = 'RESPONDED')
            as acknowledged_at,
        min(occurred_at) filter (where is_human_response) as first_responded_at,
        min(level) filter (where position = 1) as first_level,
        max(level) as max_level,
        min(occurred_at) filter (where event = 'RESOLVED') as first_resolved_at,
        max(occurred_at) filter (
            where event = 'RESOLVED' and position > last_reopen_position
        ) as resolved_at,
        max(occurred_at) filter (where event = 'REOPENED') as reopened_at,
        max(occurred_at) filter (
            where event = 'CLOSED' and position > last_reopen_position
        ) as closed_at,
        max(occurred_at) filter (
            where event = 'CANCELLED' and position > last_reopen_position
        ) as cancelled_at,
        count(*) as count_events,
        count(*) filter (where event = 'REOPENED') as count_reopened,
        count(*) filter (where event = 'ESCALATED') as count_escalated,
        max(case when is_simulated then 1 else 0 end) = 1 as is_simulated
    from with_last_reopen
    group by as_of_date, complaint_no

),

-- a complaint whose header was not known yet is what its events say
joined as (

    select
        coalesce(headers.complaint_no, milestones.complaint_no) as complaint_no,
        coalesce(headers.as_of_date, milestones.as_of_date) as as_of_date,
        coalesce(headers.received_at, milestones.received_at, milestones.first_event_at)
            as received_at,
        coalesce(headers.channel_code, 'UNKNOWN') as channel_code,
        coalesce(headers.entry_level, milestones.first_level) as entry_level,
        coalesce(headers.card_key, {{ unknown_key() }}) as card_key,
        coalesce(headers.store_key, {{ unknown_key() }}) as store_key,
        coalesce(headers.product_key, {{ unknown_key() }}) as product_key,
        headers.department,
        headers.kind,
        coalesce(headers.reason_code, 'UNKNOWN') as reason_code,
        headers.severity,
        headers.merged_into,
        headers.compensation_type,
        headers.compensation_amount,
        headers.orig_store_code,
        headers.orig_business_date,
        headers.orig_till_no,
        headers.orig_receipt_no,
        milestones.acknowledged_at,
        milestones.first_responded_at,
        milestones.first_resolved_at,
        milestones.resolved_at,
        milestones.reopened_at,
        milestones.closed_at,
        milestones.cancelled_at,
        -- greatest() skips NULL in both engines
        greatest(headers.entry_level, milestones.max_level) as max_level,
        coalesce(milestones.count_events, 0) as count_events,
        coalesce(milestones.count_reopened, 0) as count_reopened,
        coalesce(milestones.count_escalated, 0) as count_escalated,
        headers.complaint_no is null as is_inferred,
        coalesce(headers.is_simulated, false) or coalesce(milestones.is_simulated, false)
            as is_simulated
    from headers
    full outer join milestones
        on
            headers.as_of_date = milestones.as_of_date
            and headers.complaint_no = milestones.complaint_no

),

-- a case that still runs has run until the end of D
timed as (

    select
        *,
        cast(received_at as date) as received_on,
        resolved_at is null
        and closed_at is null
        and cancelled_at is null
        and merged_into is null as is_open,
        coalesce(
            resolved_at,
            closed_at,
            cancelled_at,
            case when merged_into is null then cast(as_of_date + 1 as timestamp) end
        ) as handled_until_at
    from joined
    where cast(received_at as date) <= as_of_date

),

-- ------------------------------------------------------------------------ waiting for the customer

turns as (

    select
        as_of_date,
        complaint_no,
        event,
        occurred_at as from_at,
        lead(occurred_at) over (
            partition by as_of_date, complaint_no
            order by position asc nulls last
        ) as to_at
    from ordered
    where event in ('WAIT_CUSTOMER', 'RESUMED', 'RESOLVED', 'REOPENED', 'CLOSED', 'CANCELLED')

),

clipped_waits as (

    select
        turns.as_of_date,
        turns.complaint_no,
        greatest(turns.from_at, timed.received_at) as from_at,
        least(turns.to_at, timed.handled_until_at) as to_at
    from turns
    inner join timed
        on
            turns.as_of_date = timed.as_of_date
            and turns.complaint_no = timed.complaint_no
    where turns.event = 'WAIT_CUSTOMER'

),

waits as (

    select
        as_of_date,
        complaint_no,
        sum({{ minutes_between('from_at', 'to_at') }}) as waiting_minutes
    from clipped_waits
    where from_at < to_at
    group by as_of_date, complaint_no

),

-- ------------------------------------------------------------------------------ time on each level

moves as (

    select
        as_of_date,
        complaint_no,
        entry_level as level,
        received_at as moved_at,
        0 as position
    from timed

    union all

    select
        as_of_date,
        complaint_no,
        level,
        occurred_at as moved_at,
        position
    from ordered
    where event = 'ESCALATED' and level is not null

),

stays as (

    select
        as_of_date,
        complaint_no,
        level,
        moved_at as from_at,
        lag(level) over complaint_moves as level_before,
        lead(moved_at) over complaint_moves as to_at
    from moves
    window
        complaint_moves as (
            partition by as_of_date, complaint_no
            order by position asc nulls last
        )

),

-- minutes since receipt at either end, so that the levels add up to the whole
measured_stays as (

    select
        stays.as_of_date,
        stays.complaint_no,
        stays.level,
        stays.level > stays.level_before + 1 as is_skip,
        case
            when timed.handled_until_at >= timed.received_at
                then
                    {{ minutes_between(
                        'timed.received_at',
                        'greatest(timed.received_at, '
                        ~ 'least(coalesce(stays.to_at, timed.handled_until_at), '
                        ~ 'timed.handled_until_at))'
                    ) }}
                    - {{ minutes_between(
                        'timed.received_at',
                        'greatest(timed.received_at, '
                        ~ 'least(stays.from_at, timed.handled_until_at))'
                    ) }}
        end as stay_minutes
    from stays
    inner join timed
        on
            stays.as_of_date = timed.as_of_date
            and stays.complaint_no = timed.complaint_no

),

ladders as (

    select
        as_of_date,
        complaint_no,
        {% for level in range(1, 6) -%}
        sum(case when level = {{ level }} then stay_minutes end) as dwell_l{{ level }}_minutes,
        {% endfor -%}
        coalesce(bool_or(is_skip), false) as is_skip_level
    from measured_stays
    group by as_of_date, complaint_no

)

select
    timed.complaint_no,
    timed.as_of_date,
    as_of_dates.is_latest,

    -- header
    timed.received_at,
    timed.received_on,
    timed.channel_code,
    timed.entry_level,
    timed.card_key,
    coalesce(identity_history.customer_id, 'UNKNOWN') as customer_id,
    timed.store_key,
    timed.product_key,
    timed.department,
    timed.kind,
    timed.reason_code,
    timed.severity,
    timed.merged_into,
    timed.compensation_type,
    timed.compensation_amount,
    timed.orig_store_code,
    timed.orig_business_date,
    timed.orig_till_no,
    timed.orig_receipt_no,

    -- milestones
    timed.acknowledged_at,
    timed.first_responded_at,
    timed.first_resolved_at,
    timed.resolved_at,
    timed.reopened_at,
    timed.closed_at,
    timed.cancelled_at,
    timed.handled_until_at,
    cast(timed.max_level as integer) as max_level,
    cast(timed.count_events as integer) as count_events,
    cast(timed.count_reopened as integer) as count_reopened,
    cast(timed.count_escalated as integer) as count_escalated,
    ladders.is_skip_level,

    -- state
    timed.is_open,
    coalesce(timed.kind, 'COMPLAINT') = 'COMPLAINT'
    and timed.merged_into is null
    and timed.cancelled_at is null as is_valid,
    timed.is_inferred,

    -- durations
    case
        when timed.first_responded_at >= timed.received_at
            then cast(
                {{ minutes_between('timed.received_at', 'timed.first_responded_at') }} as integer
            )
    end as first_response_minutes,
    case
        when timed.resolved_at >= timed.received_at
            then cast({{ minutes_between('timed.received_at', 'timed.resolved_at') }} as integer)
    end as resolution_gross_minutes,
    cast(coalesce(waits.waiting_minutes, 0) as integer) as waiting_minutes,
    case
        when timed.resolved_at >= timed.received_at
            then cast(
                {{ minutes_between('timed.received_at', 'timed.resolved_at') }}
                - coalesce(waits.waiting_minutes, 0) as integer
            )
    end as resolution_net_minutes,
    case
        when timed.is_open
            then cast(
                {{ minutes_between('timed.received_at', 'timed.handled_until_at') }} as integer
            )
    end as open_minutes,
    {% for level in range(1, 6) -%}
    cast(ladders.dwell_l{{ level }}_minutes as integer) as dwell_l{{ level }}_minutes,
    {% endfor %}
    timed.is_simulated
from timed
inner join as_of_dates on timed.as_of_date = as_of_dates.as_of_date
left join identity_history
    on
        timed.card_key = identity_history.card_key
        and timed.as_of_date >= identity_history.valid_from
        and timed.as_of_date < identity_history.valid_to
left join waits
    on
        timed.as_of_date = waits.as_of_date
        and timed.complaint_no = waits.complaint_no
left join ladders
    on
        timed.as_of_date = ladders.as_of_date
        and timed.complaint_no = ladders.complaint_no
