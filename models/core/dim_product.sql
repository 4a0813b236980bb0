with history as (
    select * from {{ ref('dim_product_history') }}
)

select
    product_key,
    product_id,
    sku_code,
    used_from,
    product_name,
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
    is_weighed,
    is_revenue,
    is_bag,
    points_class,
    vat_rate,
    warranty_class,
    supplier_code,
    launched_on,
    delisted_on,
    status,
    is_inferred
from history
where valid_to = {{ last_day_of_time() }}
