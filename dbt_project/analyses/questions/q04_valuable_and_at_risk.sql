-- 4. Which valuable customers are past 60 % of their own threshold and not yet lapsed?
-- 中文：哪些高价值客户的沉默时间已超过自身阈值的 60%，但尚未流失？
-- Trap: everybody is measured by the own rhythm, not by a fixed number of days; the threshold
--   holds the holidays already.
-- Definitions: L1, L2, V9
select
    lifecycles.customer_id,
    lifecycles.home_store_key,
    lifecycles.lifecycle_stage,
    lifecycles.days_since_last_visit,
    lifecycles.inactivity_threshold_days,
    lifecycles.elapsed_ratio,
    customers.value_365d,
    customers.value_basis,
    customers.pyramid_tier
from marts.mart_lifecycle as lifecycles
inner join marts.mart_customer_value as customers
    on
        lifecycles.customer_id = customers.customer_id
        and lifecycles.as_of_date = customers.as_of_date
inner join core.dim_as_of as as_of_dates
    on lifecycles.as_of_date = as_of_dates.as_of_date
where
    as_of_dates.is_latest
    and customers.value_class = 'HIGH'
    and lifecycles.churn_status = 'ACTIVE'
    and lifecycles.days_since_last_visit
    > as_of_dates.stage_at_risk_ratio * lifecycles.inactivity_threshold_days
order by customers.value_365d desc nulls last, lifecycles.customer_id asc
