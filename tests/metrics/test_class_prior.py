"""Priors of classes: simulated data whose prior is known, and Bayes' theorem by hand."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.naive_bayes import GaussianNB

from emotion_estimators.metrics import adjust_class_prior, estimate_class_prior

CENTERS = np.array([[0, 0], [2, 0], [0, 2]])


def _faces(prior, n, seed):
    """Draw points of three classes that overlap, (n, 2), as common as `prior` says."""
    counts = np.random.default_rng(seed).multinomial(n, prior)
    return make_blobs(counts, centers=CENTERS, cluster_std=1.0, random_state=seed)


@pytest.mark.parametrize("there", [[0.1, 0.2, 0.7], [0.6, 0.3, 0.1], [0.34, 0.33, 0.33]])
def test_the_prior_of_simulated_data_is_recovered(there):
    learned = np.array([0.6, 0.3, 0.1])
    X, y = _faces(there, 20_000, 1)
    distances = np.square(X[:, np.newaxis] - CENTERS).sum(axis=2)
    proba = np.exp(-distances / 2) * learned  # of the densities that they were drawn from
    proba /= proba.sum(axis=1, keepdims=True)
    got = estimate_class_prior(proba, learned)
    assert got.sum() == pytest.approx(1)
    # of 20,000 the standard error is 0.0035 with labels, and 1.5 times that as classes overlap
    np.testing.assert_allclose(got, there, atol=0.015)
    adjusted = adjust_class_prior(proba, learned, got)
    before, after = ((p.argmax(axis=1) == y).mean() for p in (proba, adjusted))
    if there[0] == 0.6:
        np.testing.assert_allclose(adjusted, proba, atol=0.02)
    else:
        assert after > before + 0.02


def test_equals_the_classifier_that_was_given_the_prior():
    X, y = _faces([0.6, 0.3, 0.1], 600, 0)
    learned = GaussianNB().fit(X, y)
    told = GaussianNB(priors=[0.2, 0.2, 0.6]).fit(X, y)
    prior = {"c": 6, "a": 2, "b": 2}
    got = adjust_class_prior(
        learned.predict_proba(X), learned.class_prior_, prior, classes=["a", "b", "c"]
    )
    np.testing.assert_allclose(got, told.predict_proba(X), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(got.sum(axis=1), 1, rtol=1e-15 * 4)  # roundings of three terms


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_changes_nothing(dtype):
    proba = np.random.default_rng(0).dirichlet([1, 1, 1], size=50).astype(dtype)
    for learned in ([3, 2, 1], None):
        np.testing.assert_array_equal(adjust_class_prior(proba, learned, None), proba)
    tolerance = 4 * np.finfo(dtype).eps  # of a division
    for prior in ("uniform", [2, 2, 2]):
        got = adjust_class_prior(proba, "uniform", prior)
        assert got.dtype == dtype
        np.testing.assert_allclose(got, proba, rtol=tolerance)
    there = adjust_class_prior(proba, [3, 2, 1], [1, 1, 4])
    assert abs(there - proba).max() > 0.1
    back = adjust_class_prior(there, [1, 1, 4], [3, 2, 1])
    np.testing.assert_allclose(back, proba, rtol=1e-4, atol=1e-6 if dtype == np.float32 else 1e-15)


def test_a_class_that_is_nowhere_can_be_given_back():
    proba = np.array([[0.98, 0.01, 0.01], [1.0, 0.0, 0.0], [0.5, 0.5, 0.0]] * 40)
    with np.errstate(all="raise"):
        prior = estimate_class_prior(proba, [0.2, 0.2, 0.6])
        adjusted = adjust_class_prior(proba, [0.2, 0.2, 0.6], prior)
    assert prior[2] == pytest.approx(1e-9)
    assert np.isfinite(adjusted).all()
    np.testing.assert_allclose(adjusted.sum(axis=1), 1, rtol=1e-15 * 4)


def test_few_turns_are_said():
    proba = np.random.default_rng(0).dirichlet([2, 1, 1], size=200)
    with pytest.warns(ConvergenceWarning, match=r"stopped after max_iter=2 turns, .* tol=1e-06"):
        early = estimate_class_prior(proba, "uniform", max_iter=2)
    late = estimate_class_prior(proba, "uniform", tol=1e-9, max_iter=100_000)
    usual = estimate_class_prior(proba, "uniform")
    assert abs(early - late).max() > abs(usual - late).max()


@pytest.mark.parametrize(
    ("proba", "training", "prior", "options", "match"),
    [
        ([0.5, 0.5], "uniform", None, {}, r"expected probabilities \(n_samples, n_classes\)"),
        ([["a", "b"]], "uniform", None, {}, "got an array of <U1"),
        (np.zeros((0, 2)), "uniform", None, {}, r"n_samples > 0, got .* shape \(0, 2\)"),
        ([[0.5, 0.5], [0.5, 0.6]], "uniform", None, {}, "1 of 2 rows, the first of them row 1, wi"),
        ([[1.5, -0.5]], "uniform", None, {}, "in 1 of 1 row,"),
        ([[np.nan, 1]], "uniform", None, {}, "with a sum of nan"),
        ([[0.5, 0.5]], None, "uniform", {}, "expected training_prior to be known, got None"),
        ([[0.5, 0.5]], [1, 0], [1, 1], {}, "training_prior to give each class .* got 1: 0"),
        ([[0.5, 0.5]], "uniform", [1, 2, 3], {}, "expected class_prior to have 2 numbers"),
        ([[0.5, 0.5]], "uniform", {"a": 1, "b": 1}, {}, "none for 0, 1 and also 'a', 'b'"),
        ([[0.5, 0.5]], "uniform", None, {"classes": ["a"]}, "expected classes of all 2 columns"),
    ],
)
def test_messages(proba, training, prior, options, match):
    with pytest.raises(ValueError, match=f"^adjust_class_prior .*{match}"):
        adjust_class_prior(proba, training, prior, **options)


@pytest.mark.parametrize(
    ("arguments", "options", "match"),
    [
        (([[0.5, 0.6]], "uniform"), {}, "^estimate_class_prior expected probabilities in 0..1"),
        (([[0.5, 0.5]], [1, 2, 3]), {}, "^estimate_class_prior expected training_prior to have 2"),
        (([[0.5, 0.5]], "flat"), {}, "'training_prior' parameter"),
        (([[0.5, 0.5]], "uniform"), {"max_iter": 0}, "'max_iter' parameter"),
        (([[0.5, 0.5]], "uniform"), {"tol": -1}, "'tol' parameter"),
    ],
)
def test_messages_of_the_estimate(arguments, options, match):
    with pytest.raises(ValueError, match=match):
        estimate_class_prior(*arguments, **options)
