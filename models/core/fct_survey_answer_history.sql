with ranges as (
    select * from {{ ref('int_survey_answer__range') }}
),

cards as (
    select * from {{ ref('dim_card') }}
    where card_key >= 0
),

identity as (
    select * from {{ ref('bridge_customer_identity') }}
    where valid_to = {{ last_day_of_time() }}
),

keyed as (
    select
        ranges.*,
        case
            when ranges.card_no is null then {{ anonymous_key() }}
            else coalesce(cards.card_key, {{ unknown_key() }})
        end as card_key,
        coalesce(
            {{ is_one_of('ranges.answer_code', param('survey_missing_codes')) }}, false
        )
        or coalesce(
            {{ is_one_of('cast(cast(ranges.answer_num as integer) as ' ~ dbt.type_string() ~ ')',
                param('survey_missing_codes')) }}
            and ranges.answer_num = cast(ranges.answer_num as integer), false
        ) as is_missing
    from ranges
    left join cards on ranges.card_no = cards.card_no
)

select
    {{ surrogate_key(['keyed.response_id', 'keyed.question_id', 'keyed.option_seq']) }}
        as answer_key,
    keyed.response_id,
    keyed.question_id,
    keyed.option_seq,
    keyed.survey_id,
    {{ surrogate_key(['keyed.survey_id', 'keyed.question_id']) }} as question_key,
    keyed.card_key,
    identity.customer_id,
    {{ reference_key('keyed.store_code') }} as store_key,
    keyed.complaint_no,
    keyed.started_at,
    keyed.submitted_at,
    cast(keyed.submitted_at as date) as answered_on,
    case when not keyed.is_missing then keyed.answer_num end as answer_num,
    keyed.answer_code,
    keyed.is_missing,
    keyed.is_simulated,
    keyed.valid_from,
    keyed.valid_to
from keyed
inner join identity on keyed.card_key = identity.card_key
