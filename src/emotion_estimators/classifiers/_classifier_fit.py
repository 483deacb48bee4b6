"""What the fits of all classifiers trained with skorch share; imports torch through `training`.

So import this module only where torch is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from emotion_estimators.classifiers._interrupted import keeping_best
from emotion_estimators.training.classifier_training import train_classifier
from emotion_estimators.training.targets import hold_out

if TYPE_CHECKING:
    from torch import nn

__all__ = ["fit_classifier"]


def fit_classifier(
    estimator: Any,
    architecture: dict[str, Any],
    build: Callable[[float, float], nn.Module],
    pixels: NDArray[Any],
    targets: Callable[[NDArray[np.intp]], NDArray[np.float32]],
    classes: NDArray[Any],
    codes: NDArray[np.int64],
    weights: NDArray[np.float64],
    *,
    continued: bool = False,
) -> None:
    """Train the network of an estimator and set its fitted attributes.

    `pixels` (n, height, width) or (n, height, width, 3); `classes` (n_classes,); `codes` (n,)
    int64; `weights` (n,) float64.

    Raises ValueError if there are too few images; KeyboardInterrupt at Ctrl-C. After at least one
    epoch the estimator keeps what it has learned.
    """
    owner = type(estimator).__name__
    rng = check_random_state(estimator.random_state)
    train, held_out = np.arange(len(codes)), None
    if estimator.early_stopping:
        train, held_out = hold_out(owner, codes, estimator.validation_fraction, rng)
    elif len(codes) < 2:
        raise ValueError(f"{owner} needs at least 2 images to train, got n_samples = {len(codes)}.")

    history = list(estimator.history_) if continued else []
    first_weights = estimator.weights_ if continued else None
    n_before = len(history)

    def end_epoch(record: dict[str, float], best: dict[str, NDArray[Any]] | None) -> None:
        history.append({"epoch": len(history) + 1, **record})
        n_epochs = len(history)
        kept = {} if best is None else {"weights_": best, "best_epoch_": n_epochs}
        # in one step, which Ctrl-C cannot divide
        estimator.__dict__.update(
            kept,
            classes_=classes,
            architecture_=architecture,
            history_=list(history),
            n_iter_=n_epochs - n_before,
        )
        if estimator.on_epoch_end is not None:
            estimator.on_epoch_end(estimator)

    with keeping_best(estimator):
        train_classifier(
            estimator,
            build,
            pixels,
            targets(train),
            weights,
            train=train,
            held_out=held_out,
            first_weights=first_weights,
            seed=int(rng.randint(2**31 - 1)),
            on_epoch=end_epoch,
        )
