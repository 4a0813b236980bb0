{{ config(
    materialized='incremental',
    incremental_strategy='store_day',
    on_schema_change='fail',
) }}

with store_days as (
    select * from {{ ref('stg_store_day') }}
),

lines as (
    select * from {{ ref('stg_sales_line') }}
),

cards as (
    select * from {{ ref('dim_card') }}
),

identity as (
    select * from {{ ref('bridge_customer_identity') }}
    where valid_to = {{ last_day_of_time() }}
),

-- article numbers that meant another product before
reused as (
    select
        sku_code,
        product_key,
        used_from,
        lead(used_from) over (partition by sku_code order by used_from) as used_to
    from {{ ref('dim_product') }}
    where used_from > {{ first_day() }}
),

settings as (
    select
        {{ param('gift_price_max') }} as gift_price_max,
        {{ param('rounding_line_max') }} as rounding_line_max
),

card_customers as (
    select
        cards.card_no,
        cards.card_key,
        identity.customer_id
    from cards
    inner join identity on cards.card_key = identity.card_key
    where cards.card_key >= 0
),

{% if is_incremental() -%}
work_list as (
    {{ store_days_to_restate(this, has_products=true) | indent(4) }}
),

{% endif -%}
lines_to_build as (
    select
        lines.*,
        store_days.source_version
    from lines
    inner join store_days
        on
            lines.store_code = store_days.store_code
            and lines.business_date = store_days.business_date
    {%- if is_incremental() %}
    inner join work_list
        on
            lines.store_code = work_list.store_code
            and lines.business_date = work_list.business_date
    {%- endif %}
),

-- A line of a sale that takes money off and no goods back is a coupon, or the rounding of the total
-- where it is small. What else brings nothing in is looked at with its receipt too.
priced as (
    select
        lines_to_build.*,
        case
            when lines_to_build.net_amount < -settings.rounding_line_max then 'COUPON'
            when
                lines_to_build.net_amount < 0
                or (
                    lines_to_build.qty = 0
                    and lines_to_build.net_amount > 0
                    and lines_to_build.net_amount <= settings.rounding_line_max
                )
                then 'ROUNDING'
        end as discount_type
    from lines_to_build
    cross join settings
    where
        lines_to_build.qty >= 0
        and lines_to_build.status = 'COMPLETED'
        and lines_to_build.receipt_type in ('SALE', 'EXCHANGE')
        and not lines_to_build.is_voided
),

unusual_receipts as (
    select distinct
        store_code,
        business_date,
        till_no,
        receipt_no
    from priced
    where discount_type is not null or net_amount = 0
),

receipt_sums as (
    select
        priced.*,
        coalesce(sum(case when priced.discount_type = 'COUPON' then -priced.net_amount end)
            over receipt, 0) as coupon_total,
        coalesce(sum(case when priced.discount_type is null then priced.net_amount end)
            over receipt, 0) as goods_total,
        coalesce(sum(case when priced.discount_type is null then priced.net_amount end)
            over receipt_so_far, 0) as goods_so_far
    from priced
    inner join unusual_receipts
        on
            priced.store_code = unusual_receipts.store_code
            and priced.business_date = unusual_receipts.business_date
            and priced.till_no = unusual_receipts.till_no
            and priced.receipt_no = unusual_receipts.receipt_no
    window
        receipt as (
            partition by
                priced.store_code, priced.business_date, priced.till_no, priced.receipt_no
        ),
        receipt_so_far as (
            partition by
                priced.store_code, priced.business_date, priced.till_no, priced.receipt_no
            order by priced.line_no asc nulls last
            rows between unbounded preceding and current row
        )
),

-- Coupons are spread over the goods in proportion to their net amounts: what is taken off up to
-- each line is rounded, so that the parts add up to the cent. A coupon above the goods stays as it
-- is.
spread as (
    select
        store_code,
        business_date,
        till_no,
        receipt_no,
        line_no,
        discount_type,
        net_amount = 0 and discount_type is null and qty > 0 and goods_total > 0 as is_given_away,
        case
            when coupon_total = 0 or coupon_total > goods_total then 0
            when discount_type = 'COUPON' then net_amount
            when discount_type is null
                then
                    {{ divide_to_money(
                        'cast(coupon_total as double) * cast(goods_so_far as double)', 'goods_total'
                    ) }}
                    - {{ divide_to_money(
                        'cast(coupon_total as double) * cast(goods_so_far - net_amount as double)',
                        'goods_total'
                    ) }}
            else 0
        end as coupon_amount
    from receipt_sums
),

adjusted as (
    select
        lines_to_build.*,
        spread.discount_type,
        coalesce(spread.coupon_amount, 0) as coupon_amount,
        coalesce(spread.discount_type = 'COUPON' and spread.coupon_amount <> 0, false)
            as is_spread,
        coalesce(spread.is_given_away, false)
        or coalesce(
            spread.discount_type is null
            and lines_to_build.qty <> 0
            and abs(lines_to_build.gross_amount)
            <= settings.gift_price_max * abs(lines_to_build.qty),
            false
        ) as is_gift
    from lines_to_build
    cross join settings
    left join spread
        on
            lines_to_build.store_code = spread.store_code
            and lines_to_build.business_date = spread.business_date
            and lines_to_build.till_no = spread.till_no
            and lines_to_build.receipt_no = spread.receipt_no
            and lines_to_build.line_no = spread.line_no
),

repriced as (
    select
        adjusted.*,
        case when adjusted.is_spread then 0 else adjusted.gross_amount end as own_gross_amount,
        case
            when adjusted.is_spread then 0
            else adjusted.discount_amount + adjusted.coupon_amount
        end as own_discount_amount,
        adjusted.net_amount - adjusted.coupon_amount as own_net_amount,
        -- what is no goods costs nothing
        case
            when adjusted.discount_type is not null then coalesce(adjusted.cost_amount, 0)
            else adjusted.cost_amount
        end as own_cost_amount
    from adjusted
),

final as (
    select
        {{ surrogate_key(['repriced.store_code']) }} as store_key,
        coalesce(reused.product_key, {{ surrogate_key(['repriced.sku_code']) }})
            as product_key,
        case
            when repriced.card_no is null then {{ anonymous_key() }}
            else coalesce(card_customers.card_key, {{ unknown_key() }})
        end as card_key,
        case
            when repriced.card_no is null then 'ANONYMOUS'
            else coalesce(card_customers.customer_id, 'UNKNOWN')
        end as customer_id,
        {{ surrogate_key([
            'repriced.store_code',
            'repriced.business_date',
            'repriced.till_no',
            'repriced.receipt_no',
        ]) }} as receipt_key,
        repriced.channel_code,
        repriced.store_code,
        repriced.business_date,
        repriced.till_no,
        repriced.receipt_no,
        repriced.line_no,
        repriced.sold_at,
        repriced.receipt_type,
        repriced.status,
        repriced.cashier_no,
        repriced.promo_code,
        repriced.sku_code,
        repriced.qty,
        repriced.unit_price,
        cast(repriced.own_gross_amount as decimal(18, 2)) as gross_amount,
        cast(repriced.own_discount_amount as decimal(18, 2)) as discount_amount,
        cast(repriced.coupon_amount as decimal(18, 2)) as coupon_amount,
        cast(repriced.own_net_amount as decimal(18, 2)) as net_amount,
        repriced.vat_rate,
        cast(repriced.own_cost_amount as decimal(18, 2)) as cost_amount,
        {{ divide_to_money('repriced.own_net_amount', '1 + repriced.vat_rate') }}
            as net_ex_vat,
        cast(
            {{ divide_to_money('repriced.own_net_amount', '1 + repriced.vat_rate') }}
            - repriced.own_cost_amount as decimal(18, 2)
        ) as margin_amount,
        repriced.discount_type,
        repriced.is_gift,
        repriced.is_voided,
        repriced.status = 'COMPLETED'
        and repriced.receipt_type in ('SALE', 'RETURN', 'EXCHANGE')
        and not repriced.is_voided as is_valid,
        repriced.is_incomplete,
        repriced.is_simulated,
        repriced.orig_store_code,
        repriced.orig_business_date,
        repriced.orig_till_no,
        repriced.orig_receipt_no,
        repriced.source_version,
        {{ sales_rule_version() }} as rule_version
    from repriced
    left join card_customers on repriced.card_no = card_customers.card_no
    left join reused
        on
            repriced.sku_code = reused.sku_code
            and repriced.business_date >= reused.used_from
            and repriced.business_date < coalesce(reused.used_to, {{ last_day_of_time() }})
)

select * from final
