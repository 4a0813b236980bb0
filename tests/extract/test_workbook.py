"""Workbooks: the header found, every cell the text of its value, nothing lost on the way."""

from __future__ import annotations

import io
import json
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest
import xlwt
from houses import CONTRACTS, VALID, House, valid

from kehu.extract.workbook import texts
from kehu.feeds import Contract

STORE = list(VALID["store"])
TITLES: list[list[Any]] = [["门店档案"], ["打印日期", date(2017, 4, 1)], []]


def store(**cells: Any) -> list[Any]:
    """A row of the feed `store` as a person would type it: numbers and dates, not texts."""
    row: dict[str, Any] = VALID["store"] | {
        "area_m2": 1200.5, "opened_on": date(2010, 1, 1), "closed_on": None, "is_test": 0,
        "competitors_3km": 2, "updated_at": datetime(2016, 12, 31, 12, 0),
    }  # fmt: skip
    return list((row | cells).values())


def xlsx(*sheets: list[list[Any]], hidden: tuple[int, ...] = ()) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for number, rows in enumerate(sheets):
        sheet = book.create_sheet(f"表{number + 1}")
        for row in rows:
            sheet.append(row)
        if number in hidden:
            sheet.sheet_state = "hidden"
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def xls(rows: list[list[Any]]) -> bytes:
    book = xlwt.Workbook()
    sheet = book.add_sheet("表1")
    formats = {date: "YYYY-MM-DD", datetime: "YYYY-MM-DD hh:mm:ss"}
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            if cell is not None:
                style = xlwt.easyxf(num_format_str=formats.get(type(cell), "General"))
                sheet.write(y, x, cell, style)
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def written(rows: list[list[Any]], ending: str) -> bytes:
    return xls(rows) if ending == "xls" else xlsx(rows)


def typed(folder: Path, columns: str = "_line, store_code, area_m2, opened_on") -> list[Any]:
    return duckdb.execute(
        f"select {columns} from '{folder}/rows.parquet' order by _line"
    ).fetchall()


def with_contract(house: House, feed: str, **fields: Any) -> Contract:
    contract = CONTRACTS[feed].model_copy(update=fields)
    contract.__dict__.pop("digest", None)
    house.contracts[feed] = contract
    return contract


@pytest.mark.parametrize("ending", ["xlsx", "xlsm", "xls"])
def test_the_header_is_found_below_its_titles_and_rows_keep_their_line(
    ending: str, house: House
) -> None:
    rows = [*TITLES, STORE, store(), [], store(store_code="0012", area_m2=35.9)]
    meta, folder = house.extract(house.drop("store", written(rows, ending), f"a.{ending}"))
    assert (meta.refused_message, meta.rows_in, meta.header_line) == (None, 2, 4)
    assert (meta.sheet, meta.header) == ("表1", STORE)
    assert typed(folder, "_line, store_code, area_m2::varchar, opened_on") == [
        (5, "S1", "1200.50", date(2010, 1, 1)),
        (7, "0012", "35.90", date(2010, 1, 1)),
    ]
    assert typed(folder, "is_test, competitors_3km, updated_at, closed_on, _span, _bad")[0] == (
        0, 2, datetime(2016, 12, 31, 12), None, 1, None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (12, "12"),
        (12.0, "12"),
        (-7.5, "-7.5"),
        (0.1 + 0.2, "0.3"),
        (35.900000000000006, "35.9"),
        (0.00001, "0.00001"),
        (123456789012345.0, "123456789012345"),
        (6222021234567890.0, "6.22202123456789E+15"),
        (1e15, "1E+15"),
        (date(2017, 3, 31), "2017-03-31"),
        (date(1890, 1, 1), "1890-01-01"),
        (datetime(2017, 3, 31), "2017-03-31 00:00:00"),
        (datetime(2017, 3, 31, 9, 59, 59, 999999), "2017-03-31 10:00:00"),
        (datetime(2017, 3, 31, 10, 0, 0, 250000), "2017-03-31 10:00:00.250"),
        (time(10, 5), "10:05:00"),
        (True, "TRUE"),
        ("0012", "0012"),
        ("", ""),
    ],
)
def test_a_cell_becomes_the_text_of_its_value(cell: Any, text: str) -> None:
    assert texts([cell]).to_pylist() == [text]
    assert texts(["x", cell, 5]).to_pylist() == ["x", text, "5"]


def test_true_and_false_are_flags_where_the_contract_has_a_flag(house: House) -> None:
    rows = [STORE, store(is_test=True, name=True), store(store_code="S2", is_test=False)]
    _, folder = house.extract(house.drop("store", xlsx(rows), "a.xlsx"))
    assert typed(folder, "is_test, name") == [(1, "TRUE"), (0, "一店")]


@pytest.mark.parametrize("ending", ["xlsx", "xls"])
def test_quarantine_shows_the_cells_of_the_row(ending: str, house: House) -> None:
    rows = [*TITLES, STORE, *(store(store_code=f"S{i}") for i in range(30))]
    rows[10][STORE.index("opened_on")] = "去年"
    rows[10][STORE.index("is_test")] = True
    path = house.drop("store", written(rows, ending), f"a.{ending}")
    meta, folder = house.extract(path)
    assert house.judge(path)[path].passed
    [(line, rules, raw)] = house.quarantined(folder)
    assert (line, rules) == (11, ["type:opened_on"])
    assert json.loads(raw) == dict(
        zip(STORE, ["S6", "一店", "SUPERMARKET", "北京", "海淀", "1200.5", "去年", "", "TRUE", "2",
                    "2016-12-31 12:00:00"], strict=True)
    )  # fmt: skip
    assert meta.rows_in == 30


def test_errors_and_formulas_without_a_value_are_not_taken_for_empty(house: House) -> None:
    rows = [STORE, *(store(store_code=f"S{i}") for i in range(40))]
    rows[2][STORE.index("area_m2")] = "=1/0"  # which openpyxl writes without its value
    book = openpyxl.load_workbook(io.BytesIO(xlsx([], rows)))
    cell = book["表2"].cell(4, 1 + STORE.index("area_m2"))
    cell.value, cell.data_type = "#DIV/0!", "e"
    data = io.BytesIO()
    book.save(data)
    path = house.drop("store", data.getvalue(), "a.xlsx")
    _, folder = house.extract(path)
    assert house.judge(path)[path].passed
    found = [
        (line, rules, json.loads(raw)["area_m2"]) for line, rules, raw in house.quarantined(folder)
    ]
    assert found == [(3, ["type:area_m2"], "=1/0"), (4, ["type:area_m2"], "#DIV/0!")]


def test_the_sheet_with_the_header_is_taken_or_the_one_that_the_contract_names(
    house: House,
) -> None:
    first = [STORE, store(store_code="A")]
    second = [STORE, store(store_code="B")]
    cover = [["说明"], ["联系人", "王芳"]]
    one = house.drop("store", xlsx(cover, first), "one.xlsx")
    two = house.drop("store", xlsx(first, second), "two.xlsx")
    shy = house.drop("store", xlsx(cover, first, second, hidden=(1,)), "hidden.xlsx")
    assert house.extract(one)[0].sheet == "表2"
    assert house.extract(shy)[0].sheet == "表3"
    refused = house.extract(two)[0]
    assert refused.refused_rule == "sheet"
    assert "the sheets '表1' and '表2' all have the header" in str(refused.refused_message)
    with_contract(house, "store", sheet="表1")
    assert [row[1] for row in typed(house.extract(two)[1])] == ["A"]
    with_contract(house, "store", sheet=2)
    assert [row[1] for row in typed(house.extract(two)[1])] == ["B"]
    with_contract(house, "store", sheet="无")
    assert "has no sheet '无', which the contract names; it has 表1, 表2" in str(
        house.extract(two)[0].refused_message
    )


def test_many_rows_in_blocks_keep_lines_and_kinds_apart(house: House) -> None:
    """More rows than a record batch has, from the second column on, with mixed cells in one column."""
    rows: list[list[Any]] = [[], ["", *STORE]]
    rows += [
        ["", *store(store_code=f"S{i}" if i % 2 else i, area_m2=i / 100 if i % 3 else None)]
        for i in range(8_300)
    ]
    meta, folder = house.extract(house.drop("store", xlsx(rows), "a.xlsx"))
    assert meta.rows_in == 8_300
    found = typed(folder, "_line, store_code, area_m2::varchar")
    assert found == [
        (i + 3, f"S{i}" if i % 2 else str(i), f"{i / 100:.2f}" if i % 3 else None)
        for i in range(8_300)
    ]


GOOD = xlsx([STORE, store()])
# content, ending, rule, what the message must say
REFUSALS: dict[str, tuple[bytes, str, str, str]] = {
    "empty": (b"", "xlsx", "unreadable", "is empty"),
    "cut off": (GOOD[:-200], "xlsx", "unreadable", "is not a whole workbook"),
    "cut to its head": (GOOD[:30], "xlsx", "unreadable", "is not a whole workbook"),
    "a flipped bit": (
        GOOD[:900] + bytes([GOOD[900] ^ 4]) + GOOD[901:], "xlsx", "unreadable", "not a whole workbook",
    ),
    "a web page": (b"\n<html><table>", "xls", "unreadable", "is a web page or XML under the name"),
    "text": (b"store_code,name\n", "xls", "unreadable", "name it .csv or .txt"),
    "xls cut off": (xls([STORE, store()])[:700], "xls", "unreadable", "is not a whole workbook"),
    "no header": (
        xlsx([["x"], ["store_code", "name"]]), "xlsx", "header",
        "the nearest: sheet '表1', line 2 lacks format, is_test",
    ),
    "nothing in it": (xlsx([]), "xlsx", "header", "no row has any of its columns"),
    "packed": (GOOD, "xlsx.gz", "format", "deliver it plain"),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(REFUSALS))
def test_what_is_no_whole_workbook_is_refused_with_its_reason(case: str, house: House) -> None:
    data, ending, rule, told = REFUSALS[case]
    path = house.drop("store", data, f"a.{ending}")
    meta, _ = house.extract(path)
    assert (meta.refused_rule, meta.rows_in) == (rule, 0)
    assert str(meta.refused_message).startswith(f"{path}: ")
    assert told in str(meta.refused_message)
    assert meta.archived.read_bytes() == data


def test_a_workbook_is_loaded_and_replayed_from_the_archive(house: House) -> None:
    rows = [*TITLES, STORE, store(), store(store_code="S2", updated_at=None)]
    path = house.drop("store", xlsx(rows, []), "a.xlsx", manifest={"rows": 2})
    first = house.take_in()[path]
    assert (first["status"], first["rows_loaded"]) == ("LOADED", 2)
    assert house.query("select store_code, _line from raw.store order by _line") == [
        ("S1", 5), ("S2", 6),
    ]  # fmt: skip
    (house.settings.landing / path).unlink()
    assert house.take_in(replay=[first["batch_id"]])[path]["rows_loaded"] == 2


def test_valid_row_of_the_house_is_what_these_tests_think() -> None:
    assert list(valid("store")) == STORE


def test_one_cell_far_away_is_no_reason_to_hold_all_between(house: House) -> None:
    book = openpyxl.load_workbook(io.BytesIO(GOOD))
    book.active["XFD1048576"] = "x"
    data = io.BytesIO()
    book.save(data)
    meta, _ = house.extract(house.drop("store", data.getvalue(), "a.xlsx"))
    assert "a sheet reaches to line 1,048,576 and column 16,384" in str(meta.refused_message)


def test_an_xls_that_sends_its_reader_in_circles_is_refused_and_nothing_else_falls(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kehu.extract import workbook

    monkeypatch.setattr(workbook, "_PROBE_BYTES", 1 << 30)
    data = bytearray(xls([STORE, store()]))
    table = 512 + 512 * int.from_bytes(data[76:80], "little")  # of sectors: which follows which
    first = int.from_bytes(data[48:52], "little")  # sector of the directory
    data[table + 4 * first : table + 4 * first + 4] = first.to_bytes(4, "little")
    meta, _ = house.extract(house.drop("store", bytes(data), "a.xls"))
    assert meta.refused_rule == "unreadable"
    assert "is not a whole workbook: memory allocation of" in str(meta.refused_message)


@pytest.mark.dirt(
    rule=6,
    example="a card number of 16 digits that was typed into a workbook as a number",
    outcome="quarantined: a workbook keeps fifteen digits, the last one is gone",
)
def test_a_card_number_typed_as_a_number_is_never_guessed(house: House) -> None:
    columns = list(VALID["member_card"])
    rows = [valid("member_card", card_no=f"K{i}") for i in range(30)]
    cells: list[list[Any]] = [columns, *(list(row.values()) for row in rows)]
    cells[4][columns.index("card_no")] = 6222021234567890
    cells[5][columns.index("card_no")] = 622202123456789
    path = house.drop("member_card", xlsx(cells), "a.xlsx")
    _, folder = house.extract(path)
    assert house.judge(path)[path].passed
    [(line, rules, raw)] = house.quarantined(folder)
    assert (line, json.loads(raw)["card_no"]) == (5, "6.22202123456789E+15")
    assert any("card_no" in rule for rule in rules)
    assert ("622202123456789",) in typed(folder, "card_no")


def test_a_released_row_of_a_workbook_is_read_again_below_the_same_header(house: House) -> None:
    from kehu.extract.delivery import Correction, card_of, write_card

    rows = [*TITLES, STORE, *(store(store_code=f"S{i}", is_test=False) for i in range(30))]
    rows[9][STORE.index("opened_on")] = "去年"
    path = house.drop("store", xlsx([["门店", "名称"]], rows), "a.xlsx")
    done = house.take_in()[path]
    assert (done["rows_loaded"], done["rows_quarantined"]) == (29, 1)
    card = card_of(house.settings, done["batch_id"])
    card.corrections.append(
        Correction(
            action="RELEASED",
            who="mei",
            at=datetime(2017, 4, 1),
            reason="told by the shop",
            lines=[10],
            rules=["type:opened_on"],
            cells={"opened_on": ["2016-05-01"]},
        )
    )
    write_card(card)
    assert house.take_in(replay=[done["batch_id"]])[path]["rows_loaded"] == 30
    assert house.query(
        "select store_code, opened_on::varchar, is_test, name from raw.store where _line = 10"
    ) == [("S5", "2016-05-01", 0, "一店")]
