"""Base of the embedders: images in, a vector of a frozen network for each out.

Imports the image door and the cache beside it; for the embedders, one file each.
"""

from __future__ import annotations

import os
from abc import ABCMeta, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import TransformerMixin
from sklearn.utils import Tags

from emotion_estimators._sklearn import (
    ImageEstimator,
    check_feature_names_in,
    constraints,
    fit_context,
)
from emotion_estimators.exceptions import WeightsError
from emotion_estimators.features._cache import compute_rows, open_cache
from emotion_estimators.images.threads import count_threads
from emotion_estimators.networks.model_file import find_architecture, open_network
from emotion_estimators.networks.onnx.network import check_rows
from emotion_estimators.networks.onnx.reader import data_files
from emotion_estimators.networks.onnx.session import CPU
from emotion_estimators.validation import Images, check_images, compare_table, record_table
from emotion_estimators.weights import file_sha256
from emotion_estimators.weights.files import files_sha256

__all__ = ["BaseEmbedder", "EmbeddingNetwork", "Weights", "network_weights"]

_LOADED = 4  # batches that are decoded together
_Floats = NDArray[np.float32]
EmbeddingNetwork = Callable[[_Floats], _Floats]  # (b, h, w[, 3]) -> (b, n_features)


@dataclass(frozen=True)
class Weights:
    """Weights that are known, but not read yet."""

    hash: str  # of all files that they consist of: the same for the same weights only
    read: Callable[[], Any] = field(repr=False)  # returns what `_open` makes a network of
    files: tuple[Path, ...] = ()


def network_weights(
    owner: str,
    path: str | os.PathLike[str],
    providers: tuple[str, ...] = (CPU,),
    *,
    architecture: Path | None = None,
) -> Weights:
    """Return a file ``.onnx``, ``.keras``, ``.hdf5`` or ``.h5``, read as an `OnnxNetwork`.

    `architecture` is the JSON of a file of Keras that holds weights only, where it is not beside
    it.
    """
    path = Path(path)
    if path.suffix.lower() == ".onnx":
        others = data_files(path, file_sha256(path))
    else:
        architecture = architecture or find_architecture(path)
        others = () if architecture is None else (architecture,)
    files = (path, *others)
    digest = files_sha256(files)

    def check() -> None:
        if files_sha256(files) != digest:
            raise WeightsError(f"{owner}: {path} changed while it was read. Try again.")

    read = partial(
        open_network,
        path,
        digest,
        providers=providers,
        architecture=architecture,
        check=check,
    )
    return Weights(digest, read, files)


class BaseEmbedder(TransformerMixin, ImageEstimator, metaclass=ABCMeta):
    """Base of transformers that hand out what a frozen network makes of images.

    A subclass gives `_version`, `_n_features_out`, `_find_weights`, `_standardize` and `_open`,
    and has the parameters of ``__init__`` below among its own. Each parameter that it adds is part
    of the key of the cache, but for those that say where weights and how large images are: hash
    and pixels stand for them.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **constraints("image_shape"),
        "normalize": ["boolean"],
        **constraints("batch_size", "cache", "n_threads", "verbose"),
    }

    _color: ClassVar[str | None] = "rgb"  # what the network wants
    image_size: Any  # a parameter of the subclass
    _version: ClassVar[int]  # to be raised when the vectors of equal images change
    _n_features_out: int

    @abstractmethod
    def __init__(
        self,
        *,
        image_shape: tuple[int, ...] | None,
        normalize: bool,
        batch_size: int,
        cache: str | os.PathLike[str] | None,
        n_threads: int | None,
        verbose: int,
    ) -> None:
        self.image_shape = image_shape
        self.normalize = normalize
        self.batch_size = batch_size
        self.cache = cache
        self.n_threads = n_threads
        self.verbose = verbose

    @abstractmethod
    def _find_weights(self) -> Weights:
        """Return the weights, downloaded if they must be; ValueError, OSError, WeightsError."""

    def _must_download(self) -> bool:
        """Whether the weights are not on this machine."""
        return False

    @abstractmethod
    def _standardize(self, images: NDArray[Any]) -> _Floats:
        """Return images (b, h, w[, 3]), uint8 in 0..255 or float in 0..1, as the network's."""

    @abstractmethod
    def _open(self, weights: Weights) -> EmbeddingNetwork:
        """Return the network, from at most `batch_size` standardised images to vectors.

        An image's vector must depend on it alone, not on the others of its batch.
        """

    def _settings(self) -> Mapping[str, Any]:
        """Return what else the vectors depend on, or parameters in other words than given."""
        return {}

    def _check_images(self, X: Any, *, is_fit: bool) -> Images:
        """Return images of one size, that of the fit if there was one, for the network."""
        return check_images(
            X,
            name=type(self).__name__,
            image_shape=self.image_shape,
            image_size=self.image_size,
            color=self._color,
            expected_size=None if is_fit else getattr(self, "image_size_", None),
            read_headers=is_fit or self._must_download(),  # a missing file costs no download
            check_table=None if is_fit else partial(compare_table, self),
        )

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: object = None) -> Self:  # noqa: ARG002
        """Check the parameters, the weights and X; nothing is trained.

        Parameters
        ----------
        X : ndarray, sequence or DataFrame of n images
            As `check_images` takes them: arrays (n, h, w) or (n, h, w, 3), paths, rows... Of files
            only the headers are read.
        y : None
            Ignored.

        Returns
        -------
        self : estimator

        Raises
        ------
        InvalidImagesError
            If X does not follow the contract.
        ValueError
            If a parameter is out of its range, or there are no such weights.
        WeightsError, OSError
            If the weights are not available, or are of another network.
        """
        images = self._check_images(X, is_fit=True)
        self._settings()
        self.weights_hash_ = self._find_weights().hash
        self.image_size_ = images.image_size
        record_table(self, X, images)
        return self

    @fit_context(prefer_skip_nested_validation=True)  # no fit need have checked the parameters
    def transform(self, X: Any) -> NDArray[np.float32]:
        """Return the vectors of images.

        Parameters
        ----------
        X : ndarray, sequence or DataFrame of n images
            As in `fit`.

        Returns
        -------
        vectors : ndarray of shape (n, n_features_out), dtype float32

        Raises
        ------
        InvalidImagesError
            If X does not follow the contract.
        MissingDependencyError
            If a parameter asks for a library that is not installed.
        ValueError
            If a parameter is out of its range, or there are no such weights.
        WeightsError, OSError
            If the weights are not available, are of another network, or not those of the fit; or
            the folder of the cache cannot be made.
        """
        owner = type(self).__name__
        images = self._check_images(X, is_fit=False)
        weights = self._find_weights()
        fitted = getattr(self, "weights_hash_", weights.hash)
        if fitted != weights.hash:
            raise WeightsError(
                f"{owner} was fitted with weights of hash {fitted}; its weights now have "
                f"{weights.hash}. Call fit again."
            )
        settings = self._key_settings(weights)
        opened: list[EmbeddingNetwork] = []  # not before an image is not in the cache

        def embed(batch: NDArray[Any], out: _Floats) -> None:
            if not opened:
                opened.append(self._open(weights))
            for start in range(0, len(batch), self.batch_size):
                part = out[start : start + self.batch_size]  # (b, n_features)
                images = self._standardize(batch[start : start + self.batch_size])
                vectors = opened[0](images)
                check_rows(vectors, part.shape, f"The network of {owner}")
                part[:] = vectors

        with open_cache(self.cache, owner=owner) as cache:
            n_threads = count_threads(self.n_threads)
            embeddings = compute_rows(
                images.batches(
                    _LOADED * self.batch_size,
                    n_threads=n_threads,
                    ahead=n_threads > 1,
                    verbose=bool(self.verbose),
                ),
                (images.n_samples, self._n_features_out),
                embed,
                cache=cache,
                settings=settings,
            )
        return _normalized(embeddings) if self.normalize else embeddings

    @fit_context(prefer_skip_nested_validation=True)
    def preprocess(self, X: Any) -> NDArray[np.float32]:
        """Return images as the network gets them: of its colour and size, standardised.

        Parameters
        ----------
        X : ndarray, sequence or DataFrame of n images
            As in `fit`.

        Returns
        -------
        images : ndarray of shape (n, height, width) or (n, height, width, 3), dtype float32

        Raises
        ------
        InvalidImagesError
            If X does not follow the contract.
        ValueError
            If a parameter is out of its range.
        """
        images = self._check_images(X, is_fit=False)
        batches = images.batches(_LOADED * self.batch_size, n_threads=count_threads(self.n_threads))
        standardized: _Floats | None = None
        for rows, batch in batches:
            part = self._standardize(batch)  # (m, h, w[, 3])
            if standardized is None:
                standardized = np.empty((images.n_samples, *part.shape[1:]), np.float32)
            standardized[rows] = part
        assert standardized is not None  # noqa: S101 - check_images refuses an empty X
        return standardized

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[Any]:
        """Name the values of a vector.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Not used, except that it must match ``feature_names_in_`` where there are any.

        Returns
        -------
        names : ndarray of shape (n_features_out,), dtype object
        """
        if hasattr(self, "n_features_in_"):
            check_feature_names_in(self, input_features)
        prefix = type(self).__name__.removesuffix("Embedder").lower()
        return np.array([f"{prefix}{i}" for i in range(self._n_features_out)], dtype=object)

    def _key_settings(self, weights: Weights) -> dict[str, Any]:
        """Return all that vectors depend on, beside the pixels that the network gets."""
        not_of_the_vectors = {*BaseEmbedder._parameter_constraints, "weights", "image_size"}
        parameters = self.get_params(deep=False)
        return {
            **{name: parameters[name] for name in parameters.keys() - not_of_the_vectors},
            **self._settings(),
            "computed by": f"{type(self).__qualname__} {self._version}",
            "weights": weights.hash,
        }

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _normalized(vectors: _Floats) -> _Floats:
    """Return vectors of length 1, (n, n_features); zeros stay zeros."""
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, np.newaxis]
    unit: _Floats = vectors / np.maximum(lengths, np.float32(1e-12))
    return unit
