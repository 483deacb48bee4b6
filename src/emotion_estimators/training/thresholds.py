"""The least probability of each label of a multi-label classifier; imports NumPy and SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

__all__ = ["check_thresholds", "tune_thresholds"]

_CERTAIN = 1e-7  # what a probability of 0 is taken for, so that it has a finite score
_IDENTITY = np.array([1.0, 0.0])  # slope and offset of a curve that changes nothing
_FREEDOM = 10.0  # variance of both around it, before any image is seen
_LEAST_SLOPE = 0.05  # the order of probabilities is kept


def check_thresholds(owner: str, threshold: Any, n_labels: int) -> NDArray[np.float64] | None:
    """Return the threshold of each label, (n_labels,), None if they are to be tuned.

    Raises ValueError if they are no probabilities, or of another number.
    """
    if isinstance(threshold, str):  # "tune", by the parameter constraints
        return None
    values = np.asarray(threshold, dtype=np.float64)
    if values.shape not in ((), (n_labels,)) or not ((values >= 0) & (values <= 1)).all():
        raise ValueError(
            f"{owner} expected threshold to be 'tune', or in 0..1 for all or each of {n_labels} "
            f"labels, got {threshold!r}."
        )
    return np.broadcast_to(values, n_labels).copy()


def tune_thresholds(
    probabilities: NDArray[np.float64], targets: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return the threshold of each label that promises the best F1, learnt from these images.

    `probabilities` (n, n_labels); `targets` (n, n_labels); returns (n_labels,) float64.

    The cut that is best for these very images is decided by the few that lie next to it, and for a
    label with twenty positives often worse on others than 0.5. Instead, a logistic curve through
    the scores of all images, begun at the identity and held near it where they say little [1]_,
    gives each the probability that it should have had. The threshold is where the F1 to be expected
    of these is best: at half of that F1 [2]_.
    """
    thresholds = np.full(probabilities.shape[1], 0.5)
    scores = logit(np.clip(probabilities, _CERTAIN, 1 - _CERTAIN))
    for column, score in enumerate(scores.T):
        known = ~np.isnan(targets[:, column])
        truth = targets[known, column] == 1
        if truth.all() or not truth.any():
            continue
        slope, offset = _logistic_curve(score[known], truth)
        p = np.sort(expit(slope * score[known] + offset))[::-1]
        expected_f1 = 2 * p.cumsum() / (np.arange(1, len(p) + 1) + p.sum())
        cut = logit(np.clip(expected_f1.max() / 2, _CERTAIN, 1 - _CERTAIN))
        thresholds[column] = expit((cut - offset) / slope)
    return thresholds


def _logistic_curve(scores: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[float, float]:
    """Return slope (above 0) and offset of the likeliest logistic curve through answers."""

    def surprise(line: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = line[0] * scores + line[1]
        error = expit(z) - truth
        distance = line - _IDENTITY
        loss = np.logaddexp(0, z).sum() - z[truth].sum() + distance @ distance / (2 * _FREEDOM)
        return loss, np.array([error @ scores, error.sum()]) + distance / _FREEDOM

    bounds = [(_LEAST_SLOPE, None), (None, None)]
    found = minimize(surprise, _IDENTITY, jac=True, method="L-BFGS-B", bounds=bounds)
    slope, offset = found.x.tolist()
    return slope, offset
