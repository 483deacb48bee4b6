"""HOGTransformer: both conformance suites, scikit-image's numbers, names, messages."""

import os
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from skimage.feature import hog
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from emotion_estimators import HOGTransformer
from emotion_estimators.datasets import make_faces
from emotion_estimators.exceptions import ImageReadError, InvalidImagesError
from emotion_estimators.features.hog import hog_transformer, kernel
from emotion_estimators.images import resize_images
from emotion_estimators.testing import (
    check_image_estimator,
    check_sklearn_estimator,
    parametrize_with_image_checks,
)

# scikit-image sums cells in float32; 1e-6 is what that leaves of numbers in 0..1
TOLERANCE = 1e-6

SETTINGS = [
    {},
    {"cells_per_block": (2, 2), "orientations": 8, "block_norm": "L1"},
    {"pixels_per_cell": (6, 10), "cells_per_block": (1, 2), "block_norm": "L1-sqrt"},
    {"pixels_per_cell": (5, 5), "block_norm": "L2", "transform_sqrt": True, "orientations": 12},
]


@pytest.fixture(scope="module")
def grey():
    return make_faces(5, image_size=(40, 50), random_state=0)[0]


@pytest.fixture(scope="module")
def rgb():
    return make_faces(5, image_size=(40, 50), color="rgb", random_state=0)[0]


def _reference(images, **settings):
    channel_axis = -1 if images.ndim == 4 else None
    settings.setdefault("cells_per_block", (3, 3))
    return np.array([hog(image, channel_axis=channel_axis, **settings) for image in images])


def _as(images, dtype):
    return images if dtype == "uint8" else (images / 255).astype(dtype)


@parametrize_with_image_checks(
    [
        HOGTransformer(),
        HOGTransformer(image_size=(24, 32), dtype="float32", transform_sqrt=True, n_threads=2),
    ]
)
def test_image_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize("image_shape", [None, (1, -1)])
def test_scikit_learn_contract(image_shape):
    smallest = HOGTransformer(
        image_shape=image_shape, pixels_per_cell=(1, 1), cells_per_block=(1, 1)
    )
    results = check_sklearn_estimator(smallest)
    assert {row["status"] for row in results} == {"passed"}
    assert len(results) >= 45


def test_pipeline_keeps_the_image_contract():
    pipeline = make_pipeline(
        HOGTransformer(cells_per_block=(1, 1), orientations=4), LinearSVC(random_state=0)
    )
    # LinearSVC multiplies the whole batch at once, and BLAS sums in another order for other
    # sizes: 1e-12 allows for some thousand roundings of numbers near 1
    results = check_image_estimator(pipeline, batch_tolerance=1e-12, on_skip="raise")
    assert {row["status"] for row in results} == {"passed"}


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("settings", SETTINGS)
def test_equals_scikit_image(grey, rgb, settings, dtype):
    for stack in (grey, rgb):
        images = _as(stack, dtype)
        got = HOGTransformer(**settings).fit_transform(images)
        assert got.dtype == (np.float32 if dtype == "float32" else np.float64)
        assert_allclose(got, _reference(images, **settings), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("dtype", ["uint8", "float64"])
def test_rows_are_taken_as_they_come(grey, dtype):
    images = grey if dtype == "uint8" else np.random.default_rng(0).normal(size=grey.shape) * 9
    transformer = HOGTransformer(image_shape=(40, -1))
    got = transformer.fit_transform(images.reshape(len(images), -1))
    assert_allclose(got, _reference(images), rtol=0, atol=TOLERANCE)
    assert transformer.n_features_in_ == 40 * 50
    assert transformer.image_size_ == (40, 50)


@pytest.mark.parametrize("settings", [{}, {"pixels_per_cell": (5, 10), "orientations": 4}])
def test_hog_image_equals_scikit_image(grey, rgb, settings):
    for images in (grey, _as(rgb, "float64")):
        expected = [
            hog(image, visualize=True, channel_axis=-1 if image.ndim == 3 else None, **settings)[1]
            for image in images
        ]
        transformer = HOGTransformer(**settings).fit(images)
        pictures = transformer.hog_image(images)
        assert pictures.shape == images.shape[:3]
        # cells are sums in float32, of numbers up to some hundreds for uint8
        assert_allclose(pictures, expected, rtol=1e-6, atol=1e-6)


def test_feature_names_are_in_order():
    images = np.zeros((1, 40, 48), dtype=np.uint8)
    images[0, 8 + 4, 16 + 4] = 255  # all its gradients lie in the cell of row 1, column 2
    transformer = HOGTransformer(cells_per_block=(2, 3)).fit(images)
    values = transformer.transform(images)[0]
    names = transformer.get_feature_names_out()
    assert len(names) == len(values) == len(set(names))
    # a bright dot has edges to its sides, at 0 degrees, and above and below, at 90
    expected = {
        f"hog_block{1 - row}_{2 - column}_cell{row}_{column}_bin{angle * 9 // 180}"
        for row in (0, 1)
        for column in (0, 1, 2)
        for angle in (0, 90)
    }
    assert set(names[values > 0]) == expected


def test_feature_names_need_fit():
    with pytest.raises(NotFittedError, match="does not know the image size before fit"):
        HOGTransformer().get_feature_names_out()


def test_set_output_keeps_the_index_of_a_frame(grey):
    pd = pytest.importorskip("pandas")
    rows = pd.DataFrame(grey.reshape(5, -1), index=list("edcba"))
    rows.columns = [f"pixel{i}" for i in range(rows.shape[1])]
    transformer = HOGTransformer(image_shape=(40, 50)).set_output(transform="pandas")
    frame = transformer.fit_transform(rows)
    assert list(frame.index) == list("edcba")
    assert list(frame.columns) == list(transformer.get_feature_names_out())
    assert_array_equal(frame.to_numpy(), HOGTransformer().fit_transform(grey))


def test_needs_no_fit(grey):
    expected = HOGTransformer().fit(grey).transform(grey)
    unfitted = HOGTransformer()
    assert_array_equal(unfitted.transform(grey), expected)
    assert not hasattr(unfitted, "image_size_")
    # without a fit there is no size to compare with
    assert unfitted.transform(grey[:, :32]).shape[1] < expected.shape[1]


@pytest.mark.parametrize("dtype", ["float32", "float64", np.float32, np.dtype("float64")])
@pytest.mark.parametrize("pixels", ["uint8", "float32", "float64"])
def test_dtype(grey, dtype, pixels):
    images = _as(grey, pixels)
    got = HOGTransformer(dtype=dtype).fit_transform(images)
    assert got.dtype == dtype
    assert_allclose(got, _reference(images), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("n_threads", [2, 5, None])
def test_threads_change_nothing(n_threads, monkeypatch):
    monkeypatch.setattr(kernel, "_THREAD_BYTES", 1000)
    images, _ = make_faces(70, image_size=48, color="rgb", random_state=0)
    one, more = HOGTransformer(n_threads=1), HOGTransformer(n_threads=n_threads)
    for stack in (images, images[:3], _as(images, "float64")):
        assert_array_equal(more.fit_transform(stack), one.fit_transform(stack))


@pytest.mark.parametrize("settings", [*SETTINGS, {"dtype": "float32", "image_size": 60}])
def test_errors_of_numpy_that_the_caller_has_turned_on_change_nothing(grey, settings):
    transformer = HOGTransformer(**settings)
    # black, faint so that squares and single precision underflow, and as they come
    for images in (grey, grey * 0, *(_as(grey, "float64") * by for by in (1, 1e-30, 1e-300))):
        expected = transformer.fit_transform(images), transformer.hog_image(images)
        with np.errstate(all="raise"):  # warnings are errors in all tests
            got = transformer.fit_transform(images), transformer.hog_image(images)
        for one, other in zip(got, expected, strict=True):
            assert_array_equal(one, other)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
def test_a_process_forked_after_a_description_describes():
    code = """
import os, numpy as np
from emotion_estimators import HOGTransformer
from emotion_estimators.features.hog import kernel
kernel._THREAD_BYTES = 1000
X = np.random.default_rng(0).integers(0, 256, (40, 48, 48), dtype=np.uint8)
transformer = HOGTransformer(n_threads=2)
expected = transformer.fit_transform(X)
child = os.fork()
if child == 0:
    same = np.array_equal(transformer.transform(X), expected)
    other = transformer.transform(X[:, ::-1])
    same &= np.array_equal(other, HOGTransformer().transform(X[:, ::-1]))
    os._exit(0 if same else 3)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stdout.split() == ["0"], done.stderr


@pytest.mark.parametrize("image_size", [32, (32, 32), (24, 40)])
def test_image_size_resizes(grey, rgb, image_size):
    size = (image_size, image_size) if isinstance(image_size, int) else image_size
    transformer = HOGTransformer(image_size=image_size)
    expected = _reference(resize_images(grey, size))
    assert_allclose(transformer.fit_transform(grey), expected, rtol=0, atol=TOLERANCE)
    assert transformer.image_size_ == size
    expected = _reference(resize_images(rgb, size, channels=True))
    assert_allclose(transformer.fit_transform(rgb), expected, rtol=0, atol=TOLERANCE)
    mixed = [grey[0], grey[1, :33, :44]]
    assert_array_equal(transformer.transform(mixed)[:1], transformer.transform(grey[:1]))


def test_grey_and_colour_files_in_one_list(grey, rgb):
    mixed = [grey[0], rgb[1], grey[2]]
    got = HOGTransformer().fit_transform(mixed)
    assert_array_equal(got[[0, 2]], HOGTransformer().fit_transform(grey[[0, 2]]))
    assert_array_equal(got[[1]], HOGTransformer().fit_transform(rgb[[1]]))


def test_paths_are_decoded_in_batches(grey, tmp_path, monkeypatch):
    paths = []
    for row, image in enumerate(grey):
        paths.append(tmp_path / f"{row}.png")
        Image.fromarray(image).save(paths[-1])
    expected = HOGTransformer().fit_transform(grey)
    held = []
    describe = hog_transformer.hog_descriptors

    def spy(images, **settings):
        held.append(len(images))
        return describe(images, **settings)

    monkeypatch.setattr(hog_transformer, "hog_descriptors", spy)
    monkeypatch.setattr(hog_transformer, "_BATCH_PIXELS", 2 * 40 * 50)
    assert_array_equal(HOGTransformer().fit_transform(paths), expected)
    assert held == [2, 2, 1]


def test_unreadable_files_of_several_batches_are_named(grey, tmp_path, monkeypatch):
    monkeypatch.setattr(hog_transformer, "_BATCH_PIXELS", 2 * 40 * 50)
    Image.fromarray(grey[0]).save(tmp_path / "good.png")
    paths = [tmp_path / "good.png"] * 7
    paths[2], paths[6] = tmp_path / "no.png", tmp_path / "neither.png"
    with pytest.raises(ImageReadError, match=r"(?s)2 of 7 images.*row 2.*no.png.*row 6.*neither"):
        HOGTransformer(image_size=(40, 50)).transform(paths)


def test_message_for_small_images():
    match = (
        r"HOGTransformer needs images of at least 16 x 16 px for pixels_per_cell=\(8, 8\), "
        r"cells_per_block=\(2, 2\), got 12 x 48\."
    )
    transformer = HOGTransformer(cells_per_block=(2, 2))
    images = np.zeros((3, 12, 48), dtype=np.uint8)
    for call in (transformer.fit, transformer.transform, transformer.hog_image):
        with pytest.raises(InvalidImagesError, match=match):
            call(images)


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        ({"pixels_per_cell": (1, 1), "orientations": 1000}, (100, 100)),
        ({"pixels_per_cell": (1, 1), "cells_per_block": (300, 300)}, (320, 320)),
        ({"image_size": 100_000}, (50, 50)),
    ],
)
def test_a_descriptor_is_bounded_before_memory_is_taken(settings, size):
    images = np.zeros((2, *size), np.uint8)
    match = r"at most 67,108,864 values, got [\d,]+ for images of \d+ x \d+ px, .*Set a smaller"
    transformer = HOGTransformer(**settings)
    for call in (transformer.fit, transformer.transform, transformer.hog_image):
        with pytest.raises(InvalidImagesError, match=match):
            call(images)


def test_a_descriptor_at_the_bound(monkeypatch):
    images = np.zeros((1, 24, 24), np.uint8)
    monkeypatch.setattr(hog_transformer, "_MAX_FEATURES", 81)
    assert HOGTransformer().fit_transform(images).shape == (1, 81)
    monkeypatch.setattr(hog_transformer, "_MAX_FEATURES", 80)
    with pytest.raises(InvalidImagesError, match="at most 80 values, got 81"):
        HOGTransformer().fit(images)


def test_message_for_one_image_taken_for_a_batch():
    with pytest.raises(InvalidImagesError, match=r"X\[numpy.newaxis\]"):
        HOGTransformer().fit(np.zeros((48, 48, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"pixels_per_cell": (8, 0)}, r"pixels_per_cell .* at least 1, got \(8, 0\)"),
        ({"pixels_per_cell": (8,)}, r"pixels_per_cell .* at least 1, got \(8,\)"),
        ({"cells_per_block": [2, 1.5]}, r"cells_per_block .* at least 1, got \[2, 1.5\]"),
        ({"pixels_per_cell": 0}, "The 'pixels_per_cell' parameter of HOGTransformer must be"),
        ({"orientations": 0}, "The 'orientations' parameter of HOGTransformer must be"),
        ({"orientations": 10**6}, r"must be an int in the range \[1, 1000\]. Got 1000000 instead"),
        ({"block_norm": "L3"}, "The 'block_norm' parameter of HOGTransformer must be"),
        ({"dtype": "int8"}, "The 'dtype' parameter of HOGTransformer must be"),
        ({"dtype": np.int32}, "HOGTransformer expected dtype to be float32, float64 or None"),
        ({"image_size": (48, 0)}, r"HOGTransformer expected image_size .* got \(48, 0\)"),
        ({"n_threads": 0}, "The 'n_threads' parameter of HOGTransformer must be"),
    ],
)
def test_bad_parameters(grey, settings, match):
    for method in ("fit", "transform", "hog_image"):  # no fit need have come before
        with pytest.raises(ValueError, match=match):
            getattr(HOGTransformer(**settings), method)(grey)


def test_square_root_of_negative_rows(monkeypatch):
    rows = np.random.default_rng(0).uniform(size=(7, 24 * 24))
    rows[[1, 5], 3] = -0.5
    transformer = HOGTransformer(image_shape=(24, 24), transform_sqrt=True).fit(rows)
    monkeypatch.setattr(hog_transformer, "_BATCH_PIXELS", 2 * 24 * 24)
    match = r"(?s)HOGTransformer cannot use 2 of 7.*row 1 holds -0.5, transform_sqrt.*row 5 holds"
    for call in (transformer.transform, transformer.hog_image):
        with pytest.raises(InvalidImagesError, match=match):
            call(rows)


def test_constructing_loads_no_heavy_library():
    code = (
        "import sys; import emotion_estimators; heavy = {'skimage', 'matplotlib', 'torch', "
        "'sklearn'}; print(sorted(heavy & set(sys.modules))); "
        "emotion_estimators.HOGTransformer(n_threads=2); "
        "print(sorted((heavy - {'sklearn'}) & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["[]", "[]"]


def test_cells_and_blocks_by_their_side(grey):
    by_side = HOGTransformer(pixels_per_cell=6, cells_per_block=2).fit_transform(grey)
    pairs = HOGTransformer(pixels_per_cell=(6, 6), cells_per_block=[2, 2]).fit_transform(grey)
    np.testing.assert_array_equal(by_side, pairs)
