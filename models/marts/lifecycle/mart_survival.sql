with

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

moments as (

    select * from {{ ref('int_survival__moments') }}

),

-- who entered on a day is at risk from the next day on, who leaves on a day still is on that day
at_risk as (

    select
        as_of_date,
        stratum_type,
        stratum,
        t_days,
        count_entered,
        count_events,
        count_censored,
        case
            when t_days = 0 then count_entered
            else
                sum(count_entered - count_events - count_censored) over so_far
                - (count_entered - count_events - count_censored)
        end as count_at_risk,
        sum(count_begun) over whole as count_customers,
        sum(count_events) over whole as count_events_in_all,
        sum(count_returned) over whole as count_returned,
        sum(count_excluded) over whole as count_excluded
    from moments
    window
        so_far as (
            partition by as_of_date, stratum_type, stratum
            order by t_days asc nulls last
            rows between unbounded preceding and current row
        ),
        whole as (partition by as_of_date, stratum_type, stratum)

),

-- sums of logarithms instead of products; decimals, because their sum is the same in any order
terms as (

    select
        *,
        cast(
            case
                when count_events < count_at_risk
                    then ln(1 - cast(count_events as double) / count_at_risk)
                else 0
            end as decimal(28, 18)
        ) as log_factor,
        cast(
            case
                when count_events < count_at_risk
                    then
                        cast(count_events as double)
                        / (cast(count_at_risk as double) * (count_at_risk - count_events))
                else 0
            end as decimal(28, 18)
        ) as greenwood_term,
        case when count_events > 0 and count_events = count_at_risk then 1 else 0 end as ended
    from at_risk

),

summed as (

    select
        *,
        cast(sum(log_factor) over so_far as double) as log_survival,
        sqrt(cast(sum(greenwood_term) over so_far as double)) as log_survival_se,
        sum(ended) over so_far > 0 as is_ended
    from terms
    window
        so_far as (
            partition by as_of_date, stratum_type, stratum
            order by t_days asc nulls last
            rows between unbounded preceding and current row
        )

),

-- the published digits, lest the last bit of a float decide about the median
estimated as (

    select
        summed.*,
        as_of_dates.is_latest,
        as_of_dates.min_n,
        cast(as_of_dates.wilson_z as double) as z,
        cast(case when summed.is_ended then 0 else exp(summed.log_survival) end as decimal(9, 6))
            as survival
    from summed
    inner join as_of_dates on summed.as_of_date = as_of_dates.as_of_date

)

select  -- noqa: ST06
    as_of_date,
    stratum_type,
    stratum,
    cast(t_days as integer) as t_days,
    is_latest,

    -- counts
    cast(count_at_risk as integer) as at_risk,
    cast(count_events as integer) as events,
    cast(count_censored as integer) as censored,
    cast(case when t_days > 0 then count_entered else 0 end as integer) as entered,
    count_at_risk < min_n as is_small_sample,

    -- Kaplan-Meier
    survival,
    cast(case when not is_ended then exp(log_survival) * log_survival_se end as decimal(9, 6))
        as survival_se,
    -- on the scale of log(-log S), so that no bound leaves [0, 1]
    cast(
        case
            when is_ended then null
            when log_survival = 0 then 1
            else exp(log_survival * exp(z * log_survival_se / -log_survival))
        end as decimal(9, 6)
    ) as survival_lo,
    cast(
        case
            when is_ended then null
            when log_survival = 0 then 1
            else exp(log_survival * exp(-z * log_survival_se / -log_survival))
        end as decimal(9, 6)
    ) as survival_hi,

    -- the whole stratum
    cast(
        min(case when survival <= 0.5 then t_days end) over (
            partition by as_of_date, stratum_type, stratum
        ) as integer
    ) as median_days,
    cast(count_customers as integer) as count_customers,
    cast(count_events_in_all as integer) as count_events,
    cast(count_returned as integer) as count_returned,
    cast(count_excluded as integer) as count_excluded
from estimated
