"""What an operator decided about rows of a batch, brought into its typed rows.

The decisions lie on the archive's card, so a replay or a rebuild comes to the same rows. A released
row is the source's own text with the cells that the operator wrote laid over it; it is typed as every
other row, and judged as every other row.
"""

from __future__ import annotations

import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from kehu.extract.delivery import Correction
from kehu.extract.repair import write_rows
from kehu.extract.typing import literal, quoted
from kehu.feeds import Column, Contract

_ANY_TEXT = "varchar(2000000000)"


def as_text(contract: Contract) -> Contract:
    """The same columns under the same headers, each a text about which nothing is promised."""
    columns = {
        name: Column(type=_ANY_TEXT, description=column.description, aliases=column.aliases)
        for name, column in contract.columns.items()
    }
    fields = {name: getattr(contract, name) for name in Contract.model_fields}
    for rules in ("checks", "group_checks", "lookups", "repairs"):
        fields[rules] = []
    # made and not copied: a copy would keep what the contract has computed of its rules
    return Contract.model_construct(
        **fields | {"columns": columns, "control_sum": None, "drift": "evolve"}
    )


_DECISION = pa.schema(
    [
        ("line_no", pa.int64()),
        ("action", pa.string()),
        ("rule_id", pa.string()),
        ("who", pa.string()),
        ("at", pa.timestamp("us")),
        ("reason", pa.string()),
        ("place", pa.int32()),
    ]
)


_NOTHING = (
    _DECISION.remove(_DECISION.get_field_index("place"))
    .append(pa.field("is_current", pa.bool_()))
    .empty_table()
)


def history(corrections: list[Correction]) -> pa.Table:
    """All decisions in their order, one row for each line, and a text column for each cell written.

    `is_current` where the decision still holds.
    """
    if not corrections:  # as of nearly every batch
        return _NOTHING
    tables = [_DECISION.empty_table()]
    for place, c in enumerate(corrections):
        same: dict[str, object] = {
            "action": c.action, "who": c.who, "at": c.at, "reason": c.reason, "place": place
        }  # fmt: skip
        columns = {"line_no": c.lines, "rule_id": c.rules} | {
            name: [value] * len(c.lines) for name, value in same.items()
        }
        cells = {cell(n): pa.array(texts, pa.string()) for n, texts in c.cells.items()}
        table = pa.table([columns[f.name] for f in _DECISION], schema=_DECISION)
        for name, texts in cells.items():
            table = table.append_column(name, texts)
        tables.append(table)
    with duckdb.connect() as connection:
        connection.register("every", pa.concat_tables(tables, promote_options="default"))
        return connection.execute(
            """select * exclude (place), row_number() over (partition by line_no order by place desc) = 1
                and action <> 'UNDONE' as is_current
            from every order by place, line_no"""
        ).to_arrow_table()


def cell(column: str) -> str:
    """The name of a column's cells beside the columns of a decision, which may be called the same."""
    return f"cell {column}"


def current(corrections: list[Correction], action: str) -> pa.Table:
    """What holds of one kind, as `history` gives it."""
    every = history(corrections)
    return every.filter(pc.and_(every["is_current"], pc.equal(every["action"], action)))


def laid_over(contract: Contract, corrections: list[Correction], written: str, source: str) -> str:
    """SQL: every column of `source`, with the cells of `written` (a relation of `current`) over it."""
    given = {name for c in corrections for name in c.cells}
    return ", ".join(
        f"coalesce({written}.{quoted(cell(n))}, {source}.{quoted(n)}) as {quoted(n)}"
        if n in given
        else f"{source}.{quoted(n)}"
        for n in contract.columns
    )


def apply(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    batch_id: str,
    corrections: list[Correction],
    work: Path,
    broken: pa.Table,
    timezone: str,
    day: date,
) -> tuple[pa.Table, Decimal]:
    """Replace the released rows in `work/rows.parquet` by what `work/texts` and the corrections give.

    Returns the records that are still broken, and what the corrections took from the control sum: the
    amounts that were delivered, where they can be read, less the corrected ones. A released record
    that was none becomes a row.
    """
    rows, texts = work / "rows.parquet", work / "texts" / "rows.parquet"
    held = current(corrections, "RELEASED")
    connection.register("released", held)
    connection.execute(
        f"create temp table delivered as select _line, _span, {_names(contract)} "
        f"from read_parquet({literal(str(texts))}) where _line in (select line_no from released)"
    )
    present = {name: name for name in contract.columns}
    connection.register("broken", broken)
    connection.execute(
        f"""create temp table corrected as
        select r.line_no as _line, {laid_over(contract, corrections, "r", "d")}, coalesce(
            d._span, 1 + length(b.raw_text) - length(replace(b.raw_text, chr(10), '')), 1
        )::integer as _span
        from released as r
        left join delivered as d on d._line = r.line_no left join broken as b on b._line = r.line_no"""
    )
    found = {}
    for name in ("delivered", "corrected"):
        connection.execute(f"create or replace temp view src as from {name}")
        found[name] = work / name
        found[name].mkdir()
        header = list(contract.columns)
        write_rows(connection, contract, present, header, batch_id, timezone, day, found[name])
        made = literal(str(found[name] / "rows.parquet"))
        connection.execute(f"create temp table {name}_rows as from read_parquet({made})")
        shutil.rmtree(found[name])
    if contract.control_sum:
        amount = quoted(contract.control_sum)
        connection.execute(
            f"""update corrected_rows as c set _written = coalesce(d._written, d.{amount})
            from delivered_rows as d
            where d._line = c._line and coalesce(d._written, d.{amount}) <> c.{amount}"""
        )
    merged = work / "merged.parquet"
    connection.execute(
        f"""copy (
            select * from read_parquet({literal(str(rows))})
            where _line not in (select _line from corrected_rows)
            union all by name select * from corrected_rows
            order by _line
        ) to {literal(str(merged))} (format parquet)"""
    )
    merged.replace(rows)
    shift = Decimal(0)
    if contract.control_sum:
        shift = connection.execute(
            f"""select coalesce(sum(coalesce(d.{amount}, c.{amount}, 0) - coalesce(c.{amount}, 0)), 0)
            from corrected_rows as c left join delivered_rows as d using (_line)"""
        ).fetchall()[0][0]
    still = connection.execute(
        "select * from broken where _line not in (select _line from corrected_rows)"
    ).to_arrow_table()
    return still, shift


def _names(contract: Contract) -> str:
    return ", ".join(quoted(name) for name in contract.columns)
