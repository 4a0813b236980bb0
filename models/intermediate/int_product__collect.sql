with lines as (
    select sku_code from {{ ref('stg_sales_line') }}
),

complaints as (
    select sku_code from {{ ref('stg_complaint') }}
),

masters as (
    select sku_code from {{ ref('stg_product') }}
),

named as (
    select sku_code from lines
    union distinct
    select sku_code from complaints
    union distinct
    select sku_code from masters
)

select sku_code
from named
where sku_code is not null
