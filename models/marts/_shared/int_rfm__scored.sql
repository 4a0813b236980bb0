with

customer_months as (

    select * from {{ ref('fct_customer_month') }}

),

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

segments as (

    select * from {{ ref('rfm_segment_map') }}

),

metrics as (

    select
        customer_months.customer_id,
        customer_months.as_of_date,
        as_of_dates.rfm_scores,
        customer_months.days_since_last_visit,
        customer_months.last_visit_on,
        customer_months.count_visits_365d,
        customer_months.net_sales_365d - customer_months.bulk_net_sales_365d as monetary_365d
    from customer_months
    inner join as_of_dates on customer_months.as_of_date = as_of_dates.as_of_date
    where
        customer_months.excluded_reason is null
        and customer_months.count_visits_365d > 0

),

-- rank() gives equal values an equal place, so that no tie is split between two scores;
-- row_number() splits them, as the equal cells of Hughes need
places as (

    select
        customer_id,
        as_of_date,
        last_visit_on,
        count_visits_365d,
        monetary_365d,
        rfm_scores,
        count(*) over (partition by as_of_date) as count_scored,
        rank() over (partition by as_of_date order by days_since_last_visit desc nulls last)
            as r_rank,
        rank() over (partition by as_of_date order by count_visits_365d asc nulls last) as f_rank,
        rank() over (partition by as_of_date order by monetary_365d asc nulls last) as m_rank,
        row_number() over (
            partition by as_of_date order by days_since_last_visit desc nulls last, customer_id asc
        ) as r_place
    from metrics

),

scored as (

    select
        customer_id,
        as_of_date,
        last_visit_on,
        count_visits_365d,
        monetary_365d,
        rfm_scores,
        cast(1 + floor(rfm_scores * (r_rank - 1) / nullif(count_scored, 0)) as integer) as r_score,
        cast(1 + floor(rfm_scores * (f_rank - 1) / nullif(count_scored, 0)) as integer) as f_score,
        cast(
            case
                when monetary_365d < 0 then 1
                else 1 + floor(rfm_scores * (m_rank - 1) / nullif(count_scored, 0))
            end as integer
        ) as m_score,
        cast(1 + floor(rfm_scores * (r_place - 1) / nullif(count_scored, 0)) as integer)
            as hughes_r
    from places

),

places_within_recency as (

    select
        *,
        count(*) over (partition by as_of_date, hughes_r) as count_in_r,
        row_number() over (
            partition by as_of_date, hughes_r
            order by count_visits_365d asc nulls last, last_visit_on asc nulls last, customer_id asc
        ) as f_place
    from scored

),

scored_within_recency as (

    select
        *,
        cast(1 + floor(rfm_scores * (f_place - 1) / nullif(count_in_r, 0)) as integer) as hughes_f
    from places_within_recency

),

places_within_frequency as (

    select
        *,
        count(*) over (partition by as_of_date, hughes_r, hughes_f) as count_in_rf,
        row_number() over (
            partition by as_of_date, hughes_r, hughes_f
            order by monetary_365d asc nulls last, last_visit_on asc nulls last, customer_id asc
        ) as m_place
    from scored_within_recency

),

scored_within_frequency as (

    select
        *,
        cast(1 + floor(rfm_scores * (m_place - 1) / nullif(count_in_rf, 0)) as integer)
            as hughes_m
    from places_within_frequency

)

select  -- noqa: ST06
    customers.customer_id,
    customers.as_of_date,
    customers.monetary_365d,
    customers.r_score,
    customers.f_score,
    customers.m_score,
    customers.r_score * 100 + customers.f_score * 10 + customers.m_score as rfm_code,
    segments.rfm_segment,
    customers.hughes_r * 100 + customers.hughes_f * 10 + customers.hughes_m as hughes_code
from scored_within_frequency as customers
left join segments
    on
        customers.r_score = segments.r_score
        and customers.f_score = segments.f_score
        and customers.m_score = segments.m_score
