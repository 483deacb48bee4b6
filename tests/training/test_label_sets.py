"""Targets of multi-label classifiers: matrices, label sets, weights and thresholds."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csr_matrix
from scipy.special import expit, logit
from sklearn.metrics import f1_score, precision_recall_curve
from sklearn.preprocessing import MultiLabelBinarizer

from emotion_estimators.training.label_sets import (
    check_label_sets,
    check_positive_weights,
    tune_thresholds,
)

SETS = [{"boat"}, {"bus", "boat"}, set(), {"tabla"}]
MATRIX = MultiLabelBinarizer().fit_transform(SETS)


@pytest.mark.parametrize(
    "y",
    [
        SETS,
        [frozenset(one) for one in SETS],
        [sorted(one) for one in SETS],
        [tuple(one) for one in SETS],
        pd.Series(SETS, index=[9, 8, 7, 6]),
        np.array([*SETS, None], dtype=object)[:4],
    ],
    ids=["sets", "frozensets", "lists", "tuples", "Series", "object array"],
)
def test_label_sets(y):
    labels, targets = check_label_sets("net", y, 4)
    assert labels.tolist() == ["boat", "bus", "tabla"]
    assert_array_equal(targets, MATRIX)


@pytest.mark.parametrize(
    "y",
    [MATRIX, MATRIX.tolist(), MATRIX.astype(bool), MATRIX.astype(float), csr_matrix(MATRIX)],
    ids=["int", "lists", "bool", "float", "sparse"],
)
def test_matrices(y):
    labels, targets = check_label_sets("net", y, 4)
    assert labels.tolist() == [0, 1, 2]
    assert targets.dtype == np.float32
    assert_array_equal(targets, MATRIX)


def test_names():
    frame = pd.DataFrame(MATRIX, columns=["a", "b", "c"])
    assert check_label_sets("net", frame, 4)[0].tolist() == ["a", "b", "c"]
    assert check_label_sets("net", frame, 4, ["x", "y", "z"])[0].tolist() == ["x", "y", "z"]
    labels, targets = check_label_sets("net", SETS, 4, ["tabla", "cycle", "boat", "bus"])
    assert labels.tolist() == ["tabla", "cycle", "boat", "bus"]
    assert_array_equal(targets[:, [2, 3, 0]], MATRIX)
    assert not targets[:, 1].any()
    assert check_label_sets("net", [{7}, {3, 7}], 2)[0].tolist() == [3, 7]


def test_pandas_missing_values_are_unknown():
    frame = pd.DataFrame(MATRIX, columns=["a", "b", "c"]).astype("Int64")
    frame.iloc[0, 1] = pd.NA
    expected = MATRIX.astype(float)
    expected[0, 1] = np.nan
    for y in (frame, frame.astype("boolean"), frame.astype(object), frame.to_numpy()):
        assert_array_equal(check_label_sets("net", y, 4)[1], expected)


def test_unknown_labels_stay_unknown():
    y = [[0, np.nan], [1, 1]]
    assert_array_equal(check_label_sets("net", y, 2)[1], y)


@pytest.mark.parametrize(
    ("y", "labels", "match"),
    [
        (None, None, "net requires y to be passed"),
        (["a", "b", "a", "b"], None, "got class labels as a 1d array of shape"),
        ([0.5, 1.5, 2.5, 1.0], None, "Unknown label type: continuous"),
        (
            [[0, 2], [1, 0], [0, 1], [3, 0]],
            None,
            r"other values in rows 0, 3: 2 in row 0, column 1",
        ),
        ([[0, np.inf]] * 4, None, "infinity in row 0, column 1"),
        (np.full((4, 2), np.nan), None, "some known labels, got NaN only"),
        (np.zeros((4, 2, 2)), None, r"got shape \(4, 2, 2\)"),
        (np.zeros((4, 0)), None, r"got shape \(4, 0\)"),
        (np.full((4, 2), "a"), None, "got <U1 entries"),
        ([[0, 1], [1], [0], [1]], None, "got rows of several lengths"),
        (MATRIX, ["a", "b"], "one column of y for each of 2 labels, got 3"),
        (MATRIX, ["a", "b", "b"], "expected labels to be distinct names"),
        (MATRIX[:3], None, "got 4 images and labels of 3: inconsistent numbers"),
        ([set()] * 4, None, r"label sets that are all empty. Pass labels=\[...\]"),
        (SETS, ["boat", "bus"], r"labels in rows 3 that are not among \['boat', 'bus'\]: 'tabla'"),
        ([{"a"}, {1}, {"b"}, {2}], None, "labels that can be sorted"),
    ],
)
def test_bad_targets(y, labels, match):
    with pytest.raises(ValueError, match=match):
        check_label_sets("net", y, 4, labels)


def test_positive_weights():
    targets = np.array([[1, 0, 0], [0, 0, 1], [0, 0, 1], [0, np.nan, np.nan]], dtype=np.float32)
    labels = np.array(["a", "b", "c"])
    assert check_positive_weights("net", None, targets, labels) is None
    assert check_positive_weights("net", "balanced", targets, labels).tolist() == [3, 1, 0.5]
    assert check_positive_weights("net", 2, targets, labels).tolist() == [2, 2, 2]
    assert check_positive_weights("net", [1, 2, 3], targets, labels).tolist() == [1, 2, 3]
    assert check_positive_weights("net", {"c": 4}, targets, labels).tolist() == [1, 1, 4]
    for bad in ([1, 2], [1, 2, -1], [1, 2, np.nan]):
        with pytest.raises(ValueError, match="a positive number, or one for each of 3 labels"):
            check_positive_weights("net", bad, targets, labels)
    with pytest.raises(ValueError, match=r"pos_weight for \['d'\], which are not among"):
        check_positive_weights("net", {"d": 4}, targets, labels)


def draw_answers(n, seed, shares=(0.1, 0.3, 0.5)):
    """Return true probabilities of labels that are as frequent as `shares`, and draws from them."""
    rng = np.random.default_rng(seed)
    p = expit(3 * rng.standard_normal((n, len(shares))) + 2 * logit(shares))
    return p, (rng.random(p.shape) < p).astype(np.float32)


@pytest.mark.parametrize(("slope", "offset"), [(1, 0), (0.4, -1), (3, 2), (1, 3)])
def test_thresholds_are_near_the_best_that_there_are(slope, offset):
    p, y = draw_answers(20_000, seed=0)
    distorted = expit(slope * logit(p) + offset)  # what a badly calibrated network would say
    thresholds = tune_thresholds(distorted, y)
    for j in range(3):
        precision, recall, _ = precision_recall_curve(y[:, j], distorted[:, j])
        best = (2 * precision * recall / (precision + recall + 1e-12)).max()
        got = f1_score(y[:, j], distorted[:, j] >= thresholds[j])
        # the best of 20,000 cuts has luck, one standard deviation of the F1 of 2,500 positives
        assert best - 0.01 < got <= best
        # of true probabilities it is half of the F1, up to the same luck; the distortion moves it
        assert expit((logit(thresholds[j]) - offset) / slope) == pytest.approx(best / 2, abs=0.02)


def test_thresholds_of_few_images_help_on_others():
    others, truth = draw_answers(20_000, seed=1)
    gains, gains_of_best_cuts = [], []
    for seed in range(20):
        p, y = draw_answers(100, seed=2 + seed)
        tuned = tune_thresholds(p, y)
        best = []
        for j in range(3):
            precision, recall, cuts = precision_recall_curve(y[:, j], p[:, j])
            best.append(
                cuts[np.nanargmax((precision * recall / (precision + recall + 1e-12))[:-1])]
            )
        at_half = f1_score(truth, others >= 0.5, average="macro")
        gains.append(f1_score(truth, others >= tuned, average="macro") - at_half)
        gains_of_best_cuts.append(f1_score(truth, others >= best, average="macro") - at_half)
    assert np.mean(gains) > 0
    assert np.mean(gains) > np.mean(gains_of_best_cuts)


def test_thresholds_without_evidence():
    p = np.array([[0.2, 0.7, 0.6], [0.3, 0.8, 0.9]])
    y = np.array([[0, 1, np.nan], [0, 1, np.nan]], dtype=np.float32)
    assert tune_thresholds(p, y).tolist() == [0.5, 0.5, 0.5]


def test_thresholds_of_one_positive_stay_near_a_half():
    p = np.array([[0.02], [0.04], [0.9], [0.03]])
    y = np.array([[0], [0], [1], [0]], dtype=np.float32)
    (threshold,) = tune_thresholds(p, y)
    assert 0.25 < threshold < 0.75


def test_thresholds_of_certain_and_equal_probabilities():
    p = np.array([[0.0, 0.5, 1.0], [1.0, 0.5, 0.0]] * 4)
    y = np.array([[0, 0, 0], [1, 1, 1]] * 4, dtype=np.float32)  # the last ones are all wrong
    thresholds = tune_thresholds(p, y)
    assert ((thresholds >= 0) & (thresholds <= 1)).all()
    assert 0 < thresholds[0] < 1
