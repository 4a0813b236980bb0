"""A publication copied into a folder of Parquet, for tools that read files.

    FOLDER/.kehu.lock                                    says that the folder is ours
    FOLDER/current -> publications/<id>.<copy>           swapped in one step
    FOLDER/publications/<id>.<copy>/manifest.json        what was written, with rows and bytes
                                    core/<table>.parquet
                                    marts/<table>/as_of_date=2017-12-31/data_0.parquet
                                    marts/<table>.parquet    where a mart has no as_of_date

The copy that was shown before stays until the next one, for readers that are still in it.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

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
CURRENT, KEPT, MANIFEST, LOCK = "current", "publications", "manifest.json", ".kehu.lock"
OURS = re.compile(r"\.?\d{4}-\d\d-\d\d_")  # how each copy is named, with a dot while it is made


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
    _require_ours(settings, folder)
    (folder / KEPT).mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        before = _shown(folder)
        _clear(folder, before)
        manifest = _manifest(folder / CURRENT)
        if not options.force and _is_there(
            folder / CURRENT, manifest, publication, options, tables
        ):
            assert manifest is not None
            return Listing.model_validate(manifest["listing"] | {"was_there": True})
        # a name that no copy had before: whoever reads an earlier copy of it goes on reading
        final = folder / KEPT / f"{publication.identity}.{uuid4().hex[:8]}"
        work = final.with_name(f".{final.name}")
        try:
            work.mkdir()
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
            os.replace(work, final)
            _sync(folder / KEPT)
            _point(folder, final.name)
        except BaseException:
            with suppress(OSError):  # half a copy would keep a full disk full
                _clear(folder, before, _shown(folder))
            raise
        _clear(folder, before, final)
    return listing


def _require_ours(settings: Settings, folder: Path) -> None:
    """KehuError where Kehu would write among its own publications, or among what others made."""
    for place in (folder, (folder / KEPT).resolve()):
        if _lies_in(place, settings.home):
            raise KehuError(
                f"{folder}: {settings.home} is Kehu's own folder, and a copy for other tools has no "
                "place in it; name a folder of its own, such as ./export"
            )
    current, kept = folder / CURRENT, folder / KEPT
    if (folder / LOCK).exists():
        strange = [current] if current.exists() and not current.is_symlink() else []
    else:  # nothing of ours was ever here
        strange = [p for p in (current, folder / settings.warehouse.name) if _is_taken(p)]
        if _is_taken(kept) and not (kept.is_dir() and not any(kept.iterdir())):
            strange.append(kept)
    if strange:
        raise KehuError(
            f"{strange[0]} is there and was not made by Kehu's copying; name another folder"
        )


def _lies_in(path: Path, home: Path) -> bool:
    """Whether it is the home or below it, by whatever name it is reached."""
    return home.exists() and any(
        each.exists() and each.samefile(home) for each in (path, *path.parents)
    )


def _is_taken(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _shown(folder: Path) -> Path | None:
    """The copy that `current` points to."""
    pointer = folder / CURRENT
    return folder / KEPT / Path(os.readlink(pointer)).name if pointer.is_symlink() else None


def _clear(folder: Path, *keep: Path | None) -> None:
    """Take away earlier copies but these, and what killed ones left; nothing that others put there."""
    for path in (folder / KEPT).iterdir():
        if path in keep or path.is_symlink() or not path.is_dir():
            continue
        if OURS.match(path.name) and (path.name.startswith(".") or _manifest(path) is not None):
            shutil.rmtree(path, ignore_errors=True)
    for path in folder.glob(f".{CURRENT}.*"):
        if path.is_symlink():
            path.unlink(missing_ok=True)


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


def _manifest(folder: Path) -> dict[str, Any] | None:
    """What a copy says of itself; None where it is none of ours."""
    try:
        found = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "listing" in found else None


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
    with (folder / LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Locked(
                f"{folder}: another publish is writing it; wait until it ends, then run again"
            ) from None
        yield


def _point(folder: Path, name: str) -> None:
    temporary = folder / f".{CURRENT}.{os.getpid()}"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(Path(KEPT) / name)
    os.replace(temporary, folder / CURRENT)
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
