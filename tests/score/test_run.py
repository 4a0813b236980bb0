"""The step `score` on a small core: what is scored, when anew, and why something is NULL."""

from __future__ import annotations

import ast
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from kehu.errors import KehuError
from kehu.score import churn, run, spend, store, visits
from kehu.settings import Settings
from kehu.warehouse import open_marts

pytestmark = pytest.mark.definition("V6")

FIRST = date(2020, 1, 1)
MAY, JUNE = date(2021, 5, 31), date(2021, 6, 30)
DEFAULTS = {
    "clv_model": "MBG_NBD",
    "clv_min_customers": 50,
    "clv_holdout_max_days": 365,
    "clv_horizon_months": 24,
    "clv_correlation_max": 0.3,
    "discount_rate_annual": 0.1,
}


def buyers(count: int = 400, seed: int = 1) -> list[tuple[str, date, float]]:
    """Customers, days and values of visits over 547 days, many of whom leave."""
    dice = np.random.default_rng(seed)
    rows = []
    for i in range(count):
        rate, leave = dice.gamma(0.8, 1 / 40.0), dice.beta(0.9, 3)
        worth = dice.gamma(5) * 4 + 1
        day = int(dice.integers(0, 400))
        while day <= 546:
            value = round(float(worth * dice.gamma(6) / 6), 2)
            rows.append((f"c{i:04}", FIRST + timedelta(days=day), value))
            if dice.random() < leave:
                break
            day += max(1, round(dice.exponential(1 / rate)))
    return rows


class Core:
    """A marts file with the tables of core that scoring reads."""

    def __init__(self, home: Path) -> None:
        self.settings = Settings(home=home, threads=1)

    def build(
        self,
        rows: list[tuple[str, date, float]],
        dates: tuple[date, ...] = (MAY, JUNE),
        excluded: dict[str, str] | None = None,
        margin: float | None = None,
        **params: Any,
    ) -> Core:
        values = DEFAULTS | params
        self.settings.home.mkdir(exist_ok=True)
        with open_marts(self.settings.marts, read_only=False) as marts:
            marts.execute("create schema if not exists core")
            marts.execute(
                "create or replace table core.dim_as_of(as_of_date date, is_latest boolean, "
                "clv_model varchar, clv_min_customers integer, clv_holdout_max_days integer, "
                "clv_horizon_months integer, clv_correlation_max decimal(9, 6), "
                "discount_rate_annual decimal(9, 6))"
            )
            for day in dates:
                marts.execute(
                    "insert into core.dim_as_of values (?, ?, ?, ?, ?, ?, ?, ?)",
                    [day, day == max(dates), *values.values()],
                )
            arrow = pa.table(
                {
                    "customer_id": pa.array([r[0] for r in rows], pa.string()),
                    "visit_on": pa.array([r[1] for r in rows], pa.date32()),
                    "net_amount": pa.array([r[2] for r in rows], pa.float64()),
                }
            )
            marts.register("arriving", arrow)
            marts.execute(
                "create or replace table core.fct_visit as select customer_id, visit_on, "
                "visit_on as known_from, date '9999-12-31' as known_to, "
                "net_amount::decimal(18, 2) as net_amount from arriving"
            )
            marts.execute(
                "create or replace table core.fct_customer_month as "
                "select customer_id, as_of_date, count(*)::integer as count_visits, "
                "null::varchar as excluded_reason, sum(net_amount) as net_sales_365d, "
                "null::decimal(18, 2) as margin_365d, 'SALES' as value_basis, '' as input_digest "
                "from core.fct_visit, core.dim_as_of where visit_on <= as_of_date "
                "group by all"
            )
            marts.execute(
                "update core.fct_customer_month as m set input_digest = d.digest from ("
                "select as_of_date, md5(sum(hash(customer_id, visit_on, net_amount))::varchar) "
                "as digest from core.fct_visit, core.dim_as_of "
                "where visit_on <= as_of_date group by all) as d where m.as_of_date = d.as_of_date"
            )
            if margin is not None:
                marts.execute(
                    "update core.fct_customer_month set value_basis = 'MARGIN', "
                    "margin_365d = net_sales_365d * ?",
                    [margin],
                )
            for customer, reason in (excluded or {}).items():
                marts.execute(
                    "update core.fct_customer_month set excluded_reason = ? where customer_id = ?",
                    [reason, customer],
                )
        return self

    def score(self, as_of: date = JUNE, **more: Any) -> dict[str, Any]:
        return run.score(self.settings, as_of, **more)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with open_marts(self.settings.marts) as connection:
            return connection.execute(sql).fetchall()

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        return {t: self.query(f"select * from core.{t} order by all") for t in store.TABLES}


@pytest.fixture(autouse=True)
def _without_churn(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(connection: duckdb.DuckDBPyConnection, as_of: date) -> churn.Result:
        return churn.Result(
            churn.SCORE_SCHEMA.empty_table(),
            churn.EVALUATION_SCHEMA.empty_table(),
            churn.CALIBRATION_SCHEMA.empty_table(),
        )

    monkeypatch.setattr(churn, "score", nothing)


@pytest.fixture
def core(tmp_path: Path) -> Core:
    return Core(tmp_path / "home")


ROWS = buyers()
REASON = (
    "select model, is_published, reason_code, is_converged from core.fct_model_run "
    "where as_of_date = date '2021-06-30' order by model"
)


def test_scores_are_those_of_the_fits(core: Core) -> None:
    """An independent way through the same rows: plain Python statistics, the fits, the formulas."""
    core.build(ROWS)
    assert core.score() == {
        "dates": ["2021-05-31", "2021-06-30"],
        "published": ["BG_NBD", "GAMMA_GAMMA", "MBG_NBD"],
    }
    known: dict[str, list[tuple[date, float]]] = {}
    for customer, day, value in ROWS:
        if day <= JUNE:
            known.setdefault(customer, []).append((day, value))
    names = sorted(known)
    x = [len(known[c]) - 1 for c in names]
    t_x = [(max(known[c])[0] - min(known[c])[0]).days / 7 for c in names]
    age = [(JUNE - min(known[c])[0]).days / 7 for c in names]
    mean = [
        sum(v for _, v in sorted(known[c])[1:]) / max(1, n) for c, n in zip(names, x, strict=True)
    ]
    histories = visits.Histories.of(x, t_x, age)
    model = visits.fit("MBG_NBD", histories).fitted
    value = spend.fit(
        spend.Spendings.of([n for n in x if n], [m for n, m in zip(x, mean, strict=True) if n])
    ).fitted
    rows = core.query(
        "select customer_id, p_alive, expected_visits_52w, expected_value, clv, clv_basis, "
        "p_alive = p_alive_mbg_nbd, model from core.fct_customer_score "
        "where as_of_date = date '2021-06-30' order by customer_id"
    )
    assert [row[0] for row in rows] == names
    assert [float(row[1]) for row in rows] == pytest.approx(model.p_alive(histories), abs=1e-4)
    coming = model.expected_visits(histories, 52)
    assert [float(row[2]) for row in rows] == pytest.approx(coming, abs=1e-3)
    assert [float(row[3]) for row in rows] == pytest.approx(value.expected_value(x, mean), abs=1e-2)
    assert {row[5:] for row in rows} == {("SALES", True, "MBG_NBD")}
    # undiscounted, 24 months are about the visits of 104 weeks
    whole = core.query(
        "select sum(clv), sum(expected_visits_104w * expected_value) "
        "from core.fct_customer_score where as_of_date = date '2021-06-30'"
    )[0]
    assert 0.85 < float(whole[0]) / float(whole[1]) < 1


def test_again_nothing_and_the_same_rows_night_by_night(core: Core, tmp_path: Path) -> None:
    core.build(ROWS).score()
    first = core.everything()
    assert core.score()["dates"] == []
    assert core.everything() == first
    assert len(core.score(full_refresh=True)["dates"]) == 2
    assert core.everything() == first

    nightly = Core(tmp_path / "nightly")
    until_may = [row for row in ROWS if row[1] <= MAY]
    nightly.build(until_may, (MAY,)).score(MAY)
    middle = date(2021, 6, 10)
    nightly.build([row for row in ROWS if row[1] <= middle], (MAY, middle)).score(middle)
    nightly.build(list(reversed(ROWS)), (MAY, JUNE))
    assert nightly.score()["dates"] == ["2021-06-30"]
    assert nightly.everything() == first


def test_late_rows_parameters_and_code_score_again_from_their_date_on(core: Core) -> None:
    core.build(ROWS).score()
    core.build([*ROWS, ("c0001", JUNE, 5.0)])
    assert core.score()["dates"] == ["2021-06-30"]
    core.build([*ROWS, ("c0001", MAY, 5.0), ("c0001", JUNE, 5.0)])
    assert core.score()["dates"] == ["2021-05-31", "2021-06-30"]
    assert core.score(logic="other SQL")["dates"] == ["2021-05-31", "2021-06-30"]
    core.build([*ROWS, ("c0001", MAY, 5.0), ("c0001", JUNE, 5.0)], clv_horizon_months=12)
    assert len(core.score(logic="other SQL")["dates"]) == 2


def test_a_date_that_is_no_longer_one_is_forgotten(core: Core) -> None:
    core.build(ROWS).score()
    core.build(ROWS, (JUNE,)).score()
    assert core.query("select distinct as_of_date from core.fct_customer_score") == [(JUNE,)]
    with pytest.raises(KehuError, match="core is built for 2021-06-30, not for 2021-05-31"):
        core.score(MAY)


def test_what_happens_later_changes_nothing(core: Core) -> None:
    core.build(ROWS, (MAY,)).score(MAY)
    first = core.everything()
    core.build([*ROWS, ("c0001", JUNE, 99.0), ("new", JUNE, 1.0)], (MAY,))
    core.score(MAY)
    assert core.everything() == first


def test_a_run_that_breaks_off_leaves_what_stood(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    core.build(ROWS).score()
    first = core.everything()
    core.build([*ROWS, ("c0001", MAY, 5.0)])
    insert = store.insert

    def break_off(connection: Any, table: str, rows: pa.Table) -> None:
        insert(connection, table, rows)
        if table == "fct_model_run":
            raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(store, "insert", break_off)
        with pytest.raises(RuntimeError):
            core.score()
    assert core.everything() == first
    assert len(core.score()["dates"]) == 2


def test_excluded_customers_are_neither_fitted_nor_scored(core: Core, tmp_path: Path) -> None:
    core.build(ROWS, excluded={"c0007": "STAFF_CARD"}).score()
    without = Core(tmp_path / "without").build([row for row in ROWS if row[0] != "c0007"])
    without.score()
    found, expected = core.everything(), without.everything()
    assert found["fct_customer_score"] == expected["fct_customer_score"]
    assert [r[:-1] for r in found["fct_model_run"]] == [r[:-1] for r in expected["fct_model_run"]]
    assert not core.query("select 1 from core.fct_customer_score where customer_id = 'c0007'")


def test_on_the_basis_of_margin(core: Core, tmp_path: Path) -> None:
    core.build(ROWS, (JUNE,), margin=0.25).score()
    on_sales = Core(tmp_path / "sales").build(ROWS, (JUNE,))
    on_sales.score()
    query = "select clv, clv_basis from core.fct_customer_score order by as_of_date, customer_id"
    rate = core.query("select margin_rate from core.fct_model_run where model = 'GAMMA_GAMMA'")[0][
        0
    ]
    assert float(rate) == pytest.approx(0.25, abs=1e-4)  # margins of the rows are rounded to cents
    for (margin, basis), (sales, other) in zip(
        core.query(query), on_sales.query(query), strict=True
    ):
        assert (basis, other) == ("MARGIN", "SALES")
        assert float(margin) == pytest.approx(float(sales * rate), abs=0.0077)


def test_no_margin_rate_where_nothing_was_sold(core: Core) -> None:
    core.build(ROWS, (JUNE,), margin=0.25)
    with open_marts(core.settings.marts, read_only=False) as marts:
        marts.execute("update core.fct_customer_month set margin_365d = null")
    core.score()
    assert core.query(
        "select distinct clv, clv_missing_reason, expected_value is null "
        "from core.fct_customer_score"
    ) == [(None, "NO_MARGIN_RATE", False)]


def test_too_few_buyers(core: Core) -> None:
    core.build(buyers(40)).score()
    assert {row[1:] for row in core.query(REASON)} == {(False, "TOO_FEW", None)}
    assert core.query(
        "select distinct p_alive, expected_visits_4w, visits_missing_reason, expected_value, "
        "expected_value_missing_reason, clv, clv_missing_reason from core.fct_customer_score"
    ) == [(None, None, "TOO_FEW", None, "TOO_FEW", None, "TOO_FEW")]


def test_one_customer_and_nobody(core: Core) -> None:
    core.build([("c1", MAY, 5.0)]).score()
    assert core.query("select count(*) from core.fct_customer_score") == [(2,)]
    core.build([]).score()
    assert core.query("select count(*) from core.fct_customer_score") == [(0,)]
    assert {row[1:] for row in core.query(REASON)} == {(False, "TOO_FEW", None)}


def test_no_history_to_hold_out(core: Core) -> None:
    core.build([(f"c{i}", JUNE, 5.0 + i) for i in range(60)]).score()
    assert core.query(REASON)[0][:3] == ("BG_NBD", False, "HISTORY_TOO_SHORT")


def test_a_fit_without_a_maximum_is_not_published(core: Core) -> None:
    """Everybody comes every tenth day to the end: nobody leaves, and all at the same price."""
    rows = [
        (f"c{i:03}", FIRST + timedelta(days=d), 8.0)
        for i in range(60)
        for d in range(i % 10, 547, 10)
    ]
    core.build(rows).score()
    assert [row[:3] for row in core.query(REASON)] == [
        ("BG_NBD", False, "NOT_CONVERGED"),
        ("GAMMA_GAMMA", False, "NOT_CONVERGED"),
        ("MBG_NBD", False, "NOT_CONVERGED"),
    ]
    assert core.query(
        "select distinct p_alive, clv, visits_missing_reason from core.fct_customer_score"
    ) == [(None, None, "NOT_CONVERGED")]


def test_worse_than_the_heuristic_is_not_published(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    mae = run._mae
    errors = iter([2.0, 1.0] * 100)
    monkeypatch.setattr(run, "_mae", lambda foretold, came: mae(foretold, came) and next(errors))
    core.build(ROWS, (JUNE,)).score()
    assert {row[1:] for row in core.query(REASON)} == {(False, "WORSE_THAN_HEURISTIC", True)}
    assert core.query("select distinct clv_missing_reason from core.fct_customer_score") == [
        ("WORSE_THAN_HEURISTIC",)
    ]


def test_q_not_above_one_has_no_mean(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    fit = spend.fit

    def flat(spendings: spend.Spendings) -> spend.SpendFit:
        found = fit(spendings)
        return spend.SpendFit(spend.SpendModel(found.fitted.p, 0.9, 4.0), 0.0, True)

    monkeypatch.setattr(spend, "fit", flat)
    core.build(ROWS, (JUNE,)).score()
    assert core.query(REASON)[1][:3] == ("GAMMA_GAMMA", False, "Q_NOT_ABOVE_1")
    assert core.query(
        "select distinct p_alive is null, expected_value, expected_value_missing_reason, "
        "clv_missing_reason from core.fct_customer_score"
    ) == [(False, None, "Q_NOT_ABOVE_1", "Q_NOT_ABOVE_1")]


def test_repeat_visits_that_brought_nothing_have_no_value(core: Core) -> None:
    rows = [(c, d, 0.0 if c == "free" else v) for c, d, v in ROWS]
    rows += [("free", FIRST, 7.0), ("free", MAY, 0.0)]
    core.build(rows, (JUNE,)).score()
    assert core.query(
        "select x, mean_repeat_value, p_alive is null, expected_value, clv, clv_missing_reason "
        "from core.fct_customer_score where customer_id = 'free'"
    ) == [(1, Decimal(0), False, None, None, "MEAN_NOT_POSITIVE")]


def test_the_error_of_the_hold_out_by_hand(core: Core) -> None:
    """Four visitors over 20 days; the last period is days 0 to 10, the hold-out 11 to 20."""
    parts = run.split(FIRST, FIRST + timedelta(days=20), 365)
    assert (parts.calibrated_to, parts.days) == (FIRST + timedelta(days=10), 10)
    assert run.split(FIRST, FIRST + timedelta(days=2000), 365).days == 365
    assert run.split(FIRST, FIRST + timedelta(days=1), 365).days == 0
    assert run.split(None, JUNE, 365).days == 0
    at = [("a", 0), ("a", 5), ("a", 12), ("b", 1), ("c", 3), ("c", 14), ("c", 20), ("d", 15)]
    core.build([(c, FIRST + timedelta(days=d), 1.0) for c, d in at], (FIRST + timedelta(days=20),))
    with open_marts(core.settings.marts, read_only=False) as marts:
        table = marts.execute(
            store.STATISTICS,
            {
                "as_of": FIRST + timedelta(days=20),
                "calibrated_to": parts.calibrated_to,
                "previous_to": parts.previous_to,
            },
        ).to_arrow_table()
    data = {n: table.column(n).to_numpy() for n in table.column_names[1:]}
    assert data["visits_previous"].tolist() == [1, 1, 1, 0]  # day 0 is before the last ten days
    assert data["visits_after"].tolist() == [1, 0, 2, 1]
    row, found = run.holdout_visits("BG_NBD", data, parts, least=3)
    # d is not known at the cut: |1-1|, |1-0|, |1-2| of a, b, c
    assert row["heuristic_mae"] == pytest.approx(2 / 3, abs=1e-6)
    assert row["count_holdout_customers"] == 3 and found is not None
    before = visits.Histories.of([1, 0, 0], [5 / 7, 0, 0], [10 / 7, 9 / 7, 1])
    coming = found.fitted.expected_visits(before, 10 / 7)
    assert row["holdout_mae"] == pytest.approx(np.abs(coming - [1, 0, 2]).mean(), abs=1e-6)


def test_correlated_values_are_a_warning(core: Core) -> None:
    rows = [(c, d, v * (1 + 3 * (int(c[1:]) % 2))) for c, d, v in ROWS]
    often = {c for c, _, _ in ROWS if sum(r[0] == c for r in ROWS) > 4}
    rows = [(c, d, v * (5 if c in often else 1)) for c, d, v in rows]
    core.build(rows, (JUNE,)).score()
    correlation, warned = core.query(
        "select correlation_x_value, is_correlated from core.fct_model_run "
        "where model = 'GAMMA_GAMMA'"
    )[0]
    assert float(correlation) > 0.3 and warned


def test_a_table_of_an_older_version_is_made_anew(core: Core) -> None:
    core.build(ROWS, (JUNE,))
    with open_marts(core.settings.marts, read_only=False) as marts:
        marts.execute("create table core.fct_model_run(as_of_date date, old integer)")
    assert core.score()["dates"] == ["2021-06-30"]


def test_without_core_the_operator_is_told(core: Core) -> None:
    core.settings.home.mkdir()
    with pytest.raises(KehuError, match="core is not built yet"):
        core.score()


def test_scoring_knows_neither_airflow_nor_dbt() -> None:
    folder = Path(run.__file__).parent
    for path in sorted(folder.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names]
                module = getattr(node, "module", None) or names[0]
                assert module.split(".")[0] not in ("airflow", "dbt"), path
                assert not module.startswith("kehu.transform"), path
