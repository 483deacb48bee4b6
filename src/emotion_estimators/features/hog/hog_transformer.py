"""Images in, HOG descriptors out; the numbers are computed in `kernel`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from math import prod
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from sklearn.base import TransformerMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils import Tags

from emotion_estimators._sklearn import (
    ImageEstimator,
    Interval,
    StrOptions,
    check_feature_names_in,
    constraints,
    fit_context,
)
from emotion_estimators.exceptions import InvalidImagesError
from emotion_estimators.features.hog.kernel import (
    hog_descriptors,
    hog_feature_shape,
    hog_pictures,
)
from emotion_estimators.images.items import Failures, raise_any
from emotion_estimators.images.sizes import parse_size
from emotion_estimators.images.threads import count_threads
from emotion_estimators.validation import Images, check_images, compare_table, record_table

__all__ = ["HOGTransformer"]

_BATCH_PIXELS = 2**22  # pixels decoded or converted at once: bounds the working memory
_MAX_ORIENTATIONS = 1000
_MAX_FEATURES = 2**26  # values in one descriptor: 512 MiB in double precision


class HOGTransformer(TransformerMixin, ImageEstimator):
    """Describe images by histograms of oriented gradients.

    The descriptor of an image says how strong its edges are in each direction, cell by cell.
    It is the classical hand-made feature for faces: small, robust against light, and enough
    for a good linear or kernel classifier when there is no pretrained network or no time for
    one. The numbers equal those of :func:`skimage.feature.hog`.

    Parameters
    ----------
    orientations : int, default=9
        Number of orientation bins over 180 degrees, 1 to 1000.
    pixels_per_cell : int or tuple of int, default=(8, 8)
        Side of a cell in pixels, or height and width.
    cells_per_block : int or tuple of int, default=(3, 3)
        Side of a block in cells, or height and width. Blocks overlap: one starts at every cell.
    block_norm : {"L1", "L1-sqrt", "L2", "L2-Hys"}, default="L2-Hys"
        How a block is normalised.
    transform_sqrt : bool, default=False
        Take the square root of the pixels first. They must not be negative then.
    image_size : int, (int, int) or None, default=None
        Height and width of the images in pixels, or one int for both. Others are resized; None
        takes them as they are, all of one size.
    image_shape : tuple of int or None, default=None
        How to read 2-D rows: ``(height, width)`` or ``(height, width, 3)``; one entry may be -1.
        Not used for images.
    dtype : {"float32", "float64"}, dtype or None, default=None
        Type of the descriptors. None gives float32 for float32 images and float64 otherwise.
    n_threads : int or None, default=None
        Threads that work at the same time. They decode files and describe images. None
        is the number of CPUs that the process may use, or ``OMP_NUM_THREADS`` where that is
        less.

    Attributes
    ----------
    image_size_ : tuple of int
        Height and width in pixels of the images that are described.
    n_features_in_ : int
        Number of columns of a table, 2-D rows or one column of images. Only set after a fit on
        one.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of a DataFrame. Only set after a fit on one.

    See Also
    --------
    emotion_estimators.make_hog_classifier : This transformer and an SVM as a pipeline.
    skimage.feature.hog : The reference, for one image.

    Notes
    -----
    Of an RGB image the channel with the steepest gradient counts at each pixel.

    `transform` needs no fit; `fit` checks the parameters and records the image size.

    Pixels are not scaled: as in scikit-image, uint8 images are described on 0..255 and float
    images on 0..1. Normalised blocks of both are nearly, not exactly, the same.

    uint8 and float32 images are worked on in single precision where that stays within 1e-6 of
    the reference, float64 images in double precision. An image is described the same whatever
    stands beside it, with any number of threads. Beside X and the result, memory is bounded: a
    descriptor has at most 2**26 values (an image of 53 megapixels with the default settings).

    References
    ----------
    .. [1] N. Dalal and B. Triggs, "Histograms of Oriented Gradients for Human Detection",
       CVPR 2005.

    Examples
    --------
    >>> import numpy as np
    >>> from emotion_estimators import HOGTransformer
    >>> X = np.random.default_rng(0).integers(0, 256, (5, 48, 48), dtype=np.uint8)
    >>> HOGTransformer(cells_per_block=(2, 2)).fit_transform(X).shape
    (5, 900)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "orientations": [Interval(Integral, 1, _MAX_ORIENTATIONS, closed="both")],
        "pixels_per_cell": [Interval(Integral, 1, None, closed="left"), tuple, list],
        "cells_per_block": [Interval(Integral, 1, None, closed="left"), tuple, list],
        "block_norm": [StrOptions({"L1", "L1-sqrt", "L2", "L2-Hys"})],
        "transform_sqrt": ["boolean"],
        **constraints("image_size", "image_shape"),
        "dtype": [StrOptions({"float32", "float64"}), type, np.dtype, None],
        **constraints("n_threads"),
    }

    def __init__(
        self,
        *,
        orientations: int = 9,
        pixels_per_cell: int | tuple[int, int] = (8, 8),
        cells_per_block: int | tuple[int, int] = (3, 3),
        block_norm: str = "L2-Hys",
        transform_sqrt: bool = False,
        image_size: int | tuple[int, int] | None = None,
        image_shape: tuple[int, ...] | None = None,
        dtype: DTypeLike | None = None,
        n_threads: int | None = None,
    ) -> None:
        self.orientations = orientations
        self.pixels_per_cell = pixels_per_cell
        self.cells_per_block = cells_per_block
        self.block_norm = block_norm
        self.transform_sqrt = transform_sqrt
        self.image_size = image_size
        self.image_shape = image_shape
        self.dtype = dtype
        self.n_threads = n_threads

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: object = None) -> HOGTransformer:  # noqa: ARG002
        """Check the parameters and X, and record the image size.

        Parameters
        ----------
        X : ndarray, sequence or DataFrame of n images
            As `check_images` takes them: arrays (n, h, w) or (n, h, w, 3), paths, rows... Of files
            only the headers are read.
        y : None
            Ignored.

        Returns
        -------
        self : HOGTransformer
            The fitted transformer.

        Raises
        ------
        InvalidImagesError
            If X does not follow the contract, the images are smaller than one block, or so large
            that a descriptor had more than 2**26 values.
        ValueError
            If a parameter is out of its range.
        """
        images = check_images(
            X,
            name=type(self).__name__,
            image_shape=self.image_shape,
            image_size=self.image_size,
        )
        self._block_shape(images.image_size)
        self._output_dtype(np.dtype(np.float64))
        self.image_size_ = images.image_size
        record_table(self, X, images)
        return self

    @fit_context(prefer_skip_nested_validation=True)  # no fit need have checked the parameters
    def transform(self, X: ArrayLike) -> NDArray[np.floating[Any]]:
        """Describe images.

        Parameters
        ----------
        X : ndarray, sequence or DataFrame of n images
            As in `fit`.

        Returns
        -------
        descriptors : ndarray of shape (n_samples, n_features_out)
            Values in 0..1. An image's blocks follow each other row by row, in a block its
            cells row by row, in a cell its orientations.

        Raises
        ------
        InvalidImagesError
            If X does not follow the contract, or the images are smaller than one block, too
            large for a descriptor of at most 2**26 values, or of another size than in `fit`.
        ValueError
            If a parameter is out of its range.
        """
        images = self._check(X)
        n_features = prod(self._block_shape(images.image_size))
        return self._compute(images, (n_features,), partial(hog_descriptors, **self._settings()))

    @fit_context(prefer_skip_nested_validation=True)
    def hog_image(self, X: ArrayLike) -> NDArray[np.floating[Any]]:
        """Draw the histograms of images as stars of lines, one star for each cell.

        Parameters
        ----------
        X : ndarray, sequence or DataFrame of n images
            As in `fit`.

        Returns
        -------
        images : ndarray of shape (n_samples, height, width)
            Line brightness is the sum of the un-normalised histogram values that it stands
            for, 0 where there is no line; same dtype as from `transform`.

        Raises
        ------
        InvalidImagesError, ValueError
            As from `transform`.

        Notes
        -----
        A line is drawn along the edge, at a right angle to the gradient. The images equal
        those of ``skimage.feature.hog(..., visualize=True)``.
        """
        images = self._check(X)
        self._block_shape(images.image_size)
        settings = self._settings()
        del settings["cells_per_block"], settings["block_norm"]
        return self._compute(images, images.image_size, partial(hog_pictures, **settings))

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[Any]:
        """Name the values of a descriptor.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Not used, except that it must match ``feature_names_in_`` where there are any.

        Returns
        -------
        names : ndarray of shape (n_features_out,), dtype object
            ``hog_block<row>_<column>_cell<row>_<column>_bin<orientation>``.

        Raises
        ------
        NotFittedError
            Before `fit`, which records the image size.
        """
        if hasattr(self, "n_features_in_"):
            check_feature_names_in(self, input_features)
        if not hasattr(self, "image_size_"):
            raise NotFittedError(
                f"{type(self).__name__} does not know the image size before fit, so it cannot "
                "name its features. Call fit first."
            )
        shape = self._block_shape(self.image_size_)
        names = [f"hog_block{a}_{b}_cell{c}_{d}_bin{e}" for a, b, c, d, e in np.ndindex(*shape)]
        return np.array(names, dtype=object)

    def _check(self, X: ArrayLike) -> Images:
        """Return images that are like those of the fit, if there was one."""
        return check_images(
            X,
            name=type(self).__name__,
            image_shape=self.image_shape,
            image_size=self.image_size,
            expected_size=getattr(self, "image_size_", None),
            read_headers=False,
            check_table=partial(compare_table, self),
        )

    def _compute(
        self, images: Images, shape: tuple[int, ...], compute: Callable[..., object]
    ) -> NDArray[np.floating[Any]]:
        """Return what `compute` writes for images, (n_samples, *shape)."""
        computed: NDArray[np.floating[Any]] | None = None
        for rows, batch in self._batches(images):
            if computed is None:
                dtype = self._output_dtype(batch.dtype)
                computed = np.empty((images.n_samples, *shape), dtype)
            compute(batch, n_threads=count_threads(self.n_threads), out=computed[rows])
        assert computed is not None  # noqa: S101 - check_images refuses an empty X
        return computed

    def _batches(self, images: Images) -> Iterator[tuple[slice, NDArray[Any]]]:
        batch_size = max(1, _BATCH_PIXELS // prod(images.image_size))
        failures: Failures = []
        for rows, batch in images.batches(batch_size, n_threads=count_threads(self.n_threads)):
            if self.transform_sqrt and batch.dtype != np.uint8:
                least = batch.min(axis=tuple(range(1, batch.ndim)))  # (batch,)
                for i in np.flatnonzero(least < 0):
                    problem = f"holds {least[i]:g}, transform_sqrt=True needs pixels >= 0"
                    failures.append((rows.start + int(i), InvalidImagesError(problem)))
            if not failures:
                yield rows, batch
        raise_any(type(self).__name__, failures, images.n_samples)

    def _settings(self) -> dict[str, Any]:
        return {
            "orientations": self.orientations,
            "pixels_per_cell": self._pair("pixels_per_cell"),
            "cells_per_block": self._pair("cells_per_block"),
            "block_norm": self.block_norm,
            "transform_sqrt": self.transform_sqrt,
        }

    def _output_dtype(self, pixels: np.dtype[Any]) -> np.dtype[Any]:
        if self.dtype is None:
            return np.dtype(np.float32 if pixels == np.float32 else np.float64)
        dtype = np.dtype(self.dtype)
        if dtype not in (np.float32, np.float64):
            raise ValueError(
                f"{type(self).__name__} expected dtype to be float32, float64 or None, got "
                f"{self.dtype!r}."
            )
        return dtype

    def _pair(self, name: str) -> tuple[int, int]:
        return parse_size(getattr(self, name), name=type(self).__name__, parameter=name)

    def _block_shape(self, image_size: tuple[int, int]) -> tuple[int, ...]:
        """Return blocks (rows, columns), cells in a block (rows, columns), orientations."""
        cell, block = self._pair("pixels_per_cell"), self._pair("cells_per_block")
        least = cell[0] * block[0], cell[1] * block[1]
        if image_size[0] < least[0] or image_size[1] < least[1]:
            hint = " A single RGB image is X[numpy.newaxis]." if image_size[1] == 3 else ""
            raise InvalidImagesError(
                f"{type(self).__name__} needs images of at least {least[0]} x {least[1]} px for "
                f"pixels_per_cell={cell}, cells_per_block={block}, got {image_size[0]} x "
                f"{image_size[1]}.{hint}"
            )
        shape = hog_feature_shape(
            image_size,
            orientations=self.orientations,
            pixels_per_cell=cell,
            cells_per_block=block,
        )
        if prod(shape) > _MAX_FEATURES:
            raise InvalidImagesError(
                f"{type(self).__name__} describes an image by at most {_MAX_FEATURES:,} values, "
                f"got {prod(shape):,} for images of {image_size[0]} x {image_size[1]} px, "
                f"orientations={self.orientations}, pixels_per_cell={cell}, "
                f"cells_per_block={block}. Set a smaller image_size, larger "
                "pixels_per_cell, or fewer cells_per_block."
            )
        return shape

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
