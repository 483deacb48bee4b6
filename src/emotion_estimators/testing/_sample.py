"""The images that estimators are checked with, and how outputs are taken and compared."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from emotion_estimators.datasets import make_faces

__all__ = [
    "Sample",
    "as_png",
    "assert_same",
    "assert_same_outputs",
    "class_names",
    "fit",
    "fresh",
    "image_parameters",
    "is_estimator",
    "is_multi_label",
    "make_sample",
    "object_array",
    "output_methods",
    "outputs",
    "representations",
    "write_png",
]

_OUTPUT_METHODS = ("transform", "predict", "predict_proba", "decision_function")

_N_SAMPLES = 36  # more than 33, which no usual batch size divides
_MIN_SAMPLES = 12
_IMAGE_SIZE = (40, 48)  # not square, so that height and width cannot be mistaken


@dataclass(frozen=True)
class Sample:
    """Images and targets to check an estimator with."""

    X: NDArray[np.uint8]
    y: NDArray[Any]
    colored: NDArray[np.uint8] | None = None
    batch_tolerance: float = 0.0

    @property
    def variants(self) -> list[NDArray[np.uint8]]:
        """All stacks of images: grey and colour ones, or the only one given."""
        return [self.X] if self.colored is None else [self.X, self.colored]

    @property
    def floats(self) -> NDArray[np.float32]:
        """The images as float32 in 0..1."""
        return self.X.astype(np.float32) / np.float32(255)


def is_multi_label(estimator: Any) -> bool:
    """Tell whether an estimator takes indicator matrices and nothing else."""
    tags = get_tags(estimator)
    return bool(
        tags.classifier_tags is not None
        and tags.classifier_tags.multi_label
        and not tags.target_tags.single_output
    )


def make_sample(
    X: ArrayLike | None, y: ArrayLike | None, batch_tolerance: float, *, multi_label: bool = False
) -> Sample:
    """Check the images to check with, or draw faces where there are none."""
    if X is None:
        if y is not None:
            raise ValueError("check_image_estimator got y without X: pass both or neither.")
        grey, colored, labels = (array.copy() for array in _drawn())  # a faulty one may write
        if multi_label:
            labels = _indicators(labels)
        return Sample(grey, labels, colored, batch_tolerance)
    images = np.asarray(X)
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or len(images) < _MIN_SAMPLES:
        raise ValueError(
            f"check_image_estimator expected X to be at least {_MIN_SAMPLES} uint8 images, of "
            f"shape (n, height, width) or (n, height, width, 3), got {images.dtype} of shape "
            f"{images.shape}."
        )
    targets = np.resize(["happy", "sad"], len(images)) if y is None else np.asarray(y)
    if y is None and multi_label:
        targets = _indicators(targets)
    if len(targets) != len(images):
        raise ValueError(
            f"check_image_estimator got {len(images)} images and {len(targets)} targets."
        )
    return Sample(images, targets, None, batch_tolerance)


@cache
def _drawn() -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[Any]]:
    """Return grey faces, the same in colour, and their labels."""
    emotions = ["angry", "happy", "surprise"]
    settings: Any = {"emotions": emotions, "image_size": _IMAGE_SIZE, "random_state": 0}
    grey, labels = make_faces(_N_SAMPLES, **settings)
    return grey, make_faces(_N_SAMPLES, color="rgb", **settings)[0], labels


def _indicators(labels: NDArray[Any]) -> NDArray[np.int64]:
    """Return three columns of 0 and 1, two of which exclude each other."""
    every_other = np.arange(len(labels)) % 2 == 0
    columns = [labels == labels[0], labels != labels[0], every_other]
    return np.column_stack(columns).astype(np.int64)


def fresh(estimator: Any) -> Any:
    """Return an unfitted copy in which every random_state that is no int is 0."""
    copy = clone(estimator)
    seeds = {
        name: 0
        for name, value in copy.get_params().items()
        if name.rpartition("__")[2] == "random_state" and not isinstance(value, Integral)
    }
    return copy.set_params(**seeds) if seeds else copy


def fit(estimator: Any, X: Any, y: Any, **parameters: Any) -> Any:
    """Return a fresh copy with these parameters, fitted."""
    return fresh(estimator).set_params(**parameters).fit(X, y)


def output_methods(estimator: Any) -> dict[str, Callable[[Any], Any]]:
    """Return the output methods that an estimator has, by name."""
    return {name: getattr(estimator, name) for name in _OUTPUT_METHODS if hasattr(estimator, name)}


def outputs(estimator: Any, X: Any) -> dict[str, NDArray[Any]]:
    """Return what each output method that the estimator has gives for X."""
    given = {name: give(X) for name, give in output_methods(estimator).items()}
    if not given:
        raise AssertionError(
            f"{type(estimator).__name__} has none of the methods {', '.join(_OUTPUT_METHODS)}."
        )
    return {
        name: np.asarray(value.toarray() if hasattr(value, "toarray") else value)
        for name, value in given.items()
    }


def assert_same(
    got: NDArray[Any], expected: NDArray[Any], what: str, *, tolerance: float = 0.0
) -> None:
    """Raise AssertionError unless shape, dtype and values are the same."""
    # string dtypes are as wide as their longest string, which may be in another batch
    same_type = got.dtype == expected.dtype or (got.dtype.kind == expected.dtype.kind == "U")
    if got.shape != expected.shape or not same_type:
        raise AssertionError(
            f"{what}: got {got.dtype} of shape {got.shape}, expected {expected.dtype} of shape "
            f"{expected.shape}."
        )
    if got.dtype.kind not in "fc":
        same = np.array_equal(got, expected)
        if not same:
            raise AssertionError(f"{what}: other values in rows {_rows(got != expected)}.")
        return
    difference = np.abs(got - expected)
    wrong = ~((difference <= tolerance) | (got == expected) | (np.isnan(got) & np.isnan(expected)))
    if wrong.any():
        raise AssertionError(
            f"{what}: other values in rows {_rows(wrong)}, off by up to "
            f"{np.nanmax(difference, initial=0):.3g} (allowed: {tolerance:g})."
        )


def assert_same_outputs(
    estimator: Any,
    X: Any,
    expected: dict[str, NDArray[Any]],
    what: str,
    *,
    rows: Any = slice(None),
    tolerance: float = 0.0,
) -> None:
    """Raise AssertionError unless the outputs for X are the `rows` of those expected."""
    for method, got in outputs(estimator, X).items():
        where = f"{type(estimator).__name__}.{method} on {what}"
        assert_same(got, expected[method][rows], where, tolerance=tolerance)


def representations(X: NDArray[np.uint8], folder: Path) -> Iterator[tuple[str, Any]]:
    """Yield the same pixels in every form that is no stack and no rows, with its name."""
    arrays = list(X)
    yield "a list of arrays", arrays
    yield "a tuple of arrays", tuple(arrays)
    yield "an object array of arrays", object_array(arrays)
    paths = [write_png(image, folder / f"{row}.png") for row, image in enumerate(X)]
    yield "a list of paths", paths
    names = [str(path) for path in paths]
    yield "a list of paths as str", names
    yield "a str array of paths", np.array(names)
    yield "an object array of paths", object_array(paths)
    encoded = [as_png(image) for image in X]
    yield "a list of encoded bytes", encoded
    pictures = [Image.fromarray(image) for image in X]
    yield "a list of PIL images", pictures
    kinds = [arrays, paths, encoded, pictures]
    yield "a list of several kinds", [kinds[row % 4][row] for row in range(len(X))]
    try:
        import pandas as pd
    except ImportError:
        return
    # an index that does not count from 0, as after a split
    yield "a Series of paths", pd.Series(names, index=np.arange(len(names))[::-1] + 5)
    yield "a Series of arrays", pd.Series(arrays, index=np.arange(len(names))[::-1] + 5)


def object_array(items: list[Any]) -> NDArray[Any]:
    """Return a 1-D object array of the items, whatever they are."""
    array = np.empty(len(items), dtype=object)
    for row, item in enumerate(items):
        array[row] = item
    return array


def as_png(image: NDArray[np.uint8]) -> bytes:
    """Encode an image without loss."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "png")
    return buffer.getvalue()


def write_png(image: NDArray[np.uint8], path: Path) -> Path:
    """Write an image without loss and return its path."""
    path.write_bytes(as_png(image))
    return path


def image_parameters(estimator: Any, name: str) -> dict[str, Any]:
    """Return the parameters of this name of the estimator, or of the parts that see images.

    In a pipeline that is the first step only; elsewhere every part counts.
    """
    found = {
        key: value
        for key, value in estimator.get_params().items()
        if key.rpartition("__")[2] == name
    }
    if isinstance(estimator, Pipeline):
        first = f"{estimator.steps[0][0]}__"
        found = {key: value for key, value in found.items() if key.startswith(first)}
    return found


def is_estimator(value: Any) -> bool:
    """Tell whether a parameter is an estimator, or a list of named ones."""
    if isinstance(value, (list, tuple)):
        return any(isinstance(item, tuple) and any(map(is_estimator, item)) for item in value)
    return hasattr(value, "get_params") and not isinstance(value, type)


def class_names(estimator: Any) -> set[str]:
    """Return the names of the classes of the estimator and of its parts."""
    parts = [value for value in estimator.get_params().values() if hasattr(value, "get_params")]
    return {type(part).__name__ for part in [estimator, *parts]}


def _rows(wrong: Any) -> str:
    per_row = np.asarray(wrong).reshape(len(wrong), -1).any(axis=1)
    rows = np.flatnonzero(per_row).tolist()
    return ", ".join(map(str, rows[:10])) + (", ..." if len(rows) > 10 else "")
