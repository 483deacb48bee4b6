"""What the commands classify with."""

from __future__ import annotations

import sys

from emotion_estimators._progress import is_terminal
from emotion_estimators.classifiers.pretrained_emotion_classifier import (
    PretrainedEmotionClassifier,
    open_classes,
)
from emotion_estimators.cli.console import UsageError
from emotion_estimators.exceptions import shorten
from emotion_estimators.weights import fetch_weights, list_cards

__all__ = ["open_classifier", "registered_classes"]


def open_classifier(
    model: str, n_threads: int | None, device: str
) -> tuple[PretrainedEmotionClassifier, list[str]]:
    """Return a classifier whose network is there and can be read, and its classes.

    Raises UsageError if there is no such model, ConnectionError if it cannot be downloaded.
    """
    classifier = PretrainedEmotionClassifier(model=model, n_threads=n_threads, device=device)
    try:
        if registered_classes(model) is not None:
            fetch_weights(model, verbose=is_terminal(sys.stderr))
        classes: list[str] = open_classes(classifier).tolist()
    except (ValueError, FileNotFoundError, IsADirectoryError) as error:
        where = "" if device == "auto" else f" --device {shorten(device)}"
        raise UsageError(f"--model {shorten(model)}{where}: {error}") from error
    return classifier, classes


def registered_classes(model: str) -> list[str] | None:
    """Return the sorted classes of a model that is known by name, None for any other."""
    return next((sorted(card.labels) for card in list_cards("emotion") if card.name == model), None)
