-- Shares of a scheme add up to one and its customers to those who have a tier; what moves adds up
-- to what was there before and to what is there now; concentration counts the same customers.
with structure as (
    select * from {{ ref('mart_segment_structure') }}
),

migration as (
    select * from {{ ref('mart_segment_migration') }}
),

concentration as (
    select * from {{ ref('mart_concentration') }}
),

customer_values as (
    select * from {{ ref('mart_customer_value') }}
),

structure_sums as (
    select
        as_of_date,
        store_code,
        scheme,
        ranking_scope,
        sum(n_customers) as n_customers,
        sum(value_total) as value_total,
        sum(pct_customers) as pct_customers,
        sum(pct_value) as pct_value,
        sum(retained) as retained
    from structure
    group by as_of_date, store_code, scheme, ranking_scope
),

-- each population as the customers' own rows state it
populations as (
    {% for scheme, column in {
        'ABC_VALUE': 'abc_class',
        'ABC_COUNT': 'abc_count_class',
        'PYR_1_19_30_50': 'store_pyramid_tier',
        'PYR_1_4_15_80': 'store_curry_tier',
        'RFM': 'rfm_segment',
        'STAGE': 'lifecycle_stage',
        'CUBE': 'cube_cell',
    }.items() -%}
    select
        as_of_date,
        '{{ scheme }}' as scheme,
        count({{ column }}) as n_customers
    from customer_values
    where excluded_reason is null
    group by as_of_date
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

store_sums as (
    select
        as_of_date,
        scheme,
        ranking_scope,
        tier,
        sum(n_customers) as n_customers,
        sum(nps_n) as nps_n,
        sum(case when store_code = 'ALL' then 2 * n_customers else 0 end) as twice_all_customers,
        sum(case when store_code = 'ALL' then 2 * nps_n else 0 end) as twice_all_nps_n
    from structure
    group by as_of_date, scheme, ranking_scope, tier
),

moves_from as (
    select
        as_of_date,
        previous_date,
        comparison,
        store_code,
        scheme,
        ranking_scope,
        from_tier,
        is_entry,
        sum(n) as n,
        max(count_from) as count_from,
        sum(case when is_upgrade then n else 0 end) as n_upgraded,
        sum(case when is_downgrade then n else 0 end) as n_downgraded,
        max(coalesce(count_upgraded, 0)) as count_upgraded,
        max(coalesce(count_downgraded, 0)) as count_downgraded
    from migration
    group by
        as_of_date,
        previous_date,
        comparison,
        store_code,
        scheme,
        ranking_scope,
        from_tier,
        is_entry
),

moves_to as (
    select
        as_of_date,
        comparison,
        scheme,
        ranking_scope,
        to_tier,
        sum(n) as n
    from migration
    where store_code = 'ALL' and not is_exit
    group by as_of_date, comparison, scheme, ranking_scope, to_tier
)

select
    'shares do not add up to one' as failure,
    as_of_date,
    scheme,
    store_code
from structure_sums
where abs(pct_customers - 1) > 0.0001 or abs(pct_value - 1) > 0.0001

union all

select
    'customers of a scheme are not those with a tier' as failure,
    populations.as_of_date,
    populations.scheme,
    'ALL' as store_code
from populations
left join structure_sums
    on
        populations.as_of_date = structure_sums.as_of_date
        and populations.scheme = structure_sums.scheme
        and structure_sums.store_code = 'ALL'
where populations.n_customers <> coalesce(structure_sums.n_customers, 0)

union all

select
    'stores do not add up to the company' as failure,
    as_of_date,
    scheme,
    'ALL' as store_code
from store_sums
where n_customers <> twice_all_customers or nps_n <> twice_all_nps_n

union all

select
    'moves do not start from the previous population' as failure,
    moves_from.as_of_date,
    moves_from.scheme,
    moves_from.store_code
from moves_from
left join structure
    on
        moves_from.previous_date = structure.as_of_date
        and moves_from.store_code = structure.store_code
        and moves_from.scheme = structure.scheme
        and moves_from.ranking_scope = structure.ranking_scope
        and moves_from.from_tier = structure.tier
where
    moves_from.n <> moves_from.count_from
    or moves_from.n_upgraded <> moves_from.count_upgraded
    or moves_from.n_downgraded <> moves_from.count_downgraded
    or not moves_from.is_entry and moves_from.n <> coalesce(structure.n_customers, 0)

union all

select
    'moves do not end in the present population' as failure,
    moves_to.as_of_date,
    moves_to.scheme,
    'ALL' as store_code
from moves_to
left join structure
    on
        moves_to.as_of_date = structure.as_of_date
        and structure.store_code = 'ALL'
        and moves_to.scheme = structure.scheme
        and moves_to.ranking_scope = structure.ranking_scope
        and moves_to.to_tier = structure.tier
where moves_to.n <> coalesce(structure.n_customers, 0)

union all

select
    'tier of which nobody moved, stayed or went' as failure,
    structure.as_of_date,
    structure.scheme,
    structure.store_code
from structure
inner join {{ ref('dim_as_of') }} as as_of_dates
    on structure.as_of_date = as_of_dates.period_start_date
left join moves_from
    on
        as_of_dates.as_of_date = moves_from.as_of_date
        and moves_from.comparison = 'MONTH'
        and structure.store_code = moves_from.store_code
        and structure.scheme = moves_from.scheme
        and structure.ranking_scope = moves_from.ranking_scope
        and structure.tier = moves_from.from_tier
        and not moves_from.is_entry
where
    moves_from.n is null
    and (structure.store_code = 'ALL' or structure.tier_order is not null)

union all

select
    'concentration disagrees with itself or with the pyramid' as failure,
    structure_sums.as_of_date,
    structure_sums.scheme,
    structure_sums.store_code
from structure_sums
left join concentration
    on
        structure_sums.as_of_date = concentration.as_of_date
        and structure_sums.store_code = concentration.store_code
where
    structure_sums.scheme = 'PYR_1_19_30_50'
    and structure_sums.ranking_scope = 'COMPANY'
    and (
        concentration.as_of_date is null
        or concentration.n_customers <> structure_sums.n_customers
        or concentration.value_total <> structure_sums.value_total
        or concentration.gini not between 0 and 1
        or concentration.top_1_share > concentration.top_4_share
        or concentration.top_4_share > concentration.top_20_share
        or concentration.positive_value - concentration.value_destroyed
        <> concentration.value_total
    )
