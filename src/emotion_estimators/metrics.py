"""Figures of a classifier on a test set, with bootstrap intervals; imports NumPy only.

For the command line and the scripts in ``examples``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["measure_probabilities"]

_N_BINS = 15  # of the calibration error


def measure_probabilities(
    y: ArrayLike,
    probabilities: ArrayLike,
    classes: ArrayLike,
    *,
    n_bootstrap: int = 1000,
    random_state: int = 0,
) -> dict[str, Any]:
    """Return figures of predicted probabilities, as numbers that JSON can hold.

    Parameters
    ----------
    y : array-like of shape (n,)
        True labels, all among `classes`.
    probabilities : array-like of shape (n, n_classes)
        As from ``predict_proba``.
    classes : array-like of shape (n_classes,)
        As ``classes_``: sorted.
    n_bootstrap : int, default=1000
        Test sets drawn with replacement, for the intervals.
    random_state : int, default=0
        Seed of these draws.

    Returns
    -------
    figures : dict
        ``n``; ``accuracy``, ``balanced_accuracy``, ``macro_f1`` and ``ece``, the expected
        calibration error over 15 bins of equal width, all in 0..1; ``bootstrap_95``, for each
        of these four the bounds between which it lies in 95 % of the draws; ``recall``, by
        class, None for classes that y does not hold; ``confusion``, rows of true classes,
        columns of predicted ones.

    Raises
    ------
    ValueError
        If shapes do not match, `classes` is not sorted, or y holds another label.

    Notes
    -----
    As in scikit-learn, balanced accuracy is the mean over the classes that y holds, and macro
    F1 over those that y or the predictions hold.

    References
    ----------
    .. [1] C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On Calibration of Modern Neural
       Networks", ICML 2017.

    Examples
    --------
    >>> from emotion_estimators.inspection import measure_probabilities
    >>> proba = [[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.3, 0.7]]
    >>> figures = measure_probabilities(["a", "a", "b", "b"], proba, ["a", "b"])
    >>> figures["accuracy"], figures["recall"], figures["confusion"]
    (0.75, {'a': 1.0, 'b': 0.5}, [[2, 0], [1, 1]])
    """
    y, probabilities, classes = np.asarray(y), np.asarray(probabilities), np.asarray(classes)
    if len(y) == 0 or probabilities.shape != (len(y), len(classes)):
        raise ValueError(
            "measure_probabilities expected y (n,), probabilities (n, n_classes) and classes "
            f"(n_classes,), n > 0, got {y.shape}, {probabilities.shape} and {classes.shape}."
        )
    strange = sorted(set(y.tolist()) - set(classes.tolist()), key=str)
    if strange or classes.tolist() != np.unique(classes).tolist():
        raise ValueError(
            "measure_probabilities expected sorted classes, and y among them, got classes "
            f"{classes.tolist()} and in y also {strange}."
        )
    k = len(classes)
    true, predicted = np.searchsorted(classes, y), probabilities.argmax(axis=1)
    pairs = true * k + predicted  # (n,)
    right, confidence = true == predicted, probabilities.max(axis=1)
    gaps = right - confidence.astype(np.float64)
    bins = np.minimum((confidence * _N_BINS).astype(np.intp), _N_BINS - 1)

    def figures(rows: NDArray[np.intp]) -> tuple[NDArray[np.intp], list[float]]:
        confusion = np.bincount(pairs[rows], minlength=k * k).reshape(k, k)
        gap = np.abs(np.bincount(bins[rows], weights=gaps[rows], minlength=_N_BINS)).sum()
        return confusion, [*_scores(confusion), float(gap / len(rows))]

    names = ["accuracy", "balanced_accuracy", "macro_f1", "ece"]
    confusion, values = figures(np.arange(len(y)))
    rng = np.random.default_rng(random_state)
    draws = [figures(rng.integers(len(y), size=len(y)))[1] for _ in range(n_bootstrap)]
    bounds = np.percentile(draws, [2.5, 97.5], axis=0).T if draws else np.full((4, 2), np.nan)
    counts = confusion.sum(axis=1).tolist()
    hits = confusion.diagonal().tolist()
    return {
        "n": len(y),
        **dict(zip(names, values, strict=True)),
        "bootstrap_95": dict(zip(names, bounds.tolist(), strict=True)),
        "recall": {
            name: hit / count if count else None
            for name, hit, count in zip(classes.tolist(), hits, counts, strict=True)
        },
        "confusion": confusion.tolist(),
    }


def _scores(confusion: NDArray[np.intp]) -> list[float]:
    """Return accuracy, balanced accuracy and macro F1."""
    hits = confusion.diagonal()
    n_true, n_predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    recall = hits[n_true > 0] / n_true[n_true > 0]
    n_either = n_true + n_predicted
    f1 = 2 * hits[n_either > 0] / n_either[n_either > 0]
    return [float(hits.sum() / confusion.sum()), float(recall.mean()), float(f1.mean())]
