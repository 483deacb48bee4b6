import numpy as np
import pytest

from emotion_estimators.exceptions import InvalidImagesError
from emotion_estimators.images.sizes import parse_image_shape, parse_size


@pytest.mark.parametrize("value", [7, np.int64(7), (7, 7), [7, np.int32(7)]])
def test_a_side_or_a_pair(value):
    size = parse_size(value, name="Net")
    assert size == (7, 7)
    assert [type(side) for side in size] == [int, int]


@pytest.mark.parametrize(
    "value", [0, 3, -7, 7.0, None, "77", (7,), (7, 7, 7), (7, 3), (7.0, 7), (True, 7), np.ones(2)]
)
def test_what_is_no_size(value):
    match = r"^Net expected side to be an int or \(height, width\), each at least 4, got "
    with pytest.raises(ValueError, match=match) as raised:
        parse_size(value, name="Net", parameter="side", smallest=4)
    assert len(str(raised.value)) < 200


def test_a_shape_of_rows():
    assert parse_image_shape((3, -1), 12, name="Net") == (3, 4)
    assert parse_image_shape([-1, 2, 3], 12, name="Net") == (2, 2, 3)
    with pytest.raises(ValueError, match=r"^Net expected image_shape to be .* got \(-1, -1\)"):
        parse_image_shape((-1, -1), 12, name="Net")
    with pytest.raises(InvalidImagesError, match=r"^Net cannot read rows of 12 features .*\(5, -1"):
        parse_image_shape((5, -1), 12, name="Net")
