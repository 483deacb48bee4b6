"""What a file says of a frozen classifier, and a user's parameters, checked against its network.

Imports `networks`, `validation` and `labels`; for `_frozen_model`.
"""

from __future__ import annotations

import reprlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimators._untrusted import read_json
from emotion_estimators.exceptions import WeightsError, counted
from emotion_estimators.images.sizes import parse_size
from emotion_estimators.labels import canonical_emotion
from emotion_estimators.networks.onnx.network import FEATURES, OnnxNetwork
from emotion_estimators.validation import check_class_prior

__all__ = [
    "OF_ONE",
    "OF_SEVERAL",
    "check_activation",
    "distinct_names",
    "read_metadata",
    "settle_classes",
    "settle_color",
    "settle_labels",
    "settle_output",
    "settle_scaling",
    "settle_size",
    "shown",
    "training_prior_of",
]

# What a file may say of itself.
_MAX_SIDE = 4096  # pixels, of the images
_MAX_JSON = 1_000_000  # bytes
_MAX_LABEL = 1000  # characters
_METADATA = ("image_size", "scaling", "color", "output", "class_prior")
_REPR = reprlib.Repr()
_REPR.maxlist = _REPR.maxtuple = 10
_REPR.maxstring = _REPR.maxother = 80
OF_ONE = (
    "whose outputs are probabilities already: softmax would press them together. Leave "
    "activation None."
)
OF_SEVERAL = (
    "is one of several labels: its outputs are sigmoids, each the probability of a label by "
    "itself, which no activation turns into the probabilities of classes. It is none for this "
    "estimator."
)


def read_metadata(network: OnnxNetwork, path: Path) -> dict[str, Any]:
    """Return the settings that `EmotionCNNClassifier.export_onnx` writes into a file."""
    keys = {"classes": "labels", **{key: key for key in _METADATA}}
    return {
        name: _parse(network.metadata[key], f"{path}: its metadata {key!r}")
        for key, name in keys.items()
        if key in network.metadata
    }


def _parse(text: str, where: str) -> Any:
    """Return what a JSON text of a stranger holds."""
    try:
        return read_json(text, max_bytes=_MAX_JSON, name=where)
    except ValueError as error:
        raise WeightsError(f"{error}.") from error


def distinct_names(labels: Any) -> list[str] | None:
    """Return distinct names as a list, None for anything else."""
    is_list = hasattr(labels, "__len__") and not isinstance(labels, str | bytes | dict)
    names = np.asarray(labels, dtype=object).tolist() if is_list else []
    if not names or not all(isinstance(name, str) for name in names):
        return None
    return [str(name) for name in names] if len(set(names)) == len(names) else None


def settle_output(owner: str, output: Any, known: Any, labels: Any, network: OnnxNetwork) -> str:
    """Return the name of the output that answers."""
    if output == FEATURES and FEATURES in network.outputs and len(network.outputs) > 1:
        raise ValueError(
            f"{owner} answers with classes, and the output {FEATURES!r} gives none. "
            "emotion_estimators.EmotionEmbedder hands out features."
        )
    answers = [name for name in network.outputs if name != FEATURES] or [FEATURES]
    if output is None:
        output = known if known in answers else None
    if output is None:
        rows = {name: n for name in answers for n in _row_lengths(network, name)}
        answers = list(rows) or answers
        n_labels = len(distinct_names(labels) or ())
        lengths = {n_labels, 1} if n_labels == 2 else {n_labels}  # one value tells two apart
        fitting = [name for name in answers if n_labels and rows.get(name) in lengths]
        output = next((found[0] for found in (answers, fitting) if len(found) == 1), None)
    if output is None or output not in answers:
        raise ValueError(
            f"{owner} expected output to be one of those of {network.path}, "
            f"{shown(answers)}, got {shown(output)}."
        )
    return str(output)


def _row_lengths(network: OnnxNetwork, output: str) -> list[int | None]:
    """Return how many values an output gives for each image, nothing where that is no row."""
    try:
        return [network.at(output).n_outputs]
    except WeightsError:
        return []


def training_prior_of(
    stated: Any, network: OnnxNetwork, labels: tuple[str, ...], classes: NDArray[Any]
) -> NDArray[np.float64] | None:
    """Return the prior that the chosen output learned, (n_classes,), if the file states it.

    Raises WeightsError if it states something else.
    """
    prior = stated.get(network.output) if isinstance(stated, dict) else stated
    if prior is None:
        return None
    where = f"{network.path}: its metadata 'class_prior'"
    if not isinstance(prior, list):
        raise WeightsError(f"{where}: expected a number for each class, got {shown(prior)}.")
    try:
        shares = check_class_prior(prior, labels, name=where)
    except ValueError as error:
        raise WeightsError(str(error)) from error
    assert shares is not None  # noqa: S101 - a list is no None
    kept = shares[[labels.index(name) for name in classes.tolist()]]
    of_the_kept: NDArray[np.float64] = kept / kept.sum()
    return of_the_kept


def settle_labels(owner: str, labels: Any, network: OnnxNetwork, path: Path) -> tuple[str, ...]:
    if labels is None:
        raise ValueError(
            f"{owner} needs labels for {path}: the class of each output of the network, in its "
            "order, such as emotion_estimators.labels.EMOTIONS or FER_PACKAGE_LABELS."
        )
    names = distinct_names(labels)
    if names is None:
        raise ValueError(
            f"{owner} expected labels to be distinct strings, got {shown(labels)}. Pass labels: a "
            f"name for each output of {path}."
        )
    unusable = [name for name in names if not 0 < len(name) <= _MAX_LABEL or not name.isprintable()]
    if unusable:
        raise ValueError(
            f"{owner} expected labels of 1 to {_MAX_LABEL:,} printable characters, got "
            f"{shown(unusable)}. Pass labels: a name for each output of {path}."
        )
    if network.n_outputs == 1:
        if len(names) != 2:
            raise ValueError(
                f"{owner} expected two labels for {path}, which gives one value for each image: "
                f"the class that 0 stands for, then that of 1; got {len(names)}: {shown(names)}."
            )
    elif len(names) != (network.n_outputs or len(names)):
        raise ValueError(
            f"{owner} expected {counted(network.n_outputs or 0, 'label')}, one for each output of "
            f"{path}, got {len(names)}: {shown(names)}."
        )
    for name in names:
        spelled = _canonical(name)
        if spelled != name:
            raise ValueError(
                f"{owner} expected {spelled!r} among the labels, got {name!r}. Pass labels, "
                "spelled as in emotion_estimators.labels.EMOTIONS."
            )
    return tuple(names)


def check_activation(owner: str, activation: str | None, network: OnnxNetwork) -> None:
    """Raise ValueError where the activation asked for makes no probabilities of the outputs."""
    given, ending, n = f"activation={activation!r}", network.activation, network.n_outputs
    if n == 1 and ending == "softmax":
        reason = "which gives a softmax of one value: that is 1 for all images."
    elif n == 1 and activation == "softmax":
        reason = (
            "which gives one value for each image: the softmax of that is always 1. Leave it None "
            'where it is a probability, set "sigmoid" where it is a score (logit) of the second of '
            "two labels."
        )
    elif n == 1 and activation is None and ending is None:
        reason = (
            "which gives one value for each image, and not out of a sigmoid, as the probability of "
            'the second of two labels would be. Set "sigmoid" if it is the score (logit) of that.'
        )
    elif n == 1 and activation == "sigmoid" and ending == "sigmoid":
        reason = "whose output is a probability already. Leave activation None."
    elif n != 1 and activation == "sigmoid":
        several = f"which {OF_SEVERAL}" if ending == "sigmoid" else "of several outputs."
        reason = f'{several} "sigmoid" is for one score that tells two classes apart.'
    elif activation == "softmax" and ending is not None:
        reason = f"which {OF_SEVERAL}" if ending == "sigmoid" else OF_ONE
    else:
        return
    raise ValueError(f"{owner} got {given} for {network.path}, {reason}")


def settle_classes(owner: str, classes: Any, labels: tuple[str, ...]) -> NDArray[Any]:
    """Return the labels that answers may have."""
    if classes is None:
        return np.array(sorted(labels))
    names = distinct_names(classes)
    if names is None or len(names) < 2 or not set(names) <= set(labels):
        raise ValueError(
            f"{owner} expected classes to be two or more distinct names out of "
            f"{shown(list(labels))}, got {shown(classes)}."
        )
    return np.array(names)


def _canonical(name: str) -> str:
    """Return the canonical spelling of an emotion, and other names as they are."""
    try:
        return canonical_emotion(name)
    except ValueError:
        return name


def settle_size(owner: str, size: Any, network: OnnxNetwork) -> tuple[int, int]:
    if size is None and None in network.image_size:
        raise ValueError(
            f"{owner} needs image_size: the network takes images of any size, {network.image_size}."
        )
    height, width = parse_size(network.image_size if size is None else size, name=owner)
    if max(height, width) > _MAX_SIDE:
        raise ValueError(
            f"{owner} expected image_size of at most {_MAX_SIDE:,} a side, got {height, width}."
        )
    if any(v not in (None, w) for v, w in zip(network.image_size, (height, width), strict=True)):
        raise ValueError(
            f"{owner} got image_size={height, width} for a network that takes images of "
            f"{network.image_size}."
        )
    return height, width


def settle_color(owner: str, color: Any, network: OnnxNetwork) -> str:
    if color is None:
        return "grey" if network.n_channels == 1 else "rgb"
    choices = ("grey",) if network.n_channels == 1 else ("grey", "rgb")
    if color not in choices:
        raise ValueError(
            f"{owner} expected color to be one of {choices} for a network of "
            f"{counted(network.n_channels or 0, 'channel')}, got {shown(color)}."
        )
    return str(color)


def settle_scaling(
    owner: str, scaling: Any, network: OnnxNetwork
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the values of black and white."""
    whole = network.images.whole_numbers
    if whole is not None:
        if scaling is not None and not _is_pair(scaling, whole):
            raise ValueError(
                f"{owner} expected scaling to be {whole} or None for {network.path}, which takes "
                f"pixels as whole numbers ({network.images.dtype}), got {shown(scaling)}."
            )
        return np.array(whole[0], np.float32), np.array(whole[1], np.float32)
    n_channels = network.n_channels or 1
    wanted = "(low, high), the values of black and white, each a number or one per channel"
    try:
        low, high = (0, 1) if scaling is None else scaling
        values = np.asarray(low, np.float32), np.asarray(high, np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{owner} expected scaling to be {wanted}, got {shown(scaling)}."
        ) from error
    good_shapes = ((), (n_channels,)) if n_channels > 1 else ((),)
    for value in values:
        if value.shape not in good_shapes or not np.all(np.isfinite(value)):
            raise ValueError(
                f"{owner} expected scaling to be {wanted} of {n_channels}, got {shown(scaling)}."
            )
    if np.any(values[0] == values[1]):
        raise ValueError(
            f"{owner} expected scaling to be the values of black and white that differ, got "
            f"{shown(scaling)}."
        )
    return values


def _is_pair(value: Any, pair: tuple[int, int]) -> bool:
    """Whether a value is these two numbers, once or for each channel."""
    try:
        return all(
            bool(np.all(np.asarray(given, np.float64) == wanted))
            for given, wanted in zip(value, pair, strict=True)
        )
    except (TypeError, ValueError):
        return False


def shown(value: Any) -> str:
    """Return what a user or a file gave, in a line."""
    return _REPR.repr(value)
