"""Database servers for the session, and houses whose feeds come from them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from collect.servers import Server, mariadb, mariadb_is_missing, postgresql
from houses import House

from kehu.settings import PROJECT

Connect = Callable[..., None]


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A folder apart from pytest's own, which every pytest that starts closes to other users.

    As root, PostgreSQL runs as a user of its own.
    """
    path = Path(tempfile.mkdtemp(prefix="kehu-databases-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def pg(folder: Path) -> Iterator[Server]:
    """A running PostgreSQL."""
    with postgresql(folder / "postgresql") as server:
        yield server


@pytest.fixture(scope="session")
def maria(folder: Path) -> Iterator[Server]:
    """A running MariaDB."""
    if reason := mariadb_is_missing():
        pytest.skip(reason)
    with mariadb(folder / "mariadb") as server:
        yield server


@pytest.fixture(params=["postgresql", "mariadb"])
def server(request: pytest.FixtureRequest) -> Server:
    """Each kind of server in turn."""
    found: Server = request.getfixturevalue("pg" if request.param == "postgresql" else "maria")
    return found


@pytest.fixture
def connect(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Give feeds of the house a source: `connect(url, member={"query": ...})`."""
    project = tmp_path / "project"
    feeds = project / "expectations" / "feeds"
    feeds.mkdir(parents=True)
    for path in PROJECT.iterdir():
        if path.name != "expectations":
            (project / path.name).symlink_to(path)
    (project / "expectations" / "suites").symlink_to(PROJECT / "expectations" / "suites")
    for path in (PROJECT / "expectations" / "feeds").glob("*.yml"):
        (feeds / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setenv("KEHU_PROJECT", str(project))
    house.settings.project = project

    def connected(url: str, **sources: dict[str, object]) -> None:
        monkeypatch.setenv("KEHU_CONNECTION_ERP", url)
        for feed, source in sources.items():
            text = (PROJECT / "expectations" / "feeds" / f"{feed}.yml").read_text(encoding="utf-8")
            block = yaml.safe_dump({"source": {"connection": "erp", **source}}, allow_unicode=True)
            (feeds / f"{feed}.yml").write_text(text + block, encoding="utf-8")

    return connected
