"""Great Expectations over the accepted rows of a run, with every query grouped by batch.

The suites are `expectations/suites/<feed>.json`. They run through a throw-away DuckDB file of views
over the batches' Parquet, once per run, and refuse only the batches that they name.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Set
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel
from sqlalchemy import Engine

from kehu.errors import KehuError
from kehu.extract.typing import literal, quoted
from kehu.feeds import Contract
from kehu.gate.profile import MEASURES, make_expectations
from kehu.settings import Settings


class CheckResult(BaseModel):
    """The outcome of one check, for one batch where it failed on one."""

    check_id: str
    feed: str
    batch_id: str | None = None
    severity: str
    success: bool
    description: str
    observed: str = ""
    query: str = ""


class Judged(BaseModel):
    """A batch as the expectations see it."""

    batch_id: str
    feed: str
    path: str
    accepted_path: Path
    rows_in: int
    accepted: int
    quarantined: int
    has_manifest: bool
    manifest_rows: int | None
    manifest_control_sum: str | None
    control_sum: str | None
    control_unparsed: int
    is_empty_declared: bool


def validate_feeds(
    settings: Settings,
    contracts: dict[str, Contract],
    feeds: list[str],
    batches: list[Judged],
    as_of: date,
    run_id: str,
) -> list[CheckResult]:
    """Run the suites of `feeds`; a feed without a batch in this run is judged for freshness only."""
    folder = settings.home / "gx" / run_id
    folder.mkdir(parents=True, exist_ok=True)
    database = folder / f"{'-'.join(sorted({contracts[f].group for f in feeds}))}.duckdb"
    database.unlink(missing_ok=True)
    make_views(settings, contracts, batches, as_of, database)
    delivered = {batch.feed for batch in batches}
    suites: dict[str, list[dict[str, Any]]] = {}
    own = settings.suite_files()
    for feed in feeds:
        expectations = read_suite(own.get(feed, settings.suites / f"{feed}.json"))
        if feed not in delivered:
            expectations = [e for e in expectations if e["meta"].get("judges") == "feed"]
        if expectations:
            suites[feed] = expectations
    # nothing to pass or refuse: the questions of freshness are asked without seconds of import
    results = run_suites(database, suites) if batches else _ask(database, suites)
    everything: list[CheckResult] = []
    for result in results:
        if result.batch_id is None and not result.success and _judges_batches(suites, result):
            # a check that could not be run has judged no batch: all of its feed count as failed
            everything += [
                result.model_copy(update={"batch_id": b.batch_id})
                for b in batches
                if b.feed == result.feed
            ]
        else:
            everything.append(result)
    database.unlink(missing_ok=True)
    return everything


def _judges_batches(suites: dict[str, list[dict[str, Any]]], result: CheckResult) -> bool:
    found = next(e for e in suites[result.feed] if e["meta"]["id"] == result.check_id)
    return bool(found["meta"].get("judges", "batch") == "batch")


def read_suite(path: Path) -> list[dict[str, Any]]:
    """The expectations of one suite file; every one has an id, a severity and a description."""
    try:
        suite = json.loads(path.read_text(encoding="utf-8"))
        expectations: list[dict[str, Any]] = suite["expectations"]
        for expectation in expectations:
            expectation["meta"]["id"], expectation["severity"], expectation["description"]
    except FileNotFoundError:
        raise KehuError(f"{path}: the suite is missing; each feed has one") from None
    except (ValueError, KeyError) as error:
        raise KehuError(f"{path}: not a suite of expectations: {error!r}") from None
    return expectations


def make_views(
    settings: Settings,
    contracts: dict[str, Contract],
    batches: list[Judged],
    as_of: date,
    database: Path,
) -> None:
    connection = duckdb.connect(str(database), config={"autoinstall_known_extensions": False})
    try:
        connection.execute(
            f"create table run as select date {literal(as_of.isoformat())} as as_of_date"
        )
        rows = [b.model_dump(mode="json", exclude={"accepted_path"}) for b in batches]
        schema = pa.schema(
            [
                ("batch_id", pa.string()),
                ("feed", pa.string()),
                ("path", pa.string()),
                ("rows_in", pa.int64()),
                ("accepted", pa.int64()),
                ("quarantined", pa.int64()),
                ("has_manifest", pa.bool_()),
                ("manifest_rows", pa.int64()),
                ("manifest_control_sum", pa.string()),
                ("control_sum", pa.string()),
                ("control_unparsed", pa.int64()),
                ("is_empty_declared", pa.bool_()),
            ]
        )
        connection.register("batch_rows", pa.Table.from_pylist(rows, schema=schema))
        connection.execute(
            """create table batch as select batch_id as _batch_id, * exclude (batch_id)
            replace (manifest_control_sum::decimal(38,8) as manifest_control_sum,
                     control_sum::decimal(38,2) as control_sum)
            from batch_rows"""
        )
        promised = {
            (feed, name, column.sql_type.replace(" ", ""))
            for feed, contract in contracts.items()
            for name, column in contract.columns.items()
        }
        _table(connection, "contract_column", ["feed", "column_name", "data_type"], promised)
        found = {
            (batch.batch_id, batch.feed, field.name, _sql_type(field.type))
            for batch in batches
            for field in pq.read_schema(batch.accepted_path)
            if not field.name.startswith("_")
        }
        _table(connection, "batch_column", ["_batch_id", "feed", "column_name", "data_type"], found)
        # a batch without the promised columns is refused by columns_and_types; it must not make
        # the checks of the others fail
        unfit = {
            row[0]
            for row in connection.execute(
                """select distinct b._batch_id from batch as b join contract_column as c on c.feed = b.feed
                anti join batch_column as t on t._batch_id = b._batch_id
                    and t.column_name = c.column_name and t.data_type = c.data_type"""
            ).fetchall()
        }
        for feed, contract in contracts.items():
            paths = [
                str(b.accepted_path) for b in batches if b.feed == feed and b.batch_id not in unfit
            ]
            names = ", ".join(["_batch_id", "_line", *(quoted(c) for c in contract.columns)])
            typed = ", ".join(
                f"null::{c.sql_type} as {quoted(n)}" for n, c in contract.columns.items()
            )
            source = (
                f"select {names} from read_parquet([{', '.join(literal(p) for p in paths)}], "
                "union_by_name = true)"
                if paths
                else f"select null::varchar as _batch_id, null::bigint as _line, {typed} where false"
            )
            # a view, but over many files each query would open them all again
            kind = "table" if len(paths) > MANY_FILES else "view"
            connection.execute(f"create {kind} {feed} as {source}")
        _make_parameters(connection, settings, as_of)
        for name, columns in REFERENCES.items():
            path = settings.reference / f"{name}.parquet"
            found_columns = set(pq.read_schema(path).names) if path.exists() else set()
            listed = ", ".join(  # what an earlier version wrote may lack a column
                f"{c}::{t} as {c}" if c in found_columns else f"null::{t} as {c}"
                for c, t in columns.items()
            )
            source = f"from read_parquet({literal(str(path))})" if path.exists() else "where false"
            connection.execute(f"create view reference_{name} as select {listed} {source}")
        for name, feed, column in (
            ("card", "member_card", "card_no"),
            ("product", "product", "sku_code"),
            ("store", "store", "store_code"),
        ):
            connection.execute(
                f"create view known_{name} as select code from reference_known where kind = '{name}' "
                f"union select {column} from {feed}"
            )
        make_expectations(connection)
    finally:
        connection.close()


REFERENCES: dict[str, dict[str, str]] = {
    "volume": {
        "business_date": "date",
        "store_code": "varchar",
        "count_rows": "bigint",
        **MEASURES,
    },
    "known": {"kind": "varchar", "code": "varchar"},
    "newest": {"feed": "varchar", "newest_on": "date"},
}


def _make_parameters(
    connection: duckdb.DuckDBPyConnection, settings: Settings, as_of: date
) -> None:
    """What the suites compare with: `param('name')` as a number, and the holidays of the company."""
    folders = [settings.project / "seeds"]
    if settings.company:
        folders.append(settings.company / "seeds")
    files = [folder / "param.csv" for folder in folders if (folder / "param.csv").exists()]
    if not files:
        raise KehuError(f"{folders[0] / 'param.csv'} is missing; the checks have thresholds there")
    scope, day = literal(settings.param_scope), f"date {literal(as_of.isoformat())}"
    # of one name and scope, the company's own row takes the place of the shipped one
    rows = " union all by name ".join(
        f"select *, {i} as place from read_csv({literal(str(path))}, all_varchar = true)"
        for i, path in enumerate(files)
    )
    connection.execute(
        f"""create table parameter as
        select name, value from ({rows})
        where valid_from::date <= {day} and {day} < valid_to::date and scope in ('default', {scope})
        qualify row_number() over (
            partition by name order by scope = {scope} desc, place desc, valid_from desc
        ) = 1"""
    )
    connection.execute(
        """create macro param(wanted) as (
            select coalesce(max(try_cast(value as double)),
                error('seeds/param.csv has no number for ' || wanted || ' on this night'))
            from parameter where name = wanted
        )"""
    )
    calendars = [f / "calendar.csv" for f in folders if (f / "calendar.csv").exists()]
    connection.execute(
        f"""create table holiday as
        select date_on::date as date_on, any_value(holiday_name) as holiday_name
        from read_csv({literal(str(calendars[-1]))}, all_varchar = true)
        where calendar = (select value from parameter where name = 'calendar') group by date_on"""
        if calendars
        else "create table holiday(date_on date, holiday_name varchar)"
    )


MANY_FILES = 20

_SQL_TYPES = {
    "string": "VARCHAR",
    "int32": "INTEGER",
    "date32[day]": "DATE",
    "timestamp[us]": "TIMESTAMP",
}


def _sql_type(kind: pa.DataType) -> str:
    """The DuckDB name of a Parquet column's type, for those that a contract can have."""
    name = str(kind).replace("large_string", "string").replace(" ", "")
    decimal = name.removeprefix("decimal128")
    return f"DECIMAL{decimal}" if decimal != name else _SQL_TYPES.get(name, name.upper())


def _table(
    connection: duckdb.DuckDBPyConnection, name: str, columns: list[str], rows: Set[tuple[str, ...]]
) -> None:
    """A table of texts."""
    ordered = sorted(rows)
    data = {c: pa.array([row[i] for row in ordered], pa.string()) for i, c in enumerate(columns)}
    connection.register("rows_to_keep", pa.table(data))
    connection.execute(f"create table {name} as select * from rows_to_keep")
    connection.unregister("rows_to_keep")


def run_suites(database: Path, suites: dict[str, list[dict[str, Any]]]) -> list[CheckResult]:
    """Validate each suite against the table or view of its name; one result per check and batch."""
    if not suites:
        return []
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    import great_expectations as gx  # here: the import costs seconds, and only the gate needs it
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = context.data_sources.add_sql(  # type: ignore[call-arg]  # its stub leaves kwargs out
        "batch",
        connection_string=f"duckdb:///{database}",
        kwargs={
            "connect_args": {"read_only": True},
            "isolation_level": "AUTOCOMMIT",
            "skip_autocommit_rollback": True,
            "pool_reset_on_return": None,
        },
    )
    results: list[CheckResult] = []
    for name, expectations in suites.items():
        schema, _, table = name.rpartition(".")
        asset = source.add_table_asset(name, table_name=table, schema_name=schema or None)
        definition = gx.ValidationDefinition(
            name=name,
            data=asset.add_batch_definition_whole_table("all"),
            suite=context.suites.add(gx.ExpectationSuite(name=name, expectations=expectations)),
        )
        outcome = context.validation_definitions.add(definition).run(
            result_format={"result_format": "COMPLETE"}
        )
        if len(outcome.results) != len(expectations):
            raise KehuError(
                f"suite {name}: {len(expectations)} expectations, {len(outcome.results)} results; "
                "two of them are the same to Great Expectations: make their queries differ"
            )
        for result in outcome.results:
            results += _read_result(name, result.to_json_dict(), source.get_engine())
    return results


def _read_result(name: str, outcome: dict[str, Any], engine: Engine) -> list[CheckResult]:
    config = outcome["expectation_config"]
    base = CheckResult(
        check_id=config["meta"]["id"],
        feed=name,
        severity=config["severity"],
        success=bool(outcome["success"]),
        description=config["description"],
        query=config["kwargs"].get("unexpected_rows_query", ""),
    )
    details = (outcome.get("result") or {}).get("details")
    if details is None:
        # neither rows nor a count: the check itself is broken, which counts as failed
        raised = json.dumps(outcome.get("exception_info"), default=str)
        return [
            base.model_copy(
                update={"success": False, "observed": f"check errored: {raised[:2000]}"}
            )
        ]
    if base.success:
        return [base]
    rows: list[dict[str, Any]] = details["unexpected_rows"]
    if outcome["result"]["observed_value"] > len(rows):
        # Great Expectations hands over the first 200 rows only; every failing batch must be named
        # through its own engine: DuckDB refuses a second connection that is configured otherwise
        with engine.connect() as connection:
            query = base.query.replace("{batch}", name)
            rows = [dict(row) for row in connection.exec_driver_sql(query).mappings()]
    return _failures(base, rows)


def _ask(database: Path, suites: dict[str, list[dict[str, Any]]]) -> list[CheckResult]:
    """The queries of the suites put to DuckDB itself, with the same meaning: a row is a failure."""
    results: list[CheckResult] = []
    with duckdb.connect(str(database), read_only=True) as connection:
        for name, expectations in suites.items():
            for expectation in expectations:
                query = expectation["kwargs"]["unexpected_rows_query"]
                base = CheckResult(
                    check_id=expectation["meta"]["id"],
                    feed=name,
                    severity=expectation["severity"],
                    success=False,
                    description=expectation["description"],
                    query=query,
                )
                try:
                    cursor = connection.execute(query.replace("{batch}", name))
                    rows = cursor.to_arrow_table().to_pylist()
                except duckdb.Error as error:
                    base.observed = f"check errored: {error}"
                    results.append(base)
                    continue
                passed = base.model_copy(update={"success": True})
                results += _failures(base, rows) if rows else [passed]
    return results


def _failures(base: CheckResult, rows: list[dict[str, Any]]) -> list[CheckResult]:
    return [
        base.model_copy(
            update={
                "batch_id": row.pop("_batch_id", None),
                "observed": ", ".join(f"{k} = {v}" for k, v in row.items()),
            }
        )
        for row in rows
    ]
