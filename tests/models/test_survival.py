"""Lifecycle marts against independent computations, on a random history.

Random customers, with ties, censoring, delayed entry, visits that become known late or turn out to
be none, and three ways to begin, are written as core tables; dbt builds the lifecycle marts on
them. Survival and log-rank tests are compared with statsmodels, intervals with the formula it
prints, cohorts, repurchase and patterns with plain Python.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from math import exp, log
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from dbt_marts import read, run_dbt
from statsmodels.duration.survfunc import SurvfuncRight, survdiff
from statsmodels.stats.proportion import proportion_confint

FOREVER = date(9999, 12, 31)
START = date(2018, 1, 1)
MONTH_END, LATEST = date(2021, 5, 31), date(2021, 6, 15)
DATES = (MONTH_END, LATEST)
Z, MIN_N, MATURE_DAYS = 1.959964, 30, 90
MART = "marts.marts.mart_"

DIM_AS_OF = f"""
create table core.dim_as_of as
select
    d.as_of_date,
    d.as_of_date = date '{LATEST}' as is_latest,
    d.as_of_date = last_day(d.as_of_date) as is_month_end,
    {MIN_N} as min_n,
    cast({Z} as decimal(9, 6)) as wilson_z,
    {MATURE_DAYS} as rolling_mature_days,
    '30|60|90' as repurchase_days,
    4 as phase_build_up_visits,
    730 as pattern_min_tenure_days,
    4 as pattern_stable_quarters,
    2 as pattern_early_visits,
    90 as pattern_early_tenure_days
from (
    select last_day(cast(month as date)) as as_of_date
    from generate_series(timestamp '{START}', timestamp '{MONTH_END}', interval 1 month) as m(month)
    union all
    select date '{LATEST}'
) as d
"""

CUSTOMER_MONTH = """
create table core.fct_customer_month (
    customer_id varchar, as_of_date date, home_store_key bigint, excluded_reason varchar,
    is_left_truncated boolean, lifecycle_stage varchar, churn_status varchar, first_visit_on date,
    second_visit_on date, last_visit_on date, count_visits integer, tenure_days integer,
    days_since_last_visit integer, inactivity_threshold_days integer, count_gaps integer,
    mean_gap_days double, threshold_mean_gap_days double, threshold_k double, churned_on date,
    first_churned_on date, count_spells_ended integer, returned_on date
)
"""


@dataclass
class Customer:
    """A customer as known at a date."""

    id: str
    origin: str
    format: str
    enrolled: date | None
    excluded: bool
    visits: list[date]
    churned_on: date | None
    is_churned: bool
    spells_ended: int

    @property
    def begun(self) -> date:
        return (self.enrolled if self.origin == "LEFT_TRUNCATED" else None) or self.visits[0]


Known = tuple[date, date, date]


def month_of(day: date) -> int:
    return 12 * day.year + day.month - 1


def first_of(month: int) -> date:
    return date(month // 12, month % 12 + 1, 1)


def last_of(month: int) -> date:
    return first_of(month + 1) - timedelta(days=1)


def make_history(seed: int) -> tuple[dict[date, list[Customer]], dict[str, list[Known]]]:
    """Customers by date, and each customer's visits as (day, known from, known to)."""
    rng = random.Random(seed)
    visits: dict[str, list[Known]] = {}
    customers: dict[date, list[Customer]] = defaultdict(list)
    for number in range(700):
        name = f"c{number:03}"
        origin = rng.choice(["OBSERVED", "OBSERVED", "LEFT_TRUNCATED", "UNKNOWN"])
        enrolled = {
            "OBSERVED": START,
            "LEFT_TRUNCATED": START - timedelta(days=7 * rng.randrange(1, 30)),
            "UNKNOWN": None,
        }[origin]
        # weeks rather than days, so that there are ties
        day = START + timedelta(days=7 * rng.randrange(1, 170))
        known = []
        for _ in range(rng.choice([1, 1, 2, 3, 8, 20])):
            known.append(
                (
                    day,
                    day + timedelta(days=rng.choice([0, 0, 0, 0, 400])),
                    rng.choice([FOREVER] * 12 + [max(day, MONTH_END) + timedelta(days=5)]),
                )
            )
            day += timedelta(days=rng.choice([1, 20, 30, 31, 60, 61, 80]))
        visits[name] = known
        excluded = rng.random() < 0.05
        store = rng.choice(["A", "B"])
        churn_weeks = rng.choice([None, rng.randrange(5, 120)])
        tau = rng.choice([30, 100, 300])
        for at in DATES:
            seen = sorted(d for d, since, until in known if since <= at < until)
            if not seen:
                continue
            churned_on = None if churn_weeks is None else seen[0] + timedelta(days=7 * churn_weeks)
            customers[at].append(
                Customer(
                    name, origin, store if enrolled else "UNKNOWN", enrolled, excluded, seen,
                    churned_on if churned_on and churned_on <= at else None,
                    (at - seen[-1]).days > tau,
                    number % 3 if churned_on and churned_on <= at else 0,
                )
            )  # fmt: skip
    return customers, visits


def write_core(
    marts: Path, customers: dict[date, list[Customer]], visits: dict[str, list[Known]]
) -> None:
    months, members = [], []
    for at, people in customers.items():
        for c in people:
            truncated = {"OBSERVED": False, "LEFT_TRUNCATED": True, "UNKNOWN": None}[c.origin]
            months.append(
                (
                    c.id, at, 1, "STAFF_CARD" if c.excluded else None, truncated,
                    "LAPSED" if c.is_churned else "STABLE",
                    "CHURNED" if c.is_churned else "ACTIVE",
                    c.visits[0], c.visits[1] if len(c.visits) > 1 else None, c.visits[-1],
                    len(c.visits), (at - c.visits[0]).days, (at - c.visits[-1]).days, 60, 0, None,
                    None, None, None, c.churned_on, c.spells_ended, None,
                )
            )  # fmt: skip
    seen = {c.id: c for people in customers.values() for c in people}
    for c in seen.values():
        if c.enrolled:
            members.append((c.id, c.enrolled, ord(c.format), date(1900, 1, 1), FOREVER, False))
    with duckdb.connect(str(marts)) as con:
        con.execute("create schema core")
        con.execute(DIM_AS_OF)
        con.execute(CUSTOMER_MONTH)
        con.execute(
            "create table core.fct_visit (customer_id varchar, visit_on date, known_from date, "
            "known_to date)"
        )
        con.execute(
            "create table core.dim_customer_history (customer_id varchar, enrolled_on date, "
            "enrol_store_key bigint, valid_from date, valid_to date, is_inferred boolean)"
        )
        con.execute(
            "create table core.dim_store_history as select unnest([65, 66]) as store_key, "
            "unnest(['A', 'B']) as format, date '1900-01-01' as valid_from, "
            "date '9999-12-31' as valid_to"
        )
        rows = {
            "fct_customer_month": months,
            "fct_visit": [(name, *known) for name, all_ in visits.items() for known in all_],
            "dim_customer_history": members,
        }
        for table, values in rows.items():
            marks = ", ".join("?" * len(values[0]))
            con.executemany(f"insert into core.{table} values ({marks})", values)


Ask = Callable[[str], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def history() -> tuple[dict[date, list[Customer]], dict[str, list[Known]]]:
    return make_history(20210615)


@pytest.fixture(scope="module")
def counted(
    history: tuple[dict[date, list[Customer]], dict[str, list[Known]]],
) -> dict[date, list[Customer]]:
    """The customers that cohorts and strata count."""
    return {at: [c for c in people if not c.excluded] for at, people in history[0].items()}


@pytest.fixture(scope="module")
def ask(
    history: tuple[dict[date, list[Customer]], dict[str, list[Known]]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Ask:
    home = tmp_path_factory.mktemp("lifecycle")
    write_core(home / "marts.duckdb", *history)
    run_dbt(
        home, LATEST, "run",
        "--select", "int_relationship__begun", "int_survival__moments", "mart_lifecycle",
        "mart_cohort", "mart_repurchase", "mart_survival", "mart_survival_test",
    )  # fmt: skip
    return partial(read, home)


def durations(customers: list[Customer], at: date) -> np.ndarray[Any, Any]:
    """Rows of (entry, exit, event) in days since the beginning."""
    return np.array(
        [
            (
                (c.visits[0] - c.begun).days,
                ((c.churned_on or at) - c.begun).days,
                c.churned_on is not None,
            )
            for c in customers
        ]
    )


def strata(customers: list[Customer]) -> dict[tuple[str, str], list[Customer]]:
    found: dict[tuple[str, str], list[Customer]] = defaultdict(list)
    for c in customers:
        quarter = f"{c.begun.year}Q{(c.begun.month + 2) // 3}"
        for kind, name in [
            ("ALL", "ALL"),
            ("ORIGIN", c.origin),
            ("BEGUN_QUARTER", quarter),
            ("ENROL_STORE_FORMAT", c.format),
        ]:
            found[kind, name].append(c)
    return found


@pytest.mark.definition("L5")
def test_survival_is_that_of_statsmodels(ask: Ask, counted: dict[date, list[Customer]]) -> None:
    curves: dict[tuple[date, str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in ask(f"select * from {MART}survival order by t_days"):
        curves[row["as_of_date"], row["stratum_type"], row["stratum"]].append(row)
    expected = {(at, *key): people for at in DATES for key, people in strata(counted[at]).items()}
    assert {key for key, rows in curves.items() if rows[0]["count_customers"]} == set(expected)
    medians = 0
    for key, people in expected.items():
        entry, leave, event = durations(people, key[0]).T
        # who is seen for the first time on the date itself is never at risk
        observed = leave > entry
        rows = {row["t_days"]: row for row in curves[key]}
        assert min(rows) == 0
        assert rows[0]["survival"] == 1
        assert rows[0]["count_customers"] == len(people)
        assert sum(row["events"] for row in rows.values()) == event.sum()
        assert sum(row["censored"] for row in rows.values()) == len(people) - event.sum()
        if not event.any():
            assert {row["survival"] for row in rows.values()} == {1}
            assert rows[0]["median_days"] is None
            continue
        fit = SurvfuncRight(leave[observed], event[observed], entry=entry[observed])
        happened = sorted(t for t, row in rows.items() if row["events"])
        with_events = fit.n_events > 0
        assert happened == list(fit.surv_times[with_events])
        for t, survival, error, n in zip(
            fit.surv_times, fit.surv_prob, fit.surv_prob_se, fit.n_risk, strict=True
        ):
            if t not in rows:
                continue
            row = rows[t]
            if row["events"]:
                assert row["at_risk"] == n, (key, t)
            assert float(row["survival"]) == pytest.approx(survival, abs=6e-7), (key, t)
            if survival == 0:
                assert row["survival_se"] is None
                continue
            if survival == 1:
                continue
            assert float(row["survival_se"]) == pytest.approx(error, abs=6e-7), (key, t)
            spread = Z * error / survival / -log(survival)
            for name, sign in (("survival_lo", 1), ("survival_hi", -1)):
                bound = exp(log(survival) * exp(sign * spread))
                assert float(row[name]) == pytest.approx(bound, abs=6e-7), (key, t)
        half = [t for t, s in zip(fit.surv_times, fit.surv_prob, strict=True) if s <= 0.5 + 1e-9]
        assert {row["median_days"] for row in rows.values()} == {half[0] if half else None}
        medians += bool(half)
    assert medians, "no stratum has a median, which would prove nothing about it"
    everybody = durations(counted[LATEST], LATEST)
    assert (everybody[:, 0] > 0).any()
    assert len(set(everybody[:, 1])) < len(everybody)


@pytest.mark.definition("L5")
def test_log_rank_is_that_of_statsmodels(ask: Ask, counted: dict[date, list[Customer]]) -> None:
    compared = 0
    for row in ask(f"select * from {MART}survival_test where count_customers > 0"):
        at, kind, name = row["as_of_date"], row["stratum_type"], row["stratum"]
        people = counted[at]
        own = {c.id for c in strata(people)[kind, name]}
        entry, leave, event = durations(people, at).T
        group = np.array([c.id in own for c in people])
        observed = leave > entry
        assert row["observed_events"] == event[group].sum()
        if row["chi_square"] is None:
            continue
        chi_square, p = survdiff(
            leave[observed], event[observed], group[observed], entry=entry[observed]
        )
        assert float(row["chi_square"]) == pytest.approx(chi_square, rel=1e-5, abs=1e-6), row
        assert row["is_different"] == (p < 0.05), row
        compared += 1
    assert compared > 20


@pytest.mark.definition("L4")
def test_cohorts(ask: Ask, history: Any, counted: dict[date, list[Customer]]) -> None:
    rows = {
        (r["as_of_date"], r["relationship_origin"], r["cohort_month"], r["age_month"]): r
        for r in ask(f"select * from {MART}cohort")
    }
    people: dict[tuple[date, str, int], list[Customer]] = defaultdict(list)
    for at in DATES:
        for c in history[0][at]:
            people[at, c.origin, month_of(c.visits[0])].append(c)
    seen = set()
    for (at, origin, cohort), everybody in people.items():
        members = [c for c in everybody if not c.excluded]
        for month in range(cohort, month_of(at) + 1):
            key = (at, origin, first_of(cohort), month - cohort)
            seen.add(key)
            row = rows[key]
            bounded = sum(any(month_of(v) == month for v in c.visits) for c in members)
            rolling = sum(month_of(c.visits[-1]) >= month for c in members)
            undecided = sum(month_of(c.visits[-1]) < month and not c.is_churned for c in members)
            partial = month == month_of(at) and at == LATEST
            mature = last_of(month) + timedelta(days=MATURE_DAYS) <= at
            assert row["size"] == len(members)
            assert row["count_excluded"] == len(everybody) - len(members)
            assert row["retained_bounded"] == bounded, key
            assert row["retained_rolling"] == rolling, key
            assert row["count_undecided"] == undecided, key
            assert row["is_partial"] == partial, key
            assert row["is_rolling_mature"] == mature, key
            if partial or not members:
                assert row["bounded_rate"] is None
            else:
                assert float(row["bounded_rate"]) == pytest.approx(bounded / len(members), abs=6e-7)
                lo, hi = proportion_confint(bounded, len(members), method="wilson")
                assert float(row["bounded_rate_lo"]) == pytest.approx(lo, abs=2e-6), key
                assert float(row["bounded_rate_hi"]) == pytest.approx(hi, abs=2e-6), key
            if mature and members:
                assert float(row["rolling_rate"]) == pytest.approx(rolling / len(members), abs=6e-7)
            else:
                assert row["rolling_rate"] is None
    assert set(rows) == seen


@pytest.mark.definition("L7")
def test_repurchase(ask: Ask, counted: dict[date, list[Customer]]) -> None:
    on_the_day = 0
    for row in ask(f"select * from {MART}repurchase"):
        at, days = row["as_of_date"], row["horizon_days"]
        buyers = [
            c
            for c in counted[at]
            if c.origin == row["relationship_origin"]
            and month_of(c.visits[0]) == month_of(row["cohort_month"])
        ]
        mature = [c for c in buyers if (at - c.visits[0]).days >= days]
        again = [
            c for c in mature if len(c.visits) > 1 and (c.visits[1] - c.visits[0]).days <= days
        ]
        on_the_day += sum((c.visits[1] - c.visits[0]).days == days for c in again)
        assert row["count_first_buyers"] == len(buyers)
        assert row["count_mature"] == len(mature)
        assert row["count_repurchased"] == len(again)
        if mature:
            assert float(row["repurchase_rate"]) == pytest.approx(
                len(again) / len(mature), abs=6e-7
            )
            lo, hi = proportion_confint(len(again), len(mature), method="wilson")
            assert float(row["repurchase_rate_lo"]) == pytest.approx(lo, abs=2e-6)
            assert float(row["repurchase_rate_hi"]) == pytest.approx(hi, abs=2e-6)
        else:
            assert row["repurchase_rate"] is None
    assert on_the_day


def pattern(c: Customer, at: date) -> str:
    quarters = {(v.year * 12 + v.month - 1) // 3 for v in c.visits}
    stable = any({q, q + 1, q + 2, q + 3} <= quarters for q in quarters)
    if (at - c.visits[0]).days < 730:
        return "UNDETERMINED"
    if c.is_churned:
        if len(c.visits) <= 2 or (c.visits[-1] - c.visits[0]).days <= 90:
            return "EARLY_ABORTION"
        return "EARLY_EXIT" if stable else "MIDWAY_DEATH"
    return "LONG_TERM" if stable else "UNDETERMINED"


@pytest.mark.definition("L3", "L6")
def test_patterns(ask: Ask, history: Any) -> None:
    expected = {(at, c.id): pattern(c, at) for at in DATES for c in history[0][at]}
    found = {
        (r["as_of_date"], r["customer_id"]): r["pattern"]
        for r in ask(f"select * from {MART}lifecycle")
    }
    assert found == expected
    assert set(found.values()) == {
        "EARLY_ABORTION", "MIDWAY_DEATH", "EARLY_EXIT", "LONG_TERM", "UNDETERMINED",
    }  # fmt: skip
