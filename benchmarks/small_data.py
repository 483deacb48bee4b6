"""Which classifier for how many labelled faces: python benchmarks/small_data.py.

Faces are drawn from FER2013's Training split, a few times for each number, with its labels; what
learned from them is measured on all of PublicTest. HOG and an SVM (`make_hog_classifier`) learn
from these faces alone. The embedded network, whose features `make_embedding_classifier` takes and
which `PretrainedEmotionClassifier` asks, learned from the whole Training split with these labels.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier

from emotion_estimators import (
    PretrainedEmotionClassifier,
    make_embedding_classifier,
    make_hog_classifier,
)
from emotion_estimators.datasets import load_image_folder
from emotion_estimators.validation import check_images


def hog_and_svm(C: float) -> Any:
    """Return HOG and a linear SVM with this inverse of the regularisation."""
    return make_hog_classifier(random_state=0).set_params(svc__C=C)


LEARNERS: dict[str, Callable[[], Any]] = {
    'always "happy"': lambda: DummyClassifier(strategy="constant", constant="happy"),
    "`make_hog_classifier()`: HOG and an SVM with C=1": lambda: hog_and_svm(1),
    "the same with `svc__C=0.01`": lambda: hog_and_svm(0.01),
    "`make_embedding_classifier()`": make_embedding_classifier,
}


def load(path: Path) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """Return faces, (n, 48, 48), and the label of each."""
    X, y = load_image_folder(path, return_X_y=True)
    images = check_images(X, name="small_data", image_size=(48, 48), color="grey")
    return np.concatenate([batch for _, batch in images.batches(1024, n_threads=1)]), y


def main() -> None:
    """Print a row for each classifier, a column for each number of faces."""
    folder = Path(os.environ.get("EMOTION_ESTIMATORS_DATA", ""))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=Path, default=folder / "facial_emotions_train.zip")
    parser.add_argument("--test", type=Path, default=folder / "facial_emotions" / "test")
    parser.add_argument("--faces", type=int, nargs="+", default=[100, 300, 1000, 3000])
    parser.add_argument("--draws", type=int, default=3)
    options = parser.parse_args()
    missing = [str(path) for path in (options.train, options.test) if not path.exists()]
    if missing:
        parser.exit(1, f"no {' and no '.join(missing)}: set EMOTION_ESTIMATORS_DATA\n")
    X, y = load(options.train)
    X_test, y_test = load(options.test)
    rows = [np.random.default_rng(draw).permutation(len(X)) for draw in range(options.draws)]
    print(f"Accuracy on {len(X_test)} faces, mean of {options.draws} draws of the faces learned:\n")
    print(f"| faces learned from | {' | '.join(f'{n:,}' for n in options.faces)} |")
    print("|---" * (len(options.faces) + 1) + "|", flush=True)
    for name, make in LEARNERS.items():
        scores = [
            np.mean([make().fit(X[r[:n]], y[r[:n]]).score(X_test, y_test) for r in rows])
            for n in options.faces
        ]
        print(f"| {name} | {' | '.join(f'{score:.3f}' for score in scores)} |", flush=True)
    for output in ("labels", "votes"):
        classifier = PretrainedEmotionClassifier(output=output).fit(X_test, y_test)
        score = f"{classifier.score(X_test, y_test):.3f}"
        cells = " | ".join([score] * len(options.faces))
        print(f"| `PretrainedEmotionClassifier(output={output!r})`, learns none | {cells} |")


if __name__ == "__main__":
    main()
