-- Every customer has a row; cohorts, first-time buyers and strata add up to the customers; a
-- survival curve starts at 1, never rises and follows from the customers at risk.
with lifecycle as (
    select * from {{ ref('mart_lifecycle') }}
),

cohorts as (
    select * from {{ ref('mart_cohort') }}
),

repurchases as (
    select * from {{ ref('mart_repurchase') }}
),

survival as (
    select * from {{ ref('mart_survival') }}
),

tests_of_strata as (
    select * from {{ ref('mart_survival_test') }}
),

buyers as (
    select
        as_of_date,
        count(*) as count_buyers,
        count(case when excluded_reason is null then 1 end) as count_counted,
        count(case when excluded_reason is null then first_churned_on end) as count_churned
    from {{ ref('fct_customer_month') }}
    where first_visit_on is not null
    group by as_of_date
),

cohort_totals as (
    select
        as_of_date,
        sum(size) as count_counted,
        sum(size + count_excluded) as count_buyers
    from cohorts
    where age_month = 0
    group by as_of_date
),

repurchase_totals as (
    select
        as_of_date,
        horizon_days,
        sum(count_first_buyers) as count_counted,
        sum(count_first_buyers + count_excluded) as count_buyers
    from repurchases
    group by as_of_date, horizon_days
),

survival_totals as (
    select
        as_of_date,
        stratum_type,
        sum(count_customers) as count_counted,
        sum(count_events) as count_churned,
        sum(count_customers + count_excluded) as count_buyers
    from survival
    where t_days = 0
    group by as_of_date, stratum_type
),

cohort_steps as (
    select
        *,
        lag(retained_rolling) over (
            partition by as_of_date, relationship_origin, cohort_month
            order by age_month
        ) as previous_rolling
    from cohorts
),

survival_steps as (
    select
        *,
        lag(survival) over stratum_days as previous_survival,
        lag(at_risk - events - censored + entered) over stratum_days as expected_at_risk
    from survival
    window
        stratum_days as (partition by as_of_date, stratum_type, stratum order by t_days)
)

select
    'customer without a row, or row without a customer' as failure,
    coalesce(months.as_of_date, lifecycle.as_of_date) as as_of_date
from {{ ref('fct_customer_month') }} as months
full outer join lifecycle
    on
        months.customer_id = lifecycle.customer_id
        and months.as_of_date = lifecycle.as_of_date
where months.customer_id is null or lifecycle.customer_id is null

union all

select
    'phase or pattern disagrees with the state' as failure,
    as_of_date
from lifecycle
where
    (lifecycle_stage in ('PROSPECT', 'LAPSED', 'LOST')) <> (relationship_phase is null)
    or (churn_status = 'CHURNED') <> coalesce(elapsed_ratio > 1, false)
    or (is_stable_reached is null and pattern <> 'UNDETERMINED')
    or (pattern in ('EARLY_ABORTION', 'MIDWAY_DEATH', 'EARLY_EXIT') and churn_status <> 'CHURNED')
    or (pattern = 'LONG_TERM' and (churn_status <> 'ACTIVE' or not is_stable_reached))
    or (pattern = 'EARLY_EXIT' and not is_stable_reached)
    or (first_visit_on is null) <> (spell_no is null)
    or is_redeveloped <> coalesce(spell_no > 1, false)
    or second_visit_on <= first_visit_on

union all

select
    'cohorts do not add up to the customers' as failure,
    buyers.as_of_date
from buyers
left join cohort_totals on buyers.as_of_date = cohort_totals.as_of_date
where
    cohort_totals.as_of_date is null
    or buyers.count_counted <> cohort_totals.count_counted
    or buyers.count_buyers <> cohort_totals.count_buyers

union all

select
    'retention of a cohort is out of order' as failure,
    as_of_date
from cohort_steps
where
    retained_bounded > retained_rolling
    or retained_rolling > size
    or retained_rolling > previous_rolling
    or retained_rolling + count_undecided > size
    or (age_month = 0 and retained_bounded <> size)
    or (is_partial and bounded_rate is not null)
    or (not is_rolling_mature and rolling_rate is not null)

union all

select
    'first-time buyers do not add up to the customers' as failure,
    buyers.as_of_date
from buyers
left join repurchase_totals on buyers.as_of_date = repurchase_totals.as_of_date
where
    repurchase_totals.as_of_date is null
    or buyers.count_counted <> repurchase_totals.count_counted
    or buyers.count_buyers <> repurchase_totals.count_buyers

union all

select
    'counts and rates of repurchase disagree' as failure,
    as_of_date
from repurchases
where
    count_repurchased > count_mature
    or count_mature > count_first_buyers
    or (count_mature = 0) <> (repurchase_rate is null)
    or repurchase_rate not between repurchase_rate_lo and repurchase_rate_hi

union all

select
    'strata do not add up to the customers' as failure,
    buyers.as_of_date
from buyers
left join survival_totals on buyers.as_of_date = survival_totals.as_of_date
where
    survival_totals.as_of_date is null
    or buyers.count_counted <> survival_totals.count_counted
    or buyers.count_churned <> survival_totals.count_churned
    or buyers.count_buyers <> survival_totals.count_buyers

union all

select
    'survival does not start at 1, rises, or leaves its interval' as failure,
    as_of_date
from survival_steps
where
    (previous_survival is null and (t_days <> 0 or survival <> 1))
    or survival > previous_survival
    or survival < 0
    or survival not between survival_lo and survival_hi
    or coalesce(t_days >= median_days, false) <> (survival <= 0.5)

union all

select
    'customers at risk do not follow from the day before' as failure,
    as_of_date
from survival_steps
where
    at_risk <> expected_at_risk
    or events > at_risk

union all

select
    'churns of a log-rank test are not those of the curve, or not those expected' as failure,
    strata.as_of_date
from (
    select
        as_of_date,
        stratum_type,
        sum(observed_events) as observed_events,
        sum(expected_events) as expected_events
    from tests_of_strata
    group by as_of_date, stratum_type
) as strata
inner join survival_totals
    on
        strata.as_of_date = survival_totals.as_of_date
        and strata.stratum_type = survival_totals.stratum_type
where
    strata.observed_events <> survival_totals.count_churned
    or abs(strata.expected_events - survival_totals.count_churned) > 0.001
