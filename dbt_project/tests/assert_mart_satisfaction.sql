-- Kano counts add up to n, SERVQUAL takes paired answers only, NPS and shares stay within their
-- bounds and follow from their counts, and a total is that of its stores' counts.
with satisfaction as (
    select * from {{ ref('mart_satisfaction') }}
),

counted as (
    select
        *,
        coalesce(count_promoters - count_detractors, count_top_box) as balance
    from satisfaction
    where weighting = 'UNWEIGHTED' and value_unit in ('SHARE', 'POINT') and metric <> 'ACSI_STYLE'
),

stores as (
    select
        as_of_date,
        survey_id,
        wave_start_on,
        metric,
        touchpoint,
        sum(n) as n,
        sum(balance) as balance
    from counted
    where store_code <> 'ALL'
    group by as_of_date, survey_id, wave_start_on, metric, touchpoint
),

segments as (
    select
        as_of_date,
        survey_id,
        wave_start_on,
        metric,
        touchpoint,
        sum(n) as n,
        sum(balance) as balance
    from counted
    where segment <> 'ALL'
    group by as_of_date, survey_id, wave_start_on, metric, touchpoint
),

totals as (
    select * from counted
    where store_code = 'ALL' and segment = 'ALL'
)

select
    'value outside its bounds' as failure,
    as_of_date,
    survey_id,
    metric as subject
from satisfaction
where
    metric = 'NPS' and (value not between -100 and 100 or lo < -100 or hi > 100)
    or value_unit = 'SHARE' and (value not between 0 and 1 or lo < 0 or hi > 1)
    or metric = 'ACSI_STYLE' and value not between 0 and 100
    or coverage not between 0 and 1
    or se < 0
    or value not between lo and hi
    or delta_pp not between delta_lo and delta_hi
    or n < 1

union all

select
    'value differs from its counts' as failure,
    as_of_date,
    survey_id,
    metric as subject
from counted
where
    value <> cast(
        cast(balance * case when metric = 'NPS' then 100 else 1 end as double) / n
        as decimal(9, 6)
    )
    or count_promoters + count_passives + count_detractors <> n
    or balance is null

union all

select
    'total differs from stores or segments' as failure,
    totals.as_of_date,
    totals.survey_id,
    totals.metric as subject
from totals
left join stores
    on
        totals.as_of_date = stores.as_of_date
        and totals.survey_id = stores.survey_id
        and totals.wave_start_on = stores.wave_start_on
        and totals.metric = stores.metric
        and totals.touchpoint = stores.touchpoint
left join segments
    on
        totals.as_of_date = segments.as_of_date
        and totals.survey_id = segments.survey_id
        and totals.wave_start_on = segments.wave_start_on
        and totals.metric = segments.metric
        and totals.touchpoint = segments.touchpoint
where
    totals.n is distinct from stores.n
    or totals.balance is distinct from stores.balance
    or totals.n is distinct from segments.n
    or totals.balance is distinct from segments.balance

union all

select
    'Kano counts differ from n' as failure,
    as_of_date,
    survey_id,
    attribute as subject
from {{ ref('mart_kano') }}
where
    count_attractive + count_one_dimensional + count_must_be + count_indifferent
    + count_reverse + count_questionable <> n
    or better not between 0 and 1
    or worse not between -1 and 0
    or (category is null) <> (n = 0)

union all

select
    'SERVQUAL gap of unpaired answers' as failure,
    as_of_date,
    survey_id,
    cast(servqual_item as {{ dbt.type_string() }}) as subject
from {{ ref('mart_servqual_item') }}
where
    n > least(count_expected, count_perceived)
    or n_unpaired <> count_expected + count_perceived - 2 * n
    or (gap is null) <> (n = 0)
    or abs(gap - (perceived_mean - expected_mean)) > 0.000002

union all

select
    'responses of a wave do not add up' as failure,
    as_of_date,
    survey_id,
    cast(wave_start_on as {{ dbt.type_string() }}) as subject
from {{ ref('mart_survey_quality') }}
where
    count_usable > count_responses - count_excluded
    or count_completes > count_responses
    or count_respondents > count_usable
    or count_respondents > count_population
    or count_missing > count_answers
