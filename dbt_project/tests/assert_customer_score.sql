-- Scores speak for exactly the customers that have a visit and are not excluded, once each, with
-- the visits of the backbone; probabilities are probabilities, expectations grow with the horizon;
-- what is missing says why, and nothing rests on a model that is not published.
-- Runs with the marts: {{ ref('mart_model_run') }}
with months as (
    select * from {{ ref('fct_customer_month') }}
),

scores as (
    select * from {{ source('score', 'fct_customer_score') }}
),

as_of_dates as (
    select * from {{ ref('dim_as_of') }}
),

runs as (
    select * from {{ source('score', 'fct_model_run') }}
),

scored as (
    select
        as_of_date,
        customer_id,
        count(*) as count_rows,
        max(x) as x
    from scores
    group by as_of_date, customer_id
),

eligible as (
    select
        as_of_date,
        customer_id,
        count_visits
    from months
    where excluded_reason is null and count_visits > 0
),

run_counts as (
    select
        as_of_dates.as_of_date,
        count(runs.model) as count_runs,
        count(distinct runs.score_digest) as count_digests
    from as_of_dates
    left join runs on as_of_dates.as_of_date = runs.as_of_date
    group by as_of_dates.as_of_date
)

select
    'customer is scored and should not be, or the other way round' as problem,
    cast(coalesce(scored.as_of_date, eligible.as_of_date) as string) as as_of_date,
    coalesce(scored.customer_id, eligible.customer_id) as subject
from scored
full outer join eligible
    on scored.as_of_date = eligible.as_of_date and scored.customer_id = eligible.customer_id
where
    scored.count_rows is distinct from 1
    or eligible.count_visits is distinct from scored.x + 1

union all

select
    'score is out of its range' as problem,
    cast(as_of_date as string) as as_of_date,
    customer_id as subject
from scores
where
    not coalesce(p_alive between 0 and 1, true)
    or not coalesce(p_alive_bg_nbd between 0 and 1, true)
    or not coalesce(p_alive_mbg_nbd between 0 and 1, true)
    or not coalesce(expected_visits_4w between 0 and expected_visits_13w, true)
    or not coalesce(expected_visits_13w <= expected_visits_52w, true)
    or not coalesce(expected_visits_52w <= expected_visits_104w, true)
    or not coalesce(expected_value > 0, true)
    or t_x_weeks < 0
    or t_x_weeks > t_weeks
    or (x = 0 and t_x_weeks > 0)
    or (x = 0 and mean_repeat_value is not null)
    or (x > 0 and mean_repeat_value is null)

union all

select
    'score and its reason do not go together' as problem,
    cast(as_of_date as string) as as_of_date,
    customer_id as subject
from scores
where
    (p_alive is null) is distinct from (visits_missing_reason is not null)
    or (expected_visits_104w is null) is distinct from (visits_missing_reason is not null)
    or (expected_value is null) is distinct from (expected_value_missing_reason is not null)
    or (clv is null) is distinct from (clv_missing_reason is not null)

union all

select
    'score rests on a model that is not published' as problem,
    cast(scores.as_of_date as string) as as_of_date,
    runs.model as subject
from runs
inner join scores on runs.as_of_date = scores.as_of_date
where
    not runs.is_published
    and case runs.model
        when 'BG_NBD' then scores.p_alive_bg_nbd
        when 'MBG_NBD' then scores.p_alive_mbg_nbd
        else scores.expected_value
    end is not null

union all

select
    'published model did not converge or is worse than the rule' as problem,
    cast(as_of_date as string) as as_of_date,
    model as subject
from runs
where
    is_published is distinct from (reason_code is null)
    or (is_published and not coalesce(is_converged and holdout_mae <= heuristic_mae, false))

union all

select
    'date has not its three runs' as problem,
    cast(as_of_date as string) as as_of_date,
    cast(count_runs as string) as subject
from run_counts
where count_runs <> 3 or count_digests <> 1
