"""Targets of multi-label classifiers: matrices and label sets."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csr_matrix
from sklearn.preprocessing import MultiLabelBinarizer

from emotion_estimators.validation.label_sets import check_label_sets

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
        (np.zeros((4, 2, 2)), None, r"got an array of shape \(4, 2, 2\)"),
        (np.zeros((4, 0)), None, r"got an array of shape \(4, 0\)"),
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
