with history as (
    select * from {{ ref('fct_survey_answer_history') }}
)

select
    answer_key,
    response_id,
    question_id,
    option_seq,
    survey_id,
    question_key,
    card_key,
    customer_id,
    store_key,
    complaint_no,
    started_at,
    submitted_at,
    answered_on,
    answer_num,
    answer_code,
    is_missing,
    is_simulated
from history
where valid_to = {{ last_day_of_time() }}
