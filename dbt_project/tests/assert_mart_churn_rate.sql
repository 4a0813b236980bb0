-- Totals are those of mart_churn and of their parts; churned and active are all who ever came;
-- retained and churned make up the base, in customers and in value; a rate lies within its interval
-- and is NULL without a base; a probability has a published model, and what is missing a reason.
with rates as (
    select * from {{ ref('mart_churn_rate') }}
),

churn as (
    select * from {{ ref('mart_churn') }}
),

came as (
    select
        as_of_date,
        count(last_visit_on) as count_came
    from {{ ref('fct_customer_month') }}
    group by as_of_date
),

statuses as (
    select
        as_of_date,
        count(case when churn_status in ('ACTIVE', 'CHURNED') then 1 end) as count_eligible
    from churn
    group by as_of_date
),

causes_of_stores as (
    select
        as_of_date,
        period,
        reason_source,
        reason_code,
        sum(count_mentions) as count_mentions,
        sum(count_respondents) as count_respondents
    from {{ ref('mart_churn_reason') }}
    where store_code <> 'ALL'
    group by as_of_date, period, reason_source, reason_code
),

totals as (
    select
        as_of_date,
        'mart_churn' as part,
        count(case when was_active_at_start then 1 end) as active_start,
        count(case when churned_in_period then 1 end) as churned,
        count(case when was_churned_at_start then 1 end) as churned_start,
        count(case when is_won_back_in_period then 1 end) as won_back,
        count(case when churned_in_period and is_avoidable then 1 end) as churned_avoidable,
        cast(null as decimal(18, 2)) as value_lost
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
        sum(won_back) as won_back,
        sum(churned_avoidable) as churned_avoidable,
        sum(value_lost) as value_lost
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
        sum(won_back) as won_back,
        sum(churned_avoidable) as churned_avoidable,
        sum(value_lost) as value_lost
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
    or totals.churned_avoidable <> rates.churned_avoidable
    or totals.value_lost <> rates.value_lost

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
    or churned_avoidable + churned_involuntary + churned_reason_unknown <> churned
    or churned_reason_unknown < 0
    or value_lost not between value_lost_avoidable + value_lost_involuntary and value_start
    or (coalesce(value_start, 0) = 0) <> (value_retention_rate is null)
    or value_retention_rate not between 0 and 1
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

union all

select
    'churned and active are not all who came' as failure,
    came.as_of_date
from came
inner join statuses on came.as_of_date = statuses.as_of_date
where came.count_came <> statuses.count_eligible

union all

select
    'probability without a model, or nothing without a reason' as failure,
    churn.as_of_date
from churn
left join {{ ref('mart_model_evaluation') }} as evaluations
    on
        churn.as_of_date = evaluations.as_of_date
        and churn.model = evaluations.model
        and evaluations.is_published
where
    (churn.p_churn is null) <> (churn.p_churn_missing_reason is not null)
    or (churn.p_churn is null) <> (evaluations.model is null)
    or (churn.value_at_risk is null) <> (churn.value_at_risk_missing_reason is not null)
    or (churn.reason_code is null) <> (churn.reason_source is null)
    or (churn.reason_code is null) <> (churn.is_avoidable is null)
    or churn.reason_source = 'INFERRED'
    and (churn.churn_status <> 'CHURNED' or churn.reason_code_2 is not null)

union all

select
    'model published without beating the baselines' as failure,
    as_of_date
from {{ ref('mart_model_evaluation') }}
where
    is_published
    and (is_baseline or coalesce(auc <= baseline_auc + publish_margin, true))

union all

select
    'causes differ from their parts' as failure,
    totals.as_of_date
from {{ ref('mart_churn_reason') }} as totals
left join causes_of_stores as parts
    on
        totals.as_of_date = parts.as_of_date
        and totals.period = parts.period
        and totals.reason_source = parts.reason_source
        and totals.reason_code = parts.reason_code
where
    totals.store_code = 'ALL'
    and (
        totals.count_mentions <> coalesce(parts.count_mentions, 0)
        or totals.count_respondents <> coalesce(parts.count_respondents, 0)
        or totals.count_mentions > totals.count_respondents
        or (totals.count_respondents = 0) <> (totals.mention_pct is null)
    )
