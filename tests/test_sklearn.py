import pickle
import warnings
from email.message import Message
from typing import ClassVar

import pytest
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.pipeline import make_pipeline

from emotion_estimators import HOGTransformer, _sklearn
from emotion_estimators._sklearn import ImageEstimator, fit_context, keep_fitted
from emotion_estimators.testing import all_estimators


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


def test_all_estimators_have_one_base():
    assert [name for name, kind in all_estimators() if not issubclass(kind, ImageEstimator)] == []


def test_an_estimator_of_another_version_warns(monkeypatch):
    """Also one within a pipeline, of which scikit-learn looks only at its own steps."""
    hog = HOGTransformer(orientations=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same = pickle.loads(pickle.dumps(make_pipeline(hog)))[0]
    assert vars(same) == vars(hog)
    saved = pickle.dumps(make_pipeline(hog))
    monkeypatch.setattr(_sklearn, "__version__", "99.1")
    match = r"^HOGTransformer was saved by emotion-estimators \d+\.\d+\S* and is loaded by 99\.1, "
    with pytest.warns(UserWarning, match=match):
        loaded = pickle.loads(saved)[0]
    assert vars(loaded) == vars(hog)
    assert vars(clone(loaded)) == vars(hog)
    assert pickle.loads(pickle.dumps(loaded)).orientations == 5  # it is of this version now
    with pytest.warns(UserWarning, match=r"was saved by emotion-estimators before 0\.1\.0 and"):
        HOGTransformer().__setstate__(vars(hog))


def test_estimators_are_linked_to_their_pages_where_these_have_an_address(monkeypatch):
    installed = Message()
    monkeypatch.setattr(_sklearn, "metadata", lambda name: installed)  # noqa: ARG005
    _sklearn._documentation.cache_clear()
    assert HOGTransformer()._get_doc_link() == ""
    installed["Project-URL"] = "Source, https://example.org/code"
    installed["Project-URL"] = "Documentation, https://example.org/pages"
    _sklearn._documentation.cache_clear()
    link = "https://example.org/pages/api/generated/emotion_estimators.HOGTransformer.html"
    assert HOGTransformer()._get_doc_link() == link
    assert link in HOGTransformer()._repr_html_()
    _sklearn._documentation.cache_clear()
