"""Train the embedded emotion model and write it as ONNX.

One command, seeded::

    python examples/train_embedded_model.py --data facial_emotions_train.zip --out emotion_cnn.onnx

The settings are the defaults of `EmotionCNNClassifier`; what is passed below is the length of
the training, the part held out and, with ``--large``, a network of 170 million multiplications
a face in place of 68, which sees it at full resolution. After an epoch the averaged weights are
scored on that part. With ``--checkpoint-dir`` the state is written after each epoch, and the same
command goes on where it was stopped, to the same bits. Ctrl-C ends the training and goes on with
the best epoch. The history of the training and its figures land beside the model as JSON. With
``--test`` the finished file is measured, once, on another folder of faces that has had no part in
any choice.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback

from emotion_estimators.classifiers import EmotionCNNClassifier, PretrainedEmotionClassifier
from emotion_estimators.datasets import load_image_folder
from emotion_estimators.metrics import measure_probabilities


class Report(Callback):
    """Print each epoch."""

    def __init__(self) -> None:
        self.start = time.perf_counter()

    def on_epoch_end(self, net: Any, **_: Any) -> None:
        """Look at an epoch of the training."""
        row = net.history[-1]
        names = ("train_loss", "train_accuracy", "valid_loss", "valid_accuracy")
        values = [f"{name} {row[name]:.4f}" for name in names]
        seconds = time.perf_counter() - self.start
        best = "best" if row["score_best"] else "    "
        print(f"epoch {row['epoch']:3d}", *values, best, f"{seconds:.0f} s", sep="  ", flush=True)


def write(cnn: EmotionCNNClassifier, out: Path) -> None:
    """Write the file to be shipped, the weights as trained, and the history."""
    cnn.export_onnx(out, test_time_augmentation=False, stored="float16")
    unfinished = out.with_suffix(".part.npz")
    described = {"architecture": cnn.architecture_, "classes": cnn.classes_.tolist()}
    np.savez(unfinished, description=json.dumps(described), **cnn.weights_)
    unfinished.replace(out.with_suffix(".npz"))
    out.with_suffix(".history.json").write_text(json.dumps(cnn.history_, indent=1))


def measure(model: Any, folder: Path) -> dict[str, Any]:
    """Return the figures of a model on a folder of faces."""
    X, y = load_image_folder(folder, return_X_y=True)
    return measure_probabilities(y, model.predict_proba(X), model.classes_)


def main(argv: list[str] | None = None) -> None:
    """Train, write, measure."""
    folder = Path(os.environ.get("EMOTION_ESTIMATORS_DATA", "."))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=folder / "facial_emotions_train.zip")
    parser.add_argument("--out", type=Path, default=Path("emotion_cnn.onnx"))
    parser.add_argument("--test", type=Path, help="folder of faces for the final figures")
    parser.add_argument("--large", action="store_true", help="the larger of two networks")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--minutes", type=float, help="end sooner, the schedule fitted to it")
    parser.add_argument("--validation", type=float, default=0.05)
    parser.add_argument("--teacher", type=Path, help="model file whose probabilities teach, too")
    parser.add_argument("--mixup", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--checkpoint-dir", type=Path, help="go on from here if stopped before")
    arguments = parser.parse_args(argv)

    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    out = arguments.out
    out.parent.mkdir(parents=True, exist_ok=True)
    X, y = load_image_folder(arguments.data, return_X_y=True)
    print(f"{len(X)} faces of {sorted(set(y))}")
    teacher = arguments.teacher
    if teacher is not None:
        teacher = PretrainedEmotionClassifier(model=teacher).fit(X[:1], y[:1])  # learns nothing
    cnn = EmotionCNNClassifier(
        network="large" if arguments.large else "small",
        teacher=teacher,
        mixup=arguments.mixup,
        max_epochs=arguments.epochs,
        max_time=None if arguments.minutes is None else 60 * arguments.minutes,
        validation_fraction=arguments.validation,
        n_iter_no_change=None,
        callbacks=[Report()],
        checkpoint_dir=arguments.checkpoint_dir,
        resume=arguments.checkpoint_dir is not None,
        random_state=arguments.seed,
    )
    start = time.perf_counter()
    try:
        cnn.fit(X, y)
    except KeyboardInterrupt:
        if not hasattr(cnn, "weights_"):  # no epoch was over
            raise
        print("interrupted: what follows is of the best epoch so far")
    write(cnn, out)
    figures: dict[str, Any] = {
        "teacher": None if arguments.teacher is None else arguments.teacher.name,
        "parameters": {
            k: v
            for k, v in cnn.get_params(deep=False).items()
            if k not in ("callbacks", "checkpoint_dir", "resume", "teacher")
        },
        "n_weights": sum(array.size for array in cnn.weights_.values()),
        "epochs": cnn.n_iter_,
        "best_epoch": cnn.best_epoch_,
        "held_out": cnn.history_[cnn.best_epoch_ - 1] if cnn.best_epoch_ else None,
        "seconds": round(time.perf_counter() - start),
        "machine": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "onnx_bytes": out.stat().st_size,
    }
    if arguments.test is not None:
        # the file itself, which is what users run; then what mirror images would add
        shipped = PretrainedEmotionClassifier(model=out).fit(X, y)  # learns nothing
        figures["test"] = measure(shipped, arguments.test)
        figures["test_with_flip"] = measure(cnn, arguments.test)
    path = out.with_suffix(".metrics.json")
    path.write_text(json.dumps(figures, indent=1))
    print(f"wrote {out} and {path}: best epoch {figures['held_out']}")


if __name__ == "__main__":
    main()
