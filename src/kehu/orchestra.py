"""Which night a run of the orchestra belongs to.

Pure functions, free of Airflow: the DAGs hand in what they know about their run.
"""

import json
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo


def night_of(
    *,
    timezone: str,
    run_after: datetime,
    interval_start: datetime | None = None,
    logical_date: datetime | None = None,
    is_scheduled: bool = True,
    param: str | None = None,
    loaded: Iterable[str] = (),
) -> date:
    """Return the date D whose night this run is.

    In order of precedence: `param` (ISO date given by a person); the latest of `loaded` (ISO
    dates carried by the events that triggered the run); a bare date typed for a manual run or a
    backfill, which arrives as UTC midnight in `logical_date` and means that calendar day, not the
    evening before it in the west; the local date of `interval_start`; the local day before
    `run_after`. `timezone` is an IANA name; the datetimes are aware.

    Raises ValueError on a date that is not ISO.
    """
    if param:
        return date.fromisoformat(param)
    if days := [date.fromisoformat(day) for day in loaded]:
        return max(days)
    if not is_scheduled and logical_date is not None:
        utc = logical_date.astimezone(UTC)
        if utc.time() == time():
            return utc.date()
    zone = ZoneInfo(timezone)
    if interval_start is not None:
        return interval_start.astimezone(zone).date()
    return run_after.astimezone(zone).date() - timedelta(days=1)


def never_back(as_of: date, published: Path) -> date:
    """Return `as_of`, or the date of the publication in folder `published` where that is later.

    Late data for a past day restate the latest publication; they do not take readers back to that
    day. Only a person does, by naming the date.
    """
    manifest = published / "manifest.json"
    if not manifest.exists():
        return as_of
    return max(as_of, date.fromisoformat(json.loads(manifest.read_text())["as_of_date"]))


def is_past(interval_end: datetime, now: datetime, hours: int = 3) -> bool:
    """Return whether a night is caught up on, `hours` or more after its time, not run at its time."""
    return now - interval_end >= timedelta(hours=hours)
