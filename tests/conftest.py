"""What the tests share: a house of its own for each test; see houses.py."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from demo_year import DemoYear, live
from houses import House, make_house
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

# the same examples on every machine, and nothing left in the checkout
settings.register_profile("kehu", database=None, deadline=None, derandomize=True)
settings.load_profile("kehu")

# nobody writes while a test looks; the tests of files that are still being written set it
os.environ["KEHU_SETTLE_SECONDS"] = "0"
# pages take seconds of each night; the tests of pages make them
os.environ["KEHU_PAGES"] = "0"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "superset: Apache Superset itself; `make test-superset` runs it"
    )
    config.addinivalue_line(
        "markers", "browser: pages in a headless Chromium; `make test-browser` runs it"
    )


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """An empty installation that `kehu.night` and the command line also see."""
    monkeypatch.setenv("KEHU_HOME", str(tmp_path / "var"))
    monkeypatch.setenv("KEHU_LANDING", str(tmp_path / "landing"))
    return make_house(tmp_path)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the clock of Kehu in the morning after AS_OF."""
    monkeypatch.setenv("KEHU_NOW", "2017-04-01T03:00:00")


@pytest.fixture(scope="session")
def demo_year(tmp_path_factory: pytest.TempPathFactory) -> DemoYear:
    """Each third household of the demo's year, loaded through the feeds and published as of its end."""
    return live(tmp_path_factory.mktemp("demo_year"), every=3)


# Files whose tests share costly fixtures stay together on one worker; the longest go first, so that
# two workers end at about the same time. (xdist_group marks do not reach pytest-xdist 3.8 under
# pytest 9.2, which no longer has the attribute that they are written to.)
TOGETHER = {
    "tests/night/test_same_marts.py": "history",
    "tests/night/test_publish.py": "history",
    "tests/night/test_assertions_can_fail.py": "history",
    "tests/night/test_copies.py": "history",
    "tests/night/test_pages.py": "history",
    "tests/models/test_demo_year.py": "demo year",
    "tests/questions/test_questions.py": "demo year",
    "tests/report/test_pictures_of_a_year.py": "demo year",
    "tests/report/test_demo_pages.py": "demo year",
    "tests/collect/test_collect.py": "databases",
    "tests/collect/test_servers.py": "databases",
    "tests/dags/test_connections.py": "tests/dags/test_chain.py",
}
LONGEST_FIRST = (
    "tests/night/test_crashes.py",
    "history",
    "demo year",
    "tests/faults/test_random_histories.py",
    "tests/faults/test_machine.py",
    "tests/night/test_time_honesty.py",
    "tests/dags/test_airflow_stack.py",
    "tests/dags/test_run_dags.py",
)


def _scope(nodeid: str) -> str:
    file = nodeid.split("::")[0]
    return TOGETHER.get(file, file)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {scope: place for place, scope in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: order.get(_scope(item.nodeid), len(order)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    if config.getoption("dist") != "loadscope":
        return None  # the blocks of `make test-faults` share nothing

    class ByScope(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _scope(nodeid)

    return ByScope(config, log)
