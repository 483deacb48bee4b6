"""What a name or a file, and a user's parameters, say together about a frozen classifier.

Imports `networks`, `weights` and its neighbour `_frozen_settings`; for the pretrained classifier.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from emotion_estimators.classifiers._frozen_settings import (
    OF_ONE,
    OF_SEVERAL,
    check_activation,
    distinct_names,
    read_metadata,
    settle_classes,
    settle_color,
    settle_labels,
    settle_output,
    settle_scaling,
    settle_size,
    shown,
    training_prior_of,
)
from emotion_estimators.exceptions import counted
from emotion_estimators.features._embedding import network_weights
from emotion_estimators.images import to_rgb
from emotion_estimators.networks.onnx.network import OnnxNetwork
from emotion_estimators.networks.onnx.reader import Ending
from emotion_estimators.networks.onnx.session import choose_providers
from emotion_estimators.validation import check_class_prior, check_labels
from emotion_estimators.weights import WeightCard, fetch_weights, list_cards
from emotion_estimators.weights.files import files_sha256
from emotion_estimators.weights.registry import find_card

__all__ = [
    "FrozenModel",
    "ModelFile",
    "check_vocabulary",
    "foretold_classes",
    "load_model",
    "named_card",
]

_SUFFIXES = (".onnx", ".hdf5", ".h5", ".keras")
# A registered name, a file, or the JSON of a Keras architecture and the file of its weights.
ModelFile = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


@dataclass(frozen=True, eq=False)
class FrozenModel:
    """A network, and how images go in and labels come out."""

    network: OnnxNetwork
    files: tuple[Path, ...]
    sha256: str
    labels: tuple[str, ...]
    image_size: tuple[int, int]
    color: str
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    activation: str | None
    mirrored: bool
    classes: NDArray[Any]
    training_prior: NDArray[np.float64] | None
    class_prior: NDArray[np.float64] | None

    @cached_property
    def columns(self) -> NDArray[np.intp]:
        """The output of each class."""
        return np.array([self.labels.index(name) for name in self.classes.tolist()])

    def is_current(self) -> bool:
        """Whether the files are still those that were read."""
        try:
            return files_sha256(self.files) == self.sha256
        except OSError:
            return False

    def probabilities(
        self, images: NDArray[Any], *, run_size: int, n_threads: int
    ) -> NDArray[np.float64]:
        """Return the probabilities of the classes for images.

        `images` (n, height, width) or (n, height, width, 3); returns (n, n_classes) float64.

        Raises ValueError if the outputs are no probabilities, or not as many as the labels.
        """
        inputs = self._prepare(images)
        if self.mirrored:
            # side by side, so that both go through the network in one run
            inputs = np.stack([inputs, inputs[:, :, ::-1]], axis=1).reshape(-1, *inputs.shape[1:])
            run_size *= 1 if self.network.batch_size else 2
        outputs: NDArray[Any] = self.network.run(
            inputs,
            batch_size=run_size,
            n_threads=1 if self.network.on_device else n_threads,
        )
        if self.network.n_outputs == 1:
            outputs = _two_columns(outputs, of_scores=self.activation == "sigmoid")
        if outputs.shape[1] != len(self.labels):
            raise ValueError(
                f"Expected one label for each output of the network, got {len(self.labels)} "
                f"labels and {outputs.shape[1]} outputs."
            )
        if np.isnan(outputs).any() or np.isposinf(outputs).any():
            raise ValueError(
                "Expected the network to give numbers, got NaN or infinity: it was not trained "
                "well, or scaling is not what it was trained with."
            )
        if self.activation is None:
            _check_probabilities(outputs, self.network.ending)
        kept = outputs[:, self.columns].astype(np.float64)
        is_score = self.activation == "softmax"
        probabilities = self._normalized(_exponentials(kept) if is_score else kept)
        if self.mirrored:
            probabilities = probabilities.reshape(len(images), 2, -1).mean(axis=1)
        if self.class_prior is None or self.training_prior is None:
            return probabilities
        from emotion_estimators.metrics import adjust_class_prior

        return adjust_class_prior(probabilities, self.training_prior, self.class_prior)

    def gives_probabilities(self) -> bool:
        """Whether two images of noise are given rows that sum to 1 as they are."""
        noise = np.random.default_rng(0).integers(
            0, 256, (2, *self.image_size, 3)[: 3 + (self.color == "rgb")], dtype=np.uint8
        )
        size = self.network.default_batch_size()
        outputs = self.network.run(self._prepare(noise), batch_size=size)
        return _are_probabilities(outputs, self.network.ending)

    def _normalized(self, kept: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return rows, (n, n_classes), that sum to 1; `kept` is changed."""
        sums = kept.sum(axis=1, keepdims=True)
        lost = sums[:, 0] == 0
        if lost.any():
            warnings.warn(
                f"The network gives all of the classes {self.classes.tolist()} the probability 0 "
                f"in {int(lost.sum())} of {counted(len(lost), 'image')}; there they are given the "
                "same.",
                RuntimeWarning,
                stacklevel=2,
            )
            kept[lost], sums[lost] = 1, kept.shape[1]
        probabilities: NDArray[np.float64] = kept / sums
        return probabilities

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
    model: ModelFile,
    output: str | None,
    precision: str | None,
    labels: ArrayLike | None,
    classes: ArrayLike | None,
    class_prior: Any,
    image_size: int | tuple[int, int] | None,
    scaling: Any,
    color: str | None,
    activation: str | None,
    test_time_augmentation: bool | None,
    device: Any,
    verbose: int,
) -> FrozenModel:
    """Find the file, open its network, and settle what the parameters leave open.

    Raises ValueError if parameters are missing, or do not fit the network; FileNotFoundError if
    there is no such file; WeightsError if the file holds no such network.
    """
    chosen = {"labels": labels, "image_size": image_size, "scaling": scaling, "color": color}
    card = named_card(model)
    told = {**chosen, "activation": activation}
    if card is not None and any(value is not None for value in told.values()):
        given = ", ".join(name for name, value in told.items() if value is not None)
        raise ValueError(
            f"{owner} knows {given} of model={card.name!r}: leave it None. It is for files of your "
            "own."
        )
    # all that costs nothing comes before a download
    if card is not None:
        settle_classes(owner, classes, card.labels)
    providers = choose_providers(device, needed_by=owner)
    architecture = None
    if card is None:
        path, architecture = _find(owner, model, precision)
    else:
        path = _fetch(owner, card, precision, verbose=verbose)
    weights = network_weights(owner, path, providers, architecture=architecture)
    network = weights.read()
    # ONNX Runtime goes to the CPU by itself where its library finds no device
    if str(device).startswith("cuda") and not network.on_device:
        raise ValueError(
            f"{owner} got device={device!r}, but ONNX Runtime finds no such CUDA device. Use "
            "device='auto' to fall back to the CPU."
        )
    if card is None:
        card = find_card(weights.hash, "emotion")
    known = {**read_metadata(network, path), **_facts(card)}
    settled = {name: known.get(name) if value is None else value for name, value in chosen.items()}
    network = network.at(
        settle_output(owner, output, known.get("output"), settled["labels"], network)
    )
    size = settle_size(owner, settled["image_size"], network)
    network = network.for_images(size, settled["color"])
    check_activation(owner, activation, network)
    names = settle_labels(owner, settled["labels"], network, path)
    kept = settle_classes(owner, classes, names)
    training_prior = training_prior_of(known.get("class_prior"), network, names, kept)
    wanted = check_class_prior(class_prior, kept, name=owner)
    if wanted is not None and training_prior is None:
        raise ValueError(
            f"{owner} got class_prior for {path}, which does not say how common the classes were "
            f"in its training: its metadata have no 'class_prior' of the output "
            f"{network.output!r}, a number for each class. Leave class_prior None, or use "
            "emotion_estimators.metrics.adjust_class_prior on the probabilities."
        )
    color = settle_color(owner, settled["color"], network)
    low, high = settle_scaling(owner, settled["scaling"], network)
    opened = FrozenModel(
        network=network,
        files=weights.files,
        sha256=weights.hash,
        labels=names,
        classes=kept,
        image_size=size,
        color=color,
        low=low,
        high=high,
        activation=activation,
        mirrored=bool(
            card is not None and card.test_time_augmentation
            if test_time_augmentation is None
            else test_time_augmentation
        ),
        training_prior=training_prior,
        class_prior=wanted,
    )
    if activation == "softmax" and opened.gives_probabilities():
        raise ValueError(f'{owner} got activation="softmax" for {path}, {OF_ONE}')
    return opened


def foretold_classes(model: Any, labels: Any, classes: Any) -> NDArray[Any] | None:
    """Return the classes that the parameters or a card tell, None where only a file does."""
    if classes is None:
        card = named_card(model)
        classes = labels if card is None else card.labels
        classes = None if classes is None else sorted(distinct_names(classes) or ())
    names = None if classes is None else distinct_names(classes)
    return np.array(names) if names else None


def named_card(model: Any) -> WeightCard | None:
    """Return the card of a model that goes by a name, None of any other."""
    if not isinstance(model, str | os.PathLike):
        return None
    return next((card for card in list_cards("emotion") if card.name == os.fspath(model)), None)


def _facts(card: WeightCard | None) -> dict[str, Any]:
    """Return what a card says of the network's outputs and inputs."""
    names = () if card is None else ("labels", "image_size", "scaling", "color")
    return {name: getattr(card, name) for name in names}


def check_vocabulary(
    owner: str, y: Any, n_samples: int, classes: NDArray[Any], *, by_position: bool
) -> NDArray[Any]:
    """Return the classes as y writes them: names, or their positions.

    `y` (n_samples,); `classes` (n_classes,); returns (n_classes,).

    Raises ValueError if y holds others.
    """
    labels, _ = check_labels(y, n_samples=n_samples, name=owner)
    present = set(labels.tolist())
    are_integers = labels.dtype.kind in "iu"
    by_number = are_integers and by_position
    expected = list(range(len(classes))) if by_number else classes.tolist()
    if present <= set(expected):
        return np.array(expected)
    strange = sorted(present - set(expected), key=str)[:10]
    if are_integers and not by_position:
        advice = (
            "Which class an integer stands for is not guessed: pass names, or set classes to the "
            "names for which 0, 1, ... stand. VotingClassifier, StackingClassifier and "
            "cross_val_predict hand on positions in the sorted names of y: "
            "classes=sorted(set(y)) is right there."
        )
    elif are_integers:
        advice = f"Integers must be positions in classes: 0..{len(classes) - 1}."
    else:
        advice = (
            "emotion_estimators.labels.canonical_emotion turns other spellings of emotions into "
            "these; images of other classes are to be left out."
        )
    raise ValueError(
        f"{owner} has a fixed set of classes, {shown(classes.tolist())}, and expected y to hold "
        f"their names, got {shown(strange)}. {advice}"
    )


def _fetch(owner: str, card: WeightCard, precision: str | None, *, verbose: int) -> Path:
    """Return the file of a model that goes by a name."""
    if precision not in (None, *card.precisions):
        raise ValueError(
            f"{owner} expected precision to be one of those of model={card.name!r}, "
            f"{', '.join(map(repr, card.precisions))}, or None, got {precision!r}."
        )
    return fetch_weights(card.name, precision=precision, verbose=verbose)


def _find(owner: str, model: ModelFile, precision: str | None) -> tuple[Path, Path | None]:
    """Return a file of the user's own, and the file of its architecture if that was given."""
    choices = ", ".join(repr(card.name) for card in list_cards("emotion"))
    wanted = f"{owner} expected model to be {choices}, or the path of a file {', '.join(_SUFFIXES)}"
    architecture = None
    if not isinstance(model, str | os.PathLike):
        if len(model) != 2 or not all(isinstance(each, str | os.PathLike) for each in model):
            raise ValueError(
                f"{wanted}, or (architecture, weights), a .json and a file of Keras, got "
                f"{shown(list(model))}."
            )
        architecture, model = Path(model[0]), model[1]
        if not architecture.is_file():
            raise FileNotFoundError(
                f"{owner} expected the first of model to be the architecture, a .json that Keras "
                f"wrote; there is no file {architecture}."
            )
    name = os.fspath(model)
    path = Path(name)
    suffix = path.suffix.lower()
    if architecture is not None and suffix not in (".h5", ".hdf5"):
        raise ValueError(
            f"{owner} expected model to be (architecture, weights), the weights in a file .h5 or "
            f".hdf5 of Keras, got {name!r}."
        )
    if path.is_file() and suffix in _SUFFIXES:
        if precision is not None:
            raise ValueError(
                f"{owner} got precision={precision!r} for {path}: a file of your own computes in "
                "the numbers that it holds. Leave precision None."
            )
        return path, architecture
    if suffix in _SUFFIXES and not path.exists():
        raise FileNotFoundError(f"{wanted}; there is no file {name}.")
    if path.exists():
        raise ValueError(f"{wanted}; {name} is {'a folder' if path.is_dir() else 'another file'}.")
    raise ValueError(f"{wanted}, got {name!r}.")


def _two_columns(values: NDArray[np.float32], *, of_scores: bool) -> NDArray[np.float64]:
    """Return the probabilities of two classes; `values`, (n, 1), are of the second."""
    second = values.astype(np.float64)
    second = expit(second) if of_scores else second
    return np.concatenate([1 - second, second], axis=1)  # (n, 2)


def _exponentials(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the exponentials of scores, (n, n_classes), the largest of a row 1."""
    largest = scores.max(axis=1, keepdims=True)
    values: NDArray[np.float64] = np.exp(scores - np.where(np.isfinite(largest), largest, 0))
    return values


def _are_probabilities(outputs: NDArray[Any], ending: Ending) -> bool:
    """Whether rows, (n, n_outputs), are not negative and sum to 1."""
    sums = outputs.astype(np.float64).sum(axis=1)
    low, high = 1 - 1e-3, 1 + 1e-3
    # Sums of a few float32 probabilities miss 1 by some 1e-7; scores miss it by far more. Those of
    # a softmax in 8 bits are each rounded to 1/255, and cut off where the file's range ends.
    if ending.is_rounded and ending.activation == "softmax":
        low, high = 0.5, high + outputs.shape[1] / 510
    return bool(outputs.min() >= 0 and sums.min() > low and sums.max() < high)


def _check_probabilities(outputs: NDArray[Any], ending: Ending) -> None:
    """Raise, with advice that fits, if these outputs, (n, n_outputs), are no probabilities."""
    if _are_probabilities(outputs, ending):
        return
    activation = ending.activation
    low, high = float(outputs.min()), float(outputs.max())
    if activation == "sigmoid":
        advice = f"This network {OF_SEVERAL}"
    elif activation == "softmax":
        advice = "Its softmax does not run over the classes."
    elif low >= 0 and high <= 1:
        advice = (
            "They lie in 0..1 and do not sum to 1: if each is the probability of a label by "
            f'itself, this {OF_SEVERAL} If they are scores (logits), set activation="softmax".'
        )
    else:
        advice = 'Set activation="softmax" if they are scores (logits).'
    raise ValueError(
        f"Expected the network to give probabilities, which sum to 1, got outputs from {low:g} to "
        f"{high:g}. {advice}"
    )
