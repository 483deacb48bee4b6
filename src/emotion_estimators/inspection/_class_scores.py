"""What a classifier gives for each class: probabilities, or values of its decision function."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["find_response_method", "score_classes"]


def find_response_method(estimator: Any) -> str | None:
    """Return "predict_proba" or else "decision_function", or None where there is neither."""
    methods = ("predict_proba", "decision_function")
    return next((method for method in methods if hasattr(estimator, method)), None)


def score_classes(estimator: Any, X: Any, response_method: str) -> NDArray[Any]:
    """Return a score of each class for each image, (n, n_classes)."""
    scores = np.asarray(getattr(estimator, response_method)(X))
    if scores.ndim == 1:  # decision_function of two classes: the sign says the class
        return np.stack([-scores, scores], axis=1)
    return scores
