with

customer_months as (

    select * from {{ ref('fct_customer_month') }}

),

customer_history as (

    select * from {{ ref('dim_customer_history') }}

),

store_history as (

    select * from {{ ref('dim_store_history') }}

),

-- what was known of the member at the date
members_known as (

    select
        customer_months.as_of_date,
        customer_months.customer_id,
        customer_history.enrolled_on,
        store_history.format as enrol_store_format
    from customer_months
    inner join customer_history
        on
            customer_months.customer_id = customer_history.customer_id
            and customer_months.as_of_date >= customer_history.valid_from
            and customer_months.as_of_date < customer_history.valid_to
    left join store_history
        on
            customer_history.enrol_store_key = store_history.store_key
            and customer_months.as_of_date >= store_history.valid_from
            and customer_months.as_of_date < store_history.valid_to
    where not customer_history.is_inferred

)

select
    customer_months.customer_id,
    customer_months.as_of_date,
    customer_months.excluded_reason,
    customer_months.first_visit_on,
    customer_months.second_visit_on,
    customer_months.last_visit_on,
    customer_months.first_churned_on,
    customer_months.churn_status,
    customer_months.count_spells_ended > 0 as is_redeveloped,
    case
        when customer_months.is_left_truncated then 'LEFT_TRUNCATED'
        when customer_months.is_left_truncated is null then 'UNKNOWN'
        else 'OBSERVED'
    end as relationship_origin,
    case
        when customer_months.is_left_truncated then members_known.enrolled_on
        else customer_months.first_visit_on
    end as begun_on,
    coalesce(members_known.enrol_store_format, 'UNKNOWN') as enrol_store_format
from customer_months
left join members_known
    on
        customer_months.as_of_date = members_known.as_of_date
        and customer_months.customer_id = members_known.customer_id
where customer_months.first_visit_on is not null
