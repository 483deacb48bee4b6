"""Join trained emotion networks into the one ONNX file that the package ships.

The output is the mean of the probabilities of all networks, each on a face and its mirror
image::

    python examples/average_embedded_models.py first.npz second.npz --out average.onnx

The files come from ``examples/train_embedded_model.py``, which writes the weights beside the
model; the second network is trained with ``--teacher first.onnx``.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path

import numpy as np

from emotion_estimators.classifiers import EmotionCNNClassifier
from emotion_estimators.labels import EMOTIONS
from emotion_estimators.networks.emotion_cnn import EmotionCNN
from emotion_estimators.networks.emotion_cnn_onnx import emotion_cnn_to_onnx
from emotion_estimators.networks.onnx_average import average_onnx
from emotion_estimators.training.inference import restore_network


def main(argv: list[str] | None = None) -> None:
    """Read the weights, join, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path, nargs="+", help="files .npz of trained networks")
    parser.add_argument("--out", type=Path, default=Path("emotion_cnn_average.onnx"))
    arguments = parser.parse_args(argv)

    defaults = EmotionCNNClassifier()
    architecture = {
        "n_classes": len(EMOTIONS),
        "stem_width": defaults.stem_width,
        "widths": list(defaults.widths),
        "n_blocks": list(defaults.n_blocks),
    }
    size = (48, 48)
    metadata = {
        "classes": json.dumps(sorted(EMOTIONS)),
        "image_size": json.dumps(size),
        "color": json.dumps("grey"),
        "scaling": json.dumps([0, 1]),
    }
    models = []
    for path in arguments.weights:
        with np.load(path) as file:
            network = restore_network(partial(EmotionCNN, **architecture), dict(file))
        models.append(emotion_cnn_to_onnx(network, size, flip=True, half=True, metadata=metadata))
    arguments.out.write_bytes(average_onnx(models, small=True).SerializeToString())
    print(f"wrote {arguments.out}, {arguments.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
