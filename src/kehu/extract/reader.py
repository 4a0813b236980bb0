"""Readers: the bytes of a delivered file as record batches of text, each row with its line.

Nothing is sniffed: the ending names the format, a byte-order mark or a strict decode names the
encoding, the contract names the columns. Memory is bounded by a few blocks of the file.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from kehu.errors import FileRefused

BLOCK = 4 << 20
csv.field_size_limit(1 << 30)  # a long remark is not an error
MOST_BROKEN_LINES = 100_000
_LINE_BREAK = r"\r\n|\n|\r"  # what CSV readers take for the end of a line


@dataclass
class Encoding:
    """How a text file is decoded. `lossy` where no encoding fits all of its bytes."""

    name: str
    lossy: bool = False
    has_quotes: bool = True

    def __str__(self) -> str:
        return f"{self.name} (with undecodable bytes)" if self.lossy else self.name


# what the bytes of a delivered file can do to their reader; not what the machine can do
DAMAGED = (UnicodeError, EOFError, zlib.error, gzip.BadGzipFile, csv.Error)


def open_bytes(path: Path, compression: str | None) -> BinaryIO:
    """The file's bytes, decompressed."""
    if compression == "gzip":
        return cast(BinaryIO, gzip.open(path, "rb"))
    return path.open("rb")


def detect_encoding(path: Path, compression: str | None, fixed: str | None = None) -> Encoding:
    """BOM, else what the contract fixes, else strict UTF-8, else strict GB18030, else whichever of the
    two fails less often.

    GB18030 and not GBK: names with 䶮 or 㛃 fail in GBK. UTF-8 first: its bytes may succeed as
    GB18030, as mojibake.
    """
    with open_bytes(path, compression) as file:
        head = file.read(4)
    if head.startswith(codecs.BOM_UTF8):
        name, candidates = "utf-8-sig", ["utf-8-sig"]
    elif head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        name, candidates = "utf-16", ["utf-16"]
    elif fixed:
        # Python's utf-16 wants the mark that is not there; without one it is what Windows writes
        name = {"utf-16": "utf-16-le", "utf-32": "utf-32-le"}.get(codecs.lookup(fixed).name, fixed)
        candidates = [name]
    else:
        name, candidates = "", ["utf-8", "gb18030"]
    quotes = False
    for candidate in candidates:
        decoder = codecs.getincrementaldecoder(candidate)("strict")
        try:
            with open_bytes(path, compression) as file:
                while chunk := file.read(BLOCK):
                    quotes = quotes or b'"' in chunk
                    decoder.decode(chunk)
                decoder.decode(b"", final=True)
            return Encoding(candidate, has_quotes=quotes)
        except UnicodeDecodeError:
            continue
    if not name:
        losses = {c: _undecodable(path, compression, c) for c in candidates}
        name = min(candidates, key=lambda c: losses[c])
    return Encoding(name, lossy=True)


def _undecodable(path: Path, compression: str | None, encoding: str) -> int:
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    count = 0
    with open_bytes(path, compression) as file:
        while chunk := file.read(BLOCK):
            count += decoder.decode(chunk).count("\ufffd")
    return count


class _Readable(io.RawIOBase):
    """A stream that gives up to `size` bytes at a time; buffers read it through `readinto`."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        chunk = self.read(len(buffer)) or b""
        buffer[: len(chunk)] = chunk
        return len(chunk)


class Utf8Stream(_Readable):
    """A byte stream in any encoding, read as UTF-8 bytes."""

    def __init__(self, source: BinaryIO, encoding: Encoding) -> None:
        self._source = source
        errors = "replace" if encoding.lossy else "strict"
        self._decoder = codecs.getincrementaldecoder(encoding.name)(errors)
        self._rest = b""
        self._ended = False

    def read(self, size: int = -1, /) -> bytes:
        while not self._ended and (size < 0 or len(self._rest) < size):
            chunk = self._source.read(BLOCK)
            self._ended = not chunk
            self._rest += self._decoder.decode(chunk, final=self._ended).encode("utf-8")
        if size < 0:
            size = len(self._rest)
        result, self._rest = self._rest[:size], self._rest[size:]
        return result

    def close(self) -> None:
        self._source.close()
        super().close()


def _utf8(path: Path, compression: str | None, encoding: Encoding) -> BinaryIO:
    source = open_bytes(path, compression)
    if encoding.name == "utf-8" and not encoding.lossy:
        return source
    return cast(BinaryIO, Utf8Stream(source, encoding))


@dataclass
class Broken:
    """Records that are not records: the wrong number of fields."""

    numbers: list[int] = field(default_factory=list)
    newlines: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)

    def add(self, row: pa_csv.InvalidRow) -> str:
        text = row.text or ""
        self.numbers.append(int(row.number or 0))
        self.newlines.append(len(re.findall(_LINE_BREAK, text)))
        self.texts.append(text)
        self.details.append(f"{row.actual_columns} fields, {row.expected_columns} expected")
        return "skip" if len(self.texts) <= MOST_BROKEN_LINES else "error"


class DelimitedFile:
    """A CSV or TSV file: its header, and its rows as text with their physical lines.

    `header` holds the column headers; `batches()` yields columns c0..cn, `_line` (1-based line of
    the file where the record starts) and `_span` (lines that it takes); `broken` fills meanwhile.
    """

    def __init__(
        self, path: Path, compression: str | None, encoding: Encoding, delimiter: str, name: str
    ) -> None:
        self._open = partial(_utf8, path, compression, encoding)
        self._has_quotes = encoding.has_quotes
        self._delimiter = delimiter
        self._name = name
        self._path, self._compression, self._encoding = path, compression, encoding
        self.broken = Broken()
        self._long: list[tuple[np.ndarray, np.ndarray]] = []  # records over several lines
        self._spans: dict[int, int] = {}  # the same: line → lines
        self._last = 0  # line of the last record
        self.header, self._header_lines = self._read_header()

    def _read_header(self) -> tuple[list[str], int]:
        with self._open() as stream:
            text = io.TextIOWrapper(
                io.BufferedReader(cast(io.RawIOBase, stream)), encoding="utf-8-sig", newline=""
            )
            reader = csv.reader(text, delimiter=self._delimiter)
            try:
                for row in reader:
                    if any(cell.strip() for cell in row):
                        return row, reader.line_num
            except DAMAGED as error:
                raise FileRefused("header", f"{self._name}: line 1: header: {error}") from None
        raise FileRefused(
            "header", f"{self._name}: is empty; a day without data is a file with only its header"
        )

    @property
    def schema(self) -> pa.Schema:
        fields = [pa.field(f"c{i}", pa.string()) for i in range(len(self.header))]
        return pa.schema([*fields, pa.field("_line", pa.int64()), pa.field("_span", pa.int32())])

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Rows as text; FileRefused where the file can not be split into records."""
        names = [f"c{i}" for i in range(len(self.header))]
        stream = self._open()
        try:
            for _ in range(self._header_lines):
                stream = _skip_line(stream)
            try:
                reader = pa_csv.open_csv(
                    stream,
                    read_options=pa_csv.ReadOptions(
                        column_names=names, use_threads=False, block_size=BLOCK
                    ),
                    parse_options=pa_csv.ParseOptions(
                        delimiter=self._delimiter,
                        newlines_in_values=self._has_quotes,
                        ignore_empty_lines=False,
                        invalid_row_handler=self.broken.add,
                    ),
                    convert_options=pa_csv.ConvertOptions(
                        column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
                    ),
                )
            except pa.ArrowInvalid as error:
                if "Empty CSV file" in str(error):
                    return
                raise
            yield from self._with_lines(reader)
        except (pa.ArrowInvalid, *DAMAGED) as error:
            told = (
                f"more than {MOST_BROKEN_LINES:,} lines have not the number of fields of the header"
                if len(self.broken.texts) > MOST_BROKEN_LINES
                else f"can not be read as delimited text: {error}"
            )
            if "straddling" in told:
                told += f" A record takes {BLOCK >> 20} MB at the most: is a quote not closed?"
            raise FileRefused("unreadable", f"{self._name}: {told}") from None
        finally:
            stream.close()

    def _with_lines(self, reader: pa_csv.CSVStreamingReader) -> Iterator[pa.RecordBatch]:
        seen = 0  # good records so far
        newlines = 0  # line breaks inside the values of good records so far
        for batch in reader:
            count = batch.num_rows
            broken = np.asarray(self.broken.numbers, dtype=np.int64)
            ordinal = np.arange(seen + 1, seen + count + 1, dtype=np.int64)
            # the k-th good record is the k-th number that is not a broken one
            record = ordinal + np.searchsorted(broken - np.arange(len(broken)), ordinal, "right")
            inside = np.zeros(count, dtype=np.int64)
            if self._has_quotes:
                for column in batch.columns:
                    breaks = pc.count_substring_regex(column, _LINE_BREAK)
                    inside += breaks.to_numpy(zero_copy_only=False)
                long = inside > 0
                self._long.append((record[long], inside[long]))
            before = newlines + np.cumsum(inside) - inside
            if len(broken):
                lost = np.concatenate([[0], np.cumsum(self.broken.newlines)])
                before += lost[np.searchsorted(broken, record, "left")]
            line = self._header_lines + record + before
            if self._has_quotes:
                self._spans |= dict(
                    zip(line[long].tolist(), (inside[long] + 1).tolist(), strict=True)
                )
            seen += count
            newlines += int(inside.sum())
            self._last = max(self._last, int(line[-1]) if count else 0)
            yield pa.RecordBatch.from_arrays(
                [*batch.columns, pa.array(line), pa.array((inside + 1).astype(np.int32))],
                schema=self.schema,
            )

    def check_quotes(self) -> None:
        """FileRefused where a quote opens that nothing closes: it would swallow the lines behind it.

        Only records that take several lines, and the last one, can have done so.
        """
        if not self._has_quotes:
            return
        broken = self.broken_table()
        at = zip(broken["_line"].to_pylist(), self.broken.newlines, strict=True)
        spans = self._spans | {line: breaks + 1 for line, breaks in at if breaks}
        last = max([self._last, *broken["_line"].to_pylist()])
        texts: dict[int, list[str]] = {}
        open_line, left = 0, 0
        for batch in lines(self._path, self._compression, self._encoding):
            first, count = batch["_line"][0].as_py(), batch.num_rows
            if not left and not any(first <= n < first + count for n in (*spans, last)):
                continue
            for number, text in zip(
                batch["_line"].to_pylist(), batch["raw"].to_pylist(), strict=True
            ):
                if not left and (number in spans or number == last):
                    open_line, left = number, spans.get(number, 1)
                    texts[open_line] = []
                if left:
                    texts[open_line].append(text)
                    left -= 1
        for number, parts in sorted(texts.items()):
            try:
                list(csv.reader(["\n".join(parts)], delimiter=self._delimiter, strict=True))
            except csv.Error as error:
                raise FileRefused(
                    "quotes",
                    f"{self._name}: line {number}: a quoted value is not closed where it ends "
                    f"({error}); the lines behind it would be lost: double the quotes inside values",
                ) from None

    def broken_table(self) -> pa.Table:
        """Broken records: their line in the file, their text, and what is wrong with them."""
        texts = self.broken.texts
        number = np.asarray(self.broken.numbers[: len(texts)], dtype=np.int64)
        long = [np.concatenate(parts) for parts in zip(*self._long, strict=True)]
        records, inside = long if long else [np.empty(0, np.int64), np.empty(0, np.int64)]
        before = np.concatenate([[0], np.cumsum(inside)])[np.searchsorted(records, number)]
        lost = np.concatenate([[0], np.cumsum(self.broken.newlines)]).astype(np.int64)
        lines = self._header_lines + number + before + lost[: len(number)]
        return pa.table(
            {
                "_line": pa.array(lines, pa.int64()),
                "raw_text": pa.array(texts, pa.string()),
                "detail": pa.array(self.broken.details, pa.string()),
            }
        )


class _Rewound(_Readable):
    """A stream with some bytes put back in front."""

    def __init__(self, front: bytes, rest: BinaryIO) -> None:
        self._front, self._rest = front, rest

    def read(self, size: int = -1, /) -> bytes:
        if not self._front:
            return self._rest.read(size)
        if size < 0:
            result, self._front = self._front + self._rest.read(), b""
            return result
        result, self._front = self._front[:size], self._front[size:]
        return result

    def close(self) -> None:
        self._rest.close()
        super().close()


def _skip_line(stream: BinaryIO) -> BinaryIO:
    """The stream behind its next line break."""
    held = b""
    while True:
        chunk = stream.read(1 << 16)
        held += chunk
        found = re.search(rb"\r\n|\n|\r(?!\Z)" if chunk else rb"\r\n|\n|\r", held)
        if found:
            return cast(BinaryIO, _Rewound(held[found.end() :], stream))
        if not chunk:
            return cast(BinaryIO, io.BytesIO(b""))


def lines(path: Path, compression: str | None, encoding: Encoding) -> pa.RecordBatchReader:
    """The physical lines of a text file: `_line` (1-based) and `raw` (without the line break)."""
    schema = pa.schema([pa.field("_line", pa.int64()), pa.field("raw", pa.string())])

    def produce() -> Iterator[pa.RecordBatch]:
        seen = 0
        rest = b""
        with _utf8(path, compression, encoding) as stream:
            while True:
                chunk = stream.read(BLOCK)
                rest += chunk
                # a block ends behind a line break, and never between \r and \n
                cut = max(rest.rfind(b"\n"), rest.rfind(b"\r", 0, -1)) + 1 if chunk else len(rest)
                block, rest = rest[:cut], rest[cut:]
                if block:
                    kept = re.sub(rb"(?:\r\n|\n|\r)\Z", b"", block).decode("utf-8")
                    if b"\r" in block:
                        kept = kept.replace("\r\n", "\n").replace("\r", "\n")
                    raw = pc.list_flatten(pc.split_pattern(pa.array([kept]), "\n"))
                    number = np.arange(seen + 1, seen + len(raw) + 1, dtype=np.int64)
                    seen += len(raw)
                    yield pa.RecordBatch.from_arrays([pa.array(number), raw], schema=schema)
                if not chunk:
                    return

    return pa.RecordBatchReader.from_batches(schema, produce())
