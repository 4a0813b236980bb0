with

responses as (

    select * from {{ ref('int_survey_response__judged') }}

),

known as (

    select * from {{ ref('int_survey_answer__known') }}
    where answer_num is not null and option_seq = 1

),

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

questions as (

    select * from {{ ref('int_question__known') }}

),

stores as (

    select * from {{ ref('dim_store') }}

),

ranked as (

    select * from {{ ref('int_customer_value__ranked') }}

),

usable as (

    -- twice the window: the wave before the first one shown is compared with
    select responses.*
    from responses
    inner join as_of_dates on responses.as_of_date = as_of_dates.as_of_date
    where
        responses.is_usable
        and responses.wave_end_on > as_of_dates.as_of_date - 2 * as_of_dates.window_days

),

answers as (

    select
        known.as_of_date,
        known.survey_id,
        known.response_id,
        known.question_id,
        known.survey_type,
        known.construct,
        known.facet,
        known.dimension,
        known.role,
        known.servqual_item,
        known.scale_min,
        known.scale_max,
        known.answer_num,
        coalesce(known.pair_id, cast(known.servqual_item as {{ dbt.type_string() }})) as pair_id,
        {{ oriented_score('known') }} as score
    from known
    inner join usable
        on
            known.as_of_date = usable.as_of_date
            and known.survey_id = usable.survey_id
            and known.response_id = usable.response_id
    where
        known.answer_num between known.scale_min and known.scale_max
        and known.scale_min < known.scale_max

),

-- T1, T2, T3, T7: one question, one score
rated as (

    select
        as_of_date,
        survey_id,
        response_id,
        question_id,
        coalesce(construct, survey_type) as touchpoint,
        case
            when facet is not null then 'FACET_' || facet
            when survey_type = 'COMPLAINT_FOLLOWUP' then 'CSAT'
            else survey_type
        end as metric,
        {{ rescaled_score('score', 'scale_min', 'scale_max', 1, 5) }} as score_of_5,
        {{ rescaled_score('score', 'scale_min', 'scale_max', 1, 7) }} as score_of_7,
        {{ rescaled_score('score', 'scale_min', 'scale_max', 0, 10) }} as score_of_10
    from answers
    where
        role = 'SINGLE'
        and (
            survey_type in ('CSAT', 'CES', 'COMPLAINT_FOLLOWUP')
            or survey_type = 'NPS' and scale_max - scale_min = 10
        )

),

-- a survey that asks for one thing twice has the first question count
first_rated as (

    select *
    from rated
    where metric in ('CSAT', 'NPS', 'CES')
    qualify row_number() over (
        partition by as_of_date, survey_id, response_id, metric, touchpoint
        order by question_id asc nulls last
    ) = 1

),

-- T5: only who answered all three questions has an index
acsi_scores as (

    select
        answers.as_of_date,
        answers.survey_id,
        answers.response_id,
        case answers.construct
            when split_part(as_of_dates.acsi_constructs, '|', 1) then 'OVERALL'
            when split_part(as_of_dates.acsi_constructs, '|', 2) then 'EXPECTATION'
            when split_part(as_of_dates.acsi_constructs, '|', 3) then 'IDEAL'
        end as construct,
        cast(split_part(as_of_dates.acsi_weights, '|', 1) as double) as weight_overall,
        cast(split_part(as_of_dates.acsi_weights, '|', 2) as double) as weight_expectation,
        cast(split_part(as_of_dates.acsi_weights, '|', 3) as double) as weight_ideal,
        cast(
            {{ rescaled_score('answers.score', 'answers.scale_min', 'answers.scale_max', 1, 10) }}
            as double
        ) as score_of_10
    from answers
    inner join as_of_dates on answers.as_of_date = as_of_dates.as_of_date
    where answers.survey_type = 'ACSI'

),

acsi_answered as (

    select
        as_of_date,
        survey_id,
        response_id,
        weight_overall,
        weight_expectation,
        weight_ideal,
        max(case when construct = 'OVERALL' then score_of_10 end) as overall,
        max(case when construct = 'EXPECTATION' then score_of_10 end) as to_expectation,
        max(case when construct = 'IDEAL' then score_of_10 end) as to_ideal
    from acsi_scores
    group by
        as_of_date, survey_id, response_id, weight_overall, weight_expectation, weight_ideal

),

-- T4: the items of each dimension, as asked
dimensions as (

    select
        as_of_date,
        survey_id,
        dimension,
        count(
            distinct coalesce(pair_id, cast(servqual_item as {{ dbt.type_string() }}))
        ) as count_items
    from questions
    where survey_type = 'SERVQUAL' and role = 'P' and dimension is not null
    group by as_of_date, survey_id, dimension

),

surveys as (

    select
        as_of_date,
        survey_id,
        count(*) as count_dimensions
    from dimensions
    group by as_of_date, survey_id

),

items as (

    select
        as_of_date,
        survey_id,
        response_id,
        dimension,
        pair_id,
        max(case when role = 'P' then score end) as perceived,
        max(case when role = 'E' then score end) as expected
    from answers
    where survey_type = 'SERVQUAL' and role in ('P', 'E') and dimension is not null
    group by as_of_date, survey_id, response_id, dimension, pair_id

),

dimension_means as (

    select  -- noqa: ST06
        items.as_of_date,
        items.survey_id,
        items.response_id,
        items.dimension,
        as_of_dates.servqual_min_share,
        max(dimensions.count_items) as count_items,
        count(items.perceived - items.expected) as count_pairs,
        count(items.perceived) as count_perceived,
        cast(
            cast(sum(items.perceived - items.expected) as double)
            / nullif(count(items.perceived - items.expected), 0)
            as decimal(10, 6)
        ) as gap,
        cast(
            cast(sum(items.perceived) as double) / nullif(count(items.perceived), 0)
            as decimal(10, 6)
        ) as performance
    from items
    inner join as_of_dates on items.as_of_date = as_of_dates.as_of_date
    inner join dimensions
        on
            items.as_of_date = dimensions.as_of_date
            and items.survey_id = dimensions.survey_id
            and items.dimension = dimensions.dimension
    group by
        items.as_of_date, items.survey_id, items.response_id, items.dimension,
        as_of_dates.servqual_min_share

),

dimension_gaps as (

    select * from dimension_means
    where count_pairs >= count_items * servqual_min_share and count_pairs > 0

),

importance as (

    select
        as_of_date,
        survey_id,
        response_id,
        dimension,
        max(answer_num) as points
    from answers
    where survey_type = 'SERVQUAL' and role = 'IMPORTANCE' and dimension is not null
    group by as_of_date, survey_id, response_id, dimension

),

importance_sums as (

    select
        as_of_date,
        survey_id,
        response_id,
        sum(points) as sum_points
    from importance
    group by as_of_date, survey_id, response_id

),

weighted_gaps as (

    select
        dimension_gaps.as_of_date,
        dimension_gaps.survey_id,
        dimension_gaps.response_id,
        cast(
            cast(sum(importance.points * dimension_gaps.gap) as double)
            / nullif(max(importance_sums.sum_points), 0)
            as decimal(10, 6)
        ) as gap
    from dimension_gaps
    inner join surveys
        on
            dimension_gaps.as_of_date = surveys.as_of_date
            and dimension_gaps.survey_id = surveys.survey_id
    inner join as_of_dates on dimension_gaps.as_of_date = as_of_dates.as_of_date
    inner join importance
        on
            dimension_gaps.as_of_date = importance.as_of_date
            and dimension_gaps.survey_id = importance.survey_id
            and dimension_gaps.response_id = importance.response_id
            and dimension_gaps.dimension = importance.dimension
    inner join importance_sums
        on
            dimension_gaps.as_of_date = importance_sums.as_of_date
            and dimension_gaps.survey_id = importance_sums.survey_id
            and dimension_gaps.response_id = importance_sums.response_id
    where
        importance_sums.sum_points
        between as_of_dates.importance_sum_min and as_of_dates.importance_sum_max
    group by dimension_gaps.as_of_date, dimension_gaps.survey_id, dimension_gaps.response_id
    -- all dimensions or none: the weights of a part would not add up
    having count(*) = max(surveys.count_dimensions)

),

-- one number per response, metric and touchpoint: a share is the mean of 1 and 0, NPS that of
-- 100, 0 and -100
scores as (

    select
        first_rated.as_of_date,
        first_rated.survey_id,
        first_rated.response_id,
        'CSAT' as metric,
        first_rated.touchpoint,
        'SHARE' as value_kind,
        cast(
            case when first_rated.score_of_5 >= as_of_dates.csat_top_box_min then 1 else 0 end
            as decimal(10, 6)
        ) as score
    from first_rated
    inner join as_of_dates on first_rated.as_of_date = as_of_dates.as_of_date
    where first_rated.metric = 'CSAT'

    union all

    select
        as_of_date,
        survey_id,
        response_id,
        'CSAT_MEAN' as metric,
        touchpoint,
        'SCALE' as value_kind,
        score_of_5 as score
    from first_rated
    where metric = 'CSAT'

    union all

    select
        first_rated.as_of_date,
        first_rated.survey_id,
        first_rated.response_id,
        'NPS' as metric,
        first_rated.touchpoint,
        'NPS' as value_kind,
        cast(
            case
                when first_rated.score_of_10 >= as_of_dates.nps_promoter_min then 100
                when first_rated.score_of_10 <= as_of_dates.nps_detractor_max then -100
                else 0
            end as decimal(10, 6)
        ) as score
    from first_rated
    inner join as_of_dates on first_rated.as_of_date = as_of_dates.as_of_date
    where first_rated.metric = 'NPS'

    union all

    select
        first_rated.as_of_date,
        first_rated.survey_id,
        first_rated.response_id,
        'CES' as metric,
        first_rated.touchpoint,
        'SHARE' as value_kind,
        cast(
            case when first_rated.score_of_7 >= as_of_dates.ces_top_box_min then 1 else 0 end
            as decimal(10, 6)
        ) as score
    from first_rated
    inner join as_of_dates on first_rated.as_of_date = as_of_dates.as_of_date
    where first_rated.metric = 'CES'

    union all

    select
        as_of_date,
        survey_id,
        response_id,
        metric,
        touchpoint,
        'SCALE' as value_kind,
        cast(
            cast(sum(score_of_5) as double) / nullif(count(*), 0) as decimal(10, 6)
        ) as score
    from rated
    where metric not in ('CSAT', 'NPS', 'CES')
    group by as_of_date, survey_id, response_id, metric, touchpoint

    union all

    select
        as_of_date,
        survey_id,
        response_id,
        'ACSI_STYLE' as metric,
        'SATISFACTION' as touchpoint,
        'INDEX' as value_kind,
        cast(
            100 * (
                (overall - 1) * weight_overall
                + (to_expectation - 1) * weight_expectation
                + (to_ideal - 1) * weight_ideal
            ) / 9 / nullif(weight_overall + weight_expectation + weight_ideal, 0)
            as decimal(10, 6)
        ) as score
    from acsi_answered
    where overall is not null and to_expectation is not null and to_ideal is not null

    union all

    select
        as_of_date,
        survey_id,
        response_id,
        'SERVQUAL_' || dimension as metric,
        'SERVICE_QUALITY' as touchpoint,
        'SCALE' as value_kind,
        gap as score
    from dimension_gaps

    union all

    select
        as_of_date,
        survey_id,
        response_id,
        'SERVPERF_' || dimension as metric,
        'SERVICE_QUALITY' as touchpoint,
        'SCALE' as value_kind,
        performance as score
    from dimension_means
    where count_perceived >= count_items * servqual_min_share and count_perceived > 0

    union all

    select
        as_of_date,
        survey_id,
        response_id,
        'SERVQUAL_WEIGHTED' as metric,
        'SERVICE_QUALITY' as touchpoint,
        'SCALE' as value_kind,
        gap as score
    from weighted_gaps

),

arrangements as (

    select 'COMPANY' as arrangement
    union all
    select 'STORE' as arrangement
    union all
    select 'SEGMENT' as arrangement
    union all
    select 'WEIGHTED' as arrangement

),

-- each response counts in the company, in its store and in its customer's class, once more with its
-- weight in the company: totals are made of responses, never of the totals of stores
cells as (

    select  -- noqa: ST06
        scores.as_of_date,
        scores.survey_id,
        usable.wave_start_on,
        usable.wave_end_on,
        case
            when arrangements.arrangement = 'STORE' then coalesce(stores.store_code, 'UNKNOWN')
            else 'ALL'
        end as store_code,
        case
            when arrangements.arrangement = 'SEGMENT' then coalesce(usable.value_class, 'NONE')
            else 'ALL'
        end as segment,
        scores.metric,
        scores.touchpoint,
        case
            when arrangements.arrangement = 'WEIGHTED' then 'POST_STRATIFIED'
            else 'UNWEIGHTED'
        end as weighting,
        scores.value_kind,
        scores.score,
        case
            when arrangements.arrangement = 'WEIGHTED' then usable.weight
            else cast(1 as decimal(9, 4))
        end as weight,
        case when usable.value_class is not null then usable.customer_id end
            as population_customer_id,
        usable.is_simulated
    from scores
    inner join usable
        on
            scores.as_of_date = usable.as_of_date
            and scores.survey_id = usable.survey_id
            and scores.response_id = usable.response_id
    left join stores on usable.store_key = stores.store_key
    cross join arrangements
    where arrangements.arrangement <> 'WEIGHTED' or usable.weight is not null

),

-- sums of decimals are exact, whatever the order
summed as (

    select  -- noqa: ST06
        as_of_date,
        survey_id,
        wave_start_on,
        store_code,
        segment,
        metric,
        touchpoint,
        weighting,
        value_kind,
        max(wave_end_on) as wave_end_on,
        count(*) as n,
        count(case when value_kind = 'SHARE' and score = 1 then 1 end) as count_top_box,
        count(case when value_kind = 'NPS' and score = 100 then 1 end) as count_promoters,
        count(case when value_kind = 'NPS' and score = 0 then 1 end) as count_passives,
        count(case when value_kind = 'NPS' and score = -100 then 1 end) as count_detractors,
        count(distinct population_customer_id) as count_respondents,
        cast(sum(weight) as double) as w,
        cast(sum(weight * score) as double) as wx,
        cast(sum(weight * weight) as double) as ww,
        cast(sum(weight * weight * score) as double) as wwx,
        cast(sum(weight * weight * score * score) as double) as wwxx,
        bool_or(is_simulated) as is_simulated
    from cells
    group by
        as_of_date, survey_id, wave_start_on, store_code, segment, metric, touchpoint, weighting,
        value_kind

),

averaged as (

    select
        summed.*,
        as_of_dates.wilson_z,
        summed.wx / nullif(summed.w, 0) as mean,
        summed.w * summed.w / nullif(summed.ww, 0) as n_effective
    from summed
    inner join as_of_dates on summed.as_of_date = as_of_dates.as_of_date

),

-- The error of a weighted mean by linearisation: sqrt(sum of w^2 (x - mean)^2) / sum of w. With all
-- weights 1 this is sqrt(p (1 - p) / n) for a share and 100 sqrt((p + d - (p - d)^2) / n) for NPS;
-- for means and gaps of a sample n / (n - 1) makes it s / sqrt(n), unknown for one respondent.
erred as (

    select
        *,
        sqrt(greatest(0.0, wwxx - 2 * mean * wwx + mean * mean * ww)) / nullif(w, 0)
        * case
            when value_kind in ('SHARE', 'NPS') then 1.0
            else sqrt(cast(n as double) / nullif(n - 1, 0))
        end as se
    from averaged

),

bounded as (

    select
        *,
        case
            when value_kind = 'SHARE'
                then {{ wilson_bound('(mean * n_effective)', 'n_effective', 'wilson_z', '-') }}
            else mean - cast(wilson_z as double) * se
        end as lo,
        case
            when value_kind = 'SHARE'
                then {{ wilson_bound('(mean * n_effective)', 'n_effective', 'wilson_z', '+') }}
            else mean + cast(wilson_z as double) * se
        end as hi
    from erred

),

compared as (

    select
        *,
        lag(wave_start_on) over before_it as prev_wave_start_on,
        lag(n) over before_it as prev_n,
        lag(mean) over before_it as prev_mean,
        lag(lo) over before_it as prev_lo,
        lag(hi) over before_it as prev_hi,
        case when value_kind = 'SHARE' then 100 else 1 end as points_per_unit
    from bounded
    window before_it as (
        partition by
            as_of_date, survey_id, store_code, segment, metric, touchpoint, weighting
        order by wave_start_on asc nulls last
    )

),

population as (

    select
        as_of_date,
        case when grouping(value_class) = 1 then 'ALL' else value_class end as segment,
        count(*) as count_population
    from ranked
    group by as_of_date, rollup(value_class)

),

excluded as (

    select
        as_of_date,
        survey_id,
        wave_start_on,
        count(excluded_reason) as count_excluded
    from responses
    group by as_of_date, survey_id, wave_start_on

)

select  -- noqa: ST06
    -- keys
    compared.as_of_date,
    compared.survey_id,
    compared.wave_start_on,
    compared.store_code,
    compared.segment,
    compared.metric,
    compared.touchpoint,
    compared.weighting,
    compared.wave_end_on,
    as_of_dates.is_latest,
    compared.wave_end_on <= compared.as_of_date as is_wave_complete,

    -- value
    case compared.value_kind
        when 'SHARE' then 'SHARE'
        when 'SCALE' then 'SCALE_POINT'
        else 'POINT'
    end as value_unit,
    cast(compared.n as integer) as n,
    cast(compared.n_effective as decimal(18, 1)) as n_effective,
    cast(compared.mean as decimal(9, 6)) as value,
    cast(compared.se as decimal(9, 6)) as se,
    cast(
        case
            when compared.value_kind = 'NPS' then greatest(-100.0, compared.lo) else compared.lo
        end
        as decimal(9, 6)
    ) as lo,
    cast(
        case when compared.value_kind = 'NPS' then least(100.0, compared.hi) else compared.hi end
        as decimal(9, 6)
    ) as hi,

    -- counts behind it
    case when compared.value_kind = 'SHARE' then cast(compared.count_top_box as integer) end
        as count_top_box,
    case when compared.value_kind = 'NPS' then cast(compared.count_promoters as integer) end
        as count_promoters,
    case when compared.value_kind = 'NPS' then cast(compared.count_passives as integer) end
        as count_passives,
    case when compared.value_kind = 'NPS' then cast(compared.count_detractors as integer) end
        as count_detractors,

    -- change since the wave before
    compared.prev_wave_start_on,
    cast(compared.prev_n as integer) as prev_n,
    cast(compared.prev_mean as decimal(9, 6)) as prev_value,
    cast(compared.points_per_unit * (compared.mean - compared.prev_mean) as decimal(9, 6))
        as delta_pp,
    cast(
        compared.points_per_unit * (
            compared.mean - compared.prev_mean
            - sqrt(
                power(compared.mean - compared.lo, 2)
                + power(compared.prev_hi - compared.prev_mean, 2)
            )
        )
        as decimal(9, 6)
    ) as delta_lo,
    cast(
        compared.points_per_unit * (
            compared.mean - compared.prev_mean
            + sqrt(
                power(compared.hi - compared.mean, 2)
                + power(compared.prev_mean - compared.prev_lo, 2)
            )
        )
        as decimal(9, 6)
    ) as delta_hi,

    -- whom the respondents stand for
    case
        when compared.store_code = 'ALL' and compared.segment <> 'NONE'
            then cast(compared.count_respondents as integer)
    end as count_respondents,
    case when compared.store_code = 'ALL' then cast(population.count_population as integer) end
        as count_population,
    case
        when compared.store_code = 'ALL' and compared.segment <> 'NONE'
            then
                cast(
                    cast(compared.count_respondents as double)
                    / nullif(population.count_population, 0)
                    as decimal(9, 6)
                )
    end as coverage,
    cast(null as decimal(9, 6)) as response_rate,
    'NO_INVITATION_FEED' as response_rate_missing_reason,
    cast(excluded.count_excluded as integer) as count_excluded,

    -- how to read it
    compared.n < as_of_dates.min_n as is_small_sample,
    compared.metric <> 'ACSI_STYLE' as is_comparable,
    case
        when compared.metric = 'ACSI_STYLE'
            then 'ACSI-style, not comparable to published ACSI'
    end as comparability_note,
    compared.is_simulated
from compared
inner join as_of_dates on compared.as_of_date = as_of_dates.as_of_date
left join population
    on
        compared.as_of_date = population.as_of_date
        and compared.segment = population.segment
left join excluded
    on
        compared.as_of_date = excluded.as_of_date
        and compared.survey_id = excluded.survey_id
        and compared.wave_start_on = excluded.wave_start_on
where
    compared.wave_end_on
    > as_of_dates.as_of_date - as_of_dates.window_days
