"""Time EmojiCNNClassifier against plain Keras: python benchmarks/emoji.py [--rounds N].

Both sides run in this process, on the backend that KERAS_BACKEND names, and take turns; figures
are medians over the rounds. Training: the same network, compiled alike, on the same pictures,
batches of the same size, no augmentation; plain Keras is given scaled float32 arrays, this library
uint8 pictures. Plain Keras keeps its compiled network between rounds, and so does this library;
the first fit of each, which builds and compiles, is timed apart. Predicting: one picture and a
batch, without the ten views of each picture, since Keras' predict knows none; with them it takes
ten times as long.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

ARCHITECTURES = ("default", "seed")


def timed(call: Callable[[], Any]) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def in_turns(ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int) -> list[list[float]]:
    """Return seconds of both, timed one after the other."""
    turns = [(timed(ours), timed(theirs)) for _ in range(rounds)]
    return [list(pair) for pair in zip(*turns, strict=True)]


def report(name: str, seconds: list[list[float]], goal: str) -> None:
    """Print medians and the ratio to Keras."""
    ours, theirs = (median(values) for values in seconds)
    print(
        f"{name:34}{ours * 1000:12.2f} ms{theirs * 1000:12.2f} ms{ours / theirs:9.2f}x"
        f"{theirs / ours:9.2f}x   {goal}"
    )


def plain_model(classifier: Any, architecture: str) -> Any:
    """Return the network of a fitted classifier, compiled as plain Keras would be."""
    import keras

    model = keras.Sequential.from_config(classifier.architecture_["config"])
    for layer in model.layers:
        for variable in layer.weights:
            variable.assign(classifier.weights_[f"{layer.name}/{variable.name}"])
    is_seed = architecture == "seed"
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3, weight_decay=None if is_seed else 0.01),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=0.0 if is_seed else 0.1),
        weighted_metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        jit_compile=False,
    )
    return model


def measure(architecture: str, options: argparse.Namespace) -> None:
    """Print all figures of one architecture."""
    from emotion_estimators import EmojiCNNClassifier
    from emotion_estimators.datasets import make_emoji

    X, y = make_emoji(
        options.pictures, emotions=["happy", "sad"], image_size=48, color="grey", random_state=0
    )
    scaled = (X / 255).astype(np.float32)[..., np.newaxis]
    targets = np.eye(2, dtype=np.float32)[np.unique(y, return_inverse=True)[1]]
    weights = np.ones(len(y), dtype=np.float32)
    classifier = EmojiCNNClassifier(
        architecture=architecture,
        epochs=options.epochs,
        augmentation=0.0,
        patience=None,
        test_time_augmentation=False,
        random_state=0,
    )
    batch_size = classifier.recipes[architecture]["batch_size"]
    first = timed(lambda: classifier.fit(X, y))
    model = plain_model(classifier, architecture)

    def train() -> None:
        model.fit(
            scaled,
            targets,
            sample_weight=weights,
            epochs=options.epochs,
            batch_size=batch_size,
            verbose=0,
        )

    first_of_keras = timed(train)
    print(f"\narchitecture={architecture!r}, {len(y)} pictures, {options.epochs} epochs")
    print(f"{'':34}{'ours':>15}{'plain Keras':>15}{'ours/K':>10}{'K/ours':>10}   goal")
    report("first fit, building included", [[first], [first_of_keras]], "")
    report("fit", in_turns(lambda: classifier.fit(X, y), train, options.rounds), "ours/K <= 1.10")
    n_batch = min(256, len(X))
    for n, repeats, goal in ((1, options.single, "K/ours >= 5"), (n_batch, 10, "K/ours >= 1")):
        images, arrays = X[:n], scaled[:n]
        seconds = in_turns(
            lambda images=images: classifier.predict_proba(images),
            lambda arrays=arrays: model.predict(arrays, verbose=0, batch_size=256),
            repeats + 1,
        )
        report(f"predict, {n} at once", [values[1:] for values in seconds], goal)


def main() -> None:
    """Print one table for each architecture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pictures", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--single", type=int, default=50, help="predictions of one picture")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    print(
        f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}, Keras "
        f"{keras.__version__} on {keras.backend.backend()}"
    )
    for architecture in ARCHITECTURES:
        measure(architecture, options)


if __name__ == "__main__":
    main()
