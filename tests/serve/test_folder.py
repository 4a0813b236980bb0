"""The copy as a folder of Parquet: whole, by date, swapped in one step."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import duckdb
import pyarrow.dataset as ds
import pytest
from serve.homes import Home

from kehu.errors import KehuError, Locked, TargetFailed
from kehu.serve import parquet
from kehu.serve.run import require_served, serve
from kehu.serve.target import Listing, Options


def copy(home: Home, folder: Path, with_facts: bool = False, force: bool = False) -> Listing:
    """Publish into the folder; raises as `kehu publish --to` does."""
    options = Options(with_facts=with_facts, role="", prefix="", wait=1, force=force)
    report = serve(home.settings, "run", to=[f"{folder}"], options=options)
    require_served(report)
    [listing] = report["served"].values()
    return Listing.model_validate(listing)


def shown(folder: Path) -> str:
    """The publication of which the copy is that the folder shows."""
    return (folder / "current").resolve().name.rpartition(".")[0]


def copies(folder: Path) -> set[str]:
    """What is kept beside it."""
    return {path.name for path in (folder / "publications").iterdir()}


def test_every_row_is_there_under_its_date(home: Home, tmp_path: Path) -> None:
    listing = copy(home, tmp_path / "bi", with_facts=True)
    current = tmp_path / "bi" / "current"
    assert shown(tmp_path / "bi") == listing.publication
    files = json.loads((current / "manifest.json").read_text())["files"]
    assert {str(p.relative_to(current)) for p in current.rglob("*.parquet")} == {
        f["path"] for f in files
    }
    assert sum(f["rows"] for f in files) == listing.rows
    assert sum(f["bytes"] for f in files) == listing.size
    dates = {p.name for p in (current / "marts" / "mart_churn").iterdir()}
    assert dates == {"as_of_date=2024-01-31", "as_of_date=2024-02-29"}
    with duckdb.connect() as connection:
        connection.execute(f"attach '{home.published}' as kehu (read_only)")
        for table in listing.tables:
            schema, name = table.split(".")
            path = current / schema / f"{name}.parquet"
            if not path.exists():
                path = current / schema / name / "*" / "*.parquet"
            columns = ", ".join(
                f'"{c}"'
                for (c,) in connection.execute(
                    f"select column_name from (describe kehu.{table})"
                ).fetchall()
            )
            there = f"select {columns} from read_parquet('{path}', hive_partitioning = true)"
            ours = f"select {columns} from kehu.{table}"
            for one, other in ((ours, there), (there, ours)):
                assert connection.execute(f"{one} except all {other}").fetchall() == [], table
            if name not in (
                "mart_types",
                "mart_kano",
            ):  # an enum is text, an empty file has its date
                kinds = [
                    connection.execute(f"select column_type from (describe {query})").fetchall()
                    for query in (ours, there)
                ]
                assert kinds[0] == kinds[1], table


def test_a_mart_without_rows_has_its_columns(home: Home, tmp_path: Path) -> None:
    copy(home, tmp_path)
    with duckdb.connect() as connection:
        told = connection.execute(
            f"describe select * from read_parquet('{tmp_path}/current/marts/mart_kano/*/*.parquet')"
        ).fetchall()
    assert {row[0] for row in told} == {
        "survey_id",
        "wave_start_on",
        "attribute",
        "n",
        "as_of_date",
    }


def test_arrow_reads_it_as_a_dataset(home: Home, tmp_path: Path) -> None:
    copy(home, tmp_path)
    found = ds.dataset(tmp_path / "current" / "marts" / "mart_churn", partitioning="hive")
    latest = found.to_table(filter=ds.field("as_of_date") == "2024-02-29")
    assert latest.num_rows == 300 and set(latest["visits"].to_pylist()) == {1}


def test_the_next_publication_takes_its_place_and_the_one_before_stays(
    home: Home, tmp_path: Path
) -> None:
    first = copy(home, tmp_path).publication
    opened = (tmp_path / "current").resolve()
    assert copy(home, tmp_path).was_there
    home.publish(date(2024, 3, 1))
    second = copy(home, tmp_path).publication
    assert shown(tmp_path) == second != first
    assert (opened / "marts" / "mart_load.parquet").exists(), "who reads it still can end"
    home.publish(date(2024, 3, 2))
    third = copy(home, tmp_path).publication
    assert {name.rpartition(".")[0] for name in copies(tmp_path)} == {second, third}


def test_again_by_force_replaces_what_is_there(home: Home, tmp_path: Path) -> None:
    copy(home, tmp_path)
    broken = tmp_path / "current" / "core" / "param.parquet"
    broken.write_text("no parquet")
    assert copy(home, tmp_path).was_there
    assert not copy(home, tmp_path, force=True).was_there
    assert duckdb.execute(f"select value from read_parquet('{broken}')").fetchall() == [("CNY",)]
    broken.unlink()
    assert not copy(home, tmp_path).was_there, "a file is missing"
    assert broken.exists()


def test_who_reads_a_copy_that_is_made_again_goes_on_reading(home: Home, tmp_path: Path) -> None:
    first = copy(home, tmp_path).publication
    opened = (tmp_path / "current").resolve()
    whole = {path.name for path in opened.rglob("*")}
    for facts, force in ((False, True), (True, False)):
        assert copy(home, tmp_path, with_facts=facts, force=force).publication == first
        assert {path.name for path in opened.rglob("*")} == whole, "it lost files"
        assert shown(tmp_path) == first and (tmp_path / "current").resolve() != opened
        assert len(copies(tmp_path)) == 2, "one to read, and the one before"
        opened = (tmp_path / "current").resolve()
        whole = {path.name for path in opened.rglob("*")}


CHILD = """
import os, sys
from kehu.serve import parquet
from kehu.serve.run import serve
from kehu.serve.target import Options
from kehu.settings import Settings
inner, left = os.replace, [int(sys.argv[2])]
def replace(source, target):
    if sys.argv[1] in str(target):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), 9)
    inner(source, target)
os.replace = replace
serve(Settings(), "child", to=[sys.argv[1]], options=Options(False, "", "", 1, force=True))
"""


def test_the_same_publication_again_killed_at_each_rename_leaves_one_to_read(
    home: Home, tmp_path: Path
) -> None:
    copy(home, tmp_path / "bi")
    for at in (1, 2, 3, 4):
        done = subprocess.run(
            [sys.executable, "-c", CHILD, str(tmp_path / "bi"), str(at)],
            env=os.environ | {"KEHU_HOME": str(home.path)},
            check=False,
        )
        listed = json.loads((tmp_path / "bi" / "current" / "manifest.json").read_text())
        for file in listed["files"]:
            assert (tmp_path / "bi" / "current" / file["path"]).exists(), f"killed at {at}"
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
    assert at == 4, "manifest, folder and pointer are renamed, nothing else"
    copy(home, tmp_path / "bi", force=True)
    assert len(copies(tmp_path / "bi")) == 2, "what was killed is cleared away"


def test_what_fails_or_was_killed_leaves_nothing(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = copy(home, tmp_path).publication
    kept = copies(tmp_path)
    (tmp_path / "publications" / f".{first}.of-one-that-was-killed").mkdir()
    home.publish(date(2024, 3, 1))
    inner = parquet._copy

    def fails(connection: duckdb.DuckDBPyConnection, query: str, path: Path, how: str = "") -> None:
        if path.name.startswith("mart_churn"):
            raise OSError(28, "No space left on device", str(path))
        inner(connection, query, path, how)

    with monkeypatch.context() as patched:
        patched.setattr(parquet, "_copy", fails)
        with pytest.raises(TargetFailed, match="no space left for"):
            copy(home, tmp_path)
    assert copies(tmp_path) == kept
    assert shown(tmp_path) == first
    short = monkeypatch.context()
    with short as patched:
        patched.setattr(
            parquet, "_copy", lambda c, q, path, how="": inner(c, f"{q} limit 1", path, how)
        )
        with pytest.raises(TargetFailed, match="has 1 rows, the publication"):
            copy(home, tmp_path)
    assert shown(tmp_path) == first and copies(tmp_path) == kept
    with monkeypatch.context() as patched:
        patched.setattr(parquet, "_point", lambda *_: pytest.fail("no space for a pointer"))
        with pytest.raises(pytest.fail.Exception):
            copy(home, tmp_path)
    assert shown(tmp_path) == first and copies(tmp_path) == kept
    assert copy(home, tmp_path).publication != first


def test_two_at_once_and_a_folder_that_is_not_ours(home: Home, tmp_path: Path) -> None:
    copy(home, tmp_path / "a")
    with (tmp_path / "a" / ".kehu.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(Locked, match="another publish is writing it"):
            copy(home, tmp_path / "a", force=True)
    (tmp_path / "b" / "current").mkdir(parents=True)
    with pytest.raises(KehuError, match="was not made by Kehu"):
        copy(home, tmp_path / "b")
    (tmp_path / "c").write_text("a file")
    with pytest.raises(KehuError, match=r"File exists|Not a directory"):
        copy(home, tmp_path / "c")
    assert os.listdir(tmp_path / "b") == ["current"]


def contents(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_kehus_own_home_is_no_place_for_copies(home: Home, tmp_path: Path) -> None:
    home.publish(date(2024, 3, 1))
    (home.path / "archive").mkdir()
    (tmp_path / "link").symlink_to(home.path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "publications").symlink_to(home.path / "publications")
    places = [home.path, home.path / "published", home.path / "publications", home.path / "archive",
              home.path / "collected", home.path / "targets", tmp_path / "link",
              tmp_path / "mine"]  # fmt: skip
    before = contents(home.path / "publications")
    for place in places:
        with pytest.raises(KehuError, match=r"Kehu's own folder.*name a folder of its own"):
            copy(home, place)
    assert contents(home.path / "publications") == before
    assert not (home.path / "current").exists() and not (home.path / ".kehu.lock").exists()


def test_what_others_made_is_left_alone(home: Home, tmp_path: Path) -> None:
    """Another Kehu's home, somebody's folder of that name, and what they put beside our copies."""
    other = tmp_path / "other"
    (other / "publications" / "2024-01-31_x").mkdir(parents=True)
    (other / "publications" / "2024-01-31_x" / "manifest.json").write_text("{}")
    (tmp_path / "young").mkdir()
    (tmp_path / "young" / "warehouse.duckdb").touch()
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "current").symlink_to(other)
    for name in ("other", "young", "linked"):
        before = contents(tmp_path / name)
        with pytest.raises(KehuError, match=rf"{name}/.* was not made by Kehu's copying"):
            copy(home, tmp_path / name)
        assert contents(tmp_path / name) == before
    copy(home, tmp_path / "bi")
    theirs = tmp_path / "bi" / "publications"
    for name in ("notes", ".git", "2023-12-31_mine"):
        (theirs / name).mkdir()
    (theirs / "read me.txt").touch()
    (theirs / "2024-01-31_link").symlink_to(other / "publications" / "2024-01-31_x")
    for _ in range(2):
        copy(home, tmp_path / "bi", force=True)
    assert {"notes", ".git", "2023-12-31_mine", "read me.txt", "2024-01-31_link"} < copies(
        tmp_path / "bi"
    )
    assert len(copies(tmp_path / "bi")) == 7
