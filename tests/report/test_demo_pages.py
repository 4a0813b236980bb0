"""Report and page of the demo's year: every number and every picture against the marts."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pytest
import readback
import yaml

from kehu.report.pictures import PICTURES

pytestmark = pytest.mark.answers

ROOT = Path(__file__).resolve().parents[2]
FILES = ("report.html", "index.html")


@pytest.fixture(scope="module")
def connection(shown: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(shown / "kehu.duckdb"), read_only=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def definitions() -> dict[str, set[str]]:
    """The metric ids that each model's YAML gives the model or its columns."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in (ROOT / "models").rglob("*.yml"):
        for model in yaml.safe_load(path.read_text()).get("models", []):
            for part in (model, *model.get("columns", [])):
                named = part.get("config", {}).get("meta", {}).get("definition", [])
                found[model["name"]] |= set([named] if isinstance(named, str) else named)
    return found


def as_of(folder: Path) -> date:
    return date.fromisoformat(json.loads((folder / "manifest.json").read_text())["as_of_date"])


@pytest.mark.definition("R1")
@pytest.mark.parametrize("name", FILES)
def test_every_number_is_traced(
    shown: Path,
    connection: duckdb.DuckDBPyConnection,
    definitions: dict[str, set[str]],
    name: str,
) -> None:
    """By the query shown for it, and by its metric id in its mart; to the eye it is the same number."""
    html = (shown / name).read_text()
    numbers = readback.numbers(html)
    assert len(numbers) > 1000
    assert {n.picture for n in numbers if n.picture} >= {"pyramid", "rfm_heat_map", "nps_by_store"}
    assert readback.untrue(html, connection) == []
    assert readback.untraced(html, connection, as_of(shown), definitions) == []
    assert readback.misread(html) == []
    assert readback.loose(html) == []
    assert readback.uncaptioned(html, connection, as_of(shown)) == []


@pytest.mark.parametrize("name", FILES)
def test_a_change_in_the_marts_is_seen(shown: Path, tmp_path: Path, name: str) -> None:
    html = (shown / name).read_text()
    with duckdb.connect(str(tmp_path / "other.duckdb")) as other:
        other.execute(f"attach '{shown / 'kehu.duckdb'}' as kehu (read_only)")
        other.execute("create schema marts; create schema core")
        for schema, table in other.execute(
            "select table_schema, table_name from information_schema.tables "
            "where table_catalog = 'kehu' and table_schema in ('core', 'marts')"
        ).fetchall():
            if table != "mart_report":
                other.execute(f"create view {schema}.{table} as from kehu.{schema}.{table}")
        other.execute("create table marts.mart_report as from kehu.marts.mart_report")
        assert readback.untrue(html, other) == []
        other.execute("update marts.mart_report set value = value + 1 where is_latest and rank = 1")
        wrong = readback.untrue(html, other)
    assert len(wrong) >= 2 and all("column='value'" in line for line in wrong)


def test_every_picture_is_there_in_both_languages(shown: Path) -> None:
    root = readback.parsed((shown / "report.html").read_text())
    drawn = [(f.get("data-picture"), f.find(".//svg") is not None) for f in root.iter("figure")]
    assert sorted(drawn) == sorted((name, True) for name in PICTURES for _ in range(2))


def test_problems_are_those_of_the_marts(
    shown: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    """None is invented, none is left out, and each has its advice, owner, time and success KPI."""
    root = readback.parsed((shown / "report.html").read_text())
    article = root.find_class("in-en")[0]
    told = [p.find("h3").text_content() for p in article.find_class("problem")]
    wrong = connection.execute(
        "select distinct problem_no, k.name_en from marts.mart_report join core.kpi as k using (kpi) "
        "where is_latest and section = 'PROBLEM' and not is_evidence order by 1"
    ).fetchall()
    assert [t for t in told if t.startswith("Problem")] == [f"Problem {n} · {k}" for n, k in wrong]
    advice = connection.execute(
        "select action_en from marts.mart_report where is_latest and section = 'ADVICE' order by rank"
    ).fetchall()
    given = article.find_class("advice")
    assert [re.sub(r"^\d+ · |\.$", "", a.find("h3").text_content()) for a in given] == [
        a for (a,) in advice
    ]
    for card in given:
        text = card.text_content()
        assert "Owner: " in text and "Due: " in text and "Success shows in: " in text


def test_every_word_is_known(shown: Path) -> None:
    """No code of the marts is shown to a manager for want of a word."""
    for name in FILES:
        root = readback.parsed((shown / name).read_text())
        for element in root.xpath("//pre | //code | //script | //style"):
            readback._cut(element)
        codes = re.findall(r"\b[A-Z]{3,}(?:_[A-Z0-9]+)+\b", root.text_content())
        assert codes == []


def test_pages_are_light(shown: Path) -> None:
    assert (shown / "index.html").stat().st_size < 6_000_000
    assert (shown / "report.html").stat().st_size < 2_000_000
