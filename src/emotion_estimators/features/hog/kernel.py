"""HOG of uint8 and float images, equal to scikit-image's, many times faster.

Arrays in, arrays out. The loops are C, in ``loops.c`` and what it includes;
``library`` loads them at first use. Imports NumPy and that module; only
``hog_transformer`` calls it, which checks the parameters: positive integers, and blocks that
fit into the images.

The reference is :func:`skimage.feature.hog`. What is copied from it: gradients are 0 at the
border; the channel of the largest magnitude counts, the first of equals; bin edges
are multiples of ``180 / orientations`` as float64 rounds them; a direction that ``angle % 180``
rounds to exactly 180 is dropped; a cell is summed in float32, row by row; pixels right of and
below the last whole cell only count as neighbours. Descriptors agree to some 1e-15 therefore.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from emotion_estimators.features.hog.library import address_of, load_hog_loops

__all__ = ["hog_descriptors", "hog_feature_shape", "hog_pictures"]

Array = npt.NDArray[Any]

_NORMS = {"L1": 0, "L1-sqrt": 1, "L2": 2, "L2-Hys": 3}
# Of the pixels and of the histograms that a thread works on at once: bounds memory, fits the
# caches. Smaller chunks call the loops more often, which takes microseconds each time.
_CHUNK_BYTES = 2**20
_THREAD_BYTES = 2**19  # of images: to start a thread for fewer takes longer than it saves


def hog_feature_shape(
    image_shape: tuple[int, ...],
    *,
    orientations: int = 9,
    pixels_per_cell: tuple[int, int] = (8, 8),
    cells_per_block: tuple[int, int] = (3, 3),
) -> tuple[int, int, int, int, int]:
    """Return the shape of an image's descriptor before it is flattened."""
    height, width = image_shape[:2]
    cells = height // pixels_per_cell[0], width // pixels_per_cell[1]
    blocks = cells[0] - cells_per_block[0] + 1, cells[1] - cells_per_block[1] + 1
    return (*blocks, cells_per_block[0], cells_per_block[1], orientations)


def hog_descriptors(
    images: Array,
    *,
    orientations: int = 9,
    pixels_per_cell: tuple[int, int] = (8, 8),
    cells_per_block: tuple[int, int] = (3, 3),
    block_norm: str = "L2-Hys",
    transform_sqrt: bool = False,
    dtype: npt.DTypeLike | None = None,
    n_threads: int = 1,
    out: Array | None = None,
) -> Array:
    """Describe images by histograms of oriented gradients.

    `images` (n, height, width) or (n, height, width, 3), uint8, float32 or float64; `out` and what
    is returned (n, n_features), of `dtype`: None is float32 for float32 images, else float64.

    Raises ValueError if the shape or dtype of an array is not as above.

    Beside images and result each thread holds one chunk of images: memory does not grow with n.
    """
    shape = hog_feature_shape(
        _check_images(images)[1:],
        orientations=orientations,
        pixels_per_cell=pixels_per_cell,
        cells_per_block=cells_per_block,
    )
    out = _check_out(out, (images.shape[0], prod(shape)), dtype, images.dtype)

    def describe(rows: slice) -> None:
        for part, histograms in _histograms(
            images, rows, orientations, pixels_per_cell, transform_sqrt
        ):
            load_hog_loops().normalise_blocks(
                address_of(histograms),
                *histograms.shape,
                *cells_per_block,
                _NORMS[block_norm],
                out.dtype == np.float32,
                address_of(out[part]),
            )

    _in_threads(describe, images, n_threads)
    return out


def hog_pictures(
    images: Array,
    *,
    orientations: int = 9,
    pixels_per_cell: tuple[int, int] = (8, 8),
    transform_sqrt: bool = False,
    dtype: npt.DTypeLike | None = None,
    n_threads: int = 1,
    out: Array | None = None,
) -> Array:
    """Draw the cell histograms of images as stars of lines.

    `images`, `dtype` and `out` as for `hog_descriptors`; returns (n, height, width).

    Raises ValueError as from `hog_descriptors`.
    """
    n, height, width = _check_images(images)
    cell_rows, cells_per_row, *_ = hog_feature_shape(
        (height, width),
        orientations=orientations,
        pixels_per_cell=pixels_per_cell,
        cells_per_block=(1, 1),
    )
    pictures = _check_out(out, (n, height, width), dtype, images.dtype)
    pictures[...] = 0

    # Differs from skimage: in cells 1 px high or wide its radius is -1, and lines leave their
    # cell or the image (IndexError). Here such a cell is one dot.
    radius = max(min(pixels_per_cell) // 2 - 1, 0)
    middles = np.pi * (np.arange(orientations) + 0.5) / orientations
    rise, go = radius * np.sin(middles), radius * np.cos(middles)
    y = (np.arange(cell_rows) * pixels_per_cell[0] + pixels_per_cell[0] // 2)[:, np.newaxis]
    x = (np.arange(cells_per_row) * pixels_per_cell[1] + pixels_per_cell[1] // 2)[:, np.newaxis]
    # A line lies at a right angle to its gradient; its ends are cut to whole pixels.
    row_ends = np.stack([y - go, y + go]).astype(np.int64)  # (2, cell_rows, orientations)
    column_ends = np.stack([x + rise, x - rise]).astype(np.int64)

    def draw(rows: slice) -> None:
        for part, histograms in _histograms(
            images, rows, orientations, pixels_per_cell, transform_sqrt
        ):
            load_hog_loops().draw_cell_pictures(
                address_of(histograms),
                *histograms.shape,
                address_of(row_ends),
                address_of(column_ends),
                height,
                width,
                pictures.dtype == np.float32,
                address_of(pictures[part]),
            )

    _in_threads(draw, images, n_threads)
    return pictures


def _check_images(images: Array) -> tuple[int, int, int]:
    """Return number, height and width of the images; raise ValueError at wrong ones."""
    grey = images.ndim == 3
    if not grey and not (images.ndim == 4 and images.shape[3] == 3):
        raise ValueError(
            "HOG needs images of shape (n, height, width) or (n, height, width, 3), "
            f"got {images.shape}."
        )
    if images.dtype not in (np.uint8, np.float32, np.float64):
        raise ValueError(f"HOG needs uint8, float32 or float64 images, got {images.dtype}.")
    n, height, width = images.shape[:3]
    return n, height, width


def _check_out(
    out: Array | None,
    shape: tuple[int, ...],
    dtype: npt.DTypeLike | None,
    image_dtype: np.dtype[Any],
) -> Array:
    """Return the array for the result, a new one if there is none."""
    if dtype is None and out is not None:
        dtype = out.dtype
    elif dtype is None:
        dtype = np.float32 if image_dtype == np.float32 else np.float64
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise ValueError(f"HOG writes float32 or float64, got {np.dtype(dtype)}.")
    if out is None:
        return np.empty(shape, dtype)
    if out.shape != shape or out.dtype != dtype or not out.flags.carray:
        raise ValueError(
            f"HOG needs out as a writable C-contiguous array of shape {shape} and type "
            f"{np.dtype(dtype)}, got {out.shape} and {out.dtype}."
        )
    return out


def _in_threads(work: Callable[[slice], None], images: Array, n_threads: int) -> None:
    """Call work on equal ranges of images (n, ...), one in each thread that is worth it."""
    n = len(images)
    n_threads = max(1, min(n_threads, n, images.nbytes // _THREAD_BYTES))
    if n_threads == 1:
        work(slice(0, n))
        return
    bounds = [n * k // n_threads for k in range(n_threads + 1)]
    # Plain threads: ctypes releases the GIL, and no pool outlives the call, so that forked
    # processes and callers with threads of their own are safe.
    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(work, map(slice, bounds[:-1], bounds[1:])))


def _histograms(
    images: Array,
    rows: slice,
    orientations: int,
    pixels_per_cell: tuple[int, int],
    transform_sqrt: bool,
) -> Iterator[tuple[slice, Array]]:
    """Yield, chunk by chunk, which images and their cell histograms."""
    height, width = images.shape[1:3]
    channels = 1 if images.ndim == 3 else 3
    cell_rows, cells_per_row = height // pixels_per_cell[0], width // pixels_per_cell[1]
    integer = images.dtype == np.uint8 and not transform_sqrt
    pixel_bytes = height * width * channels * (1 if integer else 8)  # floats become float64
    histogram_bytes = cell_rows * cells_per_row * orientations * 4
    step = _CHUNK_BYTES // max(pixel_bytes, histogram_bytes)
    step = max(1, min(step, rows.stop - rows.start))
    buffer = np.empty((step, cell_rows, cells_per_row, orientations), np.float32)
    for start in range(rows.start, rows.stop, step):
        part = slice(start, min(start + step, rows.stop))
        histograms = buffer[: part.stop - part.start]
        pixels = images[part].reshape(len(histograms), height, width, channels)
        if integer:
            pixels = np.ascontiguousarray(pixels)
            cotangents = _integer_cotangents(orientations)
            load_hog_loops().histograms_of_uint8(
                address_of(pixels),
                *pixels.shape,
                *pixels_per_cell,
                orientations,
                address_of(cotangents),
                cotangents.size,
                address_of(histograms),
            )
        else:
            if transform_sqrt and images.dtype == np.uint8:
                pixels = np.sqrt(np.arange(256.0))[pixels]
            elif transform_sqrt:
                pixels = np.sqrt(pixels)
            if pixels.dtype != np.float64 or not pixels.flags.c_contiguous & pixels.flags.aligned:
                pixels = pixels.astype(np.float64, order="C")
            _float_histograms(pixels, images.dtype == np.float32, pixels_per_cell, histograms)
        yield part, histograms


def _float_histograms(
    pixels: Array, single: bool, pixels_per_cell: tuple[int, int], histograms: Array
) -> None:
    """Fill the cell histograms of float images, (n, height, width, channels)."""
    n, height, width, _ = pixels.shape
    orientations = histograms.shape[3]
    edges, n_inexact = _float_edges(orientations)
    near_vectors = np.empty((2, height * width))
    near_bins = np.empty(0, np.int32)
    count = ctypes.c_int64()
    image = 0
    while True:
        image = load_hog_loops().histograms_of_float64(
            address_of(pixels),
            *pixels.shape,
            single,
            *pixels_per_cell,
            orientations,
            address_of(edges),
            edges.shape[1],
            n_inexact,
            image,
            address_of(near_bins),
            near_bins.size,
            address_of(near_vectors),
            address_of(histograms),
            ctypes.byref(count),
        )
        if image == n:
            return
        # The reference's formula with the reference's arctan2; behind the last edge is 180.0,
        # which has no bin.
        angles = np.arctan2(*near_vectors[:, : count.value]) * (180 / np.pi) % 180
        places = np.searchsorted(_bin_edges(orientations), angles, side="right") - 1
        near_bins = places.astype(np.int32)


def _bin_edges(orientations: int) -> Array:
    """Return the edges of the bins in degrees, (orientations + 1,)."""
    # Multiplied as the reference does: 180 / 26 * 13 is not 90.
    return 180.0 / orientations * np.arange(orientations + 1)


def _multiple_of_four(n_edges: int) -> int:
    """Return how long an array of bin edges is: the loops take four at a time, NaN are none."""
    return -(-n_edges // 4) * 4


@lru_cache(maxsize=64)
def _integer_cotangents(orientations: int) -> Array:
    """Return the cotangents of the inner bin edges for integer gradients, (4 * k,).

    Gradients of uint8 images are pairs of integers in -255..255. An edge may be turned until it
    lies midway between the last pair before it and the first pair behind it: float32 rounding
    cannot put a pair on the wrong side then, and the reference's own rounding is copied.
    """
    x, y = np.meshgrid(np.arange(-255.0, 256.0), np.arange(1.0, 256.0))
    angles = np.arctan2(y, x) * (180 / np.pi) % 180
    cotangents = np.full(max(4, _multiple_of_four(orientations - 1)), np.nan, np.float32)
    for k, edge in enumerate(_bin_edges(orientations)[1:-1]):
        behind = angles >= edge
        # Only a horizontal gradient, y = 0, lies before the first pair or behind the last.
        before = (x / y)[~behind].min(initial=256)
        cotangents[k] = (before + (x / y)[behind].max(initial=-256)) / 2
    return cotangents


@lru_cache(maxsize=64)
def _float_edges(orientations: int) -> tuple[Array, int]:
    """Return cosines and sines of the inner bin edges, (2, 4 * k), and how many are inexact.

    Exact up to a common factor are the diagonals and the vertical, which come last.
    """
    exact = {45: (1, 1), 90: (0, 1), 135: (-1, 1)}
    degrees = _bin_edges(orientations)[1:-1]
    inexact = degrees[~np.isin(degrees, list(exact))] * (np.pi / 180)
    n_inexact = _multiple_of_four(inexact.size)
    edges = np.full((2, n_inexact + 4 * (inexact.size < degrees.size)), np.nan)
    edges[:, : inexact.size] = np.cos(inexact), np.sin(inexact)
    for k, degree in enumerate(degrees[np.isin(degrees, list(exact))]):
        edges[:, n_inexact + k] = exact[degree]
    return edges, n_inexact
