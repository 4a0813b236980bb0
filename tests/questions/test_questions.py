"""The questions of a customer manager: each runs, and its answer is computed a second time.

The second computation reads the drops with pandas, and published rows where a class or a threshold
is judged elsewhere; it reads no model's SQL and imports nothing from `kehu`. Where the sample has too
little to say, a question is also asked more widely (more days, more classes).
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import duckdb
import numpy as np
import pandas as pd
import pytest
from demo_year import DemoYear
from nights import run
from receipts import DAY, D, Receipts
from scipy import stats

pytestmark = pytest.mark.answers

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "dbt_project" / "analyses" / "questions"
FILES = {int(path.name[1:3]): path for path in sorted(FOLDER.glob("q*.sql"))}
Ask = Callable[..., pd.DataFrame]


@pytest.fixture(scope="module")
def drops(demo_year: DemoYear) -> Receipts:
    return Receipts(demo_year.landing)


@pytest.fixture(scope="module")
def published(demo_year: DemoYear) -> Ask:
    """Rows of the published file as a frame."""
    connection = duckdb.connect(str(demo_year.marts), read_only=True)

    def rows(sql: str) -> pd.DataFrame:
        frame: pd.DataFrame = connection.execute(sql).df()
        return frame

    yield rows
    connection.close()


@pytest.fixture(scope="module")
def ask(published: Ask) -> Ask:
    """The answer to a question; `changes` replace parts of its text first."""

    def answer(number: int, **changes: str) -> pd.DataFrame:
        sql = FILES[number].read_text(encoding="utf-8")
        for old, new in changes.items():
            sql, count = re.subn(re.escape(_TEXTS[old]), new, sql)
            assert count == 1, f"{FILES[number].name} has no {_TEXTS[old]!r}"
        return published(sql)

    return answer


_TEXTS = {"class_a": "= 'A'", "days_7": "as_of_date - 7"}


def of_date(published: Ask, table: str, day: str = "2017-12-31") -> pd.DataFrame:
    return published(f"select * from {table} where as_of_date = '{day}'").set_index("customer_id")


# ------------------------------------------------------------------------------------- the files


def test_which_questions_there_are() -> None:
    assert list(FILES) == [*range(1, 14), 20]
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    for number in range(1, 21):
        assert re.search(rf"^\| {number} \| \S", text, re.MULTILINE), number
        linked = f"({FILES[number].name})" in text if number in FILES else True
        assert linked, FILES[number].name


def _script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("number", FILES)
def test_a_question_reads_published_tables_only(number: int) -> None:
    """And Spark would understand it."""
    sql = FILES[number].read_text(encoding="utf-8")
    tables = set(re.findall(r"\b(?:from|join)\s+([a-z_]+\.[a-z_]+)", sql))
    assert tables
    for table in tables:
        schema, _, name = table.partition(".")
        assert schema in ("core", "marts"), table
        assert list((ROOT / "models" / schema).rglob(f"{name}.sql")), table
    assert _script("lint_models").spark_problems(sql) == []


def test_a_question_runs_from_its_file(demo_year: DemoYear) -> None:
    done = run(demo_year.home, demo_year.landing, "query", "--file", str(FILES[3]))
    assert "gini" in done.stdout
    done = run(demo_year.home, demo_year.landing, "query", check=False)
    assert done.returncode == 1 and "either SQL or --file" in done.stderr


# ------------------------------------------------------------------------------------ the answers


@pytest.mark.definition("S1", "S2", "P1")
@pytest.mark.parametrize("wanted", ["A", "ABC"])
def test_q01(ask: Ask, published: Ask, drops: Receipts, wanted: str) -> None:
    found = ask(1, class_a=f"in {tuple(wanted)}" if len(wanted) > 1 else "= 'A'")
    recent = drops.complaints[
        drops.complaints["is_valid"] & (drops.complaints["received_on"] > D - 30 * DAY)
    ]
    last = recent.sort_values(["received_at", "complaint_no"]).groupby("customer_id").tail(1)
    sales = drops.receipts[drops.receipts["is_sale"] & (drops.receipts["cents"] > 0)]
    expected = set()
    for row in last.itertuples():
        # the last date before the complaint at which classes were published
        month_end = (row.received_on + DAY).to_period("M").to_timestamp() - DAY
        classes = of_date(published, "marts.mart_customer_value", str(month_end.date()))
        if row.customer_id not in classes.index:
            continue
        key = classes.loc[row.customer_id]
        if key["abc_class"] not in set(wanted) and key["pyramid_tier"] not in ("TOP", "MAJOR"):
            continue
        own = sales[sales["customer_id"] == row.customer_id]
        if not (own["sold_at"] > row.received_at).any():
            expected.add((row.customer_id, row.complaint_no))
    assert set(zip(found["customer_id"], found["complaint_no"], strict=True)) == expected
    assert len(expected) > 0 or wanted == "A"  # the best of the sample have all come back


def _tiers(values: pd.DataFrame) -> pd.Series:
    """1/19/30/50 of these customers by value, ties by customer_id, in whole numbers."""
    ordered = values.reset_index().sort_values(
        ["value_365d", "customer_id"], ascending=[False, True]
    )
    place = np.arange(len(ordered)) * 100
    n = len(ordered)
    names = np.select(
        [place < n * 1, place < n * 20, place < n * 50], ["TOP", "MAJOR", "ORDINARY"], "SMALL"
    )
    return pd.Series(names, index=ordered["customer_id"])


@pytest.mark.definition("S2", "S4")
def test_q02(ask: Ask, published: Ask) -> None:
    found = ask(2).set_index(["store_code", "ranking_scope", "tier"])
    tiers = {}
    for day in ("2017-09-30", "2017-12-31"):
        rows = of_date(published, "marts.mart_customer_value", day)
        ranked = rows[rows["value_rank"].notna()].astype({"value_365d": float})
        tiers[day, "COMPANY"] = _tiers(ranked)
        tiers[day, "STORE"] = pd.concat(
            [_tiers(store) for _, store in ranked.groupby("home_store_key")]
        )
    worth = of_date(published, "marts.mart_customer_value")["value_365d"].astype(float)
    for scope in ("COMPANY", "STORE"):
        now, before = tiers["2017-12-31", scope], tiers["2017-09-30", scope]
        for tier in ("TOP", "MAJOR"):
            row = found.loc["ALL", scope, tier]
            members, members_before = set(now[now == tier].index), set(before[before == tier].index)
            assert row["n_customers"] == len(members), (scope, tier)
            assert float(row["value_total"]) == pytest.approx(worth[list(members)].sum())
            assert row["count_entered"] == len(members - members_before), (scope, tier)
            assert row["count_left"] == len(members_before - members), (scope, tier)
            shops = found.drop(index="ALL", level="store_code").xs((scope, tier), level=(1, 2))
            assert shops["n_customers"].sum() == len(members)


@pytest.mark.definition("S3")
def test_q03(ask: Ask, drops: Receipts, published: Ask) -> None:
    row = ask(3).iloc[0]
    people = of_date(published, "core.fct_customer_month")
    people = people[people["excluded_reason"].isna() & (people["count_visits_365d"] > 0)]
    revenue = drops.revenue.groupby("customer_id")["cents"].sum().reindex(people.index)
    worth = np.sort(revenue.to_numpy())[::-1]
    top = worth[: -(-len(worth) * 20 // 100)].sum() / worth.sum()
    assert row["n_customers"] == len(worth)
    assert float(row["top_20_share"]) == pytest.approx(top, abs=2e-6)
    assert row["is_claim_true"] == (top >= 0.8)
    # no feed of cost: what is measured is sales, and sales show no loss
    assert row["value_basis"] == "SALES"
    assert pd.isna(row["profit_destroyed"]) and row["loss_missing_reason"] == "SALES_SHOW_NO_LOSS"


@pytest.mark.definition("L1", "L2", "V9")
def test_q04(ask: Ask, published: Ask, drops: Receipts) -> None:
    found = ask(4)
    people = of_date(published, "core.fct_customer_month")
    people = people[people["excluded_reason"].isna() & (people["count_visits_365d"] > 0)]
    revenue = drops.revenue.groupby("customer_id")["cents"].sum()
    worth = revenue.reindex(people.index).rename("value_365d").to_frame()
    ordered = worth.reset_index().sort_values(
        ["value_365d", "customer_id"], ascending=[False, True]
    )
    best = ordered["customer_id"][np.arange(len(ordered)) * 100 < len(ordered) * 20]
    silent = (D - drops.visits.groupby("customer_id")["day"].max()).dt.days
    share = silent.reindex(best) / people.loc[best, "inactivity_threshold_days"].astype(float)
    expected = share[(share > 0.6) & (share <= 1)].index
    assert set(found["customer_id"]) == set(expected)
    assert len(found) > 0
    assert found["value_365d"].is_monotonic_decreasing


@pytest.mark.definition("C1", "C2", "C5")
def test_q05(ask: Ask, published: Ask, drops: Receipts) -> None:
    found = ask(5)
    start = pd.Timestamp("2017-11-30")
    people = of_date(published, "core.fct_customer_month", "2017-11-30")
    visits = drops.visits
    last = visits[visits["day"] <= start].groupby("customer_id")["day"].max()
    threshold = pd.to_timedelta(people["inactivity_threshold_days"].astype(float), unit="D")
    crossed = (last.reindex(people.index) + threshold + DAY).dropna()
    active = crossed[crossed > start]
    excluded = of_date(published, "core.fct_customer_month")["excluded_reason"].dropna()
    lost = []
    for customer, day in active.items():
        own = visits[(visits["customer_id"] == customer) & (visits["day"] > start)]["day"]
        # came back before the threshold was crossed, or crosses it after the month
        if day <= D and not (own <= day).any() and customer not in excluded.index:
            lost.append(customer)
    # whoever came back is measured by the new visit's own threshold, which can also be crossed
    again = of_date(published, "core.fct_customer_month")
    again = again[
        again["churned_in_period"].astype(bool) & again["was_active_at_start"].astype(bool)
    ]
    assert set(lost) <= set(again.index)
    lost = [c for c in again.index if c not in excluded.index]
    assert found["count_lost"].sum() == len(lost) > 10
    value = people.reindex(lost)["value_365d"].astype(float).sum()
    assert float(found["value_lost"].sum()) == pytest.approx(value)
    reasons = of_date(published, "marts.mart_churn").loc[lost]
    stated = set(drops.answers.loc[drops.answers["survey_id"] == "S-EXIT", "customer_id"])
    assert set(reasons.index[reasons["reason_source"] == "STATED"]) <= stated
    unknown = found.loc[found["reason_code"] == "UNKNOWN", "count_lost"].sum()
    assert unknown == reasons["reason_code"].isna().sum()
    assert set(found["is_avoidable"].dropna()) <= {True, False}


@pytest.mark.definition("L7")
def test_q06(ask: Ask, published: Ask, drops: Receipts) -> None:
    found = ask(6).set_index("cohort_month")
    excluded = set(
        published(
            "select customer_id from core.fct_customer_month "
            "where as_of_date = '2017-12-31' and excluded_reason is not null"
        )["customer_id"]
    )
    visits = drops.visits[~drops.visits["customer_id"].isin(excluded)]
    first = visits.groupby("customer_id")["day"].min()
    later = visits.merge(first.rename("first"), on="customer_id")
    second = later[later["day"] > later["first"]].groupby("customer_id")["day"].min()
    frame = pd.DataFrame({"first": first, "second": second})
    frame["mature"] = frame["first"] + 60 * DAY <= D
    frame["back"] = frame["mature"] & (frame["second"] <= frame["first"] + 60 * DAY)
    months = frame.groupby(frame["first"].dt.to_period("M").dt.to_timestamp())
    assert len(found) == len(months)
    assert set(found["relationship_origin"]) == {"LEFT_TRUNCATED"}
    for month, group in months:
        row = found.loc[month]
        assert row["count_first_buyers"] == len(group)
        assert (row["count_mature"], row["count_repurchased"]) == (
            group["mature"].sum(), group["back"].sum(),
        )  # fmt: skip
        rate = group["back"].sum() / group["mature"].sum() if group["mature"].any() else np.nan
        assert float(row["repurchase_rate"]) == pytest.approx(rate, abs=1e-6, nan_ok=True)


@pytest.mark.definition("P13", "P17")
@pytest.mark.parametrize("days", [7, 40])
def test_q07(ask: Ask, drops: Receipts, days: int) -> None:
    found = ask(7, days_7=f"as_of_date - {days}").set_index("reason_code")
    valid = drops.complaints[drops.complaints["is_valid"]]
    counts = valid.groupby(["reason_code", "received_on"]).size()
    recent = valid[valid["received_on"] > D - days * DAY]
    expected = recent.groupby("reason_code").size()
    assert found["count_complaints"].astype(int).sort_index().to_dict() == expected.to_dict()
    if days == 7:
        heard = drops.complaints[drops.complaints["received_on"] > D - days * DAY]
        for reason, row in found.iterrows():
            mean, tail = 0.0, 1.0
            for day in heard.loc[heard["reason_code"] == reason, "received_on"].unique():
                before = [counts.get((reason, day - 7 * w * DAY), 0) for w in range(1, 9)]
                rate = max(float(np.mean(before)), 0.05)
                mean += rate
                tail = min(tail, stats.poisson.sf(counts.get((reason, day), 0) - 1, rate))
            assert float(row["expected_on_these_days"]) == pytest.approx(mean, abs=1e-4), reason
            assert float(row["least_tail_probability"]) == pytest.approx(tail, abs=1e-6), reason
    assert (
        found["count_complaints"].to_numpy()[:-1] >= found["count_complaints"].to_numpy()[1:]
    ).all()


@pytest.mark.definition("P2", "P3", "P4", "P7")
def test_q08(ask: Ask, published: Ask, drops: Receipts) -> None:
    found = ask(8).set_index(["store_code", "max_level"])
    targets = published(
        "select complaint_no, response_target_minutes, resolution_target_minutes "
        "from marts.mart_complaint where is_latest"
    ).set_index("complaint_no")
    cases = drops.cases.join(targets, on="complaint_no")
    age = (D + DAY - cases["received_at"]).dt.total_seconds() // 60
    cases["late_answer"] = cases["is_open"] & (
        cases["response_minutes"].fillna(age) > cases["response_target_minutes"]
    )
    cases["late"] = cases["is_open"] & (age > cases["resolution_target_minutes"])
    store = cases["store_code"].value_counts().idxmax()
    some = {("ALL", "ALL"): cases, (store, "ALL"): cases[cases["store_code"] == store]}
    some |= {("ALL", str(n)): level for n, level in cases.groupby("max_level")}
    for key, group in some.items():
        row = found.loc[key]
        assert row["count_complaints"] == len(group), key
        assert row["count_open"] == group["is_open"].sum(), key
        for name, minutes in (
            ("response", "response_minutes"),
            ("resolution", "resolution_minutes"),
        ):
            given = group[minutes].dropna()
            assert row[f"{name}_median_minutes"] == pytest.approx(given.median()), key
            assert row[f"{name}_p90_minutes"] == pytest.approx(np.percentile(given, 90)), key
        assert row["count_open_response_late"] == group["late_answer"].sum(), key
        assert row["count_open_resolution_late"] == group["late"].sum(), key


@pytest.mark.definition("P9")
def test_q09(ask: Ask, published: Ask, drops: Receipts) -> None:
    found = ask(9).set_index("level_code")
    windows = published(
        "select complaint_no, recovery_window_days as days, control_repurchase_rate as control "
        "from marts.mart_complaint where is_latest and customer_id not in ('ANONYMOUS', 'UNKNOWN')"
    ).set_index("complaint_no")
    cases = drops.cases.join(windows, on="complaint_no")
    cases = cases[cases["resolved_at"].notna() & cases["days"].notna()]
    begun = cases["resolved_at"].dt.normalize()
    until = begun + pd.to_timedelta(cases["days"].astype(float), unit="D")
    mature = cases[until <= D].assign(begun=begun, until=until)
    visits = {customer: set(days) for customer, days in drops.visits.groupby("customer_id")["day"]}
    back = mature.apply(
        lambda case: any(
            case["begun"] < day <= case["until"] for day in visits.get(case["customer_id"], ())
        ),
        axis=1,
    )
    row = found.loc["ALL"]
    assert row["count_recovery_matured"] == len(mature) > 30
    assert row["count_repurchased"] == back.sum()
    interval = stats.binomtest(int(back.sum()), len(mature)).proportion_ci(method="wilson")
    assert (float(row["repurchase_rate_lo"]), float(row["repurchase_rate_hi"])) == pytest.approx(
        (interval.low, interval.high), abs=2e-6
    )
    matched = mature["control"].notna()
    assert row["count_control"] == matched.sum()
    effect = back[matched].mean() - mature.loc[matched, "control"].astype(float).mean()
    assert float(row["net_repurchase_effect"]) == pytest.approx(effect, abs=1e-5)
    assert found.drop(index="ALL")["count_recovery_matured"].sum() == len(mature)


@pytest.mark.definition("P7")
def test_q10(ask: Ask, drops: Receipts) -> None:
    found = ask(10).set_index("department")
    cases = drops.cases[drops.cases["entry_level"] == 1].copy()
    cases["department"] = cases["department"].fillna("UNKNOWN")
    cases["up"] = (cases["max_level"] > 1).astype(float)
    cases["expected"] = cases.groupby("reason_code")["up"].transform("mean")
    cases["at_once"] = (
        cases["resolved_at"].notna() & (cases["max_level"] == 1) & ~cases["is_reopened"]
    )
    assert len(found) == cases["department"].nunique()
    for department, group in cases.groupby("department"):
        row = found.loc[department]
        assert row["count_complaints"] == len(group), department
        assert row["count_escalated"] == group["up"].sum(), department
        assert float(row["escalated_expected"]) == pytest.approx(group["expected"].sum(), abs=1e-4)
        assert row["count_solved_on_the_spot"] == group["at_once"].sum(), department
    # laid over all departments, what is expected is what there was
    assert float(found["escalated_expected"].sum()) == pytest.approx(cases["up"].sum(), abs=1e-3)


@pytest.mark.definition("T4")
def test_q11(ask: Ask, published: Ask, drops: Receipts) -> None:
    found = ask(11).set_index("dimension")
    excluded = set(
        published(
            "select customer_id from core.fct_customer_month "
            "where as_of_date = '2017-12-31' and excluded_reason is not null"
        )["customer_id"]
    )
    given = drops.answers[drops.answers["question_id"].str.match(r"Q-\d\d-[PE]")]
    given = given[~given["customer_id"].isin(excluded)]
    wide = given.assign(
        item=given["question_id"].str[2:4].astype(int), role=given["question_id"].str[-1]
    ).pivot_table(index=["response_id", "item"], columns="role", values="answer_num")
    gaps = (wide["P"] - wide["E"]).dropna().reset_index(name="gap")
    items = {"TANGIBLES": 4, "RELIABILITY": 5, "RESPONSIVENESS": 4, "ASSURANCE": 4, "EMPATHY": 5}
    first = 1
    for dimension, count in items.items():
        own = gaps[gaps["item"].between(first, first + count - 1)].groupby("response_id")["gap"]
        means = own.mean()[own.count() * 2 >= count]
        row = found.loc[dimension]
        assert row["count_respondents"] == len(means), dimension
        assert float(row["mean_gap"]) == pytest.approx(means.mean(), abs=1e-5), dimension
        first += count
    assert list(found["gap_rank"]) == sorted(found["gap_rank"])
    assert found["mean_gap"].astype(float).is_monotonic_increasing
    assert found["count_complaints"].sum() == drops.complaints["is_valid"].sum()


@pytest.mark.definition("Y4")
def test_q12(ask: Ask, published: Ask, drops: Receipts) -> None:
    found = ask(12).set_index("store_code")
    loyal = of_date(published, "marts.mart_loyalty")
    loyal = loyal[loyal["excluded_reason"].isna() & (loyal["count_visits_365d"] > 0)].copy()
    tier = of_date(published, "marts.mart_customer_value")["pyramid_tier"].fillna("NONE")
    loyal["tier"] = tier.reindex(loyal.index)
    # who is surveyed, from the drops: the last overall score of half a year
    scores = drops.answers[drops.answers["question_id"] == "V-CSAT"].dropna(subset=["answer_num"])
    scores = scores[scores["submitted_at"].dt.normalize() > D - 180 * DAY]
    last = scores.sort_values(["submitted_at", "response_id"]).groupby("customer_id").tail(1)
    said = last.set_index("customer_id")["answer_num"].reindex(loyal.index)
    assert ((loyal["apostle_type"] == "UNKNOWN") == said.isna()).all()
    assert (said[loyal["apostle_type"] == "HOSTAGE"] <= 3).all()
    assert (said[loyal["apostle_type"] == "MERCENARY"] >= 4).all()
    known = loyal[said.notna()]
    weight = loyal.groupby("tier").size() / known.groupby("tier").size()
    weights = known["tier"].map(weight)
    row = found.loc["ALL"]
    assert (row["count_buyers"], row["count_surveyed"]) == (len(loyal), len(known))
    for kind in ("MERCENARY", "HOSTAGE"):
        is_kind = known["apostle_type"] == kind
        assert row[f"count_{kind.lower()}"] == is_kind.sum()
        share = weights[is_kind].sum() / weights.sum()
        assert float(row[f"{kind.lower()}_share"]) == pytest.approx(share, abs=1e-4)
    shops = found.drop(index="ALL")
    assert shops["count_buyers"].sum() == len(loyal)
    assert shops["count_mercenary"].sum() == row["count_mercenary"] > 0


@pytest.mark.definition("Y3", "Y4")
def test_q13(ask: Ask, published: Ask) -> None:
    found = ask(13).set_index("store_code")
    loyal = of_date(published, "marts.mart_loyalty")
    status = of_date(published, "core.fct_customer_month")["churn_status"].reindex(loyal.index)
    active = loyal[loyal["excluded_reason"].isna() & (status == "ACTIVE")]
    known = active[(active["loyalty_type"] != "UNKNOWN") | (active["apostle_type"] != "UNKNOWN")]
    exposed = (known["loyalty_type"] == "SPURIOUS") | (known["apostle_type"] == "HOSTAGE")
    assert found["count_active"].sum() == len(active)
    assert found["count_known"].sum() == len(known)
    assert found["count_exposed"].sum() == exposed.sum() > 0
    stores = published("select store_key, store_code from core.dim_store").set_index("store_key")
    code = stores.loc[active["home_store_key"], "store_code"].to_numpy()
    for store, group in active.groupby(code):
        own = exposed[exposed.index.isin(group.index)]
        lost = len(group) * own.mean() if len(own) else np.nan
        found_lost = float(found.loc[store, "scenario_customers_lost"])
        assert found_lost == pytest.approx(lost, abs=0.051, nan_ok=True), store
    assert found["is_small_sample"].any()


@pytest.mark.definition("K1", "R1", "V1", "P1", "P2")
def test_q20(ask: Ask, published: Ask, drops: Receipts) -> None:
    found = ask(20).set_index("kpi")
    actual = found["actual"].astype(float)
    people = of_date(published, "core.fct_customer_month")
    # who is excluded from scoring is kept in sales (convention 8)
    revenue = drops.revenue.groupby("customer_id")["cents"].sum().reindex(people.index).fillna(0)
    assert actual["MEMBER_SALES"] == pytest.approx(revenue.sum() / 100)
    # the services are those of the last whole month
    december = pd.Timestamp("2017-12-01")
    receipts = drops.receipts[drops.receipts["is_sale"]]
    sales = (receipts["sold_at"] >= december).sum()
    valid = drops.cases[drops.cases["received_at"] >= december]
    assert actual["COMPLAINT_RATE"] == pytest.approx(10_000 * len(valid) / sales, abs=1e-3)
    answered = valid["response_minutes"].dropna()
    assert actual["FIRST_RESPONSE_P90"] == pytest.approx(np.percentile(answered, 90), abs=0.01)
    assert actual["CHURN"] == pytest.approx(1 - actual["RETENTION_ALL"], abs=1e-4)
    for kpi in ("CRM_ROI", "EMPLOYEE_CSAT", "MEMBER_MARGIN_SHARE"):
        assert pd.isna(actual[kpi]) and found.loc[kpi, "missing_reason"], kpi
    known = actual.notna()
    assert (known == (found["status"] != "NOT_MEASURABLE")).sum() > 25
    assert (found.loc[known, "n"] > 0).all()
    # what is a problem has something to be done about it
    wrong = found[found["status"] == "BREACHED"]
    assert len(wrong) > 0
    assert wrong["problem_no"].notna().all() and (wrong["count_actions"] > 0).all()
    assert found.loc[found["target"].isna(), "attainment"].isna().all()
