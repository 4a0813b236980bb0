"""The churn model on a small company: what it may know, how it is measured, when it is published."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import duckdb
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from kehu.score import churn, measures

# Month-ends, and a horizon of 90 days: at DAY the test cut-off is TEST, the training cut-off TRAIN.
DAY, TEST, TRAIN = date(2021, 12, 31), date(2021, 9, 30), date(2021, 6, 30)
DATES = [date(2021, m + 1, 1) - timedelta(days=1) for m in range(3, 12)] + [DAY]
COUNT = 120

TABLES = """
create schema core;
create table core.dim_as_of (
    as_of_date date, churn_horizon_days int, churn_min_visits int, churn_min_customers int,
    churn_publish_margin decimal(9, 6), churn_use_simulated int, handling_low_max decimal(9, 3),
    window_days int, clv_model varchar
);
create table core.fct_customer_month (
    customer_id varchar, as_of_date date, churn_status varchar, excluded_reason varchar,
    count_visits int, count_visits_365d int, count_categories_365d int, tenure_days int,
    days_since_last_visit int, inactivity_threshold_days int, net_sales_365d decimal(18, 2),
    mean_gap_days double, gap_cv double, growth_ratio double, count_spells_ended int
);
create table core.fct_visit (
    customer_id varchar, visit_on date, known_from date, known_to date
);
create table core.fct_customer_promotion (
    customer_id varchar, as_of_date date, sales_365d decimal(18, 2), promo_sales_365d decimal(18, 2)
);
create table core.fct_receipt (
    card_key bigint, channel_code varchar, is_sale_visit boolean, business_date date
);
create table core.bridge_customer_identity (
    card_key bigint, customer_id varchar, valid_from date, valid_to date
);
create table core.fct_customer_voice (
    customer_id varchar, as_of_date date, count_complaints_open int, count_complaints_90d int,
    count_complaints_unresolved int, handling_score decimal(9, 3),
    satisfaction_score decimal(9, 3), is_simulated boolean
);
create table core.fct_customer_score (
    customer_id varchar, as_of_date date, model varchar, p_alive decimal(9, 6)
);
"""

# A customer visits every `gap` days, some of them until `leaves`; months follow from the visits.
COMPANY = """
insert into core.fct_visit
select customer_id, visit_on, visit_on, date '9999-12-31'
from (
    select
        'C' || lpad(i::varchar, 4, '0') as customer_id,
        unnest(range(date '2021-01-01' + (i % 7)::int, leaves, to_days(gap)))::date as visit_on
    from (
        select
            i,
            3 + i % 11 as gap,
            case
                when i % 4 = 1 then date '2021-06-25' + (i % 5)::int
                when i % 4 = 2 then date '2021-09-24' + (i % 6)::int
                else date '2022-01-01'
            end as leaves
        from range({count}) as t(i)
    )
)
where visit_on <= date '2021-12-31';

insert into core.fct_customer_month
select
    customer_id,
    as_of_date,
    case when as_of_date - max(visit_on) > 60 then 'CHURNED' else 'ACTIVE' end,
    null,
    count(*),
    count(*),
    5 + substr(customer_id, 2)::int % 3,
    as_of_date - min(visit_on),
    as_of_date - max(visit_on),
    60,
    10 * count(*),
    (max(visit_on) - min(visit_on)) / nullif(count(*) - 1, 0),
    0.1 * (substr(customer_id, 2)::int % 5),
    case when substr(customer_id, 2)::int % 3 > 0 then 1 + 0.1 * (substr(customer_id, 2)::int % 4) end,
    0
from core.dim_as_of, core.fct_visit
where visit_on <= as_of_date
group by customer_id, as_of_date;
"""


@pytest.fixture
def company() -> Iterator[duckdb.DuckDBPyConnection]:
    """120 customers; those with i % 4 = 1 leave after TRAIN, those with i % 4 = 2 after TEST."""
    with duckdb.connect() as connection:
        connection.execute(TABLES)
        for day in DATES:
            connection.execute(
                "insert into core.dim_as_of values (?, 90, 3, 50, 0.01, 0, 2, 365, 'MBG_NBD')",
                [day],
            )
        connection.execute(COMPANY.format(count=COUNT))
        yield connection


def sample(connection: duckdb.DuckDBPyConnection, day: date) -> churn.Sample:
    return churn.sample(connection, day, churn.params_of(connection, DAY), label_as_of=DAY)


def column(found: churn.Sample, name: str) -> Any:
    return found.values[:, [f.name for f in churn.FEATURES].index(name)]


def fates(result: churn.Result) -> dict[str, str]:
    return {r["model"]: r["reason_code"] for r in result.evaluation.to_pylist()}


# ------------------------------------------------------------------------------------- C7: measures


@pytest.mark.definition("C7")
def test_auc_gives_ties_half() -> None:
    left = np.array([True, False, True, False, False])
    # pairs (leaver, stayer): 3 over 1, 1, 1 all won; 2 over 2 half, 2 over 1, 1 ... counted by hand
    score = np.array([3.0, 2.0, 2.0, 1.0, 2.0])
    assert measures.auc(left, score) == pytest.approx((3 + 0.5 + 1 + 0.5) / 6)


@pytest.mark.definition("C7")
@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_auc_is_the_share_of_pairs_in_the_right_order(levels: int) -> None:
    chance = np.random.default_rng(levels)
    score = chance.integers(0, levels, 500).astype(float)
    left = chance.random(500) < 0.2 + 0.3 * score / levels
    pairs = score[left][:, None] - score[~left][None, :]
    share = (pairs > 0).mean() + (pairs == 0).mean() / 2
    assert measures.auc(left, score) == pytest.approx(share, abs=1e-12)


@pytest.mark.definition("C7")
@pytest.mark.parametrize("left", [[True, True], [False, False], []])
def test_auc_needs_both_classes(left: list[bool]) -> None:
    assert measures.auc(np.array(left, dtype=bool), np.arange(len(left), dtype=float)) is None


@pytest.mark.definition("C7")
def test_lift_of_the_top_tenth() -> None:
    left = np.zeros(20, dtype=bool)
    left[[0, 1, 5, 9]] = True
    best_first = np.arange(20, 0, -1).astype(float)
    assert measures.lift10(left, best_first) == pytest.approx((2 / 2) / (4 / 20))
    assert measures.lift10(left, -best_first) == 0
    assert measures.lift10_max(left) == 5  # 1 / base rate
    assert measures.lift10_max(np.arange(100) < 2) == 10
    # 21 customers: the top tenth are 3, for (3 - 1) * 10 < 21
    assert measures.lift10(np.append(left, False), np.append(best_first, 0.0)) == pytest.approx(
        (2 / 3) / (4 / 21)
    )


@pytest.mark.definition("C7")
def test_lift_does_not_choose_among_ties() -> None:
    left = np.array([True, False, True, False] + [False] * 16)
    score = np.array([9.0, 5, 5, 5] + [1.0] * 16)
    # two places: one is certain, the other falls to one of three equal customers, of whom one left
    assert measures.lift10(left, score) == pytest.approx((1 + 1 / 3) / 2 / (2 / 20))
    assert measures.lift10(left[::-1], score[::-1]) == measures.lift10(left, score)
    assert measures.lift10(left, np.ones(20)) == pytest.approx(1)  # knows nothing
    assert measures.lift10(np.zeros(20, dtype=bool), score) is None


@pytest.mark.definition("C7")
def test_calibration_by_hand() -> None:
    left = np.array([False, True] * 10)
    probability = np.array([0.1, 0.5] * 10)
    # equal probabilities share a bin: ten of rank 1, ten of rank 11 of 20
    low, high = measures.calibration(left, probability)
    assert (low.number, low.count, low.count_left) == (1, 10, 0)
    assert (high.number, high.count, high.count_left) == (6, 10, 10)
    assert low.mean_predicted == pytest.approx(0.1) and high.share_left == 1
    assert measures.ece([low, high]) == pytest.approx((0.1 + 0.5) / 2)


@pytest.mark.definition("C7")
def test_ten_bins_of_equal_size() -> None:
    probability = np.random.default_rng(1).permutation(100) / 100
    bins = measures.calibration(probability > 0.5, probability)
    assert [b.number for b in bins] == list(range(1, 11))
    assert {b.count for b in bins} == {10}
    assert [b.mean_predicted for b in bins] == sorted(b.mean_predicted for b in bins)


# ----------------------------------------------------------------------------- C7: whether to publish

BASELINES = {"RECENCY": 0.7, "ELAPSED_RATIO": 0.72, "P_ALIVE": None}


@pytest.mark.definition("C7")
@pytest.mark.parametrize(
    ("logistic", "boosting", "published", "why"),
    [
        (0.73, 0.73, None, "NOT_BETTER_THAN_BASELINE"),  # by the margin, not by more
        (0.730001, 0.60, "LOGISTIC", "PUBLISHED"),
        (0.80, 0.81, "LOGISTIC", "PUBLISHED"),
        (0.80, 0.810001, "GRADIENT_BOOSTING", "CHALLENGER_BETTER"),
        (0.725, 0.731, "GRADIENT_BOOSTING", "NOT_BETTER_THAN_BASELINE"),
    ],
)
def test_published_only_if_better_than_the_best_baseline(
    logistic: float, boosting: float, published: str | None, why: str
) -> None:
    found = churn.choose(
        {**BASELINES, "LOGISTIC": logistic, "GRADIENT_BOOSTING": boosting}, margin=0.01
    )
    assert [m for m, fate in found.items() if fate == "PUBLISHED"] == [published] * bool(published)
    assert found["LOGISTIC"] == why
    assert found["RECENCY"] == "BASELINE" and found["P_ALIVE"] == "NO_SCORES"


@pytest.mark.definition("C6", "C7")
def test_evaluated_and_scored(company: duckdb.DuckDBPyConnection) -> None:
    company.execute(
        "insert into core.fct_customer_score "
        "select customer_id, as_of_date, 'MBG_NBD', 1 - days_since_last_visit / 100.0 "
        "from core.fct_customer_month"
    )
    company.execute("update core.dim_as_of set churn_publish_margin = -1")
    result = churn.score(company, DAY)
    rows = {r["model"]: r for r in result.evaluation.to_pylist()}
    test = sample(company, TEST)
    assert set(rows) == set(churn.MODELS)
    assert {r["count_test"] for r in rows.values()} == {len(test.left)} == {90}
    assert {r["count_test_left"] for r in rows.values()} == {30}
    expected = roc_auc_score(test.left, test.days_since_last_visit)
    assert rows["RECENCY"]["auc"] == pytest.approx(expected, abs=1e-6)
    assert rows["P_ALIVE"]["auc"] == rows["RECENCY"]["auc"]  # orders alike by construction
    assert rows["ELAPSED_RATIO"]["brier"] is None  # gives no probability
    assert {r["baseline_auc"] for r in rows.values()} == {
        max(rows[m]["auc"] for m in ("RECENCY", "ELAPSED_RATIO", "P_ALIVE"))
    }
    assert sum(r["is_published"] for r in rows.values()) == 1
    bins = [b for b in result.calibration.to_pylist() if b["model"] == "LOGISTIC"]
    assert sum(b["count_customers"] for b in bins) == 90
    assert sum(b["count_left"] for b in bins) == 30

    scores = result.scores.to_pylist()
    eligible = churn.sample(company, DAY, churn.params_of(company, DAY)).customer_id
    assert [s["customer_id"] for s in scores] == list(eligible)
    assert all(0 <= s["p_churn"] <= 1 for s in scores)


@pytest.mark.definition("C6", "C7")
@pytest.mark.parametrize(
    ("change", "as_of", "reason"),
    [
        ("update core.dim_as_of set churn_min_customers = 91", DAY, "TOO_FEW"),
        ("delete from core.fct_visit where visit_on > date '2021-06-30'", DAY, "ONE_CLASS"),
        ("select 1", date(2021, 8, 31), "HISTORY_TOO_SHORT"),
        (
            "update core.dim_as_of set churn_publish_margin = 0.9",
            DAY,
            "NOT_BETTER_THAN_BASELINE",
        ),
    ],
)
def test_without_a_model_nobody_has_a_probability(
    company: duckdb.DuckDBPyConnection, change: str, as_of: date, reason: str
) -> None:
    company.execute(change)
    result = churn.score(company, as_of)
    assert result.scores.num_rows == 0
    assert fates(result)["LOGISTIC"] == reason
    assert not any(r["is_published"] for r in result.evaluation.to_pylist())


@pytest.mark.definition("C7")
def test_a_baseline_that_does_not_know_everybody_is_none(
    company: duckdb.DuckDBPyConnection,
) -> None:
    company.execute(
        "insert into core.fct_customer_score "
        "select customer_id, as_of_date, 'MBG_NBD', 0.5 from core.fct_customer_month "
        "where customer_id <> 'C0000'"
    )
    rows = {r["model"]: r for r in churn.score(company, DAY).evaluation.to_pylist()}
    assert rows["P_ALIVE"]["auc"] is None and rows["P_ALIVE"]["reason_code"] == "NO_SCORES"


# --------------------------------------------------------------------------- C6: cut-offs and labels


@pytest.mark.definition("C6")
@pytest.mark.parametrize(
    ("as_of", "train", "test"),
    [
        (DAY, TRAIN, TEST),
        (date(2021, 9, 30), date(2021, 3, 31), date(2021, 6, 30)),
        (date(2021, 8, 31), None, date(2021, 5, 31)),
    ],
)
def test_cut_offs_are_dates_of_the_backbone(
    company: duckdb.DuckDBPyConnection, as_of: date, train: date | None, test: date
) -> None:
    assert churn.cut_offs(company, as_of, 90) == (train, test)


@pytest.mark.definition("C6")
@pytest.mark.parametrize(
    ("visit_on", "known_from", "known_to", "has_left"),
    [
        (TEST, TEST, date(9999, 12, 31), True),  # on the cut-off: known already, no outcome
        (TEST + timedelta(1), TEST, date(9999, 12, 31), False),
        (TEST + timedelta(90), TEST, date(9999, 12, 31), False),
        (TEST + timedelta(91), TEST, date(9999, 12, 31), True),
        (TEST + timedelta(1), DAY + timedelta(1), date(9999, 12, 31), True),  # known too late
        (TEST + timedelta(1), TEST, DAY, True),  # no longer known: the card was another's
    ],
)
def test_label(
    company: duckdb.DuckDBPyConnection,
    visit_on: date,
    known_from: date,
    known_to: date,
    has_left: bool,
) -> None:
    assert sample(company, TEST).left[sample(company, TEST).customer_id == "C0002"].all()
    company.execute(
        "insert into core.fct_visit values ('C0002', ?, ?, ?)",
        [visit_on, known_from, known_to],
    )
    found = sample(company, TEST)
    assert found.left[found.customer_id == "C0002"].tolist() == [has_left]


@pytest.mark.definition("C6")
@pytest.mark.parametrize(
    "change",
    [
        "churn_status = 'CHURNED'",
        "excluded_reason = 'STAFF_CARD'",
        "count_visits = 2",
    ],
)
def test_eligible(company: duckdb.DuckDBPyConnection, change: str) -> None:
    assert "C0003" in sample(company, TEST).customer_id
    company.execute(
        f"update core.fct_customer_month set {change} "
        "where customer_id = 'C0003' and as_of_date = ?",
        [TEST],
    )
    assert "C0003" not in sample(company, TEST).customer_id


@pytest.mark.definition("C6")
def test_a_change_of_name_is_no_leaving(company: duckdb.DuckDBPyConnection) -> None:
    company.execute(
        "delete from core.fct_customer_month where customer_id = 'C0003' and as_of_date = ?",
        [DAY],
    )
    assert "C0003" not in sample(company, TEST).customer_id
    assert len(sample(company, TEST).customer_id) == 89


# ------------------------------------------------------------------- C6: features do not look ahead

LATER = [
    "insert into core.fct_visit select customer_id, visit_on + 92, visit_on + 92, "
    "date '9999-12-31' from core.fct_visit where visit_on + 92 > date '2021-09-30'",
    "update core.fct_visit set known_to = date '2021-10-01' where visit_on > date '2021-08-01'",
    "insert into core.fct_visit select customer_id, date '2021-09-01', date '2021-10-01', "
    "date '9999-12-31' from core.fct_customer_month where as_of_date = date '2021-09-30'",
    "update core.fct_customer_month set count_visits_365d = 1, growth_ratio = 9, "
    "count_categories_365d = 99 where as_of_date > date '2021-09-30'",
    "update core.fct_customer_voice set satisfaction_score = 1, count_complaints_open = 7 "
    "where as_of_date > date '2021-09-30'",
    "insert into core.fct_customer_voice select customer_id, date '2021-10-31', 1, 1, 1, 1, 1, "
    "false from core.fct_customer_month where as_of_date = date '2021-09-30'",
    "update core.fct_customer_promotion set promo_sales_365d = 0 "
    "where as_of_date > date '2021-09-30'",
    "insert into core.fct_receipt select 1, 'STORE', true, date '2021-10-01'",
    "update core.bridge_customer_identity set valid_to = date '2021-10-01'",
]


def with_all_feeds(company: duckdb.DuckDBPyConnection) -> None:
    company.execute(
        """
        insert into core.fct_customer_voice
        select customer_id, as_of_date, substr(customer_id, 2)::int % 2, 1, 0,
            1 + substr(customer_id, 2)::int % 5, 1 + substr(customer_id, 2)::int % 5, false
        from core.fct_customer_month where substr(customer_id, 2)::int % 3 = 0;
        insert into core.fct_customer_promotion
        select customer_id, as_of_date, 100, substr(customer_id, 2)::int % 50
        from core.fct_customer_month;
        insert into core.bridge_customer_identity
        select distinct substr(customer_id, 2)::int, customer_id, date '1900-01-01',
            date '9999-12-31' from core.fct_customer_month;
        insert into core.fct_receipt
        select substr(customer_id, 2)::int, case when visit_on::varchar like '%1' then 'ONLINE'
            else 'STORE' end, true, visit_on from core.fct_visit;
        """
    )


@pytest.mark.definition("C6")
@pytest.mark.parametrize("change", LATER)
def test_what_happens_after_the_cut_off_changes_no_feature(
    company: duckdb.DuckDBPyConnection, change: str
) -> None:
    with_all_feeds(company)
    params = churn.params_of(company, DAY)
    before = churn.sample(company, TEST, params)
    known = ~np.isnan(before.values)
    assert known.any(axis=0).all()  # every feature has something to change
    company.execute(change)
    after = churn.sample(company, TEST, params)
    assert before.customer_id.tolist() == after.customer_id.tolist()
    np.testing.assert_array_equal(before.values, after.values)


@pytest.mark.definition("C6")
def test_features_by_hand(company: duckdb.DuckDBPyConnection) -> None:
    with_all_feeds(company)
    found = sample(company, TEST)
    # C0003 comes every 6 days from 4 January: 45 times up to 25 September, 15 of them after 2 July
    (at,) = np.flatnonzero(found.customer_id == "C0003")
    assert column(found, "RECENCY")[at] == pytest.approx(np.log(1 + 5))
    assert column(found, "ELAPSED_RATIO")[at] == pytest.approx(5 / 60)
    assert column(found, "VISITS_365D")[at] == pytest.approx(np.log(1 + 45))
    assert column(found, "VISITS_90D")[at] == pytest.approx(np.log(1 + 15))
    assert column(found, "SALES_365D")[at] == pytest.approx(np.log(1 + 450))
    assert column(found, "GAP_TREND")[at] == 0
    assert column(found, "CATEGORY_CHANGE")[at] == 0
    assert column(found, "PROMOTION_SHARE")[at] == pytest.approx(0.03)
    assert column(found, "SATISFACTION")[at] == 4
    assert np.isnan(column(found, "GROWTH")[at])


# ------------------------------------------------------------------------ C6: what is not known


@pytest.mark.definition("C6")
def test_simulated_voices_are_no_features_unless_asked_for(
    company: duckdb.DuckDBPyConnection,
) -> None:
    with_all_feeds(company)
    company.execute("update core.fct_customer_voice set is_simulated = true")
    params = churn.params_of(company, DAY)
    assert np.isnan(column(sample(company, TEST), "SATISFACTION")).all()
    assert churn.absent_features(company, TEST, params)["SATISFACTION"] == "SIMULATED"
    left_out = churn.score(company, DAY).evaluation.to_pylist()[0]["features_left_out"]
    assert "SATISFACTION:SIMULATED" in left_out and "COMPLAINTS_OPEN:SIMULATED" in left_out

    company.execute("update core.dim_as_of set churn_use_simulated = 1")
    params = churn.params_of(company, DAY)
    assert not np.isnan(column(sample(company, TEST), "SATISFACTION")).all()
    assert "SATISFACTION" not in churn.absent_features(company, TEST, params)


@pytest.mark.definition("C6")
def test_a_value_not_known_says_so_in_a_column_of_its_own(
    company: duckdb.DuckDBPyConnection,
) -> None:
    training = sample(company, TRAIN)
    fitted = churn.fit(
        training, churn.absent_features(company, TRAIN, churn.params_of(company, DAY))
    )
    names = [churn.FEATURES[i].name for i in fitted.design.flags]
    assert "GROWTH" in names and "RECENCY" not in names
    matrix = fitted.design.matrix(training.values)
    unknown = np.isnan(column(training, "GROWTH"))
    place = [churn.FEATURES[i].name for i in fitted.design.features].index("GROWTH")
    flag = len(fitted.design.features) + names.index("GROWTH")
    assert (matrix[unknown, place] == 0).all()  # neither high nor low
    np.testing.assert_array_equal(matrix[:, flag], unknown.astype(float))


@pytest.mark.definition("C6")
def test_features_without_feed_or_difference_are_named(company: duckdb.DuckDBPyConnection) -> None:
    rows = churn.score(company, DAY).evaluation.to_pylist()
    left_out = dict(item.split(":") for item in rows[0]["features_left_out"].split("|"))
    assert left_out["POINTS_EXPIRING"] == "NO_POINTS_LEDGER_FEED"
    assert left_out["DISTANCE"] == "NO_DISTANCE_FEED"
    assert left_out["SATISFACTION"] == "NO_VOICE"
    assert left_out["PROMOTION_SHARE"] == "NOT_KNOWN"
    assert left_out["RETURNED_BEFORE"] == "CONSTANT"


# ----------------------------------------------------------------------------------- C6: drivers


@pytest.mark.definition("C6")
def test_drivers_add_up_to_the_logit(company: duckdb.DuckDBPyConnection) -> None:
    training = sample(company, TRAIN)
    fitted = churn.fit(
        training, churn.absent_features(company, TRAIN, churn.params_of(company, DAY))
    )
    values = sample(company, TEST).values
    probability = fitted.probability("LOGISTIC", values)
    logit = np.log(probability / (1 - probability))
    added = fitted.contributions(values)
    np.testing.assert_allclose(added.sum(axis=1), logit - logit.mean(), atol=1e-9)

    labels = np.array(churn.drivers(fitted, values)).T
    names = [churn.FEATURES[i].name for i in fitted.design.features]
    for row, label in zip(added, labels, strict=True):
        largest = sorted((-round(c, 9), i) for i, c in enumerate(row) if round(c, 9) > 0)[:3]
        expected = [names[i] for _, i in largest]
        assert [str(text).split(" ")[0] for text in label if text] == expected


@pytest.mark.definition("C6")
def test_a_driver_says_its_direction(company: duckdb.DuckDBPyConnection) -> None:
    training = sample(company, TRAIN)
    fitted = churn.fit(
        training, churn.absent_features(company, TRAIN, churn.params_of(company, DAY))
    )
    values = sample(company, TEST).values
    names = [churn.FEATURES[i].name for i in fitted.design.features]
    raw = fitted.design.raw(values)
    seen = set()
    for column_of_labels in churn.drivers(fitted, values, count=len(names)):
        for customer, label in enumerate(column_of_labels):
            if label is None:
                continue
            name, side = label.split(" ")
            value = raw[customer, names.index(name)]
            mean = np.nanmean(raw[:, names.index(name)])
            wanted = "UNKNOWN" if np.isnan(value) else "LOW" if value < mean else "HIGH"
            assert side == wanted
            seen.add(side)
    assert seen == {"HIGH", "LOW", "UNKNOWN"}


# --------------------------------------------------------------------------------- same input, same rows


def test_the_order_of_rows_changes_nothing(company: duckdb.DuckDBPyConnection) -> None:
    company.execute("update core.dim_as_of set churn_publish_margin = -1")
    first = churn.score(company, DAY)
    for table in ("fct_customer_month", "fct_visit", "dim_as_of"):
        company.execute(
            f"create or replace table core.{table} as "
            f"select * from core.{table} as t order by md5(t::varchar)"
        )
    second = churn.score(company, DAY)
    assert first.scores.num_rows > 0
    assert first.scores.equals(second.scores)
    assert first.evaluation.equals(second.evaluation)
    assert first.calibration.equals(second.calibration)


def test_later_dates_change_nothing(company: duckdb.DuckDBPyConnection) -> None:
    """A date scored in its own night and one scored when later ones stand have the same rows."""
    company.execute("update core.dim_as_of set churn_publish_margin = -1")
    that_night = churn.score(company, DAY)
    company.execute(
        """
        insert into core.dim_as_of
        select * replace (date '2022-01-31' as as_of_date, 1 as churn_horizon_days)
        from core.dim_as_of where as_of_date = date '2021-12-31';
        insert into core.fct_customer_month
        select * replace (date '2022-01-31' as as_of_date, 'CHURNED' as churn_status)
        from core.fct_customer_month where as_of_date = date '2021-12-31';
        insert into core.fct_visit
        select customer_id, date '2022-01-15', date '2022-01-15', date '9999-12-31'
        from core.fct_customer_month where as_of_date = date '2021-12-31';
        """
    )
    later = churn.score(company, DAY)
    assert that_night.scores.num_rows > 0
    assert later.scores.equals(that_night.scores)
    assert later.evaluation.equals(that_night.evaluation)
