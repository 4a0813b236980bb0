with

customer_months as (

    select * from {{ ref('fct_customer_month') }}

),

stores as (

    select * from {{ ref('int_store__pooled') }}

),

values_ranked as (

    select * from {{ ref('int_customer_value__ranked') }}

),

rfm_scored as (

    select * from {{ ref('int_rfm__scored') }}

),

potentials as (

    select * from {{ ref('int_potential__estimated') }}

),

behaviours as (

    select * from {{ ref('int_behaviour__indexed') }}

)

select  -- noqa: ST06
    customers.customer_id,
    customers.as_of_date,
    stores.store_code,
    customers.value_365d,
    values_ranked.abc_class,
    values_ranked.abc_count_class,
    values_ranked.pyramid_tier,
    values_ranked.curry_tier,
    values_ranked.store_abc_class,
    values_ranked.store_abc_count_class,
    values_ranked.store_pyramid_tier,
    values_ranked.store_curry_tier,
    rfm_scored.rfm_segment,
    customers.lifecycle_stage,
    values_ranked.value_class || '-' || potentials.potential_class || '-'
    || behaviours.behaviour_class as cube_cell
from customer_months as customers
inner join stores
    on
        customers.as_of_date = stores.as_of_date
        and customers.home_store_key = stores.home_store_key
left join values_ranked
    on
        customers.as_of_date = values_ranked.as_of_date
        and customers.customer_id = values_ranked.customer_id
left join rfm_scored
    on
        customers.as_of_date = rfm_scored.as_of_date
        and customers.customer_id = rfm_scored.customer_id
left join potentials
    on
        customers.as_of_date = potentials.as_of_date
        and customers.customer_id = potentials.customer_id
left join behaviours
    on
        customers.as_of_date = behaviours.as_of_date
        and customers.customer_id = behaviours.customer_id
where customers.excluded_reason is null
