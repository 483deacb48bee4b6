"""make_embedding_classifier: what it is made of, and few-shot learning with it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from emotion_estimators import make_embedding_classifier
from emotion_estimators.datasets import make_faces
from emotion_estimators.testing import check_image_estimator

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "few_shot.py"


def test_steps_and_settings():
    model = make_embedding_classifier(
        precision="float32", image_shape=(48, 48), C=2.0, class_weight="balanced", cache=None,
        n_threads=1, verbose=1,
    )  # fmt: skip
    assert list(model.named_steps) == ["emotion", "standardscaler", "logisticregression"]
    settings = model.get_params()
    assert settings["emotion__precision"] == "float32"
    assert settings["emotion__image_shape"] == (48, 48)
    assert settings["emotion__cache"] is None
    assert (settings["emotion__n_threads"], settings["emotion__verbose"]) == (1, 1)
    assert settings["logisticregression__C"] == 2.0
    assert settings["logisticregression__class_weight"] == "balanced"
    for wrong, match in (({"C": 0}, "The 'C' parameter"), ({"verbose": -1}, "'verbose' param")):
        with pytest.raises(ValueError, match=match):
            make_embedding_classifier(**wrong)


def test_learns_from_a_few_faces():
    X, y = make_faces(140, emotions=["happy", "sad", "surprise"], random_state=0)
    model = make_embedding_classifier().fit(X[:30], y[:30])
    assert model.score(X[30:], y[30:]) > 0.9
    search = GridSearchCV(clone(model), {"logisticregression__C": [0.001, 0.1]}, cv=2)
    assert search.fit(X[:30], y[:30]).predict_proba(X[30:]).shape == (110, 3)
    rows = make_embedding_classifier(image_shape=X.shape[1:]).fit(X[:30].reshape(30, -1), y[:30])
    np.testing.assert_array_equal(rows.predict(X[30:].reshape(110, -1)), model.predict(X[30:]))


def test_image_contract():
    check_image_estimator(
        make_embedding_classifier(),
        expected_failed_checks={
            "check_image_size_refused": "images are resized to what the network takes"
        },
        # the last step is a product of matrices in single precision, which BLAS sums as it likes
        batch_tolerance=1e-5,
    )


def test_few_shot_benchmark(tmp_path):
    import zipfile

    from PIL import Image

    archive, folder = tmp_path / "train.zip", tmp_path / "test"
    X, y = make_faces(42, random_state=0)
    with zipfile.ZipFile(archive, "w") as file:
        for row, (image, label) in enumerate(zip(X, y, strict=True)):
            path = folder / label / f"{row}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
            file.write(path, f"train/{label}/{row}.png")
    command = [sys.executable, SCRIPT, "--train", archive, "--test", folder]
    command += ["--faces", "5", "--draws", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    assert "5 faces of each of three classes, 2 draws" in done.stdout
    assert done.stdout.count("_classifier()` | 0.") == 2
    command[3] = tmp_path / "nowhere.zip"
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=280)
    assert "nothing was measured" in done.stdout
