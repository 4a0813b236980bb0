"""Publish: a night that passed becomes what readers see, by one rename.

var/publications/<id>/{marts.duckdb,manifest.json}   the last seven; kehu.duckdb is the same file
                     {index.html,report.html,quality.html}   for people; see kehu.report
var/published -> publications/<id>                   swapped atomically, all files at once
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from kehu import __version__, lineage
from kehu.clock import now
from kehu.errors import CheckFailed, KehuError
from kehu.extract.typing import literal, quoted
from kehu.files import same_file, write_atomically
from kehu.gate.expect import CheckResult, read_suite, run_suites
from kehu.settings import Settings
from kehu.warehouse import SCHEMA_VERSION, STORAGE_VERSION, open_marts

# a second name of the same file: opened as marts.duckdb, `marts.x` is ambiguous between the catalog
# that DuckDB names after the file and the schema
ANOTHER_NAME = "kehu.duckdb"

STAMP = "%Y%m%dT%H%M%S%f"

HEADLINES = {
    "sales lines": "select count(*) from core.fct_sales_line",
    "net sales": "select sum(valid_net_amount) from core.fct_receipt",
    "receipts": "select count(*) from core.fct_receipt",
    "customers": "select count(*) from marts.mart_customer_value where as_of_date = ?",
    "active customers": "select count(*) from marts.mart_churn "
    "where as_of_date = ? and churn_status = 'ACTIVE'",
    "churned customers": "select count(*) from marts.mart_churn "
    "where as_of_date = ? and churn_status = 'CHURNED'",
    "survey answers": "select count(*) from core.fct_survey_answer",
    "complaints": "select count(*) from core.fct_complaint",
}


def audit(settings: Settings) -> list[CheckResult]:
    """Great Expectations on what would be published; CheckFailed where a critical one fails."""
    suites = _suites(settings)
    folder = settings.home / "gx"
    folder.mkdir(parents=True, exist_ok=True)
    opened_as = folder / ANOTHER_NAME
    same_file(settings.marts, opened_as)
    try:
        results = run_suites(opened_as, suites)
    finally:
        opened_as.unlink()
    failed = [r for r in results if not r.success and r.severity == "critical"]
    if failed:
        raise CheckFailed(
            "the marts fail their audit; the previous publication stays.\n"
            + "\n".join(
                f"  {r.check_id} on {r.feed}: {r.description}; found: {r.observed}. "
                f"rows: kehu failing-rows {r.check_id}"
                for r in failed
            )
        )
    return results


def _suites(settings: Settings) -> dict[str, list[dict[str, Any]]]:
    """The expectations on what would be published, by table; the other suites are of feeds."""
    return {name: read_suite(path) for name, path in settings.suite_files().items() if "." in name}


def audit_query(settings: Settings, check: str) -> str | None:
    """The query of an audit's check over a file attached as `marts`; None where no check has that id."""
    for table, expectations in _suites(settings).items():
        for expectation in expectations:
            if expectation["meta"]["id"] == check:
                query: str = expectation["kwargs"]["unexpected_rows_query"].replace(
                    "{batch}", table
                )
                return re.sub(r"\b(?<!\.)(core|marts)\.", r"marts.\1.", query)
    return None


def publish(
    settings: Settings,
    as_of: date,
    run_id: str,
    ledger: list[dict[str, Any]],
    checks: dict[str, Any],
    furnish: Callable[[Path, dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Copy the marts into a new publication and make it the current one, unless one is pinned.

    `ledger` are the batches that the build was made of. `furnish(folder, manifest)` puts beside the
    marts what people look at, before anyone sees the folder. Returns the manifest, with `is_current`
    and the headline figures of this and of the previous publication.
    """
    settings.publications.mkdir(parents=True, exist_ok=True)
    for left in settings.publications.glob(".*"):
        shutil.rmtree(left, ignore_errors=True)  # of a publication that was killed
    previous = current_manifest(settings)
    at = now(settings)
    identity = f"{as_of.isoformat()}_{_stamp(settings, at)}"
    with _made_or_removed(settings.publications / f".{identity}") as work:
        with open_marts(settings.marts, read_only=False) as connection:
            connection.execute("checkpoint kehu")
            manifest: dict[str, Any] = {
                "publication": identity,
                "as_of_date": as_of.isoformat(),
                "published_at": at.isoformat(timespec="seconds"),
                "run_id": run_id,
                "code_version": __version__,
                "schema_version": SCHEMA_VERSION,
                "storage_version": STORAGE_VERSION,
                "param_scope": settings.param_scope,
                "timezone": settings.timezone,
                "headlines": _headlines(connection, as_of),
                "row_counts": _row_counts(connection),
                "restated": _restated(settings, connection, previous),
                "checks": checks,
                "simulated_feeds": sorted({b["feed"] for b in ledger if b["is_simulated"]}),
                "batches": [
                    {
                        k: b[k]
                        for k in ("batch_id", "feed", "path", "status", "rows_in", "rows_loaded")
                    }
                    | {"loaded_at": b["loaded_at"].isoformat()}  # another one after a replay
                    for b in ledger
                ],
            }
        _copy_durably(settings.marts, work / "marts.duckdb")
        same_file(work / "marts.duckdb", work / ANOTHER_NAME)
        lineage.place(settings, work)
        write_atomically(work / "manifest.json", json.dumps(manifest, indent=1, default=str))
        if furnish is not None:
            furnish(work, manifest)
        os.replace(work, settings.publications / identity)
    pinned = pinned_publication(settings)
    if pinned is None:
        point_to(settings, identity)
    _prune(settings)
    return manifest | {
        "is_current": pinned is None,
        "pinned": pinned,
        "previous_headlines": previous["headlines"] if previous else None,
        "previous_as_of_date": previous["as_of_date"] if previous else None,
    }


@contextmanager
def _made_or_removed(folder: Path) -> Iterator[Path]:
    """A new folder, removed if the work in it fails: half a copy would keep a full disk full."""
    folder.mkdir()
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _stamp(settings: Settings, at: datetime) -> str:
    """Sorts after that of every kept publication, also where the clock has been set back."""
    newest = max((p.partition("_")[2] for p in publications(settings)), default="")
    stamp = f"{at:{STAMP}}"
    if stamp > newest:
        return stamp
    return f"{datetime.strptime(newest, STAMP) + timedelta(microseconds=1):{STAMP}}"


def _headlines(connection: duckdb.DuckDBPyConnection, as_of: date) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for name, query in HEADLINES.items():
        value = connection.execute(query, [as_of] if "?" in query else []).fetchall()[0][0]
        figures[name] = value if isinstance(value, int | None) else str(value)
    return figures


def _row_counts(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    tables = connection.execute(
        "select table_schema, table_name from information_schema.tables "
        "where table_catalog = 'kehu' and table_schema in ('core', 'marts') order by all"
    ).fetchall()
    return {
        f"{schema}.{name}": connection.execute(
            f"select count(*) from {quoted(schema)}.{quoted(name)}"
        ).fetchall()[0][0]
        for schema, name in tables
    }


def _restated(
    settings: Settings, connection: duckdb.DuckDBPyConnection, previous: dict[str, Any] | None
) -> list[str]:
    """Month-ends that were published before and now say something else, because late data arrived."""
    if previous is None:
        return []
    before = settings.publications / previous["publication"] / "marts.duckdb"
    if not before.exists():
        return []
    connection.execute(f"attach {literal(str(before))} as previous (read_only)")
    query = "select distinct as_of_date, input_digest from {}.core.fct_customer_month"
    try:
        rows = connection.execute(
            f"""select distinct n.as_of_date
            from ({query.format("kehu")}) as n
            join ({query.format("previous")}) as p using (as_of_date)
            where n.input_digest <> p.input_digest order by 1"""
        ).fetchall()
    finally:
        connection.execute("detach previous")
    return [row[0].isoformat() for row in rows]


def _copy_durably(source: Path, target: Path) -> None:
    if source.with_name(source.name + ".wal").exists():
        raise KehuError(f"{source} was not checkpointed; is another process writing it?")
    shutil.copyfile(source, target)
    descriptor = os.open(target, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    target.chmod(0o444)


def point_to(settings: Settings, identity: str) -> None:
    """Make a publication the one that readers open."""
    if not (settings.publications / identity / "manifest.json").exists():
        raise KehuError(f"there is no publication {identity!r}; `kehu status` lists them")
    temporary = settings.home / f".published.{os.getpid()}"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(Path("publications") / identity)
    os.replace(temporary, settings.published)
    folder = os.open(settings.home, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def publications(settings: Settings) -> list[str]:
    """The kept publications, oldest first."""
    found = [p.parent for p in settings.publications.glob("[!.]*/manifest.json")]
    return [p.name for p in sorted(found, key=lambda p: p.name.partition("_")[2])]


def current_manifest(settings: Settings) -> dict[str, Any] | None:
    """The manifest of what readers see now."""
    path = settings.published / "manifest.json"
    if not path.exists():
        return None
    try:
        manifest: dict[str, Any] = json.loads(path.read_text())
    except ValueError:
        return None  # spoilt; the next night publishes a whole one
    return manifest


def _pin(settings: Settings) -> Path:
    return settings.publications / "pinned"


def pinned_publication(settings: Settings) -> str | None:
    """The publication that `kehu rollback` pinned, if any."""
    path = _pin(settings)
    return path.read_text().strip() if path.exists() else None


def rollback(settings: Settings, identity: str | None) -> str:
    """Pin an earlier publication (the one before the current, if none is named)."""
    kept = publications(settings)
    current = current_manifest(settings)
    if identity is None:
        shown = current["publication"] if current else ""
        earlier = kept[: kept.index(shown)] if shown in kept else []
        if not earlier:
            raise KehuError("there is no earlier publication to go back to")
        identity = earlier[-1]
    point_to(settings, identity)
    write_atomically(_pin(settings), identity + "\n")
    return identity


def lift(settings: Settings) -> str:
    """Take the pin away and show the newest publication."""
    kept = publications(settings)
    if not kept:
        raise KehuError("nothing is published yet; `kehu night --as-of DATE` publishes")
    _pin(settings).unlink(missing_ok=True)
    point_to(settings, kept[-1])
    return kept[-1]


def _prune(settings: Settings) -> None:
    current = current_manifest(settings)
    keep = set(publications(settings)[-settings.keep_publications :])
    keep |= {pinned_publication(settings) or "", current["publication"] if current else ""}
    for identity in publications(settings):
        if identity not in keep:
            shutil.rmtree(settings.publications / identity, ignore_errors=True)
