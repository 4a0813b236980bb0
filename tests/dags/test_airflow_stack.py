"""The whole Airflow: a past night of real sales, run by the scheduler, seen through its API."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.airflow

PROJECT = Path(__file__).resolve().parents[2]
DAY = "2017-12-29"
FEED_RUN, PUBLISH_RUN = "2017-12-29T07:30:00Z", "2017-12-29T10:00:00Z"  # 02:30, 05:00 in New York
LOADED = {
    "kehu_transactions": ["collect", "plan", "extract", "gate", "load"],
    "kehu_masters": ["collect", "plan", "extract", "gate", "load"],
    "kehu_complaints": ["collect", "plan", "gate", "load"],
    "kehu_surveys": ["collect", "plan", "gate", "load"],
    "kehu_publish": [
        "feeds",
        "night",
        "transform_core",
        "score",
        "transform_marts",
        "audit",
        "publish",
    ],
}


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder apart from pytest's own, which every pytest that starts closes to other users.

    As root, PostgreSQL runs as a user of its own.
    """
    folder = Path(tempfile.mkdtemp(prefix="kehu-stack-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def environment(place: Path) -> dict[str, str]:
    """The environment of one scheduled night on three days of drops."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("KEHU_", "AIRFLOW"))
    }
    return clean | {
        "KEHU_HOME": str(place / "home"),
        "KEHU_LANDING": str(place / "landing"),
        "KEHU_TIMEZONE": "America/New_York",
        "KEHU_START_DATE": DAY,
        "KEHU_END_DATE": DAY,
        "KEHU_RETRY_DELAY": "1",
    }


def python(environment: dict[str, str], *arguments: str) -> str:
    """Run one of the project's scripts and return what it prints."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=PROJECT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def wait_for_night(client, seconds: float) -> dict[str, list[dict]]:
    """Return the runs of each DAG as soon as all have ended, with all five among them."""
    deadline = time.monotonic() + seconds
    while True:
        runs: dict[str, list[dict]] = {dag_id: [] for dag_id in LOADED}
        for each in client.get("/dags/~/dagRuns").raise_for_status().json()["dag_runs"]:
            runs[each["dag_id"]].append(each)
        states = {each["state"] for each_dag in runs.values() for each in each_dag}
        if all(runs.values()) and states <= {"success", "failed"}:
            return runs
        assert time.monotonic() < deadline, runs
        time.sleep(1)


def test_a_scheduled_night_succeeds_and_nothing_stays_behind(place, environment, airflow_stack):
    python(
        environment,
        "scripts/complete_journey.py",
        "--landing",
        environment["KEHU_LANDING"],
        "--from",
        "2017-12-27",
        "--to",
        DAY,
    )
    home = Path(environment["KEHU_HOME"])
    before = {process.pid for process in psutil.process_iter()}
    try:
        python(environment, "scripts/airflow_stack.py", "up", "--patience", "240")
        stack = airflow_stack.Stack(home)
        assert stack.state["services"].keys() == {"api-server", "dag-processor", "scheduler"}
        assert "postgresql" in _configured_database(stack)
        with stack.client() as client:
            runs = wait_for_night(client, 900)
            pool = client.get("/pools/duckdb_writer").json()
            assert pool["slots"] == 1
            for dag_id, tasks in LOADED.items():
                assert client.get(f"/dags/{dag_id}").json()["is_paused"] is False
                [night] = [each for each in runs[dag_id] if each["run_type"] == "scheduled"]
                assert night["logical_date"] in (FEED_RUN, PUBLISH_RUN)
                assert night["state"] == "success", failures(client, night)
                ended = client.get(
                    f"/dags/{dag_id}/dagRuns/{night['dag_run_id']}/taskInstances"
                ).json()["task_instances"]
                done = [each["task_id"] for each in ended if each["state"] == "success"]
                assert set(done) >= set(tasks), (dag_id, ended)
            for each in runs["kehu_publish"]:
                assert each["state"] == "success", failures(client, each)
        port = stack.state["port"]
        known = {process.pid for process in stack.processes()}
        assert len(known) >= 3
    finally:
        python(environment, "scripts/airflow_stack.py", "down")
    assert (home / "published" / "marts.duckdb").exists()
    assert f'"{DAY}"' in (home / "published" / "manifest.json").read_text()

    assert airflow_stack.Stack(home).processes() == []
    left = {process.pid for process in psutil.process_iter()} - before
    assert not [pid for pid in left if _belongs_to(pid, known, str(place))]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def failures(client, run: dict) -> str:
    """Return the end of the log of each failed task of `run`."""
    path = f"/dags/{run['dag_id']}/dagRuns/{run['dag_run_id']}/taskInstances"
    logs = [
        client.get(f"{path}/{each['task_id']}/logs/{each['try_number']}").text[-3000:]
        for each in client.get(path).json()["task_instances"]
        if each["state"] == "failed"
    ]
    return "\n".join([run["dag_id"], *logs])


def _configured_database(stack) -> str:
    server = stack.postmaster()
    return f"postgresql {server.pid}" if server and server.is_running() else "none"


def _belongs_to(pid: int, known: set[int], folder: str) -> bool:
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return pid in known or folder in " ".join(process.cmdline())
    except psutil.Error:
        return False
