"""The scripts that train, write and measure the embedded model, on a few drawn faces."""

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import accuracy_score

pytest.importorskip("torch", reason="the script reads the network into torch")
pytest.importorskip("skorch", reason="the script trains with skorch")
pytest.importorskip("onnx", reason="the quantiser needs it")

from emotion_estimators.classifiers import EmotionCNNClassifier, PretrainedEmotionClassifier
from emotion_estimators.datasets import make_faces
from emotion_estimators.labels import EMOTIONS, VOTE_COLUMNS
from emotion_estimators.networks.emotion import EmotionCNN

EXAMPLES = Path(__file__).parents[2] / "examples"
LAYERS = {"stem_width": 4, "stem_stride": 2, "widths": [4, 8], "n_blocks": [0, 1]}


def run(script, *arguments):
    command = [sys.executable, EXAMPLES / script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Return a folder: faces as a folder and a zip file, votes for all but the last, a network."""
    folder = tmp_path_factory.mktemp("data")
    X, y = make_faces(42, random_state=0)
    names, votes = [], []
    with zipfile.ZipFile(folder / "train.zip", "w") as file:
        for row, (image, label) in enumerate(zip(X, y, strict=True)):
            path = folder / "faces" / label / f"{row}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
            file.write(path, f"train/{label}/{row}.png")
            names.append(f"train/{label}/{row}.png")
            votes.append([8 * (name == label) + (name in ("neutral", "unknown")) for name in
                          VOTE_COLUMNS])  # fmt: skip
    table = pd.DataFrame(votes, columns=VOTE_COLUMNS, index=pd.Index(names, name="file"))
    table.iloc[:-1].to_csv(folder / "votes.csv")

    import torch

    torch.manual_seed(0)
    architecture = {"n_classes": 14, **LAYERS}
    network = EmotionCNN(**architecture).eval()
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    classes = [f"{name}/{kind}" for name in EMOTIONS for kind in ("label", "votes")]
    described = {"architecture": architecture, "classes": classes}
    np.savez(folder / "network.npz", description=json.dumps(described), **weights)
    return folder, X, y, network


def test_writes_both_files(data, tmp_path):
    folder, X, y, network = data
    arguments = ["--data", folder / "train.zip", "--votes", folder / "votes.csv"]
    stem = tmp_path / "out" / "emotion"
    run("write_embedded_model.py", folder / "network.npz", *arguments, "--out", stem)
    assert sorted(path.name for path in stem.parent.iterdir()) == [
        "emotion.json", "emotion.onnx", "emotion_int8.onnx",
    ]  # fmt: skip
    provenance = json.loads(stem.with_suffix(".json").read_text())
    assert provenance["n_calibration"] == 42
    prior = provenance["metadata"]["class_prior"]
    shares = (y[:, np.newaxis] == np.array(EMOTIONS)).astype(float)
    # smoothed by 0.1
    np.testing.assert_allclose(prior["labels"], (0.9 * shares + 0.1 / 7).mean(axis=0), atol=1e-6)
    said = 8 * shares
    said[:, EMOTIONS.index("neutral")] += 1
    said /= said.sum(axis=1, keepdims=True)
    said[-1] = shares[-1]  # nobody was asked
    np.testing.assert_allclose(prior["votes"], said.mean(axis=0), atol=1e-6)

    import torch

    with torch.inference_mode():
        scores = network(torch.from_numpy(X[:, np.newaxis] / np.float32(255))).numpy()
    for start, output in enumerate(("labels", "votes")):
        exponentials = np.exp(scores[:, start::2])
        expected = exponentials / exponentials.sum(axis=1, keepdims=True)
        found = PretrainedEmotionClassifier(model=stem.with_suffix(".onnx"), output=output)
        # weights are stored in 16 bits: 11 of them count
        np.testing.assert_allclose(found.predict_proba(X), expected, atol=5e-3)
        small = PretrainedEmotionClassifier(
            model=stem.with_name("emotion_int8.onnx"), output=output
        )
        # 8 bits of each activation; these weights are random, and have not learned to bear it
        np.testing.assert_allclose(small.predict_proba(X), expected, atol=0.1)
        assert small.fit(X).class_prior_.tolist() == pytest.approx(prior[output], abs=1e-5)
    again = tmp_path / "again"
    run("write_embedded_model.py", folder / "network.npz", *arguments, "--out", again)
    for name in (".onnx", "_int8.onnx"):
        one, two = (path.with_name(path.name + name).read_bytes() for path in (stem, again))
        assert one == two


@pytest.mark.parametrize("average", ["weights", "networks"])
def test_writes_the_mean_of_networks(data, tmp_path, average):
    """Networks that differ in their last layer only: the mean of scores, or of probabilities."""
    folder, X, _, network = data
    with np.load(folder / "network.npz") as file:
        weights = dict(file)
    other = tmp_path / "other.npz"
    last = {"head.weight": 3 * weights["head.weight"], "head.bias": weights["head.bias"] + 1}
    np.savez(other, **{**weights, **last})
    stem = tmp_path / "mean"
    run(
        "write_embedded_model.py", folder / "network.npz", other, "--average", average,
        "--data", folder / "train.zip", "--votes", folder / "votes.csv", "--out", stem,
    )  # fmt: skip
    provenance = json.loads(stem.with_suffix(".json").read_text())
    assert [file["file"] for file in provenance["weights"]] == ["network.npz", "other.npz"]
    assert provenance["average"] == average

    import torch

    pixels = torch.from_numpy(X[:, np.newaxis] / np.float32(255))
    with torch.inference_mode():
        one = network(pixels)[:, 1::2]
        two = 3 * one + 1 - 2 * network.head.bias[1::2]
    if average == "weights":
        expected = torch.softmax((one + two) / 2, dim=1)
    else:
        expected = (torch.softmax(one, dim=1) + torch.softmax(two, dim=1)) / 2
    found = PretrainedEmotionClassifier(model=stem.with_suffix(".onnx"), output="votes")
    # weights are stored in 16 bits: 11 of them count
    np.testing.assert_allclose(found.predict_proba(X), expected.numpy(), atol=1e-2)


def test_trains_and_writes(data, tmp_path):
    folder, X, y, _ = data
    stem = tmp_path / "out" / "emotion"
    arguments = [
        "--data", folder / "train.zip", "--votes", folder / "votes.csv", "--out", stem,
        "--network", json.dumps(LAYERS), "--epochs", 2, "--validation", 0.2, "--seed", 3,
        "--threads", 1, "--checkpoint-dir", tmp_path / "run", "--train-teacher",
    ]  # fmt: skip
    printed = run("train_embedded_model.py", *arguments)
    assert printed.count("epoch  ") == 4  # two networks
    assert sorted(path.name for path in stem.parent.iterdir()) == [
        "emotion.json", "emotion.npz", "emotion.onnx", "emotion_int8.onnx", "emotion_teacher.npz",
    ]  # fmt: skip
    provenance = json.loads(stem.with_suffix(".json").read_text())
    for part, seed in (("teacher", 4), ("training", 3)):
        assert provenance[part]["parameters"]["random_state"] == seed
        assert len(provenance[part]["history"]) == provenance[part]["epochs"] == 2
    assert provenance["command"][-1] == "--train-teacher"
    hashed = hashlib.sha256((folder / "votes.csv").read_bytes()).hexdigest()
    assert provenance["data"]["votes.csv"] == hashed
    for name, known in provenance["files"].items():
        assert hashlib.sha256((stem.parent / name).read_bytes()).hexdigest() == known["sha256"]

    import torch

    # the weights as they were trained answer as the file does
    with np.load(stem.with_suffix(".npz")) as file:
        weights = dict(file)
    described = json.loads(str(weights.pop("description")))
    assert provenance["training"]["n_weights"] == sum(array.size for array in weights.values())
    network = EmotionCNN(**described["architecture"]).eval()
    network.load_state_dict({name: torch.tensor(array) for name, array in weights.items()})
    with torch.inference_mode():
        scores = network(torch.from_numpy(X[:, np.newaxis] / np.float32(255)))
    for output, part in (("labels", scores[:, :7]), ("votes", scores[:, 7:])):
        found = PretrainedEmotionClassifier(model=stem.with_suffix(".onnx"), output=output)
        # weights are stored in 16 bits: 11 of them count
        np.testing.assert_allclose(found.predict_proba(X), part.softmax(1).numpy(), atol=5e-3)
        prior = found.fit(X).class_prior_
        np.testing.assert_allclose(prior, described["class_prior"][output], atol=1e-5)

    # and a training may begin with it
    begun = EmotionCNNClassifier(
        network=LAYERS, weights=stem.with_suffix(".onnx"), max_epochs=1, device="cpu"
    )
    assert begun.fit(X, y, votes=np.ones((42, 7))).architecture_["has_votes"]

    # over already: nothing is trained, the same files are written
    before = [path.read_bytes() for path in sorted(stem.parent.glob("*.onnx"))]
    assert "epoch  " not in run("train_embedded_model.py", *arguments)
    assert [path.read_bytes() for path in sorted(stem.parent.glob("*.onnx"))] == before

    taught = tmp_path / "taught"
    options = [*arguments[:-1], "--teacher", stem.with_suffix(".onnx"), "--epochs", 1]
    run("train_embedded_model.py", *options, "--out", taught)
    provenance = json.loads(taught.with_suffix(".json").read_text())
    assert provenance["teacher"] == {
        "file": "emotion.onnx",
        "sha256": hashlib.sha256(before[0]).hexdigest(),
    }


def test_measures_a_model(data, tmp_path):
    folder, X, y, _ = data
    out = tmp_path / "figures.json"
    arguments = ["--data", folder / "faces", "--votes", folder / "votes.csv", "--out", out]
    printed = run("evaluate_faces.py", *arguments)
    table = json.loads(out.read_text())
    assert len(table) == 8  # two precisions, alone and mirrored, two outputs
    for name, figures in table.items():
        assert name in printed
        assert (figures["labels"]["n"], figures["votes"]["n"]) == (42, 41)
        assert figures["faces_per_second"] > 0
    predicted = PretrainedEmotionClassifier(output="labels").predict(X)
    figures = table["embedded, int8, mirrored, labels"]
    assert figures["labels"]["accuracy"] == accuracy_score(y, predicted)
    printed = run("evaluate_faces.py", "--data", folder / "faces", "--class-prior", "uniform")
    assert "agrees with it" not in printed
