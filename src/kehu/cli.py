"""The `kehu` command: what an operator runs, reads and mends."""

from __future__ import annotations

import csv
import getpass
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import duckdb
import typer
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from kehu import __version__, corrections, night, publish, transform, warehouse
from kehu.console import err, for_operators, out, say
from kehu.errors import KehuError
from kehu.extract.delivery import card_of
from kehu.extract.typing import literal
from kehu.feed_cli import feed_app
from kehu.feeds import Contract, read_contracts
from kehu.init import init
from kehu.journal import read_journal
from kehu.landing_cli import print_waiting
from kehu.quality_cli import quality_command
from kehu.questions import read_questions, read_waiting
from kehu.report import furnish
from kehu.report_cli import report_command
from kehu.serve_cli import To, print_listing, print_served, print_targets, serve_options
from kehu.settings import Settings
from kehu.source_cli import source_app
from kehu.story import story

app = typer.Typer(
    help="Kehu (客户): a customer warehouse for retailers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
quarantine_app = typer.Typer(
    help="Rows that were refused, with the reason.", invoke_without_command=True
)
app.add_typer(quarantine_app, name="quarantine")
app.command("quality")(quality_command)
app.command("report")(report_command)
app.add_typer(source_app, name="source")
app.add_typer(feed_app, name="feed")

AsOf = Annotated[
    datetime,
    typer.Option("--as-of", formats=["%Y-%m-%d"], help="The day that the marts speak for."),
]


OrLastAsOf = Annotated[
    datetime | None,
    typer.Option(
        "--as-of",
        formats=["%Y-%m-%d"],
        help="The day that the marts speak for; else the published one.",
    ),
]


def _or_published(as_of: datetime | None) -> date:
    """The given date, else that of the current publication."""
    if as_of is not None:
        return as_of.date()
    manifest = publish.current_manifest(Settings())
    if manifest is None:
        raise KehuError("nothing is published yet, so name the date: --as-of DATE")
    return date.fromisoformat(manifest["as_of_date"])


def _version(value: bool) -> None:
    if value:
        say(f"kehu {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False,
) -> None:
    """Files in, marts out, every night."""


@app.command("night")
@for_operators
def night_command(
    as_of: AsOf,
    full_refresh: Annotated[
        bool, typer.Option(help="Build every table anew, not only what changed.")
    ] = False,
) -> None:
    """Take in what is new, build, test and publish, without Airflow."""
    report = night.night(as_of.date(), progress=_progress, full_refresh=full_refresh)
    print_night(report)


def _progress(name: str, seconds: float, result: dict[str, Any]) -> None:
    told = result.get("publication", "")
    if name == "collect":
        told = f"{len(result['feeds'])} feeds from databases, {len(result['failed'])} failed"
    elif name == "extract":
        told = f"{result['batches']} files read"
    elif name == "gate":
        refused, warnings = len(result["refused"]), len(result["warnings"])
        told = f"{result['judged']} judged, {refused} refused, {warnings} warnings"
    elif name == "load":
        told = f"{len(result['batches'])} batches"
    elif name in ("core", "marts"):
        told = f"{result['tests']} tests"
    elif name == "score":
        told = f"{len(result['dates'])} dates, {len(result['published'])} models published"
    elif name == "audit":
        told = f"{result['checks']} checks"
    elif name == "serve":
        told = f"{len(result['served'])} targets, {len(result['failed'])} failed"
    say(f"  {name:<8} {seconds:>7.1f} s  {told}")


def print_night(report: dict[str, Any]) -> None:
    """The closing tables of a night: what came in, what was refused, what is published."""
    print_loaded(report["load"]["batches"])
    for message in report["extract"]["left"]:
        say(message, "left")
    for message in report["gate"]["refused"]:
        say(message, "refused", "bold red")
    warnings = report["gate"]["warnings"]
    for message in warnings[:10]:
        say(message, "warning")
    if len(warnings) > 10:
        say(f"... and {len(warnings) - 10} more warnings: kehu quality --as-of {report['as_of']}")
    print_published(report["publish"])
    if "serve" in report:
        print_served(report["serve"])


def print_loaded(batches: list[dict[str, Any]]) -> None:
    """Files and rows by feed; rows in = accepted + quarantined + superseded + skipped + refused."""
    table = Table(title="What came in", title_justify="left")
    table.add_column("feed")
    names = ["files", "rows in", "accepted", "quarantined", "superseded", "skipped", "refused"]
    for name in names:
        table.add_column(name, justify="right")
    fields = [
        "rows_in",
        "rows_loaded",
        "rows_quarantined",
        "rows_superseded",
        "rows_skipped",
        "rows_refused",
    ]
    feeds: dict[str, list[int]] = {}
    for batch in batches:
        line = feeds.setdefault(batch["feed"], [0] * 7)
        line[0] += 1
        quarantined = 0 if batch["status"] == "REFUSED" else batch["rows_quarantined"]
        for i, field in enumerate(fields, start=1):
            line[i] += quarantined if field == "rows_quarantined" else batch[field]
    for feed, line in feeds.items():
        table.add_row(feed, *(f"{n:,}" for n in line))
    if not feeds:
        table.add_row("nothing new", *[""] * 7)
    elif len(feeds) > 1:
        table.add_section()
        table.add_row("total", *(f"{sum(line[i] for line in feeds.values()):,}" for i in range(7)))
    out.print(table)
    for batch in batches:
        if batch["message"] and batch["status"] not in ("REFUSED", "SKIPPED"):
            say(batch["message"], batch["status"].lower())


def print_published(manifest: dict[str, Any]) -> None:
    """Headline figures beside those of the previous publication."""
    settings = Settings()
    before = manifest.get("previous_headlines")
    table = Table(title=f"Published for {manifest['as_of_date']}", title_justify="left")
    table.add_column("")
    table.add_column("now", justify="right")
    if before:
        table.add_column(f"before ({manifest['previous_as_of_date']})", justify="right")
    for name, value in manifest["headlines"].items():
        row = [name, _figure(value)]
        if before:
            row.append(_figure(before.get(name)))
        table.add_row(*row)
    out.print(table)
    if manifest["simulated_feeds"]:
        say(", ".join(manifest["simulated_feeds"]), "simulated", "magenta")
    if manifest["restated"]:
        say(f"restated month-ends: {', '.join(manifest['restated'])}")
    if manifest.get("pinned"):
        say(f"readers still see {manifest['pinned']}; `kehu publish` shows the newest", "pinned")
    for name in (publish.ANOTHER_NAME, furnish.PAGE):
        if (settings.published / name).exists():
            say(str(settings.published / name))


def _figure(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    try:
        return f"{float(value):,.2f}"
    except ValueError:
        return str(value)


@app.command("status")
@for_operators
def status_command(
    batches: Annotated[bool, typer.Option(help="List the last batches of the ledger.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many batches to list.")] = 30,
) -> None:
    """What is published, what waits, what failed last."""
    settings = Settings()
    manifest = publish.current_manifest(settings)
    if manifest is None:
        say("nothing is published yet; `kehu night --as-of DATE` publishes")
    else:
        print_published(manifest | {"pinned": None})
        say(
            f"publication {manifest['publication']}, Kehu {manifest['code_version']}, "
            f"made of {len(manifest['batches'])} batches"
        )
    kept = publish.publications(settings)
    pinned = publish.pinned_publication(settings)
    for identity in reversed(kept):
        marks = " ".join(
            m
            for m, holds in (
                ("current", manifest is not None and identity == manifest["publication"]),
                ("pinned", identity == pinned),
            )
            if holds
        )
        say(f"  {identity}  {marks}")
    print_targets(settings, manifest)
    ledger = settings.reference / "ledger.parquet"
    if ledger.exists():
        counts = duckdb.execute(
            f"select status, count(*), sum(rows_in) from read_parquet({literal(str(ledger))}) "
            "group by status order by status"
        ).fetchall()
        say("ledger: " + ", ".join(f"{s} {n:,} files ({r or 0:,} rows)" for s, n, r in counts))
        if batches:
            _print_rows(
                f"""select batch_id, path, status, rows_in, rows_loaded, rows_quarantined,
                    left(coalesce(message, ''), 60) as message
                from read_parquet({literal(str(ledger))}) order by loaded_at desc, path limit {limit}"""
            )
    print_waiting()
    failures = _last_failures(settings)
    for line in failures:
        say(f"{line['at']} {line['step']}: {line.get('error', '')}", "failed", "red")


def _last_failures(settings: Settings) -> list[dict[str, Any]]:
    lines = read_journal(settings, last=200)
    if not lines:
        return []
    last = lines[-1]["run_id"]
    return [line for line in lines if line["run_id"] == last and line["state"] == "failed"][-3:]


def _print_rows(
    query: str, connection: duckdb.DuckDBPyConnection | None = None, limit: int = 0
) -> int:
    """Print what a query finds, at most `limit` rows (0: all); returns how many it found.

    Where the columns do not fit side by side, few rows are printed each as a list of its columns, more
    rows as several tables beneath each other, with the number of the row and the first column in each.
    """
    cursor = _run(query, connection)
    names = [str(column[0]) for column in cursor.description]
    found = cursor.fetchall()
    rows = [[_as_text(v) for v in row] for row in found[: limit or None]]
    widths = [max(map(cell_len, column)) + 3 for column in zip(names, *rows, strict=True)]
    if sum(widths) + 1 <= out.width or not rows:
        _print_table(names, rows)
    elif len(rows) <= RECORDS:
        for number, row in enumerate(rows, start=1):
            table = Table(title=f"row {number}", title_justify="left", show_header=False)
            for name, value in zip(names, row, strict=True):
                table.add_row(Text(name), Text(value))
            out.print(table)
    else:
        first = len(str(len(rows))) + 4 + widths[0]
        for group in _groups(widths[1:], out.width - first - 1):
            columns = [0, *(number + 1 for number in group)]
            _print_table(
                ["#", *(names[c] for c in columns)],
                [[str(n), *(row[c] for c in columns)] for n, row in enumerate(rows, start=1)],
            )
    if len(found) > len(rows):
        say(f"... and {len(found) - len(rows):,} more rows; --limit 0 prints all, --csv all as CSV")
    return len(found)


def _as_text(value: object) -> str:
    """A cell as it is printed: 530.6000000000001 is 530.6."""
    if value is None:
        return ""
    return str(round(value, 9)) if isinstance(value, float) else str(value)


RECORDS = 3  # so many rows are better read as lists of their columns than in several tables


def _run(query: str, connection: duckdb.DuckDBPyConnection | None) -> duckdb.DuckDBPyConnection:
    cursor = (connection or duckdb).execute(query)
    if cursor is None or cursor.description is None:  # blanks or a comment
        raise KehuError("there is no query in it; write a select")
    return cursor


def _print_table(names: list[str], rows: list[list[str]]) -> None:
    table = Table()
    for name in names:
        table.add_column(Text(name), overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    out.print(table)


def _groups(widths: list[int], room: int) -> list[list[int]]:
    """Neighbouring columns, by number, as many in a group as there is room for; one at least."""
    groups: list[list[int]] = []
    left = 0
    for number, width in enumerate(widths):
        if not groups or width > left:
            groups.append([])
            left = room
        groups[-1].append(number)
        left -= width
    return groups


def _print_csv(query: str, connection: duckdb.DuckDBPyConnection) -> None:
    """All rows as CSV, for a spreadsheet or another program: nothing else is printed."""
    cursor = _run(query, connection)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(column[0] for column in cursor.description)
    while rows := cursor.fetchmany(10_000):
        writer.writerows(rows)


@app.command("replay")
@for_operators
def replay_command(
    batch: Annotated[list[str], typer.Argument(help="Batches to judge and load again.")],
    as_of: OrLastAsOf = None,
    waive: Annotated[
        list[str] | None,
        typer.Option(help="Let the batch pass this critical check; needs --reason."),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for the ledger.")] = "",
) -> None:
    """Judge archived batches again, after a contract, a manifest or a parameter was mended."""
    settings = Settings()
    if waive and not reason.strip():
        raise KehuError("--waive needs --reason: the ledger keeps who, when and why")
    for identity in batch if waive else []:
        night.waive(identity, waive or [], reason, getpass.getuser())
    run_id = night.new_run_id(settings)
    chunks = night.replay(batch, run_id)
    print_night(night.night(_or_published(as_of), progress=_progress, chunks=chunks, run_id=run_id))


@app.command("rebuild")
@for_operators
def rebuild_command(as_of: OrLastAsOf = None) -> None:
    """Make warehouse and marts again from the archive alone."""
    print_night(night.rebuild(_or_published(as_of), progress=_progress))


@app.command("rollback")
@for_operators
def rollback_command(
    publication: Annotated[
        str | None, typer.Argument(help="Which; the one before, if not named.")
    ] = None,
) -> None:
    """Show readers an earlier publication until `kehu publish` lifts it; targets show it too."""
    settings = Settings()
    with warehouse.writer_lock(settings, "rollback"):
        identity = publish.rollback(settings, publication)
    say(f"readers see {identity} until `kehu publish`")
    night.require_served(night.serve(night.new_run_id(settings), progress=print_listing))


@app.command("publish")
@for_operators
def publish_command(
    to: To = None,
    with_facts: Annotated[
        bool | None,
        typer.Option("--with-facts/--no-facts", help="Copy the facts of the star as well."),
    ] = None,
    role: Annotated[
        str | None, typer.Option(help="Role of PostgreSQL that may read; made where it is missing.")
    ] = None,
    no_role: Annotated[bool, typer.Option("--no-role", help="Grant nothing.")] = False,
    prefix: Annotated[
        str | None, typer.Option(help="Stands before core and marts in PostgreSQL.")
    ] = None,
    force: Annotated[bool, typer.Option(help="Copy also what stands there already.")] = False,
) -> None:
    """Copy what readers see to other places; without --to, lift a rollback.

    Without --to, readers see the newest publication again, and the targets of KEHU_PUBLISH_TO too.
    """
    settings = Settings()
    run_id = night.new_run_id(settings)
    if to:
        options = serve_options(settings, with_facts, "" if no_role else role, prefix, force)
        report = night.serve(run_id, to=to, options=options, progress=print_listing)
        night.require_served(report)
        return
    if no_role or force or not (with_facts is None and role is None and prefix is None):
        raise KehuError("these options go with --to TARGET")
    with warehouse.writer_lock(settings, "publish"):
        identity = publish.lift(settings)
    say(f"readers see {identity}")
    night.require_served(night.serve(run_id, progress=print_listing))


@app.command("extract")
@for_operators
def extract_command() -> None:
    """Only read what is new in the landing folder; prints the run that `gate` and `load` go on with."""
    run_id = night.new_run_id(Settings())
    done = [night.extract(chunk) for chunk in night.plan(night.ALL, run_id)]
    say(f"{sum(d['batches'] for d in done)} files read; run {run_id}")


@app.command("gate")
@for_operators
def gate_command(run_id: str, as_of: AsOf) -> None:
    """Only judge what a run has read."""
    result = night.gate(night.ALL, as_of.date(), night.known_run(run_id))
    say(f"{result['judged']} judged, {len(result['refused'])} refused")
    for message in result["refused"]:
        say(message)


@app.command("load")
@for_operators
def load_command(run_id: str) -> None:
    """Only load what a run has judged."""
    print_loaded(night.load(night.ALL, night.known_run(run_id))["batches"])


@app.command("transform")
@for_operators
def transform_command(
    as_of: AsOf, run_id: Annotated[str | None, typer.Argument()] = None, full_refresh: bool = False
) -> None:
    """Only build the star and the marts and run their tests; nothing is published."""
    run = run_id or night.new_run_id(Settings())
    for layer in transform.LAYERS:
        if layer == "marts":
            _print_scored(night.score(as_of.date(), run, full_refresh=full_refresh))
        result = night.transform(
            layer, as_of.date(), run, full_refresh=full_refresh and layer == "core"
        )
        say(f"{layer}: {result['tests']} tests passed")
    say(f"{night.audit(as_of.date(), run)['checks']} audit checks")


@app.command("score")
@for_operators
def score_command(
    as_of: AsOf, run_id: Annotated[str | None, typer.Argument()] = None, full_refresh: bool = False
) -> None:
    """Only fit the models and score customers, on a core that is built; nothing is published."""
    run = run_id or night.new_run_id(Settings())
    _print_scored(night.score(as_of.date(), run, full_refresh=full_refresh))


def _print_scored(result: dict[str, Any]) -> None:
    models = ", ".join(result["published"]) or "none"
    say(f"score: {len(result['dates'])} dates; published for the last: {models}")


@quarantine_app.callback()
@for_operators
def quarantine_command(context: typer.Context) -> None:
    """Rows that were refused: list them, show them, hand corrected ones back, leave them out for good."""
    if context.invoked_subcommand is None:
        _list_quarantine()


@quarantine_app.command("list")
@for_operators
def quarantine_list() -> None:
    """Batches with refused rows; `kehu quarantine show BATCH` shows the rows."""
    _list_quarantine()


def _list_quarantine() -> None:
    settings = Settings()
    with warehouse.read_warehouse(settings) as connection:
        count = _print_rows(
            """select q.batch_id, any_value(b.status) as status, q.path, q.rule_id,
                count(*) filter (where q.decision is null) as open, count(q.decision) as discarded,
                min(q.line_no) as first_line
            from quarantine.row as q left join ops.batch as b using (batch_id)
            group by q.batch_id, q.path, q.rule_id order by q.path, q.rule_id""",
            connection,
        )
    if not count:
        say("no row is quarantined")
    for batch in corrections.waiting(settings):
        say(f"decided, but not loaded yet: {batch}")


@quarantine_app.command("show")
@for_operators
def quarantine_show(
    batch: str, limit: Annotated[int, typer.Option(min=1, help="How many rows.")] = 20
) -> None:
    """The refused rows of a batch: line, rule, what was promised, raw text."""
    settings = Settings()
    with warehouse.read_warehouse(settings) as connection:
        rows = connection.execute(
            """select q.path, line_no, rule_ids, promise, raw_text, d.action, d.who, d.at, d.reason
            from quarantine.row as q
            left join (from ops.decision where is_current) as d using (batch_id, line_no)
            where batch_id = ? order by line_no limit ?""",
            [batch, limit],
        ).fetchall()
        total = connection.execute(
            "select count(*) from quarantine.row where batch_id = ?", [batch]
        ).fetchall()[0][0]
        known = connection.execute(
            "select message from ops.batch where batch_id = ?", [batch]
        ).fetchall()
    if not known:
        raise KehuError(f"no batch {batch!r} in the ledger; `kehu status --batches` lists them")
    if known[0][0]:
        say(known[0][0])
    for path, line, rules, promise, text, action, who, at, reason in rows:
        say(f"{', '.join(rules)} ({promise})", f"{path}:{line}", "bold")
        say(f"    {text}")
        if action:
            still = ", and is still wrong" if action == "RELEASED" else ""
            say(f"    {action.lower()} by {who} at {at}{still}: {reason}")
    say(f"{len(rows)} of {total} rows")


@quarantine_app.command("export")
@for_operators
def quarantine_export(
    batch: str,
    to: Annotated[
        Path | None, typer.Option(help="The file to write; BATCH.csv here if not given.")
    ] = None,
) -> None:
    """The undecided rows of a batch as CSV, to be corrected in a spreadsheet and released."""
    settings = Settings()
    target = to or Path(f"{batch}.csv")
    contract = _contract_of(settings, batch)
    count = corrections.export(settings, contract, batch, target)
    say(
        f"{count} rows in {target}; correct the cells, leave _line as it is, save as CSV, then: "
        f"kehu quarantine release {batch} {target} --reason '...'"
    )
    if contract.pii_columns:
        say(
            f"it holds {', '.join(contract.pii_columns)}; only you can read it, delete it when you are "
            "done",
            "personal data:",
        )


Reason = Annotated[str, typer.Option(help="Why, for the ledger.")]
Later = Annotated[bool, typer.Option("--later", help="Leave the loading to the next night.")]


@quarantine_app.command("release")
@for_operators
def quarantine_release(
    batch: str,
    file: Annotated[Path, typer.Argument(help="The corrected export.")],
    reason: Reason = "",
    as_of: OrLastAsOf = None,
    later: Later = False,
    exact: Annotated[
        bool,
        typer.Option(help="Take also changes that look like a spreadsheet's own (00012 to 12)."),
    ] = False,
) -> None:
    """Hand corrected rows back: they are typed and judged again as every row, and loaded."""
    settings = Settings()
    day = None if later else _or_published(as_of)
    done = corrections.release(
        settings, _contract_of(settings, batch), batch, file, reason, getpass.getuser(), exact=exact
    )
    say(
        f"{done.lines} rows released ({done.cells} cells changed), {done.unchanged} left as they were"
    )
    for told in done.rewritten[:10]:
        say(f"line {told}", "left as the source wrote it")
    if len(done.rewritten) > 10:
        say(f"... and {len(done.rewritten) - 10} more cells")
    if done.rewritten:
        say("a spreadsheet writes these so on its own; if you meant them: --exact")
    _load_decided(settings, batch, day)


Lines = Annotated[
    list[int] | None, typer.Option("--line", help="A line of the file; as often as needed.")
]


@quarantine_app.command("discard")
@for_operators
def quarantine_discard(
    batch: str,
    line: Lines = None,
    rule: Annotated[str | None, typer.Option(help="All open rows that break this rule.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All open rows of the batch.")] = False,
    reason: Reason = "",
    as_of: OrLastAsOf = None,
    later: Later = False,
) -> None:
    """Leave rows out for good: they no longer count as open, nor make a receipt incomplete."""
    settings = Settings()
    day = None if later else _or_published(as_of)
    count = corrections.discard(
        settings, batch, reason, getpass.getuser(), lines=line, rule=rule, every=every
    )
    say(f"{count} rows discarded")
    _load_decided(settings, batch, day)


@quarantine_app.command("undo")
@for_operators
def quarantine_undo(
    batch: str,
    line: Lines = None,
    reason: Reason = "",
    as_of: OrLastAsOf = None,
    later: Later = False,
) -> None:
    """Take a release or a discard back: the rows are judged as the source wrote them."""
    settings = Settings()
    day = None if later else _or_published(as_of)
    count = corrections.undo(settings, batch, line or [], reason, getpass.getuser())
    say(f"{count} decisions taken back")
    _load_decided(settings, batch, day)


def _contract_of(settings: Settings, batch: str) -> Contract:
    return read_contracts(settings.contracts)[card_of(settings, batch).delivery.feed]


def _load_decided(settings: Settings, batch: str, as_of: date | None) -> None:
    """Judge and load the batch again and publish; without a date, leave it to the next night."""
    if as_of is None:
        say("kept; the next night loads it")
        return
    run_id = night.new_run_id(settings)
    try:
        chunks = night.replay([batch], run_id)
        print_night(night.night(as_of, progress=_progress, chunks=chunks, run_id=run_id))
    except KehuError:
        err.print("the decision is kept, but not published yet: the next night tries again")
        raise


@app.command("explain")
@for_operators
def explain_command(
    batch: Annotated[
        str, typer.Argument(help="A batch, or the path of a file as status lists it.")
    ],
) -> None:
    """The story of one batch: what arrived, how it was judged, who decided what, what became of it."""
    for text in story(Settings(), batch):
        say(text)


@app.command("failing-rows")
@for_operators
def failing_rows_command(
    check: str, limit: Annotated[int, typer.Option(min=1, help="How many rows.")] = 20
) -> None:
    """Run the query of a failed check against what was built but not published."""
    settings = Settings()
    query = publish.audit_query(settings, check) or transform.compiled_sql(settings, check)
    try:
        with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
            connection.execute(f"attach {literal(str(settings.marts))} as marts (read_only)")
            _print_rows(f"select * from ({query.strip().rstrip(';')}) limit {limit}", connection)
    except duckdb.IOException as error:
        raise KehuError(f"the warehouse can not be read now: {error}") from None
    except duckdb.Error as error:  # of another version, or never built
        raise KehuError(f"{check}: its query can not be run on what was built: {error}") from None


AsCsv = Annotated[bool, typer.Option("--csv", help="All rows as CSV, and nothing else.")]


@app.command("query")
@for_operators
def query_command(
    sql: Annotated[str | None, typer.Argument()] = None,
    file: Annotated[
        Path | None, typer.Option(help="Run the SQL of this file.", exists=True, dir_okay=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="How many rows to print; 0: all.")] = 0,
    as_csv: AsCsv = False,
) -> None:
    """Run SQL against the published marts, read-only."""
    if (sql is None) == (file is None):
        raise KehuError("give either SQL or --file FILE")
    try:
        query = file.read_text(encoding="utf-8-sig") if file is not None else str(sql)
    except UnicodeDecodeError:
        raise KehuError(f"{file}: is not UTF-8; save it as UTF-8") from None
    _ask_marts(query, limit, as_csv)


def _ask_marts(query: str, limit: int, as_csv: bool) -> None:
    path = Settings().published / "marts.duckdb"
    if not path.exists():
        raise KehuError("nothing is published yet; `kehu night --as-of DATE` publishes")
    with warehouse.open_marts(path) as connection:
        try:
            if as_csv:
                _print_csv(query, connection)
            else:
                _print_rows(query, connection, limit)
        except duckdb.Error as error:
            raise KehuError(str(error)) from None


@app.command("ask")
@for_operators
def ask_command(
    number: Annotated[int | None, typer.Argument(help="Which; without it they are listed.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="How many rows to print; 0: all.")] = 20,
    as_csv: AsCsv = False,
    as_sql: Annotated[
        bool, typer.Option("--sql", help="Only the query, to be changed and run elsewhere.")
    ] = False,
) -> None:
    """Answer one of the questions of a customer manager, with its query; without a number, list them."""
    settings = Settings()
    found = read_questions(settings.project)
    waiting = read_waiting(settings.project)
    if number is None:
        for question in found.values():
            say(f"{question.number:>2}  {question.title}\n    {question.title_zh}")
        if waiting:
            say(f"not answered yet: {', '.join(map(str, waiting))}; `kehu ask NUMBER` says why")
        return
    if number in waiting:
        title, reason = waiting[number]
        raise KehuError(f"question {number} ({title}) is not answered yet: {reason}")
    if number not in found:
        raise KehuError(f"no question {number}; there are {', '.join(map(str, found))}")
    question = found[number]
    if as_sql:
        say(question.sql.rstrip())
        return
    if as_csv:
        _ask_marts(question.sql, limit, as_csv)
        return
    say(f"{question.number}. {question.title}\n{question.title_zh}\nMind: {question.trap}")
    manifest = publish.current_manifest(settings)
    if manifest is not None:
        say(f"As of {manifest['as_of_date']}, publication {manifest['publication']}.")
        if manifest["simulated_feeds"]:
            say(", ".join(manifest["simulated_feeds"]), "simulated", "magenta")
    _ask_marts(question.sql, limit, as_csv)
    say(f"Definitions: {', '.join(question.definitions)} (docs/metrics.md). The query:\n")
    say(question.sql.rstrip())


@app.command("init")
@for_operators
def init_command(
    folder: Annotated[Path, typer.Argument(help="The company's own folder.")] = Path(),
) -> None:
    """Set up a company's own folder: contracts with comments, landing folders, settings."""
    made = init(folder)
    for name in made.written:
        say(f"wrote  {name}")
    if made.kept:
        say(f"{len(made.kept)} things were there already and are as they were")
    say(
        f"now: cd {folder}; kehu feed check FILE; drop files into landing/<feed>/; "
        "kehu night --as-of DATE"
    )


@app.command("contracts")
@for_operators
def contracts_command() -> None:
    """Check the contracts of all feeds."""
    for contract in read_contracts(Settings().contracts).values():
        required = sum(c.required for c in contract.columns.values())
        say(
            f"{contract.feed:<16} {contract.grain}; {len(contract.columns)} columns, {required} required"
        )


if __name__ == "__main__":
    app()
