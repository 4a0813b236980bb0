with versions as (
    select * from {{ ref('pii_member_version') }}
    where status <> 'ERASED'
)

select
    member_id,
    phone_status,
    address_status,
    valid_from,
    valid_to
from versions
