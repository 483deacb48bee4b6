"""Face crops in, vectors out that lie close together for faces that are alike.

Imports the image door, the cache and the weights beside it; onnxruntime or torch are imported
when the first network is opened.
"""

from __future__ import annotations

import os
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags

from emotion_estimators._sklearn import (
    HasMethods,
    Interval,
    StrOptions,
    check_feature_names_in,
    fit_context,
)
from emotion_estimators.exceptions import MissingDependencyError, WeightsError
from emotion_estimators.features._cache import compute_rows, open_cache
from emotion_estimators.features._facenet_inputs import (
    FaceWeights,
    check_faces,
    find_face_weights,
    standardize_faces,
)
from emotion_estimators.images.threads import count_threads
from emotion_estimators.networks.facenet.engine import (
    N_FEATURES,
    FaceNetwork,
    may_have_cuda,
    open_face_network,
)

__all__ = ["FacenetEmbedder"]

_LOADED = 4  # batches that are decoded together


class FacenetEmbedder(TransformerMixin, BaseEstimator):
    """Turn face crops into 512 numbers with FaceNet's InceptionResnetV1.

    The network was trained to tell people apart. Its vectors are a strong start for any
    classifier of faces where there is little data: it learns on them in seconds.

    Parameters
    ----------
    weights : str, path-like or module, default="vggface2"
        ``"vggface2"`` (of facenet-pytorch), ``"keras-facenet-vggface2"`` or
        ``"keras-facenet-casia-webface"``, which are downloaded once; the path of a file
        ``.pt``, ``.pth`` (a state dict of facenet-pytorch) or ``.h5``, ``.hdf5`` (of
        keras-facenet); an ``InceptionResnetV1``, also facenet-pytorch's own; or ``"random"``,
        always the same meaningless weights, for tests.
    image_size : int or tuple of int, default=160
        Size in pixels, or height and width, to which images are resized; 75 at least. The
        published weights were trained on 160.
    image_shape : tuple of int, default=None
        How to read 2-D rows: ``(height, width)`` or ``(height, width, 3)``, at most one of
        them -1. Not used for images.
    standardization : {"fixed", "prewhiten"}, default="fixed"
        "fixed" is ``(x - 127.5) / 128`` of pixels in 0..255: what all the weights named above
        want. "prewhiten" takes each image to mean 0 and standard deviation 1, as FaceNet
        models of 2017 want it.
    normalize : bool, default=True
        Scale each vector to length 1.
    batch_size : int, default=32
        Images in one run of the network.
    device : str, default="auto"
        "cpu", "cuda", "cuda:1"...; "auto" is CUDA where torch finds a device, else the CPU.
    precision : {"float32", "bfloat16"}, default="float32"
        What the network computes in. bfloat16 needs torch, and hardware that multiplies in it
        to be faster; see Notes for what it does to vectors and accuracy.
    cache : "memory" or path-like, default=None
        Where to keep vectors, so that each distinct image goes through the network once:
        "memory" is one cache for all estimators of the process, a path names a folder for all
        processes.
    n_threads : int, default=None
        Threads that decode files and run the network. None is the number of CPUs that the
        process may use, or ``OMP_NUM_THREADS`` where that is less.
    verbose : int, default=0
        Show progress bars, while downloading and while embedding.

    Attributes
    ----------
    weights_fingerprint_ : str
        What identifies the weights: the SHA-256 of their file, or a hash of the module's.
    image_size_ : tuple of int
        Height and width in pixels of the images that the network gets.
    n_features_in_ : int
        Number of values in a row. Only set after a fit on 2-D rows.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of a DataFrame of rows. Only set after a fit on one.

    See Also
    --------
    emotion_estimators.make_facenet_classifier : This embedder and an SVM as a pipeline.
    emotion_estimators.FineTunedFacenetClassifier : Trains the last blocks of the network, too.

    Notes
    -----
    X is what the library takes everywhere: an array ``(n, height, width)`` or ``(n, height,
    width, 3)``, uint8 in 0..255 or float in 0..1, RGB; a sequence of paths, encoded bytes, PIL
    images or arrays of any sizes; or 2-D rows. Images should show one face each, cropped with
    a small margin. Grey ones are taken as RGB of three equal channels.

    `transform` needs no fit; `fit` checks parameters, X and weights. A fitted embedder refuses
    to go on with other weights.

    On the CPU float32 runs on ONNX Runtime: of the engines measured it is the fastest there,
    needs no torch, and runs the other frozen networks of this library. It has no bfloat16
    convolutions for CPUs; these run on torch, as do CUDA devices. ``benchmarks/facenet.py``
    compares them. A vector depends on its image alone, not on the others of X: on the CPU it is
    the same bit for bit. Vectors of different devices, machines and versions of the engines
    agree to about 1e-5.

    Vectors in bfloat16 have a cosine similarity of at least 0.9999 to those in float32. SVMs on
    them were as accurate: with random weights, 2,000 faces of FER2013 to fit and 1,500 others,
    0.299 against 0.287 with ``C=100``, and at most 0.004 apart with 10 and 1000, where chance
    makes differences of about 0.01. It has not been measured with published weights.

    The network is opened when first needed and shared by all estimators of the process; an
    embedder holds parameters only. Copies, also pickled ones, carry no weights, unless
    `weights` is a module: then they carry it whole. Files are decoded while the network runs;
    memory does not grow with their number.

    A cached vector is found by a hash of the decoded, resized pixels, the weights and all
    parameters that count. The cache in memory holds 512 MiB, a folder 4 GiB, some 1.8 million
    faces; what was used longest ago goes first. Several processes may share a folder of a
    local disk. A search with ``n_jobs`` above 1 should be given a folder: memory is not shared
    between processes.

    Each set of weights has its own terms, which its card states.

    References
    ----------
    .. [1] F. Schroff, D. Kalenichenko, J. Philbin, "FaceNet: A Unified Embedding for Face
       Recognition and Clustering", CVPR 2015.
    .. [2] C. Szegedy, S. Ioffe, V. Vanhoucke, A. Alemi, "Inception-v4, Inception-ResNet and
       the Impact of Residual Connections on Learning", AAAI 2017.

    Examples
    --------
    >>> from emotion_estimators import FacenetEmbedder
    >>> from emotion_estimators.datasets import make_faces
    >>> X, y = make_faces(2, random_state=0)
    >>> FacenetEmbedder(weights="random", image_size=80).transform(X).shape
    (2, 512)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "weights": [str, os.PathLike, HasMethods("state_dict")],
        "image_size": [Interval(Integral, 1, None, closed="left"), tuple, list],
        "image_shape": [tuple, list, None],
        "standardization": [StrOptions({"fixed", "prewhiten"})],
        "normalize": ["boolean"],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
        "precision": [StrOptions({"float32", "bfloat16"})],
        "cache": [str, os.PathLike, None],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
        "verbose": ["verbose"],
    }

    color = "rgb"  # what check_images converts to

    def __init__(
        self,
        *,
        weights: Any = "vggface2",
        image_size: int | tuple[int, int] = 160,
        image_shape: tuple[int, ...] | None = None,
        standardization: str = "fixed",
        normalize: bool = True,
        batch_size: int = 32,
        device: str = "auto",
        precision: str = "float32",
        cache: str | os.PathLike[str] | None = None,
        n_threads: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.weights = weights
        self.image_size = image_size
        self.image_shape = image_shape
        self.standardization = standardization
        self.normalize = normalize
        self.batch_size = batch_size
        self.device = device
        self.precision = precision
        self.cache = cache
        self.n_threads = n_threads
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: object = None) -> FacenetEmbedder:  # noqa: ARG002
        """Check the parameters, the weights and X; nothing is trained.

        Parameters
        ----------
        X : array-like
            Images, see Notes. Of files only the headers are read.
        y : None
            Ignored.

        Returns
        -------
        self : FacenetEmbedder

        Raises
        ------
        InvalidImagesError
            If X does not follow the contract.
        ValueError
            If a parameter is out of its range, or there are no such weights.
        WeightsError, OSError
            If the weights are not available, or are of another network.
        """
        check_faces(self, X, reset=True)
        self._choose_device()
        self.weights_fingerprint_ = self._find_weights().fingerprint
        return self

    @fit_context(prefer_skip_nested_validation=True)  # no fit need have checked the parameters
    def transform(self, X: Any) -> NDArray[np.float32]:
        """Return the vectors of faces.

        Parameters
        ----------
        X : array-like
            Images, see Notes.

        Returns
        -------
        embeddings : ndarray of shape (n_samples, 512)
            float32; of length 1 with ``normalize=True``.

        Raises
        ------
        InvalidImagesError
            If X does not follow the contract.
        MissingDependencyError
            If `device` or `precision` needs torch, and it is not installed.
        ValueError
            If a parameter is out of its range, or there are no such weights.
        WeightsError, OSError
            If the weights are not available, are of another network, or not those of the fit; or
            the folder of the cache cannot be made.
        """
        owner = type(self).__name__
        images = check_faces(self, X, reset=False)
        weights = self._find_weights()
        fitted = getattr(self, "weights_fingerprint_", weights.fingerprint)
        if fitted != weights.fingerprint:
            raise WeightsError(
                f"{owner} was fitted with weights of fingerprint {fitted}, and weights="
                f"{_name(self.weights)} now have {weights.fingerprint}. Call fit again."
            )
        device = self._choose_device()
        n_threads = count_threads(self.n_threads)
        opened: list[FaceNetwork] = []  # not before an image is not in the cache

        def embed(batch: NDArray[Any], out: NDArray[Any]) -> None:
            if not opened:
                opened.append(
                    open_face_network(
                        weights.read,
                        fingerprint=weights.fingerprint,
                        device=device,
                        precision=self.precision,
                        n_threads=n_threads,
                        needed_by=owner,
                    )
                )
            for start in range(0, len(batch), self.batch_size):
                rows = slice(start, start + self.batch_size)
                faces = standardize_faces(batch[rows], self.standardization)  # (b, h, w, 3)
                channels_first = np.moveaxis(faces, 3, 1)  # (b, 3, h, w)
                out[rows] = opened[0](channels_first, batch_size=self.batch_size)

        on_torch = device != "cpu" or self.precision != "float32"
        with open_cache(self.cache, owner=owner) as cache:
            embeddings = compute_rows(
                images.batches(
                    _LOADED * self.batch_size,
                    n_threads=n_threads,
                    ahead=n_threads > 1,
                    verbose=bool(self.verbose),
                ),
                (images.n_samples, N_FEATURES),
                embed,
                dtype=lambda _: np.dtype(np.float32),
                cache=cache,
                settings={
                    "computed by": "InceptionResnetV1 1",
                    "weights": weights.fingerprint,
                    "standardization": self.standardization,
                    "device": device.partition(":")[0],
                    "precision": self.precision,
                    # the size of a batch may change torch's last bits
                    "batch_size": self.batch_size if on_torch else None,
                },
            )
        return _normalized(embeddings) if self.normalize else embeddings

    @fit_context(prefer_skip_nested_validation=True)
    def preprocess(self, X: Any) -> NDArray[np.float32]:
        """Return faces as the network gets them: RGB, resized, standardised.

        Parameters
        ----------
        X : array-like
            Images, see Notes.

        Returns
        -------
        faces : ndarray of shape (n_samples, height, width, 3)
            float32; about -1..1 with ``standardization="fixed"``.

        Raises
        ------
        InvalidImagesError
            If X does not follow the contract.
        ValueError
            If a parameter is out of its range.
        """
        images = check_faces(self, X, reset=False)
        faces = np.empty((images.n_samples, *images.image_size, 3), np.float32)
        n_threads = count_threads(self.n_threads)
        for rows, batch in images.batches(_LOADED * self.batch_size, n_threads=n_threads):
            faces[rows] = standardize_faces(batch, self.standardization)
        return faces

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[Any]:
        """Name the values of a vector.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Not used, except that it must match ``feature_names_in_`` where there are any.

        Returns
        -------
        names : ndarray of shape (512,), dtype object
            ``facenet0`` to ``facenet511``.
        """
        if hasattr(self, "n_features_in_"):
            check_feature_names_in(self, input_features)
        return np.array([f"facenet{i}" for i in range(N_FEATURES)], dtype=object)

    def _find_weights(self) -> FaceWeights:
        return find_face_weights(type(self).__name__, self.weights, verbose=bool(self.verbose))

    def _choose_device(self) -> str:
        """Return "cpu" or a CUDA device; torch is only imported where there may be one."""
        if self.device == "cpu" or (self.device == "auto" and not may_have_cuda()):
            return "cpu"
        try:
            from emotion_estimators.training.device import choose_device
        except ModuleNotFoundError as error:
            if self.device == "auto":
                return "cpu"
            raise MissingDependencyError(
                f"{type(self).__name__} with device={self.device!r} needs torch. Install it with: "
                'pip install "emotion-estimators[torch]"',
                name=error.name,
            ) from error
        return str(choose_device(self.device, needed_by=type(self).__name__))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True  # paths
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _name(weights: Any) -> str:
    """Name weights in a message: the text of a module goes on for pages."""
    return repr(weights if isinstance(weights, str | os.PathLike) else type(weights))


def _normalized(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return vectors of length 1; zeros stay zeros."""
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, np.newaxis]
    unit: NDArray[np.float32] = vectors / np.maximum(lengths, np.float32(1e-12))
    return unit
