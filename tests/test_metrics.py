"""measure_probabilities against scikit-learn, and its intervals against the binomial law."""

import json

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    recall_score,
)

from emotion_estimators.inspection import measure_probabilities

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
