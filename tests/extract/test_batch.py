"""Batches and deliveries: identity, archive, manifests, what lies in the landing folder."""

from __future__ import annotations

import json
import os
from datetime import date, datetime

import pytest
from houses import CONTRACTS, House, valid

from kehu.clock import now
from kehu.errors import FileRefused, KehuError
from kehu.extract.batch import read_meta
from kehu.extract.delivery import (
    Delivery,
    batch_id,
    card_of,
    cards,
    file_format,
    read_manifest,
    scan,
    store_days_from_name,
)

DAY = date(2017, 3, 31)


def test_identity_is_feed_bytes_and_declared_store_days_in_any_order() -> None:
    days = [("S1", DAY), ("S2", DAY)]
    assert batch_id("sales_line", "ab", days) == batch_id("sales_line", "ab", days[::-1])
    others = [
        batch_id("store", "ab", days),
        batch_id("sales_line", "ac", days),
        batch_id("sales_line", "ab", days[:1]),
        batch_id("sales_line", "ab", []),
    ]
    assert len({batch_id("sales_line", "ab", days), *others}) == 5


def test_scan_finds_finished_files_oldest_first(house: House) -> None:
    house.drop("store", "b", "sub/folder/b.csv")
    house.drop("store", "a", "a.csv", manifest={"rows": 0})
    for name in (".hidden.csv", "~open.csv", "c.csv.part", "d.tmp", "e.csv.filepart"):
        house.drop("store", "x", name)
    house.drop("product", "p", "p.csv")
    found = scan(house.settings, CONTRACTS, ["store", "product"], now(house.settings))
    assert [d.path for d in found] == ["store/sub/folder/b.csv", "store/a.csv", "product/p.csv"]
    assert [d.manifest_text is None for d in found] == [True, False, True]
    assert scan(house.settings, CONTRACTS, ["member"], now(house.settings)) == []


def test_the_stamp_changes_with_the_file_and_with_its_manifest(house: House) -> None:
    path = house.drop("store", [valid("store")], manifest={"rows": 1})
    stamp = house.delivery(path).stamp
    assert house.delivery(path).stamp == stamp
    beside = house.settings.landing / f"{path}.manifest.json"
    beside.write_text('{"rows": 2}')
    assert house.delivery(path).stamp != stamp
    beside.write_text('{"rows": 1}')
    assert house.delivery(path).stamp == stamp
    os.utime(house.settings.landing / path, (1, 1))
    assert house.delivery(path).stamp != stamp


def test_bytes_are_archived_once_and_never_edited(house: House) -> None:
    first = house.drop("store", [valid("store")], "a.csv")
    second = house.drop("store", [valid("store")], "b.csv")
    meta, _ = house.extract(first)
    before = meta.archived.stat().st_mtime_ns
    again, _ = house.extract(second)
    assert again.batch_id == meta.batch_id
    assert again.archived == meta.archived
    assert meta.archived.stat().st_mtime_ns == before
    assert meta.archived.read_bytes() == (house.settings.landing / first).read_bytes()
    assert meta.sha256 in meta.archived.name
    assert not list((house.settings.archive / "incoming").iterdir())


def test_a_batch_is_made_again_only_when_its_contract_or_manifest_changes(house: House) -> None:
    path = house.drop("store", [valid("store")])
    meta, folder = house.extract(path)
    made = (folder / "rows.parquet").stat().st_ino
    house.extract(path)
    assert (folder / "rows.parquet").stat().st_ino == made
    contract = CONTRACTS["store"].model_copy(update={"reject_limit": 0.1})
    contract.__dict__.pop("digest", None)
    house.contracts["store"] = contract
    assert house.extract(path)[0].contract_digest != meta.contract_digest
    assert (folder / "rows.parquet").stat().st_ino != made
    house.drop("store", [valid("store")], manifest={"generated_at": "2017-04-01T00:00:00"})
    assert house.extract(path)[0].generated_at == datetime(2017, 4, 1)
    assert read_meta(folder).has_manifest


def test_a_half_made_batch_is_made_anew(house: House) -> None:
    path = house.drop("store", [valid("store")])
    _, folder = house.extract(path)
    left = folder.with_name(f".{folder.name}")
    folder.rename(left)  # as a kill between writing and renaming leaves it
    (left / "rows.parquet").write_bytes(b"cut off")
    assert house.extract(path)[0].rows_in == 1
    assert house.judge(path)[path].passed
    assert not left.exists()


def test_the_card_alone_is_enough_to_make_the_batch_again(house: House) -> None:
    path = house.drop("store", [valid("store")], manifest={"simulated": True, "rows": 1})
    meta, folder = house.extract(path)
    (house.settings.landing / path).unlink()
    for file in folder.iterdir():
        file.unlink()
    card = card_of(house.settings, meta.batch_id)
    assert [c.batch_id for c in cards(house.settings)] == [meta.batch_id]
    from kehu.extract.batch import extract

    again = extract(house.settings, CONTRACTS["store"], card.delivery)
    assert (again.batch_id, again.path, again.is_simulated) == (meta.batch_id, path, True)
    assert (again.arrived_at, again.rows_in) == (meta.arrived_at, 1)
    with pytest.raises(KehuError, match="no batch 'x' in the archive"):
        card_of(house.settings, "x")


def test_a_settled_batch_keeps_the_manifest_that_it_was_loaded_with(house: House) -> None:
    from kehu.extract.batch import extract

    path = house.drop("store", [valid("store")], manifest={"generated_at": "2017-04-01T00:00:00"})
    meta, _ = house.extract(path)
    house.drop("store", [valid("store")], manifest={"generated_at": "2017-05-01T00:00:00"})
    later = extract(house.settings, CONTRACTS["store"], house.delivery(path), {meta.batch_id})
    assert later.generated_at == datetime(2017, 4, 1)
    assert house.extract(path)[0].generated_at == datetime(2017, 5, 1)  # not loaded yet: mended


def delivered(manifest: object) -> Delivery:
    return Delivery(
        feed="sales_line", path="sales_line/a.csv", source="x", size=1, mtime_ns=1,
        arrived_at=datetime(2017, 4, 1), manifest_text=json.dumps(manifest),
    )  # fmt: skip


def test_a_manifest_is_read_as_it_is_written() -> None:
    contract = CONTRACTS["sales_line"]
    read = read_manifest(
        delivered(
            {
                "feed": "sales_line", "rows": 2, "control_sum": "12345678901234.67", "note": "ignored",
                "generated_at": "2017-03-31T18:00:00Z",
                "store_days": [["S1", "2017-03-31"], {"store_code": "S2", "business_date": "2017-03-31"}],
            }
        ),
        contract, "Asia/Shanghai",
    )  # fmt: skip
    assert read is not None
    assert str(read.control_sum) == "12345678901234.67"
    assert read.generated_at == datetime(2017, 4, 1, 2)  # local time
    assert read.store_days == [("S1", DAY), ("S2", DAY)]
    with pytest.raises(
        FileRefused, match="is for feed 'store', but the file lies under 'sales_line'"
    ):
        read_manifest(delivered({"feed": "store"}), contract, "Asia/Shanghai")
    with pytest.raises(FileRefused, match=r"a\.csv\.manifest\.json: field \(file\)"):
        read_manifest(delivered([1]), contract, "Asia/Shanghai")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.csv", ("csv", None)),
        ("A.CSV.GZ", ("csv", "gzip")),
        ("a.b.tsv", ("tsv", None)),
        ("a.jsonl.gz", ("jsonl", "gzip")),
        ("a.ndjson", ("jsonl", None)),
        ("a.parquet", ("parquet", None)),
        ("a.TXT", ("txt", None)),
        ("a.xlsx", ("workbook", None)),
        ("a.xls", ("workbook", None)),
    ],
)
def test_the_ending_names_the_format(path: str, expected: tuple[str, str | None]) -> None:
    assert file_format(path) == expected


def test_a_file_name_may_declare_its_store_day(house: House) -> None:
    pattern = r"^(?P<store>\w+)_(?P<date>\d{4}-\d\d-\d\d)"
    contract = CONTRACTS["sales_line"].model_copy(update={"store_days_from_name": pattern})
    house.contracts["sales_line"] = contract
    assert store_days_from_name(contract, "sales_line/S1_2017-03-31.csv") == [("S1", DAY)]
    assert store_days_from_name(contract, "sales_line/all.csv") == []
    assert store_days_from_name(CONTRACTS["sales_line"], "sales_line/S1_2017-03-31.csv") == []
    meta, _ = house.extract(house.drop("sales_line", [], "S1_2017-02-30.csv"))
    assert (meta.refused_rule, meta.rows_in) == ("store_days", 0)
    assert "'2017-02-30', which is not a date" in (meta.refused_message or "")
