"""Turn faces into FaceNet's vectors once, search for an SVM on them, and draw what it confuses.

Learns from FER2013's Training split and is measured on its PublicTest split where the
environment variable EMOTION_ESTIMATORS_DATA names the folder that holds them, and on drawn
faces elsewhere. It takes FaceNet's published weights where they are on this machine or can be
downloaded, and random ones elsewhere. It prints which of all that it did.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.metrics import ConfusionMatrixDisplay, accuracy_score, balanced_accuracy_score
from sklearn.model_selection import GridSearchCV
from sklearn.utils import resample

from emotion_estimators import make_facenet_classifier
from emotion_estimators.datasets import load_image_folder, make_faces
from emotion_estimators.labels import EMOTIONS
from emotion_estimators.weights import fetch_weights, list_cards

mpl.use("agg")


def main(argv: list[str] | None = None) -> None:
    """Embed, search, measure, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("EMOTION_ESTIMATORS_DATA"), help="real faces"
    )
    parser.add_argument("--out", type=Path, default=Path("demo_output"), help="for the PNG")
    parser.add_argument("--weights", help="a name or a file; None looks for published ones")
    parser.add_argument("--image-size", type=int, default=160, help="pixels; 75 at least")
    parser.add_argument("--n-train", type=int, default=500, help="faces to learn from")
    parser.add_argument("--n-test", type=int, default=250, help="faces to measure on")
    parser.add_argument("--cache", type=Path, help="folder for vectors; None is a temporary one")
    arguments = parser.parse_args(argv)
    arguments.out.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    X_train, y_train, X_test, y_test = find_faces(
        arguments.data, arguments.n_train, arguments.n_test
    )
    weights = arguments.weights or find_weights()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        model = make_facenet_classifier(
            weights=weights,
            image_size=arguments.image_size,
            cache=arguments.cache or Path(temporary),
        )
        # vectors of random weights lie close together: the SVM must look closely
        grid = {"svc__C": [10, 100] if weights is None else [1, 10]}
        y_pred = embed_and_search(model, grid, X_train, y_train, X_test)
    dummy = DummyClassifier().fit(np.zeros((len(y_train), 1)), y_train)
    print_scores(y_test, {"FaceNet + SVM": y_pred, "Dummy": dummy.predict(np.zeros(len(y_test)))})
    save_confusion(y_test, y_pred, weights, arguments.out / "facenet_confusion_matrix.png")
    print(f"Done in {time.perf_counter() - start:.0f} s.")


def find_faces(data: Path | None, n_train: int, n_test: int) -> tuple[Any, Any, Any, Any]:
    """Return faces to learn from and to measure on, real ones where they are."""
    root = Path(data or "")
    archive, test = root / "facial_emotions_train.zip", root / "facial_emotions" / "test"
    if not (archive.is_file() and test.is_dir()):
        print(
            "Faces: drawn by make_faces, since EMOTION_ESTIMATORS_DATA names no folder with "
            "FER2013.\nTheir figures say nothing about real faces."
        )
        X, y = make_faces(n_train + n_test, random_state=0)
        return X[:n_train], y[:n_train], X[n_train:], y[n_train:]
    print("Faces: FER2013, real. Training split to learn from, PublicTest to measure on.")
    chosen = [
        resample(X, y, n_samples=n, replace=False, stratify=y, random_state=0)
        for (X, y), n in (
            (load_image_folder(archive, return_X_y=True), n_train),
            (load_image_folder(test, return_X_y=True), n_test),
        )
    ]
    return chosen[0][0], chosen[0][1], chosen[1][0], chosen[1][1]


def find_weights() -> str | None:
    """Return the name of the first published weights that are available, or None."""
    for card in list_cards(task="face embedding"):
        try:
            fetch_weights(card.name, verbose=True, timeout=10)
        except OSError as error:
            print(f"Weights: {card.name!r} is not available ({type(error).__name__}).")
        else:
            print(f"Weights: {card.name!r}, trained on {card.training_data}. {card.licence}.")
            return card.name
    print("Weights: random, since none are available. Their figures say nothing about FaceNet.")
    return None


def embed_and_search(
    model: Any, grid: dict[str, list[float]], X_train: Any, y_train: Any, X_test: Any
) -> Any:
    """Choose C by cross-validation, in which each face is embedded once; return predictions."""
    print(f"Embedding {len(X_train)} faces to learn from ...")
    start = time.perf_counter()
    model.set_params(facenet__verbose=1)["facenet"].transform(X_train)
    once = time.perf_counter() - start
    search = GridSearchCV(model.set_params(facenet__verbose=0), grid, cv=3)
    start = time.perf_counter()
    search.fit(X_train, y_train)
    n_fits = 3 * len(search.cv_results_["params"]) + 1
    print(
        f"... took {once:.0f} s. A search of {n_fits} fits on the cached vectors then took "
        f"{time.perf_counter() - start:.0f} s; it chose {search.best_params_}."
    )
    return search.predict(X_test)


def print_scores(y_test: Any, predictions: dict[str, Any]) -> None:
    """Print one line for each classifier."""
    print(f"\n{'':15}{'accuracy':>10}{'balanced accuracy':>20}")
    for name, y_pred in predictions.items():
        accuracy = accuracy_score(y_test, y_pred)
        print(f"{name:15}{accuracy:10.3f}{balanced_accuracy_score(y_test, y_pred):20.3f}")
    print()


def save_confusion(y_test: Any, y_pred: Any, weights: str | None, path: Path) -> None:
    """Write the confusion matrix."""
    figure, ax = plt.subplots(figsize=(5.5, 5), layout="tight")
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
    ax.set_title(
        f"FaceNet ({weights or 'not trained'}) + SVM:\nshare of each true class (rows sum to 1)",
        fontsize=10,
    )
    figure.savefig(path, dpi=120)
    plt.close(figure)
    print(f"Wrote {path}.")


if __name__ == "__main__":
    main()
