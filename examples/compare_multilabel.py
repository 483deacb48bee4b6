"""Compare losses, and classifiers of features, on generated scenes: one table.

python examples/compare_multilabel.py [--train 2000] [--test 500] [--epochs N] [--out table.csv]

The three losses train the same network. Beside them stand scikit-learn's two ways to make
multi-label classifiers of single-label ones, on HOG features: `MultiOutputClassifier` asks about
each label by itself, `ClassifierChain` shows each label the ones before.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
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


def probabilities(model: Any, X: Any) -> np.ndarray:
    """Return (n, n_labels); MultiOutputClassifier gives a list of two columns for each label."""
    given = model.predict_proba(X)
    return np.column_stack([p[:, 1] for p in given]) if isinstance(given, list) else given


def models(options: argparse.Namespace) -> dict[str, Any]:
    """Return what is compared."""
    given = {"max_epochs": options.epochs} if options.epochs else {}
    settings = given | {"threshold": "tune", "random_state": 0, "verbose": options.verbose}

    def on_features(wrapper: Any) -> Any:
        single = LogisticRegression(C=0.01, max_iter=300)
        return make_pipeline(HOGTransformer(), StandardScaler(), wrapper(single))

    return {
        **{
            f"network, {loss}": LightningMultiLabelClassifier(loss=loss, **settings)
            for loss in ("bce", "focal", "asymmetric")
        },
        "HOG, MultiOutputClassifier": on_features(MultiOutputClassifier),
        "HOG, ClassifierChain": on_features(ClassifierChain),
    }


def main(argv: list[str] | None = None) -> pd.DataFrame:
    """Print the table and return it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=int, default=2000)
    parser.add_argument("--test", type=int, default=500)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--epochs", type=int, help="of the networks; the default is theirs")
    parser.add_argument("--out", type=Path, help="write the table here, as CSV")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args(argv)
    X, Y = make_scenes(options.train, image_size=options.size, random_state=0)
    X_test, Y_test = make_scenes(options.test, image_size=options.size, random_state=1)
    rows = []
    for name, model in models(options).items():
        start = time.perf_counter()
        model.fit(X, Y)
        seconds = time.perf_counter() - start
        p = probabilities(model, X_test)
        thresholds = getattr(model, "thresholds_", np.full(Y.shape[1], 0.5))
        predicted = p >= thresholds
        rows.append(
            {
                "model": name,
                "macro AP": average_precision_score(Y_test, p, average="macro"),
                "macro F1 at 0.5": f1_score(Y_test, p >= 0.5, average="macro", zero_division=0),
                "macro F1 tuned": f1_score(Y_test, predicted, average="macro", zero_division=0)
                if hasattr(model, "thresholds_")
                else np.nan,
                "exact match": (predicted == Y_test).all(axis=1).mean(),
                "seconds": seconds,
            }
        )
        print(pd.DataFrame(rows[-1:]).round(3).to_string(index=False, header=len(rows) == 1))
    table = pd.DataFrame(rows)
    if options.out:
        table.to_csv(options.out, index=False)
    return table


if __name__ == "__main__":
    main()
