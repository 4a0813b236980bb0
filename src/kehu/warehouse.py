"""The private warehouse file: who may write it, what stands in it, how it grows with the code."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb

from kehu import __version__
from kehu.clock import now
from kehu.errors import KehuError, Locked
from kehu.extract.typing import literal, quoted
from kehu.feeds import Contract
from kehu.gate.profile import fill_profiles
from kehu.machine import told
from kehu.settings import Settings

SCHEMA_VERSION = 3
STORAGE_VERSION = "v1.2.0"  # BI tools that bundle an older DuckDB must be able to open the file


_held: set[Path] = set()


@contextmanager
def writer_lock(settings: Settings, what: str) -> Iterator[None]:
    """Hold the one right to write; Locked tells who holds it and since when.

    The kernel drops the lock with its process, so a killed writer leaves nothing to clean up. Inside
    a `with` of the same process it is a no-op: a night holds it once around all of its steps.
    """
    path = settings.home / "writer.lock"
    if path in _held:
        yield
        return
    settings.home.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Locked(_held_by(path, now(settings))) from None
        file.seek(0)
        file.truncate()
        owner = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "what": what,
            "since": now(settings).isoformat(timespec="seconds"),
        }
        file.write(json.dumps(owner))
        file.flush()
        _held.add(path)
        try:
            yield
        finally:
            _held.discard(path)
            file.seek(0)
            file.truncate()
            file.flush()


def _held_by(path: Path, at: datetime) -> str:
    try:
        owner = json.loads(path.read_text())
        age = at - datetime.fromisoformat(owner["since"])
        return (
            f"the warehouse is being written by process {owner['pid']} on {owner['host']} "
            f"({owner['what']}), since {owner['since']}, for {int(age.total_seconds())} s; "
            "wait until it ends, or stop that process, then run again"
        )
    except (ValueError, KeyError, OSError):
        return "the warehouse is being written by another process that has just begun; run again"


@contextmanager
def open_warehouse(
    settings: Settings, contracts: dict[str, Contract]
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A writing connection with every table in place. Hold `writer_lock` around it."""
    settings.home.mkdir(parents=True, exist_ok=True)
    connection = _connect(settings.warehouse, settings, read_only=False)
    try:
        _prepare(connection, contracts)
        yield connection
    finally:
        connection.close()


def set_as_of(settings: Settings, as_of: date) -> None:
    """Write the date of the night where the models read it. Hold `writer_lock` around it."""
    connection = _connect(settings.warehouse, settings, read_only=False)
    try:
        connection.execute("create schema if not exists ops")
        connection.execute(
            "create or replace table ops.as_of as select ?::date as as_of_date", [as_of]
        )
    finally:
        connection.close()


@contextmanager
def read_warehouse(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """A reading connection; Locked while a load or a build is under way."""
    if not settings.warehouse.exists():
        raise KehuError(
            f"{settings.warehouse} does not exist yet; `kehu night --as-of DATE` makes it"
        )
    connection = _connect(settings.warehouse, settings, read_only=True)
    try:
        yield connection
    finally:
        connection.close()


def _connect(path: Path, settings: Settings, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    spill = settings.home / "tmp"
    spill.mkdir(parents=True, exist_ok=True)
    try:
        return duckdb.connect(
            str(path),
            read_only=read_only,
            config={
                "memory_limit": settings.memory_limit,
                "threads": settings.threads,
                "temp_directory": str(spill),
                "autoinstall_known_extensions": False,
                # each batch is a transaction in the write-ahead log; the file is brought up to date
                # at the end, not after every few batches
                "checkpoint_threshold": "256MB",
            },
        )
    except duckdb.IOException as error:
        if "could not set lock" in str(error).lower():
            held = _held_by(settings.home / "writer.lock", now(settings))
            raise Locked(held) from None
        raise told(error, settings) or KehuError(f"{path}: can not be opened: {error}") from None
    except duckdb.Error as error:
        raise KehuError(
            f"{path}: is not a warehouse that this version can open: {error}. "
            "`kehu rebuild` makes it again from the archive"
        ) from None


def make_marts(settings: Settings) -> None:
    """Create the empty file that dbt fills, in the storage version that older readers understand."""
    if settings.marts.exists():
        return
    settings.home.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute(
            f"attach {literal(str(settings.marts))} as marts (storage_version '{STORAGE_VERSION}')"
        )
        connection.execute("create schema marts.core")
        connection.execute("create schema marts.marts")


@contextmanager
def open_marts(
    path: Path, *, read_only: bool = True, limits: Settings | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection in which `core.x` and `marts.x` mean the tables of a marts file.

    `limits` are those of the installation, for work that is large.

    Opened directly, the file's name makes a catalog `marts` beside the schema `marts`, and DuckDB
    refuses `marts.x` as ambiguous; so it is attached under another name.
    """
    kept: dict[str, Any] = {}
    if limits is not None:
        kept = {"memory_limit": limits.memory_limit, "threads": limits.threads}
    with duckdb.connect(config=kept) as connection:
        mode = " (read_only)" if read_only else ""
        connection.execute(f"attach {literal(str(path))} as kehu{mode}")
        connection.execute("use kehu")
        yield connection


OPS = """
create schema if not exists raw;
create schema if not exists pii;
create schema if not exists quarantine;
create schema if not exists ops;
create table if not exists ops.meta(schema_version integer, code_version varchar);
create table if not exists ops.batch(
    batch_id varchar, feed varchar, path varchar, sha256 varchar, bytes bigint,
    status varchar, arrived_at timestamp, generated_at timestamp, loaded_at timestamp, run_id varchar,
    as_of_date date, is_simulated boolean, encoding varchar, unknown_columns varchar, refused_by varchar,
    message varchar, waived varchar, rows_in bigint, rows_loaded bigint, rows_quarantined bigint,
    rows_superseded bigint, rows_skipped bigint, rows_refused bigint, control_sum decimal(38, 2),
    seconds double
);
create table if not exists ops.delivery(
    path varchar, stamp varchar, feed varchar, batch_id varchar, status varchar, rows_in bigint,
    seen_at timestamp, run_id varchar
);
create table if not exists ops.store_day(
    store_code varchar, business_date date, batch_id varchar, batch_no integer, generated_at timestamp,
    arrived_at timestamp, is_clean boolean, count_rows bigint, count_quarantined bigint, digest varchar,
    status varchar
);
create table if not exists ops.check_result(
    run_id varchar, as_of_date date, stage varchar, check_id varchar, feed varchar, batch_id varchar,
    severity varchar, success boolean, description varchar, observed varchar, checked_at timestamp
);
create table if not exists ops.repair(
    batch_id varchar, feed varchar, column_name varchar, repair varchar, count_rows bigint,
    first_line bigint
);
create table if not exists quarantine.row(
    batch_id varchar, feed varchar, path varchar, line_no bigint, rule_id varchar, rule_ids varchar[],
    column_name varchar, promise varchar, severity varchar, raw_text varchar,
    control_amount decimal(18, 2), store_code varchar, business_date date, decision varchar
);
create table if not exists ops.decision(
    batch_id varchar, line_no bigint, action varchar, rule_id varchar, who varchar, "at" timestamp,
    reason varchar, is_current boolean
);
create table if not exists ops.store_day_profile(
    store_code varchar, business_date date, count_receipts bigint, net_amount decimal(38, 2),
    count_card_lines bigint, count_return_lines bigint, count_twin_receipts bigint
);
create table if not exists ops.feed(
    feed varchar, feed_group varchar, has_pii boolean, is_by_store boolean
);
create table if not exists ops.rule(
    feed varchar, rule_id varchar, rule_kind varchar, dimension varchar, column_name varchar,
    severity varchar, description varchar, known_from date
);
"""

# what brings an older warehouse forward: version it comes from -> what to do
MIGRATIONS: dict[int, Callable[[duckdb.DuckDBPyConnection], None]] = {
    1: lambda c: _run(c, "alter table ops.batch add column if not exists waived varchar"),
    2: lambda c: _to_3(c),
}


def _to_3(connection: duckdb.DuckDBPyConnection) -> None:
    _run(connection, "alter table quarantine.row add column if not exists decision varchar")
    fill_profiles(connection)


def _run(connection: duckdb.DuckDBPyConnection, statement: str) -> None:
    connection.execute(statement)


def lineage(contract: Contract) -> dict[str, str]:
    """The columns that the load adds to a raw table, with their types."""
    common = {
        "_batch_id": "varchar",
        "_line": "bigint",
        "_repairs": "varchar",
        "_is_simulated": "boolean",
    }
    if contract.replace == "store_day":
        return common | {"_is_incomplete": "boolean"}
    return common | {"_version_at": "timestamp", "_is_dated": "boolean", "_row_hash": "varchar"}


def _prepare(connection: duckdb.DuckDBPyConnection, contracts: dict[str, Contract]) -> None:
    connection.execute("begin")
    fresh = not connection.execute(
        "select 1 from information_schema.tables where table_schema = 'ops' and table_name = 'meta'"
    ).fetchall()
    connection.execute(OPS)
    if fresh:
        connection.execute("insert into ops.meta values (?, ?)", [SCHEMA_VERSION, __version__])
    else:
        _migrate(connection)
    for contract in contracts.values():
        _refuse_exposed(connection, contract)
        wanted = {n: contract.columns[n].sql_type for n in contract.plain_columns}
        _ensure_table(connection, "raw", contract.feed, wanted | lineage(contract))
        if contract.pii_columns:
            columns = {
                n: contract.columns[n].sql_type for n in [*contract.key, *contract.pii_columns]
            }
            versions = {"_version_at": "timestamp", "_row_hash": "varchar", "_batch_id": "varchar"}
            _ensure_table(connection, "pii", contract.feed, columns | versions)
    connection.execute("commit")


def _refuse_exposed(connection: duckdb.DuckDBPyConnection, contract: Contract) -> None:
    """A column that has become personal data must not go on standing in raw."""
    found = connection.execute(
        "select column_name from information_schema.columns "
        "where table_schema = 'raw' and table_name = ?",
        [contract.feed],
    ).fetchall()
    exposed = [name for (name,) in found if name in contract.pii_columns]
    if exposed:
        raise KehuError(
            f"expectations/feeds/{contract.feed}.yml: {', '.join(exposed)} is personal data (pii) in "
            "the contract, but stands in the warehouse outside of pii; `kehu rebuild` makes the "
            "warehouse again without it"
        )


def _migrate(connection: duckdb.DuckDBPyConnection) -> None:
    found, code = connection.execute(
        "select schema_version, code_version from ops.meta"
    ).fetchall()[0]
    if found > SCHEMA_VERSION:
        raise KehuError(
            f"the warehouse was written by Kehu {code} (schema {found}); this is Kehu {__version__} "
            f"(schema {SCHEMA_VERSION}). Use the newer version, or `kehu rebuild` with this one"
        )
    for version in range(found, SCHEMA_VERSION):
        step = MIGRATIONS.get(version)
        if step is None:
            raise KehuError(
                f"the warehouse was written by Kehu {code} (schema {version}), which this version can "
                "not bring forward; `kehu rebuild` makes it again from the archive"
            )
        step(connection)
    connection.execute(
        "update ops.meta set schema_version = ?, code_version = ?", [SCHEMA_VERSION, __version__]
    )


def _ensure_table(
    connection: duckdb.DuckDBPyConnection, schema: str, table: str, columns: dict[str, str]
) -> None:
    """Create the table, or add the columns that its contract has gained."""
    listed = ", ".join(f"{quoted(n)} {t}" for n, t in columns.items())
    connection.execute(f"create table if not exists {schema}.{quoted(table)} ({listed})")
    found = {
        str(name): str(kind).replace(" ", "").upper()
        for name, kind in connection.execute(
            "select column_name, data_type from information_schema.columns "
            "where table_schema = ? and table_name = ?",
            [schema, table],
        ).fetchall()
    }
    for name, kind in columns.items():
        if name not in found:
            connection.execute(
                f"alter table {schema}.{quoted(table)} add column {quoted(name)} {kind}"
            )
        elif found[name] != kind.replace(" ", "").upper():
            raise KehuError(
                f"expectations/feeds/{table}.yml: column {name} is {kind} in the contract, but "
                f"{found[name]} in the warehouse; `kehu rebuild` makes the warehouse again with the new type"
            )
