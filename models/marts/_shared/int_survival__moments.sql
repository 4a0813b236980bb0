-- ways to divide customers by what was known when the relationship began, lest the outcome choose
-- its own group
{% set stratum_types = {
    'ALL': "'ALL'",
    'ORIGIN': 'relationship_origin',
    'BEGUN_QUARTER': 'begun_quarter',
    'ENROL_STORE_FORMAT': 'enrol_store_format',
} %}

with

relationships as (

    select * from {{ ref('int_relationship__begun') }}

),

durations as (

    select
        as_of_date,
        relationship_origin,
        enrol_store_format,
        cast(extract(year from begun_on) as {{ dbt.type_string() }})
        || 'Q' || cast(extract(quarter from begun_on) as {{ dbt.type_string() }})
            as begun_quarter,
        excluded_reason is not null as is_excluded,
        first_churned_on is not null as is_event,
        is_redeveloped,
        {{ days_between('begun_on', 'first_visit_on') }} as entry_days,
        {{ days_between('begun_on', 'coalesce(first_churned_on, as_of_date)') }} as exit_days
    from relationships

),

-- what happens to a customer, and when: he begins, comes under observation, leaves it
moments as (

    select
        as_of_date,
        relationship_origin,
        enrol_store_format,
        begun_quarter,
        0 as t_days,
        case when is_excluded then 0 else 1 end as begun,
        case when is_excluded then 1 else 0 end as excluded,
        case when is_redeveloped and not is_excluded then 1 else 0 end as returned,
        0 as entered,
        0 as churned,
        0 as censored
    from durations

    union all

    select
        as_of_date,
        relationship_origin,
        enrol_store_format,
        begun_quarter,
        entry_days as t_days,
        0 as begun,
        0 as excluded,
        0 as returned,
        1 as entered,
        0 as churned,
        0 as censored
    from durations
    where not is_excluded

    union all

    select
        as_of_date,
        relationship_origin,
        enrol_store_format,
        begun_quarter,
        exit_days as t_days,
        0 as begun,
        0 as excluded,
        0 as returned,
        0 as entered,
        case when is_event then 1 else 0 end as churned,
        case when is_event then 0 else 1 end as censored
    from durations
    where not is_excluded

),

moments_counted as (

    select
        as_of_date,
        relationship_origin,
        enrol_store_format,
        begun_quarter,
        t_days,
        sum(begun) as count_begun,
        sum(excluded) as count_excluded,
        sum(returned) as count_returned,
        sum(entered) as count_entered,
        sum(churned) as count_events,
        sum(censored) as count_censored
    from moments
    group by as_of_date, relationship_origin, enrol_store_format, begun_quarter, t_days

),

-- everybody once in each way to divide customers
strata as (

    {%- for stratum_type, stratum in stratum_types.items() %}

    select
        as_of_date,
        t_days,
        count_begun,
        count_excluded,
        count_returned,
        count_entered,
        count_events,
        count_censored,
        '{{ stratum_type }}' as stratum_type,
        {{ stratum }} as stratum
    from moments_counted
    {%- if not loop.last %}

    union all
    {%- endif %}
    {%- endfor %}

)

select
    as_of_date,
    stratum_type,
    stratum,
    t_days,
    sum(count_begun) as count_begun,
    sum(count_excluded) as count_excluded,
    sum(count_returned) as count_returned,
    sum(count_entered) as count_entered,
    sum(count_events) as count_events,
    sum(count_censored) as count_censored
from strata
group by as_of_date, stratum_type, stratum, t_days
