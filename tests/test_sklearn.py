from typing import ClassVar

import pytest
from sklearn.base import BaseEstimator, TransformerMixin

from emotion_estimators._sklearn import fit_context, keep_fitted


class Counter(TransformerMixin, BaseEstimator):
    """Sets fitted attributes one after the other; it can be told to fail between them."""

    _parameter_constraints: ClassVar = {"fails_with": "no_validation"}

    def __init__(self, *, fails_with=None):
        self.fails_with = fails_with

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):  # noqa: ARG002
        self.first_ = X
        if self.fails_with is not None:
            raise self.fails_with
        self.second_ = X
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def fit_transform(self, X, y=None):
        return self.fit(X, y).second_

    @fit_context(prefer_skip_nested_validation=True)
    def transform(self, X):
        return self.second_ + X


def test_a_fit_returns_the_estimator_itself():
    counter = Counter()

    assert counter.fit(1) is counter
    assert vars(counter) == {"fails_with": None, "first_": 1, "second_": 1}
    assert counter.fit_transform(2) == 2
    assert counter.transform(3) == 5


@pytest.mark.parametrize("method", ["fit", "fit_transform"])
@pytest.mark.parametrize("error", [ValueError("bad y"), KeyboardInterrupt(), MemoryError()])
def test_a_fit_that_fails_leaves_the_estimator_as_it_was(method, error):
    counter = Counter().fit(1).set_params(fails_with=error)
    before = vars(counter).copy()

    with pytest.raises(type(error)):
        getattr(counter, method)(2)

    assert vars(counter) == before
    fresh = Counter(fails_with=error)
    with pytest.raises(type(error)):
        getattr(fresh, method)(2)
    assert vars(fresh) == {"fails_with": error}


def test_an_error_can_keep_what_was_assigned_before_it():
    error = KeyboardInterrupt()
    keep_fitted(error, "keeps epoch 1")
    counter = Counter(fails_with=error)

    with pytest.raises(KeyboardInterrupt) as raised:
        counter.fit(2)

    assert raised.value.__notes__ == ["keeps epoch 1"]
    assert vars(counter) == {"fails_with": error, "first_": 2}
