with

responses as (

    select * from {{ ref('int_survey_response__judged') }}

),

answers as (

    select * from {{ ref('int_survey_answer__known') }}

),

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

ranked as (

    select * from {{ ref('int_customer_value__ranked') }}

),

population as (

    select
        as_of_date,
        count(*) as count_population
    from ranked
    group by as_of_date

),

points as (

    select
        as_of_date,
        survey_id,
        response_id,
        sum(answer_num) as sum_points
    from answers
    where role = 'IMPORTANCE'
    group by as_of_date, survey_id, response_id

),

counted as (

    select
        responses.as_of_date,
        responses.survey_id,
        responses.wave_start_on,
        max(responses.wave_end_on) as wave_end_on,
        max(responses.median_duration_seconds) as median_duration_seconds,
        count(*) as count_responses,
        count(case when responses.is_complete then 1 end) as count_completes,
        count(case when not responses.is_identified then 1 end) as count_unidentified,
        count(responses.excluded_reason) as count_excluded,
        count(case when responses.is_duplicate then 1 end) as count_duplicates,
        count(case when responses.is_straight_liner then 1 end) as count_straight_liners,
        count(case when responses.is_speeder then 1 end) as count_speeders,
        count(case when responses.is_usable then 1 end) as count_usable,
        sum(responses.count_answers) as count_answers,
        sum(responses.count_missing) as count_missing,
        count(
            case
                when
                    points.sum_points < as_of_dates.importance_sum_min
                    or points.sum_points > as_of_dates.importance_sum_max
                    then 1
            end
        ) as count_importance_rejected,
        count(
            distinct case
                when responses.is_usable and responses.value_class is not null
                    then responses.customer_id
            end
        ) as count_respondents,
        count(case when responses.is_capped then 1 end) as count_capped,
        sum(responses.weight) as sum_weight,
        sum(responses.weight * responses.weight) as sum_weight_squared,
        bool_or(responses.is_simulated) as is_simulated
    from responses
    inner join as_of_dates on responses.as_of_date = as_of_dates.as_of_date
    left join points
        on
            responses.as_of_date = points.as_of_date
            and responses.survey_id = points.survey_id
            and responses.response_id = points.response_id
    group by responses.as_of_date, responses.survey_id, responses.wave_start_on

)

select  -- noqa: ST06
    -- keys
    counted.as_of_date,
    counted.survey_id,
    counted.wave_start_on,
    counted.wave_end_on,
    as_of_dates.is_latest,
    counted.wave_end_on <= counted.as_of_date as is_wave_complete,

    -- responses
    cast(counted.count_responses as integer) as count_responses,
    cast(counted.count_completes as integer) as count_completes,
    cast(counted.count_unidentified as integer) as count_unidentified,
    cast(counted.count_excluded as integer) as count_excluded,
    cast(counted.count_duplicates as integer) as count_duplicates,
    cast(counted.count_straight_liners as integer) as count_straight_liners,
    cast(counted.count_speeders as integer) as count_speeders,
    cast(counted.count_usable as integer) as count_usable,
    cast(counted.median_duration_seconds as decimal(18, 1)) as median_duration_seconds,

    -- answers
    cast(counted.count_answers as integer) as count_answers,
    cast(counted.count_missing as integer) as count_missing,
    cast(cast(counted.count_missing as double) / nullif(counted.count_answers, 0) as decimal(9, 6))
        as missing_share,
    cast(counted.count_importance_rejected as integer) as count_importance_rejected,

    -- whom the respondents stand for
    cast(null as integer) as count_delivered,
    cast(null as decimal(9, 6)) as response_rate,
    'NO_INVITATION_FEED' as response_rate_missing_reason,
    cast(counted.count_respondents as integer) as count_respondents,
    cast(coalesce(population.count_population, 0) as integer) as count_population,
    cast(
        cast(counted.count_respondents as double) / nullif(population.count_population, 0)
        as decimal(9, 6)
    ) as coverage,
    cast(counted.count_capped as integer) as count_capped_weights,
    cast(
        cast(counted.sum_weight as double) * cast(counted.sum_weight as double)
        / nullif(cast(counted.sum_weight_squared as double), 0)
        as decimal(18, 1)
    ) as n_effective,

    counted.is_simulated
from counted
inner join as_of_dates on counted.as_of_date = as_of_dates.as_of_date
left join population on counted.as_of_date = population.as_of_date
where
    counted.wave_end_on
    > as_of_dates.as_of_date - as_of_dates.window_days
