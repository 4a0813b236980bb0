"""Gamma-Gamma against numbers by hand, numeric integration and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from kehu.score import spend
from kehu.score.spend import Spendings, SpendModel

pytestmark = pytest.mark.definition("V6")

CDNOW = SpendModel(6.24957, 3.74422, 15.44353)


def test_expected_value_by_hand() -> None:
    # p = 2, q = 3, gamma = 4: the mean of all is 2*4/(3-1) = 4
    # x = 3, mean 10: 2*(4 + 30)/(2*3 + 2) = 8.5, which is 1/4 * 4 + 3/4 * 10
    found = SpendModel(2, 3, 4).expected_value([0, 3], [0, 10])
    assert found.tolist() == [4.0, 8.5]


def test_the_published_values() -> None:
    # ids 0001 (29.73 and 14.96), 0002 (26.48) ... of the sample; no repeat visit gives the mean
    assert CDNOW.expected_value([0, 2], [np.nan, 22.345])[0] == pytest.approx(35.1704, abs=1e-3)
    assert CDNOW.expected_value(2, 22.345) == pytest.approx(24.6539, abs=1e-3)


def test_no_mean_where_q_is_not_above_one() -> None:
    assert np.isnan(SpendModel(2, 1.0, 4).expected_value([0, 3], [0, 10])).all()


def test_likelihood_is_that_of_the_story() -> None:
    """The mean of x gamma values, over customers whose rate is gamma: by numeric integration."""
    model, x, mean = SpendModel(2.0, 3.0, 4.0), 3, 10.0

    def given(rate: float) -> float:
        return float(
            stats.gamma.pdf(mean, model.p * x, scale=1 / (rate * x))
            * stats.gamma.pdf(rate, model.q, scale=1 / model.gamma)
        )

    likelihood = integrate.quad(given, 0, np.inf)[0]
    assert model.log_likelihood(Spendings.of(x, mean)) == pytest.approx(np.log(likelihood))


def test_parameters_of_simulated_customers_are_found_again() -> None:
    dice = np.random.default_rng(5)
    customers = 40_000
    rate = dice.gamma(3.5, 1 / 15.0, customers)
    x = dice.integers(1, 12, customers)
    cents = np.round(dice.gamma(6.0 * x, 1 / rate) * 100).astype(np.int64)
    found = spend.fit(spend.group(x, cents))
    assert found.converged
    assert [found.fitted.p, found.fitted.q, found.fitted.gamma] == pytest.approx(
        [6.0, 3.5, 15.0], rel=0.05
    )


def test_groups_leave_out_who_is_not_modelled() -> None:
    groups = spend.group([0, 1, 1, 2, 3], [0, 500, 500, 0, -10])
    assert (groups.x.tolist(), groups.mean.tolist(), groups.weight.tolist()) == ([1], [5], [2])
    with pytest.raises(ValueError, match="mean"):
        Spendings.of([1], [0])
    with pytest.raises(ValueError, match="nobody"):
        spend.fit(spend.group([0], [0]))


def test_groups_change_no_sum() -> None:
    x, cents = [1, 1, 2, 2, 2], [500, 500, 900, 900, 1000]
    groups = spend.group(x, cents)
    each = Spendings.of(x, np.array(cents) / 100 / np.array(x))
    assert len(groups.x) == 3
    assert CDNOW.log_likelihood(groups) == pytest.approx(CDNOW.log_likelihood(each), rel=1e-12)
    assert groups.correlation() == pytest.approx(np.corrcoef(each.x, each.mean)[0, 1])


def test_no_correlation_where_nothing_varies() -> None:
    assert Spendings.of([1, 1], [5, 6]).correlation() is None


def test_equal_values_have_no_maximum() -> None:
    """Customers who always spend the same: p runs to the edge of the search."""
    assert not spend.fit(Spendings.of([3] * 50, [10.0] * 50)).converged
