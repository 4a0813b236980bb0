with source as (
    select * from {{ source('raw', 'member_card') }}
),

renamed as (
    select
        -- ids
        card_no,
        member_id,
        replaced_by,

        -- classes
        card_type,
        status,

        -- dates
        issued_on,
        valid_to as valid_to_on,

        -- lineage
        _version_at,
        _is_dated,
        _row_hash
    from source
)

select * from renamed
