with versions as (
    select * from {{ ref('int_product__identify') }}
),

codes as (
    select * from {{ ref('int_product__collect') }}
),

rows_of_codes as (
    select
        {{ surrogate_key(['coalesce(versions.product_id, codes.sku_code)']) }} as product_key,
        coalesce(versions.product_id, codes.sku_code) as product_id,
        codes.sku_code,
        coalesce(versions.used_from, {{ first_day() }}) as used_from,
        versions.product_name,
        versions.brand,
        versions.category_1_code,
        versions.category_1_name,
        versions.category_2_code,
        versions.category_2_name,
        versions.category_3_code,
        versions.category_3_name,
        versions.category_4_code,
        versions.category_4_name,
        versions.uom,
        coalesce(versions.is_weighed, false) as is_weighed,
        coalesce(versions.is_revenue, true) as is_revenue,
        coalesce(versions.is_bag, false) as is_bag,
        versions.points_class,
        versions.vat_rate,
        versions.warranty_class,
        versions.supplier_code,
        versions.launched_on,
        versions.delisted_on,
        versions.status,
        coalesce(versions.is_inferred, true) as is_inferred,
        coalesce(versions.valid_from, {{ first_day() }}) as valid_from,
        coalesce(versions.valid_to, {{ last_day_of_time() }}) as valid_to
    from codes
    left join versions on codes.sku_code = versions.sku_code
),

final as (
    select * from rows_of_codes
    union all
    select
        {{ unknown_key() }} as product_key,
        'UNKNOWN' as product_id,
        'UNKNOWN' as sku_code,
        {{ first_day() }} as used_from,
        null as product_name,
        null as brand,
        null as category_1_code,
        null as category_1_name,
        null as category_2_code,
        null as category_2_name,
        null as category_3_code,
        null as category_3_name,
        null as category_4_code,
        null as category_4_name,
        null as uom,
        false as is_weighed,
        true as is_revenue,
        false as is_bag,
        null as points_class,
        null as vat_rate,
        null as warranty_class,
        null as supplier_code,
        null as launched_on,
        null as delisted_on,
        null as status,
        false as is_inferred,
        {{ first_day() }} as valid_from,
        {{ last_day_of_time() }} as valid_to
)

select * from final
