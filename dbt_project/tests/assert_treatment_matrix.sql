-- Whatever may become a problem has a treatment for every segment, on each date; a treatment has a
-- term and a cost that is none below 0.
with kpis as (
    select * from {{ ref('kpi') }}
),

treatments as (
    select *
    from {{ ref('treatment_matrix') }}
    where scope in ('default', '{{ var("param_scope") }}')
),

as_of_dates as (
    select * from {{ ref('dim_as_of') }}
)

select
    'KPI without a treatment' as failure,
    kpis.kpi
from kpis
cross join as_of_dates
left join treatments
    on
        kpis.kpi = treatments.kpi
        and treatments.segment = 'ALL'
        and as_of_dates.as_of_date >= treatments.valid_from
        and as_of_dates.as_of_date < treatments.valid_to
where kpis.direction <> 'NONE' and treatments.kpi is null

union all

select
    'term or cost is out of its range' as failure,
    kpi
from treatments
where due_days <= 0 or max_cost < 0 or valid_from >= valid_to
