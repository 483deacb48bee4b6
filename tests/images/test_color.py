import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from emotion_estimators.images import color, to_grey, to_rgb
from emotion_estimators.images.color import flatten_alpha

ALL_LEVELS = np.arange(256, dtype=np.uint8)
LEVEL_PAIRS = np.stack(np.meshgrid(ALL_LEVELS, ALL_LEVELS), axis=-1)  # (256, 256, 2)


def test_uint8_luma_equals_pillow() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (500, 500, 3), dtype=np.uint8)
    assert_array_equal(to_grey(rgb), np.asarray(Image.fromarray(rgb).convert("L")))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_float_luma_is_the_weighted_sum(dtype: type[np.floating]) -> None:
    rgb = np.random.default_rng(0).random((7, 5, 3)).astype(dtype)
    grey = to_grey(rgb)
    assert grey.dtype == dtype
    expected = rgb.astype(np.float64) @ [0.299, 0.587, 0.114]
    # three products and two sums, each rounded once
    assert_allclose(grey, expected, rtol=4 * np.finfo(dtype).eps)


@given(arrays(np.uint8, (3, 4), elements=st.integers(0, 255)))
def test_luma_of_equal_channels_is_that_channel(grey: np.ndarray) -> None:
    assert_array_equal(to_grey(to_rgb(grey)), grey)


@pytest.mark.parametrize("shape", [(), (4,), (2, 3, 4)])
def test_to_grey_wants_three_channels(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected RGB on the last axis"):
        to_grey(np.zeros(shape))


def test_inputs_are_left_as_they_are() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    rgb.flags.writeable = False
    assert to_rgb(to_grey(rgb)).flags.writeable


def test_flatten_alpha_rounds_to_the_nearest_level() -> None:
    color, alpha = LEVEL_PAIRS[..., 0].astype(float), LEVEL_PAIRS[..., 1] / 255
    expected = np.rint(color * alpha + 255 * (1 - alpha))  # 255 is odd, so no ties
    assert_array_equal(flatten_alpha(LEVEL_PAIRS)[..., 0], expected)


@given(arrays(np.float64, (2, 4), elements=st.floats(0, 1)))
def test_flattened_floats_stay_in_range(rgba: np.ndarray) -> None:
    opaque = flatten_alpha(rgba)
    assert opaque.shape == (2, 3)
    assert opaque.min() >= 0
    assert opaque.max() <= 1


def test_opaque_and_clear_pixels() -> None:
    rgba = np.array([[0.25, 0.5, 0.75, 1.0], [0.25, 0.5, 0.75, 0.0]], dtype=np.float32)
    assert_array_equal(flatten_alpha(rgba), [[0.25, 0.5, 0.75], [1, 1, 1]])


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_parts_give_the_same_bits(dtype, monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (3, 7, 5, 4), dtype=np.uint8)
    if dtype != np.uint8:
        images = images.astype(dtype) / 255
    whole, grey = flatten_alpha(images), to_grey(images[..., :3])
    monkeypatch.setattr(color, "_PART_PIXELS", 11)
    assert_array_equal(flatten_alpha(images), whole)
    assert_array_equal(to_grey(images[..., :3]), grey)
    assert_array_equal(flatten_alpha(images[:, ::-1]), whole[:, ::-1])


def test_no_image_stays_no_image() -> None:
    nothing = np.empty((0, 2, 4), np.uint8)
    assert flatten_alpha(nothing).shape == (0, 2, 3)
    assert to_grey(nothing[..., :3]).shape == (0, 2)
