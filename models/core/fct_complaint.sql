with headers as (
    select * from {{ ref('fct_complaint_history') }}
    where valid_to = {{ last_day_of_time() }}
),

milestones as (
    select * from {{ ref('int_complaint__accumulate') }}
),

joined as (
    select
        coalesce(headers.complaint_no, milestones.complaint_no) as complaint_no,
        coalesce(headers.received_at, milestones.received_at, milestones.first_event_at)
            as received_at,
        coalesce(headers.channel_code, 'UNKNOWN') as channel_code,
        coalesce(headers.entry_level, milestones.first_level) as entry_level,
        coalesce(headers.card_key, {{ unknown_key() }}) as card_key,
        coalesce(headers.customer_id, 'UNKNOWN') as customer_id,
        coalesce(headers.store_key, {{ unknown_key() }}) as store_key,
        coalesce(headers.product_key, {{ unknown_key() }}) as product_key,
        headers.department,
        headers.kind,
        coalesce(headers.reason_code, 'UNKNOWN') as reason_code,
        headers.source_reason_code,
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
        milestones.escalated_l2_at,
        milestones.escalated_l3_at,
        milestones.escalated_l4_at,
        milestones.escalated_l5_at,
        -- greatest() skips NULL in both engines
        greatest(headers.entry_level, milestones.max_level) as max_level,
        milestones.resolved_at,
        milestones.reopened_at,
        coalesce(milestones.count_reopened, 0) as count_reopened,
        milestones.closed_at,
        milestones.cancelled_at,
        headers.complaint_no is null as is_inferred,
        coalesce(headers.is_simulated, false) or coalesce(milestones.is_simulated, false)
            as is_simulated
    from headers
    full outer join milestones on headers.complaint_no = milestones.complaint_no
),

final as (
    select
        complaint_no,
        received_at,
        cast(received_at as date) as received_on,
        channel_code,
        entry_level,
        card_key,
        customer_id,
        store_key,
        product_key,
        department,
        kind,
        reason_code,
        source_reason_code,
        severity,
        merged_into,
        compensation_type,
        compensation_amount,
        orig_store_code,
        orig_business_date,
        orig_till_no,
        orig_receipt_no,
        acknowledged_at,
        first_responded_at,
        escalated_l2_at,
        escalated_l3_at,
        escalated_l4_at,
        escalated_l5_at,
        cast(max_level as integer) as max_level,
        resolved_at,
        reopened_at,
        cast(count_reopened as integer) as count_reopened,
        closed_at,
        cancelled_at,
        resolved_at is null
        and closed_at is null
        and cancelled_at is null
        and merged_into is null as is_open,
        case
            when first_responded_at >= received_at
                then cast({{ minutes_between('received_at', 'first_responded_at') }} as integer)
        end as first_response_minutes,
        case
            when resolved_at >= received_at
                then cast({{ minutes_between('received_at', 'resolved_at') }} as integer)
        end as resolution_gross_minutes,
        is_inferred,
        is_simulated
    from joined
)

select * from final
