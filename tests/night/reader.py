"""A reader that queries the published file in a loop, as a BI tool would, until it is told to stop.

usage: reader.py PUBLISHED_FOLDER STOP_FILE REPORT_FILE
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import duckdb

QUERY = """
select
    (select max(as_of_date) from core.dim_as_of) as as_of,
    (select max(as_of_date) from marts.mart_customer_value) as value_as_of,
    (select max(as_of_date) from marts.mart_churn) as churn_as_of,
    (select count(*) from core.fct_sales_line) as lines,
    (select sum(count_lines) from core.fct_receipt) as lines_of_receipts,
    (select sum(net_amount) from core.fct_sales_line)
        = (select sum(net_amount) from core.fct_receipt) as balanced
"""


def main(published: Path, stop: Path, report: Path) -> None:
    seen: dict[str, int] = {}
    errors: list[str] = []
    mixed: list[str] = []
    while not stop.exists():
        if not published.exists():
            time.sleep(0.05)
            continue
        try:
            with duckdb.connect() as connection:
                connection.execute(f"attach '{published / 'kehu.duckdb'}' as kehu (read_only)")
                connection.execute("use kehu")
                row = connection.execute(QUERY).fetchall()[0]
        except duckdb.Error as error:
            errors.append(str(error)[:300])
            continue
        as_of, value, churn, lines, receipts, balanced = row
        if not (as_of == value == churn and lines == receipts and balanced):
            mixed.append(str(row))
        time.sleep(0.15)  # the nights beside it have two cores to share with everything
        key = f"{as_of} {lines}"
        seen[key] = seen.get(key, 0) + 1
    report.write_text(
        json.dumps({"reads": sum(seen.values()), "seen": seen, "errors": errors, "mixed": mixed})
    )


if __name__ == "__main__":
    main(*(Path(a) for a in sys.argv[1:4]))
