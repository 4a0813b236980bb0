with events as (
    select * from {{ ref('stg_complaint_event') }}
),

last_statement as (
    select *
    from events
    qualify row_number() over (
        partition by complaint_no, seq
        order by _version_at desc, _row_hash desc
    ) = 1
)

select
    complaint_no,
    seq,
    occurred_at,
    event,
    level,
    actor_type,
    is_simulated
from last_statement
