"""Images of one size in, of another out; imports only numpy."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["resize_images"]


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
    resized : ndarray of shape (..., *size) or (..., *size, n_channels)
        Same dtype; uint8 is rounded to the nearest level. The input itself when it already
        has that size.

    Notes
    -----
    Each output pixel of a shrinking axis is the mean over exactly the source interval that it
    covers, fractions of a pixel included (OpenCV's ``INTER_AREA``), so nothing aliases and the
    mean of the image is kept. A growing axis uses half-pixel centres and repeats the border
    (``INTER_LINEAR``). The two axes are treated apart; images do not influence one another.

    Examples
    --------
    >>> import numpy as np
    >>> from emotion_estimators.images import resize_images
    >>> resize_images(np.array([[0, 100], [100, 200]], dtype=np.uint8), (1, 1))
    array([[100]], dtype=uint8)
    """
    if not channels:
        images = images[..., np.newaxis]
    height, width, n_channels = images.shape[-3:]
    if (height, width) == tuple(size):
        return images if channels else images[..., 0]
    # float64 sums of integers would be exact too, but float32 holds 8-bit levels to 1e-5
    work_dtype = np.float64 if images.dtype == np.float64 else np.float32
    lead = images.shape[:-3]
    rows = images.reshape(*lead, height, width * n_channels).astype(work_dtype, copy=False)
    rows = _axis_weights(height, size[0], work_dtype) @ rows  # (..., h', w * c)
    columns = rows.reshape(*lead, size[0], width, n_channels)
    resized = _axis_weights(width, size[1], work_dtype) @ columns  # (..., h', w', c)
    if images.dtype == np.uint8:
        resized = np.floor(resized + work_dtype(0.5)).astype(np.uint8)
    resized = resized.astype(images.dtype, copy=False)
    return resized if channels else resized[..., 0]


@lru_cache(maxsize=64)
def _axis_weights(n_in: int, n_out: int, dtype: type[np.floating[Any]]) -> NDArray[Any]:
    """Return the (n_out, n_in) matrix that resamples one axis; its rows sum to one."""
    if n_out < n_in:
        edges = np.arange(n_out + 1) * (n_in / n_out)
        pixels = np.arange(n_in)
        overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
        weights = np.clip(overlap, 0, None)
    else:
        position = np.clip((np.arange(n_out) + 0.5) * (n_in / n_out) - 0.5, 0, n_in - 1)
        lower = np.floor(position).astype(np.intp)
        upper = np.minimum(lower + 1, n_in - 1)
        weights = np.zeros((n_out, n_in))
        output = np.arange(n_out)
        weights[output, lower] += 1 - (position - lower)
        weights[output, upper] += position - lower
    weights = (weights / weights.sum(axis=1, keepdims=True)).astype(dtype)
    weights.flags.writeable = False  # shared by all callers through the cache
    return weights
