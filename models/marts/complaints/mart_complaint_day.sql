-- Whether a day is in alert decides whether it counts in the expectation of later days: the alerts
-- are found week by week. Only chains (a date, store, reason and weekday) with a day of at least
-- alert_min_count complaints can have one, and only those are walked. A chain carries the counts of
-- so many weeks before; a longer alert_baseline_days is cut to them.
{% set max_weeks = 13 %}

with recursive

complaint_months as (

    select * from {{ ref('fct_complaint_month') }}

),

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

stores as (

    select * from {{ ref('dim_store') }}

),

calendar as (

    select * from {{ ref('dim_date') }}

),

-- days before the first complaint that is known say nothing about how many to expect
first_days as (

    select
        as_of_date,
        min(received_on) as first_received_on
    from complaint_months
    group by as_of_date

),

histories as (

    select
        as_of_dates.as_of_date,
        as_of_dates.is_latest,
        as_of_dates.period_start_date,
        as_of_dates.alert_tail_max,
        as_of_dates.alert_min_count,
        as_of_dates.alert_rate_floor,
        cast(
            least(floor(as_of_dates.alert_baseline_days / 7), {{ max_weeks }}) as integer
        ) as baseline_weeks,
        case
            when first_days.first_received_on is not null
                then greatest(
                    first_days.first_received_on,
                    as_of_dates.period_start_date - as_of_dates.window_days
                )
        end as history_start_on
    from as_of_dates
    left join first_days on as_of_dates.as_of_date = first_days.as_of_date

),

days as (

    select
        histories.as_of_date,
        calendar.date_on as received_on,
        calendar.day_of_week_iso,
        calendar.date_on > histories.period_start_date as is_in_period,
        -- how many of the same weekday there were before
        cast(
            floor({{ days_between('histories.history_start_on', 'calendar.date_on') }} / 7)
            as integer
        ) as week_no
    from histories
    inner join calendar
        on
            histories.as_of_date >= calendar.date_on
            and least(histories.history_start_on, histories.period_start_date + 1)
            <= calendar.date_on

),

counts as (

    select
        complaint_months.as_of_date,
        complaint_months.received_on,
        case
            when grouping(stores.store_code) = 1 then 'ALL'
            else coalesce(stores.store_code, 'UNKNOWN')
        end as store_code,
        case
            when grouping(complaint_months.reason_code) = 1 then 'ALL'
            else complaint_months.reason_code
        end as reason_code,
        count(case when complaint_months.is_valid then 1 end) as count_complaints,
        count(
            case
                when
                    coalesce(complaint_months.kind, 'COMPLAINT') = 'COMPLAINT'
                    and not complaint_months.is_valid
                    then 1
            end
        ) as count_not_valid,
        count(case when complaint_months.kind = 'ENQUIRY' then 1 end) as count_enquiries,
        count(case when complaint_months.kind = 'SUGGESTION' then 1 end) as count_suggestions,
        count(case when complaint_months.kind = 'PRAISE' then 1 end) as count_praise,
        bool_or(complaint_months.is_simulated) as is_simulated
    from complaint_months
    inner join histories
        on
            complaint_months.as_of_date = histories.as_of_date
            and complaint_months.received_on >= histories.history_start_on
    left join stores on complaint_months.store_key = stores.store_key
    group by
        complaint_months.as_of_date,
        complaint_months.received_on,
        cube(stores.store_code, complaint_months.reason_code)

),

-- ------------------------------------------------------------------------------ which days alerted

chains as (

    select
        *,
        row_number() over (
            order by as_of_date, store_code, reason_code, day_of_week_iso
        ) as chain_no
    from (
        select distinct
            counts.as_of_date,
            counts.store_code,
            counts.reason_code,
            days.day_of_week_iso,
            histories.baseline_weeks,
            histories.alert_tail_max,
            histories.alert_min_count,
            histories.alert_rate_floor
        from counts
        inner join histories on counts.as_of_date = histories.as_of_date
        inner join days
            on
                counts.as_of_date = days.as_of_date
                and counts.received_on = days.received_on
        where counts.count_complaints >= histories.alert_min_count
    ) as candidates

),

chain_days as (

    select
        chains.chain_no,
        days.week_no,
        days.received_on,
        coalesce(counts.count_complaints, 0) as count_complaints
    from chains
    inner join days
        on
            chains.as_of_date = days.as_of_date
            and chains.day_of_week_iso = days.day_of_week_iso
            and days.week_no >= 0
    left join counts
        on
            chains.as_of_date = counts.as_of_date
            and chains.store_code = counts.store_code
            and chains.reason_code = counts.reason_code
            and days.received_on = counts.received_on

),

-- lag_1 is the count a week ago, NULL where that day was in alert or is not observed
walk as (

    select
        chain_no,
        baseline_weeks,
        alert_tail_max,
        alert_min_count,
        alert_rate_floor,
        cast(0 as integer) as week_no,
        cast(null as date) as judged_on,
        {% for lag in range(1, max_weeks + 1) -%}
        cast(null as bigint) as lag_{{ lag }},
        {% endfor -%}
        false as is_alert
    from chains

    union all

    select
        chain_no,
        baseline_weeks,
        alert_tail_max,
        alert_min_count,
        alert_rate_floor,
        cast(week_no + 1 as integer) as week_no,
        received_on as judged_on,
        case when not is_alert then count_complaints end as lag_1,
        {% for lag in range(1, max_weeks) -%}
        lag_{{ lag }} as lag_{{ lag + 1 }},
        {% endfor -%}
        is_alert
    from (
        select
            *,
            coalesce(
                count_complaints >= alert_min_count
                and count_baseline is not null
                and {{ poisson_tail(
                    'count_complaints',
                    'greatest(cast(alert_rate_floor as double), cast(sum_baseline as double) '
                    ~ '/ count_baseline)'
                ) }} < alert_tail_max,
                false
            ) as is_alert
        from (
            select
                walk.chain_no,
                walk.baseline_weeks,
                walk.alert_tail_max,
                walk.alert_min_count,
                walk.alert_rate_floor,
                walk.week_no,
                {% for lag in range(1, max_weeks + 1) -%}
                walk.lag_{{ lag }},
                {% endfor -%}
                chain_days.received_on,
                chain_days.count_complaints,
                0
                {%- for lag in range(1, max_weeks + 1) %}
                + case
                    when walk.baseline_weeks < {{ lag }} then 0
                    else coalesce(walk.lag_{{ lag }}, 0)
                end
                {%- endfor %} as sum_baseline,
                nullif(
                    0
                    {%- for lag in range(1, max_weeks + 1) %}
                    + case
                        when walk.baseline_weeks < {{ lag }} or walk.lag_{{ lag }} is null then 0
                        else 1
                    end
                    {%- endfor %},
                    0
                ) as count_baseline
            from walk
            inner join chain_days
                on
                    walk.chain_no = chain_days.chain_no
                    and walk.week_no = chain_days.week_no
        ) as observed
    ) as judged

),

alerts as (

    select
        chains.as_of_date,
        chains.store_code,
        chains.reason_code,
        walk.judged_on as received_on
    from walk
    inner join chains on walk.chain_no = chains.chain_no
    where walk.is_alert

),

counts_with_alerts as (

    select
        counts.*,
        alerts.received_on is not null as was_alert
    from counts
    left join alerts
        on
            counts.as_of_date = alerts.as_of_date
            and counts.store_code = alerts.store_code
            and counts.reason_code = alerts.reason_code
            and counts.received_on = alerts.received_on

),

-- ---------------------------------------------------------------------------- days of the period

keys as (

    select
        as_of_date,
        store_code,
        reason_code,
        received_on
    from counts

    union distinct

    -- the company has a row for each day
    select
        as_of_date,
        'ALL' as store_code,
        'ALL' as reason_code,
        received_on
    from days

),

baselines as (

    select
        keys.as_of_date,
        keys.store_code,
        keys.reason_code,
        keys.received_on,
        days.week_no,
        sum(case when not earlier.was_alert then earlier.count_complaints end) as sum_baseline,
        count(case when earlier.was_alert then 1 end) as count_alerts
    from keys
    inner join days
        on
            keys.as_of_date = days.as_of_date
            and keys.received_on = days.received_on
            and days.is_in_period
    left join histories on keys.as_of_date = histories.as_of_date
    left join counts_with_alerts as earlier
        on
            keys.as_of_date = earlier.as_of_date
            and keys.store_code = earlier.store_code
            and keys.reason_code = earlier.reason_code
            and keys.received_on > earlier.received_on
            and keys.received_on - 7 * histories.baseline_weeks <= earlier.received_on
            and {{ days_between('earlier.received_on', 'keys.received_on') }} % 7 = 0
    group by
        keys.as_of_date, keys.store_code, keys.reason_code, keys.received_on, days.week_no

),

expected as (

    select
        baselines.as_of_date,
        baselines.store_code,
        baselines.reason_code,
        baselines.received_on,
        histories.is_latest,
        histories.alert_min_count,
        histories.alert_tail_max,
        least(greatest(coalesce(baselines.week_no, 0), 0), histories.baseline_weeks)
        - baselines.count_alerts as count_baseline,
        greatest(
            cast(histories.alert_rate_floor as double),
            cast(coalesce(baselines.sum_baseline, 0) as double) / nullif(
                least(greatest(coalesce(baselines.week_no, 0), 0), histories.baseline_weeks)
                - baselines.count_alerts,
                0
            )
        ) as expected_count,
        coalesce(counts.count_complaints, 0) as count_complaints,
        coalesce(counts.count_not_valid, 0) as count_not_valid,
        coalesce(counts.count_enquiries, 0) as count_enquiries,
        coalesce(counts.count_suggestions, 0) as count_suggestions,
        coalesce(counts.count_praise, 0) as count_praise,
        coalesce(counts.is_simulated, false) as is_simulated
    from baselines
    inner join histories on baselines.as_of_date = histories.as_of_date
    left join counts
        on
            baselines.as_of_date = counts.as_of_date
            and baselines.store_code = counts.store_code
            and baselines.reason_code = counts.reason_code
            and baselines.received_on = counts.received_on

),

tailed as (

    select
        *,
        -- without a day to compare with there is nothing to expect
        case
            when count_baseline > 0
                then {{ poisson_tail('count_complaints', 'expected_count') }}
        end as tail_probability
    from expected

)

select
    as_of_date,
    store_code,
    reason_code,
    received_on,
    is_latest,
    is_simulated,

    -- counts
    cast(count_complaints as integer) as count_complaints,
    cast(count_not_valid as integer) as count_not_valid,
    cast(count_enquiries as integer) as count_enquiries,
    cast(count_suggestions as integer) as count_suggestions,
    cast(count_praise as integer) as count_praise,

    -- P13
    cast(count_baseline as integer) as count_baseline_days,
    cast(case when count_baseline > 0 then expected_count end as decimal(18, 6)) as expected_count,
    cast(tail_probability as decimal(18, 12)) as tail_probability,
    coalesce(
        count_complaints >= alert_min_count and tail_probability < alert_tail_max, false
    ) as is_alert
from tailed
