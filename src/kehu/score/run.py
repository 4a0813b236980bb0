"""The step `score`: every date of dim_as_of whose scores do not stand for its input is scored anew.

All of it is one transaction: a killed run leaves what stood before. A date's rows are a pure
function of the tables of core as known on it, so that dates scored night by night and all at once
are equal row by row.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kehu.errors import KehuError
from kehu.score import churn, clv, spend, store, visits
from kehu.score.fitting import Floats
from kehu.score.visits import MODELS, Histories, Model, VisitFit
from kehu.settings import Settings
from kehu.warehouse import open_marts

# Part of the digest of every date: raise it with any change of what is computed here.
SCORE_VERSION = 1

GAMMA_GAMMA = "GAMMA_GAMMA"
HORIZONS = (4, 13, 52, 104)

NOT_CONVERGED = "NOT_CONVERGED"
TOO_FEW = "TOO_FEW"
HISTORY_TOO_SHORT = "HISTORY_TOO_SHORT"
WORSE = "WORSE_THAN_HEURISTIC"
Q_NOT_ABOVE_1 = "Q_NOT_ABOVE_1"
MEAN_NOT_POSITIVE = "MEAN_NOT_POSITIVE"
NO_MARGIN_RATE = "NO_MARGIN_RATE"

PARAMS = (
    "clv_model",
    "clv_min_customers",
    "clv_holdout_max_days",
    "clv_horizon_months",
    "clv_correlation_max",
    "discount_rate_annual",
)

Row = dict[str, Any]
Statistics = dict[str, NDArray[Any]]


def score(
    settings: Settings, as_of: date, *, logic: str = "", full_refresh: bool = False
) -> dict[str, Any]:
    """Bring the score tables in marts.duckdb up to core; hold the writer lock around it.

    `logic` names the SQL that core was built by, `full_refresh` scores every date again. Returns
    the dates scored and the models published for `as_of`. KehuError where core is built for another
    date.
    """
    with open_marts(settings.marts, read_only=False, limits=settings) as marts:
        store.make_tables(marts)
        wanted = store.digests(marts, f"{SCORE_VERSION}|{churn.CODE_VERSION}|{logic}")
        if not wanted or max(wanted) != as_of:
            built = max(wanted, default=None)
            raise KehuError(f"core is built for {built}, not for {as_of}: transform it first")
        stands = {} if full_refresh else store.standing(marts)
        anew = [day for day, digest in wanted.items() if stands.get(day) != digest]
        over = [day for day in store.standing(marts) if day not in wanted]
        marts.execute("begin")
        store.delete(marts, anew + over)
        for day in anew:
            _score_date(marts, day, wanted[day])
        marts.execute("commit")
        published = marts.execute(
            "select model from core.fct_model_run where as_of_date = ? and is_published "
            "order by model",
            [as_of],
        ).fetchall()
    return {"dates": [str(day) for day in anew], "published": [model for (model,) in published]}


def _score_date(marts: duckdb.DuckDBPyConnection, as_of: date, digest: str) -> None:
    scores, runs = score_visits(marts, as_of)
    stamp = {"score_version": SCORE_VERSION, "score_digest": digest}
    runs = [dict.fromkeys(store.TABLES["fct_model_run"]) | run | stamp for run in runs]
    store.insert(marts, "fct_customer_score", scores)
    store.insert(marts, "fct_model_run", pa.Table.from_pylist(runs))
    result = churn.score(marts, as_of)
    store.insert(marts, "fct_customer_churn_score", result.scores)
    store.insert(marts, "fct_model_evaluation", result.evaluation)
    store.insert(marts, "fct_model_calibration", result.calibration)


@dataclass(frozen=True)
class Split:
    """History cut in two: calibration up to `calibrated_to`, hold-out of `days` days after it."""

    calibrated_to: date
    days: int

    @property
    def previous_to(self) -> date:
        """The day before the last period of the hold-out's length begins."""
        return self.calibrated_to - timedelta(days=self.days)


def split(first_visit: date | None, as_of: date, max_days: int) -> Split:
    """The hold-out is half of the history, at most `max_days`; 0 days where there is none."""
    span = 0 if first_visit is None else (as_of - first_visit).days
    days = min(span // 2, max_days)
    return Split(as_of - timedelta(days=days), days)


def score_visits(marts: duckdb.DuckDBPyConnection, as_of: date) -> tuple[pa.Table, list[Row]]:
    """Rows of fct_customer_score and fct_model_run of one date."""
    params = _one_row(marts, f"select {', '.join(PARAMS)} from core.dim_as_of", as_of)
    company = marts.execute(store.COMPANY, {"as_of": as_of}).fetchall()[0]
    first_visit = marts.execute(store.FIRST_VISIT, {"as_of": as_of}).fetchall()[0][0]
    parts = split(first_visit, as_of, params["clv_holdout_max_days"])
    table = marts.execute(
        store.STATISTICS,
        {"as_of": as_of, "calibrated_to": parts.calibrated_to, "previous_to": parts.previous_to},
    ).to_arrow_table()
    data: Statistics = {
        name: table.column(name).to_numpy(zero_copy_only=False)
        for name in table.column_names
        if name != "customer_id"
    }
    day = (as_of - date(1970, 1, 1)).days
    histories, index = visits.group(data["x"], data["first_day"], data["last_day"], day)
    least, used = params["clv_min_customers"], params["clv_model"]
    runs = {m: fit_visits(m, histories, data, parts, least) for m in MODELS}
    value_run = fit_spend(data, parts, least, float(params["clv_correlation_max"]))
    both: list[Row] = [runs[model].row for model in MODELS]
    rows = [
        row | {"as_of_date": as_of, "is_used": row["model"] in (used, GAMMA_GAMMA)}
        for row in (*both, value_run.row)
    ]
    rows[-1]["margin_rate"] = company[1]
    rows[-1] |= holdout_sales(data, runs[used].calibrated, value_run.calibrated, parts)

    count = table.num_rows
    columns: dict[str, Any] = {
        "customer_id": table.column("customer_id"),
        "as_of_date": pa.array([as_of] * count, pa.date32()),
        "model": pa.array([used] * count, pa.string()),
        "x": data["x"],
        "t_x_weeks": (data["last_day"] - data["first_day"]) / 7.0,
        "t_weeks": (day - data["first_day"]) / 7.0,
        "mean_repeat_value": _known(_mean_value(data["repeat_cents"], data["x"]), data["x"] > 0),
    }
    for model, run in runs.items():
        fitted = run.published
        alive = None if fitted is None else fitted.p_alive(histories)[index]
        columns[f"p_alive_{model.lower()}"] = _known(alive, count)
    run = runs[used]
    columns["p_alive"] = columns[f"p_alive_{used.lower()}"]
    for weeks in HORIZONS:
        coming = None if run.published is None else run.published.expected_visits(histories, weeks)
        columns[f"expected_visits_{weeks}w"] = _known(_spread(coming, index), count)
    months = params["clv_horizon_months"]
    coming = discounted = None
    if run.published is not None:
        rate = float(params["discount_rate_annual"])
        coming = run.published.expected_visits(histories, months * clv.WEEKS_PER_MONTH)
        discounted = clv.discounted_visits(run.published, histories, months, rate)
    columns["expected_visits_clv"] = _known(_spread(coming, index), count)
    columns["visits_missing_reason"] = pa.array([run.reason] * count, pa.string())
    columns |= _values(data, index, discounted, run.reason, value_run, company)
    return pa.table(columns), rows


def _values(
    data: Statistics,
    index: visits.Indices,
    discounted: Floats | None,
    visits_reason: str | None,
    run: SpendRun,
    company: tuple[str, float | None],
) -> dict[str, Any]:
    """Expected value of a visit and CLV, each with the reason where it is missing."""
    count = len(data["x"])
    # a customer whose repeat visits brought nothing is none that the model knows
    worthless = (data["x"] > 0) & (data["repeat_cents"] <= 0)
    value = None
    if run.published is not None:
        value = run.published.expected_value(
            data["x"], _mean_value(data["repeat_cents"], data["x"])
        )
    lacks = np.full(count, run.reason is not None)
    reasons = np.full(count, run.reason, dtype=object)
    if run.reason is None:
        reasons[worthless] = MEAN_NOT_POSITIVE
        lacks |= worthless
    basis, rate = company
    factor = 1.0 if basis == "SALES" else rate
    clv_reasons, clv_lacks = reasons.copy(), lacks.copy()
    if visits_reason is not None:
        clv_reasons[:], clv_lacks[:] = visits_reason, True
    elif factor is None:
        clv_reasons[~lacks], clv_lacks[:] = NO_MARGIN_RATE, True
    lifetime = None
    if discounted is not None and value is not None and factor is not None:
        lifetime = discounted[index] * np.round(value, 6) * factor
    return {
        "expected_value": _known(value, ~lacks),
        "expected_value_missing_reason": pa.array(reasons, pa.string()),
        "clv": _known(lifetime, ~clv_lacks),
        "clv_basis": pa.array([basis] * count, pa.string()),
        "clv_missing_reason": pa.array(clv_reasons, pa.string()),
    }


def _one_row(marts: duckdb.DuckDBPyConnection, query: str, as_of: date) -> Row:
    cursor = marts.execute(f"{query} where as_of_date = $as_of", {"as_of": as_of})
    names = [str(column[0]) for column in cursor.description or []]
    return dict(zip(names, cursor.fetchall()[0], strict=True))


def _mean_value(cents: NDArray[Any], count: NDArray[Any]) -> Floats:
    """Money per visit; 0 without a visit."""
    return np.asarray(cents / 100.0 / np.maximum(count, 1), dtype=np.float64)


def _spread(by_group: Floats | None, index: visits.Indices) -> Floats | None:
    return None if by_group is None else by_group[index]


def _known(values: Floats | None, where: Any) -> pa.Array:
    """As Arrow doubles; NULL where `where` (a mask, or all of a number of rows) does not hold."""
    if values is None:
        count = where if isinstance(where, int) else len(where)
        return pa.nulls(count, pa.float64())
    hidden = ~np.isfinite(values)
    if not isinstance(where, int):
        hidden |= ~np.asarray(where, dtype=bool)
    return pa.array(values, pa.float64(), mask=hidden)


# -------------------------------------------------------------------------- fits and their hold-out


@dataclass(frozen=True)
class VisitRun:
    """One fitted model of visits: its row of fct_model_run, the model where it is published.

    And the one fitted to the calibration, where there was one to fit.
    """

    row: Row
    published: visits.VisitModel | None
    calibrated: visits.VisitModel | None = None

    @property
    def reason(self) -> str | None:
        """Why it is not published."""
        reason: str | None = self.row["reason_code"]
        return reason


@dataclass(frozen=True)
class SpendRun:
    """The fitted model of values: its row of fct_model_run, the model where it is published.

    And the one fitted to the calibration, where there was one to fit.
    """

    row: Row
    published: spend.SpendModel | None
    calibrated: spend.SpendModel | None = None

    @property
    def reason(self) -> str | None:
        """Why it is not published."""
        reason: str | None = self.row["reason_code"]
        return reason


def fit_visits(
    model: Model, histories: Histories, data: Statistics, parts: Split, least: int
) -> VisitRun:
    """Fit to the whole history; judge by a fit to its first part that foretells the second.

    Published where both converge and the mean absolute error over customers is not above that of
    the heuristic that the next period brings as many visits as the last one.
    """
    row: Row = _header(model, parts) | {
        "count_customers": histories.customers,
        "count_groups": len(histories.x),
    }
    if histories.customers < least:
        return VisitRun(row | _withheld(TOO_FEW), None)
    found: VisitFit = visits.fit(model, histories)
    fitted = found.fitted
    row |= {
        "r": fitted.r,
        "alpha": fitted.alpha,
        "a": fitted.a,
        "b": fitted.b,
        "log_likelihood": found.log_likelihood,
        "is_converged": found.converged,
        "expected_visits_new_52w": _finite(float(fitted.expected_visits_new(52.0))),
    }
    holdout, before = holdout_visits(model, data, parts, least)
    row |= holdout
    reason = _verdict(row, found.converged and (before is None or before.converged))
    usable = reason is None and bool(
        np.all(np.isfinite(fitted.expected_visits(histories, max(HORIZONS))))
    )
    if reason is None and not usable:
        reason = NOT_CONVERGED
    return VisitRun(
        row | _withheld(reason),
        fitted if reason is None else None,
        None if before is None else before.fitted,
    )


def holdout_visits(
    model: Model, data: Statistics, parts: Split, least: int
) -> tuple[Row, VisitFit | None]:
    """MAE of the visits of customers known at the cut, and the fit to what was known there."""
    if parts.days < 1:
        return {"reason_code": HISTORY_TOO_SHORT}, None
    there = data["x_before"] >= 0
    count = int(there.sum())
    row: Row = {"count_holdout_customers": count}
    if count < least:
        return row | {"reason_code": TOO_FEW}, None
    before, index = histories_before(data, parts)
    found = visits.fit(model, before)
    foretold = found.fitted.expected_visits(before, parts.days / 7.0)[index]
    came = data["visits_after"][there]
    return row | {
        "holdout_mae": _mae(foretold, came),
        "heuristic_mae": _mae(data["visits_previous"][there], came),
    }, found


def histories_before(data: Statistics, parts: Split) -> tuple[Histories, visits.Indices]:
    """Groups of the customers known at the cut, as known there, and the group of each of them."""
    there = data["x_before"] >= 0
    cut = (parts.calibrated_to - date(1970, 1, 1)).days
    return visits.group(
        data["x_before"][there], data["first_day"][there], data["last_day_before"][there], cut
    )


def fit_spend(data: Statistics, parts: Split, least: int, correlation_max: float) -> SpendRun:
    """Gamma-Gamma over customers with repeat visits of positive mean value; judged as the visits are.

    The hold-out compares the mean value of a visit, of customers whom the model knew by repeat visits
    and who came both in the last period and in the hold-out, with that of the last period.
    """
    groups = spend.group(data["x"], data["repeat_cents"])
    row: Row = _header(GAMMA_GAMMA, parts) | {
        "count_customers": groups.customers,
        "count_groups": len(groups.x),
    }
    if groups.customers < least:
        return SpendRun(row | _withheld(TOO_FEW), None)
    found = spend.fit(groups)
    fitted = found.fitted
    correlation = groups.correlation()
    row |= {
        "p": fitted.p,
        "q": fitted.q,
        "gamma": fitted.gamma,
        "log_likelihood": found.log_likelihood,
        "is_converged": found.converged,
        "mean_value": _finite(float(fitted.expected_value(0, 0))),
        "correlation_x_value": correlation,
        "is_correlated": None
        if correlation is None
        else abs(round(correlation, 6)) > correlation_max,
    }
    holdout, before = holdout_spend(data, parts, least)
    row |= holdout
    reason = _verdict(row, found.converged and (before is None or before.converged))
    if fitted.q <= 1 and reason in (None, WORSE):
        reason = Q_NOT_ABOVE_1
    return SpendRun(
        row | _withheld(reason),
        fitted if reason is None else None,
        None if before is None else before.fitted,
    )


def holdout_spend(data: Statistics, parts: Split, least: int) -> tuple[Row, spend.SpendFit | None]:
    """MAE of the mean value of a visit in the hold-out, and the fit to what was known before it."""
    if parts.days < 1:
        return {"reason_code": HISTORY_TOO_SHORT}, None
    groups = spend.group(data["x_before"], data["repeat_cents_before"])
    judged = (
        (data["x_before"] >= 1)
        & (data["repeat_cents_before"] > 0)
        & (data["visits_previous"] > 0)
        & (data["visits_after"] > 0)
    )
    row: Row = {"count_holdout_customers": int(judged.sum())}
    if min(groups.customers, int(judged.sum())) < least:
        return row | {"reason_code": TOO_FEW}, None
    found = spend.fit(groups)
    part = {name: values[judged] for name, values in data.items()}
    foretold = expected_value_before(part, found.fitted)
    brought = _mean_value(part["cents_after"], part["visits_after"])
    last = _mean_value(part["cents_previous"], part["visits_previous"])
    row |= {"holdout_mae": _mae(foretold, brought), "heuristic_mae": _mae(last, brought)}
    if found.fitted.q <= 1:
        row["reason_code"] = Q_NOT_ABOVE_1
    return row, found


def expected_value_before(data: Statistics, model: spend.SpendModel) -> Floats:
    """Expected value of a visit as of the cut; what brought nothing counts as 0."""
    cents = np.maximum(data["repeat_cents_before"], 0)
    return model.expected_value(data["x_before"], _mean_value(cents, data["x_before"]))


def holdout_sales(
    data: Statistics,
    visit_model: visits.VisitModel | None,
    spend_model: spend.SpendModel | None,
    parts: Split,
) -> Row:
    """MAE of the sales of customers known at the cut: both models together against the heuristic.

    For information: the models are judged one by one, each by what it foretells.
    """
    if visit_model is None or spend_model is None:
        return {}
    there = data["x_before"] >= 0
    before, index = histories_before(data, parts)
    coming = visit_model.expected_visits(before, parts.days / 7.0)[index]
    known = {name: values[there] for name, values in data.items()}
    foretold = coming * expected_value_before(known, spend_model)
    brought = known["cents_after"] / 100.0
    return {
        "holdout_sales_mae": _mae(foretold, brought),
        "heuristic_sales_mae": _mae(known["cents_previous"] / 100.0, brought),
    }


def _header(model: str, parts: Split) -> Row:
    return {"model": model, "calibrated_to": parts.calibrated_to, "holdout_days": parts.days}


def _mae(foretold: NDArray[Any], came: NDArray[Any]) -> float | None:
    """Mean absolute error, rounded as the table has it; None where it is not a number."""
    return _finite(round(float(np.abs(foretold - came).mean()), 6))


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _verdict(row: Row, converged: bool) -> str | None:
    """Why a fit is not published, or None."""
    if not converged:
        return NOT_CONVERGED
    if row.get("reason_code"):
        return str(row["reason_code"])
    if row["holdout_mae"] is None:
        return NOT_CONVERGED
    return WORSE if row["holdout_mae"] > row["heuristic_mae"] else None


def _withheld(reason: str | None) -> Row:
    return {"is_published": reason is None, "reason_code": reason}
