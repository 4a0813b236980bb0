with versions as (
    select * from {{ ref('int_question__range') }}
),

answers as (
    select * from {{ ref('fct_survey_answer_history') }}
),

-- an answer is known from the day of its submission; undated versions count from the first day of
-- time
answered as (
    select
        survey_id,
        question_id,
        min(greatest(valid_from, answered_on)) as first_answer_on
    from answers
    where answered_on is not null
    group by survey_id, question_id
),

keys as (
    select
        survey_id,
        question_id
    from versions
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
    versions.survey_type,
    versions.question_text,
    versions.construct,
    versions.facet,
    versions.servqual_item,
    versions.dimension,
    versions.role,
    versions.pair_id,
    versions.scale_min,
    versions.scale_max,
    versions.higher_is_better,
    versions.wave_start,
    versions.wave_end,
    versions.question_id is null as is_inferred,
    least(
        coalesce(versions.first_version_on, {{ last_day_of_time() }}),
        coalesce(answered.first_answer_on, {{ last_day_of_time() }})
    ) as known_from,
    coalesce(versions.valid_from, {{ first_day() }}) as valid_from,
    coalesce(versions.valid_to, {{ last_day_of_time() }}) as valid_to
from keys
left join versions
    on
        keys.survey_id = versions.survey_id
        and keys.question_id = versions.question_id
left join answered
    on
        keys.survey_id = answered.survey_id
        and keys.question_id = answered.question_id
