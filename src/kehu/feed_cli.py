"""`kehu feed`: does a file fit, and how do the feeds stand."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated

import duckdb
import typer
from rich.table import Table
from rich.text import Text

from kehu.console import for_operators, out, say
from kehu.extract.typing import literal
from kehu.feed_check import Checked, check
from kehu.feeds import read_contracts
from kehu.settings import Settings

_SHOWN, _LONGEST = 20, 200  # unknown columns; characters of a value

feed_app = typer.Typer(help="Feeds: do files fit, and how do they stand.", no_args_is_help=True)


@feed_app.command("check")
@for_operators
def check_command(
    file: Annotated[Path, typer.Argument(help="The file, wherever it lies.")],
    feed: Annotated[str | None, typer.Option(help="Its feed; else it is told by the file.")] = None,
) -> None:
    """Tell whether a file fits its contract, without touching the warehouse; exit code 0 if it does."""
    settings = Settings()
    results = check(settings, read_contracts(settings.contracts), file, feed)
    for result in results:
        print_checked(result)
    if not all(result.fits for result in results):
        raise typer.Exit(1)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def print_checked(checked: Checked) -> None:
    """What was found, the worst first."""
    say(f"{checked.path}: feed {checked.feed}, because {checked.why}")
    say(f"  {checked.what}; {checked.rows_in:,} rows, {checked.rows_accepted:,} of them fit")
    header = checked.header
    renamed = [f"{h} = {c}" for h, c in header.known.items() if h != c]
    say(f"  {len(header.known)} columns known" + (f": {', '.join(renamed)}" if renamed else ""))
    for name, guess in islice(header.unknown.items(), _SHOWN):
        told = f"; add it to aliases of {guess} if it means that" if guess else "; it is not read"
        say(f"  unknown column {_short(name)!r}{told}")
    if len(header.unknown) > _SHOWN:
        say(f"  ... and {len(header.unknown) - _SHOWN:,} more unknown columns")
    if header.missing:
        say(f"  required columns missing: {', '.join(header.missing)}")
    if header.absent:
        say(f"  optional columns absent, so they stay empty: {', '.join(header.absent)}")
    for repair, count in checked.repairs.items():
        say(f"  repaired, as the contract says: {repair} in {count:,} rows")
    for kind, count in checked.skipped.items():
        say(f"  left out, no records: {count:,} x {kind}")
    for difference in checked.differences:
        value = "" if difference.value is None else f" {_short(difference.value)!r}"
        say(f"  {difference.count:,} rows break {difference.rule} ({difference.expected})")
        say(f"      such as line {difference.line}:{value or ' an empty cell'}")
        say(f"      to do: {difference.advice}")
    for warning in checked.warnings:
        say(f"  warning: {warning}")
    if checked.refused:
        say(f"  would be refused: {checked.refused}")
    label, style = ("fits", "bold green") if checked.fits else ("does not fit", "bold red")
    say("", label, style)


@feed_app.command("list")
@for_operators
def list_command() -> None:
    """The feeds: what arrived last of each, and what is in quarantine."""
    settings = Settings()
    states: dict[str, tuple[str, ...]] = {}
    ledger = settings.reference / "ledger.parquet"
    if ledger.exists():
        rows = duckdb.execute(
            f"""select feed, count(*), strftime(max(arrived_at), '%Y-%m-%d %H:%M'), sum(rows_loaded),
                sum(rows_quarantined), count(*) filter (where status = 'REFUSED'), max_by(path, arrived_at)
            from read_parquet({literal(str(ledger))}) group by feed"""
        ).fetchall()
        states = {feed: tuple(f"{v:,}" if isinstance(v, int) else str(v) for v in rest)
                  for feed, *rest in rows}  # fmt: skip
    table = Table()
    names = ("feed", "files", "last arrival", "rows in", "quarantined", "refused", "last file")
    for name in names:
        table.add_column(name, overflow="fold")
    for feed in read_contracts(settings.contracts):
        table.add_row(*map(Text, [feed, *states.get(feed, ("0", "never", "", "", "", ""))]))
    out.print(table)
