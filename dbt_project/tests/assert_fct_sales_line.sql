-- Per store-day the fact holds what raw holds and what the ledger counted, line for line and cent
-- for cent, and every key finds its row: an inner join with the dimensions loses no line.
with fact as (
    select * from {{ ref('fct_sales_line') }}
),

raw_lines as (
    select * from {{ ref('stg_sales_line') }}
),

ledger as (
    select * from {{ ref('stg_store_day') }}
),

identity as (
    select * from {{ ref('bridge_customer_identity') }}
    where valid_to = {{ last_day_of_time() }}
),

fact_days as (
    select
        store_code,
        business_date,
        source_version,
        count(*) as count_lines,
        sum(net_amount) as net_amount
    from fact
    group by store_code, business_date, source_version
),

raw_days as (
    select
        store_code,
        business_date,
        count(*) as count_lines,
        sum(net_amount) as net_amount
    from raw_lines
    group by store_code, business_date
),

unlike_raw as (
    select
        coalesce(fact_days.store_code, raw_days.store_code) as store_code,
        coalesce(fact_days.business_date, raw_days.business_date) as business_date,
        'store-day differs from raw' as failure
    from fact_days
    full outer join raw_days
        on
            fact_days.store_code = raw_days.store_code
            and fact_days.business_date = raw_days.business_date
    where
        fact_days.count_lines is distinct from raw_days.count_lines
        or fact_days.net_amount is distinct from raw_days.net_amount
),

unlike_ledger as (
    select
        coalesce(fact_days.store_code, ledger.store_code) as store_code,
        coalesce(fact_days.business_date, ledger.business_date) as business_date,
        'store-day differs from the ledger' as failure
    from fact_days
    full outer join ledger
        on
            fact_days.store_code = ledger.store_code
            and fact_days.business_date = ledger.business_date
    where
        coalesce(fact_days.count_lines, 0) <> coalesce(ledger.count_rows, 0)
        or fact_days.source_version <> ledger.source_version
),

lost_keys as (
    select
        fact.store_code,
        fact.business_date,
        'a key without its dimension row' as failure
    from fact
    left join {{ ref('dim_store') }} as stores on fact.store_key = stores.store_key
    left join {{ ref('dim_product') }} as products on fact.product_key = products.product_key
    left join {{ ref('dim_channel') }} as channels on fact.channel_code = channels.channel_code
    left join {{ ref('dim_date') }} as dates on fact.business_date = dates.date_on
    left join {{ ref('dim_customer') }} as customers on fact.customer_id = customers.customer_id
    left join identity
        on
            fact.card_key = identity.card_key
            and fact.customer_id = identity.customer_id
    where
        stores.store_key is null
        or products.product_key is null
        or channels.channel_code is null
        or dates.date_on is null
        or customers.customer_id is null
        or identity.card_key is null
)

select * from unlike_raw
union all
select * from unlike_ledger
union all
select * from lost_keys
