"""draw_faces, FacesDisplay and OcclusionDisplay."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from emotion_estimators import FaceCropper, PretrainedEmotionClassifier
from emotion_estimators.analysis import analyze_faces
from emotion_estimators.datasets import load_image_folder
from emotion_estimators.exceptions import ImageReadError
from emotion_estimators.inspection import FacesDisplay, OcclusionDisplay, draw_faces

ROW = {"row": 0, "status": "face", "x": 30.0, "y": 40.0, "width": 40.0, "height": 50.0}
ROW |= {"emotion": "sad", "emotion_happy": 0.2, "emotion_sad": 0.8}


def test_a_box_is_drawn_around_the_face_and_not_into_it():
    photo = np.full((160, 200), 128, np.uint8)
    drawn = draw_faces(photo, [ROW])
    assert drawn.shape == (160, 200, 3)
    assert (photo == 128).all()
    changed = (drawn != 128).any(axis=2)
    assert changed[40:91, 30].all()
    assert changed[40:91, 70].all()
    assert changed[40, 30:71].all()
    assert changed[90, 30:71].all()
    assert not changed[42:89, 32:69].any()
    assert changed[25:40, 30:60].any()  # the label, above
    assert not changed[92:].any()


@pytest.mark.parametrize("place", [{"x": -10.0, "y": -10.0}, {"x": 180.0, "y": 141.0}])
def test_a_face_at_the_edge_is_drawn_within_the_photograph(place):
    drawn = draw_faces(np.full((160, 200, 3), 0.5), [ROW | place])
    assert drawn.shape == (160, 200, 3)
    color = drawn[115:141, 100:] if place["x"] > 0 else drawn[:40, :30]
    # the label: dark letters, smoothed at their edges, on its colour
    assert (color.max(axis=2) < 60).any()


def test_draw_faces_messages(tmp_path):
    photo = np.zeros((60, 80), np.uint8)
    with pytest.raises(ValueError, match="rows of one photograph, got those of 2"):
        draw_faces(photo, [ROW, ROW | {"row": 1}])
    without = {name: value for name, value in ROW.items() if name != "width"}
    with pytest.raises(ValueError, match=r"expected rows with status, x, .*; width is missing"):
        draw_faces(photo, [ROW, without])
    with pytest.raises(ImageReadError, match="No such file"):
        draw_faces(tmp_path / "missing.png", [ROW])
    assert not draw_faces(photo, []).any()
    assert not draw_faces(photo, [ROW | {"status": "no face"}]).any()


def test_faces_display(data_dir):
    path = data_dir / "photos" / "multiface.jpg"
    table = analyze_faces([path])
    display = FacesDisplay.from_predictions(path, table)
    assert_array_equal(display.ax_.get_images()[0].get_array(), draw_faces(path, table))
    figure, ax = plt.subplots()
    found = FacesDisplay.from_estimator(PretrainedEmotionClassifier(), path, ax=ax)
    assert_array_equal(found.drawn, display.drawn)
    assert (found.figure_, found.ax_) == (figure, ax)


class _Corner:
    """The mean of the upper left 8 x 8 px is the probability."""

    classes_ = np.array(["bright", "dark"])

    def predict_proba(self, X):
        bright = np.asarray(X)[:, :8, :8].mean(axis=(1, 2)) / 255
        return np.stack([bright, 1 - bright], axis=1)


def test_heat_is_where_the_estimator_looks():
    image = np.zeros((32, 40), np.uint8)
    image[:8, :8] = 255
    display = OcclusionDisplay.from_estimator(_Corner(), image, cover_size=4, stride=2)
    assert display.label == "bright"
    assert display.score == 1
    assert (display.heat[:8, :8] > 0.05).all()
    assert (display.heat[13:] == 0).all()
    assert (display.heat[:, 13:] == 0).all()
    assert_array_equal(display.ax_.get_images()[1].get_array(), display.heat)
    # one cover that hides a quarter of the corner, worked out by hand
    single = OcclusionDisplay.from_estimator(_Corner(), image, cover_size=4, stride=4)
    mean = np.floor(255 * 64 / (32 * 40) + 0.5) / 255
    assert single.heat[1, 1] == pytest.approx((1 - mean) / 4)
    dark = OcclusionDisplay.from_estimator(_Corner(), image, label="dark")
    assert dark.heat.min() < -0.1


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_classifier_without_probabilities_is_explained_by_its_decision_function(n_classes):
    image = np.zeros((32, 40), np.uint8)
    image[:8, :8] = 255

    class Corner:
        classes_ = np.array(["bright", "dark", "never"][:n_classes])

        def decision_function(self, X):
            scores = _Corner().predict_proba(X)
            if n_classes == 2:
                return scores[:, 1] - 0.5
            return np.column_stack([scores, np.full(len(scores), -5)])

    figure, ax = plt.subplots()
    display = OcclusionDisplay.from_estimator(Corner(), image, ax=ax)
    assert display.label == "bright"
    assert display.response_method == "decision_function"
    assert display.score == (0.5 if n_classes == 2 else 1)
    expected = OcclusionDisplay.from_estimator(_Corner(), image)
    assert_array_equal(display.heat, expected.heat)
    assert (display.figure_, display.ax_) == (figure, ax)
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert labels == ["", "fall of the decision function when covered"]


def test_occlusion_messages():
    image = np.zeros((32, 40), np.uint8)
    with pytest.raises(ValueError, match=r"label to be one of \['bright', 'dark'\]"):
        OcclusionDisplay.from_estimator(_Corner(), image, label="happy")
    with pytest.raises(ValueError, match="cover_size and stride"):
        OcclusionDisplay.from_estimator(_Corner(), image, cover_size=0)
    with pytest.raises(TypeError, match="predict_proba or decision_function, got FaceCropper"):
        OcclusionDisplay.from_estimator(FaceCropper(), image)


def test_deleting_what_is_hot_lowers_the_probability_more_than_deleting_at_random(data_dir):
    X, _ = load_image_folder(data_dir / "facial_emotions" / "test", return_X_y=True)
    classifier = PretrainedEmotionClassifier()
    rng = np.random.default_rng(0)
    hot, random = [], []
    for path in np.asarray(X)[rng.choice(len(X), 4, replace=False)]:
        display = OcclusionDisplay.from_estimator(classifier, path, stride=4)
        image, n = display.image, display.heat.size // 10
        column = list(classifier.classes_).index(display.label)
        hottest = np.argsort(-display.heat, axis=None)[:n]
        deleted = [hottest, *(rng.choice(display.heat.size, n, replace=False) for _ in range(5))]
        images = np.repeat(image[np.newaxis], 6, axis=0)
        for one, pixels in zip(images, deleted, strict=True):
            one.reshape(-1)[pixels] = np.floor(image.mean() + 0.5)
        fall = display.score - classifier.predict_proba(images)[:, column]
        hot.append(fall[0])
        random.append(fall[1:].mean())
    assert np.mean(hot) > np.mean(random)


def test_aligned_cropper_can_be_drawn(data_dir):
    path = data_dir / "photos" / "multiface.jpg"
    display = FacesDisplay.from_estimator(
        PretrainedEmotionClassifier(), path, cropper=FaceCropper(align=True)
    )
    assert display.drawn.shape == (630, 1200, 3)
