-- Every complaint that a header or an event names is there once, every key finds its row, and no
-- milestone contradicts another: a complaint that was reopened and not resolved again is open, a
-- duration is never negative.
with complaints as (
    select * from {{ ref('fct_complaint') }}
),

named as (
    select complaint_no from {{ ref('stg_complaint') }}
    union distinct
    select complaint_no from {{ ref('stg_complaint_event') }}
),

lost_complaints as (
    select
        coalesce(complaints.complaint_no, named.complaint_no) as complaint_no,
        'complaint is in one of raw and fact only' as failure
    from complaints
    full outer join named on complaints.complaint_no = named.complaint_no
    where complaints.complaint_no is null or named.complaint_no is null
),

lost_keys as (
    select
        complaints.complaint_no,
        'a key without its dimension row' as failure
    from complaints
    left join {{ ref('dim_reason') }} as reasons
        on complaints.reason_code = reasons.reason_code
    left join {{ ref('dim_channel') }} as channels
        on complaints.channel_code = channels.channel_code
    left join {{ ref('dim_store') }} as stores on complaints.store_key = stores.store_key
    left join {{ ref('dim_product') }} as products
        on complaints.product_key = products.product_key
    left join {{ ref('dim_card') }} as cards on complaints.card_key = cards.card_key
    left join {{ ref('dim_customer') }} as customers
        on complaints.customer_id = customers.customer_id
    where
        reasons.reason_code is null
        or channels.channel_code is null
        or stores.store_key is null
        or products.product_key is null
        or cards.card_key is null
        or customers.customer_id is null
),

contradictions as (
    select
        complaint_no,
        'milestones contradict each other' as failure
    from complaints
    where
        resolved_at < reopened_at
        or closed_at < reopened_at
        or is_open and resolved_at is not null
        or first_response_minutes < 0
        or resolution_gross_minutes < 0
        or max_level < entry_level
)

select * from lost_complaints
union all
select * from lost_keys
union all
select * from contradictions
