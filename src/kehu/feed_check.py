"""Whether a file fits its contract, told in seconds and without touching the warehouse.

The file goes the way of every delivery, reader, row rules and suites, in a home of its own that is
thrown away.
"""

from __future__ import annotations

import difflib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
from pydantic import BaseModel

from kehu.clock import now
from kehu.errors import FileRefused, KehuError
from kehu.extract import batch as batches
from kehu.extract.batch import BatchMeta
from kehu.extract.delivery import MANIFEST_SUFFIX, Delivery, file_format
from kehu.extract.reader import DAMAGED
from kehu.extract.repair import write_rows
from kehu.extract.typing import literal, quoted
from kehu.feeds import NORMALISE, Column, Contract, normalise_header
from kehu.gate.judge import judge
from kehu.settings import Settings

# what a file is that is no table, by its first bytes
_MAGIC = {
    b"\x89PNG": "a picture (PNG)",
    b"\xff\xd8\xff": "a picture (JPEG)",
    b"GIF8": "a picture (GIF)",
    b"%PDF": "a PDF document",
    b"{\\rtf": "a text document (RTF)",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a RAR archive",
}
_NEAR = 0.6


class Header(BaseModel):
    """How the columns of a file are understood."""

    known: dict[str, str] = {}  # header → column
    unknown: dict[str, str | None] = {}  # header → the column that it may mean
    missing: list[str] = []  # required columns that the file lacks
    absent: list[str] = []  # optional ones


class Difference(BaseModel):
    """One kind of difference between a file and its contract, with an example."""

    rule: str
    column: str
    count: int
    line: int | None = None
    value: str | None = None
    expected: str
    advice: str


class Checked(BaseModel):
    """All that is told of one file."""

    path: str
    feed: str
    why: str
    what: str  # format, encoding, compression
    rows_in: int
    rows_accepted: int
    header: Header
    refused: str | None = None
    differences: list[Difference] = []
    repairs: dict[str, int] = {}
    skipped: dict[str, int] = {}
    warnings: list[str] = []

    @property
    def fits(self) -> bool:
        """Whether every row of it would be taken in."""
        return self.refused is None and not self.differences


def check(
    settings: Settings, contracts: dict[str, Contract], file: Path, feed: str | None = None
) -> list[Checked]:
    """Hold a file against its contract; several results for a ZIP archive of several files.

    KehuError where it is no file, or of no feed that can be told.
    """
    _require_table(file)
    if feed is not None and feed not in contracts:
        raise KehuError(f"no feed {feed!r}; there are {', '.join(contracts)}")
    with _temporary(settings) as home:
        chosen, why = (feed, "as you said") if feed else _feed_of(home, contracts, file)
        contract = contracts[chosen]
        delivery = _delivery(home, contract.feed, file)
        parts = batches.extract_all(home, contract, delivery)
        return [_checked(home, contracts, contract, meta, why) for _, meta in parts]


@contextmanager
def _temporary(settings: Settings) -> Iterator[Settings]:
    """A home that is thrown away; it knows what the real one knows of cards, products and stores."""
    with tempfile.TemporaryDirectory(prefix="kehu-check-") as folder:
        home = settings.model_copy(update={"home": Path(folder) / "var"})
        home.home.mkdir()
        if settings.reference.exists():
            home.reference.symlink_to(settings.reference)
        yield home


def _require_table(file: Path) -> None:
    """KehuError for what can not be a table: says what it is instead."""
    if file.is_dir():
        raise KehuError(f"{file}: is a folder; name one file in it")
    if file.exists() and not file.is_file():  # to open a pipe is to wait for its other end
        raise KehuError(f"{file}: is no ordinary file")
    try:
        with file.open("rb") as stream:
            head = stream.read(4096)
    except FileNotFoundError:
        raise KehuError(f"{file}: there is no such file") from None
    except OSError as error:
        raise KehuError(f"{file}: can not be read: {error.strerror}") from None
    if not head:
        raise KehuError(f"{file}: is empty; a day without data is a file with only its header")
    told = next((what for magic, what in _MAGIC.items() if head.startswith(magic)), None)
    if told:
        raise KehuError(f"{file}: is {told}, not a table; deliver .csv, .xlsx, .jsonl or .parquet")
    try:
        kind, compression = file_format(file.name)
    except FileRefused as error:
        raise KehuError(str(error)) from None
    is_utf16 = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    if kind in ("csv", "tsv", "jsonl") and compression is None and b"\0" in head and not is_utf16:
        raise KehuError(
            f"{file}: is no text, although its name ends in {file.suffix}; export it again as text"
        )


def _delivery(settings: Settings, feed: str, file: Path) -> Delivery:
    stat = file.stat()
    beside = file.with_name(file.name + MANIFEST_SUFFIX)
    return Delivery(
        feed=feed,
        path=f"{feed}/{file.name}",
        source=file.resolve(),
        size=stat.st_size,
        mtime_ns=stat.st_mtime_ns,
        arrived_at=now(settings),
        manifest_text=beside.read_text(encoding="utf-8-sig") if beside.exists() else None,
    )


def _feed_of(settings: Settings, contracts: dict[str, Contract], file: Path) -> tuple[str, str]:
    """The feed of a file and how it was told: by its folder, its name, or its header."""
    for folder in file.resolve().parents:
        if folder.name in contracts:
            return folder.name, f"it lies in a folder {folder.name}"
    named = [
        c.feed
        for c in contracts.values()
        if any(Path(file.name.casefold()).match(pattern.casefold()) for pattern in c.files)
    ]
    if len(named) == 1:
        return named[0], "the contract's `files` match its name"
    best: tuple[float, int, str] = (0.0, 0, "")
    refused: list[str] = []
    for contract in [contracts[name] for name in named] or list(contracts.values()):
        try:
            header = _header_of(settings, contract, file)
        except FileRefused as error:
            refused.append(_without_commands(str(error)))
            continue
        found = {contract.headers.get(normalise_header(h)) for h in header} - {None}
        required = {n for n, c in contract.columns.items() if c.required}
        best = max(best, (len(found & required) / len(required), len(found), contract.feed))
    if not best[1]:
        told = f"{file}: no contract knows any of its columns" if not refused else refused[0]
        raise KehuError(f"{told}; say which feed it is: --feed NAME ({', '.join(contracts)})")
    return best[2], f"its header fits best ({best[1]} columns known)"


def _header_of(settings: Settings, contract: Contract, file: Path) -> list[str]:
    """The header as this contract's reader sees it; FileRefused where it can not be read."""
    folder = settings.home / "header"
    shutil.rmtree(folder, ignore_errors=True)
    meta = BatchMeta(
        batch_id="header",
        feed=contract.feed,
        path=file.name,
        archived=file.resolve(),
        sha256="",
        bytes=0,
        stamp="",
        arrived_at=now(settings),
    )
    try:
        return batches.write_texts(settings, contract, meta, folder).header
    except DAMAGED as error:
        raise FileRefused("unreadable", f"{file.name}: can not be read: {error}") from None


def _checked(
    settings: Settings,
    contracts: dict[str, Contract],
    contract: Contract,
    meta: BatchMeta,
    why: str,
) -> Checked:
    folder = batches.folder_of(settings, contract.feed, meta.batch_id)
    day = now(settings).date()
    [verdict], _ = judge(settings, contracts, [contract.feed], [folder], day, "check", {})
    details = [meta.format or "?", meta.encoding, meta.compression or ""]
    checked = Checked(
        path=meta.path.partition("/")[2],
        feed=contract.feed,
        why=why,
        what=", ".join(filter(None, details)),
        rows_in=meta.rows_in,
        rows_accepted=verdict.split.accepted if verdict.split else 0,
        header=_understood(contract, meta.header),
        warnings=[
            f"{r.description}; found: {r.observed}"
            for r in verdict.results
            if not r.success and r.severity == "warning"
        ],
    )
    if not verdict.passed:
        checked.refused = _without_commands(verdict.message)
    if verdict.split is not None:
        with batches.scratch(settings) as connection:
            checked.differences = _differences(connection, settings, contract, meta, folder)
            checked.repairs = _repairs(connection, folder)
            checked.skipped = _counts(
                connection, folder / "skipped.parquet", "kind, count(*)", "kind"
            )
    return checked


def _without_commands(text: str) -> str:
    """A refusal without what to do about a batch: there is none of this file."""
    for told in (". See the rows: kehu", ", then: kehu replay"):
        text = text.partition(told)[0]
    return text


def _understood(contract: Contract, header: list[str]) -> Header:
    known: dict[str, str] = {}
    unknown: list[str] = []
    for name in header:
        column = contract.headers.get(normalise_header(name))
        if column is None:
            unknown.append(name)
        else:
            known[name] = column
    rest = [n for n in contract.columns if n not in known.values()]
    spellings = {normalise_header(h): n for n in rest for h in [n, contract.columns[n].zh] if h} | {
        h: n for h, n in contract.headers.items() if n in rest
    }
    guesses: dict[str, str | None] = {}
    for name in unknown:
        near = difflib.get_close_matches(normalise_header(name), spellings, 1, _NEAR)
        guesses[name] = spellings[near[0]] if near else None
    return Header(
        known=known,
        unknown=guesses,
        missing=[n for n in rest if contract.columns[n].required],
        absent=[n for n in rest if not contract.columns[n].required],
    )


def _counts(
    connection: duckdb.DuckDBPyConnection, path: Path, what: str, by: str
) -> dict[str, int]:
    if not path.exists():
        return {}
    rows = connection.execute(
        f"select {what} from read_parquet({literal(str(path))}) group by {by} order by {by}"
    ).fetchall()
    return {str(name): int(count) for name, count in rows}


def _repairs(connection: duckdb.DuckDBPyConnection, folder: Path) -> dict[str, int]:
    path = literal(str(folder / "accepted.parquet"))
    rows = connection.execute(
        f"""select repair, count(*) from (select unnest(_repairs) as repair from read_parquet({path}))
        group by 1 order by 1"""
    ).fetchall()
    return {str(name): int(count) for name, count in rows}


# --- differences ------------------------------------------------------------------------------


def _differences(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    contract: Contract,
    meta: BatchMeta,
    folder: Path,
) -> list[Difference]:
    """Each rule that rows break: how many, and of the first one its line, value, and what to do."""
    quarantine = folder / "quarantine.parquet"
    if not quarantine.exists():
        return []
    kinds = connection.execute(
        f"""select rule_id, any_value(column_name), any_value(promise), count(*), min(line_no),
            arg_min(raw_text, line_no)
        from read_parquet({literal(str(quarantine))}) group by 1 order by 5, 1"""
    ).fetchall()
    lines = sorted({int(kind[4]) for kind in kinds})
    texts = folder / "texts"
    batches.write_texts(settings, contract, meta, texts)
    names = ", ".join(quoted(n) for n in contract.columns)
    rows = connection.execute(
        f"select _line, {names} from read_parquet({literal(str(texts / 'rows.parquet'))}) "
        f"where _line in ({', '.join(map(str, lines))})"
    ).to_arrow_table()
    examples = {row["_line"]: row for row in rows.to_pylist()}
    found = []
    for rule, column, promise, count, line, raw in kinds:
        row = examples.get(line, {})
        kind = str(rule).partition(":")[0]
        found.append(
            Difference(
                rule=rule,
                column=column,
                count=count,
                line=line,
                value=row.get(column) if column in contract.columns else raw,
                expected=promise,
                advice=_advice(connection, settings, contract, meta, kind, column, row),
            )
        )
    return found


def _advice(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    contract: Contract,
    meta: BatchMeta,
    kind: str,
    column: str,
    row: dict[str, str | None],
) -> str:
    """What to do about one kind of difference, at the source or in the contract."""
    where = f"expectations/feeds/{contract.feed}.yml"
    value = row.get(column)
    declared = contract.columns.get(column)
    match kind:
        case "type" if declared is not None and value is not None:
            more = [
                name
                for name, kinds in NORMALISE.items()
                if declared.base in kinds and name not in declared.normalise
                if name != "pad" or declared.length  # which must know how long
            ]
            for repairs in [more, *([name] for name in more)] if more else []:
                helps = _would_repair(connection, settings, contract, meta, column, row, repairs)
                if helps and len(repairs) == 1:
                    return (
                        f"write {repairs[0]} into normalise of {column} in {where}, "
                        "or mend the export"
                    )
                if not helps and repairs == more:
                    break
            if declared.base == "varchar":
                if value is not None and "\ufffd" in value:
                    return "it holds bytes that are no text in this encoding; mend it in the source"
                return f"it has {len(value)} characters: lengthen {declared.type} in {where}"
            return (
                f"mend the export; if the text means 'no value', add it to null_values in {where}"
            )
        case "required":
            return f"fill the cell in the source; if it may be empty, required: false in {where}"
        case "allowed" if declared is not None and value is not None:
            near = difflib.get_close_matches(value, declared.allowed, 1, _NEAR)
            meant = near[0] if near else "ONE_OF_THEM"
            return (
                f"values: {{{value}: {meant}}} in {where} says what it means; or add it to allowed"
            )
        case "range" | "pattern":
            return f"mend the source, or widen the {kind} of {column} in {where}"
        case "record" if meta.format == "jsonl":
            return "write one JSON object in each line, such as " + '{"column": "value"}'
        case "record":
            return "double the quotes inside values, and quote values that hold the delimiter"
        case "duplicate":
            return "deliver each row once; the copies are left out"
        case "key_conflict":
            return f"{', '.join(contract.key)} must tell rows apart; deliver one of the versions"
        case _:
            return f"mend the source; the rule stands under checks in {where}"


def _would_repair(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    contract: Contract,
    meta: BatchMeta,
    column: str,
    row: dict[str, str | None],
    repairs: list[str],
) -> bool:
    """Whether some more declared repairs make a value of the text; found by doing it."""
    declared = contract.columns[column]
    order = sorted(
        [*declared.normalise, *repairs], key=lambda name: name != "nfkc"
    )  # it comes first
    mended = Column.model_validate(declared.model_dump() | {"normalise": order})
    again = contract.model_copy(update={"columns": contract.columns | {column: mended}})
    cells = {n: pa.array([row.get(n)], pa.string()) for n in contract.columns}
    table = pa.table(
        cells | {"_line": pa.array([1], pa.int64()), "_span": pa.array([1], pa.int32())}
    )
    connection.register("src", table)
    with tempfile.TemporaryDirectory(dir=settings.home) as name:
        folder = Path(name)
        present = {n: n for n in contract.columns}
        day = meta.arrived_at.date()
        header = list(contract.columns)
        write_rows(connection, again, present, header, "try", settings.timezone, day, folder)
        typed = connection.execute(
            f"select {quoted(column)} is not null from "
            f"read_parquet({literal(str(folder / 'rows.parquet'))})"
        ).fetchall()
    connection.unregister("src")
    return typed == [(True,)]
