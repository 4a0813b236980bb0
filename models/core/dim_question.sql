with history as (
    select * from {{ ref('dim_question_history') }}
)

select
    survey_id,
    question_id,
    question_key,
    survey_type,
    question_text,
    construct,
    facet,
    servqual_item,
    dimension,
    role,
    pair_id,
    scale_min,
    scale_max,
    higher_is_better,
    wave_start,
    wave_end,
    is_inferred
from history
where valid_to = {{ last_day_of_time() }}
