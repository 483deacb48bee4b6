import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
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


def headings(display: PredictionDisplay) -> str:
    return "\n".join(ax.get_title() for ax in display.figure_.axes)


def test_the_heading_says_what_the_numbers_are(images):
    y = np.array(list("aabbab"))
    rows = images.reshape(6, -1)
    ridge = PredictionDisplay.from_estimator(RidgeClassifier().fit(rows, y), rows, y,
                                             image_shape=(8, 8))  # fmt: skip
    assert "numbers: decision value of the predicted class, which is no prob" in headings(ridge)
    dummy = DummyClassifier(strategy="prior").fit(rows, y)
    given = PredictionDisplay.from_estimator(dummy, images, y)
    assert "numbers: probability of the predicted class" in headings(given)
    scores = {"confidence": np.ones(6)}
    assert "numbers: score" in headings(PredictionDisplay.from_predictions(images, y, y, **scores))
    assert "numbers" not in headings(PredictionDisplay.from_predictions(images, y, y))
    with pytest.raises(ValueError, match=r"response_method to be .* or None, got predict\."):
        PredictionDisplay.from_predictions(images, y, y, response_method="predict", **scores)


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


VOTES = np.array([[9, 1, 0], [0, 0, 0], [2, 8, 0], [5, 5, 0], [0, 0, 10], [1, 2, 7]])
PROBA = np.array([[8, 1, 1], [1, 8, 1], [1, 8, 1], [4, 6, 0], [0, 7, 3], [2, 2, 6]]) / 10


def bars_of(ax) -> list[tuple[str, float, float]]:
    """Return class, share of people and probability as drawn under an image, top down."""
    (inset,) = ax.child_axes
    people, model = ([round(bar.get_width(), 6) for bar in part] for part in inset.containers)
    names = [label.get_text() for label in inset.get_yticklabels()]
    return list(zip(names, people, model, strict=True))


def test_shares_of_people_are_drawn_beside_the_model(images):
    predicted = np.array(list("abc"))[PROBA.argmax(axis=1)]
    votes = pd.DataFrame(VOTES[:, ::-1], columns=list("cba")).assign(unknown=5)
    display = PredictionDisplay.from_predictions(
        images,
        list("aabbbc"),
        predicted,
        confidence=PROBA.max(axis=1),
        votes=votes,
        y_proba=PROBA,
        labels=list("abc"),
    )
    assert rows_shown(display) == [1, 0, 2, 3, 4, 5]
    # the only wrong one, about which nobody was asked, has a row of its own
    assert bars_of(display.axes_[0, 0]) == [("b", 0, 0.8), ("a", 0, 0.1), ("c", 0, 0.1)]
    assert bars_of(display.axes_[1, 0]) == [("a", 0.9, 0.8), ("b", 0.1, 0.1), ("c", 0, 0.1)]
    assert bars_of(display.axes_[1, 3]) == [("c", 1, 0.3), ("b", 0, 0.7), ("a", 0, 0)]
    assert any("share of people" in ax.get_title() for ax in display.figure_.axes)
    display.figure_.draw_without_rendering()
    insets = [inset for ax in display.axes_.flat for inset in ax.child_axes]
    assert len(insets) == 6
    assert min(inset.get_window_extent().y0 for inset in insets) >= 0  # inside the figure


def test_the_estimator_gives_the_probabilities(images):
    y = np.array(list("aabbca"))
    rows = images.reshape(6, -1)
    dummy = DummyClassifier(strategy="prior").fit(rows, y)
    display = PredictionDisplay.from_estimator(dummy, images, y, votes=VOTES)
    np.testing.assert_allclose(display.y_proba, np.tile([1 / 2, 1 / 3, 1 / 6], (6, 1)))
    np.testing.assert_allclose(display.shares.sum(axis=1), [1, 1, 1, 1, 0, 1])
    assert display.labels.tolist() == list("abc")
    plain = PredictionDisplay.from_estimator(dummy, images, y)
    assert (plain.shares, plain.y_proba, plain.labels) == (None, None, None)
    assert not any(ax.child_axes for ax in plain.axes_.flat)
    ridge = RidgeClassifier().fit(rows, y)
    with pytest.raises(TypeError, match=r"that has predict_proba, .* got Ridge"):
        PredictionDisplay.from_estimator(ridge, rows, y, votes=VOTES, image_shape=(8, 8))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"votes": VOTES}, "expected votes, y_proba and labels, or none of them, got no y_proba"),
        ({"y_proba": PROBA}, "got no votes and no labels"),
        ({"votes": VOTES[:5], "y_proba": PROBA, "labels": "abc"}, r"got shape \(5, 3\)"),
        ({"votes": VOTES, "y_proba": PROBA[:5], "labels": "abc"}, r"expected y_proba .* \(5, 3\)"),
        ({"votes": -VOTES, "y_proba": PROBA, "labels": "abc"}, "got in row 0: -9 for 'a'"),
    ],
)
def test_votes_that_do_not_fit(images, options, match):
    options = {key: list(v) if key == "labels" else v for key, v in options.items()}
    with pytest.raises(ValueError, match=f"^PredictionDisplay .*{match}"):
        PredictionDisplay.from_predictions(images, list("aabbbc"), list("aabbbc"), **options)
