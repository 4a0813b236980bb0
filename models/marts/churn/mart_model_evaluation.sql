with

evaluations as (

    select * from {{ source('churn_score', 'fct_model_evaluation') }}

),

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

)

select  -- noqa: ST06
    evaluations.as_of_date,
    evaluations.model,
    as_of_dates.is_latest,
    evaluations.model in ('RECENCY', 'ELAPSED_RATIO', 'P_ALIVE') as is_baseline,

    -- C6: cut-offs
    evaluations.train_on,
    evaluations.test_on,
    evaluations.horizon_days,
    evaluations.count_train,
    evaluations.count_train_left,
    evaluations.count_test as n,
    evaluations.count_test_left as positives,
    cast(
        cast(evaluations.count_test_left as double) / nullif(evaluations.count_test, 0)
        as decimal(9, 6)
    ) as base_rate,

    -- C7: measures at the test cut-off
    evaluations.auc,
    evaluations.baseline_auc,
    evaluations.lift10,
    evaluations.lift10_max,
    evaluations.brier,
    evaluations.ece,
    as_of_dates.churn_publish_margin as publish_margin,
    evaluations.is_published,
    evaluations.reason_code,

    -- what it is made of
    evaluations.model_version,
    evaluations.coefficients,
    evaluations.features_left_out
from evaluations
inner join as_of_dates on evaluations.as_of_date = as_of_dates.as_of_date
