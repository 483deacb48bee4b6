"""Train the embedded emotion model and write it as ONNX.

One command, seeded::

    python examples/train_embedded_model.py --data facial_emotions_train.zip --out emotion_cnn.onnx

The settings are the defaults of `EmotionCNNClassifier`; what is passed below is the length of
the training and the part held out. After every epoch the averaged weights are scored on that
part; whenever they are the best so far, the ONNX file is written anew, so an interruption
(Ctrl-C, too) loses nothing. The metrics land beside it as JSON. With ``--test`` the finished
model is measured once on another folder of faces, which has had no part in any choice.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score

from emotion_estimators.classifiers.emotion_cnn_classifier import EmotionCNNClassifier
from emotion_estimators.datasets import load_image_folder


class Checkpoint:
    """Prints each epoch and writes model and history whenever the model got better."""

    def __init__(self, out: Path, every: int) -> None:
        self.out = out
        self.every = every
        self.start = time.perf_counter()
        self.written = 0

    def __call__(self, cnn: EmotionCNNClassifier) -> None:
        record = cnn.history_[-1]
        seconds = time.perf_counter() - self.start
        line = "  ".join(f"{name} {value:.4f}" for name, value in record.items() if name != "epoch")
        print(
            f"epoch {record['epoch']:3d}  {line}  best {cnn.best_epoch_}  {seconds:.0f} s",
            flush=True,
        )
        last = cnn.n_iter_ == cnn.max_epochs
        if self.written < cnn.best_epoch_ and (cnn.n_iter_ % self.every == 0 or last):
            self.written = cnn.best_epoch_
            write(cnn, self.out)


def write(cnn: EmotionCNNClassifier, out: Path) -> None:
    """Write the model without and the weights as trained, and the history."""
    cnn.export_onnx(out, flip=False, half=True)
    unfinished = out.with_suffix(".part.npz")
    np.savez(unfinished, **cnn.weights_)
    unfinished.replace(out.with_suffix(".npz"))
    out.with_suffix(".history.json").write_text(json.dumps(cnn.history_, indent=1))


def measure(y: np.ndarray, probabilities: np.ndarray, classes: np.ndarray) -> dict[str, object]:
    """Return accuracy, macro-F1, recall of each class, ECE and the confusion matrix."""
    predicted = classes[probabilities.argmax(axis=1)]
    rng = np.random.default_rng(0)
    draws = rng.integers(len(y), size=(1000, len(y)))
    right = predicted == y
    codes, predicted_codes = np.searchsorted(classes, y), np.searchsorted(classes, predicted)
    confidence = probabilities.max(axis=1)
    intervals = {
        "accuracy": np.percentile(right[draws].mean(axis=1), [2.5, 97.5]),
        "macro_f1": np.percentile(
            [_macro_f1(codes[i], predicted_codes[i]) for i in draws], [2.5, 97.5]
        ),
        "ece": np.percentile([_ece(right[i], confidence[i]) for i in draws], [2.5, 97.5]),
    }
    recalls = recall_score(y, predicted, labels=classes, average=None)
    return {
        "n": len(y),
        "accuracy": accuracy_score(y, predicted),
        "macro_f1": f1_score(y, predicted, average="macro"),
        "ece": _ece(right, confidence),
        "recall": dict(zip(classes.tolist(), recalls.tolist(), strict=True)),
        "bootstrap_95": {name: interval.tolist() for name, interval in intervals.items()},
        "confusion": confusion_matrix(y, predicted, labels=classes).tolist(),
    }


def _macro_f1(codes: np.ndarray, predicted: np.ndarray) -> float:
    n = max(codes.max(), predicted.max()) + 1
    matrix = np.bincount(codes * n + predicted, minlength=n * n).reshape(n, n)
    return float(np.mean(2 * matrix.diagonal() / np.maximum(matrix.sum(0) + matrix.sum(1), 1)))


def _ece(right: np.ndarray, confidence: np.ndarray, n_bins: int = 15) -> float:
    """Return the expected calibration error over bins of equal width."""
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    gaps = np.bincount(bins, weights=right - confidence, minlength=n_bins)
    return float(np.abs(gaps).sum() / len(right))


def onnx_probabilities(path: Path, X: np.ndarray) -> np.ndarray:
    """Return what the written file says, which is what users will run."""
    import io

    import onnxruntime
    from PIL import Image

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    faces = []
    for item in X:
        with Image.open(io.BytesIO(item) if isinstance(item, bytes) else item) as image:
            faces.append(np.asarray(image.convert("L").resize((48, 48))))
    images = np.stack(faces)[:, None].astype(np.float32) / 255
    batches = [
        session.run(None, {"images": batch})[0]
        for batch in np.array_split(images, max(1, len(images) // 256))
    ]
    return np.concatenate(batches)


def main() -> None:
    folder = Path(os.environ.get("EMOTION_ESTIMATORS_DATA", "."))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=folder / "facial_emotions_train.zip")
    parser.add_argument("--out", type=Path, default=Path("emotion_cnn.onnx"))
    parser.add_argument("--test", type=Path, help="folder of faces for the final figures")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--minutes", type=float, help="end sooner, the schedule fitted to it")
    parser.add_argument("--validation", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--every", type=int, default=3, help="epochs between two checkpoints")
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    X, y = load_image_folder(arguments.data, return_X_y=True)
    print(f"{len(X)} faces, classes {dict(zip(*np.unique(y, return_counts=True), strict=True))}")
    cnn = EmotionCNNClassifier(
        max_epochs=arguments.epochs,
        max_time=None if arguments.minutes is None else 60 * arguments.minutes,
        validation_fraction=arguments.validation,
        n_iter_no_change=None,
        on_epoch_end=Checkpoint(arguments.out, arguments.every),
        random_state=arguments.seed,
    )
    start = time.perf_counter()
    cnn.fit(X, y)
    write(cnn, arguments.out)
    best = cnn.history_[cnn.best_epoch_ - 1]
    metrics: dict[str, object] = {
        "parameters": {k: v for k, v in cnn.get_params().items() if k != "on_epoch_end"},
        "n_weights": int(sum(array.size for array in cnn.weights_.values())),
        "epochs": cnn.n_iter_,
        "best_epoch": cnn.best_epoch_,
        "seconds": round(time.perf_counter() - start),
        "machine": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "held_out": {"accuracy": best["valid_accuracy"], "chosen_on": "the same part"},
        "onnx_bytes": arguments.out.stat().st_size,
    }
    if arguments.test is not None:
        X_test, y_test = load_image_folder(arguments.test, return_X_y=True)
        y_test = y_test.astype(str)
        classes = cnn.classes_.astype(str)
        metrics["test"] = measure(y_test, onnx_probabilities(arguments.out, X_test), classes)
        metrics["test_with_flip"] = measure(y_test, cnn.predict_proba(X_test), classes)
    path = arguments.out.with_suffix(".metrics.json")
    path.write_text(json.dumps(metrics, indent=1))
    print(f"wrote {arguments.out} and {path}; held-out accuracy {best['valid_accuracy']:.4f}")


if __name__ == "__main__":
    main()
