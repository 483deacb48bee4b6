"""FaceNet's vectors and a classifier on them, ready to fit."""

from __future__ import annotations

import os
from numbers import Integral, Real
from typing import Any

from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from emotion_estimators._sklearn import HasMethods, Interval, StrOptions, validate_params
from emotion_estimators.features import FacenetEmbedder

__all__ = ["make_facenet_classifier"]

# Vectors have length 1, so that these span from nearly equal weights to nearly no margin.
_SEARCHED = [
    {"svc__kernel": ["linear"], "svc__C": [0.1, 1.0, 10.0, 100.0]},
    {"svc__kernel": ["rbf"], "svc__C": [0.1, 1.0, 10.0, 100.0]},
]


@validate_params(
    {
        "preset": [StrOptions({"original", "search"})],
        "weights": [str, os.PathLike, HasMethods("state_dict")],
        "image_size": [Interval(Integral, 1, None, closed="left"), tuple, list],
        "image_shape": [tuple, list, None],
        "C": [Interval(Real, 0, None, closed="neither")],
        "probability": ["boolean"],
        "cache": [str, os.PathLike, None],
        "device": [str],
        "n_threads": [Integral, None],
        "verbose": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def make_facenet_classifier(
    preset: str = "original",
    *,
    weights: Any = "vggface2",
    image_size: int | tuple[int, int] = 160,
    image_shape: tuple[int, ...] | None = None,
    C: float = 1.0,
    probability: bool = False,
    cache: str | os.PathLike[str] | None = "memory",
    device: str = "auto",
    n_threads: int | None = None,
    verbose: bool = False,
) -> Any:
    """Return a classifier of face crops that stands on FaceNet's vectors.

    Parameters
    ----------
    preset : {"original", "search"}, default="original"
        "original" is a :class:`~sklearn.pipeline.Pipeline` of `FacenetEmbedder` (vectors of length
        1; step ``facenet``) and a linear :class:`~sklearn.svm.SVC` (step ``svc``), as it is
        usual on such vectors.

        "search" is a :class:`~sklearn.model_selection.GridSearchCV` of that pipeline, which
        chooses a linear or an RBF kernel and `C` from 0.1 to 100 by the accuracy in 5-fold
        stratified cross-validation. With a cache each face goes through the network once.
    weights : str, path-like or module, default="vggface2"
        As for `FacenetEmbedder`.
    image_size : int or tuple of int, default=160
        Size in pixels, or height and width, to which images are resized.
    image_shape : tuple of int, default=None
        How to read 2-D rows, as for `FacenetEmbedder`.
    C : float, default=1.0
        The smaller, the smoother the SVM. Not used with the preset "search".
    probability : bool, default=False
        Give `predict_proba`, by a sigmoid fitted on the decisions of 5-fold cross-validation
        (:class:`~sklearn.calibration.CalibratedClassifierCV`). The step ``svc`` is the
        calibrated classifier then. Only with the preset "original".
    cache : "memory" or path-like, default="memory"
        Where vectors are kept, as for `FacenetEmbedder`. Give a folder for searches with
        ``n_jobs`` above 1; None keeps none.
    device : str, default="auto"
        As for `FacenetEmbedder`.
    n_threads : int, default=None
        As for `FacenetEmbedder`.
    verbose : bool, default=False
        Show progress.

    Returns
    -------
    classifier : Pipeline or GridSearchCV
        Not fitted. Its parameters can be set and searched as usual, for example
        ``facenet__standardization`` and ``svc__C``.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    See Also
    --------
    FineTunedFacenetClassifier : Trains the last blocks of the network, too.

    Notes
    -----
    Vectors that differ little, such as those of ``weights="random"``, need a larger `C`.

    References
    ----------
    .. [1] F. Schroff, D. Kalenichenko, J. Philbin, "FaceNet: A Unified Embedding for Face
       Recognition and Clustering", CVPR 2015.

    Examples
    --------
    >>> from emotion_estimators import make_facenet_classifier
    >>> from emotion_estimators.datasets import make_faces
    >>> X, y = make_faces(8, emotions=["happy", "sad"], random_state=0)
    >>> model = make_facenet_classifier(weights="random", image_size=75, C=1e4).fit(X, y)
    >>> model.score(X, y)
    1.0
    """
    if preset == "search" and probability:
        raise ValueError(
            'make_facenet_classifier gives probabilities only with preset="original", got '
            'preset="search" and probability=True. Set the C that the search finds.'
        )
    embedder = FacenetEmbedder(
        weights=weights,
        image_size=image_size,
        image_shape=image_shape,
        device=device,
        cache=cache,
        n_threads=n_threads,
        verbose=int(verbose),
    )
    svc = SVC(kernel="linear", C=C)
    classifier = CalibratedClassifierCV(svc, ensemble=False) if probability else svc
    pipeline = Pipeline([("facenet", embedder), ("svc", classifier)], verbose=verbose)
    if preset == "original":
        return pipeline
    return GridSearchCV(pipeline, _SEARCHED, cv=5, verbose=int(verbose))
