-- The summary has ten numbers; a problem has a cause on the scorecard and advice, and each breach
-- of the company is told; figures are those of the scorecard.
with report as (
    select * from {{ ref('mart_report') }}
),

scorecard as (
    select * from {{ ref('mart_scorecard') }}
),

problems as (
    select *
    from report
    where section = 'PROBLEM'
),

advice as (
    select *
    from report
    where section = 'ADVICE'
),

summaries as (
    select
        as_of_date,
        count(case when section = 'SUMMARY' then 1 end) as count_numbers
    from report
    group by as_of_date
)

select
    'the summary has not ten numbers' as failure,
    as_of_date,
    cast(count_numbers as {{ dbt.type_string() }}) as of_what
from summaries
where count_numbers <> 10

union all

select
    'problem without advice' as failure,
    problems.as_of_date,
    problems.kpi as of_what
from problems
left join advice
    on problems.as_of_date = advice.as_of_date and problems.problem_no = advice.problem_no
where advice.problem_no is null

union all

select
    'advice without a problem, an owner, a term or a KPI' as failure,
    advice.as_of_date,
    advice.strategy_code as of_what
from advice
left join problems
    on advice.as_of_date = problems.as_of_date and advice.problem_no = problems.problem_no
where
    problems.problem_no is null
    or advice.owner is null
    or advice.due_days is null
    or advice.success_kpi is null

union all

select
    'problem without a cause' as failure,
    problems.as_of_date,
    problems.kpi as of_what
from problems
left join scorecard
    on
        problems.as_of_date = scorecard.as_of_date
        and problems.store_code = scorecard.store_code
        and problems.kpi = scorecard.kpi
where
    not problems.is_evidence
    and not coalesce(scorecard.status = 'BREACHED' or scorecard.change_code = 'WORSE', false)

union all

select
    'breach that nobody is told' as failure,
    scorecard.as_of_date,
    scorecard.kpi as of_what
from scorecard
left join problems
    on
        scorecard.as_of_date = problems.as_of_date
        and scorecard.kpi = problems.kpi
        and problems.store_code = 'ALL'
where
    scorecard.store_code = 'ALL'
    and scorecard.weight_given > 0
    and (scorecard.status = 'BREACHED' or scorecard.change_code = 'WORSE')
    and problems.kpi is null

union all

select
    'figure differs from the scorecard' as failure,
    report.as_of_date,
    report.kpi as of_what
from report
left join scorecard
    on
        report.as_of_date = scorecard.as_of_date
        and report.store_code = scorecard.store_code
        and coalesce(report.success_kpi, report.kpi) = scorecard.kpi
where
    report.kpi is not null
    and report.statement_code not in ('WORST_SEGMENT', 'STORES_BREACHED', 'STORES_CERTAIN')
    and (
        scorecard.kpi is null
        or coalesce(report.value, 0) <> coalesce(scorecard.actual, 0)
        or coalesce(report.n, 0) <> coalesce(scorecard.n, 0)
        or report.is_simulated <> scorecard.is_simulated
    )
