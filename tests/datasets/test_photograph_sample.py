"""The photograph that comes with the package."""

from pathlib import Path

import numpy as np
import pytest

from emotion_estimators import FaceCropper, PretrainedEmotionClassifier
from emotion_estimators.datasets import load_sample_photograph
from emotion_estimators.images import read_image
from emotion_estimators.weights import file_sha256

ROOT = Path(__file__).parents[2]
SHA256 = "74139dcfd87ccd42855a9e35bcd6df9d08640d041f77d29115e381bdebf60a59"


def test_it_is_the_file_whose_terms_were_looked_at():
    path = Path(load_sample_photograph())

    assert file_sha256(path) == SHA256
    assert path.stat().st_size < 70_000
    (terms,) = (path.parent / "licences").iterdir()
    assert f"`{path.name}`" in terms.read_text(encoding="utf-8")
    assert f"{terms.parent.relative_to(ROOT).as_posix()}/*" in (ROOT / "pyproject.toml").read_text()
    assert path.name in (ROOT / "THIRD_PARTY.md").read_text(encoding="utf-8")


def test_it_shows_what_scikit_image_has_of_it():
    data = pytest.importorskip("skimage.data", reason="has the original")

    photograph = read_image(load_sample_photograph())

    # JPEG of quality 90: pixels differ by two or three grey levels on average
    difference = np.abs(photograph.astype(float) - data.astronaut())
    assert photograph.dtype == np.uint8
    assert difference.mean() < 4


def test_one_face_which_smiles_where_the_docstring_says():
    (faces,) = FaceCropper().detect([load_sample_photograph()])

    # a pixel or two more or less with another decoder of JPEG
    np.testing.assert_allclose(faces.boxes, [[178, 63, 91, 113]], atol=4)
    crops = FaceCropper().transform([load_sample_photograph()])
    assert PretrainedEmotionClassifier().predict(crops).tolist() == ["happy"]
