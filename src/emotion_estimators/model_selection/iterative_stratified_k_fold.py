"""Folds of equal size and equal shares of every label; a cross-validator of scikit-learn."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import indexable

from emotion_estimators._sklearn import own_random_state
from emotion_estimators.model_selection._iterative_stratification import stratify
from emotion_estimators.validation.label_sets import check_positives

__all__ = ["IterativeStratifiedKFold"]


class IterativeStratifiedKFold(BaseCrossValidator):
    """K folds with equal shares of every label, for samples that have several labels each.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    shuffle : bool, default=False
        Whether to deal out the samples in random order.
    random_state : int, RandomState instance or None, default=None
        Seed of what is drawn at random; an int gives the same result each time. That is the
        order, where ``shuffle=True``. None leaves NumPy's global random state alone.

    See Also
    --------
    multilabel_train_test_split : One split instead of k.
    sklearn.model_selection.StratifiedKFold : The same for one label per sample.

    Notes
    -----
    Folds have the sizes of scikit-learn's KFold: they differ by one at most. In [1]_ they may
    differ by more; here a full fold takes no more samples. That costs nothing where labels are
    rare. Where most samples have most labels, counts of a label may differ by several between
    folds: there the shares deviate half as much as in shuffled KFold in the median of 300 random
    problems, and in 3 of them they deviated more.

    `y` is an indicator matrix, dense or sparse, of 0, 1 and NaN. NaN, for unknown, counts as 0:
    what is shared out evenly are the known positives.

    Time grows with the positives times the folds.

    References
    ----------
    .. [1] K. Sechidis, G. Tsoumakas and I. Vlahavas, "On the Stratification of Multi-Label Data",
       ECML PKDD 2011, https://doi.org/10.1007/978-3-642-23808-6_10

    Examples
    --------
    >>> import numpy as np
    >>> from emotion_estimators.model_selection import IterativeStratifiedKFold
    >>> Y = np.array([[1, 0], [1, 1], [0, 1], [1, 0], [0, 0], [1, 1], [0, 1], [1, 0]])
    >>> for _, test in IterativeStratifiedKFold(n_splits=2).split(Y, Y):
    ...     print(test, Y[test].sum(axis=0))
    [1 4 5 7] [3 2]
    [0 2 3 6] [2 2]
    """

    def __init__(
        self,
        n_splits: int = 5,
        *,
        shuffle: bool = False,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_splits = n_splits
        self.shuffle = shuffle
        self.random_state = random_state

    def split(
        self,
        X: Any,
        y: Any = None,
        groups: Any = None,  # noqa: ARG002
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Yield the rows to train on and the rows to test on, fold by fold.

        Parameters
        ----------
        X : array-like of length n_samples
            Only its length counts; it may be a list of paths.
        y : array-like or sparse matrix of shape (n_samples, n_labels), or None, default=None
            Indicator matrix of 0, 1 and NaN, or a sequence of n_samples sets of labels (or of
            lists and tuples of strings); None is an error.
        groups : None
            Ignored; here for scikit-learn's signature.

        Yields
        ------
        train : ndarray of intp
            Rows of the training set, ascending.
        test : ndarray of intp
            Rows of the test set, ascending.

        Raises
        ------
        ValueError
            If a parameter is out of its range, y is neither, its length is not that
            of X, or there are fewer samples than folds.

        Warns
        -----
        UserWarning
            If a label has fewer positives than there are folds.
        """
        self._check_parameters()
        parts = self._parts(X, y)
        for fold in range(self.n_splits):
            is_test = parts == fold
            yield np.flatnonzero(~is_test), np.flatnonzero(is_test)

    def get_n_splits(
        self,
        X: Any = None,  # noqa: ARG002
        y: Any = None,  # noqa: ARG002
        groups: Any = None,  # noqa: ARG002
    ) -> int:
        """Return the number of folds.

        Parameters
        ----------
        X : None
            Ignored; here for scikit-learn's signature, as all three.
        y : None
            Ignored.
        groups : None
            Ignored.

        Returns
        -------
        n_splits : int
            The number of folds.
        """
        return int(self.n_splits)

    def _check_parameters(self) -> None:
        n_splits: Any = self.n_splits
        shuffle: Any = self.shuffle
        if isinstance(n_splits, bool) or not isinstance(n_splits, Integral) or n_splits < 2:
            raise ValueError(
                "IterativeStratifiedKFold expected n_splits to be an int of at least 2, got "
                f"{n_splits!r}."
            )
        if not isinstance(shuffle, (bool, np.bool_)):
            raise ValueError(
                "IterativeStratifiedKFold expected shuffle to be True or False, got "
                f"{self.shuffle!r}."
            )
        if not self.shuffle and self.random_state is not None:
            raise ValueError(
                "IterativeStratifiedKFold uses random_state only to shuffle, got "
                f"shuffle=False and random_state={self.random_state!r}. Set shuffle=True, or "
                "leave random_state=None."
            )

    def _parts(self, X: Any, y: Any) -> NDArray[np.intp]:
        """Return the fold of each row."""
        positives = check_positives("IterativeStratifiedKFold", y)
        if X is not None:
            indexable(X, positives)
        n_samples, n_splits = len(positives), self.get_n_splits()
        if n_samples < n_splits:
            raise ValueError(
                f"IterativeStratifiedKFold expected at least n_splits={n_splits} samples, got "
                f"{n_samples}."
            )
        counts = positives.sum(axis=0)
        rare = np.flatnonzero(counts < n_splits).tolist()
        if rare:
            shown = ", ".join(f"column {column} ({counts[column]})" for column in rare[:10])
            more = f" and {len(rare) - 10} more" if len(rare) > 10 else ""
            warnings.warn(
                f"IterativeStratifiedKFold got labels with fewer positives than "
                f"n_splits={n_splits}: {shown}{more}. Some folds will hold none of them.",
                stacklevel=3,
            )
        sizes = [n_samples // n_splits + (fold < n_samples % n_splits) for fold in range(n_splits)]
        if not self.shuffle:
            return stratify(positives, sizes)
        return stratify(positives, sizes, own_random_state(self.random_state))
