"""The queries of docs/analyst.md: each runs, says what its heading promises, and prints what it finds."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from demo_year import DemoYear

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT / "scripts") not in sys.path:
    sys.path.append(str(ROOT / "scripts"))

import patterns  # noqa: E402

PAGE = (ROOT / patterns.PAGE).read_text(encoding="utf-8")
FOUND = patterns.read(PAGE)
DEMO = Path(os.environ.get("KEHU_DEMO_HOME", ROOT / "var"))
ONE = "# Page\n\n```sql\nselect 1 as n, 'a|b' as name, 2.50 as price, true as ok, null as gone\n```\n\n"


def test_every_query_of_the_page_has_its_result() -> None:
    assert len(FOUND) == PAGE.count("```sql\n")
    headings = re.findall(r"^### (\d+)\. ", PAGE, re.MULTILINE)
    assert headings == [str(number) for number in range(1, 11)]
    for section in re.split(r"^### \d+\. .*$", PAGE, flags=re.MULTILINE)[1:]:
        assert patterns.read(section), section[:60]


def test_a_result_as_it_is_printed() -> None:
    pattern = patterns.read(f"{ONE}| n |\n|---|\n\nText | with a bar\n")[0]
    assert (pattern.table, pattern.line) == ("| n |\n|---|\n", 4)
    with duckdb.connect() as connection:
        table = patterns.answer(connection, pattern.sql, "")
        shares = patterns.answer(
            connection, "select 1234567 as n, 31.0::double as d, 9.6544::double as e", ""
        )
    assert table == (
        "| n | name | price | ok | gone |\n|--:|---|--:|---|--:|\n| 1 | a\\|b | 2.50 | true | NULL |\n"
    )
    assert shares.splitlines()[2] == "| 1,234,567 | 31 | 9.65 |"


def home_with_two(demo_year: DemoYear, folder: Path) -> Path:
    """A home in which the same publication lies twice, as after two nights."""
    for name in ("2017-12-30_1", "2017-12-31_2"):
        (folder / "publications" / name).mkdir(parents=True)
        for file in ("manifest.json", "kehu.duckdb"):
            shutil.copyfile(
                demo_year.home / "published" / file, folder / "publications" / name / file
            )
    (folder / "published").symlink_to(Path("publications") / name)
    return folder


@pytest.fixture(scope="module")
def answers(
    demo_year: DemoYear, tmp_path_factory: pytest.TempPathFactory
) -> dict[int, list[list[str]]]:
    """Head and rows of each query by its line, on a third of the demo's households."""
    home = home_with_two(demo_year, tmp_path_factory.mktemp("two"))
    connection, previous = patterns.connect(home)
    assert previous.endswith("2017-12-30_1")
    found = {p.line: cells(patterns.answer(connection, p.sql, previous)) for p in FOUND}
    connection.close()
    return found


def cells(table: str) -> list[list[str]]:
    lines = [line.strip("|").split("|") for line in table.splitlines()]
    return [[cell.strip() for cell in line] for line in [lines[0], *lines[2:]]]


def number(text: str) -> Decimal:
    return Decimal(text.replace(",", ""))


@pytest.mark.answers
@pytest.mark.parametrize("pattern", FOUND, ids=lambda p: f"line {p.line}")
def test_a_query_gives_the_columns_that_are_printed(
    pattern: patterns.Pattern, answers: dict[int, list[list[str]]]
) -> None:
    found = answers[pattern.line]
    assert found[0] == cells(pattern.table)[0]
    # a third of the households: one may be missing, and a store may be too small to say anything
    assert len(found) > 1 or "H000763" in pattern.sql or "is_churn_rate_small_n" in pattern.sql


@pytest.mark.answers
def test_the_wrong_way_gives_another_number(answers: dict[int, list[list[str]]]) -> None:
    head, *rows = next(rows for rows in answers.values() if rows[0][0] == "mistake")
    assert head == ["mistake", "wrong", "right"] and len(rows) == 8
    assert [row[0] for row in rows if number(row[1]) == number(row[2])] == []


@pytest.mark.answers
def test_what_is_left_out_only_grows(answers: dict[int, list[list[str]]]) -> None:
    _, *rows = next(rows for rows in answers.values() if rows[0][0] == "what")
    assert [row[0] for row in rows][::3] == ["all receipts", "not excluded: ranked"]
    sales = [number(row[1]) for row in rows]
    assert sales == sorted(sales, reverse=True) and sales[0] > sales[-1]


@pytest.mark.answers
def test_the_printed_results_are_those_of_the_demo() -> None:
    """And a changed figure is found."""
    manifest = DEMO / "published" / "manifest.json"
    if not manifest.exists() or not patterns.is_demo(json.loads(manifest.read_text())):
        pytest.skip(f"no demo is published in {DEMO}: `make demo`, or KEHU_DEMO_HOME")
    assert [pattern.line for pattern, _ in patterns.differences(PAGE, DEMO)] == []
    spoilt = PAGE.replace("| 2,469 |", "| 2,470 |", 1)
    assert len(list(patterns.differences(spoilt, DEMO))) == 1
