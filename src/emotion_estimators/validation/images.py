"""The X contract: what an estimator is given in, images of one size, or any sizes, out.

`check_images` is the one door. Arguments in, values out: only `record_table` and `compare_table`
know attributes of an estimator. Imports `images`, `_sklearn` and `exceptions`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import assert_all_finite, check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from emotion_estimators._sklearn import get_feature_names, validate_data
from emotion_estimators.exceptions import InvalidImagesError, counted, shorten
from emotion_estimators.images.collection import Images, Photograph
from emotion_estimators.images.items import (
    Failures,
    as_column,
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
from emotion_estimators.images.sizes import parse_image_shape, parse_size
from emotion_estimators.validation.masks import check_unmasked

__all__ = [
    "Images",
    "check_images",
    "check_labels",
    "compare_table",
    "iterate_images",
    "record_table",
]

_SCAN = 1024  # images of an array whose range is looked at together


def check_images(
    X: Any,
    *,
    name: str = "check_images",
    image_shape: tuple[int, ...] | list[int] | None = None,
    image_size: int | tuple[int, int] | None = None,
    color: str | None = None,
    expected_size: tuple[int, int] | None = None,
    mixed_sizes: bool = False,
    read_headers: bool = True,
    check_table: Callable[[Any], object] | None = None,
) -> Images:
    """Check X against the contract and return its images, which are read when asked for.

    Parameters
    ----------
    X : array-like
        ``(n, h, w)`` or ``(n, h, w, c)`` with c in 1 (grey), 3 (RGB) or 4 (RGBA, composited
        on white), uint8 in 0..255 or float in 0..1; a list, tuple, 1-D object or string array
        or Series of paths, encoded bytes, PIL images or arrays; a table of one such column, an
        array ``(n, 1)`` or a DataFrame; or 2-D rows ``(n, h*w[*3])`` of any finite numbers.
    name : str, default="check_images"
        Who asks, for messages: the name of the estimator.
    image_shape : tuple of int or None, default=None
        How to read 2-D rows: ``(height, width)`` or ``(height, width, 3)``; one entry may be -1.
        Not used for images.
    image_size : int, (int, int) or None, default=None
        Height and width of the images in pixels, or one int for both. Others are resized; None
        takes them as they are, all of one size.
    color : {"grey", "rgb"} or None, default=None
        Colour of the images. Others are converted; None keeps what comes.
    expected_size : tuple of int or None, default=None
        Height and width in pixels of the images of the fit: others are refused.
    mixed_sizes : bool, default=False
        Take images of any sizes, each as it is, for `Images.map`.
    read_headers : bool, default=True
        Look at the headers of all files now, as a fit does. False trusts `image_size` or
        `expected_size`, where there is one, until a file is decoded.
    check_table : callable or None, default=None
        Called with a 2-D X, rows or a column, before it is read. Where an estimator is used it
        is ``partial(compare_table, self)``.

    Returns
    -------
    images : Images
        No file is decoded yet.

    Raises
    ------
    InvalidImagesError
        Wrong rank, dtype, range or size, or no image; the message names the rows.
    ImageReadError
        Files that cannot be read; the message names their rows and paths.
    ValueError
        If an argument cannot be used, or rows are not numbers.
    TypeError
        If X is sparse, or a DataFrame whose columns have names of mixed types.

    See Also
    --------
    record_table : What `fit` calls last, with the images.
    compare_table : What the other methods compare a table with.
    iterate_images : Images that may be endless.

    Examples
    --------
    >>> import numpy as np
    >>> from emotion_estimators.validation import check_images
    >>> images = check_images(np.zeros((5, 48, 48), np.uint8), image_size=24, color="rgb")
    >>> images
    Images(n_samples=5, image_size=(24, 24), is_table=False)
    >>> [(rows, batch.shape) for rows, batch in images.batches(3)]
    [(slice(0, 3, None), (3, 24, 24, 3)), (slice(3, 5, None), (2, 24, 24, 3))]
    """
    if mixed_sizes and any(value is not None for value in (image_size, color, expected_size)):
        raise ValueError(
            f"{name} cannot resize or convert images of mixed sizes: image_size, color and "
            "expected_size must be None with mixed_sizes=True."
        )
    if color not in (None, "grey", "rgb"):
        raise ValueError(f"{name} expected color to be 'grey', 'rgb' or None, got {color!r}.")
    target = None if image_size is None else parse_size(image_size, name=name)
    expected = None if expected_size is None else tuple(expected_size)
    size: Any
    images, is_table, row_shape = _read(X, name, image_shape, check_table)
    if mixed_sizes:
        if row_shape is not None:
            images = images.reshape(-1, *row_shape)
        found = Images(len(images), None, is_table, name, None, images)
        if read_headers and isinstance(images, list) and not header_sizes(images)[1]:
            for _ in found.map(Photograph.pixels):  # raises, and names what is bad
                pass
        return found
    loader = ImageLoader(color, target)
    load: Any
    if isinstance(images, list):
        known: Any = target or expected
        size = known if known and not read_headers else _size_of_items(images, known, loader, name)
        load = partial(loader.load_items, images, size)
    elif row_shape is not None:
        size = target or row_shape[:2]
        load = partial(loader.load_rows, images, row_shape)
    else:
        size = target or images.shape[1:3]
        load = partial(loader.load_stack, images)
    if expected is not None and size != expected:
        raise InvalidImagesError(
            f"{name} was fitted on images of {format_size(expected)}, got "
            f"{format_size(size)}. Pass images of that size, or set image_size and fit again to "
            "resize all."
        )
    return Images(len(images), size, is_table, name, load)


def iterate_images(X: Any, name: str = "iterate_images") -> Iterable[Any]:
    """Return several images as something to iterate over, which may be endless.

    Parameters
    ----------
    X : iterable
        Paths, encoded bytes, PIL images or arrays, of any sizes; an array ``(n, height, width)``
        or ``(n, height, width, channels)``; a Series, a table of one column, a generator.
    name : str, default="iterate_images"
        Who asks, for messages.

    Returns
    -------
    items : iterable
        The images, of which nothing but their number and, of an array, shape and dtype have been
        looked at.

    Raises
    ------
    InvalidImagesError
        If X is one image, in whatever form, an array of another shape or dtype, or a table of
        more than one column.
    TypeError
        If X is sparse, a set or a dictionary, or cannot be iterated over.

    Examples
    --------
    >>> from itertools import repeat
    >>> from emotion_estimators.validation import iterate_images
    >>> next(iter(iterate_images(repeat("frame.png"))))
    'frame.png'
    """
    _refuse_one_image(X, name)
    items = as_sequence(X)
    shape = getattr(X, "shape", None)
    if items is None and shape is not None and len(shape) == 2:
        items = as_column(X)
    if items is not None:
        return items
    if hasattr(X, "columns") or (shape is not None and len(shape) == 2):
        raise InvalidImagesError(
            f"{name} expected images, got a table of shape {shape}. Pass the column that holds "
            "their paths, or X[numpy.newaxis] for one grey image."
        )
    if shape is not None:
        _check_stack(X, name)
        return X if isinstance(X, np.ndarray) else map(partial(_to_array, name=name), X)
    if not isinstance(X, Iterable) or isinstance(X, Mapping | set | frozenset):
        raise TypeError(
            f"{name} expected a list, an array or another iterable of images, got a "
            f"{type(X).__name__}."
        )
    return X


def check_labels(
    y: ArrayLike | None, *, n_samples: int, name: str = "check_labels"
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the sorted classes of y, and the class of each image as a position in them.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels, strings or numbers.
    n_samples : int
        Number of images.
    name : str, default="check_labels"
        Who asks, for messages: the name of the estimator.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
        Distinct labels.
    codes : ndarray of int64, shape (n_samples,)
        0..n_classes-1.

    Raises
    ------
    ValueError
        If y is None, of another length or shape, or holds no class labels.

    Examples
    --------
    >>> from emotion_estimators.validation import check_labels
    >>> classes, codes = check_labels(["sad", "happy", "sad"], n_samples=3)
    >>> classes.tolist(), codes.tolist()
    (['happy', 'sad'], [1, 0, 1])
    """
    if y is None:
        raise ValueError(f"{name} requires y to be passed, but the target y is None.")
    check_unmasked(name, y=y)
    labels = column_or_1d(y, warn=True)
    if labels.dtype.kind == "f":
        assert_all_finite(labels, input_name="y")
    check_classification_targets(labels)
    if len(labels) != n_samples:
        raise ValueError(
            f"{name} expected one label per image, got {counted(n_samples, 'image')} and "
            f"{counted(len(labels), 'label')}: inconsistent numbers of samples."
        )
    classes, codes = np.unique(labels, return_inverse=True)
    return classes, codes.astype(np.int64)


def record_table(estimator: Any, X: Any, images: Images) -> None:
    """Record number and names of the features of a table; of other X, that there are none.

    Parameters
    ----------
    estimator : estimator instance
        Gets ``n_features_in_`` and, of a DataFrame with names that are strings,
        ``feature_names_in_``; loses what an earlier fit on a table has left.
    X : array-like
        What `fit` was given.
    images : Images
        What `check_images` made of it.

    Examples
    --------
    >>> import numpy as np
    >>> from emotion_estimators import HOGTransformer
    >>> from emotion_estimators.validation import check_images, record_table
    >>> X, hog = np.array([["a.png"], ["b.png"]]), HOGTransformer()
    >>> record_table(hog, X, check_images(X, image_size=48, read_headers=False))
    >>> hog.n_features_in_
    1
    """
    if images.is_table:
        validate_data(estimator, X, skip_check_array=True)
        return
    for attribute in ("n_features_in_", "feature_names_in_"):
        vars(estimator).pop(attribute, None)


def compare_table(estimator: Any, X: Any) -> None:
    """Compare names and number of the features of a table with those of the fit on one.

    Parameters
    ----------
    estimator : estimator instance
        If it was not fitted, or not on a table, there is nothing to compare with.
    X : array-like of shape (n_samples, n_features)
        Rows, or a column of images.

    Raises
    ------
    ValueError
        From scikit-learn's ``validate_data``, if they differ.

    Examples
    --------
    >>> import numpy as np
    >>> from functools import partial
    >>> from emotion_estimators import HOGTransformer
    >>> from emotion_estimators.validation import check_images, compare_table
    >>> hog = HOGTransformer(image_shape=(48, 48)).fit(np.zeros((2, 2304)))
    >>> check_images(np.zeros((2, 9)), image_shape=(3, 3), check_table=partial(compare_table, hog))
    Traceback (most recent call last):
        ...
    ValueError: X has 9 features, but HOGTransformer is expecting 2304 features as input.
    """
    if hasattr(estimator, "n_features_in_"):
        validate_data(estimator, X, reset=False, skip_check_array=True)


def _read(
    X: Any, name: str, image_shape: Any, check_table: Callable[[Any], object] | None
) -> tuple[Any, bool, tuple[int, ...] | None]:
    """Return a list, (n, h, w[, c]) or rows (n, h*w[*3]); if X is a table; the shape of a row."""
    _refuse_one_image(X, name)
    items, is_table = as_sequence(X), False
    if items is None:
        is_frame = hasattr(X, "shape") and hasattr(X, "columns")
        array = X if is_frame else _as_array(X, name)
        is_table = len(array.shape) == 2
        if not is_table:
            return _check_pixels(array, name), False, None
        items = as_column(array)
        if items is None and image_shape is None:
            raise InvalidImagesError(
                f"{name} got 2-D rows of shape {array.shape} and image_shape=None. Say how to "
                "read a row, for example image_shape=(48, 48), or pass images of shape (n, "
                "height, width); a single grey image is X[numpy.newaxis]."
            )
        get_feature_names(array)  # refuses mixed types, which a fit would only see at its end
        if check_table is not None:
            check_table(array)
        if items is None:
            rows = check_array(array, estimator=name, input_name="X", ensure_all_finite=False)
            _check_values(rows, name, lambda low, high: np.isfinite(low) & np.isfinite(high))
            return rows, True, parse_image_shape(image_shape, rows.shape[1], name=name)
    if not items:
        raise InvalidImagesError(f"{name} expected at least one image, got an empty sequence.")
    _check_types(items, name)
    return items, is_table, None


def _check_pixels(stack: NDArray[Any], name: str) -> NDArray[Any]:
    """Return an array if it is images, (n, h, w[, c])."""
    if len(stack) == 0:
        raise InvalidImagesError(
            f"{name} expected at least one image, got an array of shape {stack.shape}."
        )
    _check_stack(stack, name)
    _check_values(stack, name, lambda low, high: (low >= 0) & (high <= 1))
    return stack


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


def _as_array(X: Any, name: str) -> NDArray[Any]:
    """Return X as an array of at least two axes, or an empty one."""
    array = _to_array(X, name)
    if array.ndim == 0 and isinstance(X, Iterable):  # a generator, a set, a dictionary
        raise InvalidImagesError(
            f"{name} expected an array, list or Series of images, got a {type(X).__name__}. "
            "Pass a list: list(X)."
        )
    if array.ndim < 2 and array.size:
        raise InvalidImagesError(
            f"{name} expected images of shape (n, height, width) or (n, height, width, 3), or "
            f"2-D rows, got {array.ndim} axes, shape {array.shape}. Reshape your data: "
            "X.reshape(1, -1) if it is one row."
        )
    return array


def _check_values(
    array: NDArray[Any],
    name: str,
    is_good: Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]],
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
    raise_any(name, failures, len(array))


def _check_types(items: list[Any], name: str) -> None:
    """Raise if what a list holds is no image, or uint8 beside floats."""
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
    raise_any(name, failures, len(items))


def _size_of_items(
    items: list[Any], known: tuple[int, int] | None, loader: ImageLoader, name: str
) -> tuple[int, int]:
    """Return the size in which images leave, by their headers; raise if some are bad."""
    sizes, is_whole = header_sizes(items)
    # of several sizes the commonest is expected, so that the message names the fewest rows
    size = known or next((size for size, _ in sizes.most_common(1)), (1, 1))
    if not is_whole or (loader.size is None and sizes.keys() - {size}):
        load = partial(loader.load_items, items, size)
        for _ in Images(len(items), size, False, name, load).batches(1):
            pass  # it raises, and names what is bad
    return size
