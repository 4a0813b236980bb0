with versions as (
    select * from {{ ref('stg_product') }}
),

ranged as (
    {{ version_ranges(
        relation='versions',
        keys=['sku_code'],
        attributes=[
            'product_name',
            'brand',
            'category_1_code',
            'category_1_name',
            'category_2_code',
            'category_2_name',
            'category_3_code',
            'category_3_name',
            'category_4_code',
            'category_4_name',
            'uom',
            'is_weighed',
            'is_revenue',
            'is_bag',
            'points_class',
            'vat_rate',
            'warranty_class',
            'supplier_code',
            'launched_on',
            'delisted_on',
            'status',
        ],
    ) | indent(4) }}
)

select * from ranged
