with

customer_months as (

    select * from {{ ref('fct_customer_month') }}

),

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

churn_scores as (

    select * from {{ source('churn_score', 'fct_customer_churn_score') }}

),

evaluations as (

    select * from {{ source('churn_score', 'fct_model_evaluation') }}

),

lifetime_scores as (

    select * from {{ source('score', 'fct_customer_score') }}

),

reasons as (

    select * from {{ ref('int_churn_reason__collected') }}

),

averages as (

    select
        as_of_date,
        avg(count_visits_365d) as mean_visits_365d,
        avg(cast(gap_cv as decimal(18, 9))) as mean_gap_cv
    from customer_months
    where
        excluded_reason is null
        and count_visits_365d > 0
    group by as_of_date

),

-- C1, partial churn: more frequent and more regular than the average
loyal as (

    select
        customer_months.customer_id,
        customer_months.as_of_date
    from customer_months
    inner join averages on customer_months.as_of_date = averages.as_of_date
    where
        customer_months.excluded_reason is null
        and customer_months.count_visits_365d > averages.mean_visits_365d
        and customer_months.gap_cv < averages.mean_gap_cv

),

-- why nobody of the date has a probability
models_withheld as (

    select
        as_of_date,
        max(reason_code) as reason_code
    from evaluations
    where model = 'LOGISTIC'
    group by as_of_date
    having not bool_or(is_published)

),

-- C5: several causes each; what was stated in an earlier silence says nothing about this one
causes as (

    select
        as_of_date,
        customer_id,
        max(reason_source) as reason_source,
        max(case when reason_place = 1 then reason_code end) as reason_code,
        max(case when reason_place = 2 then reason_code end) as reason_code_2,
        max(case when reason_place = 3 then reason_code end) as reason_code_3,
        max(given_on) as reason_given_on,
        bool_and(is_avoidable) as is_avoidable,
        bool_or(is_simulated) as is_reason_simulated
    from reasons
    where is_current
    group by as_of_date, customer_id

)

select  -- noqa: ST06
    customer_months.customer_id,
    customer_months.as_of_date,
    as_of_dates.is_latest,
    customer_months.home_store_key,

    -- lifecycle
    customer_months.lifecycle_stage,
    customer_months.churn_status,
    customer_months.first_visit_on,
    customer_months.last_visit_on,
    customer_months.days_since_last_visit,
    customer_months.inactivity_threshold_days,
    customer_months.count_gaps,
    customer_months.mean_gap_days,
    customer_months.threshold_k,
    customer_months.churned_on,
    customer_months.count_spells_ended,
    customer_months.returned_on,
    customer_months.growth_ratio,
    case
        when customer_months.excluded_reason is null and customer_months.churn_status = 'ACTIVE'
            then
                (loyal_at_start.customer_id is not null and loyal_now.customer_id is null)
                or coalesce(
                    customer_months.growth_ratio_180d <= as_of_dates.partial_churn_ratio, false
                )
    end as is_partial_churn,

    -- C6: who will stay away
    churn_scores.p_churn,
    case
        when churn_scores.p_churn is not null then null
        when customer_months.excluded_reason is not null then 'EXCLUDED'
        when customer_months.churn_status <> 'ACTIVE' then customer_months.churn_status
        when customer_months.count_visits < as_of_dates.churn_min_visits then 'TOO_FEW_VISITS'
        else coalesce(models_withheld.reason_code, 'NOT_SCORED')
    end as p_churn_missing_reason,
    churn_scores.model,
    churn_scores.model_version,
    churn_scores.driver_1,
    churn_scores.driver_2,
    churn_scores.driver_3,

    -- C8
    cast(
        churn_scores.p_churn * coalesce(lifetime_scores.clv, customer_months.value_365d)
        as decimal(18, 2)
    ) as value_at_risk,
    case
        when churn_scores.p_churn is null then null
        when lifetime_scores.clv is not null then 'CLV'
        when customer_months.value_365d is not null then 'VALUE_365D'
    end as value_at_risk_method,
    case
        when churn_scores.p_churn is null then 'NO_P_CHURN'
        when lifetime_scores.clv is null and customer_months.value_365d is null
            then customer_months.margin_missing_reason
    end as value_at_risk_missing_reason,
    customer_months.value_basis,

    -- C5
    causes.reason_code,
    causes.reason_code_2,
    causes.reason_code_3,
    causes.reason_source,
    causes.reason_given_on,
    causes.is_avoidable,
    coalesce(causes.is_reason_simulated, false) as is_simulated,

    -- C4
    case
        when customer_months.churn_status = 'CHURNED' and customer_months.count_spells_ended > 0
            then 'CHURNED_AGAIN'
        when customer_months.churn_status = 'CHURNED' then 'CHURNED'
        when customer_months.churn_status = 'ACTIVE' and customer_months.count_spells_ended > 0
            then 'WON_BACK'
        when customer_months.churn_status = 'ACTIVE' then 'NEVER_LEFT'
    end as winback_state,
    case
        when customer_months.churn_status = 'ACTIVE'
            then
                cast(
                    {{ days_between('customer_months.returned_on', 'customer_months.as_of_date') }}
                    as integer
                )
    end as second_life_days,

    -- the period that ends with the date
    customer_months.period_start_date,
    customer_months.was_active_at_start,
    customer_months.churned_in_period,
    customer_months.was_churned_at_start,
    customer_months.was_churned_at_start and customer_months.visited_in_period
        as is_won_back_in_period,
    customer_months.excluded_reason
from customer_months
inner join as_of_dates on customer_months.as_of_date = as_of_dates.as_of_date
left join loyal as loyal_now
    on
        customer_months.as_of_date = loyal_now.as_of_date
        and customer_months.customer_id = loyal_now.customer_id
left join loyal as loyal_at_start
    on
        customer_months.period_start_date = loyal_at_start.as_of_date
        and customer_months.customer_id = loyal_at_start.customer_id
left join churn_scores
    on
        customer_months.as_of_date = churn_scores.as_of_date
        and customer_months.customer_id = churn_scores.customer_id
left join models_withheld on customer_months.as_of_date = models_withheld.as_of_date
left join lifetime_scores
    on
        customer_months.as_of_date = lifetime_scores.as_of_date
        and customer_months.customer_id = lifetime_scores.customer_id
left join causes
    on
        customer_months.as_of_date = causes.as_of_date
        and customer_months.customer_id = causes.customer_id
