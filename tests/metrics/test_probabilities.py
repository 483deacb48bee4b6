"""Metrics against scikit-learn and figures by hand, and as its scorers."""

import json
import pickle

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.calibration import calibration_curve
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    make_scorer,
    recall_score,
)
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.multiclass import OneVsRestClassifier

from emotion_estimators import LightningMultiLabelClassifier
from emotion_estimators.metrics import (
    expected_calibration_error,
    macro_average_precision,
    macro_average_precision_scorer,
    measure_probabilities,
    neg_expected_calibration_error_scorer,
)

CLASSES = np.array(["angry", "happy", "sad"])


def _predictions(n, temperature=1.0):
    """Draw probabilities, and labels that follow them where the temperature is 1."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(n, 3)) * 2
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    y = CLASSES[(true.cumsum(axis=1) > rng.uniform(size=(n, 1))).argmax(axis=1)]
    scaled = np.exp(logits / temperature)
    return y, scaled / scaled.sum(axis=1, keepdims=True)


def test_equals_scikit_learn():
    y, proba = _predictions(500, temperature=0.4)
    got = measure_probabilities(y, proba, CLASSES, n_bootstrap=10)
    predicted = CLASSES[proba.argmax(axis=1)]
    assert got["n"] == 500
    assert got["accuracy"] == pytest.approx(accuracy_score(y, predicted))
    assert got["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(y, predicted))
    assert got["macro_f1"] == pytest.approx(f1_score(y, predicted, average="macro"))
    assert list(got["recall"]) == CLASSES.tolist()
    recalls = recall_score(y, predicted, average=None)
    assert list(got["recall"].values()) == pytest.approx(recalls.tolist())
    assert got["confusion"] == confusion_matrix(y, predicted).tolist()
    right, confidence = predicted == y, proba.max(axis=1)
    share, level = calibration_curve(right, confidence, n_bins=15)
    counts = np.histogram(confidence, bins=15, range=(0, 1))[0]
    expected = np.sum(counts[counts > 0] / 500 * np.abs(share - level))
    assert got["ece"] == pytest.approx(expected)
    assert json.loads(json.dumps(got)) == got


@pytest.mark.parametrize(("temperature", "low", "high"), [(1.0, 0.0, 0.01), (0.3, 0.05, 0.3)])
def test_calibration(temperature, low, high):
    # labels drawn by the probabilities are calibrated: of 50,000 a bin is off by below 0.01
    y, proba = _predictions(50_000, temperature)
    got = measure_probabilities(y, proba, CLASSES, n_bootstrap=20)
    assert low <= got["ece"] <= high


def test_intervals():
    y, proba = _predictions(400)
    got = measure_probabilities(y, proba, CLASSES)
    for name in ("accuracy", "balanced_accuracy", "macro_f1"):
        low, high = got["bootstrap_95"][name]
        assert low < got[name] < high
    expected = binom.ppf([0.025, 0.975], 400, got["accuracy"]) / 400
    # quantiles of 1000 draws of a share of 400: two steps of 1/400, thrice
    assert got["bootstrap_95"]["accuracy"] == pytest.approx(expected.tolist(), abs=6 / 400)
    assert measure_probabilities(y, proba, CLASSES) == got
    other = measure_probabilities(y, proba, CLASSES, random_state=1)
    assert other["bootstrap_95"] != got["bootstrap_95"]


def test_a_class_that_does_not_occur():
    proba = [[0.9, 0.1, 0.0], [0.2, 0.7, 0.1]]
    got = measure_probabilities(["angry", "happy"], proba, CLASSES, n_bootstrap=5)
    assert got["recall"] == {"angry": 1.0, "happy": 1.0, "sad": None}
    assert (got["balanced_accuracy"], got["macro_f1"]) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("y", "classes", "match"),
    [
        (["a", "b"], ["a", "b", "c"], r"got \(2,\), \(2, 2\) and \(3,\)"),
        ([], ["a", "b"], r"n > 0, got \(0,\)"),
        (["a", "c"], ["a", "b"], r"in y also \['c'\]"),
        (["a", "b"], ["b", "a"], "expected sorted classes"),
    ],
)
def test_bad_input(y, classes, match):
    with pytest.raises(ValueError, match=match):
        measure_probabilities(y, [[0.5, 0.5], [0.1, 0.9]], classes)


def test_calibration_error_by_hand():
    # "a" is predicted each time, with 0.6, 0.6 and 1.0, all in the upper of two bins
    y, proba = ["a", "b", "b"], [0.4, 0.4, 0.0]
    assert expected_calibration_error(y, proba, n_bins=2) == pytest.approx(
        abs((1 - 0.6) + (0 - 0.6) + (0 - 1)) / 3
    )
    two_columns = np.stack([1 - np.array(proba), proba], axis=1)
    assert expected_calibration_error(y, two_columns) == expected_calibration_error(y, proba)


def test_calibration_error_is_the_one_of_measure_probabilities():
    y, proba = _predictions(500, temperature=0.4)
    error = expected_calibration_error(y, proba)
    assert error == measure_probabilities(y, proba, CLASSES, n_bootstrap=0)["ece"]
    twice = np.concatenate([np.arange(500), np.arange(100)])
    weights = np.r_[np.full(100, 2), np.ones(400)]
    weighted = expected_calibration_error(y, proba, sample_weight=weights)
    assert weighted == pytest.approx(expected_calibration_error(y[twice], proba[twice]))
    some = y != "sad"
    assert expected_calibration_error(y[some], proba[some], labels=CLASSES) > 0


@pytest.mark.parametrize(
    ("y", "proba", "options", "match"),
    [
        (["a", "a"], [[0.9, 0.1], [0.8, 0.2]], {}, "1 classes and y_proba of 2: pass labels"),
        (["a", "b"], [[0.9, 1.1], [0.8, 0.2]], {}, r"probabilities, which are in 0\.\.1"),
        (["a", "b"], [[0.9, np.nan], [0.8, 0.2]], {}, r"probabilities, which are in 0\.\.1"),
        (["a", "b"], [0.9], {}, r"got \(2,\), \(1, 2\)"),
        (["a", "b"], [0.9, 0.1], {"labels": ["b", "a"]}, "expected sorted classes"),
        (["a", "b"], [0.9, 0.1], {"n_bins": 0}, "n_bins"),
        (["a", "b"], [0.9, 0.1], {"sample_weight": [1]}, "inconsistent numbers of samples"),
    ],
)
def test_calibration_error_messages(y, proba, options, match):
    with pytest.raises(ValueError, match=match):
        expected_calibration_error(y, proba, **options)


def test_macro_average_precision_equals_scikit_learn_on_what_is_known():
    rng = np.random.default_rng(0)
    Y, scores = rng.integers(2, size=(60, 4)).astype(float), rng.normal(size=(60, 4))
    weights = rng.uniform(size=60)
    for options in ({}, {"sample_weight": weights}):
        expected = average_precision_score(Y, scores, average="macro", **options)
        assert macro_average_precision(Y, scores, **options) == pytest.approx(expected)
    unknown = Y.copy()
    unknown[:20, 0] = unknown[40:, 2] = np.nan
    unknown[:, 3] = np.where(Y[:, 3] == 1, np.nan, 0)  # nothing is known to have this one
    expected = [
        average_precision_score(Y[rows, column], scores[rows, column])
        for column, rows in enumerate((slice(20, None), slice(None), slice(40)))
    ]
    assert macro_average_precision(unknown, scores) == pytest.approx(np.mean(expected))
    with pytest.warns(UndefinedMetricWarning, match="no sample is known to have a label"):
        assert np.isnan(macro_average_precision(np.zeros((3, 2)), np.zeros((3, 2))))


@pytest.mark.parametrize(
    ("Y", "scores", "match"),
    [
        ([[1, 0]], [[0.5]], r"got \(1, 2\) and \(1, 1\)"),
        ([1, 0], [0.5, 0.2], r"got \(2,\) and \(2,\)"),
        ([[1, 2]], [[0.5, 0.2]], "of 0, 1 and NaN, and finite"),
        ([["yes", "no"]], [[0.5, 0.2]], "of 0, 1 and NaN, got other values"),
        ([[1, 0]], [[0.5, np.nan]], "and finite scores"),
    ],
)
def test_macro_average_precision_messages(Y, scores, match):
    with pytest.raises(ValueError, match=match):
        macro_average_precision(Y, scores)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_calibration_error_as_scoring(n_classes):
    X, y = load_iris(return_X_y=True)
    X, y = X[y < n_classes, :2], np.array(["a", "b", "c"])[y[y < n_classes]]
    scores = cross_val_score(
        LogisticRegression(), X, y, scoring=neg_expected_calibration_error_scorer
    )
    assert ((scores <= 0) & (scores > -0.5)).all()
    model = LogisticRegression().fit(X, y)
    scorer = pickle.loads(pickle.dumps(neg_expected_calibration_error_scorer))
    expected = -expected_calibration_error(y, model.predict_proba(X))
    assert scorer(model, X, y) == pytest.approx(expected)
    search = GridSearchCV(
        LogisticRegression(), {"C": [1e-4, 1]}, scoring=neg_expected_calibration_error_scorer
    ).fit(X, y)
    assert search.best_score_ == search.cv_results_["mean_test_score"].max() <= 0
    few = make_scorer(
        expected_calibration_error,
        greater_is_better=False,
        response_method="predict_proba",
        labels=model.classes_,
    )
    assert few(model, X[y == "a"], y[y == "a"]) <= 0


@pytest.mark.parametrize("n_labels", [2, 3])
def test_macro_average_precision_as_scoring(n_labels):
    X, Y = make_multilabel_classification(90, n_classes=n_labels, random_state=0)
    scoring = macro_average_precision_scorer
    linear = OneVsRestClassifier(LogisticRegression())
    search = GridSearchCV(linear, {"estimator__C": [1e-3, 1]}, scoring=scoring).fit(X, Y)
    assert 0.5 < search.best_score_ <= 1
    forest = RandomForestClassifier(5, random_state=0).fit(X[30:], Y[30:])  # no decision_function
    proba = np.stack([column[:, 1] for column in forest.predict_proba(X[:30])], axis=1)
    assert scoring(forest, X[:30], Y[:30]) == macro_average_precision(Y[:30], proba)


@pytest.mark.parametrize("n_labels", [2, 3])
def test_unknown_labels_as_scoring(n_labels):
    pytest.importorskip("torch", reason="trains the network")
    X = np.random.default_rng(0).integers(0, 255, size=(24, 32, 32), dtype=np.uint8)
    Y = (X.reshape(24, -1)[:, :n_labels] > 127).astype(float)
    Y[::5, 0] = np.nan
    net = LightningMultiLabelClassifier(
        network="resnet6-tiny", max_epochs=1, validation_fraction=None, random_state=0
    )
    scores = cross_val_score(net, X, Y, scoring=macro_average_precision_scorer, cv=KFold(2))
    half = net.fit(X[12:], Y[12:])
    assert scores[0] == macro_average_precision(Y[:12], half.decision_function(X[:12]))
