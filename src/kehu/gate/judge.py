"""The gate: judge the batches of a run, one by one by row rules, together by expectations."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path

from pydantic import BaseModel

from kehu.extract.batch import BatchMeta, read_meta, scratch
from kehu.extract.delivery import Waiver
from kehu.feeds import Contract
from kehu.files import write_atomically
from kehu.gate.expect import CheckResult, Judged, validate_feeds
from kehu.gate.rules import Split, split
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
    """The gate's word on an extracted batch."""
    return Verdict.model_validate_json((folder / "gate.json").read_text(encoding="utf-8"))


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
            verdict.split = split(connection, contract, meta, folder)
        _judge_share(verdict, meta, contract)
        if verdict.passed:
            judged.append(_as_judged(meta, verdict.split, folder))
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


def _judge_share(verdict: Verdict, meta: BatchMeta, contract: Contract) -> None:
    assert verdict.split is not None
    rows, rejected = verdict.split.rows_in, verdict.split.quarantined
    if rejected > contract.reject_limit * rows:
        _fail(
            verdict,
            meta,
            "reject_limit",
            f"{meta.path}: {rejected} of {rows} rows are rejected "
            f"({rejected / rows:.1%}, limit {contract.reject_limit:.1%})",
        )


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


def _as_judged(meta: BatchMeta, result: Split, folder: Path) -> Judged:
    return Judged(
        batch_id=meta.batch_id,
        feed=meta.feed,
        path=meta.path,
        accepted_path=folder / "accepted.parquet",
        rows_in=result.rows_in,
        accepted=result.accepted,
        quarantined=result.quarantined,
        has_manifest=meta.has_manifest,
        manifest_rows=meta.manifest_rows,
        manifest_control_sum=(
            None if meta.manifest_control_sum is None else str(meta.manifest_control_sum)
        ),
        control_sum=None if result.control_sum is None else str(result.control_sum),
        control_unparsed=result.control_unparsed,
        is_empty_declared=result.rows_in == 0 and bool(meta.store_days),
    )
