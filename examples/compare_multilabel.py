"""Compare losses, thresholds, and classifiers of features, on generated scenes: one table.

python examples/compare_multilabel.py [--seeds 0 1 2] [--train 2000] [--test 500] [--out runs.csv]

The three losses train the same network, once for each seed; thresholds of 0.5 and tuned ones are
those of one and the same training. Beside them stand scikit-learn's two ways to make multi-label
classifiers of single-label ones, on HOG features: `MultiOutputClassifier` asks about each label by
itself, `ClassifierChain` shows each label the ones before.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import time
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from emotion_estimators import HOGTransformer, LightningMultiLabelClassifier
from emotion_estimators.datasets import make_scenes

LOSSES = ("bce", "focal", "asymmetric")
# Chosen of four recipes by their macro average precision on the scenes of random_state=2, which
# neither train nor test anything here.
RECIPE = {"max_epochs": 26, "learning_rate": 3e-3, "augmentation": 0.1, "head_hidden": None}
HEADER = """
| model | runs | macro AP | macro F1 at 0.5 | macro F1 tuned | gain of tuning, by seed | \
exact match | fit, CPU s / 2 | fit, s |
| --- | ---: | ---: | ---: | ---: | --- | ---: | ---: | ---: |"""


def probabilities(model: Any, X: Any) -> np.ndarray:
    """Return (n, n_labels); MultiOutputClassifier gives a list of two columns for each label."""
    given = model.predict_proba(X)
    return np.column_stack([p[:, 1] for p in given]) if isinstance(given, list) else given


def models(options: argparse.Namespace) -> list[tuple[str, int, Any]]:
    """Return name, seed and classifier of each run."""
    settings = RECIPE | {"threshold": "tune", "verbose": options.verbose}
    if options.epochs:
        settings["max_epochs"] = options.epochs
    networks = [
        (
            f"network, {loss}",
            seed,
            LightningMultiLabelClassifier(loss=loss, random_state=seed, **settings),
        )
        for loss in options.losses
        for seed in options.seeds
    ]

    def on_features(wrapper: Any) -> Any:
        single = LogisticRegression(C=0.01, max_iter=300)
        return make_pipeline(HOGTransformer(), StandardScaler(), wrapper(single))

    return [
        *networks,
        ("HOG, MultiOutputClassifier", 0, on_features(MultiOutputClassifier)),
        ("HOG, ClassifierChain", 0, on_features(ClassifierChain)),
    ]


def measure(model: Any, train: tuple[Any, Any], test: tuple[Any, Any]) -> dict[str, float]:
    """Fit a classifier and return its figures on the test images."""
    wall, cpu = time.perf_counter(), time.process_time()
    model.fit(*train)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    X, Y = test
    p = probabilities(model, X)
    thresholds = getattr(model, "thresholds_", None)
    f1_at_half = f1_score(Y, p >= 0.5, average="macro", zero_division=0)
    tuned = np.nan
    if thresholds is not None:
        tuned = f1_score(Y, p >= thresholds, average="macro", zero_division=0)
    predicted = p >= (0.5 if thresholds is None else thresholds)
    return {
        "macro AP": average_precision_score(Y, p, average="macro"),
        "macro F1 at 0.5": f1_at_half,
        "macro F1 tuned": tuned,
        "gain": tuned - f1_at_half,
        "exact match": (predicted == Y).all(axis=1).mean(),
        "CPU seconds": cpu,
        "seconds": wall,
    }


def table_row(name: str, runs: pd.DataFrame) -> str:
    """Return the line of a table for the runs of one model: means, and spreads between seeds."""

    def shown(column: str) -> str:
        values = runs[column]
        if values.isna().any():
            return "-"
        spread = f" ± {values.std():.3f}" if len(values) > 1 else ""
        return f"{values.mean():.3f}{spread}"

    gains = "-" if runs["gain"].isna().any() else ", ".join(f"{g:+.3f}" for g in runs["gain"])
    cells = [name, str(len(runs)), *map(shown, ("macro AP", "macro F1 at 0.5", "macro F1 tuned"))]
    cells += [gains, shown("exact match")]
    cells += [f"{runs['CPU seconds'].mean() / 2:.0f}", f"{runs['seconds'].mean():.0f}"]
    return f"| {' | '.join(cells)} |"


def main(argv: list[str] | None = None) -> pd.DataFrame:
    """Print the table and return the single runs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=int, default=2000)
    parser.add_argument("--test", type=int, default=500)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--losses", nargs="+", choices=LOSSES, default=list(LOSSES))
    parser.add_argument("--epochs", type=int, help=f"of the networks, else {RECIPE['max_epochs']}")
    parser.add_argument("--out", help="write the single runs here, as CSV")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args(argv)
    train = make_scenes(options.train, image_size=options.size, random_state=0)
    test = make_scenes(options.test, image_size=options.size, random_state=1)
    rows = []
    for name, seed, model in models(options):
        rows.append({"model": name, "seed": seed} | measure(model, train, test))
        print(" ".join(f"{v:.3f}" if isinstance(v, float) else str(v) for v in rows[-1].values()))
    runs = pd.DataFrame(rows)
    print(
        f"\n{options.train} scenes of {options.size} px to train on, {options.test} to test; "
        f"{RECIPE | ({'max_epochs': options.epochs} if options.epochs else {})}; "
        f"{platform.machine()}, {os.cpu_count()} CPUs; {dt.datetime.now(tz=dt.UTC).date()}"
    )
    print(HEADER)
    for name, group in runs.groupby("model", sort=False):
        print(table_row(str(name), group))
    if options.out:
        runs.to_csv(options.out, index=False)
    return runs


if __name__ == "__main__":
    main()
