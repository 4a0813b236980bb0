"""SIGKILL of the whole process group of a real night, then running again: the same rows.

The sample is three days of real sales. A chain starts where two nights are published and the third
day has just arrived, is killed in several steps one after the other, then runs to its end and is
compared with a night that nobody disturbed. Moments are random within the step that is aimed at, and
where each kill landed is read from the journal, not from the aim.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb
import pytest
from nights import KEHU, differences, environment, marts_of, night, run

ROOT = Path(__file__).resolve().parents[2]
DAYS = [date(2017, 3, 1), date(2017, 3, 2), date(2017, 3, 3)]
LAST = DAYS[-1]
STEPS = {
    "load": ("load:all",),
    "dbt": ("dbt:core", "score", "dbt:marts"),
    "publish": ("publish",),
    "before": ("plan:all", "extract", "gate:all"),
}
# Two chains for `make test`, 20 kills: each goes forward through the night. `load alone` kills the
# load as Airflow runs it, in a process of its own.
CHAIN = [
    *["before"] * 2,
    "load",
    *["load alone"] * 3,
    "dbt:core",
    "score",
    "dbt:marts",
    "publish",
]


def drop(landing: Path, first: date, last: date) -> None:
    for script in ("complete_journey.py", "simulate_service.py"):
        masters = first == DAYS[0]
        feeds = (["--feeds", "sales_line"] if not masters else []) if script.startswith("c") else []
        subprocess.run(
            [sys.executable, str(ROOT / "scripts" / script), "--landing", str(landing),
             "--from", first.isoformat(), "--to", last.isoformat(), *feeds],
            check=True, capture_output=True,
        )  # fmt: skip


def keep_products(landing: Path) -> None:
    """A sample of three days needs the products that were sold on them, not all 92,331."""
    with duckdb.connect() as connection:
        drops = f"read_csv('{landing}/{{}}', all_varchar = true)"
        sales = drops.format("sales_line/*.csv")
        products = landing / "product" / "products.csv"
        kept = connection.execute(
            f"""select p.* from {drops.format("product/products.csv")} as p
            where sku_code in (select sku_code from {sales}) order by sku_code"""
        ).to_arrow_table()
        connection.register("kept", kept)
        connection.execute(f"copy kept to '{products}' (header)")
    manifest = products.with_name("products.csv.manifest.json")
    manifest.write_text(json.dumps({"rows": kept.num_rows, "generated_at": "2017-01-01T00:00:00"}))


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days published, the third in the landing folder."""
    root = tmp_path_factory.mktemp("crash") / "ready"
    drop(root / "landing", DAYS[0], DAYS[1])
    keep_products(root / "landing")
    night(root / "home", root / "landing", DAYS[1])
    drop(root / "landing", LAST, LAST)
    return root


@pytest.fixture(scope="module")
def undisturbed(ready: Path) -> Path:
    root = ready.with_name("undisturbed")
    shutil.copytree(ready, root, symlinks=True)
    night(root / "home", root / "landing", LAST)
    return root


def journal(home: Path) -> list[dict[str, object]]:
    path = home / "log" / "steps.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def durations(home: Path) -> dict[str, float]:
    """Seconds of each step in the last complete night."""
    ended = [line for line in journal(home) if line["state"] == "end"]
    return {str(line["step"]): float(str(line["seconds"])) for line in ended}


def landed_in(home: Path, known: int) -> str:
    """The step that was under way when the process died."""
    open_steps: dict[str, None] = {}
    for line in journal(home)[known:]:
        if line["state"] == "start":
            open_steps[str(line["step"])] = None
        else:
            open_steps.pop(str(line["step"]), None)
    return next(reversed(open_steps), "between steps")


def judged(root: Path) -> str:
    """A run whose files are read and judged, to be loaded; made once for kills that follow closely."""
    kept = root / "judged"
    if not kept.exists():
        said = run(root / "home", root / "landing", "extract").stdout
        name = said.rpartition("run ")[2].strip()
        run(root / "home", root / "landing", "gate", name, "--as-of", LAST.isoformat())
        kept.write_text(name)
    return kept.read_text()


def kill_once(root: Path, aim: str, dice: random.Random, seconds: dict[str, float]) -> str | None:
    """Start a night, SIGKILL its process group at a random moment of a step.

    Returns the step that it landed in; None where the process came to its end first.
    """
    home, landing = root / "home", root / "landing"
    arguments = ["night", "--as-of", LAST.isoformat()]
    if aim == "load alone":
        arguments = ["load", judged(root)]
    else:
        (root / "judged").unlink(missing_ok=True)
    known = len(journal(home))
    process = subprocess.Popen(
        [KEHU, *arguments],
        env=environment(home, landing),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        if aim == "before":
            time.sleep(dice.uniform(0.2, 4))
        else:
            wanted = "load:all" if aim.startswith("load") else aim
            while process.poll() is None and not any(
                line["step"] == wanted and line["state"] == "start"
                for line in journal(home)[known:]
            ):
                time.sleep(0.003)
            time.sleep(dice.uniform(0, 0.9) * seconds.get(wanted, 1.0))
        if process.poll() is not None:
            return None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return landed_in(home, known)


def group(step: str) -> str:
    return next((g for g, names in STEPS.items() if step.startswith(names)), "between steps")


def run_chains(
    ready: Path, undisturbed: Path, chains: list[list[str]], seed: int
) -> tuple[Counter[str], list[str]]:
    """Run chains of kills; returns where they landed, and every difference after running again."""
    dice = random.Random(seed)
    seconds = durations(undisturbed / "home")
    landed: Counter[str] = Counter()
    found: list[str] = []
    for number, chain in enumerate(chains):
        root = ready.with_name(f"chain{number}")
        shutil.copytree(ready, root, symlinks=True)
        before = marts_of(root / "home").resolve()
        for aim in chain:
            step = kill_once(root, aim, dice, seconds)
            if step is None:
                continue  # it came to its end before the kill
            landed[group(step)] += 1
            if group(step) != "publish" and marts_of(root / "home").resolve() == before:
                assert (before.parent / "manifest.json").exists(), "the previous publication stays"
        night(root / "home", root / "landing", LAST)
        found += [
            f"chain {number} ({', '.join(chain)}): {d}"
            for d in differences(marts_of(undisturbed / "home"), marts_of(root / "home"))
        ]
        shutil.rmtree(root)
    return landed, found


def enough(landed: Counter[str], kills: int) -> bool:
    return (
        sum(landed.values()) >= kills
        and landed["load"] >= 5
        and landed["dbt"] >= 5
        and landed["publish"] >= 2
    )


def told(landed: Counter[str]) -> str:
    return ", ".join(f"{step} {count}" for step, count in landed.most_common())


def test_killed_nights_end_in_the_same_rows(
    ready: Path, undisturbed: Path, record_property: Callable[[str, object], None]
) -> None:
    landed, found = run_chains(ready, undisturbed, [CHAIN] * 2, seed=20170303)
    for attempt in range(3):  # where a step ended before its kill
        if enough(landed, 20):
            break
        short = {g: n - landed[g] for g, n in (("load", 5), ("dbt", 5), ("publish", 2))}
        more = ["load alone"] * max(1, short["load"]) + ["dbt:core"] * max(1, short["dbt"])
        more += ["publish"] * max(1, short["publish"])
        again, differing = run_chains(ready, undisturbed, [more], seed=attempt)
        landed += again
        found += differing
    record_property("kills", told(landed))
    assert found == []
    assert enough(landed, 20), landed


@pytest.mark.long
def test_a_hundred_kills(
    ready: Path, undisturbed: Path, record_property: Callable[[str, object], None]
) -> None:
    landed: Counter[str] = Counter()
    found: list[str] = []
    for attempt in range(30):
        more, differing = run_chains(ready, undisturbed, [CHAIN], seed=1000 + attempt)
        landed += more
        found += differing
        if sum(landed.values()) >= 100:
            break
    record_property("kills", told(landed))
    assert found == []
    assert sum(landed.values()) >= 100
