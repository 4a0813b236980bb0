"""Feeds from real databases: what is collected, how far, and that it equals the same data as a file."""

from __future__ import annotations

import json
import resource
import shutil
from datetime import date
from typing import Any

import pytest
from collect.conftest import Connect
from collect.servers import Server
from collect.tables import insert, make_table
from houses import House, Row, as_csv, valid

from kehu import collect, night
from kehu.collect import collect_feed
from kehu.errors import CheckFailed, SourceFailed
from kehu.feeds import Contract, read_contracts

ASK = "select * from complaint_event where occurred_at >= :since order by occurred_at, seq"
EVENTS: dict[str, Any] = {"query": ASK, "watermark": "occurred_at", "look_back_days": 1}
SALES: dict[str, Any] = {
    "query": """select * from sales_line where business_date >= :since
        order by store_code, business_date, till_no, receipt_no, line_no""",
    "watermark": "business_date",
    "look_back_days": 2,
}


def event(no: str, at: str, **changes: str | None) -> Row:
    return valid("complaint_event", complaint_no=no, occurred_at=at, **changes)


def collect_in(house: House) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Collect, then take in what there is: what each feed gave, and what became of each file."""
    report = night.collect(night.ALL, night.new_run_id(house.settings))
    assert report["failed"] == {}
    return report["feeds"], house.take_in()


def contract_of(house: House, feed: str) -> Contract:
    return read_contracts(house.settings.contracts)[feed]


def files(house: House) -> list[str]:
    """What lies in the folder of collected files, locks aside."""
    found = house.settings.collected.rglob("*")
    return sorted(p.name for p in found if p.is_file() and p.name != ".lock")


def test_only_what_is_new_is_asked_for_and_late_rows_within_the_look_back_still_come(
    server: Server, house: House, connect: Connect
) -> None:
    make_table(
        server,
        "complaint_event",
        [event("T1", "2017-03-30 10:00:00"), event("T2", "2017-03-31 09:00:00.5")],
    )
    connect(server.url, complaint_event=EVENTS)

    feeds, taken = collect_in(house)
    first = feeds["complaint_event"]
    assert (first["since"], first["rows"]) == ("1900-01-01 00:00:00", 2)
    assert first["watermark"] == "2017-03-31 09:00:00.5"
    assert {p: (b["status"], b["rows_loaded"]) for p, b in taken.items()} == {
        first["path"]: ("LOADED", 2)
    }
    assert first["path"].startswith("collected/complaint_event/complaint_event_19000101T000000_")

    # one is new, one late by less than a day, one late by more
    late = [event("T4", "2017-03-30 09:00:00.5"), event("T5", "2017-03-30 09:00:00.4")]
    insert(server, "complaint_event", [event("T3", "2017-04-01 08:00:00"), *late])
    feeds, taken = collect_in(house)
    second = feeds["complaint_event"]
    assert (second["since"], second["rows"]) == ("2017-03-30 09:00:00.500000", 4)
    assert [(b["rows_loaded"], b["rows_skipped"]) for b in taken.values()] == [(2, 2)]
    found = house.query("select complaint_no from raw.complaint_event order by 1")
    assert found == [("T1",), ("T2",), ("T3",), ("T4",)]
    # what is loaded lies in the archive, and nowhere else
    assert len(files(house)) == 2


def test_no_row_is_no_file_and_the_same_rows_are_skipped(
    pg: Server, house: House, connect: Connect
) -> None:
    make_table(pg, "complaint_event", [])
    connect(pg.url, complaint_event=EVENTS)
    feeds, taken = collect_in(house)
    assert feeds["complaint_event"]["path"] is None
    assert taken == {} and files(house) == []

    insert(pg, "complaint_event", [event("T1", "2017-03-30 10:00:00")])
    collect_in(house)
    for _ in range(2):
        _, taken = collect_in(house)
        assert [b["status"] for b in taken.values()] == ["SKIPPED"]
        assert len(files(house)) == 2  # those before are cleared


def test_equal_rows_make_equal_bytes_in_whatever_portions_they_come(
    maria: Server, house: House, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect, "ROW_GROUP", 10)
    numbers = (
        "select concat('T', seq) as complaint_no, 1 as seq, '来电' as note, {at} as occurred_at"
    )
    query = (
        numbers.format(at="date'2017-03-30'")
        + ", 'RECEIVED' as event, 1 as level, 'S' as actor_type"
    )
    digests = set()
    for portion in (1, 7, 10, 95):
        connect(
            maria.url,
            complaint_event={"query": f"{query} from seq_1_to_95", "batch_rows": portion},
        )
        result = collect_feed(house.settings, contract_of(house, "complaint_event"))
        assert result.rows == 95
        manifest = house.settings.home / f"{result.path}.manifest.json"
        digests.add(json.loads(manifest.read_text())["sha256"])
    assert len(digests) == 1


def test_how_far_a_feed_is_collected_is_known_without_the_collected_files(
    pg: Server, house: House, connect: Connect
) -> None:
    make_table(pg, "complaint_event", [event("T1", "2017-03-30 10:00:00")])
    connect(pg.url, complaint_event=EVENTS)
    collect_in(house)
    shutil.rmtree(house.settings.collected)
    feeds, _ = collect_in(house)
    assert feeds["complaint_event"]["since"] == "2017-03-29 10:00:00"

    # without a ledger, as in a rebuild that failed, all is asked for again, and nothing is doubled
    shutil.rmtree(house.settings.reference)
    feeds, _ = collect_in(house)
    assert feeds["complaint_event"]["since"] == "1900-01-01 00:00:00"
    assert house.query("select count(*) from raw.complaint_event") == [(1,)]

    connect(pg.url, complaint_event={**EVENTS, "look_back_days": 0})
    assert collect_in(house)[0]["complaint_event"]["since"] == "2017-03-30 10:00:00"


def test_what_is_refused_is_collected_again_until_it_is_right(
    pg: Server, house: House, connect: Connect
) -> None:
    make_table(pg, "complaint_event", [event("T1", "2017-03-30 10:00:00", event="NONSENSE")])
    connect(pg.url, complaint_event=EVENTS)
    _, taken = collect_in(house)
    assert [b["status"] for b in taken.values()] == ["REFUSED"]
    pg.run("update complaint_event set event = 'RECEIVED'")
    insert(pg, "complaint_event", [event("T2", "2017-04-02 10:00:00")])

    feeds, taken = collect_in(house)
    assert feeds["complaint_event"]["since"] == "1900-01-01 00:00:00"
    assert [(b["status"], b["rows_loaded"]) for b in taken.values()] == [("LOADED", 2)]
    assert len(files(house)) == 2  # the refused one is in the archive, and not judged again


def test_a_row_from_the_future_does_not_end_collecting(
    pg: Server, house: House, connect: Connect, clock: None
) -> None:
    rows = [event("T1", "2017-03-31 10:00:00"), event("T2", "2099-01-01 00:00:00")]
    make_table(pg, "complaint_event", rows)
    connect(pg.url, complaint_event=EVENTS)
    run = night.new_run_id(house.settings)
    result = night.collect(night.ALL, run)["feeds"]["complaint_event"]
    assert (result["rows"], result["watermark"]) == (2, "2017-03-31 10:00:00")


def test_store_days_are_asked_for_whole_and_a_late_receipt_replaces_its_day(
    maria: Server, house: House, connect: Connect
) -> None:
    def line(day: str, receipt: str, amount: str = "10.00") -> Row:
        return valid(
            "sales_line",
            business_date=day,
            sold_at=f"{day} 10:00:00",
            receipt_no=receipt,
            batch_no=None,
            net_amount=amount,
            gross_amount=amount,
            discount_amount="0",
        )

    make_table(maria, "sales_line", [line(f"2017-03-{d}", "R1") for d in (27, 28, 29, 30)])
    connect(maria.url, sales_line=SALES)
    feeds, taken = collect_in(house)
    assert (feeds["sales_line"]["since"], feeds["sales_line"]["watermark"]) == (
        "1900-01-01",
        "2017-03-30",
    )
    [path] = taken
    beside = house.settings.home / f"{path}.manifest.json"
    assert json.loads(beside.read_text())["control_sum"] == "40.00"

    insert(maria, "sales_line", [line("2017-03-29", "R2", "0.50"), line("2017-03-31", "R1")])
    insert(maria, "sales_line", [line("2017-03-27", "R2")])  # beyond the look-back
    feeds, taken = collect_in(house)
    assert (feeds["sales_line"]["since"], feeds["sales_line"]["rows"]) == ("2017-03-28", 5)
    assert [b["status"] for b in taken.values()] == ["LOADED"]
    assert house.query(
        """select strftime(business_date, '%d'), count(*), sum(net_amount)::varchar
        from raw.sales_line group by all order by 1"""
    ) == [
        ("27", 1, "10.00"),
        ("28", 1, "10.00"),
        ("29", 2, "10.50"),
        ("30", 1, "10.00"),
        ("31", 1, "10.00"),
    ]
    assert house.query("select count(*) from ops.store_day where status = 'CURRENT'") == [(5,)]


def test_a_database_asked_again_from_a_day_gives_what_was_loaded_before(
    pg: Server, house: House, connect: Connect
) -> None:
    make_table(pg, "complaint_event", [event("T1", "2017-03-30 10:00:00")])
    connect(pg.url, complaint_event=EVENTS)
    collect_in(house)
    insert(pg, "complaint_event", [event("T0", "2017-01-05 10:00:00")])
    contract = contract_of(house, "complaint_event")
    assert collect_feed(house.settings, contract).rows == 1
    again = collect_feed(house.settings, contract, date(2017, 1, 5))
    assert (again.since, again.rows) == ("2017-01-05 00:00:00", 2)
    house.take_in()
    assert house.query("select count(*) from raw.complaint_event") == [(2,)]
    # the watermark stays the highest that is loaded
    assert collect_feed(house.settings, contract).since == "2017-03-29 10:00:00"


def test_the_same_data_as_a_file_and_from_the_database_are_the_same_rows(
    server: Server, house: House, connect: Connect
) -> None:
    members = [
        valid("member"),
        valid("member", member_id="M2", name="䶮㛃·王 😀", address='"甲",\n乙;\\', phone=None),
        valid("member", member_id="M3", birth_date="1986-06-15", updated_at="2017-01-01 00:00:00"),
        valid(
            "member", member_id="M4", name=" 王 ", email="", updated_at="2017-01-01 08:09:10.123456"
        ),
    ]
    products = [
        valid("product", vat_rate="0.130"),
        valid("product", sku_code="0001", name="１２㎏①", vat_rate="0", is_weighed="1"),
        valid("product", sku_code="0002", launched_on=None, brand=None),
    ]
    sales = [
        valid("sales_line", batch_no=None),
        valid(
            "sales_line", receipt_no="R2", batch_no=None, qty="-0.125", unit_price="12345678.1234",
            net_amount="-9999999999999999.99", gross_amount="-9999999999999999.99",
            discount_amount="0", receipt_type="RETURN", card_no="999999", cost_amount=None,
        ),
    ]  # fmt: skip
    rows = {"member": members, "product": products, "sales_line": sales}
    orders = {"member": "member_id", "product": "sku_code", "sales_line": "receipt_no"}
    for feed, given in rows.items():
        house.drop(feed, as_csv(given), manifest={"generated_at": "2017-04-01T01:00:00"})
        make_table(server, feed, given)
    assert {b["status"] for b in house.take_in().values()} == {"LOADED"}

    def loaded() -> list[list[tuple[Any, ...]]]:
        found = []
        for table in ("raw.member", "pii.member", "raw.product", "raw.sales_line"):
            key = orders[table.split(".")[1]]
            found.append(
                house.query(f"select * exclude (_batch_id, _line) from {table} order by {key}")
                if not table.startswith("pii")
                else house.query(f"select * exclude (_batch_id) from {table} order by {key}")
            )
        return found

    as_files = loaded()
    assert [len(part) for part in as_files] == [4, 4, 3, 2]
    connect(
        server.url,
        **{feed: {"query": f"select * from {feed} order by {orders[feed]}"} for feed in rows},
    )
    _, taken = collect_in(house)
    assert {b["feed"]: (b["status"], b["rows_skipped"]) for b in taken.values()} == {
        "member": ("LOADED", 4),  # the very same versions
        "product": ("LOADED", 3),
        "sales_line": ("LOADED", 0),  # a newer version of the store-day
    }
    assert loaded() == as_files
    assert {b["rows_quarantined"] for b in taken.values()} == {0}


def test_two_feeds_one_of_which_fails_and_is_tried_alone_the_next_time(
    pg: Server, house: House, connect: Connect
) -> None:
    make_table(pg, "complaint_event", [event("T1", "2017-03-30 10:00:00")])
    make_table(pg, "store", [valid("store")])
    connect(
        pg.url, complaint_event={"query": "select * from nowhere"}, store={"query": "table store"}
    )
    run = night.new_run_id(house.settings)
    report = night.collect(night.ALL, run)
    assert list(report["feeds"]) == ["store"]
    assert 'relation "nowhere" does not exist' in report["failed"]["complaint_event"]
    with pytest.raises(SourceFailed, match="nowhere"):
        night.require_collected(night.ALL, run)
    with pytest.raises(CheckFailed, match=r"Nothing is published without complaint_event"):
        night.require_collected(night.ALL, run, loaded=True)
    assert {b["feed"]: b["rows_loaded"] for b in house.take_in().values()} == {"store": 1}

    connect(pg.url, complaint_event=EVENTS, store={"query": "table gone"})
    report = night.collect(night.ALL, run)
    assert report["failed"] == {}
    assert report["feeds"]["store"]["rows"] == 1  # from before: a run asks each feed once
    night.require_collected(night.ALL, run)
    night.require_collected(night.ALL, run, loaded=True)


def test_a_night_without_a_source_loads_the_files_and_publishes_nothing(
    house: House, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect("postgresql://shop:x@127.0.0.1:1/erp", complaint_event=EVENTS)
    with pytest.raises(CheckFailed, match="no connection to erp"):
        night.night(date(2017, 3, 31))
    assert not house.settings.published.exists()
    steps = [json.loads(x) for x in (house.settings.log / "steps.jsonl").read_text().splitlines()]
    assert [s["step"] for s in steps if s["state"] == "failed"] == ["collect:complaint_event"]
    assert [s["step"] for s in steps if s["state"] == "end"][-2:] == ["gate:all", "load:all"]
    assert not [s for s in steps if s["step"].startswith("dbt")]

    # who would rather have marts without them says so
    monkeypatch.setenv("KEHU_PUBLISH_WITHOUT_SOURCES", "1")
    night.require_collected(night.ALL, steps[-1]["run_id"], loaded=True)


def test_feeds_without_a_source_cost_nothing(house: House) -> None:
    run = night.new_run_id(house.settings)
    assert night.collect(night.ALL, run) == {"feeds": {}, "failed": {}}
    assert not house.settings.collected.exists()


def test_a_crash_leaves_nothing_that_a_night_reads_and_the_next_collect_clears_it(
    pg: Server, house: House, connect: Connect
) -> None:
    make_table(pg, "complaint_event", [event("T1", "2017-03-30 10:00:00")])
    connect(pg.url, complaint_event=EVENTS)
    folder = house.settings.collected / "complaint_event"
    folder.mkdir(parents=True)
    (folder / ".complaint_event_x.parquet.tmp").write_bytes(b"PAR1")
    (folder / "complaint_event_x.parquet.manifest.json").write_text("{}")
    assert house.take_in() == {}
    _, taken = collect_in(house)
    assert [b["status"] for b in taken.values()] == ["LOADED"]
    assert len(files(house)) == 2


def test_a_full_disk_is_told_and_leaves_nothing(pg: Server, house: House, connect: Connect) -> None:
    numbers = "select md5(n::text) as complaint_no from generate_series(1, 300000) as n"
    connect(pg.url, complaint_event={"query": numbers})
    contract = contract_of(house, "complaint_event")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, hard))
    try:
        with pytest.raises(SourceFailed, match=r"can not be written: .*; make room"):
            collect_feed(house.settings, contract)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files(house) == []
    assert collect_feed(house.settings, contract).rows == 300_000
