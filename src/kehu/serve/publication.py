"""The published file as its copies need it: tables with types, keys, descriptions and counts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import yaml

from kehu.errors import KehuError
from kehu.extract.typing import literal, quoted
from kehu.publish import ANOTHER_NAME
from kehu.settings import Settings

SCHEMAS = ("core", "marts")
FACTS = "fct_"


@dataclass(frozen=True)
class Column:
    """A column: its type in DuckDB, and whether it may be NULL."""

    name: str
    kind: str
    is_nullable: bool
    description: str


@dataclass(frozen=True)
class Table:
    """A table of the publication. `key` are the columns that its tests hold unique; () if none."""

    schema: str
    name: str
    columns: tuple[Column, ...]
    rows: int
    description: str
    key: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    def has(self, column: str) -> bool:
        """Whether there is a column of this name."""
        return any(c.name == column for c in self.columns)


@dataclass(frozen=True)
class Publication:
    """What readers see now, or saw when it was opened: later publications change nothing of it."""

    identity: str
    folder: Path
    manifest: dict[str, Any]

    @property
    def as_of(self) -> str:
        return str(self.manifest["as_of_date"])


def current(settings: Settings) -> Publication:
    """The publication that readers see, a pinned one included; KehuError where there is none."""
    folder = settings.published.resolve()
    path = folder / "manifest.json"
    if not path.exists():
        raise KehuError("nothing is published yet; `kehu night --as-of DATE` publishes")
    try:
        manifest = json.loads(path.read_text())
    except ValueError:
        raise KehuError(f"{path} is damaged; the next night publishes a whole one") from None
    return Publication(manifest["publication"], folder, manifest)


@contextmanager
def opened(
    settings: Settings, publication: Publication, *, with_facts: bool
) -> Iterator[tuple[duckdb.DuckDBPyConnection, list[Table]]]:
    """The published file itself, read-only, and the tables of it that are copied."""
    with duckdb.connect() as connection:
        connection.execute(f"set memory_limit = {literal(settings.memory_limit)}")
        connection.execute(f"set threads = {settings.threads}")
        connection.execute(f"set temp_directory = {literal(str(settings.home / 'tmp'))}")
        path = publication.folder / ANOTHER_NAME
        connection.execute(f"attach {literal(str(path))} as kehu (read_only)")
        connection.execute("use kehu")
        yield connection, _tables(connection, settings.project, publication, with_facts)


def _tables(
    connection: duckdb.DuckDBPyConnection, project: Path, publication: Publication, with_facts: bool
) -> list[Table]:
    found: dict[tuple[str, str], list[tuple[str, str, bool]]] = {}
    for schema, table, column, kind, is_nullable in connection.execute(
        """select schema_name, table_name, column_name, data_type, is_nullable
        from duckdb_columns() where database_name = 'kehu' and schema_name in ('core', 'marts')
        order by schema_name, table_name, column_index"""
    ).fetchall():
        if with_facts or schema != "core" or not table.startswith(FACTS):
            found.setdefault((schema, table), []).append((column, kind, is_nullable))
    told = _described(project)
    tables = []
    for (schema, name), columns in found.items():
        says = told.get(name, {})
        words = {c["name"]: _words(c) for c in says.get("columns") or []}
        names = {column for column, _, _ in columns}
        key = next((k for k in _keys(says) if names.issuperset(k)), ())
        tables.append(
            Table(
                schema,
                name,
                tuple(Column(c, kind, null, words.get(c, "")) for c, kind, null in columns),
                publication.manifest["row_counts"][f"{schema}.{name}"],
                _words(says),
                key,
            )
        )
    return tables


@lru_cache(maxsize=2)
def _described(project: Path) -> dict[str, dict[str, Any]]:
    """What the models' YAML says of each table."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: dict[str, dict[str, Any]] = {}
    for folder in ("models/core", "models/marts", "seeds"):
        for path in sorted((project / folder).rglob("*.yml")):
            content = yaml.load(path.read_text(encoding="utf-8"), Loader=loader) or {}
            listed = [*(content.get("models") or []), *(content.get("seeds") or [])]
            for source in content.get("sources") or []:
                listed += source.get("tables") or []
            found |= {each["name"]: each for each in listed}
    return found


def _words(says: dict[str, Any]) -> str:
    """The Chinese name and the description."""
    meta = (says.get("config") or {}).get("meta") or {}
    parts = (meta.get("zh"), " ".join(str(says.get("description") or "").split()))
    return ": ".join(p for p in parts if p)


def _keys(says: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """The columns that a test of the model holds unique, together or alone."""
    for test in says.get("data_tests") or []:
        if isinstance(test, dict) and "unique_combination" in test:
            yield tuple(test["unique_combination"]["arguments"]["columns"])
    for column in says.get("columns") or []:
        if "unique" in (column.get("data_tests") or []):
            yield (column["name"],)


def rows_of(
    connection: duckdb.DuckDBPyConnection, table: Table, columns: str, batch_rows: int
) -> Any:
    """The rows of a table as a stream of Arrow record batches."""
    return connection.execute(
        f"select {columns} from {quoted(table.schema)}.{quoted(table.name)}"
    ).to_arrow_reader(batch_rows)
