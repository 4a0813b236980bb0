"""Feeds from real databases: what is collected, how far, and what a broken connection leaves."""

from __future__ import annotations

from collect.conftest import Connect
from collect.servers import Server
from houses import House

from kehu import night

EVENTS = """create table complaint_event (
    complaint_no varchar(32) not null, seq integer not null, occurred_at {timestamp} not null,
    event varchar(16), level smallint, actor_type varchar(32), staff_no varchar(32), note varchar(500)
)"""
ASK = "select * from complaint_event where occurred_at >= :since order by occurred_at, seq"
SOURCE = {"query": ASK, "watermark": "occurred_at", "look_back_days": 1}


def table_of(server: Server, name: str, ddl: str) -> None:
    timestamp = "timestamp" if server.kind == "postgresql" else "datetime(6)"
    server.run(f"drop table if exists {name}", ddl.format(timestamp=timestamp))


def event(no: str, seq: int, at: str, note: str = "来电") -> str:
    return (
        "insert into complaint_event values "
        f"('{no}', {seq}, '{at}', 'RECEIVED', 1, 'STAFF', 'E1', '{note}')"
    )


def collect_in(house: House) -> tuple[dict[str, object], dict[str, dict[str, object]]]:
    """Collect, then take in what there is; the report, and what became of each file."""
    run_id = night.new_run_id(house.settings)
    report = night.collect(night.ALL, run_id)
    assert report["failed"] == {}, report
    return report, house.take_in()


def test_only_what_is_new_is_asked_for_and_late_rows_within_the_look_back_still_come(
    server: Server, house: House, connect: Connect
) -> None:
    table_of(server, "complaint_event", EVENTS)
    server.run(event("T1", 1, "2017-03-30 10:00:00"), event("T2", 1, "2017-03-31 09:00:00"))
    connect(server.url, complaint_event=SOURCE)

    report, taken = collect_in(house)
    first = report["feeds"]["complaint_event"]
    assert (first["since"], first["rows"]) == ("1900-01-01 00:00:00", 2)
    assert first["watermark"] == "2017-03-31 09:00:00"
    assert {p: (b["status"], b["rows_loaded"]) for p, b in taken.items()} == {
        first["path"]: ("LOADED", 2)
    }
    assert first["path"].startswith("collected/complaint_event/complaint_event_19000101T000000_")

    # one is new, one late by less than a day, one late by more
    server.run(
        event("T3", 1, "2017-04-01 08:00:00"),
        event("T4", 1, "2017-03-30 09:00:00"),
        event("T5", 1, "2017-03-30 08:59:59"),
    )
    report, taken = collect_in(house)
    second = report["feeds"]["complaint_event"]
    assert (second["since"], second["rows"]) == ("2017-03-30 09:00:00", 4)
    assert [(b["rows_loaded"], b["rows_skipped"]) for b in taken.values()] == [(2, 2)]
    found = house.query("select complaint_no from raw.complaint_event order by 1")
    assert found == [("T1",), ("T2",), ("T3",), ("T4",)]


def test_nothing_new_is_the_same_file_and_no_row_is_no_file(
    server: Server, house: House, connect: Connect
) -> None:
    table_of(server, "complaint_event", EVENTS)
    connect(server.url, complaint_event=SOURCE)
    report, taken = collect_in(house)
    assert report["feeds"]["complaint_event"]["path"] is None
    assert taken == {}

    server.run(event("T1", 1, "2017-03-30 10:00:00"))
    collect_in(house)
    house.settings.collected.joinpath("complaint_event")
    report, taken = collect_in(house)  # since is another one now, the rows are the same
    assert [b["status"] for b in taken.values()] == ["SKIPPED"]
    left = sorted(house.settings.collected.rglob("*.parquet"))
    assert [f"collected/complaint_event/{p.name}" for p in left] == list(taken)
