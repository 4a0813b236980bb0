-- 9. Did service recovery work: do complainants buy again after the resolution, compared with like
--   customers who did not complain?
-- 中文：服务补救是否有效：投诉客户在解决后是否再次购买？与条件相近、未投诉的客户相比如何？
-- Trap: complainants are no average customers, so each is compared with customers of the same RFM
--   cell and store; only cases whose days of watching are over count, the unresolved stand apart,
--   and the visit that picks up the replacement is none. An interval that holds 0 proves nothing.
-- Definitions: P9, P10
select
    level_code,
    count_recovery_matured,
    count_repurchased,
    repurchase_rate,
    repurchase_rate_lo,
    repurchase_rate_hi,
    count_recovered,
    recovery_rate,
    count_control,
    matched_repurchase_rate,
    control_repurchase_rate,
    net_repurchase_effect,
    net_repurchase_effect_lo,
    net_repurchase_effect_hi,
    count_unresolved_matured,
    unresolved_repurchase_rate,
    is_recovery_small_n,
    is_simulated
from marts.mart_service_recovery
where
    is_latest
    and window_code = 'YEAR'
    and store_code = 'ALL'
    and reason_code = 'ALL'
order by level_code desc nulls last
