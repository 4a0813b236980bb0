"""Airflow for the tests of the DAGs: its own home, no scheduler, no waiting between retries."""

import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]


def script(name: str) -> ModuleType:
    """Return `scripts/<name>.py` as a module."""
    spec = importlib.util.spec_from_file_location(name, PROJECT / "scripts" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


RUN_DAGS = script("run_dags")
HOME = Path(tempfile.mkdtemp(prefix="kehu-airflow-"))
RUN_DAGS.configure(HOME)
sys.path.insert(0, str(PROJECT / "dags"))


@pytest.fixture(scope="session")
def airflow_stack() -> ModuleType:
    """The script that starts and stops a whole Airflow."""
    return script("airflow_stack")


@pytest.fixture(scope="session", autouse=True)
def airflow_home() -> Iterator[Path]:
    """The home of the Airflow of these tests; gone with them."""
    yield HOME
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture
def parse(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A function that parses the DAGs in an environment with only the given KEHU_ variables."""

    def parse_with(**environment: str) -> Any:
        from airflow.dag_processing.dagbag import DagBag

        for name in [each for each in os.environ if each.startswith("KEHU_")]:
            monkeypatch.delenv(name)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        for name in [each for each in sys.modules if each.startswith("kehu_")]:
            monkeypatch.delitem(sys.modules, name)
        return DagBag(str(PROJECT / "dags"))

    return parse_with


@pytest.fixture(scope="session")
def database() -> None:
    """A migrated metadata database with the pool."""
    RUN_DAGS.prepare()
