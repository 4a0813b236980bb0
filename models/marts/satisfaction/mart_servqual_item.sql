with

responses as (

    select * from {{ ref('int_survey_response__judged') }}
    where is_usable

),

known as (

    select * from {{ ref('int_survey_answer__known') }}
    where
        survey_type in ('SERVQUAL', 'MANAGER')
        and role in ('P', 'E')
        and servqual_item is not null
        and answer_num is not null

),

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

stores as (

    select * from {{ ref('dim_store') }}

),

answered as (

    select
        as_of_date,
        survey_id,
        response_id,
        servqual_item,
        max(dimension) as dimension,
        max(case when role = 'E' then answer_num end) as expected,
        max(case when role = 'P' then answer_num end) as perceived,
        bool_or(is_simulated) as is_simulated
    from known
    where survey_type = 'SERVQUAL'
    group by as_of_date, survey_id, response_id, servqual_item

),

located as (

    select
        answered.*,
        responses.wave_start_on,
        responses.wave_end_on,
        coalesce(stores.store_code, 'UNKNOWN') as store_code
    from answered
    inner join responses
        on
            answered.as_of_date = responses.as_of_date
            and answered.survey_id = responses.survey_id
            and answered.response_id = responses.response_id
    left join stores on responses.store_key = stores.store_key

),

-- sums of decimals are exact; means and errors are made of them at the end
summed as (

    select  -- noqa: ST06
        as_of_date,
        survey_id,
        wave_start_on,
        case when grouping(store_code) = 1 then 'ALL' else store_code end as store_code,
        servqual_item,
        max(wave_end_on) as wave_end_on,
        max(dimension) as dimension,
        count(expected) as count_expected,
        count(perceived) as count_perceived,
        count(perceived - expected) as n,
        sum(case when perceived is not null then expected end) as sum_expected,
        sum(case when expected is not null then perceived end) as sum_perceived,
        sum((perceived - expected) * (perceived - expected)) as sum_gap_squared,
        bool_or(is_simulated) as is_simulated
    from located
    group by as_of_date, survey_id, wave_start_on, servqual_item, rollup(store_code)

),

-- what managers believe customers expect, answered within the year that ends with the date
beliefs as (

    select
        known.as_of_date,
        known.servqual_item,
        count(*) as count_managers,
        sum(known.answer_num) as sum_believed
    from known
    inner join as_of_dates on known.as_of_date = as_of_dates.as_of_date
    where
        known.survey_type = 'MANAGER'
        and known.role = 'E'
        and known.answered_on > as_of_dates.as_of_date - as_of_dates.window_days
    group by known.as_of_date, known.servqual_item

),

averaged as (

    select
        *,
        cast(sum_expected as double) / nullif(n, 0) as mean_expected,
        cast(sum_perceived as double) / nullif(n, 0) as mean_perceived,
        cast(sum_perceived - sum_expected as double) / nullif(n, 0) as gap
    from summed

)

select  -- noqa: ST06
    -- keys
    averaged.as_of_date,
    averaged.survey_id,
    averaged.wave_start_on,
    averaged.store_code,
    averaged.servqual_item,
    averaged.dimension,
    averaged.wave_end_on,
    as_of_dates.is_latest,
    averaged.wave_end_on <= averaged.as_of_date as is_wave_complete,

    -- respondents who gave both
    cast(averaged.n as integer) as n,
    cast(averaged.count_expected as integer) as count_expected,
    cast(averaged.count_perceived as integer) as count_perceived,
    cast(averaged.count_expected + averaged.count_perceived - 2 * averaged.n as integer)
        as n_unpaired,
    cast(averaged.mean_expected as decimal(9, 6)) as expected_mean,
    cast(averaged.mean_perceived as decimal(9, 6)) as perceived_mean,
    cast(averaged.gap as decimal(9, 6)) as gap,
    case
        when averaged.n > 1
            then
                cast(
                    sqrt(
                        greatest(
                            0.0,
                            cast(averaged.sum_gap_squared as double)
                            - averaged.n * averaged.gap * averaged.gap
                        )
                        / (averaged.n - 1) / averaged.n
                    )
                    as decimal(9, 6)
                )
    end as gap_se,

    -- the other gaps of the model
    cast(
        averaged.mean_expected
        - cast(beliefs.sum_believed as double) / nullif(beliefs.count_managers, 0)
        as decimal(9, 6)
    ) as gap_1,
    case when beliefs.count_managers is null then 'NO_MANAGER_SURVEY' end as gap_1_missing_reason,
    cast(null as decimal(9, 6)) as gap_2,
    cast(null as decimal(9, 6)) as gap_3,
    cast(null as decimal(9, 6)) as gap_4,
    'NO_STAFF_SURVEY' as gaps_2_to_4_missing_reason,

    averaged.n < as_of_dates.min_n as is_small_sample,
    averaged.is_simulated
from averaged
inner join as_of_dates on averaged.as_of_date = as_of_dates.as_of_date
left join beliefs
    on
        averaged.as_of_date = beliefs.as_of_date
        and averaged.servqual_item = beliefs.servqual_item
where
    averaged.wave_end_on
    > as_of_dates.as_of_date - as_of_dates.window_days
