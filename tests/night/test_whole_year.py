"""The whole year of real sales: in bulk within bounded memory, and in random order to the same rows."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import threading
import time
from datetime import date
from pathlib import Path

import psutil
import pytest
from nights import KEHU, differences, environment, marts_of, night

ROOT = Path(__file__).resolve().parents[2]
LAST = date(2017, 12, 31)
GIB = 1 << 30

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every drop of the demo's year, in a folder of its own."""
    folder = tmp_path_factory.mktemp("year") / "drops"
    for script in ("complete_journey.py", "simulate_service.py"):
        subprocess.run(
            [sys.executable, str(ROOT / "scripts" / script), "--landing", str(folder)],
            check=True,
            capture_output=True,
        )
    return folder


@pytest.fixture(scope="module")
def bulk(year: Path) -> tuple[Path, int]:
    """The year in one night; and the peak memory of its processes together, in bytes."""
    home = year.with_name("bulk")
    process = subprocess.Popen(
        [KEHU, "night", "--as-of", LAST.isoformat()],
        env=environment(home, year),
        stdout=subprocess.DEVNULL,
    )
    peak = 0

    def watch() -> None:
        nonlocal peak
        while process.poll() is None:
            try:
                family = [psutil.Process(process.pid)]
                family += family[0].children(recursive=True)
                peak = max(peak, sum(p.memory_info().rss for p in family))
            except psutil.Error:
                pass  # one of them has just ended
            time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert process.wait() == 0
    watcher.join()
    return home, peak


def test_bulk_load_stays_below_three_gib(bulk: tuple[Path, int]) -> None:
    print(f"\npeak memory of all processes together: {bulk[1] / GIB:.2f} GiB")
    assert bulk[1] < 3 * GIB


def test_random_order_with_duplicates(year: Path, bulk: tuple[Path, int]) -> None:
    """Each file on one of four nights, some of them twice; versions stand in the manifests."""
    dice = random.Random(2017)
    home, landing = year.with_name("shuffled"), year.with_name("landing")
    files = sorted(p for p in year.glob("*/*") if not p.name.endswith(".manifest.json"))
    dice.shuffle(files)
    for part in range(4):
        for path in files[part::4]:
            names = [path.name] + ([f"again_{path.name}"] if dice.random() < 0.1 else [])
            for name in names:
                target = landing / path.parent.name / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(f"{path}.manifest.json", f"{target}.manifest.json")
                shutil.copyfile(path, target)
        night(home, landing, LAST)
    assert differences(marts_of(bulk[0]), marts_of(home)) == []
