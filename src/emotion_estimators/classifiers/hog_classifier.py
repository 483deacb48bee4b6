"""HOG features and a classifier on them, ready to fit."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC

from emotion_estimators._sklearn import StrOptions, constraints, validate_params
from emotion_estimators.classifiers.mirror_kernel_ridge_classifier import (
    MirrorKernelRidgeClassifier,
)
from emotion_estimators.features import HOGTransformer

__all__ = ["make_hog_classifier"]


@validate_params(
    {
        "preset": [StrOptions({"original", "fer2013"})],
        **constraints("image_size", "image_shape"),
        "probability": ["boolean"],
        **constraints("n_threads", "random_state", "verbose"),
    },
    prefer_skip_nested_validation=True,
)
def make_hog_classifier(
    preset: str = "original",
    *,
    image_size: int | tuple[int, int] | None = 48,
    image_shape: tuple[int, ...] | None = None,
    probability: bool = False,
    n_threads: int | None = None,
    random_state: int | np.random.RandomState | None = None,
    verbose: int = 0,
) -> Any:
    """Return a classifier of face crops that stands on HOG features.

    Parameters
    ----------
    preset : {"original", "fer2013"}, default="original"
        Which recipe to set up. "original" is a :class:`~sklearn.pipeline.Pipeline` of
        `HOGTransformer` (9 orientations, cells of 8 x 8 px, blocks of 2 x 2 cells; step
        ``hog``) and :class:`~sklearn.svm.LinearSVC` (step ``svc``): fits in seconds.

        "fer2013" is a `MirrorKernelRidgeClassifier` on two scales of HOG, their square roots
        and principal components, with settings chosen by validation on FER2013's Training
        split: much stronger, fits in minutes, wants at least 150 images. Memory grows with
        ``2 * n_samples ** 2`` bytes; the 28,709 faces of that split took 5.4 GB in all, more
        than half of it for their HOG features.
    image_size : int, (int, int) or None, default=48
        Height and width of the images in pixels, or one int for both. Others are resized; None
        takes them as they are, all of one size.
    image_shape : tuple of int or None, default=None
        How to read 2-D rows: ``(height, width)`` or ``(height, width, 3)``; one entry may be -1.
    probability : bool, default=False
        Give `predict_proba`, by a sigmoid fitted on the decisions of 5-fold cross-validation
        (:class:`~sklearn.calibration.CalibratedClassifierCV`). The step ``svc`` is the
        calibrated classifier then. Only with the preset "original".
    n_threads : int or None, default=None
        Threads that work at the same time. They decode files and describe images. None is
        the number of CPUs that the process may use, or ``OMP_NUM_THREADS`` where that is less.
    random_state : int, RandomState instance or None, default=None
        Seed of what is drawn at random; an int gives the same result each time. It goes to the
        solver of the linear SVM, or of the principal components.
    verbose : int, default=0
        Above 0, show progress bars. The pipeline's steps are printed, as scikit-learn does it.

    Returns
    -------
    classifier : Pipeline or MirrorKernelRidgeClassifier
        Not fitted. Its parameters can be set and searched as usual, for example
        ``hog__orientations`` and ``svc__C``.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    References
    ----------
    .. [1] N. Dalal and B. Triggs, "Histograms of Oriented Gradients for Human Detection",
       CVPR 2005.

    Examples
    --------
    >>> from emotion_estimators import make_hog_classifier
    >>> from emotion_estimators.datasets import make_faces
    >>> X, y = make_faces(120, emotions=["happy", "sad", "surprise"], random_state=0)
    >>> model = make_hog_classifier().fit(X[:90], y[:90])
    >>> model.score(X[90:], y[90:]) > 0.8
    True
    """
    if preset == "fer2013" and probability:
        raise ValueError(
            'make_hog_classifier gives probabilities only with preset="original", got '
            'preset="fer2013" and probability=True. Wrap what it returns in scikit-learn\'s '
            "CalibratedClassifierCV, which fits it several times."
        )
    if preset == "original":
        hog = HOGTransformer(
            cells_per_block=(2, 2),
            image_size=image_size,
            image_shape=image_shape,
            n_threads=n_threads,
        )
        svc = LinearSVC(random_state=random_state)
        classifier = CalibratedClassifierCV(svc, ensemble=False) if probability else svc
        return Pipeline([("hog", hog), ("svc", classifier)], verbose=bool(verbose))

    # enlarged twice: cells of 8 and 6 px of the original, whose gradients are smoothed
    scales = [
        (
            f"cells{cell}",
            HOGTransformer(
                pixels_per_cell=(cell, cell),
                block_norm="L2",
                image_size=96,
                dtype="float64",
                n_threads=n_threads,
            ),
        )
        for cell in (16, 12)
    ]
    transformer = Pipeline(
        [
            ("hog", FeatureUnion(scales)),
            ("sqrt", FunctionTransformer(np.sqrt)),  # Hellinger's distance between histograms
            ("pca", PCA(300, svd_solver="randomized", random_state=random_state)),
        ]
    )
    return MirrorKernelRidgeClassifier(
        transformer=transformer,
        alpha=0.2,
        gamma=1.8,
        image_size=image_size,
        image_shape=image_shape,
        n_threads=n_threads,
        verbose=verbose,
    )
