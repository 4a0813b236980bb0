"""The life of a supermarket chain: people, visits, baskets, failures, complaints and questionnaires.

Nothing here knows how Kehu counts. Customers have rates, habits and lifetimes of their own; what
goes wrong at a visit makes them complain, answer worse, and some of them leave. All is drawn in
bulk with numpy from one seed; money is in fen, quantities are in thousandths.

`Chain` holds the people, goods and visits of the whole period; `Chain.sales(day)` gives the lines
of one day and must be called day after day, since returns refer to what was sold before.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from retailer_names import (
    BRANDS,
    COMPANIONS,
    DISTRICTS,
    FAMILIES,
    GIVEN_FIRST,
    GIVEN_LAST,
    HOURS,
    LEVEL1,
    MISSIONS,
    MONTHS,
    PINYIN,
    SPECS,
    SPRING_FESTIVALS,
    STORES,
    STREETS,
    SURNAMES,
    TEST_STORE,
    WEEKDAYS,
)

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Rows = dict[str, Any]  # column → numpy array, all of one length
Sheet = dict[str, Any]  # column → pyarrow array of canonical text, '' = no value

MEMBERS = 140_000
EPOCH = date(1970, 1, 1)
TYPES = ["SALE", "RETURN", "EXCHANGE", "CANCELLED", "TRAINING"]
SALE, RETURN, EXCHANGE, CANCELLED, TRAINING = range(5)
STATES = ["COMPLETED", "SUSPENDED", "VOID"]
CHANNELS = ["STORE", "ONLINE", "O2O", "GROUPBUY"]
COMPETED, COST_WITH_TAX, CONVENIENCE = 4, 5, (5, 6)  # places in STORES: see where they are used
COUPON, GIFT, BAG_SMALL, BAG_LARGE = range(4)  # the first products are these


@dataclass(frozen=True)
class Period:
    """What is simulated: the days, how large, and by which seed."""

    first: date
    last: date
    scale: float
    seed: int

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def start(self) -> int:
        """The first day, counted from 1970."""
        return (self.first - EPOCH).days

    def rng(self, *tags: int) -> np.random.Generator:
        """Chance for one purpose, independent of what else is drawn."""
        return np.random.default_rng([self.seed, *tags])


# ---- text -----------------------------------------------------------------------------------------

_CENTS = pa.array([f"{i:02d}" for i in range(100)])
_MILLS = pa.array([f"{i:03d}" for i in range(1000)])
_SECONDS = pa.array(
    [f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}" for s in range(86400)], pa.string()
)


def _signed(values: Ints, unit: int, tail: pa.Array) -> pa.Array:
    whole = pc.cast(pa.array(np.abs(values) // unit), pa.string())
    text = pc.binary_join_element_wise(whole, tail.take(pa.array(np.abs(values) % unit)), ".")
    return pc.binary_join_element_wise(pa.array(np.where(values < 0, "-", "")), text, "")


def money(fen: Ints) -> pa.Array:
    """Fen as 12.34."""
    return _signed(fen, 100, _CENTS)


def thousandths(values: Ints) -> pa.Array:
    """Thousandths as 1.250."""
    return _signed(values, 1000, _MILLS)


def numbers(values: npt.NDArray[Any]) -> pa.Array:
    """Whole numbers as text."""
    return pc.cast(pa.array(np.asarray(values, dtype=np.int64)), pa.string())


def days_text(days: Ints) -> pa.Array:
    """Days since 1970 as 2024-03-05."""
    found, place = np.unique(days, return_inverse=True)
    texts = [(EPOCH + timedelta(days=int(d))).isoformat() for d in found]
    return pa.array(texts, pa.string()).take(pa.array(place))


def moments_text(seconds: Ints) -> pa.Array:
    """Local seconds since 1970 as 2024-03-05 10:22:33."""
    clock = _SECONDS.take(pa.array(seconds % 86400))
    return pc.binary_join_element_wise(days_text(seconds // 86400), clock, " ")


def chosen(texts: list[str] | pa.Array, place: npt.NDArray[Any]) -> pa.Array:
    """`texts` by place; '' where the place is negative."""
    held = texts if isinstance(texts, (pa.Array, pa.ChunkedArray)) else pa.array(texts, pa.string())
    place = np.asarray(place, dtype=np.int64)
    return blank_where(held.take(pa.array(np.maximum(place, 0))), place < 0)


def blank_where(text: pa.Array, mask: Bools) -> pa.Array:
    """`text`, '' where the mask is true."""
    return pc.if_else(pa.array(mask), "", text) if mask.any() else text


def joined(*parts: Any) -> pa.Array:
    """Texts put together, row by row."""
    return pc.binary_join_element_wise(*parts, "")


def size_of(sheet: Sheet) -> int:
    """How many rows a sheet has."""
    return len(next(iter(sheet.values())))


def taken(sheet: Sheet, rows: npt.NDArray[Any]) -> Sheet:
    """Some rows of a sheet, in that order."""
    return {name: column.take(pa.array(rows)) for name, column in sheet.items()}


def pick(rng: np.random.Generator, size: int, weights: Any) -> Ints:
    """Places drawn in proportion to their weights."""
    cumulated = np.cumsum(np.asarray(weights, dtype=float))
    return np.searchsorted(cumulated, rng.random(size) * cumulated[-1], "right")


def run_starts(sorted_keys: Ints) -> Bools:
    first = np.ones(len(sorted_keys), dtype=bool)
    first[1:] = sorted_keys[1:] != sorted_keys[:-1]
    return first


def place_within(sorted_keys: Ints) -> Ints:
    """Place of each row among those with the same key, from 0; the keys are sorted."""
    place = np.arange(len(sorted_keys))
    return place - np.maximum.accumulate(np.where(run_starts(sorted_keys), place, 0))


# ---- the chain ------------------------------------------------------------------------------------


@dataclass
class Goods:
    """The products, in arrays by place."""

    codes: list[str]
    family: Ints
    price: Ints
    cost_share: Floats
    vat: Ints
    is_weighed: Bools
    costs_known: Bools
    from_day: Ints  # first day on sale, counted from the first day of the period
    sheet: Sheet = field(default_factory=dict)
    changes: Sheet = field(default_factory=dict)  # later versions, with updated_at in the period


class Chain:
    """The whole chain over a period; everything follows from `Period`."""

    def __init__(self, period: Period) -> None:
        self.period = period
        self.weights = self._day_weights()
        self.closed: set[tuple[int, int]] = self._closed_days()
        self.opens_competitor = period.days // 2
        self.goods = self._make_goods()
        self._prepare_baskets()
        self._make_members()
        self._make_visits()
        self._pending: dict[int, list[Rows]] = defaultdict(list)

    # -- calendar

    def _day_weights(self) -> Floats:
        festivals = [date.fromisoformat(f) for f in SPRING_FESTIVALS]
        weights = []
        for offset in range(self.period.days):
            day = self.period.first + timedelta(days=offset)
            weight = WEEKDAYS[day.weekday()] * MONTHS[day.month - 1]
            for festival in festivals:
                to_go = (festival - day).days
                if 1 <= to_go <= 18:
                    weight *= 1.15 + 0.75 * (1 - to_go / 18)  # 年货
                elif to_go == 0:
                    weight *= 0.35
                elif -6 <= to_go < 0:
                    weight *= 0.55
            if (day.month, day.day) in ((10, 1), (10, 2), (5, 1)):
                weight *= 1.3
            weights.append(weight)
        return np.asarray(weights)

    def _closed_days(self) -> set[tuple[int, int]]:
        """(store, day): convenience stores stay closed on New Year's Day, one store takes stock."""
        closed = {(COMPETED, self.period.days - 5)} if self.period.days > 10 else set()
        for text in SPRING_FESTIVALS:
            offset = (date.fromisoformat(text) - self.period.first).days
            if 0 <= offset < self.period.days:
                closed |= {(store, offset) for store in CONVENIENCE}
        return closed

    # -- goods

    def _make_goods(self) -> Goods:
        rng = self.period.rng(1)
        per_noun = max(2, round(24 * min(1.0, self.period.scale * 4) ** 0.5))
        family, noun = [], []
        for place, each in enumerate(FAMILIES):
            for n, _ in enumerate(each.nouns.split()):
                family += [place] * per_noun
                noun += [n] * per_noun
        special = [
            ("满100减10优惠券", 0),
            ("赠品 试用装", 1),
            ("购物袋（小）", 30),
            ("购物袋（大）", 50),
        ]
        count = len(special) + len(family)
        fam = np.asarray([-1] * len(special) + family)
        nouns = np.asarray([0] * len(special) + noun)
        low = np.asarray([FAMILIES[f].low if f >= 0 else 1 for f in fam], dtype=float)
        high = np.asarray([FAMILIES[f].high if f >= 0 else 2 for f in fam], dtype=float)
        price = np.exp(np.log(low) + rng.beta(1.4, 2.6, count) * (np.log(high) - np.log(low)))
        price = (np.round(price / 10) * 10 - rng.choice([0, 1, 2], count)).astype(np.int64)
        price[: len(special)] = [p for _, p in special]
        codes = [f"{i:08d}" for i in range(100, 100 + count)]
        codes[: len(special)] = ["00000001", "00000002", "00000011", "00000012"]
        vat = np.asarray([FAMILIES[f].vat if f >= 0 else 13 for f in fam])
        weighed = np.asarray([FAMILIES[f].is_weighed if f >= 0 else False for f in fam])
        from_day = np.full(count, -10_000)
        reused = rng.random(count) < 0.01
        reused[: len(special)] = False
        from_day[reused] = rng.integers(1, max(2, self.period.days - 10), int(reused.sum()))
        goods = Goods(
            codes=codes,
            family=fam,
            price=np.maximum(price, 1),
            cost_share=np.clip(rng.normal(0.76, 0.07, count), 0.5, 0.97),
            vat=vat,
            is_weighed=weighed,
            costs_known=rng.random(count) >= 0.02,
            from_day=from_day,
        )
        goods.price[COUPON] = 0
        brand = rng.integers(0, len(BRANDS), count)
        spec = rng.integers(0, len(SPECS), count)
        names, levels = [s for s, _ in special], [("营促销", "营促销", "营促销", "营促销")] * 2
        levels += [("购物袋", "购物袋", "购物袋", "购物袋")] * 2
        for i in range(len(special), count):
            f = FAMILIES[fam[i]]
            word = f.nouns.split()[nouns[i]]
            tail = "" if f.is_weighed else f" {SPECS[spec[i]]}"
            names.append(f"{BRANDS[brand[i]]} {word}{tail}")
            levels.append((f.level1, f.level2, f.level3, word))
        code_of: dict[tuple[str, ...], str] = {}
        for path in levels:
            for depth in range(1, 5):
                code_of.setdefault(
                    path[:depth], f"{len([p for p in code_of if len(p) == depth]) + 10:0{2}d}"
                )

        def category(path: tuple[str, ...], depth: int) -> str:
            return "".join(code_of[path[: d + 1]] for d in range(depth))

        base = self.period.start * 86400
        listed = rng.integers(200, 3000, count)
        never = np.zeros(count, dtype=bool)
        sheet: Sheet = {
            "sku_code": pa.array(codes),
            "name": pa.array(names),
            "brand": blank_where(chosen(BRANDS, brand), fam < 0),
        }
        for depth in range(1, 5):
            sheet[f"category_{depth}_code"] = pa.array([category(p, depth) for p in levels])
            sheet[f"category_{depth}_name"] = pa.array([p[depth - 1] for p in levels])
        is_bag = np.isin(np.arange(count), [BAG_SMALL, BAG_LARGE])
        sheet |= {
            "uom": pa.array([FAMILIES[f].unit if f >= 0 else "个" for f in fam]),
            "is_weighed": numbers(weighed),
            "is_revenue": numbers(np.arange(count) != COUPON),
            "is_bag": numbers(is_bag),
            "points_class": pa.array(np.where(weighed, "HALF", "FULL")),
            "vat_rate": joined("0.", _CENTS.take(pa.array(vat)), "0"),
            "warranty_class": pa.array(
                ["SANBAO" if f >= 0 and FAMILIES[f].level1 == "家电" else "NONE" for f in fam]
            ),
            "supplier_code": joined("G", pc.utf8_lpad(numbers(brand + 1), 4, "0")),
            "launched_on": days_text(self.period.start - listed),
            "delisted_on": blank_where(days_text(np.full(count, self.period.start)), ~never),
            "status": pa.array(np.full(count, "ACTIVE")),
            "updated_at": moments_text(base - listed * 86400 + 36_000),
        }
        # a code that was given up more than a year ago comes back with another product behind it
        old = taken(sheet, np.flatnonzero(reused))
        back = goods.from_day[reused]
        if len(back):
            gone = self.period.start - 500 + back % 60
            sheet = replaced(
                sheet,
                np.flatnonzero(reused),
                {
                    "status": pa.array(np.full(len(back), "DELISTED")),
                    "delisted_on": days_text(gone),
                    "launched_on": days_text(gone - 700),
                    "updated_at": moments_text(gone * 86400 + 36_000),
                },
            )
        again = old | {
            "name": joined("新品 ", old["name"]),
            "launched_on": days_text(self.period.start + back),
            "updated_at": moments_text((self.period.start + back - 1) * 86400 + 72_000),
        }
        # and some goods move to another 中类 half way, as categories are tidied up
        moved = np.flatnonzero((rng.random(count) < 0.02) & ~reused & (fam >= 0))
        other = taken(sheet, moved)
        half = np.full(len(moved), self.period.start + self.period.days // 2)
        other |= {
            "category_2_code": joined(
                pc.utf8_slice_codeunits(other["category_2_code"], 0, 2), "99"
            ),
            "category_2_name": pa.array(np.full(len(moved), "精选推荐")),
            "updated_at": moments_text(half * 86400 + 7_200),
        }
        goods.sheet = sheet
        goods.changes = {
            name: pa.concat_arrays([as_text(again[name]), as_text(other[name])]) for name in sheet
        }
        return goods

    def _prepare_baskets(self) -> None:
        goods, rng = self.goods, self.period.rng(2)
        ordinary = np.flatnonzero(goods.family >= 0)
        popularity = np.exp(rng.normal(0, 1.1, len(ordinary)))
        family_weight = np.asarray([f.weight for f in FAMILIES])
        per_family = np.bincount(
            goods.family[ordinary], weights=popularity, minlength=len(FAMILIES)
        )
        share = popularity / per_family[goods.family[ordinary]]
        level = np.asarray([LEVEL1.index(f.level1) for f in FAMILIES])
        tables = []
        for _, _, _, _, lift in MISSIONS:
            weight = share * (family_weight * np.asarray(lift)[level])[goods.family[ordinary]]
            tables.append(weight / weight.sum())
        self._cumulated = np.cumsum(np.concatenate(tables))
        self._cumulated *= len(MISSIONS) / self._cumulated[-1]
        self._ordinary = ordinary
        names = [f.level3 for f in FAMILIES]
        self._companion = np.full(len(FAMILIES), -1)
        self._companion_chance = np.zeros(len(FAMILIES))
        for source, target, chance in COMPANIONS:
            self._companion[names.index(source)] = names.index(target)
            self._companion_chance[names.index(source)] = chance
        self._of_family = [ordinary[goods.family[ordinary] == f] for f in range(len(FAMILIES))]
        self._flyers: dict[int, Floats] = {}

    def flyer(self, day: int) -> tuple[str, Floats]:
        """The promotion that runs on a day: its code, and each product's share of discount."""
        number = (day + self.period.start) // 14
        if number not in self._flyers:
            rng = self.period.rng(3, number)
            count = len(self.goods.codes)
            on = (rng.random(count) < 0.04) & (self.goods.family >= 0)
            self._flyers[number] = np.where(on, rng.choice([0.1, 0.15, 0.2, 0.3, 0.35], count), 0.0)
        begins = EPOCH + timedelta(days=number * 14)
        return f"DM{begins:%Y%m%d}", self._flyers[number]

    # -- people

    def _make_members(self) -> None:
        period, rng = self.period, self.period.rng(4)
        n = max(60, round(MEMBERS * period.scale))
        self.members = n
        horizon = period.days
        early = rng.random(n) < 0.72
        enrol = np.where(
            early,
            -1 - (1800 * rng.random(n) ** 1.3).astype(int),
            (horizon * rng.random(n)).astype(int),
        )
        order = np.argsort(enrol, kind="stable")
        self.enrol_day = enrol[order]
        self.home = pick(rng, n, [s.size for s in STORES])
        self.rate = np.minimum(6.0, np.exp(rng.normal(-0.75, 1.0, n)))  # visits a week
        self.regular = rng.choice([0.8, 1.0, 2.0, 4.0], n, p=[0.2, 0.3, 0.3, 0.2])
        tries = rng.random(n) < 0.28
        life = np.where(tries, rng.exponential(50, n), 900 * rng.weibull(0.85, n))
        self.life_end = self.enrol_day + life
        self.trait = rng.normal(0, 0.65, n)
        self.is_company = rng.random(n) < 0.008
        self.is_staff = rng.random(n) < 0.006
        self.favourite = rng.integers(0, len(MISSIONS), n)
        self._write_members(rng)

    def _write_members(self, rng: np.random.Generator) -> None:
        n, start = self.members, self.period.start
        surname = rng.integers(0, len(SURNAMES) - 2, n)
        surname = np.where(
            rng.random(n) < 0.004, len(SURNAMES) - 1 - rng.integers(0, 2, n), surname
        )
        first = rng.integers(0, len(GIVEN_FIRST) + 8, n)  # one in four has one given name
        last = rng.integers(0, len(GIVEN_LAST), n)
        phone = 13_000_000_000 + rng.integers(0, 6_999_999_999, n)
        birth = start - 365 * 18 - (365 * 62 * rng.beta(2.0, 2.4, n)).astype(int)
        district = np.where(
            rng.random(n) < 0.7,
            np.asarray([DISTRICTS.index(s.district) for s in STORES])[self.home],
            rng.integers(0, len(DISTRICTS), n),
        )
        street = rng.integers(0, len(STREETS), n)
        house = rng.integers(1, 200, n)
        gender = rng.choice(3, n, p=[0.62, 0.30, 0.08])
        size = 1 + rng.binomial(4, 0.42, n)
        # the same person enrols again, or two of a household with one telephone
        other = rng.integers(0, n, n)
        roll = rng.random(n)
        again = (roll < 0.03) & (other < np.arange(n))
        home = (roll >= 0.03) & (roll < 0.08) & (other < np.arange(n))
        for values in (phone, district, street, house, size):
            values[again | home] = values[other[again | home]]
        for values in (surname, first, last, birth, gender):
            values[again] = values[other[again]]
        self.person = np.where(again, other, np.arange(n))
        given = joined(
            chosen(list(GIVEN_FIRST), np.where(first < len(GIVEN_FIRST), first, -1)),
            chosen(list(GIVEN_LAST), last),
        )
        family = chosen(list(SURNAMES), surname)
        spelt = rng.integers(0, 3, n)
        name = joined(family, given)
        name = pc.if_else(pa.array(again & (spelt == 1)), joined(family, " ", given), name)
        latin = chosen([PINYIN.get(c, "") for c in SURNAMES], surname)
        latin = pc.if_else(pc.equal(latin, ""), name, joined(latin, " XX"))
        name = pc.if_else(pa.array(again & (spelt == 2) & (roll < 0.006)), latin, name)
        name = pc.if_else(pa.array(self.is_company), joined(family, "氏商贸有限公司"), name)
        birth += birth == 0  # 1970-01-01 stands for "unknown" in many forms
        born = blank_where(days_text(birth), rng.random(n) < 0.06)
        enrolled = (start + self.enrol_day) * 86400 + rng.integers(30_000, 72_000, n)
        ids = joined("M", pc.utf8_lpad(numbers(np.arange(1, n + 1)), 8, "0"))
        cards = joined("0086", pc.utf8_lpad(numbers(np.arange(n) + 10_000_000), 8, "0"))
        self.cards = cards
        referrer = np.where(rng.random(n) < 0.06, other, -1)
        self.enrolled_at = enrolled
        self.member_sheet: Sheet = {
            "member_id": ids,
            "name": name,
            "gender": chosen(["F", "M", "U"], gender),
            "birth_date": born,
            "phone": blank_where(numbers(phone), rng.random(n) < 0.05),
            "email": blank_where(
                joined("u", numbers(phone % 10**7), "@example.com"), rng.random(n) < 0.8
            ),
            "district": chosen(DISTRICTS, district),
            "address": joined(
                "江苏省南京市",
                chosen(DISTRICTS, district),
                chosen(STREETS, street),
                numbers(house),
                "号",
            ),
            "household_size": blank_where(numbers(size), rng.random(n) < 0.3),
            "enrolled_on": days_text(start + self.enrol_day),
            "enrol_store_code": chosen([s.code for s in STORES], self.home),
            "enrol_channel": chosen(
                ["STORE", "WECHAT", "APP"], rng.choice(3, n, p=[0.6, 0.3, 0.1])
            ),
            "referrer_card_no": chosen(cards, referrer),
            "customer_type": pa.array(np.where(self.is_company, "COMPANY", "PERSON")),
            "status": pa.array(np.full(n, "ACTIVE")),
            "updated_at": moments_text(enrolled),
        }
        # a lost card gets a successor: the old number is used before, the new one after
        self.renew_day = np.where(
            rng.random(n) < 0.03, rng.integers(0, max(1, self.period.days), n), 10**6
        )
        self.renew_day = np.where(self.renew_day > self.enrol_day, self.renew_day, 10**6)
        renewed = np.flatnonzero(self.renew_day < 10**6)
        self.successor = np.full(n, -1)
        self.successor[renewed] = n + np.arange(len(renewed))
        newer = joined("0087", pc.utf8_lpad(numbers(renewed + 10_000_000), 8, "0"))
        self.card_codes = pa.concat_arrays([as_text(cards), as_text(newer)])
        kind = np.where(
            self.is_staff,
            "STAFF",
            np.where(self.is_company, "COMPANY", np.where(self.rate > 1.6, "GOLD", "POINTS")),
        )
        self.card_sheet: Sheet = {
            "card_no": cards,
            "member_id": ids,
            "card_type": pa.array(kind),
            "issued_on": days_text(start + self.enrol_day),
            "valid_to": pa.array(np.full(n, "2035-12-31")),
            "status": pa.array(np.full(n, "ACTIVE")),
            "replaced_by": pa.array(np.full(n, "")),
            "updated_at": moments_text(enrolled + 60),
        }
        at = (start + self.renew_day[renewed]) * 86400 + 30_600
        lost = taken(self.card_sheet, renewed) | {
            "status": pa.array(np.full(len(renewed), "REPLACED")),
            "replaced_by": newer,
            "updated_at": moments_text(at),
        }
        fresh = taken(self.card_sheet, renewed) | {
            "card_no": newer,
            "issued_on": days_text(at // 86400),
            "updated_at": moments_text(at),
        }
        self.card_changes: Sheet = {
            c: pa.concat_arrays([as_text(lost[c]), as_text(fresh[c])]) for c in self.card_sheet
        }
        # some move, some cancel
        moving = np.flatnonzero((rng.random(n) < 0.04) & (self.enrol_day < self.period.days - 3))
        low = np.maximum(self.enrol_day[moving] + 1, 0)
        changed = start + low + (rng.random(len(moving)) * (self.period.days - low)).astype(int)
        quits = rng.random(len(moving)) < 0.2
        self.member_changes: Sheet = taken(self.member_sheet, moving) | {
            "district": chosen(DISTRICTS, rng.integers(0, len(DISTRICTS), len(moving))),
            "status": pa.array(np.where(quits, "CANCELLED", "ACTIVE")),
            "updated_at": moments_text(changed * 86400 + 75_600),
        }

    # -- visits

    def _make_visits(self) -> None:
        period, rng = self.period, self.period.rng(5)
        n, horizon = self.members, period.days
        # business time: a busy day is longer. Gaps are drawn in it, so weekdays and seasons follow
        ticks = np.concatenate([[0.0], np.cumsum(self.weights)])
        ticks *= horizon / ticks[-1]
        begin = np.maximum(self.enrol_day, 0)
        mean_gap = 7.0 / np.where(self.is_company, 0.7, self.rate)
        at_first = np.interp(begin, np.arange(horizon + 1), ticks)
        offset = np.where(self.enrol_day >= 0, 0.0, mean_gap * rng.random(n))
        span = np.maximum(0.0, horizon - at_first)
        spread = mean_gap / np.sqrt(self.regular)
        count = np.ceil(span / mean_gap + 4 * spread * np.sqrt(span / mean_gap) / mean_gap + 4)
        count = count.astype(np.int64)
        who = np.repeat(np.arange(n), count)
        gaps = rng.gamma(self.regular[who], (mean_gap / self.regular)[who])
        gaps[np.cumsum(count) - count] = 0.0
        total = np.cumsum(gaps)
        base = np.repeat(total[np.cumsum(count) - count], count)
        moment = total - base + (at_first + offset)[who]
        inside = moment < horizon
        who, moment = who[inside], moment[inside]
        day = np.minimum(horizon - 1, np.searchsorted(ticks, moment, "right") - 1)
        once = run_starts(who * (horizon + 1) + day) | (rng.random(len(who)) < 0.15)
        who, day = who[once], day[once]
        # a pause of some months, now and then
        pause = np.where(rng.random(n) < 0.05, rng.integers(0, horizon, n), 10**6)
        away = (day >= pause[who]) & (day < pause[who] + 60 + (self.trait[who] + 3) * 15)
        # a competitor opens near one store, half way
        near = (self.home == COMPETED) & (rng.random(n) < 0.10)
        leaves = self.opens_competitor + 60 * rng.random(n)
        self.life_end = np.where(
            near & (leaves > self.enrol_day), np.minimum(self.life_end, leaves), self.life_end
        )
        alive = (day <= self.life_end[who]) & ~away
        who, day = who[alive], day[alive]
        store = np.where(
            rng.random(len(who)) < 0.86,
            self.home[who],
            pick(rng, len(who), [s.size for s in STORES]),
        )
        closed = np.zeros((len(STORES), horizon), dtype=bool)
        for s, d in self.closed:
            closed[s, d] = True
        open_ = ~closed[store, day]
        who, day, store = who[open_], day[open_], store[open_]
        # what goes wrong; more on busy days
        chance = np.asarray([s.failure for s in STORES])[store] * self.weights[day] ** 1.5
        failed = rng.random(len(who)) < chance
        gravity = np.where(failed, 1 + rng.binomial(3, 0.35, len(who)), 0)
        fatal = failed & (rng.random(len(who)) < 0.05 + 0.07 * gravity)
        last = np.full(n, 10**6)
        np.minimum.at(last, who[fatal], day[fatal])
        stays = day <= last[who]
        self.left_after_failure = int((last < 10**6).sum())
        who, day, store, gravity = who[stays], day[stays], store[stays], gravity[stays]
        failed = gravity > 0
        # how content: the person, the store, the day, and what still rankles
        key = who * 100_000 + day
        since = np.maximum.accumulate(np.where(failed, key, -1))
        ago = np.where(since // 100_000 == who, key - since, 10_000)
        service = np.asarray([s.service for s in STORES])[store]
        content = (
            self.trait[who]
            + service
            + rng.normal(0, 0.35, len(who))
            - 0.9 * np.exp(-ago / 45.0)
            - 0.25 * gravity
        )
        second = self._clock(rng, len(who))
        order = np.lexsort((second, day))
        self.visit: Rows = {
            "member": who[order],
            "day": day[order],
            "store": store[order],
            "second": second[order],
            "gravity": gravity[order],
            "content": content[order],
        }
        visits = len(who)
        self.visit |= {
            "till": np.zeros(visits, dtype=np.int64),
            "number": np.zeros(visits, dtype=np.int64),
            "sku": np.full(visits, -1),
            "net": np.zeros(visits, dtype=np.int64),
        }
        self._day_start = np.searchsorted(self.visit["day"], np.arange(horizon + 1))
        self.anonymous_a_day = 0.72 * visits / max(1, horizon)

    @staticmethod
    def _clock(rng: np.random.Generator, size: int) -> Ints:
        hour = pick(rng, size, HOURS)
        return hour * 3600 + rng.integers(0, 3600, size)

    # -- the sales of a day

    def sales(self, day: int) -> Rows:
        """All lines of one day, sorted by store, till, receipt and line."""
        rng = self.period.rng(6, day)
        receipts = self._receipts(rng, day)
        lines = self._lines(rng, day, receipts)
        receipts, lines = self._odd_receipts(rng, day, receipts, lines)
        return self._numbered(rng, day, receipts, lines)

    def _receipts(self, rng: np.random.Generator, day: int) -> Rows:
        low, high = self._day_start[day], self._day_start[day + 1]
        who = self.visit["member"][low:high]
        card = np.where(day > self.renew_day[who], self.successor[who], who)
        own = rng.random(len(who)) < 0.45
        mission = np.where(own, self.favourite[who], pick(rng, len(who), [m[1] for m in MISSIONS]))
        per_store = np.asarray([s.size for s in STORES])
        wanted = rng.poisson(self.anonymous_a_day * self.weights[day] * per_store)
        for s in range(len(STORES)):
            if (s, day) in self.closed:
                wanted[s] = 0
        others = int(wanted.sum())
        store = np.repeat(np.arange(len(STORES)), wanted)
        # cashiers lend their own card, and some cards go from hand to hand
        roll = rng.random(others)
        staff = np.flatnonzero(self.is_staff & (self.enrol_day < 0))
        shared = np.flatnonzero(self.enrol_day < -400)[:14]
        foreign = np.full(others, -1)
        if len(staff):
            foreign = np.where(roll < 0.006, staff[rng.integers(0, len(staff), others)], foreign)
        if len(shared):
            lent = (roll > 0.006) & (roll < 0.016)
            foreign = np.where(lent, shared[(store * 2 + (roll < 0.012)) % len(shared)], foreign)
        member = np.concatenate([who, np.full(others, -1)])
        size = len(member)
        company = np.concatenate([self.is_company[who], np.zeros(others, dtype=bool)])
        channel = rng.choice(4, size, p=[0.88, 0.02, 0.095, 0.005])
        channel = np.where(member < 0, 0, channel)
        return {
            "visit": np.concatenate([np.arange(low, high), np.full(others, -1)]),
            "store": np.concatenate([self.visit["store"][low:high], store]),
            "second": np.concatenate([self.visit["second"][low:high], self._clock(rng, others)]),
            "card": np.concatenate([card, foreign]),
            "mission": np.concatenate([mission, pick(rng, others, [m[2] for m in MISSIONS])]),
            "is_bulk": company & (rng.random(size) < 0.6),
            "channel": np.where(company, 3, channel),
            "type": np.zeros(size, dtype=np.int64),
            "status": np.zeros(size, dtype=np.int64),
        }

    def _lines(self, rng: np.random.Generator, day: int, receipts: Rows) -> Rows:
        goods = self.goods
        mission, bulk = receipts["mission"], receipts["is_bulk"]
        mean = np.asarray([m[3] for m in MISSIONS])[mission]
        count = np.where(bulk, 1, 1 + rng.poisson(rng.gamma(1.8, (mean - 1) / 1.8)))
        receipt = np.repeat(np.arange(len(mission)), count)
        place = np.searchsorted(
            self._cumulated, mission[receipt] + rng.random(len(receipt)), "right"
        )
        sku = self._ordinary[np.minimum(place, len(self._cumulated) - 1) % len(self._ordinary)]
        # habit: half of what a member buys is what the same member always buys of that kind
        card = receipts["card"][receipt]
        habit = (card >= 0) & (rng.random(len(sku)) < 0.5)
        size_of_family = np.asarray([len(f) for f in self._of_family])
        start_of_family = np.asarray([f[0] for f in self._of_family])
        family = goods.family[sku]
        usual = (card * 7919 + family * 104_729) % size_of_family[family]
        sku = np.where(habit, start_of_family[family] + usual, sku)
        code, cut = self.flyer(day)
        on_flyer = np.flatnonzero(cut > 0)
        if len(on_flyer):
            tempted = rng.random(len(sku)) < 0.14
            sku = np.where(tempted, on_flyer[rng.integers(0, len(on_flyer), len(sku))], sku)
        # what goes with it
        family = goods.family[sku]
        takes = (rng.random(len(sku)) < self._companion_chance[family]) & ~bulk[receipt]
        friend = self._companion[family[takes]]
        beside = (
            start_of_family[friend] + rng.integers(0, 10**6, len(friend)) % size_of_family[friend]
        )
        extra = [(np.flatnonzero(np.zeros(0)), np.zeros(0, dtype=np.int64))]
        rows = np.arange(len(mission))
        bags = rows[(rng.random(len(rows)) < 0.22) & ~bulk]
        extra = [
            (receipt[takes], beside),
            (bags, np.where(rng.random(len(bags)) < 0.5, BAG_SMALL, BAG_LARGE)),
            (gifts := rows[rng.random(len(rows)) < 0.012], np.full(len(gifts), GIFT)),
        ]
        receipt = np.concatenate([receipt, *(r for r, _ in extra)])
        sku = np.concatenate([sku, *(s for _, s in extra)])
        listed = goods.from_day[sku] <= day
        sku = np.where(listed, sku, self._ordinary[(sku * 31) % len(self._ordinary)])
        sku = np.where(goods.from_day[sku] <= day, sku, BAG_SMALL)
        return self._priced(rng, day, receipts, receipt, sku, code, cut)

    def _priced(
        self,
        rng: np.random.Generator,
        day: int,
        receipts: Rows,
        receipt: Ints,
        sku: Ints,
        code: str,
        cut: Floats,
    ) -> Rows:
        goods = self.goods
        n = len(sku)
        level = np.asarray([s.price for s in STORES] + [1.0])[receipts["store"][receipt]]
        drift = 1 + 0.02 * day / 365
        price = np.maximum(
            1, np.round(goods.price[sku] * level * drift / 10) * 10 - goods.price[sku] % 10 // 5
        )
        special = goods.family[sku] < 0
        price = np.where(special, goods.price[sku], price).astype(np.int64)
        price = np.where((sku == GIFT) & (rng.random(n) < 0.5), 0, price)
        pieces = 1 + pick(rng, n, [0.76, 0.16, 0.04, 0.02, 0.01, 0.01])
        weight = np.clip(np.exp(rng.normal(-0.5, 0.55, n)), 0.05, 12)
        qty = np.where(goods.is_weighed[sku], np.round(weight * 1000), pieces * 1000).astype(
            np.int64
        )
        qty = np.where(special, 1000, qty)
        bulk = receipts["is_bulk"][receipt] & ~special
        many = rng.integers(30, 150, n) * np.where(rng.random(n) < 0.12, 10, 1)
        qty = np.where(bulk, 1000 * many, qty)
        gross = np.round(qty * price / 1000).astype(np.int64)
        gross = np.where(bulk, np.maximum(10_000, gross // 10_000 * 10_000), gross)
        share = np.where(bulk, 0.0, cut[sku])
        discount = np.round(gross * share).astype(np.int64)
        member_price = (
            (receipts["card"][receipt] >= 0) & (rng.random(n) < 0.05) & (share == 0) & ~bulk
        )
        discount = np.where(member_price, np.round(gross * 0.05).astype(np.int64), discount)
        net = gross - discount
        tax = 1 + goods.vat[sku] / 100
        cost = np.round(gross / tax * goods.cost_share[sku]).astype(np.int64)
        cost = np.where(
            receipts["store"][receipt] == COST_WITH_TAX, np.round(cost * tax).astype(np.int64), cost
        )
        lines: Rows = {
            "receipt": receipt,
            "sku": sku,
            "qty": qty,
            "price": price,
            "gross": gross,
            "discount": discount,
            "net": net,
            "cost": np.where(goods.costs_known[sku] & ~special, cost, -1),
            "on_promo": share > 0,
            "void": (rng.random(n) < 0.004) & ~bulk,
            "orig_store": np.full(n, -1),
            "orig_day": np.full(n, 0),
            "orig_till": np.full(n, -1),
            "orig_number": np.full(n, -1),
        }
        # a coupon is a line of its own; small money is let off
        total = np.bincount(receipt, weights=net, minlength=len(receipts["store"]))
        rich = np.flatnonzero((total >= 10_000) & (receipts["card"] >= 0) & ~receipts["is_bulk"])
        rich = rich[rng.random(len(rich)) < 0.06]
        lines = stacked(
            lines,
            _blank_lines(lines, len(rich))
            | {
                "receipt": rich,
                "sku": np.full(len(rich), COUPON),
                "qty": np.full(len(rich), 1000),
                "price": np.full(len(rich), -1000),
                "gross": np.full(len(rich), -1000),
                "net": np.full(len(rich), -1000),
                "cost": np.full(len(rich), -1),
            },
        )
        order = np.argsort(lines["receipt"], kind="stable")
        lines = {name: values[order] for name, values in lines.items()}
        total = np.bincount(
            lines["receipt"], weights=lines["net"], minlength=len(receipts["store"])
        )
        last = np.flatnonzero(np.append(run_starts(lines["receipt"])[1:], True))
        off = total[lines["receipt"][last]].astype(np.int64) % 10
        cash = (rng.random(len(last)) < 0.15) & (off > 0) & (off <= 5) & (lines["net"][last] > 100)
        lines["net"][last[cash]] -= off[cash]
        return lines

    def _odd_receipts(
        self, rng: np.random.Generator, day: int, receipts: Rows, lines: Rows
    ) -> tuple[Rows, Rows]:
        """Add what is suspended, cancelled, returned, exchanged, tried out."""
        size = len(receipts["store"])
        receipts["type"] = np.where(rng.random(size) < 0.004, CANCELLED, receipts["type"])
        receipts["status"] = np.where(receipts["type"] == CANCELLED, 2, receipts["status"])
        # suspended, and completed some minutes later with a new number
        twice = np.flatnonzero((rng.random(size) < 0.005) & (receipts["type"] == SALE))
        copied = {k: v[twice] for k, v in receipts.items()}
        copied["second"] = np.maximum(0, copied["second"] - rng.integers(60, 900, len(twice)))
        copied["status"] = np.full(len(twice), 1)
        copied["visit"] = np.full(len(twice), -1)
        place = np.full(size, -1)
        place[twice] = size + np.arange(len(twice))
        again = place[lines["receipt"]] >= 0
        extra = {k: v[again] for k, v in lines.items()}
        extra["receipt"] = place[extra["receipt"]]
        receipts, lines = stacked(receipts, copied), stacked(lines, extra)
        for due in self._pending.pop(day, []):
            due = {k: v[~self._is_closed(due["store"], day)] for k, v in due.items()}
            if len(due["sku"]):
                receipts, lines = self._returned(rng, receipts, lines, due)
        if (day + self.period.start) % 3 == 0:
            receipts, lines = self._tried_out(rng, day, receipts, lines)
        return receipts, lines

    def _is_closed(self, store: Ints, day: int) -> Bools:
        return np.asarray([(int(s), day) in self.closed for s in store], dtype=bool)

    def _returned(
        self, rng: np.random.Generator, receipts: Rows, lines: Rows, due: Rows
    ) -> tuple[Rows, Rows]:
        n, size = len(due["sku"]), len(receipts["store"])
        swapped = rng.random(n) < 0.2
        new = {k: np.zeros(n, dtype=v.dtype) for k, v in receipts.items()}
        new |= {
            "visit": np.full(n, -1),
            "store": due["store"],
            "second": rng.integers(36_000, 72_000, n),
            "card": due["card"],
            "type": np.where(swapped, EXCHANGE, RETURN),
        }
        back = {k: v.copy() for k, v in due.items() if k in lines}
        back["receipt"] = size + np.arange(n)
        for name in ("qty", "gross", "discount", "net"):
            back[name] = -due[name]
        back["cost"] = np.where(due["cost"] > 0, -due["cost"], due["cost"])
        instead = {k: due[k][swapped].copy() for k in lines if k != "receipt"}
        instead["receipt"] = back["receipt"][swapped]
        for name in ("orig_store", "orig_till", "orig_number"):
            instead[name] = np.full(int(swapped.sum()), -1)
        return stacked(receipts, new), stacked(lines, back, instead)

    def _tried_out(
        self, rng: np.random.Generator, day: int, receipts: Rows, lines: Rows
    ) -> tuple[Rows, Rows]:
        """Receipts of the test store, and a training receipt at a real one."""
        n, size = 4, len(receipts["store"])
        open_ = [s for s in range(len(STORES)) if (s, day) not in self.closed]
        new = {k: np.zeros(n, dtype=v.dtype) for k, v in receipts.items()}
        new |= {
            "visit": np.full(n, -1),
            "store": np.asarray([len(STORES)] * 3 + [open_[int(rng.integers(len(open_)))]]),
            "second": rng.integers(30_000, 34_000, n),
            "card": np.full(n, -1),
            "type": np.asarray([SALE, SALE, TRAINING, TRAINING]),
        }
        fake = _blank_lines(lines, n) | {
            "receipt": size + np.arange(n),
            "sku": self._ordinary[rng.integers(0, len(self._ordinary), n)],
            "qty": np.full(n, 1000),
            "price": np.full(n, 100),
            "gross": np.full(n, 100),
            "net": np.full(n, 100),
            "cost": np.full(n, -1),
        }
        return stacked(receipts, new), stacked(lines, fake)

    def _numbered(self, rng: np.random.Generator, day: int, receipts: Rows, lines: Rows) -> Rows:
        size = len(receipts["store"])
        tills = np.asarray([s.tills for s in [*STORES, TEST_STORE]])[receipts["store"]]
        desk = np.isin(receipts["type"], [RETURN, EXCHANGE])
        till = np.where(desk, 1, 1 + (rng.random(size) ** 1.3 * tills).astype(np.int64))
        order = np.lexsort((receipts["second"], till, receipts["store"]))
        number = np.zeros(size, dtype=np.int64)
        number[order] = 1 + place_within((receipts["store"] * 100 + till)[order])
        rank = np.zeros(size, dtype=np.int64)
        rank[order] = np.arange(size)
        by = np.argsort(rank[lines["receipt"]], kind="stable")
        lines = {name: values[by] for name, values in lines.items()}
        receipt = lines["receipt"]
        lines |= {
            name: receipts[name][receipt]
            for name in ("store", "card", "type", "status", "channel", "visit")
        }
        lines["till"] = till[receipt]
        lines["number"] = number[receipt]
        lines["line"] = 1 + place_within(rank[receipt])
        lines["cashier"] = (
            receipts["store"][receipt] * 100
            + till[receipt] * 2
            + (receipts["second"][receipt] > 50_400)
        )
        lines["day"] = np.full(len(receipt), day)
        lines["moment"] = (self.period.start + day) * 86400 + receipts["second"][receipt]
        self._remember(rng, day, lines)
        return lines

    def _remember(self, rng: np.random.Generator, day: int, lines: Rows) -> None:
        """Keep what a complaint may refer to, and choose what will come back."""
        seen = (lines["visit"] >= 0) & (lines["line"] == 1)
        at = lines["visit"][seen]
        for name in ("till", "number", "sku", "net"):
            self.visit[name][at] = lines[name][seen]
        fit = (
            (lines["type"] == SALE)
            & (lines["status"] == 0)
            & ~lines["void"]
            & (lines["net"] > 50)
            & (lines["store"] < len(STORES))
            & (rng.random(len(lines["sku"])) < 0.007)
        )
        rows = np.flatnonzero(fit)
        due = day + np.minimum(14, rng.geometric(0.25, len(rows)))
        for when in np.unique(due).tolist():
            back = {k: lines[k][rows[due == when]] for k in lines}
            back |= {
                "orig_store": back["store"],
                "orig_day": back["day"],
                "orig_till": back["till"],
                "orig_number": back["number"],
            }
            self._pending[when].append(back)

    def sales_sheet(self, lines: Rows) -> Sheet:
        """Lines as text, in the order and by the names of the feed."""
        start = self.period.start
        stores = [s.code for s in [*STORES, TEST_STORE]]
        flyers = [self.flyer(int(d))[0] for d in np.unique(lines["day"])]
        promo = np.where(lines["on_promo"], np.unique(lines["day"], return_inverse=True)[1], -1)
        no_orig = lines["orig_store"] < 0
        return {
            "store_code": chosen(stores, lines["store"]),
            "business_date": days_text(start + lines["day"]),
            "till_no": pc.utf8_lpad(numbers(lines["till"]), 2, "0"),
            "receipt_no": pc.utf8_lpad(numbers(lines["number"]), 6, "0"),
            "line_no": numbers(lines["line"]),
            "batch_no": pa.array(np.full(len(no_orig), "1")),
            "sold_at": moments_text(lines["moment"]),
            "receipt_type": chosen(TYPES, lines["type"]),
            "status": chosen(STATES, lines["status"]),
            "cashier_no": pc.utf8_lpad(numbers(lines["cashier"] + 1000), 6, "0"),
            "card_no": chosen(self.card_codes, lines["card"]),
            "channel": chosen(CHANNELS, lines["channel"]),
            "sku_code": chosen(self.goods.codes, lines["sku"]),
            "qty": thousandths(lines["qty"]),
            "unit_price": joined(money(lines["price"]), "00"),
            "gross_amount": money(lines["gross"]),
            "discount_amount": money(lines["discount"]),
            "net_amount": money(lines["net"]),
            "promo_code": chosen(flyers, promo),
            "cost_amount": blank_where(money(lines["cost"]), lines["cost"] == -1),
            "vat_rate": joined("0.", _CENTS.take(pa.array(self.goods.vat[lines["sku"]])), "0"),
            "void_flag": numbers(lines["void"]),
            "orig_store_code": chosen(stores, lines["orig_store"]),
            "orig_business_date": blank_where(days_text(start + lines["orig_day"]), no_orig),
            "orig_till_no": blank_where(pc.utf8_lpad(numbers(lines["orig_till"]), 2, "0"), no_orig),
            "orig_receipt_no": blank_where(
                pc.utf8_lpad(numbers(lines["orig_number"]), 6, "0"), no_orig
            ),
        }

    # -- stores

    def store_sheet(self) -> Sheet:
        """All stores as they were before the period."""
        each = [*STORES, TEST_STORE]
        test = np.asarray([s is TEST_STORE for s in each])
        return {
            "store_code": pa.array([s.code for s in each]),
            "name": pa.array([s.name for s in each]),
            "format": pa.array([s.format for s in each]),
            "city": pa.array(np.where(test, "", "南京市")),
            "district": pa.array([s.district for s in each]),
            "area_m2": blank_where(
                joined(numbers(np.asarray([s.area_m2 for s in each])), ".00"), test
            ),
            "opened_on": pa.array([s.opened_on for s in each]),
            "closed_on": pa.array([""] * len(each)),
            "is_test": numbers(test),
            "competitors_3km": numbers(np.asarray([s.competitors for s in each])),
            "updated_at": pa.array(["2020-01-01 08:00:00"] * len(each)),
        }

    def store_changes(self) -> Sheet:
        """The version of the store near which a competitor opened."""
        row = taken(self.store_sheet(), np.asarray([COMPETED]))
        at = (self.period.start + self.opens_competitor) * 86400 + 32_400
        return row | {
            "competitors_3km": numbers(np.asarray([STORES[COMPETED].competitors + 1])),
            "updated_at": moments_text(np.asarray([at])),
        }


def replaced(sheet: Sheet, rows: Ints, values: Sheet) -> Sheet:
    """The sheet with some cells of some rows put in place of the old ones."""
    mask = np.zeros(size_of(sheet), dtype=bool)
    mask[rows] = True
    result = dict(sheet)
    for name, texts in values.items():
        result[name] = pc.replace_with_mask(as_text(sheet[name]), pa.array(mask), as_text(texts))
    return result


def as_text(column: Any) -> pa.Array:
    """A column as one array of strings."""
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return column.cast(pa.string())


def stacked(*parts: Rows) -> Rows:
    """Rows behind each other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _blank_lines(like: Rows, count: int) -> Rows:
    blank = {name: np.zeros(count, dtype=values.dtype) for name, values in like.items()}
    for name in ("orig_store", "orig_till", "orig_number"):
        blank[name] = np.full(count, -1)
    return blank


def concatenated(sheets: list[Sheet]) -> Sheet:
    """Sheets with the same columns behind each other."""
    if len(sheets) == 1:
        return sheets[0]
    return {c: pa.concat_arrays([as_text(s[c]) for s in sheets]) for c in sheets[0]}
