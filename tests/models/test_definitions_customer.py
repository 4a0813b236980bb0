"""Customer measures against a second computation in plain Python.

A random history of two and a half years (cards that change hands, members that come late, returns,
bulk receipts, a test store, holidays, products that change category) is written as core tables,
dbt builds ``fct_customer_month`` and the marts on it, and every number is computed again here from
the definitions, without SQL. Then the history changes as late data change it, and the incremental
build is compared with a full refresh, row by row.
"""

from __future__ import annotations

import csv
import math
import random
import re
import shutil
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import yaml
from dbt_marts import ROOT, read, run_dbt

from kehu.score.store import make_tables

FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(9999, 12, 31)
START, LATEST = date(2019, 1, 1), date(2021, 6, 15)
DAY = timedelta(days=1)

# Columns that the rows of a history fill, in their order; the contract has the rest, and the types.
COLUMNS = {
    "fct_receipt": (
        "receipt_key store_key card_key store_code business_date till_no receipt_no receipt_type "
        "status valid_net_amount is_sale_visit source_version"
    ),
    "fct_sales_line": (
        "receipt_key store_key product_key card_key business_date qty net_amount vat_rate "
        "cost_amount net_ex_vat is_valid orig_store_code orig_business_date orig_till_no "
        "orig_receipt_no promo_code discount_amount"
    ),
    "bridge_customer_identity": "card_key card_no customer_id valid_from valid_to is_inferred",
    "dim_customer_history": (
        "customer_id status enrolled_on enrol_store_key valid_from valid_to is_inferred"
    ),
    "dim_card_history": "card_key card_type valid_from valid_to is_inferred",
    "dim_product_history": (
        "product_key is_revenue is_bag vat_rate category_2_code valid_from valid_to is_inferred"
    ),
    "dim_store_history": "store_key is_test valid_from valid_to is_inferred",
    "dim_store": "store_key store_code",
    "dim_date": "date_on is_holiday is_closed",
    "dim_question_history": (
        "question_key survey_type construct scale_min scale_max higher_is_better known_from "
        "valid_from valid_to"
    ),
    "fct_survey_answer_history": (
        "response_id question_id option_seq question_key card_key answered_on answer_num "
        "is_simulated valid_from valid_to"
    ),
    "fct_complaint_history": (
        "complaint_no received_on card_key kind merged_into reason_code severity valid_from "
        "valid_to"
    ),
    "fct_complaint_event": "complaint_no seq occurred_at occurred_on event level actor_type",
}
BUILT = ("int_as_of__digested", "fct_visit", "fct_customer_month", "fct_customer_promotion")


@dataclass
class Line:
    product: int
    qty: Decimal
    net: Decimal
    cost: Decimal | None
    orig: Receipt | None = None


@dataclass
class Receipt:
    key: int
    card: int
    store: int
    day: date
    kind: str
    lines: list[Line]

    @property
    def net(self) -> Decimal:
        return sum((line.net for line in self.lines), Decimal(0))


@dataclass
class History:
    """What the warehouse knows; versions are (first day of validity, value), ascending."""

    receipts: list[Receipt] = field(default_factory=list)
    owners: dict[int, list[tuple[date, str]]] = field(default_factory=dict)
    products: dict[int, list[tuple[date, tuple[bool, bool, str | None]]]] = field(
        default_factory=dict
    )
    members: dict[str, date] = field(default_factory=dict)
    holidays: set[date] = field(default_factory=set)
    answers: list[tuple[int, int, date, Decimal, date]] = field(default_factory=list)


TEST_STORE = 9


def promotion(receipt: Receipt, line: Line) -> tuple[str | None, Decimal]:
    """Promotion code and discount of a line: a third of the lines has the one or the other."""
    place = (receipt.key + line.product) % 6
    return "P1" if place == 0 else None, Decimal(1 if place == 1 else 0)


def month_end(day: date) -> date:
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1) - DAY


def as_of_dates(latest: date = LATEST) -> list[date]:
    days, day = [], month_end(START)
    while day < latest:
        days.append(day)
        day = month_end(day + DAY)
    return [*days, latest]


def params() -> dict[str, str]:
    with (ROOT / "seeds/param.csv").open(encoding="utf-8") as file:
        return {
            row["name"]: row["value"] for row in csv.DictReader(file) if row["scope"] == "default"
        }


def make_history(seed: int) -> History:
    rng = random.Random(seed)
    history = History()
    for product in range(1, 21):
        category = None if product == 20 else f"c{product % 7}"
        versions = [(FIRST_DAY, (product != 19, product == 18, category))]
        if product in (3, 4):
            versions.append((date(2020, 8, 20), (True, False, "c99")))
        history.products[product] = versions
    history.holidays = {date(y, 2, d) for y in (2019, 2020, 2021) for d in range(4, 11)}
    key = 0
    for customer in range(90):
        member = f"m{customer:03}"
        known_on = START - DAY if customer % 5 else START + timedelta(days=rng.randrange(700))
        history.members[member] = known_on
        for card in [customer * 2 + 1, customer * 2 + 2][: 1 + (customer % 4 == 0)]:
            history.owners[card] = [(FIRST_DAY, f"card:{card}"), (known_on, member)]
            if card % 11 == 0:
                history.owners[card].append((date(2020, 10, 10), f"m{(customer + 1) % 90:03}"))
            mean = rng.choice([2, 4, 8, 15, 30, 60])
            day = START + timedelta(days=rng.randrange(600))
            last = day + timedelta(days=rng.choice([0, 50, 200, 400, 1000]))
            while day <= min(last, LATEST + timedelta(days=20)):
                key += 1
                lines = [
                    Line(
                        rng.randrange(1, 21),
                        Decimal(rng.choice([1, 1, 1, 2, 0])),
                        Decimal(rng.randrange(0, 5000)) / 100,
                        Decimal(rng.randrange(0, 3000)) / 100,
                    )
                    for _ in range(rng.randrange(1, 4))
                ]
                if rng.random() < 0.01:
                    lines.append(Line(1, Decimal(500), Decimal(rng.choice([5000, 6000])), None))
                store = TEST_STORE if rng.random() < 0.02 else rng.choice([1, 1, 2, 3])
                receipt = Receipt(key, card, store, day, "SALE", lines)
                history.receipts.append(receipt)
                if rng.random() < 0.1:
                    key += 1
                    bought = rng.choice(lines)
                    back = Line(
                        bought.product,
                        -bought.qty,
                        -bought.net,
                        None if bought.cost is None else -bought.cost,
                        receipt if rng.random() < 0.7 else None,
                    )
                    back_on = day + timedelta(days=rng.choice([0, 1, 5, 20]))
                    history.receipts.append(
                        Receipt(key, card, receipt.store, back_on, "RETURN", [back])
                    )
                day += timedelta(days=math.ceil(rng.expovariate(1 / mean)))
    for card in range(1, 181, 3):
        if card in history.owners:
            day = date(2021, 1, 1) + timedelta(days=rng.randrange(150))
            history.answers += [
                (card, question, day, Decimal(rng.randrange(1, 8)), day) for question in (1, 2, 3)
            ]
    return history


# ------------------------------------------------------------------------- writing as core tables


def ranges(versions: list[tuple[date, Any]]) -> Iterable[tuple[Any, date, date]]:
    ends = [start for start, _ in versions[1:]] + [LAST_DAY]
    for (start, value), end in zip(versions, ends, strict=True):
        yield value, start, end


@cache
def contracts() -> dict[str, dict[str, str]]:
    """Columns and types of every core table that dbt does not build here: those without rows are
    empty, as they are in a company that has no surveys or complaints."""
    found: dict[str, dict[str, str]] = {}
    for path in (ROOT / "models/core").glob("*.yml"):
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        for table in document.get("models", []):
            if table["name"] not in (*BUILT, "dim_as_of"):
                found[table["name"]] = {
                    column["name"]: column["data_type"]
                    for column in table["columns"]
                    if "data_type" in column
                }
    return {name: columns for name, columns in found.items() if columns}


def write_core(history: History, marts: Path, latest: date = LATEST) -> None:
    rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in COLUMNS}
    store_days: dict[tuple[int, date], int] = defaultdict(int)
    for receipt in history.receipts:
        content = (receipt.key, receipt.kind, [(x.product, x.qty, x.net) for x in receipt.lines])
        store_days[receipt.store, receipt.day] ^= hash(repr(content)) & 0xFFFF_FFFF
    versions = {k: str(v) for k, v in store_days.items()}
    for r in history.receipts:
        sale = r.kind == "SALE" and any(line.qty > 0 for line in r.lines)
        rows["fct_receipt"].append(
            (r.key, r.store, r.card, f"S{r.store}", r.day, "T1", f"R{r.key}", r.kind,
             "COMPLETED", r.net, sale, versions[r.store, r.day])
        )  # fmt: skip
        for line in r.lines:
            o = line.orig
            orig = (f"S{o.store}", o.day, "T1", f"R{o.key}") if o else (None,) * 4
            rows["fct_sales_line"].append(
                (r.key, r.store, line.product, r.card, r.day, line.qty, line.net, None,
                 line.cost, None, True, *orig, *promotion(r, line))
            )  # fmt: skip
    for card, owners in history.owners.items():
        for owner, start, end in ranges(owners):
            inferred = owner.startswith("card:")
            rows["bridge_customer_identity"].append((card, str(card), owner, start, end, inferred))
    for member, known_on in history.members.items():
        rows["dim_customer_history"] += [
            (member, None, None, -1, FIRST_DAY, known_on, True),
            (member, "ACTIVE", known_on, 1, known_on, LAST_DAY, False),
        ]
    for product, product_versions in history.products.items():
        for (revenue, bag, category), start, end in ranges(product_versions):
            rows["dim_product_history"].append(
                (product, revenue, bag, None, category, start, end, False)
            )
    for store in (1, 2, 3, TEST_STORE):
        rows["dim_store_history"].append((store, store == TEST_STORE, FIRST_DAY, LAST_DAY, False))
        rows["dim_store"].append((store, f"S{store}"))
    rows["dim_store"].append((-1, "UNKNOWN"))
    day = date(2018, 1, 1)
    while day < date(2023, 1, 1):
        rows["dim_date"].append((day, day in history.holidays, False))
        day += DAY
    for question, construct in enumerate(params()["attitude_constructs"].split("|"), start=1):
        rows["dim_question_history"].append(
            (question, "LOYALTY", construct, 1, 7, True, FIRST_DAY, FIRST_DAY, LAST_DAY)
        )
    for card, question, answered_on, score, known_on in history.answers:
        rows["fct_survey_answer_history"].append(
            (f"r{card}", f"q{question}", 1, question, card, answered_on, score, True, known_on,
             LAST_DAY)
        )  # fmt: skip

    types = dict(
        re.findall(
            r"- name: (\w+)\n +data_type: (.+)\n",
            (ROOT / "models/core/dim_as_of.yml").read_text(encoding="utf-8"),
        )
    )
    with duckdb.connect(str(marts)) as con:
        make_tables(con)
        for name, types_of_columns in contracts().items():
            columns = ", ".join(f"{column} {kind}" for column, kind in types_of_columns.items())
            con.execute(f"create or replace table core.{name} ({columns})")
        for name, columns in COLUMNS.items():
            if rows[name]:
                values_of_columns = [list(column) for column in zip(*rows[name], strict=True)]
                con.register("arrow_rows", pa.table(values_of_columns, names=columns.split()))
                con.execute(f"insert into core.{name} by name select * from arrow_rows")
                con.unregister("arrow_rows")
        values = params()
        names = [n for n in types if n in values]
        columns = ", ".join(f"cast('{values[n]}' as {types[n]}) as {n}" for n in names)
        con.execute(
            f"create or replace table core.dim_as_of as select as_of_date, "
            f"cast(date_trunc('month', as_of_date) as date) - 1 as period_start_date, "
            f"as_of_date = date '{latest}' as is_latest, "
            f"as_of_date = last_day(as_of_date) as is_month_end, {columns} "
            f"from (select cast(unnest(?::varchar[]) as date) as as_of_date)",
            [[str(d) for d in as_of_dates(latest)]],
        )


def dbt_build(home: Path, *arguments: str) -> None:
    run_dbt(
        home, LATEST, "build", *arguments,
        "--resource-type", "model", "--resource-type", "seed",
        "--select", "rfm_segment_map", "churn_reason", *BUILT,
        "int_customer_value__ranked", "int_rfm__scored", "int_potential__estimated",
        "int_behaviour__indexed", "int_loyalty__typed", "int_churn_reason__collected",
        "mart_customer_value", "mart_loyalty", "mart_churn", "mart_churn_rate",
    )  # fmt: skip


# ------------------------------------------------------------------- the definitions, once again


def valid_at(versions: list[tuple[date, Any]], day: date) -> Any:
    return [value for start, value in versions if start <= day][-1]


def cents(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.01"), ROUND_HALF_UP)


def percentile(values: list[int], share: float) -> float:
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


class Reference:
    """The definitions for one history; ``at(day)`` gives every customer known on that day."""

    def __init__(self, history: History) -> None:
        self.history = history
        self._visits: dict[date, dict[str, list[date]]] = {}
        self._pools: dict[date, tuple[float, float]] = {}

    def visits(self, as_of: date) -> dict[str, list[date]]:
        if as_of not in self._visits:
            net: dict[tuple[str, date], Decimal] = defaultdict(Decimal)
            sold: set[tuple[str, date]] = set()
            for r in self.history.receipts:
                if r.day > as_of or r.store == TEST_STORE or r.net > 5000:
                    continue
                customer_day = (valid_at(self.history.owners[r.card], as_of), r.day)
                net[customer_day] += r.net
                if r.kind == "SALE" and any(line.qty > 0 for line in r.lines):
                    sold.add(customer_day)
            found: dict[str, list[date]] = defaultdict(list)
            for customer, day in sorted(sold):
                if net[customer, day] >= 0:
                    found[customer].append(day)
            self._visits[as_of] = dict(found)
        return self._visits[as_of]

    @staticmethod
    def gaps(visits: list[date]) -> list[int]:
        return [(b - a).days for a, b in pairwise(visits)][-12:]

    def pool(self, quarter_start: date) -> tuple[float, float]:
        if quarter_start not in self._pools:
            visits = self.visits(quarter_start - DAY) if quarter_start > START else {}
            gaps = [self.gaps(days) for days in visits.values() if len(days) > 1]
            if sum(map(len, gaps)) < 200:
                self._pools[quarter_start] = (21.0, 120.0)
            else:
                first = [(days[1] - days[0]).days for days in visits.values() if len(days) > 1]
                self._pools[quarter_start] = (
                    statistics.median(statistics.fmean(g) for g in gaps),
                    percentile(first, 0.95),
                )
        return self._pools[quarter_start]

    def threshold(self, visits: list[date]) -> int:
        """Days of patience after the last of the given visits (L2)."""
        last = visits[-1]
        mean_gap, first_gap = self.pool(date(last.year, 1 + 3 * ((last.month - 1) // 3), 1))
        gaps = self.gaps(visits)
        if gaps:
            n = len(gaps) + 2
            days = (2 * mean_gap + sum(gaps)) / n * n * (0.05 ** (-1 / n) - 1)
        else:
            days = first_gap
        base = math.floor(round(min(365, max(30, days)), 6))
        return base + sum(last < h <= last + timedelta(days=base) for h in self.history.holidays)

    @staticmethod
    def margin(lines: list[tuple[Receipt, Line]]) -> Decimal | None:
        if any(line.cost is None for _, line in lines):
            return None
        return sum(
            (cents(x.net / Decimal("1.13")) - x.cost for _, x in lines if x.cost is not None),
            Decimal(0),
        )

    def at(self, as_of: date) -> dict[str, dict[str, Any]]:
        history = self.history
        window = as_of - timedelta(days=365)
        period = as_of.replace(day=1) - DAY
        previous = period.replace(day=1) - DAY
        rows: dict[str, dict[str, Any]] = {
            member: {} for member, known_on in history.members.items() if known_on <= as_of
        }
        sales: dict[str, list[tuple[Receipt, Line]]] = defaultdict(list)
        card_days: Counter[tuple[int, date]] = Counter()
        for r in history.receipts:
            if r.day > as_of:
                continue
            customer = valid_at(history.owners[r.card], as_of)
            rows.setdefault(customer, {})
            if r.store != TEST_STORE:
                sales[customer] += [(r, line) for line in r.lines]
                if r.day > window:
                    card_days[r.card, r.day] += 1
        card_months: Counter[tuple[int, int, int]] = Counter()
        for (card, day), count in card_days.items():
            card_months[card, day.year, day.month] += count
        shared = {
            valid_at(history.owners[card], as_of)
            for card in history.owners
            if any(n > 8 for (c, _), n in card_days.items() if c == card)
            or any(n > 60 for (c, _, _), n in card_months.items() if c == card)
        }
        bulk = {r.key for r in history.receipts if r.net > 5000}
        for customer, row in rows.items():
            visits = self.visits(as_of).get(customer, [])
            bought = [
                (r, line)
                for r, line in sales[customer]
                if valid_at(history.products[line.product], as_of)[0]
            ]
            in_window = [(r, line) for r, line in bought if r.day > window]
            net = sum((line.net for _, line in in_window), Decimal(0))
            bulk_net = sum((line.net for r, line in in_window if r.key in bulk), Decimal(0))
            quantity: dict[str, Decimal] = defaultdict(Decimal)
            for r, line in in_window:
                _, bag, category = valid_at(history.products[line.product], as_of)
                returned = line.orig
                if bag or category is None or r.key in bulk:
                    continue
                if returned and (returned.day <= window or returned.key in bulk):
                    continue
                quantity[category] += line.qty

            def spent(days_from: int, days_to: int, lines: Any = bought) -> Decimal:
                low, high = as_of - timedelta(days=days_to), as_of - timedelta(days=days_from)
                return sum(
                    (x.net for r, x in lines if low < r.day <= high and r.key not in bulk),
                    Decimal(0),
                )

            row.update(
                count_visits=len(visits),
                count_visits_365d=sum(v > window for v in visits),
                count_visits_previous_365d=sum(
                    window - timedelta(days=365) < v <= window for v in visits
                ),
                first_visit_on=visits[0] if visits else None,
                last_visit_on=visits[-1] if visits else None,
                net_sales_365d=net,
                bulk_net_sales_365d=bulk_net,
                net_sales_total=sum((line.net for _, line in bought), Decimal(0)),
                margin_total=self.margin(bought),
                margin_365d=self.margin(in_window),
                turnover=sum((abs(line.net) for _, line in in_window), Decimal(0)),
                costed=sum((abs(x.net) for _, x in in_window if x.cost is not None), Decimal(0)),
                count_categories_365d=sum(q > 0 for q in quantity.values()),
                sales_90d=spent(0, 90),
                sales_previous_90d=spent(90, 180),
                sales_previous_365d=spent(365, 730),
                months_active_12=len(
                    {
                        (v.year, v.month)
                        for v in visits
                        if (as_of.year - v.year) * 12 + as_of.month - v.month < 12
                    }
                ),
                excluded_reason="SHARED_CARD"
                if customer in shared
                else "BULK_BUYER"
                if bulk_net > 0 and bulk_net > net / 2
                else None,
            )
            self.add_churn(row, visits, as_of, period, previous)
        company = [
            sum((row[name] for row in rows.values()), Decimal(0))
            for name in ("sales_90d", "sales_previous_90d", "turnover", "costed")
        ]
        basis = "MARGIN" if company[2] and company[3] >= Decimal("0.95") * company[2] else "SALES"
        for row in rows.values():
            row["value_basis"] = basis
            row["value_365d"] = row["net_sales_365d"] if basis == "SALES" else row["margin_365d"]
            row["lifecycle_stage"] = self.stage(row, as_of, company[0], company[1])
        self.add_scores(rows)
        return rows

    def add_churn(
        self, row: dict[str, Any], visits: list[date], as_of: date, period: date, previous: date
    ) -> None:
        churn_dates = [
            v + timedelta(days=self.threshold(visits[: i + 1]) + 1) for i, v in enumerate(visits)
        ]
        returned = [
            b for b, churn in zip(visits[1:], churn_dates, strict=False) if b > churn
        ]  # fmt: skip
        at_start = [i for i, v in enumerate(visits) if v <= period]
        active = bool(at_start) and churn_dates[at_start[-1]] > period
        lost = [
            churn
            for i, churn in enumerate(churn_dates)
            if period < churn <= as_of and (i + 1 == len(visits) or visits[i + 1] > churn)
        ]
        churned = bool(visits) and churn_dates[-1] <= as_of
        ever_churned = [
            churn
            for i, churn in enumerate(churn_dates)
            if churn <= as_of and (i + 1 == len(visits) or visits[i + 1] > churn)
        ]
        row.update(
            inactivity_threshold_days=self.threshold(visits) if visits else None,
            churned_on=churn_dates[-1] if churned else None,
            first_churned_on=ever_churned[0] if ever_churned else None,
            second_visit_on=visits[1] if len(visits) > 1 else None,
            churn_status="CHURNED" if churned else "ACTIVE" if visits else "NEVER_BOUGHT",
            returned_on=returned[-1] if returned else None,
            count_spells_ended=len(returned),
            was_active_at_start=active,
            was_churned_at_start=bool(at_start) and not active,
            churned_in_period=active and bool(lost),
            visited_in_period=any(v > period for v in visits),
            bought_in_previous_period=any(previous < v <= period for v in visits),
            gaps=self.gaps(visits),
        )

    @staticmethod
    def stage(row: dict[str, Any], as_of: date, now: Decimal, before: Decimal) -> str:
        if row["last_visit_on"] is None:
            return "PROSPECT"
        away = (as_of - row["last_visit_on"]).days
        tau = row["inactivity_threshold_days"]
        if away > 2 * tau:
            return "LOST"
        if away > tau:
            return "LAPSED"
        if row["returned_on"] and (as_of - row["returned_on"]).days <= 90:
            return "REACTIVATED"
        if (as_of - row["first_visit_on"]).days <= 60:
            return "NEW"
        if 10 * away > 6 * tau:
            return "AT_RISK"
        if row["sales_previous_90d"] > 0 and now and before:
            ratio = float(row["sales_90d"] / row["sales_previous_90d"]) / float(now / before)
            if ratio >= 1.2:
                return "GROWING"
            if ratio <= 0.7:
                return "DECLINING"
        return "STABLE"

    @staticmethod
    def add_scores(rows: dict[str, dict[str, Any]]) -> None:
        for row in rows.values():
            row.update(dict.fromkeys(
                ("r_score", "f_score", "m_score", "abc_class", "abc_count_class", "pyramid_tier",
                 "value_class", "behaviour_index"))
            )  # fmt: skip
        buyers = {
            c: r for c, r in rows.items() if r["count_visits_365d"] and not r["excluded_reason"]
        }
        n = len(buyers)
        metrics = {
            "r_score": {c: r["last_visit_on"].toordinal() for c, r in buyers.items()},
            "f_score": {c: r["count_visits_365d"] for c, r in buyers.items()},
            "m_score": {
                c: r["net_sales_365d"] - r["bulk_net_sales_365d"] for c, r in buyers.items()
            },
        }
        for name, metric in metrics.items():
            for customer, value in metric.items():
                worse = sum(other < value for other in metric.values())
                buyers[customer][name] = 1 + 5 * worse // n
                if name == "m_score" and value < 0:
                    buyers[customer][name] = 1

        ranked = sorted(
            (c for c in buyers if buyers[c]["value_365d"] is not None),
            key=lambda c: (-buyers[c]["value_365d"], c),
        )
        total = sum((max(buyers[c]["value_365d"], Decimal(0)) for c in ranked), Decimal(0))
        before = Decimal(0)
        for place, customer in enumerate(ranked):
            row = buyers[customer]
            value = row["value_365d"]
            share = before / total if total else Decimal(0)
            row["abc_class"] = (
                "C" if value <= 0 else "A" if share < Decimal("0.80")
                else "B" if share < Decimal("0.95") else "C"
            )  # fmt: skip

            def top(percent: int, place: int = place) -> bool:
                return place < math.ceil(len(ranked) * percent / 100 - 1e-9)

            row["abc_count_class"] = "A" if top(20) else "B" if top(50) else "C"
            row["value_class"] = "HIGH" if top(20) else "MEDIUM" if top(50) else "LOW"
            row["pyramid_tier"] = (
                "TOP" if top(1) else "MAJOR" if top(20) else "ORDINARY" if top(50) else "SMALL"
            )
            before += max(value, Decimal(0))

        components: list[dict[str, float]] = [
            {
                c: -statistics.stdev(r["gaps"]) / statistics.fmean(r["gaps"])
                for c, r in buyers.items()
                if len(r["gaps"]) >= 3
            },
            {c: r["count_visits_365d"] for c, r in buyers.items()},
            {c: -r["first_visit_on"].toordinal() for c, r in buyers.items()},
            {c: r["count_categories_365d"] for c, r in buyers.items()},
            {c: r["months_active_12"] for c, r in buyers.items()},
        ]
        for customer, row in buyers.items():
            known = [x for x in components if customer in x]
            places = [
                (
                    sum(v < x[customer] - 1e-12 for v in x.values())
                    + sum(abs(v - x[customer]) <= 1e-12 for v in x.values()) / 2
                )
                / len(x)
                for x in known
            ]
            row["behaviour_index"] = 100 * sum(places) / len(places)


# ---------------------------------------------------------------------------------------- tests


@pytest.fixture(scope="module")
def history() -> History:
    return make_history(20210615)


@pytest.fixture(scope="module")
def reference(history: History) -> dict[date, dict[str, dict[str, Any]]]:
    computed = Reference(history)
    return {day: computed.at(day) for day in as_of_dates()}


@pytest.fixture(scope="module")
def home(history: History, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("definitions")
    write_core(history, home / "marts.duckdb")
    dbt_build(home)
    return home


def differences(
    actual: list[dict[str, Any]],
    reference: dict[date, dict[str, dict[str, Any]]],
    columns: Iterable[str],
) -> list[str]:
    found = []
    keys = {(row["as_of_date"], row["customer_id"]) for row in actual}
    expected = {(day, customer) for day, rows in reference.items() for customer in rows}
    found += [f"row missing or too many: {key}" for key in keys ^ expected]
    for row in actual:
        want = reference.get(row["as_of_date"], {}).get(row["customer_id"], {})
        found += [
            f"{row['as_of_date']} {row['customer_id']} {name}: {row[name]!r}, not {want[name]!r}"
            for name in columns
            if name in want and row[name] != want[name]
        ]
    return found


def test_history_holds_every_case(reference: dict[date, dict[str, dict[str, Any]]]) -> None:
    """The comparison would prove nothing about a stage or an exclusion that never occurs."""
    rows = [row for day in reference.values() for row in day.values()]
    assert {row["lifecycle_stage"] for row in rows} == {
        "PROSPECT", "NEW", "GROWING", "STABLE", "DECLINING", "AT_RISK", "LAPSED", "LOST",
        "REACTIVATED",
    }  # fmt: skip
    assert any(row["excluded_reason"] == "BULK_BUYER" for row in rows)
    assert any(row["churned_in_period"] and row["visited_in_period"] is False for row in rows)
    assert any(row["was_churned_at_start"] and row["visited_in_period"] for row in rows)
    assert any(row["margin_365d"] is None for row in rows)
    assert {row["abc_class"] for row in rows} == {"A", "B", "C", None}
    thresholds = {row["inactivity_threshold_days"] for row in rows}
    assert len(thresholds) > 60


def test_customer_months(home: Path, reference: dict[date, dict[str, dict[str, Any]]]) -> None:
    columns = [
        "count_visits", "count_visits_365d", "first_visit_on", "last_visit_on", "net_sales_365d",
        "bulk_net_sales_365d", "margin_365d", "value_basis", "value_365d", "net_sales_total",
        "margin_total", "first_churned_on", "second_visit_on", "sales_previous_365d",
        "count_visits_previous_365d",
        "count_categories_365d", "sales_90d", "sales_previous_90d", "months_active_12",
        "excluded_reason", "inactivity_threshold_days", "churned_on", "churn_status",
        "returned_on", "count_spells_ended", "was_active_at_start", "was_churned_at_start",
        "churned_in_period", "visited_in_period", "bought_in_previous_period", "lifecycle_stage",
    ]  # fmt: skip
    actual = read(home, "select * from core.fct_customer_month")
    assert differences(actual, reference, columns)[:20] == []


def test_visits_as_known(home: Path, history: History) -> None:
    """fct_visit at a date is what the date knows, over cards that changed hands and a test store."""
    computed = Reference(history)
    visits = {
        (day, customer, visit)
        for day in as_of_dates()
        for customer, days in computed.visits(day).items()
        for visit in days
    }
    found = read(
        home,
        "select as_of_date, customer_id, visit_on from core.fct_visit "
        "inner join core.dim_as_of on known_from <= as_of_date and as_of_date < known_to",
    )
    assert {(r["as_of_date"], r["customer_id"], r["visit_on"]) for r in found} == visits
    assert len(found) == len(visits)


def test_value_classes(home: Path, reference: dict[date, dict[str, dict[str, Any]]]) -> None:
    columns = ["r_score", "f_score", "m_score", "abc_class", "abc_count_class", "pyramid_tier",
               "value_class"]  # fmt: skip
    actual = read(home, "select * from marts.marts.mart_customer_value")
    assert differences(actual, reference, columns)[:20] == []


def test_behaviour_index(home: Path, reference: dict[date, dict[str, dict[str, Any]]]) -> None:
    for row in read(home, "select * from marts.marts.mart_loyalty"):
        want = reference[row["as_of_date"]][row["customer_id"]]["behaviour_index"]
        if want is None:
            assert row["behaviour_index"] is None
        else:
            assert float(row["behaviour_index"]) == pytest.approx(want, abs=6e-5), row


def test_churn_rates(home: Path, reference: dict[date, dict[str, dict[str, Any]]]) -> None:
    for row in read(
        home,
        "select * from marts.marts.mart_churn_rate where store_code = 'ALL' order by as_of_date",
    ):
        start = reference.get(row["period_start_date"], {})
        people = [
            r
            for c, r in reference[row["as_of_date"]].items()
            if r["excluded_reason"] is None
            and row["pyramid_tier"] in ("ALL", start.get(c, {}).get("pyramid_tier") or "NONE")
        ]
        counts = (
            sum(r["was_active_at_start"] for r in people),
            sum(r["churned_in_period"] for r in people),
            sum(r["was_churned_at_start"] for r in people),
            sum(r["was_churned_at_start"] and r["visited_in_period"] for r in people),
            sum(r["bought_in_previous_period"] for r in people),
            sum(r["bought_in_previous_period"] and r["visited_in_period"] for r in people),
        )
        names = ("active_start", "churned", "churned_start", "won_back", "repurchase_base",
                 "repurchase_buyers")  # fmt: skip
        assert tuple(row[name] for name in names) == counts, row
        for rate, hits, base in (
            ("churn_rate", counts[1], counts[0]),
            ("winback_rate", counts[3], counts[2]),
            ("repurchase_rate", counts[5], counts[4]),
        ):
            if base == 0:
                assert row[rate] is None
                continue
            p, z = hits / base, 1.959964
            middle = (p + z * z / (2 * base)) / (1 + z * z / base)
            half = z * math.sqrt(p * (1 - p) / base + z * z / (4 * base**2)) / (1 + z * z / base)
            assert float(row[rate]) == pytest.approx(p, abs=1e-6)
            assert float(row[f"{rate}_lo"]) == pytest.approx(middle - half, abs=1e-6)
            assert float(row[f"{rate}_hi"]) == pytest.approx(middle + half, abs=1e-6)


def test_multiplier_of_published_table(history: History, tmp_path: Path, home: Path) -> None:
    """L2: with w = 0 the multiplier is 6.94, 5.14, 4.10, 3.49, 3.15 at n = 2, 3, 5, 10, 30."""
    shutil.copy(home / "marts.duckdb", tmp_path / "marts.duckdb")
    visits = History(owners={n: [(START, f"n{n}")] for n in (2, 3, 5, 10, 30)})
    visits.products[1] = [(FIRST_DAY, (True, False, "c1"))]
    for n in (2, 3, 5, 10, 30):
        visits.receipts += [
            Receipt(n * 100 + i, n, 1, START + timedelta(days=10 * i), "SALE",
                    [Line(1, Decimal(1), Decimal(1), None)])
            for i in range(n + 1)
        ]  # fmt: skip
    write_core(visits, tmp_path / "marts.duckdb")
    with duckdb.connect(str(tmp_path / "marts.duckdb")) as con:
        con.execute("update core.dim_as_of set tau_prior_weight = 0, tau_last_gaps = 40")
        con.execute("delete from core.dim_as_of where not is_latest")
    dbt_build(tmp_path, "--full-refresh")
    found = {
        row["count_gaps"]: (round(row["threshold_k"], 2), row["inactivity_threshold_days"])
        for row in read(tmp_path, "select * from core.fct_customer_month")
    }
    assert found == {2: (6.94, 69), 3: (5.14, 51), 5: (4.10, 41), 10: (3.49, 34), 30: (3.15, 31)}


def test_incremental_is_full_refresh(history: History, home: Path, tmp_path: Path) -> None:
    """A late day, an emptied store-day, a card that changes hands, a recategorised product and a
    corrected answer: only the dates they reach are computed again, and to the same rows."""
    for name in ("incremental", "full"):
        (tmp_path / name).mkdir()
        shutil.copy(home / "marts.duckdb", tmp_path / name / "marts.duckdb")
    before = digests(tmp_path / "incremental")

    changed = make_history(20210615)
    late = date(2020, 11, 29)
    changed.receipts.append(
        Receipt(10**6, 1, 2, late, "SALE", [Line(5, Decimal(1), Decimal("9.90"), Decimal(5))])
    )
    emptied = next(
        (r.store, r.day) for r in changed.receipts if date(2021, 1, 10) < r.day < date(2021, 1, 31)
    )
    changed.receipts = [r for r in changed.receipts if (r.store, r.day) != emptied]
    changed.owners[5].append((date(2021, 3, 31), "m001"))
    changed.products[7].append((date(2021, 4, 1), (True, False, "c_new")))
    changed.answers = [
        (c, q, day, Decimal(7) if c == 1 else score, known)
        for c, q, day, score, known in changed.answers
    ]
    for name in ("incremental", "full"):
        write_core(changed, tmp_path / name / "marts.duckdb", LATEST - DAY)
    dbt_build(tmp_path / "incremental")
    dbt_build(tmp_path / "full", "--full-refresh")

    after = digests(tmp_path / "incremental")
    assert set(after) == set(as_of_dates(LATEST - DAY))
    kept = {day for day in after if before.get(day) == after[day]}
    assert kept == {day for day in after if day < late}
    for table in (
        "core.fct_customer_month", "core.fct_customer_promotion", "marts.mart_customer_value",
        "marts.mart_loyalty", "marts.mart_churn", "marts.mart_churn_rate",
    ):  # fmt: skip
        query = f"select * from marts.{table} order by all"
        assert read(tmp_path / "incremental", query) == read(tmp_path / "full", query), table
    computed = Reference(changed)
    expected = {day: computed.at(day) for day in as_of_dates(LATEST - DAY)}
    actual = read(tmp_path / "incremental", "select * from core.fct_customer_month")
    columns = ["last_visit_on", "net_sales_365d", "inactivity_threshold_days", "lifecycle_stage"]
    assert differences(actual, expected, columns)[:20] == []


@pytest.mark.definition("Y7")
def test_promotion_as_of(home: Path, history: History) -> None:
    """Y7 of every customer and date, over windows that cut months, shops and cards in two."""
    bulk = {r.key for r in history.receipts if r.net > 5000}
    expected: dict[tuple[date, str], tuple[Any, ...]] = {}
    for day in as_of_dates():
        own: dict[str, dict[tuple[int, str], list[Decimal]]] = defaultdict(
            lambda: defaultdict(lambda: [Decimal(0)] * 2)
        )
        lines: Counter[str] = Counter()
        for r in history.receipts:
            if r.store == TEST_STORE or r.key in bulk or not day - 365 * DAY < r.day <= day:
                continue
            customer = valid_at(history.owners[r.card], day)
            for line in r.lines:
                if line.qty > 0 and valid_at(history.products[line.product], day)[0]:
                    lines[customer] += 1
                    cell = own[customer][r.store, f"{r.day:%Y-%m}"]
                    code, discount = promotion(r, line)
                    cell[0] += line.net
                    cell[1] += line.net if code or discount > 0 else 0
        everybody: dict[tuple[int, str], list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 2)
        for cells in own.values():
            for key, cell in cells.items():
                everybody[key] = [a + b for a, b in zip(everybody[key], cell, strict=True)]
        for customer, cells in own.items():
            sales, promo = (sum((cell[i] for cell in cells.values()), Decimal(0)) for i in (0, 1))
            share = sum(
                float(cell[0]) * float(everybody[key][1] / everybody[key][0])
                for key, cell in cells.items()
                if everybody[key][0]
            )
            expected[day, customer] = (sales, promo, lines[customer], share)
    found = read(home, "select * from core.fct_customer_promotion")
    assert {(r["as_of_date"], r["customer_id"]) for r in found} == set(expected)
    assert len(found) == len(expected)
    for row in found:
        sales, promo, count, share = expected[row["as_of_date"], row["customer_id"]]
        names = ("sales_365d", "promo_sales_365d", "count_lines_365d")
        assert tuple(row[name] for name in names) == (sales, promo, count)
        assert float(row["expected_promo_sales_365d"]) == pytest.approx(share, abs=1e-4)
        if count < 20 or share < 1:
            assert row["price_index"] is None or share > 0
        else:
            assert float(row["price_index"]) == pytest.approx(float(promo) / share, abs=1e-4)


def digests(home: Path) -> dict[date, str]:
    rows = read(home, "select distinct as_of_date, input_digest from core.fct_customer_month")
    return {row["as_of_date"]: row["input_digest"] for row in rows}
