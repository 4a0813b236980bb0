"""A small invented retailer whose history holds every awkward event, written as drops.

Seeded and independent of `kehu`: plain Python, because it is the other side of what is tested.
"""

# ruff: noqa: E501  (the rows of a table stand in one line each)

from __future__ import annotations

import csv
import hashlib
import io
import json
import random
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

STORES = ["S1", "S2", "S3"]
FIRST, LAST = date(2024, 1, 2), date(2024, 2, 20)
NIGHTS = [date(2024, 1, 30), date(2024, 1, 31), date(2024, 2, 5), date(2024, 2, 12), LAST]

SALES_HEADER = [
    "store_code", "business_date", "till_no", "receipt_no", "line_no", "sold_at", "receipt_type",
    "status", "card_no", "channel", "sku_code", "qty", "gross_amount", "discount_amount", "net_amount",
    "cost_amount", "vat_rate", "void_flag",
]  # fmt: skip


@dataclass
class Drop:
    """One file, the night on which it lands, and what stands in its manifest."""

    feed: str
    name: str
    rows: list[dict[str, Any]]
    header: list[str]
    generated_at: datetime
    night: date
    store_days: list[tuple[str, str]] = field(default_factory=list)
    simulated: bool = False
    batch_no: int | None = None
    control_sum: Decimal | None = None  # where the manifest says something else than the rows
    has_manifest: bool = True

    @property
    def data(self) -> bytes:
        text = io.StringIO()
        writer = csv.DictWriter(text, self.header, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return text.getvalue().encode()

    @property
    def manifest(self) -> str:
        manifest: dict[str, Any] = {
            "feed": self.feed,
            "rows": len(self.rows),
            "sha256": hashlib.sha256(self.data).hexdigest(),
            "generated_at": self.generated_at.isoformat(),
        }
        if self.feed == "sales_line":
            right = sum((r["net_amount"] for r in self.rows), Decimal(0))
            manifest["control_sum"] = str(right if self.control_sum is None else self.control_sum)
        if self.store_days:
            manifest["store_days"] = self.store_days
        if self.batch_no is not None:
            manifest["batch_no"] = self.batch_no
        if self.simulated:
            manifest["simulated"] = True
        return json.dumps(manifest)

    def write(
        self,
        landing: Path,
        name: str | None = None,
        *,
        has_manifest: bool | None = None,
        size: int | None = None,
    ) -> Path:
        """Lay the file, its first `size` bytes where that is given, into the landing folder."""
        folder = landing / self.feed
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / (name or self.name)
        if self.has_manifest if has_manifest is None else has_manifest:
            path.with_name(path.name + ".manifest.json").write_text(self.manifest)
        path.write_bytes(self.data[:size])
        return path


def first_night_of(day: date) -> date:
    """The night on which a day's data lands when nothing is late."""
    return next(n for n in NIGHTS if n >= day)


def make(seed: int = 7) -> list[Drop]:
    """All drops of the history, in the order in which they were made."""
    dice = random.Random(seed)
    drops = _masters()
    day = FIRST
    while day <= LAST:
        sales = _day(dice, day)
        late = day == date(2024, 1, 31)
        if late:  # the third store's last day of January comes five days later
            kept = [r for r in sales if r["store_code"] != "S3"]
            left = [r for r in sales if r["store_code"] == "S3"]
            drops.append(_sales(f"sales_{day}_S3.csv", left, day, date(2024, 2, 5), hours=120))
            sales = kept
        drops.append(_sales(f"sales_{day}.csv", sales, day, first_night_of(day)))
        day += timedelta(days=1)
    drops.append(_resend(drops))
    drops.append(_emptied())
    return drops + _late_member() + _recategorised() + _surveys() + _complaints()


def _sales(name: str, rows: list[dict[str, Any]], day: date, night: date, hours: int = 1) -> Drop:
    made = datetime.combine(day + timedelta(days=1), time()) + timedelta(hours=hours)
    return Drop("sales_line", name, rows, SALES_HEADER, made, night)


def _day(dice: random.Random, day: date) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for store in STORES:
        for number in range(1, dice.randint(6, 12)):
            member = dice.randint(0, 39)
            fading = member % 5 == 0 and day > date(2024, 1, 20)  # some stop coming
            card = "" if member < 5 or fading else f"C{member:05d}"
            if dice.random() < 0.05:
                card = "C00900"  # whose member is not known yet
            kind = "RETURN" if dice.random() < 0.06 else "SALE"
            sold_at = datetime.combine(day, time(9 + number % 12, dice.randint(0, 59)))
            for line in range(1, dice.randint(2, 5)):
                sign = -1 if kind == "RETURN" else 1
                net = Decimal(dice.randint(100, 9000)) / 100 * sign
                discount = Decimal(dice.choice([0, 0, 50])) / 100 * sign
                rows.append(
                    {
                        "store_code": store,
                        "business_date": day.isoformat(),
                        "till_no": "1",
                        "receipt_no": f"{number:04d}",
                        "line_no": line,
                        "sold_at": sold_at.isoformat(sep=" "),
                        "receipt_type": kind,
                        "status": "COMPLETED",
                        "card_no": card,
                        "channel": "STORE",
                        "sku_code": f"P{dice.randint(1, 31):03d}",  # P031 is in no product list
                        "qty": sign * dice.randint(1, 3),
                        "gross_amount": net + discount,
                        "discount_amount": discount,
                        "net_amount": net,
                        "cost_amount": round(net * Decimal("0.6"), 2),
                        "vat_rate": "0.13",
                        "void_flag": 0,
                    }
                )
    return rows


def _resend(drops: list[Drop]) -> Drop:
    """Store-day S1 2024-01-20 once more, with one changed line."""
    original = next(d for d in drops if d.name == "sales_2024-01-20.csv")
    rows = [dict(r) for r in original.rows if r["store_code"] == "S1"]
    rows[0]["net_amount"] += Decimal("10.00")
    rows[0]["gross_amount"] += Decimal("10.00")
    return Drop(
        "sales_line", "resend_S1_2024-01-20.csv", rows, SALES_HEADER,
        datetime(2024, 1, 31, 3), date(2024, 1, 31),
    )  # fmt: skip


def _emptied() -> Drop:
    """Store-day S2 2024-01-25 was a mistake: the store was closed."""
    return Drop(
        "sales_line", "closed_S2_2024-01-25.csv", [], SALES_HEADER, datetime(2024, 2, 4, 3),
        date(2024, 2, 5), store_days=[("S2", "2024-01-25")],
    )  # fmt: skip


MEMBER = ["member_id", "gender", "household_size", "enrolled_on", "enrol_store_code", "customer_type", "status", "updated_at", "name", "phone"]  # fmt: skip
CARD = ["card_no", "member_id", "card_type", "issued_on", "status", "updated_at"]
PRODUCT = ["sku_code", "name", "category_1_code", "category_1_name", "category_2_code", "category_2_name", "uom", "is_weighed", "is_revenue", "is_bag", "vat_rate", "status", "updated_at"]  # fmt: skip
STORE = ["store_code", "name", "format", "is_test", "updated_at"]
QUESTION = ["survey_id", "question_id", "survey_type", "text", "construct", "role", "scale_min", "scale_max", "higher_is_better", "wave_start", "wave_end", "updated_at", "servqual_item", "dimension", "pair_id"]  # fmt: skip
ANSWER = ["response_id", "question_id", "option_seq", "survey_id", "card_no", "store_code", "submitted_at", "answer_num"]  # fmt: skip
COMPLAINT = ["complaint_no", "received_at", "channel", "entry_level", "card_no", "store_code", "kind", "reason_code", "severity", "updated_at"]  # fmt: skip
EVENT = ["complaint_no", "seq", "occurred_at", "event", "level", "actor_type"]


def _member(number: int, updated_at: str) -> dict[str, Any]:
    return {
        "member_id": f"M{number:05d}", "gender": "MFU"[number % 3], "household_size": 1 + number % 4,
        "enrolled_on": "2023-12-01", "enrol_store_code": STORES[number % 3], "customer_type": "PERSON",
        "status": "ACTIVE", "updated_at": updated_at, "name": f"王{number}", "phone": f"138{number:08d}",
    }  # fmt: skip


def _card(number: int, updated_at: str) -> dict[str, Any]:
    return {
        "card_no": f"C{number:05d}", "member_id": f"M{number:05d}",
        "card_type": "STAFF" if number == 39 else "POINTS", "issued_on": "2023-12-01",
        "status": "ACTIVE", "updated_at": updated_at,
    }  # fmt: skip


def _product(number: int, category: int, updated_at: str) -> dict[str, Any]:
    return {
        "sku_code": f"P{number:03d}", "name": f"商品{number}", "category_1_code": f"A{category // 4}",
        "category_1_name": f"大类{category // 4}", "category_2_code": f"B{category}",
        "category_2_name": f"中类{category}", "uom": "EA", "is_weighed": 0, "is_revenue": 1,
        "is_bag": int(number == 30), "vat_rate": "0.13", "status": "ACTIVE", "updated_at": updated_at,
    }  # fmt: skip


def _masters() -> list[Drop]:
    made, night, at = datetime(2024, 1, 1, 1), NIGHTS[0], "2023-12-31 00:00:00"
    questions = [
        {
            "survey_id": "SV1", "question_id": q, "survey_type": "LOYALTY", "text": q, "construct": c,
            "role": "SINGLE", "scale_min": 1, "scale_max": 7, "higher_is_better": 1,
            "wave_start": "2024-01-01", "wave_end": "2024-12-31", "updated_at": at,
        }
        for q, c in (("Q1", "REPURCHASE_INTENT"), ("Q2", "RECOMMENDATION"), ("Q3", "RELATIVE_PREFERENCE"))
    ]  # fmt: skip
    questions += [
        {
            **questions[0], "survey_id": "SV0", "question_id": q, "survey_type": t, "text": q,
            "construct": t, "role": role, "scale_min": low, "scale_max": high, "pair_id": pair,
            "servqual_item": item, "dimension": item and "TANGIBLES",
        }
        for q, t, role, low, high, pair, item in SATISFACTION
    ]  # fmt: skip
    stores = [{"store_code": s, "name": f"店{s}", "format": "SUPERMARKET", "is_test": 0, "updated_at": at} for s in STORES]  # fmt: skip
    return [
        Drop("member", "members.csv", [_member(n, at) for n in range(5, 40)], MEMBER, made, night),
        Drop("member_card", "cards.csv", [_card(n, at) for n in range(5, 40)], CARD, made, night),
        Drop("product", "products.csv", [_product(n, n % 8, at) for n in range(1, 31)], PRODUCT, made, night),
        Drop("store", "stores.csv", stores, STORE, made, night),
        Drop("survey_question", "questions.csv", questions, QUESTION, made, night),
    ]  # fmt: skip


def _late_member() -> list[Drop]:
    """Card C00900 has bought since January; its rows, dated 15 January, arrive on 12 February."""
    made, night, at = datetime(2024, 2, 11, 1), date(2024, 2, 12), "2024-01-15 10:00:00"
    return [
        Drop("member", "members_late.csv", [_member(900, at)], MEMBER, made, night),
        Drop("member_card", "cards_late.csv", [_card(900, at)], CARD, made, night),
    ]


def _recategorised() -> list[Drop]:
    rows = [_product(n, 7, "2024-02-03 08:00:00") for n in (3, 4)]
    return [
        Drop(
            "product", "products_0203.csv", rows, PRODUCT, datetime(2024, 2, 4, 1), date(2024, 2, 5)
        )
    ]


def _answers(
    response: int, card: int, at: str, scores: tuple[int, int, int]
) -> list[dict[str, Any]]:
    return [
        {
            "response_id": f"R{response}", "question_id": q, "option_seq": 1, "survey_id": "SV1",
            "card_no": f"C{card:05d}", "store_code": "S1", "submitted_at": at, "answer_num": s,
        }
        for q, s in zip(("Q1", "Q2", "Q3"), scores, strict=True)
    ]  # fmt: skip


SATISFACTION = [
    ("CSAT", "CSAT", "SINGLE", 1, 5, None, None),
    ("NPS", "NPS", "SINGLE", 0, 10, None, None),
    ("CES", "CES", "SINGLE", 1, 7, None, None),
    ("FUNC", "KANO", "FUNC", 1, 5, "PARKING", None),
    ("DYSF", "KANO", "DYSF", 1, 5, "PARKING", None),
    ("P1", "SERVQUAL", "P", 1, 7, "T1", 1),
    ("E1", "SERVQUAL", "E", 1, 7, "T1", 1),
]


def _satisfaction(response: int, at: str) -> list[dict[str, Any]]:
    return [
        {
            "response_id": f"V{response}", "question_id": q, "option_seq": 1, "survey_id": "SV0",
            "card_no": f"C{8 + response:05d}", "store_code": STORES[response % 3],
            "submitted_at": at, "answer_num": low + (response * 5 + n) % (high - low + 1),
        }
        for n, (q, _, _, low, high, _, _) in enumerate(SATISFACTION)
    ]  # fmt: skip


def _surveys() -> list[Drop]:
    january = [r for i in range(12) for r in _answers(i, 6 + i, f"2024-01-{10 + i} 12:00:00", (2 + i % 6, 3 + i % 5, 99 if i == 3 else 7))]  # fmt: skip
    january += [r for i in range(12) for r in _satisfaction(i, f"2024-01-{10 + i} 13:00:00")]
    corrected = _answers(2, 8, "2024-02-02 09:00:00", (7, 7, 7))[:1]
    corrected += [row | {"answer_num": 1} for row in _satisfaction(2, "2024-02-02 09:00:00")[:2]]
    return [
        Drop("survey_answer", "answers_jan.csv", january, ANSWER, datetime(2024, 1, 29), NIGHTS[0], simulated=True),
        Drop("survey_answer", "answers_feb.csv", corrected, ANSWER, datetime(2024, 2, 5), date(2024, 2, 5), simulated=True),
    ]  # fmt: skip


def _header(number: int, received: str, updated: str, severity: int = 2) -> dict[str, Any]:
    return {
        "complaint_no": f"K{number}", "received_at": received, "channel": "PHONE", "entry_level": 1,
        "card_no": f"C{10 + number:05d}", "store_code": "S2", "kind": "COMPLAINT",
        "reason_code": "QUALITY_BAD", "severity": severity, "updated_at": updated,
    }  # fmt: skip


def _event(number: int, seq: int, at: str, event: str, level: int = 1) -> dict[str, Any]:
    return {
        "complaint_no": f"K{number}", "seq": seq, "occurred_at": at, "event": event, "level": level,
        "actor_type": "CUSTOMER" if event == "REOPENED" else "STAFF",
    }  # fmt: skip


def _complaints() -> list[Drop]:
    received = [f"2024-01-{12 + n} 10:00:00" for n in range(5)]
    january = [
        e
        for n in range(5)
        for e in (
            _event(n, 1, received[n], "RECEIVED"),
            _event(n, 2, f"2024-01-{12 + n} 11:00:00", "RESPONDED"),
            _event(n, 3, f"2024-01-{14 + n} 11:00:00", "RESOLVED"),
        )
        if n != 4 or e["seq"] < 3
    ]
    february = [
        _event(1, 4, "2024-02-02 09:00:00", "REOPENED", 2),
        _event(1, 5, "2024-02-08 09:00:00", "RESOLVED", 2),
        _event(2, 4, "2024-02-10 09:00:00", "REOPENED", 2),
    ]
    return [
        Drop("complaint", "complaints_jan.csv", [_header(n, received[n], received[n]) for n in range(5)], COMPLAINT, datetime(2024, 1, 29), NIGHTS[0]),
        Drop("complaint_event", "events_jan.csv", january, EVENT, datetime(2024, 1, 29), NIGHTS[0]),
        Drop("complaint", "complaints_feb.csv", [_header(1, received[1], "2024-02-02 09:30:00", severity=4)], COMPLAINT, datetime(2024, 2, 11), date(2024, 2, 12)),
        Drop("complaint_event", "events_feb.csv", [*january[-1:], *february], EVENT, datetime(2024, 2, 11), date(2024, 2, 12)),
    ]  # fmt: skip
