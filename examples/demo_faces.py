"""Train a classifier on HOG features, run frozen networks, and draw what they get wrong.

Learns from FER2013's Training split and is measured on its PublicTest split where the
environment variable EMOTION_ESTIMATORS_DATA names the folder that holds them, and on drawn
faces elsewhere. It prints which. Run it with `make demo`.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    recall_score,
)
from sklearn.utils import resample, shuffle

from emotion_estimators import FaceCropper, PretrainedEmotionClassifier, make_hog_classifier
from emotion_estimators.datasets import (
    load_image_folder,
    load_sample_photograph,
    load_votes,
    make_faces,
)
from emotion_estimators.inspection import PredictionDisplay
from emotion_estimators.labels import EMOTIONS
from emotion_estimators.metrics import measure_votes

mpl.use("agg")
FROZEN: dict[str, dict[str, str]] = {
    "model_v6_23": {"model": "model_v6_23"},
    "embedded, labels": {"output": "labels"},
    "embedded, votes": {"output": "votes"},
}


def main() -> None:
    """Train, measure, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("demo_output"), help="for the PNGs")
    parser.add_argument("--all", action="store_true", help="learn from all real faces, in minutes")
    parser.add_argument("--preset", choices=("fer2013", "original"), default="fer2013")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    root = Path(os.environ.get("EMOTION_ESTIMATORS_DATA", ""))
    archive, test = root / "facial_emotions_train.zip", root / "facial_emotions" / "test"
    is_real = archive.is_file() and test.is_dir()
    if is_real:
        print("Faces: FER2013, real. Training split to learn from, PublicTest to measure on.")
        X_train, y_train = load_image_folder(archive, return_X_y=True)
        X_test, y_test = load_image_folder(test, return_X_y=True)
        if not arguments.all:
            X_train, y_train = resample(
                X_train, y_train, n_samples=10_000, replace=False, stratify=y_train, random_state=0
            )
    else:
        print(
            "Faces: drawn by make_faces, since EMOTION_ESTIMATORS_DATA names no folder with "
            "FER2013.\nTheir figures say nothing about real faces."
        )
        X, y = make_faces(2500, random_state=0)
        X_train, y_train, X_test, y_test = X[:2000], y[:2000], X[2000:], y[2000:]
    # the original scripts shuffle the images of its seven folders
    X_test, y_test = shuffle(X_test, y_test, random_state=0)
    table = root / "ferplus" / "public_test_votes.csv"
    votes = None
    if is_real and table.is_file():
        with warnings.catch_warnings(record=True) as caught:  # nobody was asked about a few
            warnings.simplefilter("always")
            votes = load_votes(table, files=X_test)
        print(*(f"What people see: {one.message}" for one in caught), sep="\n")
    print(f"{len(X_train)} faces to learn from, {len(X_test)} to measure on.\n")

    show_hog(arguments.preset, X_train, y_train, X_test, y_test, arguments.output)
    models = list(FROZEN if is_real else list(FROZEN)[1:])
    show_frozen(X_test, y_test, arguments.output, models, votes)
    print(f"Done in {time.perf_counter() - start:.0f} s.")


def show_hog(
    preset: str, X_train: Any, y_train: Any, X_test: Any, y_test: Any, output: Path
) -> None:
    """Train the HOG classifier beside a dummy; print their scores and draw the predictions."""
    model = make_hog_classifier(preset, random_state=0, verbose=True)
    print(f'Training make_hog_classifier("{preset}") ...')
    start = time.perf_counter()
    model.fit(X_train, y_train)
    print(f"... took {time.perf_counter() - start:.0f} s.")
    scores = model.decision_function(X_test)
    y_pred = model.classes_[scores.argmax(axis=1)]
    dummy = DummyClassifier().fit(np.zeros((len(y_train), 1)), y_train)
    print_scores(y_test, {"HOG": y_pred, "Dummy": dummy.predict(np.zeros((len(y_test), 1)))})
    save_confusion(y_test, {"HOG": y_pred}, output / "hog_confusion_matrix.png")
    sheet = PredictionDisplay.from_predictions(
        X_test,
        y_test,
        y_pred,
        confidence=scores.max(axis=1),
        response_method="decision_function",
    )
    save(sheet.figure_, output / "hog_predictions.png")


def show_frozen(X_test: Any, y_test: Any, output: Path, models: list[str], votes: Any) -> None:
    """Load networks that are trained already, classify, and draw their confusion matrices."""
    print("Frozen networks, as PretrainedEmotionClassifier runs them:")
    probabilities = {
        name: PretrainedEmotionClassifier(verbose=1, **FROZEN[name]).predict_proba(X_test)
        for name in models
    }
    predictions = {
        name: np.array(EMOTIONS)[rows.argmax(axis=1)] for name, rows in probabilities.items()
    }
    print_scores(y_test, predictions)
    if votes is None:
        print("No votes of people for these faces: agreement with them is not measured.")
    else:
        for name, rows in probabilities.items():
            figures = measure_votes(votes, rows, EMOTIONS, n_bootstrap=0)
            print(
                f"{name} agrees with the majority of people in "
                f"{figures['majority_agreement']:.3f} of {figures['n_majority']} faces"
            )
    save_confusion(y_test, predictions, output / "frozen_confusion_matrix.png")
    face = FaceCropper().transform([load_sample_photograph()])
    shares = PretrainedEmotionClassifier().predict_proba(face)[0]
    best = shares.argmax()
    print(f"The portrait of the package: {EMOTIONS[best]} ({shares[best]:.2f})\n")


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
    print(f"\n{'':20}" + "".join(f"{name:>18}" for name in scores))
    for row, values in zip(rows, zip(*scores.values(), strict=True), strict=True):
        print(f"{row:20}" + "".join(f"{value:18.3f}" for value in values))
    print()


def save_confusion(y_test: Any, predictions: dict[str, Any], path: Path) -> None:
    """Write one confusion matrix for each classifier, side by side."""
    figure, axes = plt.subplots(
        1, len(predictions), figsize=(5.5 * len(predictions), 5), squeeze=False, layout="tight"
    )
    for ax, (name, y_pred) in zip(axes.flat, predictions.items(), strict=True):
        ConfusionMatrixDisplay.from_predictions(
            y_test,
            y_pred,
            labels=EMOTIONS,
            normalize="true",
            values_format=".2f",
            cmap="Blues",
            colorbar=False,
            xticks_rotation=45,
            ax=ax,
        )
        ax.set_title(f"{name}: share of each true class (rows sum to 1)", fontsize=10)
    save(figure, path)


def save(figure: Any, path: Path) -> None:
    """Write a figure and say so."""
    figure.savefig(path, dpi=120)
    print(f"Wrote {path}.")


if __name__ == "__main__":
    main()
