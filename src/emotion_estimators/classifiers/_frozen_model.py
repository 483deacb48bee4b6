"""What a name or a file, and a user's parameters, say together about a frozen classifier.

Imports `training`, `networks`, `weights` and `labels`; for `pretrained_emotion_classifier`.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emotion_estimators.exceptions import WeightsError
from emotion_estimators.images import to_rgb
from emotion_estimators.labels import canonical_emotion
from emotion_estimators.networks.onnx_network import OnnxNetwork, choose_providers, open_network
from emotion_estimators.training.training_set import check_labels
from emotion_estimators.weights import (
    fetch_weights,
    file_sha256,
    get_card,
    list_cards,
)

__all__ = ["FrozenModel", "check_vocabulary", "load_model"]

_SUFFIXES = (".onnx", ".hdf5", ".h5")


@dataclass(frozen=True, eq=False)
class FrozenModel:
    """A network, and how images go in and labels come out.

    Attributes
    ----------
    network : OnnxNetwork
        Shared by all who use the same file.
    path : Path
        The file.
    sha256 : str
        Its SHA-256 when it was read.
    labels : tuple of str
        In the order of the outputs.
    image_size : tuple of int
        Height and width.
    color : {"grey", "rgb"}
        What images are converted to.
    low, high : float32 array of shape () or (3,)
        Values that black and white take.
    softmax : bool
        Whether the outputs are scores, to be turned into probabilities.
    """

    network: OnnxNetwork
    path: Path
    sha256: str
    labels: tuple[str, ...]
    image_size: tuple[int, int]
    color: str
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    softmax: bool

    @cached_property
    def classes(self) -> NDArray[Any]:
        """The labels, sorted."""
        return np.array(sorted(self.labels))

    @cached_property
    def order(self) -> NDArray[np.intp]:
        """The outputs in the order of the sorted labels."""
        return np.argsort(self.labels)

    def is_current(self) -> bool:
        """Whether the file is still the one that was read."""
        try:
            return file_sha256(self.path) == self.sha256
        except OSError:
            return False

    def probabilities(
        self, images: NDArray[Any], *, run_size: int, n_threads: int
    ) -> NDArray[np.float64]:
        """Return the probabilities of the labels for images.

        Parameters
        ----------
        images : ndarray of shape (n, height, width) or (n, height, width, 3)
            As `check_images` hands them out: uint8 in 0..255 or float in 0..1.
        run_size : int
            Images in one run.
        n_threads : int
            Runs at the same time.

        Returns
        -------
        probabilities : float64 array of shape (n, n_labels)
            In the order of the sorted labels.

        Raises
        ------
        ValueError
            If the outputs are no probabilities, or not as many as the labels.
        """
        outputs = self.network.run(
            self._prepare(images),
            batch_size=run_size,
            n_threads=1 if self.network.on_device else n_threads,
        )
        if outputs.shape[1] != len(self.labels):
            raise ValueError(
                f"Expected one label for each output of the network, got {len(self.labels)} "
                f"labels and {outputs.shape[1]} outputs."
            )
        values = _softmax(outputs) if self.softmax else _check_probabilities(outputs)
        return values[:, self.order]

    def _prepare(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Scale images, uint8 in 0..255 or float in 0..1, as the network expects them."""
        if self.network.n_channels == 3 and images.ndim == 3:
            images = to_rgb(images)
        is_integer = images.dtype == np.uint8
        scaled = images.astype(np.float32)  # (n, h, w[, 3])
        if is_integer and self._takes(0, 255):
            return scaled
        if is_integer:
            scaled /= 255
        if not self._takes(0, 1):
            scaled *= self.high - self.low
            scaled += self.low
        return scaled

    def _takes(self, low: float, high: float) -> bool:
        """Whether black and white are these values in all channels."""
        return self._range == (low, high)

    @cached_property
    def _range(self) -> tuple[float, float] | None:
        """The values of black and white where they are the same in all channels."""
        low, high = np.unique(self.low), np.unique(self.high)
        return (float(low[0]), float(high[0])) if len(low) == len(high) == 1 else None


def load_model(
    owner: str,
    *,
    model: str | os.PathLike[str],
    labels: ArrayLike | None,
    image_size: int | tuple[int, int] | None,
    scaling: Any,
    color: str | None,
    activation: str | None,
    providers: Any,
    verbose: bool | int,
) -> FrozenModel:
    """Find the file, open its network, and settle what the parameters leave open.

    Parameters
    ----------
    owner : str
        Name of the estimator, for messages.
    model, labels, image_size, scaling, color, activation, providers, verbose
        As in `PretrainedEmotionClassifier`.

    Returns
    -------
    model : FrozenModel

    Raises
    ------
    ValueError
        If parameters are missing, or do not fit the network.
    FileNotFoundError
        If there is no such file.
    WeightsError
        If the file holds no such network.
    """
    chosen = {"labels": labels, "image_size": image_size, "scaling": scaling, "color": color}
    path, known = _find(owner, model, verbose=verbose)
    is_named = known is not None
    if is_named and any(value is not None for value in chosen.values()):
        given = ", ".join(name for name, value in chosen.items() if value is not None)
        raise ValueError(
            f"{owner} knows {given} of model={os.fspath(model)!r}: leave it None. It is for files "
            "of your own."
        )
    sha256 = file_sha256(path)
    network = open_network(path, sha256, providers=choose_providers(providers))
    known = {**_read_metadata(network, path), **(known or {})}
    settled = {name: known.get(name) if value is None else value for name, value in chosen.items()}
    low, high = _settle_scaling(owner, settled["scaling"], network)
    return FrozenModel(
        network=network,
        path=path,
        sha256=sha256,
        labels=_settle_labels(owner, settled["labels"], network, path),
        image_size=_settle_size(owner, settled["image_size"], network),
        color=_settle_color(owner, settled["color"], network),
        low=low,
        high=high,
        softmax=activation == "softmax",
    )


def check_vocabulary(owner: str, y: Any, n_samples: int, classes: NDArray[Any]) -> NDArray[Any]:
    """Return the classes as y writes them: names, or their positions.

    Parameters
    ----------
    owner : str
        Name of the estimator, for messages.
    y : array-like of shape (n_samples,)
        Labels.
    n_samples : int
        Number of images.
    classes : ndarray of shape (n_classes,)
        All that the model knows, sorted.

    Returns
    -------
    classes : ndarray of shape (n_classes,)

    Raises
    ------
    ValueError
        If y holds others.
    """
    labels, _ = check_labels(owner, y, n_samples)
    present = set(labels.tolist())
    if present <= set(classes.tolist()):
        return classes
    if labels.dtype.kind in "iu" and present == set(range(len(classes))):
        return np.arange(len(classes))
    raise ValueError(
        f"{owner} has a fixed set of classes, {classes.tolist()}, and expected y to hold "
        f"these names, or all integers 0..{len(classes) - 1} as their positions; got "
        f"{sorted(present - set(classes.tolist()), key=str)[:10]}. "
        "emotion_estimators.labels.canonical_emotion turns other spellings into these."
    )


def _find(
    owner: str, model: str | os.PathLike[str], *, verbose: bool | int
) -> tuple[Path, dict[str, Any] | None]:
    """Return the file, and what is known of it if it goes by a name."""
    name = os.fspath(model)
    names = [card.name for card in list_cards("emotion")]
    if name in names:
        card = get_card(name)
        return fetch_weights(name, verbose=verbose), {
            "labels": card.labels,
            "image_size": card.image_size,
            "scaling": card.scaling,
            "color": card.color,
        }
    path = Path(name)
    if path.is_file() and path.suffix.lower() in _SUFFIXES:
        return path, None
    choices = ", ".join(repr(choice) for choice in names)
    wanted = f"{owner} expected model to be {choices}, or the path of a file {', '.join(_SUFFIXES)}"
    if path.suffix.lower() in _SUFFIXES and not path.exists():
        raise FileNotFoundError(f"{wanted}; there is no file {name}.")
    if path.exists():
        raise ValueError(f"{wanted}; {name} is {'a folder' if path.is_dir() else 'another file'}.")
    raise ValueError(f"{wanted}, got {name!r}.")


def _read_metadata(network: OnnxNetwork, path: Path) -> dict[str, Any]:
    """Return the settings that `EmotionCNNClassifier.export_onnx` writes into a file."""
    keys = {"classes": "labels", "image_size": "image_size", "scaling": "scaling", "color": "color"}
    known = {}
    for key, name in keys.items():
        text = network.metadata.get(key)
        if text is not None:
            try:
                known[name] = json.loads(text)
            except ValueError as error:
                raise WeightsError(f"{path}: its metadata {key!r} are no JSON: {error}") from error
    return known


def _settle_labels(owner: str, labels: Any, network: OnnxNetwork, path: Path) -> tuple[str, ...]:
    if labels is None:
        raise ValueError(
            f"{owner} needs labels for {path}: the class of each output of the network, in its "
            "order, such as emotion_estimators.labels.EMOTIONS or MINI_XCEPTION_ORDER."
        )
    # a file's metadata may hold anything
    is_list = hasattr(labels, "__len__") and not isinstance(labels, str | dict)
    names = list(labels) if is_list else [labels]
    if not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
        raise ValueError(
            f"{owner} expected labels to be distinct strings, got {names}. Pass labels: a name for "
            f"each output of {path}."
        )
    if len(names) != (network.n_outputs or len(names)):
        raise ValueError(
            f"{owner} expected {network.n_outputs} labels, one for each output of {path}, got "
            f"{len(names)}: {names}."
        )
    for name in names:
        spelled = _canonical(name)
        if spelled != name:
            raise ValueError(
                f"{owner} expected {spelled!r} among the labels, got {name!r}. Pass labels, "
                "spelled as in emotion_estimators.labels.EMOTIONS."
            )
    return tuple(str(name) for name in names)


def _canonical(name: str) -> str:
    """Return the canonical spelling of an emotion, and other names as they are."""
    try:
        return canonical_emotion(name)
    except ValueError:
        return name


def _settle_size(owner: str, size: Any, network: OnnxNetwork) -> tuple[int, int]:
    if size is None:
        size = network.image_size
    elif isinstance(size, Integral):
        size = (size, size)
    is_pair = isinstance(size, tuple | list) and len(size) == 2
    if not is_pair or not all(v is None or (isinstance(v, Integral) and int(v) > 0) for v in size):
        raise ValueError(
            f"{owner} expected image_size to be a positive int or (height, width), got {size!r}."
        )
    if None in size:
        raise ValueError(
            f"{owner} needs image_size: the network takes images of any size, {network.image_size}."
        )
    if any(fixed not in (None, v) for fixed, v in zip(network.image_size, size, strict=True)):
        raise ValueError(
            f"{owner} got image_size={tuple(size)} for a network that takes images of "
            f"{network.image_size}."
        )
    return int(size[0]), int(size[1])


def _settle_color(owner: str, color: Any, network: OnnxNetwork) -> str:
    if color is None:
        return "grey" if network.n_channels == 1 else "rgb"
    choices = ("grey",) if network.n_channels == 1 else ("grey", "rgb")
    if color not in choices:
        raise ValueError(
            f"{owner} expected color to be one of {choices} for a network of "
            f"{network.n_channels} channels, got {color!r}."
        )
    return str(color)


def _settle_scaling(
    owner: str, scaling: Any, network: OnnxNetwork
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the values of black and white."""
    wanted = "(low, high), the values of black and white, each a number or one per channel"
    try:
        low, high = (0, 1) if scaling is None else scaling
        values = np.asarray(low, np.float32), np.asarray(high, np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{owner} expected scaling to be {wanted}, got {scaling!r}.") from error
    good_shapes = ((), (network.n_channels,)) if network.n_channels > 1 else ((),)
    for value in values:
        if value.shape not in good_shapes or not np.all(np.isfinite(value)):
            raise ValueError(
                f"{owner} expected scaling to be {wanted} of {network.n_channels}, got {scaling!r}."
            )
    return values


def _softmax(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    values = scores.astype(np.float64)  # (n, n_classes)
    values = np.exp(values - values.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float64] = values / values.sum(axis=1, keepdims=True)
    return probabilities


def _check_probabilities(outputs: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return rows that sum to 1 in double precision; raise if these are no probabilities."""
    values = outputs.astype(np.float64)  # (n, n_classes)
    sums = values.sum(axis=1, keepdims=True)
    # Sums of a few float32 probabilities miss 1 by some 1e-7; scores miss it by far more.
    if not (values.min() >= 0 and sums.min() > 1 - 1e-3 and sums.max() < 1 + 1e-3):
        raise ValueError(
            f"Expected the network to give probabilities, got outputs from {values.min():g} to "
            f'{values.max():g}. Set activation="softmax" if they are scores (logits).'
        )
    probabilities: NDArray[np.float64] = values / sums
    return probabilities
