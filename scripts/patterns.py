"""Run each query of docs/analyst.md and write its result beneath it, or say which differ.

    scripts/patterns.py [--check]       # `make patterns`, on the published demo of KEHU_HOME

A query is a block of SQL that a table of Markdown follows; other blocks are left alone. PREVIOUS in a
query is the publication before the current one. The results are those of `make demo`: of another
publication than the demo's whole year nothing is written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import duckdb
import typer
from rich.console import Console

from kehu.settings import Settings

PROJECT = Path(__file__).resolve().parents[1]
PAGE = Path("docs/analyst.md")
BLOCK = re.compile(r"```sql\n(?P<sql>[^`]*)```\n\n(?P<table>(?:\|.*\n)+)")
DEMO = {"as_of_date": "2017-12-31", "customers": 2469, "net sales": "4596039.58"}


@dataclass(frozen=True)
class Pattern:
    """A query of the page, the table printed beneath it, and the line where it begins."""

    sql: str
    table: str
    line: int


def read(page: str) -> list[Pattern]:
    """The queries of a page with their results."""
    return [
        Pattern(m["sql"], m["table"], page.count("\n", 0, m.start()) + 2)
        for m in BLOCK.finditer(page)
    ]


def is_demo(manifest: dict[str, Any]) -> bool:
    """Whether a publication is that of the demo's whole year."""
    facts = {"as_of_date": manifest["as_of_date"]} | manifest["headlines"]
    return all(facts.get(name) == value for name, value in DEMO.items())


def connect(home: Path) -> tuple[duckdb.DuckDBPyConnection, str]:
    """The current publication of a home, and where the one before lies (itself, if it is the first)."""
    current = (home / "published").resolve()
    kept = sorted(p for p in current.parent.glob("[!.]*") if (p / "manifest.json").exists())
    earlier = [p for p in kept if p.name.partition("_")[2] < current.name.partition("_")[2]]
    connection = duckdb.connect()
    connection.execute(f"attach '{current / 'kehu.duckdb'}' as kehu (read_only)")
    connection.execute("use kehu")
    return connection, str((earlier or [current])[-1])


def answer(connection: duckdb.DuckDBPyConnection, sql: str, previous: str) -> str:
    """The result of a query as a table of Markdown."""
    statements = sql.replace("var/publications/PREVIOUS", previous)
    cursor = connection.execute(statements)
    names = [column[0] for column in cursor.description or []]
    kinds = [str(column[1]) for column in cursor.description or []]
    numbers = [kind in _NUMBERS or kind.startswith("DECIMAL") for kind in kinds]
    rows = cursor.fetchall()
    for name in _attached(sql):
        connection.execute(f"detach {name}")
    head = f"| {' | '.join(names)} |\n|{'|'.join('--:' if n else '---' for n in numbers)}|\n"
    return head + "".join(f"| {' | '.join(map(_cell, row))} |\n" for row in rows)


_NUMBERS = ("BIGINT", "INTEGER", "DOUBLE", "HUGEINT", "FLOAT", "NUMBER")


def _attached(sql: str) -> list[str]:
    return re.findall(r"attach '[^']*' as (\w+)", sql)


def _cell(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | Decimal):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.2f}".rstrip("0").rstrip(".")
    return str(value).replace("|", "\\|")


def differences(page: str, home: Path) -> Iterator[tuple[Pattern, str]]:
    """The patterns whose result on this home is not what is printed, with that result."""
    connection, previous = connect(home)
    with connection:
        for pattern in read(page):
            try:
                found = answer(connection, pattern.sql, previous)
            except duckdb.Error as error:
                raise SystemExit(f"{PAGE}:{pattern.line}: {error}") from None
            if found != pattern.table:
                yield pattern, found


def main(check: Annotated[bool, typer.Option("--check", help="Write nothing.")] = False) -> None:
    """Write the results of the queries into docs/analyst.md, or check them."""
    console = Console()
    home = Settings().home
    path = home / "published" / "manifest.json"
    if not path.exists() or not is_demo(json.loads(path.read_text())):
        raise SystemExit(f"{home} holds no publication of the demo's year; `make demo` makes it")
    page = (PROJECT / PAGE).read_text(encoding="utf-8")
    changed = list(differences(page, home))
    for pattern, found in changed:
        console.print(f"{PAGE}:{pattern.line}: the result is another one", highlight=False)
        old, new = (f"```sql\n{pattern.sql}```\n\n{table}" for table in (pattern.table, found))
        page = page.replace(old, new)
    console.print(f"  {PAGE}: {len(read(page))} queries, {len(changed)} differ", highlight=False)
    if check and changed:
        raise typer.Exit(1)
    if not check:
        (PROJECT / PAGE).write_text(page, encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
