"""Readers on files whose bytes were damaged: refused, quarantined, or read as the bytes say.

Each damaged file is read twice. With a manifest that states the sha256 it must be refused. Without
one no exception may come out, and every value that is not rejected must be the one that an independent
reader finds at that line: Python's csv, json and zipfile, openpyxl, pyarrow. No record that they find
may be missing.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import re
import warnings
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlwt
from houses import CONTRACTS, House, Row, as_csv, make_house, valid
from hypothesis import given, settings
from hypothesis import strategies as st

from kehu.clock import now
from kehu.extract import batch as batches
from kehu.extract.batch import BatchMeta, folder_of, scratch
from kehu.extract.delivery import Delivery
from kehu.feeds import normalise_header
from kehu.gate.rules import split

# what repairs do to a value is not the reader's; they have tests of their own
CONTRACT = CONTRACTS["store"].model_copy(
    update={
        "repairs": [],
        "reject_limit": 1.0,
        "columns": {
            name: column.model_copy(update={"normalise": [], "values": {}})
            for name, column in CONTRACTS["store"].columns.items()
        },
    }
)
ROWS: list[Row] = [
    valid("store", store_code="S1"),
    valid("store", store_code="S2", name='引号"和,逗号', city="两\n行"),
    valid("store", store_code="S3", name="天天 䶮店", area_m2="0.05", closed_on=""),
    valid("store", store_code="0004", district="", updated_at="2017/3/1 8:05"),
    valid("store", store_code="S5", name="Ü" * 40, opened_on="20100101"),
    valid("store", store_code="S6", city="a\tb", competitors_3km="", area_m2="99999999.99"),
]
CELLS = dict[str, str | None]
Records = tuple[dict[int, CELLS], set[int]]  # line → texts of columns; lines that are no records


# ---- files, and independent readers of them; a reader raises where a file can not be read


def typed_cells() -> list[list[Any]]:
    """The rows as a person would have typed them into a workbook."""

    def cell(name: str, text: str) -> Any:
        match CONTRACT.columns[name].base:
            case "decimal" | "int" | "flag":
                return float(text) if text else None
            case "date":
                return date.fromisoformat(text) if text else None
            case "timestamp":
                return datetime(2017, 3, 1, 8, 5)
            case _:
                return text

    return [list(ROWS[0]), *([cell(n, t) for n, t in row.items()] for row in ROWS)]


def csv_utf8() -> bytes:
    return as_csv(ROWS).encode()


def csv_gb18030() -> bytes:
    return as_csv(ROWS).replace("\n", "\r\n").encode("gb18030")


def csv_utf16() -> bytes:
    return as_csv(ROWS).encode("utf-16")


def csv_gz() -> bytes:
    return gzip.compress(csv_utf8(), mtime=0)


def jsonl() -> bytes:
    numbers = {"competitors_3km": 2, "area_m2": 12.5, "is_test": 0}
    rows: list[dict[str, Any]] = [dict(row) for row in ROWS]
    rows[0] |= numbers
    rows[4] |= {"city": None, "extra": {"a": [1, 2]}}
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def xlsx() -> bytes:
    book = openpyxl.Workbook()
    for row in [["门店档案"], *typed_cells()]:
        book.active.append(row)
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def xlsx_stored() -> bytes:
    """Not compressed, so that damage is seen by nothing but the checksums."""
    data = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(xlsx())) as source, zipfile.ZipFile(data, "w") as target:
        for info in source.infolist():
            target.writestr(info.filename, source.read(info))
    return data.getvalue()


def xls() -> bytes:
    book = xlwt.Workbook()
    sheet = book.add_sheet("S")
    for y, row in enumerate(typed_cells()):
        for x, cell in enumerate(row):
            if cell is not None:
                shape = {date: "YYYY-MM-DD", datetime: "YYYY-MM-DD hh:mm"}.get(
                    type(cell), "General"
                )
                sheet.write(y, x, cell, xlwt.easyxf(num_format_str=shape))
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def parquet(**options: Any) -> bytes:
    columns = {name: [row[name] or None for row in ROWS] for name in ROWS[0]}
    table = pa.table(columns | {"competitors_3km": pa.array([2, 2, 2, 2, 2, None], pa.int32())})
    data = io.BytesIO()
    pq.write_table(table, data, **options)
    return data.getvalue()


def parquet_plain() -> bytes:
    return parquet(compression="none", use_dictionary=False)


def zipped() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("a.csv"), csv_utf8(), zipfile.ZIP_DEFLATED)
    return data.getvalue()


def decoded(data: bytes, meta: BatchMeta) -> str:
    name, _, lossy = meta.encoding.partition(" ")
    text = data.decode(name, "replace" if lossy else "strict")
    return text.removeprefix("\ufeff")


def records_of_csv(data: bytes, meta: BatchMeta) -> Records:
    reader = csv.reader(io.StringIO(decoded(data, meta), newline=""))
    good: dict[int, CELLS] = {}
    broken: set[int] = set()
    names: list[str | None] | None = None
    ended = 0
    for row in reader:
        line, ended = ended + 1, reader.line_num
        if names is None:
            if any(cell.strip() for cell in row):
                names = [CONTRACT.headers.get(normalise_header(cell)) for cell in row]
        elif row and len(row) != len(names):
            broken.add(line)
        elif row:
            good[line] = {name: cell for name, cell in zip(names, row, strict=True) if name}
    return good, broken


def records_of_jsonl(data: bytes, meta: BatchMeta) -> Records:
    good: dict[int, CELLS] = {}
    broken: set[int] = set()

    def text(value: Any) -> str | None:
        if isinstance(value, bool):
            return "true" if value else "false"
        return value if value is None or isinstance(value, str) else "(nested)"

    for line, raw in enumerate(re.split("\r\n|\n|\r", decoded(data, meta)), start=1):
        if not raw.strip(" \t\r\ufeff"):
            continue
        try:
            record = json.loads(raw.strip(" \t\r\ufeff"), parse_int=str, parse_float=str)
        except (ValueError, RecursionError):
            broken.add(line)
            continue
        if isinstance(record, dict):
            named = [(CONTRACT.headers.get(normalise_header(k)), v) for k, v in record.items()]
            good[line] = {name: text(value) for name, value in named if name}
        else:
            broken.add(line)
    return good, broken


def records_of_workbook(data: bytes, meta: BatchMeta) -> Records:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        book = openpyxl.load_workbook(io.BytesIO(data), data_only=True)
    rows = [list(row) for row in book[meta.sheet or ""].iter_rows(values_only=True)]
    names = [CONTRACT.headers.get(normalise_header(str(c))) for c in rows[meta.header_line - 1]]

    def text(cell: Any) -> str | None:
        if isinstance(cell, float | int):
            return f"{cell:.15g}"
        return None if cell is None else str(cell)

    return {
        line: {name: text(cell) for name, cell in zip(names, row, strict=True) if name}
        for line, row in enumerate(rows, start=1)
        if line > meta.header_line
    }, set()


def records_of_parquet(data: bytes, meta: BatchMeta) -> Records:
    rows = pq.ParquetFile(io.BytesIO(data), page_checksum_verification=False).read().to_pylist()
    return {
        line: {
            name: None if row[given] is None else str(row[given])
            for given in row
            if (name := CONTRACT.headers.get(normalise_header(given)))
        }
        for line, row in enumerate(rows, start=1)
    }, set()


# ---- damage


@st.composite
def damage(draw: st.DrawFn, data: bytes) -> bytes:
    """One to three blows: bits turned, bytes set, cut out, doubled, put in, or the end cut off."""
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        size = draw(st.sampled_from([1, 1, 2, 5, 40, 400]))
        match draw(st.sampled_from(["flip", "flip", "set", "cut", "double", "put", "end", "swap"])):
            case "flip":
                turned = bytes([data[at] ^ (1 << draw(st.integers(0, 7)))]) if data else b""
                data = data[:at] + turned + data[at + 1 :]
            case "set":
                data = (
                    data[:at]
                    + bytes([draw(st.sampled_from(b'\0\xff",\n\r\t;\\{}'))]) * size
                    + (data[at + size :])
                )
            case "cut":
                data = data[:at] + data[at + size :]
            case "double":
                data = data[: at + size] + data[at:]
            case "put":
                data = data[:at] + draw(st.binary(min_size=1, max_size=8)) + data[at:]
            case "end":
                data = data[:at]
            case "swap":
                data = (
                    data[:at]
                    + data[at + size : at + 2 * size]
                    + data[at : at + size]
                    + (data[at + 2 * size :])
                )
    return data


# ---- what must hold


def is_value_of(value: Any, text: str | None) -> bool:
    """Whether a typed value is what a text says."""
    text = (text or "").strip(" \t\r\u3000")
    if value is None:
        return text == ""
    try:
        match value:
            case str():
                return text == value
            case int():
                return int(text) == value
            case Decimal():
                return Decimal(text) == value
            case datetime():
                return moment(text) == value
            case date():
                return moment(text) == datetime(value.year, value.month, value.day)
    except (ValueError, InvalidOperation):
        return False
    raise AssertionError(f"a value of another kind: {value!r}")


def moment(text: str) -> datetime:
    if re.fullmatch(r"\d{8}", text):
        return datetime.strptime(text, "%Y%m%d")
    zone = re.search(r" ?(Z|[+-]\d\d:?(\d\d)?)$", text) if len(text) > 12 else None
    if zone:
        told = text[: zone.start()] + {"Z": "+0000"}.get(zone[1], zone[1].replace(":", ""))
        told += "00" if len(zone[1]) == 3 else ""
        for form in ("%Y-%m-%d %H:%M:%S%z", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d %H:%M%z"):
            try:
                from zoneinfo import ZoneInfo

                local = datetime.strptime(told, form).astimezone(ZoneInfo("Asia/Shanghai"))
                return local.replace(tzinfo=None)
            except ValueError:
                continue
        raise ValueError(text)
    whole, _, part = text.partition(".") if ":" in text else (text, "", "")
    numbers = [int(n) for n in re.findall(r"\d+", whole)]
    return (
        datetime(*numbers, microsecond=int(part.ljust(6, "0") or 0)) if part else datetime(*numbers)
    )  # type: ignore[arg-type,misc]


def check(
    house: House,
    name: str,
    data: bytes,
    whole: bytes,
    records: Callable[[bytes, BatchMeta], Records] | None,
) -> str:
    """Read a damaged file; returns what became of it."""
    elsewhere = make_house(house.settings.home.parent / "proven")  # a copy would lend its manifest
    proven = dropped(elsewhere, name, data, {"sha256": hashlib.sha256(b"whole").hexdigest()})
    assert extracted(elsewhere, proven).refused_rule is not None
    delivery = dropped(house, name, data, None)
    meta = extracted(house, delivery)
    folder = folder_of(house.settings, meta.feed, meta.batch_id)
    if meta.refused_rule is not None:
        assert str(meta.refused_message).startswith(delivery.path)
        return meta.refused_rule
    with scratch(house.settings) as connection:
        split(connection, CONTRACT, meta, folder)
    compare(house, folder, meta, data, whole, records)
    return "read"


def compare(
    house: House,
    folder: Path,
    meta: BatchMeta,
    data: bytes,
    whole: bytes,
    records: Callable[[bytes, BatchMeta], Records] | None,
) -> None:
    rows = table(folder / "rows.parquet")
    broken = {row["_line"] for row in table(folder / "broken.parquet")}
    skipped = (
        {row["_line"] for row in table(folder / "skipped.parquet")}
        if (folder / "skipped.parquet").exists()
        else set()
    )
    rejected = {line for line, _, _ in house.quarantined(folder)}
    assert broken <= rejected
    assert meta.rows_in == len(rows) + len(broken) + len(skipped)
    if records is None:
        return
    try:
        good, no_records = records(data, meta)
    except Exception:  # a stricter reader: then nothing but what it was before may have been read
        good, no_records = records(whole, meta)
    for row in rows:
        cells = good.get(row["_line"])
        assert cells is not None or row["_line"] in rejected, f"line {row['_line']} is no record"
        for column, text in (cells or {}).items():
            if column not in (row["_bad"] or []):
                assert is_value_of(row[column], text), (
                    f"{row['_line']}: {row[column]!r} of {text!r}"
                )
    found = {row["_line"] for row in rows} | skipped | broken
    given = {
        line
        for line, cells in good.items()
        if any((c or "").strip(" \t\r\u3000") for c in cells.values())
    }
    assert given | no_records <= found


def table(path: Path) -> list[dict[str, Any]]:
    return duckdb.execute(f"select * from '{path}'").to_arrow_table().to_pylist()


def dropped(house: House, name: str, data: bytes, manifest: dict[str, Any] | None) -> Delivery:
    path = house.settings.landing / "store" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return Delivery(
        feed="store", path=f"store/{name}", source=path, size=len(data), mtime_ns=1,
        arrived_at=now(house.settings), manifest_text=manifest and json.dumps(manifest),
    )  # fmt: skip


def extracted(house: House, delivery: Delivery) -> BatchMeta:
    [(_, meta)] = batches.extract_all(house.settings, CONTRACT, delivery)
    return meta


KINDS: dict[str, tuple[Callable[[], bytes], str, Callable[[bytes, BatchMeta], Records] | None]] = {
    "csv": (csv_utf8, "a.csv", records_of_csv),
    "csv in gb18030": (csv_gb18030, "a.csv", records_of_csv),
    "csv in utf-16": (csv_utf16, "a.csv", records_of_csv),
    "csv.gz": (csv_gz, "a.csv.gz", lambda d, m: records_of_csv(gzip.decompress(d), m)),
    "jsonl": (jsonl, "a.jsonl", records_of_jsonl),
    "xlsx": (xlsx, "a.xlsx", records_of_workbook),
    "xlsx, not compressed": (xlsx_stored, "a.xlsx", records_of_workbook),
    "xls": (xls, "a.xls", None),  # there is no second reader
    "parquet": (parquet, "a.parquet", records_of_parquet),
    "parquet, plain": (parquet_plain, "a.parquet", records_of_parquet),
    "zip": (
        zipped, "a.zip",
        lambda d, m: records_of_csv(zipfile.ZipFile(io.BytesIO(d)).read("a.csv"), m),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> House:
    return make_house(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_whole_is_read_to_its_last_cell(kind: str, fuzzed: House) -> None:
    make, name, records = KINDS[kind]
    assert check(fuzzed, name, make(), make(), records) == "read"
    [(_, meta)] = batches.extract_all(
        fuzzed.settings, CONTRACT, dropped(fuzzed, name, make(), None)
    )
    assert meta.rows_in == len(ROWS)


def fuzz(house: House, kind: str, examples: int) -> dict[str, int]:
    """Read so many damaged files of a kind; returns how many of them ended in which way."""
    make, name, records = KINDS[kind]
    whole = make()
    ends: dict[str, int] = {}

    @settings(max_examples=examples)
    @given(damage(whole))
    def each(data: bytes) -> None:
        end = check(house, name, data, whole, records)
        ends[end] = ends.get(end, 0) + 1

    each()
    return ends


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_refused_or_read_as_their_bytes_say(kind: str, fuzzed: House) -> None:
    assert sum(fuzz(fuzzed, kind, 20).values()) >= 20


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_many_damaged_files_are_refused_or_read_as_their_bytes_say(
    kind: str, fuzzed: House, record_property: Callable[[str, object], None]
) -> None:
    ends = fuzz(fuzzed, kind, 400)
    record_property("ends", ends)
    print(kind, ends)
    assert len(ends) >= 2
