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

segments as (

    select * from {{ ref('rfm_segment_map') }}

),

rfm_metrics as (

    select
        customer_months.customer_id,
        customer_months.as_of_date,
        as_of_dates.rfm_scores,
        customer_months.days_since_last_visit,
        customer_months.count_visits_365d,
        customer_months.net_sales_365d - customer_months.bulk_net_sales_365d as monetary_365d
    from customer_months
    inner join as_of_dates on customer_months.as_of_date = as_of_dates.as_of_date
    where
        customer_months.excluded_reason is null
        and customer_months.count_visits_365d > 0

),

-- rank() gives equal values an equal place, so that no tie is split between two scores
rfm_ranks as (

    select
        customer_id,
        as_of_date,
        monetary_365d,
        rfm_scores,
        count(*) over (partition by as_of_date) as count_scored,
        rank() over (partition by as_of_date order by days_since_last_visit desc nulls last)
            as r_rank,
        rank() over (partition by as_of_date order by count_visits_365d asc nulls last) as f_rank,
        rank() over (partition by as_of_date order by monetary_365d asc nulls last) as m_rank
    from rfm_metrics

),

rfm_scored as (

    select
        customer_id,
        as_of_date,
        monetary_365d,
        cast(1 + floor(rfm_scores * (r_rank - 1) / nullif(count_scored, 0)) as integer) as r_score,
        cast(1 + floor(rfm_scores * (f_rank - 1) / nullif(count_scored, 0)) as integer) as f_score,
        cast(
            case
                when monetary_365d < 0 then 1
                else 1 + floor(rfm_scores * (m_rank - 1) / nullif(count_scored, 0))
            end as integer
        ) as m_score
    from rfm_ranks

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
    cast(null as decimal(18, 2)) as profit_365d,
    'NO_COST_TO_SERVE_FEED' as profit_missing_reason,
    customer_months.value_365d,
    customer_months.value_basis,
    cast(rfm_scored.monetary_365d as decimal(18, 2)) as monetary_365d,
    customer_months.is_returns_exceed_sales,
    case when customer_months.value_basis <> 'SALES' then customer_months.value_365d < 0 end
        as is_loss,

    -- scores and classes
    rfm_scored.r_score,
    rfm_scored.f_score,
    rfm_scored.m_score,
    rfm_scored.r_score * 100 + rfm_scored.f_score * 10 + rfm_scored.m_score as rfm_code,
    segments.rfm_segment,
    cast(values_ranked.value_rank as integer) as value_rank,
    values_ranked.abc_class,
    values_ranked.abc_count_class,
    values_ranked.pyramid_tier,
    values_ranked.value_class,
    customer_months.excluded_reason
from customer_months
inner join as_of_dates on customer_months.as_of_date = as_of_dates.as_of_date
left join rfm_scored
    on
        customer_months.as_of_date = rfm_scored.as_of_date
        and customer_months.customer_id = rfm_scored.customer_id
left join segments
    on
        rfm_scored.r_score = segments.r_score
        and rfm_scored.f_score = segments.f_score
        and rfm_scored.m_score = segments.m_score
left join values_ranked
    on
        customer_months.as_of_date = values_ranked.as_of_date
        and customer_months.customer_id = values_ranked.customer_id
