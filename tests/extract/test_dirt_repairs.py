"""The dirt catalogue where a cell is typed: what each repair makes of a text, and how it is flagged.

Every case is written down by hand: the text as an export has it → the value, and the repairs that are
flagged. `WRONG` stands for a text that is no value of the column's type, so that its row is quarantined.
"""

from __future__ import annotations

import random
import unicodedata
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from kehu.extract.repair import write_rows
from kehu.feeds import Column, Contract

SHANGHAI = "Asia/Shanghai"
TODAY = date(2024, 7, 9)  # the day of the delivery
USUAL = ["nfkc", "strip_quotes", "null_tokens"]
WRONG = "<no value of its type>"
CONNECTION = duckdb.connect()


def column(kind: str, *repairs: str, **fields: Any) -> Column:
    return Column(type=kind, description="x", normalise=[*USUAL, *repairs], **fields)


def read(of: Column, texts: list[str], folder: Path) -> list[tuple[Any, list[str]]]:
    """Value and repairs of each text, in a file with a key beside."""
    columns = {"key": Column(type="varchar(32)", description="x", required=True), "cell": of}
    contract = Contract(
        feed="f", group="masters", grain="g", key=["key"], replace="version", columns=columns
    )
    source = {
        "_line": pa.array(range(2, 2 + len(texts)), pa.int64()),
        "_span": pa.array([1] * len(texts), pa.int32()),
        "c0": pa.array([f"k{i}" for i in range(len(texts))]),
        "c1": pa.array(texts, pa.string()),
    }
    CONNECTION.register("src", pa.table(source))
    present = {"key": "c0", "cell": "c1"}
    write_rows(CONNECTION, contract, present, ["key", "cell"], "b", SHANGHAI, TODAY, folder)
    rows = CONNECTION.execute(
        f"select cell, _bad, _repairs from '{folder / 'rows.parquet'}' order by _line"
    ).fetchall()
    assert len(rows) == len(texts)
    return [
        (WRONG if bad == ["cell"] else value, [r.removeprefix("cell:") for r in repairs or []])
        for value, bad, repairs in rows
    ]


def check(of: Column, expected: dict[str, tuple[Any, list[str]]], folder: Path) -> None:
    found = dict(zip(expected, read(of, list(expected), folder), strict=True))
    assert found == expected


@pytest.mark.dirt(rule=2, example="ＡＢ０１２", outcome="repaired to AB012, flagged nfkc")
def test_full_width_forms_of_codes_are_plain(tmp_path: Path) -> None:
    expected: dict[str, tuple[Any, list[str]]] = {
        "AB012": ("AB012", []),
        "ＡＢ０１２": ("AB012", ["nfkc"]),
        "AB０": ("AB0", ["nfkc"]),
        "Ａ－１": ("A-1", ["nfkc"]),
        "A　B": ("A B", ["nfkc"]),  # an ideographic space within
        "　AB　": ("AB", []),  # blanks around a value are no part of it
        "①": ("1", ["nfkc"]),
        "冷鲜-1": ("冷鲜-1", []),
    }
    check(column("varchar(8)"), expected, tmp_path)


@pytest.mark.dirt(rule=2, example="１２．５０", outcome="repaired to 12.50, flagged nfkc")
@pytest.mark.dirt(
    rule=2, example="２０２４－０７－０８　１２：００", outcome="repaired to the time"
)
def test_full_width_forms_of_numbers_and_times_are_plain(tmp_path: Path) -> None:
    check(
        column("decimal(8,2)"),
        {"１２．５０": (Decimal("12.50"), ["nfkc"]), "－３": (Decimal("-3"), ["nfkc"])},
        tmp_path,
    )
    check(column("int"), {"１２": (12, ["nfkc"]), "②": (2, ["nfkc"])}, tmp_path)
    check(column("flag"), {"１": (1, ["nfkc"]), "1": (1, [])}, tmp_path)
    noon = datetime(2024, 7, 8, 12)
    check(
        column("timestamp"),
        {"２０２４－０７－０８　１２：００": (noon, ["nfkc"]), "2024-07-08 12:00": (noon, [])},
        tmp_path,
    )


@pytest.mark.dirt(
    rule=2, example="品名 500㎏ ①号", outcome="accepted as it is: names are not folded"
)
@pytest.mark.dirt(
    rule=24, example="姓名 會員", outcome="accepted as it is: names are not translated"
)
def test_names_are_left_as_they_are(tmp_path: Path) -> None:
    texts = ["500㎏ ①号", "會員", "王　芳", "＇A＇", "'quoted'", "無"]
    of = Column(type="varchar(32)", description="x")
    assert read(of, texts, tmp_path) == [(text, []) for text in texts]


def test_a_contract_without_repairs_repairs_nothing(tmp_path: Path) -> None:
    of = Column(type="decimal(8,2)", description="x")
    assert read(of, ["１２", "¥5", "'5", "无", "5"], tmp_path) == [
        *[(WRONG, [])] * 4, (Decimal("5"), []),
    ]  # fmt: skip


@pytest.mark.dirt(rule=8, example="'0012", outcome="repaired to 0012, flagged strip_quotes")
@pytest.mark.dirt(rule=8, example='="0012"', outcome="repaired to 0012, flagged strip_quotes")
@pytest.mark.dirt(rule=8, example="0012⇥", outcome="accepted as 0012: blanks around are no part")
def test_marks_of_spreadsheets_are_stripped(tmp_path: Path) -> None:
    expected: dict[str, tuple[Any, list[str]]] = {
        "0012": ("0012", []),
        "'0012": ("0012", ["strip_quotes"]),
        "’0012": ("0012", ["strip_quotes"]),
        "＇0012": ("0012", ["nfkc", "strip_quotes"]),
        '="0012"': ("0012", ["strip_quotes"]),
        '"0012"': ("0012", ["strip_quotes"]),
        "' 0012": ("0012", ["strip_quotes"]),
        "0012\t": ("0012", []),
        "00'12": ("00'12", []),
        '00"12"': ('00"12"', []),
        "=0012": ("=0012", []),  # no text formula: nobody knows what it stood for
        "'": (None, ["strip_quotes"]),
        '=""': (None, ["strip_quotes"]),
    }
    check(column("varchar(8)"), expected, tmp_path)
    check(column("decimal(8,2)"), {"'5.0": (Decimal("5"), ["strip_quotes"])}, tmp_path)


@pytest.mark.dirt(
    rule=8, example=r"\N, NULL, 无, -, 暂无", outcome="repaired to no value, flagged null_tokens"
)
def test_words_for_nothing_are_no_value(tmp_path: Path) -> None:
    nothing: tuple[Any, list[str]] = (None, ["null_tokens"])
    expected: dict[str, tuple[Any, list[str]]] = {
        **dict.fromkeys(
            [r"\N", "NULL", "null", "无", "無", "-", "--", "暂无", "N/A", "NaN"], nothing
        ),
        "－": (None, ["nfkc", "null_tokens"]),
        "": (None, []),
        "0": ("0", []),
        "NULLS": ("NULLS", []),
        "-1": ("-1", []),
        "无糖": ("无糖", []),
    }
    check(column("varchar(8)"), expected, tmp_path)
    check(column("decimal(8,2)"), {"-": nothing, "-5": (Decimal("-5"), [])}, tmp_path)
    check(column("date"), {"暂无": nothing, "2024-07-08": (date(2024, 7, 8), [])}, tmp_path)


def test_a_word_for_nothing_that_is_allowed_is_a_value(tmp_path: Path) -> None:
    of = column("varchar(8)", allowed=["无", "SANBAO"])
    check(of, {"无": ("无", []), "-": (None, ["null_tokens"]), "SANBAO": ("SANBAO", [])}, tmp_path)


MONEY: dict[str, tuple[Any, list[str]]] = {
    "35.90": (Decimal("35.90"), []),
    "-35.9": (Decimal("-35.90"), []),
    "¥35.90": (Decimal("35.90"), ["currency"]),
    "￥35.90": (Decimal("35.90"), ["nfkc", "currency"]),
    "35.90元": (Decimal("35.90"), ["currency"]),
    "RMB 35.90": (Decimal("35.90"), ["currency"]),
    "¥-35.90": (Decimal("-35.90"), ["currency"]),
    "-¥35.90": (Decimal("-35.90"), ["currency"]),
    "1,234.50": (Decimal("1234.50"), ["currency"]),
    "12,345,678.90": (Decimal("12345678.90"), ["currency"]),
    "１，２３４．５０": (Decimal("1234.50"), ["nfkc", "currency"]),
    "¥1,234元": (Decimal("1234.00"), ["currency"]),
    "1.2万": (Decimal("12000.00"), ["currency"]),
    "1.2万元": (Decimal("12000.00"), ["currency"]),
    "-0.00001万": (Decimal("-0.10"), ["currency"]),
    "(35.90)": (Decimal("-35.90"), ["currency"]),
    "（35.90）": (Decimal("-35.90"), ["nfkc", "currency"]),
    "(¥1,235.90)": (Decimal("-1235.90"), ["currency"]),
    "35.90-": (Decimal("-35.90"), ["currency"]),
    "0.00-": (Decimal("0.00"), ["currency"]),
    ".5": (Decimal("0.50"), []),
}
AMBIGUOUS = [
    "3万5", "约1.2万", "1,23", "1,2345", "12,34.5", "1,234,56", ",234", "1.234,50", "3.5左右", "$5",
    "5美元", "1 234.50", "--5", "-5-", "(-5)", "(5", "5)", "万", "¥", "元", "1.2.3万", "0.0000001万",
    "1.005", "1.2千", "12万3千", "1e3", "99999999999999999999999999万", "五元",
]  # fmt: skip


@pytest.mark.dirt(rule=3, example="￥1,234.50", outcome="repaired to 1234.50, flagged currency")
@pytest.mark.dirt(rule=3, example="1.2万", outcome="repaired to 12000.00, flagged currency")
@pytest.mark.dirt(rule=3, example="(35.90), 35.90-", outcome="repaired to -35.90, flagged currency")
def test_amounts_are_read_where_they_are_certain(tmp_path: Path) -> None:
    check(column("decimal(18,2)", "currency"), MONEY, tmp_path)


@pytest.mark.dirt(
    rule=3, example="3万5, 约1.2万, 1,23", outcome="quarantined: nobody knows the amount"
)
def test_an_ambiguous_amount_is_no_amount(tmp_path: Path) -> None:
    found = read(column("decimal(18,2)", "currency"), AMBIGUOUS, tmp_path)
    assert [value for value, _ in found] == [WRONG] * len(AMBIGUOUS)


DATES: dict[str, tuple[Any, list[str]]] = {
    "2024-07-08": (date(2024, 7, 8), []),
    "2024/7/8": (date(2024, 7, 8), []),
    "2024.7.8": (date(2024, 7, 8), []),
    "20240708": (date(2024, 7, 8), []),
    "2024年7月8日": (date(2024, 7, 8), []),
    "２０２４年７月８日": (date(2024, 7, 8), ["nfkc"]),
    "2024-02-29": (date(2024, 2, 29), []),
    **dict.fromkeys(
        ["24-07-08", "24/7/8", "7/9/2024", "2024-02-30", "2023-02-29", "2024-13-01", "08.07.2024"],
        (WRONG, []),
    ),
}


@pytest.mark.dirt(
    rule=4, example="2024/7/9, 2024年7月9日, 20240709, 2024.7.9", outcome="accepted as 2024-07-09"
)
@pytest.mark.dirt(rule=4, example="24-07-09, 7/9/2024, 2024-02-30", outcome="quarantined")
@pytest.mark.dirt(rule=4, example="45482, where no serials are declared", outcome="quarantined")
def test_dates_are_read_where_year_month_and_day_are_certain(tmp_path: Path) -> None:
    check(column("date"), DATES | {"45481": (WRONG, [])}, tmp_path)


@pytest.mark.dirt(
    rule=4,
    example="45482, where serials are declared",
    outcome="repaired to 2024-07-09, flagged excel_serial",
)
def test_serials_are_dates_where_the_contract_says_so(tmp_path: Path) -> None:
    expected: dict[str, tuple[Any, list[str]]] = {
        "45482": (date(2024, 7, 9), ["excel_serial"]),
        "45482.0": (date(2024, 7, 9), ["excel_serial"]),
        "４５４８２": (date(2024, 7, 9), ["nfkc", "excel_serial"]),
        "10000": (date(1927, 5, 18), ["excel_serial"]),
        "45482.5": (WRONG, []),  # a time, where a day is asked for
        "4548": (WRONG, []),
        "454820": (WRONG, []),
        "20240709": (date(2024, 7, 9), []),
    }
    check(column("date", "excel_serial"), expected, tmp_path)
    times: dict[str, tuple[Any, list[str]]] = {
        "45482.75": (datetime(2024, 7, 9, 18), ["excel_serial"]),
        "45482": (datetime(2024, 7, 9), ["excel_serial"]),
        "45482.3333333333": (datetime(2024, 7, 9, 8), ["excel_serial"]),  # to the second
    }
    check(column("timestamp", "excel_serial"), times, tmp_path)


@pytest.mark.dirt(
    rule=17,
    example="birth date 1900-01-01, 1970-01-01, today",
    outcome="repaired to no value, flagged unknown_date",
)
def test_a_birth_date_that_a_form_has_filled_in_is_none(tmp_path: Path) -> None:
    nothing: tuple[Any, list[str]] = (None, ["unknown_date"])
    expected: dict[str, tuple[Any, list[str]]] = {
        "1900-01-01": nothing,
        "1970/1/1": nothing,
        "2024-07-09": nothing,  # the day of the delivery
        "2024-07-08": (date(2024, 7, 8), []),
        "1970-01-02": (date(1970, 1, 2), []),
        "1988-07-15": (date(1988, 7, 15), []),  # summer time of 1986 to 1991 moves no birthday
    }
    check(column("date", "unknown_date"), expected, tmp_path)


@pytest.mark.dirt(
    rule=5, example="+86 138…, 0086-138…, 138….0", outcome="repaired to 11 digits, flagged phone"
)
@pytest.mark.dirt(rule=5, example="138****2233", outcome="repaired to no value, flagged masked")
@pytest.mark.dirt(
    rule=5, example="13800138000", outcome="repaired to no value, flagged placeholder"
)
@pytest.mark.dirt(rule=5, example="12345678901", outcome="repaired to no value, flagged invalid")
def test_phones_are_mobile_numbers_or_nothing(tmp_path: Path) -> None:
    mobile = "13812345670"
    expected: dict[str, tuple[Any, list[str]]] = {
        mobile: (mobile, []),
        "１３８１２３４５６７０": (mobile, ["nfkc"]),
        **dict.fromkeys(
            [
                "+86 138 1234 5670", "+8613812345670", "0086-13812345670", "8613812345670",
                "138-1234-5670", "13812345670.0", "013812345670", "(138)12345670",
            ],
            (mobile, ["phone"]),
        ),
        **dict.fromkeys(["138****2233", "138xxxx2233", "1381234***"], (None, ["masked"])),
        **dict.fromkeys(
            ["13800138000", "13888888888", "+86 13800138000", "15000000000"], (None, ["placeholder"])
        ),
        **dict.fromkeys(["010-62345678", "021 62345678", "62345678", "0755-2345678"], (None, ["landline"])),
        **dict.fromkeys(
            [
                "12345678901", "1381234567", "138123456789", "1.38E+10", "abc", "23812345670",
                "13812345670/13912345670",
            ],
            (None, ["invalid"]),
        ),
        "无": (None, ["null_tokens"]),
    }  # fmt: skip
    check(column("varchar(32)", "phone"), expected, tmp_path)


@pytest.mark.dirt(
    rule=6, example="6.22848E+15", outcome="flagged scientific; the gate quarantines it"
)
@pytest.mark.dirt(
    rule=6, example="6228481234567890000", outcome="flagged lost_zeros: suspect, kept"
)
def test_card_numbers_that_have_lost_digits_are_told(tmp_path: Path) -> None:
    expected: dict[str, tuple[Any, list[str]]] = {
        **{t: (t, ["scientific"]) for t in ["6.22848E+15", "6e+15", "6.2E15", "1.E+05"]},
        "６．２２８４８Ｅ＋１５": ("6.22848E+15", ["nfkc", "scientific"]),
        **{t: (t, []) for t in ["12E5", "A+B", "1.5", "E+15", "6228481234567891"]},
        "622848123456789": ("622848123456789", []),  # 15 digits are exact
        "6228481234567890": ("6228481234567890", ["lost_zeros"]),
        "6228481234567890000": ("6228481234567890000", ["lost_zeros"]),
        "6228481234567891000": ("6228481234567891000", []),  # the 16th digit is one
        "62284812345678900000": ("62284812345678900000", []),  # 20 digits: no such card
        "'6228481234567890": ("6228481234567890", ["strip_quotes", "lost_zeros"]),
    }
    check(column("varchar(24)", "digits", "lost_zeros"), expected, tmp_path)


@pytest.mark.dirt(
    rule=7, example="12345 where the contract fixes 8", outcome="repaired to 00012345, flagged pad"
)
@pytest.mark.dirt(rule=7, example="12345 where no length is fixed", outcome="accepted as it is")
def test_zeros_are_given_back_where_the_length_is_fixed(tmp_path: Path) -> None:
    expected: dict[str, tuple[Any, list[str]]] = {
        "12345": ("00012345", ["pad"]),
        "00012345": ("00012345", []),
        "１２３": ("00000123", ["nfkc", "pad"]),
        "'123": ("00000123", ["strip_quotes", "pad"]),
        "A123": ("A123", []),  # no number: nobody knows what is missing
        "123456789": ("123456789", []),
    }
    check(column("varchar(12)", "pad", length=8), expected, tmp_path)
    check(column("varchar(12)"), {"12345": ("12345", [])}, tmp_path)


@pytest.mark.dirt(
    rule=24, example="单据类型 销售, 銷售", outcome="accepted as SALE, as the contract declares"
)
def test_code_lists_speak_the_source_s_language(tmp_path: Path) -> None:
    meant = {"销售": "SALE", "銷售": "SALE", "退货单据单据单据": "RETURN"}
    of = column("varchar(8)", allowed=["SALE", "RETURN"], values=meant)
    expected: dict[str, tuple[Any, list[str]]] = {
        "SALE": ("SALE", []),
        "销售": ("SALE", []),
        "銷售": ("SALE", []),
        "退货单据单据单据": ("RETURN", []),  # longer than the column, and known
        "ＳＡＬＥ": ("SALE", ["nfkc"]),
        "'销售": ("SALE", ["strip_quotes"]),
        "sale": ("sale", []),  # left as it is: the rule "allowed" quarantines it
        "促销": ("促销", []),
    }
    check(of, expected, tmp_path)
    yes_no = column("flag", values={"是": "1", "否": "0"})
    check(yes_no, {"是": (1, []), "否": (0, []), "1": (1, []), "Y": (WRONG, [])}, tmp_path)


@pytest.mark.dirt(rule=1, example="姓名 䶮㛃 𠀀", outcome="accepted as it is")
def test_rare_characters_of_codes_are_theirs(tmp_path: Path) -> None:
    of = column("varchar(8)")
    check(of, {"䶮㛃": ("䶮㛃", []), "𠀀": ("𠀀", []), "b\ufffd": (WRONG, [])}, tmp_path)


WIDE = st.text(
    st.sampled_from("ABC019-+.,:()/ ＡＢ０１９－＋．，：（）／　①㎏ﾊﾞé甲䶮無"),
    min_size=1,
    max_size=8,
)


@hypothesis_settings(max_examples=15, deadline=None)
@given(texts=st.lists(WIDE, min_size=30, max_size=60))
def test_codes_are_folded_as_python_folds_them(
    texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("wide")
    of = Column(type="varchar(99)", description="x", normalise=["nfkc"])
    for text, (value, flags) in zip(texts, read(of, texts, folder), strict=True):
        plain = text.strip(" \t\r\u3000")
        folded = unicodedata.normalize("NFKC", plain).strip()
        assert (value or "", bool(flags)) == (folded, folded != plain), text


def _spoken(cents: int, dice: random.Random) -> str:
    """An amount as a Chinese export may write it."""
    plain = f"{abs(cents) // 100}.{abs(cents) % 100:02d}"
    if dice.random() < 0.3:
        plain = f"{abs(cents) // 100:,}.{abs(cents) % 100:02d}"
    elif dice.random() < 0.2:
        plain = f"{abs(cents) / 1e6:.6f}万"
    if dice.random() < 0.3:
        plain = f"{plain}元"
    elif dice.random() < 0.3:
        plain = f"¥{plain}"
    if cents < 0:
        plain = dice.choice([f"-{plain}", f"({plain})", f"{plain}-"])
    return unicodedata.normalize("NFKC", plain) if dice.random() < 0.8 else _wide(plain)


def _wide(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def test_a_thousand_amounts_are_what_they_were(tmp_path: Path) -> None:
    dice = random.Random(7)
    cents = [
        dice.randrange(-(10 ** dice.randrange(1, 9)), 10 ** dice.randrange(1, 9))
        for _ in range(1000)
    ]
    found = read(column("decimal(18,2)", "currency"), [_spoken(c, dice) for c in cents], tmp_path)
    assert [value for value, _ in found] == [Decimal(c) / 100 for c in cents]
