with

customer_months as (

    select * from {{ ref('fct_customer_month') }}

),

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

answers as (

    select * from {{ ref('int_survey_answer__known') }}

),

complaints as (

    select * from {{ ref('fct_complaint_month') }}

),

complaint_reasons as (

    select * from {{ ref('dim_reason') }}

),

store_history as (

    select * from {{ ref('dim_store_history') }}

),

churn_reasons as (

    select * from {{ ref('churn_reason') }}

),

customers as (

    select
        customer_months.customer_id,
        customer_months.as_of_date,
        customer_months.home_store_key,
        customer_months.last_visit_on,
        customer_months.churn_status,
        as_of_dates.churn_reason_days
    from customer_months
    inner join as_of_dates on customer_months.as_of_date = as_of_dates.as_of_date
    where
        customer_months.excluded_reason is null
        and customer_months.last_visit_on is not null

),

-- ------------------------------------------------------------------------------- what they stated

exit_answers as (

    select
        answers.as_of_date,
        answers.customer_id,
        answers.answer_code as reason_code,
        answers.answered_on as given_on,
        answers.is_simulated,
        answers.question_id,
        answers.option_seq,
        churn_reasons.is_avoidable,
        customers.last_visit_on < answers.answered_on as is_current,
        dense_rank() over (
            partition by answers.as_of_date, answers.customer_id
            order by answers.submitted_at desc nulls last, answers.response_id desc nulls last
        ) as response_place,
        row_number() over (
            partition by
                answers.as_of_date, answers.customer_id, answers.response_id, answers.answer_code
            order by answers.question_id asc nulls last, answers.option_seq asc nulls last
        ) as mention
    from answers
    inner join churn_reasons on answers.answer_code = churn_reasons.reason_code
    inner join customers
        on
            answers.as_of_date = customers.as_of_date
            and answers.customer_id = customers.customer_id
    where answers.survey_type = 'EXIT'

),

stated as (

    select
        as_of_date,
        customer_id,
        reason_code,
        'STATED' as reason_source,
        given_on,
        is_avoidable,
        is_current,
        is_simulated,
        row_number() over (
            partition by as_of_date, customer_id
            order by
                question_id asc nulls last, option_seq asc nulls last, reason_code asc nulls last
        ) as reason_place
    from exit_answers
    where response_place = 1 and mention = 1

),

stated_customers as (

    select distinct
        as_of_date,
        customer_id
    from stated
    where is_current

),

-- ---------------------------------------------------------------- what can be inferred of the rest

churned_customers as (

    select
        customers.customer_id,
        customers.as_of_date,
        customers.home_store_key,
        customers.last_visit_on,
        customers.churn_reason_days
    from customers
    left join stated_customers
        on
            customers.as_of_date = stated_customers.as_of_date
            and customers.customer_id = stated_customers.customer_id
    where
        customers.churn_status = 'CHURNED'
        and stated_customers.customer_id is null

),

indications as (

    select
        churned_customers.as_of_date,
        churned_customers.customer_id,
        'INVOLUNTARY' as reason_code,
        store_history.closed_on as given_on,
        false as is_simulated,
        1 as strength,
        cast(store_history.closed_on as timestamp) as given_at,
        cast(null as {{ dbt.type_string() }}) as complaint_no
    from churned_customers
    inner join store_history
        on
            churned_customers.home_store_key = store_history.store_key
            and churned_customers.as_of_date >= store_history.valid_from
            and churned_customers.as_of_date < store_history.valid_to
    where
        store_history.closed_on > churned_customers.last_visit_on
        - churned_customers.churn_reason_days
        and store_history.closed_on <= churned_customers.as_of_date

    union all

    select
        churned_customers.as_of_date,
        churned_customers.customer_id,
        complaint_reasons.keaveney as reason_code,
        complaints.received_on as given_on,
        complaints.is_simulated,
        2 as strength,
        complaints.received_at as given_at,
        complaints.complaint_no
    from churned_customers
    inner join complaints
        on
            churned_customers.as_of_date = complaints.as_of_date
            and churned_customers.customer_id = complaints.customer_id
    inner join complaint_reasons on complaints.reason_code = complaint_reasons.reason_code
    where
        complaints.is_valid
        and complaint_reasons.keaveney is not null
        and complaints.received_on > churned_customers.last_visit_on
        - churned_customers.churn_reason_days

),

inferred as (

    select
        indications.as_of_date,
        indications.customer_id,
        indications.reason_code,
        'INFERRED' as reason_source,
        indications.given_on,
        churn_reasons.is_avoidable,
        true as is_current,
        indications.is_simulated,
        row_number() over (
            partition by indications.as_of_date, indications.customer_id
            order by
                indications.strength asc nulls last,
                indications.given_at desc nulls last,
                indications.complaint_no desc nulls last
        ) as reason_place
    from indications
    inner join churn_reasons on indications.reason_code = churn_reasons.reason_code

)

select
    as_of_date,
    customer_id,
    reason_code,
    reason_source,
    given_on,
    is_avoidable,
    is_current,
    is_simulated,
    reason_place
from stated

union all

select
    as_of_date,
    customer_id,
    reason_code,
    reason_source,
    given_on,
    is_avoidable,
    is_current,
    is_simulated,
    reason_place
from inferred
where reason_place = 1
