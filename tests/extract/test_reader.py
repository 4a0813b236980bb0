"""Readers: every record at its line, compared with Python's csv module as an independent reader."""

from __future__ import annotations

import csv
import gzip
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from houses import CONTRACTS, VALID, House, Row, as_csv, valid
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from kehu.errors import FileRefused
from kehu.extract import reader
from kehu.extract.reader import DelimitedFile, detect_encoding

STORE = list(VALID["store"])


def stores(count: int, **changes: str) -> list[Row]:
    return [valid("store", store_code=f"S{i}", **changes) for i in range(count)]


def typed_rows(folder: Path, columns: str = "_line, store_code, name") -> list[tuple[Any, ...]]:
    path = folder / "rows.parquet"
    return duckdb.execute(f"select {columns} from '{path}' order by _line").fetchall()


def records(text: str, delimiter: str = ",") -> tuple[list[tuple[int, list[str]]], list[int]]:
    """(line, cells) of each good record and the lines of the broken ones, by Python's csv module."""
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    good: list[tuple[int, list[str]]] = []
    broken: list[int] = []
    header: list[str] | None = None
    ended = 0
    for row in lines:
        started, ended = ended + 1, lines.line_num
        if header is None:
            header = row if any(cell.strip() for cell in row) else None
        elif not row:
            good.append((started, [""] * len(header)))
        elif len(row) == len(header):
            good.append((started, row))
        else:
            broken.append(started)
    return good, broken


def read(path: Path, delimiter: str = ",") -> tuple[list[tuple[int, list[str]]], list[int]]:
    """The same by Kehu."""
    file = DelimitedFile(path, None, detect_encoding(path, None), delimiter, path.name)
    good = [
        (row["_line"], [row[f"c{i}"] for i in range(len(file.header))])
        for batch in file.batches()
        for row in batch.to_pylist()
    ]
    return good, file.broken_table()["_line"].to_pylist()


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("a.csv", "utf-8"),
        ("a.csv", "utf-8-sig"),
        ("a.csv", "utf-16"),
        ("a.csv", "utf-16-be"),
        ("a.csv", "gb18030"),
        ("a.tsv", "utf-8"),
        ("a.tsv", "utf-16"),
        ("a.tsv.gz", "gb18030"),
        ("a.csv.gz", "utf-8"),
    ],
)
def test_each_encoding_gives_the_same_rows(house: House, name: str, encoding: str) -> None:
    rows = [
        valid("store", store_code=f"S{i}", name=n) for i, n in enumerate(["䶮店", "㛃店", "王𠀀"])
    ]
    names = {"store_code": "门店编码", "name": "店名", "format": "业态", "is_test": "是否测试店"}
    translated = [{names.get(k, k): v for k, v in row.items()} for row in rows]
    text = as_csv(translated, delimiter="\t" if ".tsv" in name else ",")
    data = text.encode(encoding)
    if encoding == "utf-16-be":
        data = b"\xfe\xff" + data
    if name.endswith(".gz"):
        data = gzip.compress(data)
    meta, folder = house.extract(house.drop("store", data, name))
    assert meta.refused_message is None
    assert meta.encoding == {"utf-16-be": "utf-16"}.get(encoding, encoding)
    assert meta.compression == ("gzip" if name.endswith(".gz") else None)
    assert typed_rows(folder) == [(2, "S0", "䶮店"), (3, "S1", "㛃店"), (4, "S2", "王𠀀")]


def test_a_contract_may_fix_the_encoding(house: House) -> None:
    house.contracts["store"] = CONTRACTS["store"].model_copy(update={"encoding": "gb18030"})
    meta, folder = house.extract(house.drop("store", stores(1, name="天"), encoding="gb18030"))
    assert (meta.encoding, typed_rows(folder)) == ("gb18030", [(2, "S0", "天")])


def test_jsonl_gives_the_same_rows_and_numbers_as_they_are_written(house: House) -> None:
    rows: list[dict[str, Any]] = [dict(r) for r in stores(3)]
    lines = [json.dumps(r, ensure_ascii=False) for r in rows]
    lines[1] = lines[1].replace('"1200.50"', "999999999999999.99").replace('"2"', "2")
    lines[2] = lines[2].replace('"1200.50"', "1e5").replace('"一店"', r'"a\": 5, \\"')
    text = "\n".join([lines[0], "", lines[1], "not json", "[1]", lines[2], '{"*": 1}'])
    path = house.drop("store", text, "a.jsonl")
    meta, folder = house.extract(path)
    found = typed_rows(folder, "_line, name, area_m2, competitors_3km, _bad")
    assert found == [
        (1, "一店", Decimal("1200.50"), 2, None),
        (3, "一店", Decimal("999999999999999.99"), 2, None),
        (6, 'a": 5, \\', None, 2, ["area_m2"]),
    ]
    assert (meta.rows_in, meta.rows_broken, meta.unknown_columns) == (5, 2, ["*"])
    verdict = house.judge(path)[path]
    assert verdict.split is not None
    assert (verdict.split.rows_in, verdict.split.accepted) == (5, 2)
    assert [(line, rules) for line, rules, _ in house.quarantined(folder)] == [
        (4, ["record:(line)"]),
        (5, ["record:(line)"]),
        (6, ["type:area_m2"]),
    ]


def test_parquet_gives_the_same_rows_whatever_its_types(house: House) -> None:
    table = pa.table(
        {
            "store_code": ["S0", "S1"],
            "name": ["一", "二"],
            "format": ["X", "X"],
            "is_test": pa.array([0, 1], pa.int8()),
            "area_m2": pa.array([Decimal("1.50"), None], pa.decimal128(18, 2)),
            "opened_on": pa.array(["2010-01-01", "2011-02-03"]).cast(pa.date32()),
            "updated_at": pa.array([0, 1_483_200_000_000_000], pa.timestamp("us", "UTC")),
        }
    )
    data = io.BytesIO()
    pq.write_table(table, data)
    meta, folder = house.extract(house.drop("store", data.getvalue(), "a.parquet"))
    assert meta.refused_message is None
    columns = "_line, name, is_test, area_m2, opened_on::varchar, updated_at::varchar, _bad"
    assert typed_rows(folder, columns) == [
        (1, "一", 0, Decimal("1.50"), "2010-01-01", "1970-01-01 08:00:00", None),
        (2, "二", 1, None, "2011-02-03", "2017-01-01 00:00:00", None),
    ]
    assert {"city", "closed_on"} <= set(meta.absent_columns)


AWKWARD = {
    "quoted newline": 'a,b\n1,"x\ny"\n2,z\n',
    "quoted newline of Windows": 'a,b\r\n1,"x\r\ny"\r\n2,z\r\n',
    "quoted comma and quote": 'a,b\n1,"x,""y"""\n2,z\n',
    "blank lines": "a,b\n\n1,x\n\n\n2,y\n\n",
    "blank lines before the header": "\n\na,b\n1,x\n2,y\n",
    "header over two lines": '"a\nx",b\n1,x\n2,y\n',
    "Windows line ends": "a,b\r\n1,x\r\n2,y\r\n",
    "old Mac line ends": "a,b\r1,x\r2,y\r3",
    "mixed line ends": "a,b\r\n1,x\r2,y\n3,z",
    "no last line end": "a,b\n1,x\n2,y",
    "too few and too many fields": "a,b\n1\n2,y\n3,z,4\n5,w\n6\n7,q\n",
    "broken record over two lines": 'a,b\n1,x\n2,"p\nq",3\n4,y\n5,"r\n\ns"\n6\n7,z\n',
    "broken first and last": "a,b\n1\n2,x\n3,4,5\n",
    "only broken": "a,b\n1\n2,3,4\n",
    "quote inside a cell": 'a,b\n1,x"y\n2,z\n',
    "header only": "a,b\n",
    "header only, no line end": "a,b",
}


@pytest.mark.parametrize("case", sorted(AWKWARD))
def test_lines_are_those_of_an_independent_reader(case: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(AWKWARD[case].encode())
    assert read(path) == records(AWKWARD[case])


CELL = st.text(st.sampled_from(list('ab,"\n\r\t 中0')), max_size=6)


@hypothesis_settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    rows=st.lists(st.lists(CELL, min_size=1, max_size=4), max_size=12),
    ending=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    block=st.sampled_from([64, 1 << 20]),
)
def test_any_cells_are_read_as_an_independent_reader_reads_them(
    rows: list[list[str]],
    ending: str,
    quoting: Any,
    block: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=ending, quoting=quoting)
    writer.writerows([["h1", "h2", "h3"], *rows])
    path = tmp_path / "a.csv"
    path.write_bytes(text.getvalue().encode())
    monkeypatch.setattr(reader, "BLOCK", block)  # small blocks: records that straddle them
    found: Any
    try:
        found = read(path)
    except FileRefused as refusal:
        found = str(refusal)  # a record longer than a block can not be read, and says so
    if isinstance(found, str):
        assert block == 64
        assert "straddling" in found
    else:
        assert found == records(text.getvalue())


def test_lines_stay_right_over_many_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "BLOCK", 256)
    text = "a,b\n" + "".join(
        f'{i},"x\ny"\n' if i % 3 == 0 else f"{i}\n" if i % 7 == 0 else f"{i},z\n"
        for i in range(2000)
    )
    path = tmp_path / "a.csv"
    path.write_text(text)
    good, broken = records(text)
    assert read(path) == (good, broken)
    assert len(broken) == len([i for i in range(2000) if i % 7 == 0 and i % 3])


def test_too_many_broken_lines_refuse_the_file(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "MOST_BROKEN_LINES", 3)
    meta, _ = house.extract(house.drop("store", as_csv(stores(1)) + "x\n" * 4))
    assert meta.refused_rule == "unreadable"
    assert "more than 3 lines" in (meta.refused_message or "")
    meta, _ = house.extract(house.drop("store", as_csv(stores(1)) + "x\n" * 3, "b.csv"))
    assert (meta.refused_rule, meta.rows_in, meta.rows_broken) == (None, 4, 3)


PARQUET = io.BytesIO()
pq.write_table(pa_csv.read_csv(io.BytesIO(as_csv(stores(50)).encode())), PARQUET)
GZIP = gzip.compress(as_csv([*stores(50)]).encode())

# content, file name, rule, what the message must say
REFUSALS: dict[str, tuple[bytes, str, str, str]] = {
    "empty file": (b"", "a.csv", "header", "is empty"),
    "blank file": (b"\n \n\n", "a.csv", "header", "is empty"),
    "required column missing": (
        as_csv([{k: v for k, v in r.items() if k != "format"} for r in stores(2)]).encode(),
        "a.csv", "header", "line 1: required column(s) missing: format",
    ),
    "header twice": (
        as_csv(stores(1)).replace("city", "name", 1).encode(), "a.csv", "header",
        "line 1: the columns 'name' and 'name' both mean name",
    ),
    "header and its alias": (
        as_csv(stores(1)).replace("city", "店名", 1).encode(), "a.csv", "header", "both mean name",
    ),
    "unknown ending": (b"x", "a.pdf", "format", "files that end in '.pdf' are not read"),
    "no ending": (b"x", "a", "format", "(nothing)"),
    "compressed Parquet": (gzip.compress(b"x"), "a.parquet.gz", "format", "deliver it plain"),
    "gzip cut off": (GZIP[:-40], "a.csv.gz", "unreadable", "send the file again"),
    "gzip of JSON lines cut off": (GZIP[:-40], "a.jsonl.gz", "unreadable", "send the file again"),
    "gzip with a flipped bit": (
        GZIP[:60] + bytes([GZIP[60] ^ 255]) + GZIP[61:], "a.csv.gz", "unreadable", "send the file",
    ),
    "not gzip": (b"store_code,name\n", "a.csv.gz", "unreadable", "send the file again"),
    "Parquet cut off": (PARQUET.getvalue()[:-30], "a.parquet", "unreadable", "not a whole Parquet"),
    "not Parquet": (b"PAR1", "a.parquet", "unreadable", "is not a whole Parquet file"),
    "empty Parquet": (b"", "a.parquet", "unreadable", "is not a whole Parquet file"),
    "Parquet with a broken page": (
        PARQUET.getvalue()[:4] + b"\xff" * 60 + PARQUET.getvalue()[64:],
        "a.parquet",
        "unreadable",
        "is not a whole Parquet file",
    ),
    "a value longer than a block": (
        (as_csv(stores(1)) + 'S2,"' + "z\n" * (5 << 19) + '",X\n').encode(), "a.csv", "unreadable",
        "can not be read as delimited text: straddling",
    ),
    "garbage": (bytes(range(256)) * 40, "a.csv", "header", "required column(s) missing"),
    "UTF-16 without its mark": (as_csv(stores(1)).encode("utf-16-le"), "a.csv", "header", "missing"),
    "JSON lines without a known key": (b'{"x": 1}\n', "a.jsonl", "header", "missing: store_code"),
    "a quote that nothing closes": (
        (as_csv(stores(3)) + 'S9,"open,X\n' + as_csv(stores(3)).split("\n", 1)[1]).encode(),
        "a.csv", "quotes", "line 5: a quoted value is not closed",
    ),
    "a quote closed by another": (
        as_csv(stores(4)).replace("S1,一店", 'S1,"一店').replace("S3,一店", 'S3,"一店"').encode(),
        "a.csv", "quotes", "line 3: a quoted value is not closed",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(REFUSALS))
def test_a_file_that_can_not_be_read_is_refused_with_its_reason(case: str, house: House) -> None:
    data, name, rule, part = REFUSALS[case]
    path = house.drop("store", data, name)
    meta, _ = house.extract(path)
    assert (meta.refused_rule, meta.rows_in) == (rule, 0)
    assert (meta.refused_message or "").startswith(f"{path}: ")
    assert part in (meta.refused_message or "")
    assert "Traceback" not in (meta.refused_message or "")
    assert meta.archived.read_bytes() == data
    verdict = house.judge(path)[path]
    assert (verdict.passed, verdict.refused_by) == (False, [rule])


def test_header_only_is_a_batch_without_rows(house: House) -> None:
    path = house.drop("store", as_csv(stores(1)).splitlines()[0] + "\n")
    meta, folder = house.extract(path)
    assert (meta.refused_rule, meta.rows_in, typed_rows(folder)) == (None, 0, [])
    assert house.judge(path)[path].passed


@pytest.mark.parametrize("drift", ["evolve", "discard_column", "freeze"])
def test_an_unknown_column_is_reported_or_refused_as_the_contract_says(
    drift: str, house: House
) -> None:
    house.contracts["store"] = CONTRACTS["store"].model_copy(update={"drift": drift})
    rows = [r | {"mood": "good"} for r in stores(2)]
    path = house.drop("store", as_csv(rows))
    meta, folder = house.extract(path)
    assert meta.unknown_columns == ([] if drift == "discard_column" else ["mood"])
    if drift == "freeze":
        assert meta.refused_rule == "header"
        assert "line 1: column(s) that the contract does not know: mood" in str(
            meta.refused_message
        )
    else:
        assert meta.refused_rule is None
        assert [row[1] for row in typed_rows(folder)] == ["S0", "S1"]


@pytest.mark.parametrize(
    "header", ["Store Code", "\ufeffstore_code", "ＳＴＯＲＥ＿ＣＯＤＥ", "門店編碼"]
)
def test_headers_are_folded_or_known_by_an_alias(header: str, house: House) -> None:
    meta, _ = house.extract(house.drop("store", as_csv(stores(1)).replace("store_code", header, 1)))
    assert (meta.refused_rule == "header") == (header == "門店編碼")  # no alias of the contract


def test_invalid_bytes_quarantine_their_row_alone(house: House) -> None:
    lines = as_csv([*stores(25, name="天天店")]).encode().splitlines(keepends=True)
    lines[7] = lines[7].replace("天天店".encode(), b"\xe5\xa4\xa9\xff\xfe")
    path = house.drop("store", b"".join(lines))
    meta, folder = house.extract(path)
    assert meta.encoding == "utf-8 (with undecodable bytes)"
    verdict = house.judge(path)[path]
    assert verdict.split is not None
    assert (verdict.split.accepted, verdict.split.quarantined) == (24, 1)
    [(line, rules, text)] = house.quarantined(folder)
    assert (line, rules) == (8, ["type:name"])
    assert text.startswith("S6,天\ufffd\ufffd,")


def test_quarantined_and_broken_rows_keep_line_and_raw_text(house: House) -> None:
    rows = stores(60)
    rows[3]["name"] = "两\n行"
    rows[10]["is_test"] = "7"
    rows[20] |= {"name": "三\n\n行", "area_m2": "x"}
    lines = as_csv(rows)
    lines = lines.replace("S30,一店", "S30,一店,多", 1)
    path = house.drop("store", lines)
    _, folder = house.extract(path)
    verdict = house.judge(path)[path]
    assert verdict.split is not None
    assert (verdict.split.rows_in, verdict.split.quarantined) == (60, 3)
    good, broken = records(lines)
    at = {cells[0]: line for line, cells in good}
    physical = [""] + lines.split("\n")
    assert house.quarantined(folder) == [
        (at["S10"], ["type:is_test"], physical[at["S10"]]),
        (at["S20"], ["type:area_m2"], "\n".join(physical[at["S20"] : at["S20"] + 3])),
        (broken[0], ["record:(line)"], physical[broken[0]]),
    ]
    accepted = duckdb.execute(
        f"select _line, store_code from '{folder}/accepted.parquet'"
    ).fetchall()
    assert {code: line for line, code in accepted} == {
        code: line for code, line in at.items() if code not in ("S10", "S20")
    }
