"""Two houses that have nearly nothing, or nearly only oddities: every mart is built, nothing is invented.

The odd house has a store with one customer, a store that kept closed, customers who are alike in
everything, a questionnaire that nobody answered, complaints of one event or none, and keys that no
master knows. The poor house has sales and no other feed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
from houses import House, Row, make_house, valid
from nights import marts_of, night

pytestmark = pytest.mark.nights

ROOT = Path(__file__).resolve().parents[2]
AS_OF = date(2017, 3, 31)
Ask = Callable[[str], list[tuple[object, ...]]]


def sale(store: str, day: date, card: str, number: int, **changes: str | None) -> Row:
    """One receipt of one line; what is NULL in the plain case is left out."""
    return valid(
        "sales_line", store_code=store, business_date=day.isoformat(), receipt_no=f"R{number}",
        sold_at=f"{day} 10:00:00", card_no=card, orig_store_code="", orig_business_date="",
        orig_till_no="", orig_receipt_no="",
    ) | {k: v or "" for k, v in changes.items()}  # fmt: skip


def odd_sales() -> list[Row]:
    """S1 has one customer; at S3 ten customers do the same on the same days; the rest is unknown."""
    days = [AS_OF - timedelta(days=n) for n in (80, 50, 20, 6)]
    rows = [sale("S1", day, "KSOLO", n) for n, day in enumerate(days)]
    rows += [
        sale("S3", day, f"KTIE{twin}", 100 * n + twin)
        for n, day in enumerate(days)
        for twin in range(10)
    ]
    rows += [
        sale("S3", days[0], "", 900),  # nobody's
        sale("S3", days[0], "??", 901),  # no card number
        sale("S3", days[1], "KNOBODY", 902),  # a card of no member
        sale("S3", days[1], "KTIE1", 903, sku_code="P404"),  # a product of no list
        sale("S404", days[2], "KTIE2", 904),  # a store of no list
    ]
    return rows


def odd_house(folder: Path) -> House:
    """Every feed, each with something odd."""
    house = make_house(folder)
    house.drop("sales_line", odd_sales())
    closed = {"store_days": [["S2", "2017-03-30"]], "rows": 0, "control_sum": "0.00"}
    house.drop("sales_line", [], "closed.csv", {**closed, "generated_at": "2017-03-31T01:00:00"})
    cards = ["KSOLO", *(f"KTIE{n}" for n in range(10))]
    members = [valid("member", member_id=f"M{card}", referrer_card_no="") for card in cards]
    house.drop("member", members)
    card_rows = [
        valid("member_card", card_no=card, member_id=f"M{card}", valid_to="", replaced_by="")
        for card in cards
    ]
    house.drop("member_card", card_rows)
    house.drop("product", [valid("product")])
    house.drop("store", [valid("store", store_code=s, closed_on="") for s in ("S1", "S2", "S3")])
    nobody_answered = [
        valid("survey_question", question_id="Q1"),
        valid("survey_question", survey_id="V2", question_id="Q2", survey_type="NPS",
              scale_min="0", scale_max="10", servqual_item="", dimension="", pair_id=""),
    ]  # fmt: skip
    house.drop("survey_question", nobody_answered)
    at = {"received_at": "2017-03-20 10:00:00", "updated_at": "2017-03-20 10:00:00"}
    plain = {"orig_receipt_no": "", "merged_into": "", "compensation_type": "",
             "compensation_amount": "", **at}  # fmt: skip
    complaints = [
        valid("complaint", complaint_no="ONE", card_no="KSOLO", store_code="S1", **plain),
        valid("complaint", complaint_no="NONE", card_no="", store_code="", sku_code="", **plain),
        valid("complaint", complaint_no="ODD", card_no="KNOBODY", store_code="S404",
              sku_code="P404", reason_code="NO_SUCH_REASON", **plain),
    ]  # fmt: skip
    house.drop("complaint", complaints)
    events = [
        valid("complaint_event", complaint_no="ONE", occurred_at=at["received_at"]),
        valid("complaint_event", complaint_no="ODD", occurred_at=at["received_at"]),
        valid("complaint_event", complaint_no="HEADLESS", occurred_at=at["received_at"]),
    ]
    house.drop("complaint_event", events)
    return house


def poor_house(folder: Path) -> House:
    """Sales without cost, and nothing else."""
    house = make_house(folder)
    rows = [row | {"cost_amount": "", "promo_code": ""} for row in odd_sales()]
    house.drop("sales_line", rows)
    return house


@pytest.fixture(scope="module", params=["odd", "poor"])
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple:
    """Name and published marts of a house after one night."""
    folder = tmp_path_factory.mktemp(request.param)
    house = {"odd": odd_house, "poor": poor_house}[request.param](folder)
    night(house.settings.home, house.settings.landing, AS_OF)
    return request.param, marts_of(house.settings.home)


@pytest.fixture(scope="module")
def name(built: tuple[str, Path]) -> str:
    return built[0]


@pytest.fixture(scope="module")
def ask(built: tuple[str, Path]) -> Iterator[Ask]:
    connection = duckdb.connect(str(built[1]), read_only=True)
    yield lambda sql: connection.execute(sql).fetchall()
    connection.close()


def test_every_mart_is_there(ask: Ask) -> None:
    """Invariants 21: no exception, and no mart missing."""
    made = {row[0] for row in ask(
        "select table_name from information_schema.tables where table_schema = 'marts'"
    )}  # fmt: skip
    assert made == {path.stem for path in (ROOT / "models" / "marts").rglob("mart_*.sql")}
    people = ask("select count(*) from marts.mart_customer_value where is_latest")
    assert people[0][0] >= 11


# The dimension that each key of a fact leads to.
DIMENSIONS = {
    "store_key": "dim_store", "product_key": "dim_product", "card_key": "dim_card",
    "customer_id": "dim_customer", "channel_code": "dim_channel", "question_key": "dim_question",
    "home_store_key": "dim_store",
}  # fmt: skip


def test_no_join_drops_a_fact(ask: Ask) -> None:
    """Invariant 20: an inner join on any key leaves as many rows as there were."""
    found = ask(
        "select table_name, column_name from information_schema.columns "
        "where table_schema in ('core', 'marts') and table_name like 'fct%' order by all"
    )
    joined = 0
    for fact, key in found:
        if key not in DIMENSIONS or fact.startswith(("fct_customer_churn", "fct_model")):
            continue
        before, after, nothing = ask(
            f"select (select count(*) from core.{fact}), (select count(*) from core.{fact} as f "
            f"inner join core.{DIMENSIONS[key]} as d on d.{key.removeprefix('home_')} = f.{key}), "
            f"(select count(*) from core.{fact} where {key} is null)"
        )[0]
        assert (before, nothing) == (after, 0), f"{fact}.{key}"
        joined += 1
    assert joined >= 12


def test_unknown_keys_lose_no_sale(ask: Ask) -> None:
    """Invariant 20: what nobody and nothing known bought is in the company's total."""
    rows = odd_sales()
    assert ask("select count(*), sum(net_amount) from core.fct_sales_line") == [
        (len(rows), sum(int(float(row["net_amount"])) for row in rows))
    ]
    unknown = (
        "select count(*) from core.fct_sales_line where customer_id in ('ANONYMOUS', 'UNKNOWN')"
    )
    assert ask(unknown) == [(2,)]


def test_one_customer_and_ties(ask: Ask, name: str) -> None:
    """Invariant 21: alone, one is the first; alike, all have the same score and class by value."""
    tied = ask(
        "select distinct r_score, m_score, days_since_last_visit from marts.mart_customer_value "
        "where is_latest and customer_id like '%KTIE%' and customer_id not like '%KTIE1' "
        "and customer_id not like '%KTIE2' order by all"
    )
    assert len(tied) == 1
    curve = ask(
        "select n_customers, gini from marts.mart_concentration "
        "where is_latest and store_code = 'ALL'"
    )
    assert len(curve) == 1 and 0 <= curve[0][1] < 0.1
    steps = ask("select min(survival), max(survival) from marts.mart_survival where is_latest")
    assert 0 <= steps[0][0] <= steps[0][1] == 1


def test_one_event_complaints(ask: Ask, name: str) -> None:
    """Invariant 21: a complaint of one event is open, unanswered, and has no duration."""
    rows = ask(
        "select complaint_no, is_open, first_response_minutes, resolution_gross_minutes, store_code "
        "from marts.mart_complaint where is_latest order by complaint_no"
    )
    if name == "poor":
        assert rows == []
        return
    assert [row[:4] for row in rows] == [
        (number, True, None, None) for number in ("HEADLESS", "NONE", "ODD", "ONE")
    ]
    assert {row[0]: row[4] for row in rows}["NONE"] == "UNKNOWN"
    total = ask(
        "select count_complaints, count_resolved, reopen_rate, fcr_rate, repurchase_rate, "
        "first_response_minutes_median from marts.mart_service_recovery where is_latest "
        "and window_code = 'YEAR' and store_code = 'ALL' and level_code = 'ALL' and reason_code = 'ALL'"
    )
    assert total == [(4, 0, None, None, None, None)]
    stores = ask(
        "select sum(count_complaints) from marts.mart_service_recovery where is_latest "
        "and window_code = 'YEAR' and store_code <> 'ALL' and level_code = 'ALL' and reason_code = 'ALL'"
    )
    assert stores == [(4,)]


def test_no_answer_no_figure(ask: Ask) -> None:
    """Invariant 21: nobody answered, so nothing is said and nobody is called loyal."""
    assert ask("select count(*) from marts.mart_satisfaction where value is not null") == [(0,)]
    for mart in ("mart_kano", "mart_servqual_item"):
        assert ask(f"select count(*) from marts.{mart} where n > 0") == [(0,)]
    types = ask(
        "select distinct loyalty_type, apostle_type, attitude_score from marts.mart_loyalty"
    )
    assert types == [("UNKNOWN", "UNKNOWN", None)]
    assert ask("select count(nps), max(nps_n) from marts.mart_segment_structure") == [(0, 0)]


def test_rates_without_a_denominator(ask: Ask) -> None:
    """Convention 9: where the denominator is 0 the rate is NULL, never 0."""
    pairs = [
        ("mart_churn_rate", "active_start", "churn_rate"),
        ("mart_churn_rate", "churned_start", "winback_rate"),
        ("mart_churn_rate", "repurchase_base", "repurchase_rate"),
        ("mart_repurchase", "count_mature", "repurchase_rate"),
        ("mart_segment_structure", "active_start", "retention_rate"),
    ]
    for mart, base, rate in pairs:
        wrong = ask(f"select count(*) from marts.{mart} where {base} = 0 and {rate} is not null")
        assert wrong == [(0,)], (mart, rate)
    assert ask("select count(*) > 0 from marts.mart_churn_rate where churned_start = 0") == [
        (True,)
    ]


def waiting() -> list[tuple[str, str, str]]:
    """Mart, column and reason column of everything that docs/metrics.md says waits for a feed."""
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    found, mart = [], ""
    for line in page.splitlines():
        if line.startswith("### "):
            mart = line.removeprefix("### ")
        waits = re.match(r"\| `(\w+)` .*\| `(\w+)`, until [\w, ]+ \|$", line)
        if waits:
            found.append((mart, waits[1], waits[2]))
    return found


def test_what_waits_for_a_feed_is_null_and_says_why(ask: Ask) -> None:
    assert len(waiting()) > 5
    for mart, column, reason in waiting():
        rows = ask(
            f"select count(*), count({column}), count({reason}) from marts.{mart} where is_latest"
        )
        assert rows[0][1] == 0, f"{mart}.{column} has values without its feed"
        assert rows[0][2] == rows[0][0], f"{mart}.{column}: {reason} is silent"


def test_without_cost_there_is_no_margin(ask: Ask, name: str) -> None:
    rows = ask(
        "select distinct margin_365d is null, margin_missing_reason, value_basis, profit_365d, "
        "profit_missing_reason from marts.mart_customer_value where is_latest "
        "and count_visits_365d > 0 and excluded_reason is null"
    )
    if name == "poor":
        assert [row[:4] for row in rows] == [(True, "NO_COST_FEED", "SALES", None)]
    else:
        assert {row[2] for row in rows} == {"MARGIN"}
    assert {row[3] for row in rows} == {None} and None not in {row[4] for row in rows}


def test_without_complaints_there_is_no_rate(ask: Ask, name: str) -> None:
    """Nobody can tell content customers from a missing feed: no rate of 0."""
    for mart, rate in (
        ("mart_service_recovery", "complaints_per_10000_receipts"),
        ("mart_segment_structure", "complaint_rate"),
    ):
        rows = ask(
            f"select distinct {rate} is null, complaint_missing_reason from marts.{mart} "
            "where is_latest and (store_code = 'ALL' or store_code = 'S3') order by all"
        )
        if name == "poor":
            assert rows == [(True, "NO_COMPLAINT_FEED")], mart
        else:
            assert {row[1] for row in rows} == {None}, mart


def test_models_that_can_not_be_fitted_say_so(ask: Ask) -> None:
    runs = ask("select is_published, reason_code from marts.mart_model_run where is_latest")
    assert runs and all(not published and reason for published, reason in runs)
    assert ask("select count(clv_24m), count(p_alive) from marts.mart_customer_value") == [(0, 0)]
    silent = ask(
        "select count(*) from marts.mart_churn where p_churn is not null or p_churn_missing_reason is null"
    )
    assert silent == [(0,)]
