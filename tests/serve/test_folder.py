"""The copy as a folder of Parquet: whole, by date, swapped in one step."""

from __future__ import annotations

import fcntl
import json
import os
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


def test_every_row_is_there_under_its_date(home: Home, tmp_path: Path) -> None:
    listing = copy(home, tmp_path / "bi", with_facts=True)
    current = tmp_path / "bi" / "current"
    assert current.resolve().name == listing.publication
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
    assert (tmp_path / "current").resolve().name == second != first
    assert (opened / "marts" / "mart_load.parquet").exists(), "who reads it still can end"
    home.publish(date(2024, 3, 2))
    third = copy(home, tmp_path).publication
    assert {p.name for p in (tmp_path / "publications").iterdir()} == {second, third}


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


def test_what_fails_or_was_killed_leaves_nothing(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = copy(home, tmp_path).publication
    (tmp_path / "publications" / ".of-one-that-was-killed").mkdir()
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
    assert {p.name for p in (tmp_path / "publications").iterdir()} == {first}
    assert (tmp_path / "current").resolve().name == first
    short = monkeypatch.context()
    with short as patched:
        patched.setattr(
            parquet, "_copy", lambda c, q, path, how="": inner(c, f"{q} limit 1", path, how)
        )
        with pytest.raises(TargetFailed, match="has 1 rows, the publication"):
            copy(home, tmp_path)
    assert (tmp_path / "current").resolve().name == first
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
