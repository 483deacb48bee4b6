"""Rows, arrays and sequences in, batches of the size and colour that is wanted out.

The only place where images are converted, so that all kinds of X of the same pixels come out
the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from emotion_estimators.exceptions import InvalidImagesError
from emotion_estimators.images.color import flatten_alpha, to_grey, to_rgb
from emotion_estimators.images.items import (
    Failures,
    check_pixels,
    float_type,
    format_size,
    item_name,
)
from emotion_estimators.images.read import decode_image
from emotion_estimators.images.resize import resize_images

__all__ = ["ImageLoader", "read_item"]

_PART_VALUES = 2**20  # values of images that are resized together: bounds the working memory


@dataclass(frozen=True)
class ImageLoader:
    """Turns slices of X into batches."""

    color: str | None
    size: tuple[int, int] | None

    def load_rows(
        self, rows: NDArray[Any], shape: tuple[int, ...], batch: slice, _n_threads: int
    ) -> NDArray[Any]:
        """Return the images of 2-D rows, each of which is to be read as `shape`."""

        def convert(part: NDArray[Any]) -> NDArray[Any]:
            images = part.reshape(-1, *shape)
            if images.dtype != np.uint8:
                images = images.astype(float_type(images.dtype), copy=False)
            return self._convert(images, is_rgb=len(shape) == 3)

        return self._in_parts(rows[batch], convert)

    def load_stack(self, stack: NDArray[Any], batch: slice, _n_threads: int) -> NDArray[Any]:
        """Return the images of an array (n, h, w) or (n, h, w, c)."""
        convert = partial(self._convert_channels, has_channels=stack.ndim == 4)
        return self._in_parts(stack[batch], convert)

    def load_items(
        self, items: list[Any], size: tuple[int, int], batch: slice, n_threads: int
    ) -> NDArray[Any] | Failures:
        """Return the images of a sequence, which must leave in `size`, or all that are bad."""
        load = partial(self._load_item, size)
        chosen = items[batch]
        if n_threads > 1 and not all(isinstance(item, np.ndarray) for item in chosen):
            with ThreadPoolExecutor(n_threads) as pool:
                loaded = list(pool.map(load, chosen))
        else:
            loaded = [load(item) for item in chosen]
        failures = [
            (batch.start + i, outcome)
            for i, outcome in enumerate(loaded)
            if isinstance(outcome, InvalidImagesError)
        ]
        if failures:
            return failures
        images = cast("list[NDArray[Any]]", loaded)
        if len({image.ndim for image in images}) == 2:
            images = [to_rgb(image) if image.ndim == 2 else image for image in images]
        return np.stack(images)

    def _load_item(self, size: tuple[int, int], item: Any) -> NDArray[Any] | InvalidImagesError:
        """Return one image as it leaves, or the error, so that the caller can collect all."""
        try:
            array = read_item(item)
        except InvalidImagesError as error:
            return type(error)(f"({item_name(item)}) {error}")
        images = self._convert(array[np.newaxis], is_rgb=array.ndim == 3)
        image = cast("NDArray[Any]", images[0])
        if image.shape[:2] != size:
            return InvalidImagesError(
                f"({item_name(item)}) is {format_size(image.shape)} where {format_size(size)} is "
                "expected: set image_size to resize all"
            )
        return image

    def _in_parts(
        self, images: NDArray[Any], convert: Callable[[NDArray[Any]], NDArray[Any]]
    ) -> NDArray[Any]:
        """Convert images a few at a time where many more pixels may come than leave."""
        step = max(1, _PART_VALUES // math.prod(images.shape[1:]))
        if self.size is None or len(images) <= step:
            return convert(images)
        return np.concatenate(
            [convert(images[start : start + step]) for start in range(0, len(images), step)]
        )

    def _convert_channels(self, images: NDArray[Any], *, has_channels: bool) -> NDArray[Any]:
        images = _to_grey_or_rgb(images, has_channels=has_channels)
        return self._convert(images, is_rgb=images.ndim == 4)

    def _convert(self, images: NDArray[Any], *, is_rgb: bool) -> NDArray[Any]:
        # sums round differently in another order of memory, here and in estimators
        images = np.ascontiguousarray(images)
        if self.color == "grey" and is_rgb:
            images, is_rgb = to_grey(images), False
        if self.size is not None:
            images = resize_images(images, self.size, channels=is_rgb)
        if self.color == "rgb" and not is_rgb:
            images = to_rgb(images)
        return images


def read_item(item: Any, *, min_side: int | None = None, is_checked: bool = False) -> NDArray[Any]:
    """Return one image of a sequence, in its own size and colour.

    returns (height, width) or (height, width, 3).

    Raises InvalidImagesError if it cannot be read, or is no image.
    """
    if isinstance(item, np.ndarray):
        if not is_checked:
            check_pixels(item)
        return _to_grey_or_rgb(item, has_channels=item.ndim == 3)
    return decode_image(item, min_side=min_side)


def _to_grey_or_rgb(images: NDArray[Any], *, has_channels: bool) -> NDArray[Any]:
    """Return pixels without opacity, and without a channel axis of one, as uint8 or float."""
    if images.dtype != np.uint8:
        images = images.astype(float_type(images.dtype), copy=False)
    if has_channels and images.shape[-1] == 4:
        images = flatten_alpha(images)
    if has_channels and images.shape[-1] == 1:
        images = images[..., 0]
    return images
