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
FEEDS = Path("expectations") / "feeds"


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


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with contracts that may be changed; one for all, as reading them takes its time."""
    project = tmp_path_factory.mktemp("project")
    for path in PROJECT.iterdir():
        if path.name != "expectations":
            (project / path.name).symlink_to(path)
    shutil.copytree(PROJECT / "expectations", project / "expectations")
    return project


@pytest.fixture
def connect(house: House, project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    """Give feeds of the house a source: `connect(url, member={"query": ...})`."""
    monkeypatch.setenv("KEHU_PROJECT", str(project))
    house.settings.project = project
    changed = set()

    def connected(url: str, **sources: dict[str, object]) -> None:
        monkeypatch.setenv("KEHU_CONNECTION_ERP", url)
        for feed, source in sources.items():
            changed.add(feed)
            text = (PROJECT / FEEDS / f"{feed}.yml").read_text(encoding="utf-8")
            block = yaml.safe_dump({"source": {"connection": "erp", **source}}, allow_unicode=True)
            (project / FEEDS / f"{feed}.yml").write_text(text + block, encoding="utf-8")

    yield connected
    for feed in changed:
        shutil.copy(PROJECT / FEEDS / f"{feed}.yml", project / FEEDS / f"{feed}.yml")
