with questions as (
    select * from {{ ref('stg_survey_question') }}
),

answers as (
    select * from {{ ref('stg_survey_answer') }}
),

current_question as (
    select *
    from questions
    qualify row_number() over (
        partition by survey_id, question_id
        order by _version_at desc, _row_hash desc
    ) = 1
),

keys as (
    select
        survey_id,
        question_id
    from questions
    union distinct
    select
        survey_id,
        question_id
    from answers
)

select
    keys.survey_id,
    keys.question_id,
    {{ surrogate_key(['keys.survey_id', 'keys.question_id']) }} as question_key,
    current_question.survey_type,
    current_question.question_text,
    current_question.construct,
    current_question.facet,
    current_question.servqual_item,
    current_question.dimension,
    current_question.role,
    current_question.pair_id,
    current_question.scale_min,
    current_question.scale_max,
    current_question.higher_is_better,
    current_question.wave_start,
    current_question.wave_end,
    current_question.question_id is null as is_inferred
from keys
left join current_question
    on
        keys.survey_id = current_question.survey_id
        and keys.question_id = current_question.question_id
