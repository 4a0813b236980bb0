with

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

assigned as (

    select * from {{ ref('int_segment__assigned') }}

),

comparisons as (

    select
        as_of_date,
        'MONTH' as comparison,
        period_start_date as previous_date
    from as_of_dates

    union all

    select
        as_of_date,
        'QUARTER' as comparison,
        cast(date_trunc('quarter', as_of_date) as date) - 1 as previous_date
    from as_of_dates

),

-- before the first date nothing was assigned that anybody could have come from
comparable as (

    select comparisons.*
    from comparisons
    inner join as_of_dates on comparisons.previous_date = as_of_dates.as_of_date

),

befores as (

    select
        assigned.*,
        comparable.as_of_date as compared_on,
        comparable.comparison
    from comparable
    inner join assigned on comparable.previous_date = assigned.as_of_date

),

afters as (

    select
        assigned.*,
        comparable.as_of_date as compared_on,
        comparable.comparison
    from comparable
    inner join assigned on comparable.as_of_date = assigned.as_of_date

),

moves as (

    select  -- noqa: ST06
        {% for item in segment_schemes() -%}
        befores.{{ item.column }} as previous_{{ item.column }},
        afters.{{ item.column }} as current_{{ item.column }},
        {% endfor -%}
        coalesce(befores.compared_on, afters.compared_on) as as_of_date,
        coalesce(befores.comparison, afters.comparison) as comparison,
        befores.store_code as previous_store_code,
        afters.store_code as current_store_code,
        befores.value_365d as previous_value,
        afters.value_365d as current_value
    from befores
    full outer join afters
        on
            befores.compared_on = afters.compared_on
            and befores.comparison = afters.comparison
            and befores.customer_id = afters.customer_id

),

-- a move belongs to the store where it began; schemes without an order are the company's only
scheme_moves as (

    {% for item in segment_schemes() -%}
    select
        as_of_date,
        comparison,
        '{{ item.scheme }}' as scheme,
        '{{ item.scope }}' as ranking_scope,
        {% if item.tiers -%}
        case
            when previous_{{ item.column }} is null then current_store_code
            else previous_store_code
        end as store_code,
        {%- else -%}
        cast(null as string) as store_code,
        {%- endif %}
        previous_{{ item.column }} is null as is_entry,
        current_{{ item.column }} is null as is_exit,
        coalesce(previous_{{ item.column }}, '{{ item.entry }}') as from_tier,
        coalesce(current_{{ item.column }}, '{{ item.exit }}') as to_tier,
        {{ tier_order('previous_' ~ item.column, item.tiers) }} as from_order,
        {{ tier_order('current_' ~ item.column, item.tiers) }} as to_order,
        case when previous_{{ item.column }} is not null then previous_value end as value_previous,
        case when current_{{ item.column }} is not null then current_value end as value_current
    from moves
    where previous_{{ item.column }} is not null or current_{{ item.column }} is not null
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

counted as (

    select
        as_of_date,
        comparison,
        scheme,
        ranking_scope,
        from_tier,
        to_tier,
        is_entry,
        is_exit,
        case when grouping(store_code) = 1 then 'ALL' else store_code end as store_code,
        max(to_order - from_order) as steps_down,
        max(from_order) as from_order,
        count(*) as n,
        sum(value_previous) as value_previous,
        sum(value_current) as value_current
    from scheme_moves
    group by
        as_of_date,
        comparison,
        scheme,
        ranking_scope,
        from_tier,
        to_tier,
        is_entry,
        is_exit,
        rollup(store_code)
    having grouping(store_code) = 1 or store_code is not null

),

summed as (

    select
        counted.*,
        sum(counted.n) over from_rows as count_from,
        sum(case when counted.steps_down < 0 then counted.n else 0 end) over from_rows
            as count_upgraded,
        sum(case when counted.steps_down > 0 then counted.n else 0 end) over from_rows
            as count_downgraded,
        sum(case when counted.is_exit then counted.n else 0 end) over from_rows
            as count_lost
    from counted
    window
        from_rows as (
            partition by
                counted.as_of_date,
                counted.comparison,
                counted.store_code,
                counted.scheme,
                counted.ranking_scope,
                counted.from_tier
        )

)

select
    summed.as_of_date,
    summed.comparison,
    summed.store_code,
    summed.scheme,
    summed.ranking_scope,
    summed.from_tier,
    summed.to_tier,
    comparable.previous_date,
    as_of_dates.is_latest,

    -- the move
    cast(summed.n as integer) as n,
    summed.is_entry,
    summed.is_exit,
    summed.steps_down < 0 as is_upgrade,
    summed.steps_down > 0 as is_downgrade,
    cast(summed.value_previous as decimal(18, 2)) as value_previous,
    cast(summed.value_current as decimal(18, 2)) as value_current,

    -- the tier left, on each of its rows
    cast(summed.count_from as integer) as count_from,
    cast(cast(summed.n as double) / nullif(summed.count_from, 0) as decimal(9, 6)) as pct_of_from,
    {% for move in ['upgraded', 'downgraded'] -%}
    cast(case when summed.from_order is not null then summed.count_{{ move }} end as integer)
        as count_{{ move }},
    cast(
        case
            when summed.from_order is not null
                then cast(summed.count_{{ move }} as double) / nullif(summed.count_from, 0)
        end as decimal(9, 6)
    ) as {{ move }}_rate,
    {% endfor -%}
    cast(case when not summed.is_entry then summed.count_lost end as integer) as count_lost,
    cast(
        case
            when not summed.is_entry
                then cast(summed.count_lost as double) / nullif(summed.count_from, 0)
        end as decimal(9, 6)
    ) as lost_rate,
    summed.count_from < as_of_dates.min_n as is_small_sample
from summed
inner join as_of_dates on summed.as_of_date = as_of_dates.as_of_date
inner join comparable
    on
        summed.as_of_date = comparable.as_of_date
        and summed.comparison = comparable.comparison
