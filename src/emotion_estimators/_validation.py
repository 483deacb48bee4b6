"""The X contract: what an estimator is given in, batches of images of one size out.

`check_images` is the one door for images; imports `images`, `_sklearn` and `exceptions`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimators._sklearn import validate_data
from emotion_estimators.exceptions import InvalidImagesError, shorten
from emotion_estimators.images.collection import Images, Photograph
from emotion_estimators.images.items import (
    Failures,
    as_sequence,
    describe_problem,
    dtype_problem,
    format_size,
    header_sizes,
    is_one_image,
    item_dtype,
    item_name,
    raise_any,
    range_problem,
    shape_problem,
)
from emotion_estimators.images.loader import ImageLoader

__all__ = ["Images", "check_images", "check_photographs", "iterate_images"]

_SCAN = 1024  # images of an array whose range is looked at together


def check_images(estimator: Any, X: Any, *, reset: bool, image_size: Any = "image_size") -> Images:
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
    image_size : str, int, (int, int) or None, default="image_size"
        Name of the attribute that says which size to resize to, or that size itself.

    Returns
    -------
    images : Images
        No file is decoded yet. With ``reset=True``, or where no size is known, the headers of
        all files have been read.

    Raises
    ------
    InvalidImagesError
        Wrong rank, dtype, range or size, or no image; the message names the rows.
    ImageReadError
        Files that cannot be read; the message names their rows and paths.
    ValueError, TypeError
        From scikit-learn's ``validate_data``, for 2-D rows, and for sparse data.
    """
    if isinstance(image_size, str):
        image_size = getattr(estimator, image_size, None)
    return _OneSize(estimator, reset, image_size).hand_out(_Door(estimator, reset).read(X))


def check_photographs(estimator: Any, X: Any, *, reset: bool) -> Images:
    """Check X against the contract, but for its sizes, and hand its images out one by one.

    Parameters
    ----------
    estimator : estimator instance
        Its ``image_shape`` is read, as by `check_images`.
    X : ndarray, sequence or DataFrame
        As for `check_images`; the images may be of different sizes.
    reset : bool
        True in ``fit``: the headers of all files are read, and ``n_features_in_`` is recorded
        for rows.

    Returns
    -------
    photographs : Images
        No file is decoded yet.

    Raises
    ------
    InvalidImagesError, ImageReadError, ValueError, TypeError
        As from `check_images`.
    """
    images = _Door(estimator, reset).read(X).as_sequence()
    name = type(estimator).__name__
    photographs = Images(len(images), None, False, name, None, images)
    if reset and isinstance(images, list) and not header_sizes(images)[1]:
        for _ in photographs.map(Photograph.pixels):  # raises, and names what is bad
            pass
    return photographs


def iterate_images(X: Any, name: str) -> Iterable[Any]:
    """Return several images as something to iterate over, which may be endless.

    Parameters
    ----------
    X : iterable
        Paths, encoded bytes, PIL images or arrays, of any sizes; an array ``(n, height, width)``
        or ``(n, height, width, channels)``; a Series, a generator.
    name : str
        Who asks, for messages.

    Returns
    -------
    items : iterable
        The images, of which nothing but their number and, of an array, shape and dtype have been
        looked at.

    Raises
    ------
    InvalidImagesError
        If X is one image, in whatever form, an array of another shape or dtype, or a table.
    TypeError
        If X is sparse, or cannot be iterated over.
    """
    _refuse_one_image(X, name)
    items = as_sequence(X)
    if items is not None:
        return items
    shape = getattr(X, "shape", None)
    if hasattr(X, "columns") or (shape is not None and len(shape) == 2):
        raise InvalidImagesError(
            f"{name} expected images, got a table of shape {shape}. Pass the column that holds "
            "their paths, or X[numpy.newaxis] for one grey image."
        )
    if shape is not None:
        _check_stack(X, name)
        return X if isinstance(X, np.ndarray) else map(partial(_to_array, name=name), X)
    if not isinstance(X, Iterable):
        raise TypeError(
            f"{name} expected a list, an array or another iterable of images, got a "
            f"{type(X).__name__}."
        )
    return X


def _refuse_one_image(X: Any, name: str) -> None:
    """Raise if X is one image that is no array, masked, or sparse."""
    if is_one_image(X) or isinstance(X, (bytearray, memoryview)) or hasattr(X, "read"):
        raise InvalidImagesError(
            f"{name} expected several images, got one ({item_name(X)}). Pass a list: "
            f"{'[X.read()]' if hasattr(X, 'read') else '[X]'}."
        )
    if hasattr(X, "toarray"):
        raise TypeError(
            f"{name} expected images or dense rows, got a sparse {type(X).__name__}. "
            "Pass X.toarray()."
        )
    if np.ma.is_masked(X):
        raise InvalidImagesError(
            f"{name} expected images, got an array with masked values. Fill them: X.filled(0)."
        )


def _to_array(X: Any, name: str) -> NDArray[Any]:
    """Return X as an array, of whatever library it is."""
    try:
        return np.asarray(X)
    except ValueError as error:  # ragged lists
        raise InvalidImagesError(
            f"{name} expected images, or rows of one length, got a {type(X).__name__} "
            "whose parts differ in length. Pass a list of arrays, one for each image."
        ) from error
    except (TypeError, RuntimeError) as error:  # tensors with gradients, types of torch's own
        raise InvalidImagesError(
            f"{name} expected images, got a {type(X).__name__} that is no NumPy array: "
            f"{shorten(str(error))}"
        ) from error


def _check_stack(stack: Any, name: str) -> None:
    """Raise if an array cannot be (n, height, width) or (n, height, width, channels)."""
    shape, dtype = tuple(stack.shape), stack.dtype
    problem = shape_problem(shape[1:])
    if not problem and isinstance(dtype, np.dtype):  # a tensor's converts later
        problem = dtype_problem(dtype)
    if len(shape) == 3 and shape[2] in (1, 3, 4) and min(shape[:2]) > 4:
        problem = "this looks like one image with channels, pass X[numpy.newaxis]"
    if problem:
        raise InvalidImagesError(
            f"{name} expected images of shape (n, height, width) or (n, height, width, "
            f"3), uint8 or float, got shape {shape}, dtype {shorten(str(dtype))}: {problem}."
        )


@dataclass(frozen=True)
class _Given:
    """X, its form and its values checked: a list, or an array, or rows and how to read one."""

    images: Any  # list, (n, h, w[, c]), or rows (n, h * w[ * 3])
    row_shape: tuple[int, ...] | None = None  # (h, w) or (h, w, 3)

    def as_sequence(self) -> Any:
        """Return the images one by one, or (n, h, w[, c])."""
        return self.images if self.row_shape is None else self.images.reshape(-1, *self.row_shape)


class _Door:
    """Reads X, in whatever form it comes; its messages name the estimator."""

    def __init__(self, estimator: Any, reset: bool) -> None:
        self.estimator = estimator
        self.reset = reset
        self.name = type(estimator).__name__

    def read(self, X: Any) -> _Given:
        _refuse_one_image(X, self.name)
        items = as_sequence(X)
        if items is not None:
            return self._read_items(items)
        if hasattr(X, "columns"):
            return self._read_rows(X)
        array = self._as_array(X)
        return self._read_rows(array) if array.ndim == 2 else self._read_stack(array)

    def _as_array(self, X: Any) -> NDArray[Any]:
        array = _to_array(X, self.name)
        if array.ndim == 0 and isinstance(X, Iterable):  # a generator, a set, a dictionary
            raise InvalidImagesError(
                f"{self.name} expected an array, list or Series of images, got a "
                f"{type(X).__name__}. Pass a list: list(X)."
            )
        if array.ndim < 2 and array.size:
            raise InvalidImagesError(
                f"{self.name} expected images of shape (n, height, width) or (n, height, width, "
                f"3), or 2-D rows, got {array.ndim} axes, shape {array.shape}. Reshape your "
                "data: X.reshape(1, -1) if it is one row."
            )
        return array

    def _read_rows(self, X: Any) -> _Given:
        image_shape = getattr(self.estimator, "image_shape", None)
        if image_shape is None and X.shape[1] == 1:
            raise InvalidImagesError(
                f"{self.name} expected one image for each row, got a table of one column. Pass "
                "the column itself, a Series or 1-D array, if it holds paths or images."
            )
        if image_shape is None:
            raise InvalidImagesError(
                f"{self.name} got 2-D rows of shape {X.shape} and image_shape=None. Say how to "
                "read a row, for example image_shape=(48, 48), or pass images of shape (n, "
                "height, width); a single grey image is X[numpy.newaxis]."
            )
        rows = validate_data(self.estimator, X, reset=self.reset, ensure_all_finite=False)
        self._check_values(rows, lambda low, high: np.isfinite(low) & np.isfinite(high))
        return _Given(rows, self._shape_of_rows(image_shape, rows.shape[1]))

    def _read_stack(self, stack: NDArray[Any]) -> _Given:
        if len(stack) == 0:
            raise InvalidImagesError(
                f"{self.name} expected at least one image, got an array of shape {stack.shape}."
            )
        _check_stack(stack, self.name)
        self._check_values(stack, lambda low, high: (low >= 0) & (high <= 1))
        self._forget_features()
        return _Given(stack)

    def _read_items(self, items: list[Any]) -> _Given:
        if not items:
            raise InvalidImagesError(
                f"{self.name} expected at least one image, got an empty sequence."
            )
        self._check_types(items)
        self._forget_features()
        return _Given(items)

    def _shape_of_rows(self, image_shape: Any, n_features: int) -> tuple[int, ...]:
        """Return (height, width) or (height, width, 3) of the images that the rows hold."""
        shape = tuple(image_shape) if isinstance(image_shape, (tuple, list)) else ()
        known = [value for value in shape if value != -1]
        if (
            len(shape) not in (2, 3)
            or not _are_positive_ints(known)
            or len(known) < len(shape) - 1
            or shape[2:] not in ((), (3,))
        ):
            raise ValueError(
                f"{self.name} expected image_shape to be (height, width) or (height, width, 3), "
                f"of which height or width may be -1, got {image_shape!r}."
            )
        n_known = int(np.prod(known))
        n_unknown, remainder = divmod(n_features, n_known)
        if remainder or (-1 not in shape and n_unknown != 1):
            raise InvalidImagesError(
                f"{self.name} cannot read rows of {n_features} features as images of shape "
                f"{shape}. Change image_shape, or pass rows of another length."
            )
        return tuple(n_unknown if v == -1 else int(v) for v in shape)

    def _forget_features(self) -> None:
        """Take back what a fit on rows has recorded."""
        if not self.reset:
            return
        for attribute in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimator, attribute):
                delattr(self.estimator, attribute)

    def _check_values(
        self, array: NDArray[Any], is_good: Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]
    ) -> None:
        """Raise if the least and the largest value of a row are not `is_good`."""
        if array.dtype.kind != "f":
            return
        failures: Failures = []
        axes = tuple(range(1, array.ndim))
        for start in range(0, len(array), _SCAN):
            part = array[start : start + _SCAN]
            low, high = part.min(axis=axes), part.max(axis=axes)
            # NaN, which min and max hand on, compares as false and so is not good
            for i in np.flatnonzero(~is_good(low, high)):
                error = InvalidImagesError(range_problem(low[i], high[i]))
                failures.append((start + int(i), error))
        raise_any(self.name, failures, len(array))

    def _check_types(self, items: list[Any]) -> None:
        failures: Failures = []
        first: tuple[int, np.dtype[Any]] | None = None
        for row, item in enumerate(items):
            problem = describe_problem(item)
            if not problem:
                dtype = item_dtype(item)
                first = first or (row, dtype)
                if dtype != first[1]:
                    problem = (
                        f"({item_name(item)}) has {dtype} pixels where row {first[0]} has "
                        f"{first[1]}: convert one"
                    )
            if problem:
                failures.append((row, InvalidImagesError(problem)))
        raise_any(self.name, failures, len(items))


class _OneSize:
    """Brings images to one size, or sees that they have it; remembers it in fit."""

    def __init__(self, estimator: Any, reset: bool, image_size: Any) -> None:
        self.estimator = estimator
        self.reset = reset
        self.name = type(estimator).__name__
        self.target = self._target_size(image_size)
        self.loader = ImageLoader(getattr(estimator, "color", None), self.target)

    def hand_out(self, given: _Given) -> Images:
        images = given.images
        if given.row_shape is not None:
            size = self._settle_size(given.row_shape)
            load = partial(self.loader.load_rows, images, given.row_shape)
        elif isinstance(images, np.ndarray):
            size = self._settle_size(images.shape[1:])
            load = partial(self.loader.load_stack, images)
            if self.reset and self.target is None:
                n_channels = 3 if images.ndim == 4 and images.shape[3] >= 3 else 1
                self.estimator.n_features_in_ = size[0] * size[1] * n_channels
        else:
            return self._batches(images, self._settle_size(self._size_of_items(images)))
        return Images(len(images), size, False, self.name, load)

    def _batches(self, items: list[Any], size: tuple[int, int]) -> Images:
        load = partial(self.loader.load_items, items, size)
        return Images(len(items), size, False, self.name, load)

    def _size_of_items(self, items: list[Any]) -> tuple[int, int]:
        """Return the size in which the images leave; where unknown, look at their headers."""
        known = self.target or (None if self.reset else self._recorded_size())
        if known is not None and not self.reset:
            return known
        sizes, is_whole = header_sizes(items)
        # of several sizes the commonest is expected, so that the message names the fewest rows
        size = self.target or next((size for size, _ in sizes.most_common(1)), (1, 1))
        if not is_whole or (self.target is None and len(sizes) > 1):
            for _ in self._batches(items, size).batches(1):  # raises, and names what is bad
                pass
        return size

    def _target_size(self, image_size: Any) -> tuple[int, int] | None:
        if image_size is None:
            return None
        size = (image_size, image_size) if isinstance(image_size, Integral) else image_size
        if not _are_positive_ints(size) or len(size) != 2:
            raise ValueError(
                f"{self.name} expected image_size to be None, a positive int or (height, width) "
                f"in pixels, got {image_size!r}."
            )
        return int(size[0]), int(size[1])

    def _recorded_size(self) -> tuple[int, int] | None:
        return getattr(self.estimator, "image_size_", None)

    def _settle_size(self, size: tuple[int, ...]) -> tuple[int, int]:
        """Return the size in which images leave; compare it with, or record it as, the fitted."""
        settled = self.target or (int(size[0]), int(size[1]))
        if self.reset:
            self.estimator.image_size_ = settled
        else:
            recorded = self._recorded_size()
            if recorded is not None and recorded != settled:
                raise InvalidImagesError(
                    f"{self.name} was fitted on images of {format_size(recorded)}, got "
                    f"{format_size(settled)}. Pass images of that size, or set image_size and fit "
                    "again to resize all."
                )
        return settled


def _are_positive_ints(values: Any) -> bool:
    return isinstance(values, (tuple, list)) and all(
        isinstance(value, Integral) and int(value) > 0 for value in values
    )
