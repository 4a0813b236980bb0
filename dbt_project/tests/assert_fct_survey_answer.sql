-- No answer is lost on the way from raw and every key finds its row.
with answers as (
    select * from {{ ref('fct_survey_answer') }}
),

raw_answers as (
    select distinct
        response_id,
        question_id,
        option_seq
    from {{ ref('stg_survey_answer') }}
),

lost_answers as (
    select
        coalesce(answers.response_id, raw_answers.response_id) as response_id,
        coalesce(answers.question_id, raw_answers.question_id) as question_id,
        'answer is in one of raw and fact only' as failure
    from answers
    full outer join raw_answers
        on
            answers.response_id = raw_answers.response_id
            and answers.question_id = raw_answers.question_id
            and answers.option_seq = raw_answers.option_seq
    where answers.response_id is null or raw_answers.response_id is null
),

lost_keys as (
    select
        answers.response_id,
        answers.question_id,
        'a key without its dimension row' as failure
    from answers
    left join {{ ref('dim_question') }} as questions
        on answers.question_key = questions.question_key
    left join {{ ref('dim_store') }} as stores on answers.store_key = stores.store_key
    left join {{ ref('dim_card') }} as cards on answers.card_key = cards.card_key
    left join {{ ref('dim_customer') }} as customers
        on answers.customer_id = customers.customer_id
    where
        questions.question_key is null
        or stores.store_key is null
        or cards.card_key is null
        or customers.customer_id is null
)

select * from lost_answers
union all
select * from lost_keys
