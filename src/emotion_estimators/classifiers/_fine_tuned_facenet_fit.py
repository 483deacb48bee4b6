"""The training of a `FineTunedFacenetClassifier`; imports torch and skorch through `training`.

So import this module only where they are needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from emotion_estimators.classifiers._classifier_fit import fit_classifier
from emotion_estimators.features._facenet_inputs import find_face_weights
from emotion_estimators.networks.facenet.fine_tuned import FineTunedFacenet

if TYPE_CHECKING:
    from emotion_estimators.classifiers.fine_tuned_facenet_classifier import (
        FineTunedFacenetClassifier,
    )

__all__ = ["fit_network"]


def fit_network(
    estimator: FineTunedFacenetClassifier,
    pixels: NDArray[Any],
    classes: NDArray[Any],
    codes: NDArray[np.int64],
    weights: NDArray[np.float64],
) -> None:
    """Train the network of an estimator and set its fitted attributes.

    `pixels` (n, height, width, 3); `classes` (n_classes,); `codes` (n,) int64; `weights` (n,)
    float64.
    """
    owner = type(estimator).__name__
    found = find_face_weights(owner, estimator.weights, verbose=bool(estimator.verbose))
    architecture = {
        "n_classes": len(classes),
        "n_trained": int(estimator.fine_tune_blocks),
        "standardization": estimator.standardization,
    }
    fit_classifier(
        estimator,
        architecture,
        partial(_build_first, architecture, estimator.dropout, found.read()),
        pixels,
        lambda _: np.eye(len(classes), dtype=np.float32)[codes],
        classes,
        codes,
        weights,
    )


def _build_first(
    architecture: dict[str, Any],
    dropout: float,
    state: Mapping[str, Any],
    _mean: float,
    _std: float,
) -> FineTunedFacenet:
    """Return the network with which the training begins."""
    network = FineTunedFacenet(**architecture, dropout=dropout)
    known = network.facenet.state_dict()
    tensors = {name: torch.tensor(values) for name, values in state.items() if name in known}
    # weights of other sources count no batches
    network.facenet.load_state_dict(known | tensors)
    return network
