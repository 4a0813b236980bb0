"""Customer lifetime value: discounted value of the visits expected month by month (definition V6)."""

from __future__ import annotations

import numpy as np

from kehu.score.fitting import Floats
from kehu.score.visits import Histories, VisitModel

WEEKS_PER_MONTH = 365.25 / 12 / 7


def discounted_visits(
    model: VisitModel, histories: Histories, months: int, rate_annual: float
) -> Floats:
    """Sum over t = 1..months of [E(t) - E(t-1)] / (1+i)^t, i = (1+rate_annual)^(1/12) - 1; shape (g,).

    E(t) are the visits expected in the next t months. Times the expected value of a visit and the
    margin rate this is the CLV.
    """
    monthly = (1 + rate_annual) ** (1 / 12)
    total = np.zeros_like(histories.x)
    before = np.zeros_like(histories.x)
    for month in range(1, months + 1):
        until = model.expected_visits(histories, month * WEEKS_PER_MONTH)
        total += (until - before) / monthly**month
        before = until
    return total
