"""The gate: judge the batches of a run, one by one by row rules, together by expectations."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path

import duckdb
from pydantic import BaseModel

from kehu.errors import MachineFault
from kehu.extract.batch import BatchMeta, read_meta, scratch
from kehu.extract.delivery import Waiver
from kehu.extract.typing import literal, quoted
from kehu.feeds import Contract
from kehu.files import write_atomically
from kehu.gate.expect import CheckResult, Judged, read_suite, validate_feeds
from kehu.gate.rules import Split, split, wrong_totals
from kehu.settings import Settings


class Verdict(BaseModel):
    """What the gate says of one batch; lies beside it as gate.json."""

    batch_id: str
    feed: str
    run_id: str
    as_of: date
    passed: bool
    split: Split | None = None
    refused_by: list[str] = []
    message: str = ""
    results: list[CheckResult] = []
    waivers: list[Waiver] = []
    seconds: float = 0.0


def read_verdict(folder: Path) -> Verdict:
    """The gate's word on an extracted batch; MachineFault where it is not whole."""
    path = folder / "gate.json"
    try:
        return Verdict.model_validate_json(path.read_text(encoding="utf-8"))
    except ValueError:
        raise MachineFault(f"{path}: is damaged; run again, it is judged anew") from None


def judge(
    settings: Settings,
    contracts: dict[str, Contract],
    feeds: list[str],
    folders: list[Path],
    as_of: date,
    run_id: str,
    waivers: dict[str, list[Waiver]],
) -> tuple[list[Verdict], list[CheckResult]]:
    """Judge the batches in `folders`; returns a verdict each, and the results that concern no batch.

    A critical failure refuses its batch and no other. `waivers` maps a batch to the checks that an
    operator has waived for it, with who, when and why.
    """
    verdicts: dict[str, Verdict] = {}
    judged: list[Judged] = []
    read = {folder: read_meta(folder) for folder in folders}
    metas = {meta.batch_id: meta for meta in read.values()}
    for folder, meta in read.items():
        started = time.perf_counter()
        verdict = Verdict(
            batch_id=meta.batch_id,
            feed=meta.feed,
            run_id=run_id,
            as_of=as_of,
            passed=True,
            waivers=waivers.get(meta.batch_id, []),
        )
        verdicts[meta.batch_id] = verdict
        if meta.refused_rule is not None:
            _fail(verdict, meta, meta.refused_rule, meta.refused_message or "")
            continue
        contract = contracts[meta.feed]
        with scratch(settings) as connection:
            known = _known(settings, contracts, contract, read)
            verdict.split = split(connection, contract, meta, folder, known)
            _judge_totals(connection, verdict, meta, contract, folder)
        _judge_share(verdict, meta, contract)
        if verdict.passed:
            judged.append(as_judged(meta, verdict.split, folder))
        verdict.seconds = round(time.perf_counter() - started, 3)
    results = validate_feeds(settings, contracts, feeds, judged, as_of, run_id)
    general: list[CheckResult] = []
    for result in results:
        if result.batch_id is None or result.batch_id not in verdicts:
            general.append(result)
            continue
        verdict = verdicts[result.batch_id]
        verdict.results.append(result)
        if not result.success and result.severity == "critical":
            message = (
                f"{metas[result.batch_id].path}: {result.description}; found: {result.observed}"
            )
            _fail(verdict, metas[result.batch_id], result.check_id, message)
    for folder, meta in read.items():
        verdict = verdicts[meta.batch_id]
        write_atomically(folder / "gate.json", verdict.model_dump_json(indent=1))
    return list(verdicts.values()), general


def _known(
    settings: Settings,
    contracts: dict[str, Contract],
    contract: Contract,
    read: dict[Path, BatchMeta],
) -> dict[str, str]:
    """For each feed that the contract looks up: SQL of all versions of its rows.

    They come from the warehouse as it was at its last load, and from the batches of this run.
    """
    known = {}
    for feed in {lookup.feed for lookup in contract.lookups}:
        names = ", ".join(quoted(name) for name in contracts[feed].plain_columns)
        paths = [
            folder / "rows.parquet"
            for folder, meta in read.items()
            if meta.feed == feed and meta.refused_rule is None
        ]
        loaded = settings.reference / f"{feed}.parquet"
        sources = [
            f"select {names} from read_parquet({literal(str(path))})"
            for path in [*paths, *([loaded] if loaded.exists() else [])]
        ]
        if sources:
            known[feed] = " union ".join(sources)
    return known


def _judge_totals(
    connection: duckdb.DuckDBPyConnection,
    verdict: Verdict,
    meta: BatchMeta,
    contract: Contract,
    folder: Path,
) -> None:
    """Hold the total lines of the file against its rows: a sum refuses, a number of rows warns."""
    sums, counts = wrong_totals(connection, contract, folder)
    if counts:  # it may count receipts, or pages
        told = "; ".join(map(str, counts))
        verdict.results.append(
            CheckResult(
                check_id="total_rows",
                feed=meta.feed,
                batch_id=meta.batch_id,
                severity="warning",
                success=False,
                description="a line that tells the number of rows tells that of the rows above it",
                observed=told,
            )
        )
    if sums:
        _fail(verdict, meta, "total_line", f"{meta.path}: {'; '.join(map(str, sums))}")


def _judge_share(verdict: Verdict, meta: BatchMeta, contract: Contract) -> None:
    assert verdict.split is not None
    rows = verdict.split.rows_in - verdict.split.skipped
    rejected = verdict.split.quarantined - verdict.split.discarded
    if rejected > contract.reject_limit * rows:
        _fail(
            verdict,
            meta,
            "reject_limit",
            f"{meta.path}: {rejected} of {rows} rows are rejected "
            f"({rejected / rows:.1%}, limit {contract.reject_limit:.1%})",
        )


def waivable(settings: Settings, feed: str) -> list[str]:
    """The checks that an operator can let a batch of the feed pass; `held` is one of the load."""
    suite = settings.suite_files().get(feed)
    critical = (
        [e["meta"]["id"] for e in read_suite(suite) if e["severity"] == "critical"] if suite else []
    )
    return ["held", "reject_limit", "total_line", *critical]


def _fail(verdict: Verdict, meta: BatchMeta, check: str, message: str) -> None:
    """Refuse the batch, unless an operator has waived this check for it."""
    known = {result.check_id for result in verdict.results}
    if check not in known:
        verdict.results.append(
            CheckResult(
                check_id=check,
                feed=meta.feed,
                batch_id=meta.batch_id,
                severity="critical",
                success=False,
                description=message,
            )
        )
    waivable = meta.refused_rule is None
    if waivable and any(waiver.check == check for waiver in verdict.waivers):
        return
    verdict.passed = False
    verdict.refused_by.append(check)
    hint = (
        f"See the rows: kehu quarantine show {meta.batch_id}. Mend the source or the contract, "
        f"then: kehu replay {meta.batch_id}"
    )
    verdict.message = "; ".join(filter(None, [verdict.message, message]))
    if hint not in verdict.message and "kehu replay" not in verdict.message:
        verdict.message += f". {hint}"


def as_judged(meta: BatchMeta, result: Split, folder: Path) -> Judged:
    """The batch as the expectations see it.

    A manifest counts the rows with the total lines or without, and sums amounts as the source wrote
    them or with the signs that they must have; it is right where it fits one of the two.
    """
    control_sum = result.control_sum
    if meta.manifest_control_sum == result.control_sum_written:
        control_sum = result.control_sum_written
    with_totals = result.skipped and meta.manifest_rows == result.rows_in
    return Judged(
        batch_id=meta.batch_id,
        feed=meta.feed,
        path=meta.path,
        accepted_path=folder / "accepted.parquet",
        rows_in=result.rows_in - (0 if with_totals else result.skipped),
        accepted=result.accepted,
        quarantined=result.quarantined,
        has_manifest=meta.has_manifest,
        manifest_rows=meta.manifest_rows,
        manifest_control_sum=(
            None if meta.manifest_control_sum is None else str(meta.manifest_control_sum)
        ),
        control_sum=None if control_sum is None else str(control_sum),
        control_unparsed=result.control_unparsed,
        is_empty_declared=result.rows_in == 0 and bool(meta.store_days),
    )
