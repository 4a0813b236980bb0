with ranges as (
    select * from {{ ref('int_complaint__range') }}
),

cards as (
    select * from {{ ref('dim_card') }}
    where card_key >= 0
),

identity as (
    select * from {{ ref('bridge_customer_identity') }}
    where valid_to = {{ last_day_of_time() }}
),

reasons as (
    select * from {{ ref('dim_reason') }}
),

keyed as (
    select
        ranges.*,
        case
            when ranges.card_no is null then {{ anonymous_key() }}
            else coalesce(cards.card_key, {{ unknown_key() }})
        end as card_key
    from ranges
    left join cards on ranges.card_no = cards.card_no
)

select
    keyed.complaint_no,
    keyed.received_at,
    cast(keyed.received_at as date) as received_on,
    keyed.channel_code,
    keyed.entry_level,
    keyed.card_key,
    identity.customer_id,
    {{ reference_key('keyed.store_code') }} as store_key,
    {{ reference_key('keyed.sku_code') }} as product_key,
    keyed.department,
    keyed.kind,
    case
        when keyed.reason_code is null then 'UNKNOWN'
        else coalesce(reasons.reason_code, 'UNMAPPED')
    end as reason_code,
    keyed.reason_code as source_reason_code,
    keyed.severity,
    keyed.merged_into,
    keyed.compensation_type,
    keyed.compensation_amount,
    keyed.orig_store_code,
    keyed.orig_business_date,
    keyed.orig_till_no,
    keyed.orig_receipt_no,
    keyed.is_simulated,
    keyed.valid_from,
    keyed.valid_to
from keyed
inner join identity on keyed.card_key = identity.card_key
left join reasons on keyed.reason_code = reasons.reason_code
