"""Every row of a copy in PostgreSQL against the published file, both ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import adbc_driver_postgresql.dbapi as driver
import duckdb
from serve.servers import Server

from kehu.serve.target import Listing


def differences(published: Path, server: Server, listing: Listing) -> list[str]:
    """Tables whose rows are not the same, compared as text that both engines write alike.

    Read with another driver call than the one that wrote: plain SELECTs, Arrow as it comes.
    """
    found = []
    url = f"postgresql://postgres@/{server.name}?host={server.host}"
    with duckdb.connect() as connection, driver.connect(url) as there:
        connection.execute(f"attach '{published}' as kehu (read_only)")
        for table in listing.tables:
            columns = connection.execute(
                "select column_name, data_type from duckdb_columns() where database_name = 'kehu' and "
                "schema_name || '.' || table_name = ? order by column_index",
                [table],
            ).fetchall()
            ours = ", ".join(_ours(name, kind) for name, kind in columns)
            theirs = ", ".join(_theirs(name, kind) for name, kind in columns)
            with there.cursor() as cursor:
                cursor.execute(f"select {theirs} from {table}")
                copied: Any = cursor.fetch_arrow_table()
            connection.register("copied", copied)
            for one, other in (
                (f"select {ours} from kehu.{table}", "select * from copied"),
                ("select * from copied", f"select {ours} from kehu.{table}"),
            ):
                rows = connection.execute(f"{one} except all {other}").fetchmany(2)
                if rows:
                    found.append(f"{table}: {rows}")
                    break
    return found


def _ours(name: str, kind: str) -> str:
    if kind in ("FLOAT", "DOUBLE"):
        return f'"{name}"::double as "{name}"'
    if kind == "BOOLEAN":
        return f'"{name}"::integer::varchar as "{name}"'
    if kind == "BLOB":
        return f'lower(hex("{name}")) as "{name}"'
    if kind == "TIME":
        return f"""('2000-01-01 ' || "{name}")::timestamp as "{name}\""""
    if kind.startswith("TIMESTAMP"):
        return f'"{name}"::timestamptz::timestamp as "{name}"' if "ZONE" in kind else f'"{name}"'
    if kind == "INTERVAL":
        return f'epoch("{name}")::double as "{name}"'
    if kind.endswith("[]") or kind.startswith(("STRUCT", "MAP")):
        return f'to_json("{name}")::varchar as "{name}"'
    return f'"{name}"::varchar as "{name}"'


def _theirs(name: str, kind: str) -> str:
    if kind in ("FLOAT", "DOUBLE"):
        return f'"{name}"::double precision as "{name}"'
    if kind == "BOOLEAN":
        return f'"{name}"::integer::text as "{name}"'
    if kind == "BLOB":
        return f"""encode("{name}", 'hex') as "{name}\""""
    if kind == "TIME":
        return f"""date '2000-01-01' + "{name}" as "{name}\""""
    if kind.startswith("TIMESTAMP"):
        return f"""("{name}" at time zone 'UTC') as "{name}\"""" if "ZONE" in kind else f'"{name}"'
    if kind == "INTERVAL":
        return f"""extract(epoch from "{name}")::double precision as "{name}\""""
    if kind.endswith("[]") and not kind.endswith("[][]"):
        return f"""replace(array_to_json("{name}")::text, ' ', '') as "{name}\""""
    return f'"{name}"::text as "{name}"'
