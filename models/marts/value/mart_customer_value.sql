with

customer_months as (

    select * from {{ ref('fct_customer_month') }}

),

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

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

),

scores as (

    select * from {{ source('score', 'fct_customer_score') }}

),

voices as (

    select * from {{ ref('fct_customer_voice') }}

),

promotions as (

    select * from {{ ref('fct_customer_promotion') }}

),

customer_history as (

    select * from {{ ref('dim_customer_history') }}

),

-- S7: what asks for service, by receipt, so that many purchases alone do not count
service_shares as (

    select
        customer_months.customer_id,
        customer_months.as_of_date,
        coalesce(
            cast(voices.count_service_contacts_365d as double)
            / nullif(customer_months.count_receipts_365d, 0), 0
        ) as contact_share,
        coalesce(
            cast(voices.count_service_complaints_365d as double)
            / nullif(customer_months.count_receipts_365d, 0), 0
        ) as complaint_share
    from customer_months
    left join voices
        on
            customer_months.as_of_date = voices.as_of_date
            and customer_months.customer_id = voices.customer_id
    where
        customer_months.excluded_reason is null
        and customer_months.count_visits_365d > 0

),

-- rank() leaves those who never asked on the first place, however many they are
needs as (

    select
        service_shares.customer_id,
        service_shares.as_of_date,
        promotions.price_index,
        (promotions.price_index >= as_of_dates.need_price_index_min) is true as is_price_need,
        rank() over (
            partition by service_shares.as_of_date
            order by service_shares.contact_share asc nulls last
        ) - 1
        >= as_of_dates.need_service_quartile
        * count(*) over (partition by service_shares.as_of_date) as is_contact_need,
        rank() over (
            partition by service_shares.as_of_date
            order by service_shares.complaint_share asc nulls last
        ) - 1
        >= as_of_dates.need_service_quartile
        * count(*) over (partition by service_shares.as_of_date) as is_complaint_need
    from service_shares
    inner join as_of_dates on service_shares.as_of_date = as_of_dates.as_of_date
    left join promotions
        on
            service_shares.as_of_date = promotions.as_of_date
            and service_shares.customer_id = promotions.customer_id

)

select  -- noqa: ST06
    customer_months.customer_id,
    customer_months.as_of_date,
    as_of_dates.is_latest,
    customer_months.home_store_key,

    -- visits
    customer_months.first_visit_on,
    customer_months.last_visit_on,
    customer_months.days_since_last_visit,
    customer_months.count_visits_365d,
    customer_months.is_left_truncated,
    customer_months.lifecycle_stage,

    -- money
    customer_months.net_sales_365d,
    customer_months.margin_365d,
    customer_months.margin_missing_reason,
    customer_months.cost_coverage_365d,
    cast(null as decimal(18, 2)) as cost_to_serve_365d,
    cast(null as decimal(18, 2)) as indirect_cost_365d,
    'NO_COST_TO_SERVE_FEED' as cost_to_serve_missing_reason,
    cast(null as decimal(18, 2)) as profit_365d,
    cast(null as decimal(18, 2)) as fully_loaded_profit_365d,
    'NO_COST_TO_SERVE_FEED' as profit_missing_reason,
    customer_months.value_365d,
    customer_months.value_basis,
    case customer_months.value_basis
        when 'SALES' then customer_months.net_sales_total
        when 'MARGIN' then customer_months.margin_total
    end as hist_clv,
    case
        when customer_months.value_basis = 'MARGIN' then customer_months.margin_total_missing_reason
    end as hist_clv_missing_reason,
    cast(rfm_scored.monetary_365d as decimal(18, 2)) as monetary_365d,
    customer_months.is_returns_exceed_sales,
    case when customer_months.value_basis <> 'SALES' then customer_months.value_365d < 0 end
        as is_loss,

    -- prediction
    scores.model as clv_model,
    scores.p_alive,
    scores.expected_visits_4w as exp_visits_4w,
    scores.expected_visits_13w as exp_visits_13w,
    scores.expected_visits_52w as exp_visits_52w,
    scores.expected_visits_104w as exp_visits_24m,
    cast(scores.expected_value as decimal(18, 2)) as exp_value,
    scores.clv as clv_24m,
    scores.clv_basis,
    {% for reason in ['visits_missing_reason', 'clv_missing_reason'] -%}
    case
        when scores.customer_id is not null then scores.{{ reason }}
        when customer_months.excluded_reason is not null then 'EXCLUDED'
        when customer_months.first_visit_on is null then 'NO_VISIT'
        else 'NOT_SCORED'
    end as {{ reason }},
    {% endfor %}
    -- scores and classes
    rfm_scored.r_score,
    rfm_scored.f_score,
    rfm_scored.m_score,
    rfm_scored.rfm_code,
    rfm_scored.rfm_segment,
    rfm_scored.hughes_code,
    cast(values_ranked.value_rank as integer) as value_rank,
    values_ranked.abc_class,
    values_ranked.abc_count_class,
    values_ranked.pyramid_tier,
    values_ranked.curry_tier,
    values_ranked.value_class,

    -- places within the home store
    cast(values_ranked.store_value_rank as integer) as store_value_rank,
    values_ranked.store_abc_class,
    values_ranked.store_abc_count_class,
    values_ranked.store_pyramid_tier,
    values_ranked.store_curry_tier,

    -- potential, an estimate
    potentials.potential_est,
    potentials.potential_ratio,
    potentials.potential_class,
    potentials.potential_peers,
    potentials.count_peers as count_potential_peers,
    case when potentials.customer_id is not null then 'UNKNOWN' end as potential_distance_band,

    -- value, potential and behaviour together
    behaviours.behaviour_class,
    values_ranked.value_class || '-' || potentials.potential_class || '-'
    || behaviours.behaviour_class as cube_cell,

    -- types
    case
        when customer_history.customer_type = 'COMPANY' then 'B2B'
        when customer_months.excluded_reason = 'BULK_BUYER' then 'GROUP'
        when customer_history.customer_type is not null then 'MEMBER'
        else 'UNREGISTERED'
    end as customer_type,
    case
        when customer_months.excluded_reason is not null then null
        when customer_months.first_visit_on is null then 'PROSPECT'
        when values_ranked.pyramid_tier = 'TOP' then 'VIP'
        when values_ranked.pyramid_tier = 'MAJOR' then 'IMPORTANT'
        else 'ORDINARY'
    end as importance_class,
    cast(null as string) as sales_intent,
    'NO_OPPORTUNITY_FEED' as sales_intent_missing_reason,
    case
        when
            customer_months.excluded_reason is not null
            or customer_months.first_visit_on is null
            then null
        when customer_months.lifecycle_stage = 'LOST' then 'LOST'
        when voices.count_complaints_open > 0 or voices.count_complaints_90d > 0
            then 'COMPLAINING'
        when behaviours.behaviour_class = 'HIGH' then 'LOYAL'
        else 'ORDINARY'
    end as aftersales_class,
    cast(needs.price_index as decimal(18, 6)) as price_index,
    case
        when needs.customer_id is null then null
        when needs.is_price_need then 'PRICE'
        when needs.is_contact_need or needs.is_complaint_need then 'SERVICE'
        else 'PRODUCT'
    end as need_type_proxy,
    coalesce(voices.is_simulated, false) as is_simulated,
    customer_months.excluded_reason
from customer_months
inner join as_of_dates on customer_months.as_of_date = as_of_dates.as_of_date
left join rfm_scored
    on
        customer_months.as_of_date = rfm_scored.as_of_date
        and customer_months.customer_id = rfm_scored.customer_id
left join values_ranked
    on
        customer_months.as_of_date = values_ranked.as_of_date
        and customer_months.customer_id = values_ranked.customer_id
left join potentials
    on
        customer_months.as_of_date = potentials.as_of_date
        and customer_months.customer_id = potentials.customer_id
left join behaviours
    on
        customer_months.as_of_date = behaviours.as_of_date
        and customer_months.customer_id = behaviours.customer_id
left join scores
    on
        customer_months.as_of_date = scores.as_of_date
        and customer_months.customer_id = scores.customer_id
left join voices
    on
        customer_months.as_of_date = voices.as_of_date
        and customer_months.customer_id = voices.customer_id
left join needs
    on
        customer_months.as_of_date = needs.as_of_date
        and customer_months.customer_id = needs.customer_id
left join customer_history
    on
        customer_months.customer_id = customer_history.customer_id
        and customer_months.as_of_date >= customer_history.valid_from
        and customer_months.as_of_date < customer_history.valid_to
