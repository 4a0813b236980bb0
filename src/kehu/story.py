"""The whole story of one batch, in words: `kehu explain`."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import duckdb

from kehu import corrections, warehouse
from kehu.errors import KehuError
from kehu.extract import correct
from kehu.extract.batch import folder_of, read_meta
from kehu.extract.delivery import Archived, Manifest, card_of, cards, find_card
from kehu.settings import Settings

_SHOWN = 10


def story(settings: Settings, named: str) -> list[str]:
    """The story of a batch, named by its id or by the path of its file; one line each.

    KehuError where nothing of that name ever came.
    """
    with warehouse.read_warehouse(settings) as connection:
        batch, others = _find(settings, connection, named)
        card = card_of(settings, batch)
        ledger = _one(connection, "select * from ops.batch where batch_id = ?", batch)
        lines = [*_arrival(settings, connection, card, others), *_file(settings, card, ledger)]
        if ledger is None:
            return [*lines, "not judged yet: the next night does"]
        lines += _manifest(card, ledger)
        lines += _rows(connection, batch, ledger)
        lines += _checks(connection, batch, ledger)
        lines += _decisions(settings, card)
        lines += _store_days(connection, batch)
        return [*lines, *_publications(settings, batch)]


def _all(connection: duckdb.DuckDBPyConnection, query: str, *values: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (
        connection.execute(query, list(values)).to_arrow_table().to_pylist()
    )
    return rows


def _one(connection: duckdb.DuckDBPyConnection, query: str, *values: Any) -> dict[str, Any] | None:
    return next(iter(_all(connection, query, *values)), None)


def _find(
    settings: Settings, connection: duckdb.DuckDBPyConnection, named: str
) -> tuple[str, list[str]]:
    """The batch, and the earlier ones that came under the same path."""
    if find_card(settings, named) is not None:
        return named, []
    path = named.removeprefix("./")
    path = path.removeprefix(f"{settings.landing.name}/") if "/" in path else path
    rows = _all(
        connection,
        "select batch_id, max(seen_at) as seen_at from ops.delivery where path = ? "
        "group by 1 order by 2 desc, 1",
        path,
    )
    found = [row["batch_id"] for row in rows]
    found += [c.batch_id for c in reversed(cards(settings)) if c.delivery.path == path]
    found = list(dict.fromkeys(found))
    if not found:
        raise KehuError(
            f"no batch {named!r} in the ledger, and no file of that path; "
            "`kehu status --batches` lists them"
        )
    return found[0], found[1:]


def _time(at: datetime | None) -> str:
    return "" if at is None else at.isoformat(" ", "seconds")


def _arrival(
    settings: Settings,
    connection: duckdb.DuckDBPyConnection,
    card: Archived,
    others: list[str],
) -> list[str]:
    delivery = card.delivery
    lines = [
        f"{delivery.path} of feed {delivery.feed}, batch {card.batch_id}",
        f"arrived {_time(delivery.arrived_at)}, {delivery.size:,} bytes, sha256 {card.sha256}",
        f"archived as {delivery.source}",
    ]
    copies = _all(
        connection,
        "select path, status, seen_at from ops.delivery where batch_id = ? and path <> ? order by 3, 1",
        card.batch_id,
        delivery.path,
    )
    lines += [
        f"came again as {c['path']} on {_time(c['seen_at'])}: {c['status'].lower()}"
        for c in copies[:_SHOWN]
    ]
    if others:
        lines.append(f"under the same path came before: {', '.join(others)}")
    return lines


def _file(settings: Settings, card: Archived, ledger: dict[str, Any] | None) -> list[str]:
    folder = folder_of(settings, card.delivery.feed, card.batch_id)
    if not (folder / "meta.json").exists():  # cleared after its retention days
        known = ledger or {}
        told = [f"read as {known['encoding']}"] if known.get("encoding") else []
        unknown = known.get("unknown_columns")
        return told + ([f"columns that the contract does not know: {unknown}"] if unknown else [])
    meta = read_meta(folder)
    lines = []
    if meta.format:
        told = [meta.format, meta.encoding, meta.compression or "", meta.sheet or ""]
        lines.append(f"read as {', '.join(filter(None, told))}; {len(meta.header)} columns")
    if meta.unknown_columns:
        lines.append(f"columns that the contract does not know: {', '.join(meta.unknown_columns)}")
    if meta.absent_columns:
        lines.append(f"optional columns that are not in it: {', '.join(meta.absent_columns)}")
    return lines


def _manifest(card: Archived, ledger: dict[str, Any]) -> list[str]:
    if card.delivery.manifest_text is None:
        return ["no manifest says how many rows there should be"]
    try:
        manifest = Manifest.model_validate_json(card.delivery.manifest_text)
    except ValueError:
        return ["its manifest is not understood"]
    told = []
    if manifest.rows is not None:
        told.append(f"{manifest.rows:,} rows (found {ledger['rows_in']:,})")
    if manifest.control_sum is not None:
        told.append(f"control sum {manifest.control_sum} (found {ledger['control_sum']})")
    if manifest.generated_at is not None:
        told.append(f"made {_time(manifest.generated_at)}")
    if manifest.batch_no is not None:
        told.append(f"batch number {manifest.batch_no}")
    if manifest.store_days:
        told.append(f"{len(manifest.store_days)} store-days")
    if manifest.simulated:
        told.append("simulated")
    return [f"its manifest says: {'; '.join(told) or 'nothing'}"]


def _rows(connection: duckdb.DuckDBPyConnection, batch: str, ledger: dict[str, Any]) -> list[str]:
    names = ("loaded", "quarantined", "superseded", "skipped", "refused")
    parts = [f"{ledger[f'rows_{n}']:,} {n}" for n in names if ledger[f"rows_{n}"]]
    lines = [
        f"{ledger['status']}, loaded {_time(ledger['loaded_at'])} by run {ledger['run_id']}, "
        f"for {ledger['as_of_date']}, in {ledger['seconds']} s",
        f"{ledger['rows_in']:,} rows in" + (f" = {' + '.join(parts)}" if parts else ""),
    ]
    if ledger["message"]:
        lines.append(str(ledger["message"]))
    rejected = _all(
        connection,
        """select rule_id, any_value(promise) as promise, count(*) filter (where decision is null) as open,
            count(decision) as discarded, min(line_no) as line
        from quarantine.row where batch_id = ? group by 1 order by 5, 1""",
        batch,
    )
    for r in rejected:
        told = [f"{r['open']:,} open"] if r["open"] else []
        told += [f"{r['discarded']:,} discarded"] if r["discarded"] else []
        lines.append(
            f"in quarantine by {r['rule_id']} ({r['promise']}): {', '.join(told)}, "
            f"first line {r['line']}"
        )
    repairs = _all(
        connection,
        "select column_name, repair, count_rows, first_line from ops.repair where batch_id = ? order by 1, 2",
        batch,
    )
    lines += [
        f"repaired {r['column_name']} by {r['repair']}: {r['count_rows']:,} rows, "
        f"first line {r['first_line']}"
        for r in repairs
        if r["column_name"] != "(line)"
    ]
    lines += [
        f"left out as {r['repair']}: {r['count_rows']:,} lines, first {r['first_line']}"
        for r in repairs
        if r["column_name"] == "(line)"
    ]
    return lines


def _checks(connection: duckdb.DuckDBPyConnection, batch: str, ledger: dict[str, Any]) -> list[str]:
    found = _all(
        connection,
        """select check_id, severity, success, description, observed from ops.check_result
        where batch_id = ? and run_id = ? order by success, severity, check_id""",
        batch,
        ledger["run_id"],
    )
    return [
        f"{'warning' if c['severity'] == 'warning' else 'failed check'} {c['check_id']}: "
        f"{c['description']}" + (f"; found: {c['observed']}" if c["observed"] else "")
        for c in found
        if not c["success"]
    ]


def _decisions(settings: Settings, card: Archived) -> list[str]:
    lines = [f"waived {w.check} by {w.who} on {_time(w.at)}: {w.reason}" for w in card.waivers]
    standing = {
        (r["line_no"], r["at"]) for r in correct.history(card.corrections).to_pylist()
        if r["is_current"]
    }  # fmt: skip
    for c in card.corrections:
        named = ", ".join(map(str, c.lines[:_SHOWN])) + (", ..." if len(c.lines) > _SHOWN else "")
        changed = f" ({', '.join(sorted(c.cells))} changed)" if c.cells else ""
        over = c.action != "UNDONE" and not any((line, c.at) in standing for line in c.lines)
        lines.append(
            f"{c.action.lower()} {len(c.lines)} rows, lines {named}{changed}, by {c.who} on "
            f"{_time(c.at)}: {c.reason}" + ("; no longer holds" if over else "")
        )
    if card.batch_id in corrections.waiting(settings):
        lines.append(f"decided, but not loaded yet: the next night, or kehu replay {card.batch_id}")
    return lines


def _store_days(connection: duckdb.DuckDBPyConnection, batch: str) -> list[str]:
    """How many store-days of which status, and between which files they changed hands."""
    counts = _all(
        connection,
        """select status, count(*) as days, sum(count_rows)::bigint as rows, min(business_date) as first,
            max(business_date) as last from ops.store_day where batch_id = ? group by 1 order by 1""",
        batch,
    )
    lines = [
        f"store-days {c['status']}: {c['days']:,} with {c['rows']:,} rows, {c['first']} to {c['last']}"
        for c in counts
    ]
    others = _all(
        connection,
        """select mine.store_code, mine.business_date, mine.status, b.path, other.status as theirs,
            other.batch_no, other.generated_at
        from ops.store_day as mine
        join ops.store_day as other using (store_code, business_date)
        join ops.batch as b on b.batch_id = other.batch_id
        where mine.batch_id = ? and other.batch_id <> mine.batch_id
            and (mine.status = 'CURRENT' or other.status = 'CURRENT')
        order by mine.business_date, mine.store_code, b.path""",
        batch,
    )
    for o in others[:_SHOWN]:
        version = [f"batch number {o['batch_no']}"] if o["batch_no"] is not None else []
        version += [f"made {_time(o['generated_at'])}"] if o["generated_at"] else []
        told = f" ({', '.join(version)})" if version else ""
        day = f"{o['store_code']} {o['business_date']}"
        if o["theirs"] == "CURRENT":
            lines.append(f"  {day}: {o['status'].lower()}; what counts is {o['path']}{told}")
        else:
            lines.append(f"  {day}: counts, instead of {o['path']}{told}, {o['theirs'].lower()}")
    if len(others) > _SHOWN:
        lines.append(f"  ... and {len(others) - _SHOWN:,} more")
    return lines


def _publications(settings: Settings, batch: str) -> list[str]:
    found = []
    for path in sorted(settings.publications.glob("*/manifest.json")):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        states = {b["batch_id"]: b["status"] for b in manifest["batches"]}
        if states.get(batch, "REFUSED") != "REFUSED":
            found.append(manifest["publication"])
    if not found:
        return ["in no publication that is kept"]
    more = f", and in {len(found) - 1} before it" if len(found) > 1 else ""
    return [f"in publication {found[-1]}{more}"]
