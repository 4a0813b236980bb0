"""Workbooks (.xlsx, .xlsm, .xls): one sheet as record batches of text, each row with its line.

A cell becomes the text that its value has, whatever its format shows: dates and times in ISO, numbers
with the fifteen digits that a workbook keeps, without binary noise. What has more digits, such as a
card number that was typed in as a number, is written as `6.22202E+15`, as Excel does: its last digits
are gone, and no rule may take it for a code.
"""

from __future__ import annotations

import errno
import math
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from kehu.errors import FileRefused
from kehu.extract.unpack import DAMAGED_ZIP, check_size
from kehu.feeds import Contract, normalise_header

HEADER_WITHIN = 100  # rows; a report has a title, a period, a printing date above its header
ROWS = 8192  # in one record batch
_BLOCK = 4 << 20
_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_FLAGS = {True: "1", False: "0"}


@dataclass
class Header:
    """Where a sheet's header stands: its row (1-based), its texts, and the position of each."""

    sheet: str
    row: int
    texts: list[str]
    positions: list[int]


class Workbook:
    """An opened workbook. FileRefused where it is none, is damaged, or has a password."""

    def __init__(self, path: Path, name: str, gigabytes: float = math.inf) -> None:
        self._name = name
        with path.open("rb") as file:
            head = file.read(8)
            file.seek(0)
            if not head.startswith((_ZIP, _OLE)):
                raise FileRefused("unreadable", f"{name}: {_what_it_is(head)}")
            if head.startswith(_ZIP):
                lost = _lost_cells(path, name, gigabytes)
            else:
                lost = {}
                _try_elsewhere(path, name)
            with self._read():
                self._book = CalamineWorkbook.from_filelike(file)
        self._lost = lost
        self._opened: dict[
            str, CalamineSheet
        ] = {}  # the last one: to open it is to parse all of it

    @contextmanager
    def _read(self) -> Iterator[None]:
        """Any failure of the reader as a refusal."""
        try:
            yield
        except PasswordError:
            raise FileRefused(
                "unreadable", f"{self._name}: has a password; save it without one"
            ) from None
        except (CalamineError, ValueError, OverflowError, OSError) as error:
            raise self._damaged(error) from None
        except BaseException as error:
            if type(error).__name__ == "PanicException":  # of the library in Rust; no Exception
                raise self._damaged(error) from None
            raise

    def _damaged(self, error: BaseException) -> FileRefused:
        told = str(error).partition("\n")[0]
        return FileRefused(
            "unreadable", f"{self._name}: is not a whole workbook: {told}; send the file again"
        )

    def header(self, contract: Contract) -> Header:
        """Find the sheet and its header: the first row that has all required columns; where none is
        required, the row that has most.

        FileRefused where no row has, or where several visible sheets have one and the contract names
        none: the rows of the others would be lost.
        """
        required = {n for n, c in contract.columns.items() if c.required}
        found: list[Header] = []
        best: Header | None = None
        nearest: tuple[int, str] = (0, "no row has any of its columns")
        for name in self._sheets(contract):
            _, _, rows = next(self._chunks(name, HEADER_WITHIN), (1, 0, []))
            for number, cells in enumerate(rows, start=1):
                header = _as_header(name, number, cells)
                known = {contract.headers.get(normalise_header(text)) for text in header.texts}
                known -= {None}
                if required and required <= known:
                    found.append(header)
                    break
                if len(known) > nearest[0]:
                    best = header
                    missing = ", ".join(n for n in contract.columns if n in required - known)
                    nearest = (len(known), f"sheet {name!r}, line {number} lacks {missing}")
        if best is not None and not required:
            return best
        if not found:
            raise FileRefused(
                "header",
                f"{self._name}: required column(s) missing: no row among the first {HEADER_WITHIN} of "
                f"a sheet is the header; the nearest: {nearest[1]}. Add the column, or name its header "
                f"as an alias in expectations/feeds/{contract.feed}.yml",
            )
        if len(found) > 1:
            raise FileRefused(
                "sheet",
                f"{self._name}: the sheets {' and '.join(repr(f.sheet) for f in found)} all have the "
                "header; deliver each as a file of its own, or name the right one by `sheet:` in "
                f"expectations/feeds/{contract.feed}.yml",
            )
        return found[0]

    def header_at(self, sheet: str, row: int) -> Header:
        """The header that was found before, at its row (1-based)."""
        _, _, rows = next(self._chunks(sheet, row))
        return _as_header(sheet, row, rows[row - 1])

    def _sheets(self, contract: Contract) -> list[str]:
        names = self._book.sheet_names
        wanted = contract.sheet
        if wanted is None:
            return [
                sheet.name
                for sheet in self._book.sheets_metadata
                if sheet.typ == SheetTypeEnum.WorkSheet
                and sheet.visible == SheetVisibleEnum.Visible
            ]
        if isinstance(wanted, int) and 1 <= wanted <= len(names):
            return [names[wanted - 1]]
        if wanted in names:
            return [str(wanted)]
        raise FileRefused(
            "sheet",
            f"{self._name}: has no sheet {wanted!r}, which the contract names; it has "
            f"{', '.join(names)}",
        )

    def _chunks(self, sheet: str, *sizes: int) -> Iterator[tuple[int, int, list[list[Any]]]]:
        """The rows of a sheet from its first line on, so many at a time, the last size over and over.

        Yields the line of the first row, the sheet's column of the first cell, and the rows.
        """
        with self._read():
            if sheet not in self._opened:
                self._opened = {sheet: self._book.get_sheet_by_name(sheet)}
            opened = self._opened[sheet]
            rows = opened.iter_rows()
            first = (opened.start or (0, 0))[1]
        lost = self._lost.get(sheet, {})
        line = 1
        for size in chain(sizes, repeat(sizes[-1])):
            with self._read():
                chunk = list(islice(rows, size))
            if not chunk:
                return
            for number in lost.keys() & range(line, line + len(chunk)):
                for column, text in lost[number]:
                    if 0 <= column - first < len(chunk[0]):
                        chunk[number - line][column - first] = text
            yield line, first, chunk
            line += len(chunk)

    def batches(self, header: Header, flags: Sequence[bool]) -> Iterator[pa.RecordBatch]:
        """The rows below the header as text: columns c0..cn, `_line`, `_span`.

        `flags` tells which columns hold 0 or 1, where a workbook may hold TRUE and FALSE.
        """
        for line, _, chunk in islice(self._chunks(header.sheet, header.row, ROWS), 1, None):
            cells = np.empty((len(chunk), len(chunk[0])), dtype=object)
            cells[:] = chunk
            yield pa.RecordBatch.from_arrays(
                [
                    *(
                        texts(cells[:, at], is_flag)
                        for at, is_flag in zip(header.positions, flags, strict=True)
                    ),
                    pa.array(np.arange(line, line + len(chunk))),
                    pa.array(np.ones(len(chunk), dtype=np.int32)),
                ],
                schema=schema(header),
            )


def schema(header: Header) -> pa.Schema:
    fields = [pa.field(f"c{i}", pa.string()) for i in range(len(header.texts))]
    return pa.schema([*fields, pa.field("_line", pa.int64()), pa.field("_span", pa.int32())])


def _as_header(sheet: str, row: int, cells: list[Any]) -> Header:
    found = [c.strip() if isinstance(c, str) else str(texts([c])[0]) for c in cells]
    positions = [i for i, text in enumerate(found) if text]
    return Header(sheet, row, [found[i] for i in positions], positions)


def texts(cells: Iterable[Any], is_flag: bool = False) -> pa.Array:
    """The texts of a column's cells: each kind of value in one go, not each cell."""
    column = np.fromiter(cells, dtype=object)
    kinds = np.fromiter(map(type, column), dtype=object)
    for kind in set(kinds.tolist()) - {str}:
        where = kinds == kind
        values = column[where]
        if kind is bool:
            column[where] = list(map(_FLAGS.get, values)) if is_flag else _upper(values)
        elif kind in (int, float):
            column[where] = _numbers(values.astype(np.float64))
        elif kind is datetime:
            column[where] = _times(values)
        elif kind is date:
            column[where] = np.datetime_as_string(values.astype("datetime64[D]")).astype(object)
        else:
            column[where] = list(map(str, values))
    return pa.array(column, pa.string())


def _upper(values: Iterable[Any]) -> list[str]:
    return [str(value).upper() for value in values]


def _numbers(values: np.ndarray) -> np.ndarray:
    """Fifteen significant digits, in full below 1E+15."""
    found = np.char.mod("%.15g", values).astype(object)
    for at in np.flatnonzero((np.abs(values) >= 1e15) | (np.abs(values) < 1e-4)):
        text = str(found[at])
        found[at] = text.upper() if abs(values[at]) >= 1 else format(Decimal(text), "f")
    return found


def _times(values: np.ndarray) -> np.ndarray:
    """ISO, to the millisecond: a day is a binary fraction in a workbook."""
    exact = (values.astype("datetime64[us]") + np.timedelta64(500, "us")).astype("datetime64[ms]")
    has_parts = bool((exact.astype(np.int64) % 1000).any())
    written = np.datetime_as_string(exact, unit="ms" if has_parts else "s")
    return np.char.replace(written, "T", " ").astype(object)


def _what_it_is(head: bytes) -> str:
    if not head:
        return "is empty"
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return (
            "is a web page or XML under the name of a workbook, as some systems export; open it in "
            "Excel and save it as .xlsx, or have the system export .csv"
        )
    return "is no workbook; if it is delimited text, name it .csv or .txt"


_PROBE = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]),) * 2)
from python_calamine import CalamineWorkbook
with open(sys.argv[1], 'rb') as file:
    book = CalamineWorkbook.from_filelike(file)
    for sheet in book.sheets_metadata:
        if str(sheet.typ).endswith('WorkSheet'):
            book.get_sheet_by_name(sheet.name)
"""
_PROBE_BYTES, _PROBE_SECONDS = 4 << 30, 300


def _try_elsewhere(path: Path, name: str) -> None:
    """FileRefused where an .xls brings its reader down; tried in a process that may be brought down.

    The format has no checksums, and a few wrong bytes in it can send the reader in circles until the
    memory is full, which nothing in this process could catch.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _PROBE, str(path), str(_PROBE_BYTES)],
            capture_output=True, text=True, errors="replace", timeout=_PROBE_SECONDS, check=False,
            env={**os.environ, "RUST_BACKTRACE": "0"},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise FileRefused(
            "unreadable", f"{name}: can not be read within {_PROBE_SECONDS} s; send the file again"
        ) from None
    if done.returncode == 0:
        return
    lines = [line for line in done.stderr.splitlines() if line and not line.startswith("note: ")]
    told = lines[-1] if lines else f"exit {done.returncode}"
    if "PasswordError" in told:
        raise FileRefused("unreadable", f"{name}: has a password; save it without one")
    raise FileRefused("unreadable", f"{name}: is not a whole workbook: {told}; send the file again")


_MOST_CELLS = 60_000_000  # the reader holds the whole area, empty cells too: 24 bytes each
_ROW = re.compile(rb"<(?:\w+:)?row\b[^>]*?\br=[\"']([0-9]+)")
_WIDE = re.compile(rb"\br=[\"']([A-Z]{2,3})[0-9]")  # beyond the 26th column
_CELL = re.compile(rb"<(?:\w+:)?c\b([^>]*?)(?<!/)>(.*?)</(?:\w+:)?c>", re.S)
_VALUE = re.compile(rb"<(?:\w+:)?v\b[^>]*>([^<]+)</")
_FORMULA = re.compile(rb"<(?:\w+:)?f\b[^>]*?(?:/>|>([^<]*)<)")
_PLACE = re.compile(rb"\br=[\"']([A-Z]+)([0-9]+)[\"']")
_KIND = re.compile(rb"\bt=[\"'](\w+)[\"']")

Lost = dict[int, list[tuple[int, str]]]


def _lost_cells(path: Path, name: str, gigabytes: float) -> dict[str, Lost]:
    """Cells of each sheet that the reader gives as empty though they are not, by row: column, text.

    They hold an error (#N/A), or a formula that the program which wrote the file has not computed.
    Every byte of the file is read for it, and its checksums verified, which the reader may not do.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            check_size(archive, gigabytes, name)
            sheets = _parts(archive)
            found: dict[str, Lost] = {}
            for info in archive.infolist():
                with archive.open(info) as stream:
                    if info.filename in sheets:
                        found[sheets[info.filename]] = _lost_in(stream, name)
                    else:
                        while stream.read(_BLOCK):
                            pass
            return found
    except (*DAMAGED_ZIP, ElementTree.ParseError, RuntimeError, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise  # the machine's fault; a place before the file's beginning is the file's
        raise FileRefused(
            "unreadable", f"{name}: is not a whole workbook: {error}; send the file again"
        ) from None


def _parts(archive: zipfile.ZipFile) -> dict[str, str]:
    """The file of each sheet in the archive, with the sheet's name."""
    names = set(archive.namelist())
    book, links = "xl/workbook.xml", "xl/_rels/workbook.xml.rels"
    if not {book, links} <= names:
        return {}
    targets = {
        link.get("Id"): link.get("Target", "")
        for link in ElementTree.fromstring(archive.read(links))
    }
    relation = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
    found = {}
    for sheet in ElementTree.fromstring(archive.read(book)).iterfind(".//{*}sheet"):
        target = targets.get(sheet.get(relation)) or ""
        part = target[1:] if target.startswith("/") else f"xl/{target}"
        found[part] = sheet.get("name", "")
    return found


def _lost_in(stream: Any, name: str) -> Lost:
    lost: Lost = {}
    rest = b""
    rows = columns = 26
    while True:
        block = stream.read(_BLOCK)
        rest += block
        cut = rest.rfind(b"row>") + 4 if block else len(rest)
        part, rest = (rest[:cut], rest[cut:]) if cut > 3 else (b"", rest)
        rows = max(rows, max(map(int, _ROW.findall(part)), default=0))
        columns = max([columns, *(_column(wide) + 1 for wide in set(_WIDE.findall(part)))])
        if rows * columns > _MOST_CELLS:
            raise FileRefused(
                "unreadable",
                f"{name}: a sheet reaches to line {rows:,} and column {columns:,}, more cells than can "
                "be held; delete what stands far from the table",
            )
        if b't="e"' in part or b"t='e'" in part or b"<f" in part or b":f" in part:
            for attributes, inner in _CELL.findall(part):
                text = _lost_text(attributes, inner)
                place = _PLACE.search(attributes) if text else None
                if text and place is None:
                    raise ValueError(f"the place of a cell with {text!r} is not written")
                if text and place:
                    lost.setdefault(int(place[2]), []).append((_column(place[1]), text))
        if not block:
            return lost


def _lost_text(attributes: bytes, inner: bytes) -> str:
    kind = _KIND.search(attributes)
    value = _VALUE.search(inner)
    if kind and kind[1] == b"e":
        return value[1].decode("utf-8", "replace") if value else "#ERROR"
    formula = _FORMULA.search(inner)
    if formula and not value and not (kind and kind[1] == b"str") and b"<is" not in inner:
        return "=" + (formula[1] or b"").decode("utf-8", "replace")
    return ""


def _column(letters: bytes) -> int:
    """A column's letters as its number from 0: A, Z, AA are 0, 25, 26."""
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number - 1
