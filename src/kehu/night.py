"""A night, step by step. Airflow's tasks, `kehu night` and the tests all call these functions.

    collect → plan → extract (in parallel) → gate → load        for each group of feeds
    transform core → score → transform marts → audit → publish → serve

Each step can be run again after a crash at any instruction: what was done is found and kept.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from kehu import alert, corrections, quality_report, warehouse
from kehu import load as loading
from kehu import publish as publishing
from kehu import transform as transforming
from kehu.clock import now
from kehu.collect import collect_feed
from kehu.errors import CheckFailed, KehuError, Locked, SourceFailed, TargetFailed
from kehu.extract import delivery as deliveries
from kehu.extract.batch import alone, extract_all, folder_of, read_meta
from kehu.extract.delivery import Delivery, Left
from kehu.extract.landing import StillWritten
from kehu.extract.typing import literal
from kehu.feeds import GROUPS, Contract, read_contracts
from kehu.files import write_atomically
from kehu.gate.expect import CheckResult
from kehu.gate.judge import judge, waivable
from kehu.gate.rulebook import write_rulebook
from kehu.journal import note, step
from kehu.report import furnish as furnishing
from kehu.serve import run as serving
from kehu.serve.target import Listing, Options, configured
from kehu.settings import Settings

ALL = "all"
CHUNKS = 16
CLOCK_TOLERANCE = timedelta(hours=1, minutes=5)  # the end of summer time, and what NTP mends


def new_run_id(settings: Settings) -> str:
    """A name for one run, sortable by time."""
    return f"{now(settings):%Y%m%dT%H%M%S%f}"[:18] + f"-{os.getpid()}"


def _feeds(contracts: dict[str, Contract], group: str) -> list[str]:
    if group != ALL and group not in GROUPS:
        raise KehuError(f"no group {group!r}; there are {', '.join(GROUPS)}")
    order = {g: i for i, g in enumerate(GROUPS)}
    chosen = [c for c in contracts.values() if group in (ALL, c.group)]
    return [c.feed for c in sorted(chosen, key=lambda c: (order[c.group], c.feed))]


def _folder_name(settings: Settings, run_id: str) -> Path:
    return settings.runs / run_id.replace("/", "_").replace(":", "")


def _folder(settings: Settings, run_id: str) -> Path:
    folder = _folder_name(settings, run_id)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def known_run(run_id: str) -> str:
    """The run, where `plan` has made it; KehuError where there is none of that name."""
    settings = Settings()
    if not run_id or not _folder_name(settings, run_id).is_dir():
        raise KehuError(f"no run {run_id!r}; `kehu extract` makes one and prints its name")
    return run_id


def _reference(settings: Settings, name: str) -> str | None:
    path = settings.reference / f"{name}.parquet"
    return f"read_parquet({literal(str(path))})" if path.exists() else None


def collect(group: str, run_id: str) -> dict[str, Any]:
    """Bring in what the feeds' databases hold of new rows; each feed once in a run.

    A source that fails stops no other: see `failed`, and `require_collected`.
    """
    settings = Settings()
    contracts = read_contracts(settings.contracts)
    wanted = [f for f in _feeds(contracts, group) if contracts[f].source is not None]
    report: dict[str, Any] = {"feeds": {}, "failed": {}}
    if not wanted:
        return report
    path = _collect_report(settings, group, run_id)
    if path.exists():
        report["feeds"] = json.loads(path.read_text())["feeds"]
    for feed in wanted:
        if feed in report["feeds"]:
            continue
        try:
            with step(settings, run_id, f"collect:{feed}") as facts:
                result = collect_feed(settings, contracts[feed])
                facts |= result.model_dump(exclude={"feed", "seconds"})
            report["feeds"][feed] = result.model_dump()
        except KehuError as error:
            report["failed"][feed] = str(error)
    write_atomically(path, json.dumps(report, ensure_ascii=False, indent=1))
    return report


def _collect_report(settings: Settings, group: str, run_id: str) -> Path:
    return _folder(settings, run_id) / f"{group}-collect.json"


def require_collected(group: str, run_id: str, *, loaded: bool = False) -> None:
    """SourceFailed where a source of the run failed; CheckFailed once all else of it is `loaded`.

    A night without them is not published: yesterday's marts, whole, are better than today's with a
    hole in them. The setting `publish_without_sources` says otherwise.
    """
    settings = Settings()
    path = _collect_report(settings, group, run_id)
    failed = json.loads(path.read_text())["failed"] if path.exists() else {}
    if not failed:
        return
    told = "\n".join(failed.values())
    if not loaded:
        raise SourceFailed(told)
    if not settings.publish_without_sources:
        raise CheckFailed(
            f"{told}\nEverything else that arrived is loaded. Nothing is published without "
            f"{', '.join(failed)}: run the night again when the source answers, or publish what there "
            "is with KEHU_PUBLISH_WITHOUT_SOURCES=1"
        )


def plan(group: str, run_id: str, max_chunks: int = CHUNKS) -> list[str]:
    """Find what is new in the landing folder; write at most `max_chunks` lists of files.

    New is what was never dealt with as it lies there now; what was refused is judged again, and so is
    a batch of which an operator has decided something since. Returns the names of the chunk files, which
    `extract` takes; [] where nothing arrived. A file that is still being written is left for the next run.
    """
    return _planned(group, run_id, max_chunks)[0]


def _planned(group: str, run_id: str, max_chunks: int) -> tuple[list[str], list[str]]:
    """The chunk files, and what is said of files that are still being written."""
    settings = Settings()
    contracts = read_contracts(settings.contracts)
    with step(settings, run_id, f"plan:{group}") as facts:
        look = deliveries.look(settings, contracts, _arrival(settings))
        feeds = _feeds(contracts, group)
        found = [d for d in look.deliveries if d.feed in feeds]
        again = _again(settings, found, corrections.waiting(settings))
        again = [d for d in again if d.feed in feeds]
        decided = {(d.path, d.stamp) for d in again}
        fresh = [d for d in _not_dealt_with(settings, found) if (d.path, d.stamp) not in decided]
        fresh, growing = deliveries.settle(settings, fresh)
        for i, delivery in enumerate(fresh):  # arrival decides only by order of file time
            delivery.arrived_at += timedelta(microseconds=i)
        left = [f"{path}: {reason}" for path, reason in growing]
        facts |= {"files": len(found), "new": len(fresh), "ignored": len(look.left), "left": left}
        facts |= {"decided": len(again)}
        chunks = _write_chunks(
            settings, group, run_id, fresh, max(1, max_chunks - bool(again)), forced=False
        )
        rest = max(1, max_chunks - len(chunks))
        chunks += _write_chunks(
            settings, group, run_id, again, rest, forced=True, first=len(chunks)
        )
    return chunks, left


def _not_dealt_with(settings: Settings, found: list[Delivery]) -> list[Delivery]:
    """Those that were never dealt with as they lie there now; what was refused counts as never."""
    source = _reference(settings, "delivery")
    if source is None:
        return found
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"select path, stamp from {source} where status <> 'REFUSED'"
        ).fetchall()
    done = set(rows)
    members: dict[str, set[tuple[str, int]]] = {}  # stamp of an archive → its files, of how many
    for path, stamp in rows:
        archive, _, place = stamp.partition(" ")
        if place:
            members.setdefault(archive, set()).add((path, int(place.partition("/")[2])))

    def is_done(delivery: Delivery) -> bool:
        inside = [
            count
            for path, count in members.get(delivery.stamp, ())
            if path.startswith(f"{delivery.path}/")
        ]
        return (delivery.path, delivery.stamp) in done or (
            bool(inside) and len(inside) >= max(inside)
        )

    return [d for d in found if not is_done(d)]


def waiting() -> tuple[list[str], list[Left]]:
    """What lies in the landing place and was not taken in: new files, and what is left with its reason."""
    settings = Settings()
    look = deliveries.look(settings, read_contracts(settings.contracts), now(settings))
    return [d.path for d in _not_dealt_with(settings, look.deliveries)], look.left


def _arrival(settings: Settings) -> datetime:
    """The time at which what is found now arrives: after all that arrived before.

    A clock that is an hour slow, as once a year in autumn, changes no order. One that has been set
    back further is wrong, or was: KehuError, unless an operator says that it is right now.
    """
    at, source = now(settings), _reference(settings, "ledger")
    if source is None:
        return at
    with duckdb.connect() as connection:
        last: datetime | None = connection.execute(
            f"select max(greatest(arrived_at, loaded_at)) from {source}"
        ).fetchall()[0][0]
    if last is None or at > last:
        return at
    if last - at > CLOCK_TOLERANCE and not settings.clock_may_go_back:
        raise KehuError(
            f"the clock says {at:%Y-%m-%d %H:%M}, but files were loaded at {last:%Y-%m-%d %H:%M} "
            "already. Set the clock right (the machine's, or KEHU_NOW, or KEHU_TIMEZONE) and run "
            "again; if it is right now and was wrong then, run with KEHU_CLOCK_MAY_GO_BACK=1"
        )
    return last + timedelta(microseconds=1)


def _write_chunks(
    settings: Settings,
    group: str,
    run_id: str,
    items: list[Delivery],
    max_chunks: int,
    *,
    forced: bool,
    first: int = 0,
) -> list[str]:
    folder = _folder(settings, run_id)
    count = min(max_chunks, len(items))
    names = []
    for i in range(count):
        path = folder / f"{group}-chunk-{first + i:02d}.json"
        part = [d.model_dump(mode="json") for d in items[i::count]]
        write_atomically(path, json.dumps({"forced": forced, "deliveries": part}))
        names.append(str(path.relative_to(settings.runs)))
    return names


def extract(chunk: str) -> dict[str, Any]:
    """Make the batches of one chunk; may run beside other chunks, needs no lock."""
    settings = Settings()
    contracts = read_contracts(settings.contracts)
    path = settings.runs / chunk
    content = json.loads(path.read_text())
    run_id = path.parent.name
    settled: dict[str, tuple[str, int]] = {}
    source = _reference(settings, "ledger")
    if source is not None and not content["forced"]:
        with duckdb.connect() as connection:
            rows = connection.execute(f"select batch_id, status, rows_in from {source}").fetchall()
        settled = {b: (s, n) for b, s, n in rows if s in loading.FINAL}
    done: list[dict[str, Any]] = []
    left: list[str] = []
    with step(settings, run_id, f"extract:{path.stem}") as facts:
        for item in content["deliveries"]:
            delivery = Delivery.model_validate(item)
            try:
                made = extract_all(settings, contracts[delivery.feed], delivery, settled)
            except FileNotFoundError:
                continue  # taken away between plan and extract; the next night sees what is there
            except StillWritten as error:
                left.append(str(error))
                continue
            done += [
                {
                    "feed": meta.feed,
                    "batch_id": meta.batch_id,
                    "path": part.path,
                    "stamp": part.stamp,
                    "skipped": meta.batch_id in settled,
                }
                for part, meta in made
            ]
        facts |= {"batches": len(done), "left": left}
        write_atomically(path.with_suffix(".done.json"), json.dumps(done))
    return {"batches": len(done), "skipped": sum(d["skipped"] for d in done), "left": left}


def _extracted(settings: Settings, group: str, run_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for path in sorted(_folder(settings, run_id).glob(f"{group}-chunk-??.done.json")):
        found += json.loads(path.read_text())
    return found


def gate(group: str, as_of: date, run_id: str) -> dict[str, Any]:
    """Judge what the run extracted: row rules for each batch, Great Expectations for all together."""
    settings = Settings()
    contracts = read_contracts(settings.contracts)
    with step(settings, run_id, f"gate:{group}") as facts:
        fresh = [d for d in _extracted(settings, group, run_id) if not d["skipped"]]
        batches = {d["batch_id"]: folder_of(settings, d["feed"], d["batch_id"]) for d in fresh}
        waivers = {b: deliveries.card_of(settings, b).waivers for b in batches}
        verdicts, general = judge(
            settings,
            contracts,
            _feeds(contracts, group),
            list(batches.values()),
            as_of,
            run_id,
            waivers,
        )
        write_atomically(
            _folder(settings, run_id) / f"{group}-gate.json",
            json.dumps(
                {
                    "as_of": as_of.isoformat(),
                    "general": [r.model_dump(mode="json") for r in general],
                }
            ),
        )
        refused = [v for v in verdicts if not v.passed]
        warned = [("", r) for r in general if not r.success]
        paths = {d["batch_id"]: f"{d['path']}: " for d in fresh}
        warned += [
            (paths[v.batch_id], r)
            for v in verdicts
            for r in v.results
            if not r.success and r.severity == "warning"
        ]
        facts |= {"judged": len(verdicts), "refused": len(refused), "warnings": len(warned)}
    return {
        "judged": len(verdicts),
        "refused": [v.message for v in refused],
        "warnings": [
            f"{where}{r.check_id}: {r.description}; found: {r.observed}" for where, r in warned
        ],
        "checks": sum(r.success for r in general),
    }


def load(group: str, run_id: str) -> dict[str, Any]:
    """Bring the judged batches of the run in, one transaction each; needs the one right to write."""
    settings = Settings()
    contracts = read_contracts(settings.contracts)
    folder = _folder(settings, run_id)
    path = folder / f"{group}-gate.json"
    if not path.exists():
        raise KehuError(f"run {run_id} was not judged yet: kehu gate {run_id} --as-of DATE")
    judged = json.loads(path.read_text())
    results: list[loading.Loaded] = []
    with (
        step(settings, run_id, f"load:{group}") as facts,
        warehouse.writer_lock(settings, f"load {group}"),
        _whole_warehouse(settings, contracts) as connection,
    ):
        found = _extracted(settings, group, run_id)
        # once, also where it came in as a file of a ZIP archive and because of a decision
        items = list({(d["batch_id"], d["path"], d["stamp"]): d for d in found}.values())
        metas = {d["batch_id"]: folder_of(settings, d["feed"], d["batch_id"]) for d in items}
        order = sorted(items, key=lambda d: (GROUPS.index(contracts[d["feed"]].group), d["path"]))
        seen: set[str] = set()
        for item in order:
            meta_folder = metas[item["batch_id"]]
            meta = read_meta(meta_folder).model_copy(
                update={"path": item["path"], "stamp": item["stamp"]}
            )
            if item["skipped"] or item["batch_id"] in seen:
                connection.execute("begin")
                loading.record_delivery(connection, settings, meta, "SKIPPED", meta.rows_in, run_id)
                connection.execute("commit")
                results.append(
                    loading.Loaded(
                        batch_id=meta.batch_id,
                        feed=meta.feed,
                        path=meta.path,
                        status="SKIPPED",
                        rows_in=meta.rows_in,
                        rows_skipped=meta.rows_in,
                        message=f"{meta.path}: the same data as {meta.batch_id}, dealt with before",
                    )
                )
                continue
            seen.add(item["batch_id"])
            results.append(
                loading.load_batch(connection, settings, contracts, meta, meta_folder, run_id)
            )
            corrections.settle(settings, meta.batch_id, meta.corrections)
        general = [CheckResult.model_validate(r) for r in judged["general"]]
        as_of = date.fromisoformat(judged["as_of"])
        loading.record_checks(connection, settings, run_id, as_of, f"gate:{group}", general)
        write_rulebook(connection, settings, contracts, as_of)
        loading.write_reference(connection, settings, contracts)
        facts["batches"] = len(results)
        causes = _causes_of_load(connection, settings, contracts, run_id)
    alert.tell(settings, as_of, run_id, causes)
    _forget_old_runs(settings)
    return {"batches": [r.model_dump() for r in results]}


def _causes_of_load(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    contracts: dict[str, Contract],
    run_id: str,
) -> list[alert.Cause]:
    """What the load has to tell; that it can not be found out is no reason to lose a night."""
    try:
        return alert.of_load(connection, settings, contracts, run_id)
    except (duckdb.Error, KehuError) as error:
        note(settings, run_id, "alert", "failed", error=str(error)[:500])
        return []


def transform(
    layer: str, as_of: date, run_id: str, *, full_refresh: bool = False
) -> dict[str, Any]:
    """Build one layer with dbt and run its tests; `core` first, then `marts`."""
    settings = Settings()
    contracts = read_contracts(settings.contracts)
    with (
        step(settings, run_id, f"dbt:{layer}") as facts,
        warehouse.writer_lock(settings, f"dbt build {layer}"),
    ):
        if layer == "core":
            with _whole_warehouse(settings, contracts) as connection:
                # what this build is made of, for the manifest
                target = _folder(settings, run_id) / "ledger.parquet"
                connection.execute(
                    f"copy (select * from ops.batch order by feed, path) to {literal(str(target))} "
                    "(format parquet)"
                )
        results = transforming.build(settings, layer, as_of, full_refresh=full_refresh)
        _keep_checks(settings, contracts, run_id, as_of, layer, results)
        facts["tests"] = len(results)
    if problem := transforming.docs_problem(settings):
        note(settings, run_id, "docs", "failed", error=problem[:500])
    return {"tests": len(results), "warnings": [r.check_id for r in results if not r.success]}


def score(as_of: date, run_id: str, *, full_refresh: bool = False) -> dict[str, Any]:
    """Fit the models of visits, values and churn, and write the scores of each date that needs it."""
    from kehu.score import run as scoring  # seconds to import, for this step alone

    settings = Settings()
    with step(settings, run_id, "score") as facts, warehouse.writer_lock(settings, "score"):
        result = scoring.score(
            settings, as_of, logic=transforming.models_digest(settings), full_refresh=full_refresh
        )
        facts |= {"dates": len(result["dates"]), "published": result["published"]}
    return result


def audit(as_of: date, run_id: str) -> dict[str, Any]:
    """Great Expectations on what would be published."""
    settings = Settings()
    contracts = read_contracts(settings.contracts)
    with step(settings, run_id, "audit") as facts, warehouse.writer_lock(settings, "audit"):
        results = publishing.audit(settings)
        _keep_checks(settings, contracts, run_id, as_of, "audit", results)
        facts["checks"] = len(results)
    return {"checks": len(results), "warnings": [r.check_id for r in results if not r.success]}


def _keep_checks(
    settings: Settings,
    contracts: dict[str, Contract],
    run_id: str,
    as_of: date,
    stage: str,
    results: list[CheckResult],
) -> None:
    with warehouse.open_warehouse(settings, contracts) as connection:
        loading.record_checks(connection, settings, run_id, as_of, stage, results)


def publish(as_of: date, run_id: str) -> dict[str, Any]:
    """Make what was built and audited the publication that readers see."""
    settings = Settings()
    contracts = read_contracts(settings.contracts)
    with step(settings, run_id, "publish") as facts, warehouse.writer_lock(settings, "publish"):
        ledger_path = literal(str(_folder(settings, run_id) / "ledger.parquet"))
        with warehouse.open_warehouse(settings, contracts) as connection:
            ledger = connection.execute(
                f"select * from read_parquet({ledger_path})"
            ).to_arrow_table()
            checks = connection.execute(
                """with last as (
                    select r.* from ops.check_result as r
                    left join ops.batch as b on b.batch_id = r.batch_id
                    where r.as_of_date = ? and (r.batch_id is null or b.run_id = r.run_id)
                    qualify row_number() over (
                        partition by r.stage, r.check_id, r.feed, r.batch_id order by r.checked_at desc
                    ) = 1
                )
                select stage, count(*) as checks, count(*) filter (where success) as passed,
                    count(*) filter (where not success and severity = 'warning') as warnings,
                    count(*) filter (where not success and severity = 'critical') as critical
                from last group by stage order by stage""",
                [as_of],
            ).to_arrow_table()
        unmade: list[alert.Cause] = []

        def furnish(folder: Path, manifest: dict[str, Any]) -> None:
            made, causes = furnishing.furnish(settings, folder, manifest)
            facts["pages"] = made
            unmade.extend(causes)

        manifest = publishing.publish(
            settings, as_of, run_id, ledger.to_pylist(), {"by_stage": checks.to_pylist()}, furnish
        )
        facts["publication"] = manifest["publication"]
    for cause in unmade:
        note(settings, run_id, "pages", "failed", error=cause.text)
    alert.tell(settings, as_of, run_id, unmade)
    try:
        missing = alert.of_marts(settings, as_of)
    except (duckdb.Error, KehuError) as error:
        note(settings, run_id, "alert", "failed", error=str(error)[:500])
    else:
        alert.tell(settings, as_of, run_id, missing)
    quality_report.try_write(settings, as_of, run_id)
    return manifest


def serve(
    run_id: str,
    *,
    to: list[str] | None = None,
    options: Options | None = None,
    progress: Callable[[Listing], None] | None = None,
) -> dict[str, Any]:
    """Copy what readers see to the targets, those of the settings if none are given.

    A target that fails stops no other, and takes nothing back that is published: see `failed` of
    what is returned, and `require_served`. What stands in a target already is left as it is.
    """
    return serving.serve(Settings(), run_id, to=to, options=options, progress=progress)


def require_served(report: dict[str, Any]) -> None:
    """TargetFailed where a target of the report of `serve` failed."""
    serving.require_served(report)


def is_published(as_of: date) -> bool:
    """Whether readers see this date already, made of all that is loaded now."""
    settings = Settings()
    manifest = publishing.current_manifest(settings)
    source = _reference(settings, "ledger")
    if manifest is None or manifest["as_of_date"] != as_of.isoformat() or source is None:
        return False
    with duckdb.connect() as connection:
        rows = connection.execute(
            "select batch_id, status, rows_loaded, loaded_at "
            f"from {source} where status <> 'REFUSED'"
        ).fetchall()
    made_of = {
        (b["batch_id"], b["status"], b["rows_loaded"], b.get("loaded_at"))
        for b in manifest["batches"]
        if b["status"] != "REFUSED"
    }
    return {(b, s, n, at.isoformat()) for b, s, n, at in rows} == made_of


def record_noop(as_of: date, run_id: str) -> dict[str, Any]:
    """Say in the journal that this night had nothing to do."""
    settings = Settings()
    note(settings, run_id, "publish", "noop", as_of=as_of.isoformat())
    return {"as_of": as_of.isoformat(), "noop": True}


def notify_failure(context: dict[str, Any]) -> None:
    """Write a failed task down where `kehu status` and the operator look, and tell the operator.

    A target that failed was told already, and the night itself is published.

    `context` is that of an Airflow callback, with `as_of` where the night is known. Never raises.
    """
    settings = Settings()
    instance = context.get("task_instance") or context.get("ti")
    run_id, error = str(context.get("run_id", "")), context.get("exception")
    where = f"{getattr(instance, 'dag_id', '?')}.{getattr(instance, 'task_id', '?')}"
    note(settings, run_id, f"airflow:{where}", "failed", error=str(error or "")[:2000])
    if isinstance(error, TargetFailed):
        return
    as_of = date.fromisoformat(context["as_of"]) if context.get("as_of") else None
    _failed(settings, as_of, run_id, where, error)


def _failed(
    settings: Settings, as_of: date | None, run_id: str, where: str, error: BaseException | None
) -> None:
    cause = alert.failure(error, where)
    alert.tell(settings, as_of, run_id, [cause])
    if as_of is not None and not isinstance(error, Locked):  # whoever holds the lock reports
        quality_report.try_write(settings, as_of, run_id, cause.text)


Progress = Callable[[str, float, dict[str, Any]], None]


def night(
    as_of: date,
    *,
    progress: Progress | None = None,
    full_refresh: bool = False,
    chunks: list[str] | None = None,
    run_id: str | None = None,
) -> dict[str, Any]:
    """The whole night without Airflow: the same steps, all feeds at once, under one lock.

    `progress(step, seconds, result)` is called after each step. `chunks` are given by `replay` and
    `rebuild`; otherwise the landing folder is planned. Raises KehuError; the previous publication then
    stays.
    """
    settings = Settings()
    run_id = run_id or new_run_id(settings)
    report: dict[str, Any] = {"run_id": run_id, "as_of": as_of, "seconds": {}}

    def timed(name: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        started = time.perf_counter()
        result = work()
        seconds = round(time.perf_counter() - started, 2)
        report["seconds"][name] = seconds
        report[name] = result
        if progress is not None:
            progress(name, seconds, result)
        return result

    def extract_all() -> dict[str, Any]:
        names, left = (chunks, []) if chunks is not None else _planned(ALL, run_id, CHUNKS)
        with ThreadPoolExecutor(settings.threads) as pool:
            done = list(pool.map(extract, names))
        counts = {k: sum(d[k] for d in done) for k in ("batches", "skipped")}
        return counts | {"left": left + [path for d in done for path in d["left"]]}

    try:
        with warehouse.writer_lock(settings, f"night of {as_of}"):
            if chunks is None and any(
                c.source for c in read_contracts(settings.contracts).values()
            ):
                timed("collect", lambda: collect(ALL, run_id))
            timed("extract", extract_all)
            timed("gate", lambda: gate(ALL, as_of, run_id))
            timed("load", lambda: load(ALL, run_id))
            require_collected(ALL, run_id, loaded=True)
            timed("core", lambda: transform("core", as_of, run_id, full_refresh=full_refresh))
            timed("score", lambda: score(as_of, run_id, full_refresh=full_refresh))
            timed("marts", lambda: transform("marts", as_of, run_id))
            timed("audit", lambda: audit(as_of, run_id))
            timed("publish", lambda: publish(as_of, run_id))
        if configured(settings):
            timed("serve", lambda: serve(run_id))
    except Exception as error:
        last = next(reversed(report["seconds"]), "the start")
        _failed(settings, as_of, run_id, f"kehu night, after {last}", error)
        raise
    return report


def replay(batches: list[str], run_id: str) -> list[str]:
    """Chunks that judge archived batches again, whatever became of them before.

    The manifest is read anew where the file still lies in the landing folder.
    """
    settings = Settings()
    contracts = read_contracts(settings.contracts)
    try:
        found = deliveries.look(settings, contracts, now(settings)).deliveries
    except KehuError:
        found = []  # the archive is enough where the landing place does not answer
    items = _again(settings, found, batches)
    return _write_chunks(settings, ALL, run_id, items, CHUNKS, forced=True)


def _again(settings: Settings, found: list[Delivery], batches: list[str]) -> list[Delivery]:
    """Archived batches as deliveries, with the manifests of the files that still lie in landing."""
    landed = {d.path: d for d in found}
    items = []
    for batch in batches:
        card = deliveries.card_of(settings, batch)
        beside = landed.get(card.delivery.path)
        if beside is not None and beside.size == card.delivery.size:
            card.delivery.manifest_text = beside.manifest_text
            card.delivery.mtime_ns = beside.mtime_ns
        items.append(card.delivery)
    return items


def waive(batch: str, checks: list[str], reason: str, who: str) -> None:
    """Let a batch pass the named critical checks from now on; who, when and why stay in the archive.

    KehuError where a check is none that judges batches of the feed.
    """
    settings = Settings()
    with alone(settings, batch):
        card = deliveries.card_of(settings, batch)
        known = waivable(settings, card.delivery.feed)
        for check in checks:
            if check not in known:
                raise KehuError(
                    f"no check {check!r} can be waived for {card.delivery.feed}; there are "
                    f"{', '.join(known)}"
                )
        at = now(settings).replace(microsecond=0)
        card.waivers += [deliveries.Waiver(check=c, who=who, at=at, reason=reason) for c in checks]
        deliveries.write_card(card)


def rebuild(as_of: date, progress: Progress | None = None) -> dict[str, Any]:
    """Make warehouse and marts again from the archive alone, then publish.

    The old files are set aside until the new ones are published, and put back if that fails.
    """
    settings = Settings()
    run_id = new_run_id(settings)
    with warehouse.writer_lock(settings, "rebuild"):
        aside = _aside(settings)
        _put_back(settings, aside)  # of a rebuild that was killed
        aside.mkdir(parents=True, exist_ok=True)
        _rebuilding.add(aside)
        for path in _replaceable(settings):
            if path.exists():
                os.replace(path, aside / path.name)
        try:
            items = [c.delivery for c in deliveries.cards(settings)]
            chunks = _write_chunks(settings, ALL, run_id, items, CHUNKS, forced=True)
            report = night(as_of, progress=progress, chunks=chunks, run_id=run_id)
        except BaseException:
            _put_back(settings, aside)
            raise
        finally:
            _rebuilding.discard(aside)
        done = settings.home / "tmp" / "before-rebuild"
        shutil.rmtree(done, ignore_errors=True)
        os.replace(aside, done)  # in one step: from here on nobody would put it back
        shutil.rmtree(done)
    return report


_rebuilding: set[Path] = set()


def _aside(settings: Settings) -> Path:
    return settings.home / "before-rebuild"


@contextmanager
def _whole_warehouse(
    settings: Settings, contracts: dict[str, Contract]
) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse; where a rebuild was killed on the way, first the one that it had set aside."""
    aside = _aside(settings)
    if aside not in _rebuilding:
        _put_back(settings, aside)
    with warehouse.open_warehouse(settings, contracts) as connection:
        _refuse_loss(settings, connection)
        yield connection


def _refuse_loss(settings: Settings, connection: duckdb.DuckDBPyConnection) -> None:
    """KehuError where the warehouse no longer knows a file that it once had loaded.

    It was taken away, put back from an older copy, or lost what stood in its .wal. Its files would
    never come again, because `plan` knows them as dealt with.
    """
    source = _reference(settings, "ledger")
    if source is None:
        return
    lost = connection.execute(
        f"select path from {source} anti join ops.batch using (batch_id) order by path"
    ).fetchall()
    if lost:
        raise KehuError(
            f"{settings.warehouse}: {len(lost)} files that were loaded are not in it any more, "
            f"{lost[0][0]} among them; was it taken away, or put back from an older copy? "
            "`kehu rebuild` makes it again from the archive"
        )


def _replaceable(settings: Settings) -> list[Path]:
    files = [settings.warehouse, settings.marts]
    return [
        *files,
        *(f.with_name(f.name + ".wal") for f in files),
        settings.reference,
        settings.home / "dbt",
    ]


def _put_back(settings: Settings, aside: Path) -> None:
    if not aside.exists():
        return
    for path in _replaceable(settings):
        if (aside / path.name).exists():
            if path.is_dir():
                shutil.rmtree(path)
            os.replace(aside / path.name, path)
        elif path.name.endswith(".wal"):
            path.unlink(missing_ok=True)
    shutil.rmtree(aside)


def _forget_old_runs(settings: Settings) -> None:
    """Clear working files whose retention days are over; the archive and the ledger stay."""
    edge = datetime.now().timestamp()
    for folder, days in (
        (settings.runs, settings.retention_days_runs),
        (settings.home / "gx", settings.retention_days_runs),
        *(
            (settings.batches / g, settings.retention_days_batches)
            for g in _names(settings.batches)
        ),
    ):
        for path in folder.glob("*"):
            if path.stat().st_mtime < edge - days * 86400:
                shutil.rmtree(path, ignore_errors=True)
    for path in settings.archive.glob("incoming/*"):  # of processes that were killed
        if path.stat().st_mtime < edge - 86400:
            path.unlink(missing_ok=True)


def _names(folder: Path) -> list[str]:
    return [p.name for p in folder.glob("*") if p.is_dir()]
