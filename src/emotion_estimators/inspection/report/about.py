"""The end of each report: with what it was made, what is known of the model, what it is not for."""

from __future__ import annotations

import platform
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from emotion_estimators import __version__
from emotion_estimators.classifiers.pretrained_emotion_classifier import (
    PretrainedEmotionClassifier,
    open_card,
)
from emotion_estimators.exceptions import shorten
from emotion_estimators.inspection.report.marks import shown_share
from emotion_estimators.inspection.report.page import Page, definitions, element, plain_table
from emotion_estimators.weights import WeightCard

__all__ = ["ABOUT", "describe_classifier", "write_about"]

ABOUT = {"settings": "Settings", "model": "Model", "limits": "Limits and responsible use"}

_LIMITS = (
    "An emotion here is a label that people gave to images of faces. It says what people would say "
    "that a face shows, not what somebody feels. Expressions differ between people, cultures and "
    "situations.",
    "Do not decide about a person by it. The EU's AI Act forbids inferring emotions at work and in "
    "education, except for medical and safety reasons.",
    "The certainty is the model's own: among faces with 0.7, about seven in ten are right only as "
    "far as these faces are like those it was measured on.",
    "The detector misses faces, above all small, turned and covered ones, and takes things for "
    "faces. What it finds is classified, whatever it is.",
    "This file may hold faces and names of people. Keep it as you keep the photographs; it loads "
    "nothing and sends nothing.",
)


def describe_classifier(
    classifier: Any, classes: Collection[str]
) -> tuple[WeightCard | None, dict[str, str]]:
    """Return the card of a classifier's model, if there is one, and its settings.

    None is `PretrainedEmotionClassifier`, unless the `classes` told, if any, are not its own.
    """
    if classifier is None:
        classifier = PretrainedEmotionClassifier()
        if classes and set(classes) != set(classifier.classes_):
            return None, {}
    is_frozen = isinstance(classifier, PretrainedEmotionClassifier)
    told = {"Classifier": " ".join(repr(classifier).split())}
    return open_card(classifier) if is_frozen else None, told


def write_about(page: Page, card: WeightCard | None, settings: Mapping[str, object]) -> None:
    """Add the sections `ABOUT`."""
    own = {
        "Library": f"emotion-estimators {__version__}, Python {platform.python_version()}",
        "Written": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    }
    with page.section("settings", ABOUT["settings"]):
        pairs = [(name, shorten(str(value), 1000)) for name, value in {**settings, **own}.items()]
        page.write(definitions(pairs))
    with page.section("model", ABOUT["model"]):
        if card is None:
            page.write(
                element("p", "There is no card of this model: ask those who trained it, on what "
                             "faces, and measure it on your own.")
            )  # fmt: skip
        else:
            _write_card(page, card)
    with page.section("limits", ABOUT["limits"]):
        more = () if card is None or not card.limits else (f"Of this model: {card.limits}",)
        page.write(element("ul", [element("li", text) for text in (*_LIMITS, *more)]))


def _write_card(page: Page, card: WeightCard) -> None:
    pairs = [
        ("Name", card.name),
        ("File", card.file_name),
        ("SHA-256", element("code", card.sha256)),
        ("Computes in", card.precision),
        ("Licence", card.licence),
        ("Classes", ", ".join(card.labels)),
        ("Learned from", card.training_data),
        ("Terms of these data", card.training_data_terms),
    ]
    if card.published_accuracy is not None:
        told = f"{shown_share(card.published_accuracy)}: {card.published_source}"
        pairs.append(("Published accuracy", told))
    if card.measured_accuracy is not None:
        told = f"{shown_share(card.measured_accuracy)} on {card.measured_on}"
        pairs.append(("Measured accuracy", told))
    page.write(definitions(pairs))
    if card.figures:
        rows = [
            [name, shown_share(value),
             "" if low is None or high is None else f"{shown_share(low)} to {shown_share(high)}"]
            for name, value, low, high in card.figures
        ]  # fmt: skip
        name = "Measured figures of the model"
        table = plain_table(name, ["Figure", "Value", "95 % interval"], rows, class_="numbers")
        page.write(element("details", element("summary", name), table))
