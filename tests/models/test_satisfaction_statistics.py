"""Satisfaction marts against scipy, statsmodels and plain Python, on random answers.

Random customers, stores and answers of two months are written as core tables; dbt builds the marts
on them. Intervals of shares are compared with scipy, changes with statsmodels' Newcombe interval,
weights, gaps and Kano classes with a second computation that follows the definitions.
"""

from __future__ import annotations

import csv
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from statistics import fmean, stdev
from typing import Any

import duckdb
import pytest
from dbt_marts import ROOT, read, run_dbt
from scipy.stats import binomtest
from statsmodels.stats.proportion import confint_proportions_2indep

D = date(2021, 6, 30)
MAY, JUNE = date(2021, 5, 1), date(2021, 6, 1)
STORES = {1: "S1", 2: "S2", 3: "S3", 4: "S4"}
ATTRIBUTES = ("PARKING", "MUSIC")
ITEMS = {"TANGIBLES": (1, 2, 3, 4), "RELIABILITY": (5, 6, 7)}
Z, CAP = 1.959964, 5
NEAR = 2e-6

Ask = Callable[[str], list[dict[str, Any]]]


@dataclass
class Response:
    """What one customer said in one survey."""

    id: str
    survey: str
    customer: str
    store: int
    day: date
    answers: dict[str, int] = field(default_factory=dict)


@dataclass
class World:
    """Customers with class and home store (None: not of the population), and their responses."""

    customers: dict[str, tuple[str, int] | None]
    responses: list[Response]

    def of(self, survey: str, month: date | None = None) -> list[Response]:
        return [
            r
            for r in self.responses
            if r.survey == survey and month in (None, r.day.replace(day=1))
        ]


def questions() -> list[dict[str, Any]]:
    shared = {"facet": None, "servqual_item": None, "dimension": None, "pair_id": None,
              "higher_is_better": True, "role": "SINGLE"}  # fmt: skip
    rows = [
        shared | {"survey_id": "V", "question_id": kind, "survey_type": kind, "construct": kind,
                  "scale_min": low, "scale_max": high}
        for kind, low, high in (("CSAT", 1, 5), ("NPS", 0, 10))
    ]  # fmt: skip
    rows += [
        shared | {"survey_id": "K", "question_id": f"{a}-{role}", "survey_type": "KANO",
                  "construct": a, "pair_id": a, "role": role, "scale_min": 1, "scale_max": 5,
                  "higher_is_better": False}
        for a in ATTRIBUTES for role in ("FUNC", "DYSF")
    ]  # fmt: skip
    rows += [
        shared | {"survey_id": "Q", "question_id": f"{i}-{role}", "survey_type": "SERVQUAL",
                  "construct": "SERVICE_QUALITY", "servqual_item": i, "dimension": d,
                  "pair_id": f"T{i}", "role": role, "scale_min": 1, "scale_max": 7}
        for d, items in ITEMS.items() for i in items for role in ("P", "E")
    ]  # fmt: skip
    rows += [
        shared | {"survey_id": "Q", "question_id": d, "survey_type": "SERVQUAL", "dimension": d,
                  "construct": "IMPORTANCE", "role": "IMPORTANCE", "scale_min": 0, "scale_max": 100}
        for d in ITEMS
    ]  # fmt: skip
    return rows


def make_world(seed: int) -> World:
    """Ten customers with the highest value are HIGH, the next fifteen MEDIUM (20 and 50 of 50 %)."""
    dice = random.Random(seed)
    customers: dict[str, tuple[str, int] | None] = {}
    for place in range(300):
        value_class = "HIGH" if place < 60 else "MEDIUM" if place < 150 else "LOW"
        customers[f"c{place:03d}"] = value_class, dice.choice((1, 1, 1, 2, 2, 3, 4))
    customers |= {f"x{n}": None for n in range(5)}
    responses = []
    for survey, share in (("V", 0.4), ("K", 0.3), ("Q", 0.3)):
        for month in (MAY, JUNE) if survey == "V" else (JUNE,):
            for customer, known in customers.items():
                if known == ("LOW", 4) or dice.random() > share:
                    continue
                day = month + timedelta(days=dice.randrange(30))
                one = Response(f"{survey}{month:%m}{customer}", survey, customer,
                               dice.choice(list(STORES)), day)  # fmt: skip
                for q in questions():
                    if q["survey_id"] == survey and dice.random() < 0.8:
                        low, high = q["scale_min"], q["scale_max"]
                        one.answers[q["question_id"]] = dice.randint(low, high)
                points = dice.randint(10, 90)
                if survey == "Q":
                    rest = dice.choice((94, 95, 100, 105, 106)) - points
                    one.answers |= {"TANGIBLES": points, "RELIABILITY": max(rest, 0)}
                if one.answers:
                    responses.append(one)
    return World(customers, responses)


def write_core(con: duckdb.DuckDBPyConnection, world: World) -> None:
    con.execute("create schema core")
    with (ROOT / "seeds" / "param.csv").open(encoding="utf-8", newline="") as file:
        values = {r["name"]: r["value"] for r in csv.DictReader(file) if r["scope"] == "default"}
    typed = ", ".join(
        f"{value} as {name}" if re.fullmatch(r"-?[0-9.]+", value) else f"'{value}' as {name}"
        for name, value in values.items()
    )
    con.execute(
        f"create table core.dim_as_of as select date '{D}' as as_of_date, true as is_latest, {typed}"
    )
    con.execute("create table core.dim_store (store_key bigint, store_code varchar)")
    con.executemany("insert into core.dim_store values (?, ?)", list(STORES.items()))
    asked = questions()
    con.execute(
        "create table core.dim_question_history (survey_id varchar, question_id varchar,"
        " question_key bigint, survey_type varchar, construct varchar, facet varchar, servqual_item integer,"
        " dimension varchar, role varchar, pair_id varchar, scale_min integer, scale_max integer,"
        " higher_is_better boolean, wave_start date, wave_end date,"
        " known_from date default '1900-01-01', valid_from date default '1900-01-01',"
        " valid_to date default '9999-12-31')"
    )
    names = ["survey_id", "question_id", "survey_type", "construct", "facet", "servqual_item",
             "dimension", "role", "pair_id", "scale_min", "scale_max", "higher_is_better"]  # fmt: skip
    con.executemany(
        f"insert into core.dim_question_history ({', '.join(names)}, question_key)"
        f" values ({', '.join('?' * (len(names) + 1))})",
        [[q[name] for name in names] + [number] for number, q in enumerate(asked)],
    )
    keys = {(q["survey_id"], q["question_id"]): number for number, q in enumerate(asked)}
    cards = {customer: number for number, customer in enumerate(world.customers)}
    con.execute(
        "create table core.bridge_customer_identity (card_key bigint, customer_id varchar,"
        " valid_from date, valid_to date)"
    )
    con.executemany(
        "insert into core.bridge_customer_identity values (?, ?, '1900-01-01', '9999-12-31')",
        [(number, customer) for customer, number in cards.items()],
    )
    con.execute(
        "create table core.fct_customer_month (customer_id varchar, as_of_date date,"
        " home_store_key bigint, value_365d decimal(18, 2), count_visits_365d integer,"
        " excluded_reason varchar)"
    )
    con.executemany(
        f"insert into core.fct_customer_month values (?, '{D}', ?, ?, ?, null)",
        [
            (customer, known[1] if known else -1, 1000 - number, 1 if known else 0)
            for number, (customer, known) in enumerate(world.customers.items())
        ],
    )
    con.execute(
        "create table core.fct_survey_answer_history (response_id varchar, question_id varchar,"
        " option_seq integer, survey_id varchar, question_key bigint, card_key bigint,"
        " store_key bigint, complaint_no varchar, started_at timestamp, submitted_at timestamp,"
        " answered_on date, answer_num decimal(9, 3), answer_code varchar, is_missing boolean,"
        " is_simulated boolean, valid_from date, valid_to date)"
    )
    con.executemany(
        "insert into core.fct_survey_answer_history values"
        " (?, ?, 1, ?, ?, ?, ?, null, null, ?, ?, ?, null, false, true, ?, '9999-12-31')",
        [
            (r.id, question, r.survey, keys[r.survey, question], cards[r.customer], r.store, r.day,
             r.day, score, r.day)
            for r in world.responses for question, score in r.answers.items()
        ],
    )  # fmt: skip


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(11)


@pytest.fixture(scope="module")
def ask(world: World, tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """A function that queries the marts which dbt built on the world."""
    home = tmp_path_factory.mktemp("satisfaction")
    duckdb.connect(str(home / "warehouse.duckdb")).close()
    with duckdb.connect(str(home / "marts.duckdb")) as con:
        con.execute("create schema marts")
        con.execute("begin")
        write_core(con, world)
        con.execute("commit")
    run_dbt(
        home, D, "run",
        "--select", "int_customer_value__ranked", "int_survey_response__judged",
        "mart_satisfaction", "mart_servqual_item", "mart_kano", "mart_survey_quality",
    )  # fmt: skip
    return partial(read, home)


def groups(world: World, question: str, month: date) -> dict[tuple[str, str], list[int]]:
    """Scores by (store, segment), with the totals."""
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    for r in world.of("V", month):
        if question in r.answers:
            known = world.customers[r.customer]
            for cell in (
                ("ALL", "ALL"),
                (STORES[r.store], "ALL"),
                ("ALL", known[0] if known else "NONE"),
            ):
                found[cell].append(r.answers[question])
    return found


def of_metric(ask: Ask, metric: str, month: date = JUNE, weighting: str = "UNWEIGHTED") -> Any:
    rows = ask(
        f"select * from marts.marts.mart_satisfaction where metric = '{metric}'"
        f" and weighting = '{weighting}' and wave_start_on = date '{month}'"
    )
    return {(row["store_code"], row["segment"]): row for row in rows}


@pytest.mark.definition("T1", "T9")
def test_shares_have_the_intervals_of_scipy_and_statsmodels(ask: Ask, world: World) -> None:
    before = groups(world, "CSAT", MAY)
    rows = of_metric(ask, "CSAT")
    expected = groups(world, "CSAT", JUNE)
    assert rows.keys() == expected.keys()
    for cell, scores in expected.items():
        row, hits = rows[cell], sum(s >= 4 for s in scores)
        interval = binomtest(hits, len(scores)).proportion_ci(method="wilson")
        assert (row["n"], row["count_top_box"]) == (len(scores), hits)
        assert float(row["value"]) == pytest.approx(hits / len(scores), abs=NEAR)
        assert float(row["lo"]) == pytest.approx(interval.low, abs=NEAR)
        assert float(row["hi"]) == pytest.approx(interval.high, abs=NEAR)
        old = before.get(cell)
        if not old:
            assert row["delta_pp"] is row["delta_lo"] is row["delta_hi"] is None
            continue
        change = confint_proportions_2indep(
            hits, len(scores), sum(s >= 4 for s in old), len(old), method="newcomb", compare="diff"
        )
        assert float(row["delta_lo"]) == pytest.approx(100 * change[0], abs=100 * NEAR)
        assert float(row["delta_hi"]) == pytest.approx(100 * change[1], abs=100 * NEAR)


@pytest.mark.definition("T1", "T2")
def test_nps_and_means_by_formula(ask: Ask, world: World) -> None:
    rows, means = of_metric(ask, "NPS"), of_metric(ask, "CSAT_MEAN")
    for cell, scores in groups(world, "NPS", JUNE).items():
        n = len(scores)
        p, d = sum(s >= 9 for s in scores) / n, sum(s <= 6 for s in scores) / n
        se = 100 * ((p + d - (p - d) ** 2) / n) ** 0.5
        assert float(rows[cell]["value"]) == pytest.approx(100 * (p - d), abs=NEAR)
        assert float(rows[cell]["se"]) == pytest.approx(se, abs=NEAR)
        assert float(rows[cell]["lo"]) == pytest.approx(max(-100, 100 * (p - d) - Z * se), abs=NEAR)
        assert float(rows[cell]["hi"]) == pytest.approx(min(100, 100 * (p - d) + Z * se), abs=NEAR)
    stores = [float(row["value"]) for (store, _), row in rows.items() if store != "ALL"]
    assert fmean(stores) != pytest.approx(float(rows["ALL", "ALL"]["value"]), abs=0.01)
    for cell, scores in groups(world, "CSAT", JUNE).items():
        assert float(means[cell]["value"]) == pytest.approx(fmean(scores), abs=NEAR)
        assert float(means[cell]["se"]) == pytest.approx(
            stdev(scores) / len(scores) ** 0.5, abs=NEAR
        )


def weights(world: World, month: date) -> dict[str, float]:
    """Weight by response: each customer of the population is given to respondents, one by one."""
    asked = [r for r in world.of("V", month) if world.customers[r.customer]]
    share: dict[str, float] = defaultdict(float)
    people = [known for known in world.customers.values() if known]
    for value_class, store in people:
        alike = [r for r in asked if world.customers[r.customer] == (value_class, store)]
        alike = alike or [
            r for r in asked if (world.customers[r.customer] or ("",))[0] == value_class
        ]
        alike = alike or asked
        for r in alike:
            share[r.id] += 1 / len(alike)
    mean = len(people) / len(asked)
    return {response: min(CAP, weight / mean) for response, weight in share.items()}


@pytest.mark.definition("T8")
def test_weights_give_every_customer_to_somebody(ask: Ask, world: World) -> None:
    for month in (MAY, JUNE):
        given = weights(world, month)
        answered = [
            (given[r.id], r.answers["CSAT"] >= 4)
            for r in world.of("V", month)
            if r.id in given and "CSAT" in r.answers
        ]
        total = sum(w for w, _ in answered)
        row = of_metric(ask, "CSAT", month, "POST_STRATIFIED")["ALL", "ALL"]
        value = sum(w for w, hit in answered if hit) / total
        spread = sum((w * (hit - value)) ** 2 for w, hit in answered) ** 0.5 / total
        assert row["n"] == len(answered)
        assert float(row["value"]) == pytest.approx(value, abs=1e-4)  # weights have four decimals
        assert float(row["se"]) == pytest.approx(spread, abs=1e-4)
        kish = total**2 / sum(w * w for w, _ in answered)
        assert float(row["n_effective"]) == pytest.approx(kish, abs=0.06)
        population = sum(1 for known in world.customers.values() if known)
        assert row["count_population"] == population == 300
        assert float(row["coverage"]) == pytest.approx(len(answered) / population, abs=NEAR)


@pytest.mark.definition("T4")
def test_gaps_are_those_of_respondents_with_both_answers(ask: Ask, world: World) -> None:
    gaps: dict[str, list[float]] = defaultdict(list)
    weighted = []
    pairs: dict[int, list[int]] = defaultdict(list)
    for r in world.of("Q"):
        mine: dict[str, float] = {}
        for dimension, items in ITEMS.items():
            both = [i for i in items if f"{i}-P" in r.answers and f"{i}-E" in r.answers]
            found = {i: r.answers[f"{i}-P"] - r.answers[f"{i}-E"] for i in both}
            for item, gap in found.items():
                pairs[item].append(gap)
            if 2 * len(both) >= len(items):
                mine[dimension] = fmean(found.values())
                gaps[dimension].append(mine[dimension])
        points = {d: r.answers[d] for d in ITEMS}
        if mine.keys() == ITEMS.keys() and 95 <= sum(points.values()) <= 105:
            weighted.append(sum(points[d] * mine[d] for d in ITEMS) / sum(points.values()))
    rows = {
        metric: of_metric(ask, f"SERVQUAL_{metric}")["ALL", "ALL"]
        for metric in [*ITEMS, "WEIGHTED"]
    }
    for metric, found_gaps in [*gaps.items(), ("WEIGHTED", weighted)]:
        assert rows[metric]["n"] == len(found_gaps) > 20
        assert float(rows[metric]["value"]) == pytest.approx(fmean(found_gaps), abs=NEAR)
        assert float(rows[metric]["se"]) == pytest.approx(
            stdev(found_gaps) / len(found_gaps) ** 0.5, abs=NEAR
        )
    of_items = ask("select * from marts.marts.mart_servqual_item where store_code = 'ALL'")
    assert {row["servqual_item"] for row in of_items} == set(pairs)
    for row in of_items:
        paired = pairs[row["servqual_item"]]
        assert row["n"] == len(paired)
        assert float(row["gap"]) == pytest.approx(fmean(paired), abs=NEAR)
        assert float(row["gap_se"]) == pytest.approx(stdev(paired) / len(paired) ** 0.5, abs=NEAR)


def kano_class(functional: int, dysfunctional: int) -> str:
    """The table as a rule: what is liked or disliked both ways is questionable, and so on."""
    if functional == dysfunctional and functional in (1, 5):
        return "Q"
    if functional == 1:
        return "O" if dysfunctional == 5 else "A"
    if functional == 5 or dysfunctional == 1:
        return "R"
    return "M" if dysfunctional == 5 else "I"


@pytest.mark.definition("T6")
def test_kano_counts(ask: Ask, world: World) -> None:
    columns = {"A": "attractive", "O": "one_dimensional", "M": "must_be", "I": "indifferent",
               "R": "reverse", "Q": "questionable"}  # fmt: skip
    rows = {row["attribute"]: row for row in ask("select * from marts.marts.mart_kano")}
    cells = set()
    for attribute in ATTRIBUTES:
        both = [
            (r.answers[f"{attribute}-FUNC"], r.answers[f"{attribute}-DYSF"])
            for r in world.of("K")
            if {f"{attribute}-FUNC", f"{attribute}-DYSF"} <= r.answers.keys()
        ]
        cells |= set(both)
        counts = Counter(kano_class(*pair) for pair in both)
        row = rows[attribute]
        assert {key: row[f"count_{name}"] for key, name in columns.items()} == {
            key: counts[key] for key in columns
        }
        most = max(counts.values())
        assert row["category"] == next(c for c in "MOAIRQ" if counts[c] == most)
        assert row["n"] == len(both)
    assert len(cells) == 25, "every cell of the table was used"
