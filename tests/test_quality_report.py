"""The quality report: what it says, and what it must not say."""

from __future__ import annotations

import re
import shutil
from typing import Any

import pytest
from houses import AS_OF, VALID, House, valid
from typer.testing import CliRunner

from kehu import quality_report
from kehu.cli import app

PII = ("name", "phone", "email", "address", "birth_date")
PERSON = tuple(VALID["member"][name] for name in PII)


@pytest.fixture
def taken_in(house: House) -> House:
    """A night with a bad row in sales and in members, a refused file of members, and doubled receipts."""
    receipts = [valid("sales_line", receipt_no=f"R{n}") for n in range(30)]
    receipts[4] = receipts[4] | {"qty": "viel <b>", "receipt_no": "R<4>"}
    house.drop("sales_line", receipts)
    members = [valid("member", member_id=f"M{n}") for n in range(30)]
    members[2]["gender"] = "?"
    house.drop("member", members)
    house.drop("member", "M1,王芳,13800138000\nM2,李雷,13900139000\n", "headless.csv")
    house.drop("store", [valid("store")])
    house.take_in(expectations=True)
    return house


def page(house: House, error: str | None = None) -> str:
    return quality_report.write(house.settings, AS_OF, error).read_text(encoding="utf-8")


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html.partition("<body>")[2]))


def test_it_says_what_was_found(taken_in: House) -> None:
    html = page(taken_in)
    text = text_of(html)
    assert "Not published 未发布 Nothing is published yet." in text
    assert "sales_line · type:qty · 1 row " in text and "member · allowed:gender · 1 row " in text
    assert "line_no store_code business_date till_no receipt_no line_no" in text
    assert "viel &lt;b&gt;" in html and "viel <b>" not in html
    # failed checks: observed beside expected
    assert "observed_twin_receipts = 29" in text
    assert "many are a file written twice" in text
    # files: the refused one first, with what refused it
    files = text.partition("Files 文件")[2]
    assert files.index("member/headless.csv REFUSED") < files.index("sales_line/a.csv UNVERIFIED")
    assert re.search(r"2017-03-31 4 61 2 \(3.28%\) 1 ", text.partition("The last nights")[2])


def test_no_personal_data_is_in_it(taken_in: House) -> None:
    held = taken_in.query("select name, phone from pii.member limit 1")
    assert held == [PERSON[:2]]
    raw = taken_in.query("select raw_text from quarantine.row where feed = 'member'")
    assert "王芳" in raw[0][0]
    html = page(taken_in, "kehu night, after gate: CheckFailed: audit")
    assert [p for p in (*PERSON, "李雷", "13900139000") if p in html] == []
    shutil.rmtree(taken_in.settings.batches)  # retention: samples without the typed rows
    html = page(taken_in)
    assert [p for p in (*PERSON, "李雷", "13900139000") if p in html] == []
    assert "viel &lt;b&gt;" in html, "raw text of a feed without personal data"


def test_it_opens_offline(taken_in: House) -> None:
    html = page(taken_in)
    assert re.findall(r"https?://|<script|<link|<img|@import|url\(", html) == []
    latest = quality_report.folder_of(taken_in.settings) / "quality-latest.html"
    assert latest.read_text(encoding="utf-8") == html
    assert latest.readlink().name == "quality-2017-03-31.html"


def test_a_failed_night_says_why(taken_in: House) -> None:
    html = page(taken_in, "kehu night, after score: CheckFailed: <marts> fail")
    assert "CheckFailed: &lt;marts&gt; fail" in html
    assert "The marts of this night were not built" in html


def test_a_report_that_can_not_be_written_is_noted_and_nothing_more(house: House) -> None:
    quality_report.try_write(house.settings, AS_OF, "run")
    told = (house.settings.log / "steps.jsonl").read_text()
    assert "quality_report" in told and "does not exist yet" in told


def test_the_command(taken_in: House, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = CliRunner()
    done = runner.invoke(app, ["quality", "--as-of", "2017-03-31"])
    assert done.exit_code == 0, done.output
    assert done.output.strip().endswith("reports/quality-2017-03-31.html")
    done = runner.invoke(app, ["quality"])
    assert done.exit_code == 1


def test_the_trend_goes_back_fourteen_nights(house: House) -> None:
    rows: list[dict[str, Any]] = []
    for day in range(1, 17):
        house.drop("store", [valid("store", store_code=f"S{day}")], f"{day}.csv")
        house.take_in(as_of=AS_OF.replace(day=day))
    rows = quality_report.collect(house.settings, AS_OF.replace(day=16), None)["trend"]
    assert [r["as_of_date"].day for r in rows] == list(range(3, 17))
    assert {r["bar"] for r in rows} == {100}
