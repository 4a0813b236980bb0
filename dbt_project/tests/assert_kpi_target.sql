-- A target has a floor on its worse side, in the unit of its KPI; validities do not overlap.
with targets as (
    select * from {{ ref('kpi_target') }}
),

kpis as (
    select * from {{ ref('kpi') }}
),

ranged as (
    select
        *,
        lead(valid_from) over (partition by kpi, store_code, scope order by valid_from)
            as next_valid_from
    from targets
)

select
    'target and floor do not go together' as failure,
    targets.kpi
from targets
inner join kpis on targets.kpi = kpis.kpi
where
    (targets.target is null) <> (targets.floor is null)
    or targets.target = targets.floor
    or (kpis.direction = 'HIGHER' and targets.target < targets.floor)
    or (kpis.direction = 'LOWER' and targets.target > targets.floor)
    or (kpis.direction = 'NONE' and targets.target is not null)

union all

select
    'target is not in the unit of its KPI' as failure,
    targets.kpi
from targets
inner join kpis on targets.kpi = kpis.kpi
where
    (kpis.unit = 'SHARE' and kpis.kpi <> 'CRM_ROI' and targets.target not between 0 and 1)
    or (kpis.unit = 'SHARE' and kpis.kpi <> 'CRM_ROI' and targets.floor not between 0 and 1)
    or (kpis.unit = 'NPS_POINT' and targets.target not between -100 and 100)
    or (kpis.unit = 'NPS_POINT' and targets.floor not between -100 and 100)

union all

select
    'weight is negative, or it never holds' as failure,
    kpi
from targets
where weight < 0 or valid_from >= valid_to

union all

select
    'two targets hold on one day' as failure,
    kpi
from ranged
where next_valid_from < valid_to
