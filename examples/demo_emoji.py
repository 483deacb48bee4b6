"""Sort emoji into happy and sad, train two networks on them, and draw confusion matrices.

Takes real pictures where the environment variable EMOTION_ESTIMATORS_DATA names a folder that
holds `emoji-data`, or --data does, and draws some elsewhere. It prints which. No emoji is in the
training and in the test pictures, whoever drew it.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from sklearn.dummy import DummyClassifier
from sklearn.metrics import ConfusionMatrixDisplay, accuracy_score
from sklearn.model_selection import StratifiedGroupKFold

from emotion_estimators import EmojiCNNClassifier
from emotion_estimators.datasets import (
    load_emoji,
    load_emoji_folders,
    make_emoji,
    write_emoji_folders,
)

mpl.use("agg")


def main(argv: Sequence[str] | None = None) -> None:
    """Read, split, train, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder laid out as emoji-data is")
    parser.add_argument("--samples", type=int, default=180, help="how many emoji to draw")
    parser.add_argument("--epochs", type=int, help="for both networks; their own by default")
    parser.add_argument("--output", "--out", type=Path, default=Path("demo_output"))
    arguments = parser.parse_args(argv)
    arguments.output.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    X, y, groups = read_data(arguments.data, arguments.samples)
    folds = StratifiedGroupKFold(4, shuffle=True, random_state=0)
    train, test = next(folds.split(np.zeros(len(y)), y, groups))
    print(f"{len(train)} pictures to learn from, {len(test)} to measure on.\n")

    predictions = {"Dummy": DummyClassifier().fit(X[train], y[train]).predict(X[test])}
    for architecture in ("seed", "default"):
        model = EmojiCNNClassifier(architecture=architecture, random_state=0, verbose=1)
        if arguments.epochs is not None:
            model.set_params(epochs=arguments.epochs)
        print(f"Training architecture={architecture!r} ...")
        begin = time.perf_counter()
        model.fit(X[train], y[train])
        print(f"... took {time.perf_counter() - begin:.0f} s.")
        predictions[architecture] = model.predict(X[test])
    print()
    for name, y_pred in predictions.items():
        print(f"{name:10} accuracy {accuracy_score(y[test], y_pred):.3f}")
    save_confusion(y[test], predictions, arguments.output / "emoji_confusion_matrix.png")
    print(f"Done in {time.perf_counter() - start:.0f} s.")


def read_data(named: Path | None, n_drawn: int) -> tuple[Any, Any, Any]:
    """Return pictures, labels, and which emoji each picture shows."""
    folder = named or Path(os.environ.get("EMOTION_ESTIMATORS_DATA", ""), "emoji-data")
    if not (folder / "emoji.json").is_file():
        print("Emoji: drawn by make_emoji. Their figures say nothing about real emoji.")
        X, y = make_emoji(n_drawn, emotions=["happy", "sad"], random_state=0)
        return X, y, np.arange(len(y))
    emoji = load_emoji(folder)
    print(f"Emoji: {len(emoji.data)} real pictures of {', '.join(sorted(set(emoji.vendor)))}.")
    vendor = emoji.vendor[0]
    with tempfile.TemporaryDirectory() as target:
        write_emoji_folders(load_emoji(folder, vendor=vendor), target)
        sorted_out = load_emoji_folders(target, vendor=vendor)
        for label in sorted_out.target_names:
            n = np.sum(sorted_out.target == label)
            print(f"{n} pictures of {vendor} sorted into {label}_emojis/ and read back.")
    return np.array(emoji.data), emoji.target, emoji.code_points


def save_confusion(y_test: Any, predictions: dict[str, Any], path: Path) -> None:
    """Write one confusion matrix for each classifier, side by side."""
    figure, axes = plt.subplots(
        1, len(predictions), figsize=(4 * len(predictions), 4), squeeze=False, layout="tight"
    )
    for ax, (name, y_pred) in zip(axes.flat, predictions.items(), strict=True):
        ConfusionMatrixDisplay.from_predictions(y_test, y_pred, cmap="Blues", colorbar=False, ax=ax)
        ax.set_title(f"{name}: number of pictures", fontsize=10)
    figure.savefig(path, dpi=120)
    plt.close(figure)
    print(f"Wrote {path}.")


if __name__ == "__main__":
    main()
