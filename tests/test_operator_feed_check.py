"""`kehu feed check`: does a file fit its contract, what differs, and what is to be done."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from houses import CONTRACTS, VALID, House, Row, as_csv, valid
from typer.testing import CliRunner

from kehu.cli import app
from kehu.errors import KehuError
from kehu.feed_check import Checked, Difference, check

SALES = CONTRACTS["sales_line"]


@pytest.fixture
def no_suites(monkeypatch: pytest.MonkeyPatch) -> None:
    """The row rules alone: Great Expectations takes seconds to import."""
    monkeypatch.setattr("kehu.gate.judge.validate_feeds", lambda *_: [])


def line(number: int, **changes: str) -> Row:
    return valid("sales_line", receipt_no=f"R{number}", **changes)


def written(
    house: House, rows: list[Row] | str, name: str = "x.csv", encoding: str = "utf-8"
) -> Path:
    """A file that lies anywhere, not in the landing folder."""
    file = house.settings.home.parent / name
    file.parent.mkdir(parents=True, exist_ok=True)
    text = rows if isinstance(rows, str) else as_csv(rows)
    file.write_bytes(text.encode(encoding))
    return file


def checked(house: House, file: Path, feed: str | None = None) -> Checked:
    [result] = check(house.settings, CONTRACTS, file, feed)
    return result


def by_rule(result: Checked) -> dict[str, Difference]:
    return {difference.rule: difference for difference in result.differences}


def test_a_right_file_fits_and_nothing_of_it_is_kept(house: House) -> None:
    file = written(house, [line(i) for i in range(20)], "sales_line/day.csv")
    result = checked(house, file)
    assert result.fits
    assert (result.feed, result.why) == ("sales_line", "it lies in a folder sales_line")
    assert (result.what, result.rows_in, result.rows_accepted) == ("csv, utf-8", 20, 20)
    assert not house.settings.home.exists()
    assert [p.name for p in file.parent.iterdir()] == ["day.csv"]


def test_a_manifest_that_disagrees_is_told(house: House) -> None:
    file = written(house, [line(i) for i in range(20)], "sales_line/day.csv")
    beside = file.with_name("day.csv.manifest.json")
    beside.write_text(json.dumps({"rows": 21}))
    result = checked(house, file)
    assert not result.fits
    assert result.refused is not None
    assert "rows_in = 20, manifest_rows = 21" in result.refused
    assert "kehu replay" not in result.refused


@pytest.mark.usefixtures("no_suites")
@pytest.mark.parametrize(
    ("feed", "name"), [("member", "m.csv"), ("store", "s.tsv"), ("product", "p.jsonl")]
)
def test_the_feed_is_told_by_the_header(house: House, feed: str, name: str) -> None:
    rows = [VALID[feed]]
    if name.endswith("jsonl"):
        text = json.dumps(rows[0], ensure_ascii=False) + "\n"
    else:
        text = as_csv(rows, delimiter="\t" if name.endswith("tsv") else ",")
    result = checked(house, written(house, text, name))
    assert (result.feed, result.fits) == (feed, True)
    assert result.why == f"its header fits best ({len(VALID[feed])} columns known)"


@pytest.mark.usefixtures("no_suites")
def test_columns_are_known_unknown_and_missing(house: House) -> None:
    row = line(1)
    renamed = {
        "门店编码": row.pop("store_code"),
        "recieptno": row.pop("receipt_no"),
        "weather": "sun",
        **{k: v for k, v in row.items() if k != "vat_rate"},
    }
    result = checked(house, written(house, [renamed]))
    assert result.header.known["门店编码"] == "store_code"
    assert result.header.unknown == {"recieptno": "receipt_no", "weather": None}
    assert result.header.missing == ["receipt_no"]
    assert result.header.absent == ["vat_rate"]
    assert result.refused is not None and "required column(s) missing: receipt_no" in result.refused
    assert not result.fits


@pytest.mark.usefixtures("no_suites")
def test_each_kind_of_difference_is_told_with_its_first_row_and_what_to_do(house: House) -> None:
    rows = [line(i) for i in range(200)]
    rows[3]["qty"] = "two"
    rows[4]["qty"] = "three"
    rows[7]["status"] = "COMPLETE"
    rows[8]["sku_code"] = ""
    rows[9]["store_code"] = "S12345678"
    rows[10]["vat_rate"] = "2"
    found = by_rule(checked(house, written(house, rows)))
    qty = found["type:qty"]
    assert (qty.count, qty.line, qty.value) == (2, 5, "two")
    assert qty.expected == "qty is decimal(12,3)"
    assert "null_values" in qty.advice
    assert (found["allowed:status"].value, found["allowed:status"].advice.split(" in ")[0]) == (
        "COMPLETE", "values: {COMPLETE: COMPLETED}"
    )  # fmt: skip
    assert (found["required:sku_code"].line, found["required:sku_code"].value) == (10, None)
    assert "it has 9 characters: lengthen varchar(8)" in found["type:store_code"].advice
    assert "widen the range of vat_rate" in found["range:vat_rate"].advice
    assert len(found) == 5


@pytest.mark.usefixtures("no_suites")
def test_a_repair_that_would_help_is_named_and_one_that_is_declared_is_counted(
    house: House,
) -> None:
    rows = [line(i) for i in range(60)]
    rows[3]["business_date"] = "42825"  # as Excel counts days; no column of the feed declares it
    rows[4]["gross_amount"] = "¥12.00"
    result = checked(house, written(house, rows))
    date = by_rule(result)["type:business_date"]
    assert date.advice.startswith("write excel_serial into normalise of business_date")
    assert result.repairs == {"gross_amount:currency": 1}
    assert len(result.differences) == 1


@pytest.mark.usefixtures("no_suites")
def test_encodings_and_what_is_no_record_are_told(house: House) -> None:
    text = as_csv([line(i, promo_code="送礼") for i in range(40)]) + "合计" + "," * 25 + "\n"
    result = checked(house, written(house, text, encoding="gb18030"))
    assert result.what == "csv, gb18030"
    assert result.skipped == {"total_line": 1}
    assert result.fits
    assert result.rows_accepted == 40


WRONG = {
    "missing.csv": (None, "there is no such file"),
    "empty.csv": (b"", "is empty"),
    "cat.png": (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "is a picture (PNG), not a table"),
    "cat.csv": (b"\xff\xd8\xff\xe0" + b"\0" * 50, "is a picture (JPEG), not a table"),
    "noise.csv": (bytes(range(256)) * 4, "is no text"),
    "report.doc": (b"some text", "are not read"),
    "poem.csv": (b"a,b\n1,2\n", "no contract knows any of its columns"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_table_is_told_plainly(house: House, name: str) -> None:
    content, told = WRONG[name]
    file = house.settings.home.parent / name
    if content is not None:
        file.write_bytes(content)
    result = CliRunner().invoke(app, ["feed", "check", str(file)])
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert told in result.output.replace("\n", " ")


UNREAD: dict[str, tuple[bytes, str]] = {
    "gone.csv.gz": (b"not packed", "gone.csv.gz: can not be read: Not a gzipped file"),
    "blank.csv": (b"\n\n", "blank.csv: is empty"),
    "tabs.csv": (b"store_code\tname\n", "is divided by tabs, not by commas"),
    "twice.csv": (b"store_code,store_code\n", "both mean store_code; deliver one of them"),
    "text.xlsx": (b"store_code", "is no workbook; if it is delimited text"),
    "cut.parquet": (b"PAR1", "is not a whole Parquet file"),
    "long.csv": (b"store_code,name\n1," + b"x" * (5 << 20) + b"\n", "4 MB at the most"),
}


@pytest.mark.parametrize("name", UNREAD)
def test_why_the_feed_of_a_file_can_not_be_told(house: House, name: str) -> None:
    content, told = UNREAD[name]
    file = written(house, "", name)
    file.write_bytes(content)
    with pytest.raises(KehuError) as caught:
        checked(house, file)
    assert told in str(caught.value)
    assert "--feed NAME (complaint, " in str(caught.value)
    assert "kehu replay" not in str(caught.value)


def test_a_pipe_is_no_file(house: House, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(KehuError, match="is no ordinary file"):
        checked(house, tmp_path / "pipe.csv")


@pytest.mark.usefixtures("no_suites")
def test_long_values_and_many_columns_are_cut_short(house: House) -> None:
    runner = CliRunner()
    file = written(house, "[" * 5_000 + "\n", "store/deep.jsonl")
    told = runner.invoke(app, ["feed", "check", str(file)]).output
    assert "write one JSON object in each line" in told
    assert len(told) < 2_000
    file = written(house, ",".join(f"c{i}" for i in range(300)) + "\n", "store/wide.csv")
    told = runner.invoke(app, ["feed", "check", str(file)]).output
    assert "... and 280 more unknown columns" in told
    assert "c49 and 250 more. Add the column" in told


def test_a_folder_and_a_feed_that_is_none_are_told(house: House, tmp_path: Path) -> None:
    with pytest.raises(KehuError, match="is a folder"):
        check(house.settings, CONTRACTS, tmp_path)
    with pytest.raises(KehuError, match="no feed 'sales'; there are complaint"):
        check(house.settings, CONTRACTS, written(house, [line(1)]), "sales")


@pytest.mark.usefixtures("no_suites")
def test_the_exit_code_tells_whether_it_fits(house: House) -> None:
    runner = CliRunner()
    right = written(house, [line(1)], "right.csv")
    done = runner.invoke(app, ["feed", "check", str(right)])
    assert (done.exit_code, done.output.strip().splitlines()[-1]) == (0, "fits")
    wrong = written(house, [line(i, qty="x" if i == 5 else "1") for i in range(40)], "wrong.csv")
    done = runner.invoke(app, ["feed", "check", str(wrong), "--feed", "sales_line"])
    assert (done.exit_code, done.output.strip().splitlines()[-1]) == (1, "does not fit")
    assert "such as line 7: 'x'" in done.output


def test_feeds_are_listed_with_their_state(house: House) -> None:
    assert "never" in CliRunner().invoke(app, ["feed", "list"]).output
    house.drop(
        "store",
        [valid("store", store_code=f"S{i}", is_test="?" if i == 3 else "0") for i in range(40)],
    )
    house.take_in()
    output = CliRunner().invoke(app, ["feed", "list"]).output
    [row] = [text for text in output.splitlines() if "store/a.csv" in text]
    assert [cell.strip() for cell in row.split("│")[4:7]] == ["39", "1", "0"]


@pytest.mark.usefixtures("no_suites")
def test_a_repeated_header_hides_no_difference(house: House) -> None:
    """The cells are read once more as text, where nothing is required: the header is left out there, too."""
    head, *lines = as_csv([line(1), line(2, qty="1.2.3"), line(3)]).splitlines()
    result = checked(house, written(house, "\n".join([head, *lines, head]) + "\n"))
    assert result.skipped == {"repeated_header": 1}
    assert (by_rule(result)["type:qty"].line, by_rule(result)["type:qty"].value) == (3, "1.2.3")


@pytest.mark.usefixtures("no_suites")
def test_a_cell_that_is_no_text_is_not_told_to_be_too_long(house: House) -> None:
    text = as_csv([line(i, cashier_no="收银X3" if i == 7 else "收银13") for i in range(200)])
    file = written(house, text, encoding="gb18030")
    file.write_bytes(file.read_bytes().replace(b"X3", b"\xff3"))
    found = by_rule(checked(house, file))["type:cashier_no"]
    assert "no text in this encoding" in found.advice
