"""Gamma-Gamma: what a visit of a customer is worth.

The values of a customer's visits scatter around his own mean by a gamma law of shape p, whose rate is
gamma(q, gamma) among customers. Value and frequency are taken to be unrelated, which the correlation
of x and mean tells. A customer is (x, mean): repeat visits and their mean value, both above 0.

Source: Fader & Hardie (2013), The Gamma-Gamma Model of Monetary Value, equations 1a and 5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from kehu.score.fitting import Floats, Optimum, minimise


@dataclass(frozen=True)
class Spendings:
    """Groups of customers: `x` repeat visits of mean value `mean` (money), `weight` customers; (g,)."""

    x: Floats
    mean: Floats
    weight: Floats

    @classmethod
    def of(cls, x: ArrayLike, mean: ArrayLike, weight: ArrayLike | None = None) -> Spendings:
        """From sequences of equal length; ValueError unless x >= 1 and mean > 0."""
        visits, means = (np.atleast_1d(np.asarray(part, dtype=np.float64)) for part in (x, mean))
        weights = np.ones_like(visits) if weight is None else np.asarray(weight, dtype=np.float64)
        if not np.all((visits >= 1) & (means > 0)):
            raise ValueError("spending is modelled for x >= 1 and a mean above 0")
        return cls(visits, means, np.atleast_1d(weights))

    @property
    def customers(self) -> int:
        """Customers in all groups together."""
        return int(self.weight.sum())

    def correlation(self) -> float | None:
        """Pearson's r of x and mean over customers; None where one of them does not vary."""
        share = self.weight / self.weight.sum()
        x = self.x - (share * self.x).sum()
        mean = self.mean - (share * self.mean).sum()
        spread = (share * x * x).sum() * (share * mean * mean).sum()
        return float((share * x * mean).sum() / np.sqrt(spread)) if spread > 0 else None


def group(x: ArrayLike, cents: ArrayLike) -> Spendings:
    """Groups from repeat visits and the sum of their values in cents (whole), one entry per customer.

    Leaves out customers without a repeat visit and those whose sum is not above 0. Sorted by
    (x, cents), so that any order of customers gives the same groups bit for bit.
    """
    visits, sums = (np.asarray(part, dtype=np.int64) for part in (x, cents))
    fit_for = (visits >= 1) & (sums > 0)
    span = int(sums.max(initial=0)) + 1
    codes, weight = np.unique(visits[fit_for] * span + sums[fit_for], return_counts=True)
    repeats = codes // span
    return Spendings.of(repeats, codes % span / 100.0 / repeats, weight)


@dataclass(frozen=True)
class SpendModel:
    """Gamma-Gamma with its parameters; `gamma` is in money."""

    p: float
    q: float
    gamma: float

    def log_likelihood(self, spendings: Spendings) -> float:
        """Of all customers together (Fader & Hardie 2013, equation 1a)."""
        value, _ = _Likelihood(spendings)(np.array([self.p, self.q, self.gamma]))
        return -value * float(spendings.weight.sum())

    def expected_value(self, x: ArrayLike, mean: ArrayLike) -> Floats:
        """E[M | x, mean]: the value of a visit to come, in money, of the shape of x; NaN unless q > 1.

        A weighted mean of the customer's own mean and that of all, p gamma / (q - 1), which alone
        stands for a customer without a repeat visit (Fader & Hardie 2013, equation 5).
        """
        visits, means = np.asarray(x, dtype=np.float64), np.asarray(mean, dtype=np.float64)
        if self.q <= 1:
            return np.full(visits.shape, np.nan)
        own = np.where(visits > 0, visits * np.nan_to_num(means), 0.0)
        return np.asarray(
            self.p * (self.gamma + own) / (self.p * visits + self.q - 1), dtype=np.float64
        )


@dataclass(frozen=True)
class SpendFit:
    """A fitted model, its log-likelihood over all customers, and whether the search converged."""

    fitted: SpendModel
    log_likelihood: float
    converged: bool


def fit(spendings: Spendings) -> SpendFit:
    """Parameters of largest likelihood; ValueError without a customer."""
    if not len(spendings.x):
        raise ValueError("nobody to fit to")
    scale = float((spendings.weight * spendings.mean).sum() / spendings.weight.sum())
    unit = Spendings(spendings.x, spendings.mean / scale, spendings.weight)
    end: Optimum = minimise(_Likelihood(unit), ((1.0, 3.0, 2.0), (6.0, 4.0, 0.5), (20.0, 2.0, 0.1)))
    p, q, gamma = (float(value) for value in end.parameters)
    fitted = SpendModel(p, q, gamma * scale)
    return SpendFit(fitted, fitted.log_likelihood(spendings), end.converged)


class _Likelihood:
    """Mean negative log-likelihood and its gradient in (p, q, gamma)."""

    def __init__(self, spendings: Spendings) -> None:
        self.x, self.mean = spendings.x, spendings.mean
        self.share = spendings.weight / spendings.weight.sum()
        self.visits, self.index = np.unique(self.x, return_inverse=True)
        self.visit_share = np.bincount(self.index, weights=self.share)
        self.total = self.x * self.mean
        self.mean_log = float((self.share * np.log(self.mean)).sum())
        self.mean_x_log_total = float((self.share * self.x * np.log(self.total)).sum())

    def __call__(self, parameters: Floats) -> tuple[float, Floats]:
        p, q, gamma = (float(value) for value in parameters)
        visits, share = self.visits, self.visit_share
        log_sum = np.log(gamma + self.total)
        sum_log = float((self.share * log_sum).sum())
        sum_x_log = float((self.share * self.x * log_sum).sum())
        value = (
            (share * (special.gammaln(p * visits + q) - special.gammaln(p * visits))).sum()
            - special.gammaln(q)
            + q * np.log(gamma)
            + p * self.mean_x_log_total
            - self.mean_log
            - p * sum_x_log
            - q * sum_log
        )
        slope_p = (
            (share * visits * (special.digamma(p * visits + q) - special.digamma(p * visits))).sum()
            + self.mean_x_log_total
            - sum_x_log
        )
        slope_q = (
            (share * special.digamma(p * visits + q)).sum()
            - special.digamma(q)
            + np.log(gamma)
            - sum_log
        )
        slope_gamma = q / gamma - (self.share * (p * self.x + q) / (gamma + self.total)).sum()
        return -float(value), -np.array([slope_p, slope_q, slope_gamma])
