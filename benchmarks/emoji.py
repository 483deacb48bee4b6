"""Time EmojiCNNClassifier against plain Keras: python benchmarks/emoji.py [--rounds N].

Both sides run in this process, on the backend that KERAS_BACKEND names, and take turns; figures
are medians over the rounds. Training: the same network, compiled alike, on the same images,
batches of the same size, no augmentation; plain Keras is given scaled float32 arrays, this library
uint8 images. Plain Keras keeps its compiled network between rounds, and so does this library;
the first fit of each, which builds and compiles, is timed apart. What the augmentation of the
default adds is timed against a fit without it. Predicting: the same network on the same number of
images on both sides. By default this library averages ten views of each image, which Keras'
predict does not know; Keras is given the views as so many images, ready-made.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from importlib.metadata import version
from statistics import median
from typing import Any

import numpy as np
from sklearn.base import clone

from record import describe_machine

PRESETS = (None, "original")
KERAS_BATCH = 256
N_VIEWS = 10


def timed(call: Callable[[], Any]) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def in_turns(ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int) -> list[list[float]]:
    """Return seconds of both, timed one after the other, without a first round."""
    turns = [(timed(ours), timed(theirs)) for _ in range(rounds + 1)]
    return [list(pair) for pair in zip(*turns[1:], strict=True)]


def report(name: str, seconds: list[list[float]], goal: str = "") -> None:
    """Print a row: medians, and how many times as fast as Keras this library is."""
    ours, theirs = (median(values) * 1e3 for values in seconds)
    print(f"| {name} | {ours:.2f} ms | {theirs:.2f} ms | {theirs / ours:.2f} | {goal} |")


def plain_model(classifier: Any) -> Any:
    """Return the network of a fitted classifier, compiled as plain Keras would be."""
    import keras

    model = keras.models.clone_model(classifier.network_)
    model.set_weights(classifier.network_.get_weights())
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3, weight_decay=classifier.weight_decay or None),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=classifier.label_smoothing),
        weighted_metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        jit_compile=False,
    )
    return model


def measure(preset: str | None, options: argparse.Namespace) -> None:
    """Print all figures of one network and its settings."""
    from emotion_estimators import make_emoji_classifier
    from emotion_estimators.datasets import load_emoji_sample
    from emotion_estimators.images import read_image, resize_images, to_grey

    emoji = load_emoji_sample()
    rows = np.arange(options.pictures) % len(emoji.data)  # speed does not ask what they show
    pictures = np.stack([read_image(path) for path in emoji.data[rows]])
    X, y = resize_images(to_grey(pictures), (48, 48)), emoji.target[rows]
    scaled = (X / 255).astype(np.float32)[..., np.newaxis]
    targets = np.eye(2, dtype=np.float32)[np.unique(y, return_inverse=True)[1]]
    weights = np.ones(len(y), dtype=np.float32)
    classifier = make_emoji_classifier(
        preset,
        max_epochs=options.max_epochs,
        augmentation=0.0,
        n_iter_no_change=None,
        random_state=0,
    )
    first = timed(lambda: classifier.fit(X, y))
    model = plain_model(classifier)

    def train() -> None:
        model.fit(
            scaled,
            targets,
            sample_weight=weights,
            epochs=options.max_epochs,
            batch_size=classifier.batch_size,
            verbose=0,
        )

    first_of_keras = timed(train)
    print(f"\n`make_emoji_classifier({preset!r})`\n")
    print("| | this library | plain Keras | times as fast | goal |")
    print("|---|---|---|---|---|")
    fit = f"fit, {len(y)} images, {options.max_epochs} epochs"
    report(f"{fit}, the first", [[first], [first_of_keras]])
    report(fit, in_turns(lambda: classifier.fit(X, y), train, options.rounds), "0.91")
    if preset is None:
        augmented = clone(classifier).set_params(augmentation=1.0).fit(X, y)
        seconds = in_turns(lambda: augmented.fit(X, y), train, options.rounds)
        report(f"{fit}, augmented here alone", seconds)
    for n, rounds, goal in ((1, options.single, "5"), (min(256, len(X)), 10, "1")):
        for n_views in (1, N_VIEWS):
            # views are timed as they come to the network, whatever they show
            arrays = np.repeat(scaled[:n], n_views, axis=0)
            classifier.set_params(test_time_augmentation=n_views > 1)
            seconds = in_turns(
                lambda n=n: classifier.predict_proba(X[:n]),
                lambda arrays=arrays: model.predict(arrays, verbose=0, batch_size=KERAS_BATCH),
                rounds,
            )
            views = f", {n_views} views each" if n_views > 1 else ""
            report(f"predict, {n} at once{views}", seconds, goal)


def main() -> None:
    """Print one table for each network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pictures", type=int, default=256)
    parser.add_argument("--max-epochs", type=int, default=10)
    parser.add_argument("--single", type=int, default=50, help="predictions of one image")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    backend = keras.backend.backend()
    print(
        f"{describe_machine()}, Keras {keras.__version__} on {backend}, ONNX Runtime "
        f"{version('onnxruntime')}"
    )
    for preset in PRESETS:
        measure(preset, options)


if __name__ == "__main__":
    main()
