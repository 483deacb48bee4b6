"""Arrays of one channel count in, of another out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LUMA", "flatten_alpha", "to_grey", "to_rgb"]

# Pixels that are converted together: what is computed on the way, which is several times as wide,
# stays in the cache.
_PART_PIXELS = 2**16

LUMA = (0.299, 0.587, 0.114)  # weights of red, green and blue by ITU-R BT.601


def to_grey(images: NDArray[Any]) -> NDArray[Any]:
    """Convert RGB images to luma.

    Parameters
    ----------
    images : ndarray of shape (..., 3)
        RGB, uint8 in 0..255 or float.

    Returns
    -------
    grey : ndarray of shape (...)
        Same dtype. uint8 is rounded to the nearest level.

    Raises
    ------
    ValueError
        If the last axis is not 3 long.

    Notes
    -----
    ITU-R BT.601 luma, ``0.299 R + 0.587 G + 0.114 B``. For uint8 the weights are taken in
    units of 2**-16, as Pillow's ``convert("L")`` takes them, so both agree bit for bit.

    Examples
    --------
    >>> import numpy as np
    >>> from emotion_estimators.images import to_grey
    >>> to_grey(np.array([[[255, 0, 0]]], dtype=np.uint8))
    array([[76]], dtype=uint8)
    """
    if images.ndim == 0 or images.shape[-1] != 3:
        raise ValueError(f"to_grey expected RGB on the last axis, got shape {images.shape}.")
    pixels = images.reshape(-1, 3)
    grey = np.empty(len(pixels), images.dtype)
    for part in _parts(len(pixels)):
        red, green, blue = pixels[part].T
        if images.dtype == np.uint8:
            luma = red * np.uint32(19595) + green * np.uint32(38470) + blue * np.uint32(7471)
            grey[part] = (luma + np.uint32(0x8000)) // np.uint32(0x10000)
        else:
            grey[part] = LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue
    return grey.reshape(images.shape[:-1])


def to_rgb(images: NDArray[Any]) -> NDArray[Any]:
    """Repeat the channel of grey images three times.

    Parameters
    ----------
    images : ndarray of shape (...)
        Grey images; any dtype.

    Returns
    -------
    rgb : ndarray of shape (..., 3)
        Same dtype.

    Examples
    --------
    >>> import numpy as np
    >>> from emotion_estimators.images import to_rgb
    >>> to_rgb(np.zeros((48, 48), dtype=np.uint8)).shape
    (48, 48, 3)
    """
    return np.repeat(images[..., np.newaxis], 3, axis=-1)


def flatten_alpha(images: NDArray[Any]) -> NDArray[Any]:
    """Composite images with an opacity channel on white, and drop that channel.

    `images` (..., channels + 1); returns (..., channels).
    """
    pixels = images.reshape(-1, images.shape[-1])
    opaque = np.empty((len(pixels), images.shape[-1] - 1), images.dtype)
    for part in _parts(len(pixels)):
        *colors, alpha = pixels[part].T
        # 255 * 255 + 127 fits into 16 bits
        opacity = alpha.astype(np.uint16) if images.dtype == np.uint8 else alpha
        white = 255 * (255 - opacity) + 127 if images.dtype == np.uint8 else 1 - alpha
        for channel, color in enumerate(colors):  # long loops, each of one channel, are fastest
            blended = color * opacity + white
            opaque[part, channel] = blended // 255 if images.dtype == np.uint8 else blended
    return opaque.reshape(*images.shape[:-1], opaque.shape[1])


def _parts(n_pixels: int) -> Iterator[slice]:
    """Yield the pixels in parts, in order."""
    for start in range(0, n_pixels, _PART_PIXELS):
        yield slice(start, start + _PART_PIXELS)
