"""What the commands classify with."""

from __future__ import annotations

import sys

from emotion_estimators.classifiers.pretrained_emotion_classifier import (
    PretrainedEmotionClassifier,
    open_classes,
)
from emotion_estimators.cli.console import UsageError
from emotion_estimators.weights import fetch_weights, list_cards

__all__ = ["open_classifier"]


def open_classifier(model: str, jobs: int | None) -> PretrainedEmotionClassifier:
    """Return a classifier whose network is there and can be read.

    Parameters
    ----------
    model : str
        A name or a file.
    jobs : int or None
        Threads.

    Returns
    -------
    classifier : PretrainedEmotionClassifier

    Raises
    ------
    UsageError
        If there is no such model.
    ConnectionError
        If it cannot be downloaded.
    """
    if model in [card.name for card in list_cards("emotion")]:
        fetch_weights(model, verbose=sys.stderr.isatty())
    classifier = PretrainedEmotionClassifier(model=model, n_threads=jobs)
    try:
        open_classes(classifier)
    except (ValueError, FileNotFoundError, IsADirectoryError) as error:
        raise UsageError(f"--model {model}: {error}") from error
    return classifier
