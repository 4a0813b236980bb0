-- 20. Is the CRM programme worth it: what does the scorecard say, against which target, and what is
--   to be done?
-- 中文：CRM 项目值不值得：平衡计分卡各项指标是否达标，该做什么？
-- Trap: worth is the increment over what would have happened anyway; without control groups and
--   cash flows there is no NPV and no IRR, and none is invented here. A target that the company
--   has not set is a shipped default (core.kpi_target.source says so), and a KPI without feed says
--   which.
-- Definitions: K1, R1
with scorecard as (
    select *
    from marts.mart_scorecard
    where is_latest and store_code = 'ALL'
),

report as (
    select *
    from marts.mart_report
    where is_latest
),

problems as (
    select
        kpi,
        min(problem_no) as problem_no
    from report
    where section = 'PROBLEM' and store_code = 'ALL'
    group by kpi
),

advice as (
    select
        problem_no,
        max_by(action_en, -rank) as first_action,
        count(*) as count_actions
    from report
    where section = 'ADVICE'
    group by problem_no
)

select
    scorecard.as_of_date,
    scorecard.perspective,
    scorecard.kpi,
    scorecard.actual,
    scorecard.unit,
    scorecard.n,
    scorecard.target,
    scorecard.attainment,
    scorecard.weight,
    scorecard.scorecard_attainment,
    scorecard.status,
    scorecard.change_code,
    scorecard.missing_reason,
    scorecard.is_simulated,
    problems.problem_no,
    advice.first_action,
    advice.count_actions
from scorecard
left join problems on scorecard.kpi = problems.kpi
left join advice on problems.problem_no = advice.problem_no
order by scorecard.kpi_order asc
