"""Train the three torch networks on a GPU: python benchmarks/cuda.py [--minutes 8].

`EmotionCNNClassifier` (the large network, with what people voted), `FineTunedFacenetClassifier`
(without pretrained weights, which would be a download) and `LightningMultiLabelClassifier` take
turns, each with a share of the minutes; what comes before, such as reading the data, is not
counted. Two fits of one epoch warm up and tell how many epochs a share has room for; the one after
them is timed. Its images per second are those of the whole fit, with its start; accuracy is that on
other images. Faces are FER2013's Training split and PublicTest with the votes of FER+, from
EMOTION_ESTIMATORS_DATA; where that is not set they are drawn, and so are the scenes: accuracy on
drawings says nothing about photographs. --device cpu runs the same.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# ruff: noqa: E402 - torch looks for the package `cuda`, and would find this file in its place
sys.path[:] = [path for path in sys.path if Path(path).resolve() != Path(__file__).resolve().parent]

import numpy as np
import torch
from numpy.typing import NDArray

from emotion_estimators.classifiers import (
    EmotionCNNClassifier,
    FineTunedFacenetClassifier,
    LightningMultiLabelClassifier,
)
from emotion_estimators.datasets import load_image_folder, load_votes, make_faces, make_scenes
from emotion_estimators.metrics import macro_average_precision, measure_votes
from emotion_estimators.training.device import autocast_dtype
from emotion_estimators.validation import check_images

SHARES = {"emotion": 0.5, "facenet": 0.25, "multilabel": 0.25}  # of the minutes
MOST_EPOCHS = {"emotion": 130, "facenet": 20, "multilabel": 40}
COLUMNS = ("network", "images", "epochs", "seconds", "images/s", "answers/s", "found", "peak GiB")


def load_faces(folder: Path, part: str, n: int, seed: int) -> tuple[NDArray[Any], Any, Any]:
    """Return n faces (n, 48, 48), their labels and a table of votes."""
    path = {"train": "facial_emotions_train.zip", "public_test": "facial_emotions/test"}[part]
    table = folder / "ferplus" / f"{part}_votes.csv"
    if not ((folder / path).exists() and table.is_file()):
        X, y = make_faces(n, random_state=seed)
        others = np.random.default_rng(seed).multinomial(3, np.full(7, 1 / 7), size=n)
        return X, y, others + 7 * (y[:, np.newaxis] == np.unique(y))
    bunch = load_image_folder(folder / path)
    rows = np.random.default_rng(seed).permutation(len(bunch.data))[:n]
    files = np.asarray(bunch.filenames)[rows]
    images = check_images(
        [bunch.data[i] for i in rows], name="cuda", image_size=(48, 48), color="grey"
    )
    X = np.concatenate([batch for _, batch in images.batches(1024, n_threads=1)])
    return X, np.asarray(bunch.target).astype(str)[rows], load_votes(table, files=files)


def peak_gib(device: str) -> float:
    """Return the largest memory taken: of the card since it was last reset, of the process."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**30
    unit = 1 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def trained(
    name: str,
    make: Callable[[int], Any],
    judge: Callable[[Any], str],
    data: tuple[Any, ...],
    X_test: NDArray[Any],
    options: argparse.Namespace,
) -> None:
    """Train one of them for its share of the time, and print a row; `make` takes the epochs."""
    end = time.perf_counter() + 60 * options.minutes * SHARES[name]
    for _ in range(2):
        start = time.perf_counter()
        make(1).fit(*data)
        one = time.perf_counter() - start
    left = int(0.9 * (end - time.perf_counter()) / one)
    n_epochs = max(1, min(left, options.max_epochs or MOST_EPOCHS[name]))
    if options.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    fitted = make(n_epochs).fit(*data)
    seconds = time.perf_counter() - start
    peak = peak_gib(options.device)
    fitted.predict_proba(X_test[:64])
    start = time.perf_counter()
    fitted.predict_proba(X_test)
    answers = len(X_test) / (time.perf_counter() - start)
    speed = len(data[0]) * n_epochs / seconds
    cells = [name, len(data[0]), n_epochs, f"{seconds:.1f}", f"{speed:.0f}", f"{answers:.0f}"]
    print(f"| {' | '.join(map(str, [*cells, judge(fitted), f'{peak:.2f}']))} |", flush=True)


def main(argv: list[str] | None = None) -> None:
    """Print a row for each network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--minutes", type=float, default=8)
    folder = os.environ.get("EMOTION_ESTIMATORS_DATA", "")
    parser.add_argument("--data", type=Path, default=folder, help="folder of FER2013 and FER+")
    parser.add_argument("--faces", type=int, default=28709, help="to train on")
    parser.add_argument("--test-faces", type=int, default=3589)
    parser.add_argument("--large-faces", type=int, default=8000, help="of these for FaceNet")
    parser.add_argument("--face-size", type=int, default=160, help="pixels for FaceNet")
    parser.add_argument("--scenes", type=int, default=2000)
    parser.add_argument("--scene-size", type=int, default=224, help="pixels")
    parser.add_argument("--backbone", default="resnet50", help="of the multi-label network")
    parser.add_argument("--max-epochs", type=int, help="fewer than the time has room for")
    options = parser.parse_args(argv)
    where = platform.machine()
    if options.device == "cuda":
        if not torch.cuda.is_available():
            print("torch finds no CUDA device: nothing was measured (--device cpu runs the same)")
            return
        where = torch.cuda.get_device_name()
    precision = autocast_dtype("auto", torch.device(options.device)) or torch.float32
    print(f"{where}, torch {torch.__version__}, trained in {precision}")
    X, y, votes = load_faces(options.data, "train", options.faces, 0)
    X_test, y_test, votes_test = load_faces(options.data, "public_test", options.test_faces, 1)
    scenes, things = make_scenes(options.scenes, image_size=options.scene_size, random_state=0)
    test, shown = make_scenes(
        max(options.scenes // 4, 50), image_size=options.scene_size, random_state=1
    )
    print(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}")
    fixed: dict[str, Any] = {
        "validation_fraction": None, "n_iter_no_change": None, "device": options.device,
        "random_state": 0,
    }  # fmt: skip

    def by_label_and_votes(cnn: Any) -> str:
        right = cnn.score(X_test, y_test)
        said = cnn.set_params(output="votes").predict_proba(X_test)
        agreed = measure_votes(votes_test, said, cnn.classes_, n_bootstrap=1)["majority_agreement"]
        return f"label {right:.4f}, clear majority {agreed:.4f}"

    trained(
        "emotion",
        lambda n: EmotionCNNClassifier(network="large", mixup=0.2, max_epochs=n, **fixed),
        by_label_and_votes, (X, y, None, votes), X_test, options,
    )  # fmt: skip
    settings = {"weights": None, "image_size": options.face_size, **fixed}
    trained(
        "facenet",
        lambda n: FineTunedFacenetClassifier(**settings, max_epochs=n),
        lambda net: f"label {net.score(X_test, y_test):.4f}",
        (X[: options.large_faces], y[: options.large_faces]), X_test, options,
    )  # fmt: skip
    trained(
        "multilabel",
        lambda n: LightningMultiLabelClassifier(
            network=options.backbone, image_size=options.scene_size, max_epochs=n, **fixed
        ),
        lambda net: f"macro AP {macro_average_precision(shown, net.predict_proba(test)):.4f}",
        (scenes, things), test, options,
    )  # fmt: skip


if __name__ == "__main__":
    main()
