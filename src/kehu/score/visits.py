"""BG/NBD and MBG/NBD: how often a customer comes, and whether he still does.

While a customer is alive he visits by a Poisson process whose rate is gamma(r, alpha) among
customers. After each visit he leaves for good with a probability that is beta(a, b) among customers;
in MBG/NBD he may do so after the very first visit too, in BG/NBD only after a repeat visit.

A customer is (x, t_x, T): repeat visits, weeks from first to last visit, weeks from the first visit to
the date. Customers with the same three numbers are one group with a weight, which changes no sum.

Sources: Fader, Hardie & Lee (2005), Marketing Science 24(2), equations 6 to 10; Batislam, Denizel &
Filiztekin (2007), IJRM 24(3). MBG/NBD is BG/NBD with one more chance to leave: `b + x` in place of
`b + x - 1`, and `x >= 0` in place of `x > 0`. The code has both as one, with `extra` 1 or 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from kehu.score.fitting import Floats, Optimum, minimise

Indices = NDArray[np.intp]
Model = Literal["BG_NBD", "MBG_NBD"]
MODELS: tuple[Model, ...] = ("BG_NBD", "MBG_NBD")

# Moderate rates and dropout first; then few and lasting customers; then many that leave at once.
STARTS = ((1.0, 10.0, 1.0, 2.0), (0.25, 4.0, 0.8, 2.5), (2.0, 2.0, 0.5, 8.0), (0.5, 20.0, 2.0, 1.5))

# So many groups are enough to choose among the starts.
COARSE = 20_000

# Closer to a = 1 than this, the formulas of expected visits lose too many digits.
NEAR_ONE = 1e-4


@dataclass(frozen=True)
class Histories:
    """Groups of customers: `x` visits, `t_x` and `t` weeks, `weight` customers; each of shape (g,)."""

    x: Floats
    t_x: Floats
    t: Floats
    weight: Floats

    @classmethod
    def of(
        cls, x: ArrayLike, t_x: ArrayLike, t: ArrayLike, weight: ArrayLike | None = None
    ) -> Histories:
        """From numbers or sequences of equal length; ValueError unless 0 <= t_x <= t and x >= 0."""
        visits, recency, age = (
            np.atleast_1d(np.asarray(part, dtype=np.float64)) for part in (x, t_x, t)
        )
        weights = np.ones_like(visits) if weight is None else np.asarray(weight, dtype=np.float64)
        histories = cls(visits, recency, age, np.atleast_1d(weights))
        if not np.all((histories.x >= 0) & (histories.t_x >= 0) & (histories.t_x <= histories.t)):
            raise ValueError("a history has x >= 0 and 0 <= t_x <= t")
        return histories

    @property
    def customers(self) -> int:
        """Customers in all groups together."""
        return int(self.weight.sum())


def group(
    x: ArrayLike, first_day: ArrayLike, last_day: ArrayLike, day: ArrayLike
) -> tuple[Histories, Indices]:
    """Groups from repeat visits and days (numbers of days on any scale), one entry per customer.

    Returns the groups, sorted by (x, t, t_x), and the group of each customer. Any order of customers
    gives the same groups bit for bit.
    """
    visits, first, last, end = (
        np.asarray(part, dtype=np.int64)
        for part in np.broadcast_arrays(x, first_day, last_day, day)
    )
    age, recency = end - first, last - first
    span = int(age.max(initial=0)) + 1
    codes, index, weight = np.unique(
        (visits * span + age) * span + recency, return_inverse=True, return_counts=True
    )
    groups = Histories.of(
        codes // (span * span), codes % span / 7.0, codes // span % span / 7.0, weight
    )
    return groups, index


@dataclass(frozen=True)
class VisitModel:
    """A model of visits with its parameters; times are in weeks."""

    model: Model
    r: float
    alpha: float
    a: float
    b: float

    @property
    def extra(self) -> int:
        """Chances to leave before the first repeat visit."""
        return 1 if self.model == "MBG_NBD" else 0

    def log_likelihood(self, histories: Histories) -> float:
        """Of all customers together (Fader, Hardie & Lee 2005, equation 6)."""
        parameters = np.array([self.r, self.alpha, self.a, self.b])
        value, _ = _Likelihood(self.model, histories)(parameters)
        return -value * float(histories.weight.sum())

    def p_alive(self, histories: Histories) -> Floats:
        """Probability that a customer has not left, shape (g,); definition V6.

        In logarithms, so that nothing overflows however large x is.
        """
        x, t_x, t = histories.x, histories.t_x, histories.t
        exponent = (self.r + x) * (np.log(self.alpha + t) - np.log(self.alpha + t_x))
        left = np.log(self.a) - np.log(np.maximum(self.b + x - 1 + self.extra, 1e-300)) + exponent
        alive = special.expit(-left)
        return alive if self.extra else np.where(x > 0, alive, 1.0)

    def expected_visits(self, histories: Histories, weeks: float) -> Floats:
        """Visits in the next `weeks` weeks, given the history; shape (g,).

        Fader, Hardie & Lee (2005), equation 10. There 1 - ((α+T)/(α+T+t))^(r+x) 2F1(r+x, b+x; a+b+x-1;
        z) with z = t/(α+T+t); Euler's transformation turns it into
        1 - (1-z)^(a-1) 2F1(a+b-1-r, a-1; a+b+x-1; z), whose upper parameters do not grow with x.
        """
        total = self.b + histories.x - 1 + self.extra
        later = self._if_alive(total, self.alpha + histories.t, np.float64(weeks))
        return np.asarray(self.p_alive(histories) * later, dtype=np.float64)

    def expected_visits_new(self, weeks: ArrayLike) -> Floats:
        """Repeat visits of a new customer in his first `weeks` weeks, shape of `weeks`.

        Fader, Hardie & Lee (2005), equation 9; Batislam et al. (2007) for MBG/NBD.
        """
        stays = self.b / (self.a + self.b) if self.extra else 1.0
        later = self._if_alive(
            np.float64(self.b - 1 + self.extra),
            np.float64(self.alpha),
            np.asarray(weeks, dtype=np.float64),
        )
        return np.asarray(stays * later, dtype=np.float64)

    def _if_alive(
        self, rest: Floats | np.float64, age: Floats | np.float64, weeks: Floats | np.float64
    ) -> Floats:
        """(a+rest)/(a-1) [1 - (1-z)^(a-1) 2F1(a+b-1+extra-r, a-1; a+rest; z)], z = weeks/(age+weeks).

        0/0 where a = 1: close to it, between the values on both sides.
        """

        def at(a: float) -> Floats:
            z = weeks / (age + weeks)
            # parameters in the thousands overflow; what is not finite is not published
            with np.errstate(over="ignore", invalid="ignore"):
                series = special.hyp2f1(a + self.b - 1 + self.extra - self.r, a - 1, a + rest, z)
                gone = 1 - np.exp((a - 1) * np.log1p(-z)) * series
            return np.asarray((a + rest) * gone / (a - 1), dtype=np.float64)

        if abs(self.a - 1) >= NEAR_ONE:
            return at(self.a)
        share = (self.a - 1 + NEAR_ONE) / (2 * NEAR_ONE)
        return (1 - share) * at(1 - NEAR_ONE) + share * at(1 + NEAR_ONE)


@dataclass(frozen=True)
class VisitFit:
    """A fitted model, its log-likelihood over all customers, and whether the search converged."""

    fitted: VisitModel
    log_likelihood: float
    converged: bool


def fit(model: Model, histories: Histories) -> VisitFit:
    """Parameters of largest likelihood; ValueError without a customer.

    Of many groups, every n-th one says where to start from, and the search on all has one start.
    """
    if not len(histories.x):
        raise ValueError("nobody to fit to")
    starts: Sequence[Sequence[float]] = STARTS
    step = len(histories.x) // COARSE
    if step > 1:
        part = Histories(
            *(getattr(histories, name)[::step] for name in ("x", "t_x", "t", "weight"))
        )
        starts = [minimise(_Likelihood(model, part), STARTS).parameters.tolist()]
    end: Optimum = minimise(_Likelihood(model, histories), starts)
    r, alpha, a, b = (float(value) for value in end.parameters)
    return VisitFit(
        VisitModel(model, r, alpha, a, b),
        -end.loss * float(histories.weight.sum()),
        end.converged,
    )


class _Likelihood:
    """Mean negative log-likelihood and its gradient in (r, alpha, a, b).

    Functions of x alone are computed once for each number of visits, not for each group.
    """

    def __init__(self, model: Model, histories: Histories) -> None:
        self.extra = 1 if model == "MBG_NBD" else 0
        self.histories = histories
        self.visits, self.index = np.unique(histories.x, return_inverse=True)
        self.share = histories.weight / histories.weight.sum()
        self.visit_share = np.bincount(self.index, weights=self.share)
        self.may_leave: NDArray[np.bool_] = (histories.x > 0) | (self.extra > 0)

    def __call__(self, parameters: Floats) -> tuple[float, Floats]:
        r, alpha, a, b = (float(value) for value in parameters)
        x, share, visits = self.histories.x, self.share, self.visits
        stays = visits + self.extra  # times he might have left and did not, if alive
        by_visits = (
            special.gammaln(r + visits)
            + special.gammaln(b + stays)
            - special.gammaln(a + b + stays)
        )
        constant = (
            r * np.log(alpha) - special.gammaln(r) + special.gammaln(a + b) - special.gammaln(b)
        )
        log_age = np.log(alpha + self.histories.t)
        log_recency = np.log(alpha + self.histories.t_x)
        # odds of having left after the last visit against being alive
        left_over = np.log(a) - np.log(np.maximum(b + stays - 1, 1e-300))
        odds = np.where(
            self.may_leave, left_over[self.index] + (r + x) * (log_age - log_recency), -np.inf
        )
        value = (
            float(constant)
            + float((self.visit_share * by_visits).sum())
            + float((share * (np.logaddexp(0.0, odds) - (r + x) * log_age)).sum())
        )
        left = share * special.expit(odds)
        alive = share - left
        slope_r = (
            np.log(alpha)
            - special.digamma(r)
            + (self.visit_share * special.digamma(r + visits)).sum()
            - (alive * log_age + left * log_recency).sum()
        )
        slope_alpha = (
            r / alpha
            - (
                (r + x) * (alive / (alpha + self.histories.t) + left / (alpha + self.histories.t_x))
            ).sum()
        )
        both = special.digamma(a + b) - (self.visit_share * special.digamma(a + b + stays)).sum()
        slope_a = both + left.sum() / a
        left_by_visits = np.bincount(self.index, weights=left, minlength=len(visits))
        slope_b = (
            both
            - special.digamma(b)
            + (self.visit_share * special.digamma(b + stays)).sum()
            - (left_by_visits / np.maximum(b + stays - 1, 1e-300)).sum()
        )
        return -value, -np.array([slope_r, slope_alpha, slope_a, slope_b])
