with history as (
    select * from {{ ref('dim_customer_history') }}
),

receipts as (
    select * from {{ ref('fct_receipt') }}
),

first_purchases as (
    select
        customer_id,
        min(business_date) as first_purchase_on
    from receipts
    where is_sale_visit and card_key >= 0
    group by customer_id
)

select
    history.customer_id,
    history.customer_type,
    history.gender,
    history.district,
    history.household_size,
    history.household_id,
    history.enrolled_on,
    history.enrol_store_key,
    history.enrol_channel,
    history.status,
    first_purchases.first_purchase_on,
    history.merged_into,
    history.is_inferred
from history
left join first_purchases on history.customer_id = first_purchases.customer_id
where history.valid_to = {{ last_day_of_time() }}
