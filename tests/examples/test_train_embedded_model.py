"""The script that trains the embedded model, on a few drawn faces."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import accuracy_score

pytest.importorskip("torch", reason="the script trains with torch")
pytest.importorskip("skorch", reason="the script trains with skorch")

from emotion_estimators.classifiers import PretrainedEmotionClassifier
from emotion_estimators.datasets import load_image_folder, make_faces

EXAMPLES = Path(__file__).parents[2] / "examples"


def _run(script, *arguments):
    command = [sys.executable, EXAMPLES / script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_trains_writes_and_measures(tmp_path):
    for name, n, seed in (("train", 40, 0), ("test", 20, 1)):
        X, y = make_faces(n, emotions=["happy", "sad"], image_size=48, random_state=seed)
        for row, (image, label) in enumerate(zip(X, y, strict=True)):
            (tmp_path / name / label).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(tmp_path / name / label / f"{row}.png")
    out = tmp_path / "out" / "cnn.onnx"
    arguments = {
        "--data": tmp_path / "train", "--test": tmp_path / "test", "--out": out, "--epochs": 2,
        "--validation": 0.2, "--seed": 3, "--threads": 1,
        "--checkpoint-dir": tmp_path / "run",
    }  # fmt: skip
    options = [v for pair in arguments.items() for v in pair]
    assert _run("train_embedded_model.py", *options).count("epoch  ") == 2
    written = out.with_suffix(".npz").read_bytes()
    assert "epoch  " not in _run("train_embedded_model.py", *options)  # over already
    assert out.with_suffix(".npz").read_bytes() == written
    assert sorted(path.name for path in out.parent.iterdir()) == [
        "cnn.history.json", "cnn.metrics.json", "cnn.npz", "cnn.onnx"
    ]  # fmt: skip

    figures = json.loads(out.with_suffix(".metrics.json").read_text())
    history = json.loads(out.with_suffix(".history.json").read_text())
    assert figures["held_out"] == history[figures["best_epoch"] - 1]
    with np.load(out.with_suffix(".npz")) as weights:
        sizes = {name: array.size for name, array in weights.items()}
        assert figures["n_weights"] == sum(sizes.values()) - sizes["description"]
    assert figures["onnx_bytes"] == out.stat().st_size < 4_000_000

    X, y = load_image_folder(tmp_path / "test", return_X_y=True)
    predicted = PretrainedEmotionClassifier(model=out).predict(X)
    assert figures["test"]["accuracy"] == accuracy_score(y.astype(str), predicted)
    assert np.sum(figures["test_with_flip"]["confusion"]) == 20

    taught = tmp_path / "taught" / "cnn.onnx"
    options = [v for pair in (arguments | {"--out": taught, "--epochs": 1}).items() for v in pair]
    _run("train_embedded_model.py", *options, "--large", "--teacher", out)
    figures = json.loads(taught.with_suffix(".metrics.json").read_text())
    assert (figures["teacher"], figures["parameters"]["network"]) == ("cnn.onnx", "large")
