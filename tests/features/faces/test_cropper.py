"""FaceCropper: both conformance suites, OpenCV's boxes, which face, where it is cut, messages."""

import io
import os
import time

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from sklearn import clone, config_context
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from emotion_estimators import FaceCropper, HOGTransformer, PretrainedEmotionClassifier
from emotion_estimators.exceptions import ImageReadError, InvalidImagesError, WeightsError
from emotion_estimators.features import Faces
from emotion_estimators.features.faces.detection import open_detector
from emotion_estimators.features.faces.geometry import eye_angle
from emotion_estimators.images import read_image, resize_images, to_grey
from emotion_estimators.images.read import decode_image
from emotion_estimators.networks.yunet import YuNet
from emotion_estimators.testing import check_sklearn_estimator, parametrize_with_image_checks

DECLARED = {
    "whole": {"check_skops": "skops asks for trust in the user's function, as it should"},
    "nan": {"check_grid_search": "the classifier that the check puts behind it takes no NaN"},
}


def brightest(photo):
    """Find white squares of 8 px: a box for each, those that start higher first."""
    white = (photo == 255).all(axis=2)
    corners = np.argwhere(white & ~np.roll(white, 1, 0) & ~np.roll(white, 1, 1))
    return [[x, y, 8, 8] for y, x in corners]


def nothing(photo):  # noqa: ARG001
    return None


@pytest.fixture(scope="module")
def photo(data_dir):
    return read_image(data_dir / "photos" / "multiface.jpg")


@pytest.fixture(scope="module")
def astronaut():
    return pytest.importorskip("skimage.data").astronaut()


def _squares(*corners, size=(40, 60)):
    photo = np.zeros((*size, 3), np.uint8)
    for y, x in corners:
        photo[y : y + 8, x : x + 8] = 255
    return photo


def _on_canvas(photo, top, left, size, color=0):
    canvas = np.full((*size, *photo.shape[2:]), color, np.uint8)
    canvas[top : top + photo.shape[0], left : left + photo.shape[1]] = photo
    return canvas


@parametrize_with_image_checks(
    [
        FaceCropper(detector=nothing, on_no_face="whole", image_size=(6, 8)),
        FaceCropper(detector="cascade", on_no_face="nan", image_size=8, color="grey"),
    ],
    expected_failed_checks=lambda cropper: DECLARED[cropper.on_no_face],
)
def test_image_contract(estimator, check):
    check(estimator)


def test_scikit_learn_contract():
    results = check_sklearn_estimator(
        FaceCropper(detector="cascade", image_shape=(1, -1), on_no_face="whole", image_size=(1, 4))
    )
    assert {row["status"] for row in results} == {"passed"}
    assert len(results) >= 40


def test_boxes_are_those_of_opencv(data_dir, photo, astronaut):
    cv2 = pytest.importorskip("cv2", reason="OpenCV is the reference")
    weights = data_dir / "weights" / "face_detection_yunet_2026may.onnx"
    cropper = FaceCropper(max_size=None, min_score=0.6)
    n_faces = []
    for image in (photo, astronaut, photo[:301, 500:], np.fliplr(photo)[3:, 5:]):
        height, width = image.shape[:2]
        reference = cv2.FaceDetectorYN.create(str(weights), "", (width, height), 0.6, 0.3, 5000)
        expected = reference.detect(np.ascontiguousarray(image[..., ::-1]))[1]
        (faces,) = cropper.detect([image])
        # OpenCV works with its own convolutions: 0.01 px is 1e-5 of the coordinates
        assert_allclose(faces.boxes, expected[:, :4], rtol=0, atol=0.01)
        assert_allclose(faces.landmarks.reshape(-1, 10), expected[:, 4:14], rtol=0, atol=0.01)
        assert_allclose(faces.scores, expected[:, 14], rtol=0, atol=1e-4)
        n_faces.append(len(faces))
    assert n_faces == [6, 1, 2, 6]


def test_a_file_of_the_detector_is_the_named_one(data_dir, photo, monkeypatch):
    path = data_dir / "weights" / "face_detection_yunet_2026may.onnx"
    (named,) = FaceCropper().detect([photo])
    monkeypatch.delenv("EMOTION_ESTIMATORS_DATA", raising=False)
    monkeypatch.setenv("EMOTION_ESTIMATORS_OFFLINE", "1")
    for detector in (path, str(path)):
        (faces,) = FaceCropper(detector=detector).detect([photo])
        assert_array_equal(faces.boxes, named.boxes)


def test_faces_of_all_sizes_are_found(astronaut):
    head = Image.fromarray(astronaut[42:222, 144:304])
    boxes = []
    for scale in (0.5, 1, 2, 4, 8, 14):
        size = round(160 * scale), round(180 * scale)
        for max_size in (1024, None):
            (faces,) = FaceCropper(max_size=max_size).detect([np.asarray(head.resize(size))])
            assert len(faces) >= 1
            boxes.append(faces.boxes[np.argmax(faces.boxes[:, 2])] / scale)
    # of a face 85 px wide: the detector's own spread over sizes
    assert_allclose(boxes, np.broadcast_to(np.median(boxes, axis=0), (12, 4)), rtol=0, atol=9)


@pytest.mark.parametrize("parameters", [{}, {"align": True}, {"margin": 0.3, "color": "grey"}])
def test_the_same_photograph_on_a_larger_canvas_gives_the_same_crop(photo, parameters):
    part = photo[100:500, 350:800]  # with one face that is largest, well inside
    (plain,) = FaceCropper(**parameters).transform([part])
    for top, left, size in ((0, 0, (450, 900)), (7, 13, (430, 510)), (901, 640, (1500, 1600))):
        for color in (0, 255):
            canvas = _on_canvas(part, top, left, size, color)
            (crop,) = FaceCropper(**parameters).transform([canvas])
            assert_array_equal(crop, plain)


def test_a_box_at_an_offset_gives_the_same_crop():
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 255, (50, 70, 3), dtype=np.uint8)
    landmarks = [25.3, 20.1, 34.2, 22.7, 30, 27, 26, 31, 33, 32]
    for align in (False, True):
        crops = []
        for dy, dx in ((0, 0), (1, 0), (5, 9), (30, 17)):
            offset = np.tile([dx, dy], 5)
            row = [20.26 + dx, 14.5 + dy, 19.3, 22.5, *(landmarks + offset), 0.9]
            cropper = FaceCropper(
                detector=lambda _, row=row: [row], align=align, image_size=(12, 10)
            )
            crops.append(cropper.transform([_on_canvas(photo, dy, dx, (90, 100), 9)])[0])
        for crop in crops:
            assert_array_equal(crop, crops[0])


def test_crop_is_the_square_around_the_box():
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)
    box = [20, 10, 12, 20]  # centre (26, 20), longer side 20

    def crop(**parameters):
        return FaceCropper(detector=lambda _: [box], **parameters).transform([photo])[0]

    assert_array_equal(crop(image_size=20), photo[10:30, 16:36])
    assert_array_equal(crop(image_size=24, margin=0.2), photo[8:32, 14:38])
    assert_array_equal(crop(image_size=(20, 40)), photo[10:30, 6:46])
    assert_array_equal(crop(image_size=(40, 20)), photo[0:40, 16:36])
    assert_array_equal(crop(image_size=20, color="grey"), to_grey(photo[10:30, 16:36]))
    assert_array_equal(
        crop(image_size=7), resize_images(photo[10:30, 16:36], (7, 7), channels=True)
    )
    beyond = np.pad(photo, ((20, 20), (20, 20), (0, 0)), mode="edge")[10:70, 16:76]
    assert_array_equal(crop(image_size=60, margin=2), beyond)


def test_align_turns_until_the_eyes_are_level(astronaut):
    upright = Image.fromarray(astronaut[0:300, 80:400])
    cropper = FaceCropper(align=True, image_size=64)
    (level,) = cropper.transform([upright]).astype(float)
    for turn in (-30, -20, 10, 30):
        (crop,) = cropper.transform([upright.rotate(turn, Image.Resampling.BICUBIC)])
        plain = FaceCropper(image_size=64).transform(
            [upright.rotate(turn, Image.Resampling.BICUBIC)]
        )[0]
        inner = np.s_[12:-12, 12:-12]  # boxes of turned faces are larger by some pixels
        error = _least_difference(level, crop, inner)
        assert error < 0.75 * _least_difference(level, plain, inner)


def _least_difference(a, b, inner):
    """Return the root mean square difference at the best offset of up to 6 px."""
    shifts = np.arange(-6, 7)
    moved = [np.roll(b.astype(float), (dy, dx), (0, 1))[inner] for dy in shifts for dx in shifts]
    return min(np.sqrt(np.mean((a[inner] - m) ** 2)) for m in moved)


def test_eyes_of_turned_faces_are_found_level(photo):
    detector = open_detector("test", "yunet", min_score=0.5)
    errors = []
    for y, x in ((250, 660), (520, 760), (300, 265)):
        part = Image.fromarray(photo[y - 130 : min(630, y + 130), x - 130 : x + 130])
        angles = []
        for turn in (0, -30, -15, 15, 30):
            image = np.asarray(part.rotate(turn, Image.Resampling.BICUBIC))
            (faces,) = FaceCropper(min_score=0.5).detect([image])
            middle = np.abs(faces.boxes[:, :2] + faces.boxes[:, 2:] / 2 - 130).sum(axis=1)
            angle = eye_angle(detector, image, faces, int(middle.argmin()))
            angles.append(np.degrees(angle) + turn)
        errors += np.abs(np.array(angles[1:]) - angles[0]).tolist()
    assert np.mean(errors) < 3  # degrees
    assert np.max(errors) < 8


def test_aligned_crop_is_that_of_pillow():
    y, x = np.mgrid[:120, :160]
    photo = (127 + 60 * np.sin(x / 7) + 60 * np.cos(y / 9)).astype(np.uint8)
    photo = np.stack([photo, photo[::-1], photo[:, ::-1]], axis=2)
    angle = 20.0
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    row = [60, 40, 40, 40, 70, 50, 70 + 20 * cos, 50 + 20 * sin, *[0] * 6, 1.0]
    cropper = FaceCropper(detector=lambda _: [row], align=True, image_size=40)
    (crop,) = cropper.transform([photo])
    # Pillow turns about the centre of the box, (80, 60), and samples once at each pixel
    turned = Image.fromarray(photo).rotate(
        angle, Image.Resampling.BILINEAR, center=(80, 60), expand=False
    )
    assert_allclose(crop, np.asarray(turned)[40:80, 60:100], rtol=0, atol=1.01)  # rounding


def test_select():
    rows = [[5, 5, 20, 20, 0.8], [60, 40, 10, 10, 0.95], [45, 25, 12, 14, 0.85]]
    photo = np.zeros((60, 100, 3), np.uint8)
    for i, (x, y, width, height, _) in enumerate(rows):
        photo[y : y + height, x : x + width] = i + 1
    for select, expected in (("largest", 1), ("score", 2), ("center", 3)):
        cropper = FaceCropper(detector=lambda _: rows, select=select, image_size=4)
        assert cropper.transform([photo])[0, 2, 2, 0] == expected
    cropper = FaceCropper(detector=lambda _: rows, min_score=0.9)
    assert cropper.detect([photo])[0].scores.tolist() == [0.95]


def test_no_face():
    photos = [_squares((3, 4)), _squares(), _squares((20, 30)), _squares()]
    cropper = FaceCropper(detector=brightest, image_size=8)
    with pytest.raises(InvalidImagesError, match=r"row 1 \(ndarray\) shows no face") as caught:
        cropper.fit(photos).transform(photos)
    assert [row for row, _ in caught.value.failures] == [1, 3]
    whole = cropper.set_params(on_no_face="whole").transform(photos)
    assert whole.dtype == np.uint8
    assert whole.max(axis=(1, 2, 3)).tolist() == [255, 0, 255, 0]
    for given, dtype in ((photos, np.float32), ([p / 255 for p in photos], np.float64)):
        crops = cropper.set_params(on_no_face="nan").transform(given)
        assert crops.dtype == dtype
        assert np.isnan(crops).all(axis=(1, 2, 3)).tolist() == [False, True, False, True]
        assert (crops[::2] == 1).all()


def test_photographs_and_missing_files_are_named_together(tmp_path):
    Image.fromarray(_squares((3, 4))).save(tmp_path / "face.png")
    Image.fromarray(_squares()).save(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("no image")
    paths = [tmp_path / name for name in ("face.png", "none.png", "text.png", "missing.png")]
    cropper = FaceCropper(detector=brightest, n_threads=3)
    with pytest.raises(ImageReadError, match=r"row 1 .*none\.png.*no face") as caught:
        cropper.transform(paths)
    assert [row for row, _ in caught.value.failures] == [1, 2, 3]
    assert all(str(paths[row]) in reason for row, reason in caught.value.failures)
    with pytest.raises(ImageReadError, match=r"cannot use 2 of 4 images") as caught:
        cropper.fit(paths)
    assert [row for row, _ in caught.value.failures] == [2, 3]


def test_real_photographs_without_a_face(data_dir):
    paths = [data_dir / "photos" / name for name in ("multiface.jpg", "no-faces.jpg")]
    cropper = FaceCropper()
    assert [len(faces) for faces in cropper.detect(paths)] == [6, 0]
    with pytest.raises(InvalidImagesError, match=r"row 1 .*no-faces\.jpg"):
        cropper.transform(paths)
    proba = make_pipeline(
        FaceCropper(on_no_face="whole"), PretrainedEmotionClassifier()
    ).predict_proba(paths)
    assert proba.shape == (2, 7)


def test_float_photographs_have_the_boxes_of_uint8(photo):
    cropper = FaceCropper()
    expected, *others = cropper.detect([photo]) + [
        cropper.detect([(photo / 255).astype(dtype)])[0] for dtype in (np.float32, np.float64)
    ]
    for faces in others:
        assert_array_equal(faces.boxes, expected.boxes)


def test_exif_orientation_is_applied(photo):
    part = photo[100:500, 350:800]
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[274] = 6  # the file holds the photograph turned to the left
    Image.fromarray(np.rot90(part)).save(stream, "png", exif=exif)
    cropper = FaceCropper()
    assert_array_equal(cropper.transform([stream.getvalue()]), cropper.transform([part]))


def test_jpeg_drafts_change_boxes_by_two_pixels_at_most(
    data_dir,  # noqa: ARG001 - holds the detector
    photo,
    tmp_path,
    monkeypatch,
):
    paths, images = [], []
    for i, width in enumerate((2048, 3000, 5000)):
        image = Image.fromarray(photo).resize((width, round(width * 0.525)))
        exif = Image.Exif()
        exif[274] = 8 if i == 1 else 1
        paths.append(tmp_path / f"{width}.jpg")
        (image.rotate(-90, expand=True) if i == 1 else image).save(paths[-1], exif=exif, quality=92)
        images.append(read_image(paths[-1]))
    plain, draft = FaceCropper(), FaceCropper(jpeg_draft=True)
    for image, a, b in zip(images, plain.detect(paths), draft.detect(paths), strict=True):
        assert len(a) == len(b) == 6
        scale = 1024 / max(image.shape)
        order_a, order_b = np.argsort(a.boxes[:, 0]), np.argsort(b.boxes[:, 0])
        assert np.abs(a.boxes[order_a] - b.boxes[order_b]).max() * scale < 2
    sides = []

    def decode(source, *, min_side=None):
        sides.append(min_side)
        return decode_image(source, min_side=min_side)

    monkeypatch.setattr("emotion_estimators.images.loader.decode_image", decode)
    draft.set_params(n_threads=1)
    # the faces have 85 px and more in the drafts: enough for the small crops only
    for image_size, n_decoded in ((64, 1), (160, 2)):
        sides.clear()
        crops = draft.set_params(image_size=image_size).transform(paths)
        assert sides == [1024, None][:n_decoded] * 3
        # crops of boxes that lie a pixel or two elsewhere
        expected = plain.set_params(image_size=image_size).transform(images)
        assert np.abs(crops.astype(int) - expected).mean() < 8


def test_results_do_not_depend_on_threads_and_neighbours(photo):
    parts = [photo[:, left : left + 400] for left in (150, 380, 560, 700, 780)] * 4
    alone = np.stack([FaceCropper(n_threads=1).transform([part])[0] for part in parts])
    for n_threads in (1, 2, 5):
        assert_array_equal(FaceCropper(n_threads=n_threads).transform(parts), alone)


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_crops_stay_images_where_a_pipeline_is_to_give_tables(container):
    library = pytest.importorskip(container, reason="the tables are those of another library")
    X = [_squares((9, 9)), _squares((20, 30))]
    steps = FaceCropper(detector=brightest, image_size=16), HOGTransformer(cells_per_block=(1, 1))
    pipeline = make_pipeline(*steps, StandardScaler())
    expected = clone(pipeline).fit_transform(X)
    table = clone(pipeline).set_output(transform=container).fit_transform(X)
    with config_context(transform_output=container):
        by_config = clone(pipeline).fit_transform(X)
    for found in (table, by_config):
        assert isinstance(found, library.DataFrame)
        assert_array_equal(found.to_numpy(), expected)
        assert (
            list(found.columns)
            == steps[1].fit(steps[0].transform(X)).get_feature_names_out().tolist()
        )
    cropper = clone(steps[0]).set_output(transform=container)
    assert_array_equal(cropper.fit_transform(X), steps[0].transform(X))


def test_an_index_of_pandas_goes_through():
    index = ["a", "b"]
    X = pd.Series([_squares((9, 9)), _squares((20, 30))], index=index, name="photograph")
    steps = FaceCropper(detector=brightest, image_size=16), HOGTransformer(cells_per_block=(1, 1))
    crops = steps[0].fit_transform(X)
    assert isinstance(crops, np.ndarray)
    expected = steps[1].fit_transform(crops)
    for form in (X, X.to_frame()):
        column = clone(steps[0]).set_output(transform="pandas").fit_transform(form)
        assert column.columns.tolist() == ["face"]
        assert column.index.tolist() == index
        assert_array_equal(np.stack(column["face"]), crops)
        assert isinstance(
            clone(steps[0]).set_output(transform="polars").fit_transform(form), np.ndarray
        )
    table = X.to_frame().assign(age=[3.0, 5.0])
    both = make_column_transformer(
        (make_pipeline(*steps), "photograph"), (StandardScaler(), ["age"])
    ).set_output(transform="pandas")
    found = both.fit_transform(table)
    assert found.index.tolist() == index
    assert_array_equal(found.to_numpy()[:, :-1], expected)
    assert_array_equal(both.transform(table[1:]), found[1:])


def test_what_comes_out_is_a_face():
    X = [_squares((9, 9)), _squares((20, 30))]
    cropper = FaceCropper(detector=brightest, image_size=16)
    assert cropper.get_feature_names_out().tolist() == ["face"]
    column = pd.DataFrame({"photograph": X})
    cropper.fit(column)
    assert cropper.get_feature_names_out(["photograph"]).tolist() == ["face"]
    with pytest.raises(ValueError, match="input_features is not equal to feature_names_in_"):
        cropper.get_feature_names_out(["face"])
    names = make_pipeline(cropper, HOGTransformer(cells_per_block=(1, 1))).fit(column)[:1]
    assert names.get_feature_names_out().tolist() == ["face"]


def test_callables():
    photo = _squares((3, 4), (20, 30))
    assert [len(faces) for faces in FaceCropper(detector=nothing).detect([photo])] == [0]
    for rows in ([], np.empty((0, 4)), np.empty((0, 15))):
        assert len(FaceCropper(detector=lambda _, rows=rows: rows).detect([photo])[0]) == 0
    seen = []
    cropper = FaceCropper(detector=lambda p: seen.append(p) or [[1, 2, 4, 6]], max_size=30)
    (faces,) = cropper.detect([np.full((60, 120), 0.5)])
    assert seen[0].shape == (15, 30, 3)
    assert seen[0].dtype == np.uint8
    assert faces.boxes.tolist() == [[4, 8, 16, 24]]
    assert np.isnan(faces.scores).all()
    made = Faces.from_rows([[1, 2, 3, 4]])
    assert FaceCropper(detector=lambda _: made).detect([photo])[0].boxes.tolist() == [[1, 2, 3, 4]]


def test_photographs_up_to_a_quarter_above_max_size_are_searched_as_they_are():
    seen = []

    def look(photo):
        seen.append(photo.shape)
        return [[8, 4, 20, 10]]

    cropper = FaceCropper(detector=look, max_size=80)
    boxes = [cropper.detect([np.full((50, width), 9, np.uint8)])[0].boxes for width in (100, 101)]
    assert seen == [(50, 100, 3), (40, 80, 3)]
    assert boxes[0].tolist() == [[8, 4, 20, 10]]
    # 101 / 80 and 50 / 40 times as large
    assert_allclose(boxes[1], [[10.1, 5, 25.25, 12.5]], rtol=1e-12)


def test_messages(tmp_path):
    photos = [_squares((3, 4))]
    cases = [
        ({"detector": "mtcnn"}, ValueError, "expected detector to be 'yunet', 'cascade', the path"),
        ({"detector": tmp_path / "no.onnx"}, FileNotFoundError, "there is no such file"),
        ({"detector": "cascade", "align": True}, ValueError, "cannot align faces"),
        ({"detector": "cascade", "select": "score"}, ValueError, "cannot select by score"),
        ({"detector": brightest, "align": True}, ValueError, "gave no landmarks"),
        ({"detector": lambda _: [[1, 2, 3]]}, ValueError, r"cannot use what detector=.*\(1, 3\)"),
        ({"detector": lambda _: [[1, 2, 0, 3]]}, ValueError, "width and height above 0"),
        ({"detector": brightest, "image_size": (3, 0)}, ValueError, "image_size"),
        ({"detector": brightest, "margin": -1}, ValueError, "'margin' parameter"),
    ]
    for parameters, error, match in cases:
        with pytest.raises(error, match=match):
            FaceCropper(**parameters).transform(photos)
    other = tmp_path / "other.onnx"
    other.write_bytes(b"no network")
    with pytest.raises(WeightsError, match=r"other\.onnx: is not a model in ONNX"):
        FaceCropper(detector=other).fit(photos)


def test_another_network_is_refused():
    from emotion_estimators.weights import embedded_weights

    with pytest.raises(WeightsError, match="expected YuNet"):
        FaceCropper(detector=embedded_weights()).fit([_squares()])


def test_a_detector_of_another_grid_is_refused():
    class OneCell:
        def run(self, names, _):
            values = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
            return [np.ones((1, 1, values[name.partition("_")[0]]), np.float32) for name in names]

    with pytest.raises(
        WeightsError, match=r"YuNet gave outputs of shape \(1, 1, 1\).*\(1, 96, 1\)"
    ):
        YuNet(OneCell(), "input", None).candidates(np.zeros((64, 96, 3), np.uint8), 0.5)


def test_the_detector_comes_with_the_package(astronaut, tmp_path, monkeypatch):
    monkeypatch.delenv("EMOTION_ESTIMATORS_DATA", raising=False)
    monkeypatch.setenv("EMOTION_ESTIMATORS_CACHE", os.fspath(tmp_path))
    monkeypatch.setenv("EMOTION_ESTIMATORS_OFFLINE", "1")
    (faces,) = FaceCropper().detect([astronaut])
    ((x, y, width, height),) = faces.boxes
    assert x < 223 < x + width  # the tip of her nose
    assert y < 125 < y + height


def test_cascade_finds_faces(astronaut):
    (faces,) = FaceCropper(detector="cascade").detect([astronaut])
    assert faces.landmarks is None
    assert np.isnan(faces.scores).all()
    x, y, width, height = faces.boxes[np.argmax(faces.boxes[:, 2])]
    assert x < 223 < x + width  # the tip of the nose
    assert y < 125 < y + height
    assert FaceCropper(detector="cascade", image_size=50).transform([astronaut]).shape == (
        1, 50, 50, 3,
    )  # fmt: skip


@pytest.mark.parametrize(("color", "shape"), [("rgb", (0, 4, 6, 3)), ("grey", (0, 4, 6))])
def test_no_face_gives_no_crop_of_the_right_shape(color, shape):
    cropper = FaceCropper(detector=lambda _: None, image_size=(4, 6), color=color)
    faces, crops = cropper.prepare().crops(np.zeros((20, 30, 3), np.uint8))
    assert len(faces) == 0
    assert crops.shape == shape


def test_a_line_of_millions_of_pixels():
    line = np.zeros((4_000_000, 1), np.uint8)
    line[-1] = 255
    cropper = FaceCropper(image_size=32, on_no_face="nan", n_threads=1).fit([line])
    started = time.process_time()
    assert np.isnan(cropper.transform([line])).all()
    assert time.process_time() - started < 3
