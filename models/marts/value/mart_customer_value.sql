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
