"""Measure classifiers of happy and sad emoji honestly: on vendors and on emoji they never saw.

The same emoji drawn by two vendors is nearly the same image, and repeated images are quite
the same: a random split tests on what was trained on. Two protocols keep them apart: all images
of one vendor are left out, for each vendor in turn, and all images of a fifth of the emoji, for
each fifth and several draws of the fifths. Takes the folder `emoji-data` in the folder that the
environment variable EMOTION_ESTIMATORS_DATA names, or one given with --data; see `fetch_emoji`.
Without either it takes the emoji of two vendors that come with the package.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import LeaveOneGroupOut, StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from tqdm import tqdm

from emotion_estimators import EmojiCNNClassifier, HOGTransformer, make_emoji_classifier
from emotion_estimators.datasets import load_emoji, load_emoji_sample

N_FOLDS = 5


def make_models(random_state: int) -> dict[str, Any]:
    """Return the classifiers to compare, by name."""
    return {
        "default": EmojiCNNClassifier(random_state=random_state),
        "original": make_emoji_classifier("original", random_state=random_state),
        "HOG + SVM": make_pipeline(HOGTransformer(image_size=48), SVC(kernel="linear")),
        "Dummy": DummyClassifier(),
    }


def read_data(folder: Path | None) -> tuple[Any, Any, Any, Any]:
    """Return images, labels, vendors and emoji."""
    emoji = load_emoji_sample() if folder is None else load_emoji(folder)
    return emoji.data, emoji.target, emoji.vendor, emoji.code_points


def find_data(named: Path | None) -> Path | None:
    """Return the folder of the real images, or None for those of the package."""
    if named is not None:
        return named
    folder = Path(os.environ.get("EMOTION_ESTIMATORS_DATA", ""), "emoji-data")
    return folder if (folder / "emoji.json").is_file() else None


def splits(
    y: Any, vendors: Any, emoji: Any, repeats: int
) -> Iterator[tuple[str, str, int, Any, Any]]:
    """Yield protocol, what is left out, repetition, rows to learn from, rows to measure on."""
    rows = np.zeros(len(y))
    for repeat in range(repeats):
        for train, test in LeaveOneGroupOut().split(rows, y, vendors):
            yield "vendor", str(vendors[test[0]]), repeat, train, test
    for repeat in range(repeats):
        folds = StratifiedGroupKFold(N_FOLDS, shuffle=True, random_state=repeat)
        for number, (train, test) in enumerate(folds.split(rows, y, emoji)):
            yield "unseen", f"fold {number}", repeat, train, test


def main(argv: Sequence[str] | None = None) -> None:
    """Fit, measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder laid out as emoji-data is")
    parser.add_argument("--out", type=Path, help="a CSV file for the accuracy of each fit")
    parser.add_argument("--repeats", type=int, default=3, help="random states, and draws of folds")
    parser.add_argument(
        "--models", nargs="+", help="these alone: default, original, 'HOG + SVM', Dummy"
    )
    parser.add_argument("--max-epochs", type=int, help="for both networks, to try the script")
    arguments = parser.parse_args(argv)
    folder = find_data(arguments.data)
    X, y, vendors, emoji = read_data(folder)
    names, counts = np.unique(vendors, return_counts=True)
    print(f"Pictures: {folder or 'those that come with the package'}")
    print(f"`{' '.join(['python', *sys.argv])}`, {dt.datetime.now(tz=dt.UTC).date()}")
    print(", ".join(f"{n} of {name}" for name, n in zip(names, counts, strict=True)))
    chosen = arguments.models or list(make_models(0))
    tasks = list(splits(y, vendors, emoji, arguments.repeats))
    rows = []
    with tqdm(total=len(tasks) * len(chosen), unit="fit", file=sys.stderr) as bar:
        for protocol, left_out, repeat, train, test in tasks:
            for name in chosen:
                model = clone(make_models(repeat)[name])
                if arguments.max_epochs is not None and isinstance(model, EmojiCNNClassifier):
                    model.set_params(max_epochs=arguments.max_epochs)
                start = time.perf_counter()
                model.fit(X[train], y[train])
                seconds = time.perf_counter() - start
                predicted = model.predict(X[test])
                wrong = emoji[test][predicted != y[test]].tolist()
                rows.append(
                    {
                        "protocol": protocol,
                        "left_out": left_out,
                        "repeat": repeat,
                        "model": name,
                        "accuracy": float(np.mean(predicted == y[test])),
                        "seconds": seconds,
                        "wrong": " ".join(wrong),
                    }
                )
                bar.set_postfix_str(f"{name}, {left_out}: {rows[-1]['accuracy']:.3f}")
                bar.update()
    if arguments.out is not None:
        with arguments.out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    print_table(rows, [str(name) for name in names], chosen)


def print_table(rows: list[dict[str, Any]], vendors: list[str], models: list[str]) -> None:
    """Print accuracies in Markdown: a line per model, a column per vendor, mean, unseen emoji."""

    def mean(key: str, model: str, **where: str) -> float:
        found = [
            row[key]
            for row in rows
            if row["model"] == model and all(row[k] == v for k, v in where.items())
        ]
        return float(np.mean(found)) if found else float("nan")

    print("\nAccuracy on the images of a vendor that was left out, and of unseen emoji:\n")
    print(f"| | {' | '.join([*vendors, 'mean', 'unseen emoji', 's per fit'])} |")
    print("|---" * (len(vendors) + 4) + "|")
    for model in models:
        by_vendor = [mean("accuracy", model, protocol="vendor", left_out=v) for v in vendors]
        values = [*by_vendor, float(np.mean(by_vendor)), mean("accuracy", model, protocol="unseen")]
        shown = [f"{value:.3f}" for value in values]
        print(f"| {' | '.join([model, *shown, format(mean('seconds', model), '.1f')])} |")


if __name__ == "__main__":
    main()
