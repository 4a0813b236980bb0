with history as (
    select * from {{ ref('dim_card_history') }}
)

select
    card_key,
    card_no,
    member_id,
    card_type,
    issued_on,
    valid_to_on,
    status,
    replaced_by,
    is_inferred
from history
where valid_to = {{ last_day_of_time() }}
