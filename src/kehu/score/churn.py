"""The churn model (definitions C6 to C8): who will stay away for the next days, and what says so.

All is a function of one date D. The outcome of a customer at a cut-off t0 is known at D once the
horizon H has passed, so the test cut-off is the last date of `dim_as_of` on or before D - H and the
training cut-off the last one on or before that minus H. Features come from what was known at the
cut-off alone; only the label, no visit in (t0, t0 + H], is read with the knowledge of D.

The model is fitted at the training cut-off and measured at the test cut-off. Where it is worth
publishing it is fitted again on both cut-offs together, for leavers are few, and scores the
customers who are eligible at D.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss
from threadpoolctl import threadpool_limits

from kehu.score.measures import Bools, Floats, auc, calibration, ece, lift10, lift10_max
from kehu.score.store import schema

LOGISTIC, BOOSTING = "LOGISTIC", "GRADIENT_BOOSTING"
RECENCY, ELAPSED, ALIVE = "RECENCY", "ELAPSED_RATIO", "P_ALIVE"
MODELS = (LOGISTIC, BOOSTING, RECENCY, ELAPSED, ALIVE)

# Part of model_version and of the work list's digest: raise it with any change of what is computed.
CODE_VERSION = 1
SEED = 20170101
# Inverse strength of the L2 penalty. Leavers are few (dozens, not thousands), features overlap; not
# tuned on any data, so that the test cut-off stays unseen.
LOGISTIC_C = 0.1
# Standard deviations after which a value counts as this one: no customer is decided by one outlier.
CLIP = 4.0


@dataclass(frozen=True)
class Feature:
    """One thing known about a customer at a cut-off.

    name: driver as published, in capitals, and column of the query. sql: expression over the CTEs of
    FEATURES_SQL, DOUBLE, NULL where not known. voice: comes from surveys or complaints.
    """

    name: str
    sql: str
    voice: bool = False


FEATURES = (
    Feature("RECENCY", "ln(1 + month.days_since_last_visit)"),
    Feature(
        "ELAPSED_RATIO",
        "month.days_since_last_visit / nullif(month.inactivity_threshold_days, 0)::double",
    ),
    Feature("VISITS_90D", "ln(1 + coalesce(rhythm.count_visits_90d, 0))"),
    Feature("VISITS_365D", "ln(1 + month.count_visits_365d)"),
    Feature("SALES_365D", "ln(1 + greatest(month.net_sales_365d, 0)::double)"),
    Feature("MEAN_GAP", "ln(1 + month.mean_gap_days)"),
    Feature("GAP_TREND", "ln((1 + rhythm.last_gap_days) / (1 + month.mean_gap_days))"),
    Feature("GAP_VARIATION", "month.gap_cv"),
    # greatest() skips NULLs, and a ratio that is not known is no small one
    Feature(
        "GROWTH",
        "case when month.growth_ratio is not null then ln(greatest(month.growth_ratio, 0.01)) end",
    ),
    Feature("CATEGORIES", "ln(1 + month.count_categories_365d)"),
    Feature(
        "CATEGORY_CHANGE",
        "ln((1 + month.count_categories_365d) / (1 + earlier.count_categories_365d)::double)",
    ),
    Feature(
        "PROMOTION_SHARE",
        "promotion.promo_sales_365d::double / nullif(greatest(promotion.sales_365d, 0), 0)::double",
    ),
    Feature("ONLINE_SHARE", "channel.count_online / nullif(channel.count_receipts, 0)::double"),
    Feature("TENURE", "ln(1 + month.tenure_days)"),
    Feature("RETURNED_BEFORE", "case when month.count_spells_ended > 0 then 1.0 else 0.0 end"),
    Feature("COMPLAINTS_OPEN", "coalesce(voice.count_complaints_open, 0)::double", voice=True),
    Feature("COMPLAINTS_90D", "coalesce(voice.count_complaints_90d, 0)::double", voice=True),
    Feature(
        "COMPLAINTS_BADLY_HANDLED",
        "case when voice.count_complaints_unresolved > 0 or voice.handling_score <= "
        "$handling_low_max then 1.0 else 0.0 end",
        voice=True,
    ),
    Feature("SATISFACTION", "voice.satisfaction_score::double", voice=True),
)
# Named by C6, but no feed brings them.
WITHOUT_FEED = {"POINTS_EXPIRING": "NO_POINTS_LEDGER_FEED", "DISTANCE": "NO_DISTANCE_FEED"}

ELIGIBLE_SQL = """
    month.churn_status = 'ACTIVE'
    and month.excluded_reason is null
    and month.count_visits >= $churn_min_visits
"""

FEATURES_SQL = f"""
with month as (
    select * from core.fct_customer_month where as_of_date = $day
),

earlier as (
    select customer_id, count_categories_365d
    from core.fct_customer_month
    where as_of_date = (
        select max(as_of_date) from core.dim_as_of
        where as_of_date <= $day - $churn_horizon_days
    )
),

visits as (
    select
        customer_id,
        visit_on,
        lag(visit_on) over (partition by customer_id order by visit_on) as previous_visit_on
    from core.fct_visit
    where known_from <= $day and $day < known_to
),

rhythm as (
    select
        customer_id,
        count(*) filter (visit_on > $day - 90) as count_visits_90d,
        max_by(visit_on - previous_visit_on, visit_on) filter (previous_visit_on is not null)
            as last_gap_days
    from visits
    group by customer_id
),

promotion as (
    select customer_id, sales_365d, promo_sales_365d
    from core.fct_customer_promotion
    where as_of_date = $day
),

channel as (
    select
        card.customer_id,
        count(*) as count_receipts,
        count(*) filter (receipt.channel_code in ('ONLINE', 'O2O')) as count_online
    from core.fct_receipt as receipt
    inner join core.bridge_customer_identity as card
        on receipt.card_key = card.card_key and card.valid_from <= $day and $day < card.valid_to
    where
        receipt.is_sale_visit
        and receipt.business_date <= $day
        and receipt.business_date > $day - $window_days
    group by card.customer_id
),

-- what was invented for a demonstration teaches nothing, unless one asks for it
voice as (
    select * from core.fct_customer_voice
    where as_of_date = $day and ($churn_use_simulated = 1 or not is_simulated)
)

select
    month.customer_id,
    month.days_since_last_visit::double as days_since_last_visit,
    {", ".join(f'({feature.sql})::double as "{feature.name}"' for feature in FEATURES)}
from month
left join earlier on month.customer_id = earlier.customer_id
left join rhythm on month.customer_id = rhythm.customer_id
left join promotion on month.customer_id = promotion.customer_id
left join channel on month.customer_id = channel.customer_id
left join voice on month.customer_id = voice.customer_id
where {ELIGIBLE_SQL}
order by month.customer_id
"""

# A customer whose card got another name after the cut-off, or who was erased, has no outcome: the
# change of name must not count as leaving.
OUTCOME_SQL = f"""
select
    month.customer_id,
    later.customer_id is not null as has_outcome,
    visitor.customer_id is null as has_left
from core.fct_customer_month as month
left join core.fct_customer_month as later
    on
        month.customer_id = later.customer_id
        and later.as_of_date = $as_of
        and later.excluded_reason is distinct from 'ERASED'
left join (
    select distinct customer_id from core.fct_visit
    where
        visit_on > $day
        and visit_on <= $day + $churn_horizon_days
        and known_from <= $as_of
        and $as_of < known_to
) as visitor on month.customer_id = visitor.customer_id
where month.as_of_date = $day and {ELIGIBLE_SQL}
order by month.customer_id
"""

PARAMS = (
    "churn_horizon_days",
    "churn_min_visits",
    "churn_min_customers",
    "churn_publish_margin",
    "churn_use_simulated",
    "handling_low_max",
    "window_days",
    "clv_model",
)

SCORE_SCHEMA = schema("fct_customer_churn_score")
EVALUATION_SCHEMA = schema("fct_model_evaluation")
CALIBRATION_SCHEMA = schema("fct_model_calibration")


# ------------------------------------------------------------------------------------- the features


@dataclass(frozen=True)
class Sample:
    """Eligible customers of one date, ordered by customer_id, with what was known about them.

    `values` has a column for each of FEATURES, NaN where not known. `left` is the label; all False
    where it was not asked for.
    """

    day: date
    customer_id: npt.NDArray[np.object_]
    values: Floats
    days_since_last_visit: Floats
    left: Bools


def params_of(connection: duckdb.DuckDBPyConnection, as_of: date) -> dict[str, Any]:
    """The parameters of C6 to C8 as of the date."""
    row = connection.execute(
        f"select {', '.join(PARAMS)} from core.dim_as_of where as_of_date = $day",
        {"day": as_of},
    ).fetchone()
    if row is None:
        raise ValueError(f"{as_of} is no date of dim_as_of")
    return dict(zip(PARAMS, row, strict=True))


def cut_offs(
    connection: duckdb.DuckDBPyConnection, as_of: date, horizon_days: int
) -> tuple[date | None, date | None]:
    """(training, test) cut-off; None where the history does not reach back so far."""
    horizon = timedelta(days=horizon_days)

    def last_before(day: date | None) -> date | None:
        if day is None:
            return None
        row = connection.execute(
            "select max(as_of_date) from core.dim_as_of where as_of_date <= $day",
            {"day": day - horizon},
        ).fetchone()
        return row[0] if row else None

    test = last_before(as_of)
    return last_before(test), test


def sample(
    connection: duckdb.DuckDBPyConnection,
    day: date,
    params: dict[str, Any],
    label_as_of: date | None = None,
) -> Sample:
    """Eligible customers of `day`; with `label_as_of`, those with an outcome by then, and what it was."""
    columns = _query(connection, FEATURES_SQL, {"day": day, **params})
    keep = np.ones(len(columns["customer_id"]), dtype=bool)
    left = np.zeros(len(keep), dtype=bool)
    if label_as_of is not None:
        outcome = _query(connection, OUTCOME_SQL, {"day": day, "as_of": label_as_of, **params})
        keep, left = outcome["has_outcome"].astype(bool), outcome["has_left"].astype(bool)
    values = np.column_stack([columns[f.name].astype(np.float64) for f in FEATURES])
    return Sample(
        day=day,
        customer_id=columns["customer_id"][keep],
        values=values[keep],
        days_since_last_visit=columns["days_since_last_visit"][keep].astype(np.float64),
        left=left[keep],
    )


def together(one: Sample, other: Sample) -> Sample:
    """The customers of both cut-offs, those of the later date `other` last."""
    return Sample(
        day=other.day,
        customer_id=np.concatenate([one.customer_id, other.customer_id]),
        values=np.concatenate([one.values, other.values]),
        days_since_last_visit=np.concatenate(
            [one.days_since_last_visit, other.days_since_last_visit]
        ),
        left=np.concatenate([one.left, other.left]),
    )


def _query(
    connection: duckdb.DuckDBPyConnection, sql: str, values: dict[str, Any]
) -> dict[str, npt.NDArray[Any]]:
    """Columns of the result; NULL becomes NaN. Parameters that the query does not name are left out."""
    named = {k: v for k, v in values.items() if f"${k}" in sql}
    table = connection.execute(sql, named).to_arrow_table()
    return {name: table.column(name).to_numpy(zero_copy_only=False) for name in table.column_names}


@dataclass(frozen=True)
class Design:
    """How values become the columns of the regression.

    Each feature is centred, scaled and clipped; a value not known stands at the mean, and a column of
    its own says so wherever the training cut-off has such customers. Features that are the same for
    everybody there are left out.
    """

    features: list[int]
    flags: list[int]
    mean: Floats
    scale: Floats
    left_out: dict[str, str]

    @staticmethod
    def of(values: Floats, absent: dict[str, str]) -> Design:
        """Made from the training cut-off alone; `absent` names features without data, and why."""
        left_out = dict(absent)
        for i, feature in enumerate(FEATURES):
            known = values[:, i][~np.isnan(values[:, i])]
            if feature.name not in left_out and (known.size == 0 or np.ptp(known) == 0):
                left_out[feature.name] = "NOT_KNOWN" if known.size == 0 else "CONSTANT"
        kept = [i for i, f in enumerate(FEATURES) if f.name not in left_out]
        chosen = values[:, kept]
        return Design(
            features=kept,
            flags=[i for i in kept if np.isnan(values[:, i]).any()],
            mean=np.nanmean(chosen, axis=0),
            scale=np.nanstd(chosen, axis=0),
            left_out=left_out,
        )

    def matrix(self, values: Floats) -> Floats:
        """Columns of the features, then those that say that one is not known."""
        scaled = np.clip((values[:, self.features] - self.mean) / self.scale, -CLIP, CLIP)
        return np.hstack([np.nan_to_num(scaled), np.isnan(values[:, self.flags]).astype(float)])

    def raw(self, values: Floats) -> Floats:
        """The features as they are, for trees, which know what to do with NaN."""
        return values[:, self.features]


# --------------------------------------------------------------------------------------- the models


@dataclass(frozen=True)
class Fitted:
    """Both models, fitted at one cut-off."""

    day: date
    design: Design
    logistic: LogisticRegression
    boosting: HistGradientBoostingClassifier

    def probability(self, model: str, values: Floats) -> Floats:
        """Of leaving, by LOGISTIC or GRADIENT_BOOSTING."""
        if model == LOGISTIC:
            found = self.logistic.predict_proba(self.design.matrix(values))
        else:
            found = self.boosting.predict_proba(self.design.raw(values))
        return np.asarray(found[:, 1], dtype=np.float64)

    def coefficients(self) -> str:
        """Of the standardised features, as NAME=value with four places, `NAME UNKNOWN` for a flag."""
        names = [FEATURES[i].name for i in self.design.features]
        names += [f"{FEATURES[i].name} UNKNOWN" for i in self.design.flags]
        pairs = zip(names, self.logistic.coef_[0], strict=True)
        return "|".join(f"{name}={value:.4f}" for name, value in pairs)

    def contributions(self, values: Floats) -> Floats:
        """What each kept feature adds to the logit, against the average of these customers.

        The flag that a value is not known belongs to its feature. A row adds up to the customer's
        logit less the mean logit.
        """
        matrix = self.design.matrix(values)
        parts = (matrix - matrix.mean(axis=0)) * self.logistic.coef_[0]
        added = parts[:, : len(self.design.features)].copy()
        for j, i in enumerate(self.design.flags):
            added[:, self.design.features.index(i)] += parts[:, len(self.design.features) + j]
        return np.asarray(added, dtype=np.float64)


def fit(training: Sample, absent: dict[str, str]) -> Fitted:
    """Fit both models; the same sample gives the same numbers, whatever the machine is busy with."""
    design = Design.of(training.values, absent)
    logistic = LogisticRegression(C=LOGISTIC_C, solver="newton-cholesky", tol=1e-10, max_iter=200)
    boosting = HistGradientBoostingClassifier(
        learning_rate=0.05,
        max_iter=60,
        max_leaf_nodes=7,
        min_samples_leaf=40,
        l2_regularization=5.0,
        early_stopping=False,
        random_state=SEED,
    )
    with threadpool_limits(limits=1):
        logistic.fit(design.matrix(training.values), training.left)
        boosting.fit(design.raw(training.values), training.left)
    return Fitted(day=training.day, design=design, logistic=logistic, boosting=boosting)


def choose(aucs: dict[str, float | None], margin: float) -> dict[str, str]:
    """What becomes of each model: PUBLISHED, or why not.

    A model must beat the best baseline by more than `margin`. Of two that do, the logistic
    regression is published, which explains itself, unless boosting beats it by more than `margin`.
    """
    best = _best_baseline(aucs)
    fates = {m: "BASELINE" if aucs.get(m) is not None else "NO_SCORES" for m in MODELS}

    def better(one: float | None, other: float | None) -> bool:
        return one is not None and (other is None or round(one - other - margin, 9) > 0)

    for model in (LOGISTIC, BOOSTING):
        fates[model] = "PUBLISHED" if better(aucs[model], best) else "NOT_BETTER_THAN_BASELINE"
    if fates[LOGISTIC] == fates[BOOSTING] == "PUBLISHED":
        if better(aucs[BOOSTING], aucs[LOGISTIC]):
            fates[LOGISTIC] = "CHALLENGER_BETTER"
        else:
            fates[BOOSTING] = "CHALLENGER_NOT_BETTER"
    return fates


def _best_baseline(aucs: dict[str, float | None]) -> float | None:
    known = [a for a in (aucs.get(m) for m in (RECENCY, ELAPSED, ALIVE)) if a is not None]
    return max(known, default=None)


# ------------------------------------------------------------------------------------ one date


@dataclass(frozen=True)
class Result:
    """Rows of core.fct_customer_churn_score, core.fct_model_evaluation and core.fct_model_calibration."""

    scores: pa.Table
    evaluation: pa.Table
    calibration: pa.Table


def score(connection: duckdb.DuckDBPyConnection, as_of: date) -> Result:
    """Evaluate the churn models at `as_of` and score its eligible customers.

    `connection` is one of `open_marts`, with core built and `fct_customer_score` written
    for the dates before. Rates and AUCs are rounded to six places, probabilities too.
    """
    params = params_of(connection, as_of)
    train_on, test_on = cut_offs(connection, as_of, params["churn_horizon_days"])
    header = {
        "as_of_date": as_of,
        "train_on": train_on,
        "test_on": test_on,
        "horizon_days": params["churn_horizon_days"],
    }
    if train_on is None or test_on is None:
        return _nothing(header, "HISTORY_TOO_SHORT")

    training = sample(connection, train_on, params, label_as_of=as_of)
    test = sample(connection, test_on, params, label_as_of=as_of)
    header |= {
        "count_train": len(training.left),
        "count_train_left": int(training.left.sum()),
        "count_test": len(test.left),
        "count_test_left": int(test.left.sum()),
    }
    if min(len(training.left), len(test.left)) < params["churn_min_customers"]:
        return _nothing(header, "TOO_FEW")
    if any(s.left.all() or not s.left.any() for s in (training, test)):
        return _nothing(header, "ONE_CLASS")

    absent = absent_features(connection, train_on, params)
    fitted = fit(training, absent)
    probabilities = {m: fitted.probability(m, test.values) for m in (LOGISTIC, BOOSTING)}
    alive = _p_alive(connection, test, params["clv_model"])
    elapsed = test.values[:, [f.name for f in FEATURES].index("ELAPSED_RATIO")]
    ranked: dict[str, Floats] = {
        **probabilities,
        RECENCY: test.days_since_last_visit,
        ELAPSED: elapsed,
        **({} if alive is None else {ALIVE: 1 - alive}),
    }
    aucs = {m: _rounded(auc(test.left, s)) for m, s in ranked.items()}
    fates = choose(aucs, float(params["churn_publish_margin"]))
    published = next((m for m, fate in fates.items() if fate == "PUBLISHED"), None)

    evaluation, bins = [], []
    for model in MODELS:
        row = header | {
            "model": model,
            "auc": aucs.get(model),
            "baseline_auc": _best_baseline(aucs),
            "lift10_max": _rounded(lift10_max(test.left)),
            "is_published": model == published,
            "reason_code": fates[model],
        }
        if model in ranked:
            row["lift10"] = _rounded(lift10(test.left, ranked[model]))
        if model in probabilities:
            table = calibration(test.left, probabilities[model])
            row |= {
                "brier": _rounded(float(brier_score_loss(test.left, probabilities[model]))),
                "ece": _rounded(ece(table)),
                "model_version": f"{model}/{CODE_VERSION}/{test_on.isoformat()}",
                "features_left_out": "|".join(
                    f"{name}:{why}" for name, why in sorted(fitted.design.left_out.items())
                ),
            }
            if model == LOGISTIC:
                row["coefficients"] = fitted.coefficients()
            bins += [
                {
                    "as_of_date": as_of,
                    "model": model,
                    "bin": b.number,
                    "count_customers": b.count,
                    "count_left": b.count_left,
                    "mean_predicted": _rounded(b.mean_predicted),
                    "share_left": _rounded(b.share_left),
                }
                for b in table
            ]
        evaluation.append(row)

    scores = SCORE_SCHEMA.empty_table()
    if published is not None:
        # nothing decides that was not measured
        absent = absent_features(connection, test_on, params) | fitted.design.left_out
        final = fit(together(training, test), absent)
        version = next(r["model_version"] for r in evaluation if r["model"] == published)
        scores = _scores(sample(connection, as_of, params), final, published, version)
    return Result(
        scores=scores,
        evaluation=_table(evaluation, EVALUATION_SCHEMA),
        calibration=_table(bins, CALIBRATION_SCHEMA),
    )


def absent_features(
    connection: duckdb.DuckDBPyConnection, day: date, params: dict[str, Any]
) -> dict[str, str]:
    """Features without data at the date, and why: no feed, or only simulated voices."""
    row = connection.execute(
        "select count(*), count(*) filter (not is_simulated) from core.fct_customer_voice "
        "where as_of_date = $day",
        {"day": day},
    ).fetchone()
    said, really = row or (0, 0)
    absent = dict(WITHOUT_FEED)
    if said == 0 or (really == 0 and params["churn_use_simulated"] != 1):
        why = "NO_VOICE" if said == 0 else "SIMULATED"
        absent |= {f.name: why for f in FEATURES if f.voice}
    return absent


def _p_alive(connection: duckdb.DuckDBPyConnection, test: Sample, clv_model: str) -> Floats | None:
    """P(alive) of the customers at the cut-off; None unless everybody has one."""
    found = _query(
        connection,
        "select customer_id, p_alive::double as p_alive from core.fct_customer_score "
        "where as_of_date = $day and model = $clv_model and p_alive is not null",
        {"day": test.day, "clv_model": clv_model},
    )
    place = pc.index_in(
        pa.array(test.customer_id, pa.string()),
        value_set=pa.array(found["customer_id"], pa.string()),
    )
    if place.null_count or not len(place):
        return None
    values = found["p_alive"][place.to_numpy()]
    return np.asarray(values, dtype=np.float64)


def drivers(fitted: Fitted, values: Floats, count: int = 3) -> list[list[str | None]]:
    """The `count` features that add most to each customer's logit, the largest first.

    As `NAME HIGH`, `NAME LOW` (against the average of these customers) or `NAME UNKNOWN`; only what
    adds something, so a customer below average in everything has none. Ties go by order of FEATURES.
    """
    design = fitted.design
    added = np.round(fitted.contributions(values), 9)
    order = np.argsort(-added, axis=1, kind="stable")[:, :count]
    top = np.take_along_axis(added, order, axis=1)
    raw = design.raw(values)
    unknown = np.isnan(raw)
    mean = np.nansum(raw, axis=0) / np.maximum((~unknown).sum(axis=0), 1)  # all may be unknown
    sides = np.where(unknown, 2, (raw < mean).astype(int))
    names = np.array(
        [
            [f"{FEATURES[i].name} {side}" for side in ("HIGH", "LOW", "UNKNOWN")]
            for i in design.features
        ],
        dtype=object,
    )
    labels = names[order, np.take_along_axis(sides, order, axis=1)]
    columns = np.asarray(labels, dtype=object)
    columns[top <= 0] = None
    missing = count - columns.shape[1]
    return [list(column) for column in columns.T] + [[None] * len(values)] * missing


def _scores(customers: Sample, final: Fitted, model: str, version: str) -> pa.Table:
    count = len(customers.customer_id)
    if count == 0:
        return SCORE_SCHEMA.empty_table()
    first, second, third = drivers(final, customers.values)
    return pa.table(
        {
            "customer_id": customers.customer_id,
            "as_of_date": [customers.day] * count,
            "model": [model] * count,
            "model_version": [version] * count,
            "p_churn": np.round(final.probability(model, customers.values), 6),
            "driver_1": first,
            "driver_2": second,
            "driver_3": third,
        },
        schema=SCORE_SCHEMA,
    )


def _nothing(header: dict[str, Any], reason: str) -> Result:
    rows = [header | {"model": m, "is_published": False, "reason_code": reason} for m in MODELS]
    return Result(
        scores=SCORE_SCHEMA.empty_table(),
        evaluation=_table(rows, EVALUATION_SCHEMA),
        calibration=CALIBRATION_SCHEMA.empty_table(),
    )


def _table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist([{n: r.get(n) for n in schema.names} for r in rows], schema)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
