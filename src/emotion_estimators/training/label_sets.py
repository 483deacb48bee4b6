"""Targets of multi-label classifiers: indicator matrices and lists of label sets.

Imports NumPy, SciPy and scikit-learn only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from emotion_estimators.exceptions import counted
from emotion_estimators.model_selection._iterative_stratification import (
    are_label_sets,
    missing_as_nan,
)
from emotion_estimators.validation.masks import check_unmasked

__all__ = ["check_label_sets", "check_positive_weights", "tune_thresholds"]

_N_NAMED = 10  # rows named in a message
_CERTAIN = 1e-7  # what a probability of 0 is taken for, so that it has a finite score
_IDENTITY = np.array([1.0, 0.0])  # slope and offset of a curve that changes nothing
_FREEDOM = 10.0  # variance of both around it, before any image is seen
_LEAST_SLOPE = 0.05  # the order of probabilities is kept


def check_label_sets(
    owner: str, y: Any, n_samples: int, labels: Any = None
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Return the labels, and which image has which of them.

    `y` (n_samples, n_labels); `labels` (n_labels,); returns (n_labels,); returns (n_samples,
    n_labels) float32.

    Raises ValueError if y is None, of another length or shape, or holds anything else.
    """
    if y is None:
        raise ValueError(f"{owner} requires y to be passed, but the target y is None.")
    check_unmasked(owner, y=y)
    names = None if labels is None else _check_labels(owner, labels)
    if are_label_sets(y):
        sets = [frozenset(item) for item in y]
        names, targets = _targets_of_sets(owner, sets, names)
    else:
        columns = getattr(y, "columns", None)
        matrix = _as_matrix(owner, y)
        if names is None:
            names = np.arange(matrix.shape[1]) if columns is None else np.asarray(columns)
            names = _check_labels(owner, names)
        targets = _targets_of_matrix(owner, matrix, names)
    if len(targets) != n_samples:
        raise ValueError(
            f"{owner} expected labels for each image, got {counted(n_samples, 'image')} and labels "
            f"of {len(targets)}: inconsistent numbers of samples."
        )
    return names, targets


def check_positive_weights(
    owner: str, pos_weight: Any, targets: NDArray[np.float32], labels: NDArray[Any]
) -> NDArray[np.float32] | None:
    """Return the weight of the positives of each label, or None for 1.

    `pos_weight` (n_labels,); `targets` (n, n_labels); `labels` (n_labels,); returns (n_labels,)
    float32.

    Raises ValueError if weights are not positive, of another number, or of unknown labels.
    """
    if pos_weight is None:
        return None
    if isinstance(pos_weight, str):  # "balanced", by the parameter constraints
        positives, negatives = (targets == 1).sum(axis=0), (targets == 0).sum(axis=0)
        usable = (positives > 0) & (negatives > 0)
        return np.where(usable, negatives / np.maximum(positives, 1), 1).astype(np.float32)
    if isinstance(pos_weight, dict):
        unknown = [label for label in pos_weight if label not in labels.tolist()]
        if unknown:
            raise ValueError(
                f"{owner} got pos_weight for {unknown}, which are not among the labels "
                f"{labels.tolist()}."
            )
        weights = np.array([pos_weight.get(label, 1.0) for label in labels.tolist()])
    else:
        weights = np.asarray(pos_weight, dtype=np.float64)
    if (
        weights.shape not in ((), (len(labels),))
        or not (np.isfinite(weights) & (weights > 0)).all()
    ):
        raise ValueError(
            f"{owner} expected pos_weight to be 'balanced', a positive number, or one for each of "
            f"{len(labels)} labels, got {pos_weight!r}."
        )
    return np.broadcast_to(weights, len(labels)).astype(np.float32)


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


def _check_labels(owner: str, labels: Any) -> NDArray[Any]:
    given = list(labels)
    names = np.asarray(given)
    if names.ndim != 1 or len(names) == 0 or len(set(given)) < len(given):
        raise ValueError(f"{owner} expected labels to be distinct names, got {given!r}.")
    return names


def _targets_of_sets(
    owner: str, sets: Sequence[frozenset[Any]], names: NDArray[Any] | None
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    present = frozenset().union(*sets)
    if names is None:
        if not present:
            raise ValueError(f"{owner} got label sets that are all empty. Pass labels=[...].")
        try:
            names = np.asarray(sorted(present))
        except TypeError as error:
            raise ValueError(
                f"{owner} expected labels that can be sorted, all strings or all numbers, got "
                f"{sorted(map(repr, present))[:_N_NAMED]}."
            ) from error
    column = {label: i for i, label in enumerate(names.tolist())}
    unknown = sorted(map(repr, present - column.keys()))
    if unknown:
        rows = [row for row, one in enumerate(sets) if one - column.keys()]
        raise ValueError(
            f"{owner} got labels in rows {_rows(rows)} that are not among {names.tolist()}: "
            f"{', '.join(unknown[:_N_NAMED])}."
        )
    targets = np.zeros((len(sets), len(column)), dtype=np.float32)
    for row, one in enumerate(sets):
        targets[row, [column[label] for label in one]] = 1
    return names, targets


def _as_matrix(owner: str, y: Any) -> NDArray[np.float32]:
    if hasattr(y, "toarray"):  # sparse indicators, as of MultiLabelBinarizer
        y = y.toarray()
    try:
        array = np.asarray(y)
    except ValueError as error:  # rows of several lengths
        raise ValueError(_expected(owner, "rows of several lengths")) from error
    array = missing_as_nan(array)
    if array.ndim == 1:
        check_classification_targets(array)
        raise ValueError(
            f"{owner} expected y of shape (n_samples, n_labels) or a list of label sets, got class "
            f"labels as a 1d array of shape {array.shape}. Use [[label] for label in y] or "
            "y.reshape(-1, 1) where it holds 0 and 1. Only binary classification is supported, of "
            f"each label by itself; the type of the target is {type_of_target(array)}."
        )
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(_expected(owner, f"shape {array.shape}"))
    if np.iscomplexobj(array):
        raise ValueError(_expected(owner, "complex data not supported"))
    try:
        return np.asarray(array, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(_expected(owner, f"{array.dtype} entries")) from error


def _targets_of_matrix(
    owner: str, matrix: NDArray[np.float32], names: NDArray[Any]
) -> NDArray[np.float32]:
    if matrix.shape[1] != len(names):
        raise ValueError(
            f"{owner} expected one column of y for each of {counted(len(names), 'label')}, got "
            f"{matrix.shape[1]}."
        )
    wrong = ~(np.isnan(matrix) | (matrix == 0) | (matrix == 1))
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        rows = np.flatnonzero(wrong.any(axis=1)).tolist()
        word = "infinity" if np.isinf(matrix[row, column]) else f"{matrix[row, column]:g}"
        raise ValueError(
            f"{owner} expected y to hold 0, 1 and NaN for unknown, got other values in rows "
            f"{_rows(rows)}: {word} in row {row}, column {column}."
        )
    if len(matrix) and np.isnan(matrix).all():
        raise ValueError(f"{owner} needs y with some known labels, got NaN only.")
    return matrix


def _expected(owner: str, got: str) -> str:
    return (
        f"{owner} expected y of shape (n_samples, n_labels), with 0, 1 and NaN for unknown, or a "
        f"list of label sets (lists and tuples of strings, or sets), got {got}."
    )


def _rows(rows: Sequence[int]) -> str:
    return ", ".join(map(str, rows[:_N_NAMED])) + (", ..." if len(rows) > _N_NAMED else "")
