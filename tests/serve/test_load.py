"""Reading while publications happen: no error, no mixed answer, and what it costs the readers."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from serve.homes import Home, make_home
from serve.servers import Server

from kehu.serve.run import require_served, serve
from kehu.serve.target import Options

Publish = Callable[[], None]


def under_load(
    folder: Path, readers: list[tuple[str, str]], publish: Publish, *, quiet: float, busy: float,
    times: int,
) -> dict[str, Any]:  # fmt: skip
    """Let readers read, first alone, then while `publish` is called `times` in `busy` seconds."""
    stop, processes, reports = folder / "stop", [], []
    for i, (how, place) in enumerate(readers):
        reports.append(folder / f"reader-{i}.json")
        processes.append(
            subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("reader.py")), how, place, str(stop),
                 str(reports[-1])]
            )
        )  # fmt: skip
    started, began, publishing, spans = time.time(), 0.0, 0.0, []
    try:
        for report in reports:
            while not report.with_suffix(".ready").exists():
                assert time.time() < started + 60, "a reader does not read"
                time.sleep(0.05)
        began = time.time()
        time.sleep(quiet)
        publishing = time.time()
        for i in range(times):
            begin = time.time()
            publish()
            spans.append((begin, time.time()))
            time.sleep(max(0.0, publishing + (i + 1) * busy / times - time.time()))
    finally:
        ended = time.time()
        stop.touch()
        for process in processes:
            process.wait(60)
    found = [json.loads(path.read_text()) for path in reports]
    looks = [look for each in found for look in each["looks"]]
    calm = sorted(seconds for at, seconds, _ in looks if began < at < publishing)
    during = sorted(
        seconds
        for at, seconds, _ in looks
        if any(begin - seconds < at < end for begin, end in spans)
    )
    return {
        "looks": len(looks),
        "seen": sorted({generation for _, _, generation in looks}),
        "errors": [e for each in found for e in each["errors"]],
        "wrong": [w for each in found for w in each["wrong"]],
        "quiet": _figures(calm),
        "publishing": _figures(during),
        "publish_seconds": [round(end - begin, 2) for begin, end in spans],
        "busy_seconds": round(ended - publishing),
    }


def _figures(seconds: list[float]) -> dict[str, Any]:
    if not seconds:
        return {"looks": 0}
    at = {
        f"p{p}": round(1000 * seconds[min(len(seconds) - 1, len(seconds) * p // 100)])
        for p in (50, 95, 99)
    }
    return {"looks": len(seconds), **at, "max": round(1000 * seconds[-1])}


def held(result: dict[str, Any], times: int) -> None:
    """What must hold whatever the machine."""
    print(json.dumps({k: v for k, v in result.items() if k not in ("errors", "wrong")}))
    assert result["errors"] == []
    assert result["wrong"] == []
    assert result["seen"][0] == 1 and set(result["seen"]) <= set(range(1, times + 2))
    assert result["quiet"]["looks"] and result["publishing"]["looks"]


def postgres_readers(pg: Server, count: int) -> list[tuple[str, str]]:
    login = f"postgresql://bi@/{pg.name}?host={pg.host}"
    return [(("gate", "adbc", "gate", "free")[i % 4], login) for i in range(count)]


def copied(home: Home, to: str) -> None:
    options = Options(with_facts=False, role="kehu_reader", prefix="", wait=120)
    report = serve(home.settings, "run", to=[to], options=options)
    require_served(report)
    for listing in report["served"].values():
        print(f"copied in {listing['seconds']} s, of them {listing['waited']} s for readers")


def test_readers_of_the_file_see_one_publication(home: Home, tmp_path: Path) -> None:
    place = str(home.path / "published")
    result = under_load(
        tmp_path, [("file", place), ("file-kept", place)],
        lambda: void(home.publish()), quiet=2, busy=3, times=6,
    )  # fmt: skip
    held(result, 6)
    assert len(result["seen"]) > 1


def test_readers_of_postgresql_see_one_publication(home: Home, pg: Server, tmp_path: Path) -> None:
    copied(home, pg.url)

    def publish() -> None:
        home.publish()
        copied(home, pg.url)

    result = under_load(tmp_path, postgres_readers(pg, 4), publish, quiet=2, busy=4, times=3)
    held(result, 3)
    assert len(result["seen"]) > 1


def void(_: object) -> None:
    """Take a result for nothing."""


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home with marts of 40,000 rows."""
    monkeypatch.setenv("KEHU_HOME", str(tmp_path / "var"))
    made = make_home(tmp_path / "var", rows=20_000)
    made.publish()
    return made


@pytest.mark.long
def test_eight_readers_of_the_file_for_two_minutes_and_ten_publications(
    large: Home, tmp_path: Path
) -> None:
    place = str(large.path / "published")
    readers = [("file" if i % 2 else "file-kept", place) for i in range(8)]
    result = under_load(
        tmp_path, readers, lambda: void(large.publish()), quiet=60, busy=120, times=10
    )
    held(result, 10)
    assert result["seen"] == list(range(1, 12))


@pytest.mark.long
def test_eight_readers_of_postgresql_for_two_minutes_and_ten_publications(
    large: Home, pg: Server, tmp_path: Path
) -> None:
    copied(large, pg.url)

    def publish() -> None:
        large.publish()
        copied(large, pg.url)

    result = under_load(tmp_path, postgres_readers(pg, 8), publish, quiet=60, busy=120, times=10)
    held(result, 10)
    assert result["seen"] == list(range(1, 12))


@pytest.mark.long
def test_eight_readers_of_parquet_for_two_minutes_and_ten_publications(
    large: Home, tmp_path: Path
) -> None:
    folder = tmp_path / "bi"
    copied(large, str(folder))

    def publish() -> None:
        large.publish()
        copied(large, str(folder))

    readers = [("parquet", str(folder / "current"))] * 8
    result = under_load(tmp_path, readers, publish, quiet=30, busy=60, times=5)
    held(result, 5)
