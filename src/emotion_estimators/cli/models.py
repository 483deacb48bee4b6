"""What the commands find faces and classify them with."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emotion_estimators._progress import is_terminal
from emotion_estimators.cli.console import UsageError, report
from emotion_estimators.exceptions import shorten
from emotion_estimators.weights import fetch_weights, file_sha256, list_cards

if TYPE_CHECKING:
    from emotion_estimators.classifiers.pretrained_emotion_classifier import (
        PretrainedEmotionClassifier,
    )
    from emotion_estimators.features.faces.cropper import FaceCropper

__all__ = [
    "describe_settings",
    "learned_prior",
    "open_classifier",
    "open_cropper",
    "registered_classes",
    "report_prior",
]

_FILE_SETTINGS = ("labels", "scaling", "color", "activation", "image_size")
_SETTINGS = (*_FILE_SETTINGS, "output", "class_prior", "n_threads")


def open_classifier(
    arguments: argparse.Namespace,
) -> tuple[PretrainedEmotionClassifier, list[str]]:
    """Return a classifier whose network is there and can be read, and its classes.

    A class prior to be estimated is left to the caller.

    Raises UsageError if there is no such model, or it needs other settings; ConnectionError if it
    cannot be downloaded.
    """
    from emotion_estimators.classifiers.pretrained_emotion_classifier import (
        PretrainedEmotionClassifier,
        open_classes,
    )

    model = arguments.model
    settings = {name: getattr(arguments, name) for name in _SETTINGS}
    if settings["class_prior"] == "estimate":
        settings["class_prior"] = None
    try:
        classifier = PretrainedEmotionClassifier(model=model, device=arguments.device, **settings)
        is_known = registered_classes(model) is not None and arguments.device == "auto"
        is_known = is_known and all(settings[name] is None for name in _SETTINGS[:-1])
        if is_known:
            fetch_weights(model, verbose=is_terminal(sys.stderr))
        classes: list[str] = open_classes(classifier).tolist()
        if not is_known:  # whether it works is seen now
            noise = np.random.default_rng(0).integers(0, 256, (2, 64, 64), dtype=np.uint8)
            classifier.predict_proba(noise)
    except (ValueError, FileNotFoundError, IsADirectoryError) as error:
        device = arguments.device
        where = "" if device == "auto" else f" --device {shorten(device)}"
        told = f"--model {shorten(model)}{where}: {error}{_options(str(error))}"
        raise UsageError(told) from error
    return classifier, classes


def learned_prior(classifier: PretrainedEmotionClassifier) -> NDArray[np.float64]:
    """Return how common the classes were in the training; UsageError if the file does not say."""
    from emotion_estimators.classifiers.pretrained_emotion_classifier import open_output

    _, prior = open_output(classifier)
    if prior is None:
        raise UsageError(
            f"--class-prior estimate needs what the model learned, and {classifier.model} does not "
            "say it: its metadata have no 'class_prior'. Leave --class-prior out."
        )
    return prior


def report_prior(
    command: str, classifier: PretrainedEmotionClassifier, prior: str, *, of: str = ""
) -> None:
    """Say which class prior the probabilities are given, and what that makes of them."""
    from emotion_estimators.classifiers.pretrained_emotion_classifier import open_output

    is_of_votes = open_output(classifier)[0] == "votes"
    so = ". With it the output votes gives no shares of people any more." if is_of_votes else "."
    report(f"{command}: class prior{of}: {prior}{so}")


def registered_classes(model: str) -> list[str] | None:
    """Return the sorted classes of a model that is known by name, None for any other."""
    return next((sorted(card.labels) for card in list_cards("emotion") if card.name == model), None)


def open_cropper(arguments: argparse.Namespace) -> FaceCropper:
    """Return a cropper whose detector is there and can be read.

    Raises UsageError if it is not.
    """
    from emotion_estimators.analysis.rows import standard_cropper

    cropper = standard_cropper(detector=arguments.detector, n_threads=arguments.n_threads)
    try:
        cropper.prepare()
    except (ValueError, FileNotFoundError, IsADirectoryError, ImportError) as error:
        raise UsageError(f"--detector {shorten(arguments.detector)}: {error}") from error
    return cropper


def describe_settings(
    arguments: argparse.Namespace, classifier: PretrainedEmotionClassifier, cropper: FaceCropper
) -> str:
    """Return a hash of all on which rows of faces depend: model, detector, parameters, options."""
    from emotion_estimators.classifiers.pretrained_emotion_classifier import open_hash

    # files may lie elsewhere now; one thread or another gives the same
    not_of_the_rows = ("model", "detector", "device", "n_threads")
    parameters = [
        {name: value for name, value in parameters.items() if name not in not_of_the_rows}
        for parameters in (classifier.get_params(deep=False), cropper.get_params(deep=False))
    ]
    detector = arguments.detector
    described = [
        open_hash(classifier),
        file_sha256(Path(detector)) if Path(detector).is_file() else detector,
        [getattr(arguments, name, None) for name in ("min_certainty", "largest")],
        getattr(arguments, "frame_step", None) or 1,
        *parameters,
    ]
    text = json.dumps(described, sort_keys=True, default=lambda value: np.asarray(value).tolist())
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _options(message: str) -> str:
    """Name the options for the parameters that a message speaks of, not those that it quotes."""
    named = [name for name in _FILE_SETTINGS if re.search(rf"(?<!')\b{name}\b(?!')", message)]
    named += ["output"] if "expected output to be" in message else []
    options = ", ".join(f"--{name.replace('_', '-')}" for name in named)
    return f" On the command line: {options}." if options else ""
