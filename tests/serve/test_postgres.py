"""The copy in PostgreSQL: its types, its rights, and that readers see one publication, whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import date
from typing import Any

import duckdb
import psycopg2
import pyarrow as pa
import pytest
from serve.homes import Home
from serve.servers import Server

from kehu.errors import KehuError, Locked, TargetFailed
from kehu.serve import postgres
from kehu.serve.run import require_served, serve
from kehu.serve.target import Listing, Options, read_target


def copy(home: Home, server: Server, **options: Any) -> Listing:
    """Publish to the server; raises as `kehu publish --to` does."""
    given = {"with_facts": False, "role": "kehu_reader", "prefix": "", "wait": 20.0} | options
    report = serve(home.settings, "run", to=[server.url], options=Options(**given))
    require_served(report)
    [listing] = report["served"].values()
    return Listing.model_validate(listing)


def schemas(server: Server) -> set[str]:
    return {
        name
        for (name,) in server.rows(
            "select nspname from pg_namespace where nspname !~ '^pg_' "
            "and nspname not in ('public', 'information_schema')"
        )
    }


def generations(server: Server, user: str = "bi") -> set[int]:
    """What a reader sees in every table that tells its generation."""
    return {
        number
        for (number,) in server.rows(
            "select distinct household_size from core.dim_customer union "
            "select distinct visits from marts.mart_customer_value union "
            "select distinct visits from marts.mart_churn",
            user,
        )
    }


def test_types_are_those_of_the_marts(home: Home, pg: Server) -> None:
    copy(home, pg)
    kinds = dict(
        pg.rows(
            """select attname::text, format_type(atttypid, atttypmod) from pg_attribute
            where attrelid = 'marts.mart_types'::regclass and attnum > 0"""
        )
    )
    assert kinds == {
        "is_yes": "boolean",
        "tiny": "smallint",
        "small": "smallint",
        "plain": "integer",
        "big": "bigint",
        "u_tiny": "smallint",
        "u_small": "integer",
        "u_plain": "bigint",
        "u_big": "numeric(20,0)",
        "huge": "numeric(38,0)",
        "single": "real",
        "twice": "double precision",
        "nowhere": "double precision",
        "money": "numeric(18,2)",
        "share": "numeric(9,6)",
        "words": "text",
        "last_day": "date",
        "first_day": "date",
        "at": "timestamp without time zone",
        "at_zone": "timestamp with time zone",
        "clock": "time without time zone",
        "span": "interval",
        "bytes": "bytea",
        "numbers": "integer[]",
        "texts": "text[]",
        "prices": "numeric(18,2)[]",
        "lists": "text",
        "both": "text",
        "pairs": "text",
        "letter": "text",
        "identity": "text",
        "nothing": "numeric(18,2)",
    }
    connection = pg.connect()
    with connection.cursor() as cursor:
        cursor.execute("set timezone = 'Asia/Shanghai'")
        cursor.execute(
            "select row_to_json(t)::text from marts.mart_types as t where plain is not null"
        )
        row = json.loads(cursor.fetchone()[0], parse_float=str)
        cursor.execute(
            "select count(*) from marts.mart_types as t where num_nulls(variadic array(select value "
            "from jsonb_each_text(to_jsonb(t)))) = 32"
        )
        assert cursor.fetchone() == (1,)  # NULL in every column is NULL in every column
    connection.close()
    assert row == {
        "is_yes": True,
        "tiny": 1,
        "small": -2,
        "plain": 3,
        "big": 4000000000,
        "u_tiny": 200,
        "u_small": 60000,
        "u_plain": 4000000000,
        "u_big": 18000000000000000000,
        "huge": 1234567890123456789012345678901234567,
        "single": "0.5",
        "twice": "0.1",
        "nowhere": "NaN",
        "money": "1234567890123456.78",
        "share": "-0.000001",
        "words": '中文 "quoted" \\ \t,',
        "last_day": "9999-12-31",
        "first_day": "0001-01-01",
        "at": "2024-02-29T23:59:59.123456",
        "at_zone": "2024-02-29T23:59:59+08:00",
        "clock": "12:34:56.789",
        "span": "1 mon 2 days 00:00:03",
        "bytes": "\\x6162",
        "numbers": [1, None, 3],
        "texts": ["a", "中", None],
        "prices": ["1.50"],
        "lists": "[[1,2],[3]]",
        "both": '{"a":1,"b":"中"}',
        "pairs": '{"k":1}',
        "letter": "A",
        "identity": "6fe1d4a0-0000-4000-8000-000000000001",
        "nothing": None,
    }


def test_what_was_written_is_listed_here_and_there(home: Home, pg: Server) -> None:
    listing = copy(home, pg)
    manifest = json.loads((home.path / "published" / "manifest.json").read_text())
    expected = {
        name: rows
        for name, rows in manifest["row_counts"].items()
        if not name.startswith("core.fct_")
    }
    assert listing.tables == expected and len(expected) == 10
    assert (listing.publication, listing.as_of_date) == (manifest["publication"], "2024-02-29")
    shown = pg.rows(
        "select publication, as_of_date, count_tables, count_rows from marts.publication"
    )
    assert shown == [(manifest["publication"], date(2024, 2, 29), 10, sum(expected.values()))]
    listed = pg.rows(
        "select table_schema || '.' || table_name, count_rows from marts.publication_table"
    )
    assert dict(listed) == expected
    files = [home.path / "targets", home.path / "published" / "targets"]
    for folder in files:
        [path] = folder.glob("*.json")
        assert json.loads(path.read_text())["tables"] == expected
        assert "sesam" not in path.read_text()
    assert pg.value("select obj_description('marts'::regnamespace)") == (
        f"Kehu publication {manifest['publication']} as of 2024-02-29"
    )


def test_facts_are_copied_where_they_are_wanted(home: Home, pg: Server) -> None:
    assert not any(".fct_" in name for name in copy(home, pg).tables)
    listing = copy(home, pg, with_facts=True)  # the same publication, but more of it
    assert not listing.was_there and listing.tables["core.fct_sales_line"] == 300
    assert copy(home, pg, with_facts=True).was_there


def test_keys_indexes_and_descriptions(home: Home, pg: Server) -> None:
    copy(home, pg)
    indexes = {
        (table, definition.partition(" USING btree ")[2], is_primary, is_unique)
        for table, definition, is_primary, is_unique in pg.rows(
            """select indrelid::regclass::text, pg_get_indexdef(indexrelid), indisprimary, indisunique
            from pg_index where indrelid::regclass::text ~ '^(core|marts)[.]'"""
        )
    }
    assert ("marts.mart_customer_value", "(customer_id, as_of_date)", True, True) in indexes
    assert ("marts.mart_customer_value", "(as_of_date)", False, False) in indexes
    assert (
        "marts.mart_customer_value",
        "(as_of_date) WHERE is_latest",
        False,
        False,
    ) in indexes
    assert ("core.dim_customer", "(customer_id)", True, True) in indexes
    reasons = "(as_of_date, period, store_code, reason_source, reason_code)"
    assert ("marts.mart_churn_reason", reasons, False, True) in indexes  # a part may be NULL
    told = pg.value("select obj_description('core.dim_customer'::regclass)")
    assert told.startswith("客户维度: One row per customer")
    told = pg.value("select col_description('core.dim_customer'::regclass, 1)")
    assert told.startswith("客户号: Customer: the member's id")


def test_a_key_that_is_not_unique_is_told_and_does_not_stop_the_copy(
    home: Home, pg: Server
) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"attach '{home.settings.marts}' as kehu")
        connection.execute("insert into kehu.marts.mart_load select * from kehu.marts.mart_load")
    from kehu import publish

    publish.publish(home.settings, date(2024, 2, 29), "run-x", [], {"by_stage": []})
    assert copy(home, pg).notes == ["marts.mart_load: batch_id is not unique"]


def test_the_role_reads_and_does_nothing_else(home: Home, pg: Server) -> None:
    copy(home, pg)
    assert generations(pg, "bi") == {1}
    for statement in (
        "insert into marts.publication select * from marts.publication",
        "update marts.mart_churn set visits = 0",
        "delete from core.dim_customer",
        "truncate marts.mart_churn",
        "drop table marts.mart_churn",
        "create table marts.mine(i integer)",
        "create schema mine",
    ):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            pg.run(statement, user="bi")
    pg.run("create role stranger login")
    try:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            pg.rows("select * from marts.mart_churn", "stranger")
    finally:
        pg.run("drop role stranger")


def test_a_role_is_made_where_there_is_none(home: Home, pg: Server) -> None:
    pg.run("drop role if exists viewer")
    try:
        copy(home, pg, role="viewer")
        assert pg.rows("select rolcanlogin from pg_roles where rolname = 'viewer'") == [(False,)]
        assert pg.value("select has_table_privilege('viewer', 'marts.mart_churn', 'select')")
        pg.run("alter role kehu nocreaterole")
        with pytest.raises(
            TargetFailed, match=r'create role "other" nologin\. Or publish with --no-role'
        ):
            copy(home, pg, role="other")
        assert copy(home, pg, role="").role == ""  # --no-role
    finally:
        pg.run("alter role kehu createrole", "drop owned by viewer", "drop role viewer")


def test_the_same_publication_again_is_no_work(home: Home, pg: Server) -> None:
    first = copy(home, pg)
    oid = pg.value("select 'marts.mart_churn'::regclass::oid")
    again = copy(home, pg)
    assert again.was_there and again.written_at == first.written_at
    assert pg.value("select 'marts.mart_churn'::regclass::oid") == oid
    assert not copy(home, pg, force=True).was_there
    assert pg.value("select 'marts.mart_churn'::regclass::oid") != oid
    pg.run("drop table marts.mart_load")  # not whole any more
    assert not copy(home, pg).was_there
    assert pg.value("select count(*) from marts.mart_load") == 1


def test_the_pinned_publication_is_the_one_that_is_copied(home: Home, pg: Server) -> None:
    from kehu import publish

    first = publish.publications(home.settings)[0]
    home.publish(date(2024, 3, 1))
    copy(home, pg)
    assert generations(pg) == {2}
    publish.rollback(home.settings, None)
    assert copy(home, pg).publication == first
    assert generations(pg) == {1}


def test_content_equals_the_published_file(home: Home, pg: Server) -> None:
    from serve.compare import differences

    listing = copy(home, pg, with_facts=True)
    assert differences(home.published, pg, listing) == []
    pg.run(
        "update marts.mart_customer_value set net_sales = net_sales + 0.01 where customer_id = 'M7'"
    )
    [told] = differences(home.published, pg, listing)
    assert told.startswith("marts.mart_customer_value")


def test_other_names_leave_room_for_schemas_that_are_there(home: Home, pg: Server) -> None:
    pg.run(
        "create schema core",
        "create table core.theirs(i integer)",
        "grant create, usage on schema core to kehu",
        "alter schema core owner to kehu",
    )
    with pytest.raises(TargetFailed, match="the schema core is there and was not made by Kehu"):
        copy(home, pg)
    pg.run("alter schema core owner to postgres")
    with pytest.raises(TargetFailed, match="the schema core belongs to another user"):
        copy(home, pg)
    listing = copy(home, pg, prefix="kehu_")
    assert schemas(pg) == {"core", "kehu_core", "kehu_marts"}
    assert pg.value("select count(*) from core.theirs") == 0
    assert "kehu_marts.mart_churn" in listing.tables
    assert copy(home, pg, prefix="kehu_").was_there
    with pytest.raises(KehuError, match="can not stand before the name"):
        copy(home, pg, prefix='x"; drop')


# --- failures


def test_wrong_password_no_server_and_no_right_are_told(home: Home, pg: Server) -> None:
    def failed(url: str) -> str:
        with pytest.raises(TargetFailed) as caught:
            require_served(serve(home.settings, "run", to=[url]))
        assert caught.value.exit_code == 69
        assert "sesam" not in str(caught.value) and "oops" not in str(caught.value)
        return str(caught.value)

    said = failed(f"postgresql://kehu:oops@/{pg.name}?host={pg.host}")
    assert "password authentication failed" in said and "are user and password right?" in said
    assert "no connection" in failed("postgresql://kehu:oops@127.0.0.1:1/bi")
    assert "is not a URL" in failed("postgresql://kehu:oo/ps@127.0.0.1:1x/bi")
    pg.run(f"revoke create on database {pg.name} from kehu")
    assert f"grant create on database {pg.name} to kehu" in failed(pg.url)
    assert schemas(pg) == set()


def test_a_backend_that_is_ended_in_the_middle_changes_nothing(
    home: Home, pg: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy(home, pg)
    home.publish()
    ingest, calls = postgres.Session.ingest, []

    def ended(self: postgres.Session, *arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 4:
            pid = self.value("select pg_backend_pid()")
            pg.run(f"select pg_terminate_backend({pid})")
        ingest(self, *arguments)

    monkeypatch.setattr(postgres.Session, "ingest", ended)
    with pytest.raises(TargetFailed, match="the connection was lost"):
        copy(home, pg)
    assert generations(pg) == {1}
    assert schemas(pg) == {"core", "marts", "core_kehu_new", "marts_kehu_new"}
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):  # nobody reads what is half done
        pg.rows("select * from core_kehu_new.dim_customer", "bi")
    monkeypatch.setattr(postgres.Session, "ingest", ingest)
    copy(home, pg)
    assert generations(pg) == {2}
    assert schemas(pg) == {"core", "marts"}


@pytest.mark.parametrize("is_done", [False, True])
def test_a_connection_lost_at_the_commit_leaves_it_open_which_one_is_read(
    home: Home, pg: Server, monkeypatch: pytest.MonkeyPatch, is_done: bool
) -> None:
    copy(home, pg)
    home.publish()
    run, replace, replaced = postgres.Session.run, postgres._Copy._replace, []

    def lost(self: postgres.Session, statement: str) -> None:
        if statement == "commit" and replaced:
            pid = self.value("select pg_backend_pid()")
            if is_done:
                run(self, statement)
            pg.run(f"select pg_terminate_backend({pid})")
            while pg.value(f"select count(*) from pg_stat_activity where pid = {pid}"):
                time.sleep(0.05)
        run(self, statement)

    def noted(self: postgres._Copy, views: list[tuple[str, str, str]]) -> None:
        replace(self, views)
        replaced.append(True)

    with monkeypatch.context() as patched:
        patched.setattr(postgres.Session, "run", lost)
        patched.setattr(postgres._Copy, "_replace", noted)
        with pytest.raises(TargetFailed) as caught:
            copy(home, pg)
    assert "the connection was lost" in str(caught.value)
    assert "readers see the old or the new publication, whole. Run again" in str(caught.value)
    assert generations(pg) == {2 if is_done else 1}
    assert copy(home, pg).was_there == is_done
    assert generations(pg) == {2}


def test_what_the_driver_does_not_send_is_no_lost_connection(
    home: Home, pg: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy(home, pg)
    home.publish()
    ingest = postgres.Session.ingest

    def odd(self: postgres.Session, schema: str, table: str, stream: Any) -> None:
        kind = pa.dense_union([pa.field("a", pa.int32())])
        empty = pa.RecordBatchReader.from_batches(pa.schema([("x", kind)]), [])
        ingest(self, schema, table, empty)

    monkeypatch.setattr(postgres.Session, "ingest", odd)
    with pytest.raises(TargetFailed, match="Nothing changed for readers") as caught:
        copy(home, pg)
    assert "lost" not in str(caught.value)
    assert generations(pg) == {1}


def test_a_count_that_differs_changes_nothing_and_leaves_nothing(home: Home, pg: Server) -> None:
    copy(home, pg)
    home.publish()
    path = home.path / "published" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["row_counts"]["marts.mart_churn"] += 1
    path.write_text(json.dumps(manifest))
    with pytest.raises(TargetFailed, match="mart_churn has 600 rows, the publication 601"):
        copy(home, pg)
    assert generations(pg) == {1}
    assert schemas(pg) == {"core", "marts"}


CHILD = """
import sys, time
from kehu.serve import postgres
from kehu.serve.run import require_served, serve
from kehu.settings import Settings
at, url = sys.argv[1], sys.argv[2]
def stop(name):
    inner = getattr(postgres._Copy, name)
    def wrapped(self, *arguments):
        if name == at:
            print("here", flush=True)
            time.sleep(60)
        return inner(self, *arguments)
    setattr(postgres._Copy, name, wrapped)
for name in ("_index", "_list", "swap", "_lock_old", "_replace"):
    stop(name)
require_served(serve(Settings(), "child", to=[url]))
"""


@pytest.mark.parametrize("at", ["_index", "swap", "_replace"])
def test_a_process_that_is_killed_changes_nothing(home: Home, pg: Server, at: str) -> None:
    copy(home, pg)
    home.publish()
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, at, pg.url],
        env=os.environ | {"KEHU_HOME": str(home.path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None and child.stdout.readline() == "here\n"
    if at != "_replace":  # which has locked what readers read
        assert generations(pg) == {1}
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert generations(pg) == {1}
    assert {"core_kehu_new", "marts_kehu_new"} < schemas(pg)
    for _ in range(50):  # the server finds out by itself
        try:
            copy(home, pg)
            break
        except Locked:
            time.sleep(0.1)
    assert generations(pg) == {2}
    assert schemas(pg) == {"core", "marts"}


def test_the_second_of_two_at_once_is_told_of_the_first(home: Home, pg: Server) -> None:
    copy(home, pg)
    home.publish()
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, "_list", pg.url],
        env=os.environ | {"KEHU_HOME": str(home.path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None and child.stdout.readline() == "here\n"
    try:
        with pytest.raises(
            Locked, match=r"another publish is writing it \(server process \d+ of kehu"
        ):
            copy(home, pg)
        assert not copy(home, pg, prefix="other_").was_there  # other schemas are no concern of it
    finally:
        child.kill()
        child.wait()


# --- readers


def test_who_reads_in_a_transaction_holds_up_the_swap_and_sees_one_publication(
    home: Home, pg: Server
) -> None:
    copy(home, pg)
    for level in ("READ COMMITTED", "REPEATABLE READ"):
        first = home.generation
        home.publish()
        reader = pg.connect("bi")
        reader.set_session(isolation_level=level)
        cursor = reader.cursor()
        cursor.execute("select distinct visits from marts.mart_churn")
        assert cursor.fetchall() == [(first,)]
        publishing = threading.Thread(target=copy, args=(home, pg))
        publishing.start()
        time.sleep(2.5)  # it is made, and waits
        assert publishing.is_alive()
        cursor.execute("select distinct household_size from core.dim_customer")
        assert cursor.fetchall() == [(first,)]
        assert generations(pg) == {first}, "others go on reading in the meantime"
        reader.commit()
        publishing.join(30)
        assert generations(pg) == {first + 1}
        reader.close()


def test_a_snapshot_that_is_older_than_the_copy_does_not_find_it_empty(
    home: Home, pg: Server
) -> None:
    """Tables are found by name at once, rows only by snapshots: it would read the new table, empty."""
    copy(home, pg)
    home.publish()
    reader = pg.connect("bi")
    reader.set_session(isolation_level="REPEATABLE READ")
    cursor = reader.cursor()
    cursor.execute("select 1")  # no table of ours is locked by this
    publishing = threading.Thread(target=copy, args=(home, pg))
    publishing.start()
    time.sleep(2.5)
    assert publishing.is_alive()
    cursor.execute("select count(*), min(visits), max(visits) from marts.mart_churn")
    assert cursor.fetchall() == [(600, 1, 1)]
    reader.commit()
    publishing.join(30)
    assert generations(pg) == {2}
    reader.close()


def test_a_reader_who_does_not_end_is_named_and_nothing_changes(home: Home, pg: Server) -> None:
    copy(home, pg)
    home.publish()
    reader = pg.connect("bi", application_name="old report")
    reader.cursor().execute("select * from core.dim_customer")
    pid = reader.info.backend_pid
    with pytest.raises(TargetFailed, match=rf"server process {pid}, bi \(old report\)"):
        copy(home, pg, wait=1.0)
    reader.close()
    assert generations(pg) == {1}
    assert schemas(pg) == {"core", "marts"}


def test_the_wait_begins_when_the_copy_is_made(
    home: Home, pg: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy that takes longer than KEHU_PUBLISH_WAIT still waits for a reader who ends in time."""
    copy(home, pg)
    home.publish()
    stage, swap = postgres._Copy.stage, postgres._Copy.swap
    reader = pg.connect("bi")
    reader.set_session(isolation_level="REPEATABLE READ")
    reader.cursor().execute("select count(*) from marts.mart_churn")

    def slow(self: postgres._Copy, connection: duckdb.DuckDBPyConnection) -> None:
        stage(self, connection)
        time.sleep(4)

    def beside_a_reader(self: postgres._Copy) -> None:
        ending = threading.Timer(1, reader.commit)
        ending.start()
        swap(self)
        ending.join()

    monkeypatch.setattr(postgres._Copy, "stage", slow)
    monkeypatch.setattr(postgres._Copy, "swap", beside_a_reader)
    listing = copy(home, pg, wait=4.0)
    reader.close()
    assert generations(pg) == {2} and 0.5 < listing.waited < 4.5


def test_who_holds_it_up_is_asked_for_without_haste(
    home: Home, pg: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy(home, pg)
    home.publish()
    reader = pg.connect("bi")
    reader.set_session(isolation_level="REPEATABLE READ")
    reader.cursor().execute("select 1")
    inner, seen = postgres._Copy._held_up, []

    def held_up(self: postgres._Copy) -> TargetFailed:
        seen.append(self.session.value("select current_setting('statement_timeout')"))
        return inner(self)

    monkeypatch.setattr(postgres._Copy, "_held_up", held_up)
    with pytest.raises(TargetFailed, match=rf"server process {reader.info.backend_pid}, bi"):
        copy(home, pg, wait=0.5)
    assert seen == ["0"]
    reader.close()


def test_once_it_holds_the_tables_the_swap_may_take_its_time(home: Home, pg: Server) -> None:
    """A slow disk drops tables slowly; giving up then would be giving up for ever."""
    copy(home, pg)
    home.publish()
    pg.run(
        "create function public.slow() returns event_trigger language plpgsql as "
        "$$ begin perform pg_catalog.pg_sleep(1); end $$",
        "create event trigger slow on ddl_command_start when tag in ('DROP TABLE') "
        "execute function public.slow()",
    )
    copy(home, pg, wait=3.0)
    assert generations(pg) == {2}


def test_views_of_others_go_on_over_the_new_tables(home: Home, pg: Server) -> None:
    copy(home, pg)
    pg.run(
        "create schema analysts authorization kehu",
        "grant usage on schema analysts to kehu_reader",
        "alter default privileges for role kehu in schema analysts grant select on tables to kehu_reader",
    )
    pg.run(
        "create view analysts.best with (security_barrier=true) as select c.customer_id, v.visits "
        "from marts.mart_customer_value as v join core.dim_customer as c using (customer_id) "
        "where v.is_latest",
        "create view analysts.above as select max(visits) as visits from analysts.best",
        user="kehu",
    )
    home.publish()
    listing = copy(home, pg)
    assert listing.notes == ["bound to the new tables: analysts.best"]
    assert pg.rows("select visits from analysts.above", "bi") == [(2,)]
    assert (
        pg.value("select reloptions::text from pg_class where oid = 'analysts.best'::regclass")
        == "{security_barrier=true}"
    )


def test_what_can_not_be_carried_over_stops_the_copy_before_it_begins(
    home: Home, pg: Server
) -> None:
    copy(home, pg)
    home.publish()
    cases = {
        "create materialized view public.kept as select * from marts.mart_churn": (
            "drop materialized view public.kept",
            "public.kept is a materialized view",
        ),
        "create view public.hers as select * from marts.mart_churn": (
            "drop view public.hers",
            'the view public.hers belongs to postgres; an administrator runs: grant "postgres"',
        ),
        "create view marts.mine as select 1 as i": (
            "drop view marts.mine",
            "marts.mine is not Kehu's; move it to a schema of your own",
        ),
        "alter table marts.mart_churn enable row level security": (
            "alter table marts.mart_churn disable row level security",
            "marts.mart_churn has row security",
        ),
        "create table public.child(i text references core.dim_customer(customer_id))": (
            "drop table public.child",
            "public.child has a foreign key to core.dim_customer; drop the key",
        ),
        "create function public.f() returns bigint begin atomic; select count(*) from "
        "marts.mart_churn; end": (
            "drop function public.f",
            "function public.f() depends on table marts_kehu_old.mart_churn",
        ),
    }
    for made, (undone, told) in cases.items():
        pg.run(made)
        with pytest.raises(TargetFailed) as caught:
            copy(home, pg)
        assert told in str(caught.value)
        assert generations(pg, "postgres") == {1}
        assert schemas(pg) == {"core", "marts"}
        pg.run(undone)
    copy(home, pg)
    assert generations(pg) == {2}
    home.publish()
    pg.run("drop table marts.publication_table", "create table marts.hers(i integer)")
    with pytest.raises(TargetFailed, match="nobody can tell what in core and marts is Kehu's"):
        copy(home, pg)
    assert pg.value("select count(*) from marts.hers") == 0


def test_a_view_that_does_not_fit_any_more_is_named(home: Home, pg: Server) -> None:
    copy(home, pg)
    pg.run("create schema analysts authorization kehu")
    pg.run("create view analysts.v as select attribute from marts.mart_kano", user="kehu")
    home.publish()
    with duckdb.connect() as connection:
        connection.execute(f"attach '{home.settings.marts}' as kehu")
        connection.execute("alter table kehu.marts.mart_kano rename attribute to quality")
    from kehu import publish

    publish.publish(home.settings, date(2024, 2, 29), "run-x", [], {"by_stage": []})
    with pytest.raises(TargetFailed, match=r"the view analysts\.v does not fit the new tables"):
        copy(home, pg)
    assert generations(pg) == {1}
    assert schemas(pg) == {"core", "marts", "analysts"}


def test_rights_that_somebody_was_given_are_kept(home: Home, pg: Server) -> None:
    copy(home, pg)
    pg.run("create role tableau login")
    try:
        pg.run(
            "grant usage on schema marts to tableau", "grant select on marts.mart_churn to tableau"
        )
        home.publish()
        copy(home, pg)
        assert pg.value("select max(visits) from marts.mart_churn", "tableau") == 2
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            pg.rows("select * from marts.mart_customer_value", "tableau")
    finally:
        pg.run("drop owned by tableau", "drop role tableau")


def test_rights_to_columns_are_kept(home: Home, pg: Server) -> None:
    copy(home, pg)
    pg.run("create role tableau login")
    try:
        pg.run(
            "grant usage on schema marts to tableau",
            "grant select (customer_id, visits) on marts.mart_churn to tableau",
        )
        for generation in (2, 3):
            home.publish()
            copy(home, pg)
            seen = pg.rows("select distinct visits from marts.mart_churn", "tableau")
            assert seen == [(generation,)]
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                pg.rows("select churn_status from marts.mart_churn", "tableau")
    finally:
        pg.run("drop owned by tableau", "drop role tableau")


def test_a_role_that_is_replaced_reads_no_more(home: Home, pg: Server) -> None:
    pg.run("create role tableau login")
    try:
        copy(home, pg)
        pg.run(
            "grant usage on schema marts to tableau", "grant select on marts.mart_churn to tableau"
        )
        listing = copy(home, pg, role="viewer")
        assert listing.notes == ["kehu_reader may not read it any more"]
        assert pg.value("select has_table_privilege('viewer', 'marts.mart_churn', 'select')")
        for table in ("marts.mart_churn", "core.dim_customer"):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                pg.rows(f"select * from {table}", "bi")
        assert copy(home, pg, role="").notes == ["viewer may not read it any more"]
        assert not pg.value("select has_schema_privilege('viewer', 'marts', 'usage')")
        assert pg.value("select max(visits) from marts.mart_churn", "tableau") == 1
        assert copy(home, pg).notes == []
        assert generations(pg, "bi") == {1}
    finally:
        pg.run("drop owned by tableau", "drop role tableau", "drop role if exists viewer")


def test_a_target_shows_no_password(pg: Server) -> None:
    target = read_target(pg.url.replace("?", "?password=geheim&"))
    assert target.name == f"postgresql://kehu@{pg.host}/{pg.name}"
    assert target.database is not None
    assert "geheim" not in target.database.told(ValueError("it was geheim"))
