with

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

kpis as (

    select * from {{ ref('kpi') }}

),

given_targets as (

    select * from {{ ref('kpi_target') }}

),

measured as (

    select *
    from {{ ref('int_kpi__measured') }}
    where segment = 'ALL'

),

windows as (

    select distinct window_code
    from kpis

),

-- a month that is not over is not judged: between month-ends its KPIs are those of the last month
dates as (

    select
        as_of_dates.as_of_date,
        as_of_dates.is_latest,
        as_of_dates.min_n,
        as_of_dates.min_n_complaint,
        windows.window_code,
        case
            when windows.window_code = 'MONTH' and not as_of_dates.is_month_end
                then as_of_dates.period_start_date
            else as_of_dates.as_of_date
        end as measured_on
    from as_of_dates
    cross join windows

),

compared_dates as (

    select
        dates.*,
        cast(date_trunc('month', dates.measured_on) as date) - 1 as previous_on
    from dates

),

-- every KPI has a row for the company, also what nothing measures
scopes as (

    select
        compared_dates.as_of_date,
        compared_dates.measured_on,
        'ALL' as store_code,
        kpis.kpi
    from compared_dates
    inner join kpis on compared_dates.window_code = kpis.window_code

    union

    select
        compared_dates.as_of_date,
        compared_dates.measured_on,
        measured.store_code,
        measured.kpi
    from measured
    inner join kpis on measured.kpi = kpis.kpi
    inner join compared_dates
        on
            measured.as_of_date = compared_dates.measured_on
            and kpis.window_code = compared_dates.window_code
    where measured.actual is not null

),

-- the target of the store before that of all, that of the company's scope before the shipped one,
-- the later before the earlier, of those that held when it was measured; what adds up over stores
-- has no target of all for one of them
targets as (

    select  -- noqa: ST06
        scopes.as_of_date,
        scopes.store_code,
        scopes.kpi,
        case
            when
                scopes.store_code = given_targets.store_code
                or kpis.unit not in ('MONEY', 'CUSTOMERS')
                then given_targets.floor
        end as floor,
        case
            when
                scopes.store_code = given_targets.store_code
                or kpis.unit not in ('MONEY', 'CUSTOMERS')
                then given_targets.target
        end as target,
        given_targets.weight,
        given_targets.owner
    from scopes
    inner join kpis on scopes.kpi = kpis.kpi
    inner join given_targets
        on
            scopes.kpi = given_targets.kpi
            and scopes.measured_on >= given_targets.valid_from
            and scopes.measured_on < given_targets.valid_to
            and given_targets.scope in ('default', '{{ var("param_scope") }}')
            and (given_targets.store_code = 'ALL' or scopes.store_code = given_targets.store_code)
    qualify row_number() over (
        partition by scopes.as_of_date, scopes.store_code, scopes.kpi
        order by
            case when given_targets.store_code = 'ALL' then 1 else 0 end,
            case when given_targets.scope = 'default' then 1 else 0 end,
            given_targets.valid_from desc nulls last
    ) = 1

),

joined as (

    select
        scopes.as_of_date,
        scopes.store_code,
        kpis.kpi,
        kpis.place,
        kpis.perspective,
        kpis.metric_id,
        kpis.unit,
        kpis.direction,
        kpis.window_code,
        kpis.summary_place,
        kpis.source_mart,
        compared_dates.is_latest,
        targets.owner,
        targets.weight as given_weight,
        current_period.actual,
        current_period.lo,
        current_period.hi,
        current_period.n,
        current_period.value_method,
        targets.target,
        targets.floor,
        coalesce(current_period.wave_end_on, compared_dates.measured_on) as measured_on,
        coalesce(current_period.is_whole, false) as is_whole,
        coalesce(current_period.is_simulated, false) as is_simulated,
        case
            when kpis.missing_reason is not null then kpis.missing_reason
            when current_period.kpi is null and kpis.window_code = 'WAVE' then 'NO_RECENT_SURVEY'
            when current_period.kpi is null then 'NO_DATA'
            else current_period.missing_reason
        end as missing_reason,
        case
            when kpis.unit in ('MONEY', 'CUSTOMERS') then 1
            when kpis.source_mart = 'mart_service_recovery' then compared_dates.min_n_complaint
            else compared_dates.min_n
        end as least_n,
        -- of a wave the wave before, else the month-end before; parts, and figures of two methods,
        -- are compared with nothing
        case
            when kpis.window_code = 'WAVE' then current_period.wave_before_actual
            else previous_period.actual
        end as previous,
        case
            when kpis.window_code = 'WAVE' then current_period.wave_before_lo
            else previous_period.lo
        end as previous_lo,
        case
            when kpis.window_code = 'WAVE' then current_period.wave_before_hi
            else previous_period.hi
        end as previous_hi,
        case
            when kpis.window_code = 'WAVE' then current_period.wave_before_n
            else previous_period.n
        end as previous_n
    from scopes
    inner join kpis on scopes.kpi = kpis.kpi
    inner join compared_dates
        on
            scopes.as_of_date = compared_dates.as_of_date
            and kpis.window_code = compared_dates.window_code
    left join measured as current_period
        on
            compared_dates.measured_on = current_period.as_of_date
            and scopes.store_code = current_period.store_code
            and scopes.kpi = current_period.kpi
    left join measured as previous_period
        on
            compared_dates.previous_on = previous_period.as_of_date
            and scopes.store_code = previous_period.store_code
            and scopes.kpi = previous_period.kpi
            and current_period.is_whole
            and previous_period.is_whole
            and coalesce(current_period.value_method, '')
            = coalesce(previous_period.value_method, '')
    left join targets
        on
            scopes.as_of_date = targets.as_of_date
            and scopes.store_code = targets.store_code
            and scopes.kpi = targets.kpi

),

-- few cases and a part of a period are shown, and not judged
judged as (

    select
        *,
        case
            when missing_reason is not null then missing_reason
            when not is_whole then 'PERIOD_NOT_COMPLETE'
            when n < least_n then 'SMALL_SAMPLE'
        end as not_judged_reason
    from joined

),

-- K1: 0 at the floor, 1 at the target; where lower is better, the floor is above the target
rated as (

    select
        *,
        case
            when not_judged_reason is null
                then
                    cast(actual - floor as double)
                    / nullif(cast(target - floor as double), 0)
        end as attainment_ratio
    from judged

),

attained as (

    select
        *,
        case
            when attainment_ratio is not null
                then cast(greatest(0.0, least(1.2, attainment_ratio)) as decimal(9, 6))
        end as attainment,
        -- months and waves share no case with those before; windows that overlap are not tested.
        -- Intervals of 95 % that do not touch are a difference at about the level of 0.6 %.
        case
            when
                window_code in ('MONTH', 'WAVE')
                and not_judged_reason is null
                and previous_n >= least_n
                and lo is not null
                and previous_lo is not null
                then lo > previous_hi or hi < previous_lo
        end as is_significant_change
    from rated

)

select  -- noqa: ST06
    as_of_date,
    store_code,
    kpi,
    cast(place as integer) as kpi_order,
    perspective,
    metric_id,
    is_latest,

    -- what is measured
    measured_on,
    window_code,
    unit,
    actual,
    lo,
    hi,
    n,
    value_method,
    source_mart,
    is_simulated,

    -- against what it should be
    direction,
    cast(floor as decimal(18, 6)) as floor,
    cast(target as decimal(18, 6)) as target,
    case
        when not_judged_reason is not null then 'NOT_MEASURABLE'
        when target is null or floor is null then 'NO_TARGET'
        when case when target > floor then actual >= target else actual <= target end then 'MET'
        when case when target > floor then actual >= floor else actual <= floor end
            then 'BELOW_TARGET'
        else 'BREACHED'
    end as status,
    not_judged_reason as missing_reason,
    attainment,
    cast(given_weight as decimal(9, 4)) as weight_given,
    cast(
        case when attainment is not null then given_weight end
        / nullif(
            sum(case when attainment is not null then given_weight end)
                over (partition by as_of_date, store_code),
            0
        ) as decimal(9, 6)
    ) as weight,
    cast(
        sum(given_weight * attainment) over (partition by as_of_date, store_code)
        / nullif(
            sum(case when attainment is not null then given_weight end)
                over (partition by as_of_date, store_code),
            0
        ) as decimal(9, 6)
    ) as scorecard_attainment,
    cast(
        sum(given_weight * attainment) over (partition by as_of_date, store_code, perspective)
        / nullif(
            sum(case when attainment is not null then given_weight end)
                over (partition by as_of_date, store_code, perspective),
            0
        ) as decimal(9, 6)
    ) as perspective_attainment,
    owner,

    -- against the period before
    previous,
    previous_lo,
    previous_hi,
    previous_n,
    cast(actual - previous as decimal(18, 6)) as delta,
    is_significant_change,
    case
        when is_significant_change and direction = 'NONE' then 'CHANGED'
        when is_significant_change and (actual > previous) = (direction = 'HIGHER') then 'BETTER'
        when is_significant_change then 'WORSE'
        when not is_significant_change then 'NONE'
    end as change_code
from attained
