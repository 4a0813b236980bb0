"""What real servers do to a collection: broken connections, wrong logins, odd types, much data."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from typing import Any

import duckdb
import pytest
from collect.conftest import Connect
from collect.servers import Server
from collect.tables import make_table
from houses import House, valid
from typer.testing import CliRunner

from kehu import source_cli
from kehu.cli import app
from kehu.collect import collect_feed
from kehu.database import find_database
from kehu.errors import SourceFailed
from kehu.feeds import read_contracts

SECRET = "sesam/@öffne dich"
EVENT = "'RECEIVED' as event, 1 as level, 'STAFF' as actor_type, repeat('天䶮', 40) as note"
NUMBERS = {  # a result that takes many seconds to send whole
    "postgresql": f"""select 'T' || n as complaint_no, 1 as seq, timestamp '2017-03-30' as occurred_at,
        {EVENT} from generate_series(1, 20000000) as n""",
    "mysql": f"""select concat('T', seq) as complaint_no, 1 as seq,
        timestamp '2017-03-30 00:00:00' as occurred_at, {EVENT} from seq_1_to_20000000""",
}
KILL = {
    "postgresql": """select pg_terminate_backend(pid) from pg_stat_activity
        where usename = 'shop' and state = 'active'""",
    "mysql": "select concat('kill ', id) from information_schema.processlist where user = 'shop'",
}


def fetch(house: House, feed: str = "complaint_event") -> Any:
    return collect_feed(house.settings, read_contracts(house.settings.contracts)[feed])


def refusal(house: House, feed: str = "complaint_event") -> str:
    """The message with which collecting fails; it never shows the password."""
    with pytest.raises(SourceFailed) as caught:
        fetch(house, feed)
    text = str(caught.value)
    for form in (SECRET, "sesam", "dich", "%C3%B6ffne"):
        assert form not in text
    assert caught.value.__suppress_context__  # no traceback that shows the driver's own words
    return text


def test_a_connection_that_breaks_on_the_way_leaves_nothing_and_the_next_run_has_all(
    server: Server, house: House, connect: Connect
) -> None:
    connect(server.url, complaint_event={"query": NUMBERS[server.kind], "batch_rows": 1000})
    folder = house.settings.collected / "complaint_event"

    def kill_when_rows_flow() -> None:
        for _ in range(600):
            if any(p.stat().st_size > 1000 for p in folder.glob(".*.tmp")):
                break
            time.sleep(0.05)
        for told in server.column(KILL[server.kind]):
            if server.kind == "mysql":
                server.run(str(told))

    killer = threading.Thread(target=kill_when_rows_flow)
    killer.start()
    text = refusal(house)
    killer.join()
    assert "the result ended after about " in text and "before it was complete" in text
    count = int(text.split("ended after about ")[1].split(" rows")[0].replace(",", ""))
    assert 0 < count < 20_000_000
    assert "the next run collects again from the beginning" in text
    assert [p.name for p in folder.iterdir()] == [".lock"]
    assert house.take_in() == {}

    make_table(server, "complaint_event", [valid("complaint_event")])
    connect(server.url, complaint_event={"query": "select * from complaint_event"})
    assert fetch(house).rows == 1


def test_a_connection_that_can_not_be_made_is_told_without_the_password(
    server: Server, house: House, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    source: dict[str, Any] = {"query": "select 1 as complaint_no"}
    login, _, place = server.url.rpartition("@")
    connect(f"{login}x@{place}", complaint_event=source)
    text = refusal(house)
    assert text.startswith("complaint_event: no connection to erp (shop@")
    assert "are user and password right?" in text

    scheme = server.url.partition(":")[0]
    connect(f"{login}@127.0.0.1:1/erp", complaint_event=source)
    assert "erp (shop@127.0.0.1:1/erp)" in refusal(house)

    for wrong in (f"{login}@host:port/erp", f"//{SECRET}", SECRET):
        connect(wrong, complaint_event=source)
        assert "KEHU_CONNECTION_ERP: is not a URL like postgresql://" in refusal(house)
    connect(server.url.replace(scheme, "oracle", 1), complaint_event=source)
    assert "'oracle' is not a database that Kehu reads" in refusal(house)
    monkeypatch.delenv("KEHU_CONNECTION_ERP")
    assert "the connection 'erp' is not known: set KEHU_CONNECTION_ERP=postgresql://" in refusal(
        house
    )


def test_a_query_that_the_server_refuses_is_told_with_its_words(
    server: Server, house: House, connect: Connect
) -> None:
    for query, words in (
        ("select * from nowhere", "nowhere"),
        ("selec 1", "syntax"),
        ("select 1 as a, 2 as a", "more than one column a"),
        ("delete from complaint_event", ""),
    ):
        connect(server.url, complaint_event={"query": query})
        text = refusal(house)
        assert words in text
        assert "To look: kehu source check complaint_event" in text
    connect(
        server.url,
        complaint_event={
            "query": "select 1 as seq where date '2017-01-01' >= :since",
            "watermark": "occurred_at",
        },
    )
    assert "does not give the watermark occurred_at; it gives seq" in refusal(house)


def test_a_session_can_not_write(server: Server, house: House, connect: Connect) -> None:
    # even where the login could, and where nothing would be rolled back
    if server.kind == "postgresql":
        server.run("create sequence if not exists counter", "grant all on counter to shop")
        before, write = "select last_value from counter", "select nextval('counter') as seq"
    else:
        server.run(
            "create or replace table counter (n int) engine=myisam",
            "insert into counter values (1)",
            "grant delete on counter to shop@'%'",
        )
        before, write = "select count(*) from counter", "delete from counter"
    found = server.column(before)
    connect(server.url, complaint_event={"query": write})
    assert "read" in refusal(house).lower()
    assert server.column(before) == found


def test_what_a_driver_says_is_shown_without_the_password(
    pg: Server, house: House, connect: Connect
) -> None:
    connect(pg.url)
    database = find_database("erp")
    for form in (SECRET, "sesam%2F%40%C3%B6ffne%20dich", "sesam%2F%40%C3%B6ffne dich"):
        assert database.told(OSError(f"what is {form}?")) == "what is ***?"


STORES = {
    # store_code, name, format, city, district, area_m2, opened_on, closed_on, is_test, updated_at
    "postgresql": """create type kind as enum ('BIG', 'SMALL');
        create table stores (store_code char(6), name text, format kind, city json, district interval,
            area_m2 money, opened_on timestamp, closed_on date, is_test bool, updated_at timestamptz);
        insert into stores values
            ('S1', '龘䶮😀', 'BIG', '{"a": 1}', '1 day', 1234.5, '2010-01-01', null, true,
                '2017-03-30 20:00:00.25+00'),
            ('S2', 'x', 'SMALL', null, null, null, '2010-01-02', 'infinity', false,
                '1986-07-01 00:00:00+00')""",
    "mysql": """create table stores (store_code char(6), name varchar(20), format enum('BIG', 'SMALL'),
            city json, district varchar(9), area_m2 decimal(12, 3), opened_on datetime,
            closed_on date, is_test bit(1), updated_at timestamp(2));
        set time_zone = '+00:00'; set sql_mode = '';
        insert into stores values
            ('S1', '龘䶮😀', 'BIG', '{"a": 1}', '1 day', 1234.5, '2010-01-01', null, b'1',
                '2017-03-30 20:00:00.25'),
            ('S2', 'x', 'SMALL', null, null, null, '2010-01-02', '0000-00-00', b'0',
                '1986-07-01 00:00:00')""",
}


@pytest.fixture
def stores(server: Server) -> None:
    """A table with the types that tempt a reader to guess."""
    cascade = "; drop type if exists kind" if server.kind == "postgresql" else ""
    statements = f"drop table if exists stores{cascade}; {STORES[server.kind]}"
    server.run(*statements.split(";"))


def test_values_come_as_the_contract_reads_them(
    server: Server, house: House, connect: Connect, stores: None
) -> None:
    connect(server.url, store={"query": "select * from stores order by store_code"})
    result = fetch(house, "store")
    house.take_in()
    [meta] = house.settings.batches.glob("store/*/rows.parquet")
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"""select store_code, name, format, city, district, area_m2::varchar, opened_on::varchar,
                closed_on, is_test, updated_at::varchar, _bad
            from '{meta}' order by store_code"""
        ).fetchall()
    summer = server.kind == "postgresql"  # Shanghai had summer time in 1986; an offset has none
    assert rows == [
        ("S1", "龘䶮😀", "BIG", '{"a": 1}', "1 day", "1234.50", "2010-01-01", None, 1,
            "2017-03-31 04:00:00.25", None),
        ("S2", "x", "SMALL", None, None, None, "2010-01-02", None, 0,
            f"1986-07-01 0{9 if summer else 8}:00:00", ["closed_on"]),
    ]  # fmt: skip
    assert result.rows == 2


def test_since_is_meant_in_the_time_of_the_company(
    server: Server, house: House, connect: Connect, stores: None
) -> None:
    query = "select * from stores where updated_at >= :since"
    source = {"query": query, "watermark": "updated_at", "start": "2017-03-31"}
    connect(server.url, store=source)  # 20:00 in London the day before is 04:00 in Shanghai
    result = fetch(house, "store")
    assert (result.rows, result.watermark) == (1, "2017-03-31 04:00:00.25")


def test_bytes_are_refused(server: Server, house: House, connect: Connect) -> None:
    kind = "bytea" if server.kind == "postgresql" else "binary"
    connect(
        server.url,
        store={"query": f"select cast('x' as {kind}) as name, 'S1' as store_code, 'y' as city"},
    )
    assert "the column(s) name hold bytes, not text" in refusal(house, "store")


def test_text_that_is_not_what_the_server_says_is_told(
    pg: Server, house: House, connect: Connect
) -> None:
    pg.run(
        "drop database if exists old", "create database old encoding 'sql_ascii' template template0"
    )
    url = pg.url.replace("/erp?", "/old?")
    name = "convert_from('\\x" + "王".encode("gb18030").hex() + "', 'sql_ascii')"
    connect(url, store={"query": f"select 'S1' as store_code, {name} as name"})
    assert 'invalid byte sequence for encoding "UTF8": 0xcd 0xf5' in refusal(house, "store")


def test_utc_times_are_turned_once(server: Server, house: House, connect: Connect) -> None:
    query = """select 'A1' as response_id, 'Q1' as question_id, 1 as option_seq, 'V1' as survey_id,
        7 as answer_num, timestamp '2017-03-30 20:00:00' as submitted_at"""
    connect(server.url, survey_answer={"query": query})
    path = house.settings.contracts / "survey_answer.yml"
    path.write_text(path.read_text().replace("submitted_at: {", "submitted_at: {utc: true, "))
    fetch(house, "survey_answer")
    house.take_in()
    [(at,)] = house.query("select submitted_at::varchar from raw.survey_answer")
    assert at == "2017-03-31 04:00:00"


def test_a_local_timestamp_is_not_taken_for_utc(
    maria: Server, house: House, connect: Connect
) -> None:
    maria.run("drop table if exists answers", "create table answers (submitted_at timestamp)")
    connect(maria.url, survey_answer={"query": "select * from answers"})
    path = house.settings.contracts / "survey_answer.yml"
    path.write_text(path.read_text().replace("submitted_at: {", "submitted_at: {utc: true, "))
    assert "submitted_at are of type timestamp" in refusal(house, "survey_answer")


def test_summer_time_needs_the_zones_in_the_server(
    maria: Server, house: House, connect: Connect
) -> None:
    house.settings.timezone = "America/New_York"
    connect(maria.url, complaint_event={"query": "select 1 as seq"})
    assert "mysql_tzinfo_to_sql" in refusal(house)


MEASURE = """
import resource, sys
from pathlib import Path
from kehu.collect import collect_feed
from kehu.feeds import read_contracts
from kehu.settings import Settings
settings = Settings()
contract = read_contracts(settings.contracts)["complaint_event"]
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
small = contract.source.model_copy(update={"query": contract.source.query + " limit 40000"})
collect_feed(settings, contract.model_copy(update={"source": small}))
before = peak()
result = collect_feed(settings, contract)
print(result.rows, peak() - before, (settings.home / result.path).stat().st_size)
"""


def test_a_large_result_needs_no_more_memory_than_a_small_one(
    server: Server, house: House, connect: Connect
) -> None:
    rows, limit = (1_000_000, 120) if server.kind == "postgresql" else (200_000, 60)
    query = NUMBERS[server.kind].replace("20000000", str(rows))
    connect(server.url, complaint_event={"query": query})
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    count, growth, _ = map(int, done.stdout.split())
    assert count == rows
    # whole in memory they would be hundreds and 130 MB more
    assert growth < limit, f"{growth} MB more for {rows:,} rows"


@pytest.fixture
def kehu(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that runs `kehu` with some arguments: exit code and what was printed."""
    from rich.console import Console

    def run(*arguments: str, code: int = 0) -> str:
        monkeypatch.setattr(source_cli, "out", Console(width=400))
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == code, result.output
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return str(result.output)

    return run


def test_source_check_holds_the_query_against_the_contract_and_shows_nothing_personal(
    server: Server, house: House, connect: Connect, kehu: Any
) -> None:
    assert "no feed has a database" in kehu("source", "check", code=1)
    make_table(server, "member", [valid("member", name="王芳", address="大街")])
    connect(server.url, member={"query": "select m.*, 'geheim' as remark from member as m"})
    text = kehu("source", "check", "member")
    assert "member from erp (shop@" in text and "1 sample rows" in text
    lines = {line.split("│")[1].strip(): line for line in text.splitlines() if line.count("│") > 3}
    assert "M1" in lines["member_id"] and "varchar(20)" in lines["member_id"]
    assert "(personal)" in lines["phone"]
    assert "unknown" in lines["remark"]
    for private in ("王芳", "大街", "13800138000", "1980-05-01", "geheim", "sesam"):
        assert private not in text

    connect(
        server.url,
        member={"query": "select member_id, status, 'gestern' as enrolled_on from member"},
    )
    text = kehu("source", "check", "member", code=69)
    assert "the query does not give customer_type, updated_at" in text
    assert "not date: 1 of 1" in text

    connect(server.url, member={"query": "select 'gestern' as enrolled_on, member_id, customer_type, "
                                "status, updated_at from member"})  # fmt: skip
    assert "values of enrolled_on are not of the contract's type" in kehu(
        "source", "check", code=69
    )
    assert "no feed 'x'" in kehu("source", "check", "x", code=1)
    assert "store has no database" in kehu("source", "check", "store", code=1)


def test_source_collect_lays_a_file_for_the_next_night(
    pg: Server, house: House, connect: Connect, kehu: Any
) -> None:
    make_table(pg, "complaint_event", [valid("complaint_event")])
    connect(
        pg.url,
        complaint_event={
            "query": "select * from complaint_event where occurred_at >= :since",
            "watermark": "occurred_at",
        },
    )
    text = kehu("source", "collect", "--since", "2017-03-31")
    assert "complaint_event: 0 rows since 2017-03-31 00:00:00" in text
    assert "1 rows since 1900-01-01 00:00:00" in kehu("source", "collect", "complaint_event")
    assert [b["status"] for b in house.take_in().values()] == ["LOADED"]
    pg.run("drop table complaint_event")
    assert "does not exist" in kehu("source", "collect", code=69)


def test_a_connection_may_be_written_as_airflow_writes_them(
    server: Server, house: House, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(server.url, complaint_event={"query": "select 1 as seq"})
    monkeypatch.delenv("KEHU_CONNECTION_ERP")
    monkeypatch.setenv("AIRFLOW_CONN_ERP", server.url)
    assert fetch(house).rows == 1

    url = find_database("erp").url
    parts = {
        "conn_type": "postgres" if server.kind == "postgresql" else "mysql",
        "login": "shop",
        "password": SECRET,
        "host": url.host,
        "port": url.port,
        "schema": "erp",
        "extra": {"cursor": "dictcursor", **url.query},
    }
    monkeypatch.setenv("AIRFLOW_CONN_ERP", json.dumps(parts))
    assert fetch(house).rows == 1
    monkeypatch.setenv("AIRFLOW_CONN_ERP", json.dumps(parts | {"password": "falsch"}))
    assert "falsch" not in refusal(house)
