-- Totals are those of mart_churn and of their parts; retained and churned make up the base; a
-- rate lies within its interval and is NULL without a base.
with rates as (
    select * from {{ ref('mart_churn_rate') }}
),

churn as (
    select * from {{ ref('mart_churn') }}
),

totals as (
    select
        as_of_date,
        'mart_churn' as part,
        count(case when was_active_at_start then 1 end) as active_start,
        count(case when churned_in_period then 1 end) as churned,
        count(case when was_churned_at_start then 1 end) as churned_start,
        count(case when is_won_back_in_period then 1 end) as won_back
    from churn
    where excluded_reason is null
    group by as_of_date

    union all

    select
        as_of_date,
        'stores' as part,
        sum(active_start) as active_start,
        sum(churned) as churned,
        sum(churned_start) as churned_start,
        sum(won_back) as won_back
    from rates
    where store_code <> 'ALL' and pyramid_tier = 'ALL'
    group by as_of_date

    union all

    select
        as_of_date,
        'tiers' as part,
        sum(active_start) as active_start,
        sum(churned) as churned,
        sum(churned_start) as churned_start,
        sum(won_back) as won_back
    from rates
    where store_code = 'ALL' and pyramid_tier <> 'ALL'
    group by as_of_date
)

select
    'total differs from ' || totals.part as failure,
    totals.as_of_date
from totals
inner join rates
    on
        totals.as_of_date = rates.as_of_date
        and rates.store_code = 'ALL'
        and rates.pyramid_tier = 'ALL'
where
    totals.active_start <> rates.active_start
    or totals.churned <> rates.churned
    or totals.churned_start <> rates.churned_start
    or totals.won_back <> rates.won_back

union all

select
    'date without a total' as failure,
    as_of_dates.as_of_date
from {{ ref('dim_as_of') }} as as_of_dates
left join rates
    on
        as_of_dates.as_of_date = rates.as_of_date
        and rates.store_code = 'ALL'
        and rates.pyramid_tier = 'ALL'
where rates.as_of_date is null

union all

select
    'counts and rates disagree' as failure,
    as_of_date
from rates
where
    churned + retained <> active_start
    or churned < 0
    or churned > active_start
    or won_back > churned_start
    or repurchase_buyers > repurchase_base
    or (active_start = 0) <> (churn_rate is null)
    or (churned_start = 0) <> (winback_rate is null)
    or (repurchase_base = 0) <> (repurchase_rate is null)
    or churn_rate + retention_rate <> 1
    or churn_rate not between churn_rate_lo and churn_rate_hi
    or winback_rate not between winback_rate_lo and winback_rate_hi
    or repurchase_rate not between repurchase_rate_lo and repurchase_rate_hi

union all

select
    'customer without a row in mart_churn, or row without a customer' as failure,
    coalesce(months.as_of_date, churn.as_of_date) as as_of_date
from {{ ref('fct_customer_month') }} as months
full outer join churn
    on
        months.customer_id = churn.customer_id
        and months.as_of_date = churn.as_of_date
where months.customer_id is null or churn.customer_id is null
