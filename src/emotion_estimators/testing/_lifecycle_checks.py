"""Checks of what happens to an estimator around fit: clone, grid search, saving and loading."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any
from unittest import SkipTest

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from emotion_estimators.testing._sample import (
    Sample,
    assert_same_outputs,
    fit,
    fresh,
    outputs,
)

__all__ = [
    "check_clone",
    "check_grid_search",
    "check_joblib",
    "check_pickle",
    "check_skops",
]


def check_clone(estimator: Any, sample: Sample) -> None:
    """Check that a clone of a fitted estimator is unfitted and fits to the same."""
    X, y = sample.X, sample.y
    unfitted = fresh(estimator)
    at_first = set(vars(clone(unfitted)))
    fitted = unfitted.fit(X, y)
    expected = outputs(fitted, X)
    copy = clone(fitted)
    name = type(estimator).__name__
    if set(vars(copy)) != at_first:
        raise AssertionError(
            f"a clone of a fitted {name} has other attributes than a new one: "
            f"{sorted(set(vars(copy)) ^ at_first)}."
        )
    assert_same_outputs(copy.fit(X, y), X, expected, "images, by a clone of a fitted one")
    assert_same_outputs(fitted, X, expected, "images, after a clone was made and fitted")


def check_grid_search(estimator: Any, sample: Sample) -> None:
    """Check that a grid search in two processes scores as in one."""
    X, y = sample.X, sample.y
    model, grid = fresh(estimator), {}
    if not hasattr(model, "predict"):
        model = make_pipeline(model, FunctionTransformer(_as_rows), RidgeClassifier())
        grid = {"ridgeclassifier__alpha": [0.1, 1000.0]}
    searches = [
        GridSearchCV(model, grid, cv=2, n_jobs=n_jobs, refit=False, error_score="raise").fit(X, y)
        for n_jobs in (1, 2)
    ]
    one, two = (
        np.array([search.cv_results_[f"split{i}_test_score"] for i in range(2)])
        for search in searches
    )
    if not np.array_equal(one, two):
        raise AssertionError(
            f"GridSearchCV on {type(estimator).__name__}: n_jobs=2 scores {two.tolist()}, n_jobs=1 "
            f"scores {one.tolist()}."
        )


def check_pickle(estimator: Any, sample: Sample) -> None:
    """Check that pickle keeps the outputs, bit for bit."""

    def round_trip(one: Any) -> Any:
        return pickle.loads(pickle.dumps(one))  # noqa: S301 - own bytes

    _check_round_trip(estimator, sample, "pickle", round_trip)


def check_joblib(estimator: Any, sample: Sample) -> None:
    """Check that joblib keeps the outputs, bit for bit."""

    def round_trip(one: Any) -> Any:
        buffer = io.BytesIO()
        joblib.dump(one, buffer)
        buffer.seek(0)
        return joblib.load(buffer)

    _check_round_trip(estimator, sample, "joblib", round_trip)


def check_skops(estimator: Any, sample: Sample) -> None:
    """Check that skops keeps the outputs and trusts no more than the own classes."""
    try:
        from skops import io as skops_io
    except ImportError as error:
        raise SkipTest("skops is not installed") from error

    def round_trip(one: Any) -> Any:
        parts = [value for value in one.get_params().values() if hasattr(value, "get_params")]
        own = {f"{type(part).__module__}.{type(part).__qualname__}" for part in [one, *parts]}
        data = skops_io.dumps(one)
        untrusted = skops_io.get_untrusted_types(data=data)
        foreign = sorted(set(untrusted) - own)
        if foreign:
            raise AssertionError(
                f"loading {type(one).__name__} with skops needs trust in {', '.join(foreign)}; "
                "expected no more than the estimator's own classes."
            )
        return skops_io.loads(data, trusted=untrusted)

    _check_round_trip(estimator, sample, "skops", round_trip)


def _check_round_trip(
    estimator: Any, sample: Sample, what: str, round_trip: Callable[[Any], Any]
) -> None:
    X, y = sample.X, sample.y
    fitted = fit(estimator, X, y)
    expected = outputs(fitted, X)
    loaded = round_trip(fitted)
    assert_same_outputs(loaded, X, expected, f"images, after {what}")
    assert_same_outputs(fitted, X, expected, f"images, by the one saved with {what}")
    assert_same_outputs(loaded.fit(X, y), X, expected, f"images, fitted again after {what}")
    unfitted = round_trip(fresh(estimator))
    assert_same_outputs(unfitted.fit(X, y), X, expected, f"images, saved before fit with {what}")


def _as_rows(X: NDArray[Any]) -> NDArray[Any]:
    array = np.asarray(X)
    return array.reshape(len(array), -1)
