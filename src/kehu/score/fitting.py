"""Maximum likelihood in the logarithms of positive parameters, from several starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import optimize
from threadpoolctl import ThreadpoolController

Floats = NDArray[np.float64]
Loss = Callable[[Floats], tuple[float, Floats]]

# Logarithm of the least and the largest value that a parameter may take: a fit that ends there has
# found no maximum inside, only the edge of what was searched.
EDGE = 8.0
GRADIENT_MAX = 1e-5


@dataclass(frozen=True)
class Optimum:
    """Where the search ended: parameters (not their logarithms), mean loss, and whether to trust it."""

    parameters: Floats
    loss: float
    converged: bool


@cache
def _threads() -> ThreadpoolController:
    return ThreadpoolController()


def minimise(loss: Loss, starts: Sequence[Sequence[float]]) -> Optimum:
    """Minimise a mean negative log-likelihood over positive parameters.

    `loss` takes the parameters, shape (k,), and returns its value and its gradient in them; `starts`
    are parameters too. The best end of all searches is taken, the first of equal ones. It has
    converged where the gradient vanishes (in logarithms, at most 1e-5 per customer) inside of the
    range exp(-8) to exp(8).
    """

    def in_logarithms(theta: Floats) -> tuple[float, Floats]:
        parameters = np.exp(theta)
        value, gradient = loss(parameters)
        if not (np.isfinite(value) and np.all(np.isfinite(gradient))):
            return 1e10, np.zeros_like(theta)
        return value, gradient * parameters

    best: Optimum | None = None
    for start in starts:
        # on matrices this small, threads only wait for each other
        with _threads().limit(limits=1):
            found = optimize.minimize(
                in_logarithms,
                np.log(np.asarray(start, dtype=np.float64)),
                jac=True,
                method="L-BFGS-B",
                bounds=[(-EDGE, EDGE)] * len(start),
                options={"maxiter": 500, "ftol": 1e-15, "gtol": 1e-9, "maxcor": 20},
            )
        theta = np.asarray(found.x, dtype=np.float64)
        value, gradient = in_logarithms(theta)
        inside = bool(np.all(np.abs(theta) < EDGE - 1e-6))
        flat = bool(np.max(np.abs(gradient)) <= GRADIENT_MAX) and value < 1e10
        end = Optimum(np.exp(theta), value, inside and flat)
        if best is None or end.loss < best.loss - 1e-12:
            best = end
    if best is None:
        raise ValueError("a search needs a start")
    return best
