"""What the machine can do to a night before dbt: no space, no rights, files cut off or gone.

Each ends with a message that says what to do, an exit code, the previous publication to the byte as it
was; and the next run ends in the rows of a night that nothing disturbed. The steps from dbt on are in
tests/night/test_crashes.py, files that are still being written in tests/extract/test_landing.py,
databases that break off in tests/collect.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults import child
from faults.disk import Disk, can_mount, disk_of
from faults.harness import Ended, Installation
from faults.histories import ALL, state_differences
from faults.retailer import LAST, Retailer

NIGHT = ("night", "--as-of", LAST.isoformat())


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """One night is loaded, something is published, five files are in the landing folder."""
    house = Installation(tmp_path_factory.mktemp("machine") / "ready")
    drops = Retailer(1).drops
    masters = [d for d in drops if d.feed in ("store", "product")]
    sales = [d for d in drops if d.feed == "sales_line"]
    for drop in [*masters[:1], *sales[:1]]:
        drop.write(house.landing)
    house.must(child.take_in, ALL, LAST)
    shown = house.home / "publications" / "2024-01-25_20240126T030000000000"
    shown.mkdir(parents=True)
    (shown / "kehu.duckdb").write_bytes(b"what readers see" * 1000)
    manifest = {
        "publication": shown.name, "as_of_date": "2024-01-25", "headlines": {}, "simulated_feeds": [],
        "restated": [], "code_version": "0", "batches": [], "previous_as_of_date": None,
    }  # fmt: skip
    (shown / "manifest.json").write_text(json.dumps(manifest))
    (house.home / "published").symlink_to(Path("publications") / shown.name)
    for drop in [*masters[1:2], *sales[1:4], *(d for d in drops if d.feed == "complaint")]:
        drop.write(house.landing)
    return house


@pytest.fixture(scope="module")
def undisturbed(ready: Installation) -> Installation:
    house = copied(ready, ready.root.with_name("undisturbed"))
    house.must(child.take_in, ALL, LAST)
    return house


@pytest.fixture
def house(ready: Installation, tmp_path: Path) -> Installation:
    return copied(ready, tmp_path / "house")


def copied(house: Installation, root: Path) -> Installation:
    shutil.copytree(house.root, root, symlinks=True, dirs_exist_ok=True)
    return Installation(root)


def shown(house: Installation) -> dict[str, str]:
    """What readers see, and its bytes."""
    now = (house.home / "published").resolve()
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in now.iterdir()}


def stopped(ended: Ended, *words: str, exit_code: int = 74) -> None:
    """It ended as a fault should: its exit code, the words in its message, no traceback."""
    assert ended.exit == exit_code, f"exit {ended.exit}\n{ended.said}"
    assert "Traceback" not in ended.said, ended.said
    for word in words:
        assert word in ended.said, f"{word!r} is not in: {ended.said}"


def recovers(house: Installation, undisturbed: Installation, before: dict[str, str]) -> None:
    """Nothing was published, and the next run ends in the same rows."""
    assert shown(house) == before
    house.must(child.take_in, ALL, LAST)
    assert state_differences(undisturbed.home, house.home) == []


@pytest.fixture(params=["tmpfs", "limit"])
def disk(request: pytest.FixtureRequest, ready: Installation, tmp_path: Path) -> Iterator[Disk]:
    """An installation whose disk can be full, in two ways."""
    if request.param == "tmpfs" and not can_mount(tmp_path / "mount"):
        pytest.skip("this user may not mount a tmpfs; the limit of file size is tested instead")
    house = Installation(tmp_path / "small")
    with disk_of(house, 200, mounted=request.param == "tmpfs") as disk:
        copied(ready, house.root)
        yield disk


def test_a_full_disk_in_each_step(disk: Disk, undisturbed: Installation) -> None:
    """No room for the journal, for the archive, for the batches, the verdicts, the warehouse."""
    house, before = disk.house, shown(disk.house)
    with disk.full(0):
        stopped(house.run(child.kehu, *NIGHT), "no space left", "free", "KEHU_HOME")
    with disk.full(16_000 if disk.is_mounted else 3_000):
        stopped(house.run(child.kehu, *NIGHT), "no space left", "free")
    run = "full"
    house.must(child.read, run)
    with disk.full(4_096 if disk.is_mounted else 100):
        stopped(house.run(child.judge, LAST, run), "no space left")
    house.must(child.judge, LAST, run)
    with disk.full(32_768):
        stopped(house.run(child.load, run), "no space left")
        assert house.run(child.kehu, "status").exit == 0, "an operator can look at it meanwhile"
    assert not list(house.home.rglob("*.tmp")), "half a file is left"
    recovers(house, undisturbed, before)


@pytest.mark.parametrize(
    ("path", "mode", "told"),
    [
        ("landing/sales_line", 0o000, "sales_line"),
        ("home/archive/incoming", 0o500, "incoming"),
        ("home/batches/complaint", 0o500, "complaint"),
        ("home/warehouse.duckdb", 0o400, "warehouse.duckdb"),
        ("home/log/steps.jsonl", 0o400, "steps.jsonl"),
        ("home/writer.lock", 0o400, "writer.lock"),
    ],
)
def test_a_right_that_was_taken_away(
    path: str, mode: int, told: str, house: Installation, undisturbed: Installation
) -> None:
    before, at = shown(house), house.root / path
    at.mkdir(exist_ok=True) if not at.suffix else at.touch()
    usual = at.stat().st_mode
    at.chmod(mode)
    house.environment["FAULTS_OBEYS_MODES"] = "1"
    ended = house.run(child.kehu, *NIGHT)
    at.chmod(usual)
    stopped(ended, told, "ermission denied", exit_code=ended.exit)
    assert ended.exit in (1, 74), "not the code of a check that failed, nor of success"
    recovers(house, undisturbed, before)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize(
    ("after", "name", "then"),
    [
        ("read", "meta.json", "judge"),
        ("read", "rows.parquet", "judge"),
        ("judge", "gate.json", "load"),
        ("judge", "accepted.parquet", "load"),
    ],
)
def test_a_batch_that_is_cut_between_two_steps_is_made_anew(
    after: str, name: str, then: str, house: Installation, undisturbed: Installation
) -> None:
    before, run = shown(house), "cut"
    known = set(house.home.glob("batches/sales_line/*"))
    house.must(child.read, run)
    if after == "judge":
        house.must(child.judge, LAST, run)
    fresh = sorted(set(house.home.glob("batches/sales_line/*")) - known)
    cut(fresh[0] / name)
    arguments = (LAST, run) if then == "judge" else (run,)
    stopped(house.run(getattr(child, then), *arguments), name, "damaged", "run again")
    recovers(house, undisturbed, before)


def gone(path: Path) -> None:
    path.unlink()


def garbage(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"garbage " * 1024)


@pytest.mark.parametrize(
    ("path", "harm"),
    [
        ("warehouse.duckdb", cut),
        ("warehouse.duckdb", garbage),
        ("warehouse.duckdb", gone),
        ("reference/ledger.parquet", cut),
        ("reference/delivery.parquet", cut),
    ],
)
def test_what_is_damaged_or_gone_names_the_way_out(
    path: str, harm: Callable[[Path], None], house: Installation, undisturbed: Installation
) -> None:
    """Nothing is loaded into what is not whole; the rebuild takes the archive and comes out right."""
    before = shown(house)
    harm(house.home / path)
    for _ in range(2):  # it goes on saying so
        ended = house.run(child.kehu, *NIGHT)
        named = "damaged" if harm is garbage else path
        stopped(ended, named, "kehu rebuild", exit_code=ended.exit)
        assert ended.exit in (1, 74)
    assert shown(house) == before
    house.must(child.rebuild_to_the_load, LAST)
    recovers(house, undisturbed, before)


def test_a_warehouse_that_lost_its_last_transactions_is_noticed(
    house: Installation, undisturbed: Installation
) -> None:
    """DuckDB takes a .wal that is cut for one that ends there: what was committed is gone."""
    before = shown(house)
    older = (house.home / "warehouse.duckdb").read_bytes()
    house.must(child.take_in, ALL, LAST)
    (house.home / "warehouse.duckdb").write_bytes(older)
    stopped(house.run(child.kehu, *NIGHT), "not in it any more", "kehu rebuild", exit_code=1)
    house.must(child.rebuild_to_the_load, LAST)
    recovers(house, undisturbed, before)


def test_a_journal_with_a_torn_line_is_read_on(house: Installation) -> None:
    path = house.home / "log" / "steps.jsonl"
    whole = path.read_text()
    path.write_text(whole + '{"at": "2024-02-05T02:3')
    assert house.run(child.kehu, "status").exit == 0
    house.must(child.take_in, ("masters",), LAST)
    lines = path.read_text().splitlines()
    assert lines[: len(whole.splitlines())] == whole.splitlines()
    assert all(json.loads(line)["step"] for line in lines[len(whole.splitlines()) + 1 :])


def test_the_archive_is_not_believed_blindly(
    house: Installation, undisturbed: Installation
) -> None:
    """Cut bytes are not replayed as another file; the whole file, sent again, mends them."""
    archived = next(house.home.glob("archive/sales_line/??/*.csv"))
    landed = next(
        p for p in house.landing.glob("sales_line/*.csv")
        if p.read_bytes() == archived.read_bytes()
    )  # fmt: skip
    card = next(archived.parent.glob("sales_line-*.json"))
    card.write_text(
        card.read_text().replace(str(undisturbed.root.with_name("ready")), str(house.root))
    )
    cut(archived)
    stopped(house.run(child.replay, [card.stem], LAST), "damaged", "bytes", "backup")
    again = landed.with_name("again.csv")
    shutil.copyfile(landed, again)
    house.must(child.take_in, ALL, LAST)
    assert archived.read_bytes() == landed.read_bytes()
    again.unlink()
    assert [d for d in state_differences(undisturbed.home, house.home) if "deliver" not in d] == []
