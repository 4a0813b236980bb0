-- Every customer has a row; scores and classes cover exactly the scored population; equal values
-- have equal scores; tiers hold the number of customers that their percentages say.
with customer_values as (
    select * from {{ ref('mart_customer_value') }}
),

as_of_dates as (
    select * from {{ ref('dim_as_of') }}
),

tiers as (
    select
        as_of_date,
        count(pyramid_tier) as count_ranked,
        count(case when pyramid_tier = 'TOP' then 1 end) as count_top,
        count(case when pyramid_tier in ('TOP', 'MAJOR') then 1 end) as count_major,
        count(case when pyramid_tier in ('TOP', 'MAJOR', 'ORDINARY') then 1 end)
            as count_ordinary,
        max(value_rank) as max_rank
    from customer_values
    group by as_of_date
),

tied as (
    select
        as_of_date,
        count(distinct r_score) as count_scores
    from customer_values
    group by as_of_date, days_since_last_visit

    union all

    select
        as_of_date,
        count(distinct f_score) as count_scores
    from customer_values
    where f_score is not null
    group by as_of_date, count_visits_365d

    union all

    select
        as_of_date,
        count(distinct m_score) as count_scores
    from customer_values
    group by as_of_date, monetary_365d
)

select
    'customer without a row, or row without a customer' as failure,
    coalesce(months.customer_id, customer_values.customer_id) as customer_id,
    coalesce(months.as_of_date, customer_values.as_of_date) as as_of_date
from {{ ref('fct_customer_month') }} as months
full outer join customer_values
    on
        months.customer_id = customer_values.customer_id
        and months.as_of_date = customer_values.as_of_date
where months.customer_id is null or customer_values.customer_id is null

union all

select
    'scored although not in the population, or the other way round' as failure,
    customer_id,
    as_of_date
from customer_values
where
    (excluded_reason is null and count_visits_365d > 0) <> (r_score is not null)
    or (r_score is null) <> (rfm_segment is null)
    or (r_score is null) <> (m_score is null)
    or (r_score is null) <> (f_score is null)
    or (r_score is not null and value_365d is not null) <> (pyramid_tier is not null)
    or (pyramid_tier is null) <> (abc_class is null)
    or (pyramid_tier is null) <> (value_class is null)
    or (pyramid_tier is null) <> (store_pyramid_tier is null)
    or (r_score is null) <> (potential_peers is null)
    or (r_score is null) <> (need_type_proxy is null)
    or (r_score is null) <> (hughes_code is null)
    or store_value_rank > value_rank
    or (exp_visits_24m is null) <> (visits_missing_reason is not null)
    or (clv_24m is null) <> (clv_missing_reason is not null)
    or r_score not between 1 and 5
    or f_score not between 1 and 5
    or m_score not between 1 and 5
    or value_365d <> case value_basis when 'SALES' then net_sales_365d else margin_365d end

union all

select
    'equal values with unequal scores' as failure,
    null as customer_id,
    as_of_date
from tied
where count_scores > 1

union all

select
    'tier is not the share of customers it should be' as failure,
    null as customer_id,
    tiers.as_of_date
from tiers
inner join as_of_dates on tiers.as_of_date = as_of_dates.as_of_date
where
    tiers.count_top
    <> ceil(tiers.count_ranked * as_of_dates.pyramid_top_pct / 100.0)
    or tiers.count_major
    <> ceil(tiers.count_ranked * as_of_dates.pyramid_major_pct / 100.0)
    or tiers.count_ordinary
    <> ceil(tiers.count_ranked * as_of_dates.pyramid_ordinary_pct / 100.0)
    or tiers.max_rank <> tiers.count_ranked
