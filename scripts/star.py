"""Draw docs/star.svg and write the bus matrix of docs/analyst.md, both from the dbt manifest.

    scripts/star.py               # `make star`

A dimension is a model `dim_x` of core with a column that a `unique` test holds; a fact has that
dimension where one of its columns bears the name of this key (or ends with it: `home_store_key`), or is
a date. A column that the contract lets be NULL makes the join optional. `make lint` fails while picture or
matrix are stale; tests/scripts/test_star.py follows each line of the picture in published data.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

import typer
from rich.console import Console

import lint_models as lint
from lint_models import PROJECT, Manifest, Node
from metrics import meta

PICTURE = Path("docs/star.svg")
PAGE = Path("docs/analyst.md")
BEGIN = "<!-- bus matrix: `make star` writes it -->"
END = "<!-- end of bus matrix -->"
DATES = "dim_date"
NO_DATE = re.compile(r"^(valid|known)_|^period_start_date$")
FULL, OPTIONAL = "●", "○"


@dataclass(frozen=True)
class Join:
    """How a fact reaches a dimension, or another fact: by these columns, the first of them the main one."""

    columns: tuple[str, ...]
    is_optional: bool


@dataclass(frozen=True)
class Dimension:
    """A dimension with its key; `history` names the table of its versions."""

    name: str
    zh: str
    key: str
    history: str


@dataclass
class Fact:
    """A fact: what a row is, its dimensions, and the facts that its rows belong to."""

    name: str
    zh: str
    grain: str
    joins: dict[str, Join] = field(default_factory=dict)
    drills: dict[str, Join] = field(default_factory=dict)
    history: str = ""


# ------------------------------------------------------------------------------------ the model


def _tables(manifest: Manifest) -> dict[str, Node]:
    everything = [*manifest["nodes"].values(), *manifest["sources"].values()]
    return {
        node["name"]: node
        for node in everything
        if node["resource_type"] in ("model", "source")
        and node["schema"] == "core"
        and node["config"].get("materialized") != "ephemeral"
    }


def _keys(manifest: Manifest) -> dict[str, str]:
    """For each table the column that a test `unique` holds."""
    found = {}
    for node in manifest["nodes"].values():
        if (node.get("test_metadata") or {}).get("name") == "unique" and node.get("attached_node"):
            found[node["attached_node"].split(".")[2]] = node["column_name"]
    return found


def _text(node: Node, ends: str) -> str:
    return str(meta(node).get("zh", "")).removesuffix(ends)


def _grain(node: Node) -> str:
    first = re.split(r"(?<=\.)\s", re.sub(r"\s+", " ", node["description"]))[0]
    return re.sub(r"^One row per ", "", first).rstrip(".")


def read(manifest: Manifest) -> tuple[dict[str, Dimension], dict[str, Fact]]:
    """Dimensions and facts with their joins, the most used and the richest first."""
    tables, keys = _tables(manifest), _keys(manifest)
    names = [t for t in tables if t.startswith("dim_") and not t.endswith("_history")]
    dimensions = {
        name: Dimension(
            name,
            _text(tables[name], "维度"),
            keys[name],
            f"{name}_history" if f"{name}_history" in tables else "",
        )
        for name in names
        if name in keys
    }
    facts = {
        name: _fact(node, dimensions, keys, tables)
        for name, node in tables.items()
        if name.startswith("fct_") and not name.endswith("_history")
    }
    used = {name: sum(name in fact.joins for fact in facts.values()) for name in dimensions}
    by_use = sorted(dimensions, key=lambda name: (-used[name], name))
    by_size = sorted(facts, key=lambda name: (-len(facts[name].joins), name))
    return {name: dimensions[name] for name in by_use}, {name: facts[name] for name in by_size}


def _fact(
    node: Node,
    dimensions: Mapping[str, Dimension],
    keys: Mapping[str, str],
    tables: Mapping[str, Node],
) -> Fact:
    name = node["name"]
    history = f"{name}_history" if f"{name}_history" in tables else ""
    fact = Fact(name, _text(node, "事实"), _grain(node), history=history)
    for target, key in keys.items():
        if target not in dimensions and not target.startswith("fct_"):
            continue
        columns = [
            name
            for name, column in node["columns"].items()
            if meta(column).get("joins") != "none"
            and (_is_date(name, column) if target == DATES else f"_{name}".endswith(f"_{key}"))
        ]
        if not columns or target == fact.name:
            continue
        columns.sort(
            key=lambda c: _is_nullable(node, c)
        )  # the one that always holds is the main one
        join = Join(tuple(columns), _is_nullable(node, columns[0]))
        (fact.joins if target in dimensions else fact.drills)[target] = join
    return fact


def _is_date(name: str, column: Mapping[str, object]) -> bool:
    return column.get("data_type") == "date" and name != "as_of_date" and not NO_DATE.search(name)


def _is_nullable(node: Node, column: str) -> bool:
    """Whether the contract lets it be NULL; what Python writes has keys that are never NULL."""
    if node["resource_type"] == "source":
        return False
    constraints = node["columns"][column].get("constraints") or []
    return "not_null" not in {each["type"] for each in constraints}


# ----------------------------------------------------------------------------------- the matrix


def matrix(dimensions: Mapping[str, Dimension], facts: Mapping[str, Fact]) -> str:
    """The bus matrix as a table of Markdown."""
    used = [name for name in dimensions if any(name in f.joins for f in facts.values())]
    heads = " | ".join(name.removeprefix("dim_") for name in used)
    lines = [
        f"| Fact | One row per | {heads} |",
        f"|---|---|{':-:|' * len(used)}",
    ]
    for fact in facts.values():
        marks = [_mark(fact.joins.get(name)) for name in used]
        versions = f" ({fact.history})" if fact.history else ""
        grain = fact.grain.replace("|", "\\|")
        lines.append(f"| `{fact.name}`{versions} | {grain} | {' | '.join(marks)} |")
    keys = ", ".join(f"`{dimensions[name].key}`" for name in used)
    lines += ["", f"Keys, in the order of the columns: {keys}."]
    return "\n".join(lines)


def _mark(join: Join | None) -> str:
    return "" if join is None else OPTIONAL if join.is_optional else FULL


def with_matrix(page: str, text: str) -> str:
    """The page with the matrix between its marks; SystemExit where they are missing."""
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise SystemExit(f"{PAGE} lacks the marks of the bus matrix: {BEGIN} … {END}")
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}"


# ---------------------------------------------------------------------------------- the picture

WIDE, COLUMNS, TOP = 456, 2, 62  # of one star; stars side by side; the legend above
FACT_WIDE, DIM_WIDE, DIM_HIGH = 184, 112, 38
STEP = (WIDE / 2 - DIM_WIDE / 2 - 10, 98)  # from the fact to a dimension, across and down
LINE, GAP = 15, 30  # of text in a fact; between two rows of stars
PLACES = ((0, 0), (1, 0), (2, 0), (0, 1), (2, 1), (0, 2), (1, 2), (2, 2))
COLOURS = (
    "#0b6e99", "#8a5a00", "#2e7d32", "#7b3f98", "#b23b3b", "#00695c", "#5d4037", "#3949ab", "#8e2461",
)  # fmt: skip
STYLE = (
    "text{font-family:'Helvetica Neue',Arial,'Noto Sans CJK SC','PingFang SC','Microsoft YaHei',"
    "sans-serif;font-size:11.5px;fill:#222}.m{font-family:Menlo,Consolas,'DejaVu Sans Mono',monospace;"
    "font-size:10px}.s{font-size:10px;fill:#555}.w{fill:#fff}.b{font-weight:bold}"
)


def places(dimensions: Mapping[str, Dimension], facts: Mapping[str, Fact]) -> dict[str, int]:
    """A fixed place for each dimension, so that it is found where it was in the star before.

    More dimensions than places: two share one where no fact has both.
    """
    taken: dict[str, int] = {}
    order = (3, 1, 4, 0, 2, 5, 7, 6)  # the most used beside and above the fact
    for name in dimensions:
        beside = {o for f in facts.values() if name in f.joins for o in f.joins if o != name}
        if not any(name in fact.joins for fact in facts.values()):
            continue
        blocked = {taken[other] for other in beside if other in taken}
        free = [p for p in order if p not in taken.values()]
        shared = [p for p in order if p not in blocked]
        if not free and not shared:
            raise SystemExit(f"no place is left for {name} in {PICTURE}")
        taken[name] = (free or shared)[0]
    return taken


def draw(dimensions: Mapping[str, Dimension], facts: Mapping[str, Fact]) -> str:
    """Small stars, every dimension in its place and colour; facts with the same joins share one.

    Facts that join dates alone (of models, of checks) stand in the matrix only.
    """
    alike: dict[str, list[Fact]] = {}
    for fact in facts.values():
        if set(fact.joins) - {DATES, "dim_as_of"} or fact.drills:
            alike.setdefault(repr((fact.joins, fact.drills)), []).append(fact)
    drawn = list(alike.values())
    where = places(dimensions, facts)
    colours = dict(zip(where, COLOURS * 2, strict=False))
    body: list[str] = []
    top = float(TOP + GAP / 2)
    for row in (drawn[i : i + COLUMNS] for i in range(0, len(drawn), COLUMNS)):
        edges = {PLACES[where[name]][1] for group in row for name in group[0].joins}
        box = max(_height(_lines(group)) / 2 for group in row)
        up, down = (STEP[1] + DIM_HIGH / 2 if edge in edges else box for edge in (0, 2))
        for number, group in enumerate(row):
            shift = f"{number * WIDE:g} {top + up:g}"
            body.append(f'<g transform="translate({shift})">')
            body += _star(group, dimensions, where, colours)
            body.append("</g>")
        top += up + down + GAP
    width, height = WIDE * COLUMNS, int(top)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img" aria-labelledby="title about">',
            '<title id="title">The star: facts and their conformed dimensions</title>',
            f'<desc id="about">{escape(_told(drawn))}</desc>',
            f"<style>{STYLE}</style>",
            f'<rect width="{width}" height="{height}" fill="#fff"/>',
            *_legend(),
            *body,
            "</svg>",
            "",
        ]
    )


def _told(groups: list[list[Fact]]) -> str:
    return " ".join(f"{f.name}: {', '.join(sorted(f.joins))}." for group in groups for f in group)


def _legend() -> Iterator[str]:
    yield '<rect x="14" y="14" width="26" height="18" rx="4" fill="#263238"/>'
    yield '<text x="46" y="27">fact, what its row is</text>'
    yield '<rect x="190" y="14" width="26" height="18" rx="4" fill="#fff" stroke="#555"/>'
    yield '<text x="222" y="27">dimension (same place and colour in each star), joined by</text>'
    yield '<rect x="566" y="12" width="26" height="18" rx="4" fill="#fff" stroke="#aaa"/>'
    yield '<rect x="563" y="15" width="26" height="18" rx="4" fill="#fff" stroke="#555"/>'
    yield '<text x="599" y="27">also with its history, dim_…_history</text>'
    yield '<path d="M14 46h26" stroke="#555" stroke-width="1.6"/>'
    yield '<text x="46" y="50">always there; -1 is UNKNOWN</text>'
    yield '<path d="M222 46h26" stroke="#555" stroke-width="1.6" stroke-dasharray="4 3"/>'
    yield '<text x="254" y="50">may be NULL: use a left join</text>'
    yield '<text x="440" y="50"><tspan class="m">receipt_key →</tspan> belongs to a row of this fact</text>'


def _star(
    group: list[Fact],
    dimensions: Mapping[str, Dimension],
    where: Mapping[str, int],
    colours: Mapping[str, str],
) -> Iterator[str]:
    fact, middle = group[0], (WIDE / 2, 0.0)
    centres = {}
    for name in fact.joins:
        column, row = PLACES[where[name]]
        centres[name] = (middle[0] + (column - 1) * STEP[0], (row - 1) * STEP[1])
    for name, (x, y) in centres.items():
        dashed = ' stroke-dasharray="4 3"' if fact.joins[name].is_optional else ""
        yield (
            f'<path d="M{middle[0]:g} {middle[1]:g}L{x:g} {y:g}" stroke="{colours[name]}" '
            f'stroke-width="1.6"{dashed}/>'
        )
    yield from _fact_box(_lines(group), middle)
    for name, (x, y) in centres.items():
        yield from _dimension_box(dimensions[name], fact.joins[name], colours[name], x, y)


def _lines(group: list[Fact]) -> list[tuple[str, str]]:
    """What stands in the box of facts, each line with its style: names alone where they are several."""
    lines = [("m w b", fact.name) for fact in group]
    if len(group) == 1:
        lines.append(("w", group[0].zh))
        lines += [("s w", line) for line in _wrapped(f"per {group[0].grain}")]
    else:
        lines.append(("w", ", ".join(fact.zh for fact in group if fact.zh)))
    for target, join in group[0].drills.items():
        lines.append(("m w", f"{join.columns[0]}{'?' * join.is_optional} → {target}"))
    return [(kind, text) for kind, text in lines if text]


def _height(lines: list[tuple[str, str]]) -> int:
    return LINE * len(lines) + 12


def _fact_box(lines: list[tuple[str, str]], middle: tuple[float, float]) -> Iterator[str]:
    high = _height(lines)
    x, y = middle[0] - FACT_WIDE / 2, middle[1] - high / 2
    yield f'<rect x="{x:g}" y="{y:g}" width="{FACT_WIDE}" height="{high}" rx="6" fill="#263238"/>'
    for number, (kind, text) in enumerate(lines):
        yield (
            f'<text class="{kind}" x="{middle[0]:g}" y="{y + 18 + LINE * number:g}" '
            f'text-anchor="middle">{escape(text)}</text>'
        )


def _wrapped(text: str, wide: int = 33, lines: int = 2) -> list[str]:
    """At most two lines; what is longer ends with … (the whole stands in the matrix)."""
    text = re.split(r"[;:(]| of those who | that was ", text)[0].strip().rstrip(",")
    found = [""]
    for word in text.split():
        if len(found[-1]) + len(word) + 1 > wide and found[-1]:
            found.append("")
        found[-1] = f"{found[-1]} {word}".strip()
    if len(found) > lines:
        found = [*found[: lines - 1], f"{found[lines - 1]} …"]
    return found


def _dimension_box(
    dimension: Dimension, join: Join, colour: str, x: float, y: float
) -> Iterator[str]:
    left, top = x - DIM_WIDE / 2, y - DIM_HIGH / 2
    size = f'width="{DIM_WIDE}" height="{DIM_HIGH}" rx="5"'
    if dimension.history:
        yield f'<rect x="{left + 4:g}" y="{top - 4:g}" {size} fill="#fff" stroke="{colour}" opacity=".5"/>'
    yield f'<rect x="{left:g}" y="{top:g}" {size} fill="#fff" stroke="{colour}" stroke-width="1.6"/>'
    more = f" +{len(join.columns) - 1}" if len(join.columns) > 1 else ""
    name = dimension.name.removeprefix("dim_")
    yield (
        f'<text x="{x:g}" y="{y - 3:g}" text-anchor="middle"><tspan class="b" style="fill:{colour}">'
        f"{escape(name)}</tspan> {escape(dimension.zh)}</text>"
    )
    yield (
        f'<text class="m" x="{x:g}" y="{y + 12:g}" text-anchor="middle">'
        f"{escape(join.columns[0])}{more}</text>"
    )


# ------------------------------------------------------------------------------------ the files


def check(manifest: Manifest, root: Path = PROJECT) -> list[str]:
    """What of the picture and the matrix is not what would be written now."""
    dimensions, facts = read(manifest)
    picture, page = root / PICTURE, (root / PAGE).read_text(encoding="utf-8")
    problems = []
    if not picture.exists() or picture.read_text(encoding="utf-8") != draw(dimensions, facts):
        problems.append(f"{PICTURE} is stale: `make star` draws it")
    if with_matrix(page, matrix(dimensions, facts)) != page:
        problems.append(f"the bus matrix in {PAGE} is stale: `make star` writes it")
    return problems


def main() -> None:
    """Draw docs/star.svg and write the bus matrix of docs/analyst.md."""
    with tempfile.TemporaryDirectory(prefix="kehu-star-") as folder:
        dimensions, facts = read(lint.compile_for_spark(Path(folder), incremental=False))
    (PROJECT / PICTURE).write_text(draw(dimensions, facts), encoding="utf-8")
    page = (PROJECT / PAGE).read_text(encoding="utf-8")
    page = with_matrix(page, matrix(dimensions, facts))
    (PROJECT / PAGE).write_text(page, encoding="utf-8")
    Console().print(f"  {PICTURE}, {PAGE}: {len(facts)} facts, {len(dimensions)} dimensions")


if __name__ == "__main__":
    typer.run(main)
