"""FaceNet's vectors and a classifier on them, ready to fit."""

from __future__ import annotations

import os
from numbers import Real
from typing import Any

from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from emotion_estimators._sklearn import Interval, StrOptions, constraints, validate_params
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
        **constraints("weights", "image_size", "image_shape"),
        "C": [Interval(Real, 0, None, closed="neither")],
        "probability": ["boolean"],
        **constraints("cache", "device", "n_threads", "verbose"),
    },
    prefer_skip_nested_validation=True,
)
def make_facenet_classifier(
    preset: str = "original",
    *,
    weights: Any = "vggface2",
    image_size: int | tuple[int, int] | None = 160,
    image_shape: tuple[int, ...] | None = None,
    C: float = 1.0,
    probability: bool = False,
    cache: str | os.PathLike[str] | None = "memory",
    device: str = "auto",
    n_threads: int | None = None,
    verbose: int = 0,
) -> Any:
    """Return a classifier of face crops that stands on FaceNet's vectors.

    Parameters
    ----------
    preset : {"original", "search"}, default="original"
        Which recipe to set up. "original" is a :class:`~sklearn.pipeline.Pipeline` of
        `FacenetEmbedder` (vectors of length 1; step ``facenet``) and a linear
        :class:`~sklearn.svm.SVC` (step ``svc``), as it is usual on such vectors.

        "search" is a :class:`~sklearn.model_selection.GridSearchCV` of that pipeline, which
        chooses a linear or an RBF kernel and `C` from 0.1 to 100 by the accuracy in 5-fold
        stratified cross-validation. With a cache each face goes through the network once.
    weights : str, path-like, module or None, default="vggface2"
        Pretrained weights: a registered name, or the path of a file. As for `FacenetEmbedder`.
    image_size : int, (int, int) or None, default=160
        Height and width of the images in pixels, or one int for both. As for `FacenetEmbedder`.
    image_shape : tuple of int or None, default=None
        How to read 2-D rows: ``(height, width)`` or ``(height, width, 3)``; one entry may be -1.
    C : float, default=1.0
        Inverse of the strength of the regularisation, as in scikit-learn. Only with
        the preset "original".
    probability : bool, default=False
        Give `predict_proba`, by a sigmoid fitted on the decisions of 5-fold cross-validation
        (:class:`~sklearn.calibration.CalibratedClassifierCV`). The step ``svc`` is the
        calibrated classifier then. Only with the preset "original".
    cache : "memory", path-like or None, default="memory"
        Where to keep vectors, so that each distinct image goes through the network once. As for
        `FacenetEmbedder`; give a folder for searches with ``n_jobs`` above 1.
    device : str, default="auto"
        Where the network runs: "cpu", "cuda", "cuda:1" and so on; "auto" is CUDA if there is a
        device, else the CPU.
    n_threads : int or None, default=None
        Threads that work at the same time. As for `FacenetEmbedder`.
    verbose : int, default=0
        Above 0, show progress bars. The steps are printed, too, as scikit-learn does it.

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
    Vectors that differ little, such as those of ``weights=None``, need a larger `C`.

    References
    ----------
    .. [1] F. Schroff, D. Kalenichenko, J. Philbin, "FaceNet: A Unified Embedding for Face
       Recognition and Clustering", CVPR 2015.

    Examples
    --------
    >>> from emotion_estimators import make_facenet_classifier
    >>> from emotion_estimators.datasets import make_faces
    >>> X, y = make_faces(8, emotions=["happy", "sad"], random_state=0)
    >>> model = make_facenet_classifier(weights=None, image_size=75, C=1e4).fit(X, y)
    >>> model.score(X, y)
    1.0
    """
    if preset == "search" and probability:
        raise ValueError(
            'make_facenet_classifier gives probabilities only with preset="original", got '
            'preset="search" and probability=True. Set the C that the search finds.'
        )
    if preset == "search" and C != 1:
        raise ValueError(
            f'make_facenet_classifier with preset="search" chooses C itself, got C={C!r}. Leave it '
            'out, or take preset="original".'
        )
    embedder = FacenetEmbedder(
        weights=weights,
        image_size=image_size,
        image_shape=image_shape,
        device=device,
        cache=cache,
        n_threads=n_threads,
        verbose=verbose,
    )
    svc = SVC(kernel="linear", C=C)
    classifier = CalibratedClassifierCV(svc, ensemble=False) if probability else svc
    pipeline = Pipeline([("facenet", embedder), ("svc", classifier)], verbose=bool(verbose))
    if preset == "original":
        return pipeline
    return GridSearchCV(pipeline, _SEARCHED, cv=5, verbose=int(verbose))
