"""What a name or a file, and a user's parameters, say together about a frozen classifier.

Imports `training`, `networks`, `weights` and `labels`; for `pretrained_emotion_classifier`.
"""

from __future__ import annotations

import os
import reprlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from emotion_estimators._untrusted import read_json
from emotion_estimators.exceptions import WeightsError
from emotion_estimators.features._embedding import network_weights
from emotion_estimators.images import to_rgb
from emotion_estimators.images.sizes import parse_size
from emotion_estimators.labels import canonical_emotion
from emotion_estimators.networks.onnx.network import FEATURES, OnnxNetwork
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
# What a file may say of itself.
_MAX_SIDE = 4096  # pixels, of the images
_MAX_JSON = 1_000_000  # bytes
_MAX_LABEL = 1000  # characters
_METADATA = ("image_size", "scaling", "color", "output", "class_prior")
_REPR = reprlib.Repr()
_REPR.maxlist = _REPR.maxtuple = 10
_REPR.maxstring = _REPR.maxother = 80
_OF_ONE = (
    "whose outputs are probabilities already: softmax would press them together. Leave "
    "activation None."
)
_OF_SEVERAL = (
    "is one of several labels: its outputs are sigmoids, each the probability of a label by "
    "itself, which no activation turns into the probabilities of classes. It is none for this "
    "estimator."
)


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
            _check_probabilities(outputs, self.network.activation)
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
        return _are_probabilities(self.network.run(self._prepare(noise), batch_size=size))

    def _normalized(self, kept: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return rows, (n, n_classes), that sum to 1; `kept` is changed."""
        sums = kept.sum(axis=1, keepdims=True)
        lost = sums[:, 0] == 0
        if lost.any():
            warnings.warn(
                f"The network gives all of the classes {self.classes.tolist()} the probability 0 "
                f"in {int(lost.sum())} of {len(lost)} images; there they are given the same.",
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
        _settle_classes(owner, classes, card.labels)
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
    known = {**_read_metadata(network, path), **_facts(card)}
    network = network.at(_settle_output(owner, output, known.get("output"), network))
    _check_activation(owner, activation, network)
    settled = {name: known.get(name) if value is None else value for name, value in chosen.items()}
    low, high = _settle_scaling(owner, settled["scaling"], network)
    names = _settle_labels(owner, settled["labels"], network, path)
    kept = _settle_classes(owner, classes, names)
    training_prior = _training_prior(known.get("class_prior"), network, names, kept)
    wanted = check_class_prior(class_prior, kept, name=owner)
    if wanted is not None and training_prior is None:
        raise ValueError(
            f"{owner} got class_prior for {path}, which does not say how common the classes were "
            f"in its training: its metadata have no 'class_prior' of the output "
            f"{network.output!r}, a number for each class. Leave class_prior None, or use "
            "emotion_estimators.metrics.adjust_class_prior on the probabilities."
        )
    opened = FrozenModel(
        network=network,
        files=weights.files,
        sha256=weights.hash,
        labels=names,
        classes=kept,
        image_size=_settle_size(owner, settled["image_size"], network),
        color=_settle_color(owner, settled["color"], network),
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
        raise ValueError(f'{owner} got activation="softmax" for {path}, {_OF_ONE}')
    return opened


def foretold_classes(model: Any, labels: Any, classes: Any) -> NDArray[Any] | None:
    """Return the classes that the parameters or a card tell, None where only a file does."""
    if classes is None:
        card = named_card(model)
        classes = labels if card is None else card.labels
        classes = None if classes is None else sorted(_names(classes) or ())
    names = None if classes is None else _names(classes)
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
        f"{owner} has a fixed set of classes, {_shown(classes.tolist())}, and expected y to hold "
        f"their names, got {_shown(strange)}. {advice}"
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
                f"{_shown(list(model))}."
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


def _read_metadata(network: OnnxNetwork, path: Path) -> dict[str, Any]:
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


def _names(labels: Any) -> list[str] | None:
    """Return distinct names as a list, None for anything else."""
    is_list = hasattr(labels, "__len__") and not isinstance(labels, str | bytes | dict)
    names = np.asarray(labels, dtype=object).tolist() if is_list else []
    if not names or not all(isinstance(name, str) for name in names):
        return None
    return [str(name) for name in names] if len(set(names)) == len(names) else None


def _settle_output(owner: str, output: Any, known: Any, network: OnnxNetwork) -> str:
    """Return the name of the output that answers."""
    if output == FEATURES and FEATURES in network.outputs:
        raise ValueError(
            f"{owner} answers with classes, and the output {FEATURES!r} gives none. "
            "emotion_estimators.EmotionEmbedder hands out features."
        )
    answers = [name for name in network.outputs if name != FEATURES]
    if output is None:
        output = known if known in answers else answers[0] if len(answers) == 1 else None
    if output is None or output not in answers:
        raise ValueError(
            f"{owner} expected output to be one of those of {network.path}, "
            f"{_shown(answers)}, got {_shown(output)}."
        )
    return str(output)


def _training_prior(
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
        raise WeightsError(f"{where}: expected a number for each class, got {_shown(prior)}.")
    try:
        shares = check_class_prior(prior, labels, name=where)
    except ValueError as error:
        raise WeightsError(str(error)) from error
    assert shares is not None  # noqa: S101 - a list is no None
    kept = shares[[labels.index(name) for name in classes.tolist()]]
    of_the_kept: NDArray[np.float64] = kept / kept.sum()
    return of_the_kept


def _settle_labels(owner: str, labels: Any, network: OnnxNetwork, path: Path) -> tuple[str, ...]:
    if labels is None:
        raise ValueError(
            f"{owner} needs labels for {path}: the class of each output of the network, in its "
            "order, such as emotion_estimators.labels.EMOTIONS or FER_PACKAGE_LABELS."
        )
    names = _names(labels)
    if names is None:
        raise ValueError(
            f"{owner} expected labels to be distinct strings, got {_shown(labels)}. Pass labels: a "
            f"name for each output of {path}."
        )
    unusable = [name for name in names if not 0 < len(name) <= _MAX_LABEL or not name.isprintable()]
    if unusable:
        raise ValueError(
            f"{owner} expected labels of 1 to {_MAX_LABEL:,} printable characters, got "
            f"{_shown(unusable)}. Pass labels: a name for each output of {path}."
        )
    if network.n_outputs == 1:
        if len(names) != 2:
            raise ValueError(
                f"{owner} expected two labels for {path}, which gives one value for each image: "
                f"the class that 0 stands for, then that of 1; got {len(names)}: {_shown(names)}."
            )
    elif len(names) != (network.n_outputs or len(names)):
        raise ValueError(
            f"{owner} expected {network.n_outputs} labels, one for each output of {path}, got "
            f"{len(names)}: {_shown(names)}."
        )
    for name in names:
        spelled = _canonical(name)
        if spelled != name:
            raise ValueError(
                f"{owner} expected {spelled!r} among the labels, got {name!r}. Pass labels, "
                "spelled as in emotion_estimators.labels.EMOTIONS."
            )
    return tuple(names)


def _check_activation(owner: str, activation: str | None, network: OnnxNetwork) -> None:
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
        several = f"which {_OF_SEVERAL}" if ending == "sigmoid" else "of several outputs."
        reason = f'{several} "sigmoid" is for one score that tells two classes apart.'
    elif activation == "softmax" and ending is not None:
        reason = f"which {_OF_SEVERAL}" if ending == "sigmoid" else _OF_ONE
    else:
        return
    raise ValueError(f"{owner} got {given} for {network.path}, {reason}")


def _settle_classes(owner: str, classes: Any, labels: tuple[str, ...]) -> NDArray[Any]:
    """Return the labels that answers may have."""
    if classes is None:
        return np.array(sorted(labels))
    names = _names(classes)
    if names is None or len(names) < 2 or not set(names) <= set(labels):
        raise ValueError(
            f"{owner} expected classes to be two or more distinct names out of "
            f"{_shown(list(labels))}, got {_shown(classes)}."
        )
    return np.array(names)


def _canonical(name: str) -> str:
    """Return the canonical spelling of an emotion, and other names as they are."""
    try:
        return canonical_emotion(name)
    except ValueError:
        return name


def _settle_size(owner: str, size: Any, network: OnnxNetwork) -> tuple[int, int]:
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


def _settle_color(owner: str, color: Any, network: OnnxNetwork) -> str:
    if color is None:
        return "grey" if network.n_channels == 1 else "rgb"
    choices = ("grey",) if network.n_channels == 1 else ("grey", "rgb")
    if color not in choices:
        raise ValueError(
            f"{owner} expected color to be one of {choices} for a network of "
            f"{network.n_channels} channels, got {_shown(color)}."
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
        raise ValueError(
            f"{owner} expected scaling to be {wanted}, got {_shown(scaling)}."
        ) from error
    good_shapes = ((), (network.n_channels,)) if network.n_channels > 1 else ((),)
    for value in values:
        if value.shape not in good_shapes or not np.all(np.isfinite(value)):
            raise ValueError(
                f"{owner} expected scaling to be {wanted} of {network.n_channels}, got "
                f"{_shown(scaling)}."
            )
    return values


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


def _are_probabilities(outputs: NDArray[Any]) -> bool:
    """Whether rows, (n, n_outputs), are not negative and sum to 1."""
    sums = outputs.astype(np.float64).sum(axis=1)
    # Sums of a few float32 probabilities miss 1 by some 1e-7; scores miss it by far more.
    return bool(outputs.min() >= 0 and sums.min() > 1 - 1e-3 and sums.max() < 1 + 1e-3)


def _check_probabilities(outputs: NDArray[Any], activation: str | None) -> None:
    """Raise, with advice that fits, if these outputs, (n, n_outputs), are no probabilities."""
    if _are_probabilities(outputs):
        return
    low, high = float(outputs.min()), float(outputs.max())
    if activation == "sigmoid":
        advice = f"This network {_OF_SEVERAL}"
    elif activation == "softmax":
        advice = "Its softmax does not run over the classes."
    elif low >= 0 and high <= 1:
        advice = (
            "They lie in 0..1 and do not sum to 1: if each is the probability of a label by "
            f'itself, this {_OF_SEVERAL} If they are scores (logits), set activation="softmax".'
        )
    else:
        advice = 'Set activation="softmax" if they are scores (logits).'
    raise ValueError(
        f"Expected the network to give probabilities, which sum to 1, got outputs from {low:g} to "
        f"{high:g}. {advice}"
    )


def _shown(value: Any) -> str:
    """Return what a user or a file gave, in a line."""
    return _REPR.repr(value)
