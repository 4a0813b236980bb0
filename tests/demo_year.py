"""The demo's year in few files: the same rows as the scripts write, without the cost of a file a day.

Households are whole or not there at all: `every=3` keeps each third card with all its receipts,
answers and complaints.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from nights import marts_of, run

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
if str(SCRIPTS) not in sys.path:
    sys.path.append(str(SCRIPTS))

import complete_journey as journey  # noqa: E402
import simulate_service as service  # noqa: E402

LAST = date(2017, 12, 31)
CLOSED = date(2017, 12, 25)
QUARTERS = [
    (date(2017, 1, 1), date(2017, 3, 31)),
    (date(2017, 4, 1), date(2017, 6, 30)),
    (date(2017, 7, 1), date(2017, 9, 30)),
    (date(2017, 10, 1), LAST),
]


@dataclass(frozen=True)
class DemoYear:
    """What was dropped, and what a night made of it."""

    landing: Path
    home: Path

    @property
    def marts(self) -> Path:
        return marts_of(self.home)


def write_drops(landing: Path, every: int = 1) -> None:
    """Write every feed of the year into `landing`: sales by quarter, one file for each other feed."""
    con = journey.connect(journey.package_data())
    keep = f"card_no is not null and cast(substr(card_no, 2) as integer) % {every} = 0"
    con.execute(journey.LINES_SQL)
    con.execute(f"delete from line where not ({keep})")
    for feed, (name, query) in journey.MASTERS.items():
        rows = query
        if feed in ("member", "member_card"):
            key = {"member": "member_id", "member_card": "card_no"}[feed]
            rows = f"select * from ({query}) where cast(substr({key}, 2) as integer) % {every} = 0"
        elif feed == "product" and every > 1:
            rows = f"select * from ({query}) where sku_code in (select sku_code from line)"
        manifest = {"feed": feed, "generated_at": journey.MASTERS_GENERATED_AT}
        journey.write_drop(con, rows, landing / feed / name, manifest)
    for first, last in QUARTERS:
        span = f"select * from line where business_date between date '{first}' and date '{last}'"
        total = con.execute(f"select sum(net_amount) from ({span})").fetchall()[0][0]
        manifest = {
            "feed": "sales_line",
            "control_sum": str(total),
            "generated_at": f"{last}T23:59:59",
        }
        if last >= CLOSED:
            shut = con.execute(
                journey.RHYTHM_SQL, {"day": CLOSED, "weeks": journey.RHYTHM_WEEKS}
            ).fetchall()
            manifest["store_days"] = [[store, CLOSED.isoformat()] for (store,) in shut]
        journey.write_drop(con, span, landing / "sales_line" / f"sales_{first}.csv", manifest)
    service.simulate(con, service.SEED)
    kept_events = f"""complaint_no in (select complaint_no from complaint_header where {keep})"""
    for feed, query, condition in (
        ("survey_question", service.EXPORT_QUESTION_SQL, "true"),
        ("survey_answer", service.EXPORT_ANSWER_SQL, keep),
        ("complaint", service.EXPORT_HEADER_SQL, keep),
        ("complaint_event", service.EXPORT_EVENT_SQL, kept_events),
    ):
        rows = query.format(first="2017-01-01", end="2018-01-01")
        service.write_drop(
            con,
            f"select * from ({rows}) where {condition}",
            landing / feed / f"{feed}.csv",
            {"feed": feed, "generated_at": "2018-01-01T01:00:00", "simulated": True},
        )


def live(root: Path, every: int = 1) -> DemoYear:
    """Drop the year below `root` and run one night for its last day."""
    year = DemoYear(root / "landing", root / "home")
    write_drops(year.landing, every)
    run(year.home, year.landing, "night", "--as-of", LAST.isoformat(), **ENVIRONMENT)
    return year


ENVIRONMENT = {"KEHU_PARAM_SCOPE": "complete_journey", "KEHU_TIMEZONE": "America/New_York"}
