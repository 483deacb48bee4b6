"""The cards of all weights that go by a name; imports `labels`."""

from __future__ import annotations

from emotion_estimators.labels import EMOTIONS
from emotion_estimators.weights.weight_card import WeightCard

__all__ = ["get_card", "list_cards"]

_CARDS = (
    WeightCard(
        name="embedded",
        file_name="emotion_cnn.onnx",
        url=None,
        sha256="215fb9a8a49ad5960e94afcec034421f9ff314c5f06231be9046d975c58a4e25",
        size=2_111_862,
        licence="BSD-3-Clause, as this package; mind the terms of the training data",
        labels=EMOTIONS,
        image_size=(48, 48),
        color="grey",
        scaling=(0.0, 1.0),
        training_data=(
            "95 % of FER2013's Training split (Goodfellow et al., 2013), 28,709 faces; the rest "
            "chose the epoch, 106 of the 124 that examples/train_embedded_model.py ran with "
            "--epochs 150 --minutes 82 on two CPU cores. The schedule follows the clock then, so "
            "the seed alone does not give the same weights again"
        ),
        training_data_terms="research use",
        published_accuracy=None,
        published_source="",
        measured_accuracy=0.6899,
        measured_on="FER2013 PublicTest, all 3,589 images, 2026-11-23",
        figures=(
            ("accuracy", 0.6899, 0.6751, 0.7041),
            ("balanced accuracy", 0.6535, 0.6301, 0.6756),
            ("macro F1", 0.6635, 0.6404, 0.6840),
            ("expected calibration error", 0.0362, 0.0296, 0.0524),
            ("recall of angry", 0.6467, None, None),
            ("recall of disgust", 0.5000, None, None),
            ("recall of fear", 0.4819, None, None),
            ("recall of happy", 0.8905, None, None),
            ("recall of neutral", 0.6639, None, None),
            ("recall of sad", 0.5436, None, None),
            ("recall of surprise", 0.8482, None, None),
            ("accuracy, mean of a face and its mirror image", 0.6974, None, None),
        ),
        limits=(
            "For upright, frontal face crops. FER2013's faces come from a web search and its "
            "labels are noisy: people agree with them in about 65 % of cases. Fear and sadness "
            "are found in about half of the cases. Nothing is known of its errors by age, sex or "
            "skin. It names what a face looks like, not what a person feels."
        ),
    ),
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
    """Return the cards of all weights that go by a name.

    Returns
    -------
    cards : tuple of WeightCard
    """
    return _CARDS
