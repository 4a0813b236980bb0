"""`kehu explain`, `kehu ask`, and the commands of the quarantine as an operator types them."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest
from houses import House, Row, valid
from typer.testing import CliRunner

from kehu import corrections, night
from kehu.cli import app
from kehu.errors import KehuError
from kehu.questions import read_questions
from kehu.settings import PROJECT
from kehu.story import story

RUNNER = CliRunner()


def line(number: int, **changes: str) -> Row:
    return valid("sales_line", receipt_no=f"R{number}", batch_no="", **changes)


def kehu(*arguments: str, code: int = 0) -> str:
    done = RUNNER.invoke(app, list(arguments))
    assert done.exit_code == code, done.output
    return str(done.output)


def told(house: House, named: str, *expected: str) -> list[str]:
    lines = story(house.settings, named)
    for text in expected:
        assert any(text in line for line in lines), f"{text!r} is not in\n" + "\n".join(lines)
    return lines


@pytest.mark.usefixtures("clock")
def test_the_story_of_a_batch_from_its_arrival_to_what_counts_now(house: House) -> None:
    promised = {"rows": 40, "control_sum": "400.00", "generated_at": "2017-04-01T01:00:00"}
    rows = [line(i) for i in range(40)]
    rows[7]["qty"] = "two"
    rows[8]["gross_amount"] = "¥12.00"
    columns = [*rows[0], "weather"]
    path = house.drop("sales_line", rows, "shop/a.csv", promised, "gb18030", columns)
    batch = house.take_in()[path]["batch_id"]
    size = (house.settings.landing / path).stat().st_size
    lines = told(
        house,
        batch,
        f"sales_line/shop/a.csv of feed sales_line, batch {batch}",
        f"arrived 2017-04-01 03:00:00, {size:,} bytes, sha256 ",
        "read as csv, gb18030; 27 columns",
        "columns that the contract does not know: weather",
        "its manifest says: 40 rows (found 40); control sum 400.00 (found 400.00); "
        "made 2017-04-01 01:00:00",
        "LOADED, loaded 2017-04-01 03:00:00 by run ",
        "40 rows in = 39 loaded + 1 quarantined",
        "in quarantine by type:qty (qty is decimal(12,3)): 1 open, first line 9",
        "repaired gross_amount by currency: 1 rows, first line 10",
        "store-days CURRENT: 1 with 39 rows, 2017-03-31 to 2017-03-31",
        "in no publication that is kept",
    )
    for named in (path, f"landing/{path}"):
        assert story(house.settings, named) == lines

    corrections.discard(house.settings, batch, "typed twice", "li", lines=[9])
    told(house, batch, "discarded 1 rows, lines 9, by li on 2017-04-01 03:00:00: typed twice",
         "decided, but not loaded yet")  # fmt: skip
    house.take_in()
    told(
        house, batch, "in quarantine by type:qty (qty is decimal(12,3)): 1 discarded, first line 9"
    )

    newer = {"generated_at": "2017-04-02T01:00:00"}
    second = house.drop("sales_line", [line(1)], "b.csv", newer)
    house.take_in()
    told(house, path, "store-days REPLACED: 1 with 39 rows",
         "S1 2017-03-31: replaced; what counts is sales_line/b.csv (made 2017-04-02 01:00:00)")  # fmt: skip
    instead = "instead of sales_line/shop/a.csv (made 2017-04-01 01:00:00), replaced"
    told(house, second, "its manifest says: made 2017-04-02", f"S1 2017-03-31: counts, {instead}")


def test_the_story_outlives_the_files_that_may_be_cleared(house: House) -> None:
    path = house.drop("store", [valid("store")], encoding="gb18030")
    batch = house.take_in()[path]["batch_id"]
    shutil.rmtree(house.settings.batches)
    shutil.rmtree(house.settings.landing)
    told(house, batch, "read as gb18030", "no manifest says", "1 rows in = 1 loaded")


def test_the_story_of_a_file_that_was_refused_before_it_was_read(house: House) -> None:
    house.drop("store", [valid("store")], "good.csv")
    path = house.drop("store", "store_code,name\nS1,x\n")
    house.take_in()
    lines = told(
        house, path, "REFUSED", "required column(s) missing: format, is_test", "failed check header"
    )
    assert not any("store-days" in line for line in lines)


def test_the_story_of_several_files_of_one_name(house: House) -> None:
    path = house.drop("store", [valid("store")])
    first = house.take_in()[path]["batch_id"]
    house.drop("store", [valid("store", name="新")])
    second = house.take_in()[path]["batch_id"]
    assert first != second
    told(house, path, f"batch {second}", f"under the same path came before: {first}")
    copy = house.drop("store", [valid("store", name="新")], "copy.csv")
    house.take_in()
    told(house, second, f"came again as {copy} on ", "skipped")


def test_waivers_and_what_never_came_are_told(house: House) -> None:
    rows = [valid("store", store_code=f"S{i}", is_test="?" if i < 10 else "0") for i in range(100)]
    path = house.drop("store", rows)
    batch = house.take_in()[path]["batch_id"]
    night.waive(batch, ["reject_limit"], "known shops", "li")
    told(house, batch, "waived reject_limit by li on ", "known shops")
    with pytest.raises(KehuError, match=r"no batch 'store/z\.csv' in the ledger, and no file"):
        story(house.settings, "store/z.csv")


# --- the commands -----------------------------------------------------------------------------


def test_an_operator_exports_corrects_and_releases(house: House, tmp_path: Path) -> None:
    rows = [valid("member", member_id=f"M{i}", name=f"王{i}") for i in range(40)]
    rows[7]["gender"] = "W"
    path = house.drop("member", rows)
    batch = house.take_in()[path]["batch_id"]
    file = tmp_path / "fix.csv"
    text = kehu("quarantine", "export", batch, "--to", str(file))
    assert "1 rows in" in text and "personal data: it holds name" in text
    given = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8-sig"))))
    given[0]["gender"] = "F"
    out = io.StringIO()
    writer = csv.DictWriter(out, list(given[0]))
    writer.writeheader()
    writer.writerows(given)
    file.write_text(out.getvalue(), encoding="utf-8-sig")
    release = ["quarantine", "release", batch, str(file)]
    assert "needs --reason" in kehu(*release, "--later", code=1)
    reason = ["--reason", "read from the form"]
    assert "nothing is published yet, so name the date" in kehu(*release, *reason, code=1)
    assert "1 rows released (1 cells changed), 0 left as they were" in kehu(
        *release, *reason, "--later"
    )
    assert f"decided, but not loaded yet: {batch}" in kehu("quarantine", "list")
    house.take_in()
    assert "no row is quarantined" in kehu("quarantine")
    assert house.query("select gender from raw.member where member_id = 'M7'") == [("F",)]
    assert house.query("select name from pii.member where member_id = 'M7'") == [("王7",)]
    undo = ["quarantine", "undo", batch, "--line", "9", "--reason", "wrong form", "--later"]
    assert "1 decisions taken back" in kehu(*undo)
    house.take_in()
    assert house.query("select 1 from raw.member where member_id = 'M7'") == []
    discard = ["quarantine", "discard", batch, "--line", "9", "--reason", "moved away", "--later"]
    assert "1 rows discarded" in kehu(*discard)
    house.take_in()
    assert ": moved away" in kehu("quarantine", "show", batch)
    assert "--line N" in kehu("quarantine", "discard", batch, "--reason", "x", "--later", code=1)


def test_questions_are_listed_asked_and_unknown_ones_refused(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = kehu("ask")
    for question in read_questions(PROJECT).values():
        assert f"{question.number:>2}  {question.title[:40]}" in text
    assert "no question 99; there are 1, 2" in kehu("ask", "99", code=1)
    assert "nothing is published yet" in kehu("ask", "1", code=1)
    folder = tmp_path / "p" / "dbt_project" / "analyses" / "questions"
    folder.mkdir(parents=True)
    (folder / "q07_how_many.sql").write_text(
        "-- 7. How many?\n-- 中文：多少？\n-- Trap: counts twice.\n-- Definitions: V4\n"
        "select sum(n) as answer from marts.mart_x\n"
    )
    monkeypatch.setenv("KEHU_PROJECT", str(tmp_path / "p"))
    house.settings.published.mkdir(parents=True)
    with duckdb.connect(str(house.settings.published / "marts.duckdb")) as connection:
        connection.execute("create schema marts")
        connection.execute("create table marts.marts.mart_x as select 41 as n union all select 1")
    answer: Any = kehu("ask", "7")
    assert "How many?" in answer and "多少？" in answer and "Mind: counts twice." in answer
    assert "│ 42     │" in answer
    assert "select sum(n) as answer from marts.mart_x" in answer
    assert "Definitions: V4" in answer
    assert kehu("ask", "7", "--csv").splitlines() == ["answer", "42"]
    assert kehu("ask", "7", "--sql").splitlines()[-1] == "select sum(n) as answer from marts.mart_x"
    (folder / "README.md").write_text("| 8 | Whom to mail | no feed `consent` |\n")
    said = kehu("ask", "8", code=1)
    assert "question 8 (Whom to mail) is not answered yet: no feed `consent`" in said
    assert "not answered yet: 8" in kehu("ask")
    many = "select i as n, i * 2 as twice from range(50) as t(i) order by i"
    assert "and 48 more rows" in kehu("query", many, "--limit", "2")
    assert "more rows" not in kehu("query", many)
    assert kehu("query", many, "--csv").splitlines()[-1] == "49,98"
