"""The whole way from a file of card sales to the marts gives the results published for CDNOW.

Fader, Hardie & Lee (2005), Fader & Hardie (2013); as of 1997-09-30, later purchases are loaded too.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from score.cdnow import purchases, write_drop

from kehu import night
from kehu.score.visits import Histories, VisitModel
from kehu.warehouse import open_marts

AS_OF = date(1997, 9, 30)

VALUES = [24.6539, 18.9100, 35.1704, 35.1704, 35.1704, 71.4647, 18.9100, 35.1704, 27.2819, 35.1704]

pytestmark = [pytest.mark.definition("V6"), pytest.mark.answers]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Marts of one night with the whole sample."""
    root = tmp_path_factory.mktemp("cdnow")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEHU_HOME", str(root / "var"))
        patch.setenv("KEHU_LANDING", str(root / "landing"))
        patch.setenv("KEHU_PARAM_SCOPE", "cdnow")
        write_drop(root / "landing", purchases())
        report = night.night(AS_OF)
    with open_marts(root / "var" / "published" / "kehu.duckdb") as connection:
        yield connection, report


def run_of(connection: duckdb.DuckDBPyConnection, model: str) -> dict[str, Any]:
    cursor = connection.execute(
        "select * from marts.mart_model_run where is_latest and model = ?", [model]
    )
    names = [column[0] for column in cursor.description or []]
    return dict(zip(names, cursor.fetchall()[0], strict=True))


def test_all_that_was_bought_is_loaded_and_later_purchases_do_not_count(home: Any) -> None:
    connection, report = home
    assert sum(b["rows_loaded"] for b in report["load"]["batches"]) == 6919
    assert connection.execute(
        "select count(*), count(distinct card_key), sum(valid_net_amount) from core.fct_receipt"
    ).fetchall() == [(6919, 2357, Decimal("244091.94"))]
    assert connection.execute(
        "select count(*) from (select distinct card_key, business_date from core.fct_receipt)"
    ).fetchall() == [(6696,)]
    assert connection.execute(
        "select count(*), sum(x), count(*) filter (x = 0), count(*) filter (x > 0) "
        "from core.fct_customer_score where as_of_date = ?",
        [AS_OF],
    ).fetchall() == [(2357, 2457, 1411, 946)]


def test_bg_nbd(home: Any) -> None:
    run = run_of(home[0], "BG_NBD")
    assert [float(run[name]) for name in ("r", "alpha", "a", "b")] == pytest.approx(
        [0.2426, 4.4136, 0.7929, 2.4259], abs=0.001
    )
    assert float(run["log_likelihood"]) == pytest.approx(-9582.429, abs=0.01)
    assert (run["is_converged"], run["is_published"], run["reason_code"]) == (True, True, None)
    assert run["count_customers"] == 2357 and run["count_groups"] < 1100
    assert float(run["expected_visits_new_52w"]) == pytest.approx(1.444012, abs=0.001)
    # the fitted model foretells what customer 1 of the paper does next
    model = VisitModel("BG_NBD", *(float(run[name]) for name in ("r", "alpha", "a", "b")))
    customer = Histories.of(2, 30.43, 38.86)
    assert model.expected_visits(customer, 39)[0] == pytest.approx(1.22591, abs=0.001)


def test_mbg_nbd_is_fitted_beside_it(home: Any) -> None:
    run = run_of(home[0], "MBG_NBD")
    # lifetimes 0.11.3, ModifiedBetaGeoFitter on the same statistics
    assert [float(run[name]) for name in ("r", "alpha", "a", "b")] == pytest.approx(
        [0.52484, 6.18309, 0.89136, 1.61400], abs=0.001
    )
    assert (run["is_used"], run["is_published"]) == (False, True)


def test_gamma_gamma(home: Any) -> None:
    run = run_of(home[0], "GAMMA_GAMMA")
    assert [float(run[name]) for name in ("p", "q", "gamma")] == pytest.approx(
        [6.2496, 3.7442, 15.4435], abs=0.01
    )
    assert float(run["log_likelihood"]) == pytest.approx(-4055.918, abs=0.01)
    assert (run["count_customers"], run["is_correlated"]) == (946, False)
    assert float(run["correlation_x_value"]) == pytest.approx(0.113880, abs=1e-5)


def test_values_of_the_named_customers(home: Any) -> None:
    connection, _ = home
    found = connection.execute(
        "select customer_id, expected_value from core.fct_customer_score "
        "where as_of_date = ? and customer_id <= 'card:0010' order by customer_id",
        [AS_OF],
    ).fetchall()
    assert [customer for customer, _ in found] == [f"card:{i:04}" for i in range(1, 11)]
    assert [float(value) for _, value in found] == pytest.approx(VALUES, abs=0.001)


def test_spending_of_the_repeaters(home: Any) -> None:
    connection, _ = home
    row = connection.execute(
        "select avg(mean_repeat_value), stddev(mean_repeat_value), min(mean_repeat_value), "
        "median(mean_repeat_value), max(mean_repeat_value) from core.fct_customer_score "
        "where as_of_date = ?",
        [AS_OF],
    ).fetchall()[0]
    assert [float(value) for value in row] == pytest.approx(
        [35.08, 30.28, 2.99, 27.50, 299.63], abs=0.006
    )


def test_scores_follow_from_the_parameters(home: Any) -> None:
    """P(alive) in plain numbers, without logarithms, for a customer that the formula fits on a line."""
    connection, _ = home
    run = run_of(connection, "BG_NBD")
    r, alpha, a, b = (float(run[name]) for name in ("r", "alpha", "a", "b"))
    rows = connection.execute(
        "select x, t_x_weeks, t_weeks, p_alive from core.fct_customer_score "
        "where as_of_date = ? and x between 1 and 20 order by customer_id limit 50",
        [AS_OF],
    ).fetchall()
    for x, t_x, t, alive in rows:
        odds = a / (b + x - 1) * ((alpha + float(t)) / (alpha + float(t_x))) ** (r + x)
        assert float(alive) == pytest.approx(1 / (1 + odds), abs=2e-6)
    assert len(rows) == 50
