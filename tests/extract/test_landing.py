"""The landing place, folder or bucket: whose a file is, when it is whole, what a broken line does."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs
import pytest
import yaml
from houses import CONTRACTS, House, as_csv, make_house, valid
from moto.server import ThreadedMotoServer
from typer.testing import CliRunner

from kehu import night
from kehu.cli import app
from kehu.clock import now
from kehu.errors import KehuError
from kehu.extract import delivery as deliveries
from kehu.extract.delivery import Look, look
from kehu.extract.landing import Landing, StillWritten
from kehu.settings import PROJECT, Settings


def stores(*codes: str) -> str:
    return as_csv([valid("store", store_code=code) for code in codes])


def looked(house: House, **patterns: list[str]) -> Look:
    contracts = CONTRACTS | {
        feed: CONTRACTS[feed].model_copy(update={"files": files})
        for feed, files in patterns.items()
    }
    return look(house.settings, contracts, now(house.settings))


def land(house: House, *paths: str) -> None:
    for number, path in enumerate(paths, start=1):
        file = house.settings.landing / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
        os.utime(file, (number, number))


def test_patterns_say_which_files_are_of_a_feed_and_the_others_are_reported(house: House) -> None:
    land(
        house, "store/DIM_STORE_1.CSV", "store/readme.txt", "store/2017/dim_store_2.csv",
        "store/old/dim_store_3.csv", "product/anything.csv",
    )  # fmt: skip
    found = looked(house, store=["dim_store_*.csv"])
    assert [(d.feed, d.path) for d in found.deliveries] == [
        ("store", "store/DIM_STORE_1.CSV"),
        ("store", "store/2017/dim_store_2.csv"),
        ("store", "store/old/dim_store_3.csv"),
        ("product", "product/anything.csv"),
    ]
    assert found.left == [
        ("store/readme.txt", "matches none of the contract's `files`: dim_store_*.csv")
    ]
    found = looked(house, store=["2017/*.csv", "*.txt"])
    assert [d.path for d in found.deliveries if d.feed == "store"] == [
        "store/readme.txt", "store/2017/dim_store_2.csv",
    ]  # fmt: skip
    assert [path for path, _ in found.left] == [
        "store/DIM_STORE_1.CSV", "store/old/dim_store_3.csv",
    ]  # fmt: skip


def test_a_file_in_no_folder_is_of_the_one_feed_whose_pattern_matches(house: House) -> None:
    land(house, "pos_0331.csv", "sku_0331.csv", "note.csv", "slaes_line/a.csv")
    found = looked(house, sales_line=["pos_*.csv"], product=["sku*"], store=["sku_*", "x*"])
    assert [(d.feed, d.path) for d in found.deliveries] == [("sales_line", "pos_0331.csv")]
    assert sorted(found.left) == [
        ("note.csv", "it lies in no feed's folder, and no contract's `files` match its name"),
        ("sku_0331.csv", "the patterns of product, store match it: make `files` tell them apart"),
        ("slaes_line/a.csv", "there is no feed 'slaes_line'; the folder of a feed has its name"),
    ]


def test_what_is_not_taken_in_is_never_silent(house: House) -> None:
    house.drop("store", "x", "a.csv.part")
    house.drop("store", "x", ".b.csv")
    house.drop("store", "x", "c.csv.manifest.json")
    os.mkfifo(house.settings.landing / "store" / "pipe.csv")  # whose opening would wait for ever
    gbk = os.fsencode(house.settings.landing / "store") + b"/" + "门店.csv".encode("gbk")
    Path(os.fsdecode(gbk)).write_text("x")
    found = looked(house)
    assert found.deliveries == []
    assert dict(found.left) == {
        "store/a.csv.part": "its name says that it is not finished",
        "store/c.csv.manifest.json": "the file that it speaks of is not here",
        "store/pipe.csv": "it is no ordinary file",
        "store/门店.csv": "its name is not UTF-8 on this machine; rename it",
    }


def with_files(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project of its own, whose contract of `store` has patterns."""
    project = tmp_path / "project"
    shutil.copytree(PROJECT / "expectations", project / "expectations")
    path = project / "expectations" / "feeds" / "store.yml"
    contract = yaml.safe_load(path.read_text(encoding="utf-8")) | {"files": ["门店*.csv"]}
    path.write_text(yaml.safe_dump(contract, allow_unicode=True), encoding="utf-8")
    monkeypatch.setenv("KEHU_PROJECT", str(project))


def test_several_files_a_day_come_in_and_status_says_what_waits_and_what_is_ignored(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_files(house, tmp_path, monkeypatch)
    house.drop("store", stores("S1"), "门店_1.csv")
    house.drop("store", stores("S2"), "门店_2.csv")
    house.drop("store", stores("S3"), "other.csv")
    (house.settings.landing / "门店_3.csv").write_text(stores("S4"))
    assert {b["status"] for b in house.take_in().values()} == {"UNVERIFIED"}
    assert house.query("select store_code from raw.store order by 1") == [("S1",), ("S2",), ("S4",)]
    house.drop("store", stores("S5"), "门店_5.csv")
    said = CliRunner().invoke(app, ["status"]).output
    assert "waiting for the next night: 1 files\n  store/门店_5.csv\n" in said
    assert "ignored 1 files\n  store/other.csv: matches none of the contract's `files`" in said


def test_a_landing_place_that_can_not_be_listed_is_no_empty_one(house: House) -> None:
    house.settings.landing.write_text("a file where the folder should be")
    with pytest.raises(KehuError, match=r"the landing place can not be listed: .*Not a directory"):
        night.plan(night.ALL, "run")


# ---- files that are still being written


def test_a_file_that_grows_is_left_until_it_has_settled(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEHU_SETTLE_SECONDS", "60")
    text = stores("S1", "S2", "S3")
    path = house.settings.landing / "store" / "a.csv"
    path.parent.mkdir(parents=True)
    path.write_text(text[:-40])

    def goes_on(_: float) -> None:  # while the night waits for it to settle
        if path.read_text() != text:
            path.write_text(text)

    monkeypatch.setattr(time, "sleep", goes_on)
    chunks, left = night._planned(night.ALL, "run", 16)
    assert (chunks, left) == ([], ["store/a.csv: is still being written; left for the next run"])
    assert house.take_in()["store/a.csv"]["rows_loaded"] == 3


def test_only_young_files_without_proof_are_waited_for(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    settings = house.settings.model_copy(update={"settle_seconds": 60})
    old = house.drop("store", stores("S1"), "old.csv")
    proven = house.drop("store", stores("S2"), "proven.csv", manifest={"rows": 1})
    os.utime(house.settings.landing / proven)
    found = looked(house).deliveries
    assert deliveries.settle(settings, found) == (found, [])
    assert waited == []
    unproven = house.drop("store", stores("S3"), "b.csv", manifest={"generated_at": "2017-04-01"})
    ahead = time.time() + 86_400 * 365  # by a clock that is wrong
    os.utime(house.settings.landing / unproven, (ahead, ahead))
    found = looked(house).deliveries
    assert [d.path for d in deliveries.settle(settings, found)[0]] == [old, proven, unproven]
    assert waited == [60]


@pytest.mark.parametrize("how", ["grown", "touched", "shrunk"])
def test_a_file_that_changes_under_the_copy_is_left_and_comes_in_later(
    how: str, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = house.drop("store", stores(*(f"S{i}" for i in range(30))))
    file = house.settings.landing / path
    whole, state = file.read_bytes(), os.stat(file)
    read = Landing._chunk

    def changes(self: Landing, stream: Any, name: str) -> bytes:
        chunk = read(self, stream, name)
        if not chunk:
            file.write_bytes({"grown": whole + b"\n", "touched": whole, "shrunk": whole[:9]}[how])
            os.utime(file, (9, 9) if how == "touched" else (state.st_atime, state.st_mtime))
        return chunk

    with monkeypatch.context() as patch:
        patch.setattr(Landing, "_chunk", changes)
        [chunk] = night.plan(night.ALL, "run")
        done = night.extract(chunk)
    assert (done["batches"], len(done["left"])) == (0, 1)
    assert done["left"][0].startswith(f"{path}: is still being written (")
    assert list(house.settings.archive.rglob("*.*")) == []
    assert not list((house.settings.archive / "incoming").iterdir())
    file.write_bytes(whole)
    assert house.take_in()[path]["rows_loaded"] == 30


def test_a_file_that_changed_between_plan_and_extract_is_left(house: House) -> None:
    path = house.drop("store", stores("S1"))
    delivery = house.delivery(path)
    house.drop("store", stores("S1", "S2"))
    with pytest.raises(StillWritten):
        deliveries.archive(house.settings, delivery)


# ---- a bucket


@pytest.fixture(scope="module")
def server() -> Iterator[ThreadedMotoServer]:
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    yield running
    running.stop()


class Bucket:
    """A bucket of a local S3 server, as another program writes into it."""

    def __init__(self, server: ThreadedMotoServer, name: str) -> None:
        host, port = server.get_host_and_port()
        self.endpoint, self.root = f"http://{host}:{port}", f"{name}/in/coming"
        self._fs = pafs.S3FileSystem(
            access_key="test", secret_key="test", region="us-east-1",
            endpoint_override=self.endpoint, allow_bucket_creation=True,
        )  # fmt: skip
        self._fs.create_dir(name)

    def put(self, path: str, content: str | bytes) -> None:
        with self._fs.open_output_stream(f"{self.root}/{path}") as file:
            file.write(content.encode() if isinstance(content, str) else content)


@pytest.fixture
def bucket(
    server: ThreadedMotoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[House, Bucket]:
    made = Bucket(server, f"b{abs(hash(str(tmp_path)))}")
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true", "KEHU_HOME": str(tmp_path / "var"),
        "KEHU_LANDING": f"s3://{made.root}/", "KEHU_LANDING_ENDPOINT": made.endpoint,
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    house = make_house(tmp_path)
    house.settings = Settings()
    return house, made


def test_a_bucket_is_a_landing_place_like_a_folder(bucket: tuple[House, Bucket]) -> None:
    house, place = bucket
    place.put("store/2017/门 店#1.csv", stores("S1").encode("gb18030"))
    place.put("store/a.csv", stores("S2"))
    place.put("store/a.csv.manifest.json", '{"rows": 1}')
    place.put("store/b.csv.part", "x")
    place.put("store/.hidden", "x")
    found = looked(house)
    assert {d.path: d.manifest_text for d in found.deliveries} == {
        "store/2017/门 店#1.csv": None, "store/a.csv": '{"rows": 1}',
    }  # fmt: skip
    assert found.left == [("store/b.csv.part", "its name says that it is not finished")]
    stamps = {d.stamp for d in found.deliveries}
    done = house.take_in()
    assert {p: b["status"] for p, b in done.items()} == {
        "store/2017/门 店#1.csv": "UNVERIFIED", "store/a.csv": "LOADED",
    }  # fmt: skip
    assert house.query("select store_code, name from raw.store order by 1") == [
        ("S1", "一店"), ("S2", "一店"),
    ]  # fmt: skip
    assert house.take_in() == {}
    place.put("store/a.csv.manifest.json", '{"rows": 1, "batch_no": 2}')
    assert len({d.stamp for d in looked(house).deliveries} & stamps) == 1
    assert {p: b["status"] for p, b in house.take_in().items()} == {"store/a.csv": "SKIPPED"}


def test_archived_batches_need_no_bucket(
    bucket: tuple[House, Bucket], monkeypatch: pytest.MonkeyPatch
) -> None:
    house, place = bucket
    place.put("store/a.csv", stores("S1"))
    batch = house.take_in()["store/a.csv"]["batch_id"]
    card = deliveries.card_of(house.settings, batch)
    assert (card.delivery.in_landing, card.delivery.source.parent.parent.parent.name) == (
        False, "archive",
    )  # fmt: skip
    monkeypatch.setenv("KEHU_LANDING_ENDPOINT", "http://127.0.0.1:1")
    assert house.take_in(replay=[batch])["store/a.csv"]["rows_loaded"] == 1


def test_a_bucket_that_does_not_exist_or_answer_is_no_empty_one(
    bucket: tuple[House, Bucket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEHU_LANDING", "s3://no-such-bucket/x")
    with pytest.raises(KehuError, match=r"s3://no-such-bucket/x: .*there is no bucket"):
        night.plan(night.ALL, "run")
    monkeypatch.setenv("KEHU_LANDING_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(KehuError, match=r"can not be listed: .*NETWORK_CONNECTION"):
        night.plan(night.ALL, "run")


def test_a_connection_that_breaks_off_fails_the_step_and_the_next_run_recovers(
    bucket: tuple[House, Bucket], monkeypatch: pytest.MonkeyPatch
) -> None:
    house, place = bucket
    rows = stores(*(f"S{i:05}" for i in range(40_000)))  # three chunks of a download
    place.put("store/a.csv", rows)
    [chunk] = night.plan(night.ALL, "run")
    away = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    away.start()
    other = Bucket(away, place.root.split("/")[0])
    other.put("store/a.csv", rows)
    read, count = Landing._chunk, 0

    def breaks(self: Landing, stream: Any, name: str) -> bytes:
        nonlocal count
        count += 1
        if count == 2:
            away.stop()
        return read(self, stream, name)

    with monkeypatch.context() as patch:
        patch.setenv("KEHU_LANDING_ENDPOINT", other.endpoint)
        patch.setattr(Landing, "_chunk", breaks)
        [broken] = night.plan(night.ALL, "broken")
        with pytest.raises(KehuError, match=r"store/a\.csv: can not be read from s3://.*AWS Error"):
            night.extract(broken)
        with pytest.raises(KehuError, match="can not be listed"):
            night.plan(night.ALL, "again")
    assert count == 2
    assert list((house.settings.archive / "incoming").iterdir()) == []
    assert chunk
    assert house.take_in()["store/a.csv"]["rows_loaded"] == 40_000
