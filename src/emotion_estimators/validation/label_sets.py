"""Label sets or an indicator matrix in; which image has which label out."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from emotion_estimators.exceptions import counted
from emotion_estimators.validation.masks import check_unmasked

__all__ = ["check_label_sets", "check_positives"]

_N_NAMED = 10  # rows named in a message


def check_label_sets(
    owner: str, y: Any, n_samples: int, labels: Any = None
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Return the labels, and which image has which of them.

    `y` (n_samples, n_labels); `labels` (n_labels,); returns (n_labels,) and (n_samples, n_labels)
    float32.

    Raises ValueError if y is None, of another length or shape, or holds anything else.
    """
    if y is None:
        raise ValueError(f"{owner} requires y to be passed, but the target y is None.")
    names = None if labels is None else _check_labels(owner, labels)
    if _are_label_sets(y):
        sets = [frozenset(item) for item in y]
        names, targets = _targets_of_sets(owner, sets, names)
    else:
        array = _as_array(owner, y)
        if array.ndim == 1:
            check_classification_targets(array)
            raise ValueError(
                f"{owner} expected y of shape (n_samples, n_labels) or a list of label sets, got "
                f"class labels as a 1d array of shape {array.shape}. Use [[label] for label in y] "
                "or y.reshape(-1, 1) where it holds 0 and 1. Only binary classification is "
                "supported, of each label by itself; the type of the target is "
                f"{type_of_target(array)}."
            )
        targets = _indicators(owner, array)
        if names is None:
            columns = getattr(y, "columns", None)
            names = np.arange(targets.shape[1]) if columns is None else np.asarray(columns)
            names = _check_labels(owner, names)
        if targets.shape[1] != len(names):
            raise ValueError(
                f"{owner} expected one column of y for each of {counted(len(names), 'label')}, got "
                f"{targets.shape[1]}."
            )
        if len(targets) and np.isnan(targets).all():
            raise ValueError(f"{owner} needs y with some known labels, got NaN only.")
    if len(targets) != n_samples:
        raise ValueError(
            f"{owner} expected labels for each image, got {counted(n_samples, 'image')} and labels "
            f"of {len(targets)}: inconsistent numbers of samples."
        )
    return names, targets


def check_positives(owner: str, y: Any) -> NDArray[np.bool_]:
    """Return which row is known to have which label, (n_samples, n_labels).

    Raises ValueError if y is None, of another shape, or holds anything else.
    """
    if y is None:
        raise ValueError(
            f"{owner} expected y to be an indicator matrix (n_samples, n_labels) to stratify by, "
            "got None. Use KFold or train_test_split to split without labels."
        )
    if _are_label_sets(y):
        sets = [frozenset(item) for item in y]
        labels = sorted(frozenset().union(*sets), key=lambda label: (str(type(label)), label))
        return np.array([[label in one for label in labels] for one in sets], dtype=bool)
    array = _as_array(owner, y)
    if array.ndim == 1:
        raise ValueError(
            f"{_expected(owner, f'an array of shape {array.shape}')} With one label for each "
            "sample, use StratifiedKFold or train_test_split(stratify=y)."
        )
    positives: NDArray[np.bool_] = _indicators(owner, array) == 1
    return positives


def _are_label_sets(y: Any) -> bool:
    """Tell label sets, and lists and tuples of strings, from rows of numbers."""
    if hasattr(y, "columns") or getattr(y, "ndim", 1) != 1 or not isinstance(y, Iterable):
        return False
    items = list(y)
    if any(isinstance(item, AbstractSet) for item in items):
        return True
    return bool(items) and all(
        isinstance(item, (list, tuple)) and all(isinstance(label, str) for label in item)
        for item in items
    )


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


def _as_array(owner: str, y: Any) -> NDArray[Any]:
    """Return y as an array, of any shape, with NaN in the place of None and of pandas' NA."""
    check_unmasked(owner, y=y)
    if hasattr(y, "toarray"):  # sparse indicators, as of MultiLabelBinarizer
        y = y.toarray()
    try:
        array = np.asarray(y)
    except ValueError as error:
        raise ValueError(_expected(owner, "rows of several lengths")) from error
    if array.dtype == object and "pandas" in sys.modules:
        return np.where(sys.modules["pandas"].isna(array), np.nan, array)
    return array


def _indicators(owner: str, array: NDArray[Any]) -> NDArray[np.float32]:
    """Return an array of 0, 1 and NaN, (n_samples, n_labels)."""
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(_expected(owner, f"an array of shape {array.shape}"))
    if np.iscomplexobj(array):
        raise ValueError(_expected(owner, "complex data not supported"))
    try:
        matrix = np.asarray(array, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(_expected(owner, f"{array.dtype} entries")) from error
    wrong = ~(np.isnan(matrix) | (matrix == 0) | (matrix == 1))
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        rows = np.flatnonzero(wrong.any(axis=1)).tolist()
        word = "infinity" if np.isinf(matrix[row, column]) else f"{matrix[row, column]:g}"
        raise ValueError(
            f"{owner} expected y to hold 0, 1 and NaN for unknown, got other values in rows "
            f"{_rows(rows)}: {word} in row {row}, column {column}."
        )
    return matrix


def _expected(owner: str, got: str) -> str:
    return (
        f"{owner} expected y of shape (n_samples, n_labels), with 0, 1 and NaN for unknown, or a "
        f"list of label sets (lists and tuples of strings, or sets), got {got}."
    )


def _rows(rows: Sequence[int]) -> str:
    return ", ".join(map(str, rows[:_N_NAMED])) + (", ..." if len(rows) > _N_NAMED else "")
