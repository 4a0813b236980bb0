"""The picture of the star and the bus matrix: what is read of the manifest, and whether data agree."""

from __future__ import annotations

import copy
import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from demo_year import DemoYear

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT / "scripts") not in sys.path:
    sys.path.append(str(ROOT / "scripts"))

import lint_models as lint  # noqa: E402
import star  # noqa: E402


def _node(name: str, columns: dict[str, str], kind: str = "model", **more: Any) -> dict[str, Any]:
    """A table of core; a type that ends with `!` is NOT NULL, one with `?` no key (joins: none)."""
    return {
        "resource_type": kind,
        "name": name,
        "schema": "core",
        "description": f"One row per {name.partition('_')[2]}. And more.",
        "config": {"materialized": "table", "meta": {"zh": f"{name}维度"}},
        "columns": {
            column: {
                "data_type": of.rstrip("!?"),
                "constraints": [{"type": "not_null"}] if of.endswith("!") else [],
                "config": {"meta": {"joins": "none"} if of.endswith("?") else {}},
            }
            for column, of in columns.items()
        },
    } | more


def _unique(model: str, column: str) -> dict[str, Any]:
    return {
        "resource_type": "test",
        "name": f"unique_{model}",
        "schema": "tests",
        "config": {},
        "test_metadata": {"name": "unique"},
        "attached_node": f"model.kehu.{model}",
        "column_name": column,
    }


@pytest.fixture
def manifest() -> dict[str, Any]:
    tables = [
        _node("dim_shop", {"shop_key": "bigint!"}),
        _node("dim_shop_history", {"shop_key": "bigint!"}),
        _node("dim_date", {"date_on": "date!"}),
        _node("dim_reason", {"reason_code": "string!"}),
        _node(
            "fct_sale",
            {
                "sale_key": "bigint!", "shop_key": "bigint!", "sold_on": "date!", "paid_on": "date",
                "valid_from": "date!", "reason_code": "string?",
            },
        ),
        _node(
            "fct_refund",
            {"home_shop_key": "bigint", "sale_key": "bigint", "reason_code": "string!"},
        ),
        _node("stg_sale", {"shop_key": "bigint!"}, schema="staging"),
        _unique("dim_shop", "shop_key"),
        _unique("dim_date", "date_on"),
        _unique("dim_reason", "reason_code"),
        _unique("fct_sale", "sale_key"),
    ]  # fmt: skip
    source = _node("fct_score", {"shop_key": "bigint", "as_of_date": "date"}, "source")
    return {"nodes": {t["name"]: t for t in tables}, "sources": {"fct_score": source}}


def test_joins_by_name_type_and_contract(manifest: dict[str, Any]) -> None:
    dimensions, facts = star.read(manifest)
    assert {d.name: (d.key, d.history) for d in dimensions.values()} == {
        "dim_shop": ("shop_key", "dim_shop_history"),
        "dim_date": ("date_on", ""),
        "dim_reason": ("reason_code", ""),
    }
    assert set(facts) == {"fct_sale", "fct_refund", "fct_score"}
    assert facts["fct_sale"].joins == {
        "dim_shop": star.Join(("shop_key",), False),
        "dim_date": star.Join(("sold_on", "paid_on"), False),
    }
    assert facts["fct_refund"].joins == {
        "dim_shop": star.Join(("home_shop_key",), True),
        "dim_reason": star.Join(("reason_code",), False),
    }
    assert facts["fct_refund"].drills == {"fct_sale": star.Join(("sale_key",), True)}
    assert facts["fct_score"].joins == {"dim_shop": star.Join(("shop_key",), False)}


def test_the_matrix(manifest: dict[str, Any]) -> None:
    text = star.matrix(*star.read(manifest))
    assert text.splitlines()[0] == "| Fact | One row per | shop | date | reason |"
    assert "| `fct_refund` | refund | ○ |  | ● |" in text
    assert "| `fct_sale` | sale | ● | ● |  |" in text


def test_a_dimension_keeps_its_place_and_two_share_one_only_apart(manifest: dict[str, Any]) -> None:
    for number in range(9):
        manifest["nodes"][f"dim_{number}"] = _node(f"dim_{number}", {f"k{number}_key": "bigint!"})
        manifest["nodes"][f"u_{number}"] = _unique(f"dim_{number}", f"k{number}_key")
    apart = copy.deepcopy(manifest)
    columns = {f"k{n}_key": "bigint!" for n in range(9)}
    apart["nodes"]["fct_a"] = _node("fct_a", dict(list(columns.items())[:8]))
    apart["nodes"]["fct_b"] = _node("fct_b", dict(list(columns.items())[8:]))
    dimensions, facts = star.read(apart)
    where = star.places(dimensions, facts)
    for fact in facts.values():
        assert len({where[name] for name in fact.joins}) == len(fact.joins)
    manifest["nodes"]["fct_a"] = _node("fct_a", columns)
    with pytest.raises(SystemExit, match="no place is left"):
        star.places(*star.read(manifest))


def test_the_picture_is_svg_with_every_box(manifest: dict[str, Any]) -> None:
    tree = ET.fromstring(star.draw(*star.read(manifest)))
    said = {"".join(text.itertext()) for text in tree.iter("{http://www.w3.org/2000/svg}text")}
    assert {"fct_sale", "fct_refund", "fct_score", "sold_on +1", "home_shop_key"} <= said
    assert "sale_key? → fct_sale" in said
    assert "fct_refund: dim_reason, dim_shop." in str(tree.findtext(".//*[@id='about']"))


def test_a_stale_picture_or_matrix_is_found(manifest: dict[str, Any], tmp_path: Path) -> None:
    dimensions, facts = star.read(manifest)
    (tmp_path / "docs").mkdir()
    page = f"# Page\n\n{star.BEGIN}\nold\n{star.END}\n\nmore\n"
    (tmp_path / star.PAGE).write_text(page)
    assert len(star.check(manifest, tmp_path)) == 2
    (tmp_path / star.PICTURE).write_text(star.draw(dimensions, facts))
    (tmp_path / star.PAGE).write_text(star.with_matrix(page, star.matrix(dimensions, facts)))
    assert star.check(manifest, tmp_path) == []
    assert (tmp_path / star.PAGE).read_text().endswith("\n\nmore\n")
    manifest["nodes"]["fct_sale"]["columns"]["shop_key"]["constraints"] = []
    assert len(star.check(manifest, tmp_path)) == 2
    with pytest.raises(SystemExit, match="lacks the marks"):
        star.with_matrix("# Page\n", "")


# ------------------------------------------------------------------------------ against real data


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str, str, str, bool]]:
    """Each line of the real picture: fact, column, dimension, its key, whether it is dashed."""
    manifest = lint.compile_for_spark(tmp_path_factory.mktemp("star"), incremental=False)
    dimensions, facts = star.read(manifest)
    keys = {name: d.key for name, d in dimensions.items()} | star._keys(manifest)
    return [
        (fact.name, column, target, keys[target], join.is_optional or number > 0)
        for fact in facts.values()
        for target, join in [*fact.joins.items(), *fact.drills.items()]
        for number, column in enumerate(join.columns)
    ]


@pytest.fixture(scope="module")
def published(demo_year: DemoYear) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(demo_year.marts), read_only=True) as connection:
        yield connection


@pytest.mark.answers
def test_each_line_joins_in_published_data(
    lines: list[tuple[str, str, str, str, bool]], published: duckdb.DuckDBPyConnection
) -> None:
    """A solid line loses no row in an inner join, and no line meets a key twice or a key unknown."""
    assert len(lines) >= 50
    for fact, column, target, key, is_optional in lines:
        rows, nothing, met = published.execute(
            f"select (select count(*) from core.{fact}), "
            f"(select count(*) from core.{fact} where {column} is null), "
            f"(select count(*) from core.{fact} as f join core.{target} as d on d.{key} = f.{column})"
        ).fetchall()[0]
        assert rows - nothing == met, f"{fact}.{column} → {target}"
        assert is_optional or nothing == 0, f"{fact}.{column} is drawn as never NULL"


@pytest.mark.answers
def test_no_key_is_left_out_of_the_picture(
    lines: list[tuple[str, str, str, str, bool]], published: duckdb.DuckDBPyConnection
) -> None:
    drawn = {(fact, column) for fact, column, *_ in lines}
    columns = published.execute(
        "select table_name, column_name from information_schema.columns where table_schema = 'core' "
        "and table_name like 'fct%' and table_name not like '%_history'"
    ).fetchall()
    left = {
        (fact, column)
        for fact, column in columns
        if re.search(r"(_key|^customer_id|^as_of_date)$", column) and (fact, column) not in drawn
    }
    assert left == {
        ("fct_receipt", "receipt_key"),  # of the rows themselves
        ("fct_receipt", "completed_by_receipt_key"),
        ("fct_survey_answer", "answer_key"),
    }
