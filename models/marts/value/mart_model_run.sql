with as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

runs as (

    select * from {{ source('score', 'fct_model_run') }}

)

select
    runs.as_of_date,
    runs.model,
    as_of_dates.is_latest,
    runs.is_used,

    -- outcome
    runs.is_published,
    runs.reason_code,
    runs.is_converged,
    runs.is_correlated,

    -- parameters
    runs.r,
    runs.alpha,
    runs.a,
    runs.b,
    runs.p,
    runs.q,
    runs.gamma,

    -- fit
    runs.count_customers,
    runs.count_groups,
    runs.log_likelihood,
    runs.expected_visits_new_52w,
    runs.mean_value,
    runs.correlation_x_value,
    runs.margin_rate,

    -- hold-out
    runs.calibrated_to,
    runs.holdout_days,
    runs.count_holdout_customers,
    runs.holdout_mae,
    runs.heuristic_mae,
    cast(
        cast(runs.holdout_mae as double) / nullif(cast(runs.heuristic_mae as double), 0)
        as decimal(18, 6)
    ) as mae_ratio,

    runs.holdout_sales_mae,
    runs.heuristic_sales_mae,

    -- code
    runs.score_version
from runs
inner join as_of_dates on runs.as_of_date = as_of_dates.as_of_date
