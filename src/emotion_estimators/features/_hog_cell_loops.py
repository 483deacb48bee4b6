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
    cotangents: Array,
    histograms: Array,
) -> None:
    """Fill the cell histograms of integer images.

    Parameters
    ----------
    images : uint8 array of shape (n, height * width * channels)
    width, channels, cell_height, cell_width, orientations : int
        One channel or three.
    cotangents : float32 array of shape (4 * k,), k >= 1
        Of the inner bin edges: a gradient (x, y) with y > 0 lies behind an edge if
        ``x <= cotangent * y``. NaN in unused places.
    histograms : float32 array of shape (n, cell_rows, cells_per_row * orientations)
        Filled.
    """
    height = images.shape[1] // (width * channels)
    cells_per_row = width // cell_width
    cell_rows = height // cell_height
    n_pixels = cell_height * width
    area = np.float32(cell_height * cell_width)
    # A band of one channel, with a row above and below, one value before and behind.
    padded = np.zeros(n_pixels + 2 * width + 2, np.uint8)
    above = padded[1 : 1 + n_pixels]
    below = padded[1 + 2 * width : 1 + 2 * width + n_pixels]
    left = padded[width : width + n_pixels]
    right = padded[2 + width : 2 + width + n_pixels]
    chosen_x = np.empty(n_pixels, np.float32)
    chosen_y = np.empty(n_pixels, np.float32)
    other_x = np.empty(n_pixels, np.float32)
    other_y = np.empty(n_pixels, np.float32)
    magnitude = np.empty(n_pixels, np.float64)
    first_bin = np.empty(n_pixels, np.int32)
    for x in range(n_pixels):
        first_bin[x] = ((x % width) // cell_width) * orientations
    target = np.empty(n_pixels, np.int32)

    for i in range(images.shape[0]):
        image = images[i]
        for r in range(cell_rows):
            first_row = r * cell_height
            if channels > 1:
                magnitude[:] = 0.0  # a NaN will mark the doubtful ones
            doubtful = 0
            # Outside the image stands the second row from its border: gradient 0 there.
            start = max(first_row - 1, 0)
            stop = min(first_row + cell_height + 1, height)
            outer_above = min(1, height - 1)
            outer_below = max(height - 2, 0)
            for k in range(channels):
                inner = padded[1 + (start - first_row + 1) * width :]
                source = image[start * width * channels + k : stop * width * channels]
                if channels == 1:
                    for x in range((stop - start) * width):
                        inner[x] = source[x]
                else:
                    for x in range((stop - start) * width):
                        inner[x] = source[3 * x]
                if start == first_row:
                    source = image[outer_above * width * channels + k :]
                    for x in range(width):
                        padded[1 + x] = source[channels * x]
                if stop < first_row + cell_height + 1:
                    source = image[outer_below * width * channels + k :]
                    for x in range(width):
                        padded[1 + n_pixels + width + x] = source[channels * x]
                # Written twice: a choice of arrays outside the loop costs a tenth of the time.
                if k == 0:
                    for x in range(n_pixels):
                        chosen_x[x] = np.float32(right[x]) - np.float32(left[x])
                        chosen_y[x] = np.float32(below[x]) - np.float32(above[x])
                else:
                    for x in range(n_pixels):
                        other_x[x] = np.float32(right[x]) - np.float32(left[x])
                        other_y[x] = np.float32(below[x]) - np.float32(above[x])
                for y in range(cell_height):
                    for x in (y * width, (y + 1) * width - 1):
                        other_x[x] = np.float32(0)
                        if k == 0:
                            chosen_x[x] = np.float32(0)
                if k > 0:
                    # The channel of the largest magnitude counts, the first of equals.
                    for x in range(n_pixels):
                        u = other_x[x]
                        v = other_y[x]
                        best_u = chosen_x[x]
                        best_v = chosen_y[x]
                        square = u * u + v * v
                        best = best_u * best_u + best_v * best_v
                        is_doubtful = square == best and abs(u * v) != abs(best_u * best_v)
                        doubtful += is_doubtful
                        magnitude[x] = np.nan if is_doubtful else magnitude[x]
                        chosen_x[x] = u if square > best else best_u
                        chosen_y[x] = v if square > best else best_v
            # Different sums of two squares that are equal, 49 + 1 and 25 + 25: the reference
            # compares rounded roots, and hypot may round the two differently.
            if doubtful > 0:
                for x in range(n_pixels):
                    if magnitude[x] >= 0.0:
                        continue
                    at = (first_row * width + x) * 3
                    row = first_row + x // width
                    best_root = -1.0
                    for k in range(3):
                        u = np.float32(0)
                        v = np.float32(0)
                        if 0 < x % width < width - 1:
                            u = np.float32(
                                np.int32(image[at + 3 + k]) - np.int32(image[at - 3 + k])
                            )
                        if 0 < row < height - 1:
                            step = 3 * width
                            v = np.float32(image[at + step + k])
                            v -= np.float32(image[at - step + k])
                        root = math.hypot(np.float64(u), np.float64(v))
                        if root > best_root:
                            best_root = root
                            chosen_x[x] = u
                            chosen_y[x] = v

            # Directions are unsigned: turn each into the upper half plane. The roots are taken
            # in the same loop as the first edges: they keep another unit of the processor busy.
            cot0, cot1, cot2, cot3 = cotangents[0], cotangents[1], cotangents[2], cotangents[3]
            for x in range(n_pixels):
                u = chosen_x[x]
                v = chosen_y[x]
                magnitude[x] = math.sqrt(np.float64(u * u + v * v))
                u = -u if v < np.float32(0) else u
                u = abs(u) if v == np.float32(0) else u
                v = abs(v)
                chosen_x[x] = u
                chosen_y[x] = v
                passed = np.int32(1) if u <= cot0 * v else np.int32(0)
                passed += np.int32(1) if u <= cot1 * v else np.int32(0)
                passed += np.int32(1) if u <= cot2 * v else np.int32(0)
                passed += np.int32(1) if u <= cot3 * v else np.int32(0)
                target[x] = first_bin[x] + passed
            for e in range(4, cotangents.size, 4):
                cot0, cot1 = cotangents[e], cotangents[e + 1]
                cot2, cot3 = cotangents[e + 2], cotangents[e + 3]
                for x in range(n_pixels):
                    u = chosen_x[x]
                    v = chosen_y[x]
                    passed = np.int32(1) if u <= cot0 * v else np.int32(0)
                    passed += np.int32(1) if u <= cot1 * v else np.int32(0)
                    passed += np.int32(1) if u <= cot2 * v else np.int32(0)
                    passed += np.int32(1) if u <= cot3 * v else np.int32(0)
                    target[x] += passed

            # Neighbouring steps go to different cells, so none waits for the sum before it;
            # within a cell the order is row by row, as the reference rounds in that order.
            histogram = histograms[i, r]
            for b in range(histogram.size):
                histogram[b] = np.float32(0)
            for y in range(cell_height):
                for x in range(cell_width):
                    pixel = np.uint64(y * width + x)  # unsigned: no test for negative ones
                    for _ in range(cells_per_row):
                        to = np.uint64(target[pixel])
                        histogram[to] = np.float32(np.float64(histogram[to]) + magnitude[pixel])
                        pixel += np.uint64(cell_width)
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
        One channel or three.
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
    height = images.shape[1] // (width * channels)
    step = width * channels
    cells_per_row = width // cell_width
    cell_rows = height // cell_height
    n_pixels = cell_height * width
    area = np.float32(cell_height * cell_width)
    # Relative: what float32 roots cannot tell apart, and some ten roundings of float64.
    doubt = 1e-6 if single else 1e-14
    chosen_x = np.empty(n_pixels, np.float64)
    chosen_y = np.empty(n_pixels, np.float64)
    other_x = np.empty(n_pixels, np.float64)
    other_y = np.empty(n_pixels, np.float64)
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
            first_row = r * cell_height
            for k in range(channels):
                g_x = chosen_x if k == 0 else other_x
                g_y = chosen_y if k == 0 else other_y
                for y in range(cell_height):
                    row = first_row + y
                    here = image[row * step + k : (row + 1) * step]
                    # The same row twice at the border: gradient 0.
                    reach = step if 0 < row < height - 1 else 0
                    above = image[row * step + k - reach : (row + 1) * step - reach]
                    below = image[row * step + k + reach : (row + 1) * step + reach]
                    to_x = g_x[y * width : (y + 1) * width]
                    to_y = g_y[y * width : (y + 1) * width]
                    if channels == 1:
                        for x in range(width):
                            to_y[x] = below[x] - above[x]
                        for x in range(1, width - 1):
                            to_x[x] = here[x + 1] - here[x - 1]
                    else:
                        for x in range(width):
                            to_y[x] = below[3 * x] - above[3 * x]
                        for x in range(1, width - 1):
                            to_x[x] = here[3 * x + 3] - here[3 * x - 3]
                    to_x[0] = 0.0
                    to_x[width - 1] = 0.0
                if single:
                    # Rounding twice is harmless: 53 bits >= 2 * 24 + 2.
                    for x in range(n_pixels):
                        g_x[x] = np.float64(np.float32(g_x[x]))
                        g_y[x] = np.float64(np.float32(g_y[x]))
                if k > 0:
                    # The channel of the largest magnitude counts, the first of equals.
                    doubtful = 0
                    for x in range(n_pixels):
                        u = other_x[x]
                        v = other_y[x]
                        best_u = chosen_x[x]
                        best_v = chosen_y[x]
                        square = u * u + v * v
                        best = best_u * best_u + best_v * best_v
                        is_near = abs(square - best) <= doubt * best
                        is_other = u != best_u or v != best_v
                        doubtful += is_near and is_other
                        # Undecided ones are marked by a NaN, their values are still in other.
                        distance[x] = np.nan if is_near and is_other else 0.0
                        chosen_x[x] = u if square > best and not is_near else best_u
                        chosen_y[x] = v if square > best and not is_near else best_v
                    if doubtful > 0:
                        for x in range(n_pixels):
                            if distance[x] == 0.0:
                                continue
                            # The reference compares rounded roots.
                            if single:
                                root = np.float64(
                                    math.hypot(np.float32(other_x[x]), np.float32(other_y[x]))
                                )
                                best = np.float64(
                                    math.hypot(np.float32(chosen_x[x]), np.float32(chosen_y[x]))
                                )
                            else:
                                root = np.float64(math.hypot(other_x[x], other_y[x]))
                                best = np.float64(math.hypot(chosen_x[x], chosen_y[x]))
                            if root > best:
                                chosen_x[x] = other_x[x]
                                chosen_y[x] = other_y[x]

            for x in range(n_pixels):
                u = chosen_x[x]
                v = chosen_y[x]
                magnitude[x] = math.sqrt(u * u + v * v)
                u = -u if v < 0.0 else u
                other_x[x] = abs(u) if v == 0.0 else u
                other_y[x] = abs(v)
                distance[x] = np.inf if v == 0.0 else abs(v)
                target[x] = first_bin[x]
            for e in range(edges.shape[1]):
                p = edges[0, e]
                q = edges[1, e]
                exact = edges[2, e]
                for x in range(n_pixels):
                    left_of = p * other_y[x] - q * other_x[x]
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
                            near_vectors[0, count] = chosen_y[x]
                            near_vectors[1, count] = chosen_x[x]
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
                    pixel = np.uint64(y * width + x)
                    for _ in range(cells_per_row):
                        to = np.uint64(target[pixel])
                        histogram[to] = np.float32(np.float64(histogram[to]) + magnitude[pixel])
                        pixel += np.uint64(cell_width)
            for b in range(histogram.size):
                histogram[b] /= area
        if count > 0 and not known:
            return i, count
    return images.shape[0], 0
