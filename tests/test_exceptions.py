import copy
import pickle

import pytest

from emotion_estimators.exceptions import (
    ImageReadError,
    InvalidImagesError,
    InvalidTableError,
    printable,
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
