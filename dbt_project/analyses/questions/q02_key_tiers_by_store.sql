-- 2. Who are our 1 % and 19 % customers per store, and how many entered or left since last
--   quarter?
-- 中文：各门店的 1% 和 19% 客户有多少、价值几何，自上季度以来有多少人进入或退出？
-- Trap: a place among all customers (COMPANY) and a place among those of the store (STORE) are two
--   questions; the store with the richest district has most of the company's best. Who they are by
--   name: mart_customer_value, pyramid_tier and store_pyramid_tier.
-- Definitions: S2, S4
with tiers as (
    select
        store_code,
        ranking_scope,
        tier,
        n_customers,
        value_total,
        pct_value
    from marts.mart_segment_structure
    where
        is_latest
        and scheme = 'PYR_1_19_30_50'
        and tier in ('TOP', 'MAJOR')
),

entered as (
    select
        store_code,
        ranking_scope,
        to_tier as tier,
        sum(n) as count_entered
    from marts.mart_segment_migration
    where
        is_latest
        and comparison = 'QUARTER'
        and scheme = 'PYR_1_19_30_50'
        and to_tier in ('TOP', 'MAJOR')
        and from_tier <> to_tier
    group by store_code, ranking_scope, to_tier
),

departed as (
    select
        store_code,
        ranking_scope,
        from_tier as tier,
        sum(n) as count_left
    from marts.mart_segment_migration
    where
        is_latest
        and comparison = 'QUARTER'
        and scheme = 'PYR_1_19_30_50'
        and from_tier in ('TOP', 'MAJOR')
        and from_tier <> to_tier
    group by store_code, ranking_scope, from_tier
)

select
    tiers.store_code,
    tiers.ranking_scope,
    tiers.tier,
    tiers.n_customers,
    tiers.value_total,
    tiers.pct_value,
    coalesce(entered.count_entered, 0) as count_entered,
    coalesce(departed.count_left, 0) as count_left
from tiers
left join entered
    on
        tiers.store_code = entered.store_code
        and tiers.ranking_scope = entered.ranking_scope
        and tiers.tier = entered.tier
left join departed
    on
        tiers.store_code = departed.store_code
        and tiers.ranking_scope = departed.ranking_scope
        and tiers.tier = departed.tier
order by
    tiers.store_code asc,
    tiers.ranking_scope asc,
    tiers.tier desc nulls last
