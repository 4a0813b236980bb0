"""A company's own seeds: they take the place of the shipped ones, of those in `BY_KEY` key by key.

What the seed's YAML promises dbt (types, no empty cells, relationships to other seeds, what is there
once) is asked here first: dbt would say a test's name, and not the line.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import yaml

from kehu.errors import KehuError
from kehu.extract.typing import literal, quoted
from kehu.settings import Settings

# Of these, the company's rows of a key take the place of the shipped rows of that key. `param` comes
# first: it says which scopes there are.
BY_KEY = {
    "param": ("name", "scope"),
    "kpi_target": ("kpi", "store_code", "scope"),
    "treatment_matrix": ("kpi", "scope"),
}
_MANY = 10


def own_seeds(settings: Settings) -> dict[str, Path]:
    """The company's seeds, by the name of the file."""
    found = sorted((settings.company / "seeds").glob("*.csv")) if settings.company else []
    return {path.name: path for path in found}


def seed_texts(settings: Settings) -> dict[str, bytes]:
    """All files of the seeds, by name: the shipped ones with the company's laid over them.

    KehuError names line, column, rule and value of what a company's row breaks.
    """
    texts = {p.name: p.read_bytes() for p in (settings.project / "seeds").iterdir() if p.is_file()}
    own = own_seeds(settings)
    keyed = [f"{seed}.csv" for seed in BY_KEY if f"{seed}.csv" in own.keys() & texts.keys()]
    texts |= {name: path.read_bytes() for name, path in own.items() if name not in keyed}
    for name in keyed:
        texts[name] = _laid_over(texts, own[name], settings.param_scope)
    return texts


def _laid_over(texts: dict[str, bytes], own: Path, param_scope: str) -> bytes:
    """The shipped rows without those of the keys that the company's file has, and the file's."""
    columns, *shipped = csv.reader(io.StringIO(texts[own.name].decode("utf-8")))
    rows = _read(own, columns)
    if problems := _problems(texts, own, columns, rows, param_scope) if rows else []:
        more = [f"{own}: {len(problems) - _MANY} more"] if len(problems) > _MANY else []
        raise KehuError("\n".join(problems[:_MANY] + more))
    key = [columns.index(name) for name in BY_KEY[own.stem]]
    taken = {tuple(row[i] for i in key) for row in rows.values()}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(row for row in shipped if tuple(row[i] for i in key) not in taken)
    writer.writerows(rows.values())
    return text.getvalue().encode()


def _read(own: Path, columns: list[str]) -> dict[int, list[str]]:
    """The rows of the company's file by line, trimmed, their cells in the order of `columns`."""
    try:
        reader = csv.reader(io.StringIO(own.read_text(encoding="utf-8-sig")), strict=True)
        numbered, begun = [], 1
        for cells in reader:
            numbered.append((begun, [cell.strip() for cell in cells]))
            begun = reader.line_num + 1
    except UnicodeDecodeError as error:
        raise KehuError(f"{own}: is not UTF-8; save it as CSV UTF-8") from error
    except csv.Error as error:
        raise KehuError(f"{own}: line {begun}: is not CSV: {error}; close the quotes") from error
    numbered = [(line, cells) for line, cells in numbered if any(cells)]
    if len(numbered) < 2:
        return {}
    (first, header), *rows = numbered
    for column in columns:
        if header.count(column) != 1:
            told = "stands twice" if column in header else "is missing"
            wanted = f"the columns are {', '.join(columns)}"
            raise KehuError(f"{own}: line {first}: column {column}: {told}; {wanted}")
    if extra := [name for name in header if name not in columns]:
        wanted = f"the columns are {', '.join(columns)}"
        raise KehuError(f"{own}: line {first}: column {extra[0]!r}: is none of this seed; {wanted}")
    for line, cells in rows:
        if len(cells) != len(columns):
            raise KehuError(
                f"{own}: line {line}: has {len(cells)} cells, and there are {len(columns)} columns; "
                "a text with a comma wants quotes"
            )
    order = [header.index(column) for column in columns]
    return {line: [cells[i] for i in order] for line, cells in rows}


def _problems(
    texts: dict[str, bytes],
    own: Path,
    columns: list[str],
    rows: dict[int, list[str]],
    param_scope: str,
) -> list[str]:
    """What the rows break, in the order of their lines."""
    queries = [
        f"select _line, {i} as place, {literal(column)} as columns, {literal(rule)} as rule, "
        f"{value} as value, {literal(advice)} as advice from own {where}"
        for i, (column, value, where, rule, advice) in enumerate(
            _rules(texts, own.stem, param_scope)
        )
    ]
    table = {name: [row[i] for row in rows.values()] for i, name in enumerate(columns)}
    with duckdb.connect() as connection:
        connection.register("own", pa.table({"_line": list(rows), **table}))
        found = connection.execute(" union all ".join(queries) + " order by 1, 2").fetchall()
    return [
        f"{own}: line {line}: column {column}: {rule}: {value!r}; {advice}"
        for line, _, column, rule, value, advice in found
    ]


def _rules(
    texts: dict[str, bytes], seed: str, param_scope: str
) -> Iterator[tuple[str, str, str, str, str]]:
    """Of each rule: its column(s), the SQL of the value shown, that of the rows that break it, and words
    for the rule and for what to do.
    """
    promised = _promised(texts, seed)
    if seed == "param":
        yield _one_of("name", _values(texts, "param", "name"), "is no parameter", "seeds/param.csv")
    else:
        scopes = {"default", param_scope, *_values(texts, "param", "scope")}
        place = "default, or what KEHU_PARAM_SCOPE is set to"
        yield _one_of("scope", scopes, "is no scope of this company", place)
    for column, kind in promised.get("config", {}).get("column_types", {}).items():
        cell = quoted(column)
        wrong = f"where {cell} <> '' and try_cast({cell} as {kind}) is null"
        if kind == "date":
            yield column, cell, wrong, "is no date", "write it as 2017-12-31"
        elif kind == "integer":
            wrong = f"where {cell} <> '' and not regexp_full_match({cell}, '[+-]?[0-9]{{1,9}}')"
            yield column, cell, wrong, "is no whole number", "write it as 14"
        elif kind.startswith("decimal"):
            yield column, cell, wrong, f"is no number ({kind})", "write it as 1234.5"
    for column in promised.get("columns", []):
        name, cell = column["name"], quoted(column["name"])
        for test in column.get("data_tests", []):
            if test == "not_null":
                yield name, cell, f"where {cell} = ''", "is empty", "fill it in"
            elif "relationships" in test:
                asked = test["relationships"]["arguments"]
                other = re.sub(r"ref\('(\w+)'\)", r"\1", asked["to"])
                if f"{other}.csv" in texts:  # what is no seed is for dbt to ask
                    known = _values(texts, other, asked["field"])
                    yield _one_of(name, known, f"is no {other}", f"seeds/{other}.csv")
    for test in promised.get("data_tests", []):
        once = test["unique_combination"]["arguments"]["columns"]
        key = ", ".join(quoted(column) for column in once)
        twice = f"qualify row_number() over (partition by {key} order by _line) > 1"
        yield ", ".join(once), f"concat_ws(', ', {key})", twice, "stands twice", "keep one of them"
    if seed == "treatment_matrix":
        lacks = (
            "where scope = 'default' qualify count(case segment when 'ALL' then 1 end) "
            "over (partition by kpi) = 0 and row_number() over (partition by kpi order by _line) = 1"
        )
        advice = "add one: the shipped rows of the KPI give way to these"
        yield "segment", "kpi", lacks, "there is no row ALL for the KPI", advice


def _one_of(column: str, known: set[str], rule: str, place: str) -> tuple[str, str, str, str, str]:
    cell = quoted(column)
    values = ", ".join(literal(value) for value in sorted(known))
    return column, cell, f"where {cell} not in ('', {values})", rule, f"take one of {place}"


def _values(texts: dict[str, bytes], seed: str, column: str) -> set[str]:
    """What stands in a column of a seed."""
    text = texts[f"{seed}.csv"].decode("utf-8-sig", errors="replace")
    return {row.get(column) or "" for row in csv.DictReader(io.StringIO(text))}


def _promised(texts: dict[str, bytes], seed: str) -> dict[str, Any]:
    """What the YAML beside the seeds says of one of them."""
    for name, text in texts.items():
        if name.endswith(".yml") and f"- name: {seed}\n".encode() in text:
            for each in yaml.safe_load(text).get("seeds", []):
                if each["name"] == seed:
                    found: dict[str, Any] = each
                    return found
    return {}
