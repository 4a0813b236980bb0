"""Pictures of the demo's year against the facts of the same publication, not the marts they read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import duckdb
import pandas as pd
import pytest
from demo_year import DemoYear

from kehu.errors import KehuError
from kehu.report import fonts, sheet
from kehu.report.pictures import Picture, draw, draw_all

pytestmark = pytest.mark.answers

AS_OF, BEFORE = date(2017, 12, 31), date(2017, 11, 30)
Ask = Any


@pytest.fixture(scope="module")
def connection(demo_year: DemoYear) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(demo_year.marts), read_only=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def numbers(connection: duckdb.DuckDBPyConnection) -> dict[str, Picture]:
    return {p.id: p for p in draw_all(connection, AS_OF, languages=[])}


@pytest.fixture(scope="module")
def ask(connection: duckdb.DuckDBPyConnection) -> Ask:
    def frame(sql: str) -> pd.DataFrame:
        return connection.execute(sql).df()

    return frame


@pytest.fixture(scope="module")
def visits(ask: Ask) -> pd.DataFrame:
    """Visits as known on the date, of customers who are not excluded."""
    return ask(
        "select customer_id, visit_on from core.fct_visit where known_from <= date '2017-12-31' "
        "and known_to > date '2017-12-31' and customer_id in (select customer_id "
        "from core.fct_customer_month where as_of_date = date '2017-12-31' and excluded_reason is null)"
    )


@pytest.mark.definition("L4")
def test_cohorts_by_the_visits(numbers: dict[str, Picture], visits: pd.DataFrame) -> None:
    month = visits["visit_on"].dt.to_period("M")
    first = month.groupby(visits["customer_id"]).transform("min")
    seen = visits.assign(cohort=first, age=[a.n for a in month - first]).drop_duplicates(
        ["customer_id", "age"]
    )
    table = seen.groupby(["cohort", "age"]).size()
    rows = numbers["cohort_triangle"].data
    assert len(rows) > 40
    for row in rows:
        cohort = pd.Period(row["cohort_month"], "M")
        assert row["size"] == table[cohort, 0]
        assert row["retained_bounded"] == table.get((cohort, row["age_month"]), 0)


@pytest.mark.definition("S3")
def test_concentration_by_the_receipts(
    numbers: dict[str, Picture], ask: Ask, visits: pd.DataFrame
) -> None:
    net = ask(
        "select customer_id, cast(sum(line.net_amount) as double) as net "
        "from core.fct_sales_line as line inner join core.dim_product as product "
        "using (product_key) where line.business_date > date '2017-12-31' - 365 "
        "and line.is_valid and product.is_revenue group by 1"
    ).set_index("customer_id")["net"]
    recent = visits.loc[visits["visit_on"] > pd.Timestamp("2016-12-31"), "customer_id"].unique()
    cumulative = net.loc[recent].sort_values(ascending=False).cumsum().to_numpy()
    rows = numbers["whale_curve"].data
    assert rows[-1]["customers"] == len(cumulative) and len(rows) == 50
    for row in rows:
        assert float(row["cumulative_value"]) == pytest.approx(
            cumulative[row["customers"] - 1], abs=0.01
        )


def test_the_same_customers_in_each_picture_of_value(numbers: dict[str, Picture]) -> None:
    n = numbers["pyramid"].data[0]["n_all"]
    assert n == numbers["whale_curve"].data[-1]["customers"]
    assert n == numbers["rfm_heat_map"].data[0]["count_scored"]
    assert n == sum(r["n"] for r in numbers["migration_flow"].data if r["to_tier"] != "LOST")


@pytest.mark.definition("S4")
def test_migration_begins_and_ends_with_the_pyramids(
    connection: duckdb.DuckDBPyConnection, numbers: dict[str, Picture]
) -> None:
    before = draw(connection, "pyramid", BEFORE, languages=[])
    for pyramid, side, outside in ((before, "from", "NEW"), (numbers["pyramid"], "to", "LOST")):
        told = {
            r[f"{side}_tier"]: r[f"n_{side}"]
            for r in numbers["migration_flow"].data
            if r[f"{side}_tier"] != outside
        }
        assert told == {r["tier"]: r["n_customers"] for r in pyramid.data}


@pytest.mark.definition("P7")
def test_the_ladder_by_the_complaints(numbers: dict[str, Picture], ask: Ask) -> None:
    valid = ask(
        "select entry_level, max_level from core.fct_complaint where kind = 'COMPLAINT' "
        "and merged_into is null and cancelled_at is null and received_on > date '2017-12-31' - 365"
    )
    rows = numbers["complaint_funnel"].data
    assert rows[0]["n_complaints"] == len(valid) > 100
    for row in rows:
        level = row["level"]
        assert row["n_handled"] == ((valid.entry_level <= level) & (valid.max_level >= level)).sum()
        assert row["n_entered"] == (valid.entry_level == level).sum()


@pytest.mark.definition("P13")
def test_complaints_by_day(numbers: dict[str, Picture], ask: Ask) -> None:
    days = ask(
        "select received_on, reason_code, count(*) as n from core.fct_complaint where kind = 'COMPLAINT' "
        "and merged_into is null and cancelled_at is null group by all"
    )
    for row in numbers["complaint_reasons_control"].data:
        its = days[days.received_on == pd.Timestamp(row["received_on"])]
        if row["reason_code"] != "ALL":
            its = its[its.reason_code == row["reason_code"]]
        if row["received_on"].month == AS_OF.month:  # before, as it was known at the month-end
            assert row["count_complaints"] == its["n"].sum()


def test_what_is_simulated_is_marked(connection: duckdb.DuckDBPyConnection) -> None:
    """The year's sales are real; what customers say and complain of is invented."""
    try:
        fonts.require_cjk_font()
    except KehuError as none:
        pytest.skip(str(none))
    marked = {
        p.id for p in draw_all(connection, AS_OF, languages=["zh"]) if sheet.MARK in p.svg["zh"]
    }
    assert marked == {
        "nps_by_store",
        "complaint_funnel",
        "complaint_reasons_control",
        "apostle_map",
    }
