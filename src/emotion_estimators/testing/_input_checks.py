"""Checks of what goes in: forms of the same pixels, image sizes, and what must be refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimators.testing._sample import (
    Sample,
    as_png,
    assert_same_outputs,
    class_names,
    fit,
    fresh,
    image_parameters,
    object_array,
    output_methods,
    outputs,
    representations,
    write_png,
)

__all__ = [
    "check_bad_dtypes_refused",
    "check_bad_pixels_refused",
    "check_bad_ranks_refused",
    "check_column_of_images",
    "check_image_rows",
    "check_image_size_refused",
    "check_image_size_resized",
    "check_memory_layouts",
    "check_same_pixels",
    "check_unreadable_files_named",
]


def check_same_pixels(estimator: Any, sample: Sample) -> None:
    """Check that lists, paths, bytes, PIL images and Series give what a stack gives."""
    for X in sample.variants:
        fitted = fit(estimator, X, sample.y)
        expected = outputs(fitted, X)
        with TemporaryDirectory() as folder:
            for what, form in representations(X, Path(folder)):
                assert_same_outputs(fitted, form, expected, what)
                if what in {"a list of arrays", "a list of paths"}:
                    other = fit(estimator, form, sample.y)
                    assert_same_outputs(other, X, expected, f"a stack, after a fit on {what}")
    floats = sample.floats
    fitted = fit(estimator, floats, sample.y)
    expected = outputs(fitted, floats)
    assert_same_outputs(fitted, list(floats), expected, "a list of float arrays")
    assert_same_outputs(
        fitted, object_array(list(floats)), expected, "an object array of float arrays"
    )


def check_image_rows(estimator: Any, sample: Sample) -> None:
    """Check that 2-D rows, read through ``image_shape``, give what a stack gives."""
    for X in sample.variants:
        rows = X.reshape(len(X), -1)
        expected = outputs(fit(estimator, X, sample.y), X)
        for shape in (X.shape[1:], (-1, *X.shape[2:])):
            parameters = dict.fromkeys(image_parameters(estimator, "image_shape"), shape)
            fitted = fit(estimator, rows, sample.y, **parameters)
            assert_same_outputs(fitted, rows, expected, f"rows with image_shape={shape}")
            assert_same_outputs(fitted, X, expected, "a stack, after a fit on rows")
            _Refusals(fitted).by_outputs("rows that are one pixel short", rows[:, :-1])


def check_column_of_images(estimator: Any, sample: Sample) -> None:
    """Check that a table of one column of images gives what a stack gives, and is recorded."""
    X = sample.X
    expected = outputs(fit(estimator, X, sample.y), X)
    with TemporaryDirectory() as folder:
        paths = [str(write_png(image, Path(folder) / f"{i}.png")) for i, image in enumerate(X)]
        forms = {
            "an array of paths (n, 1)": np.array(paths)[:, np.newaxis],
            "an object array of images (n, 1)": object_array(list(X))[:, np.newaxis],
        }
        with suppress(ImportError):
            import pandas as pd

            forms["a DataFrame of one column"] = pd.DataFrame({"face": paths})
        for what, form in forms.items():
            fitted = fit(estimator, form, sample.y)
            assert_same_outputs(fitted, form, expected, what)
            assert_same_outputs(fitted, X, expected, f"a stack, after a fit on {what}")
            if getattr(fitted, "n_features_in_", None) != 1:
                raise AssertionError(
                    f"{type(fitted).__name__}: n_features_in_ is not 1 after a fit on {what}."
                )
        refitted = fitted.fit(X, sample.y)
    left = [name for name in ("n_features_in_", "feature_names_in_") if hasattr(refitted, name)]
    if left:
        raise AssertionError(
            f"{type(refitted).__name__} keeps {' and '.join(left)} after a fit on a stack, which "
            "has no columns."
        )


def check_memory_layouts(estimator: Any, sample: Sample) -> None:
    """Check that Fortran-ordered, strided and read-only arrays give what a plain one gives."""
    for X in (sample.X, sample.floats):
        fitted = fit(estimator, X, sample.y)
        expected = outputs(fitted, X)
        read_only = X.copy()
        read_only.flags.writeable = False
        layouts = {
            "a Fortran-ordered array": np.asfortranarray(X),
            "an array of strided images": np.repeat(X, 2, axis=0)[::2],
            "an array of strided columns": np.repeat(X, 2, axis=2)[:, :, ::2],
            "an array of reversed images": X[::-1].copy()[::-1],
            "a read-only array": read_only,
            "a list of Fortran-ordered arrays": [np.asfortranarray(image) for image in X],
        }
        for what, layout in layouts.items():
            assert_same_outputs(fitted, layout, expected, what)
            other = fit(estimator, layout, sample.y)
            assert_same_outputs(other, X, expected, f"a plain array, after a fit on {what}")


def check_image_size_refused(estimator: Any, sample: Sample) -> None:
    """Check that images of another size than in fit are an error."""
    X, y = sample.X, sample.y
    fitted = fit(estimator, X, y)
    refused = _Refusals(fitted)
    height, width = X.shape[1:3]
    for size in ((height, width + 8), (height + 8, width), (width, height), (height * 2, width)):
        if size != (height, width):
            refused.by_outputs(
                f"images of {size[0]} x {size[1]} px, fitted on {height} x {width},",
                _resized(X, size),
            )
    # as many pixels, so that the number of features says nothing
    if height % 2 == 0:
        refused.by_outputs(
            f"images of {height // 2} x {width * 2} px, fitted on {height} x {width},",
            X.reshape(len(X), height // 2, width * 2, *X.shape[3:]),
        )
    mixed = [*X[:-1], _resized(X[-1:], (height + 8, width))[0]]
    refused.by_outputs("a list with one image of another size", mixed, rows=[len(X) - 1])
    refused.by_fit("a list with one image of another size", mixed, y, rows=[len(X) - 1])


def check_image_size_resized(estimator: Any, sample: Sample) -> None:
    """Check that ``image_size`` lets in all sizes, and changes no image of that size."""
    X, y = sample.X, sample.y
    parameters = image_parameters(estimator, "image_size")
    size = X.shape[1:3]
    if any(value is None for value in parameters.values()):
        plain = outputs(fit(estimator, X, y), X)
        fitted = fit(estimator, X, y, **dict.fromkeys(parameters, size))
        assert_same_outputs(fitted, X, plain, f"images of {size}, with image_size={size}")
    else:
        fitted = fit(estimator, X, y)
    expected = outputs(fitted, X)
    larger = _resized(X, (size[0] * 2, size[1] + 8))
    alone = outputs(fitted, larger)
    tolerance = sample.batch_tolerance
    mixed = [larger[row] if row % 3 == 1 else X[row] for row in range(len(X))]
    is_larger = np.arange(len(X)) % 3 == 1
    for method, got in outputs(fitted, mixed).items():
        if len(got) != len(X):
            raise AssertionError(
                f"{type(estimator).__name__}.{method} gives {len(got)} rows for {len(X)} images of "
                "two sizes."
            )
    assert_same_outputs(
        fitted,
        [image for image, is_large in zip(mixed, is_larger, strict=True) if is_large],
        alone,
        "a list of larger images",
        rows=is_larger,
        tolerance=tolerance,
    )
    combined = {
        method: np.where(is_larger.reshape(-1, *[1] * (got.ndim - 1)), alone[method], got)
        for method, got in expected.items()
    }
    assert_same_outputs(fitted, mixed, combined, "a list of two sizes", tolerance=tolerance)


def check_bad_pixels_refused(estimator: Any, sample: Sample) -> None:
    """Check that the error for NaN, infinity and floats outside 0..1 names the rows."""
    good, y = sample.floats, sample.y
    refused = _Refusals(fit(estimator, good, y))
    rows = _telling_rows(good.shape)
    for what, value in (("NaN", np.nan), ("infinity", np.inf), ("1.5", 1.5), ("-0.25", -0.25)):
        bad = good.copy()
        for row in rows:
            bad[row, -1, -1] = value
        for form in (bad, list(bad)):
            refused.by_outputs(f"float images with {what}", form, rows=rows)
            refused.by_fit(f"float images with {what}", form, y, rows=rows)


def check_bad_dtypes_refused(estimator: Any, sample: Sample) -> None:
    """Check that images of other integers than uint8, complex numbers or text are an error."""
    X, y = sample.X, sample.y
    refused = _Refusals(fit(estimator, X, y))
    bad: dict[str, Any] = {
        "int64 images": X.astype(np.int64),
        "complex images": X.astype(np.complex128),
        "images of text": X.astype(str),
        "a list of int64 images": list(X.astype(np.int64)),
        "a list of None": [None] * len(X),
    }
    for what, form in bad.items():
        refused.by_outputs(what, form)
        refused.by_fit(what, form, y)


def check_bad_ranks_refused(estimator: Any, sample: Sample) -> None:
    """Check that no image, one without a batch axis, and other ranks are an error."""
    X, y = sample.X, sample.y
    refused = _Refusals(fit(estimator, X, y))
    bad: dict[str, Any] = {
        "an empty array": X[:0],
        "an empty list": [],
        "a 1-D array of numbers": X.reshape(len(X), -1)[:, 0],
        "a 5-D array": X.reshape(len(X), 1, 1, *X.shape[1:3], -1)[..., 0],
        "an array of two channels": np.stack([X.reshape(*X.shape[:3], -1)[..., 0]] * 2, axis=-1),
        "a single number": 1.0,
    }
    if all(value is None for value in image_parameters(estimator, "image_shape").values()):
        bad["2-D rows that no image_shape reads"] = X.reshape(len(X), -1)
        bad["one image without a batch axis"] = X[0] if X.ndim == 3 else X[0, :, :, 0]
    for what, form in bad.items():
        refused.by_outputs(what, form)
        refused.by_fit(what, form, y[: len(form)] if np.ndim(form) else y)


def check_unreadable_files_named(estimator: Any, sample: Sample) -> None:
    """Check that the error for unreadable files names all of them, with their rows."""
    X, y = sample.X, sample.y
    refused = _Refusals(fit(estimator, X, y))
    with TemporaryDirectory() as name:
        folder = Path(name)
        good = [write_png(image, folder / f"{row}.png") for row, image in enumerate(X)]
        rows = [1, len(X) // 2, len(X) - 2]
        missing, text = folder / "missing.png", folder / "text.png"
        text.write_text("not an image")
        broken = folder / "broken.png"
        broken.write_bytes(as_png(X[0])[:-40])
        directory = folder / "folder.png"
        directory.mkdir()
        for what, files, seen_in_header in (
            ("unreadable files", [missing, text, directory], True),
            ("a truncated file among others", [missing, broken, text], False),
        ):
            paths = list(good)
            for row, file in zip(rows, files, strict=True):
                paths[row] = file
            words = [str(file) for file in files]
            refused.by_outputs(what, paths, rows=rows, words=words)
            if seen_in_header:
                refused.by_fit(what, paths, y, rows=rows, words=words)


class _Refusals:
    """Asserts that an estimator refuses X, with a message that says what is needed."""

    def __init__(self, fitted: Any) -> None:
        self.fitted = fitted
        self.names = class_names(fitted)

    def by_outputs(
        self, what: str, X: Any, *, rows: Sequence[int] = (), words: Sequence[str] = ()
    ) -> None:
        for method, give in output_methods(self.fitted).items():
            self._refused(partial(give, X), method, what, rows, words)

    def by_fit(
        self, what: str, X: Any, y: Any, *, rows: Sequence[int] = (), words: Sequence[str] = ()
    ) -> None:
        self._refused(partial(fresh(self.fitted).fit, X, y), "fit", what, rows, words)

    def _refused(
        self,
        call: Callable[[], object],
        method: str,
        what: str,
        rows: Sequence[int],
        words: Sequence[str],
    ) -> None:
        where = f"{type(self.fitted).__name__}.{method}"
        try:
            call()
        except (ValueError, TypeError) as error:
            message = str(error)
        except Exception as error:
            raise AssertionError(
                f"{where} raises {type(error).__name__} for {what}, expected a ValueError or "
                f"TypeError: {error}"
            ) from error
        else:
            raise AssertionError(f"{where} accepts {what}, expected an error.")
        lacking = [word for word in words if word not in message]
        lacking += [f"row {row}" for row in rows if not re.search(rf"\b{row}\b", message)]
        if not any(name in message for name in self.names):
            lacking.append(f"the name of the estimator ({', '.join(sorted(self.names))})")
        if lacking:
            raise AssertionError(
                f"{where}: the error for {what} does not name {', '.join(lacking)}: {message}"
            )


def _resized(X: NDArray[np.uint8], size: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return the images repeated and cut to a size; content does not matter here."""
    times = [-(-wanted // given) for wanted, given in zip(size, X.shape[1:3], strict=True)]
    tiled = np.tile(X, (1, *times, *[1] * (X.ndim - 3)))
    return np.ascontiguousarray(tiled[:, : size[0], : size[1]])


def _telling_rows(shape: tuple[int, ...]) -> list[int]:
    """Return two rows whose numbers do not occur in the shape, which messages may show."""
    numbers = [row for row in range(3, shape[0] - 1) if row not in shape]
    return [numbers[0], numbers[-1]]
