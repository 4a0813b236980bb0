"""Complaints and questionnaires of the simulated chain: they follow from how its visits went.

Each function returns a sheet of text and the local second at which each of its rows was written, so
that the caller can cut it into deliveries.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from retailer_names import COMMENTS, EXIT_REASONS, KANO, REASONS, SERVQUAL, STORES
from retailer_world import (
    EPOCH,
    Bools,
    Chain,
    Floats,
    Ints,
    Sheet,
    as_text,
    blank_where,
    chosen,
    concatenated,
    days_text,
    joined,
    moments_text,
    money,
    numbers,
    pick,
    place_within,
    run_starts,
    taken,
)

DESK_OPENS, DESK_HOURS = 28_800, 50_400  # 08:00, 14 hours
CHANNELS = ["COUNTER", "DESK", "PHONE", "WEB", "WECHAT", "LETTER", "HOTLINE_12315", "SOCIAL"]
KINDS = ["COMPLAINT", "ENQUIRY", "SUGGESTION", "PRAISE"]
Written = tuple[Sheet, Ints]


class Service:
    """What the complaint desk and the questionnaire platform recorded of a chain's visits.

    To be made when all sales of the chain were drawn, since complaints refer to receipts.
    """

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self._make_cases()
        self._make_events()

    # ---- complaints

    def _make_cases(self) -> None:
        chain = self.chain
        rng, visit = chain.period.rng(20), chain.visit
        count = len(visit["day"])
        chance = np.asarray([0.0, 0.15, 0.25, 0.4, 0.55])[visit["gravity"]]
        roll = rng.random(count)
        kind = np.full(count, -1)
        kind[roll > 0.9994] = 1
        kind[(roll > 0.9989) & (roll <= 0.9994)] = 2
        kind[(roll > 0.9980) & (roll <= 0.9989) & (visit["content"] > 0.3)] = 3
        kind[roll < chance] = 0
        kind[visit["number"] == 0] = -1
        at = np.flatnonzero(kind >= 0)
        n = len(at)
        self.kind = kind[at]
        self.channel = pick(rng, n, [24, 24, 19, 12, 11, 3, 3, 4])
        desk = self.channel < 2
        sold = (chain.period.start + visit["day"][at]) * 86400 + visit["second"][at]
        later = (chain.period.start + visit["day"][at] + 1 + rng.geometric(0.4, n)) * 86400
        received = np.where(
            desk, sold + rng.integers(300, 3000, n), later + rng.integers(30_000, 75_000, n)
        )
        order = np.argsort(received, kind="stable")
        keep = order[received[order] < (chain.period.start + chain.period.days) * 86400]
        at, self.kind, self.channel = at[keep], self.kind[keep], self.channel[keep]
        self.received = received[keep]
        n = len(at)
        self.at = at
        weights = np.asarray([r[1] for r in REASONS], dtype=float)
        self.reason = np.where(self.kind == 3, len(REASONS) - 1, pick(rng, n, weights))
        shift = np.asarray([r[3] for r in REASONS])[self.reason]
        self.severity = np.where(
            self.kind == 0,
            np.clip(
                np.round(visit["gravity"][at] * 0.6 + 0.9 + shift + rng.normal(0, 0.5, n)), 1, 4
            ),
            1,
        ).astype(np.int64)
        entry = np.asarray([1, 1, 2, 3, 3, 4, 4, 3])[self.channel]
        self.entry = np.where((self.channel == 1) & (rng.random(n) < 0.3), 2, entry)
        plan = rng.random(n)
        self.is_full = (self.kind == 0) & (plan >= 0.07)
        self.is_cancelled = (self.kind == 0) & (plan < 0.03)
        self.is_stuck = (self.kind == 0) & (plan >= 0.03) & (plan < 0.07)
        anger = rng.normal(0, 1, n) + 0.4 * (self.severity - 2) - 0.4 * visit["content"][at]
        climbs = (anger[:, None] > np.asarray([1.0, 1.7, 2.4, 3.0])).sum(axis=1)
        self.climbs = np.where(self.is_full, np.minimum(climbs, 5 - self.entry), 0)
        self.reopened = self.is_full & (rng.random(n) < 0.08)
        day = self.received // 86400
        serial = 1 + place_within(day)
        self.number = joined(
            "TS",
            pc.replace_substring(days_text(day), "-", ""),
            pc.utf8_lpad(numbers(serial), 4, "0"),
        )
        # one in forty was brought forward twice, and is merged into the one before
        double = self.is_full & (rng.random(n) < 0.025) & (np.arange(n) > 0)
        self.merged_into = np.where(double, np.arange(n) - 1, -1)
        self.compensated = self.is_full & (rng.random(n) < 0.25 + 0.12 * self.severity)

    def _make_events(self) -> None:
        rng, n = self.chain.period.rng(21), len(self.at)
        every = np.ones(n, dtype=bool)
        answered = every & ~self.is_cancelled
        person = np.where(self.channel < 2, 0.4, 4.0)
        top = self.entry + self.climbs
        steps: list[tuple[Ints, int, str, Ints, str, Floats]] = []

        def add(
            where: Bools, order: int, event: str, level: Ints, actor: str, hours: Floats
        ) -> None:
            rows = np.flatnonzero(where)
            steps.append((rows, order, event, level[rows], actor, np.broadcast_to(hours, n)[rows]))

        def some(mean: float) -> Floats:
            return mean * rng.exponential(1, n)

        add(answered, 10, "RESPONDED", self.entry, "STAFF", person * rng.exponential(1, n))
        moved = self.is_full & (rng.random(n) < 0.08)
        add(moved, 12, "TRANSFERRED", self.entry, "STAFF", some(2))
        waits = self.is_full & (rng.random(n) < 0.2)
        add(waits, 14, "WAIT_CUSTOMER", self.entry, "STAFF", some(1))
        add(waits, 15, "RESUMED", self.entry, "CUSTOMER", 3 + some(16))
        for k in range(1, 5):
            up = self.climbs >= k
            before, after = self.entry + k - 1, self.entry + k
            refused = up & (rng.random(n) < 0.6)
            add(refused, 100 * k, "PROPOSED", before, "STAFF", some(6))
            add(refused, 100 * k + 1, "REJECTED", before, "CUSTOMER", some(4))
            add(up, 100 * k + 2, "ESCALATED", after, "STAFF", some(8))
            add(up, 100 * k + 3, "RESPONDED", after, "STAFF", some(5))
        offered = self.is_full & (rng.random(n) < 0.7)
        add(offered, 900, "PROPOSED", top, "STAFF", some(3))
        add(offered, 901, "ACCEPTED", top, "CUSTOMER", some(4))
        solved = self.is_full | ((self.kind > 0) & (self.kind < 3))
        add(
            solved,
            910,
            "RESOLVED",
            top,
            "STAFF",
            np.where(self.kind > 0, 0.5, 4 + 4 * self.severity) * rng.exponential(1, n),
        )
        add(self.reopened, 920, "REOPENED", top, "CUSTOMER", 4 + some(30))
        add(self.reopened, 921, "RESPONDED", top, "STAFF", some(5))
        add(self.reopened, 922, "RESOLVED", top, "STAFF", some(14))
        add(self.is_full | (self.kind > 0), 930, "CLOSED", top, "STAFF", 4 + some(12))
        add(self.is_cancelled, 940, "CANCELLED", self.entry, "CUSTOMER", some(10))
        rows = np.concatenate([s[0] for s in steps])
        order = np.concatenate([np.full(len(s[0]), s[1]) for s in steps])
        event = np.concatenate([np.full(len(s[0]), s[2]) for s in steps])
        level = np.concatenate([s[3] for s in steps])
        actor = np.concatenate([np.full(len(s[0]), s[4]) for s in steps])
        seconds = np.maximum(120, np.concatenate([s[5] for s in steps]) * 3600).astype(np.int64)
        by = np.lexsort((order, rows))
        rows, order, event, level, actor, seconds = (
            v[by] for v in (rows, order, event, level, actor, seconds)
        )
        # working time: the desk opens at eight and closes at ten
        day, clock = self.received // 86400, self.received % 86400
        worked = day * DESK_HOURS + np.clip(clock - DESK_OPENS, 0, DESK_HOURS)
        total = np.cumsum(seconds)
        first = run_starts(rows)
        base = np.where(first, total - seconds, 0)
        base = np.maximum.accumulate(base)
        worked = worked[rows] + total - base
        moment = worked // DESK_HOURS * 86400 + DESK_OPENS + worked % DESK_HOURS
        robot = np.isin(self.channel, [3, 4, 6, 7])
        rows = np.concatenate([rows, np.arange(n), np.flatnonzero(robot)])
        order = np.concatenate([order, np.zeros(n), np.ones(int(robot.sum()))])
        event = np.concatenate(
            [event, np.full(n, "RECEIVED"), np.full(int(robot.sum()), "ACK_AUTO")]
        )
        level = np.concatenate([level, self.entry, self.entry[robot]])
        actor = np.concatenate([actor, np.full(n, "CUSTOMER"), np.full(int(robot.sum()), "SYSTEM")])
        moment = np.concatenate([moment, self.received, self.received[robot] + 45])
        by = np.lexsort((order, rows))
        rows, event, level, actor, moment = (v[by] for v in (rows, event, level, actor, moment))
        self.event_row, self.event, self.event_at = rows, event, moment
        self.event_level, self.event_actor = level.astype(np.int64), actor
        self.event_seq = 1 + place_within(rows)
        self.closed_at = np.zeros(n, dtype=np.int64)
        closed = event == "CLOSED"
        self.closed_at[rows[closed]] = moment[closed]
        self.resolved_at = np.zeros(n, dtype=np.int64)
        self.resolved_at[rows[event == "RESOLVED"]] = moment[event == "RESOLVED"]

    def events(self) -> Written:
        """The feed complaint_event."""
        rng, n = self.chain.period.rng(22), len(self.event_row)
        staff = np.where(self.event_actor == "STAFF", 1 + rng.integers(0, 60, n), -1)
        words = ["", "已电话联系顾客", "顾客要求店长出面", "已道歉并说明情况", "等待顾客提供小票"]
        sheet: Sheet = {
            "complaint_no": self.number.take(pa.array(self.event_row)),
            "seq": numbers(self.event_seq),
            "occurred_at": moments_text(self.event_at),
            "event": pa.array(self.event.astype(str)),
            "level": numbers(self.event_level),
            "actor_type": pa.array(self.event_actor.astype(str)),
            "staff_no": blank_where(joined("E", pc.utf8_lpad(numbers(staff), 4, "0")), staff < 0),
            "note": chosen(words, rng.integers(0, len(words), n)),
        }
        return self._until_the_end(sheet, self.event_at)

    def headers(self) -> Written:
        """The feed complaint: each as received, and again when compensated or merged."""
        chain, rng = self.chain, self.chain.period.rng(23)
        visit, n = chain.visit, len(self.at)
        who, day = visit["member"][self.at], visit["day"][self.at]
        stores = [s.code for s in STORES]
        product = np.asarray([r[2] for r in REASONS])[self.reason] & (self.kind < 3)
        sku = np.where(product, visit["sku"][self.at], -1)
        names = chosen(chain.goods.sheet["name"], sku)
        said = chosen([r[5] for r in REASONS], self.reason)
        head, _, tail = (
            chosen([r[5].partition("{sku}")[i] for r in REASONS], self.reason) for i in range(3)
        )
        said = pc.if_else(pa.array(product), joined(head, names, tail), said)
        said = pc.if_else(pa.array(self.kind == 3), "员工热心帮助，表扬", said)
        department = chosen([r[4] for r in REASONS], self.reason)
        level2 = chosen(chain.goods.sheet["category_2_name"], sku)
        phone = chain.member_sheet["phone"].take(pa.array(who))
        card = np.where(day > chain.renew_day[who], chain.successor[who], who)
        at_staff = np.isin(self.reason, [4, 5, 7])
        sheet: Sheet = {
            "complaint_no": self.number,
            "received_at": moments_text(self.received),
            "channel": chosen(CHANNELS, self.channel),
            "entry_level": numbers(self.entry),
            "card_no": blank_where(chosen(chain.card_codes, card), rng.random(n) < 0.12),
            "contact_phone": blank_where(phone, rng.random(n) < 0.2),
            "store_code": chosen(stores, visit["store"][self.at]),
            "department": pc.if_else(pc.equal(department, ""), level2, department),
            "sku_code": chosen(chain.goods.codes, sku),
            "orig_store_code": chosen(stores, visit["store"][self.at]),
            "orig_business_date": days_text(chain.period.start + day),
            "orig_till_no": pc.utf8_lpad(numbers(visit["till"][self.at]), 2, "0"),
            "orig_receipt_no": pc.utf8_lpad(numbers(visit["number"][self.at]), 6, "0"),
            "kind": chosen(KINDS, self.kind),
            "reason_code": chosen([r[0] for r in REASONS], self.reason),
            "severity": numbers(self.severity),
            "description": said,
            "staff_no": blank_where(
                joined("E", pc.utf8_lpad(numbers(1 + rng.integers(0, 60, n)), 4, "0")), ~at_staff
            ),
            "merged_into": pa.array([""] * n),
            "compensation_type": pa.array([""] * n),
            "compensation_amount": pa.array([""] * n),
            "updated_at": moments_text(self.received),
        }
        paid = np.flatnonzero(self.compensated & (self.resolved_at > 0))
        kinds = ["VOUCHER", "REFUND", "EXCHANGE", "POINTS"]
        worth = np.maximum(500, visit["net"][self.at[paid]] * rng.choice([1, 2], len(paid)) // 2)
        later = taken(sheet, paid) | {
            "compensation_type": chosen(kinds, rng.integers(0, 4, len(paid))),
            "compensation_amount": money(worth),
            "updated_at": moments_text(self.resolved_at[paid]),
        }
        merged = np.flatnonzero((self.merged_into >= 0) & (self.closed_at > self.resolved_at))
        joined_up = taken(sheet, merged) | {
            "merged_into": self.number.take(pa.array(np.maximum(self.merged_into[merged], 0))),
            "updated_at": moments_text(self.closed_at[merged]),
        }
        moments = np.concatenate([self.received, self.resolved_at[paid], self.closed_at[merged]])
        return self._until_the_end(concatenated([sheet, later, joined_up]), moments)

    def _until_the_end(self, sheet: Sheet, at: Ints) -> Written:
        end = (self.chain.period.start + self.chain.period.days) * 86400
        rows = np.argsort(at, kind="stable")
        rows = rows[at[rows] < end]
        return {c: as_text(v).take(pa.array(rows)) for c, v in sheet.items()}, at[rows]

    # ---- questionnaires

    def questions(self) -> Sheet:
        """The feed survey_question."""
        period = self.chain.period
        third = max(1, period.days // 3)
        whole = (period.first, period.last)
        middle = (period.first + timedelta(third), period.first + timedelta(2 * third - 1))
        late = (period.first + timedelta(2 * third), period.last)
        rows: list[tuple[str, ...]] = []
        self.asked: list[tuple[str, str, str, float, float, float, int, int]] = []

        def ask(survey: str, question: str, kind: str, text: str, construct: str,
                scale: tuple[int, int], model: tuple[float, float, float], wave: tuple[date, date],
                facet: str = "", item: int = 0, dimension: str = "", role: str = "SINGLE",
                pair: str = "", better: int = 1) -> None:  # fmt: skip
            rows.append(
                (
                    survey,
                    question,
                    kind,
                    text,
                    construct,
                    facet,
                    str(item or ""),
                    dimension,
                    role,
                    pair,
                )
                + (
                    str(scale[0]),
                    str(scale[1]),
                    str(better),
                    wave[0].isoformat(),
                    wave[1].isoformat(),
                )
            )
            self.asked.append((survey, question, role, *model, *scale))

        ask(
            "GW",
            "GW-CSAT",
            "CSAT",
            "您对本次购物的总体满意程度？",
            "SATISFACTION",
            (1, 5),
            (3.9, 0.75, 0.6),
            whole,
        )
        for facet, text in (("PRODUCT", "商品"), ("SERVICE", "服务"), ("PRICE", "价格")):
            ask(
                "GW",
                f"GW-{facet}",
                "CSAT",
                f"您对本店{text}的满意程度？",
                "FACET_SATISFACTION",
                (1, 5),
                (3.8, 0.6, 0.8),
                whole,
                facet=facet,
            )
        ask(
            "GW",
            "GW-NPS",
            "NPS",
            "您向亲友推荐惠民超市的可能性？",
            "NPS",
            (0, 10),
            (7.8, 1.9, 1.3),
            whole,
        )
        ask("GW", "GW-CES", "CES", "在本店购物很省力。", "EFFORT", (1, 7), (5.4, 0.9, 1.0), whole)
        for construct, text in (
            ("REPURCHASE_INTENT", "我还会再来购物。"),
            ("RECOMMENDATION", "我愿意向他人推荐。"),
            ("RELATIVE_PREFERENCE", "与其他超市相比我更喜欢这里。"),
        ):
            ask("GW", f"GW-{construct}", "LOYALTY", text, construct, (1, 7), (5.2, 1.1, 0.9), whole)
        ask(
            "GW",
            "GW-COMMENT",
            "CSAT",
            "您还有什么意见？",
            "COMMENT",
            (0, 0),
            (0, 0, 0),
            whole,
            role="OPEN",
        )
        ask(
            "LS",
            "LS-REASON",
            "EXIT",
            "您为什么来得少了？",
            "EXIT_REASON",
            (0, 1),
            (0, 0, 0),
            whole,
            role="SINGLE",
        )
        for construct, text in (
            ("HANDLING", "您对投诉处理的满意程度？"),
            ("DISTRIBUTIVE_JUSTICE", "处理结果公平。"),
            ("PROCEDURAL_JUSTICE", "处理程序便捷。"),
            ("INTERACTIONAL_JUSTICE", "我受到尊重。"),
        ):
            ask(
                "TS",
                f"TS-{construct}",
                "COMPLAINT_FOLLOWUP",
                text,
                construct,
                (1, 5),
                (3.6, 1.0, 0.7),
                whole,
            )
        number = 0
        for dimension, points, items in SERVQUAL:
            for text in items:
                number += 1
                for role, who, model in (
                    ("E", "优秀的超市", (6.1, 0.0, 0.8)),
                    ("P", "惠民超市", (5.3, 0.7, 0.9)),
                ):
                    ask(
                        "SQ",
                        f"SQ-{number:02d}-{role}",
                        "SERVQUAL",
                        f"{who}{text}",
                        "SERVICE_QUALITY",
                        (1, 7),
                        model,
                        middle,
                        item=number,
                        dimension=dimension,
                        role=role,
                        pair=f"SQ{number:02d}",
                    )
            ask(
                "SQ",
                f"SQ-{dimension}",
                "SERVQUAL",
                "请将100分分配给五个方面",
                "IMPORTANCE",
                (0, 100),
                (points, 0.0, 0.0),
                middle,
                dimension=dimension,
                role="IMPORTANCE",
            )
        for attribute, text, there, absent in KANO:
            for role, asked, mean in (
                ("FUNC", f"如果{text}，您觉得？", there),
                ("DYSF", f"如果没有{text}，您觉得？", absent),
            ):
                ask("KN", f"KN-{attribute}-{role}", "KANO", asked, attribute, (1, 5), (mean, 0.0, 0.6), late,
                    role=role, pair=attribute, better=0)  # fmt: skip
        names = (
            "survey_id question_id survey_type text construct facet servqual_item dimension role"
        )
        names += " pair_id scale_min scale_max higher_is_better wave_start wave_end"
        sheet = {
            name: pa.array([row[i] for row in rows], pa.string())
            for i, name in enumerate(names.split())
        }
        sheet["updated_at"] = moments_text(np.full(len(rows), (period.start - 2) * 86400 + 36_000))
        self.waves = {"SQ": middle, "KN": late}
        return sheet

    def _responses(self) -> dict[str, tuple[Ints, Ints, Floats, Ints]]:
        """For each questionnaire: visit, second of submission, contentment, complaint (or -1)."""
        chain, rng = self.chain, self.chain.period.rng(30)
        visit = chain.visit
        count = len(visit["day"])
        when = (chain.period.start + visit["day"]) * 86400 + visit["second"]
        reply = rng.random(count) < 0.05 + 0.03 * np.minimum(1, np.abs(visit["content"]) / 1.5)
        asked = np.flatnonzero((rng.random(count) < 0.25) & reply)
        none = np.full(len(asked), -1)
        result = {
            "GW": (
                asked,
                when[asked] + rng.integers(14_400, 300_000, len(asked)),
                visit["content"][asked],
                none,
            )
        }
        for survey, (first, last) in self.waves.items():
            low, high = ((d - EPOCH).days - chain.period.start for d in (first, last))
            rows = np.flatnonzero((visit["day"] >= low) & (visit["day"] <= high - 5))
            rows = rows[np.unique(visit["member"][rows], return_index=True)[1]]
            rows = np.sort(rows[rng.random(len(rows)) < 0.10])
            at = when[rows] + rng.integers(14_400, 300_000, len(rows))
            result[survey] = (rows, at, visit["content"][rows], np.full(len(rows), -1))
        # whoever has not come for 45 days is asked why
        by = np.lexsort((visit["day"], visit["member"]))
        member, day = visit["member"][by], visit["day"][by]
        nothing = np.append(member[1:] != member[:-1], True) | (np.append(day[1:], 0) - day > 45)
        silent = np.sort(by[nothing & (day + 46 < chain.period.days)])
        silent = silent[rng.random(len(silent)) < 0.08]
        at = (chain.period.start + visit["day"][silent] + 45) * 86400 + rng.integers(
            33_000, 68_000, len(silent)
        )
        result["LS"] = (silent, at, visit["content"][silent], np.full(len(silent), -1))
        cases = np.flatnonzero(
            (self.closed_at > 0) & (self.kind == 0) & (rng.random(len(self.at)) < 0.35)
        )
        took = (self.closed_at - self.received)[cases] / 86400
        felt = 0.6 + 0.3 * visit["content"][self.at[cases]] - 0.4 * self.climbs[cases]
        felt = felt - 0.5 * self.reopened[cases] - 0.12 * np.minimum(15, took)
        at = self.closed_at[cases] + rng.integers(7_200, 600_000, len(cases))
        result["TS"] = (self.at[cases], at, felt, cases)
        return result

    def answers(self) -> Written:
        """The feed survey_answer; `questions` must have been asked for first."""
        chain, rng = self.chain, self.chain.period.rng(31)
        visit = chain.visit
        sheets: list[Sheet] = []
        moments: list[Ints] = []
        for survey, (rows, at, content, case) in self._responses().items():
            n = len(rows)
            who, day = visit["member"][rows], visit["day"][rows]
            card = np.where(day > chain.renew_day[who], chain.successor[who], who)
            shared: Sheet = {
                "response_id": joined(survey, "-", numbers(who + 1), "-", numbers(at // 60)),
                "survey_id": pa.array([survey] * n, pa.string()),
                "invitation_id": joined(
                    "YQ-", survey, "-", numbers(who + 1), "-", numbers(at // 60)
                ),
                "card_no": blank_where(chosen(chain.card_codes, card), rng.random(n) < 0.05),
                "complaint_no": chosen(self.number, case) if n else pa.array([], pa.string()),
                "store_code": chosen([s.code for s in STORES], visit["store"][rows]),
                "started_at": moments_text(at - rng.integers(60, 600, n)),
                "submitted_at": moments_text(at),
            }

            def give(
                where: Ints, question: str, option: Ints, num: pa.Array, code: pa.Array, text: pa.Array,
                shared: Sheet = shared, at: Ints = at,
            ) -> None:  # fmt: skip
                part = taken(shared, where)
                part |= {
                    "question_id": pa.array([question] * len(where), pa.string()),
                    "option_seq": numbers(option),
                    "answer_num": num,
                    "answer_code": code,
                    "answer_text": text,
                }
                sheets.append(part)
                moments.append(at[where])

            every = np.arange(n)
            for asked_survey, question, role, mean, slope, spread, low, high in self.asked:
                if asked_survey != survey:
                    continue
                nothing = pa.array([""] * n, pa.string())
                ones = np.ones(n, dtype=np.int64)
                if question == "LS-REASON":
                    for option in (1, 2):
                        some = every if option == 1 else every[rng.random(n) < 0.35]
                        pull = np.asarray(
                            [w * np.exp(s * content[some]) for _, w, s in EXIT_REASONS]
                        )
                        draw = -np.log(rng.random((len(EXIT_REASONS), len(some)))) / pull
                        code = np.argsort(draw, axis=0)[option - 1] if len(some) else some
                        blank = pa.array([""] * len(some), pa.string())
                        codes = chosen([c for c, _, _ in EXIT_REASONS], code)
                        give(some, question, np.full(len(some), option), blank, codes, blank)
                elif role == "OPEN":
                    some = every[rng.random(n) < 0.15]
                    mood = np.sign(np.where(np.abs(content[some]) < 0.6, 0, content[some])).astype(
                        int
                    )
                    words = [w for m in (-1, 0, 1) for w in COMMENTS[m]]
                    blank = pa.array([""] * len(some), pa.string())
                    text = chosen(words, (mood + 1) * 3 + rng.integers(0, 3, len(some)))
                    give(some, question, ones[: len(some)], blank, blank, text)
                else:
                    score = np.round(mean + slope * content + spread * rng.normal(0, 1, n))
                    if role == "IMPORTANCE":
                        score = np.full(n, mean)
                    score = np.clip(score, low, high).astype(np.int64)
                    shy = rng.random(n) if role != "IMPORTANCE" else np.ones(n)
                    score = np.where(shy < 0.015, 98, np.where(shy < 0.03, 99, score))
                    give(every, question, ones, joined(numbers(score), ".000"), nothing, nothing)
        sheet = concatenated(sheets)
        columns = (
            "response_id question_id option_seq survey_id invitation_id card_no complaint_no"
            " store_code started_at submitted_at answer_num answer_code answer_text"
        )
        return self._until_the_end({c: sheet[c] for c in columns.split()}, np.concatenate(moments))
