"""A publication copied into a folder of Parquet, for tools that read files.

    FOLDER/current -> publications/<id>                  swapped in one step
    FOLDER/publications/<id>/manifest.json               what was written, with rows and bytes
                             core/<table>.parquet
                             marts/<table>/as_of_date=2017-12-31/data_0.parquet
                             marts/<table>.parquet       where a mart has no as_of_date

The publication that was shown before stays until the next one, for readers that are still in it.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from kehu.clock import now
from kehu.errors import KehuError, Locked, TargetFailed
from kehu.extract.typing import literal, quoted
from kehu.files import write_atomically
from kehu.serve.publication import Publication, Table
from kehu.serve.target import Listing, Options, Target
from kehu.settings import Settings

DATE = "as_of_date"
CURRENT, KEPT, MANIFEST = "current", "publications", "manifest.json"


def write(
    settings: Settings,
    target: Target,
    publication: Publication,
    options: Options,
    connection: duckdb.DuckDBPyConnection,
    tables: list[Table],
) -> Listing:
    """Make the publication the one that the folder shows; a no-op where it is already."""
    folder = Path(target.path)
    pointer = folder / CURRENT
    if pointer.exists() and not pointer.is_symlink():
        raise KehuError(f"{pointer} is there and was not made by Kehu; name another folder")
    (folder / KEPT).mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        for left in (folder / KEPT).glob(".*"):
            shutil.rmtree(left, ignore_errors=True)  # of a copy that was killed
        before = _manifest(pointer)
        if not options.force and _is_there(pointer, before, publication, options, tables):
            assert before is not None
            return Listing.model_validate(before["listing"] | {"was_there": True})
        work = folder / KEPT / f".{publication.identity}"
        work.mkdir()
        try:
            listing = Listing(
                target=target.name,
                kind=target.kind,
                publication=publication.identity,
                as_of_date=publication.as_of,
                written_at=now(settings),
                schemas=["core", "marts"],
                with_facts=options.with_facts,
            )
            files = write_files(connection, tables, work, publication.as_of)
            listing.tables = {str(t): t.rows for t in tables}
            listing.size = sum(f["bytes"] for f in files)
            text = json.dumps(_told(publication, listing, files), ensure_ascii=False, indent=1)
            write_atomically(work / MANIFEST, text)
            final = folder / KEPT / publication.identity
            if final.exists():  # --force: under another name, so that nobody reads half of it
                os.replace(final, folder / KEPT / f".{publication.identity}.before")
            os.replace(work, final)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
        _point(folder, publication.identity)
        keep = {publication.identity, before["publication"] if before else ""}
        for path in (folder / KEPT).iterdir():
            if path.name not in keep:
                shutil.rmtree(path, ignore_errors=True)
    return listing


def write_files(
    connection: duckdb.DuckDBPyConnection, tables: list[Table], folder: Path, as_of: str
) -> list[dict[str, Any]]:
    """Write each table below the folder, and count what was written; path, rows and bytes of each file."""
    files = []
    for table in tables:
        source = f"{quoted(table.schema)}.{quoted(table.name)}"
        (folder / table.schema).mkdir(exist_ok=True)
        path = folder / table.schema / f"{table.name}.parquet"
        if table.schema == "marts" and table.has(DATE):
            path = path.with_suffix("")
            if table.rows:
                _copy(connection, f"select * from {source}", path, f", partition_by ({DATE})")
            else:  # a file without rows still has the columns
                path = path / f"{DATE}={as_of}" / "data_0.parquet"
                path.parent.mkdir(parents=True)
                _copy(connection, f"select * exclude ({DATE}) from {source}", path)
                path = path.parents[1]
        else:
            _copy(connection, f"select * from {source}", path)
        written = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
        found = [
            {
                "table": str(table),
                "path": str(each.relative_to(folder)),
                "rows": pq.read_metadata(each).num_rows,
                "bytes": each.stat().st_size,
            }
            for each in written
        ]
        count = sum(f["rows"] for f in found)
        if count != table.rows:
            raise TargetFailed(
                f"the copy of {table} has {count:,} rows, the publication {table.rows:,}; nothing "
                "changed for readers"
            )
        for each in written:
            _sync(each)
        files += found
    return files


def _copy(connection: duckdb.DuckDBPyConnection, query: str, path: Path, how: str = "") -> None:
    connection.execute(f"copy ({query}) to {literal(str(path))} (format parquet{how})")


def _told(
    publication: Publication, listing: Listing, files: list[dict[str, Any]]
) -> dict[str, Any]:
    said = ("publication", "as_of_date", "published_at", "code_version", "simulated_feeds")
    return {
        **{key: publication.manifest[key] for key in said},
        "listing": listing.model_dump(mode="json"),
        "files": files,
    }


def _manifest(pointer: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads((pointer / MANIFEST).read_text())
    except (OSError, ValueError):
        return None
    return found


def _is_there(
    pointer: Path,
    manifest: dict[str, Any] | None,
    publication: Publication,
    options: Options,
    tables: list[Table],
) -> bool:
    if manifest is None or manifest["publication"] != publication.identity:
        return False
    listing = manifest["listing"]
    if listing["with_facts"] != options.with_facts:
        return False
    if listing["tables"] != {str(t): t.rows for t in tables}:
        return False
    return all((pointer / file["path"]).exists() for file in manifest["files"])


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Be the only one that publishes into the folder."""
    with (folder / ".kehu.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Locked(
                f"{folder}: another publish is writing it; wait until it ends, then run again"
            ) from None
        yield


def _point(folder: Path, identity: str) -> None:
    temporary = folder / f".{CURRENT}.{os.getpid()}"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(Path(KEPT) / identity)
    os.replace(temporary, folder / CURRENT)
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
