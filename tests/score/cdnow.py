"""CDNOW: the purchases of 2,357 customers, 1997 to 1998, as the till of one shop would deliver them.

The files come with the package lifetimes, which is never imported.
"""

from __future__ import annotations

import csv
import importlib.util
from datetime import date
from pathlib import Path
from typing import NamedTuple

HEADER = [
    *("store_code", "business_date", "till_no", "receipt_no", "line_no", "sold_at"),
    *("receipt_type", "status", "channel", "card_no", "sku_code", "qty"),
    *("gross_amount", "discount_amount", "net_amount", "void_flag"),
]


class Purchase(NamedTuple):
    customer: str
    on: date
    pieces: int
    dollars: str


def purchases(name: str = "sample") -> list[Purchase]:
    """All rows of the sample (ids 0001 to 2357) or of the master (ids 00001 to 23570)."""
    spec = importlib.util.find_spec("lifetimes")
    assert spec is not None and spec.origin is not None, "lifetimes is not installed"
    path = Path(spec.origin).parent / "datasets" / f"CDNOW_{name}.txt"
    found = []
    for line in path.read_text().splitlines():
        fields = line.split()
        if fields and fields[-1].replace(".", "").isdigit():
            customer, day, pieces, dollars = fields[-4:]
            on = date(int(day[:4]), int(day[4:6]), int(day[6:]))
            found.append(Purchase(customer, on, int(pieces), dollars))
    return found


def write_drop(landing: Path, rows: list[Purchase]) -> None:
    """A drop of sales lines: one receipt for each row, the customer's id as the card."""
    folder = landing / "sales_line"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "cdnow.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for number, row in enumerate(rows, start=1):
            day = row.on.isoformat()
            writer.writerow(
                [
                    "CDNOW",
                    day,
                    "1",
                    f"R{number}",
                    1,
                    f"{day} 12:00:00",
                    "SALE",
                    "COMPLETED",
                    "ONLINE",
                ]
                + [row.customer, "CD", row.pieces, row.dollars, "0.00", row.dollars, 0]
            )
