"""BG/NBD and MBG/NBD against numbers by hand, numeric integration and simulation."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import gamma

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate, stats

from kehu.score import visits
from kehu.score.clv import WEEKS_PER_MONTH, discounted_visits
from kehu.score.visits import MODELS, Histories, Model, VisitModel

pytestmark = pytest.mark.definition("V6")

# the parameters published for CDNOW
BG = VisitModel("BG_NBD", 0.242595, 4.413602, 0.792922, 2.425906)
MBG = VisitModel("MBG_NBD", 0.524843, 6.183085, 0.891359, 1.614002)


def test_p_alive_by_hand() -> None:
    # r = 1, alpha = 2, a = 1, b = 2, x = 1, t_x = 2, T = 6: ((2+6)/(2+2))^(1+1) = 4
    customer = Histories.of(1, 2, 6)
    # BG/NBD: 1 / (1 + 1/(2+1-1) * 4) = 1/3
    assert VisitModel("BG_NBD", 1, 2, 1, 2).p_alive(customer)[0] == pytest.approx(1 / 3)
    # MBG/NBD: 1 / (1 + 1/(2+1) * 4) = 3/7
    assert VisitModel("MBG_NBD", 1, 2, 1, 2).p_alive(customer)[0] == pytest.approx(3 / 7)


def test_who_came_once_is_alive_in_bg_nbd_and_fades_in_mbg_nbd() -> None:
    once = Histories.of([0, 0, 0], [0, 0, 0], [0, 6, 520])
    assert VisitModel("BG_NBD", 1, 2, 1, 2).p_alive(once).tolist() == [1, 1, 1]
    # 1 / (1 + 1/2 * ((2+T)/2)): 2/3, 1/(1+2) = 1/3, 1/(1 + 130.5)
    assert VisitModel("MBG_NBD", 1, 2, 1, 2).p_alive(once) == pytest.approx(
        [2 / 3, 1 / 3, 1 / 131.5]
    )


def test_nothing_overflows_at_nine_hundred_visits() -> None:
    busy = Histories.of([900, 900, 900], [520, 260, 1], [520, 520, 520])
    for model in (BG, MBG):
        alive = model.p_alive(busy)
        assert np.all(np.isfinite(alive)) and alive[0] > 0.999 and alive[2] == 0
        for weeks in (4, 104, 5200):
            assert np.all(np.isfinite(model.expected_visits(busy, weeks)))
        assert np.isfinite(model.log_likelihood(busy))


def test_the_published_expectations() -> None:
    customer = Histories.of(2, 30.43, 38.86)
    assert BG.expected_visits(customer, 39)[0] == pytest.approx(1.22591, abs=1e-4)
    assert float(BG.expected_visits_new(52)) == pytest.approx(1.444012, abs=1e-4)


def integral(model: VisitModel, x: int, t_x: float, t: float, weeks: float) -> tuple[float, float]:
    """Likelihood and expected visits from first principles: over the rate and the chance to leave.

    Each given rate and chance: visits come by Poisson, and after each (in MBG/NBD after the first
    too) the customer leaves. No formula of the model is used.
    """
    chances = x + (1 if model.model == "MBG_NBD" else 0)  # he might have left and did not
    rates = stats.gamma(model.r, scale=1 / model.alpha)
    leaves = stats.beta(model.a, model.b)

    def alive(rate: float, leave: float) -> float:
        return float((1 - leave) ** chances * rate**x * np.exp(-rate * t))

    def gone(rate: float, leave: float) -> float:
        if chances == 0:
            return 0.0
        return float(leave * (1 - leave) ** (chances - 1) * rate**x * np.exp(-rate * t_x))

    def later(rate: float, leave: float) -> float:
        return float((1 - np.exp(-rate * leave * weeks)) / leave)

    def mean(what: Callable[[float, float], float]) -> float:
        # by quantiles, so that the densities' poles do no harm
        nodes, weights = np.polynomial.legendre.leggauss(160)
        levels = (nodes + 1) / 2
        rate, leave = rates.ppf(levels), leaves.ppf(levels)
        grid = [[what(lam, p) for p in leave] for lam in rate]
        return float(weights @ np.array(grid) @ weights / 4)

    likelihood = mean(lambda lam, p: alive(lam, p) + gone(lam, p))
    return likelihood, mean(lambda lam, p: alive(lam, p) * later(lam, p)) / likelihood


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("x", "t_x", "t"), [(0, 0.0, 10.0), (3, 6.0, 10.0)])
def test_likelihood_and_expectation_are_those_of_the_story(
    model: Model, x: int, t_x: float, t: float
) -> None:
    fitted = VisitModel(model, 2.0, 5.0, 2.5, 3.0)
    customer = Histories.of(x, t_x, t)
    likelihood, expected = integral(fitted, x, t_x, t, 13.0)
    assert fitted.log_likelihood(customer) == pytest.approx(np.log(likelihood), abs=1e-4)
    assert fitted.expected_visits(customer, 13.0)[0] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("a", [0.4, 1.0, 1.00005, 3.0])
@pytest.mark.parametrize("weeks", [0.1, 52.0, 1e5])
def test_expectation_of_a_new_customer_whatever_a_is(model: Model, a: float, weeks: float) -> None:
    """Also at a = 1, where the formula is 0/0, and with z = weeks/(alpha+weeks) close to 1."""
    fitted = VisitModel(model, 0.5, 4.0, a, 2.0)

    def density(p: float) -> float:
        return gamma(a + 2) / gamma(a) / gamma(2) * p ** (a - 1) * (1 - p)

    def visits_of(p: float) -> float:
        # E over the gamma rate of (1 - exp(-rate p t)) / p; in MBG/NBD he may leave at once
        came = -np.expm1(-0.5 * np.log1p(p * weeks / 4.0)) / p
        return came * density(p) * (1 - p if model == "MBG_NBD" else 1)

    pieces = [0, 1e-9, 1e-6, 1e-3, 0.1, 1]
    expected = sum(
        integrate.quad(visits_of, low, high, limit=500)[0] for low, high in pairwise(pieces)
    )
    assert float(fitted.expected_visits_new(weeks)) == pytest.approx(expected, rel=2e-6)


def simulate(
    model: VisitModel, customers: int, weeks: float, seed: int
) -> tuple[Histories, NDArray[np.bool_]]:
    """Customers who live the story that the model tells, and who of them has not left at the end."""
    dice = np.random.default_rng(seed)
    rate = dice.gamma(model.r, 1 / model.alpha, customers)
    leave = dice.beta(model.a, model.b, customers)
    age = dice.uniform(weeks / 2, weeks, customers)
    x, last, clock = np.zeros(customers, dtype=np.int64), np.zeros(customers), np.zeros(customers)
    alive = np.ones(customers, dtype=bool)
    if model.model == "MBG_NBD":
        alive = dice.random(customers) >= leave
    coming = alive.copy()
    while coming.any():
        clock = clock + dice.exponential(1 / rate)
        coming &= clock <= age
        x[coming] += 1
        last[coming] = clock[coming]
        alive[coming] = dice.random(int(coming.sum())) >= leave[coming]
        coming &= alive
    return Histories.of(x, last, age), alive


@pytest.mark.parametrize("model", MODELS)
def test_parameters_of_simulated_customers_are_found_again(model: Model) -> None:
    truth = VisitModel(model, 0.8, 6.0, 0.9, 2.5)
    histories, _ = simulate(truth, 40_000, 80, seed=7)
    found = visits.fit(model, histories)
    assert found.converged
    names = ("r", "alpha", "a", "b")
    assert [getattr(found.fitted, n) for n in names] == pytest.approx(
        [getattr(truth, n) for n in names], rel=0.1
    )
    assert found.log_likelihood >= truth.log_likelihood(histories)


@pytest.mark.parametrize("model", [BG, MBG], ids=["BG_NBD", "MBG_NBD"])
def test_p_alive_is_calibrated_on_simulated_customers(model: VisitModel) -> None:
    """Of customers with about the same P(alive), that share has not left."""
    histories, alive = simulate(model, 60_000, 100, seed=3)
    said = model.p_alive(histories)
    order = np.argsort(said, kind="stable")
    for tenth in np.array_split(order, 10):
        assert alive[tenth].mean() == pytest.approx(said[tenth].mean(), abs=0.02)
    assert histories.x.mean() == pytest.approx(
        model.expected_visits_new(histories.t).mean(), rel=0.03
    )


def test_groups_change_no_sum() -> None:
    dice = np.random.default_rng(1)
    x = dice.integers(0, 4, 500)
    first = dice.integers(0, 10, 500)
    last = np.where(x > 0, first + dice.integers(1, 10, 500), first)
    groups, index = visits.group(x, first, last, 30)
    each = Histories.of(x, (last - first) / 7.0, (30 - first) / 7.0)
    assert len(groups.x) < 300 and groups.customers == 500
    for model in (BG, MBG):
        assert model.log_likelihood(groups) == pytest.approx(model.log_likelihood(each), rel=1e-12)
        assert model.p_alive(groups)[index] == pytest.approx(model.p_alive(each), rel=1e-12)
    one, other = visits.fit("BG_NBD", groups), visits.fit("BG_NBD", each)
    assert one.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-6)


def test_a_start_from_a_part_of_many_groups_ends_at_the_same_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    histories, _ = simulate(BG, 3_000, 80, seed=11)
    whole = visits.fit("BG_NBD", histories)
    monkeypatch.setattr(visits, "COARSE", 300)
    quick = visits.fit("BG_NBD", histories)
    assert quick.converged
    assert quick.log_likelihood == pytest.approx(whole.log_likelihood, abs=1e-6)


def test_order_of_customers_changes_no_bit() -> None:
    dice = np.random.default_rng(2)
    x, first, last = dice.integers(0, 5, 300), dice.integers(0, 9, 300), dice.integers(9, 20, 300)
    last = np.where(x > 0, last, first)
    turned = dice.permutation(300)
    one, _ = visits.group(x, first, last, 25)
    other, _ = visits.group(x[turned], first[turned], last[turned], 25)
    assert visits.fit("MBG_NBD", one) == visits.fit("MBG_NBD", other)


@pytest.mark.parametrize("model", MODELS)
def test_where_nobody_leaves_no_maximum_is_found(model: Model) -> None:
    """All visit up to the end, as at the beginning of a history: a runs to the edge of the search."""
    x = np.tile(np.arange(1, 11), 30)
    found = visits.fit(model, Histories.of(x, np.full(300, 10.0), np.full(300, 10.0)))
    assert not found.converged


def test_one_customer_and_nobody() -> None:
    assert not visits.fit("BG_NBD", Histories.of(3, 5, 6)).converged
    with pytest.raises(ValueError, match="nobody"):
        visits.fit("BG_NBD", Histories.of([], [], []))
    with pytest.raises(ValueError, match="t_x"):
        Histories.of(1, 7, 6)


def test_a_lifetime_is_discounted_month_by_month() -> None:
    customer = Histories.of(2, 30.43, 38.86)
    until = [BG.expected_visits(customer, m * WEEKS_PER_MONTH)[0] for m in (1, 2)]
    # 21 % a year are 1.6 % a month: month 1 by 1.21^(1/12), month 2 by 1.21^(2/12)
    by_hand = until[0] / 1.21 ** (1 / 12) + (until[1] - until[0]) / 1.21 ** (1 / 6)
    assert discounted_visits(BG, customer, 2, 0.21)[0] == pytest.approx(by_hand)
    assert discounted_visits(BG, customer, 2, 0.0)[0] == pytest.approx(until[1])
