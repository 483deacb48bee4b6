"""The last loops of HOG, plain Python functions written to be compiled by numba.

Cell histograms in, block descriptors or pictures out. Imports nothing but NumPy; only
``_hog_kernel`` compiles and calls what is here. Each function is self-contained, because
numba's disk cache notices an edit in the function's own file only.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["draw_cell_pictures", "normalise_blocks"]

Array = npt.NDArray[Any]


def normalise_blocks(
    histograms: Array,
    orientations: int,
    block_height: int,
    block_width: int,
    norm: int,
    descriptors: Array,
) -> None:
    """Normalise every block of cells.

    Parameters
    ----------
    histograms : float32 array of shape (n, cell_rows, cells_per_row * orientations)
    orientations, block_height, block_width : int
    norm : int
        0 is L1, 1 is L1-sqrt, 2 is L2, 3 is L2-Hys.
    descriptors : float32 or float64 array of shape (n, block_rows * blocks_per_row * size)
        Filled; ``size`` is ``block_height * block_width * orientations``.
    """
    epsilon = 1e-5
    run = block_width * orientations  # neighbouring cells of one row lie side by side
    size = block_height * run
    cell_rows = histograms.shape[1]
    blocks_per_row = histograms.shape[2] // orientations - block_width + 1
    values = np.empty(blocks_per_row * size, np.float64)
    # Unsigned indices spare the test for negative ones in each step.
    one, two, three, four = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
    for i in range(histograms.shape[0]):
        for r in range(cell_rows - block_height + 1):
            at = np.uint64(0)
            for c in range(blocks_per_row):
                for a in range(block_height):
                    row = np.uint64(r + a)
                    source = np.uint64(c * orientations)
                    for _ in range(run):
                        values[at] = histograms[i, row, source]
                        at += one
                        source += one
            for turn in range(2 if norm == 3 else 1):
                for c in range(blocks_per_row):
                    # Four sums at a time: none has to wait for the last addition.
                    at = np.uint64(c * size)
                    sum0 = sum1 = sum2 = sum3 = 0.0
                    if norm < 2:
                        for _ in range(size // 4):
                            sum0 += values[at]
                            sum1 += values[at + one]
                            sum2 += values[at + two]
                            sum3 += values[at + three]
                            at += four
                        for _ in range(size % 4):
                            sum0 += values[at]
                            at += one
                        scale = 1.0 / ((sum0 + sum2) + (sum1 + sum3) + epsilon)
                    else:
                        for _ in range(size // 4):
                            sum0 += values[at] * values[at]
                            sum1 += values[at + one] * values[at + one]
                            sum2 += values[at + two] * values[at + two]
                            sum3 += values[at + three] * values[at + three]
                            at += four
                        for _ in range(size % 4):
                            sum0 += values[at] * values[at]
                            at += one
                        total = (sum0 + sum2) + (sum1 + sum3)
                        scale = 1.0 / math.sqrt(total + epsilon * epsilon)
                    at = np.uint64(c * size)
                    to = np.uint64((r * blocks_per_row + c) * size)
                    if norm == 3 and turn == 0:
                        for _ in range(size):
                            values[at] = min(values[at] * scale, 0.2)
                            at += one
                    elif norm == 1:
                        for _ in range(size):
                            descriptors[i, to] = math.sqrt(values[at] * scale)
                            at += one
                            to += one
                    else:
                        for _ in range(size):
                            descriptors[i, to] = values[at] * scale
                            at += one
                            to += one


def draw_cell_pictures(
    histograms: Array,
    orientations: int,
    row_ends: Array,
    column_ends: Array,
    pictures: Array,
) -> None:
    """Add a line for each cell and orientation, as bright as the histogram value.

    Parameters
    ----------
    histograms : float32 array of shape (n, cell_rows, cells_per_row * orientations)
    orientations : int
    row_ends : int64 array of shape (2, cell_rows, orientations)
        First and last row of each line.
    column_ends : int64 array of shape (2, cells_per_row, orientations)
    pictures : float32 or float64 array of shape (n, height, width)
        Zeros, to be filled.
    """
    for i in range(histograms.shape[0]):
        for r in range(histograms.shape[1]):
            for c in range(histograms.shape[2] // orientations):
                for o in range(orientations):
                    value = np.float64(histograms[i, r, c * orientations + o])
                    y = row_ends[0, r, o]
                    x = column_ends[0, c, o]
                    rise = abs(row_ends[1, r, o] - y)
                    go = abs(column_ends[1, c, o] - x)
                    step_y = 1 if row_ends[1, r, o] > y else -1
                    step_x = 1 if column_ends[1, c, o] > x else -1
                    # Bresenham: one pixel for each step along the longer side.
                    long_side = max(rise, go)
                    short_side = min(rise, go)
                    error = 2 * short_side - long_side
                    for _ in range(long_side + 1):
                        pictures[i, y, x] += value
                        if error >= 0 and long_side > 0:
                            if rise > go:
                                x += step_x
                            else:
                                y += step_y
                            error -= 2 * long_side
                        if rise > go:
                            y += step_y
                        else:
                            x += step_x
                        error += 2 * short_side
