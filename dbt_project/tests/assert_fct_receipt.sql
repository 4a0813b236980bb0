-- Per store-day the receipts add up to the lines: rows, amounts and keys; none is left from an
-- earlier version.
with receipts as (
    select * from {{ ref('fct_receipt') }}
),

lines as (
    select * from {{ ref('fct_sales_line') }}
),

receipt_days as (
    select
        store_key,
        business_date,
        source_version,
        sum(count_lines) as count_lines,
        count(*) as count_receipts,
        sum(net_amount) as net_amount,
        sum(valid_net_amount) as valid_net_amount,
        sum(qty) as qty
    from receipts
    group by store_key, business_date, source_version
),

line_days as (
    select
        store_key,
        business_date,
        source_version,
        count(*) as count_lines,
        count(distinct receipt_key) as count_receipts,
        sum(net_amount) as net_amount,
        coalesce(sum(net_amount) filter (where is_valid), 0) as valid_net_amount,
        sum(qty) as qty
    from lines
    group by store_key, business_date, source_version
),

unlike_lines as (
    select
        coalesce(receipt_days.store_key, line_days.store_key) as store_key,
        coalesce(receipt_days.business_date, line_days.business_date) as business_date,
        'store-day differs from its lines' as failure
    from receipt_days
    full outer join line_days
        on
            receipt_days.store_key = line_days.store_key
            and receipt_days.business_date = line_days.business_date
            and receipt_days.source_version = line_days.source_version
    where
        receipt_days.count_lines is distinct from line_days.count_lines
        or receipt_days.count_receipts is distinct from line_days.count_receipts
        or receipt_days.net_amount is distinct from line_days.net_amount
        or receipt_days.valid_net_amount is distinct from line_days.valid_net_amount
        or receipt_days.qty is distinct from line_days.qty
),

unlike_identity as (
    select
        receipts.store_key,
        receipts.business_date,
        'customer differs from the identity of the card' as failure
    from receipts
    left join {{ ref('bridge_customer_identity') }} as identity
        on
            receipts.card_key = identity.card_key
            and identity.valid_to = {{ last_day_of_time() }}
    where receipts.customer_id is distinct from identity.customer_id
)

select * from unlike_lines
union all
select * from unlike_identity
