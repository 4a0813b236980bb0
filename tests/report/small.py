"""A publication of a few rows, written by hand: enough for report and page, no night needed."""

# ruff: noqa: E501  (rows and sentences stand in one line each)

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import duckdb

AS_OF = date(2024, 12, 31)

TABLES = """
create schema core; create schema marts;
create table core.dim_as_of as select date '2024-12-31' as as_of_date, '惠民超市' as company_name,
    'CNY' as currency, 30 as min_n, 5 as min_n_complaint, 30 as silent_window_days, true as is_latest;
create table core.dim_store as from (values (1, 'A1', '人民路店', false), (2, 'B<2>', 'Market & Sons', false),
    (3, 'C3', null, false), (9, 'T9', '测试店', true), (-1, 'UNKNOWN', null, false))
    as t(store_key, store_code, store_name, is_test);
create table core.kpi as from (values
    ('CHURN', 1, 'C2', 'Churn in a month', '月流失率'), ('NPS', 2, 'T2', 'Net promoter score', '净推荐值'),
    ('MEMBER_SALES', 3, 'V1', 'Sales in 12 months', '会员销售额（近12个月）'),
    ('FIRST_RESPONSE_P90', 4, 'P2', 'First response (P90)', '首次响应时长（P90）'),
    ('CRM_ROI', 5, 'K2', 'Return on the programme', '投资回报率'))
    as t(kpi, place, metric_id, name_en, name_zh), (select null::varchar as theme);
update core.kpi set theme = kpi;
create table core.treatment_matrix as from (values
    ('CHURN', 'ALL', 'ASK_LEAVERS', 'Ask the last 50 who left <why>', '询问最近50名流失客户', 'MESSAGE', 1, 'CRM_MANAGER', 30, 'CHURN'),
    ('CHURN', 'ALL', 'NPS_CALLS', 'Call them', '致电', 'PHONE', null, 'STORE_MANAGER', 14, 'NPS'),
    ('CHURN', 'TOP', 'ONLY_TOP', 'Call the best', '致电重要客户', 'PHONE', null, 'STORE_MANAGER', 7, 'CHURN'))
    as t(kpi, segment, strategy_code, action_en, action_zh, channel, max_cost, owner, due_days, success_kpi),
    (select 'default' as scope, date '1900-01-01' as valid_from, date '9999-12-31' as valid_to);
create table core.dim_reason as select 'STAFF_RUDE' as reason_code, 'Rude staff' as name_en, '员工态度差' as name_zh;
create table core.churn_reason as select 'PRICING' as reason_code, 'Pricing' as name_en, '价格' as name_zh;
create table marts.mart_concentration as from (values ('ALL', 200, false), ('A1', 120, false),
    ('B<2>', 60, false), ('C3', 20, true)) as t(store_code, n_customers, is_small_sample),
    (select date '2024-12-31' as as_of_date, 'MARGIN' as value_basis);
create table marts.mart_load as select 'complaint' as feed, 'LOADED' as status, 10 as count_rows_in,
    9 as count_accepted, 1 as count_quarantined, 0 as count_refused, true as is_simulated,
    date '2024-12-31' as judged_for_on;
create table marts.mart_data_quality as select 'ROW' as rule_kind, 'critical' as severity, false as is_passed,
    1 as count_failed, date '2024-12-31' as checked_on;
create table marts.mart_freshness as select *, date '2024-12-30' as last_data_on, date '2024-12-31' as as_of_date
from (values ('complaint', 'ALL', 2), ('sales_line', 'A1', 0), ('sales_line', 'B<2>', 0), ('sales_line', 'C3', 1))
    as t(feed, store_code, count_missing);
create table marts.mart_scorecard as
select date '2024-12-31' as as_of_date, t.store_code, k.kpi, k.place as kpi_order, t.perspective, k.metric_id,
    true as is_latest, date '2024-12-31' as measured_on, t.unit, t.actual::decimal(18, 6) as actual,
    t.lo::decimal(18, 6) as lo, t.hi::decimal(18, 6) as hi, t.n, 'mart_churn_rate' as source_mart,
    t.is_simulated, t.floor::decimal(18, 6) as floor, t.target::decimal(18, 6) as target, t.status,
    t.missing_reason, 0.5::decimal(9, 6) as attainment, 0.25::decimal(9, 6) as weight, 10 as weight_given,
    0.437::decimal(9, 6) as scorecard_attainment, 'MONTH' as window_code,
    (case when t.perspective <> 'FINANCIAL' then 0.437 end)::decimal(9, 6) as perspective_attainment, 'CRM_MANAGER' as owner,
    t.previous::decimal(18, 6) as previous, (t.actual - t.previous)::decimal(18, 6) as delta,
    t.change_code
from (values
    ('ALL', 'CHURN', 'CUSTOMER', 'SHARE', 0.143, 0.12, 0.17, 180, false, 0.12, 0.06, 'BREACHED', null, 0.12, 'NONE'),
    ('ALL', 'NPS', 'CUSTOMER', 'NPS_POINT', -3.4, -12, 6, 12, true, 0, 30, 'NOT_MEASURABLE', 'SMALL_SAMPLE', 4.6, null),
    ('ALL', 'MEMBER_SALES', 'FINANCIAL', 'MONEY', 13456789.12, null, null, 200, false, null, null, 'NO_TARGET', null, null, null),
    ('ALL', 'FIRST_RESPONSE_P90', 'INTERNAL', 'MINUTES', 155, null, null, 44, true, 480, 120, 'BELOW_TARGET', null, 170, null),
    ('ALL', 'CRM_ROI', 'FINANCIAL', 'SHARE', null, null, null, null, false, null, null, 'NOT_MEASURABLE', 'NO_CRM_CASHFLOW_FEED', null, null),
    ('A1', 'CHURN', 'CUSTOMER', 'SHARE', 0.163, 0.12, 0.2, 100, false, 0.12, 0.06, 'BREACHED', null, 0.12, 'WORSE'),
    ('B<2>', 'CHURN', 'CUSTOMER', 'SHARE', 0.05, 0.02, 0.08, 80, false, 0.12, 0.06, 'MET', null, 0.06, null))
    as t(store_code, kpi, perspective, unit, actual, lo, hi, n, is_simulated, floor, target, status, missing_reason,
        previous, change_code)
join core.kpi as k using (kpi);
create table marts.mart_report as
select s.as_of_date, t.section, t.rank, s.is_latest, t.topic, t.statement_code, s.kpi, s.metric_id, s.store_code,
    'ALL' as segment, t.problem_no, s.actual as value, s.unit, s.n, s.lo, s.hi, s.missing_reason, s.measured_on,
    s.source_mart, s.is_simulated, s.target, s.floor, s.status, s.attainment, s.previous, s.delta, s.change_code,
    t.strategy_code, t.action_en, t.action_zh, a.channel, a.max_cost, s.owner, t.due_days, t.success_kpi
from (values
    ('SUMMARY', 1, 'SUMMARY', 'KPI', 'MEMBER_SALES', 'ALL', null, null, null, null, null, null),
    ('SUMMARY', 2, 'SUMMARY', 'KPI', 'CHURN', 'ALL', null, null, null, null, null, null),
    ('SUMMARY', 3, 'SUMMARY', 'KPI', 'NPS', 'ALL', null, null, null, null, null, null),
    ('SUMMARY', 4, 'SUMMARY', 'KPI', 'CRM_ROI', 'ALL', null, null, null, null, null, null),
    ('SITUATION', 1, 'INTERNAL', 'KPI', 'FIRST_RESPONSE_P90', 'ALL', null, null, null, null, null, null),
    ('PROBLEM', 1, 'PROBLEM', 'TARGET_BREACHED', 'CHURN', 'ALL', 1, null, null, null, null, null),
    ('PROBLEM', 2, 'PROBLEM', 'WORST_STORE', 'CHURN', 'A1', 1, null, null, null, null, null),
    ('ADVICE', 1, 'ADVICE', 'TREATMENT', 'CHURN', 'ALL', 1, 'ASK_LEAVERS', 'Ask the last 50 who left <why>',
        '询问最近50名流失客户', 30, 'CHURN'))
    as t(section, rank, topic, statement_code, kpi, store_code, problem_no, strategy_code, action_en, action_zh,
        due_days, success_kpi)
join marts.mart_scorecard as s using (kpi, store_code)
left join core.treatment_matrix as a using (strategy_code);
"""


def write(folder: Path, *changes: str) -> Path:
    """The publication in `folder`; `changes` are run on its marts before they are published."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("kehu.duckdb", "manifest.json"):
        (folder / name).unlink(missing_ok=True)
    with duckdb.connect(str(folder / "kehu.duckdb")) as connection:
        connection.execute(TABLES)
        for change in changes:
            connection.execute(change)
    manifest = {
        "publication": "2024-12-31_20250101T030000000000",
        "as_of_date": AS_OF.isoformat(),
        "simulated_feeds": ["complaint", "survey_answer"],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder
