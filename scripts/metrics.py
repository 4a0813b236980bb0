"""Write docs/metrics.md: every mart column with its definition, unit, source and tests.

    scripts/metrics.py            # `make metrics`

The page is made of the dbt manifest (columns, `meta`, lineage, unit tests), of docs/definitions.yml
(titles) and of the marks of pytest (`@pytest.mark.definition("V8")`), and of nothing else: the same
tree gives the same page. `make lint` fails while it is stale or has a gap: a column without unit or
Chinese name, a measure without definition, a definition without column or without test.
"""

from __future__ import annotations

import ast
import copy
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlglot
import typer
import yaml
from rich.console import Console
from rich.markup import escape
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.lineage import lineage
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope

import lint_models as lint
from lint_models import PROJECT, Manifest, Node

PAGE = Path("docs/metrics.md")
TITLES = Path("docs/definitions.yml")
MOST_COLUMNS = 6  # of a source; what goes beyond is told as a number

# The unit where no `meta.unit` says it: by the end of the name, else by the type.
UNIT_BY_NAME = (
    (r"^(is|has|was)_|_(flag)$", "yes/no"),
    (r"_(type|class|code|stage|tier|status|reason|source|segment|id|key|no|method|basis)$", "name"),
    (r"^count_|_n$|^n$|^n_", "count"),
    (r"_(date|on)$", "date"),
    (r"_at$", "time"),
    (r"_(rate|share|percentile|coverage(_\d+d)?)(_lo|_hi|_se)?$", "share 0..1"),
    (r"_days$|^days_|_days_", "days"),
    (r"_hours$", "hours"),
    (r"^months_|_months$", "months"),
    (r"_weeks$", "weeks"),
    (r"_minutes$", "minutes"),
    (r"_(pp)$", "percentage points"),
    (r"_pct$", "percent"),
    (r"^p_", "probability"),
    (r"_(ratio|cv|lift)(_lo|_hi)?(_\d+d)?$", "ratio"),
    (r"_score$", "score"),
    (r"_index$", "index"),
    (r"_rank$", "rank"),
)
UNIT_BY_TYPE = (
    (r"boolean", "yes/no"),
    (r"date", "date"),
    (r"timestamp.*", "time"),
    (r"decimal\(18, ?2\)", "money"),
    (r"string|varchar.*", "name"),
    (r"integer|bigint", "count"),
)
UNITS = {
    "money": "the company's currency (parameter `currency`)",
    "share 0..1": "a share of 1",
    "percent": "0 to 100",
    "percentage points": "difference of two percentages",
    "name": "a code, class or key",
    "yes/no": "boolean",
}
NUMBER = re.compile(r"(tiny|small|big|huge)?int(eger)?|double|float|real|decimal.*")


@dataclass(frozen=True)
class Test:
    """A test that names definitions: its name, and its file from the project's root."""

    name: str
    path: str


@dataclass(frozen=True)
class Definition:
    """A definition of docs/definitions.yml."""

    title: str
    zh: str
    waits: str = ""


@dataclass
class Page:
    """The page, and what keeps it from being whole."""

    text: str = ""
    problems: list[str] = field(default_factory=list)


def read_titles(path: Path) -> tuple[dict[str, Definition], dict[str, Definition], dict[str, str]]:
    """Definitions that need columns and tests, others that need none, and feeds yet to come."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    known, others = (
        {key: Definition(**value) for key, value in content[part].items()}
        for part in ("definitions", "others")
    )
    return known, others, content["feeds"]


def meta(node: Mapping[str, Any]) -> dict[str, Any]:
    """The meta of a column or a test, wherever dbt has put it."""
    return {**(node.get("meta") or {}), **((node.get("config") or {}).get("meta") or {})}


def listed(value: object) -> list[str]:
    """`V8` and `[V8, L2]` alike as a list."""
    return (
        [] if value is None else [str(v) for v in (value if isinstance(value, list) else [value])]
    )


# ---------------------------------------------------------------------------------------- tests


def dbt_tests(manifest: Manifest) -> dict[str, list[Test]]:
    """dbt unit tests by the definitions in their meta."""
    found: dict[str, list[Test]] = {}
    for node in manifest.get("unit_tests", {}).values():
        for key in listed(meta(node).get("definition")):
            found.setdefault(key, []).append(Test(node["name"], node["original_file_path"]))
    return found


def pytest_tests(folder: Path) -> dict[str, list[Test]]:
    """pytest cases by the marks `definition("V8", ...)` on functions, classes and modules."""
    found: dict[str, list[Test]] = {}
    for path in sorted(folder.rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if "definition(" not in text:
            continue
        relative = path.relative_to(folder.parent).as_posix()
        for name, key in _marks(ast.parse(text)):
            found.setdefault(key, []).append(Test(name or path.stem, relative))
    return found


def _marks(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        holders: list[ast.expr] = []
        name = ""
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            holders, name = node.decorator_list, node.name
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
            holders = [node.value]
        for call in (each for holder in holders for each in ast.walk(holder)):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.definition":
                for argument in call.args:
                    if isinstance(argument, ast.Constant):
                        yield name, str(argument.value)


# -------------------------------------------------------------------------------------- columns


def unit_of(name: str, column: Mapping[str, Any], others: Mapping[str, Any]) -> str:
    """The unit of a column; bounds of an interval take that of what they bound; '' if unknown."""
    if given := meta(column).get("unit"):
        return str(given)
    for pattern, unit in UNIT_BY_NAME:
        if re.search(pattern, name):
            return unit
    kind = (column.get("data_type") or "").lower()
    for pattern, unit in UNIT_BY_TYPE:
        if re.fullmatch(pattern, kind):
            return unit
    bounded = re.sub(r"_(lo|hi|se)$", "", name)
    if bounded != name and bounded in others:
        return unit_of(bounded, others[bounded], others)
    return ""


def reason_column(name: str, columns: Mapping[str, Any]) -> str:
    """The column that says why `name` is NULL: its own, that of its stem, or the mart's only one."""
    reasons = [c for c in columns if c.endswith("missing_reason")]
    stems = {c: c.removesuffix("missing_reason").rstrip("_") for c in reasons}
    own = [c for c in reasons if stems[c] and name.startswith(stems[c])]
    if own:
        return max(own, key=len)
    return reasons[0] if len(reasons) == 1 else ""


def _said_by(reason: str, columns: Mapping[str, Any]) -> set[str]:
    """The measures whose names begin as that of a reason column does."""
    stem = reason.removesuffix("missing_reason").rstrip("_")
    return {name for name in columns if stem and name.startswith(stem)}


def is_measure(name: str, column: Mapping[str, Any]) -> bool:
    """Whether a column holds numbers that are no keys: those need a definition."""
    kind = (column.get("data_type") or "").lower()
    return bool(NUMBER.fullmatch(kind)) and not name.endswith(lint.KEYS)


# -------------------------------------------------------------------------------------- lineage


def _is_helper(node: Node) -> bool:
    """Whether a model stands between core and marts, or is a part of one that reads it."""
    ephemeral = (node.get("config") or {}).get("materialized") == "ephemeral"
    return ephemeral or (node["resource_type"] == "model" and lint.layer(node) in lint.HELPERS)


def core_tables(manifest: Manifest, node: Node) -> list[str]:
    """Names of the core tables and seeds that a mart reads, through its helpers too."""
    found: set[str] = set()
    everything = manifest["nodes"] | manifest["sources"]
    for parent in (everything[p] for p in node["depends_on"]["nodes"]):
        if _is_helper(parent):
            found |= set(core_tables(manifest, parent))
        else:
            found.add(parent["name"])
    return sorted(found)


def feeds_behind(manifest: Manifest) -> dict[str, set[str]]:
    """For each core table (and each table that Python writes between the layers) its feeds."""
    everything = manifest["nodes"] | manifest["sources"]
    behind: dict[str, set[str]] = {}

    def walk(unique_id: str) -> set[str]:
        node = everything.get(unique_id)
        if node is None or node["resource_type"] == "seed":
            return set()
        if unique_id not in behind:
            if node["resource_type"] == "source":
                # what Python writes names the tables that it is computed from
                reads = listed(meta(node).get("reads"))
                named = [u for u, n in everything.items() if n["name"] in reads]
                own = {node["name"]} if node["schema"] in ("raw", "pii") else set()
                behind[unique_id] = own.union(*(walk(each) for each in named))
            else:
                behind[unique_id] = set().union(*(walk(p) for p in node["depends_on"]["nodes"]))
        return behind[unique_id]

    return {
        node["name"]: walk(unique_id)
        for unique_id, node in everything.items()
        if node["schema"] == "core" and node["resource_type"] in ("model", "source")
    }


def schema_of(manifest: Manifest) -> dict[str, dict[str, dict[str, str]]]:
    """Columns and types of what marts read, as sqlglot wants them."""
    schema: dict[str, dict[str, dict[str, str]]] = {}
    for node in [*manifest["nodes"].values(), *manifest["sources"].values()]:
        if node["resource_type"] in ("model", "seed", "source") and node["columns"]:
            tables = schema.setdefault(node["schema"], {})
            columns = {name: c.get("data_type") or "string" for name, c in node["columns"].items()}
            tables[node.get("alias") or node["name"]] = columns
    return schema


# Columns that join and order: they are no source of a number.
PLUMBING = {"as_of_date", "customer_id", "is_latest"}


def sources_of(node: Node, schema: Mapping[str, Any]) -> dict[str, list[str]]:
    """For each column of a model the core columns that its value is computed from, `table.column`.

    Empty where sqlglot cannot tell; then the tables of the model are all there is to say.
    """
    try:
        tree = sqlglot.parse_one(node["compiled_code"], read="spark")
        for table in tree.find_all(exp.Table):
            table.set("catalog", None)
        _spell_out_windows(tree)
        tree = qualify(tree, schema=dict(schema), dialect="spark", validate_qualify_columns=False)
        scope = build_scope(tree)
    except SqlglotError:
        return {}
    found: dict[str, list[str]] = {}
    for name in node["columns"]:
        try:
            root = lineage(
                name, tree, schema=dict(schema), dialect="spark", scope=scope, trim_selects=False
            )
        except (SqlglotError, ValueError):
            continue
        # a set operation yields one root for several columns: the names are kept as they stand
        leaves = {
            (each.source.name, each.name.split(".")[-1].strip('`"'))
            for each in (root.walk() if not isinstance(root, dict) else ())
            if isinstance(each.source, exp.Table)
        }
        kept = {leaf for leaf in leaves if leaf[1] not in PLUMBING} or leaves
        found[name] = sorted(f"{table}.{column}" for table, column in kept)
    return found


def through_helpers(
    sources: dict[str, list[str]], helpers: Mapping[str, dict[str, list[str]]]
) -> dict[str, list[str]]:
    """The same with each column of a helper replaced by the columns that it is computed from."""

    def core(source: str) -> set[str]:
        table, _, column = source.partition(".")
        if table not in helpers:
            return {source}
        return set().union(*(core(each) for each in helpers[table].get(column, [])))

    return {
        name: sorted(set().union(*(core(each) for each in columns)))
        for name, columns in sources.items()
    }


def _spell_out_windows(tree: exp.Expression) -> None:
    """Write what `window w as (…)` names into each `over w`: lineage does not follow the name."""
    for select in tree.find_all(exp.Select):
        named = {window.name: window for window in select.args.get("windows") or []}
        for window in select.find_all(exp.Window):
            definition = named.get(window.alias)
            if definition is not None and window is not definition:
                for part in ("partition_by", "order"):
                    window.set(part, copy.deepcopy(definition.args.get(part)))
                window.set("alias", None)


def source_text(sources: list[str], fallback: list[str]) -> str:
    """`fct_x: a, b; param c` from `fct_x.a` ...; the mart's tables where nothing is known."""
    if not sources:
        return ", ".join(f"`{table}`" for table in fallback)
    tables: dict[str, list[str]] = {}
    for source in sources:
        table, _, column = source.partition(".")
        tables.setdefault(table, []).append(column)
    parts = []
    for table, columns in sorted(
        tables.items(), key=lambda item: (item[0] == "dim_as_of", item[0])
    ):
        shown = ", ".join(f"`{c}`" for c in columns[:MOST_COLUMNS])
        more = f" and {len(columns) - MOST_COLUMNS} more" if len(columns) > MOST_COLUMNS else ""
        head = "parameters" if table == "dim_as_of" else f"`{table}`:"
        parts.append(f"{head} {shown}{more}")
    return "; ".join(parts)


# ----------------------------------------------------------------------------------------- page


def render(manifest: Manifest, root: Path = PROJECT) -> Page:
    """The page for a manifest, with every gap that `make lint` refuses."""
    page = Page()
    known, others, feeds = read_titles(root / TITLES)
    tests = dbt_tests(manifest)
    for key, cases in pytest_tests(root / "tests").items():
        tests.setdefault(key, []).extend(cases)
    marts = [n for n in lint.nodes(manifest, "model") if lint.layer(n) in ("marts", "report")]
    marts.sort(key=lambda node: node["name"])
    behind = feeds_behind(manifest)
    schema = schema_of(manifest)
    helpers = {
        node["name"]: sources_of(node, schema)
        for node in lint.nodes(manifest, "model")
        if lint.layer(node) in lint.HELPERS
    }

    carried: dict[str, dict[str, list[str]]] = {}
    sections: list[str] = []
    for node in marts:
        sections += _mart(manifest, node, schema, helpers, behind, feeds, carried, page.problems)
    _judge(known, others, carried, tests, page.problems)

    named = {**known, **others}
    lines = [*HEAD, *_definitions(named, carried, tests), "", "## Marts", ""]
    lines += [f"Units: {_units()}.", ""]
    lines += ["| Mart | One row per |", "|---|---|"]
    lines += [f"| [{n['name']}](#{n['name']}) | {_grain(n)} |" for n in marts]
    lines += ["", *sections, *_core(marts, manifest, behind), *_waiting(marts, feeds)]
    page.text = "\n".join(lines).rstrip() + "\n"
    return page


HEAD = [
    "# Metrics",
    "",
    "Written by `make metrics`; `make lint` fails while it is stale. Do not edit by hand.",
    "",
    "Each published number has a definition, a unit, a source and at least one test. Each mart has",
    "one set of rows for every month-end and for the latest date, and every number of a row looks",
    "back from its `as_of_date`.",
    "",
    "## Definitions",
    "",
    "| Id | Definition | 中文 | Columns | Tests |",
    "|---|---|---|---|---|",
]


def _units() -> str:
    return "; ".join(f"*{unit}* is {text}" for unit, text in UNITS.items())


def _cell(text: object) -> str:
    return re.sub(r"\s+", " ", str(text)).replace("|", "\\|").strip()


def _grain(node: Node) -> str:
    first = re.split(r"(?<=\.)\s", _cell(node["description"]))[0]
    return re.sub(r"^One row per ", "", first).rstrip(".")


def _definitions(
    named: Mapping[str, Definition],
    carried: Mapping[str, Mapping[str, list[str]]],
    tests: Mapping[str, list[Test]],
) -> Iterator[str]:
    for key, definition in named.items():
        columns = "; ".join(
            f"[{mart}](#{mart}): {', '.join(f'`{c}`' for c in names) or 'the whole mart'}"
            for mart, names in sorted(carried.get(key, {}).items())
        )
        cases = sorted(set(tests.get(key, [])), key=lambda test: (test.path, test.name))
        links = ", ".join(f"[{test.name}](../{test.path})" for test in cases)
        waits = f"*{definition.waits}.*" if definition.waits else ""
        cells = (f'<a id="{key.lower()}"></a>{key}', definition.title, definition.zh)
        yield f"| {' | '.join(cells)} | {columns or waits} | {links or waits} |"


def _mart(
    manifest: Manifest,
    node: Node,
    schema: Mapping[str, Any],
    helpers: Mapping[str, dict[str, list[str]]],
    behind: Mapping[str, set[str]],
    feeds: Mapping[str, str],
    carried: dict[str, dict[str, list[str]]],
    problems: list[str],
) -> list[str]:
    """The section of one mart; what it carries goes into `carried`, its gaps into `problems`."""
    columns: dict[str, Any] = node["columns"]
    where = node["original_file_path"].removesuffix(".sql") + ".yml"
    tables = core_tables(manifest, node)
    sources = through_helpers(sources_of(node, schema), helpers)
    for key in listed(meta(node).get("definition")):
        carried.setdefault(key, {}).setdefault(node["name"], [])
    rows, plain = [], []
    for name, column in columns.items():
        facts = meta(column)
        keys = listed(facts.get("definition"))
        needs = listed(facts.get("needs_feed"))
        unit = unit_of(name, column, columns)
        if is_measure(name, column) and not keys:
            problems.append(f"{where}: {name} is a measure without meta.definition")
        if not facts.get("zh"):
            problems.append(f"{where}: {name} has no Chinese name (meta.zh)")
        problems += [
            f"{where}: {name} needs the feed {feed!r}, which {TITLES} does not list"
            for feed in needs
            if feed not in feeds
        ]
        if not keys:
            plain.append(f"`{name}` {facts.get('zh', '')}".strip())
            continue
        if not unit:
            problems.append(f"{where}: {name} has no unit; give meta.unit")
        for key in keys:
            carried.setdefault(key, {}).setdefault(node["name"], []).append(name)
        reason = str(facts.get("missing_reason") or reason_column(name, columns))
        if needs and not reason:
            problems.append(f"{where}: {name} waits for a feed, but no column says why it is NULL")
        missing = ""
        if needs:
            missing = f"`{reason}`, until {', '.join(needs)}"
        elif reason and reason != name and name in _said_by(reason, columns):
            missing = f"`{reason}`"
        ids = ", ".join(f"[{key}](#{key.lower()})" for key in keys)
        cells = (f"`{name}`", _cell(facts.get("zh", "")), ids, _cell(unit))
        source = "" if needs else _cell(source_text(sources.get(name, []), tables))
        rows.append(f"| {' | '.join(cells)} | {source} | {missing} |")
    of_feeds = sorted(set().union(*(behind.get(table, set()) for table in tables)))
    return [
        f"### {node['name']}",
        "",
        _cell(node["description"]),
        "",
        f"Feeds behind: {', '.join(of_feeds) or 'none'}. "
        f"Keys and attributes: {', '.join(plain) or 'none'}.",
        "",
        "| Column | 中文 | Id | Unit | Source | NULL because |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
    ]


def _judge(
    known: Mapping[str, Definition],
    others: Mapping[str, Definition],
    carried: Mapping[str, Mapping[str, list[str]]],
    tests: Mapping[str, list[Test]],
    problems: list[str],
) -> None:
    for key, definition in known.items():
        for thing, has in (("mart column", key in carried), ("test", key in tests)):
            if not has and not definition.waits:
                problems.append(f"{TITLES}: {key} ({definition.title}) has no {thing}")
        if definition.waits and key in carried and key in tests:
            problems.append(f"{TITLES}: {key} waits for nothing: it has columns and tests")
    for key in sorted((set(carried) | set(tests)) - set(known) - set(others)):
        places = [*carried.get(key, {}), *(t.path for t in tests.get(key, []))]
        problems.append(f"{TITLES}: {key} is no definition, but {places[0]} names it")


def _core(marts: list[Node], manifest: Manifest, behind: Mapping[str, set[str]]) -> list[str]:
    read = sorted({table for node in marts for table in core_tables(manifest, node)})
    lines = ["## Core tables that marts read", "", "| Table | Feeds behind |", "|---|---|"]
    for table in read:
        feeds = ", ".join(sorted(behind.get(table, set())))
        lines.append(f"| `{table}` | {feeds or 'none: a seed'} |")
    return [*lines, ""]


def _waiting(marts: list[Node], feeds: Mapping[str, str]) -> list[str]:
    waiting: dict[str, list[str]] = {}
    for node in marts:
        for name, column in node["columns"].items():
            for feed in listed(meta(column).get("needs_feed")):
                waiting.setdefault(feed, []).append(f"`{node['name']}.{name}`")
    lines = [
        "## What another feed would light up",
        "",
        "NULL until the feed is delivered; the column beside it says why.",
        "",
        "| Feed | What it delivers | Columns |",
        "|---|---|---|",
    ]
    for feed in sorted(waiting):
        lines.append(f"| {feed} | {feeds.get(feed, '')} | {', '.join(waiting[feed])} |")
    return lines


def check(manifest: Manifest, root: Path = PROJECT) -> list[str]:
    """The gaps of the page, and whether the committed one is what would be written now."""
    page = render(manifest, root)
    target = root / PAGE
    committed = target.read_text(encoding="utf-8") if target.exists() else ""
    if committed != page.text:
        return [*page.problems, f"{PAGE} is stale: `make metrics` writes it"]
    return page.problems


def main() -> None:
    """Write docs/metrics.md."""
    console = Console()
    with tempfile.TemporaryDirectory(prefix="kehu-metrics-") as folder:
        page = render(lint.compile_for_spark(Path(folder), incremental=False))
    (PROJECT / PAGE).write_text(page.text, encoding="utf-8")
    console.print(f"  {PAGE}: {page.text.count(chr(10))} lines", highlight=False)
    for problem in page.problems:
        console.print(f"[red]{escape(problem)}[/]", highlight=False, soft_wrap=True)
    if page.problems:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
