"""A night that is killed in every step, and whose disk is full in every step, ends in the same rows.

A chain starts where one night is published and the files of the next have just arrived. Real processes
are killed with SIGKILL, their dbt with them, each step several times at random moments; where each
kill landed is read from the journal, not from the aim. Between them the disk is full. Then the night
runs to its end, while a second one is refused, and is compared with a night that nobody disturbed.
"""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from faults import child
from faults.disk import Disk, can_mount, disk_of
from faults.harness import Installation, group_of, spread
from faults.histories import state_differences
from faults.retailer import LAST, Retailer
from nights import KEHU, differences, environment, marts_of, night

pytestmark = pytest.mark.nights

FIRST_NIGHT = date(2024, 1, 30)
RUN = "crashes"
ENOUGH = {"load": 5, "dbt": 5, "publish": 2}


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """One night published, everything else in the landing folder."""
    house = Installation(tmp_path_factory.mktemp("crash") / "ready")
    drops = Retailer(0, every_event=True).drops
    late = datetime(2024, 1, 31)
    for drop in drops:
        if drop.generated_at < late:
            drop.write(house.landing)
    night(house.home, house.landing, FIRST_NIGHT)
    for drop in drops:
        if drop.generated_at >= late:
            drop.write(house.landing)
    return house


@pytest.fixture(scope="module")
def undisturbed(ready: Installation) -> Installation:
    house = Installation(ready.root.with_name("undisturbed"))
    shutil.copytree(ready.root, house.root, symlinks=True)
    night(house.home, house.landing, LAST)
    return house


@pytest.fixture
def disk(ready: Installation, tmp_path: Path) -> Iterator[Disk]:
    """A copy of what is ready, on a disk that can be full."""
    house = Installation(tmp_path / "chain")
    with disk_of(house, 1500, mounted=can_mount(tmp_path / "mount")) as disk:
        shutil.copytree(ready.root, house.root, symlinks=True, dirs_exist_ok=True)
        yield disk


def fingerprint(home: Path) -> tuple[str, dict[str, str]]:
    """Which publication readers see, and its bytes."""
    now = (home / "published").resolve()
    return now.name, {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in now.iterdir()}


class Chain:
    """Kills of one installation, and where they landed."""

    def __init__(self, house: Installation, seed: int) -> None:
        self.house, self.dice = house, random.Random(seed)
        self.landed: Counter[str] = Counter()
        self.before = fingerprint(house.home)

    def kill(self, times: int, step: str, work: Callable[..., Any], *arguments: Any) -> None:
        """At random moments of a step; where it came to its end first, once more."""
        for _ in range(3 * times):
            wait = spread(self.dice, self.house.seconds_of(step, 1.0))
            ended = self.house.kill_in(step, wait, work, *arguments)
            assert ended.exit in (0, -9), ended.said
            self._count(ended.killed, ended.landed)
            if step != "publish":
                self.nothing_published()
            times -= ended.killed
            if not times:
                return

    def kill_at_deeds(self, times: int, most: int, work: Callable[..., Any], *args: Any) -> None:
        """Before random deeds on the file system."""
        for _ in range(3 * times):
            ended = self.house.kill_at_deed(self.dice.randint(1, most), work, *args)
            self._count(ended.killed, ended.landed)
            times -= ended.killed
            if not times:
                return

    def _count(self, killed: bool, landed: str) -> None:
        if killed:
            self.landed[group_of(landed)] += 1

    def nothing_published(self) -> None:
        """Readers see what they saw, to the byte."""
        assert fingerprint(self.house.home) == self.before

    def full(self, disk: Disk | None, leave: int, work: Callable[..., Any], *args: Any) -> None:
        """The step on a full disk: a clear message, an exit code, nothing published, nothing left."""
        if disk is None:
            return
        with disk.full(leave):
            ended = self.house.run(work, *args)
        assert ended.exit == 74, f"{work.__name__}{args}: exit {ended.exit}\n{ended.said}"
        assert "no space left" in ended.said and "free" in ended.said, ended.said
        assert "Traceback" not in ended.said
        self.nothing_published()
        assert not list(self.house.home.glob("publications/.*")), "half a publication is left"

    def live(self, disk: Disk | None = None) -> None:
        """All steps of the night, one after the other."""
        kill, house = self.kill, self.house
        for step in ("plan", "extract", "gate"):
            kill(1, step, child.take_in, ("all",), LAST)
        house.must(child.read, RUN)
        house.must(child.judge, LAST, RUN)
        self.full(disk, 1 << 15, child.load, RUN)
        kill(8, "load", child.load, RUN)
        house.must(child.load, RUN)
        self.full(disk, 1 << 16, child.build, "core", LAST, RUN)
        kill(3, "dbt:core", child.build, "core", LAST, RUN)
        house.must(child.build, "core", LAST, RUN)
        kill(1, "score", child.build, "score", LAST, RUN)
        house.must(child.build, "score", LAST, RUN)
        self.full(disk, 1 << 16, child.build, "marts", LAST, RUN)
        kill(3, "dbt:marts", child.build, "marts", LAST, RUN)
        house.must(child.build, "marts", LAST, RUN)
        house.must(child.build, "audit", LAST, RUN)
        self.full(disk, 1 << 16, child.build, "publish", LAST, RUN)
        kill(2, "publish", child.build, "publish", LAST, RUN)
        self.kill_at_deeds(3, 12, child.build, "publish", LAST, RUN)


def whole_night_beside_another(house: Installation) -> None:
    """Two `kehu night` at once: the first comes to its end, the second is told who is at work."""
    first = threading.Thread(target=night, args=(house.home, house.landing, LAST))
    first.start()
    lock = house.home / "writer.lock"
    while first.is_alive() and "night" not in (lock.read_text() if lock.exists() else ""):
        time.sleep(0.01)
    second = subprocess.run(
        [KEHU, "night", "--as-of", LAST.isoformat()],
        env=environment(house.home, house.landing), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert first.is_alive(), "the first night had ended before the second was refused"
    first.join()
    assert second.returncode == 75, second.stdout + second.stderr
    assert "is being written by process" in second.stderr and "night of" in second.stderr
    assert "Traceback" not in second.stderr


def told(landed: Counter[str]) -> str:
    return ", ".join(f"{step} {count}" for step, count in landed.most_common())


def differing(undisturbed: Installation, house: Installation) -> list[str]:
    return [
        *state_differences(undisturbed.home, house.home),
        *differences(marts_of(undisturbed.home), marts_of(house.home)),
    ]


def test_killed_and_full_nights_end_in_the_same_rows(
    undisturbed: Installation, disk: Disk, record_property: Callable[[str, object], None]
) -> None:
    chain = Chain(disk.house, seed=20240204)
    chain.live(disk)
    whole_night_beside_another(disk.house)
    record_property("kills", told(chain.landed))
    print(told(chain.landed), "on a full tmpfs" if disk.is_mounted else "with a limit of file size")
    assert differing(undisturbed, disk.house) == []
    assert sum(chain.landed.values()) >= 20, chain.landed
    assert all(chain.landed[step] >= least for step, least in ENOUGH.items()), chain.landed


@pytest.mark.long
def test_a_hundred_kills(
    ready: Installation,
    undisturbed: Installation,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    landed: Counter[str] = Counter()
    found: list[str] = []
    for attempt in range(10):
        house = Installation(tmp_path / f"chain{attempt}")
        shutil.copytree(ready.root, house.root, symlinks=True)
        chain = Chain(house, seed=1000 + attempt)
        chain.live()
        night(house.home, house.landing, LAST)
        found += differing(undisturbed, house)
        landed += chain.landed
        shutil.rmtree(house.root)
        if sum(landed.values()) >= 100:
            break
    record_property("kills", told(landed))
    assert found == []
    assert sum(landed.values()) >= 100
