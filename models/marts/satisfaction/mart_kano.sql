with

responses as (

    select * from {{ ref('int_survey_response__judged') }}
    where is_usable

),

answers as (

    select * from {{ ref('int_survey_answer__known') }}
    where role in ('FUNC', 'DYSF') and answer_num is not null

),

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

oriented as (

    -- the table reads 1 as "like": a scale on which 5 is "like" is turned round
    select
        *,
        case
            when higher_is_better then scale_min + scale_max - answer_num
            else answer_num
        end as choice
    from answers

),

paired as (

    select
        as_of_date,
        survey_id,
        response_id,
        coalesce(pair_id, construct) as attribute,
        max(case when role = 'FUNC' then choice end) as functional,
        max(case when role = 'DYSF' then choice end) as dysfunctional,
        bool_or(is_simulated) as is_simulated
    from oriented
    where choice in (1, 2, 3, 4, 5)
    group by as_of_date, survey_id, response_id, coalesce(pair_id, construct)

),

classed as (

    select
        paired.as_of_date,
        paired.survey_id,
        responses.wave_start_on,
        responses.wave_end_on,
        paired.attribute,
        paired.is_simulated,
        case
            when paired.functional is not null and paired.dysfunctional is not null
                then {{ kano_class('paired.functional', 'paired.dysfunctional') }}
        end as kano_class
    from paired
    inner join responses
        on
            paired.as_of_date = responses.as_of_date
            and paired.survey_id = responses.survey_id
            and paired.response_id = responses.response_id

),

counted as (

    select
        as_of_date,
        survey_id,
        wave_start_on,
        attribute,
        max(wave_end_on) as wave_end_on,
        count(case when kano_class = 'A' then 1 end) as count_attractive,
        count(case when kano_class = 'O' then 1 end) as count_one_dimensional,
        count(case when kano_class = 'M' then 1 end) as count_must_be,
        count(case when kano_class = 'I' then 1 end) as count_indifferent,
        count(case when kano_class = 'R' then 1 end) as count_reverse,
        count(case when kano_class = 'Q' then 1 end) as count_questionable,
        count(kano_class) as n,
        count(*) - count(kano_class) as n_unpaired,
        bool_or(is_simulated) as is_simulated
    from classed
    group by as_of_date, survey_id, wave_start_on, attribute

),

classes as (

    select
        'M' as kano_class,
        1 as precedence
    union all
    select
        'O' as kano_class,
        2 as precedence
    union all
    select
        'A' as kano_class,
        3 as precedence
    union all
    select
        'I' as kano_class,
        4 as precedence
    union all
    select
        'R' as kano_class,
        5 as precedence
    union all
    select
        'Q' as kano_class,
        6 as precedence

),

-- the six counts as rows, to find the mode and what follows it
placed as (

    select  -- noqa: ST06
        counted.as_of_date,
        counted.survey_id,
        counted.wave_start_on,
        counted.attribute,
        classes.kano_class,
        case classes.kano_class
            when 'M' then counted.count_must_be
            when 'O' then counted.count_one_dimensional
            when 'A' then counted.count_attractive
            when 'I' then counted.count_indifferent
            when 'R' then counted.count_reverse
            else counted.count_questionable
        end as count_class,
        classes.precedence
    from counted
    cross join classes

),

ordered as (

    select
        *,
        row_number() over (
            partition by as_of_date, survey_id, wave_start_on, attribute
            order by count_class desc nulls last, precedence asc nulls last
        ) as place
    from placed

),

modes as (

    select
        as_of_date,
        survey_id,
        wave_start_on,
        attribute,
        max(case when place = 1 then kano_class end) as kano_class,
        max(case when place = 1 then count_class end) as count_mode,
        max(case when place = 2 then count_class end) as count_second
    from ordered
    group by as_of_date, survey_id, wave_start_on, attribute

),

measured as (

    select
        counted.*,
        modes.kano_class,
        counted.count_attractive + counted.count_one_dimensional
        + counted.count_must_be + counted.count_indifferent as count_classed,
        cast(modes.count_mode - modes.count_second as double) / nullif(counted.n, 0)
            as mode_lead,
        cast(counted.count_questionable as double) / nullif(counted.n, 0) as questionable_share
    from counted
    inner join modes
        on
            counted.as_of_date = modes.as_of_date
            and counted.survey_id = modes.survey_id
            and counted.wave_start_on = modes.wave_start_on
            and counted.attribute = modes.attribute

)

select  -- noqa: ST06
    -- keys
    measured.as_of_date,
    measured.survey_id,
    measured.wave_start_on,
    measured.attribute,
    measured.wave_end_on,
    as_of_dates.is_latest,
    measured.wave_end_on <= measured.as_of_date as is_wave_complete,

    -- counts
    cast(measured.count_attractive as integer) as count_attractive,
    cast(measured.count_one_dimensional as integer) as count_one_dimensional,
    cast(measured.count_must_be as integer) as count_must_be,
    cast(measured.count_indifferent as integer) as count_indifferent,
    cast(measured.count_reverse as integer) as count_reverse,
    cast(measured.count_questionable as integer) as count_questionable,
    cast(measured.n as integer) as n,
    cast(measured.n_unpaired as integer) as n_unpaired,

    -- class
    case when measured.n > 0 then measured.kano_class end as category,
    cast(
        cast(measured.count_attractive + measured.count_one_dimensional as double)
        / nullif(measured.count_classed, 0)
        as decimal(9, 6)
    ) as better,
    cast(
        -cast(measured.count_one_dimensional + measured.count_must_be as double)
        / nullif(measured.count_classed, 0)
        as decimal(9, 6)
    ) as worse,
    cast(measured.mode_lead as decimal(9, 6)) as strength,
    cast(measured.questionable_share as decimal(9, 6)) as questionable_share,

    -- warnings
    cast(measured.mode_lead as decimal(9, 6)) < as_of_dates.kano_strength_min as is_mixed,
    cast(measured.questionable_share as decimal(9, 6)) > as_of_dates.kano_questionable_share_max
        as is_questionable,
    measured.n < as_of_dates.min_n as is_small_sample,

    measured.is_simulated
from measured
inner join as_of_dates on measured.as_of_date = as_of_dates.as_of_date
where
    measured.wave_end_on
    > as_of_dates.as_of_date - as_of_dates.window_days
