with cards as (
    select * from {{ ref('dim_card_history') }}
)

select
    card_key,
    card_no,
    case
        when card_key in ({{ unknown_key() }}, {{ anonymous_key() }}) then card_no
        else coalesce(member_id, 'card:' || card_no)
    end as customer_id,
    valid_from,
    valid_to,
    is_inferred
from cards
