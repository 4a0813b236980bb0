"""Collect: what source databases hold of new rows becomes a delivery like any file.

    var/collected/<feed>/<feed>_<since>_<now>.parquet    the rows, all as text
    ... .parquet.manifest.json                           rows, sha256, watermark

The file appears by one rename after its last row, so a broken connection leaves nothing that a
night would read. How far a feed has been collected stands nowhere of its own: it is the highest
`watermark` in the manifests of the batches that the ledger calls settled, which the archive keeps.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from kehu.clock import now
from kehu.database import find_database, run_query
from kehu.errors import SourceFailed
from kehu.extract.delivery import COLLECTED, MANIFEST_SUFFIX, read_card
from kehu.extract.typing import literal, quoted, text_of, typed
from kehu.feeds import SINCE, Contract, Source, normalise_header
from kehu.files import replace_durably, write_atomically
from kehu.settings import Settings

SETTLED = ("LOADED", "UNVERIFIED", "SUPERSEDED")
ROW_GROUP = 20_000  # rows held at once when writing


class Collected(BaseModel):
    """What one feed's query gave; `path` is None where there was no row."""

    feed: str
    path: str | None = None
    rows: int = 0
    since: str | None = None
    watermark: str | None = None
    seconds: float = 0.0


class _Settled(BaseModel):
    """How far a feed has been collected and loaded."""

    watermark: str | None = None
    generated_at: datetime | None = None


def collect_feed(settings: Settings, contract: Contract, since: date | None = None) -> Collected:
    """Run the query of a feed's source and lay its rows where `scan` finds them.

    `since` asks again for what was loaded already. Raises SourceFailed; then nothing is left.
    """
    source = contract.source
    assert source is not None
    started = time.perf_counter()
    with _alone(settings, contract.feed) as folder:
        settled = _settled(settings, contract)
        _clear(settings, contract.feed, folder)
        begun = now(settings)
        if settled.generated_at is not None:
            # even if the clock was set back: a later answer is the newer one
            begun = max(begun, settled.generated_at + timedelta(microseconds=1))
        bound = since_of(contract, settled.watermark, since)
        result = Collected(feed=contract.feed, since=None if bound is None else str(bound))
        stamp = "all" if bound is None else f"{bound:%Y%m%dT%H%M%S}"
        final = folder / f"{contract.feed}_{stamp}_{begun:%Y%m%dT%H%M%S%f}.parquet"
        temporary = folder / f".{final.name}.tmp"
        try:
            result.rows = _stream(settings, contract, source, bound, temporary)
            if result.rows:
                manifest = _manifest(settings, contract, temporary, result.rows, begun)
                result.watermark = manifest.get("watermark")
                beside = final.with_name(final.name + MANIFEST_SUFFIX)
                write_atomically(beside, json.dumps(manifest, ensure_ascii=False, indent=1))
                replace_durably(temporary, final)
                result.path = f"{COLLECTED}{contract.feed}/{final.name}"
                _clear_refused(settings, contract.feed, folder, final)
        except SourceFailed as error:
            raise SourceFailed(
                f"{contract.feed}: {error}. Nothing of it is kept; the next run collects again from "
                f"{'the beginning' if bound is None else bound}. To look: kehu source check "
                f"{contract.feed}"
            ) from None
        except OSError as error:
            raise SourceFailed(
                f"{contract.feed}: {final} can not be written: {error.strerror or error}; make room "
                "or mend the rights, then run the night again"
            ) from None
        finally:
            temporary.unlink(missing_ok=True)
    result.seconds = round(time.perf_counter() - started, 2)
    return result


def since_of(
    contract: Contract, watermark: str | None, asked: date | None = None
) -> date | datetime | None:
    """What `:since` stands for: a date or a local time as the source keeps it; None without one."""
    source = contract.source
    if source is None or source.watermark is None:
        return None
    is_date = contract.columns[source.watermark].base == "date"
    if asked is not None or watermark is None:
        first = asked or source.start
        return first if is_date else datetime(first.year, first.month, first.day)
    back = timedelta(days=source.look_back_days)
    return (
        date.fromisoformat(watermark) - back
        if is_date
        else (datetime.fromisoformat(watermark) - back)
    )


def bound_query(source: Source, since: date | datetime | None) -> str:
    """The query with `:since` as a literal, so that the server plans with its value."""
    if since is None:
        return source.query
    kind = "timestamp" if isinstance(since, datetime) else "date"
    return SINCE.sub(f"{kind} '{since}'", source.query)


def column_of(contract: Contract, names: list[str], column: str) -> str | None:
    """Which column of a query is the contract's `column`."""
    return next((n for n in names if contract.headers.get(normalise_header(n)) == column), None)


def is_utc(contract: Contract, name: str) -> bool:
    """Whether the contract takes the query's column `name` for a time in UTC."""
    column = contract.headers.get(normalise_header(name))
    return column is not None and contract.columns[column].utc


def _stream(
    settings: Settings,
    contract: Contract,
    source: Source,
    since: date | datetime | None,
    path: Path,
) -> int:
    """Write the rows of the query to a Parquet file; return how many there are."""
    database = find_database(source.connection)
    query = bound_query(source, since)
    with run_query(
        settings, database, query, source.batch_rows, lambda name: is_utc(contract, name)
    ) as rows:
        if source.watermark and column_of(contract, rows.names, source.watermark) is None:
            raise SourceFailed(
                f"{database}: the query does not give the watermark {source.watermark}; it gives "
                f"{', '.join(rows.names)}"
            )
        with pq.ParquetWriter(path, rows.schema, compression="zstd") as writer:
            for table in _even(iter(rows), ROW_GROUP):
                writer.write_table(table, row_group_size=ROW_GROUP)
    return rows.count


def _even(batches: Iterator[pa.RecordBatch], size: int) -> Iterator[pa.Table]:
    """The rows in tables of `size`, so that equal rows make equal bytes however they came."""
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        held.append(batch)
        count += batch.num_rows
        if count >= size:
            table = pa.Table.from_batches(held)
            while count >= size:
                yield table.slice(0, size).combine_chunks()
                table = table.slice(size)
                count -= size
            held = table.to_batches()
    if count:
        yield pa.Table.from_batches(held).combine_chunks()


def _manifest(
    settings: Settings, contract: Contract, path: Path, rows: int, begun: datetime
) -> dict[str, Any]:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    manifest: dict[str, Any] = {
        "feed": contract.feed,
        "rows": rows,
        "sha256": sha256,
        "generated_at": begun.isoformat(),
    }
    watermark, control_sum = _measured(settings, contract, path, begun)
    if control_sum is not None:
        manifest["control_sum"] = str(control_sum)
    if contract.source is not None and contract.source.watermark is not None:
        manifest["watermark_column"] = contract.source.watermark
        manifest["watermark"] = watermark
    return manifest


def _measured(
    settings: Settings, contract: Contract, path: Path, begun: datetime
) -> tuple[str | None, Decimal | None]:
    """The highest watermark that is not in the future, and the control sum where all of it parses.

    A row from a till that lives in 2099 must not end collecting for good: what lies in the future is
    asked for again each night until its time has come.
    """
    names = pq.read_schema(path).names
    source = contract.source
    watermark = highest = total = "null"
    if source is not None and source.watermark is not None:
        column = contract.columns[source.watermark].model_copy(update={"utc": False})
        name = column_of(contract, names, source.watermark)
        assert name is not None
        utc = begun.replace(tzinfo=ZoneInfo(settings.timezone)).astimezone(UTC)
        until = min(begun, utc.replace(tzinfo=None)) if is_utc(contract, name) else begun
        watermark = typed(text_of(quoted(name), column), column, settings.timezone)
        bound = f"timestamp {literal(str(until))}"
        highest = f"max(watermark) filter (where watermark <= {bound})::varchar"
    summed = contract.control_sum and column_of(contract, names, contract.control_sum)
    amount = given = "null::decimal(18, 2)"
    if contract.control_sum and summed:
        column = contract.columns[contract.control_sum]
        given = text_of(quoted(summed), column)
        amount = typed(given, column, settings.timezone)
        total = "case when bool_and(given is null or amount is not null) then sum(amount) end"
    with duckdb.connect(config={"memory_limit": settings.memory_limit, "threads": 1}) as connection:
        found = connection.execute(
            f"""select {highest}, {total} from (
                select {watermark} as watermark, {given} as given, {amount} as amount
                from read_parquet({literal(str(path))})
            )"""
        ).fetchall()
    return found[0]


def _settled(settings: Settings, contract: Contract) -> _Settled:
    """What the ledger and the archive's cards say of the feed's collected batches."""
    ledger = settings.reference / "ledger.parquet"
    result = _Settled()
    if not ledger.exists():
        return result
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"select batch_id from read_parquet({literal(str(ledger))}) where feed = ? "
            f"and path like ? and status in {SETTLED}",
            [contract.feed, f"{COLLECTED}%"],
        ).fetchall()
    batches = {str(row[0]) for row in rows}
    for card in (settings.archive / contract.feed).glob("??/*.json") if batches else ():
        if card.stem not in batches:
            continue
        manifest = json.loads(read_card(card).delivery.manifest_text or "{}")
        generated = datetime.fromisoformat(manifest["generated_at"])
        result.generated_at = max(result.generated_at or generated, generated)
        source = contract.source
        same = source is not None and manifest.get("watermark_column") == source.watermark
        if same and manifest.get("watermark"):
            result.watermark = max(result.watermark or "", manifest["watermark"])
    return result


def _dealt_with(settings: Settings) -> dict[str, str]:
    """Status of each collected file that the ledger knows, by path."""
    known = settings.reference / "delivery.parquet"
    if not known.exists():
        return {}
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"select path, status from read_parquet({literal(str(known))}) where path like ? "
            "order by seen_at",
            [f"{COLLECTED}%"],
        ).fetchall()
    return {str(path): str(status) for path, status in rows}


def _clear(settings: Settings, feed: str, folder: Path) -> None:
    """Take away what the archive holds and the ledger has settled, and what a crash left behind."""
    status = _dealt_with(settings)
    for path in list(folder.iterdir()):
        if path.suffix == ".parquet":
            if status.get(f"{COLLECTED}{feed}/{path.name}", "REFUSED") != "REFUSED":
                _remove(path)
        elif path.name.endswith(".tmp") or (
            path.name.endswith(MANIFEST_SUFFIX)
            and not path.with_name(path.name.removesuffix(MANIFEST_SUFFIX)).exists()
        ):
            path.unlink(missing_ok=True)  # it may just have gone with its file


def _clear_refused(settings: Settings, feed: str, folder: Path, newer: Path) -> None:
    """A refused file is in the archive, and what it held was asked for again with the newer one."""
    status = _dealt_with(settings)
    for path in folder.glob("*.parquet"):
        was_asked_again = _since_in(path, feed) >= _since_in(newer, feed)
        refused = status.get(f"{COLLECTED}{feed}/{path.name}") == "REFUSED"
        if path != newer and refused and was_asked_again:
            _remove(path)


def _since_in(path: Path, feed: str) -> str:
    return path.name.removeprefix(f"{feed}_").partition("_")[0]


def _remove(path: Path) -> None:
    path.unlink()  # first: a manifest without its file is read by nobody
    path.with_name(path.name + MANIFEST_SUFFIX).unlink(missing_ok=True)


@contextmanager
def _alone(settings: Settings, feed: str) -> Iterator[Path]:
    """The feed's folder, for one collector at a time."""
    folder = settings.collected / feed
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield folder
