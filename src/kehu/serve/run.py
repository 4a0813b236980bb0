"""One or all targets: a target that fails stops no other, and nothing of what is published here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import date
from typing import Any

from kehu import alert
from kehu.clock import now
from kehu.errors import KehuError, Locked, TargetFailed
from kehu.journal import step
from kehu.machine import faults_told
from kehu.serve import publication as published
from kehu.serve import target as targets
from kehu.serve.target import Listing, Options, Target
from kehu.settings import Settings

Progress = Callable[[Listing], None]


def serve(
    settings: Settings,
    run_id: str,
    *,
    to: Iterable[str] | None = None,
    options: Options | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Copy the current publication to targets, those of the settings if none are given.

    Returns `served` (listings by target) and `failed` (messages by target); see `require_served`. What
    failed is noted, told to the operator, and tried again by the next call.
    """
    report: dict[str, Any] = {"served": {}, "failed": {}, "locked": []}
    wanted = list(to) if to is not None else targets.configured(settings)
    if not wanted:
        return report
    options = options or Options.of(settings)
    publication = published.current(settings)
    causes = []
    for text in wanted:
        try:
            target = targets.read_target(text)
        except KehuError as error:
            name = targets.told_name(text)
            report["failed"][name] = str(error)
            causes.append(_cause(name, error))
            continue
        try:
            listing = _one(settings, run_id, target, options, publication)
        except KehuError as error:
            report["failed"][target.name] = str(error)
            report["locked"] += [target.name] * isinstance(error, Locked)
            causes.append(_cause(target.name, error))
            _keep_failure(settings, target, error)
            continue
        report["served"][target.name] = listing.model_dump(mode="json")
        if progress is not None:
            progress(listing)
    alert.tell(settings, date.fromisoformat(publication.as_of), run_id, causes)
    return report


def require_served(report: dict[str, Any]) -> None:
    """TargetFailed, or Locked where all that failed were being written by others."""
    failed = report["failed"]
    if not failed:
        return
    told = "\n".join(failed.values())
    if set(failed) == set(report["locked"]):
        raise Locked(told)
    raise TargetFailed(told)


def _cause(name: str, error: KehuError) -> alert.Cause:
    return alert.Cause(kind="TARGET", key=f"{name}|{error}"[:300], text=str(error)[:600])


def _one(
    settings: Settings,
    run_id: str,
    target: Target,
    options: Options,
    publication: published.Publication,
) -> Listing:
    started = time.perf_counter()
    with (
        step(settings, run_id, f"serve:{target.name}") as facts,
        faults_told(settings),
        published.opened(settings, publication, with_facts=options.with_facts) as (marts, tables),
    ):
        if target.kind == "postgresql":
            from kehu.serve import postgres as writer  # the driver, for those who need it
        else:
            from kehu.serve import parquet as writer  # type: ignore[no-redef]
        listing = writer.write(settings, target, publication, options, marts, tables)
        listing.seconds = round(time.perf_counter() - started, 2)
        facts |= targets.summary(listing)
    targets.keep(settings, target, listing, publication.folder)
    return listing


def _keep_failure(settings: Settings, target: Target, error: KehuError) -> None:
    listing = targets.kept(settings, target) or Listing(target=target.name, kind=target.kind)
    listing.error, listing.failed_at = str(error)[:2000], now(settings)
    try:
        targets.keep(settings, target, listing, None)
    except OSError:
        return  # a full disk is told by the step itself
