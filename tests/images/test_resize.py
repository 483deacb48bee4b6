import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from threadpoolctl import threadpool_limits

from emotion_estimators.images import resize_images

sides = st.integers(1, 20)


def noise(*shape: int, dtype: type = np.uint8, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    if dtype == np.uint8:
        return random.integers(0, 256, shape, dtype=np.uint8)
    return random.random(shape).astype(dtype)


@pytest.mark.parametrize("factors", [(2, 2), (3, 5), (1, 4), (7, 1)])
@pytest.mark.parametrize("channels", [False, True])
def test_shrinking_by_whole_factors_takes_block_means(
    factors: tuple[int, int], channels: bool
) -> None:
    a, b = factors
    images = noise(4, 6 * a, 5 * b, 3, dtype=np.float64)
    if not channels:
        images = images[..., 0]
    blocks = images.reshape(4, 6, a, 5, b, *images.shape[3:])
    # sums of at most 15 doubles in another order
    resized = resize_images(images, (6, 5), channels=channels)
    assert_allclose(resized, blocks.mean(axis=(2, 4)), rtol=1e-14)


@given(sides, sides, sides, sides, st.integers(0, 9))
def test_shrinking_takes_area_means(h: int, w: int, dh: int, dw: int, seed: int) -> None:
    image = noise(h + dh, w + dw, dtype=np.float64, seed=seed)
    # each pixel cut into h x w equal parts, of which an output pixel holds whole ones
    parts = image.repeat(h, axis=0).repeat(w, axis=1)
    expected = parts.reshape(h, h + dh, w, w + dw).mean(axis=(1, 3))
    # sums of at most 1,600 doubles
    assert_allclose(resize_images(image, (h, w)), expected, rtol=1e-12)


@given(sides, sides, sides, sides, st.integers(0, 9))
def test_growing_interpolates_between_pixel_centres(
    h: int, w: int, dh: int, dw: int, seed: int
) -> None:
    image = noise(h, w, dtype=np.float64, seed=seed)
    rows = (np.arange(h + dh) + 0.5) * h / (h + dh) - 0.5
    columns = (np.arange(w + dw) + 0.5) * w / (w + dw) - 0.5
    wide = np.array([np.interp(columns, np.arange(w), row) for row in image])
    expected = np.array([np.interp(rows, np.arange(h), column) for column in wide.T]).T
    # positions up to 20 px, rounded once or twice
    assert_allclose(resize_images(image, (h + dh, w + dw)), expected, atol=1e-13)


@given(sides, sides, sides, sides, st.integers(0, 9))
def test_shrinking_keeps_the_mean(h: int, w: int, dh: int, dw: int, seed: int) -> None:
    image = noise(h + dh, w + dw, dtype=np.float64, seed=seed)
    # sums of at most 1,600 doubles
    assert_allclose(resize_images(image, (h, w)).mean(), image.mean(), rtol=1e-12)


@pytest.mark.parametrize("size", [(20, 20), (13, 31), (48, 48), (7, 64), (1, 1)])
@pytest.mark.parametrize("n_channels", [1, 3])
def test_shrinking_equals_opencv_area(size: tuple[int, int], n_channels: int) -> None:
    cv2 = pytest.importorskip("cv2")
    image = noise(64, 97, n_channels, dtype=np.float32)
    expected = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
    resized = resize_images(image, size, channels=True)
    # OpenCV rounds each pixel's share to float32 and leaves out shares below 0.001
    assert_allclose(resized, expected.reshape(resized.shape), atol=2e-3)


@pytest.mark.parametrize("size", [(97, 128), (64, 65), (200, 300)])
@pytest.mark.parametrize("n_channels", [1, 3])
def test_growing_equals_opencv_linear(size: tuple[int, int], n_channels: int) -> None:
    cv2 = pytest.importorskip("cv2")
    image = noise(31, 29, n_channels, dtype=np.float32)
    expected = cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)
    resized = resize_images(image, size, channels=True)
    # float32 positions of up to 31 px: 31 * 2**-24, times the largest difference of two pixels
    assert_allclose(resized, expected.reshape(resized.shape), atol=1e-5)


def test_uint8_is_the_float_result_rounded_after_each_axis() -> None:
    images = noise(5, 50, 41, 3)
    for size in [(17, 13), (64, 80), (20, 60)]:
        exact = resize_images(images.astype(np.float64), size, channels=True)
        resized = resize_images(images, size, channels=True)
        assert resized.dtype == np.uint8
        # half a level for each axis; float32 averages are off by less than 1e-4 levels
        assert np.abs(resized - exact).max() <= 1 + 1e-4


@given(sides, sides, sides, sides, st.integers(0, 9))
def test_growing_equals_pillow_bilinear(h: int, w: int, dh: int, dw: int, seed: int) -> None:
    image = noise(h, w, dtype=np.uint8, seed=seed)
    expected = Image.fromarray(image).resize((w + dw, h + dh), Image.Resampling.BILINEAR)
    difference = np.asarray(expected).astype(int) - resize_images(image, (h + dh, w + dw))
    # Pillow's weights are integers of 22 bits, so its ties may round the other way, on each axis
    assert np.abs(difference).max() <= 2
    assert np.mean(difference != 0) < 0.3


def test_ties_round_up() -> None:
    image = np.array([[0, 1, 1, 2, 254, 255]], dtype=np.uint8)
    assert_array_equal(resize_images(image, (1, 3)), [[1, 2, 255]])


@settings(deadline=None)
@given(
    st.tuples(sides, sides),
    st.tuples(sides, sides),
    st.sampled_from([np.uint8, np.float32, np.float64]),
    st.booleans(),
    st.integers(0, 9),
)
def test_a_batch_equals_its_images_bit_for_bit(
    size_in: tuple[int, int], size: tuple[int, int], dtype: type, channels: bool, seed: int
) -> None:
    images = noise(5, *size_in, *([3] if channels else []), dtype=dtype, seed=seed)
    resized = resize_images(images, size, channels=channels)
    assert resized.shape == (5, *size, *images.shape[3:])
    assert resized.dtype == dtype
    for image, expected in zip(images, resized, strict=True):
        assert_array_equal(resize_images(image, size, channels=channels), expected)
    if channels:
        for c in range(3):
            assert_array_equal(resize_images(images[..., c], size), resized[..., c])
    axes = (1, 2)
    assert (resized.min(axis=axes) >= images.min(axis=axes)).all()
    assert (resized.max(axis=axes) <= images.max(axis=axes)).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_memory_layout_does_not_matter(dtype: type) -> None:
    images = noise(4, 31, 37, 3, dtype=dtype)
    wide = np.zeros((8, 31, 74, 3), dtype)
    strided = wide[::2, :, ::2]
    strided[:] = images
    read_only = images.copy()
    read_only.flags.writeable = False
    reversed_twice = images[:, ::-1].copy()[:, ::-1]
    for size in [(16, 16), (48, 48), (16, 48), (31, 12)]:
        expected = resize_images(images, size, channels=True)
        for same in (np.asfortranarray(images), strided, read_only, reversed_twice):
            assert_array_equal(resize_images(same, size, channels=True), expected)
        expected = resize_images(images[..., 1].copy(), size)
        assert_array_equal(resize_images(images[..., 1], size), expected)
    assert_array_equal(read_only, images)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_number_of_blas_threads_does_not_matter(dtype: type) -> None:
    images = noise(3, 80, 90, 3, dtype=dtype)
    for size in [(224, 224), (61, 53)]:
        results = []
        for n_threads in (1, 2, 3):
            with threadpool_limits(n_threads, user_api="blas"):
                results.append(resize_images(images, size, channels=True))
        assert_array_equal(results[1], results[0])
        assert_array_equal(results[2], results[0])


def test_same_size_is_the_input_itself() -> None:
    images = noise(2, 8, 6)
    assert resize_images(images, (8, 6)) is images


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32, np.float64])
def test_flat_images_stay_flat(dtype: type) -> None:
    top = 255 if dtype == np.uint8 else 1
    for level in (0, top):
        image = np.full((11, 13), level, dtype)
        for size in [(5, 7), (29, 31), (3, 40)]:
            resized = resize_images(image, size)
            assert resized.dtype == dtype
            assert (resized == level).all()


@pytest.mark.parametrize(
    ("images", "size"),
    [
        (np.zeros((2, 0, 4)), (3, 3)),
        (np.zeros((2, 4, 4)), (0, 3)),
        (np.zeros((2, 4, 4)), (3, -1)),
        (np.zeros((2, 4, 4)), (3,)),
        (np.zeros(4), (3, 3)),
    ],
)
def test_impossible_sizes(images: np.ndarray, size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="cannot bring images of shape"):
        resize_images(images, size)


@pytest.mark.parametrize("dtype", [bool, np.int64, complex])
def test_other_pixels(dtype: type) -> None:
    with pytest.raises(ValueError, match="expected uint8 or float images"):
        resize_images(np.zeros((2, 4, 4), dtype), (3, 3))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("size", [(5, 4), (40, 50), (31, 8)])
def test_huge_images_are_resized_in_parts_to_the_same_bits(dtype, size, monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (2, 31, 23, 3), dtype=np.uint8)
    if dtype != np.uint8:
        images = images.astype(dtype) / 255
    whole = resize_images(images, size, channels=True)
    # the package's name for the function hides the module
    monkeypatch.setattr(sys.modules[resize_images.__module__], "_PART_VALUES", 100)
    assert_array_equal(resize_images(images, size, channels=True), whole)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1000), (3, 701, 3), (700, 2), (701, 1, 3), (999, 65)])
def test_long_axes_are_shrunk_the_same_without_a_matrix(shape, dtype, monkeypatch):
    image = noise(*shape, dtype=dtype)
    expected = resize_images(image, (48, 37), channels=len(shape) == 3)
    monkeypatch.setattr(sys.modules[resize_images.__module__], "_LONG", 64)
    resized = resize_images(image, (48, 37), channels=len(shape) == 3)
    # levels are rounded after the first axis and after the second, which may change places
    tolerance = {"uint8": 1, "float32": 1e-6, "float64": 1e-12}[image.dtype.name]
    assert_allclose(resized.astype(float), expected.astype(float), atol=tolerance, rtol=0)


@pytest.mark.parametrize("shape", [(1, 4_000_000), (4_000_000, 1)])
def test_a_line_of_millions_of_pixels_takes_no_more_than_a_few_times_its_bytes(shape):
    image = np.full(shape, 200, np.uint8)
    tracemalloc.start()
    resized = resize_images(image, (48, 48))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert_array_equal(resized, np.full((48, 48), 200, np.uint8))
    assert peak < 40e6  # the dense weights took 4,000,000 * 48 * 8 bytes
