"""ZIP archives: each file in one is a delivery of its own, or the archive is refused with its reason."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from typing import Any

import pytest
from houses import House, as_csv, valid

from kehu import night
from kehu.extract.batch import folder_of, read_meta

Members = dict[str, bytes | str]


def store(code: str) -> str:
    return as_csv([valid("store", store_code=code)])


def packed(members: Members, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return data.getvalue()


def named_in_gbk(members: Members) -> bytes:
    """As tools of Chinese Windows write: the name's bytes in GBK, no flag that says so."""
    ascii_names = {f"{i:0{len(n.encode('gbk')) - 4}}.csv": n for i, n in enumerate(members)}
    data = packed({plain: members[n] for plain, n in ascii_names.items()})
    for plain, name in ascii_names.items():
        data = data.replace(plain.encode(), name.encode("gbk"))
    return data


def manifest(**fields: Any) -> str:
    return json.dumps(fields)


def stores(house: House) -> list[tuple[Any, ...]]:
    return house.query("select store_code from raw.store order by 1")


def test_each_file_of_an_archive_is_a_delivery_of_its_own(house: House) -> None:
    members: Members = {
        "b.csv": store("S2"),
        "下级/a.csv": store("S1").encode("gb18030"),
        "a.csv.manifest.json": manifest(rows=1, sha256=hashlib.sha256(b"y").hexdigest()),
        "a.csv": b"x",
        "下级/a.csv.manifest.json": manifest(rows=1),
        "__MACOSX/._b.csv": "?",
        ".DS_Store": "?",
    }  # fmt: skip
    path = house.drop("store", packed(members), "日报.zip")
    done = house.take_in()
    assert {p: (b["status"], b["rows_in"]) for p, b in done.items()} == {
        f"{path}/a.csv": ("REFUSED", 0),
        f"{path}/b.csv": ("UNVERIFIED", 1),
        f"{path}/下级/a.csv": ("LOADED", 1),
    }
    assert "its sha256 is" in done[f"{path}/a.csv"]["message"]
    assert stores(house) == [("S1",), ("S2",)]
    for name in ("b.csv", "下级/a.csv"):
        content = members[name]
        data = content if isinstance(content, bytes) else content.encode()
        digest = hashlib.sha256(data).hexdigest()
        kept = house.settings.archive / "store" / digest[:2] / f"{digest}.csv"
        assert kept.read_bytes() == data
    assert not list((house.settings.home / "tmp").glob("zip-*"))
    assert not list((house.settings.archive / "incoming").iterdir())


def test_an_archive_is_dealt_with_when_each_of_its_files_is(house: House) -> None:
    path = house.drop("store", packed({"a.csv": store("S1"), "b.csv": store("S2")}), "a.zip")
    assert len(house.take_in()) == 2
    assert house.take_in() == {}
    assert night.waiting() == ([], [])
    bad = {"a.csv": store("S1"), "b.csv": store("S2"), "c.csv": "format\n"}
    house.drop("store", packed(bad), "a.zip")
    for _ in range(2):  # what was refused is judged again, what was loaded is skipped
        done = house.take_in()
        assert {p: b["status"] for p, b in done.items()} == {
            f"{path}/a.csv": "SKIPPED", f"{path}/b.csv": "SKIPPED", f"{path}/c.csv": "REFUSED",
        }  # fmt: skip
        assert night.waiting() == ([path], [])
    assert stores(house) == [("S1",), ("S2",)]


def test_a_night_that_died_between_two_files_of_an_archive_takes_in_the_other(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kehu import load

    def drop(name: str, *codes: str) -> None:
        house.drop("store", packed({f"{c}.csv": store(c) for c in codes}), name)
        os.utime(house.settings.landing / "store" / name, (5, 5))

    # two archives that have the same size and time, so the same stamp
    drop("a.zip", "S1", "S2")
    drop("b.zip", "S3", "S4")
    whole, count = load.load_batch, 0

    def dies(*arguments: Any) -> load.Loaded:
        nonlocal count
        count += 1
        if count in (2, 4):
            raise KeyboardInterrupt
        return whole(*arguments)

    monkeypatch.setattr(load, "load_batch", dies)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            house.take_in()
    house.take_in()
    assert stores(house) == [("S1",), ("S2",), ("S3",), ("S4",)]
    assert night.waiting() == ([], [])


def test_a_manifest_beside_an_archive_speaks_of_the_archive_and_of_its_only_file(
    house: House,
) -> None:
    data = packed({"a.csv": store("S1")})
    right = hashlib.sha256(data).hexdigest()
    fields = {"sha256": right, "rows": 1, "generated_at": "2017-04-01T00:00:00", "simulated": True}
    path = house.drop("store", data, "a.zip", manifest=fields)
    assert house.take_in()[f"{path}/a.csv"]["status"] == "LOADED"
    assert house.query("select _is_simulated, _version_at::varchar from raw.store") == [
        (True, "2016-12-31 12:00:00")
    ]
    assert house.query("select generated_at::varchar from ops.batch") == [("2017-04-01 00:00:00",)]

    # the checks of the gate read it from there, as they do for every batch
    folder = folder_of(house.settings, "store", house.query("select batch_id from ops.batch")[0][0])
    assert read_meta(folder).manifest_rows == 1

    cut = house.drop("store", data, "c.zip", manifest={"sha256": right.replace(right[0], "0")})
    done = house.take_in()
    assert (done[cut]["status"], "its sha256 is" in done[cut]["message"]) == ("REFUSED", True)


def test_a_count_for_several_files_is_refused_since_nothing_could_be_held_against_it(
    house: House,
) -> None:
    members: Members = {"a.csv": store("S1"), "b.csv": store("S2")}
    path = house.drop("store", packed(members), "a.zip", manifest={"rows": 2, "simulated": True})
    refused = house.take_in()[path]
    assert refused["status"] == "REFUSED"
    assert "states rows, but the archive holds 2 files" in refused["message"]
    members |= {f"{n}.manifest.json": manifest(rows=1, simulated=True) for n in list(members)}
    house.drop("store", packed(members), "a.zip", manifest={"rows": 2})
    assert {b["status"] for b in house.take_in().values()} == {"LOADED"}


def test_names_in_gbk_are_read_as_they_were_written(house: House) -> None:
    # the second byte of 昞 and of 俓 is a backslash in GBK, and no end of a folder
    names = ["门店.csv", "昞俓.csv"]
    members: Members = {n: store(f"S{i}") for i, n in enumerate(names)}
    path = house.drop("store", named_in_gbk(members), "a.zip")
    assert sorted(house.take_in()) == sorted(f"{path}/{n}" for n in names)


def encrypted() -> bytes:
    data = bytearray(packed({"a.csv": store("S1")}))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


GOOD = packed({"a.csv": store("S1")})
BAD_CRC = packed({"a.csv": store("S1")}, zipfile.ZIP_STORED).replace(b"S1,", b"S2,")
# content, rule, what the message must say
REFUSALS: dict[str, tuple[bytes, str, str]] = {
    "empty": (b"", "unreadable", "is not a whole ZIP archive"),
    "not an archive": (b"store_code", "unreadable", "send the file again"),
    "cut off": (GOOD[:-30], "unreadable", "is not a whole ZIP archive"),
    "wrong bytes": (BAD_CRC, "unreadable", "Bad CRC-32 for file 'a.csv'"),
    "no files": (packed({}), "zip", "holds no files"),
    "hidden files alone": (packed({".x": "", "d/": ""}), "zip", "holds no files"),
    "encrypted": (encrypted(), "zip", "'a.csv' is encrypted; send it without a password"),
    "nested": (packed({"b.ZIP": GOOD}), "zip", "holds the archive 'b.ZIP'"),
    "a way out": (packed({"../a.csv": ""}), "zip", "'../a.csv', a name that leads out"),
    "a way out with backslashes": (packed({"x\\..\\..\\a.csv": ""}), "zip", "leads out"),
    "from the root": (packed({"/etc/a.csv": ""}), "zip", "leads out"),
    "from a drive": (packed({"C:\\a.csv": ""}), "zip", "leads out"),
    "unprintable": (packed({"a\n.csv": ""}), "zip", "can not be shown"),
    "twice the same": (packed({"x/a.csv": "", "x\\a.csv": ""}), "zip", "two files that are called"),
    "a manifest alone": (
        packed({"a.csv": store("S1"), "b.csv.manifest.json": "{}"}), "zip", "not the file it speaks of",
    ),
    "a bomb": (packed({"a.csv": b"0" * (65 << 20)}), "zip", "times its size; a ZIP bomb"),
    "too many files": (packed({f"{i}.csv": "" for i in range(10_001)}), "zip", "more than 10,000"),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(REFUSALS))
def test_what_may_not_be_in_an_archive_refuses_it_whole(case: str, house: House) -> None:
    data, rule, told = REFUSALS[case]
    path = house.drop("store", data, "a.zip")
    [(refused_path, batch)] = house.take_in().items()
    assert (refused_path, batch["status"]) == (path, "REFUSED")
    assert batch["message"].startswith(f"{path}: ")
    assert told in batch["message"]
    [(kept, refused_by)] = house.query("select sha256, refused_by from ops.batch")
    assert (kept, refused_by) == (hashlib.sha256(data).hexdigest(), rule)
    assert not list((house.settings.home / "tmp").glob("zip-*"))


def test_more_than_may_be_unpacked_is_refused(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEHU_UNPACKED_GIGABYTES", "0.0001")
    path = house.drop("store", packed({"a.csv": os.urandom(110_000)}), "a.zip")
    assert "the limit is 0.0001 (KEHU_UNPACKED_GIGABYTES)" in house.take_in()[path]["message"]


def test_files_of_archives_come_back_from_the_archive_alone(house: House) -> None:
    good = house.drop("store", packed({"a.csv": store("S1")}), "a.zip")
    bad = house.drop("store", GOOD[:-30], "b.zip")
    first = house.take_in()
    for path in (good, bad):
        (house.settings.landing / path).unlink()
    again = house.take_in(replay=[b["batch_id"] for b in first.values()])
    assert {p: b["status"] for p, b in again.items()} == {
        f"{good}/a.csv": "UNVERIFIED", bad: "REFUSED",
    }  # fmt: skip
