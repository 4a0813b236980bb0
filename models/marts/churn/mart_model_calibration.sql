with

calibrations as (

    select * from {{ source('churn_score', 'fct_model_calibration') }}

),

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

)

select
    calibrations.as_of_date,
    calibrations.model,
    calibrations.bin,
    as_of_dates.is_latest,

    -- C7
    calibrations.count_customers as n,
    calibrations.count_left as positives,
    calibrations.mean_predicted,
    calibrations.share_left as observed_share,
    {{ wilson_bound('calibrations.count_left', 'calibrations.count_customers',
        'as_of_dates.wilson_z', '-') }} as observed_share_lo,
    {{ wilson_bound('calibrations.count_left', 'calibrations.count_customers',
        'as_of_dates.wilson_z', '+') }} as observed_share_hi,
    calibrations.count_customers < as_of_dates.min_n as is_small_sample
from calibrations
inner join as_of_dates on calibrations.as_of_date = as_of_dates.as_of_date
