"""Masked values are no values: refused wherever an array comes in that NumPy would unmask."""

import numpy as np
import pytest

from emotion_estimators import MirrorKernelRidgeClassifier
from emotion_estimators.metrics import (
    estimate_class_prior,
    expected_calibration_error,
    macro_average_precision,
    measure_probabilities,
)
from emotion_estimators.training.targets import check_weights
from emotion_estimators.validation import check_labels
from emotion_estimators.validation.label_sets import check_label_sets

LABELS = np.ma.masked_array(["a", "b", "a"], mask=[0, 1, 0])
NUMBERS = np.ma.masked_array([1.0, 0.0, 1.0], mask=[0, 1, 0])
MATRIX = np.ma.masked_array([[0.5, 0.5]] * 3, mask=[[0, 0], [1, 0], [0, 0]])
CLASSES, CODES = np.array(["a", "b"]), np.array([0, 1, 0])


@pytest.mark.parametrize(
    ("call", "called"),
    [
        (lambda: check_labels(LABELS, n_samples=3, name="Any"), "y"),
        (lambda: check_label_sets("Any", MATRIX > 0, 3), "y"),
        (lambda: check_weights("Any", NUMBERS, 3), "sample_weight"),
        (lambda: measure_probabilities(LABELS, MATRIX.data, CLASSES), "y"),
        (lambda: measure_probabilities(LABELS.data, MATRIX, CLASSES), "probabilities"),
        (lambda: expected_calibration_error(LABELS.data, MATRIX), "y_proba"),
        (lambda: macro_average_precision(MATRIX > 0, MATRIX.data), "y_true"),
        (lambda: estimate_class_prior(MATRIX, [0.5, 0.5]), "y_proba"),
        (lambda: MirrorKernelRidgeClassifier().fit(np.zeros((3, 48, 48)), LABELS), "y"),
    ],
)
def test_masked_values_are_refused(call, called):
    with pytest.raises(ValueError, match=f" got {called} with masked values. Fill them, {called}"):
        call()


def test_an_array_without_masked_values_is_as_any_other():
    given = np.ma.masked_array(LABELS.data, mask=False)
    classes, codes = check_labels(given, n_samples=3, name="Any")
    assert (classes.tolist(), codes.tolist()) == (["a", "b"], [0, 1, 0])
