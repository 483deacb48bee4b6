"""How images lie in the input of a network, and how its answers become rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimators.exceptions import WeightsError, counted

__all__ = ["ImageInput", "as_rows", "count_values", "free_sizes", "untrained_switches"]

_Sizes = tuple[int | None, ...]  # None where any size is taken

# What ONNX Runtime calls the numbers that an input may have; of whole ones also black and white.
_DTYPES = {
    "tensor(float)": ("float32", None),
    "tensor(float16)": ("float16", None),
    "tensor(double)": ("float64", None),
    "tensor(uint8)": ("uint8", (0, 255)),
    "tensor(int8)": ("int8", (-128, 127)),
    "tensor(int32)": ("int32", (0, 255)),
    "tensor(int64)": ("int64", (0, 255)),
}
_SEQUENCES = ("seq(map(", "seq(tensor(float")  # maps: by converters of scikit-learn


@dataclass(frozen=True)
class ImageInput:
    """The one input of a network; what its shape leaves open is None, or one of several layouts."""

    name: str
    dtype: np.dtype[Any]
    shape: _Sizes
    layouts: tuple[str, ...]  # of "nhwc", "nchw", "nhw" and "rows", (n, height * width * channels)
    image_size: tuple[int | None, int | None]
    n_channels: int | None
    whole_numbers: tuple[int, int] | None  # black and white, where they are given as such

    @classmethod
    def read(cls, described: Any, path: Path, *, channels_last: bool | None) -> ImageInput:
        """Return what ONNX Runtime says of an input.

        Raises WeightsError if it takes no images.
        """
        if described.type not in _DTYPES:
            raise WeightsError(
                f"{path}: expected a network that takes images as numbers, got {described.type}."
            )
        dtype, whole_numbers = _DTYPES[described.type]
        shape = free_sizes(described.shape) or (None,) * 4  # () where it says nothing
        layouts = _layouts(shape, described.shape or shape, channels_last)
        if not layouts or (len(layouts) > 1 and (shape[1], shape[3]) != (None, None)):
            raise WeightsError(
                f"{path}: expected an input of shape (n, height, width, channels), (n, channels, "
                "height, width), (n, height, width) or (n, height * width * channels), with 1 or "
                f"3 channels, got {shape}."
            )
        unsettled = cls(described.name, np.dtype(dtype), shape, (), (None, None), None, None)
        settled = unsettled._in(layouts[0]) if len(layouts) == 1 else unsettled
        return replace(settled, layouts=layouts, whole_numbers=whole_numbers)

    def forms(self, image_size: tuple[int, int], color: Any) -> list[ImageInput]:
        """Return all that it may be for images of a size and colour, "grey", "rgb" or unknown."""
        if self.n_channels is not None:
            return [self]
        numbers = (3,) if color == "rgb" else (1, 3)
        forms = [self._in(layout, n) for n in numbers for layout in self.layouts]
        height, width = image_size
        return [
            form
            for form in forms
            if form.layouts != ("rows",)
            or form.shape[1] in (None, height * width * (form.n_channels or 0))
        ]

    def zeros(self, image_size: tuple[int, int]) -> NDArray[np.float32]:
        """Return a black image, (1, height, width[, 3])."""
        channels = (3,) if self.n_channels == 3 else ()
        return np.zeros((1, *image_size, *channels), np.float32)

    def arrange(self, images: NDArray[np.float32]) -> NDArray[Any]:
        """Return images (n, height, width[, 3]) as the network takes them."""
        layout = self.layouts[0]
        if layout == "rows":
            images = images.reshape(len(images), -1)
        elif images.ndim == 3 and layout != "nhw":
            images = images[..., np.newaxis]  # (n, h, w, 1)
        if layout == "nchw":
            images = np.ascontiguousarray(np.moveaxis(images, 3, 1))  # (n, c, h, w)
        if self.whole_numbers is not None:
            images = np.rint(images)
        return images.astype(self.dtype, copy=False)

    def _in(self, layout: str, n_channels: int | None = None) -> ImageInput:
        """Return the same input in one layout."""
        shape = self.shape
        sizes, known = {
            "nhwc": (shape[1:3], shape[-1]),
            "nchw": (shape[2:4], shape[1]),
            "nhw": (shape[1:3], 1),
            "rows": ((None, None), None),
        }[layout]
        known = n_channels if known is None else known
        height, width = sizes
        return replace(self, layouts=(layout,), image_size=(height, width), n_channels=known)


def _layouts(shape: _Sizes, names: Sequence[Any], channels_last: bool | None) -> tuple[str, ...]:
    """Return the layouts that a shape may be of; `names` holds names of axes of free size."""
    if len(shape) in (2, 3):
        return ("rows",) if len(shape) == 2 else ("nhw",)
    if len(shape) != 4:
        return ()
    places = {"nhwc": 3, "nchw": 1}
    if channels_last is not None:
        places = {name: places[name] for name in ["nhwc" if channels_last else "nchw"]}
    fixed = tuple(name for name, place in places.items() if shape[place] in (1, 3))
    free = tuple(name for name, place in places.items() if shape[place] is None)
    named = tuple(name for name in free if "channel" in str(names[places[name]]).lower())
    return fixed or named or free


def untrained_switches(inputs: Sequence[Any]) -> dict[str, NDArray[np.bool_]]:
    """Return those inputs that say whether a network is trained just now, and that it is not."""
    switches = {}
    for one in inputs:
        is_named_so = any(word in one.name.lower() for word in ("train", "learning_phase"))
        if one.type == "tensor(bool)" and is_named_so and set(one.shape) <= {1}:
            switches[one.name] = np.zeros(one.shape, np.bool_)
    return switches


def free_sizes(shape: Sequence[Any]) -> _Sizes:
    """Return the sizes of a shape; ONNX Runtime has a name or None where one is free."""
    return tuple(size if isinstance(size, int) else None for size in shape)


def count_values(kind: str, shape: _Sizes, n_images: int | None) -> int | None:
    """Return how many values an output gives for each image, None where only a run tells.

    `kind` is what ONNX Runtime calls its type, `n_images` what one run takes, None for any number.

    Raises ValueError, with what was expected, if it is no row of values for each image.
    """
    if kind.startswith(_SEQUENCES) or not shape:
        return None
    if kind not in ("tensor(float)", "tensor(float16)", "tensor(double)"):
        raise ValueError(f"to be floating point numbers, got {kind}")
    if len(shape) == 1 and (n_images or 1) == 1 and shape[0] is not None:
        return shape[0]  # of the one image
    if n_images is not None and shape[0] not in (None, n_images):
        raise ValueError(
            f"to give a row for each image, got {shape[0]} for {counted(n_images, 'image')}"
        )
    many = [size for size in shape[1:] if size is not None and size != 1]
    if len(many) > 1:
        raise ValueError(
            f"of shape (n, n_classes), or with further axes of size 1, got one of shape {shape}"
        )
    return many[0] if many else None if None in shape[1:] else 1


def as_rows(given: Any, n_images: int) -> NDArray[np.float32]:
    """Return what a network gave for images, (n, n_values), without axes of size 1.

    A list may hold a map for each image, whose values are taken in the sorted order of their keys,
    or an array for each, or one for all.
    """
    if isinstance(given, list) and all(isinstance(row, dict) for row in given):
        given = [[row[key] for key in sorted(row)] for row in given]
    elif isinstance(given, list) and len(given) == 1:
        given = given[0]
    values: NDArray[np.float32] = np.asarray(given).astype(np.float32, copy=False)
    if values.ndim == 1:
        return values[np.newaxis] if n_images == 1 else values[:, np.newaxis]
    axes = tuple(axis for axis in range(1, values.ndim) if values.shape[axis] == 1)
    rows: NDArray[np.float32] = np.squeeze(values, axes)
    return rows if rows.ndim > 1 else rows[:, np.newaxis]
