with

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

answers as (

    select * from {{ ref('int_survey_answer__known') }}

),

complaints as (

    select * from {{ ref('fct_complaint_month') }}

),

reasons as (

    select * from {{ ref('dim_reason') }}

),

-- overall satisfaction and handling on 5 points, recommendation on 0 to 10; a question of another
-- scale cannot be read on theirs
scores as (

    select
        answers.as_of_date,
        answers.customer_id,
        answers.answered_on,
        answers.submitted_at,
        answers.response_id,
        answers.question_id,
        answers.option_seq,
        answers.is_simulated,
        case
            when answers.survey_type = 'NPS' then 'NPS'
            when answers.construct in ('HANDLING', 'MONTHLY_SPEND') then answers.construct
            else 'SATISFACTION'
        end as subject,
        case
            when answers.higher_is_better or answers.construct = 'MONTHLY_SPEND'
                then answers.answer_num
            else answers.scale_min + answers.scale_max - answers.answer_num
        end as score
    from answers
    inner join as_of_dates on answers.as_of_date = as_of_dates.as_of_date
    where
        answers.customer_id not in ('ANONYMOUS', 'UNKNOWN')
        and answers.answered_on > as_of_dates.as_of_date - as_of_dates.survey_max_age_days
        and answers.answer_num is not null
        and not answers.is_missing
        and (
            (answers.survey_type = 'NPS' and answers.scale_min = 0 and answers.scale_max = 10)
            or (
                answers.survey_type = 'CSAT'
                and answers.construct = 'SATISFACTION'
                and answers.facet is null
                and answers.scale_min = 1
                and answers.scale_max = 5
            )
            or (
                answers.survey_type = 'COMPLAINT_FOLLOWUP'
                and answers.construct = 'HANDLING'
                and answers.scale_min = 1
                and answers.scale_max = 5
            )
            or answers.construct = 'MONTHLY_SPEND'
        )

),

latest_scores as (

    select
        as_of_date,
        customer_id,
        subject,
        score,
        answered_on,
        is_simulated
    from scores
    qualify
        row_number() over (
            partition by as_of_date, customer_id, subject
            order by
                submitted_at desc nulls last,
                response_id desc nulls last,
                question_id asc nulls last,
                option_seq asc nulls last
        ) = 1

),

answered as (

    select
        as_of_date,
        customer_id,
        max(case when subject = 'SATISFACTION' then score end) as satisfaction_score,
        max(case when subject = 'SATISFACTION' then answered_on end) as satisfaction_on,
        max(case when subject = 'NPS' then score end) as nps_score,
        max(case when subject = 'NPS' then answered_on end) as nps_on,
        max(case when subject = 'HANDLING' then score end) as handling_score,
        max(case when subject = 'HANDLING' then answered_on end) as handling_on,
        max(case when subject = 'MONTHLY_SPEND' then score end) as monthly_spend,
        max(case when subject = 'MONTHLY_SPEND' then answered_on end) as monthly_spend_on,
        bool_or(is_simulated) as is_simulated
    from latest_scores
    group by as_of_date, customer_id

),

contacts as (

    select
        complaints.as_of_date,
        complaints.customer_id,
        complaints.received_on,
        complaints.is_valid,
        complaints.is_open,
        complaints.resolved_at,
        complaints.is_simulated,
        coalesce(reasons.component in ('SERVICE_VALUE', 'PERSONNEL_VALUE'), false)
            as is_about_service,
        complaints.received_on > complaints.as_of_date - as_of_dates.aftersales_complaining_days
            as is_recent,
        complaints.received_on > complaints.as_of_date - as_of_dates.window_days as is_in_window
    from complaints
    inner join as_of_dates on complaints.as_of_date = as_of_dates.as_of_date
    left join reasons on complaints.reason_code = reasons.reason_code
    where
        complaints.customer_id not in ('ANONYMOUS', 'UNKNOWN')
        and complaints.merged_into is null
        and complaints.cancelled_at is null

),

complained as (

    select
        as_of_date,
        customer_id,
        count(case when is_valid and is_recent then 1 end) as count_complaints_90d,
        count(case when is_valid and is_in_window then 1 end) as count_complaints_365d,
        count(case when is_valid and is_open then 1 end) as count_complaints_open,
        count(case when is_valid and resolved_at is null then 1 end) as count_complaints_unresolved,
        max(case when is_valid then received_on end) as last_complaint_on,
        count(case when is_in_window then 1 end) as count_service_contacts_365d,
        count(case when is_valid and is_in_window and is_about_service then 1 end)
            as count_service_complaints_365d,
        bool_or(is_simulated) as is_simulated
    from contacts
    group by as_of_date, customer_id

),

voices as (

    select
        as_of_date,
        customer_id
    from answered

    union

    select
        as_of_date,
        customer_id
    from complained

)

select
    voices.customer_id,
    voices.as_of_date,

    -- answers
    cast(answered.satisfaction_score as decimal(9, 3)) as satisfaction_score,
    answered.satisfaction_on,
    cast(answered.nps_score as decimal(9, 3)) as nps_score,
    answered.nps_on,
    cast(answered.handling_score as decimal(9, 3)) as handling_score,
    answered.handling_on,
    cast(answered.monthly_spend as decimal(18, 2)) as monthly_spend,
    answered.monthly_spend_on,

    -- complaints
    cast(coalesce(complained.count_complaints_90d, 0) as integer) as count_complaints_90d,
    cast(coalesce(complained.count_complaints_365d, 0) as integer) as count_complaints_365d,
    cast(coalesce(complained.count_complaints_open, 0) as integer) as count_complaints_open,
    cast(coalesce(complained.count_complaints_unresolved, 0) as integer)
        as count_complaints_unresolved,
    complained.last_complaint_on,
    cast(coalesce(complained.count_service_contacts_365d, 0) as integer)
        as count_service_contacts_365d,
    cast(coalesce(complained.count_service_complaints_365d, 0) as integer)
        as count_service_complaints_365d,
    coalesce(answered.is_simulated, false) or coalesce(complained.is_simulated, false)
        as is_simulated
from voices
left join answered
    on
        voices.as_of_date = answered.as_of_date
        and voices.customer_id = answered.customer_id
left join complained
    on
        voices.as_of_date = complained.as_of_date
        and voices.customer_id = complained.customer_id
