"""A server, and homes with small publications that change from one to the next in every table."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from serve.homes import Home, make_home
from serve.servers import Server, postgresql


@pytest.fixture(scope="session")
def cluster() -> Iterator[Server]:
    """A running PostgreSQL; apart from pytest's own folder, which other users may not enter."""
    path = Path(tempfile.mkdtemp(prefix="kehu-serve-"))
    with postgresql(path / "postgresql") as server:
        yield server
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def pg(cluster: Server, request: pytest.FixtureRequest) -> Iterator[Server]:
    """A database of its own for a test."""
    with cluster.database() as server:
        yield server


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home with one publication, as of 29 February 2024."""
    for name in ("PUBLISH_TO", "PUBLISH_FACTS", "PUBLISH_ROLE", "PUBLISH_PREFIX", "COMPANY"):
        monkeypatch.delenv(f"KEHU_{name}", raising=False)
    monkeypatch.setenv("KEHU_HOME", str(tmp_path / "var"))
    monkeypatch.setenv("KEHU_LANDING", str(tmp_path / "landing"))
    made = make_home(tmp_path / "var")
    made.publish(date(2024, 2, 29))
    return made
