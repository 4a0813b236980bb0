"""No dbt test is an ornament: each singular and custom one has a mutation that makes it fail.

The tests' compiled SQL runs on a copy of a home that a real night built, inside a transaction that
breaks one thing and is rolled back. A test without an entry fails `test_every_assertion_is_here`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

pytestmark = pytest.mark.nights

STANDARD = {"not_null", "accepted_values", "relationships"}

ONE = "rowid = (select min(rowid) from {table}{where})"


def one(table: str, change: str, where: str = "") -> str:
    """Update one row of a table."""
    condition = ONE.format(table=table, where=f" where {where}" if where else "")
    return f"update {table} set {change} where {condition}"


LATEST = "as_of_date = (select max(as_of_date) from marts.core.dim_as_of)"
LATE = f"update marts.{{}} set as_of_date = date '1999-01-01' where {LATEST}"
RATE = "store_code = 'ALL' and pyramid_tier = 'ALL' and active_start > 0"

# (singular test, what its failing row says, the mutation)
MUTATIONS = [
    ("assert_core_columns", "", "alter table marts.core.dim_store add column phone varchar"),
    ("assert_core_columns", "", "alter table marts.core.dim_store add column fee_amount double"),
    ("assert_core_columns", "", "alter table marts.core.dim_store add column phone_key varchar"),
    (
        "assert_core_columns",
        "",
        "alter table warehouse.intermediate.int_member__identify add column birth_date date",
    ),
    (
        "assert_customer_score",
        "scored and should not be",
        "delete from marts.core.fct_customer_score "
        f"where {ONE.format(table='marts.core.fct_customer_score', where='')}",
    ),
    (
        "assert_customer_score",
        "out of its range",
        one("marts.core.fct_customer_score", "p_alive = 1.5"),
    ),
    (
        "assert_customer_score",
        "do not go together",
        one("marts.core.fct_customer_score", "clv = 1, clv_missing_reason = 'TOO_FEW'"),
    ),
    (
        "assert_customer_score",
        "rests on a model",
        "update marts.core.fct_model_run set is_published = false; "
        "update marts.core.fct_customer_score set p_alive_bg_nbd = 0.5",
    ),
    (
        "assert_customer_score",
        "published model did not",
        one("marts.core.fct_model_run", "is_published = true, reason_code = 'TOO_FEW'"),
    ),
    (
        "assert_customer_score",
        "three runs",
        "delete from marts.core.fct_model_run where model = 'BG_NBD'",
    ),
    (
        "assert_fct_complaint",
        "complaint is in one of raw and fact only",
        "delete from marts.core.fct_complaint where complaint_no = 'K1'",
    ),
    ("assert_fct_complaint", "a key without", one("marts.core.fct_complaint", "store_key = 4242")),
    (
        "assert_fct_complaint",
        "a key without",
        one("marts.core.fct_complaint", "channel_code = 'X'"),
    ),
    (
        "assert_fct_complaint",
        "milestones",
        one("marts.core.fct_complaint", "first_response_minutes = -1"),
    ),
    (
        "assert_fct_complaint",
        "milestones",
        one("marts.core.fct_complaint", "is_open = true", "resolved_at is not null"),
    ),
    ("assert_fct_complaint", "milestones", one("marts.core.fct_complaint", "max_level = 0")),
    (
        "assert_fct_customer_month",
        "sales of customers differ",
        one("marts.core.fct_customer_month", "net_sales_365d = net_sales_365d + 0.01", LATEST),
    ),
    ("assert_fct_customer_month", "date of the row", LATE.format("core.fct_customer_month")),
    (
        "assert_fct_customer_month",
        "state, threshold",
        one("marts.core.fct_customer_month", "churn_status = 'CHURNED'", "churn_status = 'ACTIVE'"),
    ),
    (
        "assert_fct_customer_month",
        "state, threshold",
        one(
            "marts.core.fct_customer_month",
            "last_visit_on = as_of_date + 1",
            "last_visit_on is not null",
        ),
    ),
    (
        "assert_fct_customer_month",
        "visits differ from fct_visit",
        one("marts.core.fct_visit", "known_to = known_from"),
    ),
    (
        "assert_fct_receipt",
        "store-day differs",
        one("marts.core.fct_receipt", "net_amount = net_amount + 0.01"),
    ),
    (
        "assert_fct_receipt",
        "store-day differs",
        one("marts.core.fct_receipt", "source_version = 'x'"),
    ),
    (
        "assert_fct_receipt",
        "customer differs",
        one("marts.core.fct_receipt", "customer_id = 'UNKNOWN'", "customer_id like 'M%'"),
    ),
    (
        "assert_fct_sales_line",
        "store-day differs from raw",
        one("marts.core.fct_sales_line", "net_amount = net_amount + 0.01"),
    ),
    (
        "assert_fct_sales_line",
        "store-day differs from the ledger",
        one("warehouse.ops.store_day", "count_rows = count_rows + 1", "status = 'CURRENT'"),
    ),
    (
        "assert_fct_sales_line",
        "a key without",
        one("marts.core.fct_sales_line", "product_key = 4242"),
    ),
    (
        "assert_fct_sales_line",
        "a key without",
        one("marts.core.fct_sales_line", "customer_id = 'nobody'"),
    ),
    (
        "assert_fct_survey_answer",
        "answer is in one of raw and fact only",
        "delete from marts.core.fct_survey_answer where response_id = 'R1'",
    ),
    (
        "assert_fct_survey_answer",
        "a key without",
        one("marts.core.fct_survey_answer", "card_key = 4242"),
    ),
    (
        "assert_mart_churn_rate",
        "total differs from mart_churn",
        one("marts.marts.mart_churn_rate", "churned = churned + 1, retained = retained - 1", RATE),
    ),
    (
        "assert_mart_churn_rate",
        "total differs from stores",
        one(
            "marts.marts.mart_churn_rate",
            "active_start = active_start + 1, retained = retained + 1",
            "store_code <> 'ALL' and pyramid_tier = 'ALL'",
        ),
    ),
    (
        "assert_mart_churn_rate",
        "total differs from tiers",
        "delete from marts.marts.mart_churn_rate where pyramid_tier <> 'ALL' and active_start > 0",
    ),
    ("assert_mart_churn_rate", "date without a total", "delete from marts.marts.mart_churn_rate"),
    (
        "assert_mart_churn_rate",
        "counts and rates disagree",
        one("marts.marts.mart_churn_rate", "churn_rate = churn_rate + 0.1", RATE),
    ),
    (
        "assert_mart_churn_rate",
        "counts and rates disagree",
        one("marts.marts.mart_churn_rate", "churned_avoidable = churned_avoidable + 1", RATE),
    ),
    (
        "assert_mart_churn_rate",
        "counts and rates disagree",
        one("marts.marts.mart_churn_rate", "value_lost = value_start + 0.01", RATE),
    ),
    (
        "assert_mart_churn_rate",
        "counts and rates disagree",
        one("marts.marts.mart_churn_rate", "value_retention_rate = null", RATE),
    ),
    (
        "assert_mart_churn_rate",
        "total differs from stores",
        one(
            "marts.marts.mart_churn_rate",
            "value_lost = value_lost + 0.01",
            "store_code <> 'ALL' and pyramid_tier = 'ALL' and value_lost is not null",
        ),
    ),
    (
        "assert_mart_churn_rate",
        "churned and active are not all who came",
        one("marts.marts.mart_churn", "churn_status = 'NEVER_BOUGHT'", "churn_status = 'ACTIVE'"),
    ),
    (
        "assert_mart_churn_rate",
        "probability without a model",
        one(
            "marts.marts.mart_churn",
            "p_churn = 0.5, p_churn_missing_reason = null",
            "model is null",
        ),
    ),
    (
        "assert_mart_churn_rate",
        "nothing without a reason",
        one("marts.marts.mart_churn", "p_churn_missing_reason = null", "p_churn is null"),
    ),
    (
        "assert_mart_churn_rate",
        "nothing without a reason",
        one(
            "marts.marts.mart_churn",
            "reason_code = 'PRICING', reason_source = 'INFERRED', is_avoidable = true",
            "churn_status = 'ACTIVE'",
        ),
    ),
    (
        "assert_mart_churn_rate",
        "model published without",
        one("marts.marts.mart_model_evaluation", "is_published = true", "is_baseline"),
    ),
    (
        "assert_mart_churn_rate",
        "causes differ",
        one(
            "marts.marts.mart_churn_reason",
            "count_mentions = count_respondents + 1",
            "store_code = 'ALL'",
        ),
    ),
    (
        "assert_mart_churn_rate",
        "customer without a row in mart_churn",
        one("marts.marts.mart_churn", "customer_id = 'nobody'"),
    ),
    (
        "assert_mart_complaint",
        "complaint is in one of",
        "delete from marts.marts.mart_complaint where complaint_no = 'K1'",
    ),
    (
        "assert_mart_complaint",
        "time below 0",
        one("marts.marts.mart_complaint", "resolution_net_minutes = -1", "resolved_at is not null"),
    ),
    (
        "assert_mart_complaint",
        "time below 0",
        one("marts.marts.mart_complaint", "is_recovered = true", "is_open"),
    ),
    (
        "assert_mart_complaint",
        "reopened complaint counts as resolved",
        "insert into marts.core.fct_complaint_event "
        "(complaint_no, seq, occurred_at, occurred_on, event, is_simulated) "
        "select complaint_no, 99, resolved_at + interval 1 minute, cast(resolved_at as date), "
        "'REOPENED', false from marts.marts.mart_complaint "
        f"where resolution_gross_minutes is not null and {LATEST} limit 1",
    ),
    (
        "assert_mart_complaint",
        "number of complaints differs",
        one("marts.marts.mart_complaint_day", "count_complaints = count_complaints + 1"),
    ),
    (
        "assert_mart_complaint",
        "number of complaints differs",
        one(
            "marts.marts.mart_service_recovery",
            "count_complaints = count_complaints + 1",
            "window_code = 'PERIOD'",
        ),
    ),
    (
        "assert_mart_complaint",
        "date without a total",
        f"delete from marts.marts.mart_service_recovery where {LATEST}",
    ),
    (
        "assert_mart_complaint",
        "alert does not follow",
        one("marts.marts.mart_complaint_day", "is_alert = not is_alert"),
    ),
    (
        "assert_mart_complaint",
        "share does not follow",
        one("marts.marts.mart_service_recovery", "count_fcr = count_fcr_eligible + 1"),
    ),
    (
        "assert_mart_customer_value",
        "customer without a row",
        one("marts.marts.mart_customer_value", "customer_id = 'nobody'"),
    ),
    (
        "assert_mart_customer_value",
        "scored although",
        one("marts.marts.mart_customer_value", "rfm_segment = null", "r_score is not null"),
    ),
    (
        "assert_mart_customer_value",
        "scored although",
        one(
            "marts.marts.mart_customer_value",
            "value_365d = value_365d + 0.01",
            "r_score is not null",
        ),
    ),
    (
        "assert_mart_customer_value",
        "scored although",
        one(
            "marts.marts.mart_customer_value",
            "store_value_rank = value_rank + 1",
            "value_rank is not null",
        ),
    ),
    (
        "assert_mart_customer_value",
        "scored although",
        one(
            "marts.marts.mart_customer_value",
            "clv_missing_reason = 'X', clv_24m = 1",
            "r_score is not null",
        ),
    ),
    (
        "assert_mart_customer_value",
        "equal values with unequal scores",
        "update marts.marts.mart_customer_value set f_score = 6 - f_score where rowid in (select max(rowid) "
        f"from marts.marts.mart_customer_value where f_score <> 3 and {LATEST} "
        "group by count_visits_365d having count(*) > 1)",
    ),
    (
        "assert_mart_customer_value",
        "tier is not the share",
        one("marts.marts.mart_customer_value", "pyramid_tier = 'TOP'", "pyramid_tier = 'SMALL'"),
    ),
    (
        "assert_mart_lifecycle",
        "customer without a row",
        one("marts.marts.mart_lifecycle", "customer_id = 'nobody'"),
    ),
    (
        "assert_mart_lifecycle",
        "phase or pattern",
        one("marts.marts.mart_lifecycle", "relationship_phase = null", "churn_status = 'ACTIVE'"),
    ),
    (
        "assert_mart_lifecycle",
        "cohorts do not add up",
        one("marts.marts.mart_cohort", "size = size + 1", "age_month = 0"),
    ),
    (
        "assert_mart_lifecycle",
        "retention of a cohort",
        one("marts.marts.mart_cohort", "retained_rolling = size + 1"),
    ),
    (
        "assert_mart_lifecycle",
        "first-time buyers do not add up",
        one("marts.marts.mart_repurchase", "count_first_buyers = count_first_buyers + 1"),
    ),
    (
        "assert_mart_lifecycle",
        "counts and rates of repurchase",
        one("marts.marts.mart_repurchase", "count_repurchased = count_mature + 1"),
    ),
    (
        "assert_mart_lifecycle",
        "strata do not add up",
        one("marts.marts.mart_survival", "count_customers = count_customers + 1", "t_days = 0"),
    ),
    (
        "assert_mart_lifecycle",
        "survival does not start at 1",
        one("marts.marts.mart_survival", "survival = 0.9", "t_days = 0"),
    ),
    (
        "assert_mart_lifecycle",
        "survival does not start at 1",
        one("marts.marts.mart_survival", "survival = 1.1", "t_days > 0"),
    ),
    (
        "assert_mart_lifecycle",
        "customers at risk do not follow",
        one("marts.marts.mart_survival", "at_risk = at_risk + 1", "t_days > 0"),
    ),
    (
        "assert_mart_lifecycle",
        "churns of a log-rank test",
        one("marts.marts.mart_survival_test", "observed_events = observed_events + 1"),
    ),
    (
        "assert_mart_loyalty",
        "customer without a row",
        one("marts.marts.mart_loyalty", "customer_id = 'nobody'"),
    ),
    (
        "assert_mart_loyalty",
        "disagrees",
        one("marts.marts.mart_loyalty", "loyalty_type = 'TRUE'", "loyalty_type = 'UNKNOWN'"),
    ),
    (
        "assert_mart_loyalty",
        "disagrees",
        one("marts.marts.mart_loyalty", "behaviour_index = 101", "behaviour_index is not null"),
    ),
    (
        "assert_mart_loyalty",
        "disagrees",
        one("marts.marts.mart_loyalty", "apostle_type = 'APOSTLE'", "satisfaction_score is null"),
    ),
    (
        "assert_mart_loyalty",
        "share of wallet",
        one("marts.marts.mart_loyalty", "breadth_ratio = 1.5"),
    ),
    (
        "assert_mart_loyalty",
        "neither given nor explained",
        one("marts.marts.mart_loyalty", "referral_count = null, referral_missing_reason = null"),
    ),
    (
        "assert_mart_loyalty",
        "neither given nor explained",
        one("marts.marts.mart_loyalty", "tolerance_flag = true", "quality_incident_on is null"),
    ),
    (
        "assert_mart_loyalty",
        "do not add up",
        one("marts.marts.mart_loyalty_structure", "count_customers = count_customers + 1"),
    ),
    (
        "assert_mart_loyalty",
        "the company differs",
        one("marts.marts.mart_loyalty", "behaviour_index = null", "behaviour_index is not null"),
    ),
    (
        "assert_mart_loyalty",
        "more hits than cases",
        one("marts.marts.mart_loyalty_rate", "count_tolerant = count_incident_customers + 1"),
    ),
    (
        "assert_mart_loyalty",
        "points of the curve",
        one("marts.marts.mart_satisfaction_loyalty", "count_retained = count_mature + 1"),
    ),
    (
        "assert_mart_loyalty",
        "expected and bought",
        one(
            "marts.core.fct_customer_promotion",
            "expected_promo_sales_365d = expected_promo_sales_365d + 1000",
        ),
    ),
    (
        "assert_mart_satisfaction",
        "outside its bounds",
        one("marts.marts.mart_satisfaction", "value = 101, hi = 101", "metric = 'NPS'"),
    ),
    (
        "assert_mart_satisfaction",
        "outside its bounds",
        one("marts.marts.mart_satisfaction", "value = 1.1, hi = 1.1", "metric = 'CSAT'"),
    ),
    (
        "assert_mart_satisfaction",
        "differs from its counts",
        one(
            "marts.marts.mart_satisfaction",
            "count_passives = count_passives + 1",
            "metric = 'NPS' and weighting = 'UNWEIGHTED'",
        ),
    ),
    (
        "assert_mart_satisfaction",
        "total differs",
        one(
            "marts.marts.mart_satisfaction",
            "count_top_box = count_top_box + 1",
            "metric = 'CSAT' and store_code <> 'ALL'",
        ),
    ),
    (
        "assert_mart_satisfaction",
        "total differs",
        "delete from marts.marts.mart_satisfaction where segment <> 'ALL'",
    ),
    (
        "assert_mart_satisfaction",
        "Kano counts",
        one("marts.marts.mart_kano", "count_reverse = count_reverse + 1"),
    ),
    (
        "assert_mart_satisfaction",
        "unpaired answers",
        one("marts.marts.mart_servqual_item", "n = n + 1"),
    ),
    (
        "assert_mart_satisfaction",
        "do not add up",
        one("marts.marts.mart_survey_quality", "count_completes = count_responses + 1"),
    ),
    (
        "assert_mart_segment",
        "shares do not add up",
        one("marts.marts.mart_segment_structure", "pct_customers = pct_customers + 0.1"),
    ),
    (
        "assert_mart_segment",
        "customers of a scheme",
        one("marts.marts.mart_customer_value", "rfm_segment = null", "rfm_segment is not null"),
    ),
    (
        "assert_mart_segment",
        "stores do not add up",
        one("marts.marts.mart_segment_structure", "nps_n = nps_n + 1", "store_code <> 'ALL'"),
    ),
    (
        "assert_mart_segment",
        "moves do not start",
        one("marts.marts.mart_segment_migration", "count_from = count_from + 1"),
    ),
    (
        "assert_mart_segment",
        "moves do not end",
        one(
            "marts.marts.mart_segment_migration",
            "n = n + 1",
            "store_code = 'ALL' and not is_exit",
        ),
    ),
    (
        "assert_mart_segment",
        "tier of which nobody",
        "delete from marts.marts.mart_segment_migration where not is_entry",
    ),
    (
        "assert_mart_segment",
        "concentration disagrees",
        one("marts.marts.mart_concentration", "gini = 2", "gini is not null"),
    ),
    (
        "assert_mart_segment",
        "concentration disagrees",
        "delete from marts.marts.mart_concentration",
    ),
    (
        "assert_kpi_target",
        "do not go together",
        one("marts.core.kpi_target", "floor = null", "target is not null"),
    ),
    (
        "assert_kpi_target",
        "do not go together",
        one("marts.core.kpi_target", "floor = target", "target is not null"),
    ),
    (
        "assert_kpi_target",
        "do not go together",
        "update marts.core.kpi_target set floor = 0.01 where kpi = 'CHURN'",
    ),
    (
        "assert_kpi_target",
        "in the unit",
        "update marts.core.kpi_target set target = 85, floor = 70 where kpi = 'CSAT'",
    ),
    ("assert_kpi_target", "weight is negative", one("marts.core.kpi_target", "weight = -1")),
    (
        "assert_kpi_target",
        "two targets",
        "insert into marts.core.kpi_target by name "
        "select * replace (date '2020-01-01' as valid_from) from marts.core.kpi_target",
    ),
    (
        "assert_treatment_matrix",
        "without a treatment",
        "delete from marts.core.treatment_matrix where kpi = 'NPS' and segment = 'ALL'",
    ),
    ("assert_treatment_matrix", "term or cost", one("marts.core.treatment_matrix", "due_days = 0")),
    (
        "assert_mart_scorecard",
        "without the company",
        "delete from marts.marts.mart_scorecard where kpi = 'CRM_ROI'",
    ),
    (
        "assert_mart_scorecard",
        "do not go together",
        one("marts.marts.mart_scorecard", "missing_reason = null", "actual is null"),
    ),
    (
        "assert_mart_scorecard",
        "do not go together",
        one("marts.marts.mart_scorecard", "actual = 0", "kpi = 'CRM_ROI'"),
    ),
    (
        "assert_mart_scorecard",
        "disagree",
        one("marts.marts.mart_scorecard", "attainment = 1", "kpi = 'CRM_ROI'"),
    ),
    (
        "assert_mart_scorecard",
        "disagree",
        one(
            "marts.marts.mart_scorecard",
            "status = 'MET', attainment = 0.5, missing_reason = null",
            "kpi = 'CHURN'",
        ),
    ),
    (
        "assert_mart_scorecard",
        "few cases",
        one(
            "marts.marts.mart_scorecard",
            "status = 'BREACHED', missing_reason = null, n = 0",
            "kpi = 'CHURN'",
        ),
    ),
    (
        "assert_mart_scorecard",
        "value of most",
        one(
            "marts.marts.mart_scorecard",
            "missing_reason = 'VALUE_OF_MOST_NOT_KNOWN', status = 'NOT_MEASURABLE', actual = null",
            "kpi = 'TOP_20_VALUE_SHARE' and store_code = 'ALL' and actual is not null",
        ),
    ),
    (
        "assert_mart_scorecard",
        "do not add up",
        one(
            "marts.marts.mart_scorecard",
            "attainment = 1, weight = 0.5, weight_given = 5, scorecard_attainment = 1",
            "kpi = 'CRM_ROI'",
        ),
    ),
    (
        "assert_mart_scorecard",
        "differs from its mart",
        one(
            "marts.marts.mart_scorecard",
            "actual = actual + 1",
            "kpi = 'MEMBER_SALES' and store_code = 'ALL' and actual is not null",
        ),
    ),
    (
        "assert_mart_scorecard",
        "tested for change",
        one("marts.marts.mart_scorecard", "is_significant_change = true", "kpi = 'MEMBER_SALES'"),
    ),
    (
        "assert_mart_report",
        "ten numbers",
        "delete from marts.marts.mart_report where kpi = 'NPS' and section = 'SUMMARY'",
    ),
    (
        "assert_mart_report",
        "problem without advice",
        one("marts.marts.mart_report", "section = 'PROBLEM', problem_no = 99"),
    ),
    (
        "assert_mart_report",
        "advice without a problem",
        one("marts.marts.mart_report", "section = 'ADVICE', problem_no = 99"),
    ),
    (
        "assert_mart_report",
        "without a cause",
        one("marts.marts.mart_report", "section = 'PROBLEM'", "kpi = 'MEMBER_SALES'"),
    ),
    (
        "assert_mart_report",
        "nobody is told",
        "update marts.marts.mart_scorecard set status = 'BREACHED' "
        "where kpi = 'CRM_ROI' and store_code = 'ALL'",
    ),
    (
        "assert_mart_report",
        "differs from the scorecard",
        one("marts.marts.mart_report", "value = 1e9", "kpi = 'MEMBER_SALES'"),
    ),
]


@pytest.fixture(scope="module")
def built(bulk: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("mutations") / "home"
    shutil.copytree(bulk, home, symlinks=True)
    return home


@pytest.fixture(scope="module")
def tests(built: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((built / "dbt" / "outcome.json").read_text())["tests"]
    return found


@pytest.fixture
def database(built: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(built / "warehouse.duckdb")) as connection:
        connection.execute(f"attach '{built / 'marts.duckdb'}' as marts")
        connection.execute("begin")
        yield connection
        connection.execute("rollback")


def compiled(built: Path, test: dict[str, Any]) -> str:
    folder = built / "dbt" / "target" / "compiled" / "kehu"
    return next(folder.rglob(Path(test["path"]).name)).read_text()


def test_every_assertion_is_here(tests: list[dict[str, Any]]) -> None:
    singular = {t["name"] for t in tests if t["kind"] == "singular"}
    assert singular == {name for name, _, _ in MUTATIONS}
    custom = {t["kind"] for t in tests} - STANDARD - {"singular"}
    assert custom == {"unique", "unique_combination", "contiguous_ranges"}


def test_the_built_marts_pass(
    built: Path, tests: list[dict[str, Any]], database: duckdb.DuckDBPyConnection
) -> None:
    for test in tests:
        assert database.execute(compiled(built, test)).fetchall() == [], test["name"]


@pytest.mark.parametrize(("name", "says", "mutation"), MUTATIONS)
def test_singular(
    built: Path,
    tests: list[dict[str, Any]],
    database: duckdb.DuckDBPyConnection,
    name: str,
    says: str,
    mutation: str,
) -> None:
    test = next(t for t in tests if t["name"] == name)
    database.execute(mutation)
    rows = database.execute(compiled(built, test)).fetchall()
    assert [r for r in rows if says in str(r)], f"{mutation} does not make {name} say {says!r}"


def any_row(database: duckdb.DuckDBPyConnection, table: str) -> str:
    """A query of one row of a table; one made up by type where the history leaves the table empty."""
    if database.execute(f"select 1 from {table} limit 1").fetchall():
        return f"select * from {table} where rowid = (select min(rowid) from {table})"
    values = {"VARCHAR": "'x'", "DATE": "date '2020-01-01'", "TIMESTAMP": "timestamp '2020-01-01'",
              "BOOLEAN": "false"}  # fmt: skip
    columns = database.execute(f"describe {table}").fetchall()
    return "select " + ", ".join(values.get(column[1], "0") for column in columns)


def test_custom_generic(
    built: Path, tests: list[dict[str, Any]], database: duckdb.DuckDBPyConnection
) -> None:
    """A row twice breaks each uniqueness; a range that ends a day early breaks each chain of ranges."""
    seen = 0
    for test in tests:
        if test["kind"] not in ("unique", "unique_combination", "contiguous_ranges"):
            continue
        model = test["model"]
        folder = "marts" if model.startswith("mart_") else "core"
        table = f"marts.{folder}.{model}"
        if not database.execute(
            "select 1 from information_schema.tables where table_catalog = 'marts' and table_name = ?",
            [model],
        ).fetchall():
            continue
        if test["kind"] == "contiguous_ranges":
            database.execute(one(table, "valid_to = valid_to - 1"))
        else:
            for _ in range(2):
                database.execute(f"insert into {table} {any_row(database, table)}")
        assert database.execute(compiled(built, test)).fetchall(), test["name"]
        database.execute("rollback")
        database.execute("begin")
        seen += 1
    assert seen > 20
