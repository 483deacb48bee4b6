"""What Ctrl-C leaves of a training; imports nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from emotion_estimators._sklearn import keep_fitted

__all__ = ["keeping_best"]


@contextmanager
def keeping_best(estimator: Any) -> Iterator[None]:
    """Let the estimator of an interrupted ``fit`` keep the best weights so far, if there are any.

    The block assigns the fitted attributes after each epoch, all in one step.
    ``KeyboardInterrupt`` is raised with a note that says which epoch is kept.
    """
    before = vars(estimator).get("weights_")
    try:
        yield
    except KeyboardInterrupt as error:
        if vars(estimator).get("weights_") is not before:  # an epoch was over
            keep_fitted(
                error,
                f"{type(estimator).__name__} keeps the weights of epoch {estimator.best_epoch_}, "
                f"the best of the {estimator.n_iter_} that this fit had finished.",
            )
        raise
