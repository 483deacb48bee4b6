"""Items of X, one image each: what one may be, its size and its name."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emotion_estimators.exceptions import (
    ImageReadError,
    InvalidImagesError,
    counted,
    printable,
    shorten,
)
from emotion_estimators.images.read import LONGEST_PATH, read_image_size

__all__ = [
    "Failures",
    "as_column",
    "as_sequence",
    "check_pixels",
    "describe_problem",
    "dtype_problem",
    "float_type",
    "format_size",
    "header_sizes",
    "is_one_image",
    "item_dtype",
    "item_name",
    "item_path",
    "item_size",
    "raise_any",
    "range_problem",
    "shape_problem",
]

Failures: TypeAlias = list[tuple[int, InvalidImagesError]]  # rows and what is wrong with them

# rows named in a message, as many as fit on a screen; `error.failures` holds all of them
_N_NAMED = 18
_N_CHARACTERS = 1200


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
        item is None or is_one_image(item) or getattr(item, "ndim", 0) >= 2 for item in items
    )
    return items if holds_images or not items else None


def as_column(table: Any) -> list[Any] | None:
    """Return the images of a table of one column, or None if it is another, or holds numbers."""
    if table.shape[1] != 1:
        return None
    if isinstance(table, np.ndarray):
        return as_sequence(table[:, 0])
    # what pyarrow calls columns are no names
    names = table.column_names if hasattr(type(table), "column_names") else table.columns
    return as_sequence(table[names[0]])


def is_one_image(item: Any) -> bool:
    """Whether `item` is what `read_image` reads."""
    return isinstance(item, (str, os.PathLike, bytes, Image.Image))


def describe_problem(item: Any) -> str:
    """Say why this is no image, as far as its type shows, or nothing if it may be one."""
    if isinstance(item, np.ndarray):
        problem = dtype_problem(item.dtype)
        problem = problem and f"has dtype {shorten(str(item.dtype))}: {problem}"
        return problem or ("has masked pixels: fill them" if np.ma.is_masked(item) else "")
    if is_one_image(item):
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


def format_size(size: tuple[int, ...]) -> str:
    """Write height and width as messages do."""
    return f"{size[0]} x {size[1]} px"


def raise_any(owner: str, failures: Failures, n_samples: int) -> None:
    """Raise one error that names all rows at fault; return if there is none."""
    if not failures:
        return
    named = [(row, str(error)) for row, error in failures]
    lines: list[str] = []
    for row, reason in named[:_N_NAMED]:
        line = f"row {row} {reason}"
        if lines and sum(map(len, lines)) + len(line) > _N_CHARACTERS:
            break
        lines.append(line)
    if len(named) > len(lines):
        lines.append(f"and {len(named) - len(lines)} more (error.failures holds all)")
    said = f"{owner} cannot use {len(named)} of {counted(n_samples, 'image')}"
    message = f"{said}:\n  " + "\n  ".join(lines)
    if any(isinstance(error, ImageReadError) for _, error in failures):
        raise ImageReadError(message, named)
    raise InvalidImagesError(message, named)
