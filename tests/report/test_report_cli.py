"""`kehu report`: where nothing is published, where something is, and where it can not be made."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest
from report.small import AS_OF, write
from typer.testing import CliRunner

from kehu.cli import app
from kehu.report import furnish
from kehu.settings import Settings


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A publication of a few rows; the pictures find no marts in it."""
    home = tmp_path / "var"
    write(home / "publications" / "one")
    manifest = home / "publications" / "one" / "manifest.json"
    content = json.loads(manifest.read_text()) | {"publication": "one"}
    manifest.write_text(json.dumps(content))
    (home / "published").symlink_to("publications/one")
    monkeypatch.setenv("KEHU_HOME", str(home))
    return home


def test_nothing_is_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEHU_HOME", str(tmp_path))
    done = CliRunner().invoke(app, ["report"])
    assert done.exit_code == 1 and "nothing is published yet" in done.output


def test_it_says_where_they_lie(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kehu.report.drawing.PICTURES", {})
    done = CliRunner().invoke(app, ["report"])
    assert done.exit_code == 0, done.output
    for name in ("report.html", "index.html"):
        assert str(published / "published" / name) in done.output
        assert "惠民超市" in (published / "published" / name).read_text()
    assert AS_OF.isoformat() in done.output


def test_a_picture_that_can_not_be_drawn_costs_that_picture(published: Path) -> None:
    """The marts of the pictures are not there; the numbers and the rest of the page are."""
    done = CliRunner().invoke(app, ["report"])
    assert done.exit_code == 1 and "picture pyramid: " in done.output
    assert "Traceback" not in done.output
    page = (published / "published" / "index.html").read_text()
    assert "此图未能绘制" in page and "14.3%" in page


def test_a_page_that_can_not_be_made_is_told_in_words(
    published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kehu.report.drawing.PICTURES", {})
    with duckdb.connect(str(published / "published" / "kehu.duckdb")) as connection:
        connection.execute("drop table marts.mart_report")
    done = CliRunner().invoke(app, ["report"])
    assert done.exit_code == 1 and "index.html: " in done.output and "mart_report" in done.output
    assert "Traceback" not in done.output


def test_the_night_is_told_and_words_stand_in_for_the_page(published: Path) -> None:
    folder = published / "publications" / "one"
    manifest = json.loads((folder / "manifest.json").read_text())
    made, causes = furnish.furnish(Settings(page_seconds=0.01, pages=True), folder, manifest)
    assert made == {} and {c.kind for c in causes} == {"PAGE"}
    assert any("not done after 0.01 s" in c.text for c in causes)
    assert "could not be made" in (folder / "index.html").read_text()
    assert furnish.furnish(Settings(pages=False), folder, manifest) == ({}, [])
