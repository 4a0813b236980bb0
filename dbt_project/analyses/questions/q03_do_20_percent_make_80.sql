-- 3. Do 20 % of the customers really make 80 % of the profit, and how much do the losers destroy?
-- 中文：真的是 20% 的客户创造了 80% 的利润吗？亏损客户又吞噬了多少？
-- Trap: profit after the cost to serve, not sales. Where cost or cost to serve are not delivered,
--   the value basis says what is measured instead, and what the losers destroy is not known.
-- Definitions: S3, V4
select  -- noqa: ST06
    as_of_date,
    value_basis,
    n_customers,
    top_1_share,
    top_4_share,
    top_20_share,
    claimed_top_20_share,
    top_20_share >= claimed_top_20_share as is_claim_true,
    gini,
    whale_peak_ratio,
    profit_destroyed,
    value_destroyed,
    loss_missing_reason
from marts.mart_concentration
where is_latest and store_code = 'ALL'
