"""Probabilities and what people voted in; how well the first say the second."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emotion_estimators.exceptions import counted
from emotion_estimators.metrics.class_prior import check_probabilities
from emotion_estimators.metrics.probabilities import draw_bounds
from emotion_estimators.validation import count_votes

__all__ = ["measure_votes"]

_EDGES = (0.4, 0.6, 0.8, 0.95)  # of the bins of the reliability, between 0 and 1
_N_BINS = len(_EDGES) + 1
_LEAST_IN_BIN = 30  # faces: the mean of their shares has a standard error of 0.05, or less


def measure_votes(
    votes: Any,
    probabilities: ArrayLike,
    classes: ArrayLike,
    *,
    n_bootstrap: int = 1000,
    random_state: int = 0,
) -> dict[str, Any]:
    """Return how well probabilities say what people voted, as numbers that JSON can hold.

    Parameters
    ----------
    votes : array-like or DataFrame of shape (n, n_classes)
        Counts or shares, in the order of `classes`; or a frame that has a column for each class,
        in any order, and may have ``contempt``, ``unknown`` and ``no_face``, as from
        `emotion_estimators.datasets.load_votes`.
    probabilities : array-like of shape (n, n_classes)
        As from ``predict_proba``, of any model.
    classes : array-like of shape (n_classes,)
        As ``classes_``.
    n_bootstrap : int, default=1000
        Test sets drawn with replacement, for the intervals.
    random_state : int, default=0
        Seed of these draws.

    Returns
    -------
    figures : dict
        ``n``, images with votes for one of the classes, of which are measured:
        ``share_error``, the mean over images and classes of the distance between probability and
        share of people, and ``share_errors``, the same by class; ``plurality_agreement``, how
        often the class predicted is the one with the most votes (where k classes have as many, it
        counts as 1/k if it is one of them);
        ``reliability``, for each of five bins by the probability of the class predicted (below
        0.4, 0.6, 0.8, 0.95, and above) that is not empty: ``n``, ``said``, the mean of that
        probability, and ``agreed``, the mean share of people who voted for that class;
        ``reliability_gap``, the mean over the images of the distance between the two in their
        bin, and ``largest_reliability_gap``, the largest in a bin of 30 images or more (None if
        there is none).
        ``n_majority``, images of which more than half of all votes, those for none of the classes
        included, are for one class, and ``majority_agreement``, how often that is the class
        predicted (None if there are none).
        ``bootstrap_95``, for each of these that is one number the bounds between which it lies in
        95 % of the draws.

    Raises
    ------
    ValueError
        If shapes or columns do not match, a vote is negative or not finite, the probabilities
        are none, or nobody voted for a class.

    Notes
    -----
    Shares of people are those of the votes for the classes: who said that there is no face, or
    that it shows none of them, counts in the majority only.

    Examples
    --------
    >>> from emotion_estimators.metrics import measure_votes
    >>> figures = measure_votes([[8, 2], [5, 5]], [[0.9, 0.1], [0.4, 0.6]], ["happy", "sad"])
    >>> round(figures["share_error"], 3), figures["n_majority"], figures["majority_agreement"]
    (0.1, 1, 1.0)
    """
    names = np.asarray(classes).tolist()
    proba = check_probabilities("measure_votes", probabilities).astype(np.float64)
    n, k = proba.shape
    if len(names) != k or len(set(names)) < k:
        raise ValueError(
            f"measure_votes expected {k} distinct classes, those of the columns of the "
            f"probabilities, got {names}."
        )
    counts, totals = count_votes(votes, names, n_samples=n, name="measure_votes")
    has_votes = counts.sum(axis=1) > 0
    if not has_votes.any():
        raise ValueError(f"measure_votes got no votes for a class in any of {counted(n, 'row')}.")
    counts, totals, proba = counts[has_votes], totals[has_votes], proba[has_votes]
    shares = counts / counts.sum(axis=1, keepdims=True)
    predicted, confidence = proba.argmax(axis=1), proba.max(axis=1)
    agreed = shares[np.arange(len(shares)), predicted]
    is_most = counts == counts.max(axis=1, keepdims=True)
    plurality = is_most[np.arange(len(shares)), predicted] / is_most.sum(axis=1)
    errors = np.abs(shares - proba)
    error = errors.mean(axis=1)
    gaps, bins = agreed - confidence, np.digitize(confidence, _EDGES)
    is_large = np.bincount(bins, minlength=_N_BINS) >= _LEAST_IN_BIN
    has_majority = counts.max(axis=1) > totals / 2
    is_right = (predicted == counts.argmax(axis=1))[has_majority]

    def figures(rows: NDArray[np.intp]) -> list[float]:
        n_in_bin = np.bincount(bins[rows], minlength=_N_BINS)
        sums = np.abs(np.bincount(bins[rows], weights=gaps[rows], minlength=_N_BINS))
        largest = (sums / np.maximum(n_in_bin, 1))[is_large].max(initial=0)
        means = [float(values[rows].mean()) for values in (error, plurality)]
        return [*means, float(sums.sum() / len(rows)), float(largest)]

    keys = ["share_error", "plurality_agreement", "reliability_gap", "largest_reliability_gap"]
    values: dict[str, Any] = dict(zip(keys, figures(np.arange(len(shares))), strict=True))
    bounds: list[Any] = draw_bounds(figures, len(shares), n_bootstrap, random_state)
    intervals = dict(zip(keys, bounds, strict=True))
    if not is_large.any():
        values["largest_reliability_gap"] = intervals["largest_reliability_gap"] = None
    values["majority_agreement"] = intervals["majority_agreement"] = None
    if len(is_right):
        values["majority_agreement"] = float(is_right.mean())
        (intervals["majority_agreement"],) = draw_bounds(
            lambda rows: [float(is_right[rows].mean())], len(is_right), n_bootstrap, random_state
        )
    return {
        "n": len(shares),
        "n_majority": len(is_right),
        **values,
        "bootstrap_95": intervals,
        "share_errors": dict(zip(names, errors.mean(axis=0).tolist(), strict=True)),
        "reliability": [
            {
                "n": int((bins == b).sum()),
                "said": float(confidence[bins == b].mean()),
                "agreed": float(agreed[bins == b].mean()),
            }
            for b in np.unique(bins)
        ],
    }
