"""Folds that partition the data, of equal size, with equal shares of every label."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import MultiLabelBinarizer

from emotion_estimators.model_selection import IterativeStratifiedKFold

RARE = pytest.mark.filterwarnings("ignore:IterativeStratifiedKFold got labels with fewer")


def indicator(n_samples, shares, seed):
    return (np.random.RandomState(seed).random_sample((n_samples, len(shares))) < shares).astype(
        int
    )


def folds_of(Y, **options):
    return [test for _, test in IterativeStratifiedKFold(**options).split(Y, Y)]


def label_distribution(Y, tests):
    """Labels Distribution of Sechidis et al. (2011): lower is more even."""
    odds = Y.sum(axis=0) / (len(Y) - Y.sum(axis=0))
    of_folds = [Y[test].sum(axis=0) / (len(test) - Y[test].sum(axis=0)) for test in tests]
    return np.abs(np.array(of_folds) - odds).mean()


@st.composite
def problems(draw):
    n_splits = draw(st.integers(2, 6))
    shape = (draw(st.integers(n_splits, 60)), draw(st.integers(1, 6)))
    Y = draw(hnp.arrays(np.int8, shape, elements=st.integers(0, 1)))
    return Y, n_splits, draw(st.none() | st.integers(0, 2**31))


@RARE
@settings(max_examples=150, deadline=None)
@given(problems())
def test_folds_partition_the_data_in_equal_sizes(problem):
    Y, n_splits, seed = problem
    splits = list(
        IterativeStratifiedKFold(n_splits, shuffle=seed is not None, random_state=seed).split(Y, Y)
    )
    everything = np.arange(len(Y))
    assert len(splits) == n_splits
    np.testing.assert_array_equal(np.sort(np.concatenate([test for _, test in splits])), everything)
    for train, test in splits:
        np.testing.assert_array_equal(np.union1d(train, test), everything)
        assert not np.intersect1d(train, test).size
    sizes = [len(test) for _, test in splits]
    assert sorted(sizes) == sorted(len(test) for _, test in KFold(n_splits).split(Y))


@RARE
@settings(max_examples=50, deadline=None)
@given(problems())
def test_the_rarest_label_is_dealt_out_evenly(problem):
    Y, n_splits, _ = problem
    counts = Y.sum(axis=0)
    if not counts.any():
        return
    rarest = np.flatnonzero(counts == counts[counts > 0].min())[0]
    in_folds = [Y[test, rarest].sum() for test in folds_of(Y, n_splits=n_splits)]
    # it comes first, when every fold has room: the most and the least differ by one only
    assert max(in_folds) - min(in_folds) <= 1


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shuffle", [False, True])
def test_labels_are_more_even_than_in_plain_folds(seed, shuffle):
    Y = indicator(400, [0.05, 0.1, 0.2, 0.3, 0.5], seed)
    tests = folds_of(Y, shuffle=shuffle, random_state=seed if shuffle else None)
    plain = [test for _, test in KFold(5, shuffle=True, random_state=seed).split(Y)]
    # over 200 other seeds the ratio was 0.12 in the median and 0.28 at most
    assert label_distribution(Y, tests) < 0.4 * label_distribution(Y, plain)


def test_dense_labels_are_more_even_than_in_plain_folds_on_the_whole():
    """Full folds refuse samples then: single problems may come out worse, most do not."""

    def deviation(Y, tests):
        return np.abs([Y[test].mean(axis=0) - Y.mean(axis=0) for test in tests]).mean()

    ratios = []
    for seed in range(30):
        Y = indicator(150, [0.5, 0.6, 0.7, 0.8, 0.9], seed)
        plain = [test for _, test in KFold(5, shuffle=True, random_state=seed).split(Y)]
        tests = folds_of(Y, shuffle=True, random_state=seed)
        ratios.append(deviation(Y, tests) / deviation(Y, plain))
    # over 300 other problems of this kind the median was 0.52
    assert np.median(ratios) < 0.75


def test_the_procedure_by_hand():
    Y = np.array([[1, 0], [1, 1], [0, 1], [1, 0], [0, 0], [1, 1], [0, 1], [1, 0]])
    # The second label is the rarer: rows 1, 2, 5, 6 go to folds 0, 1, 0, 1 in turn. Of the first
    # label fold 0 then wants 0.5 and fold 1 wants 2.5: rows 0, 3 go to fold 1. It is full: row 7,
    # and row 4 that has no label, go to fold 0.
    tests = folds_of(Y, n_splits=2)
    assert [test.tolist() for test in tests] == [[1, 4, 5, 7], [0, 2, 3, 6]]


def test_the_same_seed_the_same_folds():
    Y = indicator(80, [0.2, 0.4], 0)
    splitter = IterativeStratifiedKFold(4, shuffle=True, random_state=3)
    first, again = ([t.tolist() for _, t in splitter.split(Y, Y)] for _ in range(2))
    assert first == again
    assert first != [
        test.tolist() for test in folds_of(Y, n_splits=4, shuffle=True, random_state=4)
    ]
    assert first != [test.tolist() for test in folds_of(Y, n_splits=4)]


def test_global_random_state_is_untouched():
    Y = indicator(40, [0.4, 0.5], 0)
    start = np.random.get_state()  # noqa: NPY002
    folds_of(Y, shuffle=True)
    end = np.random.get_state()  # noqa: NPY002
    np.testing.assert_array_equal(start[1], end[1])
    assert start[2:] == end[2:]


@pytest.mark.parametrize(
    "convert", [csr_array, pd.DataFrame, np.ndarray.tolist, lambda Y: Y == 1, lambda Y: Y * 1.0]
)
def test_every_kind_of_indicator_matrix(convert):
    Y = indicator(50, [0.2, 0.4, 0.6], 1)
    expected = [test.tolist() for test in folds_of(Y)]
    splits = IterativeStratifiedKFold().split(np.zeros((50, 1)), convert(Y))
    assert [test.tolist() for _, test in splits] == expected


def test_unknown_counts_as_zero():
    Y = indicator(60, [0.3, 0.5], 2).astype(float)
    holes = Y.copy()
    holes[(Y == 0) & (indicator(60, [0.5, 0.5], 3) == 1)] = np.nan
    assert np.isnan(holes).any()
    assert [t.tolist() for t in folds_of(holes)] == [t.tolist() for t in folds_of(Y)]


def test_scikit_learn_takes_it_as_cv():
    Y = indicator(60, [0.3, 0.5], 4)
    X = Y + np.random.RandomState(0).normal(scale=0.3, size=Y.shape)
    cv = IterativeStratifiedKFold(3, shuffle=True, random_state=0)
    scores = cross_val_score(KNeighborsClassifier(), X, Y, cv=cv)
    assert scores.shape == (3,)
    search = GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [1, 5]}, cv=cv).fit(X, Y)
    assert search.n_splits_ == cv.get_n_splits() == 3
    by_hand = []
    for train, test in cv.split(X, Y):
        model = clone(search.best_estimator_).fit(X[train], Y[train])
        by_hand.append(model.score(X[test], Y[test]))
    assert search.best_score_ == pytest.approx(np.mean(by_hand))
    assert repr(cv) == "IterativeStratifiedKFold(n_splits=3, random_state=0, shuffle=True)"


def test_x_may_be_paths():
    Y = indicator(20, [0.5, 0.5], 5)
    paths = [f"{i}.png" for i in range(20)]
    assert len(list(IterativeStratifiedKFold(2).split(paths, Y))) == 2


def test_label_sets_are_split_as_their_matrix_is():
    random = np.random.default_rng(0)
    sets = [{name for name in ("boat", "bus", "tram") if random.random() < 0.4} for _ in range(40)]
    matrix = MultiLabelBinarizer().fit_transform(sets)
    split = IterativeStratifiedKFold(4, shuffle=True, random_state=0).split
    expected = list(split(sets, matrix))
    missing = pd.DataFrame(matrix).astype("Int64").mask(matrix == 0)
    for y in (sets, [tuple(one) for one in sets], pd.Series(sets), missing):
        for (train, test), (its_train, its_test) in zip(split(sets, y), expected, strict=True):
            assert_array_equal(train, its_train)
            assert_array_equal(test, its_test)


@pytest.mark.parametrize(
    ("y", "match"),
    [
        (None, r"expected y to be an indicator matrix .*got None"),
        (
            np.zeros(20, int),
            r"got an array of shape \(20,\)\. With one .*StratifiedKFold",
        ),
        ([object()] * 20, r"got an array of shape \(20,\)"),
        (np.zeros((20, 0)), r"got an array of shape \(20, 0\)"),
        (
            np.arange(40).reshape(20, 2),
            r"0, 1 and NaN .* rows 1, .*10, \.\.\.: 2 in row 1, column 0",
        ),
        (np.full((20, 2), "bus"), r"got <U3 entries"),
        (np.ones((19, 2), int), r"inconsistent numbers of samples: \[20, 19\]"),
    ],
)
def test_wrong_targets(y, match):
    with pytest.raises(ValueError, match=match):
        next(IterativeStratifiedKFold().split(np.zeros((20, 1)), y))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"n_splits": 1}, r"expected n_splits to be an int of at least 2, got 1"),
        ({"n_splits": 2.0}, r"expected n_splits to be an int of at least 2, got 2\.0"),
        ({"n_splits": True}, r"expected n_splits to be an int of at least 2, got True"),
        ({"n_splits": 21}, r"expected at least n_splits=21 samples, got 20"),
        ({"shuffle": "yes"}, r"expected shuffle to be True or False, got 'yes'"),
        ({"random_state": 0}, r"uses random_state only to shuffle, got shuffle=False"),
    ],
)
def test_wrong_parameters(options, match):
    Y = np.ones((20, 2), int)
    with pytest.raises(ValueError, match=match):
        next(IterativeStratifiedKFold(**options).split(Y, Y))


def test_rare_labels_are_warned_of():
    Y = indicator(40, [0.5, 0.5, 0.0], 6)
    Y[:3, 2] = 1
    with pytest.warns(UserWarning, match=r"fewer positives than n_splits=5: column 2 \(3\)\. Some"):
        folds_of(Y)
