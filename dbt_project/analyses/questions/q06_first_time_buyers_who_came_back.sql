-- 6. Which first-time buyers came back within 60 days, cohort by cohort?
-- 中文：各月首购客户中，有多少人在 60 天内再次到店？
-- Trap: a cohort is judged only when all of it had 60 days (mature); members enrolled before the
--   data begin are no first-time buyers (LEFT_TRUNCATED) and stand apart. No feed of promotions
--   yet, so the buyers of the anniversary promotion can not be told from the others.
-- Definitions: L7
select
    relationship_origin,
    cohort_month,
    horizon_days,
    count_first_buyers,
    count_mature,
    count_repurchased,
    repurchase_rate,
    repurchase_rate_lo,
    repurchase_rate_hi,
    is_small_sample
from marts.mart_repurchase
where is_latest and horizon_days = 60
order by relationship_origin asc, cohort_month asc
