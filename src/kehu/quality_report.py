"""The quality report of a night: one HTML file that opens offline, without script and without network.

It is made from the ledger after a night was published, and after one that failed. Personal data does
not get in: of rejected rows it shows columns that the contract does not mark, and the raw text only of
feeds that have no such column.
"""

from __future__ import annotations

import os
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb

from kehu import __version__, publish, warehouse
from kehu.clock import now
from kehu.extract.typing import literal, quoted
from kehu.feeds import Contract, read_contracts
from kehu.files import write_atomically
from kehu.journal import note
from kehu.quality_template import TEMPLATE
from kehu.settings import Settings

SAMPLES = 5  # rejected rows of one rule
FILES = 200  # files that the table lists; the rest is counted
NIGHTS = 14
COLUMNS = 8  # of a rejected row, beside those of its key

Row = dict[str, Any]


def folder_of(settings: Settings) -> Path:
    """Where the reports lie."""
    return settings.home / "reports"


def try_write(settings: Settings, as_of: date, run_id: str, error: str | None = None) -> None:
    """Write the report of a night; a report that can not be written is noted, and nothing more."""
    try:
        write(settings, as_of, error)
    except Exception as problem:  # a report is no reason to lose a night
        try:
            note(
                settings,
                run_id,
                "quality_report",
                "failed",
                error=f"{type(problem).__name__}: {problem}"[:500],
            )
        except OSError:
            return


def write(settings: Settings, as_of: date, error: str | None = None) -> Path:
    """Write `reports/quality-<as_of>.html` and point `quality-latest.html` to it; returns the file.

    `error` is what a failed night said. Raises KehuError where there is no warehouse to report on.
    """
    folder = folder_of(settings)
    path = folder / f"quality-{as_of.isoformat()}.html"
    write_atomically(path, render(settings, as_of, error))
    latest = folder / f".latest.{os.getpid()}"
    latest.unlink(missing_ok=True)
    latest.symlink_to(path.name)
    os.replace(latest, folder / "quality-latest.html")
    return path


def render(
    settings: Settings, as_of: date, error: str | None = None, publication: str | None = None
) -> str:
    """The report as HTML; `publication` is the one that is being made, else the current one."""
    import jinja2  # here: steps of a night that write no report start without it

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": _number, "share": _share, "size": _size, "time": _time}
    found = collect(settings, as_of, error)
    if publication is not None:
        found |= {"published": True, "publication": publication, "stands_for": as_of.isoformat()}
    return environment.from_string(TEMPLATE).render(found)


def collect(settings: Settings, as_of: date, error: str | None) -> dict[str, Any]:
    """Everything that the page shows, free of personal data."""
    contracts = read_contracts(settings.contracts)
    with warehouse.read_warehouse(settings) as connection:
        files = _rows(
            connection,
            """select batch_id, feed, path, bytes, status, rows_in, rows_loaded, rows_quarantined,
                rows_superseded, rows_skipped, rows_refused, seconds, encoding, refused_by, message
            from ops.batch where as_of_date = ?
            order by case status when 'REFUSED' then 0 when 'HELD' then 1 else 2 end, feed, path""",
            as_of,
        )
        for file in files:
            contract = contracts.get(file["feed"])
            if contract is None or contract.pii_columns:  # it may quote a header or a cell
                file["message"] = file["message"] and f"kehu explain {file['batch_id']}"
        checks = _rows(
            connection,
            """with last as (
                select r.*, b.path from ops.check_result as r
                left join ops.batch as b on b.batch_id = r.batch_id
                where r.as_of_date = ? and (r.batch_id is null or b.run_id = r.run_id)
                qualify row_number() over (
                    partition by r.stage, r.check_id, r.feed, r.batch_id order by r.checked_at desc
                ) = 1
            )
            select last.check_id, last.feed, last.severity, last.success, last.path, last.batch_id,
                last.observed, coalesce(u.description, last.description) as description
            from last left join ops.rule as u on u.feed = last.feed and u.rule_id = last.check_id
            order by last.severity, last.feed, last.check_id, last.path""",
            as_of,
        )
        for check in checks:
            contract = contracts.get(check["feed"])
            if str(check["observed"]).startswith("check errored"):
                check["observed"] = "the check could not be run; see the log"
            if contract is not None and contract.pii_columns and not check["observed"]:
                check["description"] = f"see kehu explain {check['batch_id']}"
        rejected = _rows(
            connection,
            """select q.feed, q.rule_id, any_value(q.promise) as promise, count(*) as count_rows,
                count(distinct q.batch_id) as count_files, min(q.batch_id) as batch_id
            from quarantine.row as q join ops.batch as b using (batch_id)
            where b.as_of_date = ? group by q.feed, q.rule_id order by count_rows desc, 1, 2""",
            as_of,
        )
        for rule in rejected:
            rule["columns"], rule["samples"] = _samples(
                connection, settings, contracts.get(rule["feed"]), rule
            )
        repairs = _rows(
            connection,
            """select r.feed, r.column_name, r.repair, sum(r.count_rows) as count_rows,
                any_value(b.path order by b.path) as path,
                any_value(r.first_line order by b.path) as first_line
            from ops.repair as r join ops.batch as b using (batch_id)
            where b.as_of_date = ? group by all order by 1, 2, 3""",
            as_of,
        )
        trend = _trend(connection, as_of)
    manifest = publish.current_manifest(settings)
    published = manifest is not None and manifest["as_of_date"] == as_of.isoformat() and not error
    failed = [c for c in checks if not c["success"]]
    return {
        "as_of": as_of,
        "made_at": now(settings),
        "version": __version__,
        "published": published,
        "publication": manifest and manifest["publication"],
        "stands_for": manifest and manifest["as_of_date"],
        "error": error,
        "files": files[:FILES],
        "files_more": len(files) - len(files[:FILES]),
        "counts": {
            name: sum(f[name] or 0 for f in files)
            for name in (
                "rows_in",
                "rows_loaded",
                "rows_quarantined",
                "rows_superseded",
                "rows_skipped",
                "rows_refused",
            )
        },
        "statuses": {s: sum(f["status"] == s for f in files) for s in sorted({f["status"] for f in files})},
        "count_files": len(files),
        "count_checks": len(checks),
        "failed": failed,
        "rejected": rejected,
        "repairs": repairs,
        "missing": _missing(settings, as_of),
        "trend": trend,
    }  # fmt: skip


def _rows(connection: duckdb.DuckDBPyConnection, query: str, *values: Any) -> list[Row]:
    found: list[Row] = connection.execute(query, list(values)).to_arrow_table().to_pylist()
    return found


def _samples(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    contract: Contract | None,
    rule: Row,
) -> tuple[list[str], list[Row]]:
    """Columns and rows of what broke a rule: line, then typed columns that are not personal data."""
    if contract is None:
        return [], []
    lines = (
        "select line_no, raw_text from quarantine.row where batch_id = "
        f"{literal(rule['batch_id'])} and rule_id = {literal(rule['rule_id'])} "
        f"order by line_no limit {SAMPLES}"
    )
    blamed = rule["rule_id"].partition(":")[2]
    plain = contract.plain_columns
    ordered = [*contract.key, *([blamed] if blamed in plain else []), *plain]
    names = [n for n in dict.fromkeys(ordered) if n in plain][: len(contract.key) + COLUMNS]
    private = bool(contract.pii_columns)
    raw = "" if private else ", q.raw_text"
    rows = settings.batches / rule["feed"] / rule["batch_id"] / "rows.parquet"
    if not rows.exists():  # cleared since; the archive still has the file
        if private:
            names = []
        query = f"select q.line_no{raw} from ({lines}) as q order by 1"
        shown = ["line_no"] if private else ["line_no", "raw_text"]
        return shown, _rows(connection, query)
    listed = "".join(f", r.{quoted(n)}::varchar as {quoted(n)}" for n in names)
    query = (
        f"select q.line_no{listed}{raw} from ({lines}) as q "
        f"left join read_parquet({literal(str(rows))}) as r on r._line = q.line_no order by 1"
    )
    return ["line_no", *names, *([] if private else ["raw_text"])], _rows(connection, query)


def _missing(settings: Settings, as_of: date) -> list[Row] | None:
    """Missing days by store, of the marts of this night; None where they were not built."""
    if not settings.marts.exists():
        return None
    try:
        with warehouse.open_marts(settings.marts) as connection:
            rows = _rows(
                connection,
                "select feed, store_code, freshness_status, last_data_on, last_arrived_at, "
                "count_expected, count_missing, missing_days, as_of_date "
                "from marts.mart_freshness order by feed, store_code",
            )
    except duckdb.Error:
        return None  # never built, or of a version without it
    if not rows or rows[0]["as_of_date"] != as_of:
        return None
    return [r for r in rows if r["count_missing"]]


def _trend(connection: duckdb.DuckDBPyConnection, as_of: date) -> list[Row]:
    """The last nights, oldest first, each with the height of its bars in percent."""
    rows = _rows(
        connection,
        f"""with night as (
            select as_of_date, count(*) as count_files, sum(rows_in) as rows_in,
                sum(rows_loaded) as rows_loaded, sum(rows_quarantined) as rows_quarantined,
                count(*) filter (where status = 'REFUSED') as count_refused
            from ops.batch where as_of_date <= ? group by as_of_date
        ),
        checked as (
            select as_of_date, count(distinct check_id || coalesce(batch_id, ''))
                filter (where not success and severity = 'warning') as count_warnings
            from ops.check_result group by as_of_date
        )
        select night.*, coalesce(count_warnings, 0) as count_warnings
        from night left join checked using (as_of_date)
        order by as_of_date desc limit {NIGHTS}""",
        as_of,
    )
    most = max((r["rows_in"] or 0 for r in rows), default=0) or 1
    worst = max(((r["rows_quarantined"] or 0) / (r["rows_in"] or 1) for r in rows), default=0) or 1
    for row in rows:
        share = (row["rows_quarantined"] or 0) / (row["rows_in"] or 1)
        row |= {
            "share": share,
            "bar": max(2, round(100 * (row["rows_in"] or 0) / most)),
            "bad": round(100 * share / worst) if share else 0,
        }
    return rows[::-1]


def _number(value: Any) -> str:
    return "–" if value is None else f"{value:,}"


def _share(value: float) -> str:
    return f"{value:.2%}" if value else "0"


def _size(value: int | None) -> str:
    if value is None:
        return "–"
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:,.0f} {unit}"
        value = value // 1000 if value >= 10_000 else round(value / 1000)
    return f"{value:,.0f} GB"


def _time(value: datetime | None) -> str:
    return "–" if value is None else f"{value:%Y-%m-%d %H:%M}"
