"""Encodings and delimiters: what the bytes say, what the contract fixes, and nothing guessed."""

from __future__ import annotations

import codecs
import gzip
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from houses import CONTRACTS, House, Row, as_csv, valid

NAME = "Café Zoë, Größe 5"


def rows(name: str = NAME, city: str = "北京", district: str = "海淀") -> list[Row]:
    return [
        valid("store", store_code=f"S{i}", name=name, city=city, district=district)
        for i in range(30)
    ]


def fix(house: House, **fields: Any) -> None:
    contract = CONTRACTS["store"].model_copy(update=fields)
    contract.__dict__.pop("digest", None)
    house.contracts["store"] = contract


def names(folder: Path) -> set[tuple[Any, ...]]:
    return set(duckdb.execute(f"select name, city from '{folder}/rows.parquet'").fetchall())


ENCODED = [
    # what the contract fixes, the bytes in front, how the file is encoded, what is recorded
    ("latin-1", b"", "latin-1", "latin-1"),
    ("cp1252", b"", "cp1252", "cp1252"),
    ("utf-16", b"", "utf-16", "utf-16"),
    ("UTF-16", b"", "utf-16-le", "utf-16-le"),
    ("utf-16", codecs.BOM_UTF16_BE, "utf-16-be", "utf-16"),
    ("utf-16-le", b"", "utf-16-le", "utf-16-le"),
    ("utf-16-le", codecs.BOM_UTF16_LE, "utf-16-le", "utf-16"),
    ("utf-16-be", b"", "utf-16-be", "utf-16-be"),
    ("gb18030", b"", "gb18030", "gb18030"),
    ("latin-1", codecs.BOM_UTF8, "utf-8", "utf-8-sig"),
    (None, b"", "utf-16", "utf-16"),
]


@pytest.mark.dirt(
    rule=1,
    example="latin-1, cp1252, UTF-16 with and without its mark, fixed by the contract",
    outcome="accepted: decoded, the encoding recorded; quarantine shows the text, not its bytes",
)
@pytest.mark.parametrize(("fixed", "mark", "encoding", "recorded"), ENCODED)
@pytest.mark.parametrize("ending", ["csv", "csv.gz", "jsonl"])
def test_an_encoding_holds_from_the_file_to_the_quarantine(
    ending: str, fixed: str | None, mark: bytes, encoding: str, recorded: str, house: House
) -> None:
    fix(house, encoding=fixed)
    city = "Zürich" if encoding in ("latin-1", "cp1252") else "北京"
    written = rows(city=city, district=city)
    written[7]["opened_on"] = "l'été"
    if ending == "jsonl":
        lines = [json.dumps(r, ensure_ascii=False) for r in written]
    else:
        lines = as_csv(written).splitlines()
    lines.append("S99,é")  # no record
    text = "\n".join(lines) + "\n"
    data = mark + text.encode(encoding)
    data = gzip.compress(data) if ending.endswith("gz") else data
    path = house.drop("store", data, f"a.{ending}")
    meta, folder = house.extract(path)
    assert (meta.refused_message, meta.encoding) == (None, recorded)
    house.judge(path)
    assert names(folder) == {(NAME, city)}
    wrong = next(i for i, line in enumerate(lines) if "l'été" in line)
    assert house.quarantined(folder) == [
        (wrong + 1, ["type:opened_on"], lines[wrong]),
        (len(lines), ["record:(line)"], "S99,é"),
    ]


def test_bytes_that_are_not_of_the_fixed_encoding_quarantine_their_row_alone(house: House) -> None:
    fix(house, encoding="cp1252")
    data = (
        as_csv(rows(city="X", district="X"))
        .encode("cp1252")
        .replace(b'S5,"Caf\xe9', b'S5,"Caf\x81')
    )
    path = house.drop("store", data)
    meta, folder = house.extract(path)
    assert meta.encoding == "cp1252 (with undecodable bytes)"
    house.judge(path)
    assert [(line, r) for line, r, _ in house.quarantined(folder)] == [(7, ["type:name"])]


@pytest.mark.dirt(
    rule=1,
    example="Excel's Unicode text: UTF-16 with its mark, divided by tabs, named .txt",
    outcome="accepted: read as it is",
)
def test_unicode_text_of_excel_is_read_as_it_is(house: House) -> None:
    data = as_csv(rows(name="多\n行"), delimiter="\t").replace("\n", "\r\n").encode("utf-16")
    meta, folder = house.extract(house.drop("store", data, "a.txt"))
    assert (meta.refused_message, meta.rows_in, meta.encoding) == (None, 30, "utf-16")
    assert names(folder) == {("多\r\n行", "北京")}


@pytest.mark.parametrize(
    ("delimiter", "told", "yaml_text"),
    [("\t", "tabs", '"\\t"'), (";", "semicolons", '";"'), ("|", "vertical bars", '"|"')],
)
def test_another_delimiter_is_refused_with_what_to_write_and_read_where_it_is_written(
    delimiter: str, told: str, yaml_text: str, house: House
) -> None:
    data = as_csv(rows(), delimiter=delimiter).encode("utf-16")
    path = house.drop("store", data, "a.csv")
    meta, _ = house.extract(path)
    assert meta.refused_rule == "delimiter"
    said = str(meta.refused_message)
    assert f"{path}: line 1: is divided by {told}, not by commas" in said
    assert f"write delimiter: {yaml_text} into expectations/feeds/store.yml" in said
    fix(house, delimiter=delimiter)
    meta, folder = house.extract(path)
    assert (meta.refused_message, meta.rows_in) == (None, 30)
    assert names(folder) == {(NAME, "北京")}
    meta, _ = house.extract(house.drop("store", as_csv(rows()), "b.csv"))
    assert "is divided by commas, not by" in str(meta.refused_message)


def test_a_contract_says_its_delimiter_in_yaml(tmp_path: Path) -> None:
    import yaml

    from kehu.errors import ContractError
    from kehu.feeds import read_contract
    from kehu.settings import PROJECT

    text = (PROJECT / "expectations" / "feeds" / "store.yml").read_text(encoding="utf-8")
    path = tmp_path / "store.yml"
    path.write_text(
        text + 'delimiter: "\\t"\nfiles: ["a*.txt"]\nsheet: 2\nencoding: latin-1\n',
        encoding="utf-8",
    )
    read = read_contract(path)
    assert (read.delimiter, read.files, read.sheet, read.encoding) == (
        "\t",
        ["a*.txt"],
        2,
        "latin-1",
    )
    path.write_text(yaml.safe_dump(yaml.safe_load(text) | {"delimiter": "::"}), encoding="utf-8")
    with pytest.raises(ContractError, match=r"store\.yml:\d+: field delimiter: Input should be"):
        read_contract(path)
