"""Published figures of the demo's year against independent implementations.

statsmodels, scikit-learn, scipy, numpy and pandas compute again from the drops, or from published
facts where those are what is judged elsewhere. Nothing here imports `kehu` or reads a model.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from demo_year import ENVIRONMENT, DemoYear
from nights import run
from receipts import DAY, D, Receipts
from scipy import stats
from sklearn.metrics import roc_auc_score
from statsmodels.duration.survfunc import SurvfuncRight

pytestmark = pytest.mark.answers

WINDOW_START = D - 365 * DAY


@pytest.fixture(scope="module")
def drops(demo_year: DemoYear) -> Receipts:
    return Receipts(demo_year.landing)


@pytest.fixture(scope="module")
def ask(demo_year: DemoYear) -> object:
    """Rows of the published file as a frame."""
    connection = duckdb.connect(str(demo_year.marts), read_only=True)

    def rows(sql: str) -> pd.DataFrame:
        frame: pd.DataFrame = connection.execute(sql).df()
        for name in frame.columns:
            if frame[name].dtype == object and name.endswith(("_on", "_date")):
                frame[name] = pd.to_datetime(frame[name])
        return frame

    yield rows
    connection.close()


def test_no_household_is_lost(drops, ask) -> None:
    """Invariant 1: what the tills said is what is published, in lines and in cents."""
    published = ask("select count(*) as n, sum(net_amount) as net from core.fct_sales_line")
    assert published["n"][0] == len(drops.lines) > 400_000
    assert round(float(published["net"][0]) * 100) == drops.lines["cents"].sum()
    by_customer = ask(
        "select customer_id, net_sales_365d as net from core.fct_customer_month "
        "where as_of_date = '2017-12-31'"
    ).set_index("customer_id")["net"]
    again = drops.revenue[drops.revenue["day"] > WINDOW_START].groupby("customer_id")["cents"].sum()
    pd.testing.assert_series_equal(
        (by_customer.astype(float) * 100).round().astype("int64").sort_index(),
        again.reindex(by_customer.index.sort_values()).fillna(0).astype("int64"),
        check_names=False,
    )


@pytest.mark.definition("V8")
def test_rfm_with_pandas(drops, ask) -> None:
    """Recency, frequency and money from the tills; equal values share a score; five scores."""
    published = ask(
        "select customer_id, r_score, f_score, m_score, monetary_365d from marts.mart_customer_value "
        "where is_latest and r_score is not null"
    ).set_index("customer_id").sort_index()  # fmt: skip
    visits = drops.visits[drops.visits["customer_id"].isin(published.index)]
    recent = visits[visits["day"] > WINDOW_START].groupby("customer_id")["day"]
    bulk = drops.revenue.groupby(["customer_id", "store_code", "day", "receipt_no"])["cents"].sum()
    kept = bulk[bulk <= 500_000].groupby("customer_id").sum()
    measures = pd.DataFrame(
        {"r": -(D - recent.max()).dt.days, "f": recent.count(), "m": kept}
    ).reindex(published.index)
    for name, column in (("r", "r_score"), ("f", "f_score"), ("m", "m_score")):
        ranks = measures[name].rank(method="min")
        again = 1 + np.floor(5 * (ranks - 1) / len(measures)).astype(int)
        assert (again == published[column]).all(), column
    assert published["f_score"].nunique() == 5


@pytest.mark.definition("S3")
def test_gini_and_shares_with_numpy(ask) -> None:
    values = ask(
        "select customer_id, value_365d from marts.mart_customer_value "
        "where is_latest and value_rank is not null"
    )
    worth = np.sort(values["value_365d"].astype(float).clip(lower=0).to_numpy())
    n = len(worth)
    # mean absolute difference over twice the mean, the definition itself
    differences = np.abs(worth[:, None] - worth[None, :]).sum()
    gini = differences / (2 * n * n * worth.mean())
    top = {p: worth[::-1][: -(-n * p // 100)].sum() / worth.sum() for p in (1, 4, 20)}
    found = ask("select * from marts.mart_concentration where is_latest and store_code = 'ALL'")
    assert found["n_customers"][0] == n
    assert found["gini"][0] == pytest.approx(gini, abs=2e-6)
    for p, share in top.items():
        assert found[f"top_{p}_share"][0] == pytest.approx(share, abs=2e-6)


@pytest.mark.definition("L5")
def test_kaplan_meier_with_statsmodels(drops, ask) -> None:
    """Days from the beginning to the first churn; members of before the data enter late."""
    people = ask(
        "select customer_id, first_visit_on, first_churned_on from core.fct_customer_month "
        "where as_of_date = '2017-12-31' and excluded_reason is null and count_visits > 0"
    ).set_index("customer_id")
    first = drops.visits.groupby("customer_id")["day"].min().reindex(people.index)
    assert (first == people["first_visit_on"]).all()
    enrolled = pd.Timestamp("2016-12-31")  # every member of the demo, before the first sale
    ended = people["first_churned_on"].fillna(D)
    curve = SurvfuncRight(
        (ended - enrolled).dt.days.to_numpy(),
        people["first_churned_on"].notna().astype(int).to_numpy(),
        entry=(first - enrolled).dt.days.to_numpy(),
    )
    found = ask(
        "select t_days, at_risk, events, survival, survival_se from marts.mart_survival "
        "where is_latest and stratum_type = 'ALL' and events > 0 order by t_days"
    )
    again = pd.DataFrame(
        {
            "t_days": curve.surv_times,
            "at_risk": curve.n_risk,
            "events": curve.n_events,
            "survival": curve.surv_prob,
            "survival_se": curve.surv_prob_se,
        }
    )
    again = again[again["events"] > 0].reset_index(drop=True)
    assert len(again) == len(found) > 50
    for name in ("t_days", "at_risk", "events"):
        assert (again[name].astype(int) == found[name].astype(int)).all(), name
    for name in ("survival", "survival_se"):
        assert np.abs(again[name] - found[name].astype(float)).max() < 1e-5, name


@pytest.mark.definition("C6", "C7")
def test_auc_of_the_baselines_with_scikit_learn(drops, ask) -> None:
    """Labels from the tills: no visit in the horizon; scores as known at the test cut-off."""
    measured = ask("select * from marts.mart_model_evaluation where is_latest").set_index("model")
    one = measured.iloc[0]
    start, end = one["test_on"], one["test_on"] + one["horizon_days"] * DAY
    eligible = ask(
        f"""select m.customer_id, m.days_since_last_visit as recency,
            m.days_since_last_visit / m.inactivity_threshold_days as elapsed,
            1 - s.p_alive as gone
        from core.fct_customer_month as m
        left join core.fct_customer_score as s on s.customer_id = m.customer_id
            and s.as_of_date = m.as_of_date and s.model = 'MBG_NBD'
        where m.as_of_date = '{start.date()}' and m.excluded_reason is null
            and m.churn_status = 'ACTIVE' and m.count_visits >= 3"""
    )
    visits = drops.visits
    back = set(visits.loc[(visits["day"] > start) & (visits["day"] <= end), "customer_id"])
    left = ~eligible["customer_id"].isin(back)
    assert len(eligible) == one["n"]
    assert left.sum() == one["positives"]
    assert left.mean() == pytest.approx(float(one["base_rate"]), abs=1e-6)
    for model, score in (("RECENCY", "recency"), ("ELAPSED_RATIO", "elapsed"), ("P_ALIVE", "gone")):
        auc = roc_auc_score(left, eligible[score].astype(float))
        assert auc == pytest.approx(float(measured.loc[model, "auc"]), abs=1e-6), model
    best = measured[measured["is_baseline"]]["auc"].astype(float).max()
    assert best == pytest.approx(float(one["baseline_auc"]), abs=1e-6)


@pytest.mark.definition("C6", "C8")
def test_published_risks_tell_leavers_from_others(drops, ask) -> None:
    """The scores said at the end of August, judged by what the tills saw until the end of November."""
    scores = ask(
        "select customer_id, p_churn from marts.mart_churn "
        "where as_of_date = '2017-08-31' and p_churn is not null"
    )
    start = pd.Timestamp("2017-08-31")
    visits = drops.visits
    seen = visits[(visits["day"] > start) & (visits["day"] <= start + 90 * DAY)]["customer_id"]
    left = ~scores["customer_id"].isin(set(seen))
    assert left.sum() >= 10
    assert roc_auc_score(left, scores["p_churn"].astype(float)) > 0.75


RATES = [
    ("mart_churn_rate", "churned", "active_start", "churn_rate"),
    ("mart_churn_rate", "repurchase_buyers", "repurchase_base", "repurchase_rate"),
    ("mart_churn_rate", "won_back", "churned_start", "winback_rate"),
    ("mart_repurchase", "count_repurchased", "count_mature", "repurchase_rate"),
    ("mart_cohort", "retained_bounded", "size", "bounded_rate"),
    ("mart_service_recovery", "count_repurchased", "count_recovery_matured", "repurchase_rate"),
    ("mart_service_recovery", "count_fcr", "count_fcr_eligible", "fcr_rate"),
    ("mart_service_recovery", "count_resolution_met", "count_resolution_due",
     "resolution_sla_met_share"),
]  # fmt: skip


@pytest.mark.definition("C2", "C3", "C4", "L4", "L7", "P4", "P6", "P9")
@pytest.mark.parametrize(("mart", "k", "n", "rate"), RATES)
def test_wilson_intervals_with_scipy(ask, mart: str, k: str, n: str, rate: str) -> None:
    rows = ask(
        f"select distinct {k} as k, {n} as n, {rate} as rate, {rate}_lo as lo, {rate}_hi as hi "
        f"from marts.{mart} where {rate}_lo is not null"
    )
    assert len(rows) > 5
    for row in rows.astype(float).itertuples():
        interval = stats.binomtest(int(row.k), int(row.n)).proportion_ci(0.95, method="wilson")
        assert row.rate == pytest.approx(row.k / row.n, abs=1e-6)
        assert (row.lo, row.hi) == pytest.approx((interval.low, interval.high), abs=2e-6)


@pytest.mark.definition("P13")
def test_poisson_tails_with_scipy(drops, ask) -> None:
    rows = ask("select * from marts.mart_complaint_day where tail_probability is not null")
    # the mean is published with six decimals: the count of the days before is what it was made of
    days = rows["count_baseline_days"]
    expected = rows["expected_count"].astype(float)
    exact = np.where(expected > 0.05, np.round(expected * days) / days, expected)
    again = stats.poisson.sf(rows["count_complaints"] - 1, exact)
    assert np.abs(again - rows["tail_probability"].astype(float)).max() < 1e-9
    alerts = (rows["count_complaints"] >= 5) & (again < 0.001)
    assert (alerts == rows["is_alert"].astype(bool)).all()


@pytest.mark.definition("P13")
def test_expected_complaints_from_the_drops(drops, ask) -> None:
    """λ of the whole company's days in December: the same weekday of the eight weeks before."""
    rows = ask(
        "select * from marts.mart_complaint_day "
        "where is_latest and store_code = 'ALL' and reason_code = 'ALL'"
    ).set_index("received_on")
    valid = drops.complaints[drops.complaints["is_valid"]]
    counts = valid.groupby("received_on").size()
    assert len(rows) == 31
    for day, row in rows.iterrows():
        assert row["count_complaints"] == counts.get(day, 0)
        before = [counts.get(day - 7 * week * DAY, 0) for week in range(1, 9)]
        if not row["is_alert"] and row["count_baseline_days"] == 8:
            assert float(row["expected_count"]) == pytest.approx(max(np.mean(before), 0.05))


@pytest.mark.definition("T2")
def test_nps_and_its_interval_by_formula(drops, ask) -> None:
    """Promoters and detractors of each month counted in the drops; SE = 100·√((p+d−(p−d)²)/n)."""
    rows = ask(
        "select * from marts.mart_satisfaction where is_latest and metric = 'NPS' "
        "and store_code = 'ALL' and segment = 'ALL' and weighting = 'UNWEIGHTED'"
    ).set_index("wave_start_on")
    asked = drops.answers[drops.answers["survey_id"] == "S-VISIT"]
    asked = asked.assign(month=asked["responded_at"].dt.to_period("M").dt.to_timestamp())
    # of two responses of a customer in a month the later one counts
    last = asked.sort_values("responded_at").groupby(["customer_id", "month"])["response_id"].last()
    scores = asked[(asked["question_id"] == "V-NPS") & asked["response_id"].isin(set(last))]
    scores = scores.dropna(subset=["answer_num"])
    excluded = set(
        ask(
            "select customer_id from core.fct_customer_month "
            "where as_of_date = '2017-12-31' and excluded_reason is not null"
        )["customer_id"]
    )
    scores = scores[~scores["customer_id"].isin(excluded)]
    months = scores.groupby("month")["answer_num"]
    assert len(rows) == 12
    for month, given in months:
        n = len(given)
        p, d = (given >= 9).mean(), (given <= 6).mean()
        row = rows.loc[month]
        assert (row["n"], row["count_promoters"]) == (n, (given >= 9).sum()), month
        assert row["count_detractors"] == (given <= 6).sum()
        se = 100 * np.sqrt((p + d - (p - d) ** 2) / n)
        nps = 100 * (p - d)
        assert float(row["value"]) == pytest.approx(nps, abs=1e-4)
        assert float(row["se"]) == pytest.approx(se, abs=1e-4)
        z = stats.norm.ppf(0.975)
        bounds = (max(-100, nps - z * se), min(100, nps + z * se))
        assert (float(row["lo"]), float(row["hi"])) == pytest.approx(bounds, abs=1e-3)


def test_values_are_what_their_units_say(ask, demo_year: DemoYear) -> None:
    """Every column of docs/metrics.md lies within what its unit allows."""
    page = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
    bounds = {
        "share 0..1": (0, 1), "probability": (0, 1), "count": (0, None), "days": (0, None),
        "minutes": (0, None), "rank": (1, None), "percent": (0, 100),
    }  # fmt: skip
    mart, wrong, checked = "", [], 0
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("### "):
            mart = line.removeprefix("### ")
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 8 and mart and cells[1].startswith("`") and cells[4] in bounds:
            low, high = bounds[cells[4]]
            name = cells[1].strip("`")
            found = ask(f"select min({name}) as low, max({name}) as high from marts.{mart}")
            least, most = found["low"][0], found["high"][0]
            checked += 1
            if isinstance(least, str) or (
                pd.notna(least)
                and (float(least) < low or (high is not None and float(most) > high))
            ):
                wrong.append(f"{mart}.{name} ({cells[4]}): {least} .. {most}")
    assert wrong == []
    assert checked > 100


@pytest.mark.long
def test_a_month_end_says_what_was_said_that_night(demo_year: DemoYear, tmp_path: Path) -> None:
    """The rows of 2017-09-30, scores and models too, whether or not the last quarter is known."""
    home = tmp_path / "home"
    shutil.copytree(demo_year.home, home, symlinks=True)
    early = "2017-09-30"
    run(home, tmp_path / "empty", "transform", "--as-of", early, "--full-refresh", **ENVIRONMENT)
    with duckdb.connect() as connection:
        connection.execute(f"attach '{demo_year.marts}' as late (read_only)")
        connection.execute(f"attach '{home / 'marts.duckdb'}' as early (read_only)")
        tables = connection.execute(
            "select table_schema, table_name from information_schema.columns "
            "where table_catalog = 'late' and column_name = 'as_of_date' order by all"
        ).fetchall()
        for schema, table in tables:
            columns = connection.execute(
                "select string_agg(column_name, ', ') from information_schema.columns "
                "where table_catalog = 'late' and table_schema = ? and table_name = ? "
                "and column_name <> 'is_latest'",
                [schema, table],
            ).fetchall()[0][0]
            for one, other in (("late", "early"), ("early", "late")):
                rows = connection.execute(
                    f"select {columns} from {one}.{schema}.{table} where as_of_date <= '{early}' "
                    f"except all select {columns} from {other}.{schema}.{table} "
                    f"where as_of_date <= '{early}' limit 2"
                ).fetchall()
                assert rows == [], f"{schema}.{table}: only {one}"
