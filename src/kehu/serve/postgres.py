"""A publication copied into PostgreSQL: beside what is there, checked, swapped in one transaction.

    core_kehu_new, marts_kehu_new    where the copy is made; nobody else may look into them
    core, marts                      what readers see; `marts.publication` says which one it is

A transaction that has read a table of the old publication keeps it to its end: the swap waits until no
transaction holds one, in short attempts, so that readers are never held up for long and never lose a
deadlock. It also waits for snapshots that are older than the copy, to which its tables would look
empty. Views of other schemas are bound to the new tables; what can not be carried over stops the copy.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from zoneinfo import ZoneInfo

import adbc_driver_manager as manager
import duckdb
import pyarrow as pa

from kehu.database import ALIVE, Database, libpq
from kehu.errors import KehuError, Locked, TargetFailed
from kehu.extract.typing import literal, quoted
from kehu.serve.publication import SCHEMAS, Publication, Table, rows_of
from kehu.serve.target import PREFIX, Listing, Options, Target
from kehu.settings import Settings

BATCH_ROWS = 10_000
NEW, OLD = "_kehu_new", "_kehu_old"
GATE, LISTED = "publication", "publication_table"
MARK = "Kehu publication"
OLDEST = 120000

GATE_SECONDS = (0.5, 1.0, 2.0)  # how long an attempt waits at the gate, holding nothing
PAUSE_SECONDS = (0.2, 0.5, 1.0, 2.0)  # and how long readers have for themselves after it

GATE_COLUMNS = {
    "publication": (
        "text",
        "Name of the publication; manifest.json in Kehu's folder has the same.",
    ),
    "as_of_date": ("date", "Latest date that the marts speak for."),
    "published_at": ("timestamp", "When it was published, in the company's time."),
    "copied_at": ("timestamptz", "When it was copied here."),
    "code_version": ("text", "Version of Kehu that published it."),
    "simulated_feeds": ("text", "Feeds that are simulated, with blanks between; empty: none."),
    "with_facts": ("boolean", "Whether the facts of core are copied too."),
    "reader_role": ("text", "Role that may read; empty: none was named."),
    "count_tables": ("integer", "Tables that were written."),
    "count_rows": ("bigint", "Rows in all of them."),
}
LISTED_COLUMNS = {
    "table_schema": ("text", "Schema."),
    "table_name": ("text", "Table."),
    "count_rows": ("bigint", "Rows, as the manifest of the publication has them."),
    "key_columns": ("text", "Columns that are unique together; empty: none are promised."),
}

_SIMPLE = {
    "BOOLEAN": ("boolean", ""),
    "TINYINT": ("smallint", "SMALLINT"),
    "SMALLINT": ("smallint", ""),
    "INTEGER": ("integer", ""),
    "BIGINT": ("bigint", ""),
    "UTINYINT": ("smallint", "SMALLINT"),
    "USMALLINT": ("integer", "INTEGER"),
    "UINTEGER": ("bigint", "BIGINT"),
    "UBIGINT": ("numeric(20,0)", "DECIMAL(20,0)"),
    "HUGEINT": ("numeric(38,0)", "DECIMAL(38,0)"),
    "FLOAT": ("real", ""),
    "DOUBLE": ("double precision", ""),
    "VARCHAR": ("text", ""),
    "DATE": ("date", ""),
    "TIME": ("time", ""),
    "TIMESTAMP": ("timestamp", ""),
    "TIMESTAMP_S": ("timestamp", "TIMESTAMP"),
    "TIMESTAMP_MS": ("timestamp", "TIMESTAMP"),
    "TIMESTAMP_NS": ("timestamp", "TIMESTAMP"),
    "TIMESTAMP WITH TIME ZONE": ("timestamptz", ""),
    "INTERVAL": ("interval", ""),
    "BLOB": ("bytea", ""),
}
_DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")


def type_of(kind: str) -> tuple[str, str]:
    """The type in PostgreSQL of a DuckDB type, and the DuckDB type to send it as ('' as it is).

    What PostgreSQL has no type for (a struct, a map, a list of lists) becomes JSON in text.
    """
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    if found := _DECIMAL.fullmatch(kind):
        return f"numeric({found[1]},{found[2]})", ""
    if kind.endswith("[]") and not kind.endswith("[][]"):
        inner, sent = type_of(kind[:-2])
        if inner != "text" or kind == "VARCHAR[]":
            return f"{inner}[]", f"{sent}[]" if sent else ""
    return "text", "JSON" if kind.startswith(("STRUCT", "MAP")) or "[]" in kind else "VARCHAR"


def _sent(name: str, kind: str) -> str:
    column = quoted(name)
    sent = type_of(kind)[1]
    if sent == "JSON":
        return f"to_json({column})::varchar as {column}"
    return f"{column}::{sent} as {column}" if sent else column


class Session:
    """One connection: statements, rows, streams. Errors are those of the driver."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._cursor = connection.cursor()
        self.is_in_doubt = False  # a commit was sent and not answered

    def run(self, statement: str) -> None:
        """Execute one statement that gives no rows."""
        self._cursor.execute(statement)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        self._cursor.execute(query)
        found: list[tuple[Any, ...]] = self._cursor.fetchall()
        return found

    def value(self, query: str) -> Any:
        """The one value of a query."""
        return self.rows(query)[0][0]

    def ingest(self, schema: str, table: str, stream: Any) -> None:
        """Append a stream of record batches to a table."""
        with self._connection.cursor() as cursor:
            cursor.adbc_ingest(table, stream, mode="append", db_schema_name=schema)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing."""
        self.run("begin")
        try:
            yield
        except BaseException:
            with suppress(manager.Error):
                self.run("rollback")
            raise
        self.is_in_doubt = True
        self.run("commit")
        self.is_in_doubt = False

    def is_open(self) -> bool:
        """Whether the server still answers, an error also being an answer."""
        try:
            self.run("select 1")
        except manager.Error as error:
            return bool(error.sqlstate) and not _is_end(error)
        return True

    def close(self) -> None:
        """Also where the connection is gone."""
        with suppress(manager.Error):
            self._cursor.close()
        with suppress(manager.Error):
            self._connection.close()


def write(
    settings: Settings,
    target: Target,
    publication: Publication,
    options: Options,
    connection: duckdb.DuckDBPyConnection,
    tables: list[Table],
) -> Listing:
    """Make the publication the one that PostgreSQL shows; a no-op where it is already.

    TargetFailed where the server refuses or is lost; Locked where another publish is at it. In any
    case readers see the old or the new publication, whole.
    """
    if not PREFIX.fullmatch(options.prefix):
        raise KehuError(
            f"{options.prefix!r} can not stand before the name of a schema: small Latin letters, "
            "digits and _, at most 21"
        )
    database = target.database
    assert database is not None
    with _session(target, database) as session:
        copy = _Copy(settings, session, target, publication, options, tables)
        copy.lock()
        copy.examine()
        if not options.force and copy.is_there():
            return copy.listing(was_there=True)
        try:
            copy.stage(connection)
            copy.swap()
        except BaseException:
            with suppress(manager.Error):  # half a copy would keep a full disk full
                copy.clear()
            raise
        return copy.listing()


@contextmanager
def _session(target: Target, database: Database) -> Iterator[Session]:
    """A connection; its errors in the words of an operator."""
    import adbc_driver_postgresql.dbapi as driver

    try:
        connection = driver.connect(libpq(database.url, ALIVE), autocommit=True)
    except manager.Error as error:
        raise TargetFailed(
            f"{target.name}: no connection: {database.told(error)}; is the server up, may this "
            "machine reach it, are user and password right?"
        ) from None
    session = Session(connection)
    try:
        for setting in (
            "search_path = pg_catalog",
            "client_min_messages = warning",
            "statement_timeout = 0",
            "lock_timeout = 0",
            "idle_in_transaction_session_timeout = 0",
            "synchronous_commit = off",  # the commit that shows the copy waits for all of it
            # a machine that vanishes in the middle gives its lock back after two minutes
            "tcp_keepalives_idle = 30",
            "tcp_keepalives_interval = 10",
            "tcp_keepalives_count = 6",
        ):
            session.run(f"set {setting}")
        yield session
    except manager.Error as error:
        raise TargetFailed(f"{target.name}: {_told(error, database, session)}") from None
    except (pa.ArrowException, UnicodeError) as error:
        raise TargetFailed(f"{target.name}: {database.told(error)}; nothing changed") from None
    finally:
        session.close()


_REMEDIES = {
    "42501": "ask an administrator for the right (docs/operator.md: Copies for other tools)",
    "53100": "the server's disk is full: the copy needs room beside what is there",
    "53200": "the server has no memory left",
    "53300": "the server takes no more connections",
    "25006": "this server can only be read; name the one that takes writes",
}


def _is_end(error: manager.Error) -> bool:
    """Whether the server says that the connection ends."""
    return (error.sqlstate or "").startswith(("08", "57P"))


def _told(error: manager.Error, database: Database, session: Session) -> str:
    state = error.sqlstate or ""
    said = _said(error, database)
    if _is_end(error) or (not state and not session.is_open()):
        see = (
            "the old or the new publication, whole"
            if session.is_in_doubt
            else "what they saw before"
        )
        return f"the connection was lost ({said}); readers see {see}. Run again"
    remedy = f"; {_REMEDIES[state]}" if state in _REMEDIES else ""
    return f"{said}{remedy}. Nothing changed for readers"


def _said(error: manager.Error, database: Database) -> str:
    """What the server says, without the statement that it says it of."""
    text = re.sub(r"\s*SQLSTATE: \w+\s*$", "", str(error))
    text = text.partition("ERROR:")[2] or re.sub(r"^[A-Z_]+: (\[libpq\] )?", "", text)
    return database.told(ValueError(text)).rstrip(". ")


class _Copy:
    """One publication on its way into one database."""

    def __init__(
        self,
        settings: Settings,
        session: Session,
        target: Target,
        publication: Publication,
        options: Options,
        tables: list[Table],
    ) -> None:
        self.settings = settings
        self.session, self.target, self.publication = session, target, publication
        self.options, self.tables = options, tables
        assert target.database is not None
        self._database = target.database
        self.notes: list[str] = []
        self.copied_at: Any = None
        self.waited = 0.0
        self.deadline = 0.0
        self.role_before = ""

    def shown(self, schema: str, suffix: str = "") -> str:
        """The name of a schema in the database."""
        return f"{self.options.prefix}{schema}{suffix}"

    @property
    def schemas(self) -> list[str]:
        return [self.shown(schema) for schema in SCHEMAS]

    def _in(self, names: list[str]) -> str:
        return ", ".join(literal(name) for name in names) or "null"

    def lock(self) -> None:
        """Be the only one that publishes here; the lock goes with the connection."""
        key = f"hashtextextended({literal('kehu publish ' + self.options.prefix)}, 0)"
        if self.session.value(f"select pg_try_advisory_lock({key})"):
            return
        holders = self.session.rows(
            f"""select l.pid, a.usename::text, to_char(a.backend_start, 'YYYY-MM-DD HH24:MI:SS TZ')
            from pg_locks as l left join pg_stat_activity as a on a.pid = l.pid
            where l.locktype = 'advisory' and l.granted
                and l.classid::bigint = ({key} >> 32) & 4294967295
                and l.objid::bigint = {key} & 4294967295"""
        )
        who = ", ".join(f"server process {pid} of {user}, since {at}" for pid, user, at in holders)
        raise Locked(
            f"{self.target.name}: another publish is writing it ({who or 'just ended'}); wait until "
            "it ends, then run again"
        )

    def examine(self) -> None:
        """Find what would stop the copy before it begins."""
        session, name = self.session, self.target.name
        version, encoding, may_create, is_admin, database, user = session.rows(
            """select current_setting('server_version_num')::integer,
                current_setting('server_encoding'),
                has_database_privilege(current_database(), 'CREATE'),
                (select rolsuper or rolcreaterole from pg_roles where rolname = current_user),
                current_database()::text, current_user::text"""
        )[0]
        if version < OLDEST:
            raise TargetFailed(f"{name}: this PostgreSQL is too old; 12 or later is needed")
        if encoding not in ("UTF8", "SQL_ASCII"):
            raise TargetFailed(
                f"{name}: the database stores text in {encoding}, which has no Chinese; make one "
                f"with: create database {database} encoding 'UTF8' template template0"
            )
        if not may_create:
            raise TargetFailed(
                f"{name}: {user} may not make schemas; an administrator runs: grant create on "
                f"database {database} to {user}"
            )
        role = self.options.role
        if role and not is_admin and not self._has_role():
            raise TargetFailed(
                f"{name}: there is no role {role!r}, and {user} may not make it; an administrator "
                f"runs: create role {quoted(role)} nologin. Or publish with --no-role"
            )
        for schema, comment, is_ours, count in session.rows(
            f"""select n.nspname::text, coalesce(obj_description(n.oid, 'pg_namespace'), ''),
                pg_has_role(n.nspowner, 'USAGE'),
                (select count(*) from pg_class as c where c.relnamespace = n.oid)
            from pg_namespace as n
            where n.nspname in ({self._in(self.schemas + [s + NEW for s in self.schemas])})"""
        ):
            if not is_ours:
                raise TargetFailed(
                    f"{name}: the schema {schema} belongs to another user than {user}; give it away, "
                    "or take other names: --prefix kehu_"
                )
            if count and not comment.startswith(MARK):
                raise TargetFailed(
                    f"{name}: the schema {schema} is there and was not made by Kehu; it is left as "
                    "it is. Take another database, or other names: --prefix kehu_"
                )
        self._views()
        if self._is_complete():
            marts = quoted(self.shown("marts"))
            shown = session.rows(f"select reader_role from {marts}.{GATE}")
            self.role_before = shown[0][0] if shown else ""

    def _has_role(self) -> bool:
        query = f"select count(*) from pg_roles where rolname = {literal(self.options.role)}"
        return bool(self.session.value(query))

    def _views(self) -> list[tuple[str, str, str]]:
        """Views of others on what will be replaced: name, definition, options.

        TargetFailed names what can not be bound to new tables: it would have to be dropped.
        """
        found = self.session.rows(
            f"""select distinct quote_ident(n.nspname) || '.' || quote_ident(c.relname),
                c.relkind::text, pg_get_userbyid(c.relowner)::text,
                pg_has_role(c.relowner, 'USAGE'), pg_get_viewdef(c.oid),
                coalesce(array_to_string(c.reloptions, ', '), '')
            from pg_depend as d
            join pg_rewrite as r on r.oid = d.objid and d.classid = 'pg_rewrite'::regclass
            join pg_class as c on c.oid = r.ev_class
            join pg_namespace as n on n.oid = c.relnamespace
            join pg_class as t on t.oid = d.refobjid and d.refclassid = 'pg_class'::regclass
            where t.relnamespace in (
                    select oid from pg_namespace where nspname in ({self._in(self.schemas)})
                )
                and n.nspname not in ({self._in(self.schemas)})
            order by 1"""
        )
        stuck = []
        for view, kind, owner, is_ours, _, _ in found:
            if kind != "v":
                stuck.append(f"{view} is a materialized view; make it a view, or a table")
            elif not is_ours:
                stuck.append(
                    f"the view {view} belongs to {owner}; an administrator runs: grant "
                    f"{quoted(owner)} to the login that publishes"
                )
        stuck += [
            f"{schema}.{table} has row security; take it off and put views before the tables"
            for schema, table in self.session.rows(
                f"""select n.nspname::text, c.relname::text
                from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
                where n.nspname in ({self._in(self.schemas)}) and c.relrowsecurity order by 1, 2"""
            )
        ]
        stuck += [
            f"{other} has a foreign key to {table}; drop the key"
            for other, table in self.session.rows(
                f"""select f.conrelid::regclass::text, f.confrelid::regclass::text
                from pg_constraint as f
                join pg_class as c on c.oid = f.confrelid
                join pg_namespace as n on n.oid = c.relnamespace
                where f.contype = 'f' and n.nspname in ({self._in(self.schemas)}) order by 1, 2"""
            )
        ]
        ours = "select t.table_schema, t.table_name from {}.{} as t".format(
            quoted(self.shown("marts")), LISTED
        )
        if self._is_complete():
            stuck += [
                f"{schema}.{other} is not Kehu's; move it to a schema of your own (alter … set "
                "schema …)"
                for schema, other in self.session.rows(
                    f"""select n.nspname::text, c.relname::text
                    from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
                    where n.nspname in ({self._in(self.schemas)})
                        and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
                        and (n.nspname::text, c.relname::text) not in (
                            {ours} union all values
                            ({literal(self.shown("marts"))}, '{GATE}'),
                            ({literal(self.shown("marts"))}, '{LISTED}')
                        ) order by 1, 2"""
                )
            ]
        elif self._tables_of(self.schemas):
            marts = self.shown("marts")
            stuck.append(
                f"{marts}.{GATE} or {marts}.{LISTED} is missing, so nobody can tell what in "
                f"{' and '.join(self.schemas)} is Kehu's; drop both schemas by hand"
            )
        if stuck:
            raise TargetFailed(
                f"{self.target.name}: nothing was copied, because the tables are replaced as a "
                "whole and this could not be carried over:\n  " + "\n  ".join(stuck)
            )
        return [(view, text, options) for view, _, _, _, text, options in found]

    def _is_complete(self) -> bool:
        """Whether there is a publication at all."""
        return all(
            self.session.value(
                f"select to_regclass({literal(f'{quoted(schema)}.{table}')}) is not null"
            )
            for schema, table in (
                (self.shown("marts"), GATE),
                (self.shown("marts"), LISTED),
            )
        )

    def is_there(self) -> bool:
        """Whether the database shows this publication already, with these options and all tables."""
        if not self._is_complete():
            return False
        marts = quoted(self.shown("marts"))
        shown = self.session.rows(
            f"select publication, with_facts, reader_role, copied_at from {marts}.{GATE}"
        )
        wanted = (self.publication.identity, self.options.with_facts, self.options.role)
        if [row[:3] for row in shown] != [wanted]:
            return False
        self.copied_at = shown[0][3]
        there = self.session.rows(
            f"""select t.table_schema, t.table_name, t.count_rows from {marts}.{LISTED} as t
            join pg_namespace as n on n.nspname = t.table_schema
            join pg_class as c on c.relnamespace = n.oid and c.relname = t.table_name"""
        )
        return set(there) == {(self.shown(t.schema), t.name, t.rows) for t in self.tables}

    def clear(self) -> None:
        """Take away what an earlier copy left."""
        for schema in SCHEMAS:
            self.session.run(f"drop schema if exists {quoted(self.shown(schema, NEW))} cascade")

    def stage(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Copy everything into new schemas, with keys, comments and counted rows."""
        session = self.session
        self.clear()
        mark = f"{MARK} {self.publication.identity} as of {self.publication.as_of}"
        with session.transaction():
            for schema in SCHEMAS:
                name = quoted(self.shown(schema, NEW))
                session.run(f"create schema {name}")
                session.run(f"comment on schema {name} is {literal(mark)}")
        for table in self.tables:
            self._copy(connection, table)
        self._list()
        every = [self._name(t.schema, t.name) for t in self.tables]
        every += [self._name("marts", GATE), self._name("marts", LISTED)]
        session.run(f"vacuum (freeze, analyze) {', '.join(every)}")

    def _name(self, schema: str, table: str, suffix: str = NEW) -> str:
        return f"{quoted(self.shown(schema, suffix))}.{quoted(table)}"

    def _copy(self, connection: duckdb.DuckDBPyConnection, table: Table) -> None:
        session, name = self.session, self._name(table.schema, table.name)
        columns = ",\n".join(
            f"{quoted(c.name)} {type_of(c.kind)[0]}{'' if c.is_nullable else ' not null'}"
            for c in table.columns
        )
        with session.transaction():
            session.run(f"create table {name} ({columns})")
            if table.description:
                session.run(f"comment on table {name} is {literal(table.description)}")
            for column in table.columns:
                if column.description:
                    session.run(
                        f"comment on column {name}.{quoted(column.name)} is "
                        f"{literal(column.description)}"
                    )
        sent = ", ".join(_sent(c.name, c.kind) for c in table.columns)
        stream = rows_of(connection, table, sent, BATCH_ROWS)
        session.ingest(self.shown(table.schema, NEW), table.name, stream)
        count = session.value(f"select count(*) from {name}")
        if count != table.rows:
            raise TargetFailed(
                f"{self.target.name}: the copy of {table} has {count:,} rows, the publication "
                f"{table.rows:,}; nothing changed for readers"
            )
        self._index(table)

    def _index(self, table: Table) -> None:
        """The key of the table, and what dashboards filter on."""
        session, name = self.session, self._name(table.schema, table.name)
        nullable = {c.name for c in table.columns if c.is_nullable}
        if table.key:
            listed = ", ".join(quoted(c) for c in table.key)
            try:
                if nullable.isdisjoint(table.key):
                    session.run(f"alter table {name} add primary key ({listed})")
                else:
                    session.run(f"create unique index on {name} ({listed})")
            except manager.Error as error:
                if error.sqlstate != "23505":
                    raise
                self.notes.append(f"{table}: {', '.join(table.key)} is not unique")
                session.run(f"create index on {name} ({listed})")
        first = table.key[0] if table.key else ""
        if table.has("is_latest"):
            date = "as_of_date" if table.has("as_of_date") else "is_latest"
            session.run(f"create index on {name} ({date}) where is_latest")
        for column in ("as_of_date", "business_date", "customer_id", "customer_key"):
            if table.has(column) and column != first:
                session.run(f"create index on {name} ({quoted(column)})")

    def _list(self) -> None:
        """Say in the database itself what was written."""
        session, manifest = self.session, self.publication.manifest
        for name, columns, says in (
            (GATE, GATE_COLUMNS, "One row: the publication that these schemas show. Read it first in "
             "a transaction, and all that the transaction reads is of this publication."),
            (LISTED, LISTED_COLUMNS, "The tables that the publication wrote, with their rows."),
        ):  # fmt: skip
            table = self._name("marts", name)
            listed = ", ".join(f"{column} {kind} not null" for column, (kind, _) in columns.items())
            session.run(f"create table {table} ({listed})")
            session.run(f"comment on table {table} is {literal(says)}")
            for column, (_, words) in columns.items():
                session.run(f"comment on column {table}.{column} is {literal(words)}")
        values = (
            literal(self.publication.identity),
            f"{literal(self.publication.as_of)}::date",
            f"{literal(str(manifest['published_at']))}::timestamp",
            "now()",
            literal(str(manifest["code_version"])),
            literal(" ".join(manifest["simulated_feeds"])),
            str(self.options.with_facts).lower(),
            literal(self.options.role),
            str(len(self.tables)),
            str(sum(t.rows for t in self.tables)),
        )
        session.run(f"insert into {self._name('marts', GATE)} values ({', '.join(values)})")
        rows = ", ".join(
            f"({literal(self.shown(t.schema))}, {literal(t.name)}, {t.rows}, "
            f"{literal(' '.join(t.key))})"
            for t in self.tables
        )
        session.run(f"insert into {self._name('marts', LISTED)} values {rows}")
        self.copied_at = session.value(f"select copied_at from {self._name('marts', GATE)}")

    def swap(self) -> None:
        """Show the new schemas instead of the old ones, in one transaction."""
        self.deadline = time.monotonic() + self.options.wait
        attempt, began = 0, time.monotonic()
        self._wait_for_snapshots()
        while not self._swapped(GATE_SECONDS[min(attempt, len(GATE_SECONDS) - 1)]):
            if time.monotonic() > self.deadline:
                raise self._held_up()
            time.sleep(PAUSE_SECONDS[min(attempt, len(PAUSE_SECONDS) - 1)])
            attempt += 1
        self.waited = round(time.monotonic() - began, 2)
        if self.role_before not in ("", self.options.role):
            self.notes.append(f"{self.role_before} may not read it any more")

    def _wait_for_snapshots(self) -> None:
        """Let transactions end that began before the copy: to them its tables would look empty.

        To build an index beside readers the server does just this waiting.
        """
        session, table = self.session, self._name("marts", GATE)
        left = max(self.deadline - time.monotonic(), 0.1)
        session.run(f"set statement_timeout = {int(left * 1000)}")
        try:
            session.run(f"create unique index concurrently on {table} (publication)")
        except manager.Error as error:
            with suppress(manager.Error):  # what is said and cleared away now may take its time
                session.run("set statement_timeout = 0")
            if error.sqlstate != "57014":
                raise
            raise self._held_up() from None
        session.run("set statement_timeout = 0")

    def _swapped(self, gate_seconds: float) -> bool:
        """One attempt; False where readers hold what would be replaced."""
        try:
            with self.session.transaction():
                self.session.run("set local synchronous_commit = on")
                self._grant()
                views = self._views()
                self._lock_old(gate_seconds)
                self._replace(views)
        except manager.Error as error:
            # a lock that was not to be had in time, or a deadlock that we were to lose
            if error.sqlstate not in ("55P03", "57014", "40P01"):
                raise
            return False
        return True

    def _grant(self) -> None:
        """Let the role read the copy, and whoever was let to read what it replaces."""
        session, role = self.session, self.options.role
        news = [quoted(self.shown(schema, NEW)) for schema in SCHEMAS]
        if role:
            if not self._has_role():
                session.run(f"create role {quoted(role)} nologin")
            session.run(f"grant usage on schema {', '.join(news)} to {quoted(role)}")
            session.run(f"grant select on all tables in schema {', '.join(news)} to {quoted(role)}")
        # whoever was named before and is not now has no say any more
        others = "a.grantee <> {owner} and a.grantee not in (select oid from pg_roles where rolname = {role})"
        gone = literal(self.role_before if self.role_before != role else "")
        grantee = "case a.grantee when 0 then 'public' else a.grantee::regrole::text end"
        news_there = (
            f"to_regclass(quote_ident(n.nspname || '{NEW}') || '.' || quote_ident(c.relname))"
        )
        for schema, whom in session.rows(
            f"""select n.nspname::text, {grantee}
            from pg_namespace as n, aclexplode(n.nspacl) as a
            where n.nspname in ({self._in(self.schemas)}) and a.privilege_type = 'USAGE'
                and {others.format(owner="n.nspowner", role=gone)}"""
        ):
            session.run(f"grant usage on schema {quoted(schema + NEW)} to {whom}")
        for schema, table, whom in session.rows(
            f"""select n.nspname::text, c.relname::text, {grantee}
            from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
            cross join aclexplode(c.relacl) as a
            where n.nspname in ({self._in(self.schemas)}) and a.privilege_type = 'SELECT'
                and {others.format(owner="c.relowner", role=gone)} and {news_there} is not null"""
        ):
            session.run(f"grant select on {quoted(schema + NEW)}.{quoted(table)} to {whom}")
        for schema, table, column, whom in session.rows(
            f"""select n.nspname::text, c.relname::text, o.attname::text, {grantee}
            from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
            join pg_attribute as o on o.attrelid = c.oid and not o.attisdropped
            join pg_attribute as m on m.attrelid = {news_there} and m.attname = o.attname
            cross join aclexplode(o.attacl) as a
            where n.nspname in ({self._in(self.schemas)}) and a.privilege_type = 'SELECT'
                and {others.format(owner="c.relowner", role=gone)}"""
        ):
            name = f"{quoted(schema + NEW)}.{quoted(table)}"
            session.run(f"grant select ({quoted(column)}) on {name} to {whom}")

    def _tables_of(self, schemas: list[str]) -> list[str]:
        """The tables of schemas, the gate first."""
        return [
            f"{quoted(schema)}.{quoted(table)}"
            for schema, table in self.session.rows(
                f"""select n.nspname::text, c.relname::text
                from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
                where n.nspname in ({self._in(schemas)}) and c.relkind = 'r'
                order by c.relname <> '{GATE}', 1, 2"""
            )
        ]

    def _lock_old(self, gate_seconds: float) -> None:
        """Wait until no transaction reads the old tables, and let none begin.

        First at the gate, while nothing else is held: who reads several tables in a transaction and
        begins there is never in our way twice. Then for the rest, for less time than the server takes
        to look for deadlocks, so that it is never a reader who loses one.
        """
        session, old = self.session, self._tables_of(self.schemas)
        short = session.value(
            "select setting::integer * 2 / 5 from pg_settings where name = 'deadlock_timeout'"
        )
        session.run(f"set local lock_timeout = {int(gate_seconds * 1000)}")
        if old:
            session.run(f"lock table {old[0]} in access exclusive mode")
        session.run(f"set local lock_timeout = {short}")
        session.run(f"set local statement_timeout = {short}")
        if old[1:]:
            session.run(f"lock table {', '.join(old[1:])} in access exclusive mode")
        session.run("set local statement_timeout = 0")  # what comes now waits for nobody

    def _replace(self, views: list[tuple[str, str, str]]) -> None:
        session = self.session
        there = [
            schema
            for schema in SCHEMAS
            if session.value(
                f"select count(*) from pg_namespace where nspname = {literal(self.shown(schema))}"
            )
        ]
        for schema in there:
            session.run(
                f"alter schema {quoted(self.shown(schema))} "
                f"rename to {quoted(self.shown(schema, OLD))}"
            )
        for schema in SCHEMAS:
            session.run(
                f"alter schema {quoted(self.shown(schema, NEW))} "
                f"rename to {quoted(self.shown(schema))}"
            )
        for view, definition, options in views:
            kept = f" with ({options})" if options else ""
            try:
                session.run(f"create or replace view {view}{kept} as {definition}")
            except manager.Error as error:
                if error.sqlstate in ("55P03", "57014", "40P01"):
                    raise
                raise TargetFailed(
                    f"{self.target.name}: the view {view} does not fit the new tables any more "
                    f"({_said(error, self._database)}); change or drop it, then run again. "
                    "Nothing changed for readers"
                ) from None
        if views:
            self.notes.append(f"bound to the new tables: {', '.join(v for v, _, _ in views)}")
        if old := self._tables_of([self.shown(schema, OLD) for schema in there]):
            session.run(f"drop table {', '.join(old)}")
        for schema in there:
            session.run(f"drop schema {quoted(self.shown(schema, OLD))}")

    def _held_up(self) -> TargetFailed:
        """Somebody reads and does not end; says who, as far as the server tells us."""
        readers = self.session.rows(
            f"""select distinct a.pid, a.usename::text, coalesce(a.application_name, ''),
                coalesce(to_char(a.xact_start, 'YYYY-MM-DD HH24:MI:SS TZ'), '')
            from pg_stat_activity as a
            left join pg_locks as l on l.pid = a.pid and l.granted and l.locktype = 'relation'
            left join pg_class as c on c.oid = l.relation
            left join pg_namespace as n on n.oid = c.relnamespace
            where a.datname = current_database() and a.pid <> pg_backend_pid()
                and (n.nspname in ({self._in(self.schemas)}) or a.backend_xmin is not null)
            order by 1 limit 5"""
        )
        who = "; ".join(
            f"server process {pid}, {user}{f' ({application})' if application else ''}"
            f"{f', since {since}' if since else ''}"
            for pid, user, application, since in readers
        )
        return TargetFailed(
            f"{self.target.name}: the copy is made, but for {self.options.wait:.0f} s there was no "
            f"moment to show it, because transactions that read stay open ({who or 'by whom is not told'})"
            "; readers see what they saw before. End those transactions, or raise "
            "KEHU_PUBLISH_WAIT, and run again"
        )

    def listing(self, *, was_there: bool = False) -> Listing:
        """What stands in the database now."""
        return Listing(
            target=self.target.name,
            kind=self.target.kind,
            publication=self.publication.identity,
            as_of_date=self.publication.as_of,
            written_at=self.copied_at.astimezone(ZoneInfo(self.settings.timezone)).replace(
                tzinfo=None
            ),
            schemas=self.schemas,
            role=self.options.role,
            with_facts=self.options.with_facts,
            tables={f"{self.shown(t.schema)}.{t.name}": t.rows for t in self.tables},
            waited=self.waited,
            was_there=was_there,
            notes=self.notes,
        )
