-- 13. How many customers would we lose if a competitor opened near a store?
-- 中文：如果竞争对手在某门店附近开业，我们会失去多少客户？
-- Trap: a scenario, not a forecast. Exposed are those who stay for want of a choice: dissatisfied
--   but regular (hostage), or buying out of habit without preferring us (spurious). Their share
--   among those who answered is laid upon all active customers of the store; few answers, wide
--   doubt.
-- Definitions: Y3, Y4, V4
with active as (
    select
        stores.store_code,
        stores.competitors_3km,
        loyalties.as_of_date,
        loyalties.is_simulated,
        customers.value_365d,
        case
            when loyalties.loyalty_type = 'UNKNOWN' and loyalties.apostle_type = 'UNKNOWN' then null
            when loyalties.loyalty_type = 'SPURIOUS' or loyalties.apostle_type = 'HOSTAGE' then 1
            else 0
        end as exposed
    from marts.mart_loyalty as loyalties
    inner join marts.mart_customer_value as customers
        on
            loyalties.customer_id = customers.customer_id
            and loyalties.as_of_date = customers.as_of_date
    inner join marts.mart_churn as churns
        on
            loyalties.customer_id = churns.customer_id
            and loyalties.as_of_date = churns.as_of_date
    inner join core.dim_store as stores on loyalties.home_store_key = stores.store_key
    where
        loyalties.is_latest
        and loyalties.excluded_reason is null
        and churns.churn_status = 'ACTIVE'
)

select  -- noqa: ST06
    active.store_code,
    active.competitors_3km,
    count(*) as count_active,
    count(active.exposed) as count_known,
    coalesce(sum(active.exposed), 0) as count_exposed,
    cast(avg(cast(active.exposed as double)) as decimal(9, 4)) as exposed_share,
    cast(count(*) * avg(cast(active.exposed as double)) as decimal(18, 1))
        as scenario_customers_lost,
    cast(
        coalesce(sum(active.value_365d), 0) * avg(cast(active.exposed as double))
        as decimal(18, 2)
    ) as scenario_value_lost,
    count(active.exposed) < max(as_of_dates.min_n) as is_small_sample,
    bool_or(active.is_simulated) as is_simulated
from active
inner join core.dim_as_of as as_of_dates on active.as_of_date = as_of_dates.as_of_date
group by active.store_code, active.competitors_3km
order by scenario_customers_lost desc nulls last, active.store_code asc
