"""Each rule of scripts/lint_models.py can fail: a right project passes, one wrong thing does not."""

from __future__ import annotations

import copy
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "lint_models", ROOT / "scripts" / "lint_models.py"
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


lint = _script()


def _model(path: str, sql: str, reads: list[str], *columns: str, **config: Any) -> dict[str, Any]:
    name = Path(path).stem
    return {
        "unique_id": f"model.kehu.{name}",
        "name": name,
        "schema": "intermediate" if "/_shared/" in path else path.split("/")[1],
        "resource_type": "model",
        "package_name": "kehu",
        "original_file_path": path,
        "patch_path": f"kehu://{path.removesuffix('.sql')}.yml",
        "description": "One row per thing.",
        "depends_on": {"nodes": reads},
        "compiled_code": sql,
        "config": {"materialized": "table", "contract": {"enforced": True}} | config,
        "columns": {
            column: {
                "name": column,
                "description": "What it is.",
                "data_type": "bigint",
                "constraints": [{"type": "not_null"}] if column.endswith("_key") else [],
                "config": {"meta": {"definition": "V1"} if column == "net_sales" else {}},
            }
            for column in columns
        },
    }


@pytest.fixture
def manifest() -> dict[str, Any]:
    """A small project in which every rule holds."""
    models = [
        _model("models/staging/stg_a.sql", "select a from raw.a", ["source.kehu.raw.a"], "a"),
        _model(
            "models/intermediate/int_a__b.sql", "select a from stg_a", ["model.kehu.stg_a"], "a"
        ),
        _model(
            "models/intermediate/pii/pii_a.sql", "select a from pii.a", ["source.kehu.pii.a"], "a"
        ),
        _model(
            "models/intermediate/identity/int_a__identify.sql",
            "select a from pii_a",
            ["model.kehu.pii_a", "model.kehu.int_a__b"],
            "a",
        ),
        _model(
            "models/core/dim_a.sql",
            "select a_key, a from int_a__b",
            ["model.kehu.int_a__b", "model.kehu.int_a__identify", "seed.kehu.param"],
            "a_key",
            "a",
        ),
        _model(
            "models/marts/_shared/int_a__ranked.sql",
            "select a_key from core.dim_a",
            ["model.kehu.dim_a"],
            "a_key",
            contract={"enforced": False},
        ),
        _model(
            "models/marts/value/mart_a.sql",
            "select a_key, 1 as net_sales from core.dim_a order by a_key",
            ["model.kehu.dim_a", "model.kehu.int_a__ranked"],
            "a_key",
            "net_sales",
        ),
    ]
    seed = _model("seeds/param.csv", "", [], "name") | {"resource_type": "seed"}
    sources = {
        f"source.kehu.{schema}.a": {
            "name": "a",
            "resource_type": "source",
            "schema": schema,
            "description": "Rows.",
            "original_file_path": "models/staging/_sources.yml",
            "columns": {"a": {"name": "a", "description": "What it is."}},
        }
        for schema in ("raw", "pii")
    }
    ledger = sources["source.kehu.raw.a"] | {"source_name": "ledger", "schema": "ops"}
    sources["source.kehu.ledger.a"] = ledger
    nodes = {f"model.kehu.{m['name']}": m for m in models} | {"seed.kehu.param": seed}
    exposure = {
        "name": "page",
        "label": "Page",
        "original_file_path": "models/marts/report/_exposures.yml",
        "description": "The page.",
        "url": "index.html",
        "maturity": "high",
        "owner": {"name": "CRM manager"},
        "depends_on": {"nodes": ["model.kehu.mart_a"]},
    }
    return {
        "metadata": {"project_name": "kehu"},
        "nodes": nodes,
        "sources": sources,
        "exposures": {"exposure.kehu.page": exposure},
    }


def model(manifest: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = manifest["nodes"][f"model.kehu.{name}"]
    return found


def exposure(manifest: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = manifest["exposures"]["exposure.kehu.page"]
    return found


def problems(manifest: dict[str, Any]) -> list[str]:
    undefined, _ = lint.definitions(manifest)
    found: list[str] = [
        *lint.layering(manifest),
        *lint.descriptions(manifest),
        *lint.contracts(manifest),
        *lint.portability(manifest),
        *lint.readers(manifest),
        *undefined,
    ]
    return found


def test_a_right_project_passes(manifest: dict[str, Any]) -> None:
    assert problems(manifest) == []


@pytest.mark.parametrize(
    ("reader", "read"),
    [
        ("stg_a", "model.kehu.int_a__b"),
        ("stg_a", "source.kehu.pii.a"),
        ("int_a__b", "source.kehu.raw.a"),
        ("int_a__b", "model.kehu.dim_a"),
        ("int_a__b", "model.kehu.pii_a"),
        ("int_a__b", "model.kehu.int_a__identify"),
        ("int_a__identify", "source.kehu.pii.a"),
        ("mart_a", "model.kehu.int_a__identify"),
        ("dim_a", "model.kehu.mart_a"),
        ("dim_a", "model.kehu.pii_a"),
        ("dim_a", "source.kehu.raw.a"),
        ("int_a__ranked", "model.kehu.mart_a"),
        ("mart_a", "model.kehu.stg_a"),
        ("mart_a", "model.kehu.int_a__b"),
        ("mart_a", "source.kehu.raw.a"),
        ("mart_a", "source.kehu.ledger.a"),
        ("dim_a", "source.kehu.ledger.a"),
        ("stg_a", "source.kehu.ledger.a"),
    ],
)
def test_a_layer_reads_only_what_it_may(manifest: dict[str, Any], reader: str, read: str) -> None:
    model(manifest, reader)["depends_on"]["nodes"].append(read)
    found = lint.layering(manifest)
    assert len(found) == 1
    assert f"{reader}.sql" in found[0]


def test_the_marts_of_quality_read_the_ledger_and_nothing_else_of_the_warehouse(
    manifest: dict[str, Any],
) -> None:
    mart = model(manifest, "mart_a")
    mart["original_file_path"] = "models/marts/quality/mart_a.sql"
    mart["depends_on"]["nodes"].append("source.kehu.ledger.a")
    assert problems(manifest) == []
    mart["depends_on"]["nodes"].append("source.kehu.raw.a")
    assert len(lint.layering(manifest)) == 1


def test_a_mart_does_not_read_another_mart(manifest: dict[str, Any]) -> None:
    other = copy.deepcopy(model(manifest, "mart_a")) | {"name": "mart_b"}
    manifest["nodes"]["model.kehu.mart_b"] = other
    other["depends_on"]["nodes"] = ["model.kehu.mart_a"]
    assert "reads mart_a (marts)" in lint.layering(manifest)[0]


def test_the_report_reads_marts_and_no_mart_reads_it(manifest: dict[str, Any]) -> None:
    mart = copy.deepcopy(model(manifest, "mart_a"))
    mart |= {"name": "mart_r", "original_file_path": "models/marts/report/mart_r.sql"}
    mart["unique_id"] = "model.kehu.mart_r"
    helper = copy.deepcopy(model(manifest, "int_a__ranked"))
    helper |= {"name": "int_r", "original_file_path": "models/marts/report/int_r.sql"}
    manifest["nodes"] |= {"model.kehu.mart_r": mart, "model.kehu.int_r": helper}
    mart["depends_on"]["nodes"] = ["model.kehu.mart_a", "model.kehu.int_r", "seed.kehu.param"]
    helper["depends_on"]["nodes"] = ["model.kehu.mart_a", "model.kehu.dim_a"]
    exposure(manifest)["depends_on"]["nodes"].append("model.kehu.mart_r")
    assert problems(manifest) == []
    for reader, read in (
        ("mart_a", "mart_r"),
        ("int_a__ranked", "mart_r"),
        ("mart_a", "int_r"),
        ("int_r", "mart_r"),
        ("mart_r", "stg_a"),
    ):
        wrong = copy.deepcopy(manifest)
        model(wrong, reader)["depends_on"]["nodes"].append(f"model.kehu.{read}")
        assert len(lint.layering(wrong)) == 1, (reader, read)
    helper["schema"] = "marts"
    assert "is not published" in "".join(lint.layering(manifest))
    mart["config"]["contract"] = {"enforced": False}
    assert "the contract is not enforced" in "".join(lint.contracts(manifest))


def test_a_mart_that_nobody_reads(manifest: dict[str, Any]) -> None:
    del manifest["exposures"]["exposure.kehu.page"]
    assert "nobody reads mart_a" in lint.readers(manifest)[0]


@pytest.mark.parametrize("said", ["description", "url", "maturity", "label", "owner"])
def test_an_exposure_says_who_where_and_what(manifest: dict[str, Any], said: str) -> None:
    exposure(manifest)[said] = {} if said == "owner" else " "
    assert f"page has no {said}" in lint.readers(manifest)[0]


@pytest.mark.parametrize(
    "read", ["model.kehu.dim_a", "model.kehu.int_a__ranked", "model.kehu.gone"]
)
def test_an_exposure_reads_marts_that_exist(manifest: dict[str, Any], read: str) -> None:
    exposure(manifest)["depends_on"]["nodes"].append(read)
    assert "which is no mart" in lint.readers(manifest)[0]


def test_an_exposure_that_reads_nothing(manifest: dict[str, Any]) -> None:
    exposure(manifest)["depends_on"]["nodes"] = []
    assert "reads nothing" in lint.readers(manifest)[0]


def test_a_room_that_does_not_exist_is_refused(manifest: dict[str, Any]) -> None:
    model(manifest, "dim_a")["original_file_path"] = "models/attic/dim_a.sql"
    assert "models/attic is no layer" in lint.layering(manifest)[0]


def test_a_shared_helper_is_not_published(manifest: dict[str, Any]) -> None:
    model(manifest, "int_a__ranked")["schema"] = "marts"
    assert "is not published" in "".join(lint.layering(manifest))


def test_a_model_without_description(manifest: dict[str, Any]) -> None:
    model(manifest, "int_a__b")["description"] = " "
    assert "int_a__b has no description" in lint.descriptions(manifest)[0]


def test_a_source_without_description(manifest: dict[str, Any]) -> None:
    manifest["sources"]["source.kehu.raw.a"]["description"] = ""
    assert "a has no description" in lint.descriptions(manifest)[0]


def test_a_column_without_description(manifest: dict[str, Any]) -> None:
    model(manifest, "mart_a")["columns"]["net_sales"]["description"] = ""
    assert "mart_a.net_sales has no description" in lint.descriptions(manifest)[0]


@pytest.mark.parametrize(
    "sql",
    [
        "select a, b from raw.a",
        "with source as (select a, b from raw.a) select * from source",
        "with a as (select 1 as a, 2 as b), c as (select * from a) select * from c",
    ],
)
def test_a_column_that_no_yaml_names(manifest: dict[str, Any], sql: str) -> None:
    model(manifest, "stg_a")["compiled_code"] = sql
    assert "stg_a.b is selected, but not described" in lint.descriptions(manifest)[0]


@pytest.mark.parametrize("name", ["dim_a", "mart_a"])
def test_a_contract_that_is_not_enforced(manifest: dict[str, Any], name: str) -> None:
    model(manifest, name)["config"]["contract"]["enforced"] = False
    assert "the contract is not enforced" in lint.contracts(manifest)[0]


def test_a_column_without_type(manifest: dict[str, Any]) -> None:
    del model(manifest, "dim_a")["columns"]["a"]["data_type"]
    assert "a has no data_type" in lint.contracts(manifest)[0]


def test_a_mart_without_any_definition(manifest: dict[str, Any]) -> None:
    model(manifest, "mart_a")["columns"]["net_sales"]["config"]["meta"] = {}
    found, count = lint.definitions(manifest)
    assert "no column has meta.definition" in found[0]
    assert count == 0


PORTABLE = [
    "select cast(a as varchar(20)) as a, a::string as b, try_cast(a as date) as c from t",
    "select sum(net), count_if(is_open), bool_or(is_open) from t group by all",
    "select a, row_number() over (partition by b order by a desc nulls last) as n from t",
    "select a / nullif(b, 0) as x, case when b > 0 then a / b end as y, a / 2 as z from t",
    "select rank() over (order by a nulls last) / count(*) over () as share from t",
    "select max_by(a, b), concat_ws('|', a, b), a || b, 'a \"b\" // ->> ~' as text from t",
    "select datediff(b_on, a_on) as days, a_on + 1 as next_on from t",
    "select transform(items, x -> x + 1) from t",
    "select percentile_cont(0.5) within group (order by a nulls last) from t",
    'select a from t -- a comment may say strftime(x), a // b, "x"',
]


@pytest.mark.parametrize("sql", PORTABLE)
def test_what_means_the_same_on_both_passes(sql: str) -> None:
    assert lint.spark_problems(sql) + lint.null_order_problems(sql, set()) == []


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("select cast(a as varchar) as a from t", "bare varchar"),
        ("select a::varchar as a from t", "bare varchar"),
        ("select sum(a > 1) as n from t", "sum(boolean)"),
        ("select sum(is_open) as n from t", "sum(boolean)"),
        ("select * exclude (a) from t", "* exclude"),
        ("select distinct on (a) a, b from t", "distinct on"),
        ("select a from t union all by name select a from u", "union by name"),
        ("select t.a from t asof join u on t.a >= u.a", "asof join"),
        ("select strftime(a, '%Y') as y from t", "strftime()"),
        ("select strptime(a, '%Y') as y from t", "strptime()"),
        ("select list(a) as l from t", "list()"),
        ("select arg_max(a, b) as m from t", "max_by"),
        ("select quantile_cont(a, 0.5) as q from t", "percentile_cont"),
        ("select [1, 2] as l from t", "list literal"),
        ("select {'a': 1} as s from t", "struct literal"),
        ("select a ->> 'x' as x from t", "operator ->>"),
        ("select a -> '$.x' as x from t", "operator ->"),
        ("select g from generate_series(1, 3) as s (g)", "generate_series()"),
        ("select unnest(a) as x from t", "unnest()"),
        ("select strpos(a, 'x') as p from t", "strpos()"),
        ("select a // b as q from t", "operator //"),
        ("select a from t where a ~ 'x'", "operator ~"),
        ('select "a" from t', "double quotes"),
        ("select concat(a, b) as c from t", "concat()"),
        ("select regexp_replace(a, 'x', 'y') as c from t", "regexp_replace()"),
        ("select regexp_full_match(a, 'x') as c from t", "regexp_full_match()"),
        ("select dayofweek(a) as d from t", "dayofweek()"),
        ("select hash(a) as h from t", "hash()"),
        ("select date_diff('day', a, b) as d from t", "date_diff()"),
        ("select date_sub('minute', a, b) as d from t", "date_sub()"),
        ("select b_on - a_on as d from t", "date - date"),
        ("select cast(b as date) - cast(a as date) as d from t", "date - date"),
        ("select a / b as q from t", "division by 0"),
        ("select a[1] as x from t", "lists count from 0"),
        ("select a from (from t) as s", "begins with from"),
        ("select from where", "does not parse"),
    ],
)
def test_what_spark_refuses_or_reads_otherwise(sql: str, said: str) -> None:
    assert said in "\n".join(lint.spark_problems(sql))


def test_null_order_is_said(manifest: dict[str, Any]) -> None:
    model(manifest, "mart_a")["compiled_code"] = "select a_key from core.dim_a order by a"
    assert "say nulls first or nulls last" in lint.portability(manifest)[0]


def test_a_column_that_is_never_null_needs_no_null_order(manifest: dict[str, Any]) -> None:
    model(manifest, "dim_a")["columns"]["a_key"]["constraints"] = []
    assert "order by a_key" in lint.portability(manifest)[0]


def test_both_branches_of_a_dispatched_macro_keep_their_text() -> None:
    macros = {
        "a.sql": "{% macro default__f(x) -%} duck {%- endmacro %}\n"
        "{%- macro spark__f(x) -%} spark {%- endmacro %}",
        "b.sql": "{% macro default__alone(x) -%} duck {%- endmacro %}",
    }
    taken = lint.take_spark_branches(macros)
    assert taken["a.sql"] == (
        "{% macro default_only__f(x) -%} duck {%- endmacro %}\n"
        "{%- macro default__f(x) -%} spark {%- endmacro %}"
    )
    assert taken["b.sql"] == macros["b.sql"]


def test_the_project_compiles_to_what_spark_would_get(tmp_path: Path) -> None:
    manifest = lint.compile_for_spark(tmp_path, incremental=True)
    sql = {n["name"]: n["compiled_code"] for n in lint.nodes(manifest, "model")}
    assert "conv(" in sql["fct_sales_line"]
    assert "explode(sequence(" in sql["dim_date"]
    assert "work_list" in sql["fct_sales_line"]
    assert '"' not in sql["fct_sales_line"]
