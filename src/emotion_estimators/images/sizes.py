"""Parameters that are sizes in pixels: the one place where they are read."""

from __future__ import annotations

from math import prod
from numbers import Integral
from typing import Any

from emotion_estimators.exceptions import InvalidImagesError, shorten

__all__ = ["parse_image_shape", "parse_size"]


def parse_size(
    value: Any, *, name: str, parameter: str = "image_size", smallest: int = 1
) -> tuple[int, int]:
    """Return (height, width) of a parameter that is a side or a pair, each at least `smallest`."""
    pair = (value, value) if isinstance(value, Integral) else value
    if not _are_ints(pair) or len(pair) != 2 or min(pair) < smallest:
        raise ValueError(
            f"{name} expected {parameter} to be an int or (height, width), each at least "
            f"{smallest}, got {shorten(value)}."
        )
    return int(pair[0]), int(pair[1])


def parse_image_shape(value: Any, n_features: int, *, name: str) -> tuple[int, ...]:
    """Return (height, width) or (height, width, 3) of the images that rows of numbers hold."""
    shape = tuple(value) if _are_ints(value) else ()
    known = [side for side in shape if side != -1]
    is_shape = len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)
    if not is_shape or min(known, default=0) < 1 or len(known) < len(shape) - 1:
        raise ValueError(
            f"{name} expected image_shape to be (height, width) or (height, width, 3), of which "
            f"height or width may be -1, got {shorten(value)}."
        )
    n_unknown, remainder = divmod(n_features, prod(known))
    if remainder or (-1 not in shape and n_unknown != 1):
        raise InvalidImagesError(
            f"{name} cannot read rows of {n_features} features as images of shape {shape}. Change "
            "image_shape, or pass rows of another length."
        )
    return tuple(n_unknown if side == -1 else int(side) for side in shape)


def _are_ints(values: Any) -> bool:
    return isinstance(values, (tuple, list)) and all(
        isinstance(value, Integral) and not isinstance(value, bool) for value in values
    )
