"""Checks of what comes out: labels, probabilities, named columns."""

from __future__ import annotations

import warnings
from typing import Any
from unittest import SkipTest

import numpy as np
from numpy.typing import NDArray

from emotion_estimators.testing._sample import Sample, assert_same, fit, outputs

__all__ = [
    "check_label_indicators",
    "check_labels",
    "check_predictions_and_probabilities",
    "check_set_output_on_images",
]


def check_label_indicators(estimator: Any, sample: Sample) -> None:
    """Check that a multi-label classifier gives one column for each label, in every method."""
    X, y = sample.X, sample.y
    fitted = fit(estimator, X, y)
    name, shape = type(estimator).__name__, y.shape
    if len(fitted.classes_) != shape[1]:
        raise AssertionError(
            f"{name}.classes_ has {len(fitted.classes_)} entries for {shape[1]} labels."
        )
    for one in (X, X[:1]):
        given = outputs(fitted, one)
        for method, got in given.items():
            if got.shape != (len(one), shape[1]):
                raise AssertionError(
                    f"{name}.{method} gives shape {got.shape} for {len(one)} images and "
                    f"{shape[1]} labels."
                )
        if given["predict"].dtype.kind not in "iub" or not np.isin(given["predict"], (0, 1)).all():
            raise AssertionError(f"{name}.predict gives other values than the integers 0 and 1.")
        if "predict_proba" in given:
            proba = given["predict_proba"]
            if not np.isfinite(proba).all() or proba.min() < 0 or proba.max() > 1:
                raise AssertionError(f"{name}.predict_proba is not within 0..1.")
        if {"predict_proba", "decision_function"} <= given.keys():
            for p, score in zip(
                given["predict_proba"].T, given["decision_function"].T, strict=True
            ):
                if (np.diff(p[np.argsort(score)]) < 0).any():
                    raise AssertionError(
                        f"{name}: decision_function and predict_proba rank images otherwise."
                    )
    constant = y.copy()
    constant[:, 0], constant[:, 1] = 0, 1
    got = np.asarray(fit(estimator, X, constant).predict(X))
    if got.shape != shape:
        raise AssertionError(
            f"{name}.predict gives shape {got.shape} where one label is on no image and one on all."
        )
    try:
        fit(estimator, X, y[:, 0])
    except ValueError as error:
        if "1d" not in str(error) and "1-D" not in str(error):
            raise AssertionError(
                f"{name}.fit: the error for 1-D targets does not say so: {error}"
            ) from error
    else:
        raise AssertionError(
            f"{name}.fit accepts 1-D targets, though its tags say single_output=False."
        )


def check_labels(estimator: Any, sample: Sample) -> None:
    """Check that the labels given to fit come out of predict, names and odd integers."""
    classes, codes = np.unique(sample.y, return_inverse=True)
    k = len(classes)
    vocabularies: dict[str, NDArray[Any]] = {
        "names": np.array([f"label {chr(ord('z') - i)}" for i in range(k)]),
        "names of dtype object": np.array([f"label {i}" for i in range(k)], dtype=object),
        "integers that do not count": np.array([40 - 3 * i * i for i in range(k)]),
        "names of any length": np.array(["a" * (k - i) for i in range(k)]),
    }
    targets: dict[str, Any] = {what: names[codes.ravel()] for what, names in vocabularies.items()}
    for what in ("names", "integers that do not count"):
        targets[f"a list of {what}"] = targets[what].tolist()
    for what, y in targets.items():
        fitted = fit(estimator, sample.X, y)
        where = f"{type(estimator).__name__} fitted on labels that are {what}"
        expected = np.unique(y)
        if not np.array_equal(fitted.classes_, expected):
            raise AssertionError(
                f"{where}: classes_ is {fitted.classes_!r}, expected {expected!r}."
            )
        predicted = np.asarray(fitted.predict(sample.X))
        _assert_labels(predicted, fitted.classes_, where)


def check_predictions_and_probabilities(estimator: Any, sample: Sample) -> None:
    """Check that predict is the class of the largest score, and that probabilities sum to 1."""
    X = sample.X
    fitted = fit(estimator, X, sample.y)
    name, classes = type(estimator).__name__, np.asarray(fitted.classes_)
    if not np.array_equal(classes, np.unique(classes)):
        raise AssertionError(f"{name}.classes_ is not sorted: {classes!r}.")
    given = outputs(fitted, X)
    _assert_labels(given["predict"], classes, name)
    if "predict_proba" in given:
        proba = given["predict_proba"]
        if proba.shape != (len(X), len(classes)) or proba.dtype.kind != "f":
            raise AssertionError(
                f"{name}.predict_proba gives {proba.dtype} of shape {proba.shape}, expected floats "
                f"of shape {(len(X), len(classes))}."
            )
        if not np.isfinite(proba).all() or proba.min() < 0 or proba.max() > 1:
            raise AssertionError(f"{name}.predict_proba is not within 0..1.")
        # the sum of k rounded numbers is off by at most k times the rounding
        allowed = len(classes) * float(np.finfo(proba.dtype).eps)
        error = float(np.abs(proba.sum(axis=1, dtype=np.float64) - 1).max())
        if error > allowed:
            raise AssertionError(
                f"{name}.predict_proba: rows do not sum to 1, off by up to {error:.3g} (allowed: "
                f"{allowed:.3g})."
            )
        assert_same(
            given["predict"],
            classes[proba.argmax(axis=1)],
            f"{name}.predict against classes_[predict_proba.argmax(axis=1)]",
        )
    if "decision_function" in given:
        scores = given["decision_function"]
        shape = (len(X),) if len(classes) == 2 else (len(X), len(classes))
        if scores.shape != shape:  # one vote for each pair of classes is as good
            pairs = (len(X), len(classes) * (len(classes) - 1) // 2)
            if scores.shape != pairs:
                raise AssertionError(
                    f"{name}.decision_function gives shape {scores.shape}, expected {shape}."
                )
        else:
            best = (scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)
            assert_same(
                given["predict"], classes[best], f"{name}.predict against decision_function"
            )


def check_set_output_on_images(estimator: Any, sample: Sample) -> None:
    """Check that set_output(transform="pandas") names the columns and changes no value.

    What is no table, as crops are images, stays an array.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise SkipTest("pandas is not installed") from error
    X, y = sample.X, sample.y
    plain = fit(estimator, X, y)
    names = plain.get_feature_names_out()
    name = type(estimator).__name__
    if len(set(names)) != len(names):
        raise AssertionError(f"{name}.get_feature_names_out names two columns alike.")
    expected = np.asarray(plain.transform(X))
    wrapped = fit(estimator, X, y).set_output(transform="pandas")
    for what, form in (("a stack", X), ("a list", list(X))):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            frames = {
                "transform": wrapped.transform(form),
                "fit_transform": wrapped.fit_transform(form, y),
            }
        for method, frame in frames.items():
            where = f"{name}.{method} on {what}, set_output(transform='pandas')"
            if expected.ndim != 2:
                if not isinstance(frame, np.ndarray):
                    raise AssertionError(f"{where}: images became {type(frame).__name__}.")
                assert_same(frame, expected, where)
                continue
            if not isinstance(frame, pd.DataFrame):
                raise AssertionError(f"{where}: got {type(frame).__name__}.")
            if list(frame.columns) != list(names):
                raise AssertionError(f"{where}: columns are not get_feature_names_out().")
            assert_same(frame.to_numpy(), expected, where)


def _assert_labels(predicted: NDArray[Any], classes: NDArray[Any], where: str) -> None:
    unknown = sorted(set(predicted.tolist()) - set(classes.tolist()), key=str)
    if unknown:
        raise AssertionError(
            f"{where}: predict gives {unknown[:3]}, which are not among the classes "
            f"{classes.tolist()}."
        )
    kinds = {predicted.dtype.kind, classes.dtype.kind}
    if len(kinds) > 1 and kinds != {"O", "U"}:
        raise AssertionError(
            f"{where}: predict gives dtype {predicted.dtype}, the classes are {classes.dtype}."
        )
