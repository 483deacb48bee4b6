"""The embedded model's features and a classifier on them, ready to fit."""

from __future__ import annotations

import os
from numbers import Real
from typing import Any

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from emotion_estimators._sklearn import Interval, StrOptions, constraints, validate_params
from emotion_estimators.features import EmotionEmbedder

__all__ = ["make_embedding_classifier"]


@validate_params(
    {
        "precision": [StrOptions({"float32", "int8"}), None],
        **constraints("image_shape"),
        "C": [Interval(Real, 0, None, closed="neither")],
        **constraints("class_weight", "cache", "n_threads", "verbose"),
    },
    prefer_skip_nested_validation=True,
)
def make_embedding_classifier(
    *,
    precision: str | None = None,
    image_shape: tuple[int, ...] | None = None,
    C: float = 0.01,
    class_weight: Any = None,
    cache: str | os.PathLike[str] | None = "memory",
    n_threads: int | None = None,
    verbose: int = 0,
) -> Pipeline:
    """Return a classifier of face crops for classes of one's own, of which there are few images.

    It stands on the features of the embedded emotion model, which learned from 28,709 faces; what
    is left to learn takes some dozen faces of each class, and less than a second.

    Parameters
    ----------
    precision : {"float32", "int8"} or None, default=None
        Numbers that the network computes in. None is what its card states.
    image_shape : tuple of int or None, default=None
        How to read 2-D rows: ``(height, width)`` or ``(height, width, 3)``; one entry may be -1.
    C : float, default=0.01
        Inverse of the strength of the regularisation, as in scikit-learn. A few hundredths are
        right for some dozen faces of each class, 0.1 and more for thousands.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, multiplied with ``sample_weight``.
    cache : "memory", path-like or None, default="memory"
        Where to keep vectors, so that each distinct image goes through the network once. Give a
        folder for searches with ``n_jobs`` above 1; None keeps none.
    n_threads : int or None, default=None
        Threads that work at the same time. They decode files and run the network.
    verbose : int, default=0
        Above 0, show progress bars.

    Returns
    -------
    classifier : Pipeline
        Not fitted. Its steps are ``emotion``, an `EmotionEmbedder`; ``standardscaler``; and
        ``logisticregression``. Their parameters can be set and searched as usual, for example
        ``logisticregression__C``.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    See Also
    --------
    make_hog_classifier : Learns from the images alone.
    EmotionCNNClassifier : Trains a whole network, where there are thousands of faces.

    Examples
    --------
    >>> from emotion_estimators import make_embedding_classifier
    >>> from emotion_estimators.datasets import make_faces
    >>> X, y = make_faces(8, emotions=["happy", "sad"], random_state=0)
    >>> make_embedding_classifier().fit(X, y).score(X, y)
    1.0
    """
    embedder = EmotionEmbedder(
        precision=precision,
        image_shape=image_shape,
        cache=cache,
        n_threads=n_threads,
        verbose=verbose,
    )
    learner = LogisticRegression(C=C, class_weight=class_weight, max_iter=1000)
    return Pipeline(
        [
            ("emotion", embedder),
            ("standardscaler", StandardScaler()),
            ("logisticregression", learner),
        ]
    )
