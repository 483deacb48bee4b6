"""Images of one size in, of another out."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["resize_images"]

_PART_VALUES = 2**24  # values of images that are resampled together: 64 MiB of float32
_LONG = 2**15  # pixels of an axis that shrinks without a matrix: it would have as many weights


def resize_images(
    images: NDArray[Any], size: tuple[int, int], *, channels: bool = False
) -> NDArray[Any]:
    """Resize images: area averages where an axis shrinks, linear interpolation where it grows.

    Parameters
    ----------
    images : ndarray of shape (..., height, width) or (..., height, width, n_channels)
        uint8 or float; the second form with ``channels=True``.
    size : tuple of int
        Height and width wanted, in pixels.
    channels : bool, default=False
        Whether the last axis holds channels.

    Returns
    -------
    resized : ndarray of shape (..., height, width) or (..., height, width, n_channels)
        Same dtype; uint8 levels are rounded after each axis. The input itself when it already
        has that size.

    Raises
    ------
    ValueError
        If the pixels are neither uint8 nor float, an axis is empty or missing, or `size` is
        not positive.

    Notes
    -----
    Each output pixel of a shrinking axis is the mean over exactly the source interval that it
    covers, fractions of a pixel included (OpenCV's ``INTER_AREA``), so nothing aliases and the
    mean of the image is kept. A growing axis uses half-pixel centres and repeats the border
    (``INTER_LINEAR``). uint8 levels are rounded after each axis, width first, as Pillow does it:
    enlarged images are its ``BILINEAR`` to within one level. No value leaves the range of its
    image. An axis of more than 32,768 pixels is shrunk before the other. Images and channels do
    not influence one another: an image comes out the same, bit for bit, alone or in a batch.

    Examples
    --------
    >>> import numpy as np
    >>> from emotion_estimators.images import resize_images
    >>> resize_images(np.array([[0, 100], [100, 200]], dtype=np.uint8), (1, 1))
    array([[100]], dtype=uint8)
    """
    n_axes = 3 if channels else 2
    if images.ndim < n_axes or 0 in images.shape[-n_axes:] or len(size) != 2 or min(size) < 1:
        raise ValueError(
            f"resize_images cannot bring images of shape {images.shape} to size {size!r}."
        )
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise ValueError(f"resize_images expected uint8 or float images, got {images.dtype}.")
    height, width = images.shape[-n_axes:][:2]
    if (height, width) == tuple(size):
        return images
    # float32 holds averages of 8-bit levels to 1e-4 of a level
    work_dtype = np.float64 if images.dtype.itemsize > 4 else np.float32
    resized = images
    axes = [(1 - n_axes, size[1]), (-n_axes, size[0])]  # width, height
    if height > _LONG >= width:  # so that nothing grows in between to many times the image
        axes.reverse()
    for axis, n_out in axes:
        resized = _resample(resized, axis, n_out, work_dtype)
        if images.dtype == np.uint8:
            resized += work_dtype(0.5)
            np.floor(resized, out=resized)
    if images.dtype != np.uint8:
        low, high = (
            extreme(extreme(images, -n_axes, keepdims=True), 1 - n_axes, keepdims=True)
            for extreme in (np.min, np.max)  # axis by axis: ten times faster than both at once
        )
        np.clip(resized, low, high, out=resized)
    return np.ascontiguousarray(resized, images.dtype)


def _resample(values: NDArray[Any], axis: int, n_out: int, dtype: Any) -> NDArray[Any]:
    """Return values with one axis resampled.

    The weights are sparse, and SciPy sums in the order of the pixels, in the thread that calls.
    The threads of a dense product (BLAS) would wait busily between small images, where others
    work, and their number would decide how levels are rounded.
    """
    first = np.moveaxis(values, axis, 0)
    if n_out == len(first):
        return values.astype(dtype)
    if n_out < len(first) > _LONG:
        return np.moveaxis(_shrink_long(first, n_out, dtype), 0, axis)
    columns = first.reshape(len(first), -1)
    weights = _axis_weights(len(first), n_out, dtype)
    step = max(1, _PART_VALUES // len(first))
    if columns.shape[1] <= step:
        resampled = weights @ columns.astype(dtype, copy=False)  # (n_out, all other axes)
    else:  # of a huge image a part at a time is held in the wider type
        resampled = np.empty((n_out, columns.shape[1]), dtype)
        for start in range(0, columns.shape[1], step):
            part = columns[:, start : start + step].astype(dtype)
            resampled[:, start : start + step] = weights @ part
    return np.moveaxis(resampled.reshape(n_out, *first.shape[1:]), 0, axis)


@lru_cache(maxsize=256)  # the sides of many faces; 4 kB each
def _axis_weights(n_in: int, n_out: int, dtype: type[np.floating[Any]]) -> Any:
    """Return the sparse (n_out, n_in) matrix that resamples one axis; its rows sum to one."""
    from scipy.sparse import csr_array

    if n_out < n_in:
        lower, upper, first, last = _intervals(n_in, n_out)
        counts = last - first
        starts = np.cumsum(counts) - counts
        row = np.repeat(np.arange(n_out), counts)
        pixel = np.arange(counts.sum()) - starts[row] + first[row]
        shares = np.minimum(upper[row], pixel + 1) - np.maximum(lower[row], pixel)
        shares = np.clip(shares, 0, None)
    else:
        position = np.clip((np.arange(n_out) + 0.5) * (n_in / n_out) - 0.5, 0, n_in - 1)
        below = np.floor(position).astype(np.intp)
        above = np.minimum(below + 1, n_in - 1)
        share = position - below
        counts = np.full(n_out, 2)
        pixel = np.stack([below, above], axis=1).ravel()
        shares = np.stack([1 - share, share], axis=1).ravel()
    ends = np.append(0, np.cumsum(counts))
    weights = csr_array((shares, pixel, ends), (n_out, n_in))
    weights.eliminate_zeros()
    sums = np.add.reduceat(weights.data, weights.indptr[:-1])  # no row is empty
    weights.data /= np.repeat(sums, np.diff(weights.indptr))
    return weights.astype(dtype)


def _shrink_long(first: NDArray[Any], n_out: int, dtype: Any) -> NDArray[Any]:
    """Return the area averages of the first axis, (n_out, ...), without a weight for each pixel."""
    lower, upper, start, stop = _intervals(len(first), n_out)
    tail = (-1,) + (1,) * (first.ndim - 1)
    sums = np.add.reduceat(first, start, axis=0, dtype=np.float64)
    # the whole of the pixels that begin in an interval, less what lies before and beyond it
    sums -= (lower - start).reshape(tail) * first[start]
    ends = np.append(start[1:], len(first))
    for i in np.flatnonzero(stop > ends):  # the next interval begins in this one's last pixel
        sums[i] += (upper[i] - ends[i]) * first[ends[i]]
    averages: NDArray[Any] = (sums / (upper - lower).reshape(tail)).astype(dtype)
    return averages


def _intervals(n_in: int, n_out: int) -> tuple[NDArray[Any], ...]:
    """Return where each of n_out intervals of an axis begins and ends, and its pixels' range."""
    edges = np.arange(n_out + 1) * (n_in / n_out)
    first = np.floor(edges[:-1]).astype(np.intp)
    last = np.minimum(np.ceil(edges[1:]).astype(np.intp), n_in)
    return edges[:-1], edges[1:], first, last
