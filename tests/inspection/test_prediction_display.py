import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import RidgeClassifier

from emotion_estimators.exceptions import ImageReadError
from emotion_estimators.inspection import PredictionDisplay


@pytest.fixture
def images():
    # image i is filled with grey level i, so that a shown image says which row it is
    return np.repeat(np.arange(6, dtype=np.uint8), 64).reshape(6, 8, 8)


def rows_shown(display: PredictionDisplay) -> list[int]:
    return display.images[:, 0, 0, 0].tolist()


def test_errors_come_first_the_most_confident_ones_in_front(images):
    display = PredictionDisplay.from_predictions(
        images, list("aaabbb"), list("abbbab"), confidence=[0.9, 0.5, 0.8, 0.7, 0.95, 0.6]
    )
    assert rows_shown(display) == [4, 2, 1, 0, 3, 5]
    assert display.y_pred.tolist() == list("abb" + "abb")
    titles = [ax.get_title() for ax in display.axes_.flat if ax.images]
    assert titles == ["b →\na 0.95", "a →\nb 0.80", "a →\nb 0.50", "a 0.90", "b 0.70", "b 0.60"]


def test_wrong_and_right_ones_start_rows_of_their_own(images):
    display = PredictionDisplay.from_predictions(images, list("aaabbb"), list("abbbab"))
    display.plot(n_columns=2)
    used = [[bool(ax.images) for ax in row] for row in display.axes_]
    assert used == [[True, True], [True, False], [True, True], [True, False]]


def test_numbers_of_images_are_bounded_and_the_right_ones_spread(images):
    display = PredictionDisplay.from_predictions(
        images, list("aaaaaa"), list("baaaaa"), n_wrong=3, n_right=3
    )
    assert rows_shown(display) == [0, 1, 3, 5]


@pytest.mark.parametrize("n_classes", [2, 3])
def test_from_estimator_takes_the_confidence_of_the_predicted_class(images, n_classes):
    y = np.array(list("aabbab" if n_classes == 2 else "aabbca"))
    dummy = DummyClassifier(strategy="prior").fit(images.reshape(6, -1), y)
    display = PredictionDisplay.from_estimator(dummy, images, y)
    np.testing.assert_allclose(display.confidence, 0.5)  # three of six are "a"
    assert set(display.y_pred) == {"a"}


def test_paths_and_rows_are_shown_too(images, tmp_path):
    paths = []
    for i, image in enumerate(images):
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(image).save(paths[-1])
    labels = list("aaaaaa")
    from_paths = PredictionDisplay.from_predictions(paths, labels, labels)
    from_rows = PredictionDisplay.from_predictions(
        images.reshape(6, -1), labels, labels, image_shape=(8, 8)
    )
    np.testing.assert_array_equal(from_paths.images, from_rows.images)
    assert rows_shown(from_paths) == list(range(6))


def test_an_unreadable_image_is_named_by_the_display(tmp_path):
    with pytest.raises(ImageReadError, match=r"(?s)PredictionDisplay cannot use 1 of 1.*gone\.png"):
        PredictionDisplay.from_predictions([tmp_path / "gone.png"], ["a"], ["b"])


def test_the_sheet_is_drawn_where_it_is_told(images):
    figure, (left, right) = plt.subplots(1, 2, layout="constrained")
    display = PredictionDisplay.from_predictions(images, list("aaabbb"), list("abbbab"), ax=right)
    assert display.plot(ax=right) is display
    assert (display.figure_, display.bounding_ax_) == (figure, right)
    figure.draw_without_rendering()
    place = right.get_tightbbox().x0
    assert min(ax.get_position().x0 for ax in display.axes_.flat) * figure.bbox.width >= place - 1
    assert not left.images
    with pytest.raises(ValueError, match="expected ax to be one of a grid"):
        display.plot(ax=plt.figure().add_axes((0, 0, 1, 1)))


def test_the_decision_function_of_two_classes_is_a_confidence(images):
    y = np.array(list("ababab"))
    model = RidgeClassifier().fit(images.reshape(6, -1), y)
    rows = images.reshape(6, -1)
    display = PredictionDisplay.from_estimator(model, rows, y, image_shape=(8, 8))
    expected = np.abs(model.decision_function(rows))
    np.testing.assert_allclose(np.sort(display.confidence), np.sort(expected))


def test_lengths_must_agree(images):
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        PredictionDisplay.from_predictions(images, list("aaa"), list("aaaaaa"))


def test_nothing_to_show_is_an_error_that_says_so(images):
    with pytest.raises(ValueError, match=r"nothing to show: 0 wrong and 6 right .* n_right=0"):
        PredictionDisplay.from_predictions(images, list("aaabbb"), list("aaabbb"), n_right=0)


@pytest.mark.parametrize("name", ["n_wrong", "n_right"])
def test_negative_numbers_of_images(images, name):
    with pytest.raises(ValueError, match=rf"expected {name} to be 0 or more, got -1"):
        PredictionDisplay.from_predictions(images, list("aaabbb"), list("abbbab"), **{name: -1})
