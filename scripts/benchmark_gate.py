"""What the gate costs on clean sales lines: seconds and peak memory of each step, in one process.

    scripts/benchmark_gate.py [--lines 10000000] [--keep FOLDER]

DuckDB writes one CSV file of clean lines (in another process, so that its memory is not counted). Then
each step of a batch runs as in a night: parse (archive, decode, type, Parquet), row rules, Great
Expectations, load. The two ratios are those that the gate promises on clean data: row rules at most
0.6 times, the whole gate (rules and expectations) at most 1.5 times what parsing costs.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import duckdb
import typer
from rich.console import Console
from rich.table import Table

from kehu import warehouse
from kehu.clock import now
from kehu.extract import batch as batches
from kehu.extract.delivery import scan
from kehu.feeds import read_contracts
from kehu.files import write_atomically
from kehu.gate.expect import validate_feeds
from kehu.gate.judge import Verdict, as_judged
from kehu.gate.rules import split
from kehu.load import load_batch
from kehu.settings import Settings

MOST_RULES, MOST_GATE = 0.6, 1.5
LINES_OF_RECEIPT = 4
RECEIPTS_OF_STORE_DAY = 2_000
STORES = 7
FIRST_DAY = date(2017, 1, 1)

# the values are functions of the line's number alone: the same file for everyone, and no key twice
CLEAN = """
copy (
    with numbered as (
        select n, n // {lines} as receipt, n % {lines} + 1 as line_no from range({count}) as r(n)
    ),
    placed as (
        select *, receipt // {receipts} as store_day, receipt % {receipts} as receipt_of_day,
            hash(receipt) as dice, hash(n, 7) as fall
        from numbered
    )
    select 'S' || (101 + store_day % {stores}) as store_code,
        date '{first}' + (store_day // {stores})::integer as business_date,
        '0' || (1 + receipt_of_day % 6) as till_no,
        lpad(receipt_of_day::varchar, 8, '0') as receipt_no,
        line_no,
        1 as batch_no,
        (business_date + interval 9 hour + to_seconds(20 * receipt_of_day::integer))::timestamp as sold_at,
        'SALE' as receipt_type, 'COMPLETED' as status,
        'C' || (dice % 40) as cashier_no,
        case when dice % 10 < 6 then 'K' || lpad((dice % 140000)::varchar, 8, '0') end as card_no,
        case when dice % 17 = 0 then 'O2O' else 'STORE' end as channel,
        'P' || lpad((fall % 20000)::varchar, 7, '0') as sku_code,
        (1 + fall % 5)::decimal(12,3) as qty,
        ((100 + fall % 9900) / 100)::decimal(12,4) as unit_price,
        (qty * unit_price)::decimal(18,2) as gross_amount,
        case when fall % 9 = 0 then (gross_amount * 0.1)::decimal(18,2) else 0.00 end as discount_amount,
        gross_amount - discount_amount as net_amount,
        case when fall % 9 = 0 then 'A' || (fall % 50) end as promo_code,
        (gross_amount * 0.7)::decimal(18,2) as cost_amount,
        0.130::decimal(4,3) as vat_rate,
        0 as void_flag,
        null as orig_store_code, null as orig_business_date, null as orig_till_no, null as orig_receipt_no
    from placed
) to '{path}' (format csv, header)
"""


def generate(path: Path, lines: int) -> None:
    """A CSV file of so many clean sales lines."""
    query = CLEAN.format(
        path=path, count=lines, lines=LINES_OF_RECEIPT, receipts=RECEIPTS_OF_STORE_DAY,
        stores=STORES, first=FIRST_DAY.isoformat(),
    )  # fmt: skip
    subprocess.run([sys.executable, "-c", f"import duckdb; duckdb.execute({query!r})"], check=True)


class Steps:
    """Seconds and peak memory of one step after another."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.peak: dict[str, float] = {}

    def run(self, name: str, step: Callable[[], Any]) -> Any:
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        begun = time.perf_counter()
        result = step()
        self.seconds[name] = time.perf_counter() - begun
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        self.peak[name] = int(found[1]) / 2**20 if found else 0.0
        return result


def measure(settings: Settings, lines: int) -> Steps:
    """Bring the one file of the landing folder through all steps."""
    contracts = read_contracts(settings.contracts)
    contract = contracts["sales_line"]
    [delivery] = scan(settings, contracts, ["sales_line"], now(settings))
    steps = Steps()
    meta = steps.run("parse", lambda: batches.extract(settings, contract, delivery))
    assert meta.refused_rule is None, meta.refused_message
    folder = batches.folder_of(settings, meta.feed, meta.batch_id)

    def rules() -> Any:
        with batches.scratch(settings) as connection:
            return split(connection, contract, meta, folder)

    outcome = steps.run("row rules", rules)
    assert (outcome.accepted, outcome.quarantined) == (lines, 0), outcome
    import great_expectations  # noqa: F401  # its import is no cost of the rows

    judged = as_judged(meta, outcome, folder)
    as_of = FIRST_DAY
    results = steps.run(
        "Great Expectations",
        lambda: validate_feeds(settings, contracts, ["sales_line"], [judged], as_of, "benchmark"),
    )
    failed = [r.check_id for r in results if not r.success and r.severity == "critical"]
    assert not failed, failed
    verdict = Verdict(
        batch_id=meta.batch_id, feed=meta.feed, run_id="benchmark", as_of=as_of, passed=True,
        split=outcome,
    )  # fmt: skip
    write_atomically(folder / "gate.json", verdict.model_dump_json())

    def load() -> Any:
        with (
            warehouse.writer_lock(settings, "benchmark"),
            warehouse.open_warehouse(settings, contracts) as connection,
        ):
            return load_batch(connection, settings, contracts, meta, folder, "benchmark")

    loaded = steps.run("load", load)
    assert loaded.rows_loaded == lines, loaded
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        counted = connection.execute("select count(*) from raw.sales_line").fetchall()
    assert counted == [(lines,)], counted
    return steps


def show(console: Console, steps: Steps, lines: int, size: int) -> bool:
    """Print the table; whether both promises are kept."""
    table = Table(title=f"{lines:,} clean sales lines, {size / 2**20:,.0f} MB of CSV")
    for name in ("step", "seconds", "lines a second", "times parse", "peak memory"):
        table.add_column(name, justify="left" if name == "step" else "right")
    parse = steps.seconds["parse"]
    for name, seconds in steps.seconds.items():
        table.add_row(
            name, f"{seconds:.1f}", f"{lines / seconds:,.0f}", f"{seconds / parse:.2f}",
            f"{steps.peak[name]:.2f} GiB",
        )  # fmt: skip
    console.print(table)
    rules = steps.seconds["row rules"] / parse
    gate = (steps.seconds["row rules"] + steps.seconds["Great Expectations"]) / parse
    console.print(f"row rules {rules:.2f} times parse (at most {MOST_RULES})")
    console.print(f"whole gate {gate:.2f} times parse (at most {MOST_GATE})")
    return rules <= MOST_RULES and gate <= MOST_GATE


def main(
    lines: Annotated[int, typer.Option(help="Sales lines to bring through the gate.")] = 10_000_000,
    keep: Annotated[Path | None, typer.Option(help="Work here and leave it standing.")] = None,
) -> None:
    """Measure; exits with 1 where the gate costs more than it promises."""
    console = Console()
    with tempfile.TemporaryDirectory(prefix="kehu-benchmark-") as made:
        root = (keep or Path(made)).resolve()
        settings = Settings(home=root / "var", landing=root / "landing")
        path = settings.landing / "sales_line" / "clean.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        generate(path, lines)
        size = path.stat().st_size
        os.environ["KEHU_HOME"] = str(settings.home)
        steps = measure(settings, lines)
        kept = show(console, steps, lines, size)
    if not kept:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
