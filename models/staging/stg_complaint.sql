with source as (
    select * from {{ source('raw', 'complaint') }}
),

renamed as (
    select
        -- ids
        complaint_no,
        card_no,
        store_code,
        sku_code,
        merged_into,
        orig_store_code,
        orig_business_date,
        orig_till_no,
        orig_receipt_no,

        -- classes
        channel as channel_code,
        entry_level,
        department,
        kind,
        reason_code,
        severity,
        compensation_type,

        -- numerics
        compensation_amount,

        -- timestamps
        received_at,

        -- lineage
        _version_at,
        _is_dated,
        _row_hash,
        _is_simulated as is_simulated
    from source
)

select * from renamed
