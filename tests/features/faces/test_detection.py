"""At which sizes a photograph is looked at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from emotion_estimators.datasets import load_sample_photograph
from emotion_estimators.features.faces import detection
from emotion_estimators.features.faces.detection import Detector, find_faces, open_detector
from emotion_estimators.features.faces.faces import Faces
from emotion_estimators.images import read_image
from emotion_estimators.networks.yunet import YuNet


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The sizes of the images that YuNet was given."""
    sizes: list[tuple[int, ...]] = []
    candidates = YuNet.candidates

    def note(self: YuNet, image: NDArray[np.uint8], min_score: float) -> Any:
        sizes.append(image.shape[:2])
        return candidates(self, image, min_score)

    monkeypatch.setattr(YuNet, "candidates", note)
    return sizes


def find(detector: Detector, pixels: NDArray[np.uint8]) -> Faces:
    return find_faces(detector, pixels, None, pixels.shape[:2])


def portrait(height: int, *, scale: float = 1) -> NDArray[np.uint8]:
    """Return a photograph of 700 x 1200 px with one face of so many rows, `scale` times blurred."""
    x, y, zoom = 223.3, 119.5, height / 113.6  # the face of the sample
    part = x - 600 / zoom, y - 350 / zoom, x + 600 / zoom, y + 350 / zoom
    size, extent = (round(1200 / scale), round(700 / scale)), Image.Transform.EXTENT
    sample = Image.fromarray(read_image(load_sample_photograph()))
    photo = sample.transform(size, extent, part, Image.Resampling.BILINEAR)
    return np.asarray(photo.resize((1200, 700), Image.Resampling.BICUBIC))


@pytest.mark.parametrize(
    ("height", "n_looks"),
    [
        (150, 1),  # a face that the whole image shows well is all there is
        (300, 2),  # one that might be larger than it seems
        (600, 2),  # one that is too large
    ],
)
def test_smaller_image_is_looked_at_where_a_large_face_may_be(looks, height, n_looks):
    detector = open_detector("Owner", "yunet", min_score=0.7)
    faces = find(detector, portrait(height))
    assert len(looks) == n_looks
    np.testing.assert_allclose(faces.boxes[:, 3], [height], rtol=0.1)


@pytest.mark.parametrize("height", [400, 600, 700])
@pytest.mark.parametrize("scale", [1, 15, 40])
def test_large_faces_are_found_as_if_both_images_were_looked_at(monkeypatch, height, scale):
    """Also blurred ones, of which the larger image shows little."""
    detector = open_detector("Owner", "yunet", min_score=0.5)
    image = portrait(height, scale=scale)
    found = find(detector, image)
    monkeypatch.setattr(detection, "_HINT_SIDE", 0)
    always = find(detector, image)
    np.testing.assert_array_equal(found.boxes, always.boxes)
    assert len(found) == 1
