"""The warehouse file: one writer, growth with the code, refusal of what is newer."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from houses import CONTRACTS, House, valid

from kehu.errors import KehuError, Locked
from kehu.warehouse import (
    SCHEMA_VERSION,
    make_marts,
    open_marts,
    open_warehouse,
    read_warehouse,
    writer_lock,
)

HOLDER = """
import sys
from kehu.settings import Settings
from kehu.warehouse import open_warehouse, writer_lock
with writer_lock(Settings(), "night of 2017-03-31"), open_warehouse(Settings(), {}):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def other_writer(house: House) -> subprocess.Popen[str]:
    """Another process that holds the warehouse until it is told a line, or killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ),
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_writer_is_told_who_holds_the_warehouse_and_since_when(
    house: House, other_writer: subprocess.Popen[str]
) -> None:
    told = rf"process {other_writer.pid} on \S+ \(night of 2017-03-31\), since \d{{4}}-\d\d-\d\dT[\d:]+"
    try:
        with pytest.raises(Locked, match=told), writer_lock(house.settings, "load"):
            pass
        with pytest.raises(Locked, match=told), read_warehouse(house.settings):
            pass
        house.drop("store", [valid("store")])
        with pytest.raises(Locked, match=told):
            house.take_in()
    finally:
        other_writer.communicate("done\n", timeout=30)
    assert house.take_in()["store/a.csv"]["rows_loaded"] == 1


def test_a_killed_writer_leaves_no_lock(house: House, other_writer: subprocess.Popen[str]) -> None:
    other_writer.kill()
    other_writer.communicate(timeout=30)
    with writer_lock(house.settings, "load"), open_warehouse(house.settings, CONTRACTS):
        pass


def test_the_lock_is_held_once_by_a_process_and_cleared_after(house: House) -> None:
    with writer_lock(house.settings, "night"), writer_lock(house.settings, "load"):
        assert "night" in (house.settings.home / "writer.lock").read_text()
    assert (house.settings.home / "writer.lock").read_text() == ""


def test_every_table_stands_before_anything_is_loaded(house: House) -> None:
    with open_warehouse(house.settings, CONTRACTS) as connection:
        found = connection.execute(
            "select table_name from information_schema.tables where table_schema = 'raw'"
        ).fetchall()
        assert {name for (name,) in found} == set(CONTRACTS)
        assert connection.execute("select schema_version from ops.meta").fetchall() == [
            (SCHEMA_VERSION,)
        ]
    with (
        read_warehouse(house.settings) as connection,
        pytest.raises(duckdb.Error, match="read-only"),
    ):
        connection.execute("delete from ops.meta")


def test_an_older_warehouse_is_brought_forward_with_its_rows(house: House) -> None:
    house.drop("store", [valid("store")])
    house.take_in()
    with duckdb.connect(str(house.settings.warehouse)) as connection:
        connection.execute("alter table ops.batch drop column waived")
        connection.execute("update ops.meta set schema_version = 1")
    house.drop("store", [valid("store", store_code="S2")], "b.csv")
    house.take_in()
    assert house.query("select schema_version from ops.meta") == [(SCHEMA_VERSION,)]
    assert house.query("select path, waived from ops.batch order by path") == [
        ("store/a.csv", None),
        ("store/b.csv", None),
    ]
    assert house.query("select count(*) from raw.store") == [(2,)]


@pytest.mark.parametrize("version", [SCHEMA_VERSION + 1, 0])
def test_a_warehouse_that_can_not_be_brought_forward_names_the_way_out(
    version: int, house: House
) -> None:
    with open_warehouse(house.settings, CONTRACTS):
        pass
    with duckdb.connect(str(house.settings.warehouse)) as connection:
        connection.execute(
            "update ops.meta set schema_version = ?, code_version = '9.9'", [version]
        )
    with (
        pytest.raises(
            KehuError, match=rf"written by Kehu 9\.9 \(schema {version}\).*`kehu rebuild`"
        ),
        open_warehouse(house.settings, CONTRACTS),
    ):
        pass
    with duckdb.connect(str(house.settings.warehouse)) as connection:
        assert connection.execute("select schema_version from ops.meta").fetchall() == [(version,)]


def test_a_file_that_is_no_warehouse_names_the_way_out(house: House) -> None:
    house.settings.home.mkdir(parents=True)
    house.settings.warehouse.write_bytes(b"not a database, but long enough to look like one" * 200)
    with (
        pytest.raises(KehuError, match=r"warehouse\.duckdb"),
        open_warehouse(house.settings, CONTRACTS),
    ):
        pass


def test_reading_before_the_first_night_says_what_makes_the_warehouse(house: House) -> None:
    with (
        pytest.raises(KehuError, match="`kehu night --as-of DATE` makes it"),
        read_warehouse(house.settings),
    ):
        pass


def test_marts_are_made_once_in_the_storage_that_older_readers_open(house: House) -> None:
    make_marts(house.settings)
    with open_marts(house.settings.marts, read_only=False) as connection:
        connection.execute("create table marts.x as select 1 as a")
        connection.execute("create table core.x as select 2 as a")
    make_marts(house.settings)  # leaves what stands
    with open_marts(house.settings.marts) as connection:
        assert connection.execute(
            "select a from marts.x union all select a from core.x"
        ).fetchall() == [
            (1,),
            (2,),
        ]
        tags = connection.execute(
            "select tags from duckdb_databases() where database_name = 'kehu'"
        ).fetchall()
    assert re.search(r"v1\.2\.0", str(tags))
    assert isinstance(house.settings.marts, Path)
