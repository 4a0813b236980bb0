with events as (
    select * from {{ ref('int_complaint_event__deduplicate') }}
),

ordered as (
    select
        *,
        row_number() over (partition by complaint_no order by occurred_at, seq) as position,
        event = 'RESPONDED'
        and not coalesce(
            {{ is_one_of('upper(actor_type)', param('non_human_actor_types')) }}, false
        ) as is_human_response
    from events
),

with_last_reopen as (
    select
        *,
        coalesce(
            max(case when event = 'REOPENED' then position end) over (partition by complaint_no),
            0
        ) as last_reopen_position
    from ordered
),

accumulated as (
    select
        complaint_no,
        min(occurred_at) as first_event_at,
        min(occurred_at) filter (where event = 'RECEIVED') as received_at,
        min(occurred_at) filter (where event = 'ACK_AUTO' or event = 'RESPONDED')
            as acknowledged_at,
        min(occurred_at) filter (where is_human_response) as first_responded_at,
        min(occurred_at) filter (where event = 'ESCALATED' and level = 2) as escalated_l2_at,
        min(occurred_at) filter (where event = 'ESCALATED' and level = 3) as escalated_l3_at,
        min(occurred_at) filter (where event = 'ESCALATED' and level = 4) as escalated_l4_at,
        min(occurred_at) filter (where event = 'ESCALATED' and level = 5) as escalated_l5_at,
        min(level) filter (where position = 1) as first_level,
        max(level) as max_level,
        max(occurred_at) filter (
            where event = 'RESOLVED' and position > last_reopen_position
        ) as resolved_at,
        max(occurred_at) filter (where event = 'REOPENED') as reopened_at,
        count(*) filter (where event = 'REOPENED') as count_reopened,
        max(occurred_at) filter (
            where event = 'CLOSED' and position > last_reopen_position
        ) as closed_at,
        max(occurred_at) filter (
            where event = 'CANCELLED' and position > last_reopen_position
        ) as cancelled_at,
        count(*) as count_events,
        max(case when is_simulated then 1 else 0 end) = 1 as is_simulated
    from with_last_reopen
    group by complaint_no
)

select * from accumulated
