"""The cards of all weights that can be fetched by name; imports `labels`."""

from __future__ import annotations

from emotion_estimators.labels import EMOTIONS
from emotion_estimators.weights.weight_card import WeightCard

__all__ = ["get_card", "list_cards"]

_CARDS = (
    WeightCard(
        name="model_v6_23",
        file_name="model_v6_23.hdf5",
        url=(
            "https://github.com/priya-dwivedi/face_and_emotion_detection/raw/"
            "60a0f1c5b9fb4dd66f9c79e0cef5dc173e56b4af/emotion_detector_models/model_v6_23.hdf5"
        ),
        sha256="8c5b261749a12f26b39ff85ac117324d2b51221357ca2bce775a247ed054f3c4",
        size=2_955_168,
        licence="none stated by its repository: do not redistribute",
        labels=EMOTIONS,
        image_size=(48, 48),
        color="grey",
        scaling=(0.0, 1.0),
        training_data="FER2013 (Goodfellow et al., 2013) with image augmentation",
        training_data_terms="research use",
        published_accuracy=0.613,
        published_source=(
            "validation accuracy in the write-up of "
            "github.com/priya-dwivedi/face_and_emotion_detection; its split is not stated"
        ),
        measured_accuracy=0.36473,
        measured_on="FER2013 PublicTest, all 3,589 images, 2026-11-23",
    ),
)


def get_card(name: str) -> WeightCard:
    """Return the card of registered weights.

    Parameters
    ----------
    name : str
        One of the names that `list_cards` gives.

    Returns
    -------
    card : WeightCard

    Raises
    ------
    ValueError
        If no weights have that name.
    """
    for card in _CARDS:
        if card.name == name:
            return card
    names = ", ".join(card.name for card in _CARDS)
    raise ValueError(f"get_card expected the name of registered weights ({names}), got {name!r}.")


def list_cards() -> tuple[WeightCard, ...]:
    """Return the cards of all weights that can be fetched.

    Returns
    -------
    cards : tuple of WeightCard
    """
    return _CARDS
