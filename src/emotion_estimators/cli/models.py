"""What the commands classify with."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimators._progress import is_terminal
from emotion_estimators.classifiers.pretrained_emotion_classifier import (
    PretrainedEmotionClassifier,
    open_classes,
    open_output,
)
from emotion_estimators.cli.console import UsageError
from emotion_estimators.exceptions import shorten
from emotion_estimators.weights import fetch_weights, list_cards

__all__ = ["learned_prior", "open_classifier", "registered_classes"]


def open_classifier(
    model: str, n_threads: int | None, **answers: Any
) -> tuple[PretrainedEmotionClassifier, list[str]]:
    """Return a classifier whose network is there and can be read, and its classes.

    `answers` are parameters that say which answers are wanted: output, class_prior.

    Raises UsageError if there is no such model, ConnectionError if it cannot be downloaded.
    """
    classifier = PretrainedEmotionClassifier(model=model, n_threads=n_threads, **answers)
    try:
        if registered_classes(model) is not None:
            fetch_weights(model, verbose=is_terminal(sys.stderr))
        classes: list[str] = open_classes(classifier).tolist()
    except (ValueError, FileNotFoundError, IsADirectoryError) as error:
        raise UsageError(f"--model {shorten(model)}: {error}") from error
    return classifier, classes


def learned_prior(classifier: PretrainedEmotionClassifier) -> NDArray[np.float64]:
    """Return how common the classes were in the training; UsageError if the file does not say."""
    _, prior = open_output(classifier)
    if prior is None:
        raise UsageError(
            f"--class-prior estimate needs what the model learned, and {classifier.model} does not "
            "say it: its metadata have no 'class_prior'. Leave --class-prior out."
        )
    return prior


def registered_classes(model: str) -> list[str] | None:
    """Return the sorted classes of a model that is known by name, None for any other."""
    return next((sorted(card.labels) for card in list_cards("emotion") if card.name == model), None)
