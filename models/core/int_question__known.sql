{{ config(materialized='ephemeral', contract={'enforced': false}) }}

with history as (
    select * from {{ ref('dim_question_history') }}
),

as_of_dates as (
    select * from {{ ref('dim_as_of') }}
)

select
    as_of_dates.as_of_date,
    history.survey_id,
    history.question_id,
    history.question_key,
    history.survey_type,
    history.construct,
    history.facet,
    history.servqual_item,
    history.dimension,
    history.role,
    history.pair_id,
    history.scale_min,
    history.scale_max,
    history.higher_is_better,
    history.wave_start,
    history.wave_end
from as_of_dates
-- the second bound: a question that was added to its survey later was none of it yet
inner join history
    on
        as_of_dates.as_of_date >= history.valid_from
        and as_of_dates.as_of_date < history.valid_to
        and as_of_dates.as_of_date >= history.known_from
