"""Train the HOG classifier on faces, say how good it is, and draw what it gets wrong.

Learns from FER2013's Training split and is measured on its PublicTest split where the
environment variable EMOTION_ESTIMATORS_DATA names the folder that holds them, and on drawn
faces elsewhere. It prints which. Run it with `make demo`.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    recall_score,
)

from emotion_estimators import make_hog_classifier
from emotion_estimators.datasets import load_image_folder, make_faces
from emotion_estimators.inspection import PredictionDisplay
from emotion_estimators.labels import EMOTIONS

mpl.use("agg")


def main() -> None:
    """Train, measure, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("demo_output"), help="for the PNGs")
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)

    start = time.perf_counter()
    X_train, y_train, X_test, y_test, preset = load_faces()
    model = make_hog_classifier(preset=preset, n_jobs=-1).set_params(verbose=True)
    print(f"Training make_hog_classifier(preset={preset!r}) ...")
    model.fit(X_train, y_train)
    y_pred = model.predict(X_test)
    dummy = DummyClassifier(strategy="prior").fit(np.zeros((len(y_train), 1)), y_train)
    print_scores(y_test, {"HOG": y_pred, "Dummy": dummy.predict(np.zeros((len(y_test), 1)))})
    draw(model, X_test, y_test, y_pred, output)
    print(f"Done in {time.perf_counter() - start:.0f} s.")


def load_faces() -> tuple[Any, Any, Any, Any, str]:
    """Return real faces where they are, drawn ones elsewhere, and the preset that suits them."""
    root = Path(os.environ.get("EMOTION_ESTIMATORS_DATA", ""))
    archive, test = root / "facial_emotions_train.zip", root / "facial_emotions" / "test"
    if archive.is_file() and test.is_dir():
        print("Faces: FER2013, real. Training split to learn from, PublicTest to measure on.")
        X_train, y_train = load_image_folder(archive, return_X_y=True)
        X_test, y_test = load_image_folder(test, return_X_y=True)
        preset = "fer2013"
    else:
        print(
            "Faces: drawn by make_faces, since EMOTION_ESTIMATORS_DATA names no folder with "
            "FER2013.\nTheir figures say nothing about real faces."
        )
        X, y = make_faces(2500, random_state=0)
        X_train, y_train, X_test, y_test = X[:2000], y[:2000], X[2000:], y[2000:]
        preset = "seed"
    print(f"{len(X_train)} faces to learn from, {len(X_test)} to measure on.")
    return X_train, y_train, X_test, y_test, preset


def print_scores(y_test: Any, predictions: dict[str, Any]) -> None:
    """Print one column for each classifier."""
    scores: dict[str, list[float]] = {}
    for name, y_pred in predictions.items():
        scores[name] = [
            accuracy_score(y_test, y_pred),
            balanced_accuracy_score(y_test, y_pred),
            f1_score(y_test, y_pred, average="macro", zero_division=0),
            *recall_score(y_test, y_pred, labels=EMOTIONS, average=None, zero_division=0),
        ]
    rows = ["accuracy", "balanced accuracy", "macro F1", *(f"recall of {e}" for e in EMOTIONS)]
    print(f"\n{'':20}" + "".join(f"{name:>8}" for name in scores))
    for row, values in zip(rows, zip(*scores.values(), strict=True), strict=True):
        print(f"{row:20}" + "".join(f"{value:8.3f}" for value in values))
    print()


def draw(model: Any, X_test: Any, y_test: Any, y_pred: Any, output: Path) -> None:
    """Write the confusion matrix and the sheet of predictions."""
    matrix = ConfusionMatrixDisplay.from_predictions(
        y_test, y_pred, normalize="true", values_format=".2f", cmap="Blues", colorbar=False
    )
    matrix.ax_.set_title("share of each true class (rows sum to 1)", fontsize=10)
    matrix.ax_.tick_params(axis="x", rotation=45)
    matrix.figure_.savefig(output / "confusion_matrix.png", dpi=120, bbox_inches="tight")
    sheet = PredictionDisplay.from_estimator(model, X_test, y_test)
    sheet.figure_.savefig(output / "predictions.png", dpi=120)
    print(f"Wrote {output / 'confusion_matrix.png'} and {output / 'predictions.png'}.")


if __name__ == "__main__":
    main()
