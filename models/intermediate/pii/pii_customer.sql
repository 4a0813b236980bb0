{{ config(schema='pii', alias='customer') }}

with members as (
    select * from {{ source('raw', 'member') }}
),

personal as (
    select * from {{ source('pii', 'member') }}
),

current_member as (
    select
        member_id,
        status,
        _version_at,
        _row_hash
    from members
    qualify row_number() over (
        partition by member_id
        order by _version_at desc, _row_hash desc
    ) = 1
),

current_person as (
    select
        current_member.member_id as customer_id,
        personal.name,
        personal.phone,
        personal.email,
        personal.address,
        personal.birth_date
    from current_member
    inner join personal
        on
            current_member.member_id = personal.member_id
            and current_member._version_at = personal._version_at
            and current_member._row_hash = personal._row_hash
    where current_member.status <> 'ERASED'
)

select * from current_person
