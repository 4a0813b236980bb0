"""Live through one night of a simulated supermarket chain whose exports are as dirty as real ones.

`make demo-chain` calls this. It writes the drops of some months (scripts/simulate_retailer.py, seven
stores, 2 % dirty rows) under CHAIN/landing and the truth of each line under CHAIN/truth, takes all of
it through a whole night into CHAIN/var, and ends with what was accepted, repaired and quarantined, held
against the truth, and with the headline figures of the marts. Exit code 1 where a line differs.

Nothing outside of the folder CHAIN (`chain` unless told otherwise) is touched; `make clean` removes it.
At full scale (140,000 members, a year, some 20 million lines) simulate first and take it in by hand:

    .venv/bin/python scripts/simulate_retailer.py --landing chain/landing --dirt 0.02
    KEHU_HOME=chain/var KEHU_LANDING=chain/landing KEHU_MEMORY_LIMIT=8GB \\
        .venv/bin/kehu night --as-of 2024-12-31
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import duckdb
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

SIMULATOR = Path(__file__).resolve().with_name("simulate_retailer.py")
console = Console()


def table(title: str, *columns: str) -> Table:
    """A plain table; all columns but the first are figures."""
    made = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for place, name in enumerate(columns):
        made.add_column(name, justify="right" if place else "left", no_wrap=not place)
    return made


def deliver(folder: Path, options: list[str]) -> None:
    """Write the drops and their truth once; the same options find them there."""
    mark = folder / ".delivered"
    told = " ".join(options)
    if mark.exists():
        if mark.read_text(encoding="utf-8") != told:
            raise SystemExit(
                f"{folder} holds the drops of other options; remove it: rm -r {folder}"
            )
        return
    places = ["--landing", str(folder / "landing"), "--truth", str(folder / "truth")]
    done = subprocess.run([sys.executable, str(SIMULATOR), *places, *options], check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    mark.write_text(told, encoding="utf-8")


def both(folder: Path) -> duckdb.DuckDBPyConnection:
    """The warehouse as `w`, and the truth of sales lines as the view `truth`."""
    con = duckdb.connect()
    con.execute(f"attach '{folder / 'var' / 'warehouse.duckdb'}' as w (read_only)")
    con.execute(f"create view truth as from '{folder / 'truth' / 'sales_line.parquet'}'")
    # a file that came twice may have been loaded under either name
    con.execute(
        """create view became as
        select replace(b.path, '(1)', '') as file, q.line_no as line, 'quarantined' as fate
        from w.quarantine.row as q join w.ops.batch as b using (batch_id)
        where q.feed = 'sales_line' and b.status <> 'REFUSED'"""
    )
    return con


def print_dirt(con: duckdb.DuckDBPyConnection) -> None:
    """What was quarantined and why, what was repaired, by the ledger."""
    shown = table("Quarantined, by rule", "rule", "lines", "for example")
    for rule, lines, example in con.execute(
        """select feed || ' ' || rule_id, count(*), any_value(left(raw_text, 60))
        from w.quarantine.row semi join w.ops.batch as b
            on b.batch_id = row.batch_id and b.status <> 'REFUSED'
        group by all order by count(*) desc, 1 limit 12"""
    ).fetchall():
        shown.add_row(rule, f"{lines:,}", str(example))
    console.print(shown)
    shown = table("Repaired, by kind", "repair", "columns", "values")
    for repair, columns, values in con.execute(
        """select repair, count(distinct feed || column_name), sum(count_rows) from w.ops.repair
        group by repair order by 3 desc"""
    ).fetchall():
        shown.add_row(repair, f"{columns:,}", f"{values:,}")
    console.print(shown)


def print_truth(con: duckdb.DuckDBPyConnection) -> bool:
    """Hold the quarantine and the repairs of sales lines against the truth; whether they agree."""

    def count(sql: str) -> int:
        return int(con.execute(f"select count(*) from ({sql})").fetchall()[0][0])

    money = ["gross_amount", "discount_amount", "net_amount", "qty"]
    codes = [
        "store_code",
        "business_date",
        "till_no",
        "receipt_no",
        "line_no",
        "card_no",
        "sku_code",
    ]
    same = " and ".join(
        f"g.{c}::varchar is not distinct from "
        + (f"t.{c}::decimal(18,{3 if c == 'qty' else 2})::varchar" if c in money else f"t.{c}")
        for c in money + codes
    )
    truth = "from truth where fate = 'quarantined'"
    repaired = """from truth as t join w.ops.batch as b on replace(b.path, '(1)', '') = t.file
        join w.raw.sales_line as g on g._batch_id = b.batch_id and g._line = t.line
        where t.fate = 'repaired'"""
    told, there = f"(select (file, line) {truth})", "(select (file, line) from became)"
    figures: list[tuple[str, int, int]] = [
        ("sales lines that belong into quarantine", count(truth), count("from became")),
        ("... of them not there", 0, count(f"{truth} and (file, line) not in {there}")),
        ("... there wrongly", 0, count(f"from became where (file, line) not in {told}")),
        (
            "lines repaired, and right",
            count(f"select 1 {repaired}"),
            count(f"select 1 {repaired} and {same} and g._repairs is not null"),
        ),
    ]
    shown = table("Held against the truth", "", "truth", "Kehu", "")
    for name, wanted, found in figures:
        verdict = "[green]equal[/]" if wanted == found else "[bold red]DIFFERENT[/]"
        shown.add_row(name, f"{wanted:,}", f"{found:,}", verdict)
    console.print(shown)
    return all(wanted == found for _, wanted, found in figures)


def run_night(as_of: date) -> dict[str, Any]:
    """A whole night; the settings are read from the environment."""
    from kehu import night
    from kehu.cli import print_loaded, print_published

    def progress(name: str, seconds: float, result: dict[str, Any]) -> None:
        console.print(f"  {name:<8} {seconds:>6.1f} s", highlight=False)

    report = night.night(as_of, progress=progress)
    console.print()
    print_loaded(report["load"]["batches"])
    for message in report["gate"]["refused"]:
        console.print(f"[bold red]refused[/] {message}", highlight=False, soft_wrap=True)
    print_published(report["publish"])
    return report


def main(
    folder: Annotated[Path, typer.Option(help="Where the chain lives.")] = Path("chain"),
    scale: Annotated[float, typer.Option(help="1 = 140,000 members, seven stores.")] = 0.02,
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"])] = datetime(2024, 1, 1),
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"])] = datetime(2024, 3, 31),
    dirt: Annotated[float, typer.Option(help="Share of dirty rows.")] = 0.02,
    nightly: Annotated[int, typer.Option(help="Last days that come as a file a night.")] = 5,
    seed: Annotated[int, typer.Option(help="Another seed is another chain.")] = 20240101,
) -> None:
    """Simulate a chain, take it through a whole night, hold what came of it against the truth."""
    begun = time.monotonic()
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["KEHU_HOME"], os.environ["KEHU_LANDING"] = (
        str(folder / "var"),
        str(folder / "landing"),
    )
    console.print(
        "[bold]The drops of a chain of seven stores, as its tills and desks export them[/]"
    )
    options = f"--scale {scale} --from {first:%F} --to {last:%F} --dirt {dirt}"
    deliver(folder, f"{options} --nightly {nightly} --seed {seed}".split())
    console.print(f"\n[bold]The night to {last:%F}[/]")
    report = run_night(last.date())
    with both(folder) as con:
        print_dirt(con)
        agrees = print_truth(con)
    console.print(
        f"took {time.monotonic() - begun:.0f} s, of them {sum(report['seconds'].values()):.0f} s the night; "
        f"in {folder}. All of it is [magenta]simulated[/].",
        highlight=False,
        soft_wrap=True,
    )
    page = folder / "var" / "published" / "index.html"
    console.print(f"\nLook, in a browser: {page}", highlight=False, soft_wrap=True)
    console.print("Try next:")
    settings = f"KEHU_HOME={folder / 'var'} KEHU_LANDING={folder / 'landing'}"
    for command in ("kehu quarantine", "kehu status --batches", "kehu ask 7"):
        console.print(f"  {settings} .venv/bin/{command}", highlight=False, soft_wrap=True)
    if not agrees:
        console.print("[bold red]What came of the lines differs from the truth.[/]")
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
