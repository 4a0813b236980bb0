"""Databases as sources: connections from the environment or Airflow, query results as Arrow text.

Every value comes as the text that the server itself writes, so that a number, a date or a zone is
never rounded or shifted on the way; extraction types it by the contract, as it does with a file.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pyarrow as pa
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from kehu.errors import SourceFailed
from kehu.settings import Settings

POSTGRESQL = ("postgresql", "postgres")
MYSQL = ("mysql", "mariadb")
CONNECT_SECONDS = 20
SILENT_SECONDS = 1800  # a server that says nothing for so long is taken for gone
BATCH_BYTES = 4 << 20
# what PostgreSQL's own library is told, so that a host that is gone does not hold us for hours
ALIVE = {
    "connect_timeout": str(CONNECT_SECONDS),
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "6",
    "application_name": "kehu",
}

# what Airflow's connections may say in `extra` and the drivers understand
_PASSED_ON: dict[tuple[str, ...], tuple[str, ...]] = {
    POSTGRESQL: ("host", "sslmode", "sslrootcert", "sslcert", "sslkey", "options"),
    MYSQL: ("unix_socket", "ssl_ca", "ssl_cert", "ssl_key", "charset"),
}


@dataclass(frozen=True)
class Database:
    """A connection by its name in the contracts; the password never leaves it."""

    name: str
    url: URL

    @property
    def kind(self) -> str:
        """`postgresql` or `mysql`."""
        return "postgresql" if _family(self.url) == POSTGRESQL else "mysql"

    def __str__(self) -> str:
        place = self.url.host or self.url.query.get("host") or self.url.query.get("unix_socket")
        port = f":{self.url.port}" if self.url.port else ""
        return f"{self.name} ({self.url.username}@{place}{port}/{self.url.database or ''})"

    def told(self, error: BaseException) -> str:
        """What a driver says, in one line and without the password."""
        text = str(getattr(error, "orig", None) or error)
        text = text.partition("Query was:")[0]
        text = re.sub(r"\s+", " ", text).strip()
        secrets = [str(self.url.password or "")]
        secrets += [str(v) for k, v in self.url.query.items() if "password" in k]
        for secret in secrets:
            for known in {secret, quote(secret, safe=""), quote(secret, safe=" +")} - {""}:
                text = text.replace(known, "***")
        return text[:500]


def find_database(name: str) -> Database:
    """The connection `name`; SourceFailed where there is none or it is not understood.

    Looked for in KEHU_CONNECTION_<NAME>, then AIRFLOW_CONN_<NAME> (URL or JSON), then, inside a task
    of Airflow, wherever Airflow keeps its connections.
    """
    ours, airflows = f"KEHU_CONNECTION_{name.upper()}", f"AIRFLOW_CONN_{name.upper()}"
    given = next((v for v in (ours, airflows) if os.environ.get(v)), None)
    try:
        if given is not None:
            text = os.environ[given].strip()
            url: URL | None = (
                _from_parts(json.loads(text)) if text.startswith("{") else make_url(text)
            )
        else:
            url = _from_airflow(name)
    except (ArgumentError, ValueError, TypeError, KeyError):
        # no more of it is shown: what is not understood may be the password
        raise _no_url(given or name) from None
    if url is None:
        raise SourceFailed(
            f"the connection {name!r} is not known: set {ours}=postgresql://user:password@host:5432/"
            f"database (or mysql://...) where Kehu runs, or make a connection {name!r} in Airflow"
        )
    if _family(url) is None:
        raise SourceFailed(
            f"{given or name}: {url.drivername!r} is not a database that Kehu reads; "
            "use postgresql:// or mysql:// (for MariaDB too)"
        )
    return Database(name, url)


def database_at(address: str) -> Database:
    """The database of a URL that is given itself; SourceFailed where it is not understood."""
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        raise _no_url("the address") from None
    return Database(url.drivername.partition("+")[0], url)


def _no_url(what: str) -> SourceFailed:
    return SourceFailed(
        f"{what}: is not a URL like postgresql://user:password@host:5432/database or "
        "mysql://user:password@host:3306/database; in user and password the characters "
        "@ : / % ? # are written as %40 %3A %2F %25 %3F %23"
    )


def _family(url: URL) -> tuple[str, ...] | None:
    scheme = url.drivername.split("+")[0]
    return next((family for family in (POSTGRESQL, MYSQL) if scheme in family), None)


def _from_parts(parts: dict[str, Any]) -> URL:
    """The URL of a connection as Airflow writes it in JSON."""
    url = URL.create(
        str(parts["conn_type"]),
        username=parts.get("login"),
        password=parts.get("password"),
        host=parts.get("host"),
        port=int(parts["port"]) if parts.get("port") else None,
        database=parts.get("schema"),
    )
    extra = parts.get("extra") or {}
    extra = json.loads(extra) if isinstance(extra, str) else extra
    wanted = _PASSED_ON.get(_family(url) or (), ())
    return url.update_query_dict({k: str(extra[k]) for k in wanted if extra.get(k)})


def _from_airflow(name: str) -> URL | None:
    """What Airflow knows under the name, asked only inside one of its tasks."""
    if "airflow.sdk" not in sys.modules:
        return None
    from airflow.sdk import Connection, get_current_context
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        get_current_context()
    except RuntimeError:
        return None  # imported, but not a task
    try:
        found = Connection.get(name)
    except AirflowNotFoundException:
        return None
    return _from_parts(found.to_dict(validate=False))


class Rows:
    """The result of a query: names of the columns, and record batches in which all is text."""

    def __init__(self, names: list[str], batches: Iterator[pa.RecordBatch]) -> None:
        self.names = names
        self.schema = pa.schema([(name, pa.string()) for name in names])
        self.count = 0
        self._batches = batches

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self._batches:
            self.count += batch.num_rows
            yield batch


@contextmanager
def run_query(
    settings: Settings, database: Database, query: str, batch_rows: int, utc: Callable[[str], bool]
) -> Iterator[Rows]:
    """Run a query and stream its rows in bounded memory; the session can only read.

    `utc` says of a column's name whether the contract takes its times for UTC. SourceFailed where
    connecting or the query fails, and while iterating where the connection breaks.
    """
    if database.kind == "postgresql":
        with _postgresql(settings, database, query) as rows:
            yield rows
    else:
        with _mysql(settings, database, query, batch_rows, utc) as rows:
            yield rows


def _no_connection(database: Database, error: BaseException) -> SourceFailed:
    return SourceFailed(
        f"no connection to {database}: {database.told(error)}; is the server up, may this machine "
        "reach it, are user and password right?"
    )


def _no_result(database: Database, error: BaseException) -> SourceFailed:
    return SourceFailed(f"{database}: the query failed: {database.told(error)}")


def _broken(database: Database, rows: int, error: BaseException) -> SourceFailed:
    return SourceFailed(
        f"{database}: the result ended after about {rows:,} rows, before it was complete: "
        f"{database.told(error)}"
    )


def _settled_names(names: list[str]) -> list[str]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SourceFailed(
            f"the query gives more than one column {', '.join(twice)}; name each once (... as name)"
        )
    return names


def _binary(names: list[str]) -> SourceFailed:
    return SourceFailed(
        f"the column(s) {', '.join(names)} hold bytes, not text; leave them out of the query, or "
        "turn them into text in it"
    )


@contextmanager
def _postgresql(settings: Settings, database: Database, query: str) -> Iterator[Rows]:
    import adbc_driver_manager as manager
    import adbc_driver_postgresql.dbapi as driver

    try:
        connection = driver.connect(libpq(database.url, ALIVE), autocommit=True)
    except manager.Error as error:
        raise _no_connection(database, error) from None
    with connection, connection.cursor() as cursor:
        try:
            for setting, value in (
                ("client_encoding", "UTF8"),
                ("datestyle", "ISO, YMD"),
                ("timezone", settings.timezone),
                ("extra_float_digits", "1"),
                ("default_transaction_read_only", "on"),
            ):
                cursor.execute(f"set {setting} = '{value}'")
            inner = f"(\n{query}\n) as q"
            described = cursor.adbc_execute_schema(f"select * from {inner}")
            names = _settled_names(list(described.names))
            kinds = [
                (field.metadata or {}).get(b"POSTGRESQL:type", b"").decode() for field in described
            ]
            if bytea := [n for n, kind in zip(names, kinds, strict=True) if kind == "bytea"]:
                raise _binary(bytea)
            texts = ", ".join(_as_text(n, kind) for n, kind in zip(names, kinds, strict=True))
            cursor.adbc_statement.set_options(
                **{"adbc.postgresql.batch_size_hint_bytes": str(BATCH_BYTES)}
            )
            cursor.execute(f"select {texts} from {inner}")
            reader = cursor.fetch_record_batch()
        except (manager.Error, pa.ArrowException, OSError) as error:
            raise _no_result(database, error) from None

        def batches() -> Iterator[pa.RecordBatch]:
            count = 0
            while True:
                try:
                    batch = reader.read_next_batch()
                except StopIteration:
                    return
                except (manager.Error, pa.ArrowException, OSError) as error:
                    raise _broken(database, count, error) from None
                count += batch.num_rows
                yield pa.RecordBatch.from_arrays(batch.columns, schema=rows.schema)

        rows = Rows(names, batches())
        yield rows


def libpq(url: URL, options: dict[str, str]) -> str:
    """The URL as PostgreSQL's own library reads it, which takes no blank for a blank."""

    def part(value: object) -> str:
        return quote(str(value or ""), safe="")

    query = "&".join(f"{part(k)}={part(v)}" for k, v in {**options, **url.query}.items())
    login = f"{part(url.username)}:{part(url.password)}@" if url.username else ""
    place = f"[{url.host}]" if ":" in (url.host or "") else part(url.host)
    port = f":{url.port}" if url.port else ""
    return f"postgresql://{login}{place}{port}/{part(url.database)}?{query}"


def _as_text(name: str, kind: str) -> str:
    column = '"' + name.replace('"', '""') + '"'
    source = f"q.{column}"
    if kind == "bool":
        source += "::integer"
    elif kind == "money":
        source += "::numeric"  # its own text follows the server's locale
    return f"{source}::text as {column}"


@contextmanager
def _mysql(
    settings: Settings,
    database: Database,
    query: str,
    batch_rows: int,
    utc: Callable[[str], bool],
) -> Iterator[Rows]:
    import pymysql
    import sqlalchemy as sa
    from pymysql.constants import FIELD_TYPE
    from pymysql.converters import encoders

    # without decoders the driver hands on the server's own text; only bits have none
    as_text = {**encoders, FIELD_TYPE.BIT: lambda raw: str(int.from_bytes(raw, "big"))}
    engine = sa.create_engine(
        database.url.set(drivername="mysql+pymysql").update_query_dict({"charset": "utf8mb4"}),
        poolclass=sa.NullPool,
        connect_args={
            "conv": as_text,
            "password": str(database.url.password or "").encode(),  # as text: Latin-1 only
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": SILENT_SECONDS,
            "program_name": "kehu",
        },
    )
    try:
        connection = engine.connect()
    except (sa.exc.SQLAlchemyError, pymysql.Error, OSError, TypeError) as error:
        raise _no_connection(database, error) from None
    whole = False
    try:
        try:
            _set_timezone(connection, settings.timezone)
            for statement in (
                "set session transaction read only",
                f"set session net_write_timeout = {SILENT_SECONDS}",
            ):
                connection.exec_driver_sql(statement)
            connection.commit()
            result = connection.execution_options(
                stream_results=True, no_parameters=True
            ).exec_driver_sql(query)
        except (sa.exc.SQLAlchemyError, pymysql.Error) as error:
            raise _no_result(database, error) from None
        if not result.returns_rows:
            raise SourceFailed(f"{database}: the query gives no rows; it must be one select")
        assert result.cursor is not None
        described = result.cursor.description or []
        names = _settled_names([str(column[0]) for column in described])
        local = [str(c[0]) for c in described if c[1] == FIELD_TYPE.TIMESTAMP and utc(str(c[0]))]
        if local:
            raise SourceFailed(
                f"the column(s) {', '.join(local)} are of type timestamp, which the server gives in "
                "the company's time already; take `utc: true` out of the contract"
            )

        def batches() -> Iterator[pa.RecordBatch]:
            nonlocal whole
            count = 0
            parts = result.yield_per(batch_rows).partitions()
            while True:
                try:
                    part = next(parts, None)
                except (sa.exc.SQLAlchemyError, pymysql.Error, OSError, UnicodeError) as error:
                    raise _broken(database, count, error) from None
                if part is None:
                    whole = True
                    return
                arrays = [pa.array(column) for column in zip(*part, strict=True)]
                if bad := [
                    n for n, a in zip(names, arrays, strict=True) if pa.types.is_binary(a.type)
                ]:
                    raise _binary(bad)
                count += len(part)
                yield pa.RecordBatch.from_arrays(
                    [a.cast(pa.string()) for a in arrays], schema=rows.schema
                )

        rows = Rows(names, batches())
        yield rows
    finally:
        if not whole:
            connection.invalidate()  # closing a cursor would first read all that is still to come
        connection.close()
        engine.dispose()


def _set_timezone(connection: Any, timezone: str) -> None:
    """Let the server give its timestamps in the company's time."""
    import sqlalchemy as sa

    try:
        connection.exec_driver_sql(f"set time_zone = '{timezone}'")
    except sa.exc.OperationalError as error:
        if getattr(error.orig, "args", (0,))[0] != 1298:  # zones are not loaded into the server
            raise
        year, zone = datetime.now().year, ZoneInfo(timezone)
        winter, summer = (datetime(year, month, 1, tzinfo=zone) for month in (1, 7))
        if winter.utcoffset() != summer.utcoffset():
            raise SourceFailed(
                f"the server does not know the time zone {timezone}, which has summer time: load the "
                "zones into it (mysql_tzinfo_to_sql /usr/share/zoneinfo | mysql mysql)"
            ) from None
        connection.exec_driver_sql(f"set time_zone = '{winter.isoformat()[-6:]}'")
