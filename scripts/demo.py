"""Live through the last days of a real year: a bulk load, then three nights on top.

`make demo` calls this. It writes the drops of 2017 (scripts/complete_journey.py: real sales;
scripts/simulate_service.py: simulated surveys and complaints) into KEHU_LANDING, runs the Airflow
DAGs for them (scripts/run_dags.py), and ends with what was loaded, refused and published, held
against a sum over the source that Kehu has no part in. Exit code 1 where the two differ.

It may be interrupted at any moment and run again: what is done is kept. When the last night is
published already, only the closing lines are printed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import defaultdict
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import duckdb
import psutil
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

PROJECT = Path(__file__).resolve().parents[1]
BULK = date(2017, 12, 28)
NIGHTS = [BULK, date(2017, 12, 29), date(2017, 12, 30), date(2017, 12, 31)]
LAST = NIGHTS[-1]
STEPS = ["plan", "extract", "gate", "load", "dbt core", "score", "dbt marts", "audit", "publish"]

console = Console()
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def places() -> tuple[Path, Path]:
    """Settle where the demo lives, for this process and its children; return home and landing."""
    os.environ.setdefault("KEHU_PARAM_SCOPE", "complete_journey")
    os.environ.setdefault("KEHU_TIMEZONE", "America/New_York")
    home = Path(os.environ.get("KEHU_HOME") or "var").resolve()
    landing = Path(os.environ.get("KEHU_LANDING") or "landing").resolve()
    os.environ |= {"KEHU_HOME": str(home), "KEHU_LANDING": str(landing)}
    return home, landing


def run_script(name: str, *options: str) -> None:
    """Run a script of this folder; SystemExit with its exit code where it fails."""
    command = [sys.executable, str(PROJECT / "scripts" / f"{name}.py"), *options]
    done = subprocess.run(command, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


def deliver(landing: Path, night: date) -> None:
    """Put the drops of one night into the landing folder, or of all days up to the bulk's last.

    A mark is left when all of them lie there, so that files are not written twice.
    """
    mark = landing / ".delivered" / night.isoformat()
    if mark.exists():
        return
    days = ["--to", night.isoformat()]
    feeds: list[str] = []
    if night > BULK:
        days += ["--from", night.isoformat()]
        feeds = ["--feeds", "sales_line"]
    where = ["--landing", str(landing)]
    run_script("complete_journey", *where, *days, *feeds)
    run_script("simulate_service", *where, *days)
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()


class MemoryPeak:
    """The largest memory, in bytes, that this process's children held together; sampled."""

    def __init__(self) -> None:
        self.peak = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> MemoryPeak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        this = psutil.Process()
        while not self._over.wait(0.25):
            held = 0
            for process in this.children(recursive=True):
                try:
                    held += process.memory_info().rss
                except psutil.Error:
                    continue
            self.peak = max(self.peak, held)


def published_as_of(home: Path) -> date | None:
    """The date that readers see now."""
    path = home / "published" / "manifest.json"
    return date.fromisoformat(json.loads(path.read_text())["as_of_date"]) if path.exists() else None


def run_nights(nights: list[date]) -> int:
    """Run the DAGs of `nights` in one process; return the peak of memory in bytes."""
    before = [sys.executable, str(Path(__file__).resolve()), "deliver", "{as_of}"]
    with MemoryPeak() as memory:
        run_script("run_dags", *map(str, nights), "--before", subprocess.list2cmdline(before))
    return memory.peak


def source_figures() -> tuple[int, Decimal, dict[str, Decimal]]:
    """Lines, net sales, and net sales of each household, straight from the package's own file."""
    from complete_journey import package_data

    con = duckdb.connect()
    rows = con.execute(
        "select household_id, count(*), sum(sales_value::decimal(18, 2)) "
        "from read_parquet(?) group by household_id",
        [str(package_data() / "transactions.parquet")],
    ).fetchall()
    by_household = {f"H{int(household):06d}": net for household, _, net in rows}
    return sum(n for _, n, _ in rows), sum(by_household.values(), Decimal(0)), by_household


def published_figures(home: Path) -> tuple[int, Decimal, dict[str, Decimal], int]:
    """The same figures from the published marts, and the customers of mart_customer_value."""
    with duckdb.connect(str(home / "published" / "kehu.duckdb"), read_only=True) as con:
        rows = con.execute(
            "select customer_id, count(*), sum(net_amount) from core.fct_sales_line group by all"
        ).fetchall()
        customers = con.execute(
            "select count(*) from marts.mart_customer_value where as_of_date = ?", [LAST]
        ).fetchall()[0][0]
    by_customer = {customer: net for customer, _, net in rows}
    return sum(n for _, n, _ in rows), sum(by_customer.values(), Decimal(0)), by_customer, customers


def print_feeds(home: Path) -> int:
    """Files and rows by feed, from the ledger; return how many rows are quarantined."""
    rows = duckdb.execute(
        """with delivered as (
            select feed, count(*) as files, sum(rows_in) as rows_in,
                coalesce(sum(rows_in) filter (where status = 'SKIPPED'), 0) as skipped
            from read_parquet($delivery) group by feed
        ),
        loaded as (
            select feed, bool_or(is_simulated) as is_simulated,
                sum(rows_loaded) as accepted,
                sum(case when status = 'REFUSED' then 0 else rows_quarantined end) as quarantined,
                sum(rows_superseded + rows_skipped) as known,
                sum(rows_refused) as refused
            from read_parquet($ledger) group by feed
        )
        select feed, coalesce(is_simulated, false), files, rows_in, coalesce(accepted, 0),
            coalesce(quarantined, 0), skipped + coalesce(known, 0), coalesce(refused, 0)
        from delivered left join loaded using (feed)
        order by is_simulated, rows_in desc""",
        {
            "delivery": str(home / "reference" / "delivery.parquet"),
            "ledger": str(home / "reference" / "ledger.parquet"),
        },
    ).fetchall()
    table = Table(
        title="Loaded", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False
    )
    table.add_column("feed", no_wrap=True)
    for name in ("files", "rows in", "accepted", "quarantined", "skipped", "refused"):
        table.add_column(name, justify="right")
    for kind in (False, True):
        if kind:
            table.add_row("[magenta]simulated:[/]")
        for feed, simulated, *figures in rows:
            if simulated == kind:
                table.add_row(f"{'  ' * kind}{feed}", *(f"{int(n):,}" for n in figures))
    table.add_section()
    table.add_row("total", *(f"{sum(int(r[i]) for r in rows):,}" for i in range(2, 8)))
    console.print(table)
    return sum(int(r[5]) for r in rows)


def print_steps(home: Path) -> None:
    """Seconds of each step of each night, from the journal; a night ends with its publication."""
    seconds: dict[str, dict[str, float]] = {}
    waiting: dict[str, float] = defaultdict(float)
    for line in map(json.loads, (home / "log" / "steps.jsonl").read_text().splitlines()):
        if line["state"] != "end":
            continue
        head, _, tail = line["step"].partition(":")
        waiting[f"dbt {tail}" if head == "dbt" else head] += line["seconds"]
        if head == "publish":
            seconds[line["publication"].partition("_")[0]] = dict(waiting)
            waiting.clear()
    table = Table(
        title="Seconds", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False
    )
    table.add_column("night", no_wrap=True)
    for name in [*STEPS, "all"]:
        table.add_column(name, justify="right")
    for night, steps in seconds.items():
        label = f"to {night[5:]}" if night == BULK.isoformat() else night[5:]
        figures = [*(steps.get(name, 0.0) for name in STEPS), sum(steps.values())]
        table.add_row(label, *(f"{f:.1f}" for f in figures))
    console.print(table)


def close(home: Path) -> bool:
    """Print what was loaded and published; return whether it reconciles with the source."""
    quarantined = print_feeds(home)
    print_steps(home)
    lines, net, by_household = source_figures()
    published_lines, published_net, by_customer, customers = published_figures(home)
    different = {
        key: (by_household.get(key), by_customer.get(key))
        for key in by_household.keys() | by_customer.keys()
        if by_household.get(key) != by_customer.get(key)
    }
    title = f"Published for {published_as_of(home)}"
    table = Table(
        title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False
    )
    table.add_column("", no_wrap=True)
    table.add_column("source", justify="right")
    table.add_column("published", justify="right")
    table.add_column("")
    checks: list[tuple[str, Any, Any]] = [
        ("sales lines", lines, published_lines),
        ("net sales", net, published_net),
        ("customers", len(by_household), customers),
        ("customers whose sales differ", 0, len(different)),
        ("rows quarantined", 0, quarantined),
    ]
    for name, wanted, found in checks:
        verdict = "[green]equal[/]" if wanted == found else "[bold red]DIFFERENT[/]"
        table.add_row(name, f"{wanted:,}", f"{found:,}", verdict)
    console.print(table)
    for key, (wanted, found) in sorted(different.items())[:5]:
        console.print(f"  {key}: source {wanted}, published {found}", highlight=False)
    return all(wanted == found for _, wanted, found in checks)


def print_places(home: Path, landing: Path) -> None:
    """Say where things are and what to try next."""
    facts_path = home / "log" / "demo.json"
    if facts_path.exists():
        facts = json.loads(facts_path.read_text())
        console.print(
            f"took {facts['seconds']:.0f} s; peak memory of all processes together "
            f"{facts['peak_bytes'] / 2**30:.2f} GiB",
            highlight=False,
        )
    shown = {
        "page, in a browser": home / "published" / "index.html",
        "report": home / "published" / "report.html",
        "published": home / "published" / "kehu.duckdb",
        "manifest": home / "published" / "manifest.json",
        "warehouse (private)": home / "warehouse.duckdb",
        "drops": landing,
        "logs": home / "log",
    }
    here = Path.cwd()
    for name, path in shown.items():
        near = path.relative_to(here) if path.is_relative_to(here) else path
        console.print(f"{name:<20} {near}", highlight=False, soft_wrap=True)
    console.print(
        "Sales are real (Complete Journey, 2017); [magenta]surveys and complaints are simulated[/]."
    )
    console.print("\nTry next:")
    for command in (
        ".venv/bin/kehu status",
        '.venv/bin/kehu query "select rfm_segment, count(*) as customers, '
        "sum(net_sales_365d) as net_sales from marts.mart_customer_value "
        f"where as_of_date = date '{LAST}' group by all order by net_sales desc\"",
        ".venv/bin/kehu ask 9",
        "make superset",
        "make airflow",
    ):
        console.print(f"  {escape(command)}", highlight=False, soft_wrap=True)


@app.command("deliver")
def deliver_command(night: Annotated[str, typer.Argument(help="YYYY-MM-DD")]) -> None:
    """Only put the drops of one night into the landing folder."""
    _, landing = places()
    deliver(landing, date.fromisoformat(night))


@app.callback(invoke_without_command=True)
def main(context: typer.Context) -> None:
    """Load the year, run the last nights, print what came of it."""
    if context.invoked_subcommand is not None:
        return
    home, landing = places()
    from kehu import night  # after places(): the settings are read from the environment

    begun = time.monotonic()
    if (landing / ".delivered" / LAST.isoformat()).exists() and night.is_published(LAST):
        console.print(f"{LAST} is published with all that was delivered; nothing to do.\n")
    else:
        done = published_as_of(home)
        left = [each for each in NIGHTS if done is None or each > done] or [LAST]
        if not (landing / ".delivered" / BULK.isoformat()).exists():
            console.print("[bold]The drops of 2017, as tills and desks would deliver them[/]")
            deliver(landing, BULK)
        console.print(
            f"[bold]The DAGs of {len(left)} night(s)[/], the first up to {left[0]}; "
            f"details in {home / 'log'}",
            highlight=False,
            soft_wrap=True,
        )
        peak = run_nights(left)
        if left == NIGHTS:
            facts = {"seconds": round(time.monotonic() - begun, 1), "peak_bytes": peak}
            (home / "log" / "demo.json").write_text(json.dumps(facts))
        console.print()
    reconciled = close(home)
    print_places(home, landing)
    if not reconciled:
        console.print("[bold red]What is published differs from the source.[/]")
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
