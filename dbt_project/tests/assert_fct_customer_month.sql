-- Sales of the latest date reconcile with the lines, visits with the fact of visits, and state,
-- threshold and dates agree.
with customer_months as (
    select * from {{ ref('fct_customer_month') }}
),

as_of_dates as (
    select * from {{ ref('dim_as_of') }}
),

line_sales as (
    select
        as_of_dates.as_of_date,
        sum(sales_lines.net_amount) as net_sales
    from {{ ref('fct_sales_line') }} as sales_lines
    inner join as_of_dates
        on
            as_of_dates.is_latest
            and sales_lines.business_date <= as_of_dates.as_of_date
            and sales_lines.business_date > as_of_dates.as_of_date - as_of_dates.window_days
    inner join {{ ref('dim_store_history') }} as stores
        on
            sales_lines.store_key = stores.store_key
            and as_of_dates.as_of_date >= stores.valid_from
            and as_of_dates.as_of_date < stores.valid_to
    inner join {{ ref('dim_product_history') }} as products
        on
            sales_lines.product_key = products.product_key
            and as_of_dates.as_of_date >= products.valid_from
            and as_of_dates.as_of_date < products.valid_to
    where
        sales_lines.is_valid
        and sales_lines.card_key not in ({{ unknown_key() }}, {{ anonymous_key() }})
        and not stores.is_test
        and products.is_revenue
    group by as_of_dates.as_of_date
),

customer_sales as (
    select
        as_of_dates.as_of_date,
        coalesce(sum(customer_months.net_sales_365d), 0) as net_sales
    from as_of_dates
    left join customer_months on as_of_dates.as_of_date = customer_months.as_of_date
    where as_of_dates.is_latest
    group by as_of_dates.as_of_date
),

known_visits as (
    select
        as_of_dates.as_of_date,
        visits.customer_id,
        count(*) as count_visits,
        min(visits.visit_on) as first_visit_on,
        max(visits.visit_on) as last_visit_on
    from as_of_dates
    inner join {{ ref('fct_visit') }} as visits
        on
            as_of_dates.as_of_date >= visits.known_from
            and as_of_dates.as_of_date < visits.known_to
    group by as_of_dates.as_of_date, visits.customer_id
)

select
    'sales of customers differ from their lines' as failure,
    cast(null as {{ dbt.type_string() }}) as customer_id,
    customer_sales.as_of_date
from customer_sales
left join line_sales on customer_sales.as_of_date = line_sales.as_of_date
where customer_sales.net_sales <> coalesce(line_sales.net_sales, 0)

union all

select
    'date of the row is not in dim_as_of' as failure,
    customer_id,
    as_of_date
from customer_months
where as_of_date not in (select as_of_dates.as_of_date from as_of_dates)

union all

select
    'state, threshold and dates disagree' as failure,
    customer_id,
    as_of_date
from customer_months
where
    last_visit_on > as_of_date
    or first_visit_on > last_visit_on
    or (count_visits > 0) <> (last_visit_on is not null)
    or count_visits_365d > count_visits
    or count_categories_365d < 0
    or (last_visit_on is null) <> (inactivity_threshold_days is null)
    or (churn_status = 'NEVER_BOUGHT') <> (last_visit_on is null)
    or (churn_status = 'CHURNED') <> (churned_on is not null)
    or (churn_status = 'CHURNED') <> (lifecycle_stage in ('LAPSED', 'LOST'))
    or (churn_status = 'NEVER_BOUGHT') <> (lifecycle_stage = 'PROSPECT')
    or churned_on <> last_visit_on + inactivity_threshold_days + 1
    or churned_on > as_of_date
    or (was_active_at_start and was_churned_at_start)
    or (churned_in_period and not was_active_at_start)

union all

select
    'visits differ from fct_visit' as failure,
    coalesce(customer_months.customer_id, known_visits.customer_id) as customer_id,
    coalesce(customer_months.as_of_date, known_visits.as_of_date) as as_of_date
from customer_months
full outer join known_visits
    on
        customer_months.customer_id = known_visits.customer_id
        and customer_months.as_of_date = known_visits.as_of_date
where
    coalesce(customer_months.count_visits, 0) <> coalesce(known_visits.count_visits, 0)
    or customer_months.first_visit_on is distinct from known_visits.first_visit_on
    or customer_months.last_visit_on is distinct from known_visits.last_visit_on
