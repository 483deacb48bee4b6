"""Votes and priors of classes: shares of those who voted, and what is refused."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from emotion_estimators.labels import EMOTIONS, VOTE_COLUMNS
from emotion_estimators.validation import check_class_prior, check_votes

VOTED = ["happy", "neutral", "sad"]


@pytest.mark.parametrize(
    "votes",
    [
        [[3, 0, 1], [0, 0, 0], [10, 0, 0]],
        np.array([[0.75, 0, 0.25], [0, 0, 0], [1, 0, 0]], dtype=np.float16),
        pd.DataFrame({"sad": [1, 0, 0], "happy": [3, 0, 10], "neutral": [0, 0, 0]}),
        pd.DataFrame({"sad": [1, 0, 0], "happy": [3.0, 0.0, 10.0], "neutral": 0}, dtype=object),
        pd.DataFrame({"sad": [1, 0, 0], "happy": [3, 0, 10], "neutral": 0}, dtype="Int64"),
    ],
    ids=["counts", "shares", "frame", "objects", "Int64"],
)
def test_votes_are_shares_of_those_who_voted(votes: Any) -> None:
    targets, weights = check_votes(votes, VOTED, n_samples=3, name="Net")
    assert targets.tolist() == [[0.75, 0, 0.25], [0, 0, 0], [1, 0, 0]]
    assert weights.tolist() == [1, 0, 1]  # nobody was asked about the second
    assert (targets.dtype, weights.dtype) == (np.float32, np.float32)


def test_votes_for_none_of_the_classes_count_in_the_weight_only() -> None:
    votes = pd.DataFrame(0, index=range(3), columns=list(VOTE_COLUMNS))
    votes.loc[0, ["happy", "sad", "contempt", "no_face"]] = [1, 3, 2, 4]
    votes.loc[1, ["unknown"]] = 10
    targets, weights = check_votes(votes, EMOTIONS, n_samples=3)
    assert targets[0, [EMOTIONS.index("happy"), EMOTIONS.index("sad")]].tolist() == [0.25, 0.75]
    assert targets.sum(axis=1).tolist() == [1, 0, 0]
    assert weights.tolist() == [np.float32(0.4), 0, 0]
    # of somebody who learns contempt, too, it is a class as the others
    targets, weights = check_votes(votes, sorted([*EMOTIONS, "contempt"]), n_samples=3)
    assert targets[0].max() == 0.5
    assert weights.tolist() == [np.float32(0.6), 0, 0]


def test_the_smallest_and_the_largest_votes() -> None:
    votes = [[5e-324, 5e-324], [1e300, 3e300]]
    with np.errstate(all="raise"):
        targets, weights = check_votes(votes, [0, 1], n_samples=2)
    assert targets.tolist() == [[0.5, 0.5], [0.25, 0.75]]
    assert weights.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("votes", "match"),
    [
        (
            [[1, 2], [3, 4]],
            r"^Net expected votes \(n_samples, n_classes\) = \(2, 3\), in the order",
        ),
        ([[1, 2, 3]], r"of 'happy', 'neutral', 'sad', got shape \(1, 3\)"),
        ([1, 2, 3], r"got shape \(3,\)"),
        (None, r"got shape \(\)"),
        ([[1, 2, 3], [1, 2]], "^Net expected rows of votes that are equally long"),
        ([["1", "2", "3"], ["1", "2", "3"]], "^Net expected votes to be numbers, got <U1"),
        ([[1, 2, 3], [1, -2, 3]], r"finite and 0 or more, got in row 1: -2 for 'neutral'\.$"),
        ([[np.nan, 2, 3], [1, 2, np.inf]], "row 0: nan for 'happy'; row 1: inf for 'sad'"),
        ([[1e308, 1e308, 0], [1, 2, 3]], "row 0: 1e.308 for 'happy'"),
        (np.ma.masked_less([[1, 2, 3], [0, 2, 3]], 1), "^Net got votes with masked values"),
        (
            pd.DataFrame([[1, 2, 3, 0]] * 2, columns=[*VOTED, "anger"]),
            "which may also have 'contempt', 'unknown', 'no_face', got also 'anger'",
        ),
        (
            pd.DataFrame([[1, 2]] * 2, columns=["sad", "joy"]),
            "columns 'happy', 'neutral', 'sad', .* got none for 'happy', 'neutral' and also 'joy'",
        ),
        (pd.DataFrame([[1, 2, 3, 0]] * 2, columns=[*VOTED, "sad"]), "have a column twice"),
        (
            pd.DataFrame([[1, None, 3], [1, 2, 3]], columns=VOTED, dtype="Int64"),
            "row 0: <NA> for 'neutral'",
        ),
        (pd.DataFrame([[1, 2, 3]] * 3, columns=VOTED), r"got shape \(3, 3\)"),
    ],
)
def test_bad_votes(votes: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        check_votes(votes, VOTED, n_samples=2, name="Net")


def test_many_bad_votes_are_a_short_message() -> None:
    with pytest.raises(ValueError, match=r"row 9: -1 for 'a' and 990 more rows\.$") as caught:
        check_votes(np.full((1000, 2), -1), ["a", "b"], n_samples=1000)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("prior", "expected"),
    [
        (None, None),
        ("uniform", [1 / 3, 1 / 3, 1 / 3]),
        ([0.5, 0.25, 0.25], [0.5, 0.25, 0.25]),
        (np.array([2, 1, 1]), [0.5, 0.25, 0.25]),
        ({"sad": 1, "happy": 2, "neutral": 1}, [0.5, 0.25, 0.25]),
        # counted by pandas: the order is that of the counts
        (pd.Series(["sad", "happy", "sad", "neutral"]).value_counts(), [0.25, 0.25, 0.5]),
        ([1e308, 1e308, 1e308], [1 / 3, 1 / 3, 1 / 3]),
        ([1e-30, 1e-30, 2e-30], [0.25, 0.25, 0.5]),
        ([1, 1, 1e-11], [0.5, 0.5, 5e-12]),
    ],
)
def test_class_prior(prior: Any, expected: list[float] | None) -> None:
    got = check_class_prior(prior, VOTED, name="Net")
    if expected is None:
        assert got is None
    else:
        assert got is not None
        np.testing.assert_allclose(got, expected, rtol=1e-10)  # the last one's sum is 2 + 1e-11
        assert got.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("prior", "match"),
    [
        ("flat", r"^Net expected class_prior to be None, 'uniform', a number for .* got 'flat'"),
        (
            [0.5, 0.5],
            r"^Net expected class_prior to have 3 numbers, one for each of 'happy', .*\(2,",
        ),
        (0.5, r"got shape \(\)"),
        (["a", "b", "c"], "^Net expected class_prior to hold numbers"),
        ([0.5, 0.5, 0], r"a finite share of 1e-12 or more, got 'sad': 0\.$"),
        ([0.5, 0.5, -1], "got 'sad': -1"),
        ([0.5, 0.5, np.nan], "got 'sad': nan"),
        ([0.5, 0.5, np.inf], "'sad': inf"),
        ([1, 1, 1e-13], "got 'sad': 1e-13"),
        ([0, 0, 0], "got 'happy': 0, 'neutral': 0, 'sad': 0"),
        (
            {"happy": 1, "sad": 1},
            "^Net expected class_prior with the classes .* none for 'neutral'",
        ),
        (dict.fromkeys([*VOTED, "joy"], 1), "got also 'joy'"),
        (pd.Series([1, 1, 1]), "none for 'happy', 'neutral', 'sad' and also 0, 1, 2"),
    ],
)
def test_bad_class_prior(prior: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        check_class_prior(prior, VOTED, name="Net")
