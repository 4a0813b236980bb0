with source as (
    select * from {{ source('raw', 'product') }}
),

renamed as (
    select
        -- ids
        sku_code,
        supplier_code,

        -- classes
        name as product_name,
        brand,
        category_1_code,
        category_1_name,
        category_2_code,
        category_2_name,
        category_3_code,
        category_3_name,
        category_4_code,
        category_4_name,
        uom,
        points_class,
        warranty_class,
        status,

        -- numerics
        vat_rate,

        -- dates
        launched_on,
        delisted_on,

        -- lineage
        _version_at,
        _is_dated,
        _row_hash,

        -- flags
        is_weighed = 1 as is_weighed,
        is_revenue = 1 as is_revenue,
        is_bag = 1 as is_bag
    from source
)

select * from renamed
