"""A very small invented retailer: two stores, some days around a month-end, every awkward event.

The rows are made by the generator of tests/night/history.py; which event happens when is drawn from
the seed. Plain Python, independent of `kehu`.
"""

from __future__ import annotations

import random
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from history import (
    ANSWER,
    CARD,
    COMPLAINT,
    EVENT,
    MEMBER,
    PRODUCT,
    SALES_HEADER,
    Drop,
    _answers,
    _card,
    _event,
    _header,
    _masters,
    _member,
    _product,
    _satisfaction,
)

STORES = ("S1", "S2")
FIRST, LAST = date(2024, 1, 24), date(2024, 2, 4)
DAYS = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
# what is drawn; each is in about three of four retailers, of small ones in every other
EVENTS = (
    "resend", "second resend", "held", "emptied", "late day", "split day", "quarantined line",
    "numbered", "wrong control sum", "late member", "recategorised", "snapshot", "corrected answer",
    "answers again", "reopened", "events again", "no manifest",
)  # fmt: skip

Row = dict[str, Any]


class Retailer:
    """What one retailer delivers: `drops` in the order in which they were made, `events` among them."""

    def __init__(self, seed: int, *, every_event: bool = False, small: bool = False) -> None:
        self._dice = random.Random(seed)
        self._days = DAYS[-6:] if small else DAYS
        often = 0.5 if small else 0.75
        self.events = {e for e in EVENTS if every_event or self._dice.random() < often}
        self.drops: list[Drop] = []
        self._masters()
        self._sales()
        self._versions()
        self._surveys()
        self._complaints()
        self.drops.sort(key=lambda drop: drop.generated_at)
        if "no manifest" in self.events:  # rows that carry their own version need none
            for drop in self.drops:
                if drop.feed in ("member", "member_card", "product") and drop.rows:
                    drop.has_manifest = self._dice.random() < 0.5

    def _add(self, feed: str, name: str, rows: list[Row], header: list[str], **more: Any) -> Drop:
        made = more.pop("made")
        drop = Drop(feed, name, rows, header, made, LAST, **more)
        self.drops.append(drop)
        return drop

    def _masters(self) -> None:
        for drop in _masters():
            if drop.feed == "store":
                drop.rows = [r for r in drop.rows if r["store_code"] in STORES]
            drop.night = FIRST
            self.drops.append(drop)

    def _receipts(self, store: str, day: date, first: int = 1) -> list[Row]:
        dice, rows = self._dice, []
        for number in range(first, first + dice.randint(9, 11)):
            member = dice.randint(0, 39)
            card = "" if member < 5 else "C00900" if dice.random() < 0.05 else f"C{member:05d}"
            kind = "RETURN" if dice.random() < 0.08 else "SALE"
            sold_at = datetime.combine(day, time(9 + number % 12, dice.randint(0, 59)))
            for line in range(1, dice.randint(3, 5)):
                sign = -1 if kind == "RETURN" else 1
                net = Decimal(dice.randint(100, 9000)) / 100 * sign
                discount = Decimal(dice.choice([0, 0, 50])) / 100 * sign
                rows.append(
                    {
                        "store_code": store, "business_date": day.isoformat(), "till_no": "1",
                        "receipt_no": f"{number:04d}", "line_no": line,
                        "sold_at": sold_at.isoformat(sep=" "), "receipt_type": kind,
                        "status": "COMPLETED", "card_no": card, "channel": "STORE",
                        "sku_code": f"P{dice.randint(1, 31):03d}", "qty": sign * dice.randint(1, 3),
                        "gross_amount": net + discount, "discount_amount": discount,
                        "net_amount": net, "cost_amount": round(net * Decimal("0.6"), 2),
                        "vat_rate": "0.13", "void_flag": 0,
                    }
                )  # fmt: skip
        return rows

    def _sold(self, name: str, rows: list[Row], made: datetime, **more: Any) -> Drop:
        header = SALES_HEADER
        if "numbered" in self.events:  # the source numbers its deliveries as well
            self._batch_no = getattr(self, "_batch_no", 0) + 1
            rows = [{**row, "batch_no": self._batch_no} for row in rows]
            header = [*SALES_HEADER, "batch_no"]
            more["batch_no"] = self._batch_no
        return self._add("sales_line", name, rows, header, made=made, **more)

    def _sales(self) -> None:
        dice = self._dice
        at = {day: datetime.combine(day + timedelta(days=1), time(1)) for day in self._days}
        days: dict[tuple[str, date], list[Row]] = {}
        resent, emptied, late, split, dirty = dice.sample(self._days[:-1], 5)
        for day in self._days:
            for store in STORES:
                days[store, day] = self._receipts(store, day)
            both = [*days["S1", day], *days["S2", day]]
            if "quarantined line" in self.events and day == dirty:
                both[dice.randrange(len(both))] |= {"receipt_type": "GIFT"}
            if "split day" in self.events and day == split:
                for store in STORES:
                    self._sold(f"sales_{day}_{store}.csv", days[store, day], at[day])
            elif "late day" in self.events and day == late:
                self._sold(f"sales_{day}_S1.csv", days["S1", day], at[day])
                self._sold(f"sales_{day}_S2.csv", days["S2", day], at[day] + timedelta(days=5))
            else:
                self._sold(f"sales_{day}.csv", both, at[day])
        rows = [dict(row) for row in days["S1", resent]]
        for number, event in enumerate(("resend", "second resend", "held"), start=1):
            if event not in self.events:
                continue
            rows = [dict(row) for row in rows]
            changed = rows[dice.randrange(len(rows))]
            changed["net_amount"] += number
            changed["gross_amount"] += number
            if event == "held":
                changed["channel"] = "NOWHERE"
            elif dice.random() < 0.5:
                del rows[dice.randrange(1, len(rows))]
            made = at[resent] + timedelta(days=number, hours=2)
            self._sold(f"resend_{number}_{resent}.csv", rows, made)
        if "emptied" in self.events:
            made = at[emptied] + timedelta(days=2, hours=4)
            closed = [("S2", emptied.isoformat())]
            self._sold(f"closed_{emptied}.csv", [], made, store_days=closed)
        if "wrong control sum" in self.events:  # refused; the same rows come right in another file
            day = dice.choice(self._days)
            rows = [dict(row) for row in days["S2", day]]
            rows[0]["net_amount"] += 500
            rows[0]["gross_amount"] += 500
            wrong = self._sold(f"wrong_{day}.csv", rows, at[day] + timedelta(days=6))
            wrong.control_sum = Decimal("1.00")

    def _versions(self) -> None:
        at = "2024-01-25 10:00:00"
        if "late member" in self.events:
            made = datetime(2024, 2, 1, 1)
            self._add("member", "members_late.csv", [_member(900, at)], MEMBER, made=made)
            self._add("member_card", "cards_late.csv", [_card(900, at)], CARD, made=made)
        if "recategorised" in self.events:
            rows = [_product(n, 7, "2024-01-30 08:00:00") for n in (3, 4)]
            self._add("product", "products_0130.csv", rows, PRODUCT, made=datetime(2024, 1, 31, 1))
        if "snapshot" in self.events:  # mostly what is known already
            rows = [_product(n, n % 8, "2023-12-31 00:00:00") for n in range(1, 28)]
            rows += [_product(n, 5, "2024-02-01 08:00:00") for n in (28, 29)]
            self._add("product", "products_all.csv", rows, PRODUCT, made=datetime(2024, 2, 2, 1))

    def _surveys(self) -> None:
        first = [r for i in range(8) for r in _answers(i, 6 + i, f"2024-01-{24 + i % 7} 12:00:00", (2 + i % 6, 3 + i % 5, 99 if i == 3 else 7))]  # fmt: skip  # noqa: E501
        first += [r for i in range(8) for r in _satisfaction(i, f"2024-01-{24 + i % 7} 13:00:00")]
        made = datetime(2024, 1, 31, 2)
        self._add("survey_answer", "answers.csv", first, ANSWER, made=made, simulated=True)
        if "corrected answer" in self.events:
            rows = _answers(2, 8, "2024-02-02 09:00:00", (7, 7, 7))[:1]
            made = datetime(2024, 2, 3)
            self._add("survey_answer", "corrected.csv", rows, ANSWER, made=made, simulated=True)
        if "answers again" in self.events:
            made = datetime(2024, 2, 3, 5)
            rows = first[3:9] + _answers(20, 12, "2024-02-02 12:00:00", (5, 5, 5))
            self._add("survey_answer", "answers_b.csv", rows, ANSWER, made=made, simulated=True)

    def _complaints(self) -> None:
        received = [f"2024-01-{25 + n} 10:00:00" for n in range(4)]
        events = [
            e
            for n in range(4)
            for e in (
                _event(n, 1, received[n], "RECEIVED"),
                _event(n, 2, f"2024-01-{25 + n} 11:00:00", "RESPONDED"),
                _event(n, 3, f"2024-01-{27 + n} 11:00:00", "RESOLVED"),
            )
        ]
        made = datetime(2024, 1, 31, 3)
        headers = [_header(n, received[n], received[n]) for n in range(4)]
        self._add("complaint", "complaints.csv", headers, COMPLAINT, made=made)
        self._add("complaint_event", "events.csv", events, EVENT, made=made)
        if "reopened" in self.events:
            made = datetime(2024, 2, 3, 3)
            rows = [_header(1, received[1], "2024-02-02 09:30:00", severity=4)]
            self._add("complaint", "complaints_feb.csv", rows, COMPLAINT, made=made)
            more = [_event(1, 4, "2024-02-02 09:00:00", "REOPENED", 2)]
            if "events again" in self.events:
                more = [*events[-4:], *more]
            self._add("complaint_event", "events_feb.csv", more, EVENT, made=made)
