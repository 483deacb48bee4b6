"""analyze_faces and iterate_faces: rows for all photographs, streams, memory, messages."""

import itertools
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from emotion_estimators import FaceCropper, PretrainedEmotionClassifier
from emotion_estimators.analysis import analyze_faces, iterate_faces, table_columns
from emotion_estimators.exceptions import InvalidImagesError
from emotion_estimators.images import read_image
from emotion_estimators.labels import EMOTIONS

BOX = ["x", "y", "width", "height"]


def two_faces(photo):
    """Take the quarters of a photograph for faces, unless it is black."""
    height, width = photo.shape[:2]
    if not photo.any():
        return []
    side = min(height, width) // 2
    return [[0, 0, side, side], [width - side, height - side, side, side]]


@pytest.fixture
def photos():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (60 + 8 * i, 90, 3), dtype=np.uint8) for i in range(5)]


@pytest.fixture
def cropper():
    return FaceCropper(detector=two_faces, image_size=48)


def test_one_row_for_each_face_and_each_photograph_without(photos, cropper, tmp_path):
    Image.fromarray(photos[0]).save(tmp_path / "a.png")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    black = np.zeros((40, 50), np.uint8)
    X = [tmp_path / "a.png", tmp_path / "broken.jpg", black, photos[1], str(tmp_path / "no.jpg")]
    table = analyze_faces([*X, 7], cropper=cropper)
    assert table.columns.tolist() == table_columns(EMOTIONS)
    assert table["row"].tolist() == [0, 0, 1, 2, 3, 3, 4, 5]
    status = ["face", "face", "unreadable", "no face", "face", "face", "unreadable", "unreadable"]
    assert table["status"].tolist() == status
    assert table["face"].dtype == "Int64"
    assert table["face"].fillna(-1).tolist() == [0, 1, -1, -1, 0, 1, -1, -1]
    names = table["image"].tolist()
    assert names[0] == str(tmp_path / "a.png")
    assert names[6] == str(tmp_path / "no.jpg")
    assert pd.isna(names[3])
    assert "damaged" in table["problem"][2]
    assert "No such file" in table["problem"][6]
    assert "expected a path" in table["problem"][7]
    is_face = table["status"] == "face"
    numbers = table[[*BOX, *(f"emotion_{name}" for name in EMOTIONS)]]
    assert (numbers.dtypes == np.float64).all()
    assert numbers[is_face].notna().all(axis=None)
    assert numbers[~is_face].isna().all(axis=None)
    assert table["emotion"][~is_face].isna().all()


def test_probabilities_are_those_of_cropper_and_classifier(photos, cropper):
    table = analyze_faces(photos, cropper=cropper)
    crops = [
        FaceCropper(detector=lambda p, i=i: two_faces(p)[i : i + 1], image_size=48).transform(
            photos
        )
        for i in (0, 1)
    ]
    classifier = PretrainedEmotionClassifier()
    for i in (0, 1):
        rows = table[table["face"] == i]
        expected = classifier.predict_proba(crops[i])
        assert_array_equal(rows[[f"emotion_{name}" for name in EMOTIONS]], expected)
        assert rows["emotion"].tolist() == classifier.predict(crops[i]).tolist()


@pytest.mark.parametrize("setting", [{"on_no_face": "nan"}, {"select": "center"}])
def test_what_is_for_one_crop_of_each_photograph_does_not_matter(photos, setting):
    # enlarged, so that a classifier of smaller images shrinks crops, which rounds uint8 alone
    cropper = FaceCropper(detector=two_faces, image_size=96)
    expected = list(iterate_faces(photos, cropper=cropper))
    assert list(iterate_faces(photos, cropper=cropper.set_params(**setting))) == [
        # scores are NaN, which is equal to nothing but itself
        [row | {"score": pytest.approx(row["score"], nan_ok=True)} for row in rows]
        for rows in expected
    ]


def test_all_forms_give_the_same(photos, cropper):
    same_size = np.stack([photo[:60] for photo in photos])
    expected = analyze_faces(same_size, cropper=cropper)
    for X in (
        list(same_size),
        iter(same_size),
        pd.Series(list(same_size)),
        map(np.copy, same_size),
    ):
        pd.testing.assert_frame_equal(analyze_faces(X, cropper=cropper), expected)
    floats = analyze_faces(same_size / 255, cropper=cropper)
    assert floats["row"].tolist() == expected["row"].tolist()
    # uint8 and float crops differ by the rounding of the first
    assert_allclose(floats["emotion_happy"], expected["emotion_happy"], rtol=0, atol=0.03)


def test_grey_and_colour_uint8_and_float_in_one_stream(photos, cropper):
    X = [photos[0], photos[1][..., 0], photos[2] / 255, photos[3]]
    table = analyze_faces(X, cropper=cropper)
    for i, photo in enumerate(X):
        alone = analyze_faces([photo], cropper=cropper).assign(row=i)
        pd.testing.assert_frame_equal(table[table["row"] == i].reset_index(drop=True), alone)


def test_a_stream_without_end(photos, cropper):
    taken = []

    def frames():
        for i in itertools.count():
            taken.append(i)
            yield photos[i % 5]

    per_frame = list(itertools.islice(iterate_faces(frames(), cropper=cropper), 20))
    assert [rows[0]["row"] for rows in per_frame] == list(range(20))
    assert all([row["face"] for row in rows] == [0, 1] for rows in per_frame)
    assert len(taken) < 100


def test_rows_come_before_the_error_that_ends_the_photographs(photos, cropper):
    def stream():
        yield from photos * 4
        raise OSError("the disk is gone")

    rows = []
    with pytest.raises(OSError, match="the disk is gone"):
        rows.extend(iterate_faces(stream(), cropper=cropper))
    assert repr(rows) == repr(list(iterate_faces(photos * 4, cropper=cropper)))  # nan is not nan


def test_any_classifier_will_do(photos, cropper):
    from sklearn.dummy import DummyClassifier

    dummy = DummyClassifier(strategy="prior").fit(np.zeros((4, 1)), ["b", "b", "b", "a"])
    table = analyze_faces(photos[:1], cropper=cropper, classifier=dummy)
    assert table["emotion"].tolist() == ["b", "b"]
    assert table["emotion_a"].tolist() == [0.25, 0.25]


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (
            lambda _: np.full((1, 2), 0.5),
            r"2 probabilities for each of 4 faces, got shape \(1, 2\)",
        ),
        (lambda X: np.full((len(X), 3), 0.5), r"got shape \(4, 3\)"),
        (lambda X: np.full((len(X), 2), np.nan), "got NaN"),
    ],
)
def test_a_classifier_whose_answers_are_none(photos, cropper, given, match):
    classifier = SimpleNamespace(predict_proba=given, classes_=np.array(["a", "b"]))
    with pytest.raises(ValueError, match=f"Expected predict_proba of SimpleNamespace .*{match}"):
        analyze_faces(photos[:2], cropper=cropper, classifier=classifier)


def test_nothing_at_all():
    table = analyze_faces([], cropper=FaceCropper(detector=two_faces))
    assert len(table) == 0
    assert table.columns.tolist() == table_columns(EMOTIONS)


def test_columns_have_the_same_types_whatever_is_found(photos, cropper):
    some = analyze_faces(["no.jpg", *photos], cropper=cropper)
    for X in ([], [np.zeros((40, 50), np.uint8)], ["no.jpg"]):
        assert analyze_faces(X, cropper=cropper).dtypes.equals(some.dtypes)


def test_messages(photos, cropper):
    from sklearn.exceptions import NotFittedError
    from sklearn.svm import SVC, LinearSVC

    for X, match in (
        ("photo.jpg", r"got one \(photo\.jpg\)\. Pass a list"),
        (photos[0][..., 0], "got a table of shape"),
        (photos[0], "one image with channels, pass X"),
        (Image.fromarray(photos[0]), r"got one \(Image\)"),
        (pd.DataFrame({"path": ["a.jpg"], "age": [3]}), "Pass the column that holds their paths"),
    ):
        with pytest.raises(InvalidImagesError, match=f"analyze_faces expected .*{match}"):
            analyze_faces(X, cropper=cropper)
        with pytest.raises(InvalidImagesError, match=f"iterate_faces expected .*{match}"):
            iterate_faces(X, cropper=cropper)  # at once, before the first row is asked for
    with pytest.raises(TypeError, match=r"iterate_faces expected .* FaceCropper, got type\. Pass"):
        iterate_faces(photos, cropper=FaceCropper)
    with pytest.raises(TypeError, match="has predict_proba, got LinearSVC"):
        iterate_faces(photos, cropper=cropper, classifier=LinearSVC())
    with pytest.raises(NotFittedError, match="SVC instance is not fitted yet"):
        analyze_faces(photos, cropper=cropper, classifier=SVC(probability=True))
    with pytest.raises(ValueError, match="cannot align faces"):
        analyze_faces(photos, cropper=FaceCropper(detector=two_faces, align=True))


def test_real_photographs(data_dir):
    paths = [data_dir / "photos" / name for name in ("multiface.jpg", "no-faces.jpg")]
    table = analyze_faces(paths)
    assert table["status"].tolist() == ["face"] * 6 + ["no face"]
    (faces,) = FaceCropper().detect(paths[:1])
    assert_array_equal(table[BOX][:6], faces.boxes)
    assert (table["emotion"][:6] == "happy").sum() >= 3  # they laugh
    image = read_image(paths[0])
    aligned = analyze_faces([image], cropper=FaceCropper(align=True))
    assert aligned["score"].tolist() == table["score"][:6].tolist()


MEMORY = """
import resource, sys
from emotion_estimators import FaceCropper
from emotion_estimators.analysis import iterate_faces
cropper = FaceCropper(detector=lambda photo: [[10, 10, 50, 50]], n_threads=2)
n = sum(1 for _ in iterate_faces([sys.argv[1]] * int(sys.argv[2]), cropper=cropper))
print(n, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux only")
def test_memory_does_not_grow_with_the_number_of_files(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(np.zeros((700, 900, 3), np.uint8)).save(path)
    peaks = []
    for n in (20, 80):
        command = [sys.executable, "-c", MEMORY, os.fspath(path), str(n)]
        done, peak = subprocess.run(
            command, check=True, capture_output=True, text=True
        ).stdout.split()
        assert int(done) == n
        peaks.append(int(peak) / 1024)
    # 60 more photographs of 1.8 MiB each; the allocator's own spread is some MiB
    assert peaks[1] - peaks[0] < 25


def test_a_file_name_that_is_not_utf_8_is_text_in_the_table(photos, cropper, tmp_path):
    path = os.fsencode(tmp_path) + b"/M\xfcller.png"
    try:
        Image.fromarray(photos[0]).save(path)
    except OSError:
        pytest.skip("this file system takes only names in UTF-8")
    table = analyze_faces([os.fsdecode(path), Path(os.fsdecode(path))], cropper=cropper)
    assert table["status"].unique().tolist() == ["face"]
    assert table["image"].unique().tolist() == [f"{tmp_path}/M\\udcfcller.png"]
    table.to_csv(tmp_path / "table.csv", encoding="utf-8")


def test_what_is_no_path_does_not_fill_the_table(cropper):
    table = analyze_faces(["data:image/png;base64," + "A" * 10**6, "A" * 10**6], cropper=cropper)
    assert table["status"].tolist() == ["unreadable"] * 2
    assert table["problem"].str.contains("base64.b64decode").all()
    assert table[["image", "problem"]].map(len).max().max() < 500
