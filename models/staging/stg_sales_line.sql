with source as (
    select * from {{ source('raw', 'sales_line') }}
),

renamed as (
    select
        -- ids
        store_code,
        business_date,
        till_no,
        receipt_no,
        line_no,
        card_no,
        sku_code,
        cashier_no,
        promo_code,
        orig_store_code,
        orig_business_date,
        orig_till_no,
        orig_receipt_no,

        -- classes
        receipt_type,
        status,
        channel as channel_code,

        -- numerics
        qty,
        unit_price,
        gross_amount,
        discount_amount,
        net_amount,
        cost_amount,
        vat_rate,

        -- timestamps
        sold_at,

        -- lineage
        _is_incomplete as is_incomplete,
        _is_simulated as is_simulated,

        -- flags
        coalesce(void_flag, 0) = 1 as is_voided
    from source
)

select * from renamed
