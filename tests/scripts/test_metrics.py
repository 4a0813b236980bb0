"""docs/metrics.md: what stands on the page, and what keeps `make lint` from accepting it."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT / "scripts") not in sys.path:
    sys.path.append(str(ROOT / "scripts"))

import metrics  # noqa: E402

TITLES = """
definitions:
  V1: {title: Net sales, zh: 净销售额}
  V3: {title: Cost to serve, zh: 服务成本}
  P12: {title: Repair, zh: 修退换, waits: The feed aftersales_case brings the cases}
others:
  Q4: {title: Identity, zh: 身份}
feeds: {cost_rate: rates of activities}
"""
TEST = """
import pytest

@pytest.mark.definition("V1", "V3")
def test_sales(): ...
"""
SQL = """
with months as (select * from core.fct_month)
select
    customer_id,
    sales_a + sales_b as net_sales,
    row_number() over w as sales_rank,
    cast(null as decimal(18, 2)) as cost_to_serve,
    'NO_FEED' as cost_missing_reason
from months
window w as (order by sales_a)
"""


def _column(data_type: str, **facts: Any) -> dict[str, Any]:
    return {"data_type": data_type, "description": "What it is.", "config": {"meta": facts}}


def _node(kind: str, path: str, name: str, schema: str, **more: Any) -> dict[str, Any]:
    return {
        "resource_type": kind,
        "package_name": "kehu",
        "original_file_path": path,
        "name": name,
        "alias": name,
        "schema": schema,
        "description": "One row per customer. More of it.",
        "columns": {},
        "depends_on": {"nodes": []},
        "config": {"materialized": "table"},
    } | more


@pytest.fixture
def manifest() -> dict[str, Any]:
    """A project of one feed, one fact and one mart in which nothing is missing."""
    return {
        "metadata": {"project_name": "kehu"},
        "sources": {"source.sales": _node("source", "models/s.yml", "sales_line", "raw")},
        "nodes": {
            "model.month": _node(
                "model", "models/core/fct_month.sql", "fct_month", "core",
                depends_on={"nodes": ["source.sales"]},
                columns={name: _column("decimal(18, 2)") for name in ("sales_a", "sales_b")}
                | {"customer_id": _column("string")},
            ),
            "model.mart": _node(
                "model", "models/marts/value/mart_v.sql", "mart_v", "marts",
                depends_on={"nodes": ["model.month"]},
                compiled_code=SQL,
                columns={
                    "customer_id": _column("string", zh="客户号"),
                    "net_sales": _column("decimal(18, 2)", zh="净销售额", definition="V1"),
                    "sales_rank": _column("integer", zh="排名", definition=["V1"]),
                    "cost_to_serve": _column(
                        "decimal(18, 2)", zh="服务成本", definition="V3", needs_feed=["cost_rate"]
                    ),
                    "cost_missing_reason": _column("string", zh="缺失原因", definition="V3"),
                },
            ),
        },
        "unit_tests": {
            "u": {
                "name": "sales_add_up",
                "original_file_path": "models/marts/value/mart_v.yml",
                "config": {"meta": {"definition": "V1"}},
            }
        },
    }  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project folder with titles and one marked test."""
    for name, text in {"docs/definitions.yml": TITLES, "tests/a/test_v.py": TEST}.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_a_whole_page(manifest: dict[str, Any], root: Path) -> None:
    page = metrics.render(manifest, root)
    assert page.problems == []
    lines = page.text.splitlines()
    assert (
        '| <a id="v1"></a>V1 | Net sales | 净销售额 | [mart_v](#mart_v): `net_sales`, `sales_rank` | '
        "[sales_add_up](../models/marts/value/mart_v.yml), [test_sales](../tests/a/test_v.py) |"
    ) in lines
    assert (
        "| `net_sales` | 净销售额 | [V1](#v1) | money | `fct_month`: `sales_a`, `sales_b` |  |"
        in lines
    )
    assert "| `sales_rank` | 排名 | [V1](#v1) | rank | `fct_month`: `sales_a` |  |" in lines
    assert (
        "| `cost_to_serve` | 服务成本 | [V3](#v3) | money |  | "
        "`cost_missing_reason`, until cost_rate |"
    ) in lines
    assert "Feeds behind: sales_line. Keys and attributes: `customer_id` 客户号." in lines
    assert "| cost_rate | rates of activities | `mart_v.cost_to_serve` |" in lines
    assert "| [mart_v](#mart_v) | customer |" in lines
    assert "*The feed aftersales_case brings the cases.*" in page.text


def test_a_stale_page_is_refused(manifest: dict[str, Any], root: Path) -> None:
    stale = "docs/metrics.md is stale: `make metrics` writes it"
    assert metrics.check(manifest, root) == [stale]
    (root / metrics.PAGE).write_text(metrics.render(manifest, root).text, encoding="utf-8")
    assert metrics.check(manifest, root) == []
    manifest["nodes"]["model.mart"]["columns"]["net_sales"]["config"]["meta"]["zh"] = "销售"
    assert metrics.check(manifest, root) == [stale]


MART = "models/marts/value/mart_v.yml"


@pytest.mark.parametrize(
    ("column", "change", "problem"),
    [
        ("net_sales", {"definition": None}, f"{MART}: net_sales is a measure without"),
        ("net_sales", {"definition": "V99"}, "V99 is no definition, but mart_v names it"),
        ("net_sales", {"zh": ""}, f"{MART}: net_sales has no Chinese name"),
        ("cost_to_serve", {"needs_feed": ["moon"]}, "needs the feed 'moon'"),
    ],
)
def test_gaps_of_columns(
    manifest: dict[str, Any], root: Path, column: str, change: dict[str, Any], problem: str
) -> None:
    facts = manifest["nodes"]["model.mart"]["columns"][column]["config"]["meta"]
    facts |= change
    found = metrics.render(manifest, root).problems
    assert any(problem in each for each in found), found


def test_a_measure_without_unit(manifest: dict[str, Any], root: Path) -> None:
    columns = manifest["nodes"]["model.mart"]["columns"]
    columns["steepness"] = _column("decimal(9, 6)", zh="陡度", definition="V1")
    assert (
        f"{MART}: steepness has no unit; give meta.unit" in metrics.render(manifest, root).problems
    )
    columns["steepness"]["config"]["meta"]["unit"] = "per day"
    assert metrics.render(manifest, root).problems == []


def test_a_reason_is_asked_for_where_a_feed_is_missing(
    manifest: dict[str, Any], root: Path
) -> None:
    del manifest["nodes"]["model.mart"]["columns"]["cost_missing_reason"]
    found = metrics.render(manifest, root).problems
    assert f"{MART}: cost_to_serve waits for a feed, but no column says why it is NULL" in found


def test_definitions_without_column_or_test(manifest: dict[str, Any], root: Path) -> None:
    without = copy.deepcopy(manifest)
    for name in ("cost_to_serve", "cost_missing_reason"):
        without["nodes"]["model.mart"]["columns"][name]["config"]["meta"]["definition"] = "V1"
    found = metrics.render(without, root).problems
    assert "docs/definitions.yml: V3 (Cost to serve) has no mart column" in found
    (root / "tests/a/test_v.py").write_text("def test_nothing(): ...\n")
    found = metrics.render(manifest, root).problems
    assert "docs/definitions.yml: V3 (Cost to serve) has no test" in found
    (root / "tests/a/test_v.py").write_text(TEST.replace('"V3"', '"V3", "P12"'))
    manifest["nodes"]["model.mart"]["config"]["meta"] = {"definition": "P12"}
    found = metrics.render(manifest, root).problems
    assert "docs/definitions.yml: P12 waits for nothing: it has columns and tests" in found


@pytest.mark.parametrize(
    ("name", "data_type", "unit"),
    [
        ("is_late", "boolean", "yes/no"),
        ("count_visits", "integer", "count"),
        ("tenure_days", "integer", "days"),
        ("first_response_minutes", "bigint", "minutes"),
        ("share_pct", "decimal(9, 6)", "percent"),
        ("delta_pp", "decimal(9, 6)", "percentage points"),
        ("churn_rate", "decimal(9, 6)", "share 0..1"),
        ("churn_rate_lo", "decimal(9, 6)", "share 0..1"),
        ("expected", "decimal(18, 2)", "money"),
        ("expected_lo", "decimal(9, 6)", "money"),
        ("steepness", "decimal(9, 6)", ""),
        ("last_visit_on", "date", "date"),
    ],
)
def test_units_by_name_and_type(name: str, data_type: str, unit: str) -> None:
    columns = {name: _column(data_type), "expected": _column("decimal(18, 2)")}
    assert metrics.unit_of(name, columns[name], columns) == unit


def test_marks_of_classes_and_modules(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_x.py").write_text(
        'pytestmark = [pytest.mark.definition("L1")]\n'
        '@pytest.mark.definition("L2")\nclass TestY:\n    pass\n',
        encoding="utf-8",
    )
    found = metrics.pytest_tests(tmp_path / "tests")
    assert {key: [case.name for case in cases] for key, cases in found.items()} == {
        "L1": ["test_x"],
        "L2": ["TestY"],
    }
