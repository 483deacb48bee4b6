"""Join trained emotion networks into the one ONNX file that the package ships.

The output is the mean of the probabilities of all networks, each on a face and its mirror
image::

    python examples/average_embedded_models.py first.npz second.npz --out average.onnx

The files come from ``examples/train_embedded_model.py``, which writes them beside the model.
Kernels are stored in 8 bits.
"""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path

import numpy as np

from emotion_estimators.networks.emotion import EmotionCNN
from emotion_estimators.networks.torch_onnx import torch_onnx
from emotion_estimators.training.inference import restore_network


def read_network(path: Path) -> tuple[EmotionCNN, list[str]]:
    """Return the network of a file, and its classes."""
    with np.load(path) as file:
        weights = dict(file)
    described = json.loads(str(weights.pop("description")))
    network = restore_network(partial(EmotionCNN, **described["architecture"]), weights)
    return network, described["classes"]


def main(argv: list[str] | None = None) -> None:
    """Read the weights, join, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path, nargs="+", help="files .npz of trained networks")
    parser.add_argument("--out", type=Path, default=Path("emotion_cnn_average.onnx"))
    arguments = parser.parse_args(argv)

    networks, classes = zip(*map(read_network, arguments.weights), strict=True)
    if any(names != classes[0] for names in classes):
        sys.exit(f"Expected networks of the same classes, got {classes}.")
    size = (48, 48)
    model = torch_onnx(
        networks,
        size,
        mirrored=True,
        stored="int8",
        metadata={
            "classes": json.dumps(classes[0]),
            "image_size": json.dumps(size),
            "color": json.dumps("grey"),
            "scaling": json.dumps([0, 1]),
        },
    )
    arguments.out.write_bytes(model)
    print(f"wrote {arguments.out}, {len(model):,} bytes")


if __name__ == "__main__":
    main()
