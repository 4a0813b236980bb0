"""A reader that asks in a loop, as a dashboard does, until it is told to stop; a process of its own.

usage: reader.py HOW PLACE STOP_FILE REPORT_FILE

HOW is `file` (opens the published file for each look), `file-kept` (keeps it open until there is a newer
one), `parquet`, `gate` (PostgreSQL, begins each transaction at marts.publication), `free` (begins
anywhere) or `adbc` (PostgreSQL through ADBC, REPEATABLE READ). Each look reads several tables in one
transaction, in random order, and holds what they say against each other.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

THINK_SECONDS = 0.05
QUERIES = {
    "value": "select min(visits), max(visits), count(*) from marts.mart_customer_value",
    "latest": "select min(visits), max(visits), count(*) * 2 from marts.mart_customer_value "
    "where is_latest",
    "churn": "select min(visits), max(visits), count(*) from marts.mart_churn",
    "customers": "select min(household_size), max(household_size), count(*) * 2 "
    "from core.dim_customer",
    "dates": "select min(count_generation), max(count_generation), null from core.dim_as_of",
    "joined": "select least(min(v.visits), min(c.household_size)), "
    "greatest(max(v.visits), max(c.household_size)), count(*) from marts.mart_customer_value as v "
    "join core.dim_customer as c using (customer_id)",
}

Ask = Callable[[str], Any]


def main(how: str, place: str, stop: Path, report: Path) -> None:
    looks: list[tuple[float, float, int]] = []
    wrong: list[str] = []
    errors: list[str] = []
    order = random.Random(f"{how} {report.name}")
    last = 0
    with READERS[how](place) as look:
        while not stop.exists():
            names = order.sample(sorted(QUERIES), 4)
            began = time.time()
            try:
                answers = look(names)
            except Exception as error:  # whatever a client may see counts
                errors.append(f"{type(error).__name__}: {error}"[:300])
                time.sleep(THINK_SECONDS)
                continue
            looks.append((began, time.time() - began, answers[0][0]))
            if len(looks) == 1:
                report.with_suffix(".ready").touch()
            numbers = {n for low, high, _ in answers for n in (low, high)}
            counts = {count for *_, count in answers if count is not None}
            if len(numbers) != 1 or len(counts) > 1 or None in numbers or answers[0][0] < last:
                wrong.append(f"{dict(zip(names, answers, strict=True))}, before {last}")
            last = answers[0][0] or last
            time.sleep(order.uniform(0, 2 * THINK_SECONDS))
    report.write_text(json.dumps({"how": how, "looks": looks, "wrong": wrong, "errors": errors}))


def _attached(path: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(f"attach '{path}' as kehu (read_only)")
    connection.execute("use kehu")
    return connection


@contextmanager
def _file(place: str) -> Iterator[Any]:
    def look(names: list[str]) -> list[Any]:
        with _attached(Path(place) / "kehu.duckdb") as connection:
            return [connection.execute(QUERIES[name]).fetchall()[0] for name in names]

    yield look


@contextmanager
def _file_kept(place: str) -> Iterator[Any]:
    kept: dict[Path, duckdb.DuckDBPyConnection] = {}

    def look(names: list[str]) -> list[Any]:
        folder = Path(place).resolve()
        if folder not in kept:
            for path in list(kept):
                kept.pop(path).close()
            kept[folder] = _attached(folder / "kehu.duckdb")
        return [kept[folder].execute(QUERIES[name]).fetchall()[0] for name in names]

    yield look


@contextmanager
def _parquet(place: str) -> Iterator[Any]:
    def look(names: list[str]) -> list[Any]:
        folder = Path(place).resolve()  # once for all tables
        with duckdb.connect(config={"threads": 1}) as connection:
            for table in ("marts.mart_customer_value", "marts.mart_churn", "core.dim_customer",
                          "core.dim_as_of"):  # fmt: skip
                schema, name = table.split(".")
                files = f"{name}/*/*.parquet" if schema == "marts" else f"{name}.parquet"
                connection.execute(f"create schema if not exists {schema}")
                connection.execute(
                    f"create view {table} as from read_parquet('{folder}/{schema}/{files}')"
                )
            return [connection.execute(QUERIES[name]).fetchall()[0] for name in names]

    yield look


def _psycopg(*, gate: bool) -> Any:
    @contextmanager
    def opened(place: str) -> Iterator[Any]:
        import psycopg2

        connection = psycopg2.connect(place)

        def look(names: list[str]) -> list[Any]:
            with connection, connection.cursor() as cursor:
                if gate:
                    cursor.execute("select publication from marts.publication")
                    assert len(cursor.fetchall()) == 1
                answers = []
                for name in names:
                    cursor.execute(QUERIES[name])
                    answers.append(cursor.fetchall()[0])
                return answers

        yield look
        connection.close()

    return opened


@contextmanager
def _adbc(place: str) -> Iterator[Any]:
    import adbc_driver_postgresql.dbapi as driver

    with driver.connect(place, autocommit=True) as connection, connection.cursor() as cursor:

        def look(names: list[str]) -> list[Any]:
            cursor.execute("begin isolation level repeatable read, read only")
            try:
                answers = []
                cursor.execute("select publication from marts.publication")
                assert len(cursor.fetchall()) == 1
                for name in names:
                    cursor.execute(QUERIES[name])
                    answers.append(cursor.fetchall()[0])
                return answers
            finally:
                cursor.execute("commit")

        yield look


READERS: dict[str, Any] = {
    "file": _file,
    "file-kept": _file_kept,
    "parquet": _parquet,
    "gate": _psycopg(gate=True),
    "free": _psycopg(gate=False),
    "adbc": _adbc,
}

if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
