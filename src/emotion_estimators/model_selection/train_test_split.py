"""One split into training and test data with equal shares of every label."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import indexable

from emotion_estimators._sklearn import (
    Interval,
    constraints,
    own_random_state,
    safe_indexing,
    train_test_sizes,
    validate_params,
)
from emotion_estimators.model_selection._iterative_stratification import stratify
from emotion_estimators.validation.label_sets import check_positives

__all__ = ["multilabel_train_test_split"]

_SIZE = [Interval(Real, 0, 1, closed="neither"), Interval(Integral, 1, None, closed="left"), None]


@validate_params(
    {"test_size": _SIZE, "train_size": _SIZE, **constraints("random_state")},
    prefer_skip_nested_validation=True,
)
def multilabel_train_test_split(
    X: Any,
    Y: Any,
    *arrays: Any,
    test_size: float | None = None,
    train_size: float | None = None,
    random_state: int | np.random.RandomState | None = None,
) -> list[Any]:
    """Split data into a training and a test set that have equal shares of every label.

    Parameters
    ----------
    X : array-like of length n_samples
        The samples: an array, a list of paths, a DataFrame.
    Y : array-like or sparse matrix, shape (n_samples, n_labels), or n_samples label sets
        Indicator matrix of 0, 1 and NaN, or the labels of each sample. NaN, for unknown, counts
        as 0 here.
    *arrays : array-like of length n_samples
        What else is to be split in the same way.
    test_size : float or int or None, default=None
        Share (0 to 1) or number of the rows to test on. None takes what `train_size` leaves, or
        0.25.
    train_size : float or int or None, default=None
        Share or number of the rows to train on. None takes what `test_size` leaves.
    random_state : int, RandomState instance or None, default=None
        Seed of what is drawn at random; an int gives the same result each time. That is the
        order of the rows. None leaves NumPy's global random state alone.

    Returns
    -------
    splits : list, length 2 * (2 + len(arrays))
        ``X_train, X_test, Y_train, Y_test`` and so on, each of its input's type, rows in random
        order.

    Raises
    ------
    ValueError
        If a size leaves nothing to train or test on, lengths differ, or Y is neither.

    See Also
    --------
    IterativeStratifiedKFold : Folds for cross-validation, by the same method and reference.
    sklearn.model_selection.train_test_split : Random, or stratified by one label per sample.

    Notes
    -----
    Sizes are those of scikit-learn's ``train_test_split``, exactly. Its ``stratify=Y`` takes each
    distinct row of Y for a class and fails where one occurs once.

    Examples
    --------
    >>> from emotion_estimators.datasets import make_scenes
    >>> from emotion_estimators.model_selection import multilabel_train_test_split
    >>> X, Y = make_scenes(40, random_state=0)
    >>> X_train, X_test, Y_train, Y_test = multilabel_train_test_split(X, Y, random_state=0)
    >>> len(X_train), len(X_test)
    (30, 10)
    """
    positives = check_positives("multilabel_train_test_split", Y)
    inputs = indexable(X, Y, *arrays)
    n_samples = len(positives)
    n_train, n_test = train_test_sizes(n_samples, test_size, train_size)
    random = own_random_state(random_state)
    parts = stratify(positives, [n_train, n_test, n_samples - n_train - n_test], random)
    train, test = (random.permutation(np.flatnonzero(parts == part)) for part in (0, 1))
    return [safe_indexing(array, rows) for array in inputs for rows in (train, test)]
