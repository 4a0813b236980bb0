"""Homes that several tests look at: the awkward history, lived night by night, and loaded in bulk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from history import LAST, NIGHTS, Drop, make
from nights import night


@pytest.fixture(scope="session")
def drops() -> list[Drop]:
    return make()


@pytest.fixture(scope="session")
def nightly(tmp_path_factory: pytest.TempPathFactory, drops: list[Drop]) -> Path:
    """The history as it was lived, night after night, while somebody reads all the time."""
    root = tmp_path_factory.mktemp("nightly")
    stop, report = root / "stop", root / "home" / "reader.json"
    reader = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("reader.py")), str(root / "home" / "published"),
         str(stop), str(report)]
    )  # fmt: skip
    try:
        for as_of in NIGHTS:
            for drop in drops:
                if drop.night == as_of:
                    drop.write(root / "landing")
            night(root / "home", root / "landing", as_of)
    finally:
        stop.touch()
        reader.wait(timeout=60)
    return root / "home"


@pytest.fixture(scope="session")
def bulk(tmp_path_factory: pytest.TempPathFactory, drops: list[Drop]) -> Path:
    """The same files, all at once."""
    root = tmp_path_factory.mktemp("bulk")
    for drop in drops:
        drop.write(root / "landing")
    night(root / "home", root / "landing", LAST)
    return root / "home"
