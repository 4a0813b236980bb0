with

customer_months as (

    select * from {{ ref('fct_customer_month') }}

),

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

behaviour as (

    select * from {{ ref('int_behaviour__indexed') }}

),

patronage as (

    select
        customer_months.customer_id,
        customer_months.as_of_date,
        customer_months.attitude_score >= as_of_dates.attitude_high as is_attitude_high,
        coalesce(
            customer_months.count_visits_365d >= behaviour.median_visits_365d
            and customer_months.churn_status = 'ACTIVE',
            false
        ) as is_patronage_high
    from customer_months
    inner join as_of_dates on customer_months.as_of_date = as_of_dates.as_of_date
    left join behaviour
        on
            customer_months.as_of_date = behaviour.as_of_date
            and customer_months.customer_id = behaviour.customer_id
    where customer_months.excluded_reason is null

)

select
    customer_months.customer_id,
    customer_months.as_of_date,
    as_of_dates.is_latest,
    customer_months.home_store_key,

    -- behaviour
    customer_months.count_visits_365d,
    customer_months.count_gaps,
    customer_months.gap_cv,
    customer_months.tenure_days,
    customer_months.count_categories_365d,
    customer_months.months_active_12,
    behaviour.regularity_percentile,
    behaviour.frequency_percentile,
    behaviour.tenure_percentile,
    behaviour.breadth_percentile,
    behaviour.months_active_percentile,
    behaviour.behaviour_index,
    behaviour.behaviour_class,

    -- attitude
    customer_months.attitude_score is not null as is_surveyed,
    case when customer_months.excluded_reason is null then customer_months.attitude_score end
        as attitude_score,
    customer_months.attitude_survey_date,
    customer_months.attitude_is_simulated,
    patronage.is_attitude_high,
    patronage.is_patronage_high,
    case
        when patronage.is_attitude_high is null then 'UNKNOWN'
        when patronage.is_attitude_high and patronage.is_patronage_high then 'TRUE'
        when patronage.is_attitude_high then 'LATENT'
        when patronage.is_patronage_high then 'SPURIOUS'
        else 'NONE'
    end as loyalty_type,
    customer_months.excluded_reason
from customer_months
inner join as_of_dates on customer_months.as_of_date = as_of_dates.as_of_date
left join behaviour
    on
        customer_months.as_of_date = behaviour.as_of_date
        and customer_months.customer_id = behaviour.customer_id
left join patronage
    on
        customer_months.as_of_date = patronage.as_of_date
        and customer_months.customer_id = patronage.customer_id
