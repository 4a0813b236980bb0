"""What the DAGs of Kehu share: times, retries, callback, the night of a run."""

import os
from datetime import date, datetime, timedelta
from typing import Any

import pendulum
from airflow.sdk import (
    CronDataIntervalTimetable,
    ExceptionRetryPolicy,
    Param,
    RetryAction,
    RetryRule,
)

TIMEZONE = os.environ.get("KEHU_TIMEZONE", "Asia/Shanghai")
FEED_CRON = os.environ.get("KEHU_SCHEDULE", "30 2 * * *")
PUBLISH_CRON = os.environ.get("KEHU_DEADLINE", "0 5 * * *")
START = os.environ.get("KEHU_START_DATE")
END = os.environ.get("KEHU_END_DATE")

GROUPS = ("transactions", "surveys", "complaints", "masters")
REQUIRED = ("transactions", "masters", "complaints")
MAX_CHUNKS = 16
WRITER = "duckdb_writer"

NO_USE_TO_RETRY = RetryRule(
    exception=["kehu.errors.CheckFailed", "kehu.errors.ContractError"],
    action=RetryAction.FAIL,
    reason="The data or the contract must be corrected first",
)


def asset_uri(group: str) -> str:
    """Return the name of the asset that says: what arrived for `group` is loaded."""
    return f"kehu://loaded/{group}"


def cron(expression: str) -> CronDataIntervalTimetable:
    """Return a timetable in the company's timezone whose runs cover the interval before them."""
    return CronDataIntervalTimetable(expression, timezone=TIMEZONE)


def notify(context: dict[str, Any]) -> None:
    """Hand a failed task to `kehu.night.notify_failure`: what, which night, why."""
    from kehu.night import notify_failure

    ti = context["ti"]
    error = context.get("exception")
    try:
        as_of: str | None = night_of_context(context).isoformat()
    except ValueError:
        as_of = None
    notify_failure(
        {
            "dag_id": ti.dag_id,
            "task_id": ti.task_id,
            "map_index": ti.map_index,
            "run_id": ti.run_id,
            "try_number": ti.try_number,
            "as_of": as_of,
            "error": type(error).__name__ if error else None,
            "message": str(error) if error else None,
            "ti": ti,
            "exception": error,
        }
    )


def dag_arguments(*tags: str) -> dict[str, Any]:
    """Return the keyword arguments that every DAG of Kehu has in common."""
    start = pendulum.parse(START or "2017-01-01", tz=TIMEZONE)
    end = pendulum.parse(END, tz=TIMEZONE).end_of("day") if END else None  # type: ignore[union-attr]
    return {
        "start_date": start,
        "end_date": end,
        "catchup": START is not None,
        "max_active_runs": 1,
        "tags": ["kehu", *tags],
        "params": {
            "as_of": Param(
                None,
                type=["null", "string"],
                format="date",
                description="The night, YYYY-MM-DD; empty: the night of the run",
            )
        },
        "default_args": {
            "owner": "kehu",
            "retries": int(os.environ.get("KEHU_RETRIES", "2")),
            "retry_delay": timedelta(seconds=float(os.environ.get("KEHU_RETRY_DELAY", "60"))),
            "retry_exponential_backoff": True,
            "max_retry_delay": timedelta(minutes=15),
            "retry_policy": ExceptionRetryPolicy(rules=[NO_USE_TO_RETRY]),
            "on_failure_callback": notify,
        },
    }


def night_of_context(context: dict[str, Any]) -> date:
    """Return the as_of date of the run that `context` belongs to."""
    from kehu.orchestra import night_of

    run = context["dag_run"]
    return night_of(
        timezone=TIMEZONE,
        run_after=run.run_after,
        interval_start=run.data_interval_start,
        logical_date=run.logical_date,
        is_scheduled=run.run_type == "scheduled",
        param=context["params"].get("as_of"),
        loaded=[
            event.extra["as_of"]
            for events in context["triggering_asset_events"].values()
            for event in events
            if "as_of" in event.extra
        ],
    )


def run_name(context: dict[str, Any]) -> str:
    """Return the id of the run, fit for a file name."""
    run_id = str(context["run_id"])
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in run_id)


def feed_logical_date(day: date) -> datetime | None:
    """Return the logical date of the feed DAGs' run for the night `day`; None if there is none."""
    from airflow.timetables.base import TimeRestriction
    from airflow.timetables.interval import CronDataIntervalTimetable as Timetable

    midnight = pendulum.datetime(day.year, day.month, day.day, tz=TIMEZONE)
    info = Timetable(FEED_CRON, timezone=TIMEZONE).next_dagrun_info(
        last_automated_data_interval=None,
        restriction=TimeRestriction(earliest=midnight, latest=midnight.end_of("day"), catchup=True),
    )
    return info.logical_date if info else None
