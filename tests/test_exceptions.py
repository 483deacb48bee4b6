import copy
import pickle

import pytest

from emotion_estimators.exceptions import (
    ImageReadError,
    InvalidImagesError,
    InvalidTableError,
    MissingDependencyError,
    WeightsError,
    counted,
    one_screen,
    printable,
    short_messages,
    shorten,
)


@pytest.mark.parametrize("error_class", [InvalidImagesError, ImageReadError, InvalidTableError])
def test_failures_survive_pickling(error_class: type[InvalidImagesError]) -> None:
    # joblib's processes hand errors back pickled
    error = error_class("two are bad", [(3, "is empty"), (9, "is a folder")])
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is error_class
        assert str(twin) == "two are bad"
        assert twin.failures == [(3, "is empty"), (9, "is a folder")]


def test_an_unreadable_image_is_an_invalid_image_is_a_value_error() -> None:
    assert issubclass(ImageReadError, InvalidImagesError)
    assert issubclass(InvalidImagesError, ValueError)
    assert InvalidImagesError("none").failures == []


def test_counts_agree_with_their_words():
    assert [counted(n, "image") for n in (0, 1, 2)] == ["0 images", "1 image", "2 images"]
    assert one_screen("\n".join("x" * 21)).endswith("x\n... (1 more line)")


@pytest.mark.parametrize(
    "value", ["x" * 10**6, b"x" * 10**6, list(range(10**6)), "\udcff" * 10**6, {"a": "b" * 10**6}]
)
def test_a_value_in_a_message_is_short_and_printable(value):
    text = shorten(value)
    assert len(text) <= 400
    assert text.isprintable()
    text.encode()


def test_what_is_short_is_shown_as_it_is():
    assert shorten("C:\\face ä.png") == "C:\\face ä.png"
    assert shorten("a\nb\x1b[31m\udcff") == r"a\nb\x1b[31m\udcff"
    assert shorten(None) == "None"


def test_a_file_name_that_is_not_utf_8_as_text():
    assert printable("M\udcfcller ä\n.jpg") == "M\\udcfcller ä\n.jpg"


def test_a_message_fits_a_screen():
    assert one_screen("a\nb\n") == "a\nb\n"
    assert one_screen("\n".join("x" * 30)).endswith("x\n... (10 more lines)")
    text = one_screen(f"begins {'x' * 10**6} ends")
    assert text.startswith("begins xx")
    assert text.endswith("xx ends")
    assert len(text) <= 1500


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x" * 10**6),
        WeightsError("a line\n" * 10**5),
        MissingDependencyError("x" * 10**6),
        OSError(36, "File name too long", "x" * 10**6),
        FileNotFoundError(2, "No such file", b"\xff" * 10**6),
    ],
)
def test_no_error_comes_out_that_is_longer_than_a_screen(error):
    @short_messages()
    def fail():
        """What it does."""
        raise RuntimeError("after it") from error

    assert fail.__doc__ == "What it does."
    with pytest.raises(RuntimeError, match="after it") as raised:
        fail()
    assert raised.value.__cause__ is error
    assert len(str(error)) <= 1500
    assert str(error).count("\n") <= 20


def test_a_long_value_in_any_error_of_an_estimator():
    from emotion_estimators import EmotionCNNClassifier, FaceCropper, PretrainedEmotionClassifier
    from emotion_estimators.datasets import load_image_folder, make_faces

    X, y = make_faces(7, random_state=0)
    long = "x" * 10**6
    for fail in (
        lambda: PretrainedEmotionClassifier(model=long).predict(X),
        lambda: PretrainedEmotionClassifier().score(X, [long] * 7),
        lambda: FaceCropper(detector=f"{long}.onnx").transform(X),
        lambda: EmotionCNNClassifier(device=long).fit(X, y),
        lambda: load_image_folder(long),
    ):
        with pytest.raises((ValueError, OSError), match="xxx") as raised:
            fail()
        assert len(str(raised.value)) <= 1500
