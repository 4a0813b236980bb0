with source as (
    select * from {{ source('raw', 'member') }}
),

renamed as (
    select
        -- ids
        member_id,
        enrol_store_code,
        referrer_card_no,

        -- classes
        gender,
        district,
        household_size,
        enrol_channel,
        customer_type,
        status,

        -- dates
        enrolled_on,

        -- lineage
        _version_at,
        _is_dated,
        _row_hash
    from source
)

select * from renamed
