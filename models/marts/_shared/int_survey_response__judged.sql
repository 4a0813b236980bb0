with

answers as (

    -- employees and managers are no customers
    select * from {{ ref('int_survey_answer__known') }}
    where coalesce(survey_type, '') not in ('EMPLOYEE', 'MANAGER')

),

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

questions as (

    select * from {{ ref('int_question__known') }}

),

customer_months as (

    select * from {{ ref('fct_customer_month') }}

),

ranked as (

    select * from {{ ref('int_customer_value__ranked') }}

),

closed_questions as (

    select
        as_of_date,
        survey_id,
        count(*) as count_questions
    from questions
    where role <> 'OPEN'
    group by as_of_date, survey_id

),

responses as (

    select
        as_of_date,
        survey_id,
        response_id,
        max(customer_id) as customer_id,
        max(store_key) as store_key,
        max(complaint_no) as complaint_no,
        min(started_at) as started_at,
        -- a corrected answer has a later submission; the response is the day's that it came in
        min(submitted_at) as submitted_at,
        min(answered_on) as responded_on,
        min(wave_start) as question_wave_start_on,
        max(wave_end) as question_wave_end_on,
        count(distinct case when role <> 'OPEN' then question_id end) as count_answered,
        count(case when role <> 'OPEN' then 1 end) as count_answers,
        count(case when role <> 'OPEN' and is_missing then 1 end) as count_missing,
        count(case when role not in ('OPEN', 'IMPORTANCE') then answer_num end) as count_items,
        min(case when role not in ('OPEN', 'IMPORTANCE') then answer_num end) as lowest_answer,
        max(case when role not in ('OPEN', 'IMPORTANCE') then answer_num end) as highest_answer,
        bool_or(is_simulated) as is_simulated
    from answers
    group by as_of_date, survey_id, response_id

),

measured as (

    select
        responses.*,
        as_of_dates.survey_straight_line_min_items,
        as_of_dates.survey_speeder_share,
        as_of_dates.survey_unusable_flags,
        as_of_dates.survey_weight_cap,
        {{ seconds_between('responses.started_at', 'responses.submitted_at') }}
            as duration_seconds,
        -- an answer from outside the wave, or with a wave too long to be one, belongs to its month
        coalesce(
            responses.responded_on between
            responses.question_wave_start_on and responses.question_wave_end_on
            and {{ days_between(
                'responses.question_wave_start_on', 'responses.question_wave_end_on'
            ) }} < as_of_dates.survey_wave_max_days,
            false
        ) as has_own_wave,
        coalesce(
            responses.count_answered
            >= closed_questions.count_questions * as_of_dates.survey_complete_min_share,
            false
        ) as is_complete
    from responses
    inner join as_of_dates on responses.as_of_date = as_of_dates.as_of_date
    left join closed_questions
        on
            responses.as_of_date = closed_questions.as_of_date
            and responses.survey_id = closed_questions.survey_id

),

dated as (

    select
        *,
        case
            when has_own_wave then question_wave_start_on
            else cast(date_trunc('month', responded_on) as date)
        end as wave_start_on,
        case
            when has_own_wave then question_wave_end_on
            else last_day(responded_on)
        end as wave_end_on,
        customer_id not in ('ANONYMOUS', 'UNKNOWN') as is_identified
    from measured

),

medians as (

    select
        as_of_date,
        survey_id,
        median(duration_seconds) as median_duration_seconds
    from dated
    group by as_of_date, survey_id

),

-- two complaints of one customer are two things to ask about
repeated as (

    select
        as_of_date,
        survey_id,
        response_id,
        row_number() over (
            partition by
                as_of_date, survey_id, wave_start_on, customer_id, coalesce(complaint_no, '')
            order by
                case when is_complete then 0 else 1 end,
                submitted_at desc nulls last,
                response_id desc nulls last
        ) > 1 as is_duplicate
    from dated
    where is_identified

),

flagged as (

    select
        dated.*,
        medians.median_duration_seconds,
        customer_months.excluded_reason,
        ranked.value_class,
        case when ranked.value_class is not null then customer_months.home_store_key end
            as home_store_key,
        coalesce(repeated.is_duplicate, false) as is_duplicate,
        coalesce(
            dated.count_items >= dated.survey_straight_line_min_items
            and dated.lowest_answer = dated.highest_answer,
            false
        ) as is_straight_liner,
        coalesce(
            dated.duration_seconds
            < medians.median_duration_seconds * dated.survey_speeder_share,
            false
        ) as is_speeder
    from dated
    inner join medians
        on dated.as_of_date = medians.as_of_date and dated.survey_id = medians.survey_id
    left join repeated
        on
            dated.as_of_date = repeated.as_of_date
            and dated.survey_id = repeated.survey_id
            and dated.response_id = repeated.response_id
    left join customer_months
        on
            dated.as_of_date = customer_months.as_of_date
            and dated.customer_id = customer_months.customer_id
    left join ranked
        on
            dated.as_of_date = ranked.as_of_date
            and dated.customer_id = ranked.customer_id

),

judged as (

    select
        *,
        excluded_reason is null
        and not (is_duplicate and {{ is_one_of("'DUPLICATE'", 'survey_unusable_flags') }})
        and not (is_straight_liner and {{ is_one_of("'STRAIGHT_LINER'", 'survey_unusable_flags') }})
        and not (is_speeder and {{ is_one_of("'SPEEDER'", 'survey_unusable_flags') }})
            as is_usable
    from flagged

),

-- whom the respondents stand for: customers with a visit in the window, by value class and store
population as (

    select
        ranked.as_of_date,
        ranked.value_class,
        customer_months.home_store_key,
        count(*) as count_population
    from ranked
    inner join customer_months
        on
            ranked.as_of_date = customer_months.as_of_date
            and ranked.customer_id = customer_months.customer_id
    group by ranked.as_of_date, ranked.value_class, customer_months.home_store_key

),

sampled as (

    select
        as_of_date,
        survey_id,
        wave_start_on,
        value_class,
        home_store_key,
        count(*) as count_respondents
    from judged
    where is_usable and value_class is not null
    group by as_of_date, survey_id, wave_start_on, value_class, home_store_key

),

waves as (

    select distinct
        as_of_date,
        survey_id,
        wave_start_on
    from sampled

),

strata as (

    select
        waves.as_of_date,
        waves.survey_id,
        waves.wave_start_on,
        population.value_class,
        population.home_store_key,
        population.count_population,
        coalesce(sampled.count_respondents, 0) as count_respondents,
        sum(coalesce(sampled.count_respondents, 0)) over (
            partition by
                waves.as_of_date, waves.survey_id, waves.wave_start_on,
                population.value_class
        ) as class_respondents,
        sum(case when sampled.count_respondents is null then population.count_population else 0 end)
            over (
                partition by
                    waves.as_of_date, waves.survey_id, waves.wave_start_on,
                    population.value_class
            ) as class_unsampled
    from waves
    inner join population on waves.as_of_date = population.as_of_date
    left join sampled
        on
            waves.as_of_date = sampled.as_of_date
            and waves.survey_id = sampled.survey_id
            and waves.wave_start_on = sampled.wave_start_on
            and population.value_class = sampled.value_class
            and population.home_store_key = sampled.home_store_key

),

totals as (

    select
        *,
        sum(count_population) over (
            partition by as_of_date, survey_id, wave_start_on
        ) as total_population,
        sum(count_respondents) over (
            partition by as_of_date, survey_id, wave_start_on
        ) as total_respondents,
        sum(case when class_respondents = 0 then count_population else 0 end) over (
            partition by as_of_date, survey_id, wave_start_on
        ) as total_unsampled
    from strata

),

-- A respondent stands for the customers of the own stratum; those of strata without a respondent
-- are shared out over the respondents of their class, those of classes without one over all. So
-- the weights, before the cap, add up to the population; divided by its mean the weight is 1 where
-- respondents and population are alike.
weights as (

    select
        as_of_date,
        survey_id,
        wave_start_on,
        value_class,
        home_store_key,
        cast(total_respondents as double) / nullif(total_population, 0) * (
            cast(count_population as double) / nullif(count_respondents, 0)
            + cast(class_unsampled as double) / nullif(class_respondents, 0)
            + cast(total_unsampled as double) / nullif(total_respondents, 0)
        ) as uncapped_weight
    from totals
    where count_respondents > 0

)

select  -- noqa: ST06
    judged.as_of_date,
    judged.survey_id,
    judged.response_id,
    judged.customer_id,
    judged.store_key,
    judged.home_store_key,
    judged.value_class,
    judged.excluded_reason,
    judged.responded_on,
    judged.submitted_at,
    judged.wave_start_on,
    judged.wave_end_on,
    judged.is_identified,
    judged.is_complete,
    judged.count_answers,
    judged.count_missing,
    judged.duration_seconds,
    judged.median_duration_seconds,
    judged.is_duplicate,
    judged.is_straight_liner,
    judged.is_speeder,
    judged.is_usable,
    -- least() skips NULLs: who has no stratum would get the cap
    case
        when judged.is_usable and weights.uncapped_weight is not null
            then
                cast(
                    least(weights.uncapped_weight, cast(judged.survey_weight_cap as double))
                    as decimal(9, 4)
                )
    end as weight,
    coalesce(
        judged.is_usable and weights.uncapped_weight > cast(judged.survey_weight_cap as double),
        false
    ) as is_capped,
    judged.is_simulated
from judged
left join weights
    on
        judged.as_of_date = weights.as_of_date
        and judged.survey_id = weights.survey_id
        and judged.wave_start_on = weights.wave_start_on
        and judged.value_class = weights.value_class
        and judged.home_store_key = weights.home_store_key
