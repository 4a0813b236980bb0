-- scheme, column of int_loyalty__typed, classes
{% set schemes = {
    'LOYALTY_TYPE': ['loyalty_type', ['TRUE', 'LATENT', 'SPURIOUS', 'NONE', 'UNKNOWN']],
    'APOSTLE_TYPE': [
        'apostle_type',
        [
            'APOSTLE', 'LOYALIST', 'MERCENARY', 'HOSTAGE', 'DEFECTOR', 'TERRORIST', 'UNKNOWN',
        ],
    ],
} %}

with

typed as (

    select * from {{ ref('int_loyalty__typed') }}

),

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

values_ranked as (

    select * from {{ ref('int_customer_value__ranked') }}

),

stores as (

    select * from {{ ref('dim_store') }}

),

classes as (

    {% for scheme, (column, names) in schemes.items() %}{% set last_scheme = loop.last -%}
    {% for name in names -%}
    select
        '{{ scheme }}' as scheme,
        '{{ name }}' as loyalty_class
    {%- if not (loop.last and last_scheme) %}
    union all
    {% endif %}
    {%- endfor %}
    {%- endfor %}

),

-- buyers of the window, once for each scheme
buyers as (

    {% for scheme, (column, names) in schemes.items() -%}
    select
        typed.as_of_date,
        typed.customer_id,
        coalesce(stores.store_code, 'UNKNOWN') as store_code,
        coalesce(values_ranked.value_class, 'NONE') as value_class,
        '{{ scheme }}' as scheme,
        typed.{{ column }} as loyalty_class,
        typed.is_simulated
    from typed
    left join values_ranked
        on
            typed.as_of_date = values_ranked.as_of_date
            and typed.customer_id = values_ranked.customer_id
    left join stores on typed.home_store_key = stores.store_key
    where typed.behaviour_index is not null
    {%- if not loop.last %}

    union all

    {% endif %}
    {%- endfor %}

),

-- by store and for the company
cells as (

    select  -- noqa: ST06
        as_of_date,
        case when grouping(store_code) = 1 then 'ALL' else store_code end as store_code,
        scheme,
        value_class,
        loyalty_class,
        count(*) as count_customers,
        bool_or(is_simulated and loyalty_class <> 'UNKNOWN') as is_simulated
    from buyers
    group by as_of_date, scheme, value_class, loyalty_class, rollup(store_code)

),

strata as (

    select
        as_of_date,
        store_code,
        scheme,
        value_class,
        sum(count_customers) as count_population,
        sum(case when loyalty_class <> 'UNKNOWN' then count_customers else 0 end) as count_known
    from cells
    group by as_of_date, store_code, scheme, value_class

),

totals as (

    select
        as_of_date,
        store_code,
        scheme,
        sum(count_population) as count_population,
        sum(count_known) as count_known
    from strata
    group by as_of_date, store_code, scheme

),

-- T8: respondents stand for the customers of their value class; a decimal weight, so that sums do
-- not depend on their order
weights as (

    select
        strata.as_of_date,
        strata.store_code,
        strata.scheme,
        strata.value_class,
        cast(
            least(
                as_of_dates.survey_weight_cap,
                cast(strata.count_population as double) * totals.count_known
                / nullif(cast(totals.count_population as double) * strata.count_known, 0)
            ) as decimal(18, 9)
        ) as weight
    from strata
    inner join totals
        on
            strata.as_of_date = totals.as_of_date
            and strata.store_code = totals.store_code
            and strata.scheme = totals.scheme
    inner join as_of_dates on strata.as_of_date = as_of_dates.as_of_date
    where strata.count_known > 0

),

weighted as (

    select
        cells.as_of_date,
        cells.store_code,
        cells.scheme,
        cells.loyalty_class,
        sum(cells.count_customers) as count_customers,
        sum(
            case when cells.loyalty_class <> 'UNKNOWN' then weights.weight end
            * cells.count_customers
        ) as weight,
        bool_or(cells.is_simulated) as is_simulated
    from cells
    left join weights
        on
            cells.as_of_date = weights.as_of_date
            and cells.store_code = weights.store_code
            and cells.scheme = weights.scheme
            and cells.value_class = weights.value_class
    group by cells.as_of_date, cells.store_code, cells.scheme, cells.loyalty_class

),

weight_totals as (

    select
        as_of_date,
        store_code,
        scheme,
        sum(weight) as weight,
        bool_or(is_simulated) as is_simulated
    from weighted
    group by as_of_date, store_code, scheme

),

-- the company's rows exist for each date, also where there is nobody to count
scopes as (

    select
        as_of_date,
        store_code
    from totals

    union

    select
        as_of_date,
        'ALL' as store_code
    from as_of_dates

),

completed as (

    select  -- noqa: ST06
        scopes.as_of_date,
        scopes.store_code,
        classes.scheme,
        classes.loyalty_class,
        as_of_dates.is_latest,
        as_of_dates.min_n,
        as_of_dates.wilson_z,
        classes.loyalty_class <> 'UNKNOWN' as is_known,
        coalesce(totals.count_population, 0) as count_population,
        coalesce(totals.count_known, 0) as count_known,
        coalesce(weighted.count_customers, 0) as count_customers,
        cast(
            cast(coalesce(weighted.weight, 0) as double)
            / nullif(cast(weight_totals.weight as double), 0) as decimal(9, 6)
        ) as weighted_share,
        coalesce(weight_totals.is_simulated, false) as is_simulated
    from scopes
    inner join as_of_dates on scopes.as_of_date = as_of_dates.as_of_date
    cross join classes
    left join totals
        on
            scopes.as_of_date = totals.as_of_date
            and scopes.store_code = totals.store_code
            and classes.scheme = totals.scheme
    left join weighted
        on
            scopes.as_of_date = weighted.as_of_date
            and scopes.store_code = weighted.store_code
            and classes.scheme = weighted.scheme
            and classes.loyalty_class = weighted.loyalty_class
    left join weight_totals
        on
            scopes.as_of_date = weight_totals.as_of_date
            and scopes.store_code = weight_totals.store_code
            and classes.scheme = weight_totals.scheme

)

select
    as_of_date,
    store_code,
    scheme,
    loyalty_class,
    is_latest,

    -- customers
    cast(count_population as integer) as count_population,
    cast(count_known as integer) as count_known,
    cast(count_customers as integer) as count_customers,
    cast(cast(count_known as double) / nullif(count_population, 0) as decimal(9, 6)) as coverage,

    -- shares of those who were asked
    case
        when is_known
            then cast(
                cast(count_customers as double) / nullif(count_known, 0) as decimal(9, 6)
            )
    end as class_share,
    case
        when is_known then {{ wilson_bound('count_customers', 'count_known', 'wilson_z', '-') }}
    end as class_share_lo,
    case
        when is_known then {{ wilson_bound('count_customers', 'count_known', 'wilson_z', '+') }}
    end as class_share_hi,
    case when is_known then weighted_share end as weighted_share,
    case when is_known then cast(weighted_share * count_population as decimal(18, 1)) end
        as count_estimated,
    count_known < min_n as is_small_sample,
    is_simulated
from completed
