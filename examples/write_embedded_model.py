"""Write the files of the embedded model from the weights of a trained network.

The network has one trunk and two last layers: what FER2013's labels say, and what shares of
people say so. Both, and the features before them, are outputs of one ONNX file, in float32
(weights stored in 16 bits) and in 8-bit integers::

    python examples/write_embedded_model.py network.npz --out emotion

writes ``emotion.onnx`` and ``emotion_int8.onnx`` and, beside them, ``emotion.json`` with the
hashes of all that went in and came out. The integers need the package onnx; the ranges that
they stand for are those of 1,000 training faces, drawn by ``--seed``.

The weights are a file ``.npz``, as ``train_embedded_model.py`` writes it, which calls this at its
end: ``description``, JSON with the ``architecture`` of an `EmotionCNN`, its ``classes`` and by
output the ``class_prior``; then the arrays by name. Of a network with one last layer for both, its
classes ``angry/label``, ``angry/votes`` and so on, how common the classes were in the training is
worked out from its faces and votes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from emotion_estimators.datasets import load_image_folder, load_votes
from emotion_estimators.labels import EMOTIONS
from emotion_estimators.networks.emotion import EmotionCNN
from emotion_estimators.networks.torch_onnx import torch_onnx
from emotion_estimators.training.inference import restore_network
from emotion_estimators.validation import check_images

SIZE = (48, 48)
OUTPUTS = {"votes": "votes", "labels": "label"}  # the first one answers
N_CALIBRATION = 1000  # faces from which the ranges of the integers are taken
SMOOTHING = 0.1  # of the labels that the network was taught
UNCLEAR = 0.3  # weight of a face whose votes all say something else than one of the classes


def read_network(path: Path) -> tuple[EmotionCNN, dict[str, nn.Linear], dict[str, Any]]:
    """Return the network of a file, its last layer for each output, and more for the metadata."""
    with np.load(path) as file:
        weights = dict(file)
    described = json.loads(str(weights.pop("description")))
    network = restore_network(partial(EmotionCNN, **described["architecture"]), weights)
    if network.votes is not None:
        heads = {"votes": network.votes, "labels": network.head}
        layers = ("stem_width", "stem_stride", "widths", "n_blocks")
        known = {
            "class_prior": described["class_prior"],
            "network": {name: described["architecture"][name] for name in layers},
        }
        return network, heads, known
    heads = {}
    for output, suffix in OUTPUTS.items():
        rows = [described["classes"].index(f"{emotion}/{suffix}") for emotion in EMOTIONS]
        heads[output] = head = nn.Linear(network.head.in_features, len(rows))
        head.weight.data, head.bias.data = network.head.weight[rows], network.head.bias[rows]
    return network, heads, {}


def training_prior(y: NDArray[Any], votes: Any) -> dict[str, list[float]]:
    """Return the weighted mean of the training targets of each output.

    `y` (n,) labels; `votes` (n, 10), a frame of `load_votes`.
    """
    labels = (y[:, np.newaxis] == np.array(EMOTIONS)).astype(float)  # (n, 7)
    counts = votes[list(EMOTIONS)].to_numpy()  # (n, 7)
    sums = counts.sum(axis=1, keepdims=True)
    shares = np.where(sums > 0, counts / np.maximum(sums, 1), labels)
    is_clear, is_asked = sums[:, 0] > 0, votes.to_numpy().sum(axis=1) > 0
    weights = np.where(is_asked & ~is_clear, UNCLEAR, 1.0)
    smooth = (1 - SMOOTHING) * labels + SMOOTHING / len(EMOTIONS)
    means = {"votes": weights @ shares, "labels": weights @ smooth}
    return {name: (mean / weights.sum()).round(6).tolist() for name, mean in means.items()}


class Faces:
    """Hands faces to the quantiser, one at a time."""

    def __init__(self, faces: NDArray[np.uint8]) -> None:
        self.left: Iterator[NDArray[np.uint8]] = iter(faces)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """Return the next input of the network, (1, 1, 48, 48)."""
        face = next(self.left, None)
        return None if face is None else {"images": face[np.newaxis, np.newaxis] / np.float32(255)}


def mean_of_weights(models: Sequence[bytes]) -> bytes:
    """Return a model whose weights are the mean of those of models that are one graph."""
    import onnx
    from onnx import numpy_helper

    first, *others = [onnx.load_from_string(model) for model in models]
    for tensors in zip(
        first.graph.initializer, *(o.graph.initializer for o in others), strict=True
    ):
        arrays = [numpy_helper.to_array(tensor) for tensor in tensors]
        if arrays[0].dtype.kind == "f":
            mean = np.mean(arrays, axis=0, dtype=np.float64).astype(arrays[0].dtype)
            tensors[0].CopyFrom(numpy_helper.from_array(mean, tensors[0].name))
    serialised: bytes = first.SerializeToString()
    return serialised


def quantize(model: bytes, faces: NDArray[np.uint8]) -> bytes:
    """Return a model in float32 as one that computes in 8-bit integers.

    `faces` (n, 48, 48): their activations set the ranges.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder:
        given, prepared, result = (Path(folder, f"{i}.onnx") for i in range(3))
        given.write_bytes(model)
        quant_pre_process(given, prepared, skip_symbolic_shape=True)
        nodes = onnx.load(prepared).graph.node
        first = next(node.name for node in nodes if node.op_type == "Conv")
        quantize_static(
            prepared,
            result,
            Faces(faces),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            # 7 bits of weight: the sums of two products fit into 16 bits, which processors without
            # VNNI have, and all give the same
            reduce_range=True,
            # probabilities in steps of 1/255 would not sum to 1; a layer of a single channel
            # takes twice as long in integers
            nodes_to_exclude=[first, *(node.name for node in nodes if node.op_type == "Softmax")],
        )
        quantized = onnx.load(result)
    del quantized.metadata_props[:]
    onnx.helper.set_model_props(
        quantized, {prop.key: prop.value for prop in onnx.load_from_string(model).metadata_props}
    )
    serialised: bytes = quantized.SerializeToString()
    return serialised


def sha256(path: Path) -> str:
    """Return the hash of a file, or of all files in a folder one after the other."""
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def write_files(
    weights: Sequence[Path],
    stem: Path,
    X: Any,
    y: Any,
    votes: Any,
    *,
    seed: int,
    average: str = "weights",
) -> Any:
    """Write both files of a network, or of the mean of several; return what is known of them.

    `X` the n faces of the training, `y` (n,) their labels, `votes` (n, 10), a frame of
    `load_votes`.
    """
    networks, heads, known = zip(*map(read_network, weights), strict=True)
    metadata = {
        "classes": EMOTIONS,
        "image_size": SIZE,
        "color": "grey",
        "scaling": [0, 1],
        "output": next(iter(OUTPUTS)),
        **(known[-1] or {"class_prior": training_prior(y, votes)}),
    }
    write_mean = partial(
        torch_onnx,
        image_size=SIZE,
        features=True,
        metadata={key: json.dumps(value) for key, value in metadata.items()},
    )

    def write(stored: str) -> bytes:
        if average == "networks":
            return write_mean(networks, heads=heads, stored=stored)
        models = [
            write_mean([network], heads=[own], stored=stored)
            for network, own in zip(networks, heads, strict=True)
        ]
        return models[0] if len(models) == 1 else mean_of_weights(models)

    drawn = np.random.default_rng(seed).permutation(len(X))[:N_CALIBRATION]
    images = check_images(X[np.sort(drawn)], name="quantize", image_size=SIZE, color="grey")
    faces = np.concatenate([batch for _, batch in images.batches(N_CALIBRATION, n_threads=1)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the quantiser, about its own future
        integers = quantize(write("float32"), faces)
    stem.parent.mkdir(parents=True, exist_ok=True)
    written = {
        stem.with_name(f"{stem.name}.onnx"): write("float16"),
        stem.with_name(f"{stem.name}_int8.onnx"): integers,
    }
    for path, model in written.items():
        path.write_bytes(model)
        print(f"wrote {path}, {len(model):,} bytes")
    return {
        "weights": [{"file": path.name, "sha256": sha256(path)} for path in weights],
        "average": average if len(weights) > 1 else None,
        "seed": seed,
        "n_calibration": len(faces),
        "files": {
            path.name: {"sha256": sha256(path), "size": path.stat().st_size} for path in written
        },
        "metadata": metadata,
        "versions": {name: version(name) for name in ("numpy", "onnx", "onnxruntime", "torch")},
        "machine": platform.machine(),
    }


def main(argv: list[str] | None = None) -> None:
    """Read the weights and the data, write both files."""
    folder = Path(os.environ.get("EMOTION_ESTIMATORS_DATA", "."))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path, nargs="+", help="file .npz of a trained network")
    parser.add_argument("--data", type=Path, default=folder / "facial_emotions_train.zip")
    parser.add_argument("--votes", type=Path, default=folder / "ferplus" / "train_votes.csv")
    parser.add_argument("--out", type=Path, default=Path("emotion"), help="path without suffix")
    parser.add_argument(
        "--average",
        choices=["weights", "networks"],
        default="weights",
        help="of what the mean is written, where several networks are given",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the faces for the ranges")
    arguments = parser.parse_args(argv)

    bunch = load_image_folder(arguments.data)
    X, y = bunch.data, np.asarray(bunch.target)
    votes = load_votes(arguments.votes, files=bunch.filenames)
    stem = arguments.out
    provenance = {
        "data": {path.name: sha256(path) for path in (arguments.data, arguments.votes)},
        **write_files(
            arguments.weights, stem, X, y, votes, seed=arguments.seed, average=arguments.average
        ),
    }
    stem.with_name(f"{stem.name}.json").write_text(json.dumps(provenance, indent=1))


if __name__ == "__main__":
    main()
