"""The scorecard and the report a second time: targets from the seeds, figures from the published marts.

Attainment, weights, changes, problems and advice are computed here in Python from the definition (K1,
R1), from what `core.kpi_target` and `core.treatment_matrix` say and from the marts that the figures
belong to. Nothing here imports `kehu` or reads a model's SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import duckdb
import numpy as np
import pandas as pd
import pytest
from demo_year import DemoYear

pytestmark = [pytest.mark.answers, pytest.mark.definition("K1", "R1")]

Ask = Callable[[str], pd.DataFrame]

SUMMARY = [
    "MEMBER_SALES", "ACTIVE_CUSTOMERS", "TOP_20_VALUE_SHARE", "RETENTION_KEY", "CHURN", "NPS",
    "COMPLAINT_RATE", "FIRST_RESPONSE_P90", "RECOVERY", "VALUE_AT_RISK",
]  # fmt: skip
EVIDENCE = (
    "WORST_STORE", "WORST_SEGMENT", "STORES_BREACHED", "STORES_CERTAIN", "COMPANY_VALUE",
)  # fmt: skip


@pytest.fixture(scope="module")
def ask(demo_year: DemoYear) -> Iterator[Ask]:
    connection = duckdb.connect(str(demo_year.marts), read_only=True)

    def rows(sql: str) -> pd.DataFrame:
        frame: pd.DataFrame = connection.execute(sql).df()
        return frame

    yield rows
    connection.close()


@pytest.fixture(scope="module")
def cards(ask: Ask) -> pd.DataFrame:
    """Every row of the scorecard beside the target that the seed gives it, read here anew."""
    rows = ask("select * from marts.mart_scorecard")
    targets = ask("select * from core.kpi_target where scope in ('default', 'complete_journey')")
    assert (targets["store_code"] == "ALL").all() and targets["kpi"].is_unique
    targets = targets.add_suffix("_of_seed").rename(columns={"kpi_of_seed": "kpi"})
    found = rows.merge(targets, on="kpi")
    assert len(found) == len(rows) > 1000
    number = [
        "actual", "lo", "hi", "floor", "target", "floor_of_seed", "target_of_seed", "attainment", "weight",
        "weight_given", "weight_of_seed", "scorecard_attainment", "previous", "previous_lo",
        "previous_hi", "delta",
    ]  # fmt: skip
    return found.assign(**{name: found[name].astype(float) for name in number})


def test_attainment_and_status_from_the_seed(cards: pd.DataFrame) -> None:
    adds_up = cards["unit"].isin(["MONEY", "CUSTOMERS"]) & (cards["store_code"] != "ALL")
    judged = cards["missing_reason"].isna() & cards["target_of_seed"].notna() & ~adds_up
    ratio = (cards["actual"] - cards["floor_of_seed"]) / (
        cards["target_of_seed"] - cards["floor_of_seed"]
    )
    again = ratio.clip(0, 1.2).where(judged)
    np.testing.assert_allclose(again, cards["attainment"], atol=1e-6, equal_nan=True)
    status = np.select(
        [cards["missing_reason"].notna(), ~judged, ratio >= 1, ratio >= 0],
        ["NOT_MEASURABLE", "NO_TARGET", "MET", "BELOW_TARGET"],
        "BREACHED",
    )
    assert (status == cards["status"]).all()
    assert {"MET", "BELOW_TARGET", "BREACHED", "NO_TARGET", "NOT_MEASURABLE"} == set(status)


def test_weights_are_those_of_what_is_judged(cards: pd.DataFrame) -> None:
    judged = cards[cards["attainment"].notna() & (cards["weight_of_seed"] > 0)]
    groups = judged.groupby(["as_of_date", "store_code"])
    share = judged["weight_of_seed"] / groups["weight_of_seed"].transform("sum")
    np.testing.assert_allclose(share, judged["weight"], atol=1e-5)
    total = (share * judged["attainment"]).groupby(
        [judged["as_of_date"], judged["store_code"]]
    ).transform("sum")  # fmt: skip
    np.testing.assert_allclose(total, judged["scorecard_attainment"], atol=1e-5)
    assert cards.loc[cards["attainment"].isna(), "weight"].isna().all()


def test_what_nothing_measures_is_neither_zero_nor_invented(cards: pd.DataFrame) -> None:
    waiting = cards[
        cards["missing_reason"].str.startswith("NO_", na=False)
        & cards["missing_reason"].str.endswith("_FEED", na=False)
    ]
    assert len(waiting["kpi"].unique()) >= 8
    assert waiting[["actual", "lo", "hi", "n", "attainment"]].replace(0, np.nan).isna().all().all()
    few = cards[cards["missing_reason"] == "SMALL_SAMPLE"]
    least = np.where(few["source_mart"] == "mart_service_recovery", 5, 30)
    assert len(few) > 0 and (few["n"] < least).all() and few["attainment"].isna().all()


def test_figures_are_those_of_their_marts(cards: pd.DataFrame, ask: Ask) -> None:
    """By the definitions, from customers where there are some: nothing is taken from the helpers."""
    latest = cards[cards["is_latest"] & (cards["store_code"] == "ALL")].set_index("kpi")["actual"]
    people = ask("select * from marts.mart_churn where is_latest and excluded_reason is null")
    before = ask(
        "select customer_id, pyramid_tier from marts.mart_customer_value where as_of_date = "
        "(select max(period_start_date) from marts.mart_churn where is_latest)"
    )
    assert latest["ACTIVE_CUSTOMERS"] == (people["churn_status"] == "ACTIVE").sum()
    start = people[people["was_active_at_start"]].merge(before, on="customer_id")
    assert latest["CHURN"] == pytest.approx(start["churned_in_period"].mean(), abs=1e-6)
    key = start[start["pyramid_tier"].isin(["TOP", "MAJOR"])]
    assert latest["RETENTION_KEY"] == pytest.approx(1 - key["churned_in_period"].mean(), abs=1e-6)
    risk = people["value_at_risk"].astype(float)
    assert (latest["VALUE_AT_RISK"] == pytest.approx(risk.sum())) or risk.isna().all()
    worth = ask(
        "select value_365d from marts.mart_customer_value where is_latest and value_rank is not null"
    )["value_365d"].astype(float).clip(lower=0).sort_values(ascending=False)  # fmt: skip
    top = worth.head(-(-len(worth) * 20 // 100)).sum() / worth.sum()
    assert latest["TOP_20_VALUE_SHARE"] == pytest.approx(top, abs=2e-6)
    cases = ask(
        "select * from marts.mart_complaint where is_latest and is_valid "
        "and received_on > (select max(period_start_date) from marts.mart_churn where is_latest)"
    )
    due = cases["is_response_sla_met"].dropna().astype(bool)
    assert latest["RESPONSE_SLA"] == pytest.approx(due.mean(), abs=1e-6)


def test_a_change_is_told_where_intervals_do_not_touch(cards: pd.DataFrame) -> None:
    tested = cards[cards["is_significant_change"].notna()]
    apart = (tested["lo"] > tested["previous_hi"]) | (tested["hi"] < tested["previous_lo"])
    assert len(tested) > 50
    assert (apart == tested["is_significant_change"].astype(bool)).all()
    assert set(tested["window_code"]) == {"MONTH", "WAVE"}
    # of a month, the month-end before has that very figure
    months = cards[(cards["window_code"] == "MONTH") & cards["previous"].notna()]
    ends = pd.to_datetime(months["measured_on"]) - pd.offsets.MonthEnd(1)
    ended = cards[(cards["window_code"] == "MONTH") & (cards["measured_on"] == cards["as_of_date"])]
    there = ended.assign(day=pd.to_datetime(ended["measured_on"])).set_index(
        ["day", "store_code", "kpi"]
    )["actual"]
    keys = pd.MultiIndex.from_arrays([ends, months["store_code"], months["kpi"]])
    np.testing.assert_allclose(there.reindex(keys).to_numpy(), months["previous"], atol=1e-9)


def test_problems_picked_a_second_way(cards: pd.DataFrame, ask: Ask) -> None:
    report = ask("select * from marts.mart_report")
    themes = ask("select kpi, theme from core.kpi").set_index("kpi")["theme"]
    wanted: dict[object, set[str]] = {}
    weighty = cards[cards["weight_of_seed"] > 0]
    for row in weighty.itertuples():
        bad = row.status == "BREACHED"
        if row.store_code != "ALL":
            beyond = row.hi < row.floor if row.direction == "HIGHER" else row.lo > row.floor
            bad = bad and beyond
        elif row.change_code == "WORSE":
            bad = True
        if bad:
            wanted.setdefault(row.as_of_date, set()).add(row.kpi)
    told: dict[object, set[str]] = {}
    problems = report[report["section"] == "PROBLEM"]
    for row in problems[~problems["statement_code"].isin(EVIDENCE)].itertuples():
        told.setdefault(row.as_of_date, set()).add(row.kpi)
    assert told == wanted
    assert wanted, "the year has problems"
    for day, group in problems.groupby("as_of_date"):
        leads = group[~group["is_evidence"]]
        assert len(leads) == leads["problem_no"].nunique() == themes[list(wanted[day])].nunique()
    advice = report[report["section"] == "ADVICE"]
    assert set(zip(advice["as_of_date"], advice["problem_no"], strict=True)) == set(
        zip(problems["as_of_date"], problems["problem_no"], strict=True)
    )
    matrix = ask(
        "select distinct kpi, strategy_code, owner, due_days, success_kpi from core.treatment_matrix"
    )
    given = advice[["kpi", "strategy_code", "owner", "due_days", "success_kpi"]]
    assert len(given.merge(matrix)) == len(given) > 0


def test_the_ten_numbers_are_the_same_each_time(ask: Ask) -> None:
    rows = ask(
        "select * from marts.mart_report where section = 'SUMMARY' order by as_of_date, rank"
    )
    for _, group in rows.groupby("as_of_date"):
        assert group["kpi"].tolist() == SUMMARY
        assert group["rank"].tolist() == list(range(1, 11))
        assert (group["value"].notna() | group["missing_reason"].notna()).all()
    assert not rows.loc[rows["kpi"] == "MEMBER_SALES", "is_simulated"].any()
    assert rows.loc[(rows["kpi"] == "NPS") & rows["value"].notna(), "is_simulated"].all()


def test_facts_are_those_of_their_marts(ask: Ask) -> None:
    facts = ask("select * from marts.mart_report where is_latest and section = 'SITUATION'")
    tiers = facts[facts["statement_code"] == "TIER_VALUE_SHARE"].set_index("segment")
    worth = ask(
        "select pyramid_tier, sum(value_365d) as value, count(*) as n from marts.mart_customer_value "
        "where is_latest and value_rank is not null group by pyramid_tier"
    ).set_index("pyramid_tier")
    shares = worth["value"].astype(float) / float(worth["value"].sum())
    for tier in ("TOP", "MAJOR", "ORDINARY", "SMALL"):
        assert float(tiers.loc[tier, "value"]) == pytest.approx(shares[tier], abs=1e-6)
        assert tiers.loc[tier, "n"] == worth.loc[tier, "n"]
    lost = facts.set_index("statement_code").loc["CUSTOMERS_LOST"]
    churned = ask(
        "select count(*) as n from marts.mart_churn "
        "where is_latest and excluded_reason is null and churned_in_period"
    )["n"][0]
    assert float(lost["value"]) == churned
    reasons = facts[facts["statement_code"] == "COMPLAINT_REASON"]
    assert len(reasons) == 3 and reasons["value"].astype(float).is_monotonic_decreasing
