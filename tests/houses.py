"""A house: an installation of its own for a test, and small hand-written drops to bring into it."""

from __future__ import annotations

import csv
import io
import json
import os
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from kehu import night, warehouse
from kehu.clock import now
from kehu.extract import batch as batches
from kehu.extract.batch import BatchMeta
from kehu.extract.delivery import Delivery, card_of, scan
from kehu.feeds import Contract, read_contracts
from kehu.files import write_atomically
from kehu.gate.expect import Judged, make_views, read_suite
from kehu.gate.judge import Verdict, judge
from kehu.settings import PROJECT, Settings

AS_OF = date(2017, 3, 31)
CONTRACTS = read_contracts(PROJECT / "expectations" / "feeds")

Row = dict[str, str]

# one right row of each feed, with every column given
VALID: dict[str, Row] = {
    "sales_line": {
        "store_code": "S1",
        "business_date": "2017-03-31",
        "till_no": "1",
        "receipt_no": "R1",
        "line_no": "1",
        "batch_no": "1",
        "sold_at": "2017-03-31 10:00:00",
        "receipt_type": "SALE",
        "status": "COMPLETED",
        "cashier_no": "C7",
        "card_no": "K1",
        "channel": "STORE",
        "sku_code": "P1",
        "qty": "2",
        "unit_price": "6.0000",
        "gross_amount": "12.00",
        "discount_amount": "2.00",
        "net_amount": "10.00",
        "promo_code": "PR1",
        "cost_amount": "7.00",
        "vat_rate": "0.130",
        "void_flag": "0",
        "orig_store_code": "S1",
        "orig_business_date": "2017-03-01",
        "orig_till_no": "1",
        "orig_receipt_no": "R0",
    },
    "survey_answer": {
        "response_id": "A1",
        "question_id": "Q1",
        "option_seq": "1",
        "survey_id": "V1",
        "invitation_id": "I1",
        "card_no": "K1",
        "complaint_no": "T1",
        "store_code": "S1",
        "started_at": "2017-03-30 09:00:00",
        "submitted_at": "2017-03-30 09:05:00",
        "answer_num": "7",
        "answer_code": "X",
        "answer_text": "很好",
    },
    "complaint": {
        "complaint_no": "T1",
        "received_at": "2017-03-30 10:00:00",
        "channel": "PHONE",
        "entry_level": "1",
        "card_no": "K1",
        "contact_phone": "13812345670",
        "store_code": "S1",
        "department": "FRESH",
        "sku_code": "P1",
        "orig_store_code": "S1",
        "orig_business_date": "2017-03-29",
        "orig_till_no": "1",
        "orig_receipt_no": "R1",
        "kind": "COMPLAINT",
        "reason_code": "QUALITY_BAD",
        "severity": "2",
        "description": "坏了",
        "staff_no": "E1",
        "merged_into": "T0",
        "compensation_type": "REFUND",
        "compensation_amount": "10.00",
        "updated_at": "2017-03-30 10:00:00",
    },
    "complaint_event": {
        "complaint_no": "T1",
        "seq": "1",
        "occurred_at": "2017-03-30 10:00:00",
        "event": "RECEIVED",
        "level": "1",
        "actor_type": "STAFF",
        "staff_no": "E1",
        "note": "来电",
    },
    "member": {
        "member_id": "M1",
        "name": "王芳",
        "gender": "F",
        "birth_date": "1980-05-01",
        "phone": "13812345670",
        "email": "w@example.com",
        "district": "D1",
        "address": "大街 1 号",
        "household_size": "3",
        "enrolled_on": "2016-12-31",
        "enrol_store_code": "S1",
        "enrol_channel": "STORE",
        "referrer_card_no": "K0",
        "customer_type": "PERSON",
        "status": "ACTIVE",
        "updated_at": "2016-12-31 12:00:00",
    },
    "member_card": {
        "card_no": "K1",
        "member_id": "M1",
        "card_type": "POINTS",
        "issued_on": "2016-12-31",
        "valid_to": "2020-12-31",
        "status": "ACTIVE",
        "replaced_by": "K2",
        "updated_at": "2016-12-31 12:00:00",
    },
    "product": {
        "sku_code": "P1",
        "name": "牛奶 ①",
        "brand": "B",
        **{
            f"category_{level}_{part}": f"{part[0].upper()}{level}"
            for level in range(1, 5)
            for part in ("code", "name")
        },
        "uom": "EA",
        "is_weighed": "0",
        "is_revenue": "1",
        "is_bag": "0",
        "points_class": "A",
        "vat_rate": "0.13",
        "warranty_class": "NONE",
        "supplier_code": "U1",
        "launched_on": "2016-01-01",
        "delisted_on": "2019-01-01",
        "status": "ACTIVE",
        "updated_at": "2016-12-31 12:00:00",
    },
    "store": {
        "store_code": "S1",
        "name": "一店",
        "format": "SUPERMARKET",
        "city": "北京",
        "district": "海淀",
        "area_m2": "1200.50",
        "opened_on": "2010-01-01",
        "closed_on": "2030-01-01",
        "is_test": "0",
        "competitors_3km": "2",
        "updated_at": "2016-12-31 12:00:00",
    },
    "survey_question": {
        "survey_id": "V1",
        "question_id": "Q1",
        "survey_type": "SERVQUAL",
        "text": "总体满意吗？",
        "construct": "SATISFACTION",
        "facet": "F",
        "servqual_item": "1",
        "dimension": "TANGIBLES",
        "role": "SINGLE",
        "pair_id": "1",
        "scale_min": "1",
        "scale_max": "7",
        "higher_is_better": "1",
        "wave_start": "2017-01-01",
        "wave_end": "2017-12-31",
        "updated_at": "2016-12-31 12:00:00",
    },
}


def valid(feed: str, **changes: str | None) -> Row:
    """A right row with some cells changed; None leaves the column out of the row."""
    return {k: v for k, v in (VALID[feed] | changes).items() if v is not None}


def as_csv(rows: list[Row], columns: list[str] | None = None, delimiter: str = ",") -> str:
    """Rows as delimited text, header first, one line each."""
    names = columns or list(rows[0])
    text = io.StringIO()
    writer = csv.DictWriter(
        text, names, restval="", delimiter=delimiter, lineterminator="\n", extrasaction="ignore"
    )
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@dataclass
class House:
    """An installation with its own home and landing folder, and short ways to use it."""

    settings: Settings
    contracts: dict[str, Contract] = field(default_factory=lambda: dict(CONTRACTS))
    _clock: int = 0

    def drop(
        self,
        feed: str,
        content: list[Row] | str | bytes,
        name: str = "a.csv",
        manifest: dict[str, Any] | None = None,
        encoding: str = "utf-8",
        columns: list[str] | None = None,
    ) -> str:
        """Lay a file, and its manifest, into the landing folder; later files are newer."""
        if isinstance(content, list):
            delimiter = "\t" if ".tsv" in name else ","
            content = as_csv(content, columns or list(VALID[feed]), delimiter)
        data = content.encode(encoding) if isinstance(content, str) else content
        path = self.settings.landing / feed / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self._clock += 1
        os.utime(path, (1_490_000_000 + self._clock, 1_490_000_000 + self._clock))
        if manifest is not None:
            beside = path.with_name(f"{path.name}.manifest.json")
            beside.write_text(json.dumps(manifest), encoding="utf-8")
        return f"{feed}/{name}"

    def delivery(self, path: str) -> Delivery:
        """The delivery that lies at `feed/name`."""
        feed = path.split("/")[0]
        found = {d.path: d for d in scan(self.settings, self.contracts, [feed], now(self.settings))}
        return found[path]

    def extract(self, path: str) -> tuple[BatchMeta, Path]:
        """Make the batch of one landed file."""
        delivery = self.delivery(path)
        meta = batches.extract(self.settings, self.contracts[delivery.feed], delivery)
        return meta, batches.folder_of(self.settings, meta.feed, meta.batch_id)

    def judge(self, *paths: str, expectations: bool = False) -> dict[str, Verdict]:
        """Extract and judge landed files, by the row rules alone unless told otherwise."""
        folders = [self.extract(path)[1] for path in paths]
        feeds = sorted({path.split("/")[0] for path in paths}) if expectations else []
        verdicts, _ = judge(self.settings, self.contracts, feeds, folders, AS_OF, "run", {})
        return dict(zip(paths, verdicts, strict=True))

    def take_in(
        self, *, as_of: date = AS_OF, expectations: bool = False, replay: list[str] | None = None
    ) -> dict[str, dict[str, Any]]:
        """Plan (or replay), extract, gate and load as a night does; what became of each file, by path."""
        run_id = night.new_run_id(self.settings)
        chunks = night.replay(replay, run_id) if replay else night.plan(night.ALL, run_id)
        for chunk in chunks:
            night.extract(chunk)
        if expectations:
            night.gate(night.ALL, as_of, run_id)
        else:
            self._row_rules(run_id, as_of)
        return {b["path"]: b for b in night.load(night.ALL, run_id)["batches"]}

    def _row_rules(self, run_id: str, as_of: date) -> None:
        contracts = read_contracts(Settings().contracts)  # KEHU_PROJECT may have changed
        run = self.settings.runs / run_id
        folders: dict[str, Path] = {}
        for path in sorted(run.glob("*.done.json")):
            for done in json.loads(path.read_text()):
                if not done["skipped"]:
                    folder = batches.folder_of(self.settings, done["feed"], done["batch_id"])
                    folders[done["batch_id"]] = folder
        waivers = {b: card_of(self.settings, b).waivers for b in folders}
        judge(self.settings, contracts, [], list(folders.values()), as_of, run_id, waivers)
        gate = json.dumps({"as_of": as_of.isoformat(), "general": []})
        write_atomically(run / f"{night.ALL}-gate.json", gate)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the warehouse."""
        with warehouse.read_warehouse(self.settings) as connection:
            return connection.execute(sql).fetchall()

    def quarantined(self, folder: Path) -> list[tuple[int, list[str], str]]:
        """Line, rules and raw text of each quarantined row of a judged batch."""
        path = folder / "quarantine.parquet"
        if not path.exists():
            return []
        found = duckdb.execute(
            f"select line_no, rule_ids, raw_text from '{path}' order by line_no"
        ).fetchall()
        return [(line, rules, text) for line, rules, text in found]


def make_house(folder: Path) -> House:
    """A house under `folder`; the environment must name it for the functions of `kehu.night`."""
    return House(Settings(home=folder / "var", landing=folder / "landing"))


def failing_rows(
    house: House, feed: str, check: str, batches: list[Judged], as_of: date
) -> list[dict[str, Any]]:
    """The rows that one expectation finds, without the seconds that Great Expectations takes."""
    suite = read_suite(house.settings.suites / f"{feed}.json")
    query = next(
        e["kwargs"]["unexpected_rows_query"] for e in suite if e["meta"]["id"] == f"{feed}.{check}"
    )
    database = house.settings.home / "views.duckdb"
    database.unlink(missing_ok=True)
    make_views(house.settings, CONTRACTS, batches, as_of, database)
    with duckdb.connect(str(database), read_only=True) as connection:
        rows: list[dict[str, Any]] = (
            connection.execute(query.replace("{batch}", feed)).to_arrow_table().to_pylist()
        )
    return rows
