"""How good a score is that orders customers by their risk of leaving (definition C7)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

BINS = 10


def auc(left: Bools, score: Floats) -> float | None:
    """Area under the ROC curve, ties count half; None where one class is empty."""
    if left.all() or not left.any():
        return None
    return float(roc_auc_score(left, score))


def lift10(left: Bools, score: Floats) -> float | None:
    """Share of leavers in the top tenth over their share in all (Neslin et al. 2006).

    The top tenth holds the customers of rank 1 .. n with (rank - 1) * 10 < n. Those who tie at its
    edge count as if any of them were taken with equal chance: no arbitrary order decides.
    """
    count, positives = len(left), int(left.sum())
    if positives == 0:
        return None
    top = -(-count // 10)
    edge = np.sort(score)[::-1][top - 1]
    above, tied = score > edge, score == edge
    hits = left[above].sum() + left[tied].mean() * (top - above.sum())
    return float(hits / top / (positives / count))


def lift10_max(left: Bools) -> float | None:
    """The most that lift10 can be: min(10, 1 / base rate)."""
    return float(min(10.0, len(left) / left.sum())) if left.any() else None


@dataclass(frozen=True)
class Bin:
    """Customers of about equal predicted probability: `number` counts from 1, the lowest."""

    number: int
    count: int
    count_left: int
    mean_predicted: float
    share_left: float


def calibration(left: Bools, probability: Floats) -> list[Bin]:
    """Ten bins of about equal size by rank; equal probabilities share a bin, empty bins are left out."""
    ranks = rankdata(probability, method="min")
    numbers = ((ranks - 1) * BINS // len(left)).astype(int)
    count = np.bincount(numbers, minlength=BINS)
    hits = np.bincount(numbers, weights=left, minlength=BINS)
    predicted = np.bincount(numbers, weights=probability, minlength=BINS)
    return [
        Bin(b + 1, int(count[b]), int(hits[b]), predicted[b] / count[b], hits[b] / count[b])
        for b in range(BINS)
        if count[b]
    ]


def ece(bins: list[Bin]) -> float:
    """Expected calibration error: mean distance of predicted and observed share, by size of the bin."""
    total = sum(b.count for b in bins)
    return sum(b.count * abs(b.mean_predicted - b.share_left) for b in bins) / total
