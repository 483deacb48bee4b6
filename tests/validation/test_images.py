import itertools
import threading
import time
import tracemalloc
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from numpy.testing import assert_array_equal
from PIL import Image
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer

from emotion_estimators import HOGTransformer
from emotion_estimators.exceptions import ImageReadError, InvalidImagesError
from emotion_estimators.images import resize_images, to_grey, to_rgb
from emotion_estimators.validation import (
    check_images,
    check_labels,
    compare_table,
    iterate_images,
    record_table,
)


class Pixels(TransformerMixin, BaseEstimator):
    """Hand the images on as they come through the door, in batches of `batch_size`."""

    def __init__(
        self,
        *,
        image_shape: Any = None,
        image_size: Any = None,
        color: str | None = None,
        batch_size: int = 4,
        n_threads: int = 1,
    ) -> None:
        self.image_shape = image_shape
        self.image_size = image_size
        self.color = color
        self.batch_size = batch_size
        self.n_threads = n_threads

    def fit(self, X: Any, y: object = None) -> "Pixels":  # noqa: ARG002
        images = check_images(X, name="Pixels", **self._wishes())
        self.image_size_ = images.image_size
        record_table(self, X, images)
        return self

    def _wishes(self) -> dict[str, Any]:
        names = ("image_shape", "image_size", "color")
        return {name: getattr(self, name) for name in names}

    def transform(self, X: Any) -> np.ndarray:
        images = check_images(
            X,
            name="Pixels",
            **self._wishes(),
            expected_size=getattr(self, "image_size_", None),
            read_headers=False,
            check_table=partial(compare_table, self),
        )
        parts, end = [], 0
        for rows, batch in images.batches(self.batch_size, n_threads=self.n_threads):
            assert rows.start == end
            assert len(batch) == rows.stop - rows.start <= self.batch_size
            assert batch.shape[1:3] == images.image_size
            assert batch.flags.c_contiguous
            parts.append(batch)
            end = rows.stop
        assert end == len(images) == images.n_samples
        return np.concatenate(parts)


def noise(*shape: int, dtype: type = np.uint8, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    if dtype == np.uint8:
        return random.integers(0, 256, shape, dtype=np.uint8)
    return random.random(shape).astype(dtype)


def encode(pixels: np.ndarray | Image.Image, kind: str = "png") -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    file = BytesIO()
    image.save(file, kind)
    return file.getvalue()


def write_all(images: Any, folder: Path) -> list[Path]:
    paths = []
    for i, pixels in enumerate(images):
        paths.append(folder / f"{i:04}.png")
        paths[-1].write_bytes(encode(pixels))
    return paths


def objects(items: list[Any]) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def refused(X: Any, estimator: Any = None) -> InvalidImagesError:
    """Return the error that both `fit` and `transform` raise, which must say the same."""
    estimator = Pixels() if estimator is None else estimator
    with pytest.raises(InvalidImagesError, match=f"^{type(estimator).__name__} ") as fitting:
        estimator.fit(X).transform(X)
    with pytest.raises(type(fitting.value), match=f"^{type(estimator).__name__} ") as transforming:
        type(estimator)(**estimator.get_params()).transform(X)
    assert str(fitting.value) == str(transforming.value)
    assert fitting.value.failures == transforming.value.failures
    return fitting.value


ITEM_KINDS: dict[str, Callable[[np.ndarray, Path], Any]] = {
    "list of arrays": lambda X, _: list(X),
    "tuple of arrays": lambda X, _: tuple(X),
    "object array of arrays": lambda X, _: objects(list(X)),
    "Series of arrays": lambda X, _: pd.Series(list(X)),
    "list of paths": lambda X, d: write_all(X, d),
    "list of str": lambda X, d: [str(p) for p in write_all(X, d)],
    "tuple of str": lambda X, d: tuple(str(p) for p in write_all(X, d)),
    "string array": lambda X, d: np.array([str(p) for p in write_all(X, d)]),
    "object array of paths": lambda X, d: objects(write_all(X, d)),
    "Series of paths": lambda X, d: pd.Series(write_all(X, d), index=range(7, 7 + len(X))),
    "Series of str": lambda X, d: pd.Series([str(p) for p in write_all(X, d)], dtype="string"),
    "Series of object str": lambda X, d: pd.Series([str(p) for p in write_all(X, d)], dtype=object),
    "Index of str": lambda X, d: pd.Index([str(p) for p in write_all(X, d)]),
    "list of bytes": lambda X, _: [encode(x) for x in X],
    "bytes array": lambda X, _: np.array([encode(x, "bmp") for x in X]),
    "Series of bytes": lambda X, _: pd.Series([encode(x) for x in X]),
    "list of PIL": lambda X, _: [Image.fromarray(x) for x in X],
    "list of open PIL": lambda X, _: [Image.open(BytesIO(encode(x))) for x in X],
    "object array of PIL": lambda X, _: objects([Image.fromarray(x) for x in X]),
    "list of all kinds": lambda X, d: [
        [x, p, str(p), p.read_bytes(), Image.fromarray(x)][i % 5]
        for i, (x, p) in enumerate(zip(X, write_all(X, d), strict=True))
    ],
}
if hasattr(np.dtypes, "StringDType"):
    ITEM_KINDS["array of variable strings"] = lambda X, d: np.array(
        [str(p) for p in write_all(X, d)], dtype=np.dtypes.StringDType()
    )


@pytest.mark.parametrize("kind", list(ITEM_KINDS))
@pytest.mark.parametrize("shape", [(7, 20, 17), (7, 20, 17, 3)])
@pytest.mark.parametrize("wishes", [{}, {"image_size": (9, 23), "color": "grey"}])
def test_all_kinds_of_the_same_pixels_are_equal(
    kind: str, shape: tuple[int, ...], wishes: dict[str, Any], tmp_path: Path
) -> None:
    X = noise(*shape)
    X[:, 0] = 0  # so that a bitmap, whose rows are stored upside down, ends with zeros
    expected = X
    if wishes:
        expected = resize_images(to_grey(X) if len(shape) == 4 else X, (9, 23))
    pixels = Pixels(**wishes)
    assert_array_equal(pixels.fit_transform(X), expected)
    items = ITEM_KINDS[kind](X, tmp_path)
    out = Pixels(**wishes, n_threads=2).fit(items).transform(items)
    assert out.dtype == np.uint8
    assert_array_equal(out, expected)
    assert_array_equal(pixels.transform(items), expected)
    rows = Pixels(**wishes, image_shape=shape[1:])
    assert_array_equal(rows.fit_transform(X.reshape(7, -1)), expected)


def test_a_series_of_the_default_string_type(tmp_path: Path) -> None:
    X = noise(3, 5, 6)
    paths = pd.Series([str(p) for p in write_all(X, tmp_path)])  # "str" since pandas 3
    assert_array_equal(Pixels().fit_transform(paths), X)
    paths[1] = None
    assert refused(paths).failures[0][0] == 1


@pytest.mark.parametrize("shape", [(5, 40, 33), (5, 40, 33, 3)])
def test_hog_of_all_kinds_is_equal(shape: tuple[int, ...], tmp_path: Path) -> None:
    X = noise(*shape)
    hog = HOGTransformer(image_size=(32, 32), cells_per_block=(2, 2), image_shape=shape[1:])
    expected = hog.fit_transform(X)
    paths = write_all(X, tmp_path)
    for same in (X.reshape(5, -1), list(X), paths, [p.read_bytes() for p in paths]):
        assert_array_equal(hog.fit_transform(same), expected)
        assert_array_equal(hog.transform(same[3:4]), expected[3:4])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, ">f4", ">f8"])
@pytest.mark.parametrize("image_size", [None, (8, 31)])
def test_floats_keep_their_precision(dtype: Any, image_size: Any) -> None:
    X = noise(3, 20, 10, 3, dtype=dtype)
    work = np.float32 if np.dtype(dtype).itemsize <= 4 else np.float64
    expected = X.astype(work)
    if image_size:
        expected = resize_images(expected, image_size, channels=True)
    pixels = Pixels(image_size=image_size, image_shape=(20, -1, 3))
    rows = X.reshape(3, -1)
    for same in (X, list(X), rows):
        out = pixels.fit_transform(same)
        assert out.dtype == work
        assert_array_equal(out, expected)


def test_rows_are_taken_as_they_come() -> None:
    rows = np.random.default_rng(0).normal(size=(6, 12)) * 100
    pixels = Pixels(image_shape=(3, -1))
    assert_array_equal(pixels.fit_transform(rows), rows.reshape(6, 3, 4))
    whole = np.arange(-24, 24).reshape(4, 12)
    assert_array_equal(pixels.transform(whole), whole.reshape(4, 3, 4).astype(float))
    assert_array_equal(pixels.transform(whole.tolist()), whole.reshape(4, 3, 4))
    frame = pd.DataFrame(rows, columns=[f"p{i}" for i in range(12)])
    assert_array_equal(pixels.fit_transform(frame), rows.reshape(6, 3, 4))
    assert list(pixels.feature_names_in_) == list(frame.columns)


def test_nested_lists_are_an_array() -> None:
    X = noise(3, 4, 5, dtype=np.float64)
    assert_array_equal(Pixels().fit_transform(X.tolist()), X)


@pytest.mark.parametrize("image_size", [None, (7, 7)])
@pytest.mark.parametrize("shape", [(9, 10, 12), (9, 10, 12, 3), (9, 10, 12, 4), (9, 10, 12, 1)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_memory_layout_does_not_matter_and_nothing_is_written(
    shape: tuple[int, ...], dtype: type, image_size: Any
) -> None:
    X = noise(*shape, dtype=dtype)
    pixels = Pixels(image_size=image_size)
    expected = pixels.fit_transform(X.copy())
    strided = np.zeros((18, 10, 24, *shape[3:]), dtype)[::2, :, ::2]
    strided[:] = X
    read_only = X.copy()
    read_only.flags.writeable = False
    for same in (np.asfortranarray(X), strided, read_only, X[::-1].copy()[::-1]):
        before = same.copy()
        assert_array_equal(pixels.fit_transform(same), expected)
        assert_array_equal(pixels.fit_transform(list(same)), expected)
        assert_array_equal(same, before)


def test_each_image_is_independent_of_its_batch() -> None:
    X = noise(11, 30, 26, 3)
    expected = Pixels(image_size=(12, 40), color="grey").fit_transform(X)
    for batch_size in (1, 2, 11, 100):
        pixels = Pixels(image_size=(12, 40), color="grey", batch_size=batch_size)
        assert_array_equal(pixels.fit_transform(X), expected)
    for i in range(11):
        one = pixels.transform(X[i : i + 1])
        assert one.shape == (1, 12, 40)
        assert_array_equal(one[0], expected[i])


def test_channels() -> None:
    grey, rgb, rgba = noise(3, 6, 5), noise(3, 6, 5, 3), noise(3, 6, 5, 4)
    pixels = Pixels()
    assert_array_equal(pixels.fit_transform(grey[..., None]), grey)
    assert_array_equal(pixels.transform([image[..., None] for image in grey]), grey)
    opacity = rgba[..., 3:] / 255
    opaque = np.rint(rgba[..., :3] * opacity + 255 * (1 - opacity)).astype(np.uint8)
    for same in (rgba, list(rgba), [encode(image) for image in rgba]):
        assert_array_equal(pixels.transform(same), opaque)
    as_floats = pixels.transform(rgba / 255)
    # three roundings of numbers in 0..1
    np.testing.assert_allclose(as_floats, rgba[..., :3] / 255 * opacity + 1 - opacity, atol=1e-15)
    assert_array_equal(Pixels(color="rgb").fit_transform(grey), to_rgb(grey))
    assert_array_equal(Pixels(color="rgb").fit_transform(rgb), rgb)
    assert_array_equal(Pixels(color="grey").fit_transform(rgb), to_grey(rgb))
    assert_array_equal(Pixels(color="grey").fit_transform(grey), grey)


def test_grey_among_rgb_files_comes_as_rgb() -> None:
    grey, rgb = noise(6, 5), noise(6, 5, 3)
    files = [encode(grey), encode(rgb)]
    assert_array_equal(Pixels().fit_transform(files), [to_rgb(grey), rgb])
    assert_array_equal(Pixels(color="grey").fit_transform(files), [grey, to_grey(rgb)])
    hog = HOGTransformer(pixels_per_cell=(2, 2), cells_per_block=(1, 1))
    together = hog.fit_transform(files)
    assert_array_equal(hog.transform(files[:1]), together[:1])
    assert_array_equal(hog.transform(files[1:]), together[1:])


def test_mixed_shapes_with_a_size_to_resize_to() -> None:
    X = [noise(10, 12), noise(30, 5), noise(4, 4), noise(8, 8)]
    out = Pixels(image_size=8).fit_transform(X)
    assert_array_equal(out, [resize_images(image, (8, 8)) for image in X])
    files = [encode(image) for image in X]
    assert_array_equal(Pixels(image_size=np.int64(8)).fit_transform(files), out)


def test_threads_give_what_one_thread_gives(tmp_path: Path) -> None:
    paths = write_all(noise(33, 20, 20, 3), tmp_path)
    serial = Pixels(image_size=(9, 9), batch_size=8).fit_transform(paths)
    threads = Pixels(image_size=(9, 9), batch_size=8, n_threads=4)
    for _ in range(3):
        assert_array_equal(threads.fit_transform(paths), serial)


def test_no_two_threads_load_pil_images_at_once() -> None:
    # rows may share an open image, or the file it is read from
    X = noise(20, 30, 3)
    image = Image.open(BytesIO(encode(X)))
    busy, load = threading.Lock(), image.load

    def watched() -> Any:
        assert busy.acquire(blocking=False)
        try:
            time.sleep(1e-3)
            return load()
        finally:
            busy.release()

    image.load = watched
    expected = np.stack([X] * 16)
    assert_array_equal(Pixels(n_threads=4, batch_size=16).fit_transform([image] * 16), expected)
    shared = BytesIO(encode(X))
    images = [Image.open(shared) for _ in range(16)]
    with ThreadPoolExecutor(8) as pool:
        for out in pool.map(Pixels(n_threads=2).fit_transform, [images] * 8):
            assert_array_equal(out, expected)


@pytest.mark.parametrize("door", [iterate_images, check_images])
def test_one_image_is_refused_at_every_door_with_the_same_message(door: Any) -> None:
    photo = noise(20, 30, 3)
    file = BytesIO(encode(photo))
    for X, match in (
        (photo, r"got shape \(20, 30, 3\).* looks like one image with channels"),
        (np.dstack([photo, photo[..., :1]]), r"got shape \(20, 30, 4\).* one image"),
        (Image.open(file), r"several images, got one \(PngImageFile\)\. Pass a list: \[X\]"),
        (file, r"several images, got one \(BytesIO\)\. Pass a list: \[X\.read\(\)\]"),
        (file.getvalue(), "several images, got one"),
        (bytearray(file.getvalue()), "several images, got one"),
        ("x" * 10**6, r"several images, got one \(xxx.*\.\.\."),
        (np.moveaxis(photo, 2, 0)[np.newaxis], "channels must come last"),
        (np.ma.masked_equal(photo[np.newaxis], 0), r"masked values.*X\.filled\(0\)"),
        (np.zeros((2, 9, 9), np.int64), "convert levels in 0..255"),
    ):
        sizes = [{}] if door is iterate_images else [{}, {"mixed_sizes": True}]
        for settings in sizes:
            with pytest.raises(InvalidImagesError, match=f"Named expected .*{match}") as raised:
                door(X, name="Named", **settings)
        assert len(str(raised.value)) < 600


def test_several_images_as_something_to_iterate_over() -> None:
    photo = noise(20, 30, 3)
    endless = itertools.repeat(photo)
    assert iterate_images(endless, "Named") is endless
    stack = photo[np.newaxis]
    assert iterate_images(stack, "Named") is stack
    assert iterate_images(["a.jpg", photo], "Named")[0] == "a.jpg"
    with pytest.raises(
        InvalidImagesError, match=r"got a table of shape \(20, 30\).*numpy\.newaxis"
    ):
        iterate_images(photo[..., 0], "Named")
    with pytest.raises(TypeError, match=r"Named expected .* got a int\."):
        iterate_images(3, "Named")
    for images in ({"a.jpg": photo}, {"a.jpg", "b.jpg"}):  # its keys, or in no order
        with pytest.raises(TypeError, match="expected a list, an array or another iterable"):
            iterate_images(images, "Named")
    with pytest.raises(TypeError, match=r"Named expected .* sparse"):
        iterate_images(scipy.sparse.csr_matrix(photo[..., 0]), "Named")


class Tensor:
    """What another library may hand in, and what cannot be made an array."""

    shape, dtype, ndim = (2, 9, 9), "bfloat16", 3

    def __array__(self, *_args: object, **_kwargs: object) -> Any:
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")

    def __iter__(self) -> Any:
        return iter([self])


def test_a_tensor_that_cannot_be_an_array_is_refused_by_name() -> None:
    match = "Pixels expected images, got a Tensor that is no NumPy array: Can't call"
    with pytest.raises(InvalidImagesError, match=match):
        check_images(Tensor(), name="Pixels")
    with pytest.raises(InvalidImagesError, match=match):
        list(iterate_images(Tensor(), "Pixels"))


def test_masked_pixels_of_an_image_are_named() -> None:
    image = np.ma.masked_equal(noise(4, 4), noise(4, 4)[0, 0])
    with pytest.raises(InvalidImagesError, match="row 1 has masked pixels: fill them"):
        check_images([noise(4, 4), image])


def test_a_pyarrow_array_is_a_sequence(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="another library's arrays")
    paths = [str(path) for path in write_all(noise(4, 4, 6), tmp_path)]
    expected = Pixels().fit_transform(paths)
    for X in (pyarrow.array(paths), pyarrow.chunked_array([paths[:1], paths[1:]])):
        assert_array_equal(Pixels().fit_transform(X), expected)
        assert list(iterate_images(X, "Named")) == paths


def test_a_message_about_many_images_fits_on_a_screen() -> None:
    for path in ("x" * 3000, "data:image/png;base64," + "A" * 10**5, "/" + "y/" * 500):
        with pytest.raises(ImageReadError, match=r"error\.failures holds all") as raised:
            check_images([path] * 50)
        assert len(str(raised.value)) < 2000
        assert str(raised.value).count("\n") < 25
        assert len(raised.value.failures) == 50


def test_batches_repr_and_length() -> None:
    images = check_images(noise(5, 4, 6))
    assert repr(images) == "Images(n_samples=5, image_size=(4, 6), is_table=False)"
    assert len(images) == 5


@pytest.mark.parametrize(
    ("X", "words"),
    [
        ([], "expected at least one image, got an empty sequence"),
        ((), "expected at least one image, got an empty sequence"),
        (np.array([]), r"expected at least one image, got an array of shape \(0,\)"),
        (np.array([], dtype=object), "expected at least one image, got an empty sequence"),
        (np.array([], dtype=str), "expected at least one image, got an empty sequence"),
        (pd.Series([], dtype=object), "expected at least one image, got an empty sequence"),
        (np.zeros((0, 4, 4)), r"expected at least one image, got an array of shape \(0, 4, 4\)"),
        (np.zeros((3, 0, 4)), "an axis is empty"),
        (np.zeros((3, 4, 4, 0)), "an axis is empty"),
        (np.float64(3), r"0 axes, shape \(\)\. Reshape your data"),
        (5, r"0 axes, shape \(\)\. Reshape your data"),
        (np.zeros(4), r"1 axes, shape \(4,\)\. Reshape your data"),
        ([0.5, 0.25], r"1 axes, shape \(2,\)\. Reshape your data"),
        (pd.Series([0.5, 0.25]), r"1 axes, shape \(2,\)\. Reshape your data"),
        (np.zeros((3, 4)), r"2-D rows of shape \(3, 4\) and image_shape=None\. Say how to read"),
        (np.zeros((2, 3, 4, 3, 1)), r"got shape \(2, 3, 4, 3, 1\).*4 axes where an image has 2"),
        (np.zeros((2, 3, 8, 8)), "channels must come last, move them with numpy.moveaxis"),
        (np.zeros((2, 1, 8, 8)), "channels must come last, move them with numpy.moveaxis"),
        (np.zeros((2, 8, 8, 2)), r"2 channels where 1 \(grey\), 3 \(RGB\) or 4 \(RGBA\)"),
        (np.zeros((48, 48, 3)), r"looks like one image with channels, pass X\[numpy.newaxis\]"),
        (np.zeros((48, 48, 1)), r"looks like one image with channels, pass X\[numpy.newaxis\]"),
        (np.zeros((2, 4, 4), complex), "dtype complex128: Complex data not supported"),
        (np.zeros((2, 4, 4), bool), r"dtype bool: convert with \.astype\(float\), which makes"),
        (np.zeros((2, 4, 4), np.int64), r"dtype int64: convert levels .*\.astype\(numpy.uint8\)"),
        (np.zeros((2, 4, 4), np.uint16), r"dtype uint16: .* others to floats in 0\.\.1"),
        (np.zeros((2, 4, 4), object), r"dtype object: convert levels .*\.astype\(numpy.uint8\)"),
        (np.zeros((2, 4, 4), str), "<U1: pixels are uint8 or float"),
        ("face.png", r"expected several images, got one \(face.png\)\. Pass a list: \[X\]"),
        (Path("face.png"), r"expected several images, got one \(face.png\)\. Pass a list: \[X\]"),
        (b"\x89PNG", r"expected several images, got one \(encoded bytes\)\. Pass a list"),
        (Image.new("RGB", (48, 48)), r"expected several images, got one \(Image\)\. Pass a list"),
        ([[1, 2], [3]], "got a list whose parts differ in length. Pass a list of arrays"),
        (object(), "0 axes"),
        ((path for path in ["a.png"]), r"list or Series of images, got a generator\. Pass a list"),
        ({"a.png"}, r"list or Series of images, got a set\. Pass a list: list\(X\)"),
        (np.zeros((3, 1)), r"2-D rows of shape \(3, 1\) and image_shape=None\. Say how to read"),
        (pd.DataFrame({"a": ["a.png"], "b": ["b.png"]}), r"2-D rows of shape \(1, 2\)"),
        (np.empty((0, 1), object), "expected at least one image, got an empty sequence"),
    ],
    ids=lambda value: None if isinstance(value, str) else type(value).__name__,
)
def test_what_is_no_batch_of_images(X: Any, words: str) -> None:
    assert_matches(words, refused(X))


def assert_matches(words: str, error: Exception) -> None:
    with pytest.raises(type(error), match=words):
        raise error


def test_sparse_data() -> None:
    for X in (scipy.sparse.csr_matrix((3, 4)), scipy.sparse.coo_array((3, 4))):
        with pytest.raises(TypeError, match=r"^Pixels expected .* got a sparse .*X\.toarray\(\)"):
            Pixels(image_shape=(2, 2)).fit(X)


GOOD = np.full((4, 4), 0.5)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.full((4, 4), np.nan), "row 2 {}holds NaN or infinity"),
        (np.where(np.eye(4) > 0, np.inf, 0.5), "row 2 {}holds NaN or infinity"),
        (np.full((4, 4), -0.1), r"row 2 {}holds floats in -0.1\.\.-0.1 where 0\.\.1 is expected"),
        (np.full((4, 4), 255.0), r"row 2 {}holds floats in 255\.0\.\..*divide by 255"),
        (np.full((4, 4), np.nextafter(1, 2)), r"row 2 {}holds floats in 1\.0000000000000002\.\."),
    ],
)
def test_float_values(image: np.ndarray, words: str) -> None:
    items = [GOOD, GOOD, image, GOOD]
    for X, kind in [(np.stack(items), ""), (items, r"\(ndarray\) ")]:
        error = refused(X)
        assert_matches(words.format(kind), error)
        assert "Pixels cannot use 1 of 4 images" in str(error)
        assert [row for row, _ in error.failures] == [2]
    many = np.full((3000, 4, 4), 0.5)
    many[[5, 1023, 1024, 2999]] = image
    assert [row for row, _ in refused(many).failures] == [5, 1023, 1024, 2999]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_rows_that_are_not_finite(value: float) -> None:
    rows = np.random.default_rng(0).normal(size=(6, 12))
    rows[[1, 4], [0, 11]] = value
    error = refused(rows, Pixels(image_shape=(3, 4)))
    assert_matches("cannot use 2 of 6 images:\n  row 1 holds NaN or infinity\n  row 4 ", error)


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (None, r"row 1 is None \(NoneType\): expected a path, encoded bytes, a PIL image or an"),
        (float("nan"), r"row 1 is nan \(float\): expected a path"),
        (3, r"row 1 is 3 \(int\): expected a path"),
        (["face.png"], r"row 1 is \['face.png'\] \(list\): expected a path"),
        (BytesIO(b"x"), r"row 1 is .* \(BytesIO\): expected a path"),
        (pd.NA, r"row 1 is <NA> \(NAType\): expected a path"),
    ],
)
def test_what_is_no_image_among_paths(item: Any, words: str, tmp_path: Path) -> None:
    first, second = write_all(noise(2, 4, 4), tmp_path)
    items = [str(first), item, str(second)]
    for X in (items, tuple(items), objects(items), pd.Series(items, dtype=object)):
        error = refused(X)
        assert_matches(words, error)
        assert [row for row, _ in error.failures] == [1]


def test_a_column_of_nothing_but_none() -> None:
    assert [row for row, _ in refused([None, None]).failures] == [0, 1]


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (np.zeros((4, 4), np.int64), r"row 1 has dtype int64: convert levels"),
        (np.zeros((4, 4), bool), r"row 1 has dtype bool: convert with"),
        (np.zeros((4, 4), complex), r"row 1 has dtype complex128: Complex data not supported"),
        (np.array([["a"]]), "row 1 has dtype <U1: pixels are uint8 or float"),
        (np.zeros((4, 4)), r"row 1 \(ndarray\) has float64 pixels where row 0 has uint8"),
        (np.zeros(4, np.uint8), r"row 1 \(ndarray\) has shape \(4,\).* 1 axes where an image"),
        (np.zeros((1, 4, 4, 3), np.uint8), r"row 1 \(ndarray\) has shape \(1, 4, 4, 3\).* 4 axes"),
        (np.zeros((3, 8, 8), np.uint8), r"row 1 \(ndarray\) .*channels must come last"),
        (np.zeros((0, 4), np.uint8), r"row 1 \(ndarray\) has shape \(0, 4\).*an axis is empty"),
        (
            np.zeros((5, 3), np.uint8),
            r"row 1 \(ndarray\) is 5 x 3 px where 4 x 4 px is expected",
        ),
    ],
)
def test_bad_arrays_in_a_list(item: np.ndarray, words: str) -> None:
    X = [noise(4, 4), item, noise(4, 4)]
    assert_matches(words, refused(X))


def test_mixed_sizes_without_a_size_to_resize_to(tmp_path: Path) -> None:
    images = [noise(5, 5), *noise(9, 4, 6)]
    paths = write_all(images, tmp_path)
    words = r"1 of 10 images:\n  row 0 \({}\) is 5 x 5 px where 4 x 6 px is expected: set image_s"
    assert_matches(words.format(str(paths[0])), refused(paths))
    assert_matches(words.format("ndarray"), refused(images))
    assert_matches(words.format("encoded bytes"), refused([encode(i) for i in images]))
    assert_matches(words.format("Image"), refused([Image.fromarray(i) for i in images]))


def damage(paths: list[Path], rows: list[int]) -> None:
    for row in rows:
        encoded = paths[row].read_bytes()
        paths[row].write_bytes(encoded[: len(encoded) - 30])  # the header stays whole


@pytest.mark.parametrize(
    ("bad", "batch_size", "n_threads"),
    [
        # cut-off files are only found out by decoding, the others by their headers
        (["cut off.png", "cut off.png", "cut off.png"], 64, 3),
        (["cut off.png", "missing.png", "other size.png"], 1000, 1),
    ],
)
def test_three_bad_files_of_a_thousand_are_all_named(
    bad: list[str], batch_size: int, n_threads: int, tmp_path: Path
) -> None:
    [good] = write_all([noise(4, 5)], tmp_path)
    (tmp_path / "cut off.png").write_bytes(good.read_bytes()[:-30])
    (tmp_path / "other size.png").write_bytes(encode(noise(7, 7)))
    paths = [good] * 1000
    rows = [17, 500, 998]
    for row, name in zip(rows, bad, strict=True):
        paths[row] = tmp_path / name
    error = refused(paths, Pixels(batch_size=batch_size, n_threads=n_threads))
    assert isinstance(error, ImageReadError)
    assert "Pixels cannot use 3 of 1000 images:" in str(error)
    assert [row for row, _ in error.failures] == rows
    for row, reason in error.failures:
        assert reason.startswith(f"({paths[row]}) ")
        assert f"\n  row {row} {reason}" in str(error)


def test_each_bad_file_is_named_with_what_is_wrong(tmp_path: Path) -> None:
    paths = write_all(noise(8, 4, 5), tmp_path)
    damage(paths, [1])
    paths[2].write_text("no image")
    paths[3].write_bytes(b"")
    paths[4].unlink()
    paths[5].write_bytes(encode(noise(7, 7)))
    paths[6] = tmp_path
    words = {
        1: "is damaged or cut off (",
        2: "is not an image in a format that is read",
        3: "is empty",
        4: "cannot be opened: No such file or directory",
        5: "is 7 x 7 px where 4 x 5 px is expected: set image_size to resize all",
        6: "is a folder, not an image file",
    }
    for X in (paths, [str(path) for path in paths], pd.Series(paths)):
        error = refused(X)
        assert [row for row, _ in error.failures] == list(words)
        for row, reason in error.failures:
            assert reason.startswith(f"({paths[row]}) {words[row]}")
            assert f"\n  row {row} {reason}" in str(error)


def test_all_files_bad(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(50)]
    for estimator in (Pixels(), HOGTransformer(), Pixels(image_size=4)):
        error = refused(paths, estimator)
        assert len(error.failures) == 50
        n_named = str(error).count("  row ")
        assert 5 <= n_named <= 20  # as many as fit on a screen
        assert f"row {n_named - 1} " in str(error)
        assert str(error).endswith(f"and {50 - n_named} more (error.failures holds all)")


def test_no_batch_follows_a_bad_one(tmp_path: Path) -> None:
    paths = write_all(noise(6, 4, 4), tmp_path)
    damage(paths, [2, 5])
    images = check_images(paths)
    seen = []
    with pytest.raises(ImageReadError, match="cannot use 2 of 6") as caught:
        seen.extend(rows for rows, _ in images.batches(2))
    assert seen == [slice(0, 2)]
    assert [row for row, _ in caught.value.failures] == [2, 5]


def test_a_decompression_bomb_among_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = write_all([noise(4, 4), noise(15, 10), noise(40, 40)], tmp_path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 70)  # Pillow refuses twice as many
    for n_threads in (1, 2):
        error = refused(paths, Pixels(image_size=4, n_threads=n_threads))
        assert_matches(r"row 1 \(.*1.png\) has too many pixels.*15 x 10 px", error)
        assert_matches(r"row 2 \(.*2.png\) has too many pixels", error)


@pytest.mark.parametrize("kind", ["array", "paths", "paths in threads"])
def test_memory_is_bounded(kind: str, tmp_path: Path) -> None:
    pixels = noise(64, 64, 3)
    [path] = write_all([pixels], tmp_path)
    n_threads = 2 if kind == "paths in threads" else 1
    peaks = []
    for n in (50, 350):
        # one image seen n times, so that X itself takes no memory
        X = np.broadcast_to(pixels, (n, 64, 64, 3)) if kind == "array" else [path] * n
        images = check_images(X, image_size=(32, 32), color="grey")
        tracemalloc.start()
        for _, batch in images.batches(16, n_threads=n_threads):
            assert batch.shape[1:] == (32, 32)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # keeping the 300 more images would take 307 kB as they leave and 3.7 MB as decoded; threads
    # overlap by chance, which is worth at most an image and its copies
    assert peaks[1] < peaks[0] + 150_000


@pytest.mark.parametrize("is_rows", [False, True])
def test_large_images_are_resized_a_few_at_a_time(is_rows: bool) -> None:
    # a batch is counted in pixels that leave; those that come are a thousand times as many
    X = np.broadcast_to(noise(256, 256, 3), (400, 256, 256, 3))
    image_shape = X.shape[1:]
    if is_rows:
        X = np.broadcast_to(X[0].ravel(), (400, X[0].size))
    images = check_images(X, image_size=(8, 8), image_shape=image_shape)
    tracemalloc.start()
    ((_, batch),) = images.batches(400)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert_array_equal(
        batch[[0, 399]],
        resize_images(X[:1].reshape(1, 256, 256, 3).repeat(2, 0), (8, 8), channels=True),
    )
    # all 400 images are 79 MB as uint8 and 315 MB as float32
    assert peak < 40_000_000


def kinds(X: np.ndarray) -> list[Any]:
    return [X, list(X), [encode(x) for x in X], [Image.fromarray(x) for x in X]]


def test_another_size_than_in_fit_is_refused() -> None:
    small, large = noise(3, 4, 6), noise(3, 6, 4)  # as many pixels, in another shape
    for fitted in kinds(small):
        pixels = Pixels().fit(fitted)
        assert pixels.image_size_ == (4, 6)
        for other in kinds(large):
            with pytest.raises(InvalidImagesError, match=r"(?s)^Pixels .*4 x 6 px.*image_size"):
                pixels.transform(other)
    rows = Pixels(image_shape=(4, 6)).fit(small.reshape(3, -1))
    with pytest.raises(InvalidImagesError, match="was fitted on images of 4 x 6 px, got 6 x 4 px"):
        rows.transform(large)


def test_another_size_is_taken_where_images_are_resized() -> None:
    small, large = noise(3, 4, 6), noise(3, 9, 8)
    for fitted in kinds(small):
        pixels = Pixels(image_size=(5, 5)).fit(fitted)
        assert pixels.image_size_ == (5, 5)
        for other in kinds(large):
            assert_array_equal(pixels.transform(other), resize_images(large, (5, 5)))
    with pytest.raises(InvalidImagesError, match="was fitted on images of 5 x 5 px, got 7 x 7"):
        pixels.set_params(image_size=7).transform(small)


def test_a_refit_forgets_what_the_last_one_recorded() -> None:
    images = noise(3, 4, 6)
    frame = pd.DataFrame(images.reshape(3, -1).astype(float)).rename(columns=str)

    def recorded(pixels: Pixels) -> dict[str, Any]:
        names = {name: value for name, value in vars(pixels).items() if name.endswith("_")}
        names.pop("feature_names_in_", None)
        return names

    pixels = Pixels(image_shape=(4, 6))
    for other, n_features in [
        (images, {}),
        (list(images), {}),
        ([encode(x) for x in images], {}),
        (images.reshape(3, -1), {"n_features_in_": 24}),
        (noise(3, 4, 6, 3), {}),
        (objects([encode(x) for x in images])[:, None], {"n_features_in_": 1}),
    ]:
        pixels.fit(frame)
        assert len(pixels.feature_names_in_) == pixels.n_features_in_ == 24
        pixels.fit(other)
        assert not hasattr(pixels, "feature_names_in_")
        assert recorded(pixels) == {"image_size_": (4, 6), **n_features}
    resizing = Pixels(image_shape=(4, 6), image_size=3).fit(frame)
    assert recorded(resizing.fit(images)) == {"image_size_": (3, 3)}


def test_rows_of_another_length_are_refused() -> None:
    pixels = Pixels(image_shape=(1, -1)).fit(np.zeros((3, 12)))
    with pytest.raises(ValueError, match="X has 10 features, but Pixels is expecting 12"):
        pixels.transform(np.zeros((3, 10)))
    # the trap of a validation that takes the height for the number of features
    images = Pixels().fit(np.zeros((3, 12, 8)))
    with pytest.raises(InvalidImagesError, match="fitted on images of 12 x 8 px, got 12 x 9 px"):
        images.transform(np.zeros((3, 12, 9)))


def test_transform_records_nothing() -> None:
    for X in kinds(noise(3, 4, 6)):
        pixels = Pixels()
        before = dict(vars(pixels))
        pixels.transform(X)
        assert vars(pixels) == before


def test_a_failed_fit_on_images_records_nothing(tmp_path: Path) -> None:
    for X in (np.full((2, 4, 4), 2.0), [tmp_path / "missing.png"], [noise(3, 3), noise(4, 4)]):
        pixels = Pixels()
        before = dict(vars(pixels))
        with pytest.raises(InvalidImagesError, match="Pixels cannot use"):
            pixels.fit(X)
        assert vars(pixels) == before


@pytest.mark.parametrize(
    "image_shape", [(), (4,), 4, (4, 0), (-1, -1), (4, -2), (4, 3, 1), (4, 1, -1), (2.0, 6), "46"]
)
def test_image_shapes_that_cannot_be(image_shape: Any) -> None:
    with pytest.raises(ValueError, match=r"^Pixels expected image_shape to be \(height, width\)"):
        Pixels(image_shape=image_shape).fit(np.zeros((3, 12)))


@pytest.mark.parametrize("image_shape", [(5, -1), (3, 5), (2, 3, 3), (6, 4), (-1, 5, 3)])
def test_image_shapes_that_do_not_fit(image_shape: Any) -> None:
    with pytest.raises(InvalidImagesError, match=r"^Pixels cannot read rows of 12 features"):
        Pixels(image_shape=image_shape).fit(np.zeros((3, 12)))


@pytest.mark.parametrize(
    ("image_shape", "shape"),
    [((3, -1), (3, 4)), ((-1, 6), (2, 6)), ([2, -1, 3], (2, 2, 3)), ((np.int64(12), 1), (12, 1))],
)
def test_image_shapes_that_fit(image_shape: Any, shape: tuple[int, ...]) -> None:
    assert Pixels(image_shape=image_shape).fit_transform(np.zeros((2, 12))).shape == (2, *shape)


@pytest.mark.parametrize("image_size", [0, -3, (4,), (4, 4, 3), (4, 0), (4.0, 4), 4.5, "44"])
def test_image_sizes_that_cannot_be(image_size: Any) -> None:
    with pytest.raises(ValueError, match=r"^Pixels expected image_size to be an int or"):
        Pixels(image_size=image_size).fit(noise(2, 4, 4))


def test_real_faces(data_dir: Path) -> None:
    folder = data_dir / "facial_emotions" / "test"
    paths = sorted(folder.glob("*/*"))[::400]
    if not paths:
        pytest.skip(f"no faces in {folder}")
    arrays = np.stack([np.asarray(Image.open(path)) for path in paths])
    assert arrays.shape[1:] == (48, 48)
    assert_array_equal(Pixels(n_threads=2).fit_transform(paths), arrays)


@pytest.mark.parametrize("n", [1, 4, 5, 23])
def test_batches_loaded_ahead_are_the_same(n: int, capsys: pytest.CaptureFixture[str]) -> None:
    items = [encode(noise(9, 9, seed=i)) for i in range(n)]
    images = check_images(items, name="Pixels")
    plain = list(images.batches(4))
    ahead = list(images.batches(4, n_threads=2, ahead=True, verbose=True))
    assert [rows for rows, _ in ahead] == [rows for rows, _ in plain]
    for (_, one), (_, other) in zip(ahead, plain, strict=True):
        assert_array_equal(one, other)
    assert f"Pixels: 100%|{'█' * 10}| {n}/{n} " in capsys.readouterr().err


def test_the_next_batch_is_loaded_while_the_caller_works() -> None:
    images = check_images(noise(12, 9, 9))
    started = threading.Event()
    load = images._load

    def noted(rows: slice, n_threads: int) -> Any:
        if rows.start == 4:
            started.set()
        return load(rows, n_threads)

    object.__setattr__(images, "_load", noted)
    batches = images.batches(4, ahead=True)
    next(batches)
    assert started.wait(timeout=30)
    batches.close()  # a caller who stops leaves no thread behind
    assert not any("ThreadPool" in thread.name for thread in threading.enumerate())


def test_a_bad_image_is_named_when_loaded_ahead() -> None:
    items = [encode(noise(9, 9)) for _ in range(12)]
    items[6] = items[6][:-30]  # whose header is whole
    before = list(warnings.filters)
    images = check_images(items)
    with pytest.raises(ImageReadError, match="cannot use 1 of 12 images:\n  row 6"):
        list(images.batches(4, ahead=True))
    assert warnings.filters == before


def columns(items: list[Any]) -> dict[str, Any]:
    """Return one column of a table in every form, without a name first."""
    column = objects(items)
    return {
        "an object array": column[:, np.newaxis],
        "a frame of pandas": pd.DataFrame({"face": column}, index=range(7, 7 + len(items))),
    }


def test_a_column_of_images_is_x(tmp_path: Path) -> None:
    X = noise(4, 5, 6)
    paths = [str(path) for path in write_all(X, tmp_path)]
    encoded = [encode(x) for x in X]
    forms = [form for items in (paths, encoded, list(X)) for form in columns(items).values()]
    forms += [[[path] for path in paths], np.array(paths)[:, np.newaxis]]
    for form in forms:
        pixels = Pixels().fit(form)
        assert_array_equal(pixels.transform(form), X)
        assert_array_equal(pixels.transform(paths), X)  # no table: there are no names to compare
        assert pixels.image_size_ == (5, 6)
        assert pixels.n_features_in_ == 1
        is_frame = isinstance(form, pd.DataFrame)
        assert hasattr(pixels, "feature_names_in_") == is_frame
        if is_frame:
            assert pixels.feature_names_in_.tolist() == ["face"]
        else:
            with pytest.raises(ValueError, match="X has 30 features, but Pixels is expecting 1"):
                pixels.set_params(image_shape=(5, 6)).transform(X.reshape(4, -1))
        if not isinstance(form, list):
            assert len(list(iterate_images(form))) == 4


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_a_column_of_another_library(library: str, tmp_path: Path) -> None:
    module = pytest.importorskip(library, reason="another library's frames")
    X = noise(4, 5, 6)
    paths = [str(path) for path in write_all(X, tmp_path)]
    make = module.table if library == "pyarrow" else module.DataFrame
    for items in (paths, [encode(x) for x in X]):
        frame = make({"face": items})
        pixels = Pixels().fit(frame)
        assert_array_equal(pixels.transform(frame), X)
        assert pixels.feature_names_in_.tolist() == ["face"]
        assert list(iterate_images(frame)) == items
        with pytest.raises(ValueError, match="feature names should match"):
            pixels.transform(make({"path": items}))
    rows = make({f"x{i}": X.reshape(4, -1)[:, i].astype(float) for i in range(30)})
    by_rows = Pixels(image_shape=(5, 6))
    assert_array_equal(by_rows.fit_transform(rows), X)
    assert by_rows.n_features_in_ == 30


def test_a_column_stands_in_a_column_transformer(tmp_path: Path) -> None:
    X = noise(4, 16, 16)
    table = pd.DataFrame({"face": write_all(X, tmp_path), "age": [1.0, 2, 3, 4]})
    hog = HOGTransformer(cells_per_block=(1, 1))
    both = ColumnTransformer([("hog", hog, ["face"]), ("age", "passthrough", ["age"])])
    expected = np.column_stack([hog.fit_transform(X), table["age"]])
    assert_array_equal(both.fit_transform(table), expected)
    assert_array_equal(both.transform(table[2:]), expected[2:])
    assert len(both.get_feature_names_out()) == expected.shape[1]


def test_bad_images_of_a_column_are_named(tmp_path: Path) -> None:
    paths: list[Any] = write_all(noise(4, 5, 6), tmp_path)
    paths[1], paths[3] = None, tmp_path / "missing.png"
    for form in columns(paths).values():
        assert refused(form).failures[0][0] == 1
    paths[1] = paths[0]
    for form in columns(paths).values():
        error = refused(form)
        assert [row for row, _ in error.failures] == [3]
        assert "missing.png" in str(error)


def test_names_of_mixed_types_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    frame = pd.DataFrame(np.zeros((3, 2)), columns=["a", 1])
    with pytest.raises(TypeError, match="only supported if all input features have string names"):
        check_images(frame, image_shape=(1, 2))
    one_column = pd.DataFrame({0: [str(path) for path in write_all(noise(2, 4, 4), tmp_path)]})
    pixels = Pixels().fit(one_column)
    assert pixels.n_features_in_ == 1
    assert not hasattr(pixels, "feature_names_in_")


def test_a_table_is_compared_with_that_of_the_fit_only(tmp_path: Path) -> None:
    frame = pd.DataFrame({"face": write_all(noise(2, 4, 6), tmp_path)})
    Pixels().transform(frame)  # no warning of names that a fit has not seen: there was none
    Pixels().fit(list(frame["face"])).transform(frame)
    with pytest.warns(UserWarning, match="X has feature names, but Pixels was fitted without"):
        Pixels().fit(frame.to_numpy()).transform(frame)


def test_the_door_neither_reads_nor_writes_an_estimator() -> None:
    seen = []
    rows = noise(3, 4, 6).reshape(3, -1)
    images = check_images(rows, image_shape=(4, 6), check_table=seen.append)
    assert images.is_table
    assert len(seen) == 1
    assert seen[0] is rows
    assert not check_images(noise(3, 4, 6), check_table=seen.append).is_table
    assert len(seen) == 1


def test_images_of_the_size_of_the_fit_are_expected() -> None:
    small, large = noise(3, 4, 6), noise(3, 6, 4)
    for X in kinds(small):
        assert check_images(X, expected_size=(4, 6)).image_size == (4, 6)
        assert check_images(X, expected_size=[4, 6], read_headers=False).image_size == (4, 6)
    for X in kinds(large)[1:]:
        for read_headers in (True, False):
            with pytest.raises(InvalidImagesError, match=r"row 0 .* is 6 x 4 px where 4 x 6 px"):
                list(check_images(X, expected_size=(4, 6), read_headers=read_headers).batches(2))


def test_images_of_mixed_sizes_come_one_by_one(tmp_path: Path) -> None:
    X = [noise(4, 6), noise(9, 5, 3)]
    paths = write_all(X, tmp_path)
    images = check_images(paths, mixed_sizes=True)
    assert repr(images) == "Images(n_samples=2, image_size=None, is_table=False)"
    for photo, pixels in zip(images.map(lambda photo: photo.pixels()), X, strict=True):
        assert_array_equal(photo, pixels)
    for ask in (lambda: images.image(0), lambda: list(images.batches(2))):
        with pytest.raises(ValueError, match=r"check_images was given images of mixed sizes\."):
            ask()
    with pytest.raises(ValueError, match=r"was given images of one size\. Take them from Im"):
        list(check_images(X[:1]).map(lambda photo: photo.pixels()))
    rows = check_images(noise(2, 24), image_shape=(4, 6), mixed_sizes=True)
    assert rows.is_table
    assert [photo.shape for photo in rows.map(lambda photo: photo.pixels())] == [(4, 6)] * 2
    (tmp_path / "0000.png").unlink()
    with pytest.raises(ImageReadError, match="cannot use 1 of 2 images"):
        check_images(paths, mixed_sizes=True)
    assert len(check_images(paths, mixed_sizes=True, read_headers=False)) == 2
    for setting in ({"image_size": 4}, {"color": "rgb"}, {"expected_size": (4, 4)}):
        with pytest.raises(ValueError, match="cannot resize or convert images of mixed sizes"):
            check_images(paths, mixed_sizes=True, **setting)


def test_a_colour_that_is_none() -> None:
    with pytest.raises(ValueError, match=r"^Net expected color to be 'grey', 'rgb' or None, got"):
        check_images(noise(2, 4, 4), name="Net", color="gray")


@pytest.mark.parametrize(
    "y", [["b", "a", "b"], [7, -3, 7], np.array(["b", "a", "b"], dtype=object), [True, False, True]]
)
def test_labels(y: Any) -> None:
    classes, codes = check_labels(y, n_samples=3, name="Net")
    assert_array_equal(classes, np.unique(y))
    assert codes.tolist() == [1, 0, 1]
    assert codes.dtype == np.int64


@pytest.mark.parametrize(
    ("y", "match"),
    [
        (None, "Net requires y to be passed, but the target y is None"),
        ([0.5, 1.25, 0.1], "Unknown label type"),
        ([1.0, np.nan, 0.0], "y contains NaN"),
        ([[0, 1], [1, 0], [1, 1]], "y should be a 1d array"),
        (["a", "b"], "Net expected one label per image, got 3 images and 2 labels"),
    ],
)
def test_bad_labels(y: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        check_labels(y, n_samples=3, name="Net")
