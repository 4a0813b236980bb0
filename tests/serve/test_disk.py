"""A server whose disk is full in the middle of a copy."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from serve.homes import Home, make_home
from serve.servers import Server

from kehu.errors import TargetFailed
from kehu.serve.run import require_served, serve


@pytest.fixture
def small(pg: Server) -> Iterator[str]:
    """A tablespace of two megabytes in which Kehu's tables lie."""
    folder = Path(tempfile.mkdtemp(prefix="kehu-small-"))
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m,mode=0777", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        folder.rmdir()
        pytest.skip("this machine lets us mount no tmpfs, which is the disk that fills up")
    try:
        # a folder of its own in it, as the server's user wants it
        owner = pg.value("select current_setting('data_directory')")
        inside = folder / "space"
        inside.mkdir()
        stat = Path(owner).stat()
        shutil.chown(inside, stat.st_uid, stat.st_gid)
        folder.chmod(0o755)
        inside.chmod(0o700)
        pg.run(
            f"create tablespace small location '{inside}'",
            "grant create on tablespace small to kehu",
        )
        yield "small"
    finally:
        pg.run(f"alter role kehu in database {pg.name} reset default_tablespace")
        pg.run("drop schema if exists core, marts, core_kehu_new, marts_kehu_new cascade")
        pg.run("drop tablespace if exists small")
        subprocess.run(["umount", str(folder)], check=False)
        folder.rmdir()


def test_a_full_disk_changes_nothing_and_is_told(
    pg: Server, small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEHU_HOME", str(tmp_path / "var"))
    home: Home = make_home(tmp_path / "var", rows=10)
    home.publish()
    require_served(serve(home.settings, "run", to=[pg.url]))
    pg.run(f"alter role kehu in database {pg.name} set default_tablespace = {small}")
    home.rows = 40_000
    home.publish()
    with pytest.raises(TargetFailed, match="the server's disk is full"):
        require_served(serve(home.settings, "run", to=[pg.url]))
    assert pg.value("select max(visits) from marts.mart_churn", "bi") == 1
    left = pg.rows("select nspname::text from pg_namespace where nspname like '%_kehu_%'")
    assert left == [], "half a copy would keep the disk full"
    home.rows = 10
    home.publish()
    require_served(serve(home.settings, "run", to=[pg.url]))
    assert pg.value("select max(visits) from marts.mart_churn", "bi") == 3
