"""Weights, held-out rows and stacked pixels; needs no torch."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from sklearn.model_selection import train_test_split
from sklearn.utils.class_weight import compute_sample_weight

from emotion_estimators.training.targets import (
    Targets,
    check_positive_weights,
    check_weights,
    hold_out,
    pixel_pieces,
    stack_images,
)
from emotion_estimators.validation import check_images


def test_weights():
    y = np.array(["a", "b", "b", "b"])
    assert check_weights("Net", None, 4).tolist() == [1, 1, 1, 1]
    for class_weight in ("balanced", {"a": 5, "b": 0}):
        got = check_weights("Net", [1, 2, 3, 0], 4, class_weight, y)
        expected = compute_sample_weight(class_weight, y) * [1, 2, 3, 0]
        assert_allclose(got, expected / expected.mean())


@pytest.mark.parametrize(
    ("sample_weight", "class_weight", "match"),
    [
        ([1, 2], None, r"Net expected sample_weight of shape \(3,\), .* got \(2,\)"),
        ([[1], [2], [3]], None, r"Net expected sample_weight of shape \(3,\), .* got \(3, 1\)"),
        ([1, 2, np.nan], None, "sample_weight contains NaN"),
        ([1, -2, 3], None, "non-negative and not all zero, got -2 in row 1"),
        ([1, 1, 1], {"a": 1, "b": -1}, "non-negative and not all zero, got -1 in row 1"),
        ([1, 0, 0], {"a": 0, "b": 1}, "non-negative and not all zero, got 0 in row 0"),
    ],
)
def test_bad_weights(sample_weight, class_weight, match):
    with pytest.raises(ValueError, match=match):
        check_weights("Net", sample_weight, 3, class_weight, np.array(["a", "b", "a"]))


def _targets(codes):
    codes = np.asarray(codes)
    columns = np.eye(codes.max() + 1, dtype=np.float32)[codes]
    classes = np.arange(codes.max() + 1)
    return Targets(classes, codes, {"labels": columns}, {"labels": np.ones(len(codes))})


def test_hold_out_is_stratified_and_scikit_learns():
    codes = np.repeat([0, 1, 2], [60, 30, 10])
    train, held_out = hold_out("Net", _targets(codes), 0.1, np.random.RandomState(3))
    expected = train_test_split(
        np.arange(100), test_size=10, stratify=codes, random_state=np.random.RandomState(3)
    )
    assert_array_equal(train, expected[0])
    assert_array_equal(held_out, expected[1])
    assert np.bincount(codes[held_out]).tolist() == [6, 3, 1]


@pytest.mark.parametrize(
    ("codes", "fraction", "n_held_out"),
    [
        (np.repeat([0, 1], [9, 1]), 0.2, 2),  # one image of a class cannot be on both sides
        (np.arange(20) % 10, 0.1, 2),  # ten classes do not fit into two images
        (np.arange(20) % 10, 0.9, 18),
    ],
)
def test_hold_out_of_classes_too_small_to_stratify(codes, fraction, n_held_out):
    train, held_out = hold_out("Net", _targets(codes), fraction, np.random.RandomState(0))
    assert len(held_out) == n_held_out
    assert sorted([*train, *held_out]) == list(range(len(codes)))


@pytest.mark.parametrize(("n", "fraction"), [(4, 0.1), (10, 0.95), (1, 0.5)])
def test_nothing_to_hold_out(n, fraction):
    match = rf"Net cannot hold out validation_fraction={fraction} of {n} images?\. Pass more"
    with pytest.raises(ValueError, match=match):
        hold_out("Net", _targets(np.zeros(n, dtype=np.int64)), fraction, np.random.RandomState(0))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_stack(dtype, monkeypatch, tmp_path):
    monkeypatch.setattr("emotion_estimators.training.targets._LOADING_BATCH", 3)
    X = np.random.default_rng(0).integers(0, 256, (7, 4, 5), dtype=np.uint8)
    X = X if dtype == np.uint8 else (X / 255).astype(dtype)
    expected = X if dtype == np.uint8 else X.astype(np.float32)
    forms = [X, list(X), X.reshape(7, -1)]
    if dtype == np.uint8:
        for row, image in enumerate(X):
            Image.fromarray(image).save(tmp_path / f"{row}.png")
        forms.append(sorted(tmp_path.iterdir()))
    for form in forms:
        got = stack_images(check_images(form, image_shape=(4, 5)))
        assert got.dtype == expected.dtype
        assert_array_equal(got, expected)
        pieces = np.concatenate(list(pixel_pieces(check_images(form, image_shape=(4, 5)))))
        assert pieces.dtype == got.dtype
        assert_array_equal(pieces, got)


def test_hold_out_of_label_sets_keeps_their_shares():
    rows = np.random.default_rng(0).random((200, 2)) < (0.5, 0.1)
    columns = rows.astype(np.float32)
    targets = Targets(np.array(["a", "b"]), None, {"labels": columns}, {"labels": np.ones(200)})
    train, held_out = hold_out("Net", targets, 0.25, np.random.RandomState(0))
    assert sorted([*train, *held_out]) == list(range(200))
    assert len(held_out) == 50
    # one image more or less for each label
    assert_allclose(columns[held_out].mean(axis=0), columns.mean(axis=0), atol=1 / 50)


def test_positive_weights():
    targets = np.array([[1, 0, 0], [0, 0, 1], [0, 0, 1], [0, np.nan, np.nan]], dtype=np.float32)
    labels = np.array(["a", "b", "c"])
    assert check_positive_weights("net", None, targets, labels) is None
    assert check_positive_weights("net", "balanced", targets, labels).tolist() == [3, 1, 0.5]
    assert check_positive_weights("net", 2, targets, labels).tolist() == [2, 2, 2]
    assert check_positive_weights("net", [1, 2, 3], targets, labels).tolist() == [1, 2, 3]
    assert check_positive_weights("net", {"c": 4}, targets, labels).tolist() == [1, 1, 4]
    for bad in ([1, 2], [1, 2, -1], [1, 2, np.nan]):
        with pytest.raises(ValueError, match="a positive number, or one for each of 3 labels"):
            check_positive_weights("net", bad, targets, labels)
    with pytest.raises(ValueError, match=r"pos_weight for \['d'\], which are not among"):
        check_positive_weights("net", {"d": 4}, targets, labels)
