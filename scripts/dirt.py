"""Write docs/dirt.md: each rule of the dirt catalogue, an example, what becomes of it, the test.

    scripts/dirt.py               # `make dirt`

The page is made of the marks of pytest (`@pytest.mark.dirt(rule=3, example="¥1,234", outcome="repaired
to 1234.00")`) and of `config.meta.dirt` of dbt unit tests, and of nothing else: what stands on it is
what a test shows. `make lint` fails while it is stale, or while a rule has no test.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer
import yaml
from rich.console import Console
from rich.markup import escape

PROJECT = Path(__file__).resolve().parents[1]
PAGE = Path("docs/dirt.md")
OUTCOMES = (
    "repaired", "quarantined", "refused", "skipped", "accepted", "flagged", "excluded",
)  # fmt: skip

RULES = {
    1: "Encodings: GB18030, UTF-8 with and without BOM, UTF-16; rare characters in names",
    2: "Full-width digits, letters, spaces and signs",
    3: "Amounts with ¥, 元, thousands, 万, brackets, trailing minus",
    4: "Dates in many notations, Excel serials",
    5: "Phones with prefixes, as decimals, masked, placeholders",
    6: "Card numbers in scientific notation, digits lost",
    7: "Leading zeros eaten",
    8: "Marks of spreadsheets, words for nothing",
    9: "Total lines and repeated headers",
    10: "Signs of returns",
    11: "Cancelled and suspended receipts",
    12: "Test stores",
    13: "Receipt numbers that start anew",
    14: "The same again: files, resends, overlapping deltas",
    15: "Duplicate members",
    16: "Staff cards, shared cards, group purchases",
    17: "Clocks: drift, 1970, order of events, UTC",
    18: "Rounding of receipts (抹零)",
    19: "Line breaks, quotes and commas within a cell",
    20: "Categories moved, product codes used again",
    21: "Gifts, lines at 0.00, coupons as lines",
    22: "Addresses",
    23: "Survey scales",
    24: "Traditional characters",
    25: "Cost missing, or with tax",
}


@dataclass(frozen=True, order=True)
class Case:
    """An example of a rule, what becomes of it, and the test that shows it."""

    rule: int
    example: str
    outcome: str
    test: str = field(compare=False)
    path: str = field(compare=False)  # from the project's root


@dataclass(frozen=True)
class Page:
    """The page as it would be written, and its gaps."""

    text: str
    problems: list[str]


def cases(root: Path) -> tuple[list[Case], list[str]]:
    """All marked cases of a project, and marks that can not be read."""
    found: list[Case] = []
    problems: list[str] = []
    for path in sorted((root / "tests").rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if "mark.dirt(" in text:
            relative = path.relative_to(root).as_posix()
            _take(_marks(ast.parse(text)), relative, found, problems)
    for path in sorted((root / "models").rglob("*.yml")):
        text = path.read_text(encoding="utf-8")
        if "dirt:" in text:
            relative = path.relative_to(root).as_posix()
            _take(_metas(yaml.safe_load(text)), relative, found, problems)
    return found, problems


def _marks(tree: ast.Module) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name of the test and arguments of each mark; of an argument that is no literal, nothing."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef):
            continue
        for holder in node.decorator_list:
            if isinstance(holder, ast.Call) and ast.unparse(holder.func) == "pytest.mark.dirt":
                facts: dict[str, Any] = {}
                for argument in holder.keywords:
                    if argument.arg and isinstance(argument.value, ast.Constant):
                        facts[argument.arg] = argument.value.value
                yield node.name, facts


def _metas(content: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and facts of each case in the meta of dbt unit tests."""
    for test in (content or {}).get("unit_tests", []):
        meta = test.get("config", {}).get("meta", {}) | test.get("meta", {})
        for facts in meta.get("dirt", []):
            yield test["name"], facts


def _take(
    marks: Iterator[tuple[str, dict[str, Any]]], path: str, found: list[Case], problems: list[str]
) -> None:
    for test, facts in marks:
        where = f"{path}: {test}"
        if set(facts) != {"rule", "example", "outcome"}:
            problems.append(f"{where}: a dirt mark says rule, example and outcome, as literals")
        elif facts["rule"] not in RULES:
            problems.append(f"{where}: rule {facts['rule']} is not in the catalogue of 1 to 25")
        elif not str(facts["outcome"]).startswith(OUTCOMES):
            problems.append(f"{where}: the outcome begins with one of {', '.join(OUTCOMES)}")
        else:
            found.append(Case(facts["rule"], facts["example"], facts["outcome"], test, path))


def render(root: Path = PROJECT) -> Page:
    """The page of a project."""
    found, problems = cases(root)
    for rule, title in RULES.items():
        if not any(case.rule == rule for case in found):
            problems.append(f"{PAGE}: rule {rule} ({title}) has no test")
    lines = [
        "# Dirt",
        "",
        "Written by `make dirt`; `make lint` fails while it is stale. Do not edit by hand.",
        "",
        "What real exports contain, and what becomes of it. Each line is shown by the test behind it.",
        "*Repaired*: the value is mended and the row says so (`_repairs`, `ops.repair`). *Flagged*: kept",
        "as it is, and the row says what is odd. *Quarantined*: the row stays out, with its raw text and",
        "a reason. *Refused*: the whole file stays out. *Skipped*: no record, or known already, and",
        "counted. *Accepted*: as it is. *Excluded*: in the warehouse, and not in the metrics.",
        "",
    ]
    lines += ["| # | Dirt | Input | What happens | Test |", "|---|---|---|---|---|"]
    for rule, title in RULES.items():
        head = f"{rule} | {title}"
        for case in sorted(c for c in found if c.rule == rule) or [None]:
            if case is None:
                lines.append(f"| {head} | | *no test* | |")
                continue
            cells = " | ".join(map(_cell, (case.example, case.outcome)))
            lines.append(f"| {head} | {cells} | [{case.test}](../{case.path}) |")
            head = " | "
    lines.append("")
    return Page("\n".join(lines), problems)


def _cell(text: object) -> str:
    """A text as a cell of a Markdown table."""
    return (
        re.sub(r"[ \t\n]+", " ", str(text))
        .replace("|", "\\|")
        .replace("*", "\\*")
        .replace("<", "&lt;")
    )


def check(root: Path = PROJECT) -> list[str]:
    """The gaps of the page, and whether the committed one is what would be written now."""
    page = render(root)
    target = root / PAGE
    committed = target.read_text(encoding="utf-8") if target.exists() else ""
    if committed != page.text:
        return [*page.problems, f"{PAGE} is stale: `make dirt` writes it"]
    return page.problems


def main() -> None:
    """Write docs/dirt.md."""
    console = Console()
    page = render()
    (PROJECT / PAGE).write_text(page.text, encoding="utf-8")
    console.print(
        f"  {PAGE}: {len(cases(PROJECT)[0])} cases of {len(RULES)} rules", highlight=False
    )
    for problem in page.problems:
        console.print(f"[red]{escape(problem)}[/]", highlight=False, soft_wrap=True)
    if page.problems:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
