"""A published year with its pages, for the tests that look at whole pages."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from demo_year import DemoYear

from kehu.publish import ANOTHER_NAME
from kehu.report import furnish
from kehu.settings import Settings


@pytest.fixture(scope="session")
def source(demo_year: DemoYear) -> Path:
    """What is published of the demo's year."""
    return demo_year.home / "published"


@pytest.fixture(scope="session")
def shown(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a publication with report and page: of `source`, or a copy of KEHU_SHOWN.

    Pages that lie in KEHU_SHOWN are looked at as they are.
    """
    named = os.environ.get("KEHU_SHOWN")
    published: Path = Path(named) if named else request.getfixturevalue("source")
    folder = tmp_path_factory.mktemp("shown") / "published"
    folder.mkdir()
    for path in published.iterdir():
        if path.name in (ANOTHER_NAME, "manifest.json") or (named and path.suffix == ".html"):
            shutil.copyfile(path, folder / path.name)
    if (folder / furnish.PAGE).exists():
        return folder
    done = furnish.make(Settings(page_stores=3), folder)
    assert done["failed"] == {}
    return folder
