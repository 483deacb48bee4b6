"""Sort emoji into happy and sad, train two networks on them, and draw confusion matrices.

Takes the emoji of two vendors that come with the package, or those of a folder laid out as
emoji-data is: `emoji-data` in the folder that the environment variable EMOTION_ESTIMATORS_DATA
names, or --data. It prints which. One vendor is left out to be measured on: "twitter", or --test.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from sklearn.dummy import DummyClassifier
from sklearn.metrics import ConfusionMatrixDisplay, accuracy_score

from emotion_estimators import make_emoji_classifier
from emotion_estimators.datasets import load_emoji, load_emoji_sample

mpl.use("agg")


def main(argv: Sequence[str] | None = None) -> None:
    """Read, split, train, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder laid out as emoji-data is")
    parser.add_argument("--test", default="twitter", help="the vendor that is left out")
    parser.add_argument("--max-epochs", type=int, help="for both networks; their own by default")
    parser.add_argument("--output", "--out", type=Path, default=Path("demo_output"))
    arguments = parser.parse_args(argv)
    arguments.output.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    emoji = read_data(arguments.data)
    X, y = emoji.data, emoji.target
    test = emoji.vendor == arguments.test
    if not test.any() or test.all():
        parser.error(f"expected --test to be one of {', '.join(sorted(set(emoji.vendor)))}")
    train, test = np.flatnonzero(~test), np.flatnonzero(test)
    print(f"{len(train)} images to learn from, {len(test)} to measure on.\n")

    predictions = {"Dummy": DummyClassifier().fit(X[train], y[train]).predict(X[test])}
    for name, preset in {"original": "original", "default": None}.items():
        model = make_emoji_classifier(preset, random_state=0, verbose=1)
        if arguments.max_epochs is not None:
            model.set_params(max_epochs=arguments.max_epochs)
        print(f"Training the {name} network ...")
        begin = time.perf_counter()
        model.fit(X[train], y[train])
        print(f"... took {time.perf_counter() - begin:.0f} s.")
        predictions[name] = model.predict(X[test])
    print()
    for name, y_pred in predictions.items():
        print(f"{name:10} accuracy {accuracy_score(y[test], y_pred):.3f}")
    save_confusion(y[test], predictions, arguments.output / "emoji_confusion_matrix.png")
    print(f"Done in {time.perf_counter() - start:.0f} s.")


def read_data(named: Path | None) -> Any:
    """Return images, labels and vendors."""
    folder = named or Path(os.environ.get("EMOTION_ESTIMATORS_DATA", ""), "emoji-data")
    is_there = named is not None or (folder / "emoji.json").is_file()
    emoji = load_emoji(folder) if is_there else load_emoji_sample()
    where = folder if is_there else "with the package"
    vendors, counts = np.unique(emoji.vendor, return_counts=True)
    print(
        f"Emoji: {', '.join(f'{n} of {name}' for name, n in zip(vendors, counts, strict=True))}, "
        f"{where}."
    )
    return emoji


def save_confusion(y_test: Any, predictions: dict[str, Any], path: Path) -> None:
    """Write one confusion matrix for each classifier, side by side."""
    figure, axes = plt.subplots(
        1, len(predictions), figsize=(4 * len(predictions), 4), squeeze=False, layout="tight"
    )
    for ax, (name, y_pred) in zip(axes.flat, predictions.items(), strict=True):
        ConfusionMatrixDisplay.from_predictions(y_test, y_pred, cmap="Blues", colorbar=False, ax=ax)
        ax.set_title(f"{name}: number of images", fontsize=10)
    figure.savefig(path, dpi=120)
    plt.close(figure)
    print(f"Wrote {path}.")


if __name__ == "__main__":
    main()
