with events as (
    select * from {{ ref('int_complaint_event__deduplicate') }}
)

select
    complaint_no,
    seq,
    occurred_at,
    cast(occurred_at as date) as occurred_on,
    event,
    level,
    actor_type,
    is_simulated
from events
