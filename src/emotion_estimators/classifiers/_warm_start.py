"""What all classifiers with a warm start share; imports NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["check_continuation"]


def check_continuation(
    estimator: Any,
    architecture: dict[str, Any],
    classes: NDArray[Any],
    *,
    word: str = "classes",
    difference: str | None = None,
) -> None:
    """Raise unless the last fit was of the same classes and the same network.

    `classes` (n_classes,).

    Raises ValueError if they differ.
    """
    owner = f"{type(estimator).__name__} with warm_start=True was fitted"
    if not np.array_equal(classes, estimator.classes_):
        raise ValueError(
            f"{owner} on the {word} {estimator.classes_.tolist()}, got {classes.tolist()}. Pass "
            f"all of the same {word}, or set warm_start=False to start from scratch."
        )
    if architecture != estimator.architecture_:
        found = difference or f"{estimator.architecture_}, got {architecture}"
        raise ValueError(f"{owner} with {found}. Set warm_start=False to start from scratch.")
