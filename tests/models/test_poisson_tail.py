"""The macro poisson_tail against scipy, as DuckDB computes it and as Spark would."""

from __future__ import annotations

import math
import re
from pathlib import Path

import duckdb
import pytest
from scipy.stats import poisson

MACROS = Path(__file__).resolve().parents[2] / "dbt_project" / "macros" / "portable.sql"
MEANS = (0.05, 0.125, 1.0, 2.625, 4.75, 12.0, 80.0, 400.0)
COUNTS = (0, 1, 2, 4, 5, 6, 9, 15, 30, 120, 450)


def macro(name: str) -> str:
    """The text of a macro of two arguments, with x and mean put in for them."""
    found = re.search(
        rf"{{% macro {name}\(x, mean\) -%}}(.*?){{%- endmacro %}}", MACROS.read_text(), re.DOTALL
    )
    assert found, name
    return re.sub(r"{{ (x|mean) }}", r"\1", found[1])


@pytest.mark.definition("P13")
def test_tail_is_that_of_scipy() -> None:
    """For means below and above the count, and counts far out in the tail."""
    cases = [(x, mean) for x in COUNTS for mean in MEANS]
    with duckdb.connect() as connection:
        connection.execute("create table cases (x integer, mean double)")
        connection.executemany("insert into cases values (?, ?)", cases)
        rows = connection.execute(
            f"select x, mean, {macro('default__poisson_tail')} from cases"
        ).fetchall()
    assert len(rows) == len(cases)
    for x, mean, tail in rows:
        assert tail == pytest.approx(poisson.sf(x - 1, mean), abs=1e-9), (x, mean)
        assert 0 <= tail <= 1


@pytest.mark.definition("P13")
def test_the_alert_threshold() -> None:
    """Five against 0.05 expected is an alert, five against one is not; the bounds by hand."""
    with duckdb.connect() as connection:
        five_of = {
            mean: connection.execute(
                f"select {macro('default__poisson_tail')} from (select 5 as x, ? as mean)", [mean]
            ).fetchone()
            for mean in (0.05, 0.65, 0.75, 1.0)
        }
    # P(X >= 5) = 1 - e^-m (1 + m + m^2/2 + m^3/6 + m^4/24)
    for mean, row in five_of.items():
        by_hand = 1 - math.exp(-mean) * sum(mean**k / math.factorial(k) for k in range(5))
        assert row is not None and row[0] == pytest.approx(by_hand, abs=1e-12)
    assert [bool(row and row[0] < 0.001) for row in five_of.values()] == [True, True, False, False]


@pytest.mark.definition("P13")
def test_the_terms_that_spark_sums() -> None:
    """Spark has no lgamma: its branch makes each term of the one before, with the same sum."""
    text = macro("spark__poisson_tail")
    assert "state.term * mean / k" in text and "1 - state.total" in text
    for x, mean in [(2, 0.05), (5, 1.25), (9, 4.75), (30, 12.0)]:
        term = total = math.exp(-mean)
        for k in range(1, x):
            term = term * mean / k
            total += term
        assert 1 - total == pytest.approx(poisson.sf(x - 1, mean), abs=1e-12)
