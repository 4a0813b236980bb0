-- A code that is used again long after its product was delisted is another product: its first days
-- are those of the version that relaunches it, and the earlier product keeps its own last version.
with versions as (
    select * from {{ ref('int_product__range') }}
    where not is_inferred
),

compared as (
    select
        *,
        lag(delisted_on) over (partition by sku_code order by valid_from) as previous_delisted_on
    from versions
),

relaunched as (
    select
        *,
        case when launched_on > previous_delisted_on then launched_on else valid_from end
            as relaunched_on
    from compared
),

counted as (
    select
        *,
        sum(
            case
                when
                    relaunched_on > previous_delisted_on + {{ param('sku_reuse_gap_days') }}
                    and (delisted_on is null or delisted_on > relaunched_on)
                    then 1
                else 0
            end
        ) over (partition by sku_code order by valid_from) as count_reuses
    from relaunched
),

identified as (
    select
        *,
        case
            when count_reuses = 0 then sku_code else sku_code || '#' || (count_reuses + 1)
        end as product_id
    from counted
),

ranged as (
    select
        *,
        lead(valid_from) over (partition by product_id order by valid_from) as next_valid_from,
        min(valid_from) over (partition by product_id) as first_valid_from
    from identified
)

{% set attributes = [
    'product_name', 'brand', 'category_1_code', 'category_1_name', 'category_2_code',
    'category_2_name', 'category_3_code', 'category_3_name', 'category_4_code', 'category_4_name',
    'uom', 'is_weighed', 'is_revenue', 'is_bag', 'points_class', 'vat_rate', 'warranty_class',
    'supplier_code', 'launched_on', 'delisted_on', 'status',
] %}
select
    sku_code,
    product_id,
    case when count_reuses = 0 then {{ first_day() }} else first_valid_from end as used_from,
    {{ attributes | join(',\n    ') }},
    valid_from,
    coalesce(next_valid_from, {{ last_day_of_time() }}) as valid_to,
    false as is_inferred
from ranged
union all
select
    sku_code,
    product_id,
    case when count_reuses = 0 then {{ first_day() }} else first_valid_from end as used_from,
    {% for attribute in attributes -%}
    null as {{ attribute }},
    {% endfor -%}
    {{ first_day() }} as valid_from,
    valid_from as valid_to,
    true as is_inferred
from ranged
where valid_from = first_valid_from and valid_from > {{ first_day() }}
