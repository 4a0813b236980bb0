"""Tiers, cells and concentration at sizes that a row-by-row unit test does not reach.

The SQL of the models is run as it stands, on tables made here.
"""

from __future__ import annotations

import math
from collections import Counter
from decimal import Decimal
from functools import cache
from itertools import product
from pathlib import Path

import duckdb
import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

TOLERANCE = Decimal("0.000001")
MODELS = Path(__file__).resolve().parents[2] / "models" / "marts"


@cache
def sql(model: str) -> str:
    """The model's SQL with each reference as the table of that name."""
    path = next(MODELS.rglob(f"{model}.sql"))
    template = jinja2.Environment(autoescape=False).from_string(path.read_text())
    return template.render(ref=lambda name: name, config=lambda **_: "")


AS_OF = """
    create or replace table dim_as_of as select
        date '2021-06-30' as as_of_date, true as is_latest, 30 as min_n, 5 as rfm_scores,
        0.8 as abc_a_share, 0.95 as abc_b_share, 20 as abc_count_a_pct, 50 as abc_count_b_pct,
        1 as pyramid_top_pct, 20 as pyramid_major_pct, 50 as pyramid_ordinary_pct,
        1 as curry_top_pct, 5 as curry_major_pct, 20 as curry_ordinary_pct,
        20 as value_high_pct, 50 as value_medium_pct
"""


def customers(connection: duckdb.DuckDBPyConnection, rows: str) -> None:
    """Make fct_customer_month from a query with customer_no, value, visits and last (days ago)."""
    connection.execute(AS_OF)
    connection.execute(f"""
        create or replace table fct_customer_month as select
            format('C{{:06d}}', customer_no) as customer_id, date '2021-06-30' as as_of_date,
            customer_no % 7 as home_store_key, null::varchar as excluded_reason,
            visits as count_visits_365d, last as days_since_last_visit,
            date '2021-06-30' - last::integer as last_visit_on,
            value::decimal(18, 2) as value_365d, value::decimal(18, 2) as net_sales_365d,
            0::decimal(18, 2) as bulk_net_sales_365d, 'MARGIN' as value_basis
        from ({rows})
    """)


@pytest.fixture(scope="module")
def database() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


@pytest.mark.definition("S2")
@pytest.mark.parametrize(
    ("count", "tiers", "curry"),
    [
        (1, (1, 0, 0, 0), (1, 0, 0, 0)),
        (7, (1, 1, 2, 3), (1, 0, 1, 5)),
        (140_000, (1_400, 26_600, 42_000, 70_000), (1_400, 5_600, 21_000, 112_000)),
    ],
)
def test_pyramids_by_count(
    database: duckdb.DuckDBPyConnection,
    count: int,
    tiers: tuple[int, ...],
    curry: tuple[int, ...],
) -> None:
    """1/19/30/50 and 1/4/15/80 of customers, also where a third of them have the same value."""
    customers(
        database,
        "select i as customer_no, case when i % 3 = 0 then 5 else i end as value, 1 as visits, "
        f"1 as last from range({count}) as numbers (i)",
    )
    rows = database.execute(
        f"select pyramid_tier, curry_tier from ({sql('int_customer_value__ranked')})"
    ).fetchall()
    names = ("TOP", "MAJOR", "ORDINARY", "SMALL")
    for position, expected in enumerate((tiers, curry)):
        counted = Counter(row[position] for row in rows)
        assert tuple(counted[name] for name in names) == expected


@pytest.mark.definition("V8")
def test_each_of_the_125_cells_has_one_segment(database: duckdb.DuckDBPyConnection) -> None:
    cells = database.execute(
        "select r_score, f_score, m_score, rfm_segment from read_csv(?, all_varchar = true)",
        [str(MODELS.parents[1] / "seeds" / "rfm_segment_map.csv")],
    ).fetchall()
    assert sorted(cell[:3] for cell in cells) == sorted(product("12345", repeat=3))
    assert all(cell[3] for cell in cells)


@pytest.mark.definition("V8")
def test_hughes_cells_are_equal_and_do_not_depend_on_the_order_of_rows(
    database: duckdb.DuckDBPyConnection,
) -> None:
    """1,000 customers, most of them tied in every metric, make 125 cells of 8; the tie-safe scores
    of equal customers are equal."""
    query = (
        "select i as customer_no, i % 4 as value, 1 + i % 3 as visits, i % 2 as last "
        "from range(1000) as numbers (i) order by {}"
    )
    scores = ", ".join(f"range(1, 6) as {name} ({name}_score)" for name in "rfm")
    database.execute(
        "create or replace table rfm_segment_map as "
        f"select r_score, f_score, m_score, 'X' as rfm_segment from {scores}"
    )
    seen = []
    for order in ("i", "hash(i)"):
        customers(database, query.format(order))
        seen.append(
            database.execute(
                "select customer_id, hughes_code, rfm_code, days_since_last_visit, "
                "count_visits_365d, net_sales_365d "
                f"from ({sql('int_rfm__scored')}) join fct_customer_month "
                "using (customer_id, as_of_date) order by customer_id"
            ).fetchall()
        )
    assert seen[0] == seen[1]
    cells = Counter(row[1] for row in seen[0])
    assert set(cells) == {100 * r + 10 * f + m for r, f, m in product(range(1, 6), repeat=3)}
    assert set(cells.values()) == {8}
    alike: dict[tuple[object, ...], set[object]] = {}
    for row in seen[0]:
        alike.setdefault(row[3:], set()).add(row[2])
    assert all(len(codes) == 1 for codes in alike.values())


@pytest.mark.definition("S1", "S3")
@settings(max_examples=15, deadline=None, derandomize=True)
@given(cents=st.lists(st.integers(-50_000, 500_000), min_size=1, max_size=60))
def test_concentration_and_abc_against_a_second_computation(cents: list[int]) -> None:
    """Gini as the mean difference of all pairs, shares and whale curve by adding up."""
    values = sorted((Decimal(c) / 100 for c in cents), reverse=True)
    with duckdb.connect() as database:
        listed = ", ".join(f"({number}, {value})" for number, value in enumerate(values))
        customers(
            database,
            "select customer_no, value, 1 as visits, 1 as last "
            f"from (values {listed}) as t (customer_no, value)",
        )
        database.execute(
            "create table int_store__pooled as select distinct as_of_date, home_store_key, "
            "'S' as store_code from fct_customer_month"
        )
        found = database.execute(
            "select gini, top_20_share, count_profitable, whale_peak_ratio, profit_destroyed "
            f"from ({sql('mart_concentration')}) where store_code = 'ALL'"
        ).fetchone()
        classes = [
            row[0]
            for row in database.execute(
                f"select abc_class from ({sql('int_customer_value__ranked')}) order by customer_id"
            ).fetchall()
        ]
    assert found is not None
    gini, top_share, profitable, peak, destroyed = found

    positive = [max(value, Decimal(0)) for value in values]
    total, count = sum(positive), len(values)
    assert profitable == sum(value > 0 for value in values)
    if total == 0:
        assert (gini, top_share, destroyed) == (None, None, None)
    else:
        differences = sum(abs(x - y) for x in positive for y in positive)
        assert gini == pytest.approx(differences / (2 * count * total), abs=TOLERANCE)
        best = positive[: math.ceil(count * 20 / 100)]
        assert top_share == pytest.approx(sum(best) / total, abs=TOLERANCE)
        assert destroyed == pytest.approx(-sum(v for v in values if v < 0) / total, abs=TOLERANCE)
    if sum(values) > 0:
        curve = [sum(values[: n + 1]) for n in range(count)]
        assert peak == pytest.approx(max(curve) / sum(values), abs=TOLERANCE)
    else:
        assert peak is None

    expected, before = [], Decimal(0)
    for value in values:
        name = "C" if value <= 0 else "A" if before * 100 < 80 * total else "B"
        if name == "B" and before * 100 >= 95 * total:
            name = "C"
        expected.append(name)
        before += max(value, Decimal(0))
    assert classes == expected
