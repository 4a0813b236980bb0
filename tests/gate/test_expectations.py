"""Expectations at their boundaries: volume above all, which looks at the past."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from houses import AS_OF, House, failing_rows, valid

from kehu.errors import KehuError
from kehu.gate.expect import Judged, read_suite

WEEK = timedelta(days=7)


class Shop:
    """One store whose past volumes are written by hand, and batches of so many lines."""

    def __init__(self, house: House, past: dict[date, int]) -> None:
        self.house = house
        house.settings.reference.mkdir(parents=True)
        path = house.drop("sales_line", [valid("sales_line")])
        _, folder = house.extract(path)
        house.judge(path)
        self.base = folder / "accepted.parquet"
        with duckdb.connect() as connection:
            connection.execute(
                "create table v(business_date date, store_code varchar, count_rows int)"
            )
            connection.executemany(
                "insert into v values (?, 'S1', ?)", [[d, n] for d, n in past.items()]
            )
            connection.execute(f"copy v to '{house.settings.reference}/volume.parquet'")

    def batch(self, name: str, days: dict[date, int], store: str = "S1") -> Judged:
        path = self.house.settings.home / f"{name}.parquet"
        parts = " union all ".join(
            f"select base.* replace ('{name}' as _batch_id, '{store}' as store_code, "
            f"date '{day}' as business_date, n::integer as line_no) "
            f"from '{self.base}' as base, range(1, {count} + 1) as r(n)"
            for day, count in days.items()
        )
        duckdb.execute(f"copy ({parts}) to '{path}'")
        rows = sum(days.values())
        return Judged(
            batch_id=name, feed="sales_line", path=name, accepted_path=path, rows_in=rows,
            accepted=rows, quarantined=0, has_manifest=False, manifest_rows=None,
            manifest_control_sum=None, control_sum=None, control_unparsed=0, is_empty_declared=False,
        )  # fmt: skip

    def failing(self, check: str, *batches: Judged, as_of: date = AS_OF) -> list[dict[str, Any]]:
        return failing_rows(self.house, "sales_line", check, list(batches), as_of)


def past(*counts: int, day: date = AS_OF) -> dict[date, int]:
    """Lines of the same weekdays before `day`, the latest first."""
    return {day - WEEK * (i + 1): count for i, count in enumerate(counts)}


@pytest.mark.parametrize(
    ("history", "today", "fails"),
    [
        (past(200, 200, 200, 200), 60, False),  # 0.3 times the median is enough
        (past(200, 200, 200, 200), 59, True),
        (past(200, 200, 200, 200), 600, False),  # 3 times is not too much
        (past(200, 200, 200, 200), 601, True),
        (past(199, 199, 199, 199), 1, False),  # a median below 200 says nothing
        (past(100, 200, 200, 900), 59, True),  # the median, not the mean
        (past(200, 200, 200), 1, False),  # three weekdays are too few
        (past(200, 200, 200, 0), 1, False),  # a closed day is no weekday to compare with
        (past(200, 200, 200, 0, 200), 59, True),
        (past(0, 0, 0, 0, 0, 0, 200, 200) | past(200, 200), 1, True),
        (past(200, 200, *[0] * 7, 200, 200), 1, False),  # nine weeks ago is too long ago
    ],
)
def test_volume_of_a_day(history: dict[date, int], today: int, fails: bool, house: House) -> None:
    shop = Shop(house, history)
    found = shop.failing("day_volume", shop.batch("b", {AS_OF: today}))
    assert [row["_batch_id"] for row in found] == (["b"] if fails else [])
    assert not shop.failing("day_volume_older", shop.batch("b", {AS_OF: today}))


@pytest.mark.parametrize(
    ("days_before", "critical"), [(0, True), (6, True), (7, False), (30, False), (-1, False)]
)
def test_only_the_seven_days_up_to_as_of_refuse(
    days_before: int, critical: bool, house: House
) -> None:
    day = AS_OF - timedelta(days=days_before)
    shop = Shop(house, past(300, 300, 300, 300, day=day))
    batch = shop.batch("b", {day: 10})
    assert bool(shop.failing("day_volume", batch)) is critical
    assert bool(shop.failing("day_volume_older", batch)) is not critical


def test_a_bulk_is_compared_with_itself_and_names_the_batch_of_the_day(house: House) -> None:
    shop = Shop(house, {date(2000, 1, 1): 1})
    days = [AS_OF - WEEK * i for i in range(5)]
    batches = [shop.batch(f"b{i}", {day: 250 if i else 10}) for i, day in enumerate(days)]
    [found] = shop.failing("day_volume", *batches)
    assert (found["_batch_id"], found["count_rows"], found["median_rows"]) == ("b0", 10, 250)


def test_the_stores_of_a_day_are_one_day_even_in_several_files(house: House) -> None:
    shop = Shop(house, past(400, 400, 400, 400))
    halves = [shop.batch(s, {AS_OF: 100}, store=s) for s in ("S1", "S2")]
    assert not shop.failing("day_volume", *halves)
    assert shop.failing("day_volume", halves[0])


def test_two_versions_of_a_store_day_in_one_run_are_not_a_double_day(house: House) -> None:
    shop = Shop(house, past(200, 200, 200, 200))
    versions = [shop.batch(f"v{i}", {AS_OF: 250}) for i in range(4)]
    assert not shop.failing("day_volume", *versions)


def test_a_resend_takes_the_place_of_what_is_loaded(house: House) -> None:
    shop = Shop(house, past(200, 200, 200, 200) | {AS_OF: 500})
    assert not shop.failing("day_volume", shop.batch("b", {AS_OF: 200}))
    assert shop.failing("day_volume", shop.batch("b", {AS_OF: 10}))


@pytest.mark.parametrize(
    # 200 lines as ever, of receipts of one line: chance scatters by the root of twice 200, three times
    # that is 60; the tolerance of 0.4 is 80
    ("lines", "fails"),
    [(119, True), (120, False), (280, False), (281, True)],
)
def test_volume_of_a_store_day_only_warns(lines: int, fails: bool, house: House) -> None:
    shop = Shop(house, past(200, 200, 200, 200))
    found = shop.failing("store_day_volume", shop.batch("b", {AS_OF: lines}))
    assert bool(found) is fails
    suite = read_suite(house.settings.suites / "sales_line.json")
    assert [e["severity"] for e in suite if e["meta"]["id"] == "sales_line.store_day_volume"] == [
        "warning"
    ]


def test_what_is_not_a_suite_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with pytest.raises(KehuError, match=r"a\.json: the suite is missing"):
        read_suite(path)
    path.write_text('{"expectations": [{"type": "x"}]}')
    with pytest.raises(KehuError, match="not a suite of expectations"):
        read_suite(path)


def test_a_batch_in_the_night_is_refused_by_its_expectation_and_no_other(house: House) -> None:
    right = house.drop("store", [valid("store")], manifest={"rows": 1})
    wrong = house.drop("store", [valid("store", store_code="S2")], "b.csv", manifest={"rows": 7})
    sales = house.drop(
        "sales_line", [valid("sales_line")], manifest={"rows": 1, "control_sum": "10.01"}
    )
    verdicts = house.judge(right, wrong, sales, expectations=True)
    assert {p: v.refused_by for p, v in verdicts.items()} == {
        right: [],
        wrong: ["store.control_sum"],
        sales: ["sales_line.control_sum"],
    }
    assert "manifest_rows = 7" in verdicts[wrong].message
    assert "manifest_control_sum = 10.01" in verdicts[sales].message
    assert "kehu replay" in verdicts[wrong].message
