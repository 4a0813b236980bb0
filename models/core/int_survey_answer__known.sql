{{ config(materialized='ephemeral', contract={'enforced': false}) }}

with answers as (
    select * from {{ ref('fct_survey_answer_history') }}
),

as_of_dates as (
    select * from {{ ref('dim_as_of') }}
),

identity as (
    select * from {{ ref('bridge_customer_identity') }}
),

questions as (
    select * from {{ ref('int_question__known') }}
)

select
    as_of_dates.as_of_date,
    answers.response_id,
    answers.question_id,
    answers.option_seq,
    answers.survey_id,
    answers.question_key,
    identity.customer_id,
    answers.store_key,
    answers.complaint_no,
    answers.started_at,
    answers.submitted_at,
    answers.answered_on,
    answers.answer_num,
    answers.answer_code,
    answers.is_missing,
    answers.is_simulated,
    questions.survey_type,
    questions.construct,
    questions.facet,
    questions.servqual_item,
    questions.dimension,
    questions.role,
    questions.pair_id,
    questions.scale_min,
    questions.scale_max,
    questions.higher_is_better,
    questions.wave_start,
    questions.wave_end
from as_of_dates
-- an answer is known from the day of its submission; the second bound is for undated versions,
-- which count from the first day of time
inner join answers
    on
        as_of_dates.as_of_date >= answers.valid_from
        and as_of_dates.as_of_date < answers.valid_to
        and as_of_dates.as_of_date >= answers.answered_on
inner join identity
    on
        answers.card_key = identity.card_key
        and as_of_dates.as_of_date >= identity.valid_from
        and as_of_dates.as_of_date < identity.valid_to
left join questions
    on
        as_of_dates.as_of_date = questions.as_of_date
        and answers.question_key = questions.question_key
