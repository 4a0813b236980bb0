"""Checks that learn from the past of a store: what they see, and what they take for normal."""

from __future__ import annotations

import math
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from houses import House, make_house, valid

from kehu import warehouse
from kehu.gate.expect import Judged, make_views, read_suite
from kehu.settings import PROJECT

D = date(2017, 3, 31)  # a Friday
FESTIVAL = date(2018, 2, 16)
STORES = ["S1", "S2", "S3", "S4", "S5"]
LEARNT = {"day_volume", "day_volume_older", "doubled_receipts"} | {
    str(e["meta"]["id"]).split(".")[1]
    for e in read_suite(PROJECT / "expectations" / "suites" / "sales_line.json")
    if e["meta"].get("learns")
}


@dataclass(frozen=True)
class Day:
    """A store-day: receipts of five lines, of about 10 each, as the till wrote them."""

    receipts: int = 100
    lines: int = 5
    cards: float = 0.6
    returns: float = 0.01
    value: float = 10.0
    copies: int = 1  # how often the day stands in the file, under continued receipt numbers


def sql_of(store: str, day: date, it: Day) -> str:
    """Lines of a store-day: no two receipts are alike, unless they are copies."""
    receipt, line = "r.n", "l.n"
    scatter = f"((hash({receipt}, {line}, '{store}') % 1000)::double / 500)"  # 0 to 2, mean 1
    return f"""select base.* replace ('{store}' as store_code, date '{day}' as business_date,
        'R' || (c.n * 10000 + {receipt}) as receipt_no, {line}::integer as line_no,
        timestamp '{day} 09:00:00' + to_seconds(({receipt} * 37)::bigint) as sold_at,
        'P' || (hash({receipt}, {line}) % 50) as sku_code,
        (case when {receipt} <= {it.returns * it.receipts} then -1 else 1 end
            * {it.value} * {scatter})::decimal(18, 2) as net_amount,
        case when {receipt} <= {it.returns * it.receipts} then 'RETURN' else 'SALE' end
            as receipt_type,
        case when {receipt} > {(1 - it.cards) * it.receipts} then 'K1' end as card_no)
        from base, range(0, {it.copies}) as c(n), range(1, {it.receipts} + 1) as r(n),
        range(1, {it.lines} + 1) as l(n)"""


class Chain:
    """Five stores with a past, whose profile the reference of the house holds."""

    def __init__(self, house: House) -> None:
        self.house = house
        house.settings.reference.mkdir(parents=True, exist_ok=True)
        path = house.drop("sales_line", [valid("sales_line")])
        _, folder = house.extract(path)
        house.judge(path)
        self.base = folder / "accepted.parquet"

    def remember(self, past: list[tuple[date, str, Day]]) -> None:
        rows = [
            {
                "business_date": day, "store_code": store, "count_rows": it.receipts * it.lines,
                "count_receipts": it.receipts, "net_amount": it.receipts * it.lines * it.value,
                "count_card_lines": int(it.receipts * it.lines * it.cards),
                "count_return_lines": int(it.receipts * it.lines * it.returns),
            }
            for day, store, it in past
        ]  # fmt: skip
        pq.write_table(pa.Table.from_pylist(rows), self.house.settings.reference / "volume.parquet")

    def alarms(self, days: dict[str, Day], day: date = D) -> dict[str, list[dict[str, Any]]]:
        """The checks that fail on a file of these store-days, with their rows."""
        path = self.house.settings.home / "batch.parquet"
        with duckdb.connect() as connection:
            connection.execute(f"create table base as from '{self.base}'")
            parts = " union all ".join(sql_of(store, day, it) for store, it in days.items())
            connection.execute(f"copy ({parts}) to '{path}'")
        batch = Judged(
            batch_id="b", feed="sales_line", path="b", accepted_path=path, rows_in=1, accepted=1,
            quarantined=0, has_manifest=False, manifest_rows=None, manifest_control_sum=None,
            control_sum=None, control_unparsed=0, is_empty_declared=False,
        )  # fmt: skip
        database = self.house.settings.home / "views.duckdb"
        database.unlink(missing_ok=True)
        make_views(self.house.settings, self.house.contracts, [batch], day, database)
        found: dict[str, list[dict[str, Any]]] = {}
        with duckdb.connect(str(database), read_only=True) as connection:
            for expectation in read_suite(self.house.settings.suites / "sales_line.json"):
                name = expectation["meta"]["id"].split(".")[1]
                query = expectation["kwargs"]["unexpected_rows_query"]
                if name in LEARNT:
                    rows = connection.execute(query.replace("{batch}", "sales_line"))
                    if failed := rows.to_arrow_table().to_pylist():
                        found[name] = failed
        return found


def weeks(day: date, count: int = 8) -> list[date]:
    return [day - timedelta(days=7 * i) for i in range(1, count + 1)]


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Eight Fridays of which each is a little different: 90 to 110 receipts."""
    chain = Chain(make_house(tmp_path_factory.mktemp("steady")))
    chain.remember(
        [
            (day, store, Day(receipts=90 + (i * 5 + n) % 21))
            for i, day in enumerate(weeks(D))
            for n, store in enumerate(STORES)
        ]
    )
    return chain


def all_as(it: Day) -> dict[str, Day]:
    return dict.fromkeys(STORES, it)


ONE_STORE: dict[str, tuple[Callable[[Day], Day], set[str]]] = {
    "as ever": (lambda d: d, set()),
    "half-empty": (lambda d: replace(d, receipts=50), {"store_day_volume"}),
    "doubled under continued numbers": (
        lambda d: replace(d, copies=2),
        {"store_day_volume", "doubled_receipts"},
    ),
    "a good day": (lambda d: replace(d, receipts=135), set()),
    "no cards read": (lambda d: replace(d, cards=0.05), {"store_day_cards"}),
    "fewer members than usual": (lambda d: replace(d, cards=0.5), set()),
    "returns instead of sales": (lambda d: replace(d, returns=0.3), {"store_day_returns"}),
    "a few returns more": (lambda d: replace(d, returns=0.04), set()),
    "cents": (lambda d: replace(d, value=1000.0), {"store_day_value"}),
    "dear goods": (lambda d: replace(d, value=15.0), set()),
    "first line of each receipt": (
        lambda d: replace(d, lines=1),
        {"store_day_volume", "store_day_basket"},
    ),
    "small baskets": (lambda d: replace(d, lines=4), set()),
}


@pytest.mark.parametrize("name", ONE_STORE)
def test_one_store_of_five(name: str, steady: Chain) -> None:
    change, fails = ONE_STORE[name]
    assert set(steady.alarms(all_as(Day()) | {"S1": change(Day())})) == fails


def test_observed_and_expected_stand_in_the_rows(steady: Chain) -> None:
    [row] = steady.alarms(all_as(Day()) | {"S1": Day(receipts=50)})["store_day_volume"]
    assert (row["store_days"], row["store_day"]) == (1, "S1 2017-03-31")
    # receipts of S1 on the eight Fridays: 90, 95, 100, 105, 110, 94, 99, 104; median 99.5
    assert row["observed_lines"] == 250
    assert row["expected_lines"] == pytest.approx(99.5 * 5, rel=0.03)  # times what the day is like
    assert row["compared_days"] == 8
    [row] = steady.alarms(all_as(Day()) | {"S2": Day(cards=0.05)})["store_day_cards"]
    assert (row["observed_card_share"], row["expected_card_share"]) == (0.05, 0.6)


ALL_STORES: dict[str, tuple[Day, set[str]]] = {
    "a promotion of the chain": (Day(receipts=135), set()),
    "half a day everywhere": (Day(receipts=50), {"chain_day_volume"}),
    "all files doubled": (Day(copies=2), {"chain_day_volume", "doubled_receipts"}),
    "a quarter of a day everywhere": (
        Day(receipts=25),
        {"chain_day_volume", "day_volume"},
    ),
}


@pytest.mark.parametrize("name", ALL_STORES)
def test_all_stores_together(name: str, steady: Chain) -> None:
    it, fails = ALL_STORES[name]
    assert set(steady.alarms(all_as(it))) == fails


def test_a_store_alone_is_judged_without_what_the_others_say(steady: Chain) -> None:
    assert "store_day_volume" in steady.alarms({"S1": Day(receipts=50)})


@pytest.mark.parametrize(("known", "fails"), [(3, set()), (4, {"store_day_volume"})])
def test_four_of_the_last_eight_are_needed(known: int, fails: set[str], house: House) -> None:
    chain = Chain(house)
    chain.remember([(d, "S1", Day()) for d in weeks(D, known)])
    assert set(chain.alarms({"S1": Day(receipts=50)})) - {"chain_day_volume"} == fails


def test_a_store_whose_days_differ_much_may_differ_much(house: House) -> None:
    chain = Chain(house)
    wild = [30, 170, 60, 140, 40, 160, 50, 150]
    chain.remember([(d, "S1", Day(receipts=n)) for d, n in zip(weeks(D), wild, strict=True)])
    assert chain.alarms({"S1": Day(receipts=50)}) == {}


def test_a_holiday_is_compared_with_the_same_holiday(house: House) -> None:
    """Each Spring Festival sold twice what a Friday sells: twice is right, and a Friday is half."""
    festivals = [date(2015, 2, 19), date(2016, 2, 8), date(2017, 1, 28)]
    ordinary = [(d, "S1", Day()) for d in weeks(FESTIVAL)]
    chain = Chain(house)
    chain.remember(ordinary + [(d, "S1", Day(receipts=200)) for d in festivals])
    # three are too few to say anything, and ordinary Fridays say nothing about a festival
    assert chain.alarms({"S1": Day(receipts=100)}, FESTIVAL) == {}
    own = house.settings.home / "project"
    for part in ("seeds", "expectations"):
        shutil.copytree(PROJECT / part, own / part)
    with (own / "seeds" / "calendar.csv").open("a", encoding="utf-8") as file:
        file.write("CN,2014-01-31,Spring Festival,false,true\n")
    chain.house.settings = house.settings.model_copy(update={"project": own})
    four = [date(2014, 1, 31), *festivals]
    chain.remember(ordinary + [(d, "S1", Day(receipts=200)) for d in four])
    assert chain.alarms({"S1": Day(receipts=200)}, FESTIVAL) == {}
    assert "store_day_volume" in chain.alarms({"S1": Day(receipts=95)}, FESTIVAL)


def test_seasons_weekdays_growth_and_chance_do_not_alarm(house: House) -> None:
    """Twelve weeks of five stores: weekends are strong, spring grows, every day has its luck."""
    dice = random.Random(20170331)
    weekday = [0.9, 0.85, 0.9, 0.95, 1.1, 1.5, 1.4]

    def lived(day: date, size: int) -> Day:
        season = 1 + 0.25 * math.sin(2 * math.pi * day.timetuple().tm_yday / 365)
        mean = size * weekday[day.weekday()] * season * dice.lognormvariate(0, 0.08)
        return Day(
            receipts=max(1, round(mean)),
            cards=min(1.0, max(0.0, dice.gauss(0.6, 0.03))),
            returns=max(0.0, dice.gauss(0.01, 0.004)),
            value=dice.gauss(10, 0.5),
        )

    sizes = dict(zip(STORES, (60, 90, 120, 200, 400), strict=True))
    days = [D - timedelta(days=i) for i in range(83, -1, -1)]
    history = {d: {s: lived(d, size) for s, size in sizes.items()} for d in days}
    chain = Chain(house)
    for day in days[-10:]:
        chain.remember([(d, s, it) for d in days if d < day for s, it in history[d].items()])
        assert chain.alarms(history[day], day) == {}, day


def kept(house: House) -> list[tuple[Any, ...]]:
    return house.query(
        "select store_code, business_date, count_receipts, net_amount, count_card_lines, "
        "count_return_lines from ops.store_day_profile order by all"
    )


def test_the_load_keeps_the_profile_of_what_is_current(house: House) -> None:
    """Also where a resend replaces a store-day, and where one is declared empty."""
    line = valid("sales_line")
    first = [
        line,
        line | {"line_no": "2", "card_no": "K1", "net_amount": "10.00"},
        line | {"receipt_no": "R2", "receipt_type": "RETURN", "qty": "-1", "card_no": "",
                "gross_amount": "-12.00", "discount_amount": "-2.00", "net_amount": "-10.00"},
        line | {"store_code": "S2"},
    ]  # fmt: skip
    house.drop("sales_line", first)
    house.take_in()
    s1, s2 = (("S1", D, 2, 10, 2, 1), ("S2", D, 1, 10, 1, 0))
    assert kept(house) == [s1, s2]
    house.drop("sales_line", [line | {"batch_no": "2", "card_no": ""}], "b.csv")
    house.take_in()
    assert kept(house) == [("S1", D, 1, 10, 0, 0), s2]
    empty = {"store_days": [["S2", "2017-03-31"]], "generated_at": "2017-04-02T00:00:00", "rows": 0}
    house.drop("sales_line", ",".join(line) + "\n", "c.csv", manifest=empty | {"batch_no": 2})
    house.take_in()
    current = house.query(
        "select store_code, count_rows from ops.store_day where status = 'CURRENT' order by all"
    )
    assert [s for s, n in current if n] == [row[0] for row in kept(house)]
    volume = duckdb.execute(
        f"select store_code, count_receipts from '{house.settings.reference}/volume.parquet'"
    ).fetchall()
    assert sorted(volume) == [row[:1] + row[2:3] for row in kept(house)]


def test_an_older_warehouse_gets_the_profiles_of_its_past(house: House) -> None:
    house.drop("sales_line", [valid("sales_line"), valid("sales_line", receipt_no="R2")])
    house.take_in()
    before = kept(house)
    with duckdb.connect(str(house.settings.warehouse)) as connection:
        connection.execute("drop table ops.store_day_profile")
        connection.execute("update ops.meta set schema_version = 2")
    with warehouse.open_warehouse(house.settings, house.contracts):
        pass
    assert kept(house) == before == [("S1", D, 2, 20, 2, 0)]


def test_a_company_sets_its_own_threshold(house: House) -> None:
    """A row of the company's own param.csv takes the place of the shipped one of its name."""
    chain = Chain(house)
    chain.remember([(d, "S1", Day()) for d in weeks(D)])
    company = house.settings.home / "company"
    (company / "seeds").mkdir(parents=True)
    (company / "seeds" / "param.csv").write_text(
        "name,scope,value,valid_from,valid_to,source\n"
        "volume_tolerance,default,0.6,1900-01-01,9999-12-31,ours\n",
        encoding="utf-8",
    )
    assert "store_day_volume" in chain.alarms({"S1": Day(receipts=50)})
    chain.house.settings = house.settings.model_copy(update={"company": company})
    assert chain.alarms({"S1": Day(receipts=50)}) == {}
