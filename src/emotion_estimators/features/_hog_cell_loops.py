"""The first loops of HOG, plain Python functions written to be compiled by numba.

Images in, cell histograms out. Imports nothing but NumPy; only ``_hog_kernel`` compiles and
calls what is here. Each function is self-contained, because numba's disk cache notices an edit
in the function's own file only.

A *band* is one row of cells. Its pixels are worked on in scratch arrays that stay in the
first-level cache, in long flat loops which the compiler turns into vector instructions.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["histograms_of_float64", "histograms_of_uint8"]

Array = npt.NDArray[Any]


def histograms_of_uint8(
    images: Array,
    width: int,
    channels: int,
    cell_height: int,
    cell_width: int,
    orientations: int,
    edges: Array,
    histograms: Array,
) -> None:
    """Fill the cell histograms of integer images.

    Parameters
    ----------
    images : uint8 array of shape (n, height * width * channels)
    width, channels, cell_height, cell_width, orientations : int
    edges : float32 array of shape (2, 4 * k), k >= 1
        For each inner bin edge the integer direction (p, q) that is the first one behind it;
        NaN in unused places. All products are integers below 2**24, so float32 is exact.
    histograms : float32 array of shape (n, cell_rows, cells_per_row * orientations)
        Filled.
    """
    stride = width * channels  # values in a row
    height = images.shape[1] // stride
    cells_per_row = width // cell_width
    cell_rows = height // cell_height
    n_values = cell_height * stride
    n_pixels = cell_height * width
    area = np.float32(cell_height * cell_width)
    # One row above and below the band, one value before and behind it.
    padded = np.zeros(n_values + 2 * stride + 2, np.uint8)
    above = padded[1 : 1 + n_values]
    below = padded[1 + 2 * stride : 1 + 2 * stride + n_values]
    left = padded[1 + stride - channels : 1 + stride - channels + n_values]
    right = padded[1 + stride + channels : 1 + stride + channels + n_values]
    g_x = np.empty(n_pixels, np.float32)
    g_y = np.empty(n_pixels, np.float32)
    magnitude = np.empty(n_pixels, np.float64)
    first_bin = np.empty(n_pixels, np.int32)
    for x in range(n_pixels):
        first_bin[x] = ((x % width) // cell_width) * orientations
    target = np.empty(n_pixels, np.int32)
    colour = np.empty((3, n_values if channels > 1 else 0), np.float32)

    for i in range(images.shape[0]):
        image = images[i]
        for r in range(cell_rows):
            # The row outside the image is the row inside it mirrored: gradient 0 at the border.
            top = r * n_values
            start = top - stride if r > 0 else top
            stop = min(top + n_values + stride, height * stride)
            offset = 1 + stride - (top - start)
            window = padded[offset : offset + stop - start]
            source = image[start:stop]
            for x in range(stop - start):
                window[x] = source[x]
            if r == 0:
                inner = min(1, height - 1) * stride
                for x in range(stride):
                    padded[1 + x] = image[inner + x]
            if stop < top + n_values + stride:
                inner = max(height - 2, 0) * stride
                for x in range(stride):
                    padded[1 + stride + n_values + x] = image[inner + x]

            if channels == 1:
                for x in range(n_pixels):
                    g_x[x] = np.float32(np.int32(right[x]) - np.int32(left[x]))
                    g_y[x] = np.float32(np.int32(below[x]) - np.int32(above[x]))
            else:
                c_x = colour[0]
                c_y = colour[1]
                square = colour[2]
                for x in range(n_values):
                    u = np.float32(np.int32(right[x]) - np.int32(left[x]))
                    v = np.float32(np.int32(below[x]) - np.int32(above[x]))
                    c_x[x] = u
                    c_y[x] = v
                    square[x] = u * u + v * v
                for y in range(cell_height):
                    for edge in (y * stride, (y + 1) * stride - channels):
                        for x in range(edge, edge + channels):
                            c_x[x] = np.float32(0)
                            square[x] = c_y[x] * c_y[x]
                # The channel of the largest magnitude, the first of equals.
                doubtful = 0
                for x in range(n_pixels):
                    at = 3 * x
                    u = c_x[at]
                    v = c_y[at]
                    best = square[at]
                    for k in range(1, 3):
                        other = square[at + k]
                        product = abs(c_x[at + k] * c_y[at + k])
                        doubtful += other == best and product != abs(u * v)
                        better = other > best
                        u = c_x[at + k] if better else u
                        v = c_y[at + k] if better else v
                        best = other if better else best
                    g_x[x] = u
                    g_y[x] = v
                # Two ways to write a number as a sum of two squares: the reference compares
                # rounded square roots there, and hypot may round the two differently.
                if doubtful > 0:
                    for x in range(n_pixels):
                        at = 3 * x
                        best_root = -1.0
                        for k in range(3):
                            is_border = x % width == 0 or x % width == width - 1
                            u = np.float32(0) if is_border else c_x[at + k]
                            root = math.hypot(np.float64(u), np.float64(c_y[at + k]))
                            if root > best_root:
                                best_root = root
                                g_x[x] = u
                                g_y[x] = c_y[at + k]
            for y in range(cell_height):
                g_x[y * width] = np.float32(0)
                g_x[(y + 1) * width - 1] = np.float32(0)

            # Directions are unsigned: turn each into the upper half plane. It lies behind an
            # edge when it is to the left of the edge vector. The roots are taken in the same
            # loop as the first edges, since they keep another unit of the processor busy.
            p0, p1, p2, p3 = edges[0, 0], edges[0, 1], edges[0, 2], edges[0, 3]
            q0, q1, q2, q3 = edges[1, 0], edges[1, 1], edges[1, 2], edges[1, 3]
            for x in range(n_pixels):
                u = g_x[x]
                v = g_y[x]
                magnitude[x] = math.sqrt(np.float64(u * u + v * v))
                u = -u if v < np.float32(0) else u
                u = abs(u) if v == np.float32(0) else u
                v = abs(v)
                g_x[x] = u
                g_y[x] = v
                passed = np.int32(1) if p0 * v >= q0 * u else np.int32(0)
                passed += np.int32(1) if p1 * v >= q1 * u else np.int32(0)
                passed += np.int32(1) if p2 * v >= q2 * u else np.int32(0)
                passed += np.int32(1) if p3 * v >= q3 * u else np.int32(0)
                target[x] = first_bin[x] + passed
            for e in range(4, edges.shape[1], 4):
                p0, p1, p2, p3 = edges[0, e], edges[0, e + 1], edges[0, e + 2], edges[0, e + 3]
                q0, q1, q2, q3 = edges[1, e], edges[1, e + 1], edges[1, e + 2], edges[1, e + 3]
                for x in range(n_pixels):
                    u = g_x[x]
                    v = g_y[x]
                    passed = np.int32(1) if p0 * v >= q0 * u else np.int32(0)
                    passed += np.int32(1) if p1 * v >= q1 * u else np.int32(0)
                    passed += np.int32(1) if p2 * v >= q2 * u else np.int32(0)
                    passed += np.int32(1) if p3 * v >= q3 * u else np.int32(0)
                    target[x] += passed

            # Neighbouring steps go to different cells, so none waits for the sum before it;
            # within a cell the order is row by row, as the reference rounds in that order.
            histogram = histograms[i, r]
            for b in range(histogram.size):
                histogram[b] = np.float32(0)
            for y in range(cell_height):
                for x in range(cell_width):
                    at = np.uint64(y * width + x)
                    for _ in range(cells_per_row):
                        b = np.uint64(target[at])
                        histogram[b] = np.float32(np.float64(histogram[b]) + magnitude[at])
                        at += np.uint64(cell_width)
            for b in range(histogram.size):
                histogram[b] /= area


def histograms_of_float64(
    images: Array,
    width: int,
    channels: int,
    single: bool,
    cell_height: int,
    cell_width: int,
    orientations: int,
    edges: Array,
    first: int,
    near_bins: Array,
    near_vectors: Array,
    histograms: Array,
) -> tuple[int, int]:
    """Fill the cell histograms of float images, from the image ``first`` on.

    A gradient that points along a bin edge, up to rounding errors, is *near*: the reference's
    own rounding decides there, so the caller asks the reference's formula.

    Parameters
    ----------
    images : float64 array of shape (n, height * width * channels)
    width, channels : int
    single : bool
        The pixels are float32 numbers: round their differences as float32 does.
    cell_height, cell_width, orientations : int
    edges : float64 array of shape (3, orientations - 1)
        Cosine and sine of each inner bin edge, and 0 where both are exact up to a common
        factor, -1 elsewhere.
    first : int
    near_bins : int32 array of shape (m,)
        Bins of the near gradients of image ``first``, ``orientations`` for none; empty where
        they are not known yet.
    near_vectors : float64 array of shape (2, height * width)
        Filled with the near gradients, y and x, of the image that is returned.
    histograms : float32 array of shape (n, cell_rows, cells_per_row * orientations)
        Filled.

    Returns
    -------
    image, count : int
        The image that has ``count`` near gradients whose bins are needed, or n and 0.
    """
    stride = width * channels
    height = images.shape[1] // stride
    cells_per_row = width // cell_width
    cell_rows = height // cell_height
    n_pixels = cell_height * width
    area = np.float32(cell_height * cell_width)
    g_x = np.empty(n_pixels, np.float64)
    g_y = np.empty(n_pixels, np.float64)
    turned_x = np.empty(n_pixels, np.float64)
    turned_y = np.empty(n_pixels, np.float64)
    magnitude = np.empty(n_pixels, np.float64)
    distance = np.empty(n_pixels, np.float64)
    first_bin = np.empty(n_pixels, np.int32)
    for x in range(n_pixels):
        first_bin[x] = ((x % width) // cell_width) * orientations
    target = np.empty(n_pixels, np.int32)

    for i in range(first, images.shape[0]):
        image = images[i]
        known = i == first and near_bins.size > 0
        count = 0
        for r in range(cell_rows):
            for y in range(cell_height):
                row = r * cell_height + y
                is_inner = 0 < row < height - 1
                here = image[row * stride : (row + 1) * stride]
                # The same row twice at the border: gradient 0.
                above = image[(row - is_inner) * stride : (row - is_inner + 1) * stride]
                below = image[(row + is_inner) * stride : (row + is_inner + 1) * stride]
                to_x = g_x[y * width : (y + 1) * width]
                to_y = g_y[y * width : (y + 1) * width]
                if channels == 1:
                    for x in range(width):
                        to_y[x] = below[x] - above[x]
                    for x in range(1, width - 1):
                        to_x[x] = here[x + 1] - here[x - 1]
                    to_x[0] = 0.0
                    to_x[width - 1] = 0.0
                    if single:
                        # Rounding twice is harmless: 53 bits >= 2 * 24 + 2.
                        for x in range(width):
                            to_x[x] = np.float64(np.float32(to_x[x]))
                            to_y[x] = np.float64(np.float32(to_y[x]))
                else:
                    for x in range(width):
                        best = -1.0
                        best_root = -1.0
                        to_x[x] = 0.0
                        to_y[x] = 0.0
                        for k in range(3):
                            at = 3 * x + k
                            v = below[at] - above[at]
                            u = here[at + 3] - here[at - 3] if 0 < x < width - 1 else 0.0
                            if single:
                                u = np.float64(np.float32(u))
                                v = np.float64(np.float32(v))
                            square = u * u + v * v
                            better = square > best
                            # Near equals: compare as the reference does, after rounding.
                            if abs(square - best) <= (1e-6 if single else 1e-14) * best:
                                if single:
                                    root = np.float64(math.hypot(np.float32(u), np.float32(v)))
                                    best_root = np.float64(
                                        math.hypot(np.float32(to_x[x]), np.float32(to_y[x]))
                                    )
                                else:
                                    root = math.hypot(u, v)
                                    best_root = math.hypot(to_x[x], to_y[x])
                                better = root > best_root
                            if better:
                                best = square
                                to_x[x] = u
                                to_y[x] = v

            for x in range(n_pixels):
                u = g_x[x]
                v = g_y[x]
                magnitude[x] = math.sqrt(u * u + v * v)
                u = -u if v < 0.0 else u
                turned_x[x] = abs(u) if v == 0.0 else u
                turned_y[x] = abs(v)
                distance[x] = np.inf if v == 0.0 else abs(v)
                target[x] = first_bin[x]
            for e in range(edges.shape[1]):
                p = edges[0, e]
                q = edges[1, e]
                exact = edges[2, e]
                for x in range(n_pixels):
                    left_of = p * turned_y[x] - q * turned_x[x]
                    target[x] += np.int32(1) if left_of >= 0.0 else np.int32(0)
                    left_of = abs(left_of)
                    left_of = left_of if left_of > exact else np.inf
                    distance[x] = min(distance[x], left_of)
            # Some twenty times the rounding errors of arctan2 and the product above.
            near = 0
            for x in range(n_pixels):
                near += distance[x] < 1e-14 * magnitude[x]
            if near > 0:
                for x in range(n_pixels):
                    if distance[x] < 1e-14 * magnitude[x]:
                        if not known:
                            near_vectors[0, count] = g_y[x]
                            near_vectors[1, count] = g_x[x]
                        elif near_bins[count] < orientations:
                            target[x] = first_bin[x] + near_bins[count]
                        else:
                            magnitude[x] = 0.0
                        count += 1

            histogram = histograms[i, r]
            for b in range(histogram.size):
                histogram[b] = np.float32(0)
            for y in range(cell_height):
                for x in range(cell_width):
                    at = np.uint64(y * width + x)
                    for _ in range(cells_per_row):
                        b = np.uint64(target[at])
                        histogram[b] = np.float32(np.float64(histogram[b]) + magnitude[at])
                        at += np.uint64(cell_width)
            for b in range(histogram.size):
                histogram[b] /= area
        if count > 0 and not known:
            return i, count
    return images.shape[0], 0
