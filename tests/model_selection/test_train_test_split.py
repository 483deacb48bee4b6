"""One split: exact sizes, equal shares of every label, types kept."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.model_selection import train_test_split

from emotion_estimators.model_selection import multilabel_train_test_split


def indicator(n_samples, shares, seed):
    return (np.random.RandomState(seed).random_sample((n_samples, len(shares))) < shares).astype(
        int
    )


@settings(max_examples=80, deadline=None)
@given(
    st.integers(5, 80),  # of 4, two to train on and six tenths are too many
    st.none() | st.floats(0.3, 0.6) | st.integers(1, 2),
    st.none() | st.floats(0.3, 0.4) | st.integers(1, 2),
    st.integers(0, 100),
)
def test_sizes_are_those_of_scikit_learn(n_samples, test_size, train_size, seed):
    Y = indicator(n_samples, [0.1, 0.4, 0.7], seed)
    rows = np.arange(n_samples)
    options = {"test_size": test_size, "train_size": train_size, "random_state": seed}
    train, test, Y_train, Y_test = multilabel_train_test_split(rows, Y, **options)
    assert [len(part) for part in train_test_split(rows, Y, **options)] == [
        len(part) for part in (train, test, Y_train, Y_test)
    ]
    assert len(np.union1d(train, test)) == len(train) + len(test)
    np.testing.assert_array_equal(Y[train], Y_train)
    np.testing.assert_array_equal(Y[test], Y_test)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("test_size", [0.1, 0.25, 0.5])
def test_shares_of_labels_are_kept(seed, test_size):
    Y = indicator(600, [0.03, 0.1, 0.3, 0.5], seed)
    _, _, Y_train, Y_test = multilabel_train_test_split(
        Y, Y, test_size=test_size, random_state=seed
    )
    expected = test_size * Y.sum(axis=0)
    # whole rows: within one of the share, and one more for the label dealt out last
    assert np.abs(Y_test.sum(axis=0) - expected).max() <= 2
    assert Y_train.sum(axis=0).tolist() == (Y.sum(axis=0) - Y_test.sum(axis=0)).tolist()


def test_rows_are_in_random_order():
    Y = indicator(100, [0.3, 0.5], 0)
    train, test, *_ = multilabel_train_test_split(np.arange(100), Y, random_state=0)
    assert train.tolist() != sorted(train)
    assert test.tolist() != sorted(test)


def test_the_same_seed_the_same_split():
    Y = indicator(100, [0.3, 0.5], 0)
    first, again, other = (
        multilabel_train_test_split(np.arange(100), Y, random_state=seed)[1].tolist()
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other
    start = np.random.get_state()  # noqa: NPY002
    multilabel_train_test_split(np.arange(100), Y)
    end = np.random.get_state()  # noqa: NPY002
    np.testing.assert_array_equal(start[1], end[1])
    assert start[2:] == end[2:]


def test_types_are_kept_and_all_arrays_split_alike():
    Y = indicator(40, [0.3, 0.5], 0)
    paths = [f"{i}.png" for i in range(40)]
    frame = pd.DataFrame(Y, columns=["bus", "boat"])
    parts = multilabel_train_test_split(paths, frame, np.arange(40), csr_array(Y), random_state=0)
    train, test, Y_train, Y_test, rows, test_rows, sparse, _ = parts
    assert isinstance(train, list)
    assert train == [f"{i}.png" for i in rows]
    assert test == [f"{i}.png" for i in test_rows]
    pd.testing.assert_frame_equal(Y_train, frame.iloc[rows])
    pd.testing.assert_frame_equal(Y_test, frame.iloc[test_rows])
    np.testing.assert_array_equal(sparse.toarray(), Y[rows])


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"test_size": 1.0}, r"'test_size' parameter of multilabel_train_test_split must be"),
        ({"train_size": 0}, r"'train_size' parameter of multilabel_train_test_split must be"),
        ({"test_size": 20}, r"test_size=20 should be either positive and smaller than"),
        ({"test_size": 0.6, "train_size": 0.6}, r"sum of test_size and train_size = 1\.2"),
    ],
)
def test_wrong_sizes(options, match):
    Y = np.ones((20, 2), int)
    with pytest.raises(ValueError, match=match):
        multilabel_train_test_split(Y, Y, **options)


def test_wrong_data():
    with pytest.raises(ValueError, match=r"multilabel_train_test_split expected y of shape"):
        multilabel_train_test_split(np.ones(20), np.ones(20))
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[19, 20\]"):
        multilabel_train_test_split(np.ones(19), np.ones((20, 2)))
