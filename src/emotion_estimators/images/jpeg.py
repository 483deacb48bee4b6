"""JPEG files of grey or RGB pixels in, uint8 arrays out, in half of Pillow's time.

Both decode with libjpeg-turbo, to the same pixels; Pillow takes as long again to bring them into
its own memory, and out of it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["decode_jpeg"]

_DRAFTS = (8, 4, 2)  # times smaller: those that Pillow has
_SPACES = {"Gray": "GRAY", "YCbCr": "RGB", "RGB": "RGB"}  # not CMYK, whose levels Pillow converts


def decode_jpeg(
    content: bytes, size: tuple[int, int] | None, *, min_side: int | None = None
) -> NDArray[np.uint8] | None:
    """Return the pixels as they are stored, None of a file that is unusual or damaged at all.

    `size` (width, height) by the file's head; returns (height, width) or (height, width, 3). With
    `min_side` they may be a half, a quarter or an eighth, as `decode_image` says.
    """
    if size is None or min(size) < 1:
        return None
    import simplejpeg

    width, height = size
    if min_side is not None:
        longer = max(size)  # decides alone: the other side is rounded down
        least = [max(1, side * min_side // longer) for side in size]
        shares = [side // wanted for side, wanted in zip(size, least, strict=True)]
        step = next((step for step in _DRAFTS if step <= min(shares)), 1)
        width, height = (-(-side // step) for side in size)
    try:
        space = _SPACES[simplejpeg.decode_jpeg_header(content)[2]]
        least_size = {} if (width, height) == size else {"min_width": width, "min_height": height}
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(content, space, **least_size)
    except (ValueError, KeyError, MemoryError):  # Pillow says what is wrong, or puts up with it
        return None
    if pixels.shape[:2] != (height, width):
        return None
    return pixels[..., 0] if space == "GRAY" else pixels
