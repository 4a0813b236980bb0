with

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

relationships as (

    select * from {{ ref('int_relationship__begun') }}

),

horizon_texts as (

    select
        as_of_date,
        {{ split_items('repurchase_days') }} as horizon_days
    from as_of_dates

),

horizons as (

    select distinct
        as_of_date,
        cast(horizon_days as integer) as horizon_days
    from horizon_texts

),

-- a member is mature once the whole horizon lies behind, also where the second visit came early
members as (

    select
        relationships.as_of_date,
        relationships.relationship_origin,
        horizons.horizon_days,
        cast(date_trunc('month', relationships.first_visit_on) as date) as cohort_month,
        relationships.excluded_reason is not null as is_excluded,
        relationships.first_visit_on + horizons.horizon_days <= relationships.as_of_date
            as is_mature,
        coalesce(
            relationships.second_visit_on
            <= relationships.first_visit_on + horizons.horizon_days,
            false
        ) as is_repurchased
    from relationships
    inner join horizons on relationships.as_of_date = horizons.as_of_date

),

counted as (

    select
        as_of_date,
        relationship_origin,
        cohort_month,
        horizon_days,
        count(case when not is_excluded then 1 end) as count_first_buyers,
        count(case when not is_excluded and is_mature then 1 end) as count_mature,
        count(case when not is_excluded and is_mature and is_repurchased then 1 end)
            as count_repurchased,
        count(case when is_excluded then 1 end) as count_excluded
    from members
    group by as_of_date, relationship_origin, cohort_month, horizon_days

)

select
    counted.as_of_date,
    counted.relationship_origin,
    counted.cohort_month,
    counted.horizon_days,
    as_of_dates.is_latest,
    cast(counted.count_first_buyers as integer) as count_first_buyers,
    cast(counted.count_mature as integer) as count_mature,
    cast(counted.count_repurchased as integer) as count_repurchased,
    cast(
        cast(counted.count_repurchased as double) / nullif(counted.count_mature, 0)
        as decimal(9, 6)
    ) as repurchase_rate,
    {{ wilson_bound(
        'counted.count_repurchased', 'counted.count_mature', 'as_of_dates.wilson_z', '-'
    ) }} as repurchase_rate_lo,
    {{ wilson_bound(
        'counted.count_repurchased', 'counted.count_mature', 'as_of_dates.wilson_z', '+'
    ) }} as repurchase_rate_hi,
    counted.count_mature < as_of_dates.min_n as is_small_sample,
    cast(counted.count_excluded as integer) as count_excluded
from counted
inner join as_of_dates on counted.as_of_date = as_of_dates.as_of_date
