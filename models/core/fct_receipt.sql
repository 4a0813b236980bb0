{{ config(
    materialized='incremental',
    incremental_strategy='store_day',
    on_schema_change='fail',
) }}

-- depends_on: {{ ref('stg_store_day') }}
-- depends_on: {{ ref('bridge_customer_identity') }}
-- depends_on: {{ ref('param') }}

with lines as (
    select * from {{ ref('fct_sales_line') }}
),

{% if is_incremental() -%}
work_list as (
    {{ store_days_to_restate(this) | indent(4) }}
),

{% endif -%}
lines_to_build as (
    select lines.*
    from lines
    {%- if is_incremental() %}
    inner join work_list
        on
            lines.store_code = work_list.store_code
            and lines.business_date = work_list.business_date
    {%- endif %}
),

receipts as (
    select
        receipt_key,
        cast(count(*) as integer) as count_lines,
        cast(count(distinct case when discount_type is null then product_key end) as integer)
            as count_products,
        cast(sum(qty) as decimal(12, 3)) as qty,
        cast(sum(gross_amount) as decimal(18, 2)) as gross_amount,
        cast(sum(discount_amount) as decimal(18, 2)) as discount_amount,
        cast(sum(net_amount) as decimal(18, 2)) as net_amount,
        cast(coalesce(sum(net_amount) filter (where is_valid), 0) as decimal(18, 2))
            as valid_net_amount,
        min(store_key) as store_key,
        min(card_key) as card_key,
        min(customer_id) as customer_id,
        min_by(channel_code, line_no) as channel_code,
        min(store_code) as store_code,
        min(business_date) as business_date,
        min(till_no) as till_no,
        min(receipt_no) as receipt_no,
        min(sold_at) as sold_at,
        min_by(cashier_no, line_no) as cashier_no,
        min_by(receipt_type, line_no) as receipt_type,
        min(status) as status,
        bool_or(
            is_valid and receipt_type = 'SALE' and qty > 0 and discount_type is null
        ) as is_sale_visit,
        bool_or(is_incomplete) as is_incomplete,
        bool_or(is_simulated) as is_simulated,
        min(source_version) as source_version,
        min(rule_version) as rule_version
    from lines_to_build
    group by receipt_key
),

-- A suspended receipt is completed under a number of its own: the first one at the same till, with
-- the same card, quantity and price, within some minutes.
completions as (
    select
        suspended.receipt_key,
        completed.receipt_key as completed_by_receipt_key
    from receipts as suspended
    inner join receipts as completed
        on
            suspended.store_code = completed.store_code
            and suspended.business_date = completed.business_date
            and suspended.till_no = completed.till_no
            and suspended.card_key = completed.card_key
            and suspended.qty = completed.qty
            and suspended.gross_amount = completed.gross_amount
            and suspended.sold_at <= completed.sold_at
    where
        suspended.status = 'SUSPENDED'
        and completed.status = 'COMPLETED'
        and {{ minutes_between('suspended.sold_at', 'completed.sold_at') }}
        <= {{ param('resume_max_minutes') }}
    qualify row_number() over (
        partition by suspended.receipt_key
        order by completed.sold_at asc nulls last, completed.receipt_no asc
    ) = 1
),

final as (
    select
        receipts.*,
        completions.completed_by_receipt_key
    from receipts
    left join completions on receipts.receipt_key = completions.receipt_key
)

select * from final
