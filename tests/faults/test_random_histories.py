"""Random histories with drops, copies, cut files, corrections, kills and restarts lose no row."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from faults.harness import Installation
from faults.histories import Histories, state_differences
from faults.retailer import EVENTS, Retailer

Record = Callable[[str, object], None]


def live(histories: Histories, seeds: range, to_the_marts: int | None = None) -> list[str]:
    """What differs after the histories of these seeds; each n-th goes on to the marts."""
    started = time.perf_counter()
    found: list[str] = []
    for number, seed in enumerate(seeds, start=1):
        further = to_the_marts is not None and number % to_the_marts == 0
        found += histories.live(seed, to_the_marts=further)
    histories.tally.seconds = time.perf_counter() - started
    return found


@pytest.fixture(scope="module")
def histories(tmp_path_factory: pytest.TempPathFactory) -> Histories:
    return Histories(tmp_path_factory.mktemp("histories"), of_each_retailer=13, small=True)


@pytest.fixture(scope="module")
def whole(histories: Histories) -> Installation:
    """The clean history of a retailer to whom everything happens."""
    return histories.clean(0)[1]


def test_random_histories_end_in_the_same_rows(
    histories: Histories, record_property: Record
) -> None:
    found = live(histories, range(25))
    print(histories.tally.told())
    record_property("histories", histories.tally.told())
    assert found == []
    kills = histories.tally.kills
    assert sum(kills.values()) >= 25, kills
    assert min(kills[step] for step in ("extract", "gate", "load")) >= 3, kills


@pytest.mark.faults
@pytest.mark.parametrize("block", range(10))
def test_fifty_more_histories(block: int, tmp_path: Path, record_property: Record) -> None:
    """Ten times fifty, in blocks so that two workers share them; the last of each goes on to the marts."""
    histories = Histories(tmp_path, of_each_retailer=10)
    seeds = range(1000 + 50 * block, 1000 + 50 * block + 50)
    found = live(histories, seeds, to_the_marts=50)
    print(histories.tally.told())
    record_property("histories", histories.tally.told())
    assert found == []
    kills = histories.tally.kills
    assert min(kills[step] for step in ("extract", "gate", "load")) >= 5, kills
    assert kills["dbt"] + kills["publish"] >= 1, kills


def test_every_event_is_in_some_retailer() -> None:
    """Each awkward event is in several of the retailers whose files are disturbed, and absent in some."""
    seen = Counter(event for number in range(100, 150) for event in Retailer(number).events)
    assert set(seen) == set(EVENTS)
    assert min(seen.values()) >= 20 and max(seen.values()) <= 48


def test_everything_has_happened(whole: Installation) -> None:
    """The events leave their traces: what is compared is not a history without them."""
    with duckdb.connect(str(whole.home / "warehouse.duckdb"), read_only=True) as connection:
        days = connection.execute(
            "select case when status in ('REPLACED', 'SUPERSEDED') then 'OLD' else status end as what, "
            "count(*) from ops.store_day group by what order by what"
        ).fetchall()
        files = connection.execute(
            "select status, count(*) from ops.batch group by status order by status"
        ).fetchall()
        skipped = connection.execute(
            "select count(distinct feed) from ops.batch where rows_skipped > 0"
        ).fetchall()
    # two resends of one store-day, an emptied one; held: the resend with a reject
    assert days == [("CURRENT", 12), ("HELD", 1), ("OLD", 3)]
    assert dict(files)["REFUSED"] == 1 and dict(files)["HELD"] == 1
    assert skipped == [(3,)], "products, answers and events that came twice"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("delete from raw.sales_line where rowid = 7", "raw.sales_line: 1 rows only in the clean"),
        ("insert into raw.member select * from raw.member limit 1", "raw.member: 1 rows only in"),
        ("update raw.product set name = 'x' where sku_code = 'P009'", "raw.product: "),
        ("update pii.member set phone = '1' where member_id = 'M00008'", "pii.member: "),
        ("delete from quarantine.row where rowid = 0", "quarantine.row: "),
        ("update ops.batch set rows_loaded = rows_loaded - 1 where feed = 'store'", "rows in = "),
        ("delete from ops.store_day where rowid = 3", "ops.store_day: "),
        ("update ops.store_day set status = 'CURRENT'", "each store-day has one owner"),
        ("delete from ops.delivery where rowid = 2", "deliveries: "),
        ("update raw.sales_line set _line = _line + 1 where rowid = 1", "raw.sales_line: 1 rows"),
    ],
)
def test_the_comparison_can_fail(
    change: str, told: str, whole: Installation, tmp_path: Path
) -> None:
    root = tmp_path / "changed"
    shutil.copytree(whole.root, root)
    with duckdb.connect(str(root / "home" / "warehouse.duckdb")) as connection:
        connection.execute(change)
    found = state_differences(whole.home, root / "home")
    assert any(told in difference for difference in found), found


def test_the_comparison_finds_nothing_where_nothing_is(whole: Installation) -> None:
    assert state_differences(whole.home, whole.home) == []
