with

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

relationships as (

    select * from {{ ref('int_relationship__begun') }}

),

visits as (

    select * from {{ ref('fct_visit') }}

),

-- what is known of a month until one day is known from its first row on: few rows to spread over
-- the dates
visit_months as (

    select
        customer_id,
        known_to,
        cast(date_trunc('month', visit_on) as date) as visit_month,
        min(known_from) as known_from
    from visits
    group by customer_id, known_to, cast(date_trunc('month', visit_on) as date)

),

members as (

    select
        as_of_date,
        customer_id,
        relationship_origin,
        churn_status,
        cast(date_trunc('month', first_visit_on) as date) as cohort_month,
        cast(
            12 * (extract(year from last_visit_on) - extract(year from first_visit_on))
            + extract(month from last_visit_on) - extract(month from first_visit_on)
            as integer
        ) as last_age_month,
        excluded_reason is not null as is_excluded
    from relationships

),

cohorts as (

    select
        as_of_date,
        relationship_origin,
        cohort_month,
        count(case when not is_excluded then 1 end) as size,
        count(case when is_excluded then 1 end) as count_excluded
    from members
    group by as_of_date, relationship_origin, cohort_month

),

-- bounded: seen in the month itself
seen as (

    select distinct
        members.as_of_date,
        members.customer_id,
        members.relationship_origin,
        members.cohort_month,
        visit_months.visit_month
    from members
    inner join visit_months
        on
            members.customer_id = visit_months.customer_id
            and members.as_of_date >= visit_months.known_from
            and members.as_of_date < visit_months.known_to
    where not members.is_excluded

),

seen_counted as (

    select
        as_of_date,
        relationship_origin,
        cohort_month,
        visit_month,
        count(*) as retained_bounded
    from seen
    group by as_of_date, relationship_origin, cohort_month, visit_month

),

-- rolling: seen in the month or later, which the last visit decides
last_seen_counted as (

    select
        as_of_date,
        relationship_origin,
        cohort_month,
        last_age_month,
        count(*) as count_last_seen,
        count(case when churn_status <> 'CHURNED' then 1 end) as count_last_seen_active
    from members
    where not is_excluded
    group by as_of_date, relationship_origin, cohort_month, last_age_month

),

months as (

    select distinct cast(date_trunc('month', as_of_date) as date) as month_on
    from as_of_dates

),

grid as (

    select
        cohorts.as_of_date,
        cohorts.relationship_origin,
        cohorts.cohort_month,
        cohorts.size,
        cohorts.count_excluded,
        months.month_on,
        cast(
            12 * (extract(year from months.month_on) - extract(year from cohorts.cohort_month))
            + extract(month from months.month_on) - extract(month from cohorts.cohort_month)
            as integer
        ) as age_month
    from cohorts
    inner join months
        on
            cohorts.cohort_month <= months.month_on
            and cohorts.as_of_date >= months.month_on

),

counted as (

    select
        grid.as_of_date,
        grid.relationship_origin,
        grid.cohort_month,
        grid.month_on,
        grid.age_month,
        grid.size,
        grid.count_excluded,
        coalesce(seen_counted.retained_bounded, 0) as retained_bounded,
        coalesce(
            sum(last_seen_counted.count_last_seen) over from_here_on, 0
        ) as retained_rolling,
        coalesce(sum(last_seen_counted.count_last_seen_active) over before_here, 0)
            as count_undecided
    from grid
    left join seen_counted
        on
            grid.as_of_date = seen_counted.as_of_date
            and grid.relationship_origin = seen_counted.relationship_origin
            and grid.cohort_month = seen_counted.cohort_month
            and grid.month_on = seen_counted.visit_month
    left join last_seen_counted
        on
            grid.as_of_date = last_seen_counted.as_of_date
            and grid.relationship_origin = last_seen_counted.relationship_origin
            and grid.cohort_month = last_seen_counted.cohort_month
            and grid.age_month = last_seen_counted.last_age_month
    window
        from_here_on as (
            partition by grid.as_of_date, grid.relationship_origin, grid.cohort_month
            order by grid.age_month nulls last
            rows between current row and unbounded following
        ),
        before_here as (
            partition by grid.as_of_date, grid.relationship_origin, grid.cohort_month
            order by grid.age_month nulls last
            rows between unbounded preceding and 1 preceding
        )

),

judged as (

    select
        counted.*,
        as_of_dates.is_latest,
        as_of_dates.min_n,
        as_of_dates.wilson_z,
        counted.month_on = cast(date_trunc('month', counted.as_of_date) as date)
        and not as_of_dates.is_month_end as is_partial,
        last_day(counted.month_on) + as_of_dates.rolling_mature_days <= counted.as_of_date
            as is_rolling_mature
    from counted
    inner join as_of_dates on counted.as_of_date = as_of_dates.as_of_date

)

select
    as_of_date,
    relationship_origin,
    cohort_month,
    age_month,
    is_latest,
    month_on,
    is_partial,
    cast(size as integer) as size,
    size < min_n as is_small_sample,

    -- seen in the month
    cast(retained_bounded as integer) as retained_bounded,
    case
        when not is_partial
            then cast(cast(retained_bounded as double) / nullif(size, 0) as decimal(9, 6))
    end as bounded_rate,
    case
        when not is_partial then {{ wilson_bound('retained_bounded', 'size', 'wilson_z', '-') }}
    end as bounded_rate_lo,
    case
        when not is_partial then {{ wilson_bound('retained_bounded', 'size', 'wilson_z', '+') }}
    end as bounded_rate_hi,

    -- seen in the month or later
    cast(retained_rolling as integer) as retained_rolling,
    cast(count_undecided as integer) as count_undecided,
    is_rolling_mature,
    case
        when is_rolling_mature
            then cast(cast(retained_rolling as double) / nullif(size, 0) as decimal(9, 6))
    end as rolling_rate,

    cast(count_excluded as integer) as count_excluded
from judged
