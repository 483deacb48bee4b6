"""A few faces of classes that no network was trained on: python benchmarks/few_shot.py.

Three classes made of FER2013's seven: happy; angry, disgust, fear or sad; neutral or surprise. 50
faces of each are drawn from the Training split, a few times, and what learned from them is
measured on all of PublicTest: the features of the embedded model with a logistic regression
(`make_embedding_classifier`), and HOG with an SVM (`make_hog_classifier`). The embedded model
learned from the Training split, these faces among them, but not these classes.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimators import make_embedding_classifier, make_hog_classifier
from emotion_estimators.datasets import load_image_folder
from emotion_estimators.validation import check_images

CLASSES = {
    "happy": "joy",
    **dict.fromkeys(("angry", "disgust", "fear", "sad"), "distress"),
    **dict.fromkeys(("neutral", "surprise"), "neither"),
}


def load(path: Path) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """Return faces, (n, 48, 48), and the class of each."""
    X, y = load_image_folder(path, return_X_y=True)
    images = check_images(X, name="few_shot", image_size=(48, 48), color="grey")
    faces = np.concatenate([batch for _, batch in images.batches(1024, n_threads=1)])
    return faces, np.array([CLASSES[label] for label in y])


def main() -> None:
    """Print the mean accuracy, and that of the worst and the best draw."""
    folder = Path(os.environ.get("EMOTION_ESTIMATORS_DATA", ""))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=Path, default=folder / "facial_emotions_train.zip")
    parser.add_argument("--test", type=Path, default=folder / "facial_emotions" / "test")
    parser.add_argument("--faces", type=int, default=50, help="of each class")
    parser.add_argument("--draws", type=int, default=5)
    options = parser.parse_args()
    missing = [str(path) for path in (options.train, options.test) if not path.exists()]
    if missing:
        print(f"no {' and no '.join(missing)}: set EMOTION_ESTIMATORS_DATA; nothing was measured")
        return
    X, y = load(options.train)
    X_test, y_test = load(options.test)
    makers = (make_embedding_classifier, make_hog_classifier)
    accuracy: dict[str, list[float]] = {make.__name__: [] for make in makers}
    seconds: dict[str, list[float]] = {make.__name__: [] for make in makers}
    for draw in range(options.draws):
        rng = np.random.default_rng(draw)
        rows = np.concatenate(
            [rng.permutation(np.flatnonzero(y == c))[: options.faces] for c in np.unique(y)]
        )
        for make in makers:
            start = time.perf_counter()
            classifier = make().fit(X[rows], y[rows])
            seconds[make.__name__].append(time.perf_counter() - start)
            accuracy[make.__name__].append(classifier.score(X_test, y_test))
    print(
        f"| {options.faces} faces of each of three classes, {options.draws} draws, {len(X_test):,} "
        "others | accuracy | of the draws | fit |\n|---|---|---|---|"
    )
    for name, values in accuracy.items():
        print(
            f"| `{name}()` | {np.mean(values):.3f} | {min(values):.3f} to {max(values):.3f} | "
            f"{np.median(seconds[name]):.2f} s |"
        )


if __name__ == "__main__":
    main()
