"""Bulk, nightly, full refresh and any order of arrival end in the same rows of every table.

The history of `history.py` holds every awkward event; `test_history_is_awkward` fails where one is gone.
"""

from __future__ import annotations

import json
import random
import shutil
from datetime import date
from pathlib import Path

import duckdb
import pytest
from history import LAST, NIGHTS, Drop
from nights import differences, marts_of, night, run

pytestmark = pytest.mark.nights


def warehouse(home: Path, query: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(query).fetchall()


def test_history_is_awkward(nightly: Path) -> None:
    """Each event that the comparison is about has really happened in the compared history."""
    resent = "select count(*) from ops.store_day where status = 'REPLACED' and count_rows > 0"
    assert warehouse(nightly, resent) == [(2,)], "a resend, and the day that was emptied"
    emptied = """select n.store_code, o.count_rows > 0 from ops.store_day as n join ops.store_day as o
        using (store_code, business_date)
        where n.status = 'CURRENT' and n.count_rows = 0 and o.status = 'REPLACED'"""
    assert warehouse(nightly, emptied) == [("S2", True)], "an emptied store-day"
    late_member = """select count(*) > 0 from raw.member as m join ops.batch as b on b.batch_id = m._batch_id
        where m.member_id = 'M00900' and b.as_of_date = date '2024-02-12'
        and (select min(business_date) from raw.sales_line where card_no = 'C00900') < date '2024-01-31'"""
    assert warehouse(nightly, late_member) == [(True,)], "a member who comes after his sales"
    recategorised = (
        """select count(distinct category_2_code) from raw.product where sku_code = 'P003'"""
    )
    assert warehouse(nightly, recategorised) == [(2,)], "a recategorised product"
    corrected = """select count(distinct answer_num) from raw.survey_answer
        where response_id = 'R2' and question_id = 'Q1'"""
    assert warehouse(nightly, corrected) == [(2,)], "a corrected answer"
    reopened = """select count(*) filter (where event = 'REOPENED' and as_of_date = date '2024-02-12'),
        count(*) filter (where event = 'RESOLVED' and as_of_date < date '2024-02-12')
        from raw.complaint_event as e join ops.batch as b on b.batch_id = e._batch_id
        where complaint_no = 'K1'"""
    assert warehouse(nightly, reopened) == [(1, 1)], (
        "a complaint reopened after it was published resolved"
    )
    late_day = """select distinct b.as_of_date, s.business_date from ops.store_day as s join ops.batch as b
        using (batch_id) where s.store_code = 'S3' and s.business_date = date '2024-01-31'"""
    assert warehouse(nightly, late_day) == [(date(2024, 2, 5), date(2024, 1, 31))], (
        "a day across a month-end"
    )


def test_readers_never_wait_and_never_see_half_a_night(nightly: Path) -> None:
    report = json.loads((nightly / "reader.json").read_text())
    assert report["errors"] == []
    assert report["mixed"] == []
    assert {key.split()[0] for key in report["seen"]} == {n.isoformat() for n in NIGHTS}
    assert report["reads"] > 50


def test_late_data_restated_the_month_end(nightly: Path) -> None:
    kept = sorted((nightly / "publications").glob("2024-*"))
    said = """select count(*), sum(net_sales_365d) from marts.mart_customer_value
        where as_of_date = '2024-01-31'"""
    by_night = []
    for publication in kept:
        with duckdb.connect(str(publication / "kehu.duckdb"), read_only=True) as connection:
            by_night.append(connection.execute(said).fetchall()[0])
    assert len(by_night) == 5
    assert by_night[1][1] != by_night[2][1], "the late day changed January"
    restated = (kept[2] / "manifest.json").read_text()
    assert '"restated": [\n  "2024-01-31"\n ]' in restated


def test_bulk_is_nightly(nightly: Path, bulk: Path) -> None:
    assert differences(marts_of(nightly), marts_of(bulk)) == []


def test_full_refresh_is_incremental(nightly: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(nightly, home, symlinks=True)
    run(home, tmp_path / "empty", "transform", "--as-of", LAST.isoformat(), "--full-refresh")
    assert differences(marts_of(nightly), home / "marts.duckdb") == []


def test_any_order_with_duplicates(bulk: Path, drops: list[Drop], tmp_path: Path) -> None:
    """Every file on a random night, some twice under another name, versions in the manifests."""
    dice = random.Random(20240220)
    home, landing = tmp_path / "home", tmp_path / "landing"
    shuffled = [d for d in drops if not (d.feed == "store" or d.name == "products.csv")]
    shuffled += [d for d in drops if d not in shuffled]
    dice.shuffle(shuffled)
    third = len(shuffled) // 3
    for part in (shuffled[:third], shuffled[third : 2 * third], shuffled[2 * third :]):
        for drop in part:
            drop.write(landing, f"{dice.randint(0, 9)}_{drop.name}")
        for drop in dice.sample(part, 5):
            drop.write(landing, f"again_{drop.name}")
        night(home, landing, LAST)
    counts = warehouse(
        home, "select status, count(*) from ops.delivery group by status order by status"
    )
    assert ("SKIPPED", 15) in counts
    assert differences(marts_of(bulk), marts_of(home)) == []


def test_rebuild_from_the_archive(bulk: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(bulk, home, symlinks=True)
    (home / "warehouse.duckdb").unlink()
    (home / "marts.duckdb").unlink()
    shutil.rmtree(home / "batches")
    run(home, tmp_path / "empty", "rebuild", "--as-of", LAST.isoformat())
    assert differences(marts_of(bulk), marts_of(home)) == []


def test_the_comparison_can_fail(bulk: Path, tmp_path: Path) -> None:
    changed = tmp_path / "marts.duckdb"
    shutil.copyfile(marts_of(bulk), changed)
    with duckdb.connect(str(changed)) as connection:
        connection.execute(
            "update core.fct_sales_line set net_amount = net_amount + 0.01 where receipt_key = "
            "(select min(receipt_key) from core.fct_sales_line) and line_no = 1"
        )
    found = differences(marts_of(bulk), changed)
    assert len(found) == 2 and found[0].startswith("core.fct_sales_line: 1 rows only in l")
