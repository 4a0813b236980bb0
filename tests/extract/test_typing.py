"""Typing by contract: the value exactly as written, or the row is quarantined; never a guess."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from kehu.extract.typing import literal, text_of, typed, typed_query
from kehu.feeds import Column, Contract

SHANGHAI = "Asia/Shanghai"
CONNECTION = duckdb.connect()


def column(kind: str, **fields: Any) -> Column:
    return Column(type=kind, description="x", **fields)


def values(texts: list[str], of: Column) -> list[Any]:
    """What each text becomes; None where it is not a value."""
    CONNECTION.execute("create or replace temp table given(n int, cell varchar)")
    CONNECTION.executemany("insert into given values (?, ?)", list(enumerate(texts)))
    expression = typed("t", of, SHANGHAI)
    query = f"select {expression} from (select n, {text_of('cell', of)} as t from given) order by n"
    return [row[0] for row in CONNECTION.execute(query).fetchall()]


AT = datetime(2017, 7, 9, 8, 5, 6)

# type: text → value; None = not a value, so the row is quarantined
TEXTS: dict[str, dict[str, Any]] = {
    "varchar(3)": {
        "abc": "abc", "abcd": None, " ab ": "ab", "\u3000ab\t": "ab", "䶮㛃𠀀": "䶮㛃𠀀", "012": "012",
        "㎏①": "㎏①",
    },
    "int": {
        "0": 0, "7": 7, "-7": -7, "+7": 7, "007": 7, "2147483647": 2147483647,
        "-2147483648": -2147483648, "2147483648": None, "-2147483649": None, "99999999999": None,
        "1.0": None, "1e3": None, "1_000": None, "1,000": None, "1 000": None, "０１": None, "--1": None,
        "0x10": None, "NaN": None, "inf": None, "true": None, " 7 ": 7, "-": None,
    },
    "flag": {"0": 0, "1": 1, "2": None, "true": None, "Y": None, "01": None, "１": None, "-1": None},
    "decimal(8,2)": {
        "0": Decimal("0"), "1.5": Decimal("1.50"), "1.50": Decimal("1.50"), "1.5000": Decimal("1.50"),
        "-.5": Decimal("-0.50"), "5.": Decimal("5"), "+1": Decimal("1"), "1.005": None, "1.999": None,
        "999999.99": Decimal("999999.99"), "1000000": None, "-999999.99": Decimal("-999999.99"),
        "1e5": None, "1E-2": None, "1,5": None, "1,234.50": None, "1_0": None, "1 0": None,
        "NaN": None, "inf": None, "-Infinity": None, "￥5": None, "5元": None, "(5.00)": None,
        "5.00-": None, "１.５": None, ".": None, "-": None, "1.2.3": None, "0x1": None,
    },
    "date": {
        "2017-07-09": date(2017, 7, 9), "2017/7/9": date(2017, 7, 9), "2017.7.9": date(2017, 7, 9),
        "20170709": date(2017, 7, 9), "2017年7月9日": date(2017, 7, 9), "2017-7-9": date(2017, 7, 9),
        "2017-07-09 00:00:00": date(2017, 7, 9), "2017-07-09T00:00:00.000": date(2017, 7, 9),
        "2016-02-29": date(2016, 2, 29), "2017-02-29": None, "2017-02-30": None, "2017/2/30": None,
        "20170230": None, "2017-13-01": None, "2017-00-10": None, "2017-01-00": None, "20171301": None,
        "2017-07-09 08:00:00": None, "17-07-09": None, "9/7/2017": None, "7/9/17": None, "42925": None,
        "2017-07": None, "201707": None, "2017-07-09x": None, "today": None, "epoch": None,
        "infinity": None, "2017-07-09 (BC)": None, "２０１７-07-09": None,
    },
    "timestamp": {
        "2017-07-09 08:05:06": AT, "2017-07-09T08:05:06": AT, "2017/07/09 08:05:06": AT,
        "2017-7-9 8:05:06": AT, "2017-07-09 08:05": AT.replace(second=0),
        "2017-07-09": datetime(2017, 7, 9), "2017-07-09 08:05:06.123456": AT.replace(microsecond=123456),
        "2017-07-09 08:05:06.1234567": None, "2017-07-09 24:00:00": None, "2017-07-09 08:60:00": None,
        "2017-07-09 08:05:60": None, "2017-02-30 08:05:06": None, "20170709080506": None,
        "2017-07-09 8pm": None, "1499558706": None, "now": None, "infinity": None,
        "2017-07-09 00:05:06Z": AT, "2017-07-09T00:05:06+00:00": AT, "2017-07-09 08:05:06+08": AT,
        "2017-07-09 08:05:06 +08:00": AT, "2017-07-09 08:05:06+0800": AT, "2017-07-09 09:05:06+09:00": AT,
        "2017-07-08 19:05:06-05:00": AT, "2017-07-09 08:05:06 Asia/Tokyo": None,
        "2017-07-09 08:05:06+8": None,
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(TEXTS))
def test_each_text_is_its_value_or_none(kind: str) -> None:
    found = dict(zip(TEXTS[kind], values(list(TEXTS[kind]), column(kind)), strict=True))
    assert found == TEXTS[kind]


def test_a_utc_column_is_brought_to_local_time() -> None:
    texts = ["2017-07-09 00:05:06", "2017-07-09 08:05:06+08:00", "2017-07-08 16:00", "2017-07-09"]
    assert values(texts, column("timestamp", utc=True)) == [
        AT, AT, datetime(2017, 7, 9), datetime(2017, 7, 9, 8),
    ]  # fmt: skip


def test_null_tokens_and_blanks_are_no_value_and_not_wrong() -> None:
    of = column("varchar(8)", null_values=["0", "无"])
    assert values(["0", " 无 ", "", "  ", "00", "无无"], of) == [
        None,
        None,
        None,
        None,
        "00",
        "无无",
    ]


def typed_rows(contract: Contract, cells: dict[str, list[str]]) -> list[tuple[Any, ...]]:
    """Rows of `typed_query` over a source with the given cells."""
    count = len(next(iter(cells.values())))
    typed_as_text = ", ".join(f"{n} varchar" for n in cells)
    CONNECTION.execute(
        f"create or replace temp table src(_line bigint, _span int, {typed_as_text})"
    )
    marks = ", ".join("?" for _ in cells)
    rows = [[i + 2, 1, *(c[i] for c in cells.values())] for i in range(count)]
    CONNECTION.executemany(f"insert into src values (?, ?, {marks})", rows)
    query = typed_query(contract, {n: n for n in cells}, "batch", SHANGHAI)
    names = ", ".join(f'"{n}"' for n in contract.columns)
    return CONNECTION.execute(
        f"select _line, {names}, _bad from ({query}) order by _line"
    ).fetchall()


def small_contract() -> Contract:
    columns = {
        "code": column("varchar(4)", required=True),
        "amount": column("decimal(8,2)"),
        "on_day": column("date"),
        "absent": column("int"),
    }
    return Contract(
        feed="f", group="masters", grain="g", key=["code"], replace="version", columns=columns
    )


def test_a_row_names_every_column_that_is_wrong() -> None:
    cells = {
        "code": ["a", "abcde", "", "b\ufffd", "c"],
        "amount": ["1", "x", "", "2", ""],
        "on_day": ["2017-01-01", "2017-02-30", " ", "2017-01-01", ""],
    }
    day = date(2017, 1, 1)
    assert typed_rows(small_contract(), cells) == [
        (2, "a", Decimal("1.00"), day, None, None),
        (3, None, None, None, None, ["code", "amount", "on_day"]),
        # line 4 is blank and no row at all
        (5, "b\ufffd", Decimal("2.00"), day, None, ["code"]),
        (6, "c", None, None, None, None),
    ]


def test_an_sql_text_in_a_cell_is_a_text() -> None:
    text = "'; drop table x; --"
    assert values([text], column("varchar(32)")) == [text]
    assert literal("it's") == "'it''s'"


NUMBER = st.one_of(
    st.decimals(allow_nan=True, allow_infinity=True, places=None).map(str),
    st.decimals(min_value=-(10**7), max_value=10**7, places=2).map(str),
    st.decimals(min_value=-(10**7), max_value=10**7, places=3).map(str),
    st.text(st.sampled_from("0123456789.+-eE_, ０"), max_size=9),
)


@hypothesis_settings(max_examples=15)
@given(texts=st.lists(NUMBER, min_size=40, max_size=80))
def test_decimals_are_those_of_python_or_nothing(texts: list[str]) -> None:
    for text, value in zip(texts, values(texts, column("decimal(8,2)")), strict=True):
        stripped = text.strip(" \t\r\u3000")
        plain = re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)", stripped)
        exact = Decimal(stripped) if plain else None
        fits = exact is not None and abs(exact) < 10**6 and exact == round(exact, 2)
        assert value == (exact if fits else None), text


DATE_FORMS = ["{:04d}-{:02d}-{:02d}", "{:04d}/{}/{}", "{:04d}{:02d}{:02d}", "{:04d}年{}月{}日"]


@hypothesis_settings(max_examples=15)
@given(
    days=st.lists(
        st.tuples(
            st.integers(1, 9999), st.integers(0, 13), st.integers(0, 32),
            st.sampled_from(DATE_FORMS),
        ),
        min_size=40, max_size=80,
    )
)  # fmt: skip
def test_dates_are_those_of_python_or_nothing(days: list[tuple[int, int, int, str]]) -> None:
    found = values([form.format(y, m, d) for y, m, d, form in days], column("date"))
    for (year, month, day, _), value in zip(days, found, strict=True):
        try:
            expected = date(year, month, day)
        except ValueError:
            expected = None
        assert value == expected


@hypothesis_settings(max_examples=15)
@given(
    texts=st.lists(
        st.one_of(st.integers(-(2**32), 2**32).map(str), st.text("0123456789+-_ ", max_size=12)),
        min_size=40, max_size=80,
    )
)  # fmt: skip
def test_integers_are_those_of_python_or_nothing(texts: list[str]) -> None:
    for text, value in zip(texts, values(texts, column("int")), strict=True):
        plain = re.fullmatch(r"[+-]?[0-9]{1,10}", text.strip(" "))
        exact = int(text) if plain else None
        fits = exact is not None and -(2**31) <= exact < 2**31
        assert value == (exact if fits else None), text
