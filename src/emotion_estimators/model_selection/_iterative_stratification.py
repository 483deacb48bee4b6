"""Iterative stratification: an indicator matrix and part sizes in, the part of each row out."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["are_label_sets", "as_positives", "missing_as_nan", "stratify"]


def are_label_sets(y: Any) -> bool:
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


def missing_as_nan(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array with NaN in the place of None and of pandas' NA, which is no number."""
    if array.dtype == object and "pandas" in sys.modules:
        return np.where(sys.modules["pandas"].isna(array), np.nan, array)
    return array


def as_positives(owner: str, y: Any) -> NDArray[np.bool_]:
    """Return which row has which label, (n_samples, n_labels), or say why y does not tell."""
    if y is None:
        raise ValueError(
            f"{owner} expected y to be an indicator matrix (n_samples, n_labels) to stratify by, "
            "got None. Use KFold or train_test_split to split without labels."
        )
    if are_label_sets(y):
        sets = [frozenset(item) for item in y]
        labels = sorted(frozenset().union(*sets), key=lambda label: (str(type(label)), label))
        return np.array([[label in one for label in labels] for one in sets], dtype=bool)
    if hasattr(y, "toarray"):  # sparse, of SciPy
        y = y.toarray()
    try:
        indicator = np.asarray(y)
    except ValueError:  # sets of labels of different sizes
        indicator = np.empty(0, dtype=object)
    if indicator.ndim != 2 or not indicator.shape[1]:
        raise ValueError(
            f"{owner} expected y to be an indicator matrix (n_samples, n_labels) or label sets, "
            f"got {_what(y, indicator)}. With one label for each sample, use StratifiedKFold or "
            "train_test_split(stratify=y)."
        )
    try:
        numbers = missing_as_nan(indicator).astype(np.float64)
    except (TypeError, ValueError):
        numbers = np.full(indicator.shape, 2.0)  # names are no numbers: row 0 is at fault
    wrong = np.flatnonzero(~((numbers == 0.0) | (numbers == 1.0) | np.isnan(numbers)).all(axis=1))
    if wrong.size:
        shown = ", ".join(map(str, wrong[:10].tolist())) + (", ..." if wrong.size > 10 else "")
        raise ValueError(
            f"{owner} expected y to hold 0, 1 and NaN (unknown) only, got other values in "
            f"{wrong.size} of {len(indicator)} rows: {shown}."
        )
    positives: NDArray[np.bool_] = numbers == 1.0
    return positives


def _what(y: Any, indicator: NDArray[Any]) -> str:
    if indicator.dtype == object and indicator.ndim < 2:
        return f"a {type(y).__name__} of something else"
    return f"an array of shape {indicator.shape}"


def stratify(
    positives: NDArray[np.bool_],
    sizes: Sequence[int],
    random: np.random.RandomState | None = None,
) -> NDArray[np.intp]:
    """Return the part of each row, so that every part has its share of every label.

    `positives` (n_samples, n_labels) bool; returns (n_samples,) intp.
    """
    n_samples, n_labels = positives.shape
    order = np.arange(n_samples) if random is None else random.permutation(n_samples)
    shuffled = positives[order]
    ranks = list(range(len(sizes))) if random is None else random.permutation(len(sizes)).tolist()
    # Plain lists: a row touches a few numbers of a few parts, for which NumPy's calls are slow.
    room = list(sizes)
    totals = shuffled.sum(axis=0)
    wanted = [(totals * (size / n_samples)).tolist() for size in sizes]  # (n_parts, n_labels)
    starts, columns = _rows_of_ones(shuffled)
    parts = np.full(n_samples, -1, dtype=np.intp)
    left = totals.copy()
    for _ in range(n_labels):
        left[left == 0] = n_samples + 1
        label = int(left.argmin())
        if left[label] > n_samples:
            break
        for row in np.flatnonzero((parts < 0) & shuffled[:, label]).tolist():
            # Differs from the paper: a full part takes no more, so that sizes are exact; and
            # parts that want alike are in one random order, not in a new one for each row.
            part = -1
            for rival in ranks:
                if room[rival] and (
                    part < 0
                    or (wanted[rival][label], room[rival]) > (wanted[part][label], room[part])
                ):
                    part = rival
            parts[row] = part
            room[part] -= 1
            wants = wanted[part]
            for column in columns[starts[row] : starts[row + 1]]:
                wants[column] -= 1.0
        left = shuffled[parts < 0].sum(axis=0)
    for row in np.flatnonzero(parts < 0).tolist():  # no label at all
        part = max(ranks, key=room.__getitem__)
        parts[row] = part
        room[part] -= 1
    out = np.empty_like(parts)
    out[order] = parts
    return out


def _rows_of_ones(matrix: NDArray[np.bool_]) -> tuple[list[int], list[int]]:
    """Return, row after row, the columns that are True, and where each row begins."""
    rows, columns = np.nonzero(matrix)
    starts = np.searchsorted(rows, np.arange(len(matrix) + 1))
    return starts.tolist(), columns.tolist()
