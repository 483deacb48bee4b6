"""Photographs of a real face, and a detector that sees what the test wants."""

import csv

import numpy as np
import pytest

from emotion_estimators import FaceCropper
from emotion_estimators.cli import main


@pytest.fixture
def run():
    def run(*arguments):
        return main([str(argument) for argument in arguments])

    return run


@pytest.fixture
def read_csv():
    def read_csv(path):
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    return read_csv


@pytest.fixture(scope="session")
def portrait():
    """Return the photograph of an astronaut, (512, 512, 3); her face is at [60:180, 170:280]."""
    return pytest.importorskip("skimage.data", reason="has a photograph").astronaut()


@pytest.fixture
def halves(monkeypatch):
    """Let the commands find faces with a function: the squares at both ends, unless all is black.

    The one on the right is larger where a photograph is wider than 200 px.
    """

    def find(photo):
        height, width = photo.shape[:2]
        side = min(height, width) // 2
        second = side + 10 * (width > 200)
        return [[0, 0, side, side], [width - second, 0, second, second]] if photo.any() else None

    cropper = FaceCropper(detector=find, image_size=96)
    for command in ("predict", "crop", "evaluate"):
        monkeypatch.setattr(f"emotion_estimators.cli.{command}.open_cropper", lambda _: cropper)
    return cropper


@pytest.fixture
def noise():
    def noise(seed, height, width):
        rng = np.random.default_rng(seed)
        return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)

    return noise
