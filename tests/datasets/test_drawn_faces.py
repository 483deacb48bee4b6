"""Drawn faces: what comes out, what decides it, and whether it can be learnt."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from PIL import Image
from skimage.feature import hog
from sklearn.svm import LinearSVC

from emotion_estimators.datasets import make_faces
from emotion_estimators.datasets._drawing.canvas import Pose, arch, bezier
from emotion_estimators.datasets._drawing.face import (
    ACTION_UNITS,
    PROTOTYPES,
    draw_action_units,
)
from emotion_estimators.labels import EMOTIONS


def as_set(X):
    return {image.tobytes() for image in X}


@pytest.mark.parametrize(
    ("image_size", "color", "shape"),
    [
        (48, "grey", (9, 48, 48)),
        (24, "rgb", (9, 24, 24, 3)),
        ((30, 41), "grey", (9, 30, 41)),
        ([96, 70], "rgb", (9, 96, 70, 3)),
        (np.int64(130), "grey", (9, 130, 130)),
    ],
)
def test_shape_and_dtype(image_size, color, shape):
    X, y = make_faces(9, image_size=image_size, color=color, random_state=0)
    assert X.shape == shape
    assert X.dtype == np.uint8
    assert X.flags.c_contiguous
    assert X.flags.writeable
    assert y.shape == (9,)
    assert y.dtype.kind == "U"
    assert all(np.ptp(image) > 50 for image in X)  # An image, not a plain surface.


def test_labels_are_canonical_and_balanced():
    _, y = make_faces(7 * 5 + 3, random_state=1)
    names, counts = np.unique(y, return_counts=True)
    assert tuple(names) == EMOTIONS
    assert dict(zip(names.tolist(), counts.tolist(), strict=True)) == {
        emotion: 6 if emotion in EMOTIONS[:3] else 5 for emotion in EMOTIONS
    }


def test_every_picture_differs():
    X, _ = make_faces(70, random_state=2)
    assert len(as_set(X)) == 70


def test_samples_are_shuffled():
    _, y = make_faces(70, random_state=3)
    assert y.tolist() != [EMOTIONS[i % 7] for i in range(70)]
    assert y.tolist() != sorted(y)


def test_same_state_same_pixels():
    first, second = make_faces(21, random_state=4), make_faces(21, random_state=4)
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    instance = make_faces(21, random_state=np.random.RandomState(4))
    np.testing.assert_array_equal(first[0], instance[0])
    other, _ = make_faces(21, random_state=5)
    assert not as_set(first[0]) & as_set(other)


def test_random_state_instance_moves_on():
    state = np.random.RandomState(0)
    first, _ = make_faces(7, random_state=state)
    second, _ = make_faces(7, random_state=state)
    assert not as_set(first) & as_set(second)


@pytest.mark.parametrize("random_state", [0, None])
def test_global_random_state_is_neither_read_nor_changed(random_state):
    before = np.random.get_state()  # noqa: NPY002
    try:
        np.random.seed(123)  # noqa: NPY002
        start = np.random.get_state()  # noqa: NPY002
        first, _ = make_faces(7, random_state=random_state)
        end = np.random.get_state()  # noqa: NPY002
        np.testing.assert_array_equal(start[1], end[1])
        assert start[2:] == end[2:]
        np.random.seed(123)  # noqa: NPY002
        second, _ = make_faces(7, random_state=random_state)
    finally:
        np.random.set_state(before)  # noqa: NPY002
    assert np.array_equal(first, second) == (random_state == 0)


def test_grey_is_the_luma_of_rgb():
    grey, grey_y = make_faces(7, random_state=7)
    rgb, rgb_y = make_faces(7, color="rgb", random_state=7)
    np.testing.assert_array_equal(grey_y, rgb_y)
    luma = rgb @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
    # One level: half from rounding, and a little from Pillow's integer weights.
    np.testing.assert_allclose(grey, luma, rtol=0, atol=1)
    assert np.ptp(rgb, axis=-1).max() > 60  # There is colour in it.


def test_size_changes_the_sampling_and_not_the_scene():
    small, small_y = make_faces(14, image_size=32, random_state=8)
    large, large_y = make_faces(14, image_size=128, random_state=8)
    np.testing.assert_array_equal(small_y, large_y)
    for image, shrunk in zip(small, large, strict=True):
        reduced = np.asarray(Image.fromarray(shrunk).reduce(4))
        # Noise is drawn per pixel, so the two agree in the scene only; other scenes reach 0.8.
        assert np.corrcoef(image.ravel(), reduced.ravel())[0, 1] > 0.9


def test_subset_keeps_its_order_and_takes_aliases():
    X, y = make_faces(5, emotions=["Sadness", " HAPPY "], random_state=9)
    assert len(X) == 5
    # The first named has the one that is left over.
    assert sorted(y.tolist()) == ["happy", "happy", "sad", "sad", "sad"]
    _, single = make_faces(3, emotions=("fear",), random_state=9)
    assert single.tolist() == ["fear"] * 3
    np.testing.assert_array_equal(
        make_faces(6, emotions=np.array(["angry", "fear"]), random_state=9)[0],
        make_faces(6, emotions=["anger", "afraid"], random_state=9)[0],
    )


def test_emotion_moves_the_face_and_nothing_else():
    """The same person in another mood: brows, lids, nose, mouth move, the surroundings stay."""
    happy, _ = make_faces(1, emotions=["happy"], image_size=96, random_state=10)
    angry, _ = make_faces(1, emotions=["angry"], image_size=96, random_state=10)
    changed = happy[0].astype(int) != angry[0].astype(int)
    assert changed[30:90, 20:76].mean() > 0.1
    assert not changed[:4].any()


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"n_samples": 0}, r"'n_samples' parameter of make_faces must be an int in the range \[1"),
        ({"n_samples": 2.0}, r"'n_samples' parameter of make_faces must be an int.*Got 2\.0"),
        ({"emotions": "happy"}, r"'emotions' parameter of make_faces must be an array-like"),
        ({"emotions": ["happy", "bored"]}, r"expected one of angry, .*got 'bored'"),
        ({"emotions": []}, r"make_faces expected emotions to be names, at least one, got \[\]"),
        ({"emotions": ["happy", 3]}, r"make_faces expected emotions to be names.*'happy', 3"),
        ({"emotions": ["happy", "joy"]}, r"each emotion once in emotions, got happy more than"),
        ({"image_size": 23}, r"'image_size' parameter of make_faces must be an int .*Got 23"),
        ({"image_size": True}, r"'image_size' parameter of make_faces must be.*Got True"),
        ({"image_size": (48, 23)}, r"\(height, width\), each at least 24, got \(48, 23\)"),
        ({"image_size": (48,)}, r"\(height, width\), each at least 24, got \(48,\)"),
        ({"image_size": (48, 48.0)}, r"\(height, width\), each at least 24.*got \(48, 48\.0\)"),
        ({"color": "gray-ish"}, r"'color' parameter of make_faces must be a str among"),
        ({"random_state": "zero"}, r"'random_state' parameter of make_faces"),
    ],
)
def test_wrong_parameters(parameters, match):
    with pytest.raises(ValueError, match=match):
        make_faces(**parameters)


def test_options_are_keyword_only():
    kinds = {p.name: p.kind for p in inspect.signature(make_faces).parameters.values()}
    assert kinds.pop("n_samples") is inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert set(kinds.values()) == {inspect.Parameter.KEYWORD_ONLY}


# Ekman, Friesen & Hager, FACS Investigator's Guide (2002): units in every variant of an emotion.
CORE_UNITS = {
    "angry": {4, 5, 7, 23},
    "disgust": {9, 10},
    "fear": {1, 2, 4, 5, 20},
    "happy": {6, 12},
    "neutral": set(),
    "sad": {1, 4, 15},
    "surprise": {1, 2, 5, 26},
}


def variants_of(emotion):
    return [(share, units) for name, share, units in PROTOTYPES if name == emotion]


def test_prototypes_follow_facs():
    assert sorted({name for name, *_ in PROTOTYPES}) == list(EMOTIONS)
    for emotion in EMOTIONS:
        assert sum(share for share, _ in variants_of(emotion)) == pytest.approx(1.0)
        for _, units in variants_of(emotion):
            assert set(units) >= CORE_UNITS[emotion]
            assert set(units) <= set(ACTION_UNITS)


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_drawn_units_are_those_of_the_emotion(emotion):
    rng = np.random.default_rng(0)
    draws = [draw_action_units(emotion, rng) for _ in range(200)]
    mean = {unit: np.mean([draw[unit] for draw in draws]) for unit in ACTION_UNITS}
    taking_part = set().union(*(units for _, units in variants_of(emotion)))
    for unit in CORE_UNITS[emotion]:
        assert mean[unit] > 0.3
    for unit in set(ACTION_UNITS) - taking_part:
        assert mean[unit] < 0.05


def test_bezier_ends_and_middle():
    curve = bezier((0, 0), (1, 2), (2, 0), n=5)
    np.testing.assert_allclose(curve[[0, -1]], [(0, 0), (2, 0)])
    np.testing.assert_allclose(curve[2], (1, 1))  # (p0 + 2 p1 + p2) / 4
    top = arch((-1, 0), (1, 0.5), -0.7, square=0.8)[5]
    np.testing.assert_allclose(top, (0, -0.7), rtol=0, atol=1e-12)  # float64 rounding near 1


def test_pose_rolls_and_turns():
    outline = np.array([[0.0, -1.0], [0.5, 0.0]])
    upright = Pose(centre=(10.0, 20.0), scale=4.0)
    np.testing.assert_allclose(upright.project(outline, np.zeros(2)), [(10, 16), (12, 20)])
    lying = Pose(centre=(10.0, 20.0), scale=4.0, roll=np.pi / 2)
    np.testing.assert_allclose(lying.project(outline, np.zeros(2)), [(14, 20), (10, 22)])
    turned = Pose(centre=(0.0, 0.0), scale=1.0, yaw=0.3)
    front = turned.project(np.zeros((1, 2)), np.ones(1))
    behind = turned.project(np.zeros((1, 2)), np.full(1, -0.2))
    assert front[0, 0] > 0.0 > behind[0, 0]


def test_hog_learns_it_and_raw_pixels_do_less_well():
    """Learnable by shape, and not by brightness alone."""
    X, y = make_faces(2100, random_state=0)
    described = np.array([hog(image) for image in X])
    raw = X.reshape(len(X), -1) / 255.0
    raw = (raw - raw.mean(axis=1, keepdims=True)) / raw.std(axis=1, keepdims=True)
    train, test = slice(0, 1400), slice(1400, None)
    by_hog = LinearSVC(random_state=0).fit(described[train], y[train])
    by_hog = by_hog.score(described[test], y[test])
    by_raw = LinearSVC(C=1e-3, random_state=0).fit(raw[train], y[train]).score(raw[test], y[test])
    # Chance is 1/7. The standard error of an accuracy over 700 images is about 0.014.
    assert 0.80 < by_hog < 0.97
    assert 1 / 7 < by_raw < by_hog - 0.1
