"""Probabilities and true labels in; calibration, precision where labels are unknown, intervals."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import average_precision_score, make_scorer
from sklearn.utils import check_consistent_length

from emotion_estimators._sklearn import Interval, constraints, validate_params
from emotion_estimators.validation.masks import check_unmasked

__all__ = [
    "draw_bounds",
    "expected_calibration_error",
    "macro_average_precision",
    "macro_average_precision_scorer",
    "measure_probabilities",
    "neg_expected_calibration_error_scorer",
]

_N_BINS = 15  # of the calibration error


@validate_params(
    {
        "y_true": ["array-like"],
        "y_proba": ["array-like"],
        "sample_weight": ["array-like", None],
        **constraints("labels"),
        "n_bins": [Interval(Integral, 1, None, closed="left")],
    },
    prefer_skip_nested_validation=True,
)
def expected_calibration_error(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    n_bins: int = _N_BINS,
) -> float:
    """Return by how much the probability of the predicted class misses the share of right ones.

    Samples are sorted into bins of equal width by the probability of the class predicted for
    them. The error is the mean over the bins, weighted by the samples in them, of the distance
    between accuracy and mean probability.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels.
    y_proba : array-like of shape (n_samples, n_classes) or (n_samples,)
        As from ``predict_proba``. One column, for two classes, is the probability of the second.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Weights of the samples.
    labels : array-like of shape (n_classes,) or None, default=None
        Names of the labels, in the order of the outputs. As ``classes_``, that is sorted; None
        takes the labels that `y_true` holds.
    n_bins : int, default=15
        Number of bins.

    Returns
    -------
    error : float
        In 0..1; 0 is best.

    Raises
    ------
    ValueError
        If shapes do not match, a value is no probability, `labels` is not sorted, or `y_true`
        holds another label.

    References
    ----------
    .. [1] C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On Calibration of Modern Neural
       Networks", ICML 2017.

    Examples
    --------
    >>> from emotion_estimators.metrics import expected_calibration_error
    >>> proba = [[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.3, 0.7]]
    >>> round(expected_calibration_error(["happy", "happy", "sad", "sad"], proba), 3)
    0.3
    """
    check_unmasked("expected_calibration_error", y_true=y_true, y_proba=y_proba)
    classes = np.unique(np.asarray(y_true)) if labels is None else np.asarray(labels)
    proba = np.asarray(y_proba)
    if proba.ndim == 1:
        proba = np.stack([1 - proba, proba], axis=1)
    if labels is None and proba.shape[-1] != len(classes):
        raise ValueError(
            f"expected_calibration_error got y_true of {len(classes)} classes and y_proba of "
            f"{proba.shape[-1]}: pass labels, the classes of all columns."
        )
    true, proba = _check_probabilities("expected_calibration_error", y_true, proba, classes)
    check_consistent_length(true, sample_weight)
    weights = np.ones(len(true)) if sample_weight is None else np.asarray(sample_weight, float)
    gaps, bins = _calibration_gaps(true, proba, n_bins)
    return _sum_of_gaps(gaps * weights, bins, n_bins) / float(weights.sum())


@validate_params(
    {"y_true": ["array-like"], "y_score": ["array-like"], "sample_weight": ["array-like", None]},
    prefer_skip_nested_validation=True,
)
def macro_average_precision(
    y_true: ArrayLike, y_score: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Return the mean average precision over labels, of the samples for which each is known.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, n_labels)
        1 where a sample has the label, 0 where it has not, NaN where that is unknown.
    y_score : array-like of shape (n_samples, n_labels)
        As from ``decision_function`` or ``predict_proba``.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Weights of the samples.

    Returns
    -------
    precision : float
        In 0..1; 1 is best. Labels that no sample is known to have are left out; NaN if there is
        no other.

    Raises
    ------
    ValueError
        If shapes do not match, a target is none of 0, 1 and NaN, or a score is not finite.

    Warns
    -----
    UndefinedMetricWarning
        If no label is known of any sample.

    See Also
    --------
    sklearn.metrics.average_precision_score : The same where all labels are known.

    Examples
    --------
    >>> import numpy as np
    >>> from emotion_estimators.metrics import macro_average_precision
    >>> Y = [[1, 0], [0, np.nan], [1, 1]]
    >>> macro_average_precision(Y, [[0.9, 0.2], [0.1, 0.8], [0.7, 0.6]])
    1.0
    """
    check_unmasked("macro_average_precision", y_true=y_true, y_score=y_score)
    try:
        targets = np.asarray(y_true, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"macro_average_precision expected y_true of 0, 1 and NaN, got other values ({error})."
        ) from error
    scores = np.asarray(y_score)
    if targets.ndim != 2 or targets.shape != scores.shape or len(targets) == 0:
        raise ValueError(
            "macro_average_precision expected y_true and y_score (n_samples, n_labels), "
            f"n_samples > 0, got {targets.shape} and {scores.shape}."
        )
    check_consistent_length(targets, sample_weight)
    known = ~np.isnan(targets)  # (n_samples, n_labels)
    if not np.isin(targets[known], (0, 1)).all() or not np.isfinite(scores).all():
        raise ValueError(
            "macro_average_precision expected y_true of 0, 1 and NaN, and finite scores."
        )
    weights = None if sample_weight is None else np.asarray(sample_weight)
    values = [
        average_precision_score(
            target[is_known],
            score[is_known],
            sample_weight=None if weights is None else weights[is_known],
        )
        for target, score, is_known in zip(targets.T, scores.T, known.T, strict=True)
        if (target == 1).any()
    ]
    if values:
        return float(np.mean(values))
    warnings.warn(
        "macro_average_precision is undefined: no sample is known to have a label.",
        UndefinedMetricWarning,
        stacklevel=2,
    )
    return float("nan")


neg_expected_calibration_error_scorer = make_scorer(
    expected_calibration_error, greater_is_better=False, response_method="predict_proba"
)
# of two labels scikit-learn's scorers pass the second column only of predict_proba
macro_average_precision_scorer = make_scorer(
    macro_average_precision, response_method=("decision_function", "predict_proba")
)


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
        columns of predicted ones; ``reliability``, for each of the 15 bins that holds samples a
        dict of its bounds ``low`` and ``high``, of their number ``n``, of the mean probability
        of the predicted class, ``confidence``, and of the share of right ones, ``accuracy``.

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
    >>> from emotion_estimators.metrics import measure_probabilities
    >>> proba = [[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.3, 0.7]]
    >>> figures = measure_probabilities(["a", "a", "b", "b"], proba, ["a", "b"])
    >>> figures["accuracy"], figures["recall"], figures["confusion"]
    (0.75, {'a': 1.0, 'b': 0.5}, [[2, 0], [1, 1]])
    """
    true, proba = _check_probabilities("measure_probabilities", y, probabilities, classes)
    classes = np.asarray(classes)
    k = len(classes)
    pairs = true * k + proba.argmax(axis=1)  # (n,)
    gaps, bins = _calibration_gaps(true, proba, _N_BINS)

    def count(rows: NDArray[np.intp]) -> NDArray[np.intp]:
        return np.bincount(pairs[rows], minlength=k * k).reshape(k, k)

    def figures(rows: NDArray[np.intp]) -> list[float]:
        gap = _sum_of_gaps(gaps[rows], bins[rows], _N_BINS) / len(rows)
        return [*_scores(count(rows)), gap]

    names = ["accuracy", "balanced_accuracy", "macro_f1", "ece"]
    every = np.arange(len(true))
    confusion, values = count(every), figures(every)
    bounds = draw_bounds(figures, len(true), n_bootstrap, random_state)
    counts = confusion.sum(axis=1).tolist()
    hits = confusion.diagonal().tolist()
    return {
        "n": len(true),
        **dict(zip(names, values, strict=True)),
        "bootstrap_95": dict(zip(names, bounds, strict=True)),
        "recall": {
            name: hit / count if count else None
            for name, hit, count in zip(classes.tolist(), hits, counts, strict=True)
        },
        "confusion": confusion.tolist(),
        "reliability": _reliability(gaps, bins, proba.max(axis=1)),
    }


def _reliability(
    gaps: NDArray[np.float64], bins: NDArray[np.intp], confidence: NDArray[Any]
) -> list[dict[str, float]]:
    """Return what each bin holds, of `gaps`, `bins` and `confidence` (n,)."""
    told = []
    for number in np.unique(bins).tolist():
        inside = bins == number
        mean = float(confidence[inside].mean(dtype=np.float64))
        told.append(
            {
                "low": number / _N_BINS,
                "high": (number + 1) / _N_BINS,
                "n": int(inside.sum()),
                "confidence": mean,
                "accuracy": mean + float(gaps[inside].mean()),
            }
        )
    return told


def _scores(confusion: NDArray[np.intp]) -> list[float]:
    """Return accuracy, balanced accuracy and macro F1."""
    hits = confusion.diagonal()
    n_true, n_predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    recall = hits[n_true > 0] / n_true[n_true > 0]
    n_either = n_true + n_predicted
    f1 = 2 * hits[n_either > 0] / n_either[n_either > 0]
    return [float(hits.sum() / confusion.sum()), float(recall.mean()), float(f1.mean())]


def _check_probabilities(
    owner: str, y: ArrayLike, probabilities: ArrayLike, classes: ArrayLike
) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """Return the column of each true label, (n,), and the probabilities, (n, n_classes)."""
    check_unmasked(owner, y=y, probabilities=probabilities)
    y, probabilities, classes = np.asarray(y), np.asarray(probabilities), np.asarray(classes)
    if len(y) == 0 or probabilities.shape != (len(y), len(classes)):
        raise ValueError(
            f"{owner} expected y (n,), probabilities (n, n_classes) and classes (n_classes,), "
            f"n > 0, got {y.shape}, {probabilities.shape} and {classes.shape}."
        )
    unknown = sorted(set(y.tolist()) - set(classes.tolist()), key=str)
    if unknown or classes.tolist() != np.unique(classes).tolist():
        raise ValueError(
            f"{owner} expected sorted classes, and y among them, got classes {classes.tolist()} "
            f"and in y also {unknown}."
        )
    if not ((probabilities >= 0) & (probabilities <= 1)).all():  # NaN too
        raise ValueError(f"{owner} expected probabilities, which are in 0..1, got others.")
    return np.searchsorted(classes, y), probabilities


def _calibration_gaps(
    true: NDArray[np.intp], probabilities: NDArray[Any], n_bins: int
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return right or not less the probability of the predicted class, and its bin, both (n,)."""
    confidence = probabilities.max(axis=1)
    is_right = true == probabilities.argmax(axis=1)
    bins = np.minimum((confidence * n_bins).astype(np.intp), n_bins - 1)
    return is_right - confidence.astype(np.float64), bins


def draw_bounds(
    figures: Callable[[NDArray[np.intp]], list[float]], n: int, n_bootstrap: int, random_state: int
) -> list[list[float]]:
    """Return for each figure the bounds between which it lies in 95 % of the draws of n rows."""
    rng = np.random.default_rng(random_state)
    draws = [figures(rng.integers(n, size=n)) for _ in range(n_bootstrap)]
    if not draws:
        return [[np.nan, np.nan] for _ in figures(np.arange(n))]
    bounds: list[list[float]] = np.percentile(draws, [2.5, 97.5], axis=0).T.tolist()
    return bounds


def _sum_of_gaps(gaps: NDArray[np.float64], bins: NDArray[np.intp], n_bins: int) -> float:
    """Return the sum over the bins of the size of the gap of each."""
    return float(np.abs(np.bincount(bins, weights=gaps, minlength=n_bins)).sum())
