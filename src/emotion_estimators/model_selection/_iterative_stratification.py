"""Iterative stratification: an indicator matrix and part sizes in, the part of each row out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["stratify"]


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
