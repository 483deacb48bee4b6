"""The HOG kernel against scikit-image, and what callers may rely on."""

from __future__ import annotations

import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.feature import _hoghistogram
from skimage.feature import hog as skimage_hog

from emotion_estimators.features.hog import kernel
from emotion_estimators.features.hog.kernel import (
    hog_descriptors,
    hog_feature_shape,
    hog_pictures,
)
from emotion_estimators.features.hog.library import HogLoops, open_library

# The required bound is 1e-6. Sums are rounded to float32 in the reference's order, so what is
# left is one float32 rounding that a last bit of hypot may turn the other way: 6e-8.
TOLERANCE = 1e-7


def draw_images(kind: str, shape: tuple[int, ...], dtype: str, seed: int) -> np.ndarray:
    """Return images of one kind in 0..255 or 0..1."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[1], : shape[2]]
    if len(shape) == 4:
        y, x = y[..., np.newaxis], x[..., np.newaxis]
    if kind == "noise":
        images = rng.integers(0, 256, shape) if dtype == "uint8" else rng.random(shape) * 255
    elif kind == "few grey levels":  # many equal gradients and gradients along the diagonal
        images = rng.integers(0, 5, shape) * 40
    elif kind == "ramp":  # one gradient everywhere: rounding errors of a sum add up
        slopes = rng.integers(-3, 4, (2, shape[0]) + (1,) * (len(shape) - 1))
        images = np.broadcast_to((slopes[0] * y + slopes[1] * x) % 256, shape)
    elif kind == "edge":
        images = np.broadcast_to(np.where(3 * y > 2 * x + seed % 7, 255, seed % 200), shape)
    else:
        images = np.full(shape, seed % 256)
    return images.astype(np.uint8) if dtype == "uint8" else (images / 255).astype(dtype)


@st.composite
def drawn_calls(draw: st.DrawFn) -> tuple[np.ndarray, dict]:
    """Draw two images and the parameters to describe them with."""
    cell = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    block = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    height, width = (c * b + draw(st.integers(0, 14)) for c, b in zip(cell, block, strict=True))
    shape = (2, height, width, 3) if draw(st.booleans()) else (2, height, width)
    kinds = ["noise", "few grey levels", "ramp", "edge", "constant"]
    images = draw_images(
        draw(st.sampled_from(kinds)),
        shape,
        draw(st.sampled_from(["uint8", "float32", "float64"])),
        draw(st.integers(0, 2**32 - 1)),
    )
    return images, {
        "orientations": draw(st.integers(2, 16)),
        "pixels_per_cell": cell,
        "cells_per_block": block,
        "block_norm": draw(st.sampled_from(["L1", "L1-sqrt", "L2", "L2-Hys"])),
        "transform_sqrt": draw(st.booleans()),
    }


def reference(images: np.ndarray, **parameters: object) -> np.ndarray:
    """Describe images by scikit-image, one by one."""
    axis = -1 if images.ndim == 4 else None
    return np.array([skimage_hog(image, channel_axis=axis, **parameters) for image in images])


@given(drawn_calls())
@settings(max_examples=300, deadline=None, derandomize=True)
def test_descriptors_equal_skimage(call: tuple[np.ndarray, dict]) -> None:
    images, parameters = call
    expected = reference(images, **parameters)
    got = hog_descriptors(images, **parameters)
    assert got.dtype == expected.dtype
    np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE)


@given(drawn_calls())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_pictures_equal_skimage(call: tuple[np.ndarray, dict]) -> None:
    images, parameters = call
    if min(parameters["pixels_per_cell"]) == 1:
        return  # differs, see test_picture_of_one_pixel_cells
    axis = -1 if images.ndim == 4 else None
    expected = np.array(
        [skimage_hog(image, channel_axis=axis, visualize=True, **parameters)[1] for image in images]
    )
    del parameters["cells_per_block"], parameters["block_norm"]
    got = hog_pictures(images, **parameters)
    assert got.dtype == expected.dtype
    # Sums of at most 16 float32 values, in the same order: one of them may be rounded the
    # other way, as above.
    np.testing.assert_allclose(got, expected, rtol=TOLERANCE, atol=TOLERANCE)


def test_picture_of_one_pixel_cells() -> None:
    # skimage's lines would leave such a cell, and the image; here each cell is one dot as
    # bright as all of its histogram, which is the pixel's gradient.
    images = draw_images("noise", (1, 7, 9), "uint8", seed=0)
    image = images[0].astype(float)
    expected = np.zeros_like(image)
    expected[1:-1] += (image[2:] - image[:-2]) ** 2
    expected[:, 1:-1] += (image[:, 2:] - image[:, :-2]) ** 2
    got = hog_pictures(images, pixels_per_cell=(1, 1))
    # Histograms are float32.
    np.testing.assert_allclose(got[0], np.sqrt(expected), rtol=1e-7)


def bins_of_gradients(g_y: np.ndarray, g_x: np.ndarray, orientations: int) -> np.ndarray:
    """Return the bin that scikit-image puts each gradient in, -1 for none."""
    g_y, g_x = np.atleast_2d(g_y.astype(float)), np.atleast_2d(g_x.astype(float))
    height, width = g_y.shape
    histograms = np.zeros((height, width, orientations))
    _hoghistogram.hog_histograms(
        g_x, g_y, 1, 1, width, height, width, height, orientations, histograms
    )
    return np.where(histograms.any(axis=2), histograms.argmax(axis=2), -1).ravel()


def images_with_gradients(g_y: np.ndarray, g_x: np.ndarray, dtype: type) -> np.ndarray:
    """Return images of 3 x 3 whose centre has the gradient and whose border has none."""
    images = np.zeros((g_y.size, 3, 3), dtype)
    images[:, 2, 1] = np.maximum(g_y.ravel(), 0)
    images[:, 0, 1] = np.maximum(-g_y.ravel(), 0)
    images[:, 1, 2] = np.maximum(g_x.ravel(), 0)
    images[:, 1, 0] = np.maximum(-g_x.ravel(), 0)
    return images


def bins_of_images(images: np.ndarray, orientations: int) -> np.ndarray:
    """Return the bin that the kernel puts the centre's gradient in, -1 for none."""
    descriptors = hog_descriptors(
        images, orientations=orientations, pixels_per_cell=(3, 3), cells_per_block=(1, 1)
    )
    return np.where(descriptors.any(axis=1), descriptors.argmax(axis=1), -1)


@pytest.mark.parametrize("orientations", [*range(1, 17), 26, 50])
def test_all_integer_gradients(orientations: int) -> None:
    g_y, g_x = np.mgrid[-255:256, -255:256]
    expected = bins_of_gradients(g_y, g_x, orientations)
    got = bins_of_images(images_with_gradients(g_y, g_x, np.uint8), orientations)
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("orientations", [*range(1, 17), 26])
def test_float_gradients_along_bin_edges(orientations: int) -> None:
    rng = np.random.default_rng(orientations)
    degrees = (180 / orientations * np.arange(2 * orientations)).repeat(200)
    radians = np.deg2rad(degrees)
    # Some last bits to both sides of the edge; cos(90) = 6e-17 is one such direction.
    radians += rng.integers(-6, 7, radians.size) * 1.1e-16 * rng.integers(0, 2, radians.size)
    length = rng.random(radians.size)
    g_y, g_x = length * np.sin(radians), length * np.cos(radians)
    # Diagonal and axis-parallel ones whose components differ by a last bit, or not at all.
    other = np.nextafter(length, rng.integers(0, 3, length.size))
    tiny = length * rng.choice([0, 1e-18, -1e-18, 1e-17, -1e-17, 3e-16, -3e-16], length.size)
    g_y = np.concatenate([g_y, length, -length, length, tiny, length])
    g_x = np.concatenate([g_x, other, other, -other, other, tiny])
    expected = bins_of_gradients(g_y, g_x, orientations)
    got = bins_of_images(images_with_gradients(g_y, g_x, np.float64), orientations)
    np.testing.assert_array_equal(got, expected)


def test_gradient_that_rounds_to_180_degrees_is_dropped() -> None:
    images = images_with_gradients(np.array([-1e-17, -1e-15]), np.array([1.0, 1.0]), np.float64)
    parameters = {"pixels_per_cell": (3, 3), "cells_per_block": (1, 1)}
    expected = reference(images, **parameters)
    assert expected.any(axis=1).tolist() == [False, True]
    np.testing.assert_array_equal(hog_descriptors(images, **parameters).any(axis=1), [False, True])


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_channels_of_equal_magnitude(dtype: type) -> None:
    # 7 * 7 + 1 * 1 = 5 * 5 + 5 * 5: rounded roots decide which channel counts.
    y, x = np.mgrid[0:256, 0:256].reshape(2, -1)
    squares = y * y + x * x
    order = np.argsort(squares, kind="stable")
    same = np.flatnonzero(np.diff(squares[order]) == 0)
    same = np.random.default_rng(0).choice(same, 500, replace=False)
    root = np.hypot(y.astype(float), x.astype(float))[order]
    unlike = np.flatnonzero((np.diff(squares[order]) == 0) & (np.diff(root) != 0))
    pairs = np.concatenate([same, unlike])
    images = np.zeros((2 * len(pairs), 3, 3, 3), dtype)
    for channel, at in ((0, pairs), (2, pairs + 1)):
        at = order[at]
        images[: len(pairs), 2, 1, channel] = y[at]
        images[: len(pairs), 1, 2, channel] = x[at]
        images[len(pairs) :, 2, 1, 2 - channel] = y[at]
        images[len(pairs) :, 1, 2, 2 - channel] = x[at]
    parameters = {"orientations": 16, "pixels_per_cell": (3, 3), "cells_per_block": (1, 1)}
    np.testing.assert_allclose(
        hog_descriptors(images, **parameters),
        reference(images, **parameters),
        rtol=0,
        atol=TOLERANCE,
    )


def test_structure_below_float32_precision() -> None:
    images = 0.5 + 1e-9 * np.random.default_rng(0).random((3, 24, 24))
    assert (images.astype(np.float32) == np.float32(0.5)).all()
    got = hog_descriptors(images, block_norm="L1")
    expected = reference(images, block_norm="L1")
    # Descriptors are tiny beside the epsilon of the norm: compare them relatively.
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    assert got.any()


@pytest.mark.parametrize("size", [48, 130])
def test_large_cells_sum_as_skimage(size: int) -> None:
    # A float32 sum over 4,000 equal gradients is off by 1e-5; the reference's error is copied.
    images = draw_images("ramp", (4, size, size), "uint8", seed=3)
    images[:, :, size // 2 :] //= 3
    parameters = {"pixels_per_cell": (size // 2, size // 2), "cells_per_block": (2, 2)}
    np.testing.assert_allclose(
        hog_descriptors(images, **parameters),
        reference(images, **parameters),
        rtol=0,
        atol=TOLERANCE,
    )


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_layout_in_memory_does_not_matter(dtype: str, channels: tuple[int, ...]) -> None:
    images = draw_images("noise", (5, 33, 41, *channels), dtype, seed=1)
    expected = hog_descriptors(images)
    before = images.copy()
    read_only = images.copy()
    read_only.flags.writeable = False
    wide = np.repeat(np.repeat(images, 2, axis=1), 3, axis=2)
    unaligned = np.empty(images.nbytes + 1, np.uint8)[1:].view(images.dtype).reshape(images.shape)
    unaligned[...] = images
    for other in (
        np.asfortranarray(images),
        wide[:, ::2, ::3],
        images[::-1][::-1],
        np.ascontiguousarray(images[:, ::-1])[:, ::-1],
        np.ascontiguousarray(np.moveaxis(images, 0, 1)).swapaxes(0, 1),
        read_only,
        unaligned,
    ):
        np.testing.assert_array_equal(hog_descriptors(other), expected)
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
# More than 2**20 bytes of uint8, so that each is more than one chunk of work.
@pytest.mark.parametrize("shape", [(1100, 32, 32), (3, 640, 600), (230, 40, 40, 3)])
def test_batch_equals_single_images_and_threads(
    dtype: str, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "_THREAD_BYTES", 1000)
    images = draw_images("few grey levels", shape, dtype, seed=2)
    batch = hog_descriptors(images, orientations=8)
    single = [hog_descriptors(images[i : i + 1], orientations=8)[0] for i in range(len(images))]
    np.testing.assert_array_equal(batch, single)
    for n_threads in (2, 3, 400):
        np.testing.assert_array_equal(
            hog_descriptors(images, orientations=8, n_threads=n_threads), batch
        )
    np.testing.assert_array_equal(
        hog_pictures(images, n_threads=2), hog_pictures(images, n_threads=1)
    )


def test_called_from_several_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "_THREAD_BYTES", 1000)
    stacks = [draw_images("noise", (40, 48, 48), "uint8", seed) for seed in range(8)]
    expected = [hog_descriptors(images) for images in stacks]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            results = list(pool.map(lambda images: hog_descriptors(images, n_threads=2), stacks))
            np.testing.assert_array_equal(results, expected)


def test_no_images() -> None:
    assert hog_descriptors(np.empty((0, 24, 24), np.uint8)).shape == (0, 81)
    assert hog_pictures(np.empty((0, 24, 24), np.float32), n_threads=2).shape == (0, 24, 24)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_dtype_and_out(dtype: str) -> None:
    images = draw_images("noise", (4, 32, 32), dtype, seed=4)
    expected = hog_descriptors(images)
    for out_dtype in (np.float32, np.float64):
        got = hog_descriptors(images, dtype=out_dtype)
        assert got.dtype == out_dtype
        # One rounding of values up to 1 to float32.
        np.testing.assert_allclose(got, expected, rtol=0, atol=6e-8)
        out = np.full((6, got.shape[1]), 7, out_dtype)
        returned = hog_descriptors(images, out=out[1:5])
        np.testing.assert_array_equal(returned, got)
        np.testing.assert_array_equal(out[1:5], got)
        assert (out[[0, 5]] == 7).all()


def test_memory_does_not_grow_with_the_number_of_images() -> None:
    def peak(n: int, dtype: str, transform_sqrt: bool) -> int:
        images = np.zeros((n, 48, 48), dtype)
        out = np.empty((n, hog_descriptors(images[:1]).shape[1]))
        tracemalloc.start()
        try:
            hog_descriptors(images, transform_sqrt=transform_sqrt, out=out)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    for dtype, transform_sqrt in (("uint8", False), ("uint8", True), ("float32", True)):
        # 600 images are more than 2**20 bytes and therefore fill a chunk in each dtype.
        few, many = (peak(n, dtype, transform_sqrt) for n in (600, 4000))
        # The slack holds Python's own small objects; 4,000 images are 9 MB and more.
        assert many < few + 20_000


def test_feature_shape() -> None:
    assert hog_feature_shape((48, 48), cells_per_block=(2, 2)) == (5, 5, 2, 2, 9)
    shape = hog_feature_shape(
        (33, 50, 3), orientations=4, pixels_per_cell=(4, 7), cells_per_block=(3, 2)
    )
    image = np.zeros((33, 50, 3))
    expected = skimage_hog(
        image,
        orientations=4,
        pixels_per_cell=(4, 7),
        cells_per_block=(3, 2),
        feature_vector=False,
        channel_axis=-1,
    )
    assert shape == expected.shape


def test_wrong_arrays_are_named() -> None:
    images = np.zeros((2, 24, 24), np.uint8)
    with pytest.raises(ValueError, match=r"shape \(n, height, width\) .* got \(2, 24, 24, 4\)"):
        hog_descriptors(np.zeros((2, 24, 24, 4), np.uint8))
    with pytest.raises(ValueError, match="uint8, float32 or float64 images, got int64"):
        hog_descriptors(images.astype(np.int64))
    with pytest.raises(ValueError, match="writes float32 or float64, got int32"):
        hog_descriptors(images, dtype=np.int32)
    with pytest.raises(ValueError, match=r"out as .* \(2, 81\) .* float64, got \(81, 2\)"):
        hog_descriptors(images, out=np.empty((81, 2)))
    with pytest.raises(ValueError, match=r"out as .* float32, got .* float64"):
        hog_descriptors(images, dtype=np.float32, out=np.empty((2, 81)))


@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_cells_of_more_pixels_than_are_worked_on_at_once(
    dtype: str, channels: tuple[int, ...]
) -> None:
    for shape in ((2, 43, 130, *channels), (2, 11, 700, *channels)):
        images = draw_images("few grey levels", shape, dtype, seed=5)
        parameters = {"pixels_per_cell": (shape[1] // 2, 9), "cells_per_block": (2, 2)}
        np.testing.assert_allclose(
            hog_descriptors(images, **parameters),
            reference(images, **parameters),
            rtol=0,
            atol=TOLERANCE,
        )


@pytest.mark.parametrize("shape", [(2, 40, 130, 3), (2, 9, 700, 3)])
def test_channels_of_equal_magnitude_in_whole_images(shape: tuple[int, ...]) -> None:
    # differences of these have many equal sums of squares, at the borders, too
    levels = np.array([0, 1, 2, 4, 5, 7, 8, 10, 11], np.uint8)
    images = np.random.default_rng(0).choice(levels, shape)
    for cell in ((3, 3), (shape[1] // 3, shape[2] // 4), (1, 1)):
        parameters = {"orientations": 16, "pixels_per_cell": cell, "cells_per_block": (1, 1)}
        np.testing.assert_allclose(
            hog_descriptors(images, **parameters),
            reference(images, **parameters),
            rtol=0,
            atol=TOLERANCE,
        )


@pytest.mark.parametrize("orientations", [1, 2, 4, 8, 12, 16])
def test_float_edges(orientations: int) -> None:
    edges, n_inexact = kernel._float_edges(orientations)
    assert n_inexact % 4 == edges.shape[1] % 4 == 0
    angles = np.degrees(np.arctan2(edges[1], edges[0]))
    exact = angles[n_inexact:][~np.isnan(angles[n_inexact:])]
    assert set(exact) == {45, 90, 135} & set(180 / orientations * np.arange(1, orientations))
    every = np.sort(angles[~np.isnan(angles)])
    # some roundings of numbers up to 180
    np.testing.assert_allclose(every, 180 / orientations * np.arange(1, orientations), atol=1e-13)


LEVELS = range(open_library().hog_loops_level() + 1)


@given(drawn_calls())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_all_levels_of_instructions_give_the_same_bits(call: tuple[np.ndarray, dict]) -> None:
    images, parameters = call
    shared = {
        name: parameters[name] for name in ("orientations", "pixels_per_cell", "transform_sqrt")
    }
    results = []
    for level in LEVELS:
        loops = HogLoops(open_library(), level)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kernel, "load_hog_loops", lambda loops=loops: loops)
            results.append(
                [
                    result.tobytes()
                    for dtype in (np.float32, np.float64)
                    for result in (
                        hog_descriptors(images, dtype=dtype, **parameters),
                        hog_pictures(images, dtype=dtype, **shared),
                    )
                ]
            )
    assert all(result == results[0] for result in results[1:])
