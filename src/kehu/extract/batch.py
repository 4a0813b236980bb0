"""A batch: one delivered file as typed Parquet, each row with its line.

    var/batches/<feed>/<batch_id>/
        meta.json        what arrived and how it was read
        rows.parquet     every record, typed, with `_line`, `_span`, `_bad`, `_repairs`
        skipped.parquet  total lines and repeated headers, where there are any
        broken.parquet   records that are not records (wrong number of fields, not JSON)
        accepted.parquet, quarantine.parquet, gate.json   written by the gate

The folder appears by one rename, so a half-made batch is never seen.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
import time
from collections.abc import Container, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
from pydantic import BaseModel

from kehu.errors import FileRefused, MachineFault
from kehu.extract import correct
from kehu.extract import delivery as deliveries
from kehu.extract.delivery import Archived, Correction, Delivery
from kehu.extract.reader import DAMAGED, DelimitedFile, detect_encoding, lines
from kehu.extract.repair import count_rows, keep_broken, write_rows
from kehu.extract.typing import literal, quoted
from kehu.extract.unpack import unpacked
from kehu.extract.workbook import Workbook
from kehu.extract.workbook import schema as sheet_schema
from kehu.feeds import Contract, normalise_header
from kehu.files import is_whole_parquet, write_atomically
from kehu.machine import is_of_the_disk
from kehu.settings import Settings

DELIMITERS = {"csv": ",", "tsv": "\t", "txt": "\t"}  # Excel's "Unicode text" is divided by tabs
_DELIMITER_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}


class BatchMeta(BaseModel):
    """What is known of a batch before it is judged."""

    batch_id: str
    feed: str
    path: str
    archived: Path
    sha256: str
    bytes: int
    stamp: str
    arrived_at: datetime
    generated_at: datetime | None = None
    batch_no: int | None = None
    has_manifest: bool = False
    manifest_rows: int | None = None
    manifest_control_sum: Decimal | None = None
    store_days: list[tuple[str, date]] = []
    is_simulated: bool = False
    format: str = ""
    compression: str | None = None
    encoding: str = ""
    sheet: str | None = None
    header_line: int = 1
    flags: list[int] = []  # columns of a workbook that hold TRUE and FALSE for 1 and 0
    header: list[str] = []
    unknown_columns: list[str] = []
    absent_columns: list[str] = []
    rows_in: int = 0
    rows_broken: int = 0
    rows_skipped: int = 0  # total lines and repeated headers: no records
    corrections: list[Correction] = []
    control_shift: Decimal = Decimal(0)  # delivered amounts less those that corrections put there
    contract_digest: str = ""
    seconds: float = 0.0
    refused_rule: str | None = None
    refused_message: str | None = None


def folder_of(settings: Settings, feed: str, batch_id: str) -> Path:
    """Where a batch lies."""
    return settings.batches / feed / batch_id


def read_meta(folder: Path) -> BatchMeta:
    """The description of an extracted batch; MachineFault where it is not whole."""
    path = folder / "meta.json"
    try:
        return BatchMeta.model_validate_json(path.read_text(encoding="utf-8"))
    except ValueError:
        raise MachineFault(f"{path}: is damaged; run again, it is made anew") from None


_databases: dict[tuple[int, str, str, int], duckdb.DuckDBPyConnection] = {}
_making = threading.Lock()


@contextmanager
def scratch(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection of its own to this process's in-memory DuckDB, with the installation's limits.

    Temporary tables and registered names end with it. The database behind it is kept: making one
    costs more than reading a small file. It spills beside the warehouse.
    """
    spill = settings.home / "tmp"
    key = (os.getpid(), str(spill), settings.memory_limit, settings.threads)
    with _making:
        if key not in _databases:  # by process: a connection does not survive a fork
            spill.mkdir(parents=True, exist_ok=True)
            _databases.clear()
            _databases[key] = duckdb.connect(
                config={
                    "memory_limit": settings.memory_limit,
                    "threads": settings.threads,
                    "temp_directory": str(spill),
                    "autoinstall_known_extensions": False,
                }
            )
        connection = _databases[key].cursor()
    try:
        yield connection
    finally:
        connection.close()


def extract_all(
    settings: Settings, contract: Contract, delivery: Delivery, settled: Container[str] = ()
) -> list[tuple[Delivery, BatchMeta]]:
    """Make the batch of one landed file, or one of each file in it where it is a ZIP archive."""
    with unpacked(settings, contract, delivery) as parts:
        return [
            (part, extract(settings, contract, part, settled, refusal)) for part, refusal in parts
        ]


def extract(
    settings: Settings,
    contract: Contract,
    delivery: Delivery,
    settled: Container[str] = (),
    refusal: FileRefused | None = None,
) -> BatchMeta:
    """Archive one delivery and make its batch; a file that can not be read becomes a refused batch.

    `settled` are the batches that the warehouse holds: a copy of one changes nothing of it. Nothing
    is raised for bad data: the refusal stands in the meta, for the gate and the ledger. `refusal` is
    given where the file was refused already.
    """
    started = time.perf_counter()
    manifest = None
    given = refusal
    store_days: list[tuple[str, date]] = []
    try:
        manifest = deliveries.read_manifest(delivery, contract, settings.timezone)
        store_days = manifest.store_days if manifest else []
        store_days = store_days or deliveries.store_days_from_name(contract, delivery.path)
    except FileRefused as error:
        refusal = given or error
    sha256, archived = deliveries.archive(settings, delivery)
    identity = deliveries.batch_id(contract.feed, sha256, store_days)
    with alone(settings, identity):
        card = deliveries.settle_card(
            identity, sha256, archived, delivery, is_settled=identity in settled
        )
        if card.delivery.manifest_text != delivery.manifest_text:
            try:
                refusal = given
                manifest = deliveries.read_manifest(card.delivery, contract, settings.timezone)
            except FileRefused as error:
                refusal = error
        meta = described(card, contract)
        meta.store_days = store_days
        if manifest is not None:
            meta.has_manifest = True
            meta.generated_at = manifest.generated_at
            meta.batch_no = manifest.batch_no
            meta.manifest_rows = manifest.rows
            meta.manifest_control_sum = manifest.control_sum
            meta.is_simulated = manifest.simulated
            try:
                deliveries.check_sha256(manifest, sha256, card.delivery.path)
            except FileRefused as error:
                refusal = error
        return _made(settings, contract, meta, refusal, started)


def _made(
    settings: Settings,
    contract: Contract,
    meta: BatchMeta,
    refusal: FileRefused | None,
    started: float,
) -> BatchMeta:
    """The batch's folder, made anew unless it stands already."""
    final = folder_of(settings, contract.feed, meta.batch_id)
    if refusal is None and _is_current(final, meta):
        kept = read_meta(final)
        for name in ("gate.json", "accepted.parquet", "quarantine.parquet"):
            (final / name).unlink(missing_ok=True)
        return kept
    work = final.with_name(f".{final.name}")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    if refusal is None:
        try:
            with scratch(settings) as connection:
                _make_rows(connection, settings, contract, meta, work)
        except FileRefused as error:
            refusal = error
        except DAMAGED as error:
            refusal = FileRefused(
                "unreadable",
                f"{meta.path}: can not be read to its end: {error}; send the file again",
            )
    if refusal is not None:
        meta.refused_rule, meta.refused_message = refusal.rule, str(refusal)
    meta.seconds = round(time.perf_counter() - started, 3)
    write_atomically(work / "meta.json", meta.model_dump_json(indent=1))
    shutil.rmtree(final, ignore_errors=True)
    os.replace(work, final)
    return meta


@contextmanager
def alone(settings: Settings, batch_id: str) -> Iterator[None]:
    """One maker of a batch, and one writer of its card, at a time.

    The same bytes may lie in the landing folder twice, and two operators may decide at once.
    """
    folder = settings.home / "tmp" / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / batch_id).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def described(card: Archived, contract: Contract) -> BatchMeta:
    """What the card knows of a batch, before its file is read."""
    return BatchMeta(
        batch_id=card.batch_id,
        feed=contract.feed,
        path=card.delivery.path,
        archived=card.delivery.source,
        sha256=card.sha256,
        bytes=card.delivery.size,
        stamp=card.delivery.stamp,
        arrived_at=card.delivery.arrived_at,
        corrections=card.corrections,
        contract_digest=contract.digest,
    )


def _is_current(folder: Path, meta: BatchMeta) -> bool:
    """Whether the batch was made already from the same bytes, manifest and contract."""
    whole = all(is_whole_parquet(folder / f"{name}.parquet") for name in ("rows", "broken"))
    if not whole or not (folder / "meta.json").exists():
        return False
    try:
        kept = read_meta(folder)
    except MachineFault:
        return False
    same = (
        "contract_digest",
        "store_days",
        "generated_at",
        "batch_no",
        "has_manifest",
        "manifest_rows",
        "manifest_control_sum",
        "is_simulated",
        "corrections",
    )
    return (
        kept.refused_rule is None
        and Path(kept.path).suffixes[-2:] == Path(meta.path).suffixes[-2:]
        and all(getattr(kept, field) == getattr(meta, field) for field in same)
    )


def _make_rows(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    contract: Contract,
    meta: BatchMeta,
    work: Path,
) -> None:
    meta.format, meta.compression = deliveries.file_format(meta.path)
    if meta.format in DELIMITERS:
        broken = _delimited(connection, settings, contract, meta, work)
    elif meta.format == "jsonl":
        broken = _json_lines(connection, settings, contract, meta, work)
    elif meta.format == "workbook":
        broken = _workbook(connection, settings, contract, meta, work)
    elif meta.format == "zip":
        raise FileRefused("format", f"{meta.path}: an archive is not a table; see the files in it")
    else:
        broken = _parquet(connection, settings, contract, meta, work)
    if any(correction.cells for correction in meta.corrections):
        broken = _corrected(settings, contract, meta, work, broken)
    meta.rows_broken = keep_broken(connection, broken, work)
    meta.rows_skipped = count_rows(connection, work / "skipped.parquet")
    meta.rows_in = (
        count_rows(connection, work / "rows.parquet") + meta.rows_broken + meta.rows_skipped
    )


def _typed(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    contract: Contract,
    meta: BatchMeta,
    columns: dict[str, str],
    present: dict[str, int],
    work: Path,
) -> None:
    """`src` as typed rows; the header is told again, to know it where it is repeated."""
    write_rows(
        connection,
        contract,
        columns,
        [meta.header[position] for position in present.values()],
        meta.batch_id,
        settings.timezone,
        (meta.generated_at or meta.arrived_at).date(),
        work,
    )


def _corrected(
    settings: Settings, contract: Contract, meta: BatchMeta, work: Path, broken: pa.Table
) -> pa.Table:
    """Bring in what an operator released; returns the records that are still broken."""
    texts = work / "texts"
    write_texts(settings, contract, meta, texts)
    with scratch(settings) as connection:
        broken, meta.control_shift = correct.apply(
            connection,
            contract,
            meta.batch_id,
            meta.corrections,
            work,
            broken,
            settings.timezone,
            (meta.generated_at or meta.arrived_at).date(),
        )
    shutil.rmtree(texts)
    return broken


def write_texts(settings: Settings, contract: Contract, meta: BatchMeta, folder: Path) -> BatchMeta:
    """Read the archived file once more, into `folder/rows.parquet`: each cell as the source wrote it.

    Returns what is known of the file; FileRefused where it can not be read.
    """
    folder.mkdir()
    again = meta.model_copy(update={"corrections": []}, deep=True)
    with scratch(settings) as connection:
        _make_rows(connection, settings, correct.as_text(contract), again, folder)
    return again


def _delimited(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    contract: Contract,
    meta: BatchMeta,
    work: Path,
) -> pa.Table:
    encoding = detect_encoding(meta.archived, meta.compression, contract.encoding)
    meta.encoding = str(encoding)
    delimiter = contract.delimiter or DELIMITERS[meta.format]
    file = DelimitedFile(meta.archived, meta.compression, encoding, delimiter, meta.path)
    _check_delimiter(contract, meta, file.header, delimiter)
    present = _match_header(contract, meta, file.header)
    columns = {name: f"c{i}" for name, i in present.items()}
    reader = pa.RecordBatchReader.from_batches(file.schema, file.batches())
    connection.register("src", reader)
    try:
        _typed(connection, settings, contract, meta, columns, present, work)
    except (duckdb.InvalidInputException, pa.ArrowInvalid) as error:
        # what the reader raises comes back through DuckDB as its own error
        raise FileRefused(*_refusal_within(meta.path, str(error))) from None
    file.check_quotes()
    return file.broken_table()


def _check_delimiter(
    contract: Contract, meta: BatchMeta, header: list[str], delimiter: str
) -> None:
    """FileRefused where the header is one text that another delimiter would divide."""
    if len(header) > 1:
        return

    def known(other: str) -> int:
        return sum(normalise_header(h) in contract.headers for h in header[0].split(other))

    other = max(_DELIMITER_NAMES, key=known)
    if other == delimiter or known(other) < 2:
        return
    raise FileRefused(
        "delimiter",
        f"{meta.path}: line {meta.header_line}: is divided by {_DELIMITER_NAMES[other]}, not by "
        f"{_DELIMITER_NAMES[delimiter]}; if all files of the feed are, write "
        f'delimiter: "{other.replace(chr(9), chr(92) + "t")}" into '
        f"expectations/feeds/{contract.feed}.yml, then: kehu replay {meta.batch_id}",
    )


def _workbook(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    contract: Contract,
    meta: BatchMeta,
    work: Path,
) -> pa.Table:
    if meta.compression:
        raise FileRefused(
            "format", f"{meta.path}: a workbook is compressed inside; deliver it plain"
        )
    book = Workbook(meta.archived, meta.path, settings.unpacked_gigabytes)
    known = meta.sheet is not None  # read before: a second reading must find the same
    header = book.header_at(meta.sheet, meta.header_line) if meta.sheet else book.header(contract)
    meta.sheet, meta.header_line = header.sheet, header.row
    present = _match_header(contract, meta, header.texts)
    if not known:
        flags = {i for name, i in present.items() if contract.columns[name].base == "flag"}
        meta.flags = sorted(flags)
    rows = book.batches(header, [i in meta.flags for i in range(len(header.texts))])
    connection.register("src", pa.RecordBatchReader.from_batches(sheet_schema(header), rows))
    columns = {name: f"c{i}" for name, i in present.items()}
    try:
        _typed(connection, settings, contract, meta, columns, present, work)
    except duckdb.InvalidInputException as error:
        raise FileRefused(*_refusal_within(meta.path, str(error))) from None
    return _none_broken()


def _none_broken() -> pa.Table:
    return pa.schema(
        [("_line", pa.int64()), ("raw_text", pa.string()), ("detail", pa.string())]
    ).empty_table()


def _refusal_within(path: str, text: str) -> tuple[str, str]:
    """Rule and message of a refusal that DuckDB has wrapped in its own words."""
    told = text[max(text.find(f"{path}: "), 0) :].partition(" Detail: Python exception")[0]
    return "unreadable", told if told.startswith(path) else f"{path}: can not be read: {told}"


def _json_lines(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    contract: Contract,
    meta: BatchMeta,
    work: Path,
) -> pa.Table:
    encoding = detect_encoding(meta.archived, meta.compression, contract.encoding)
    meta.encoding = str(encoding)
    connection.register("text_lines", lines(meta.archived, meta.compression, encoding))
    # a number is kept as it is written: DuckDB would read 1e5, 1.10 and 999999999999999.99 as doubles
    numbers = r"""("(?:[^"\\]|\\.)*"\s*:?\s*)(-?[0-9][0-9.eE+\-]*)?"""
    connection.execute(
        f"""create temp table lines as
        select _line, raw, is_object, case when is_object then
            replace(replace(replace(
                regexp_replace(raw, {literal(numbers)}, '\\1\x01\\2\x02', 'g'),
            '\x01\x02', ''), '\x01', '"'), '\x02', '"') end as quoted_raw
        from (
            select *, case when json_valid(raw) then json_type(raw) = 'OBJECT' else false end
                and not contains(raw, '\x01') and not contains(raw, '\x02') as is_object
            from (select _line, trim(raw, ' ' || chr(9) || chr(13) || chr(65279)) as raw from text_lines)
            where raw <> ''
        )"""
    )
    keys = connection.execute(
        "select distinct unnest(case when is_object then json_keys(raw) end) from lines order by 1"
    ).fetchall()
    header = [str(key[0]) for key in keys]
    present = _match_header(contract, meta, header) if header else {}
    pointers = ["/" + header[i].replace("~", "~0").replace("/", "~1") for i in present.values()]
    values = "".join(f", v[{i + 1}] as c{i}" for i in range(len(pointers)))
    listed = ", ".join(map(literal, pointers)) or "''"
    connection.execute(
        f"""create temp view src as select _line, 1::integer as _span{values}
        from (select _line, json_extract_string(quoted_raw, [{listed}]) as v
              from lines where is_object)"""
    )
    columns = {name: f"c{i}" for i, name in enumerate(present)}
    _typed(connection, settings, contract, meta, columns, present, work)
    return connection.execute(
        "select _line, raw as raw_text, 'not a JSON object' as detail from lines where not is_object"
    ).to_arrow_table()


def _parquet(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    contract: Contract,
    meta: BatchMeta,
    work: Path,
) -> pa.Table:
    path = meta.archived
    if meta.compression:
        raise FileRefused("format", f"{meta.path}: Parquet is compressed inside; deliver it plain")
    source = f"read_parquet({literal(str(path))}, file_row_number = true)"
    try:
        described = connection.execute(f"describe select * from {source}").fetchall()
        header = [str(row[0]) for row in described if row[0] != "file_row_number"]
        present = _match_header(contract, meta, header)
        columns = {name: f"c{i}" for name, i in present.items()}
        casts = ", ".join(f"{quoted(h)}::varchar as c{i}" for i, h in enumerate(header))
        connection.execute(
            f"create temp view src as select file_row_number + 1 as _line, 1::integer as _span, "
            f"{casts} from {source}"
        )
        _typed(connection, settings, contract, meta, columns, present, work)
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:  # damage surfaces as any of DuckDB's errors
        if is_of_the_disk(error):  # of the batch that is written, not of the file that is read
            raise
        told = str(error).splitlines()[0]
        raise FileRefused(
            "unreadable", f"{meta.path}: is not a whole Parquet file: {told}"
        ) from None
    return _none_broken()


def _match_header(contract: Contract, meta: BatchMeta, header: list[str]) -> dict[str, int]:
    """Column name → position in the file; FileRefused where the header breaks the contract."""
    meta.header = header
    present: dict[str, int] = {}
    for position, name in enumerate(header):
        column = contract.headers.get(normalise_header(name))
        if column is None:
            if contract.drift != "discard_column":  # which says that nobody wants to hear of them
                meta.unknown_columns.append(name)
        elif column in present:
            raise FileRefused(
                "header",
                f"{meta.path}: line {meta.header_line}: the columns {header[present[column]]!r} and "
                f"{name!r} both mean {column}; deliver one of them",
            )
        else:
            present[column] = position
    missing = [n for n, c in contract.columns.items() if c.required and n not in present]
    if missing:
        raise FileRefused(
            "header",
            f"{meta.path}: line {meta.header_line}: required column(s) missing: "
            f"{', '.join(missing)}; the file has {_listed(header)}. Add the column, or name its "
            f"header as an alias in expectations/feeds/{contract.feed}.yml, then: "
            f"kehu replay {meta.batch_id}",
        )
    if meta.unknown_columns and contract.drift == "freeze":
        raise FileRefused(
            "header",
            f"{meta.path}: line {meta.header_line}: column(s) that the contract does not know: "
            f"{_listed(meta.unknown_columns)} (drift: freeze). Add them to "
            f"expectations/feeds/{contract.feed}.yml, then: kehu replay {meta.batch_id}",
        )
    meta.absent_columns = [n for n in contract.columns if n not in present]
    return present


def _listed(names: list[str], most: int = 50) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def raw_texts(
    connection: duckdb.DuckDBPyConnection, meta: BatchMeta, wanted: str, encoding_fixed: str | None
) -> str:
    """Make a table `raw_texts(_line, raw_text)` for the records in the table `wanted(_line, _span)`.

    Only called where records are rejected: it reads the archived file a second time. Returns the
    table's name.
    """
    if meta.format == "parquet":
        source = f"read_parquet({literal(str(meta.archived))}, file_row_number = true)"
        connection.execute(
            f"""create or replace temp table raw_texts as
            select w._line, to_json(s)::varchar as raw_text
            from {wanted} as w join {source} as s on s.file_row_number + 1 = w._line"""
        )
        return "raw_texts"
    if meta.format == "workbook":
        _cells_as_json(connection, meta, wanted)
        return "raw_texts"
    encoding = detect_encoding(meta.archived, meta.compression, encoding_fixed)
    connection.register("text_lines", lines(meta.archived, meta.compression, encoding))
    connection.execute(
        f"""create or replace temp table raw_texts as
        with wanted_lines as (
            select _line, unnest(range(_line, _line + _span)) as at from {wanted}
        )
        select w._line, string_agg(l.raw, chr(10) order by l._line) as raw_text
        from text_lines as l join wanted_lines as w on l._line = w.at
        group by w._line"""
    )
    connection.unregister("text_lines")
    return "raw_texts"


def _cells_as_json(connection: duckdb.DuckDBPyConnection, meta: BatchMeta, wanted: str) -> None:
    book = Workbook(meta.archived, meta.path)
    header = book.header_at(meta.sheet or "", meta.header_line)
    rows = book.batches(header, [False] * len(header.texts))
    connection.register("sheet", pa.RecordBatchReader.from_batches(sheet_schema(header), rows))
    cells = ", ".join(f"{literal(text)}, s.c{i}" for i, text in enumerate(header.texts))
    connection.execute(
        f"""create or replace temp table raw_texts as
        select w._line, json_object({cells})::varchar as raw_text
        from {wanted} as w join sheet as s on s._line = w._line"""
    )
    connection.unregister("sheet")
