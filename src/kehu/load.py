"""Load: one transaction per batch brings its rows and its ledger entry in, or neither.

Sales replace by store-day: among all deliveries of a store-day the current one is the clean one with
the highest version (`batch_no`, `generated_at`; arrival only where both are absent). So any order of
arrival ends in the same rows. Versioned feeds keep every version, events are kept once per key.
"""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from pydantic import BaseModel

from kehu.clock import now
from kehu.extract import correct
from kehu.extract.batch import BatchMeta, extract, folder_of, read_meta, scratch
from kehu.extract.delivery import card_of
from kehu.extract.typing import literal, quoted
from kehu.feeds import Contract
from kehu.files import is_whole_parquet, replace_durably
from kehu.gate.expect import CheckResult
from kehu.gate.judge import Verdict, read_verdict
from kehu.gate.profile import keep_profiles
from kehu.gate.rules import split
from kehu.settings import Settings

REPAIRS = "array_to_string(_repairs, '|')"  # as the raw tables keep them

FINAL = ("LOADED", "UNVERIFIED", "SUPERSEDED", "HELD")


class Loaded(BaseModel):
    """What became of the rows of one batch: the parts add up to `rows_in`."""

    batch_id: str
    feed: str
    path: str
    status: str
    message: str = ""
    rows_in: int = 0
    rows_loaded: int = 0
    rows_quarantined: int = 0
    rows_superseded: int = 0
    rows_skipped: int = 0
    rows_refused: int = 0
    seconds: float = 0.0


def load_batch(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    contracts: dict[str, Contract],
    meta: BatchMeta,
    folder: Path,
    run_id: str,
) -> Loaded:
    """Bring one judged batch in. Doing it twice is doing it once.

    `meta` names the path under which the batch was delivered this time; a copy of the file under
    another name may have been read last.
    """
    started = time.perf_counter()
    verdict = read_verdict(folder)
    contract = contracts[meta.feed]
    result = Loaded(
        batch_id=meta.batch_id,
        feed=meta.feed,
        path=meta.path,
        status="REFUSED",
        message=verdict.message,
    )
    connection.execute("begin")
    try:
        before = known_status(connection, meta.batch_id)
        stays = not verdict.passed and before in FINAL
        if not verdict.passed:
            result.rows_in = verdict.split.rows_in if verdict.split else meta.rows_in
            result.rows_refused = result.rows_in
        else:
            assert verdict.split is not None
            result.rows_in = verdict.split.rows_in
            result.rows_quarantined = verdict.split.quarantined
            result.rows_skipped = verdict.split.skipped  # total lines, repeated headers
            if contract.replace == "store_day":
                _load_store_days(connection, settings, contracts, meta, verdict, folder, result)
            else:
                _load_versions(connection, contract, meta, folder, result)
        _record_checks(connection, settings, run_id, verdict.as_of, "feed", verdict.results)
        _record_decisions(connection, meta)
        result.seconds = round(time.perf_counter() - started + meta.seconds + verdict.seconds, 3)
        if stays:
            # judged again and refused: its rows are in the warehouse, and the ledger goes on saying so
            result.message += f". What was loaded of it before ({before}) stays"
            connection.execute(
                "update ops.batch set message = ? where batch_id = ?",
                [result.message, meta.batch_id],
            )
        else:
            _record_quarantine(connection, meta, folder)
            _record_repairs(connection, meta, folder, is_loaded=verdict.passed)
            _record_batch(connection, settings, meta, verdict, result, run_id)
        status = before if stays and before else result.status
        record_delivery(connection, settings, meta, status, result.rows_in, run_id)
        connection.execute("commit")
    except BaseException:
        with suppress(duckdb.Error):  # a commit that failed, as on a full disk, has rolled back
            connection.execute("rollback")
        raise
    return result


_RANK = """
    is_clean desc, coalesce(batch_no, -1) desc, coalesce(generated_at, timestamp '1900-01-01') desc,
    case when batch_no is null and generated_at is null then arrived_at end desc nulls last, batch_id desc
"""


def _load_store_days(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    contracts: dict[str, Contract],
    meta: BatchMeta,
    verdict: Verdict,
    folder: Path,
    result: Loaded,
) -> None:
    contract = contracts[meta.feed]
    batch = literal(meta.batch_id)
    _candidates(connection, contract, meta, verdict, folder)
    connection.execute(
        f"""create or replace temp table touched as
        select store_code, business_date from candidate
        union select store_code, business_date from ops.store_day where batch_id = {batch}"""
    )
    connection.execute(
        """create or replace temp table owner_before as
        select s.store_code, s.business_date, s.batch_id, s.digest from ops.store_day as s
        semi join touched using (store_code, business_date) where s.status = 'CURRENT'"""
    )
    connection.execute(f"delete from ops.store_day where batch_id = {batch}")
    connection.execute("insert into ops.store_day select * from candidate")
    connection.execute(
        f"""create or replace temp table ranked as
        select s.*, row_number() over w as place,
            first_value(coalesce(batch_no, -1)) over w as best_batch_no,
            first_value(coalesce(generated_at, timestamp '1900-01-01')) over w as best_generated_at,
            first_value(arrived_at) over w as best_arrived_at
        from ops.store_day as s semi join touched using (store_code, business_date)
        window w as (partition by store_code, business_date order by {_RANK})"""
    )
    connection.execute(
        """update ops.store_day as s set status = case
            when r.place = 1 then 'CURRENT'
            when not r.is_clean and (
                coalesce(r.batch_no, -1), coalesce(r.generated_at, timestamp '1900-01-01'), r.arrived_at
            ) > (r.best_batch_no, r.best_generated_at, r.best_arrived_at) then 'HELD'
            when s.status in ('CURRENT', 'REPLACED') then 'REPLACED'
            else 'SUPERSEDED' end
        from ranked as r
        where s.batch_id = r.batch_id and s.store_code = r.store_code
            and s.business_date = r.business_date"""
    )
    connection.execute(
        """create or replace temp table moved as
        select n.store_code, n.business_date, n.batch_id, b.batch_id is not null as had_owner
        from ranked as n
        left join owner_before as b using (store_code, business_date)
        where n.place = 1
            and (b.batch_id is distinct from n.batch_id or b.digest is distinct from n.digest)"""
    )
    if connection.execute("select 1 from moved where had_owner limit 1").fetchall():
        connection.execute(
            """delete from raw.sales_line where (store_code, business_date) in
            (select (store_code, business_date) from moved where had_owner)"""
        )
    # a store-day of which this batch alone spoke, and speaks no more
    connection.execute(
        f"""delete from raw.sales_line where _batch_id = {batch} and (store_code, business_date) in (
            select (store_code, business_date) from owner_before
            anti join ranked using (store_code, business_date)
        )"""
    )
    connection.execute(
        """delete from ops.store_day_profile where (store_code, business_date) in (
            select (store_code, business_date) from moved where had_owner
            union all
            select (store_code, business_date) from owner_before
            anti join ranked using (store_code, business_date)
        )"""
    )
    winners = connection.execute("select distinct batch_id from moved order by 1").fetchall()
    for (winner,) in winners:
        owner = folder if winner == meta.batch_id else _accepted_again(settings, contracts, winner)
        _insert_sales(connection, contract, read_meta(owner), owner)
        accepted = literal(str(owner / "accepted.parquet"))
        keep_profiles(
            connection,
            f"""(from read_parquet({accepted}) where (store_code, business_date) in (
                select (store_code, business_date) from moved where batch_id = {literal(winner)}))""",
        )
    counts = connection.execute(
        f"""select coalesce(sum(count_rows) filter (where status = 'CURRENT'), 0),
            coalesce(sum(count_rows) filter (where status <> 'CURRENT'), 0),
            count(*) filter (where status = 'CURRENT'), count(*) filter (where status = 'HELD'), count(*)
        from ops.store_day where batch_id = {batch}"""
    ).fetchall()[0]
    result.rows_loaded, result.rows_superseded = int(counts[0]), int(counts[1])
    current, held, days = counts[2:]
    if days and not current:
        result.status = "HELD" if held else "SUPERSEDED"
    else:
        result.status = "LOADED" if meta.has_manifest else "UNVERIFIED"
    if held:
        result.message = (
            f"{meta.path}: {held} store-day(s) have rejected rows and would replace clean ones; held. "
            f"Look: kehu quarantine show {meta.batch_id}; to take it as it is: "
            f"kehu replay {meta.batch_id} --waive held --reason '...'"
        )
    elif not days:
        result.message = (
            f"{meta.path}: has no rows and names no store-day, so it says nothing; a day without "
            "sales is declared by store_days in the manifest"
        )
    elif result.status == "SUPERSEDED":
        result.message = f"{meta.path}: a newer version of each of its store-days is loaded already"


def _candidates(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    meta: BatchMeta,
    verdict: Verdict,
    folder: Path,
) -> None:
    """Temp table `candidate`: this batch's version of each store-day that it speaks of."""
    accepted = f"read_parquet({literal(str(folder / 'accepted.parquet'))})"
    quarantine = folder / "quarantine.parquet"
    # a store-day whose every row an operator left out is none that this batch speaks of
    rejects = (
        f"select store_code, business_date from read_parquet({literal(str(quarantine))}) "
        "where rule_id not like 'duplicate:%' and decision is null"
        if quarantine.exists()
        else "select null::varchar as store_code, null::date as business_date where false"
    )
    released = any(waiver.check == "held" for waiver in verdict.waivers)
    declared = " union all ".join(
        f"select {literal(s)} as store_code, date {literal(d.isoformat())} as business_date"
        for s, d in meta.store_days
    )
    row = (
        f"hash({', '.join(quoted(c) for c in contract.columns)}, {_incomplete(connection, folder)})"
    )
    generated = (
        "null" if meta.generated_at is None else f"timestamp {literal(str(meta.generated_at))}"
    )
    connection.execute(
        f"""create or replace temp table candidate as
        with reject as ({rejects}),
        nameless as (select count(*) as rows from reject where store_code is null or business_date is null),
        reject_day as (
            select store_code, business_date, count(*) as rows from reject
            where store_code is not null and business_date is not null group by all
        ),
        row_day as (
            select store_code, business_date, count(*) as rows, max(batch_no) as batch_no,
                md5(count(*) || ':' || sum({row}::hugeint)) as digest
            from {accepted} group by all
        ),
        day as (
            select store_code, business_date from row_day
            union select store_code, business_date from reject_day
            {"union select store_code, business_date from (" + declared + ")" if declared else ""}
        )
        select d.store_code, d.business_date, {literal(meta.batch_id)} as batch_id,
            coalesce(r.batch_no, {"null" if meta.batch_no is None else meta.batch_no})::integer as batch_no,
            {generated}::timestamp as generated_at,
            timestamp {literal(str(meta.arrived_at))} as arrived_at,
            {"true" if released else "coalesce(q.rows, 0) = 0 and (select rows from nameless) = 0"}
                as is_clean,
            coalesce(r.rows, 0) as count_rows, coalesce(q.rows, 0) as count_quarantined,
            coalesce(r.digest, md5('empty')) as digest, null::varchar as status
        from day as d
        left join row_day as r using (store_code, business_date)
        left join reject_day as q using (store_code, business_date)"""
    )


def _incomplete(connection: duckdb.DuckDBPyConnection, folder: Path) -> str:
    """The flag column of an accepted file; a clean batch has none."""
    path = literal(str(folder / "accepted.parquet"))
    names = connection.execute(f"select name from parquet_schema({path})").fetchall()
    return "_is_incomplete" if ("_is_incomplete",) in names else "false"


def _insert_sales(
    connection: duckdb.DuckDBPyConnection, contract: Contract, meta: BatchMeta, folder: Path
) -> None:
    names = ", ".join(quoted(name) for name in contract.plain_columns)
    connection.execute(
        f"""insert into raw.sales_line (
            {names}, _batch_id, _line, _repairs, _is_simulated, _is_incomplete
        )
        select {names}, _batch_id, _line, {REPAIRS}, {meta.is_simulated},
            {_incomplete(connection, folder)}
        from read_parquet({literal(str(folder / "accepted.parquet"))})
        where (store_code, business_date) in (
            select (store_code, business_date) from moved where batch_id = {literal(meta.batch_id)}
        )"""
    )


def _accepted_again(settings: Settings, contracts: dict[str, Contract], batch: str) -> Path:
    """The accepted rows of an earlier batch, made again from the archive where they were cleared."""
    card = card_of(settings, batch)
    folder = folder_of(settings, card.delivery.feed, batch)
    contract = contracts[card.delivery.feed]
    if (
        not is_whole_parquet(folder / "accepted.parquet")
        or read_meta(folder).contract_digest != contract.digest
    ):
        meta = extract(settings, contract, card.delivery)
        with scratch(settings) as connection:
            split(connection, contract, meta, folder)
    return folder


def _load_versions(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    meta: BatchMeta,
    folder: Path,
    result: Loaded,
) -> None:
    accepted = f"read_parquet({literal(str(folder / 'accepted.parquet'))})"
    table = f"raw.{quoted(contract.feed)}"
    delivered = literal(str(meta.generated_at or meta.arrived_at))
    version = quoted(contract.version) if contract.version else "null::timestamp"
    every = ", ".join(f"{quoted(name)}::varchar" for name in contract.columns)
    connection.execute(f"delete from {table} where _batch_id = {literal(meta.batch_id)}")
    if contract.pii_columns:
        connection.execute(
            f"delete from pii.{quoted(contract.feed)} where _batch_id = {literal(meta.batch_id)}"
        )
    connection.execute(
        f"""create or replace temp table incoming as
        select * replace ({REPAIRS} as _repairs), {meta.is_simulated} as _is_simulated,
            coalesce({version}, timestamp {delivered}) as _version_at,
            {version} is not null as _is_dated, md5(to_json([{every}])::varchar) as _row_hash
        from {accepted}"""
    )
    same = [*contract.key, "_row_hash"]
    if contract.replace == "version":
        same.append("_version_at")
    matched = " and ".join(f"t.{quoted(c)} = i.{quoted(c)}" for c in same)
    if contract.replace == "event":
        # the same event sent again counts once, from when it was first known, in any order of arrival
        for kept in [table, *([f"pii.{quoted(contract.feed)}"] if contract.pii_columns else [])]:
            connection.execute(
                f"""update {kept} as t set _version_at = i._version_at
                from incoming as i where {matched} and i._version_at < t._version_at"""
            )
    connection.execute(f"delete from incoming as i using {table} as t where {matched}")
    plain = ", ".join(
        quoted(n)
        for n in [*contract.plain_columns, "_batch_id", "_line", "_repairs", "_is_simulated"]
    )
    connection.execute(
        f"""insert into {table} ({plain}, _version_at, _is_dated, _row_hash)
        select {plain}, _version_at, _is_dated, _row_hash from incoming"""
    )
    if contract.pii_columns:
        kept = ", ".join(
            quoted(n)
            for n in [*contract.key, *contract.pii_columns, "_version_at", "_row_hash", "_batch_id"]
        )
        given = " or ".join(f"{quoted(n)} is not null" for n in contract.pii_columns)
        connection.execute(
            f"insert into pii.{quoted(contract.feed)} ({kept}) select {kept} from incoming where {given}"
        )
    result.rows_loaded = int(connection.execute("select count(*) from incoming").fetchall()[0][0])
    result.rows_skipped = result.rows_in - result.rows_quarantined - result.rows_loaded
    result.status = "LOADED" if meta.has_manifest else "UNVERIFIED"


def _record_quarantine(
    connection: duckdb.DuckDBPyConnection, meta: BatchMeta, folder: Path
) -> None:
    connection.execute("delete from quarantine.row where batch_id = ?", [meta.batch_id])
    path = folder / "quarantine.parquet"
    if path.exists():
        connection.execute(
            f"insert into quarantine.row by name select * from read_parquet({literal(str(path))})"
        )


def _record_repairs(
    connection: duckdb.DuckDBPyConnection, meta: BatchMeta, folder: Path, *, is_loaded: bool
) -> None:
    """What was repaired in the accepted rows, and the lines that were skipped as no records."""
    connection.execute("delete from ops.repair where batch_id = ?", [meta.batch_id])
    if not is_loaded:
        return
    accepted = f"read_parquet({literal(str(folder / 'accepted.parquet'))})"
    queries = [
        f"""select split_part(repair, ':', 1) as column_name, split_part(repair, ':', 2) as repair, _line
        from (select _line, unnest(_repairs) as repair from {accepted} where _repairs is not null)"""
    ]
    if meta.rows_skipped:
        skipped = literal(str(folder / "skipped.parquet"))
        queries.append(f"select '(line)', kind, _line from read_parquet({skipped})")
    connection.execute(
        f"""insert into ops.repair
        select {literal(meta.batch_id)}, {literal(meta.feed)}, column_name, repair, count(*), min(_line)
        from ({" union all ".join(queries)}) group by column_name, repair"""
    )


def _record_decisions(connection: duckdb.DuckDBPyConnection, meta: BatchMeta) -> None:
    """All that operators decided about lines of the batch; `is_current` where it still holds."""
    connection.execute("delete from ops.decision where batch_id = ?", [meta.batch_id])
    if not meta.corrections:
        return
    connection.register("decisions", correct.history(meta.corrections))
    connection.execute(
        f"""insert into ops.decision select {literal(meta.batch_id)},
            line_no, action, rule_id, who, "at", reason, is_current from decisions"""
    )
    connection.unregister("decisions")


def _record_checks(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    run_id: str,
    as_of: date,
    stage: str,
    results: list[CheckResult],
) -> None:
    if not results:
        return
    at = now(settings)
    rows: list[dict[str, Any]] = [
        {
            "run_id": run_id,
            "as_of_date": as_of,
            "stage": stage,
            "check_id": r.check_id,
            "feed": r.feed,
            "batch_id": r.batch_id,
            "severity": r.severity,
            "success": r.success,
            "description": r.description,
            "observed": r.observed,
            "checked_at": at,
        }
        for r in results
    ]
    schema = pa.schema(
        [
            ("run_id", pa.string()),
            ("as_of_date", pa.date32()),
            ("stage", pa.string()),
            ("check_id", pa.string()),
            ("feed", pa.string()),
            ("batch_id", pa.string()),
            ("severity", pa.string()),
            ("success", pa.bool_()),
            ("description", pa.string()),
            ("observed", pa.string()),
            ("checked_at", pa.timestamp("us")),
        ]
    )
    connection.register("check_rows", pa.Table.from_pylist(rows, schema=schema))
    connection.execute("insert into ops.check_result by name select * from check_rows")
    connection.unregister("check_rows")


def record_checks(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    run_id: str,
    as_of: date,
    stage: str,
    results: list[CheckResult],
) -> None:
    """Put results that concern no single batch into the ledger, once per run and stage."""
    connection.execute("begin")
    connection.execute(
        "delete from ops.check_result where run_id = ? and stage = ? and batch_id is null",
        [run_id, stage],
    )
    _record_checks(connection, settings, run_id, as_of, stage, results)
    connection.execute("commit")


def _record_batch(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    meta: BatchMeta,
    verdict: Verdict,
    result: Loaded,
    run_id: str,
) -> None:
    control: Decimal | None = verdict.split.control_sum if verdict.split else None
    row = {
        "batch_id": meta.batch_id,
        "feed": meta.feed,
        "path": meta.path,
        "sha256": meta.sha256,
        "bytes": meta.bytes,
        "status": result.status,
        "arrived_at": meta.arrived_at,
        "generated_at": meta.generated_at,
        "loaded_at": now(settings),
        "run_id": run_id,
        "as_of_date": verdict.as_of,
        "is_simulated": meta.is_simulated,
        "encoding": meta.encoding,
        "unknown_columns": ", ".join(meta.unknown_columns) or None,
        "refused_by": ", ".join(verdict.refused_by) or None,
        "message": result.message or None,
        "waived": "; ".join(f"{w.check} by {w.who} at {w.at}: {w.reason}" for w in verdict.waivers)
        or None,
        "rows_in": result.rows_in,
        "rows_loaded": result.rows_loaded,
        "rows_quarantined": 0 if result.status == "REFUSED" else result.rows_quarantined,
        "rows_superseded": result.rows_superseded,
        "rows_skipped": result.rows_skipped,
        "rows_refused": result.rows_refused,
        "control_sum": control,
        "seconds": result.seconds,
    }
    names = ", ".join(row)
    marks = ", ".join("?" for _ in row)
    connection.execute("delete from ops.batch where batch_id = ?", [meta.batch_id])
    connection.execute(f"insert into ops.batch ({names}) values ({marks})", list(row.values()))


def record_delivery(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    meta: BatchMeta,
    status: str,
    rows_in: int,
    run_id: str,
) -> None:
    """Remember that this path, as it lies there now, has been dealt with."""
    connection.execute(
        "delete from ops.delivery where path = ? and stamp = ?", [meta.path, meta.stamp]
    )
    connection.execute(
        "insert into ops.delivery values (?, ?, ?, ?, ?, ?, ?, ?)",
        [meta.path, meta.stamp, meta.feed, meta.batch_id, status, rows_in, now(settings), run_id],
    )


def known_status(connection: duckdb.DuckDBPyConnection, batch: str) -> str | None:
    """The ledger's status of a batch, None where it has none."""
    found = connection.execute(
        "select status from ops.batch where batch_id = ?", [batch]
    ).fetchall()
    return str(found[0][0]) if found else None


def write_reference(
    connection: duckdb.DuckDBPyConnection, settings: Settings, contracts: dict[str, Contract]
) -> None:
    """What plan, gate, status and explain must know of the past, each file replaced atomically."""
    newest = {
        "sales_line": "business_date",
        "survey_answer": "submitted_at::date",
        "complaint": "received_at::date",
        "complaint_event": "occurred_at::date",
    }
    queries = {
        "volume": "select business_date, store_code, count_rows, p.* exclude (business_date, "
        "store_code) from ops.store_day left join ops.store_day_profile as p "
        "using (business_date, store_code) where status = 'CURRENT' and count_rows > 0",
        "known": "select distinct 'card' as kind, card_no as code from raw.member_card "
        "union all select distinct 'product', sku_code from raw.product "
        "union all select distinct 'store', store_code from raw.store",
        "newest": " union all ".join(
            f"select '{feed}' as feed, max({column}) as newest_on from raw.{feed}"
            for feed, column in newest.items()
            if feed in contracts
        ),
        "ledger": "select * from ops.batch",
        "delivery": "select * from ops.delivery",
        "store_day": "select * from ops.store_day",
    }
    for feed in sorted({lookup.feed for c in contracts.values() for lookup in c.lookups}):
        names = ", ".join(quoted(name) for name in contracts[feed].plain_columns)
        queries[feed] = f"select distinct {names} from raw.{quoted(feed)}"
    settings.reference.mkdir(parents=True, exist_ok=True)
    for name, query in queries.items():
        path = settings.reference / f"{name}.parquet"
        temporary = path.with_name(f".{name}.tmp")
        connection.execute(f"copy ({query}) to {literal(str(temporary))} (format parquet)")
        replace_durably(temporary, path)
