"""Images in, classes out, by kernel ridge regression on an image and its mirror image.

Imports the image door and the checks of `training`; `make_hog_classifier` is built on it.
"""

from __future__ import annotations

from functools import partial
from numbers import Real
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import LinAlgError
from sklearn.base import ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted

from emotion_estimators._progress import progress_bar
from emotion_estimators._sklearn import (
    HasMethods,
    ImageEstimator,
    Interval,
    constraints,
    fit_context,
)
from emotion_estimators.classifiers._blocked_cholesky import solve_in_blocks
from emotion_estimators.exceptions import InvalidImagesError
from emotion_estimators.features import HOGTransformer
from emotion_estimators.images.color import to_rgb
from emotion_estimators.images.threads import count_threads
from emotion_estimators.validation import check_images, check_labels, compare_table, record_table

__all__ = ["MirrorKernelRidgeClassifier"]

_BATCH = 64  # images described and compared at once, always: a prediction has no neighbours

_Floats: TypeAlias = NDArray[Any]  # float32 or float64


class MirrorKernelRidgeClassifier(ClassifierMixin, ImageEstimator):
    """Classify images by RBF kernel ridge regression that knows mirror images mean the same.

    A face's mirror image shows the same emotion. This classifier is what kernel ridge
    regression on one-hot labels gives when the mirror image of every training image is
    learned, too, at the price of the images alone. On features such as HOG it is, for some ten
    thousand images, stronger than a support vector machine and faster to train.

    Parameters
    ----------
    transformer : transformer or None, default=None
        Describes images: an estimator, or Pipeline, that takes images and gives 2-D features.
        It is fitted on the images and their mirror images, and given floats: uint8 levels are
        divided by 255. None is ``HOGTransformer()``.
    alpha : float, default=0.2
        Regularization strength, larger than 0: what is added to the diagonal of the kernel.
    gamma : float, default=1.8
        Coefficient of the RBF kernel, after the features of an image and its mirror image have
        been scaled to a total variance of 1.
    image_size : int, (int, int) or None, default=None
        Height and width of the images in pixels, or one int for both. Others are resized before
        anything else; None takes them as they are, all of one size.
    image_shape : tuple of int or None, default=None
        How to read 2-D rows: ``(height, width)`` or ``(height, width, 3)``; one entry may be -1.
        Where it is set the transformer is given rows, too: each `image_shape` that is None in
        it, or in its steps, is set to the shape of the images then.
    n_threads : int or None, default=None
        Threads that work at the same time. They decode files; the linear algebra takes the
        threads that NumPy's BLAS takes. None is the number of CPUs that the process may use, or
        ``OMP_NUM_THREADS`` where that is less.
    verbose : int, default=0
        Above 0, show progress bars.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Sorted labels.
    transformer_ : transformer
        The fitted transformer.
    features_ : ndarray of shape (n_samples, 2 * n_features), dtype float32
        Centred and scaled features of the training images, beside them those of their mirror
        images.
    dual_coef_ : ndarray of shape (n_samples, n_classes), dtype float32
        Weights of the training images.
    intercept_ : ndarray of shape (n_classes,), dtype float32
        Share of each class in the training data.
    mean_ : ndarray of shape (2 * n_features,)
        What is subtracted from the features; in each half their mean over all images and mirror
        images.
    scale_ : float
        Factor that gives the features a total variance of 1 then.
    image_size_ : tuple of int
        Height and width in pixels of the images.
    is_rgb_ : bool
        Whether the fit had images in colour; grey ones are such of equal channels then.
    n_features_in_ : int
        Number of columns of a table, 2-D rows or one column of images. Only set after a fit on
        one.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of a DataFrame. Only set after a fit on one.

    See Also
    --------
    emotion_estimators.make_hog_classifier : Its preset "fer2013" is this classifier on HOG.
    sklearn.kernel_ridge.KernelRidge : Kernel ridge regression without mirror images.

    Notes
    -----
    An image is described by the features of itself and of its mirror image; its mirror image
    by the same two, swapped. In the solution of kernel ridge regression on all images and
    mirror images, an image and its mirror image have equal weights. One linear system of
    ``n_samples`` rows gives it, whose kernel between x and z is the RBF kernel between x and z
    plus that between x and the mirrored z.

    `fit` holds one half of the kernel in memory, ``2 * n_samples ** 2`` bytes (1.6 GB for
    FER2013, and 0.7 GB to work with), and takes ``n_samples ** 3 / 6`` multiply-adds, in single
    precision. The model keeps all features. Predictions are made in double precision and in
    batches of one fixed size, so they do not depend on the images beside them.

    References
    ----------
    .. [1] B. Haasdonk and H. Burkhardt, "Invariant kernel functions for pattern analysis and
       machine learning", Machine Learning 68, 2007.

    Examples
    --------
    >>> from emotion_estimators.classifiers import MirrorKernelRidgeClassifier
    >>> from emotion_estimators.datasets import make_faces
    >>> X, y = make_faces(60, emotions=["happy", "sad"], random_state=0)
    >>> model = MirrorKernelRidgeClassifier().fit(X[:40], y[:40])
    >>> model.score(X[40:], y[40:]) > 0.8
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "transformer": [HasMethods(["fit_transform", "transform"]), None],
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "gamma": [Interval(Real, 0, None, closed="neither")],
        **constraints("image_size", "image_shape", "n_threads", "verbose"),
    }

    def __init__(
        self,
        *,
        transformer: Any = None,
        alpha: float = 0.2,
        gamma: float = 1.8,
        image_size: int | tuple[int, int] | None = None,
        image_shape: tuple[int, ...] | None = None,
        n_threads: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.transformer = transformer
        self.alpha = alpha
        self.gamma = gamma
        self.image_size = image_size
        self.image_shape = image_shape
        self.n_threads = n_threads
        self.verbose = verbose

    # the kernel of images far apart is 0, and no error where the caller has made it one
    @fit_context(prefer_skip_nested_validation=False)
    @np.errstate(under="ignore")
    def fit(self, X: ArrayLike, y: ArrayLike) -> MirrorKernelRidgeClassifier:
        """Learn from images and their mirror images.

        Parameters
        ----------
        X : ndarray, sequence or DataFrame of n images
            As `check_images` takes them: arrays (n, h, w) or (n, h, w, 3), paths, rows...
        y : array-like of shape (n_samples,)
            Labels.

        Returns
        -------
        self : MirrorKernelRidgeClassifier
            The fitted classifier.

        Raises
        ------
        InvalidImagesError
            If X does not follow the contract.
        ValueError
            If a parameter is out of its range, y does not fit X, or `alpha` is too small for
            single precision.
        """
        name = type(self).__name__
        images = check_images(
            X, name=name, image_shape=self.image_shape, image_size=self.image_size
        )
        self.classes_, codes = check_labels(y, n_samples=images.n_samples, name=name)
        ((_, pixels),) = images.batches(images.n_samples, n_threads=count_threads(self.n_threads))

        self.transformer_ = clone(
            HOGTransformer() if self.transformer is None else self.transformer
        )
        self._say_shape_of_rows(pixels.shape[1:])
        self.is_rgb_ = pixels.ndim == 4 or len(self.image_shape or ()) == 3
        both = self._for_transformer(np.concatenate([pixels, _mirrored(pixels)]))
        described = np.asarray(self.transformer_.fit_transform(both), np.float64)
        del both
        features = np.hstack([described[: len(pixels)], described[len(pixels) :]])
        # of both halves, so that swapping them stays what mirroring the image does
        self.mean_ = np.tile(described.mean(axis=0), 2)
        del described
        features -= self.mean_
        variance = features.var(axis=0).sum()
        self.scale_ = float(1 / np.sqrt(variance)) if variance > 0 else 1.0
        features *= self.scale_
        self.features_ = features.astype(np.float32)
        del features, pixels

        targets = np.eye(len(self.classes_), dtype=np.float32)[codes]  # (n_samples, n_classes)
        self.intercept_ = targets.mean(axis=0)
        self.dual_coef_ = self._solve(targets - self.intercept_)
        self.image_size_ = images.image_size
        record_table(self, X, images)
        return self

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Score images for each class.

        Parameters
        ----------
        X : ndarray, sequence or DataFrame of n images
            As in `fit`.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes) or (n_samples,)
            Estimates of the one-hot label: near 1 for the class, near 0 for the others. They
            are no probabilities. For two classes the difference, positive for ``classes_[1]``.

        Raises
        ------
        InvalidImagesError
            If X does not follow the contract, or the images are of another size than in `fit`.
        """
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Classify images.

        Parameters
        ----------
        X : ndarray, sequence or DataFrame of n images
            As in `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Members of `classes_`.

        Raises
        ------
        InvalidImagesError
            As from `decision_function`.
        """
        codes = self._scores(X).argmax(axis=1)
        labels: NDArray[Any] = self.classes_[codes]
        return labels

    @np.errstate(under="ignore")
    def _scores(self, X: ArrayLike) -> NDArray[np.float64]:
        check_is_fitted(self)
        images = check_images(
            X,
            name=type(self).__name__,
            image_shape=self.image_shape,
            image_size=self.image_size,
            expected_size=self.image_size_,
            read_headers=False,
            check_table=partial(compare_table, self),
        )
        scores: NDArray[np.float64] = np.empty((images.n_samples, len(self.classes_)))
        learned = self.features_.astype(np.float64)
        batches = images.batches(
            _BATCH, n_threads=count_threads(self.n_threads), verbose=bool(self.verbose)
        )
        for rows, batch in batches:
            features = np.zeros((_BATCH, learned.shape[1]))
            features[: len(batch)] = (self._describe(batch) - self.mean_) * self.scale_
            kernel = self._kernel(learned, features)  # (n_learned, _BATCH)
            scores[rows] = (self.dual_coef_.T @ kernel).T[: len(batch)]
        scores += self.intercept_
        return scores

    def _describe(self, images: NDArray[Any]) -> NDArray[np.float64]:
        """Return features of at most `_BATCH` images and of their mirrors, (n, 2 * n_features)."""
        # a batch of one size, always: matrix products round differently in other sizes
        padded = np.concatenate([images, np.repeat(images[:1], _BATCH - len(images), axis=0)])
        views = [
            np.asarray(self.transformer_.transform(self._for_transformer(view)), np.float64)
            for view in (padded, _mirrored(padded))
        ]
        features = np.concatenate(views, axis=1)
        if features.shape[1] != len(self.mean_):
            kinds = [("grey", "RGB")[is_rgb] for is_rgb in (self.is_rgb_, images.ndim == 4)]
            raise InvalidImagesError(
                f"{type(self).__name__} was fitted on {kinds[0]} images, of which its transformer "
                f"makes {len(self.mean_) // 2} features, and got {kinds[1]} ones, of which it "
                f"makes {features.shape[1] // 2}. Pass {kinds[0]} images."
            )
        return features[: len(images)]

    def _for_transformer(self, images: NDArray[Any]) -> NDArray[Any]:
        if images.dtype == np.uint8:  # as floats, resizing does not round them to levels
            images = images.astype(np.float32) / np.float32(255)
        if self.is_rgb_ and images.ndim == 3:  # a batch of grey ones only
            images = to_rgb(images)
        if self.image_shape is None:
            return images
        if len(self.image_shape) == 2 and images.ndim == 4:
            raise InvalidImagesError(
                f"{type(self).__name__} expected grey images, as image_shape={self.image_shape} "
                "says, got RGB. Pass grey images, or fit with image_shape=(height, width, 3)."
            )
        return images.reshape(len(images), -1)

    def _say_shape_of_rows(self, shape: tuple[int, ...]) -> None:
        """Let the transformer and its parts that are given rows read them as images (h, w[, 3])."""
        if self.image_shape is None:
            return
        parameters = self.transformer_.get_params()
        unknown = {
            name: shape
            for name, value in parameters.items()
            if name.rpartition("__")[2] == "image_shape" and value is None
        }
        self.transformer_.set_params(**unknown)

    def _kernel(self, learned: _Floats, features: _Floats) -> _Floats:
        """Return the kernel between two sets of scaled features, in their precision."""
        gamma = features.dtype.type(self.gamma)
        swapped = np.roll(features, features.shape[1] // 2, axis=1)  # the mirror images
        squares = gamma * np.einsum("ij,ij->i", learned, learned)
        own_squares = gamma * np.einsum("ij,ij->i", features, features)
        kernel = np.zeros((len(learned), len(features)), features.dtype)
        for view in (features, swapped):
            # An image is a column, so that its score does not depend on its place: OpenBLAS was
            # seen to sum rows of a product by their place, columns of one size never
            product = learned @ (2 * gamma * view).T
            product -= own_squares
            product -= squares[:, np.newaxis]
            kernel += np.exp(product, out=product)
        return kernel

    def _solve(self, targets: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return coefficients for centred targets, both (n_samples, n_classes)."""
        learned = self.features_

        def rows_of(rows: slice) -> NDArray[np.float32]:
            bar.update(rows.stop - rows.start)
            columns = self._kernel(learned[: rows.stop], learned[rows])  # (rows.stop, block)
            columns[rows].flat[:: columns.shape[1] + 1] += np.float32(self.alpha)  # the diagonal
            return columns.T

        name = type(self).__name__
        bar = progress_bar(desc=f"{name}: kernel", total=len(learned), is_shown=self.verbose)
        try:
            with bar:
                solution = solve_in_blocks(rows_of, targets)
        except LinAlgError as error:
            raise ValueError(
                f"{name} cannot solve its linear system in single precision with "
                f"alpha={self.alpha}. Choose a larger alpha."
            ) from error
        return np.ascontiguousarray(solution)


def _mirrored(images: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(images[:, :, ::-1])
