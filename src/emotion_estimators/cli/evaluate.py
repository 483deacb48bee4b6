"""The command ``evaluate``: how well a model classifies faces whose emotion is known."""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimators._files import whole_file
from emotion_estimators._optional import import_optional
from emotion_estimators.classifiers.pretrained_emotion_classifier import open_output
from emotion_estimators.cli.console import (
    FAILED,
    OK,
    UsageError,
    check_output,
    print_line,
    report,
    track,
)
from emotion_estimators.cli.models import learned_prior, open_classifier, registered_classes
from emotion_estimators.cli.outputs import check_folder
from emotion_estimators.datasets import load_image_folder
from emotion_estimators.exceptions import InvalidImagesError, shorten
from emotion_estimators.labels import EMOTIONS
from emotion_estimators.metrics import (
    adjust_class_prior,
    estimate_class_prior,
    measure_probabilities,
)

__all__ = ["evaluate"]

_N_NAMED = 15  # images named that cannot be read
_BATCH = 256  # faces between two moves of the progress bar
_SCORES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "ece": "expected calibration error",
}


def evaluate(arguments: argparse.Namespace) -> int:
    """Print the figures, and write them and an image of the confusion matrix."""
    if arguments.out is None:
        check_output("evaluate without --out")
    else:
        check_folder("--out", arguments.out)
        _import_matplotlib()
    is_estimated = arguments.class_prior == "estimate"
    answers = {
        "output": arguments.output,
        "class_prior": None if is_estimated else arguments.class_prior,
    }
    classes = registered_classes(arguments.model)
    classifier = None
    if classes is None:
        classifier, classes = open_classifier(arguments.model, arguments.n_threads, **answers)
    X, y = _load(arguments.path, classes)  # before a registered model is downloaded
    if classifier is None:
        classifier, classes = open_classifier(arguments.model, arguments.n_threads, **answers)
    output, _ = open_output(classifier)
    learned = learned_prior(classifier) if is_estimated else None
    probabilities, is_read = _classify(classifier, len(classes), X, arguments.path)
    if not is_read.any():
        raise UsageError(f"no image in {arguments.path} can be read.")
    probabilities, prior = probabilities[is_read], arguments.class_prior
    if learned is not None:
        prior = estimate_class_prior(probabilities, learned)
        probabilities = adjust_class_prior(probabilities, learned, prior)
        prior = dict(zip(classes, prior.tolist(), strict=True))
    figures = measure_probabilities(y[is_read], probabilities, classes)
    n_unreadable = int((~is_read).sum())
    asked = {"model": arguments.model, "output": output, "class_prior": prior}
    figures = {**asked, "classes": classes, **figures}
    figures["n_unreadable"] = n_unreadable
    if arguments.out is not None:  # before anything is printed, which may fail
        arguments.out.mkdir(parents=True, exist_ok=True)
        with whole_file(arguments.out / "evaluation.json", what="The evaluation") as file:
            file.write(f"{json.dumps(figures, indent=2)}\n".encode())
        _draw(figures, arguments.out / "confusion_matrix.png")
    _print(figures)
    if n_unreadable:
        report(f"evaluate: {n_unreadable} of {len(X)} images cannot be read and were left out.")
    return FAILED if n_unreadable else OK


def _load(path: Path, classes: list[str]) -> tuple[NDArray[Any], NDArray[Any]]:
    labels = "emotions" if set(classes) <= set(EMOTIONS) else "folders"
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            X, y = load_image_folder(path, labels=labels, return_X_y=True)
    except (ValueError, FileNotFoundError) as error:
        raise UsageError(str(error)) from error
    for warning in caught:
        report(f"evaluate: {warning.message}")
    unknown = sorted(set(y) - set(classes))
    if unknown:
        raise UsageError(
            f"{path} has folders {shorten(', '.join(unknown))}, which are not classes of the "
            f"model; it has {', '.join(classes)}."
        )
    return X, y


def _classify(
    classifier: Any, n_classes: int, X: NDArray[Any], path: Path
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return probabilities (n, n_classes), and which rows could be read; the others hold NaN."""
    probabilities = np.full((len(X), n_classes), np.nan)
    n_bad = 0
    with track(len(X), "image") as bar:
        for start in range(0, len(X), _BATCH):
            rows = np.arange(start, min(start + _BATCH, len(X)))
            while len(rows):
                try:
                    probabilities[rows] = classifier.predict_proba(X[rows])
                except InvalidImagesError as error:
                    if not error.failures:
                        raise UsageError(str(error)) from error
                    for _, reason in error.failures[: max(0, _N_NAMED - n_bad)]:
                        report(f"evaluate: {path}: {reason}")
                    n_bad += len(error.failures)
                    rows = np.delete(rows, [row for row, _ in error.failures])
                else:
                    break
            bar.update(min(_BATCH, len(X) - start))
    return probabilities, ~np.isnan(probabilities[:, 0])


def _print(figures: dict[str, Any]) -> None:
    classes: list[str] = figures["classes"]
    model = figures["model"] + (f", output {figures['output']}" if figures["output"] else "")
    print_line(f"{figures['n']} images, model {model}; 95 % bootstrap intervals")
    prior = figures["class_prior"]
    if prior is not None:
        shares = prior if isinstance(prior, str) else None
        shares = shares or ", ".join(f"{name} {share:.3f}" for name, share in prior.items())
        print_line(f"class prior: {shares}")
    for key, name in _SCORES.items():
        low, high = figures["bootstrap_95"][key]
        print_line(f"{name:28}{figures[key]:.4f}  {low:.4f} to {high:.4f}")
    print_line("\nrecall")
    for name, value in figures["recall"].items():
        print_line(f"  {name:26}{'no images' if value is None else f'{value:.4f}'}")
    print_line("\nconfusion matrix: rows are true classes, columns predicted ones")
    width = max(8, *(len(name) + 2 for name in classes))
    print_line(" " * (width + 2) + "".join(f"{name:>{width}}" for name in classes))
    for name, counts in zip(classes, figures["confusion"], strict=True):
        print_line(f"  {name:{width}}" + "".join(f"{count:{width}}" for count in counts))


def _import_matplotlib() -> Any:
    try:
        return import_optional("matplotlib.figure", extra="plot", needed_by="evaluate --out")
    except ImportError as error:
        raise UsageError(str(error)) from error


def _draw(figures: dict[str, Any], path: Path) -> None:
    """Write the share of each true class, with the number of images."""
    counts = np.array(figures["confusion"])  # (n_classes, n_classes)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    classes = figures["classes"]
    side = 2.5 + 0.6 * len(classes)
    # a Figure of its own leaves pyplot and its choice of a window system alone
    figure = _import_matplotlib().Figure(figsize=(side, side), layout="constrained")
    ax = figure.subplots()
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ax.set_xticks(range(len(classes)), classes, rotation=45)
    ax.set_yticks(range(len(classes)), classes)
    ax.set_xlabel("predicted")
    ax.set_ylabel("true")
    for (i, j), share in np.ndenumerate(shares):
        color = "white" if share > 0.5 else "black"
        ax.text(j, i, f"{share:.2f}\n{counts[i, j]}", ha="center", va="center", color=color)
    ax.set_title(f"{figures['n']} images, accuracy {figures['accuracy']:.3f}")
    with whole_file(path, what="The confusion matrix") as file:
        figure.savefig(file, format="png", dpi=120)
