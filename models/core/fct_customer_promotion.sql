{{
    config(
        materialized='incremental',
        incremental_strategy='as_of_date',
        on_schema_change='fail',
    )
}}

-- Computes the dates whose input digest is not that of the rows that stand; the strategy deletes
-- exactly those that stand with another digest (see the macro restate_as_of_dates).

-- A line is on promotion when it names one or was sold below its price. Lines of bulk receipts are
-- no habit; a return seldom names the promotion of what it takes back, and would make shares of
-- more than 1 of what was kept.

with

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

digests as (

    select * from {{ ref('int_as_of__digested') }}

),

receipts as (

    select * from {{ ref('fct_receipt') }}

),

sales_lines as (

    select * from {{ ref('fct_sales_line') }}

),

identity_history as (

    select * from {{ ref('bridge_customer_identity') }}

),

product_history as (

    select * from {{ ref('dim_product_history') }}

),

store_history as (

    select * from {{ ref('dim_store_history') }}

),

-- ---------------------------------------------------------------- dates to compute and knowledge

work_list as (

    select
        as_of_dates.as_of_date,
        as_of_dates.bulk_receipt_min,
        as_of_dates.price_index_min_lines,
        digests.input_digest,
        as_of_dates.as_of_date - as_of_dates.window_days as opens_after_date
    from as_of_dates
    inner join digests on as_of_dates.as_of_date = digests.as_of_date
    {% if is_incremental() %}
    where digests.input_digest not in (select done.input_digest from {{ this }} as done)
    {% endif %}

),

-- days between two edges are in the window of the same dates
edges as (

    select as_of_date as edge_date from work_list
    union
    select opens_after_date as edge_date from work_list

),

day_slices as (

    select
        sales_days.business_date,
        max(edges.edge_date) as slice_date
    from (select distinct receipts.business_date from receipts) as sales_days
    inner join edges on sales_days.business_date > edges.edge_date
    group by sales_days.business_date

),

slices_known as (

    select distinct
        work_list.as_of_date,
        work_list.bulk_receipt_min,
        day_slices.slice_date
    from work_list
    inner join day_slices
        on
            work_list.as_of_date > day_slices.slice_date
            and work_list.opens_after_date <= day_slices.slice_date

),

line_days as (

    select
        business_date,
        slice_date
    from day_slices
    where slice_date in (select slices_known.slice_date from slices_known)

),

knowledge_span as (

    select
        min(as_of_date) as first_as_of_date,
        max(as_of_date) as last_as_of_date
    from work_list

),

card_versions as (

    {{ versions_known(
        'identity_history',
        ['card_key', 'customer_id'],
        "identity_history.customer_id not in ('ANONYMOUS', 'UNKNOWN')",
    ) | indent(4) }}

),

store_versions as (

    {{ versions_known(
        'store_history', ['store_key'], 'not store_history.is_test'
    ) | indent(4) }}

),

product_versions as (

    {{ versions_known(
        'product_history', ['product_key'], 'product_history.is_revenue'
    ) | indent(4) }}

),

-- ---------------------------------------------------------------------------------------- lines

-- each line once, whatever the number of dates, with the dates of knowledge for which it holds
line_settings as (

    select distinct bulk_receipt_min from work_list

),

bulk_receipts as (

    select
        line_settings.bulk_receipt_min,
        receipts.receipt_key
    from receipts
    inner join line_settings on receipts.valid_net_amount > line_settings.bulk_receipt_min

),

customer_slices as (

    select
        card_versions.customer_id,
        sales_lines.store_key,
        line_settings.bulk_receipt_min,
        line_days.slice_date,
        date_trunc('month', sales_lines.business_date) as sales_month,
        greatest(
            card_versions.valid_from, store_versions.valid_from, product_versions.valid_from
        ) as known_from,
        least(card_versions.valid_to, store_versions.valid_to, product_versions.valid_to)
            as known_to,
        sum(sales_lines.net_amount) as sales,
        sum(case
            when sales_lines.promo_code is not null or sales_lines.discount_amount > 0
                then sales_lines.net_amount
            else 0
        end) as promo_sales,
        count(*) as count_lines
    from sales_lines
    inner join line_days on sales_lines.business_date = line_days.business_date
    inner join card_versions on sales_lines.card_key = card_versions.card_key
    inner join store_versions on sales_lines.store_key = store_versions.store_key
    inner join product_versions on sales_lines.product_key = product_versions.product_key
    cross join line_settings
    where
        sales_lines.is_valid
        and sales_lines.qty > 0
        and sales_lines.discount_type is null
        and sales_lines.is_gift is distinct from true
        and (sales_lines.receipt_key, line_settings.bulk_receipt_min) not in (
            select
                bulk_receipts.receipt_key,
                bulk_receipts.bulk_receipt_min
            from bulk_receipts
        )
    group by
        card_versions.customer_id,
        sales_lines.store_key,
        line_settings.bulk_receipt_min,
        line_days.slice_date,
        date_trunc('month', sales_lines.business_date),
        known_from,
        known_to

),

customer_store_months as (

    select
        slices_known.as_of_date,
        customer_slices.customer_id,
        customer_slices.store_key,
        customer_slices.sales_month,
        sum(customer_slices.sales) as sales,
        sum(customer_slices.promo_sales) as promo_sales,
        sum(customer_slices.count_lines) as count_lines
    from customer_slices
    inner join slices_known
        on
            customer_slices.slice_date = slices_known.slice_date
            and customer_slices.bulk_receipt_min = slices_known.bulk_receipt_min
            and customer_slices.known_from <= slices_known.as_of_date
            and customer_slices.known_to > slices_known.as_of_date
    group by
        slices_known.as_of_date,
        customer_slices.customer_id,
        customer_slices.store_key,
        customer_slices.sales_month

),

-- what everybody bought in the same store and month, within the window
store_months as (

    select
        as_of_date,
        store_key,
        sales_month,
        sum(sales) as sales,
        sum(promo_sales) as promo_sales
    from customer_store_months
    group by as_of_date, store_key, sales_month

),

customer_sums as (

    select
        own.as_of_date,
        own.customer_id,
        sum(own.sales) as sales,
        sum(own.promo_sales) as promo_sales,
        sum(coalesce(
            cast(
                cast(own.sales as double) * cast(store_months.promo_sales as double)
                / nullif(cast(store_months.sales as double), 0) as decimal(18, 6)
            ), 0
        )) as expected_promo_sales,
        sum(own.count_lines) as count_lines
    from customer_store_months as own
    inner join store_months
        on
            own.as_of_date = store_months.as_of_date
            and own.store_key = store_months.store_key
            and own.sales_month = store_months.sales_month
    group by own.as_of_date, own.customer_id

)

select
    customer_sums.customer_id,
    customer_sums.as_of_date,

    -- sums of the window
    cast(customer_sums.sales as decimal(18, 2)) as sales_365d,
    cast(customer_sums.promo_sales as decimal(18, 2)) as promo_sales_365d,
    cast(customer_sums.expected_promo_sales as decimal(18, 6)) as expected_promo_sales_365d,
    cast(customer_sums.count_lines as integer) as count_lines_365d,

    -- shares
    cast(
        cast(customer_sums.promo_sales as double)
        / nullif(cast(customer_sums.sales as double), 0) as decimal(18, 6)
    ) as promo_share,
    cast(
        case
            when customer_sums.count_lines >= work_list.price_index_min_lines
                then
                    cast(customer_sums.promo_sales as double)
                    / nullif(cast(customer_sums.expected_promo_sales as double), 0)
        end as decimal(18, 6)
    ) as price_index,

    -- what the row was computed from
    work_list.input_digest
from customer_sums
inner join work_list on customer_sums.as_of_date = work_list.as_of_date
