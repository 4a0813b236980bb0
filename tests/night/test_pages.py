"""Pages of a publication come with it, and can not lose it: not made, too slow, killed, they are told."""

from __future__ import annotations

import json
import os
import shutil
from datetime import date
from pathlib import Path

import duckdb
import pytest
import readback
from history import LAST
from nights import marts_of

from kehu import night as steps
from kehu import publish
from kehu.journal import read_journal
from kehu.report import furnish
from kehu.settings import Settings

pytestmark = pytest.mark.nights


@pytest.fixture
def home(bulk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a published home that a test may spoil, with pages."""
    copy = tmp_path / "home"
    shutil.copytree(bulk, copy, symlinks=True)
    for name, value in (("HOME", copy), ("LANDING", tmp_path / "landing"), ("PAGES", 1)):
        monkeypatch.setenv(f"KEHU_{name}", str(value))
    monkeypatch.setenv("KEHU_TIMEZONE", "Asia/Shanghai")
    return copy


def published(home: Path) -> str:
    run_id = json.loads((home / "published" / "manifest.json").read_text())["run_id"]
    return str(steps.publish(LAST, run_id)["publication"])


def told(settings: Settings) -> list[str]:
    """What the operator was told of pages."""
    return [
        line
        for entry in read_journal(settings)
        if entry["step"] == "alert:log"
        for line in entry.get("lines", [])
        if line.startswith("- ") and ".html" in line
    ]


def test_a_publication_has_its_pages(home: Path) -> None:
    """Also of a small house without members' history, surveys or complaints enough for a rate."""
    identity = published(home)
    folder = home / "publications" / identity
    assert {"index.html", "report.html", "quality.html"} <= {p.name for p in folder.iterdir()}
    assert list(folder.glob(".*")) == [], "nothing half made"
    page, report = (folder / "index.html").read_text(), (folder / "report.html").read_text()
    assert identity in page and identity in report
    assert f"Publication {identity}" in (folder / "quality.html").read_text()
    links = [a.get("href") for a in readback.parsed(page).find_class("links")[0].iter("a")]
    assert {"report.html", "quality.html"} <= set(links)
    assert all((folder / link).exists() for link in links)
    with duckdb.connect(str(marts_of(home)), read_only=True) as connection:
        for html in (page, report):
            assert readback.untrue(html, connection) == []
            assert readback.misread(html) == []
            assert readback.loose(html) == []
    assert "王17" not in page + report and "13800000017" not in page + report
    assert told(Settings()) == []
    facts = [e for e in read_journal(Settings()) if e["step"] == "publish" and e["state"] == "end"]
    assert facts[-1]["pages"]["index.html"]["bytes"] == len(page.encode())


@pytest.mark.parametrize(
    ("breaking", "reason"),
    [
        ("drop table marts.mart_scorecard", "mart_scorecard"),
    ],
)
def test_a_page_that_can_not_be_made_costs_no_publication(
    home: Path, breaking: str, reason: str
) -> None:
    with duckdb.connect(str(home / "marts.duckdb")) as connection:
        connection.execute(f"use marts.{breaking.split()[-1].partition('.')[0]}")
        connection.execute(breaking.replace("table ", "table marts."))
    identity = published(home)
    settings = Settings()
    manifest = publish.current_manifest(settings)
    assert manifest is not None and manifest["publication"] == identity
    lines = told(settings)
    assert any("index.html" in line and reason in line for line in lines)
    page = (home / "published" / "index.html").read_text()
    assert identity in page and "could not be made" in page and 'href="quality.html"' in page


def test_a_page_that_takes_too_long_is_given_up(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEHU_PAGE_SECONDS", "0.01")
    identity = published(home)
    assert publish.publications(Settings())[-1] == identity
    assert any("not done after 0.01 s" in line for line in told(Settings()))
    assert "could not be made" in (home / "published" / "index.html").read_text()


def test_a_process_that_dies_over_a_page_costs_a_page(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed, as the kernel does where memory runs out."""
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nkill -9 $$\n")
    program.chmod(0o755)
    monkeypatch.setattr(furnish.sys, "executable", str(program))
    identity = published(home)
    assert os.readlink(home / "published") == f"publications/{identity}"
    assert any("the process ended with -9" in line for line in told(Settings()))


def test_without_pages_there_are_none(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEHU_PAGES", "0")
    published(home)
    assert sorted(p.name for p in (home / "published").glob("*.html")) in ([], ["docs.html"])
    assert told(Settings()) == []


def test_the_page_is_of_the_date_that_is_published(home: Path) -> None:
    published(home)
    page = readback.parsed((home / "published" / "index.html").read_text())
    assert date.fromisoformat(next(page.iter("time")).text) == LAST
