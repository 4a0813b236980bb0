-- 12. Satisfied but not loyal (mercenary), dissatisfied but still buying (hostage): how many, and
--   in which stores?
-- 中文：满意却不忠诚（图利者）、不满却仍在购买（囚禁者）的客户各有多少，分布在哪些门店？
-- Trap: only those who answered are known, and good customers answer more often. The shares are
--   weighted by pyramid tier: every tier counts for as many customers as it has, not as answered.
-- Definitions: Y4, T8
with buyers as (
    select  -- noqa: ST06
        loyalties.customer_id,
        stores.store_code,
        loyalties.apostle_type,
        coalesce(customers.pyramid_tier, 'NONE') as tier,
        loyalties.is_simulated,
        loyalties.as_of_date
    from marts.mart_loyalty as loyalties
    inner join marts.mart_customer_value as customers
        on
            loyalties.customer_id = customers.customer_id
            and loyalties.as_of_date = customers.as_of_date
    inner join core.dim_store as stores on loyalties.home_store_key = stores.store_key
    where
        loyalties.is_latest
        and loyalties.excluded_reason is null
        and loyalties.count_visits_365d > 0
),

tiers as (
    select
        tier,
        cast(count(*) as double)
        / nullif(count(case when apostle_type <> 'UNKNOWN' then 1 end), 0) as weight
    from buyers
    group by tier
),

weighted as (
    select
        buyers.store_code,
        buyers.apostle_type,
        buyers.as_of_date,
        buyers.is_simulated,
        case when buyers.apostle_type <> 'UNKNOWN' then tiers.weight end as weight
    from buyers
    inner join tiers on buyers.tier = tiers.tier
)

select  -- noqa: ST06
    coalesce(weighted.store_code, 'ALL') as store_code,
    count(*) as count_buyers,
    count(weighted.weight) as count_surveyed,
    count(case when weighted.apostle_type = 'MERCENARY' then 1 end) as count_mercenary,
    count(case when weighted.apostle_type = 'HOSTAGE' then 1 end) as count_hostage,
    cast(
        sum(case when weighted.apostle_type = 'MERCENARY' then weighted.weight else 0 end)
        / nullif(sum(weighted.weight), 0) as decimal(9, 4)
    ) as mercenary_share,
    cast(
        sum(case when weighted.apostle_type = 'HOSTAGE' then weighted.weight else 0 end)
        / nullif(sum(weighted.weight), 0) as decimal(9, 4)
    ) as hostage_share,
    count(weighted.weight) < max(as_of_dates.min_n) as is_small_sample,
    bool_or(weighted.is_simulated) as is_simulated
from weighted
inner join core.dim_as_of as as_of_dates on weighted.as_of_date = as_of_dates.as_of_date
group by rollup(weighted.store_code)
order by count_surveyed desc nulls last, store_code asc
