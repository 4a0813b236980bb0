"""`kehu source`: databases as sources, looked at before a night relies on them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import duckdb
import pyarrow as pa
import typer
from rich.table import Table
from rich.text import Text

from kehu.collect import bound_query, collect_feed, column_of, is_utc, since_of
from kehu.console import for_operators, out, say
from kehu.database import find_database, run_query
from kehu.errors import KehuError, SourceFailed
from kehu.extract.typing import quoted, text_of, typed
from kehu.feeds import Contract, Source, normalise_header, read_contracts
from kehu.settings import Settings

SAMPLE = 5

source_app = typer.Typer(help="Databases that feeds come from.", no_args_is_help=True)


def _with_source(settings: Settings, feed: str | None) -> list[tuple[Contract, Source]]:
    contracts = read_contracts(settings.contracts)
    if feed is not None and feed not in contracts:
        raise KehuError(f"no feed {feed!r}; there are {', '.join(contracts)}")
    found = [
        (c, c.source)
        for c in contracts.values()
        if c.source is not None and (feed is None or c.feed == feed)
    ]
    if not found:
        raise KehuError(
            f"{f'{feed} has no' if feed else 'no feed has a'} database; `source:` in "
            f"{settings.contracts}/<feed>.yml names one (docs/operator.md: A database as source)"
        )
    return found


@source_app.command("check")
@for_operators
def check_command(
    feed: Annotated[str | None, typer.Argument(help="One feed; else all with a database.")] = None,
) -> None:
    """Connect, run the query for a few rows, hold its columns against the contract."""
    settings = Settings()
    failed = []
    for contract, source in _with_source(settings, feed):
        try:
            _check(settings, contract, source)
        except SourceFailed as error:
            failed.append(f"{contract.feed}: {error}")
    if failed:
        raise SourceFailed("\n".join(failed))


def _check(settings: Settings, contract: Contract, source: Source) -> None:
    database = find_database(source.connection)
    since = since_of(contract, None)
    query = f"select * from (\n{bound_query(source, since)}\n) as q limit {SAMPLE}"
    with run_query(settings, database, query, SAMPLE, lambda n: is_utc(contract, n)) as rows:
        table = pa.Table.from_batches(list(rows), rows.schema)
    say(f"from {database}: {table.num_rows} sample rows", contract.feed, "bold")
    shown = Table("column of the query", "of the contract", "type", "sample")
    wrong = _not_of_their_type(settings, contract, table)
    for name in table.column_names:
        column = contract.headers.get(normalise_header(name))
        if column is None:
            shown.add_row(Text(name), Text("unknown", "yellow"), "", "(not shown)")
            continue
        promised = contract.columns[column]
        values = [v for v in table[name].to_pylist() if v is not None]
        told = "(personal)" if promised.pii else " | ".join(dict.fromkeys(values))
        fits = Text(promised.type)
        if name in wrong:
            fits = Text(f"not {promised.type}: {wrong[name]} of {table.num_rows}", "red")
        shown.add_row(Text(name), column, fits, Text(told))
    out.print(shown)
    missing = [
        name
        for name, column in contract.columns.items()
        if column.required and column_of(contract, table.column_names, name) is None
    ]
    if source.watermark and column_of(contract, table.column_names, source.watermark) is None:
        missing.append(f"{source.watermark} (the watermark)")
    if missing:
        raise SourceFailed(
            f"the query does not give {', '.join(dict.fromkeys(missing))}; add "
            "`... as <column>` to it"
        )
    if wrong:
        raise SourceFailed(
            f"values of {', '.join(wrong)} are not of the contract's type and would go to "
            "quarantine; cast them in the query"
        )
    if not table.num_rows:
        say("the columns fit, no value could be looked at", "no row:")


def _not_of_their_type(settings: Settings, contract: Contract, table: pa.Table) -> dict[str, int]:
    """How many sample values of each column the contract's type would not take."""
    found: dict[str, int] = {}
    with duckdb.connect() as connection:
        connection.register("sample", table)
        for name in table.column_names:
            column = contract.columns.get(contract.headers.get(normalise_header(name), ""))
            if column is None:
                continue
            text = text_of(quoted(name), column)
            value = typed(text, column, settings.timezone)
            rows: list[tuple[Any, ...]] = connection.execute(
                f"select count(*) from sample where {text} is not null and {value} is null"
            ).fetchall()
            if rows[0][0]:
                found[name] = rows[0][0]
    return found


@source_app.command("collect")
@for_operators
def collect_command(
    feed: Annotated[str | None, typer.Argument(help="One feed; else all with a database.")] = None,
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Ask again from this day on, whatever is loaded."),
    ] = None,
) -> None:
    """Collect now; the next night takes it in. Needed only to fetch again what was loaded before."""
    settings = Settings()
    failed = []
    for contract, _ in _with_source(settings, feed):
        try:
            result = collect_feed(settings, contract, since.date() if since else None)
        except SourceFailed as error:
            failed.append(str(error))
            continue
        say(
            f"{contract.feed}: {result.rows:,} rows since {result.since or 'the beginning'} in "
            f"{result.seconds} s: {result.path or 'nothing to take in'}"
        )
    if failed:
        raise SourceFailed("\n".join(failed))
