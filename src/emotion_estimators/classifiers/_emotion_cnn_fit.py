"""The training of an `EmotionCNNClassifier`, and the fitted attributes that it sets.

Imports torch and skorch through `training`, so import this module only where they are needed.
"""

from __future__ import annotations

from functools import partial
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimators.classifiers._classifier_fit import fit_classifier
from emotion_estimators.classifiers._warm_start import check_continuation
from emotion_estimators.networks.emotion import EmotionCNN
from emotion_estimators.networks.onnx.network import check_rows

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

    `pixels` (n, height, width); `classes` (n_classes,); `codes` (n,) int64; `weights` (n,) float64.

    Raises ValueError if parameters do not fit each other, the data or the network of a warm start;
    KeyboardInterrupt at Ctrl-C. After at least one epoch the estimator keeps what it has learned.
    """
    architecture = _architecture(estimator, len(classes))
    continued = estimator.warm_start and hasattr(estimator, "weights_")
    if continued:
        check_continuation(estimator, architecture, classes)
    fit_classifier(
        estimator,
        architecture,
        partial(_build, architecture, estimator.dropout),
        pixels,
        partial(_targets, estimator, pixels, classes, codes),
        classes,
        codes,
        weights,
        continued=continued,
    )


def _build(architecture: dict[str, Any], dropout: float, mean: float, std: float) -> EmotionCNN:
    return EmotionCNN(**architecture, dropout=dropout, mean=mean, std=std)


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
        what = "one that is not fitted" if known is None else f"one of {np.asarray(known).tolist()}"
        raise ValueError(
            f"{type(estimator).__name__} expected a fitted teacher of the classes "
            f"{classes.tolist()}, got {what}. clone, and with it every search and "
            "cross-validation, leaves a teacher unfitted: pass "
            "teacher=sklearn.frozen.FrozenEstimator(teacher) there."
        )
    # the held-out images keep their labels alone: they are to judge
    taught = teacher.predict_proba(pixels[train])  # (n_train, n_classes)
    check_rows(taught, (len(train), len(classes)), "The teacher")
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
        "stem_stride": int(estimator.stem_stride),
        "widths": [int(v) for v in estimator.widths],
        "n_blocks": [int(v) for v in estimator.n_blocks],
    }
