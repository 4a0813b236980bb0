-- What only the star can judge: margins against their bounds, cost that holds tax, lines without
-- cost, numbers and addresses of no use, test stores and customers that are left out. Every subject
-- that was looked at has its row, also where nothing is wrong; a finding is count_failed > 0.

with

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

sales_lines as (

    select * from {{ ref('fct_sales_line') }}

),

stores as (

    select * from {{ ref('dim_store') }}

),

store_history as (

    select * from {{ ref('dim_store_history') }}

),

product_history as (

    select * from {{ ref('dim_product_history') }}

),

customer_months as (

    select * from {{ ref('fct_customer_month') }}

),

contacts as (

    select * from {{ ref('int_member__contact') }}

),

-- the periods (period_start_date, as_of_date] do not overlap: each day is looked at once
sales_days as (

    select
        traded.business_date,
        as_of_dates.as_of_date
    from (select distinct sales_lines.business_date from sales_lines) as traded
    inner join as_of_dates
        on
            traded.business_date > as_of_dates.period_start_date
            and traded.business_date <= as_of_dates.as_of_date

),

stores_known as (

    select
        as_of_dates.as_of_date,
        store_history.store_key,
        stores.store_code,
        store_history.is_test
    from as_of_dates
    inner join store_history
        on
            as_of_dates.as_of_date >= store_history.valid_from
            and as_of_dates.as_of_date < store_history.valid_to
    inner join stores on store_history.store_key = stores.store_key

),

products_known as (

    select
        as_of_dates.as_of_date,
        product_history.product_key,
        product_history.is_revenue,
        as_of_dates.margin_pct_min,
        as_of_dates.margin_pct_max,
        coalesce(product_history.category_2_code, 'UNKNOWN') as category_code,
        coalesce(product_history.vat_rate, as_of_dates.default_vat_rate) as vat_rate
    from as_of_dates
    inner join product_history
        on
            as_of_dates.as_of_date >= product_history.valid_from
            and as_of_dates.as_of_date < product_history.valid_to

),

-- ----------------------------------------------------------------------------- lines and margins

judged_lines as (

    select
        sales_days.as_of_date,
        sales_lines.store_key,
        sales_lines.product_key,
        products_known.category_code,
        products_known.is_revenue,
        products_known.vat_rate,
        products_known.margin_pct_min,
        products_known.margin_pct_max,
        sales_lines.qty,
        sales_lines.cost_amount,
        case
            when sales_lines.cost_amount is null then null
            else
                coalesce(
                    sales_lines.net_ex_vat,
                    {{ divide_to_money('sales_lines.net_amount', '1 + products_known.vat_rate') }}
                )
        end as costed_net_ex_vat
    from sales_lines
    inner join sales_days on sales_lines.business_date = sales_days.business_date
    inner join products_known
        on
            sales_days.as_of_date = products_known.as_of_date
            and sales_lines.product_key = products_known.product_key
    where sales_lines.is_valid

),

product_stores as (

    select
        as_of_date,
        store_key,
        product_key,
        category_code,
        is_revenue,
        vat_rate,
        margin_pct_min,
        margin_pct_max,
        count(*) as count_lines,
        count(cost_amount) as count_costed_lines,
        count(case when costed_net_ex_vat <> 0 then 1 end) as count_judged_lines,
        -- (net - cost) / net, multiplied out; a return turns the signs of both sides
        count(case
            when
                costed_net_ex_vat > 0
                and (
                    costed_net_ex_vat - cost_amount < margin_pct_min * costed_net_ex_vat
                    or costed_net_ex_vat - cost_amount > margin_pct_max * costed_net_ex_vat
                )
                then 1
            when
                costed_net_ex_vat < 0
                and (
                    costed_net_ex_vat - cost_amount > margin_pct_min * costed_net_ex_vat
                    or costed_net_ex_vat - cost_amount < margin_pct_max * costed_net_ex_vat
                )
                then 1
        end) as count_outside_lines,
        sum(costed_net_ex_vat) as net_ex_vat,
        sum(cost_amount) as cost_amount,
        sum(case when cost_amount is not null then qty end) as costed_qty
    from judged_lines
    group by
        as_of_date, store_key, product_key, category_code, is_revenue, vat_rate, margin_pct_min,
        margin_pct_max

),

real_product_stores as (

    select
        product_stores.*,
        stores_known.store_code
    from product_stores
    inner join stores_known
        on
            product_stores.as_of_date = stores_known.as_of_date
            and product_stores.store_key = stores_known.store_key
    where not stores_known.is_test

),

categories as (

    select
        as_of_date,
        category_code,
        margin_pct_min,
        margin_pct_max,
        sum(count_judged_lines) as count_judged_lines,
        sum(count_outside_lines) as count_outside_lines,
        cast(sum(net_ex_vat) - sum(cost_amount) as double)
        / nullif(cast(sum(net_ex_vat) as double), 0) as margin_pct
    from real_product_stores
    where is_revenue
    group by as_of_date, category_code, margin_pct_min, margin_pct_max

),

store_costs as (

    select
        as_of_date,
        store_code,
        sum(count_lines) as count_lines,
        sum(count_costed_lines) as count_costed_lines,
        sum(sum(count_costed_lines)) over (partition by as_of_date) as count_costed_everywhere
    from real_product_stores
    where is_revenue
    group by as_of_date, store_code

),

-- what a unit costs in a store against what it costs in all the others: where cost holds tax, most
-- products stand at 1 + rate; beyond the geometric middle of 1 and 1 + rate they are nearer to it
unit_costs as (

    select
        as_of_date,
        store_code,
        vat_rate,
        cast(cost_amount as double) / nullif(cast(costed_qty as double), 0) as unit_cost,
        cast(sum(cost_amount) over same_product - cost_amount as double)
        / nullif(cast(sum(costed_qty) over same_product - costed_qty as double), 0)
            as unit_cost_elsewhere
    from real_product_stores
    where is_revenue and vat_rate > 0 and costed_qty > 0 and cost_amount > 0
    window same_product as (partition by as_of_date, product_key, vat_rate)

),

cost_ratios as (

    select
        as_of_date,
        store_code,
        count(*) as count_products,
        count(
            case
                when unit_cost / nullif(unit_cost_elsewhere, 0) > sqrt(1 + cast(vat_rate as double))
                    then 1
            end
        ) as count_products_with_tax,
        median(unit_cost / nullif(unit_cost_elsewhere, 0)) as cost_ratio,
        median(cast(vat_rate as double)) as vat_rate
    from unit_costs
    where unit_cost_elsewhere > 0
    group by as_of_date, store_code

),

-- ---------------------------------------------------------------------------- what is left out

store_lines as (

    select
        sales_days.as_of_date,
        sales_lines.store_key,
        count(*) as count_lines
    from sales_lines
    inner join sales_days on sales_lines.business_date = sales_days.business_date
    group by sales_days.as_of_date, sales_lines.store_key

),

test_stores as (

    select
        store_lines.as_of_date,
        stores_known.store_code,
        stores_known.is_test,
        store_lines.count_lines
    from store_lines
    inner join stores_known
        on
            store_lines.as_of_date = stores_known.as_of_date
            and store_lines.store_key = stores_known.store_key

),

-- ------------------------------------------------------------------------------------- members

contacts_known as (

    select
        as_of_dates.as_of_date,
        contacts.phone_status,
        contacts.address_status,
        count(*) as count_members
    from as_of_dates
    inner join contacts
        on
            as_of_dates.as_of_date >= contacts.valid_from
            and as_of_dates.as_of_date < contacts.valid_to
    group by as_of_dates.as_of_date, contacts.phone_status, contacts.address_status

),

contact_classes as (

    select
        'phone_usable' as check_id,
        'phone' as subject,
        as_of_date,
        phone_status as contact_status,
        sum(count_members) as count_members,
        sum(sum(count_members)) over (partition by as_of_date) as count_all_members
    from contacts_known
    group by as_of_date, phone_status

    union all

    select
        'address_usable' as check_id,
        'address' as subject,
        as_of_date,
        address_status as contact_status,
        sum(count_members) as count_members,
        sum(sum(count_members)) over (partition by as_of_date) as count_all_members
    from contacts_known
    group by as_of_date, address_status

),

population as (

    select
        as_of_date,
        count(*) as count_customers
    from customer_months
    group by as_of_date

),

excluded as (

    select
        as_of_date,
        excluded_reason,
        count(*) as count_customers
    from customer_months
    where excluded_reason is not null
    group by as_of_date, excluded_reason

),

findings as (

    select
        'margin_in_bounds' as check_id,
        as_of_date,
        'sales_line' as feed,
        'ALL' as store_code,
        category_code as subject,
        count_judged_lines as count_checked,
        count_outside_lines as count_failed,
        'margin of the category '
        || coalesce(cast(cast(100 * margin_pct as decimal(18, 1)) as string), 'unknown') || ' %'
            as observed,
        cast(cast(100 * margin_pct_min as decimal(9, 1)) as string) || ' to '
        || cast(cast(100 * margin_pct_max as decimal(9, 1)) as string) || ' % on every line'
            as expected
    from categories
    where count_judged_lines > 0

    union all

    select
        'cost_known' as check_id,
        as_of_date,
        'sales_line' as feed,
        store_code,
        'cost_amount' as subject,
        count_lines as count_checked,
        count_lines - count_costed_lines as count_failed,
        cast(count_lines - count_costed_lines as string) || ' lines without cost' as observed,
        'a cost on every line' as expected
    from store_costs
    where count_costed_everywhere > 0

    union all

    select
        'cost_without_tax' as check_id,
        as_of_date,
        'sales_line' as feed,
        store_code,
        'cost_amount' as subject,
        count_products as count_checked,
        case when cost_ratio > sqrt(1 + vat_rate) then count_products_with_tax else 0 end
            as count_failed,
        'a unit costs ' || cast(cast(cost_ratio as decimal(9, 3)) as string)
        || ' times what it costs elsewhere' as observed,
        'about 1; ' || cast(cast(1 + vat_rate as decimal(9, 3)) as string) || ' is cost with tax'
            as expected
    from cost_ratios

    union all

    select
        'store_is_real' as check_id,
        as_of_date,
        'sales_line' as feed,
        store_code,
        'is_test' as subject,
        count_lines as count_checked,
        case when is_test then count_lines else 0 end as count_failed,
        case when is_test then 'lines of a test store, left out' else 'lines of a store' end
            as observed,
        'no test store in the sales' as expected
    from test_stores

    union all

    select
        check_id,
        as_of_date,
        'member' as feed,
        'ALL' as store_code,
        subject || ' ' || contact_status as subject,
        count_all_members as count_checked,
        case when contact_status = 'OK' then 0 else count_members end as count_failed,
        cast(count_members as string) || ' members with ' || subject || ' ' || contact_status
            as observed,
        'OK' as expected
    from contact_classes

    union all

    select
        'customer_is_scored' as check_id,
        excluded.as_of_date,
        'member' as feed,
        'ALL' as store_code,
        excluded.excluded_reason as subject,
        population.count_customers as count_checked,
        excluded.count_customers as count_failed,
        cast(excluded.count_customers as string) || ' customers left out of scores' as observed,
        'reported, convention 8' as expected
    from excluded
    inner join population on excluded.as_of_date = population.as_of_date

)

select
    check_id,
    as_of_date,
    feed,
    store_code,
    subject,
    cast(count_checked as bigint) as count_checked,
    cast(count_failed as bigint) as count_failed,
    observed,
    expected,
    'warning' as severity
from findings
