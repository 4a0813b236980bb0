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
    {{ store_days_to_restate(this) | indent(4) }}
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

final as (
    select
        {{ surrogate_key(['lines_to_build.store_code']) }} as store_key,
        {{ surrogate_key(['lines_to_build.sku_code']) }} as product_key,
        case
            when lines_to_build.card_no is null then {{ anonymous_key() }}
            else coalesce(card_customers.card_key, {{ unknown_key() }})
        end as card_key,
        case
            when lines_to_build.card_no is null then 'ANONYMOUS'
            else coalesce(card_customers.customer_id, 'UNKNOWN')
        end as customer_id,
        {{ surrogate_key([
            'lines_to_build.store_code',
            'lines_to_build.business_date',
            'lines_to_build.till_no',
            'lines_to_build.receipt_no',
        ]) }} as receipt_key,
        lines_to_build.channel_code,
        lines_to_build.store_code,
        lines_to_build.business_date,
        lines_to_build.till_no,
        lines_to_build.receipt_no,
        lines_to_build.line_no,
        lines_to_build.sold_at,
        lines_to_build.receipt_type,
        lines_to_build.status,
        lines_to_build.cashier_no,
        lines_to_build.promo_code,
        lines_to_build.sku_code,
        lines_to_build.qty,
        lines_to_build.unit_price,
        lines_to_build.gross_amount,
        lines_to_build.discount_amount,
        lines_to_build.net_amount,
        lines_to_build.vat_rate,
        lines_to_build.cost_amount,
        {{ divide_to_money('lines_to_build.net_amount', '1 + lines_to_build.vat_rate') }}
            as net_ex_vat,
        cast(
            {{ divide_to_money('lines_to_build.net_amount', '1 + lines_to_build.vat_rate') }}
            - lines_to_build.cost_amount as decimal(18, 2)
        ) as margin_amount,
        lines_to_build.is_voided,
        lines_to_build.status = 'COMPLETED'
        and lines_to_build.receipt_type in ('SALE', 'RETURN', 'EXCHANGE')
        and not lines_to_build.is_voided as is_valid,
        lines_to_build.is_incomplete,
        lines_to_build.is_simulated,
        lines_to_build.orig_store_code,
        lines_to_build.orig_business_date,
        lines_to_build.orig_till_no,
        lines_to_build.orig_receipt_no,
        lines_to_build.source_version,
        {{ sales_rule_version() }} as rule_version
    from lines_to_build
    left join card_customers on lines_to_build.card_no = card_customers.card_no
)

select * from final
