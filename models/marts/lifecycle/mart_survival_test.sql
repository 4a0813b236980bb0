with

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

moments as (

    select * from {{ ref('int_survival__moments') }}

),

strata as (

    select
        as_of_date,
        stratum_type,
        stratum,
        sum(count_begun) as count_customers
    from moments
    where stratum_type <> 'ALL'
    group by as_of_date, stratum_type, stratum

),

totals as (

    select
        as_of_date,
        t_days,
        count_events,
        sum(count_entered - count_events - count_censored) over (
            partition by as_of_date
            order by t_days asc nulls last
            rows between unbounded preceding and current row
        ) - (count_entered - count_events - count_censored) as count_at_risk
    from moments
    where stratum_type = 'ALL'

),

-- each stratum at each moment of anybody
grid as (

    select
        strata.as_of_date,
        strata.stratum_type,
        strata.stratum,
        strata.count_customers,
        totals.t_days,
        totals.count_events,
        totals.count_at_risk,
        coalesce(moments.count_events, 0) as own_events,
        coalesce(moments.count_entered - moments.count_events - moments.count_censored, 0)
            as own_change
    from strata
    inner join totals on strata.as_of_date = totals.as_of_date
    left join moments
        on
            strata.as_of_date = moments.as_of_date
            and strata.stratum_type = moments.stratum_type
            and strata.stratum = moments.stratum
            and totals.t_days = moments.t_days

),

at_risk as (

    select
        *,
        sum(own_change) over (
            partition by as_of_date, stratum_type, stratum
            order by t_days asc nulls last
            rows between unbounded preceding and current row
        ) - own_change as own_at_risk
    from grid

),

-- hypergeometric mean and variance of the own events of a day; decimals, because their sum is the
-- same in any order
terms as (

    select
        as_of_date,
        stratum_type,
        stratum,
        count_customers,
        own_events,
        cast(
            cast(count_events as double) * own_at_risk / nullif(count_at_risk, 0)
            as decimal(28, 12)
        ) as expected_events,
        cast(
            case
                when count_at_risk > 1
                    then
                        cast(count_events as double) * own_at_risk
                        * (count_at_risk - own_at_risk) * (count_at_risk - count_events)
                        / (cast(count_at_risk as double) * count_at_risk * (count_at_risk - 1))
                else 0
            end as decimal(28, 12)
        ) as variance
    from at_risk
    where count_events > 0

),

summed as (

    select
        as_of_date,
        stratum_type,
        stratum,
        sum(own_events) as observed_events,
        sum(expected_events) as expected_events,
        sum(variance) as variance
    from terms
    group by as_of_date, stratum_type, stratum

),

compared as (

    select
        strata.as_of_date,
        strata.stratum_type,
        strata.stratum,
        strata.count_customers,
        coalesce(summed.observed_events, 0) as observed_events,
        coalesce(cast(summed.expected_events as double), 0) as expected_events,
        coalesce(cast(summed.variance as double), 0) as variance,
        case
            when summed.variance > 0
                then
                    power(
                        summed.observed_events - cast(summed.expected_events as double), 2
                    ) / cast(summed.variance as double)
        end as chi_square
    from strata
    left join summed
        on
            strata.as_of_date = summed.as_of_date
            and strata.stratum_type = summed.stratum_type
            and strata.stratum = summed.stratum

)

select
    compared.as_of_date,
    compared.stratum_type,
    compared.stratum,
    as_of_dates.is_latest,
    cast(compared.count_customers as integer) as count_customers,
    cast(compared.observed_events as integer) as observed_events,
    cast(compared.expected_events as decimal(18, 6)) as expected_events,
    cast(compared.variance as decimal(18, 6)) as variance,
    cast(compared.chi_square as decimal(18, 6)) as chi_square,
    cast(case when compared.chi_square is not null then 1 end as integer) as degrees_of_freedom,
    -- with one degree of freedom the statistic is the square of a standard normal
    compared.chi_square > cast(as_of_dates.wilson_z as double) * as_of_dates.wilson_z
        as is_different,
    compared.observed_events < as_of_dates.min_n as is_small_sample
from compared
inner join as_of_dates on compared.as_of_date = as_of_dates.as_of_date
