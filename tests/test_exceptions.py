import copy
import pickle

import pytest

from emotion_estimators.exceptions import ImageReadError, InvalidImagesError, InvalidTableError


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
