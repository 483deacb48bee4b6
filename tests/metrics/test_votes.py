"""Figures of probabilities against votes: by hand, and of people who answer as it is said."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mean_absolute_error

from emotion_estimators.labels import EMOTIONS, VOTE_COLUMNS
from emotion_estimators.metrics import measure_votes

CLASSES = ["happy", "neutral", "sad"]


def _people(n, n_people=10, seed=0):
    """Return probabilities, (n, 3), and the votes of people who follow them."""
    rng = np.random.default_rng(seed)
    proba = rng.dirichlet([1, 1, 1], size=n)
    return proba, rng.multinomial(n_people, proba)


def test_figures_by_hand():
    columns = ["sad", "happy", "neutral", "unknown"]
    rows = [[0, 6, 4, 0], [0, 5, 2, 3], [5, 5, 0, 0], [0, 0, 0, 10], [2, 2, 0, 6]]
    votes = pd.DataFrame(rows, columns=columns)
    proba = [[0.6, 0.4, 0], [0.3, 0.7, 0], [0.9, 0, 0.1], [1, 0, 0], [0, 0, 1]]
    got = measure_votes(votes, proba, CLASSES, n_bootstrap=20)
    shares = np.array([[0.6, 0.4, 0], [5 / 7, 2 / 7, 0], [0.5, 0, 0.5], [0.5, 0, 0.5]])
    said = np.array(proba)[[0, 1, 2, 4]]
    assert got["n"] == 4  # nobody voted for a class in the fourth row
    errors = mean_absolute_error(shares, said, multioutput="raw_values")
    assert list(got["share_errors"].values()) == pytest.approx(errors.tolist())
    assert got["share_error"] == pytest.approx(errors.mean())
    # right; wrong; one of two of which each has five votes; the same with two votes each
    assert got["plurality_agreement"] == (1 + 0 + 0.5 + 0.5) / 4
    # five of ten are no majority, and nor are two of ten
    assert (got["n_majority"], got["majority_agreement"]) == (1, 1.0)
    expected = [(2, 0.65, (0.6 + 2 / 7) / 2), (1, 0.9, 0.5), (1, 1, 0.5)]
    assert [list(row) for row in got["reliability"]] == [["n", "said", "agreed"]] * 3  # bins
    np.testing.assert_allclose([list(row.values()) for row in got["reliability"]], expected)
    assert got["reliability_gap"] == pytest.approx((0.7 - 2 / 7 + 0.4 + 0.5) / 4)
    assert got["largest_reliability_gap"] is None  # so few say nothing
    assert json.loads(json.dumps(got)) == got


def test_who_says_what_people_vote_is_reliable():
    proba, votes = _people(4000, n_people=1000)
    got = measure_votes(votes, proba, CLASSES, n_bootstrap=50)
    # the standard error of a share of 1,000 people is below 0.016
    assert got["share_error"] < 0.016
    assert got["largest_reliability_gap"] < 0.016
    assert sum(row["n"] for row in got["reliability"]) == got["n"] == 4000
    bold = proba**3 / (proba**3).sum(axis=1, keepdims=True)
    other = measure_votes(votes, bold, CLASSES, n_bootstrap=0)
    assert other["largest_reliability_gap"] > other["reliability_gap"] > 0.1
    assert other["majority_agreement"] == got["majority_agreement"] > 0.97
    assert other["share_error"] > got["share_error"]


def test_counts_shares_and_columns_are_the_same():
    proba, votes = _people(300)
    got = measure_votes(votes, proba, CLASSES, n_bootstrap=10)
    shares = pd.DataFrame(votes / 16, columns=CLASSES)[CLASSES[::-1]]  # a power of two: exact
    assert measure_votes(shares, proba, CLASSES, n_bootstrap=10) == got
    assert measure_votes(shares.assign(contempt=0), proba, CLASSES, n_bootstrap=10) == got
    many = measure_votes(shares.assign(contempt=9.0), proba, CLASSES, n_bootstrap=10)
    assert (many["n_majority"], many["majority_agreement"]) == (0, None)
    assert many["bootstrap_95"]["majority_agreement"] is None
    assert many["share_error"] == got["share_error"]


def test_intervals_hold_the_figures_and_depend_on_the_seed():
    proba, votes = _people(400)
    got = measure_votes(votes, proba, CLASSES)
    for name, (low, high) in got["bootstrap_95"].items():
        # draws add noise to the gaps of the bins, so that these have a bound below them only
        assert low < got[name] < high or (name.endswith("gap") and got[name] < high)
    # the share of 400 images: 1.96 standard errors on each side
    low, high = got["bootstrap_95"]["majority_agreement"]
    p, n = got["majority_agreement"], got["n_majority"]
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(p * (1 - p) / n), rel=0.15)
    assert measure_votes(votes, proba, CLASSES) == got
    other = measure_votes(votes, proba, CLASSES, random_state=1)
    assert other["bootstrap_95"] != got["bootstrap_95"]


@pytest.mark.parametrize(
    ("votes", "proba", "classes", "match"),
    [
        ([[1, 2]], [[0.5, 0.5]], ["a", "b", "c"], "expected 2 distinct classes, those of"),
        ([[1, 2]], [[0.5, 0.5]], ["a", "a"], "expected 2 distinct classes, those of"),
        ([[1, 2]], [[0.5, 0.6]], ["a", "b"], "whose sum is 1 in each row"),
        ([[1, 2, 3]], [[0.5, 0.5]], ["a", "b"], r"= \(1, 2\), .* got shape \(1, 3\)"),
        ([[1, -2]], [[0.5, 0.5]], ["a", "b"], "got in row 0: -2 for 'b'"),
        ([[0, 0]], [[0.5, 0.5]], ["a", "b"], "got no votes for a class in any of 1 row"),
    ],
)
def test_messages(votes, proba, classes, match):
    with pytest.raises(ValueError, match=f"^measure_votes .*{match}"):
        measure_votes(votes, proba, classes)


def test_the_label_of_fer2013_against_the_votes_of_people(data_dir):
    votes = pd.read_csv(data_dir / "ferplus" / "public_test_votes.csv")
    labels = np.array([Path(name).parent.name for name in votes.pop("file")])
    assert list(votes) == list(VOTE_COLUMNS)
    got = measure_votes(votes, labels[:, np.newaxis] == np.array(EMOTIONS), EMOTIONS)
    assert (got["n"], got["n_majority"]) == (3579, 2854)
    winners = votes[list(EMOTIONS)].idxmax(axis=1)
    majority = votes[list(EMOTIONS)].max(axis=1) > 5  # of ten people
    assert majority.sum() == 2854
    assert got["majority_agreement"] == (winners == labels)[majority].mean()
    # a tie, of which the first counts here and a share there
    assert got["plurality_agreement"] == pytest.approx((winners == labels).mean(), abs=0.01)
