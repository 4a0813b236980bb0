"""The runner without a scheduler, on real sales and the real steps."""

import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

pytestmark = pytest.mark.airflow

PROJECT = Path(__file__).resolve().parents[2]
DAY = "2017-12-29"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where these tests keep landing and home."""
    return tmp_path_factory.mktemp("nights")


def run(place: Path, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run scripts/run_dags.py; return its outcome with everything it printed in `stdout`."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("KEHU_", "AIRFLOW"))
    }
    places = {"KEHU_HOME": str(place / "home"), "KEHU_LANDING": str(place / "landing")}
    zone = {"KEHU_TIMEZONE": "America/New_York"}
    return subprocess.run(
        [sys.executable, "scripts/run_dags.py", *arguments],
        cwd=PROJECT,
        env=clean | places | zone | extra,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=400,
    )


def notes(place: Path) -> list[dict]:
    """Return what the steps and the failure callback wrote down."""
    logs = sorted((place / "home" / "log").glob("*.jsonl"))
    return [json.loads(line) for log in logs for line in log.read_text().splitlines()]


def test_a_night_of_real_sales_goes_all_the_way_and_only_once(place):
    deliver = f"{sys.executable} scripts/complete_journey.py --landing {place / 'landing'}"
    deliver += " --from 2017-12-27 --to {as_of}"
    done = run(place, DAY, "--as-of", DAY, "--before", deliver)
    assert done.returncode == 0, done.stdout
    first, second = done.stdout.split(f"night of {DAY}")[1:]
    outcomes = [line.split() for line in first.splitlines() if line.startswith("  kehu_")]
    steps = [line[0] for line in outcomes]
    assert steps[:5] == [
        f"kehu_masters.{step}" for step in ("collect", "plan", "extract", "gate", "load")
    ]
    assert steps[-8:] == [
        f"kehu_publish.{step}"
        for step in (
            "feeds",
            "night",
            "transform_core",
            "score",
            "transform_marts",
            "audit",
            "publish",
            "serve",
        )
    ]
    skipped = [line[0] for line in outcomes if line[-1] != "done"]
    assert skipped == ["kehu_publish.serve"]  # KEHU_PUBLISH_TO names no target

    outcomes = [line.split() for line in second.splitlines() if line.startswith("  kehu_")]
    undone = [line for line in outcomes if line[-1] != "done"]
    assert [line[0] for line in undone] == ["kehu_publish.night", "kehu_publish.serve"]
    assert {line[-1] for line in undone} == {"skipped"}
    assert len([note for note in notes(place) if note.get("state") == "noop"]) == 1

    published = place / "home" / "published"
    assert json.loads((published / "manifest.json").read_text())["as_of_date"] == DAY
    delivered = sum(
        json.loads(manifest.read_text())["rows"]
        for manifest in (place / "landing" / "sales_line").rglob("*.manifest.json")
    )
    with duckdb.connect(str(published / "marts.duckdb"), read_only=True) as connection:
        [(rows,)] = connection.execute("select count(*) from core.fct_sales_line").fetchall()
    assert rows == delivered > 5000


def test_a_failing_gate_stops_the_night_and_says_why(place):
    project = place / "project"
    project.mkdir()
    for each in PROJECT.iterdir():
        if each.name != "expectations":
            (project / each.name).symlink_to(each)
    (project / "expectations").mkdir()
    (project / "expectations" / "feeds").symlink_to(PROJECT / "expectations" / "feeds")
    (project / "expectations" / "suites").mkdir()
    for suite in (PROJECT / "expectations" / "suites").iterdir():
        (project / "expectations" / "suites" / suite.name).symlink_to(suite)
    (project / "expectations" / "suites" / "store.json").unlink()
    (project / "expectations" / "suites" / "store.json").write_text("{")
    manifest = (place / "home" / "published" / "manifest.json").read_text()

    done = run(place, DAY, KEHU_PROJECT=str(project))
    assert done.returncode == 1, done.stdout
    assert "kehu_masters.gate: " in done.stdout
    assert "store.json" in done.stdout
    assert "Traceback" not in done.stdout
    assert "kehu_publish" not in done.stdout
    assert (place / "home" / "published" / "manifest.json").read_text() == manifest
    [note] = [n for n in notes(place) if n["step"].startswith("airflow:")]
    assert note["step"] == "airflow:kehu_masters.gate"
    assert "store.json" in note["error"]


def test_a_delivery_that_fails_stops_the_night_before_it_begins(tmp_path):
    done = run(tmp_path, DAY, "--before", "false")
    assert done.returncode == 1
    assert "kehu_" not in done.stdout
    assert "false ended with 1" in done.stdout
