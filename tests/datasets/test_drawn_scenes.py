"""Drawn scenes: what comes out, what decides it, and whether it can be learnt."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import average_precision_score

from emotion_estimators.datasets import SCENE_LABELS, make_scenes
from emotion_estimators.datasets._drawing.things import THINGS
from emotion_estimators.datasets.drawn_scenes import _draw_kinds, _photograph


@pytest.fixture(scope="module")
def scenes():
    return make_scenes(900, image_size=32, random_state=0)


@pytest.mark.parametrize(
    ("image_size", "shape"),
    [
        (64, (6, 64, 64, 3)),
        ((40, 57), (6, 40, 57, 3)),
        ([100, 70], (6, 100, 70, 3)),
        (np.int64(130), (6, 130, 130, 3)),
    ],
)
def test_shapes_and_dtypes(image_size, shape):
    X, Y = make_scenes(6, image_size=image_size, random_state=0)
    assert X.shape == shape
    assert X.dtype == np.uint8
    assert X.flags.c_contiguous
    assert X.flags.writeable
    assert Y.shape == (6, 10)
    assert Y.dtype == np.int64
    assert all(np.ptp(image) > 30 for image in X)  # an image, not a plain surface


def test_the_vocabulary_and_what_draws_it():
    # the label columns of the table that this data stands in for, in its order
    expected = ["motorcycle", "truck", "boat", "bus", "cycle"]
    expected += ["sitar", "ektara", "flutes", "tabla", "harmonium"]
    assert list(SCENE_LABELS) == expected
    for name, (draw, _, _) in THINGS.items():
        assert draw.__name__ == f"_{name}"


def test_zero_to_five_kinds_unbalanced_and_in_company(scenes):
    _, Y = scenes
    assert set(np.unique(Y)) == {0, 1}
    assert set(Y.sum(axis=1).tolist()) == {0, 1, 2, 3, 4, 5}
    shares = Y.mean(axis=0)
    # shares of 900 images have standard errors below 0.017
    assert shares.max() / shares.min() > 3
    assert shares.min() > 0.05
    vehicle, instrument = Y[:, :5].any(axis=1), Y[:, 5:].any(axis=1)
    assert np.corrcoef(vehicle, instrument)[0, 1] < 0


def test_the_documented_shares_hold():
    rng = np.random.default_rng(0)
    shown = [_draw_kinds(rng) for _ in range(10_000)]
    shares = np.bincount(np.concatenate(shown).astype(int), minlength=10) / len(shown)
    # three standard errors of a share of 10,000: at most 0.015, of the small ones 0.009
    assert shares[SCENE_LABELS.index("cycle")] == pytest.approx(0.42, abs=0.015)
    assert shares[SCENE_LABELS.index("ektara")] == pytest.approx(0.10, abs=0.009)
    assert SCENE_LABELS[shares.argmax()] == "cycle"
    assert SCENE_LABELS[shares.argmin()] == "ektara"
    assert np.mean([not kinds for kinds in shown]) == pytest.approx(0.08, abs=0.009)


@pytest.mark.parametrize("kind", range(10), ids=SCENE_LABELS)
def test_a_thing_covers_a_good_part_of_its_picture(kind):
    """With the same random numbers up to the thing, an empty image has the same backdrop."""
    covered = []
    for seed in range(12):
        alone = _photograph([kind], 64, 64, np.random.default_rng(seed))
        empty = _photograph([], 64, 64, np.random.default_rng(seed))
        # grain has a standard deviation of up to 7 levels: 60 is far beyond the two of them
        covered.append((np.abs(alone.astype(int) - empty).max(axis=2) > 60).mean())
    assert 0.01 < np.median(covered) < 0.4


def test_same_state_same_pixels():
    first, second = (make_scenes(20, random_state=4) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    state = np.random.RandomState(4)
    np.testing.assert_array_equal(first[0], make_scenes(20, random_state=state)[0])
    following = make_scenes(20, random_state=state)[0]
    other = make_scenes(20, random_state=5)[0]
    assert len({image.tobytes() for X in (first[0], following, other) for image in X}) == 60


@pytest.mark.parametrize("random_state", [0, None])
def test_global_random_state_is_neither_read_nor_changed(random_state):
    before = np.random.get_state()  # noqa: NPY002
    try:
        np.random.seed(123)  # noqa: NPY002
        start = np.random.get_state()  # noqa: NPY002
        first, _ = make_scenes(4, random_state=random_state)
        end = np.random.get_state()  # noqa: NPY002
        np.testing.assert_array_equal(start[1], end[1])
        assert start[2:] == end[2:]
        np.random.seed(123)  # noqa: NPY002
        second, _ = make_scenes(4, random_state=random_state)
    finally:
        np.random.set_state(before)  # noqa: NPY002
    assert np.array_equal(first, second) == (random_state == 0)


def test_size_changes_the_sampling_and_not_the_scene():
    _, small = make_scenes(30, image_size=32, random_state=8)
    _, large = make_scenes(30, image_size=96, random_state=8)
    np.testing.assert_array_equal(small, large)


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"n_samples": 0}, r"'n_samples' parameter of make_scenes must be an int in the range \[1"),
        ({"image_size": 31}, r"'image_size' parameter of make_scenes must be an int .*Got 31"),
        ({"image_size": (64, 31)}, r"make_scenes expected .* each at least 32.*got \(64, 31\)"),
        ({"image_size": (64,)}, r"make_scenes expected image_size to be .*got \(64,\)"),
        ({"random_state": "zero"}, r"'random_state' parameter of make_scenes"),
    ],
)
def test_wrong_parameters(parameters, match):
    with pytest.raises(ValueError, match=match):
        make_scenes(**parameters)


def test_options_are_keyword_only():
    kinds = {p.name: p.kind for p in inspect.signature(make_scenes).parameters.values()}
    assert kinds.pop("n_samples") is inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert set(kinds.values()) == {inspect.Parameter.KEYWORD_ONLY}


def test_a_linear_model_of_pixels_does_not_learn_it(scenes):
    """Places, sides and colours vary: what is in an image is no sum of its pixels."""
    X, Y = scenes
    rows = X.reshape(len(X), -1) / 255.0
    model = RidgeClassifier(alpha=1000.0).fit(rows[:600], Y[:600])
    precision = average_precision_score(Y[600:], model.decision_function(rows[600:]))
    chance = Y[600:].mean()
    # the standard error of a macro average precision over 300 images is about 0.02
    assert precision < chance + 0.2
