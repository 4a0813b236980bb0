"""Load: what becomes of each row of each file, whatever the order in which files arrive."""

from __future__ import annotations

import itertools
import json
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from houses import CONTRACTS, VALID, House, Row, make_house, valid
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kehu import night
from kehu.errors import KehuError
from kehu.extract.batch import read_meta
from kehu.load import load_batch
from kehu.warehouse import lineage, open_warehouse, writer_lock

DAY = "2017-03-31"


def line(number: int, store: str = "S1", batch_no: str = "", **changes: str) -> Row:
    return valid(
        "sales_line",
        store_code=store,
        receipt_no=f"R{number}",
        batch_no=batch_no,
        **changes,
    )


def sent(at: str, **more: Any) -> dict[str, Any]:
    """A manifest that says when the file was made."""
    return {"generated_at": f"{at}T01:00:00"} | more


def receipts(house: House) -> list[tuple[str, str]]:
    rows = house.query("select store_code, receipt_no from raw.sales_line order by all")
    return [(store, receipt) for store, receipt in rows]


def store_days(house: House) -> dict[tuple[str, str], str]:
    rows = house.query(
        "select path, s.store_code, s.status from ops.store_day as s join ops.batch using (batch_id)"
    )
    return {(path, store): status for path, store, status in rows}


def adds_up(batch: dict[str, Any]) -> bool:
    """Each row that came in is in exactly one place."""
    parts = ("loaded", "quarantined", "superseded", "skipped", "refused")
    return bool(batch["rows_in"] == sum(batch[f"rows_{part}"] for part in parts))


# --- sales ------------------------------------------------------------------------------------


def test_a_resend_replaces_its_store_days_and_no_other(house: House) -> None:
    first = house.drop("sales_line", [line(1), line(2), line(3, "S2")], "a.csv", sent("2017-04-01"))
    house.take_in()
    second = house.drop("sales_line", [line(1), line(4)], "b.csv", sent("2017-04-02"))
    done = house.take_in()
    assert list(done) == [second]
    assert (done[second]["status"], done[second]["rows_loaded"]) == ("LOADED", 2)
    assert receipts(house) == [("S1", "R1"), ("S1", "R4"), ("S2", "R3")]
    assert store_days(house) == {
        (first, "S1"): "REPLACED",
        (first, "S2"): "CURRENT",
        (second, "S1"): "CURRENT",
    }


VERSIONS: dict[str, list[tuple[str, dict[str, Any] | None]]] = {
    # (batch_no, manifest) from the lowest version to the highest
    "batch_no": [("1", None), ("2", None), ("10", None)],
    "batch_no before generated_at": [("1", sent("2017-04-09")), ("2", sent("2017-04-01"))],
    "generated_at where batch_no is the same": [
        ("1", sent("2017-04-01")),
        ("1", sent("2017-04-02")),
    ],
    "generated_at": [("", sent("2017-04-01")), ("", sent("2017-04-02")), ("", sent("2017-04-03"))],
    "a version against none": [("", None), ("", sent("2017-04-01")), ("1", None)],
}


@pytest.mark.parametrize("case", sorted(VERSIONS))
def test_the_highest_version_wins_in_any_order(
    case: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = VERSIONS[case]
    orders = list(itertools.permutations(range(len(versions))))
    for order in orders[-2:]:
        house = new_house(tmp_path_factory, monkeypatch)
        for i in order:
            number, manifest = versions[i]
            house.drop("sales_line", [line(i, batch_no=number)], f"v{i}.csv", manifest)
            done = house.take_in()[f"sales_line/v{i}.csv"]
            assert adds_up(done)
            late = i < max(order[: order.index(i) + 1])
            assert (done["status"] == "SUPERSEDED") is late
            assert done["rows_superseded"] == (1 if late else 0)
        assert receipts(house) == [("S1", f"R{len(versions) - 1}")]


def new_house(factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> House:
    house = make_house(factory.mktemp("house"))
    monkeypatch.setenv("KEHU_HOME", str(house.settings.home))
    monkeypatch.setenv("KEHU_LANDING", str(house.settings.landing))
    return house


def test_arrival_decides_where_nothing_else_does(house: House) -> None:
    house.drop("sales_line", [line(1)], "a.csv")
    house.take_in()
    house.drop("sales_line", [line(2)], "b.csv")
    house.drop("sales_line", [line(3)], "c.csv")
    done = house.take_in()
    assert receipts(house) == [("S1", "R3")]
    assert all(map(adds_up, done.values()))


def test_a_resend_with_rejects_is_held_until_it_is_released(house: House) -> None:
    clean = house.drop("sales_line", [line(i) for i in range(30)], "a.csv", sent("2017-04-01"))
    house.take_in()
    rows = [line(i + 100, status="?" if i == 7 else "COMPLETED") for i in range(30)]
    dirty = house.drop("sales_line", rows, "b.csv", sent("2017-04-02"))
    done = house.take_in()[dirty]
    assert (done["status"], done["rows_superseded"], done["rows_quarantined"]) == ("HELD", 29, 1)
    assert adds_up(done)
    assert f"kehu replay {done['batch_id']} --waive held" in done["message"]
    assert len(receipts(house)) == 30
    assert store_days(house) == {(clean, "S1"): "CURRENT", (dirty, "S1"): "HELD"}

    assert house.take_in() == {}  # what is held waits for a person, not for the next night
    night.waive(done["batch_id"], ["held"], "the till is mended", "tester")
    again = house.take_in(replay=[done["batch_id"]])[dirty]
    assert (again["status"], again["rows_loaded"], again["rows_quarantined"]) == ("LOADED", 29, 1)
    assert store_days(house) == {(clean, "S1"): "REPLACED", (dirty, "S1"): "CURRENT"}
    assert ("S1", "R100") in receipts(house)
    [(waived,)] = house.query(f"select waived from ops.batch where path = '{dirty}'")
    assert "held by tester" in waived
    assert "the till is mended" in waived


def test_rejects_in_the_first_delivery_load_and_a_clean_one_wins_whenever_it_comes(
    house: House,
) -> None:
    rows = [line(i, status="?" if i == 7 else "COMPLETED") for i in range(30)]
    dirty = house.drop("sales_line", rows, "a.csv", sent("2017-04-05"))
    assert house.take_in()[dirty]["status"] == "LOADED"
    assert len(receipts(house)) == 29
    clean = house.drop("sales_line", [line(500)], "b.csv", sent("2017-04-01"))
    assert house.take_in()[clean]["status"] == "LOADED"
    assert receipts(house) == [("S1", "R500")]
    assert store_days(house)[dirty, "S1"] == "HELD"


def test_a_row_that_names_no_store_makes_every_store_day_of_its_file_unclean(house: House) -> None:
    house.drop("sales_line", [line(1), line(2, "S2")], "a.csv", sent("2017-04-01"))
    house.take_in()
    rows = [line(i, f"S{i % 2 + 1}") for i in range(40)] + [line(99, "")]
    late = house.drop("sales_line", rows, "b.csv", sent("2017-04-02"))
    assert house.take_in()[late]["status"] == "HELD"


def test_a_receipt_that_lost_a_line_is_flagged_in_raw(house: House) -> None:
    rows = [line(i) for i in range(30)]
    rows += [line(50, line_no="1"), line(50, line_no="2", qty="x")]
    house.drop("sales_line", rows)
    house.take_in()
    assert house.query("select receipt_no from raw.sales_line where _is_incomplete") == [("R50",)]


def test_a_store_day_is_emptied_by_a_declared_header_only_file(house: House) -> None:
    first = house.drop("sales_line", [line(1), line(2, "S2")], "a.csv", sent("2017-04-01"))
    house.take_in()
    empty = house.drop(
        "sales_line", [], "b.csv", sent("2017-04-02", store_days=[["S1", DAY]], control_sum="0")
    )
    done = house.take_in()[empty]
    assert (done["status"], done["rows_in"]) == ("LOADED", 0)
    assert receipts(house) == [("S2", "R2")]
    assert store_days(house)[first, "S1"] == "REPLACED"
    assert house.query(
        "select count_rows from ops.store_day where status = 'CURRENT' order by 1"
    ) == [
        (0,),
        (1,),
    ]


def test_a_source_that_numbers_its_batches_can_empty_a_store_day(house: House) -> None:
    house.drop("sales_line", [line(1, batch_no="3")], "a.csv", sent("2017-04-01"))
    house.take_in()
    declared = {"store_days": [["S1", DAY]]}
    late = house.drop("sales_line", [], "b.csv", sent("2017-04-02", batch_no=2, **declared))
    assert house.take_in()[late]["status"] == "SUPERSEDED"
    columns = [
        n for n in VALID["sales_line"] if n != "promo_code"
    ]  # the same bytes are the same batch
    newer = house.drop(
        "sales_line",
        [],
        "c.csv",
        columns=columns,
        manifest=sent("2017-04-02", batch_no=4, **declared),
    )
    assert house.take_in()[newer]["status"] == "LOADED"
    assert receipts(house) == []


def test_the_same_bytes_for_other_store_days_are_another_batch(house: House) -> None:
    first = house.drop("sales_line", [], "a.csv", sent("2017-04-01", store_days=[["S1", DAY]]))
    second = house.drop("sales_line", [], "b.csv", sent("2017-04-01", store_days=[["S2", DAY]]))
    done = house.take_in()
    assert [done[p]["status"] for p in (first, second)] == ["LOADED", "LOADED"]
    assert set(store_days(house).values()) == {"CURRENT"}
    assert len(store_days(house)) == 2


def test_the_same_file_again_is_skipped_wherever_it_lies(house: House) -> None:
    first = house.drop("sales_line", [line(1)], "a.csv", sent("2017-04-01", simulated=True))
    copy = house.drop("sales_line", [line(1)], "copy/b.csv")
    done = house.take_in()
    assert (done[first]["status"], done[copy]["status"]) == ("LOADED", "SKIPPED")
    assert all(map(adds_up, done.values()))
    assert house.take_in() == {}
    third = house.drop("sales_line", [line(1)], "c.csv")
    done = house.take_in()
    assert (done[third]["status"], done[third]["rows_skipped"]) == ("SKIPPED", 1)
    assert receipts(house) == [("S1", "R1")]
    assert house.query("select path, is_simulated from ops.batch") == [(first, True)]
    # a copy without the manifest must not change what a rebuild would make of the batch
    [card] = (house.settings.archive / "sales_line").glob("??/sales_line-*.json")
    assert "2017-04-01T01:00:00" in card.read_text()


def test_loading_a_batch_twice_is_loading_it_once(house: House) -> None:
    sales = house.drop("sales_line", [line(1), line(2)], "a.csv", sent("2017-04-01"))
    master = house.drop("member", [valid("member")])
    done = house.take_in()

    def everything() -> list[Any]:
        tables = ("raw.sales_line", "raw.member", "pii.member", "ops.store_day", "quarantine.row")
        return [house.query(f"from {t} order by all") for t in tables]

    before = everything()
    with (
        writer_lock(house.settings, "test"),
        open_warehouse(house.settings, CONTRACTS) as connection,
    ):
        for path in (sales, master):
            folder = house.settings.batches / path.split("/")[0] / done[path]["batch_id"]
            meta = read_meta(folder)
            load_batch(connection, house.settings, CONTRACTS, meta, folder, "again")
    assert everything() == before
    house.take_in(replay=[done[sales]["batch_id"], done[master]["batch_id"]])
    assert everything() == before


# --- versions and events ----------------------------------------------------------------------

UNDATED = {"updated_at": ""}
DELIVERIES: list[tuple[str, list[Row], dict[str, Any] | None]] = [
    ("store", [valid("store"), valid("store", store_code="S2", **UNDATED)], sent("2017-04-01")),
    (
        "store",
        [
            valid("store", name="旧", updated_at="2016-01-01 00:00:00"),
            valid("store", store_code="S2", **UNDATED),
        ],
        sent("2017-04-02"),
    ),
    ("store", [valid("store"), valid("store", name="新", updated_at="2017-02-01 00:00:00")],
     sent("2017-04-03")),
    ("complaint_event", [valid("complaint_event")], sent("2017-04-03")),
    (
        "complaint_event",
        [valid("complaint_event"), valid("complaint_event", seq="2", event="RESPONDED")],
        sent("2017-04-01"),
    ),
]  # fmt: skip


def without_lineage(house: House, table: str) -> list[tuple[Any, ...]]:
    return house.query(f"select * exclude (_batch_id, _line) from {table} order by all")


def pii_without_lineage(house: House, table: str) -> list[tuple[Any, ...]]:
    return house.query(f"select * exclude (_batch_id) from {table} order by all")


IN_ORDER: dict[str, Any] = {}


@settings(
    max_examples=4,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(order=st.permutations(range(len(DELIVERIES))), nights=st.integers(1, 5))
def test_any_order_of_arrival_gives_the_same_versions_and_events(
    order: list[int],
    nights: int,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house = new_house(tmp_path_factory, monkeypatch)
    for place, i in enumerate(order):
        feed, rows, manifest = DELIVERIES[i]
        house.drop(feed, rows, f"{i}.csv", manifest)
        if place % nights == nights - 1 or place == len(order) - 1:
            assert all(map(adds_up, house.take_in().values()))
    found = {
        "store": without_lineage(house, "raw.store"),
        "event": without_lineage(house, "raw.complaint_event"),
        "note": pii_without_lineage(house, "pii.complaint_event"),
    }
    # S1 in three versions, S2 undated as sent twice; each event once, from when it was first known
    assert [len(rows) for rows in found.values()] == [5, 2, 2]
    assert found == (IN_ORDER.setdefault("found", found))
    known = house.query("select distinct _version_at::date::varchar from raw.complaint_event")
    assert known == [("2017-04-01",)]


def test_a_version_is_dated_by_its_row_or_by_its_delivery(house: House) -> None:
    house.drop(
        "store",
        [valid("store"), valid("store", store_code="S2", updated_at="")],
        manifest=sent("2017-04-02"),
    )
    house.take_in()
    rows = house.query(
        "select store_code, _version_at::varchar, _is_dated from raw.store order by 1"
    )
    assert rows == [
        ("S1", "2016-12-31 12:00:00", True),
        ("S2", "2017-04-02 01:00:00", False),
    ]


@pytest.mark.usefixtures("clock")
def test_without_a_manifest_a_version_is_dated_by_its_arrival(house: House) -> None:
    house.drop("store", [valid("store", updated_at="")])
    assert house.take_in()["store/a.csv"]["status"] == "UNVERIFIED"
    assert house.query("select _version_at::varchar, _is_dated from raw.store") == [
        ("2017-04-01 03:00:00", False)
    ]


def test_personal_data_stand_in_pii_alone(house: House) -> None:
    shaped = {"birth_date": "1980-05-01", "phone": "13976541230", "contact_phone": "13976541230"}
    for feed, contract in CONTRACTS.items():
        row = {n: shaped.get(n, f"PII{n}"[:32]) for n in contract.pii_columns}
        house.drop(feed, [valid(feed, **row)], manifest={})
    house.take_in()
    for feed, contract in CONTRACTS.items():
        raw = house.query(f"describe raw.{feed}")
        names = {str(row[0]) for row in raw}
        assert names == set(contract.plain_columns) | set(lineage(contract))
        kept = str(house.query(f"from raw.{feed}"))
        assert "PII" not in kept and "13976541230" not in kept
        for column in contract.pii_columns:
            [(value,)] = house.query(f"select {column}::varchar from pii.{feed}")
            assert value == shaped.get(column, f"PII{column}"[:32])
        if contract.pii_columns:
            joined = house.query(
                f"select count(*) from raw.{feed} join pii.{feed} "
                f"using ({', '.join(contract.key)}, _version_at, _row_hash, _batch_id)"
            )
            assert joined == [(1,)]
    tables = house.query(
        "select table_name from information_schema.tables where table_schema = 'pii'"
    )
    assert {name for (name,) in tables} == {f for f, c in CONTRACTS.items() if c.pii_columns}


# --- nights with bad files --------------------------------------------------------------------


def stores_file(house: House, name: str, rows: int, wrong: int, start: int = 0) -> str:
    return house.drop(
        "store",
        [
            valid("store", store_code=f"S{start + i}", is_test="7" if i < wrong else "0")
            for i in range(rows)
        ],
        name,
    )


def test_bad_files_are_refused_alone_and_nothing_is_lost(house: House) -> None:
    right = house.drop("member", [valid("member")])
    missing = house.drop(
        "store", [valid("store")], "missing.csv", columns=["store_code", "name", "is_test"]
    )
    few = stores_file(house, "few.csv", 100, 3)
    many = stores_file(house, "many.csv", 100, 10, start=1000)
    done = house.take_in(expectations=True)
    assert {path: b["status"] for path, b in done.items()} == {
        right: "UNVERIFIED",
        missing: "REFUSED",
        few: "UNVERIFIED",
        many: "REFUSED",
    }
    assert all(map(adds_up, done.values()))
    assert (done[few]["rows_loaded"], done[few]["rows_quarantined"]) == (97, 3)
    assert (done[many]["rows_refused"], done[many]["rows_loaded"]) == (100, 0)
    assert "required column(s) missing: format" in done[missing]["message"]
    assert house.query("select count(*) from raw.store") == [(97,)]
    quarantined = house.query(
        "select path, line_no, rule_id, split_part(raw_text, ',', 1) from quarantine.row "
        "where line_no < 4 order by all"
    )
    assert quarantined == [
        (few, 2, "type:is_test", "S0"),
        (few, 3, "type:is_test", "S1"),
        (many, 2, "type:is_test", "S1000"),
        (many, 3, "type:is_test", "S1001"),
    ]
    for path in (missing, few, many):  # the bytes are kept as they came
        archived = list((house.settings.archive / "store").glob("??/*.csv"))
        assert (house.settings.landing / path).read_bytes() in [a.read_bytes() for a in archived]
    # what was refused is judged again the next night, what was loaded is not
    assert set(house.take_in()) == {missing, many}


def with_contract(house: House, folder: Path, feed: str, old: str, new: str) -> None:
    """Give the house a project of its own, in which a contract says something else."""
    contracts = folder / "expectations" / "feeds"
    if not contracts.exists():
        contracts.mkdir(parents=True)
        for path in house.settings.contracts.glob("*.yml"):
            (contracts / path.name).write_bytes(path.read_bytes())
    text = (contracts / f"{feed}.yml").read_text(encoding="utf-8")
    assert text.count(old) == 1
    (contracts / f"{feed}.yml").write_text(text.replace(old, new), encoding="utf-8")


def test_replay_loads_a_refused_file_after_its_contract_was_mended(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = house.drop("store", [valid("store")], columns=None)
    text = (house.settings.landing / path).read_text().replace("format", "kind_of_shop", 1)
    house.drop("store", text)
    refused = house.take_in()[path]
    assert refused["status"] == "REFUSED"
    with_contract(
        house, tmp_path / "p", "store", "aliases: [业态]", "aliases: [业态, kind_of_shop]"
    )
    monkeypatch.setenv("KEHU_PROJECT", str(tmp_path / "p"))
    again = house.take_in(replay=[refused["batch_id"]])[path]
    assert (again["status"], again["rows_loaded"]) == ("UNVERIFIED", 1)
    assert house.query("select status, refused_by from ops.batch") == [("UNVERIFIED", None)]


def test_a_contract_may_gain_a_column(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = house.drop(
        "store", [valid("store") | {"floor": "3"}], columns=["floor", *valid("store")]
    )
    old = house.take_in()[first]
    with_contract(
        house,
        tmp_path / "p",
        "store",
        "  updated_at:",
        "  floor: {type: int, description: x}\n  updated_at:",
    )
    monkeypatch.setenv("KEHU_PROJECT", str(tmp_path / "p"))
    row = valid("store", store_code="S2") | {"floor": "4"}
    house.drop("store", [row], "b.csv", columns=list(row))
    house.take_in()
    assert house.query("select store_code, floor from raw.store order by 1") == [
        ("S1", None),
        ("S2", 4),
    ]
    house.take_in(replay=[old["batch_id"]])  # what was in the archive all along
    assert house.query("select store_code, floor from raw.store order by 1") == [
        ("S1", 3),
        ("S2", 4),
    ]


def test_a_contract_that_changes_a_type_asks_for_a_rebuild(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.drop("store", [valid("store")])
    house.take_in()
    old, new = "competitors_3km: {type: int, min: 0", "competitors_3km: {type: varchar(9)"
    with_contract(house, tmp_path / "p", "store", old, new)
    monkeypatch.setenv("KEHU_PROJECT", str(tmp_path / "p"))
    house.drop("store", [valid("store", store_code="S2")], "b.csv")
    told = r"store\.yml: column competitors_3km is VARCHAR .* INTEGER .*`kehu rebuild`"
    with pytest.raises(KehuError, match=told):
        house.take_in()
    assert house.query("select count(*) from raw.store") == [(1,)]


def test_a_replay_that_is_refused_leaves_what_was_loaded(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = house.drop("store", [valid("store")])
    loaded = house.take_in()[path]
    with_contract(
        house, tmp_path / "p", "store", "aliases: [店名", "allowed: [二店], aliases: [店名"
    )
    monkeypatch.setenv("KEHU_PROJECT", str(tmp_path / "p"))
    again = house.take_in(replay=[loaded["batch_id"]])[path]
    assert again["status"] == "REFUSED"
    assert "What was loaded of it before (UNVERIFIED) stays" in again["message"]
    assert house.query("select count(*) from raw.store") == [(1,)]
    assert house.query("select status, rows_loaded from ops.batch") == [("UNVERIFIED", 1)]


def test_a_manifest_that_disagrees_refuses_the_file(house: House) -> None:
    rows = [valid("store")]
    wrong = {
        "sha256": house.drop("store", rows * 2, "a.csv", {"sha256": "0" * 64}),
        "manifest": house.drop(
            "store", rows, "b.csv", {"feed": "product", "store_days": [["1", DAY]]}
        ),
    }
    for name, manifest in {
        "c": {"rows": -1}, "d": {"rows": 10**30}, "e": {"control_sum": "1e40"}, "f": {"control_sum": "NaN"},
        "g": {"generated_at": "yesterday"}, "h": {"store_days": [["S1", "2017-02-30"]]}, "i": {"sha256": 5},
    }.items():  # fmt: skip
        wrong[f"manifest {name}"] = house.drop(
            "store", [valid("store", store_code=name)], f"{name}.csv", manifest
        )
    path = house.drop("store", [valid("store", store_code="j")], "j.csv", {})
    (house.settings.landing / f"{path}.manifest.json").write_bytes(b"\xff{")
    wrong["manifest j"] = path
    done = house.take_in(expectations=True)
    refused = dict(house.query("select path, refused_by from ops.batch"))
    for rule, path in wrong.items():
        assert (done[path]["status"], refused[path]) == ("REFUSED", rule.split()[0]), rule
    told = done[wrong["manifest h"]]["message"]
    assert told.startswith("store/h.csv.manifest.json: field store_days")


def test_what_the_gate_must_know_is_written_for_it(house: House) -> None:
    house.drop("sales_line", [line(1), line(2)], manifest=sent("2017-04-01"))
    house.drop("store", [valid("store")])
    house.take_in()
    folder = house.settings.reference
    assert duckdb.execute(
        f"select business_date, store_code, count_rows from '{folder}/volume.parquet'"
    ).fetchall() == [(date(2017, 3, 31), "S1", 2)]
    assert duckdb.execute(f"select * from '{folder}/known.parquet'").fetchall() == [("store", "S1")]
    ledger = duckdb.execute(
        f"select path, status from '{folder}/ledger.parquet' order by 1"
    ).fetchall()
    assert ledger == [("sales_line/a.csv", "LOADED"), ("store/a.csv", "UNVERIFIED")]
    assert not list(folder.glob(".*"))
    assert json.loads((house.settings.log / "steps.jsonl").read_text().splitlines()[-1])["state"]
