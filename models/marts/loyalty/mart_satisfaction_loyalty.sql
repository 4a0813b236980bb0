with

answers as (

    select * from {{ ref('int_survey_answer__known') }}

),

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

customer_months as (

    select * from {{ ref('fct_customer_month') }}

),

store_history as (

    select * from {{ ref('dim_store_history') }}

),

visits as (

    select * from {{ ref('fct_visit') }}

),

scores as (

    {% for score in range(1, 6) -%}
    select {{ score }} as satisfaction_score
    {%- if not loop.last %}
    union all
    {% endif %}
    {%- endfor %}

),

levels as (

    {% for level in ['ALL', 'NONE', 'FEW', 'MANY', 'UNKNOWN'] -%}
    select '{{ level }}' as competition
    {%- if not loop.last %}
    union all
    {% endif %}
    {%- endfor %}

),

-- overall satisfaction of the window on 5 points, at the store of the answer or else the
-- customer's own
judged as (

    select
        answers.as_of_date,
        answers.customer_id,
        answers.response_id,
        answers.question_id,
        answers.option_seq,
        answers.submitted_at,
        answers.answered_on,
        answers.is_simulated,
        cast(round({{ oriented_score('answers') }}) as integer) as satisfaction_score,
        case
            when store_history.competitors_3km is null then 'UNKNOWN'
            when store_history.competitors_3km = 0 then 'NONE'
            when store_history.competitors_3km <= as_of_dates.competition_few_max then 'FEW'
            else 'MANY'
        end as competition,
        as_of_dates.satisfaction_retention_days,
        answers.answered_on + as_of_dates.satisfaction_retention_days <= answers.as_of_date
            as is_mature
    from answers
    inner join as_of_dates on answers.as_of_date = as_of_dates.as_of_date
    inner join customer_months
        on
            answers.as_of_date = customer_months.as_of_date
            and answers.customer_id = customer_months.customer_id
    left join store_history
        on
            store_history.store_key = case
                when answers.store_key <> {{ unknown_key() }} then answers.store_key
                else customer_months.home_store_key
            end
            and answers.as_of_date >= store_history.valid_from
            and answers.as_of_date < store_history.valid_to
    where
        customer_months.excluded_reason is null
        and answers.survey_type = 'CSAT'
        and answers.construct = 'SATISFACTION'
        and answers.facet is null
        and answers.scale_min = 1
        and answers.scale_max = 5
        and answers.answer_num is not null
        and not answers.is_missing
        and answers.answered_on > answers.as_of_date - as_of_dates.window_days

),

-- the latest of each customer that has been followed long enough, so that nobody counts twice
latest_mature as (

    select *
    from judged
    where is_mature
    qualify
        row_number() over (
            partition by as_of_date, customer_id
            order by
                submitted_at desc nulls last,
                response_id desc nulls last,
                question_id asc nulls last,
                option_seq asc nulls last
        ) = 1

),

followed as (

    select
        latest_mature.as_of_date,
        latest_mature.customer_id,
        latest_mature.satisfaction_score,
        latest_mature.competition,
        coalesce(
            min(visits.visit_on)
            <= latest_mature.answered_on + latest_mature.satisfaction_retention_days, false
        ) as is_retained
    from latest_mature
    left join visits
        on
            latest_mature.customer_id = visits.customer_id
            and latest_mature.as_of_date >= visits.known_from
            and latest_mature.as_of_date < visits.known_to
            and latest_mature.answered_on < visits.visit_on
    group by
        latest_mature.as_of_date,
        latest_mature.customer_id,
        latest_mature.satisfaction_score,
        latest_mature.competition,
        latest_mature.answered_on,
        latest_mature.satisfaction_retention_days

),

answer_counts as (

    select
        as_of_date,
        satisfaction_score,
        case when grouping(competition) = 1 then 'ALL' else competition end as competition,
        count(*) as count_answers,
        bool_or(is_simulated) as is_simulated
    from judged
    group by as_of_date, satisfaction_score, rollup(competition)

),

customer_counts as (

    select
        as_of_date,
        satisfaction_score,
        case when grouping(competition) = 1 then 'ALL' else competition end as competition,
        count(*) as count_mature,
        count(case when is_retained then 1 end) as count_retained
    from followed
    group by as_of_date, satisfaction_score, rollup(competition)

),

-- every point of the curve, also those where nobody stands
points as (

    select
        as_of_dates.as_of_date,
        as_of_dates.is_latest,
        as_of_dates.min_n,
        as_of_dates.wilson_z,
        scores.satisfaction_score,
        levels.competition,
        coalesce(answer_counts.count_answers, 0) as count_answers,
        coalesce(customer_counts.count_mature, 0) as count_mature,
        coalesce(customer_counts.count_retained, 0) as count_retained,
        coalesce(answer_counts.is_simulated, false) as is_simulated
    from as_of_dates
    cross join scores
    cross join levels
    left join answer_counts
        on
            as_of_dates.as_of_date = answer_counts.as_of_date
            and scores.satisfaction_score = answer_counts.satisfaction_score
            and levels.competition = answer_counts.competition
    left join customer_counts
        on
            as_of_dates.as_of_date = customer_counts.as_of_date
            and scores.satisfaction_score = customer_counts.satisfaction_score
            and levels.competition = customer_counts.competition

)

select
    as_of_date,
    satisfaction_score,
    competition,
    is_latest,
    cast(count_answers as integer) as count_answers,
    cast(count_mature as integer) as count_mature,
    cast(count_retained as integer) as count_retained,
    cast(cast(count_retained as double) / nullif(count_mature, 0) as decimal(9, 6))
        as retention_rate,
    {{ wilson_bound('count_retained', 'count_mature', 'wilson_z', '-') }} as retention_rate_lo,
    {{ wilson_bound('count_retained', 'count_mature', 'wilson_z', '+') }} as retention_rate_hi,
    count_mature < min_n as is_small_sample,
    is_simulated
from points
