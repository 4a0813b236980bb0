"""Tables in a source as a shop's own system would have them: typed by the contract of the feed."""

from __future__ import annotations

from collect.servers import Server
from houses import CONTRACTS, Row

from kehu.feeds import Column


def make_table(server: Server, feed: str, rows: list[Row]) -> None:
    """Make the table `feed` anew, with its columns in the server's own types, and fill it."""
    columns = ", ".join(
        f"{name_of(server, n)} {_type(server, c)}" for n, c in CONTRACTS[feed].columns.items()
    )
    server.run(f"drop table if exists {feed}", f"create table {feed} ({columns})")
    insert(server, feed, rows)


def insert(server: Server, feed: str, rows: list[Row]) -> None:
    """Add rows, given as text, to the table `feed`."""
    for row in rows:
        names = ", ".join(name_of(server, n) for n in row)
        values = ", ".join(_literal(server, v) for v in row.values())
        server.run(f"insert into {feed} ({names}) values ({values})")


def name_of(server: Server, name: str) -> str:
    """A column's name as the server quotes it."""
    return f'"{name}"' if server.kind == "postgresql" else f"`{name}`"


def _literal(server: Server, value: str) -> str:
    if server.kind == "mysql":
        value = value.replace("\\", "\\\\")
    return "'" + value.replace("'", "''") + "'"


def _type(server: Server, column: Column) -> str:
    match column.base:
        case "flag":
            return "boolean"
        case "timestamp":
            return "timestamp" if server.kind == "postgresql" else "datetime(6)"
        case _:
            return column.type
