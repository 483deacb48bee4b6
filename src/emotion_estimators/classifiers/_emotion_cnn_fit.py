"""The training of an `EmotionCNNClassifier`, and the fitted attributes that it sets.

Imports torch and skorch through `training`, so import this module only where they are needed.
"""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from emotion_estimators.training.emotion_training import train_emotion_cnn
from emotion_estimators.training.training_set import hold_out

if TYPE_CHECKING:
    from emotion_estimators.classifiers.emotion_cnn_classifier import EmotionCNNClassifier

__all__ = ["fit_network"]


def fit_network(
    estimator: EmotionCNNClassifier,
    pixels: NDArray[Any],
    classes: NDArray[Any],
    codes: NDArray[np.int64],
    weights: NDArray[np.float64],
) -> None:
    """Train the network of an estimator and set its fitted attributes.

    Parameters
    ----------
    estimator : EmotionCNNClassifier
        Its parameters are valid one by one.
    pixels : ndarray of shape (n, height, width)
        uint8 in 0..255 or float32.
    classes : ndarray of shape (n_classes,)
        Sorted labels.
    codes : ndarray of int64, shape (n,)
        Position in `classes` of each image's label.
    weights : ndarray of float64, shape (n,)
        Weight of each image.

    Raises
    ------
    ValueError
        If parameters do not fit each other, the data or the network of a warm start.

    Warns
    -----
    UserWarning
        If a ``KeyboardInterrupt`` ended the training.
    """
    owner = type(estimator).__name__
    architecture = _architecture(estimator, len(classes))
    continued = estimator.warm_start and hasattr(estimator, "weights_")
    if continued:
        _check_continuation(estimator, architecture, classes)
    rng = check_random_state(estimator.random_state)
    train, held_out = np.arange(len(codes)), None
    if estimator.early_stopping:
        train, held_out = hold_out(owner, codes, estimator.validation_fraction, rng)
    elif len(codes) < 2:
        raise ValueError(f"{owner} needs at least 2 images to train, got n_samples = {len(codes)}.")

    if not continued:
        if hasattr(estimator, "weights_"):  # else a fit that fails would leave a mixture
            del estimator.weights_
        estimator.history_ = []
    estimator.classes_, estimator.architecture_, estimator.n_iter_ = classes, architecture, 0
    n_before = len(estimator.history_)

    def end_epoch(record: dict[str, float], best: dict[str, NDArray[Any]] | None) -> None:
        n_epochs = len(estimator.history_) + 1
        if best is not None:
            estimator.weights_, estimator.best_epoch_ = best, n_epochs
        estimator.history_.append({"epoch": n_epochs, **record})
        estimator.n_iter_ = n_epochs - n_before
        if estimator.on_epoch_end is not None:
            estimator.on_epoch_end(estimator)

    interrupted, last_weights = train_emotion_cnn(
        estimator,
        pixels,
        _targets(estimator, pixels, classes, codes, train),
        weights,
        train=train,
        held_out=held_out,
        architecture=architecture,
        first_weights=estimator.weights_ if continued else None,
        seed=int(rng.randint(2**31 - 1)),
        on_epoch=end_epoch,
    )
    if not hasattr(estimator, "weights_"):  # interrupted before one epoch was over
        estimator.weights_, estimator.best_epoch_ = last_weights, 0
    if interrupted:
        warnings.warn(
            f"{owner} was interrupted after {estimator.n_iter_} of {estimator.max_epochs} epochs; "
            f"it keeps the best weights so far, of epoch {estimator.best_epoch_}.",
            stacklevel=4,  # the caller of fit, past fit and the decorator around it
        )


def _targets(
    estimator: EmotionCNNClassifier,
    pixels: NDArray[Any],
    classes: NDArray[Any],
    codes: NDArray[np.int64],
    train: NDArray[np.intp],
) -> NDArray[np.float32]:
    """Return the probability of each class, (n, n_classes): the label's and the teacher's."""
    targets = np.eye(len(classes), dtype=np.float32)[codes]
    teacher, share = estimator.teacher, estimator.teacher_weight
    if teacher is None or share == 0:
        return targets
    known = getattr(teacher, "classes_", None)
    if known is None or not np.array_equal(known, classes):
        raise ValueError(
            f"{type(estimator).__name__} expected a fitted teacher of the classes "
            f"{classes.tolist()}, got one of {None if known is None else known.tolist()}."
        )
    # the held-out images keep their labels alone: they are to judge
    taught = teacher.predict_proba(pixels[train])  # (n_train, n_classes)
    targets[train] = (1 - share) * targets[train] + share * taught
    return targets


def _architecture(estimator: EmotionCNNClassifier, n_classes: int) -> dict[str, Any]:
    """Return the parameters of the network; raise if they do not fit each other."""
    owner = type(estimator).__name__
    for name, least in (("widths", 1), ("n_blocks", 0)):
        value: Any = getattr(estimator, name)
        if len(value) == 0 or not all(isinstance(v, Integral) and int(v) >= least for v in value):
            raise ValueError(
                f"{owner} expected {name} to be ints of at least {least}, one per stage, got "
                f"{value!r}."
            )
    if len(estimator.widths) != len(estimator.n_blocks):
        raise ValueError(
            f"{owner} expected widths and n_blocks to have one entry per stage, got "
            f"widths={estimator.widths!r}, n_blocks={estimator.n_blocks!r}."
        )
    return {
        "n_classes": n_classes,
        "stem_width": int(estimator.stem_width),
        "widths": [int(v) for v in estimator.widths],
        "n_blocks": [int(v) for v in estimator.n_blocks],
    }


def _check_continuation(
    estimator: EmotionCNNClassifier, architecture: dict[str, Any], classes: NDArray[Any]
) -> None:
    owner = type(estimator).__name__
    if not np.array_equal(classes, estimator.classes_):
        raise ValueError(
            f"{owner} with warm_start=True was fitted on the classes "
            f"{estimator.classes_.tolist()}, got {classes.tolist()}. Pass all classes, or set "
            "warm_start=False to start anew."
        )
    if architecture != estimator.architecture_:
        raise ValueError(
            f"{owner} with warm_start=True was fitted with {estimator.architecture_}, got "
            f"{architecture}. Set warm_start=False to start anew."
        )
