-- Every customer has a row; nobody has a type of loyalty without having been asked; excluded
-- customers have no score; what is NULL says why; counts of classes add up to the customers; what
-- is expected of everybody on promotion is what everybody bought so.
with loyalty as (
    select * from {{ ref('mart_loyalty') }}
),

structure as (
    select * from {{ ref('mart_loyalty_structure') }}
),

company as (
    select * from structure
    where store_code = 'ALL'
),

rates as (
    select * from {{ ref('mart_loyalty_rate') }}
),

curve as (
    select * from {{ ref('mart_satisfaction_loyalty') }}
),

types_counted as (
    select
        as_of_date,
        'LOYALTY_TYPE' as scheme,
        loyalty_type as loyalty_class,
        count(*) as count_customers
    from loyalty
    where behaviour_index is not null
    group by as_of_date, loyalty_type

    union all

    select
        as_of_date,
        'APOSTLE_TYPE' as scheme,
        apostle_type as loyalty_class,
        count(*) as count_customers
    from loyalty
    where behaviour_index is not null
    group by as_of_date, apostle_type
)

select
    'customer without a row, or row without a customer' as failure,
    coalesce(months.customer_id, loyalty.customer_id) as subject,
    coalesce(months.as_of_date, loyalty.as_of_date) as as_of_date
from {{ ref('fct_customer_month') }} as months
full outer join loyalty
    on
        months.customer_id = loyalty.customer_id
        and months.as_of_date = loyalty.as_of_date
where months.customer_id is null or loyalty.customer_id is null

union all

select
    'score, class or type disagrees with the population' as failure,
    customer_id as subject,
    as_of_date
from loyalty
where
    (excluded_reason is null and count_visits_365d > 0) <> (behaviour_index is not null)
    or (behaviour_index is null) <> (behaviour_class is null)
    or behaviour_index not between 0 and 100
    or (excluded_reason is null and is_surveyed) <> (attitude_score is not null)
    or (attitude_score is null) <> (loyalty_type = 'UNKNOWN')
    or attitude_score not between 0 and 100
    or (satisfaction_score is null and apostle_type <> 'UNKNOWN')
    or satisfaction_score not between 1 and 5
    or (behaviour_class = 'HIGH' and apostle_type in ('MERCENARY', 'DEFECTOR', 'TERRORIST'))
    or (
        coalesce(behaviour_class, 'LOW') <> 'HIGH'
        and apostle_type in ('APOSTLE', 'LOYALIST', 'HOSTAGE')
    )
    or (
        excluded_reason is not null
        and coalesce(
            satisfaction_score, nps_score, sow_proxy, promo_share, price_index, referral_count,
            increment_ratio
        ) is not null
    )
    or behaviour_class not in ('HIGH', 'MEDIUM', 'LOW')
    or loyalty_type not in ('TRUE', 'LATENT', 'SPURIOUS', 'NONE', 'UNKNOWN')
    or apostle_type not in (
        'APOSTLE', 'LOYALIST', 'MERCENARY', 'HOSTAGE', 'DEFECTOR', 'TERRORIST', 'UNKNOWN'
    )

union all

select
    'share of wallet is no share, or of no method' as failure,
    customer_id as subject,
    as_of_date
from loyalty
where
    breadth_ratio not between 0 and 1
    or potential_share not between 0 and 1
    or sow_proxy not between 0 and 1
    or (sow_proxy is null) <> (sow_method is null)
    or price_index < 0

union all

select
    'a value is neither given nor explained, or both' as failure,
    customer_id as subject,
    as_of_date
from loyalty
where
    (referral_count is null) <> (referral_missing_reason is not null)
    or (increment_ratio is null) <> (increment_missing_reason is not null)
    or (tolerance_flag is null) <> (quality_incident_on is null)
    or quality_incident_on + tolerance_days > as_of_date

union all

select
    'classes of a store do not add up' as failure,
    store_code as subject,
    as_of_date
from structure
group by as_of_date, store_code, scheme
having
    sum(count_customers) <> max(count_population)
    or sum(case when loyalty_class <> 'UNKNOWN' then count_customers else 0 end) <> max(count_known)
    or abs(sum(class_share) - 1) > 0.00001
    or abs(sum(weighted_share) - 1) > 0.00001

union all

select
    'the company differs from its customers' as failure,
    coalesce(company.loyalty_class, types_counted.loyalty_class) as subject,
    coalesce(company.as_of_date, types_counted.as_of_date) as as_of_date
from company
full outer join types_counted
    on
        company.as_of_date = types_counted.as_of_date
        and company.scheme = types_counted.scheme
        and company.loyalty_class = types_counted.loyalty_class
where coalesce(company.count_customers, 0) <> coalesce(types_counted.count_customers, 0)

union all

select
    'more hits than cases' as failure,
    store_code as subject,
    as_of_date
from rates
where
    count_tolerant > count_incident_customers
    or count_promoters > count_nps_known
    or count_in_both_windows > count_customers
    or tolerance_rate not between tolerance_rate_lo and tolerance_rate_hi
    or promoter_share not between promoter_share_lo and promoter_share_hi
    or (referral_missing_reason is null) <> (count_referred is not null)
    or (increment_missing_reason is null) <> (increment_ratio is not null)

union all

select
    'points of the curve do not add up' as failure,
    cast(satisfaction_score as {{ dbt.type_string() }}) as subject,
    as_of_date
from curve
group by as_of_date, satisfaction_score
having
    sum(case when competition = 'ALL' then count_answers else -count_answers end) <> 0
    or sum(case when competition = 'ALL' then count_mature else -count_mature end) <> 0
    or bool_or(count_retained > count_mature)
    or bool_or(count_mature > count_answers)
    or bool_or(retention_rate not between retention_rate_lo and retention_rate_hi)

union all

select
    'expected and bought on promotion differ over all customers' as failure,
    'ALL' as subject,
    as_of_date
from {{ ref('fct_customer_promotion') }}
group by as_of_date
having
    abs(sum(expected_promo_sales_365d) - sum(promo_sales_365d))
    > 0.01 + 0.000001 * sum(count_lines_365d)
