"""Hold the dbt models against the rules of the house; end with 1 where one is broken.

    scripts/lint_models.py [--sqlfluff] [--page]

- Layers: staging reads sources; intermediate reads staging and intermediate; core reads both, core
  and seeds; marts read core and seeds only (and helpers in models/marts/_shared). The marts of
  models/marts/quality also read the ledger (ops and quarantine), which is what they are about. The
  report (models/marts/report) stands on top: it reads marts, core and seeds, and no mart reads it.
  Personal data is read in models/intermediate/pii alone; only models/intermediate/identity reads
  what stands there, and gives ids, kinds and reasons.
- Every model and every column is described; core and marts have an enforced contract.
- Every mart has a reader: a report, a dashboard or the analysts name it (exposures), and each of
  those has an owner, a place and a description, and reads marts only.
- Every core and mart model parses as Spark SQL and is free of what Spark refuses or understands
  differently. What is judged is the SQL that Spark would get: the project is compiled from a copy
  in which each dispatched macro takes its `spark__` branch, once as a first and once as an
  incremental build. A macro without such a branch is judged by the one it has.

`--sqlfluff` runs sqlfluff too, with an empty warehouse for its dbt templater. `--page` holds
docs/metrics.md, docs/dirt.md and the star of docs/analyst.md against what their scripts would write.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import sqlglot
import typer
from rich.console import Console
from rich.markup import escape
from sqlglot import exp
from sqlglot.errors import SqlglotError

PROJECT = Path(__file__).resolve().parents[1]
AS_OF_DATE = "2017-12-31"
STAMP = Path(sys.prefix) / ".models-linted"  # what was clean the last time, so a rerun is quick

Manifest = dict[str, Any]
Node = dict[str, Any]

MAY_READ = {
    "staging": {"source", "seed"},
    "intermediate": {"staging", "intermediate", "seed"},
    "pii": {"pii source", "source", "staging", "intermediate", "seed"},
    "identity": {"pii", "staging", "intermediate", "seed"},
    "core": {"staging", "intermediate", "identity", "core", "seed"},
    "marts": {"core", "seed", "shared"},
    "shared": {"core", "seed", "shared"},
    "report": {"marts", "core", "seed", "report", "report helper"},
    "report helper": {"marts", "core", "seed", "report helper"},
}
# What is published, and what marts and the report start from.
PUBLISHED = ("core", "marts", "report")
HELPERS = ("shared", "report helper")
SHARED = "models/marts/_shared/"
QUALITY = "models/marts/quality/"
REPORT = "models/marts/report/"
PII = "models/intermediate/pii/"
IDENTITY = "models/intermediate/identity/"

# Functions of DuckDB that Spark lacks or spells with other arguments, and what to write instead.
REFUSED_FUNCTIONS = {
    **dict.fromkeys(("strftime", "strptime", "try_strptime"), "a dispatched macro"),
    **dict.fromkeys(("list", "list_value", "struct_pack", "string_agg"), "a dispatched macro"),
    **dict.fromkeys(("list_aggregate", "list_transform", "list_filter"), "a dispatched macro"),
    **dict.fromkeys(("generate_series", "range", "unnest"), "the macro date_series"),
    **dict.fromkeys(("date_diff", "datediff"), "the macro days_between"),
    **dict.fromkeys(("date_sub", "date_part"), "a dispatched macro"),
    **dict.fromkeys(("epoch", "epoch_ms", "to_days", "strlen", "isodow"), "a dispatched macro"),
    "arg_max": "max_by",
    "arg_min": "min_by",
    "quantile_cont": "percentile_cont … within group",
    "quantile_disc": "percentile_disc … within group",
    "strpos": "instr or like",
    "string_split": "split_part",
    "regexp_full_match": "the macro matches_fully",
    "regexp_matches": "rlike behind a macro",
    "regexp_replace": "a macro: one engine replaces the first match, the other all",
    "concat": "|| or concat_ws: a NULL argument counts differently",
    "dayofweek": "extract(dayofweek_iso …): the week begins on another day",
    "hash": "md5: the value is another one on each engine",
}
# What Spark has under the same name with the same meaning once a `spark__` branch wrote it.
SPARK_OWN = {"datediff", "date_sub"}

REFUSED_OPERATORS = {
    "//": "cast(a / b as integer)",
    "->>": "get_json_object behind a macro",
    "->": "get_json_object behind a macro",
    "~": "the macro matches_fully",
    "^": "power()",
}


def nodes(manifest: Manifest, *kinds: str) -> Iterator[Node]:
    """The project's own nodes of these kinds, by path."""
    found = [n for n in manifest["nodes"].values() if n["resource_type"] in kinds]
    yield from sorted(
        (n for n in found if n["package_name"] == manifest["metadata"]["project_name"]),
        key=lambda n: n["original_file_path"],
    )


def layer(node: Node) -> str:
    """Which room a node stands in: one of MAY_READ, seed, ledger, source or pii source."""
    if node["resource_type"] == "source":  # what `kehu score` writes stands in core
        if node.get("source_name") in ("ledger", "quarantine"):
            return "ledger"
        return {"pii": "pii source", "core": "core"}.get(node["schema"], "source")
    if node["resource_type"] == "seed":
        return "seed"
    if node["original_file_path"].startswith(PII):
        return "pii"
    if node["original_file_path"].startswith(IDENTITY):
        return "identity"
    if node["original_file_path"].startswith(SHARED):
        return "shared"
    if node["original_file_path"].startswith(REPORT):
        return "report" if node["name"].startswith("mart_") else "report helper"
    return str(node["original_file_path"].split("/")[1])


def layering(manifest: Manifest) -> list[str]:
    """Models that read a room which their own may not read."""
    problems = []
    everything = manifest["nodes"] | manifest["sources"]
    for node in nodes(manifest, "model"):
        mine = layer(node)
        if mine not in MAY_READ:
            problems.append(f"{node['original_file_path']}: models/{mine} is no layer")
            continue
        may_read = MAY_READ[mine]
        if node["original_file_path"].startswith(QUALITY):
            may_read = may_read | {"ledger"}
        for parent_id in node["depends_on"]["nodes"]:
            parent = everything[parent_id]
            if layer(parent) not in may_read:
                allowed = ", ".join(sorted(may_read))
                problems.append(
                    f"{node['original_file_path']}: a model of {mine} reads {parent['name']} "
                    f"({layer(parent)}); it may read {allowed}"
                )
        if mine in HELPERS and node["schema"] != "intermediate":
            problems.append(f"{node['original_file_path']}: a shared helper is not published")
    return problems


def descriptions(manifest: Manifest) -> list[str]:
    """Models, seeds, sources and columns without a description, columns that no YAML names."""
    problems = []
    everything = [*nodes(manifest, "model", "seed"), *manifest["sources"].values()]
    for node in everything:
        where = node.get("patch_path") or node["original_file_path"]
        where = where.partition("://")[2] or where
        if not node["description"].strip():
            problems.append(f"{where}: {node['name']} has no description")
        for column in node["columns"].values():
            if not column["description"].strip():
                problems.append(f"{where}: {node['name']}.{column['name']} has no description")
        if node["resource_type"] != "model":
            continue
        if not node["columns"]:
            problems.append(f"{where}: no column of {node['name']} is described")
        selected = set(output_columns(node.get("compiled_code") or ""))
        for name in sorted(selected - {c.lower() for c in node["columns"]}):
            problems.append(f"{where}: {node['name']}.{name} is selected, but not described")
    return problems


def output_columns(sql: str) -> list[str]:
    """The names a query yields, as far as its text tells; [] where a star hides them."""
    try:
        tree = sqlglot.parse_one(sql, read="spark") if sql else None
    except SqlglotError:
        return []
    if not isinstance(tree, exp.Query):
        return []
    ctes = {cte.alias: cte.this for cte in tree.ctes}
    while tree.is_star:
        source = tree.find(exp.From)
        name = source.this.name if source is not None and not tree.args.get("joins") else ""
        if len(tree.selects) != 1 or name not in ctes:
            return []
        tree = ctes[name]
    return [name.lower() for name in tree.named_selects]


def contracts(manifest: Manifest) -> list[str]:
    """Tables of core and marts whose contract is not enforced, columns without a type."""
    problems = []
    for node in nodes(manifest, "model"):
        if layer(node) not in PUBLISHED or node["config"]["materialized"] == "ephemeral":
            continue
        if not node["config"]["contract"]["enforced"]:
            problems.append(f"{node['original_file_path']}: the contract is not enforced")
        for column in node["columns"].values():
            if not column.get("data_type"):
                problems.append(f"{node['original_file_path']}: {column['name']} has no data_type")
    return problems


def readers(manifest: Manifest) -> list[str]:
    """Marts that no exposure names, and exposures without owner, place, words or marts."""
    problems = []
    everything = manifest["nodes"] | manifest["sources"]
    read: set[str] = set()
    for exposure in manifest.get("exposures", {}).values():
        where = f"{exposure['original_file_path']}: {exposure['name']}"
        for said in ("description", "url", "maturity", "label"):
            if not (exposure.get(said) or "").strip():
                problems.append(f"{where} has no {said}")
        if not (exposure.get("owner") or {}).get("name"):
            problems.append(f"{where} has no owner")
        parents = exposure["depends_on"]["nodes"]
        if not parents:
            problems.append(f"{where} reads nothing")
        for parent in parents:
            if parent not in everything or layer(everything[parent]) not in ("marts", "report"):
                problems.append(f"{where} reads {parent}, which is no mart")
        read |= set(parents)
    for node in nodes(manifest, "model"):
        if layer(node) in ("marts", "report") and node["unique_id"] not in read:
            problems.append(
                f"{node['original_file_path']}: nobody reads {node['name']}; "
                "an exposure names who does"
            )
    return problems


KEYS = ("_id", "_key", "_code", "_no", "_date")


def definitions(manifest: Manifest) -> tuple[list[str], int]:
    """Marts without one meta.definition; and how many of their columns name theirs."""
    problems = []
    count = 0
    for node in nodes(manifest, "model"):
        if layer(node) not in ("marts", "report"):
            continue
        defined = [
            name
            for name, column in node["columns"].items()
            if (column.get("meta") or column.get("config", {}).get("meta") or {}).get("definition")
        ]
        count += len(defined)
        metrics = [n for n in node["columns"] if not n.endswith(KEYS)]
        if metrics and not defined:
            problems.append(f"{node['original_file_path']}: no column has meta.definition")
    return problems, count


def never_null(manifest: Manifest, node: Node) -> set[str]:
    """Names of columns that are NOT NULL in each table that a model reads."""
    required: set[str] = set()
    nullable: set[str] = set()
    parents = {p for p in node["depends_on"]["nodes"] if p in manifest["nodes"]}
    for parent in (manifest["nodes"][p] for p in sorted(parents)):
        if layer(parent) in HELPERS:
            required |= never_null(manifest, parent)
            continue
        for name, column in parent["columns"].items():
            kinds = {constraint["type"] for constraint in column.get("constraints") or []}
            (required if "not_null" in kinds else nullable).add(name)
    return required - nullable


def spark_problems(sql: str) -> list[str]:
    """What of a query Spark would refuse or understand differently than DuckDB."""
    problems = _token_problems(sql)
    try:
        tree = sqlglot.parse_one(sql, read="spark")
    except SqlglotError as error:
        first = str(error).splitlines()[0]
        return [*problems, f"does not parse as Spark SQL: {first}"]
    return problems + _tree_problems(tree)


def _token_problems(sql: str) -> list[str]:
    problems = []
    tokens = sqlglot.tokenize(sql, read="duckdb")
    texts = [token.text.lower() for token in tokens] + [""]
    for i, token in enumerate(tokens):
        text, following = texts[i], texts[i + 1]
        if token.token_type == sqlglot.TokenType.STRING:
            continue
        if token.token_type == sqlglot.TokenType.IDENTIFIER:
            problems.append(f'"{token.text}" in double quotes is a string on Spark')
        elif text == "varchar" and following != "(":
            problems.append("bare varchar; use string, or varchar(n)")
        elif following == "(" and text in REFUSED_FUNCTIONS and not _spark_writes(text, texts[i:]):
            problems.append(f"{text}(); use {REFUSED_FUNCTIONS[text]}")
        elif text in REFUSED_OPERATORS and not _is_lambda(text, texts, i):
            problems.append(f"operator {text}; use {REFUSED_OPERATORS[text]}")
        elif text == "from" and (i == 0 or texts[i - 1] == "("):
            problems.append("a query that begins with from; begin with select")
        elif text == "{":
            problems.append("struct literal {…}; use named_struct behind a macro")
    return problems


def _spark_writes(function: str, texts: list[str]) -> bool:
    """Whether this is Spark's own function of the name: DuckDB's begins with a unit in quotes."""
    return function in SPARK_OWN and texts[2] not in ("day", "minute", "hour", "month", "second")


def _is_lambda(operator: str, texts: list[str], i: int) -> bool:
    """Whether `->` is a lambda's arrow: a JSON path would be a text or a number."""
    return operator == "->" and texts[i + 1][:1].isalpha() and "." not in texts[i - 1]


def _tree_problems(tree: exp.Expression) -> list[str]:
    problems = []
    for node in tree.walk():
        for rule, holds in TREE_RULES.items():
            if holds(node):
                problems.append(f"{rule}: {node.sql('spark')[:90]}")
    return problems


def _is_boolean(node: exp.Expression | None) -> bool:
    if isinstance(node, exp.Paren | exp.Cast) and not isinstance(node, exp.Cast):
        return _is_boolean(node.this)
    if isinstance(node, exp.Column):
        return node.name.startswith(("is_", "has_"))
    return isinstance(node, exp.Predicate | exp.Connector | exp.Not | exp.Boolean)


def _is_date(node: exp.Expression | None) -> bool:
    if isinstance(node, exp.Column):
        return node.name.endswith(("_on", "_date"))
    return isinstance(node, exp.Cast) and node.to.is_type("date")


def _divisor_may_be_zero(node: exp.Expression) -> bool:
    """Whether neither nullif nor a `case when` stands guard; a window counts its own row."""
    divisor = node.args.get("expression")
    while isinstance(divisor, exp.Paren | exp.Cast):
        divisor = divisor.this
    if isinstance(divisor, exp.Nullif | exp.Literal) or node.find_ancestor(exp.Case):
        return False
    return not (isinstance(divisor, exp.Window) and isinstance(divisor.this, exp.Count))


TREE_RULES: dict[str, Callable[[Any], bool]] = {
    "* exclude does not exist on Spark": lambda n: isinstance(n, exp.Star) and any(n.args.values()),
    "distinct on does not exist on Spark": lambda n: (
        isinstance(n, exp.Distinct) and n.args.get("on") is not None
    ),
    "union by name does not exist on Spark": lambda n: (
        isinstance(n, exp.SetOperation) and bool(n.args.get("by_name"))
    ),
    "asof join does not exist on Spark": lambda n: (
        isinstance(n, exp.Join) and (n.args.get("method") or "").upper() in ("ASOF", "POSITIONAL")
    ),
    "list literal; use a macro": lambda n: (
        isinstance(n, exp.Array) and n.args.get("value_constructor") is not None
    ),
    "lists count from 0 on Spark": lambda n: isinstance(n, exp.Bracket),
    "sum(boolean); use count_if": lambda n: isinstance(n, exp.Sum) and _is_boolean(n.this),
    "date - date is an interval on Spark; use the macro days_between": lambda n: (
        isinstance(n, exp.Sub) and _is_date(n.this) and _is_date(n.expression)
    ),
    "division by 0 fails on Spark; use nullif": lambda n: (
        isinstance(n, exp.Div) and _divisor_may_be_zero(n)
    ),
}


def null_order_problems(sql: str, never: set[str]) -> list[str]:
    """Orderings that leave the place of NULL to the engine; columns in `never` have none."""
    try:
        on_spark, on_duckdb = (sqlglot.parse_one(sql, read=d) for d in ("spark", "duckdb"))
    except SqlglotError:
        return []
    pairs = zip(on_spark.find_all(exp.Ordered), on_duckdb.find_all(exp.Ordered), strict=False)
    return [
        f"order by {one.this.sql('spark')[:60]}: say nulls first or nulls last"
        for one, other in pairs
        if bool(one.args.get("nulls_first")) != bool(other.args.get("nulls_first"))
        and not (isinstance(one.this, exp.Column) and one.this.name in never)
        and not isinstance(one.this, exp.Count)
        and not _is_rank_of_literals(one.this)
    ]


def _is_rank_of_literals(node: exp.Expression) -> bool:
    """Whether this is a `case` that yields a literal whatever happens, so never NULL."""
    if not isinstance(node, exp.Case):
        return False
    outcomes = [branch.args.get("true") for branch in node.args["ifs"]]
    return all(isinstance(each, exp.Literal) for each in [*outcomes, node.args.get("default")])


def portability(manifest: Manifest) -> list[str]:
    """What Spark would refuse or understand differently in the compiled core and mart models."""
    problems = []
    for node in nodes(manifest, "model"):
        if layer(node) not in (*PUBLISHED, *HELPERS):
            continue
        sql = node["compiled_code"]
        never = never_null(manifest, node)
        found = dict.fromkeys(spark_problems(sql) + null_order_problems(sql, never))
        problems += [f"{node['original_file_path']}: {problem}" for problem in found]
    return problems


# The same macros as `dbt_project/macros`, as Spark would take them.
SPARK_SIDE = """
{% macro duckdb__type_string() -%} string {%- endmacro %}
{% macro is_incremental() -%} {{ return(var("lint_incremental")) }} {%- endmacro %}
"""
_BRANCH = re.compile(r"(\{%-?\s*macro\s+)(default|duckdb|spark)__(\w+)")


def take_spark_branches(macros: dict[str, str]) -> dict[str, str]:
    """Rename the macros in these texts so that dispatch on DuckDB finds the Spark branches."""
    twins = {
        name
        for text in macros.values()
        for _, engine, name in _BRANCH.findall(text)
        if engine == "spark"
    }

    def renamed(match: re.Match[str]) -> str:
        start, engine, name = match.groups()
        if name not in twins:
            return match[0]
        return f"{start}{'default' if engine == 'spark' else f'{engine}_only'}__{name}"

    return {path: _BRANCH.sub(renamed, text) for path, text in macros.items()}


def copy_for_spark(work: Path) -> Path:
    """A copy of the dbt project under `work` that compiles to what Spark would get."""
    copy = work / "project"
    shutil.copytree(PROJECT / "models", copy / "models")
    shutil.copytree(PROJECT / "seeds", copy / "seeds")
    shutil.copytree(PROJECT / "dbt_project", copy / "dbt_project")
    settings = (PROJECT / "dbt_project.yml").read_text()
    unquoted = "quoting: {database: false, schema: false, identifier: false}"
    (copy / "dbt_project.yml").write_text(f"{settings}\n{unquoted}\n")
    folder = copy / "dbt_project" / "macros"
    texts = {str(path): path.read_text() for path in sorted(folder.rglob("*.sql"))}
    for path, text in take_spark_branches(texts).items():
        Path(path).write_text(text)
    (folder / "spark_side.sql").write_text(SPARK_SIDE)
    return copy


def environment(work: Path) -> dict[str, str]:
    """An empty warehouse under `work`, for what wants to open one."""
    return os.environ | {
        "DBT_PROFILES_DIR": str(PROJECT / "dbt_project"),
        "KEHU_WAREHOUSE": str(work / "warehouse.duckdb"),
        "KEHU_MARTS": str(work / "marts.duckdb"),
        "DO_NOT_TRACK": "1",
    }


def compile_for_spark(work: Path, *, incremental: bool) -> Manifest:
    """The manifest of the project as Spark would get it, with compiled SQL; SystemExit if none."""
    project = work / "project"
    if not project.exists():
        copy_for_spark(work)
    target = work / ("incremental" if incremental else "first")
    variables = {"as_of_date": AS_OF_DATE, "lint_incremental": incremental}
    command = [
        str(Path(sys.executable).with_name("dbt")),
        "--no-use-colors",
        "--quiet",
        "compile",
        *("--project-dir", str(project), "--target-path", str(target)),
        *("--log-path", str(work / "logs"), "--vars", json.dumps(variables)),
    ]
    done = subprocess.run(
        command, env=environment(work), cwd=project, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"dbt compile failed:\n{(done.stdout + done.stderr)[-3000:]}")
    manifest: Manifest = json.loads((target / "manifest.json").read_text())
    return manifest


LINTED = ("models", "dbt_project/tests", "dbt_project/analyses")


def run_sqlfluff(work: Path) -> list[str]:
    """What sqlfluff finds in models, singular tests and questions."""
    # dbt's command line lifts this limit of sqlparse, its library does not: sqlfluff would skip a
    # long model with a mere warning
    unlimited = (
        "from sqlparse.engine import grouping; grouping.MAX_GROUPING_TOKENS = None; "
        "from sqlfluff.cli.commands import cli; cli()"
    )
    command = [
        *(sys.executable, "-c", unlimited),
        *("lint", "--disable-progress-bar", "--nocolor", *LINTED),
    ]
    done = subprocess.run(
        command, env=environment(work), cwd=PROJECT, capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return []
    kept = [line for line in done.stdout.splitlines() if not line.startswith("===")]
    return ["sqlfluff:", *kept] if kept else [f"sqlfluff: {done.stderr[-2000:]}"]


def _script(name: str) -> ModuleType:
    """Another script of this folder; metrics.py reads the manifest with the functions of this file."""
    folder = str(Path(__file__).parent)
    if folder not in sys.path:
        sys.path.append(folder)
    return importlib.import_module(name)


def digest() -> str:
    """A hash of all that the checks of the models look at."""
    named = ("dbt_project.yml", ".sqlfluff", ".sqlfluffignore", "requirements.lock")
    files = [PROJECT / name for name in named] + [Path(__file__)]
    for folder in ("models", "seeds", "dbt_project"):
        files += [path for path in sorted((PROJECT / folder).rglob("*")) if path.is_file()]
    return _hash(files)


def page_digest() -> str:
    """A hash of what the generated pages are made of beside the models, and of the pages."""
    metrics, dirt, star = _script("metrics"), _script("dirt"), _script("star")
    named = (
        *(metrics.PAGE, metrics.TITLES, dirt.PAGE, star.PAGE, star.PICTURE),
        *("scripts/metrics.py", "scripts/dirt.py", "scripts/star.py"),
    )
    files = [PROJECT / name for name in named if (PROJECT / name).exists()]
    return _hash(files, repr(metrics.pytest_tests(PROJECT / "tests")) + repr(dirt.cases(PROJECT)))


def _hash(files: list[Path], text: str = "") -> str:
    content = hashlib.sha256(text.encode())
    for path in files:
        content.update(f"{path.name}\0".encode() + path.read_bytes() + b"\0")
    return content.hexdigest()


def main(
    sqlfluff: Annotated[bool, typer.Option("--sqlfluff", help="Run sqlfluff too.")] = False,
    page: Annotated[bool, typer.Option("--page", help="Check the generated pages too.")] = False,
) -> None:
    """Check layers, descriptions, contracts and Spark SQL of the dbt models."""
    console = Console()
    problems: list[str] = []
    now = [digest(), page_digest() if page else ""]
    clean = STAMP.read_text().split() if STAMP.exists() else []
    if sqlfluff and clean == now:
        console.print("  nothing has changed since they were clean")
        return
    are_models_clean = sqlfluff and clean[:1] == now[:1]
    with tempfile.TemporaryDirectory(prefix="kehu-lint-") as folder:
        work = Path(folder)
        begun = time.monotonic()
        first, later = (compile_for_spark(work, incremental=flag) for flag in (False, True))
        undefined, defined = definitions(first)
        problems += layering(first) + descriptions(first) + contracts(first) + undefined
        problems += readers(first)
        problems += dict.fromkeys(portability(first) + portability(later))
        console.print(
            f"  {sum(1 for _ in nodes(first, 'model'))} models, {defined} mart columns with a "
            f"definition, {time.monotonic() - begun:.0f} s",
            highlight=False,
        )
        if page:
            problems += _script("metrics").check(first) + _script("dirt").check()
            problems += _script("star").check(first)
        if sqlfluff and not are_models_clean:
            begun = time.monotonic()
            found = run_sqlfluff(work)
            problems += found
            verdict = "found something" if found else "clean"
            console.print(
                f"  sqlfluff: {verdict}, {time.monotonic() - begun:.0f} s", highlight=False
            )
    for problem in problems:
        console.print(f"[red]{escape(problem)}[/]", highlight=False, soft_wrap=True)
    if problems:
        raise typer.Exit(1)
    if sqlfluff:
        STAMP.write_text("\n".join(now))


if __name__ == "__main__":
    typer.run(main)
