-- Each KPI has its row for the company on each date; what is judged has a figure of enough cases,
-- and status, attainment and target say one thing; weights add up to 1; figures are those of their
-- marts.
with scorecard as (
    select * from {{ ref('mart_scorecard') }}
),

as_of_dates as (
    select * from {{ ref('dim_as_of') }}
),

sums as (
    select
        as_of_date,
        store_code,
        sum(weight) as weight,
        sum(weight * attainment) as attainment,
        max(scorecard_attainment) as scorecard_attainment,
        sum(weight_given) as weight_given
    from scorecard
    where attainment is not null
    group by as_of_date, store_code
),

-- of how many buyers a value is known
worths as (
    select
        as_of_date,
        count(value_rank) as count_ranked,
        count(case when count_visits_365d > 0 then 1 end) as count_buyers
    from {{ ref('mart_customer_value') }}
    where excluded_reason is null
    group by as_of_date
),

published as (
    select
        as_of_date,
        store_code,
        'CHURN' as kpi,
        cast(churn_rate as decimal(18, 6)) as actual
    from {{ ref('mart_churn_rate') }}
    where pyramid_tier = 'ALL'
    union all
    select
        as_of_date,
        store_code,
        'COMPLAINT_RATE' as kpi,
        cast(complaints_per_10000_receipts as decimal(18, 6)) as actual
    from {{ ref('mart_service_recovery') }}
    where window_code = 'PERIOD' and level_code = 'ALL' and reason_code = 'ALL'
    union all
    select
        as_of_date,
        'ALL' as store_code,
        'MEMBER_SALES' as kpi,
        cast(sum(net_sales_365d) as decimal(18, 6)) as actual
    from {{ ref('mart_customer_value') }}
    group by as_of_date
)

select
    'KPI without the company''s row' as failure,
    as_of_dates.as_of_date,
    kpis.kpi
from as_of_dates
cross join {{ ref('kpi') }} as kpis
left join scorecard
    on
        as_of_dates.as_of_date = scorecard.as_of_date
        and kpis.kpi = scorecard.kpi
        and scorecard.store_code = 'ALL'
where scorecard.kpi is null

union all

select
    'status, figure and reason do not go together' as failure,
    as_of_date,
    kpi
from scorecard
where
    (status = 'NOT_MEASURABLE') <> (missing_reason is not null)
    or (actual is null and missing_reason is null)
    or (
        actual is not null
        and missing_reason is not null
        and missing_reason not in ('SMALL_SAMPLE', 'PERIOD_NOT_COMPLETE')
    )
    or actual not between lo and hi

union all

select
    'status, attainment and target disagree' as failure,
    as_of_date,
    kpi
from scorecard
where
    (attainment is null) <> (status in ('NO_TARGET', 'NOT_MEASURABLE'))
    or attainment not between 0 and 1.2
    or (status = 'MET' and attainment < 1)
    or (status = 'BELOW_TARGET' and attainment >= 1)
    or (status = 'BREACHED' and attainment > 0)
    or (status = 'BREACHED' and actual between least(floor, target) and greatest(floor, target))
    or (status = 'NO_TARGET') <> (missing_reason is null and target is null)

union all

select
    'few cases are judged' as failure,
    scorecard.as_of_date,
    scorecard.kpi
from scorecard
inner join as_of_dates on scorecard.as_of_date = as_of_dates.as_of_date
where
    scorecard.status <> 'NOT_MEASURABLE'
    and scorecard.unit not in ('MONEY', 'CUSTOMERS')
    and scorecard.n < case
        when scorecard.source_mart = 'mart_service_recovery' then as_of_dates.min_n_complaint
        else as_of_dates.min_n
    end

union all

select
    'a figure of tiers where the value of most is not known' as failure,
    scorecard.as_of_date,
    scorecard.kpi
from scorecard
inner join as_of_dates on scorecard.measured_on = as_of_dates.as_of_date
inner join worths on scorecard.measured_on = worths.as_of_date
where
    scorecard.kpi = 'TOP_20_VALUE_SHARE'
    and scorecard.store_code = 'ALL'
    and (worths.count_ranked < as_of_dates.value_known_share_min * worths.count_buyers)
    <> (coalesce(scorecard.missing_reason, '') = 'VALUE_OF_MOST_NOT_KNOWN')

union all

select
    'weights do not add up' as failure,
    as_of_date,
    store_code as kpi
from sums
where
    weight_given > 0
    and (abs(weight - 1) > 0.001 or abs(attainment - scorecard_attainment) > 0.001)

union all

select
    'figure differs from its mart' as failure,
    scorecard.as_of_date,
    scorecard.kpi
from scorecard
inner join published
    on
        scorecard.measured_on = published.as_of_date
        and scorecard.store_code = published.store_code
        and scorecard.kpi = published.kpi
where scorecard.actual <> published.actual

union all

select
    'what overlaps or is few is tested for change' as failure,
    as_of_date,
    kpi
from scorecard
where
    (
        is_significant_change is not null
        and (window_code in ('YEAR', 'DATE') or status = 'NOT_MEASURABLE')
    )
    or (is_significant_change is null) <> (change_code is null)
    or (is_significant_change and lo <= previous_hi and hi >= previous_lo)
