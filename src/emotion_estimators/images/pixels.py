"""What pixels may be: shape, dtype and range; imports only `exceptions`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimators.exceptions import InvalidImagesError

__all__ = [
    "check_pixels",
    "dtype_problem",
    "float_type",
    "px",
    "range_problem",
    "shape_problem",
]


def float_type(dtype: np.dtype[Any]) -> type[np.floating[Any]]:
    """Return the type in which numbers of `dtype` are worked with: float32 or float64."""
    return np.float32 if dtype.kind == "f" and dtype.itemsize <= 4 else np.float64


def check_pixels(image: NDArray[Any]) -> None:
    """Raise `InvalidImagesError` if this array cannot be one image."""
    problem = shape_problem(image.shape) or dtype_problem(image.dtype)
    if problem:
        raise InvalidImagesError(f"has shape {image.shape}, dtype {image.dtype}: {problem}")
    if image.dtype != np.uint8:
        low, high = image.min(), image.max()
        if not (low >= 0 and high <= 1):  # also true of NaN
            raise InvalidImagesError(range_problem(low, high))


def shape_problem(shape: tuple[int, ...]) -> str:
    """Say why this is not the shape of one image, or nothing if it is."""
    if 0 in shape:
        return "an axis is empty"
    if len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3, 4)):
        return ""
    if len(shape) == 3 and shape[0] in (1, 3, 4):
        return "channels must come last, move them with numpy.moveaxis"
    if len(shape) == 3:
        return f"{shape[2]} channels where 1 (grey), 3 (RGB) or 4 (RGBA) can be read"
    return f"{len(shape)} axes where an image has 2 (grey) or 3"


def dtype_problem(dtype: np.dtype[Any]) -> str:
    """Say why numbers of `dtype` are not pixels, or nothing if they are."""
    if dtype == np.uint8 or dtype.kind == "f":
        return ""
    if dtype.kind == "c":
        return "Complex data not supported"
    if dtype.kind == "b":
        return "convert with .astype(float), which makes True white"
    if dtype.kind in "iuO":
        return "convert levels in 0..255 with .astype(numpy.uint8), others to floats in 0..1"
    return "pixels are uint8 or float"


def range_problem(low: Any, high: Any) -> str:
    """Say what is wrong with float pixels from `low` to `high`."""
    if not (np.isfinite(low) and np.isfinite(high)):
        return "holds NaN or infinity"
    return (
        f"holds floats in {low}..{high} where 0..1 is expected: divide by 255 if these are "
        "8-bit levels, or pass uint8"
    )


def px(size: tuple[int, ...]) -> str:
    """Write height and width as messages do."""
    return f"{size[0]} x {size[1]} px"
