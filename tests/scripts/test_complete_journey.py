"""The drops of Complete Journey, counted again by readers that share no code with the script."""

from __future__ import annotations

import csv
import hashlib
import json
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

FEEDS = ("sales_line", "member", "member_card", "product", "store")


def manifest_of(path: Path) -> dict[str, Any]:
    """Return the manifest that lies beside a drop."""
    text = path.with_name(f"{path.name}.manifest.json").read_text(encoding="utf-8")
    manifest: dict[str, Any] = json.loads(text)
    return manifest


FIGURES = {
    "lines": ("select count(*) from sales_line", 1_469_307),
    "net": ("select sum(net_amount::decimal(18, 2)) from sales_line", Decimal("4596039.58")),
    "days": ("select count(distinct business_date) from sales_line", 364),
    "lines through 12-28": (
        "select count(*) from sales_line where business_date <= '2017-12-28'",
        1_454_998,
    ),
    "lines of quantity 0": ("select count(*) from sales_line where qty = '0'", 8_869),
    "households": ("select count(distinct card_no) from sales_line", 2_469),
    "members": ("select count(*) from member", 2_469),
    "cards": ("select count(*) from member_card", 2_469),
    "stores": ("select count(*) from store", 457),
    "products": ("select count(*) from product", 92_331),
    "lines of unlisted products": (
        "select count(*) from sales_line anti join product using (sku_code)",
        4_836,
    ),
    "unlisted products": (
        """
        select count(distinct line.sku_code) from sales_line as line
        anti join product on line.sku_code = product.sku_code
        """,
        17,
    ),
    "lines of unlisted cards": (
        "select count(*) from sales_line anti join member_card using (card_no)",
        0,
    ),
    "lines of unlisted stores": (
        "select count(*) from sales_line anti join store using (store_code)",
        0,
    ),
    "members with a demographic row": ("select count(household_size) from member", 801),
    "members of the open class 5+": (
        "select count(*) from member where household_size = '5'",
        66,
    ),
    "lines where gross - discount is not net": (
        """
        select count(*) from sales_line
        where
            gross_amount::decimal(18, 2) - discount_amount::decimal(18, 2)
            <> net_amount::decimal(18, 2)
        """,
        0,
    ),
    "lines sold on another day": (
        "select count(*) from sales_line where sold_at[:10] <> business_date",
        0,
    ),
    "receipts not numbered from 1": (
        """
        select count(*) from (
            select 1 from sales_line group by receipt_no
            having count(distinct line_no) <> count(*) or max(line_no::int) <> count(*)
        )
        """,
        0,
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_of_the_source(drops: duckdb.DuckDBPyConnection, name: str) -> None:
    query, expected = FIGURES[name]
    assert drops.execute(query).fetchall() == [(expected,)]


def test_first_receipt_of_the_source_by_hand(landing: Path) -> None:
    """Household 900 bought two baskets in store 330 on New Year's Day at 06:53:26 local time."""
    with (landing / "sales_line" / "sales_2017-01-01.csv").open(encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["receipt_no"] == "31198570044"]
    assert len(rows) == 1
    row = rows[0]
    assert (row["store_code"], row["card_no"], row["line_no"]) == ("330", "C000900", "1")
    assert row["sold_at"] == "2017-01-01 06:53:26"
    assert row["sku_code"] == "1095275"
    assert (row["gross_amount"], row["discount_amount"], row["net_amount"]) == (
        "0.50",
        "0.00",
        "0.50",
    )


@pytest.mark.parametrize("feed", FEEDS)
def test_drops_keep_their_contract(breaches: Any, feed: str) -> None:
    assert breaches(feed) == []


def test_manifest_agrees_with_an_independent_reader(landing: Path) -> None:
    path = landing / "sales_line" / "sales_2017-06-15.csv"
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    manifest = manifest_of(path)
    assert manifest["rows"] == len(rows)
    assert Decimal(manifest["control_sum"]) == sum(Decimal(row["net_amount"]) for row in rows)
    assert manifest["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert manifest["generated_at"] == "2017-06-16T01:00:00"
    assert {row["business_date"] for row in rows} == {"2017-06-15"}
    assert "store_days" not in manifest


def test_control_sums_of_the_year_add_up(landing: Path) -> None:
    paths = sorted((landing / "sales_line").glob("*.csv"))
    manifests = [manifest_of(path) for path in paths]
    assert len(paths) == 365
    assert sum(manifest["rows"] for manifest in manifests) == 1_469_307
    assert sum(Decimal(m["control_sum"]) for m in manifests) == Decimal("4596039.58")


def test_christmas_is_header_only_and_names_the_closed_stores(landing: Path) -> None:
    """A store is closed, not missing, if it traded on 4 or more of the 8 Mondays before."""
    path = landing / "sales_line" / "sales_2017-12-25.csv"
    assert path.read_text(encoding="utf-8").count("\n") == 1
    manifest = manifest_of(path)
    assert (manifest["rows"], manifest["control_sum"]) == (0, "0.00")
    mondays: dict[str, int] = {}
    for weeks in range(1, 9):
        day = datetime(2017, 12, 25) - timedelta(weeks=weeks)
        with (landing / "sales_line" / f"sales_{day:%F}.csv").open(encoding="utf-8") as stream:
            for store in {row["store_code"] for row in csv.DictReader(stream)}:
                mondays[store] = mondays.get(store, 0) + 1
    expected = sorted(store for store, count in mondays.items() if count >= 4)
    assert manifest["store_days"] == [[store, "2017-12-25"] for store in expected]
    assert 50 < len(expected) < 200


@pytest.mark.parametrize(
    ("sku", "is_revenue"),
    [("GIFT CARD", "0"), ("BOTTLE DEPOSITS", "0"), ("DONATIONS", "0"), ("GASOLINE", "1")],
)
def test_what_only_passes_through_the_till_is_no_revenue(
    drops: duckdb.DuckDBPyConnection, sku: str, is_revenue: str
) -> None:
    query = f"select distinct is_revenue from product where name like '%{sku}%'"
    assert drops.execute(query).fetchall() == [(is_revenue,)]


def test_any_range_gives_the_same_bytes(landing: Path, run_script: Any, tmp_path: Path) -> None:
    run_script(
        *("complete_journey", "--landing", str(tmp_path), "--feeds", "sales_line,product"),
        *("--from", "2017-12-24", "--to", "2017-12-26"),
    )
    written = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert len(written) == 8
    for path in written:
        assert path.read_bytes() == (landing / path.relative_to(tmp_path)).read_bytes(), path


def test_no_temporary_file_stays(landing: Path) -> None:
    assert [path for path in landing.rglob("*") if path.name.endswith(".part")] == []
    data = list(landing.rglob("*.csv"))
    assert data
    assert all(path.with_name(f"{path.name}.manifest.json").is_file() for path in data)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--feeds", "sales_line,tender"), "no such feed: tender"),
        (("--from", "2017-02-01", "--to", "2017-01-01"), "must lie within"),
        (("--from", "2016-12-31"), "must lie within"),
    ],
)
def test_wrong_options_are_refused(
    run_script: Any, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    result = run_script("complete_journey", "--landing", str(tmp_path), *options, check=False)
    assert result.returncode == 2
    assert message in " ".join(result.stderr.replace("│", " ").split())
    assert list(tmp_path.iterdir()) == []
