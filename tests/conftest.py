"""What the tests share: a house of its own for each test; see houses.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from houses import House, make_house
from hypothesis import settings

# the same examples on every machine, and nothing left in the checkout
settings.register_profile("kehu", database=None, deadline=None, derandomize=True)
settings.load_profile("kehu")


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


# Files whose tests share costly fixtures stay together on one worker; the longest go first, so that
# two workers end at about the same time.
LONGEST_FIRST = ("crashes", "history", "test_airflow_stack.py", "test_run_dags.py")


def pytest_itemcollected(item: pytest.Item) -> None:
    if item.get_closest_marker("xdist_group") is None:
        item.add_marker(pytest.mark.xdist_group(item.path.name))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        mark = item.get_closest_marker("xdist_group")
        group = str(mark.args[0]) if mark else ""
        return LONGEST_FIRST.index(group) if group in LONGEST_FIRST else len(LONGEST_FIRST)

    items.sort(key=place)
