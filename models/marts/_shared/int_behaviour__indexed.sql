-- Y1: component, column of fct_customer_month in ascending goodness
{% set components = {
    'regularity': 'regularity',
    'frequency': 'count_visits_365d',
    'tenure': 'tenure_days',
    'breadth': 'count_categories_365d',
    'months_active': 'months_active_12',
} %}

with

customer_months as (

    select * from {{ ref('fct_customer_month') }}

),

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

population as (

    select
        customer_months.customer_id,
        customer_months.as_of_date,
        customer_months.count_visits_365d,
        customer_months.tenure_days,
        customer_months.count_categories_365d,
        customer_months.months_active_12,
        -- 1 / CV and -CV rank alike, and a CV of 0 is the most regular of all
        case
            when customer_months.count_gaps >= as_of_dates.regularity_min_gaps
                then -customer_months.gap_cv
        end as regularity
    from customer_months
    inner join as_of_dates on customer_months.as_of_date = as_of_dates.as_of_date
    where
        customer_months.excluded_reason is null
        and customer_months.count_visits_365d > 0

),

medians as (

    select
        as_of_date,
        median(count_visits_365d) as median_visits_365d
    from population
    group by as_of_date

),

places as (

    select
        customer_id,
        as_of_date,
        {% for name, column in components.items() -%}
        rank() over (partition by as_of_date order by {{ column }} asc nulls last)
            as {{ name }}_rank,
        count(*) over (partition by as_of_date, {{ column }}) as {{ name }}_peers,
        -- 0 for those whose component is not known
        count({{ column }}) over (partition by as_of_date, {{ column }} is null)
            as {{ name }}_known,
        {% endfor -%}
        count(*) over (partition by as_of_date) as count_population
    from population

),

-- mid-rank: the middle of the places that equal values share
percentiles as (

    select
        customer_id,
        as_of_date,
        {% for name in components -%}
        ({{ name }}_rank + {{ name }}_peers / 2.0 - 1)
        / nullif({{ name }}_known, 0) as {{ name }}_percentile,
        {% endfor -%}
        count_population
    from places

),

indexed as (

    select
        customer_id,
        as_of_date,
        {% for name in components -%}
        {{ name }}_percentile,
        {% endfor -%}
        count_population,
        cast(
            100 * (
                {% for name in components -%}
                coalesce({{ name }}_percentile, 0){{ ' +' if not loop.last }}
                {% endfor %}
            ) / nullif(
                {% for name in components -%}
                case when {{ name }}_percentile is null then 0 else 1 end{{ ' +' if not loop.last }}
                {% endfor %}, 0
            ) as decimal(9, 4)
        ) as behaviour_index
    from percentiles

),

thirds as (

    select
        customer_id,
        as_of_date,
        {% for name in components -%}
        {{ name }}_percentile,
        {% endfor -%}
        behaviour_index,
        floor(
            3 * (rank() over (partition by as_of_date order by behaviour_index asc nulls last) - 1)
            / nullif(count_population, 0)
        ) as third
    from indexed

)

select
    thirds.customer_id,
    thirds.as_of_date,
    {% for name in components -%}
    cast(thirds.{{ name }}_percentile as decimal(9, 6)) as {{ name }}_percentile,
    {% endfor -%}
    thirds.behaviour_index,
    case thirds.third when 2 then 'HIGH' when 1 then 'MEDIUM' when 0 then 'LOW' end
        as behaviour_class,
    medians.median_visits_365d
from thirds
inner join medians on thirds.as_of_date = medians.as_of_date
