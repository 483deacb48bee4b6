"""Sequences of paths, encoded bytes, PIL images and arrays; imports `read` and `pixels`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
from PIL import Image

from emotion_estimators.exceptions import InvalidImagesError, printable, shorten
from emotion_estimators.images.pixels import check_pixels, dtype_problem, float_type
from emotion_estimators.images.read import LONGEST_PATH, read_image_size

__all__ = [
    "as_sequence",
    "header_sizes",
    "is_source",
    "item_dtype",
    "item_name",
    "item_path",
    "item_problem",
    "item_size",
]


def as_sequence(X: Any) -> list[Any] | None:
    """Return X as a list of images, or None if it holds numbers."""
    if hasattr(X, "to_pylist") and not hasattr(X, "shape"):
        X = X.to_pylist()  # an array of pyarrow
    elif hasattr(X, "to_numpy") and len(X.shape) == 1:
        X = X.to_numpy()  # a Series of pandas or polars
    if isinstance(X, np.ndarray):
        if X.ndim != 1 or X.dtype.kind not in "OUST":
            return None
        items = X.tolist()
        if X.dtype.kind == "S":  # NumPy takes the zeros at the end for padding: put them back
            items = [item.ljust(X.dtype.itemsize, b"\0") for item in items]
    elif isinstance(X, (list, tuple)):
        items = list(X)
    else:
        return None
    holds_images = any(
        item is None or is_source(item) or getattr(item, "ndim", 0) >= 2 for item in items
    )
    return items if holds_images or not items else None


def is_source(item: Any) -> bool:
    """Whether `item` is what `read_image` reads."""
    return isinstance(item, (str, os.PathLike, bytes, Image.Image))


def item_problem(item: Any) -> str:
    """Say why this is no image, as far as its type shows, or nothing if it may be one."""
    if isinstance(item, np.ndarray):
        problem = dtype_problem(item.dtype)
        problem = problem and f"has dtype {shorten(str(item.dtype))}: {problem}"
        return problem or ("has masked pixels: fill them" if np.ma.is_masked(item) else "")
    if is_source(item):
        return ""
    return (
        f"is {shorten(item, 60)} ({shorten(type(item).__name__)}): expected a path, encoded "
        "bytes, a PIL image or an array"
    )


def item_dtype(item: Any) -> np.dtype[Any]:
    """Return the dtype of the pixels that come of an item."""
    if isinstance(item, np.ndarray) and item.dtype != np.uint8:
        return np.dtype(float_type(item.dtype))
    return np.dtype(np.uint8)


def item_size(item: Any) -> tuple[int, int]:
    """Return height and width without decoding; raise `InvalidImagesError` if that fails."""
    if isinstance(item, np.ndarray):
        check_pixels(item)
        return item.shape[0], item.shape[1]
    return read_image_size(item)


def header_sizes(items: Iterable[Any]) -> tuple[Counter[tuple[int, int]], bool]:
    """Count the sizes that the headers tell, and say whether each has told one."""
    sizes: Counter[tuple[int, int]] = Counter()
    is_whole = True
    for item in items:
        try:
            sizes[item_size(item)] += 1
        except InvalidImagesError:  # the caller decodes, which names the bad ones
            is_whole = False
    return sizes, is_whole


def item_name(item: Any) -> str:
    """Return the path, or the kind of thing that an item is, as a message shows it."""
    if isinstance(item, (str, os.PathLike)):
        return shorten(str(os.fspath(item)))
    return "encoded bytes" if isinstance(item, bytes) else shorten(type(item).__name__)


def item_path(item: Any) -> str | None:
    r"""Return the path of a file as a table shows it, None of what is no file.

    Bytes of a name that are not UTF-8 are written as ``\udcff`` is; what is too long for a
    path is cut.
    """
    if not isinstance(item, (str, os.PathLike)):
        return None
    path = os.fspath(item)
    return printable(path) if len(path) <= LONGEST_PATH and path[:5] != "data:" else shorten(path)
