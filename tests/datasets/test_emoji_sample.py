"""The emoji that come with the package."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from emotion_estimators import HOGTransformer
from emotion_estimators.datasets import load_emoji, load_emoji_sample
from emotion_estimators.images import read_image

ROOT = Path(__file__).parents[2]


def test_two_vendors_and_two_classes():
    emoji = load_emoji_sample()

    vendors, counts = np.unique(emoji.vendor, return_counts=True)
    assert vendors.tolist() == ["google", "twitter"]
    assert counts.tolist() == [58, 58]
    for vendor in vendors:
        classes, counts = np.unique(emoji.target[emoji.vendor == vendor], return_counts=True)
        assert dict(zip(classes, counts, strict=True)) == {"happy": 37, "sad": 21}
    assert emoji.missing == []
    assert {read_image(path).shape for path in emoji.data} == {(64, 64, 3)}


def test_one_vendor_as_arrays():
    X, y = load_emoji_sample(vendor="twitter", return_X_y=True)

    assert len(X) == len(y) == 58
    assert all("img-twitter-64" in path for path in X)
    with pytest.raises(FileNotFoundError, match=r"img-apple-64 .*Vendors there: google, twitter"):
        load_emoji_sample(vendor="apple")


def test_the_pictures_are_those_of_the_collection(data_dir):
    ours = load_emoji_sample()
    collection = load_emoji(data_dir / "emoji-data", vendor=["google", "twitter"])

    assert ours.code_points.tolist() == collection.code_points.tolist()
    assert ours.target.tolist() == collection.target.tolist()
    for packed, collected in zip(ours.data, collection.data, strict=True):
        np.testing.assert_array_equal(read_image(packed), read_image(collected))


def test_one_vendor_teaches_about_the_other():
    X, y = load_emoji_sample(vendor="google", return_X_y=True)
    X_test, y_test = load_emoji_sample(vendor="twitter", return_X_y=True)

    model = make_pipeline(HOGTransformer(image_size=48), LogisticRegression(max_iter=1000))

    # always "happy" is right for 37 of 58
    assert model.fit(X, y).score(X_test, y_test) > 37 / 58 + 0.1


def test_licences_are_in_the_metadata_of_the_package():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    licences = Path("src/emotion_estimators/datasets/emoji_sample/licences")

    assert '\nlicense = "BSD-3-Clause AND Apache-2.0 AND CC-BY-4.0 AND MIT"' in text
    assert f'"{licences.as_posix()}/*"' in text
    names = sorted(path.name for path in (ROOT / licences).iterdir())
    assert names == ["ATTRIBUTION.md", "Apache-2.0.txt", "CC-BY-4.0.txt", "emoji-data-MIT.txt"]
