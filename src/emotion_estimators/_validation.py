"""The X contract: what an estimator is given in, batches of images of one size out.

`check_images` is the one door for images; imports `images`, `_sklearn` and `exceptions`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from numbers import Integral
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.utils import gen_batches

from emotion_estimators._sklearn import validate_data
from emotion_estimators.exceptions import ImageReadError, InvalidImagesError
from emotion_estimators.images import read_image, read_image_size, resize_images, to_grey, to_rgb
from emotion_estimators.images.color import flatten_alpha
from emotion_estimators.images.pixels import (
    check_pixels,
    dtype_problem,
    float_type,
    range_problem,
    shape_problem,
)

__all__ = ["ImageBatches", "check_images"]

_N_NAMED = 20  # rows named in a message; `error.failures` holds all of them
_SCAN = 1024  # images of a stack whose range is looked at together

_Failures = list[tuple[int, InvalidImagesError]]  # rows and what is wrong with them


@dataclass(frozen=True)
class ImageBatches:
    """Images that passed `check_images`, handed out in batches.

    Attributes
    ----------
    n_samples : int
        Number of images.
    image_size : tuple of int
        Height and width in pixels, after resizing.
    """

    n_samples: int
    image_size: tuple[int, int]
    _owner: str = field(repr=False)
    _load: Callable[[slice, int], NDArray[Any] | _Failures] = field(repr=False)

    def batches(
        self, batch_size: int, *, n_threads: int = 1
    ) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Yield ``(rows, images)`` in order, at most `batch_size` images at once.

        Parameters
        ----------
        batch_size : int
            Largest number of images held at once.
        n_threads : int, default=1
            Threads that decode files.

        Yields
        ------
        rows : slice
            Which rows of X these are.
        images : ndarray of shape (n, height, width) or (n, height, width, 3)
            uint8 in 0..255, or float as given. May be a view of X: not to be written into.

        Raises
        ------
        InvalidImagesError
            After the last batch, if an image could not be read or used; it names all of
            them. No batch is handed out once one has failed.
        """
        failures: _Failures = []
        for rows in gen_batches(self.n_samples, batch_size):
            loaded = self._load(rows, n_threads)
            if isinstance(loaded, list):
                failures += loaded
            elif not failures:
                yield rows, loaded
        _raise_any(self._owner, failures, self.n_samples)


def check_images(estimator: Any, X: Any, *, reset: bool) -> ImageBatches:
    """Check X against the contract and hand its images out in batches.

    Parameters
    ----------
    estimator : estimator instance
        Its attributes are read where it has them: ``image_shape`` (how to read 2-D rows; one
        entry may be -1), ``image_size`` (int or (height, width) to resize to) and ``color``
        ("grey" or "rgb" to convert to; None or absent keeps what comes).
    X : ndarray, sequence or DataFrame
        ``(n, h, w)`` or ``(n, h, w, c)`` with c in 1 (grey), 3 (RGB) or 4 (RGBA, composited
        on white), uint8 in 0..255 or float in 0..1; a list, tuple, 1-D object or string array
        or Series of paths, encoded bytes, PIL images or arrays; or 2-D rows ``(n, h*w[*3])``
        of any finite numbers.
    reset : bool
        True in ``fit``: record ``image_size_`` and, for rows and arrays whose size matters,
        ``n_features_in_``. False elsewhere: refuse images of another size than the recorded.

    Returns
    -------
    images : ImageBatches
        Nothing is decoded yet, except that with ``reset=True`` the headers of all files have
        been read.

    Raises
    ------
    InvalidImagesError
        Wrong rank, dtype, range or size, or no image; the message names the rows.
    ImageReadError
        Files that cannot be read; the message names their rows and paths.
    ValueError, TypeError
        From scikit-learn's ``validate_data``, for 2-D rows.
    """
    door = _Door(estimator, reset)
    items = _as_items(X)
    if items is not None:
        return door.check_items(items)
    if hasattr(X, "columns") or hasattr(X, "toarray"):
        return door.check_rows(X)
    array = X if isinstance(X, np.ndarray) else np.asarray(X)
    if array.ndim in (3, 4):
        return door.check_stack(array)
    if array.ndim > 4:
        raise InvalidImagesError(
            f"{door.name} expected images of shape (n, height, width) or (n, height, width, 3), "
            f"got an array of shape {array.shape}."
        )
    return door.check_rows(X)


class _Door:
    """One call of `check_images`: the estimator's wishes and the messages that name it."""

    def __init__(self, estimator: Any, reset: bool) -> None:
        self.estimator = estimator
        self.reset = reset
        self.name = type(estimator).__name__
        self.color: str | None = getattr(estimator, "color", None)
        self.target = self._target_size(getattr(estimator, "image_size", None))

    def check_rows(self, X: Any) -> ImageBatches:
        image_shape = getattr(self.estimator, "image_shape", None)
        rows = validate_data(self.estimator, X, reset=self.reset)
        if image_shape is None:
            raise InvalidImagesError(
                f"{self.name} got 2-D rows of shape {rows.shape} and image_shape=None. Say how "
                "to read a row, for example image_shape=(48, 48), or pass images of shape (n, "
                "height, width); a single grey image is X[np.newaxis]."
            )
        shape = self._shape_of_rows(image_shape, rows.shape[1])
        size = self._settle_size(shape[:2])
        load = partial(self._load_rows, rows, shape)
        return ImageBatches(len(rows), size, self.name, load)

    def check_stack(self, stack: NDArray[Any]) -> ImageBatches:
        if stack.shape[0] == 0:
            raise InvalidImagesError(
                f"{self.name} expected at least one image, got an array of shape {stack.shape}."
            )
        problem = shape_problem(stack.shape[1:]) or dtype_problem(stack.dtype)
        if problem:
            raise InvalidImagesError(
                f"{self.name} expected images of shape (n, height, width) or (n, height, width, "
                f"3), uint8 or float, got shape {stack.shape}, dtype {stack.dtype}: {problem}."
            )
        if stack.dtype != np.uint8:
            self._check_range(stack)
        size = self._settle_size(stack.shape[1:3])
        if self.reset:
            if self.target is None:
                n_channels = 3 if stack.ndim == 4 and stack.shape[3] >= 3 else 1
                self.estimator.n_features_in_ = size[0] * size[1] * n_channels
            else:
                _forget(self.estimator, "n_features_in_")
            _forget(self.estimator, "feature_names_in_")
        return ImageBatches(len(stack), size, self.name, partial(self._load_stack, stack))

    def check_items(self, items: Sequence[Any]) -> ImageBatches:
        if len(items) == 0:
            raise InvalidImagesError(
                f"{self.name} expected at least one image, got an empty {type(items).__name__}."
            )
        self._check_item_types(items)
        expected = self.target or (None if self.reset else self._recorded_size())
        if self.reset:
            sizes, failures = _read_sizes(items)
            _raise_any(self.name, failures, len(items))
            if expected is None:
                expected = sizes[0]
                failures = [
                    (row, _size_error(items[row], size, expected))
                    for row, size in enumerate(sizes)
                    if size != expected
                ]
                _raise_any(self.name, failures, len(items))
            _forget(self.estimator, "n_features_in_")
            _forget(self.estimator, "feature_names_in_")
        elif expected is None:  # stateless and not fitted: the first readable image decides
            expected = next(iter(_read_sizes(items, only_first=True)[0]), None)
        size = self._settle_size(expected or (1, 1))
        load = partial(self._load_items, items, size)
        return ImageBatches(len(items), size, self.name, load)

    def _target_size(self, image_size: Any) -> tuple[int, int] | None:
        if image_size is None:
            return None
        size = (image_size, image_size) if isinstance(image_size, Integral) else image_size
        if len(size) != 2 or not all(isinstance(v, Integral) and v > 0 for v in size):
            raise ValueError(
                f"{self.name} expected image_size to be None, a positive int or (height, width) "
                f"in pixels, got {image_size!r}."
            )
        return int(size[0]), int(size[1])

    def _shape_of_rows(self, image_shape: Any, n_features: int) -> tuple[int, ...]:
        shape = tuple(image_shape)
        if (
            len(shape) not in (2, 3)
            or not all(isinstance(v, Integral) and (v > 0 or v == -1) for v in shape)
            or shape.count(-1) > 1
            or (len(shape) == 3 and shape[2] != 3)
        ):
            raise ValueError(
                f"{self.name} expected image_shape to be (height, width) or (height, width, 3) "
                f"with at most one -1, got {image_shape!r}."
            )
        known = int(np.prod([v for v in shape if v != -1]))
        fits = n_features % known == 0 if -1 in shape else n_features == known
        if not fits:
            raise InvalidImagesError(
                f"{self.name} cannot read rows of {n_features} features as images of shape "
                f"{shape}. Change image_shape, or pass rows of another length."
            )
        return tuple(n_features // known if v == -1 else int(v) for v in shape)

    def _recorded_size(self) -> tuple[int, int] | None:
        return cast("tuple[int, int] | None", getattr(self.estimator, "image_size_", None))

    def _settle_size(self, size: tuple[int, ...]) -> tuple[int, int]:
        """Return the size in which images leave; compare it with, or record it as, the fitted."""
        settled = self.target or (int(size[0]), int(size[1]))
        if self.reset:
            self.estimator.image_size_ = settled
        else:
            recorded = self._recorded_size()
            if recorded is not None and recorded != settled:
                raise InvalidImagesError(
                    f"{self.name} was fitted on images of {_px(recorded)}, got {_px(settled)}. "
                    "Pass images of that size, or set image_size and fit again to resize all."
                )
        return settled

    def _check_range(self, stack: NDArray[Any]) -> None:
        failures: _Failures = []
        axes = tuple(range(1, stack.ndim))
        for rows in gen_batches(len(stack), _SCAN):
            low, high = stack[rows].min(axis=axes), stack[rows].max(axis=axes)
            # written so that NaN, which min and max hand on, is bad too
            for i in np.flatnonzero(~((low >= 0) & (high <= 1))):
                problem = range_problem(low[i], high[i])
                failures.append((rows.start + int(i), InvalidImagesError(problem)))
        _raise_any(self.name, failures, len(stack))

    def _check_item_types(self, items: Sequence[Any]) -> None:
        failures: _Failures = []
        first: np.dtype[Any] | None = None
        for row, item in enumerate(items):
            dtype = _item_dtype(item)
            if dtype is None:
                problem = (
                    f"is {_kind(item)}: expected a path, encoded bytes, a PIL image or an array"
                )
            elif first is None or dtype == first:
                first = dtype
                continue
            else:
                problem = f"has {dtype} pixels where the first image has {first}: convert one"
            failures.append((row, InvalidImagesError(problem)))
        _raise_any(self.name, failures, len(items))

    def _load_rows(
        self, rows: NDArray[Any], shape: tuple[int, ...], batch: slice, _n_threads: int
    ) -> NDArray[Any]:
        images = rows[batch].reshape(-1, *shape)
        if images.dtype != np.uint8:
            images = images.astype(float_type(images.dtype), copy=False)
        return self._convert(images, is_rgb=len(shape) == 3)

    def _load_stack(self, stack: NDArray[Any], batch: slice, _n_threads: int) -> NDArray[Any]:
        return self._convert_channels(stack[batch], has_channels=stack.ndim == 4)

    def _load_items(
        self, items: Sequence[Any], size: tuple[int, int], batch: slice, n_threads: int
    ) -> NDArray[Any] | _Failures:
        load = partial(self._load_item, size)
        if n_threads > 1 and not isinstance(items[batch.start], np.ndarray):
            with ThreadPoolExecutor(n_threads) as pool:
                loaded = list(pool.map(load, items[batch]))
        else:
            loaded = [load(item) for item in items[batch]]
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
            if isinstance(item, np.ndarray):
                check_pixels(item)
                image = self._convert_channels(item[np.newaxis], has_channels=item.ndim == 3)
            else:
                decoded = read_image(item)
                image = self._convert(decoded[np.newaxis], is_rgb=decoded.ndim == 3)
        except InvalidImagesError as error:
            return _of_item(item, error)
        if image.shape[1:3] != size:
            return _size_error(item, image.shape[1:3], size)
        return image[0]

    def _convert_channels(self, images: NDArray[Any], *, has_channels: bool) -> NDArray[Any]:
        if images.dtype != np.uint8:
            images = images.astype(float_type(images.dtype), copy=False)
        if has_channels and images.shape[3] == 4:
            images = flatten_alpha(images)
        if has_channels and images.shape[3] == 1:
            images = images[..., 0]
        return self._convert(images, is_rgb=images.ndim == 4)

    def _convert(self, images: NDArray[Any], *, is_rgb: bool) -> NDArray[Any]:
        if self.color == "grey" and is_rgb:
            images, is_rgb = to_grey(images), False
        if self.target is not None:
            images = resize_images(images, self.target, channels=is_rgb)
        if self.color == "rgb" and not is_rgb:
            images = to_rgb(images)
        return images


def _raise_any(owner: str, failures: _Failures, n_samples: int) -> None:
    """Raise one error that names all rows at fault; return if there is none."""
    if not failures:
        return
    named = [(row, str(error)) for row, error in failures]
    lines = [f"row {row} {reason}" for row, reason in named[:_N_NAMED]]
    if len(named) > _N_NAMED:
        lines.append(f"and {len(named) - _N_NAMED} more (error.failures holds all)")
    message = f"{owner} cannot use {len(named)} of {n_samples} images:\n  " + "\n  ".join(lines)
    if any(isinstance(error, ImageReadError) for _, error in failures):
        raise ImageReadError(message, named)
    raise InvalidImagesError(message, named)


def _as_items(X: Any) -> Sequence[Any] | None:
    """Return X as a sequence of images, or None if it holds numbers."""
    if hasattr(X, "to_numpy") and getattr(X, "ndim", len(getattr(X, "shape", ()))) == 1:
        X = X.to_numpy()  # a Series of pandas or polars
    if isinstance(X, np.ndarray):
        if X.ndim != 1 or X.dtype.kind not in "OUST":
            return None
        X = X.tolist() if X.dtype.kind != "O" else list(X)
    elif not isinstance(X, (list, tuple)):
        return None
    holds_images = any(_is_file_like(item) or getattr(item, "ndim", 0) >= 2 for item in X)
    return X if holds_images or len(X) == 0 else None


def _is_file_like(item: Any) -> bool:
    return isinstance(item, (str, os.PathLike, bytes, Image.Image))


def _item_dtype(item: Any) -> np.dtype[Any] | None:
    """Return the dtype in which an item of a sequence leaves, None if it is no image."""
    if isinstance(item, np.ndarray):
        return item.dtype if item.dtype == np.uint8 else np.dtype(float_type(item.dtype))
    return np.dtype(np.uint8) if _is_file_like(item) else None


def _read_sizes(
    items: Sequence[Any], *, only_first: bool = False
) -> tuple[list[tuple[int, int]], _Failures]:
    """Return height and width of the images without decoding them, and what failed."""
    sizes: list[tuple[int, int]] = []
    failures: _Failures = []
    for row, item in enumerate(items):
        try:
            if isinstance(item, np.ndarray):
                check_pixels(item)
                sizes.append((item.shape[0], item.shape[1]))
            else:
                sizes.append(read_image_size(item))
        except InvalidImagesError as error:
            failures.append((row, _of_item(item, error)))
        else:
            if only_first:
                break
    return sizes, failures


def _of_item(item: Any, error: InvalidImagesError) -> InvalidImagesError:
    """Return the error with the path, or the kind of item, in front of its reason."""
    where = f"({os.fspath(item)})" if isinstance(item, (str, os.PathLike)) else f"({_kind(item)})"
    return type(error)(f"{where} {error}")


def _kind(item: Any) -> str:
    return "encoded bytes" if isinstance(item, bytes) else type(item).__name__


def _size_error(item: Any, size: tuple[int, ...], expected: tuple[int, int]) -> InvalidImagesError:
    return _of_item(
        item,
        InvalidImagesError(
            f"is {_px(size)} where {_px(expected)} is expected: set image_size to resize all"
        ),
    )


def _px(size: tuple[int, ...]) -> str:
    return f"{size[0]} x {size[1]} px"


def _forget(estimator: Any, attribute: str) -> None:
    if hasattr(estimator, attribute):
        delattr(estimator, attribute)
