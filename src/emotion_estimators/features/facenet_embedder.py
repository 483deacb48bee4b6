"""Face crops in, vectors out that lie close together for faces that are alike.

Imports the base of embedders and the weights beside it; onnxruntime or torch are imported when the
first network is opened.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emotion_estimators._sklearn import StrOptions, constraints
from emotion_estimators.exceptions import MissingDependencyError
from emotion_estimators.features._embedding import BaseEmbedder, EmbeddingNetwork, Weights
from emotion_estimators.features._facenet_inputs import (
    check_face_size,
    find_face_weights,
    standardize_faces,
)
from emotion_estimators.images.threads import count_threads
from emotion_estimators.networks.facenet.engine import (
    N_FEATURES,
    may_have_cuda,
    open_face_network,
)
from emotion_estimators.validation import Images
from emotion_estimators.weights.fetch import must_download

__all__ = ["FacenetEmbedder"]


class FacenetEmbedder(BaseEmbedder):
    """Turn face crops into 512 numbers with FaceNet's InceptionResnetV1.

    The network was trained to tell people apart. Its vectors are a strong start for any
    classifier of faces where there is little data: it learns on them in seconds.

    Parameters
    ----------
    weights : str, path-like, module or None, default="vggface2"
        Pretrained weights: a registered name, or the path of a file. The names are
        ``"vggface2"`` (of facenet-pytorch), ``"keras-facenet-vggface2"`` and
        ``"keras-facenet-casia-webface"``, which are downloaded once; the files ``.pt``,
        ``.pth`` (a state dict of facenet-pytorch) and ``.h5``, ``.hdf5`` (of keras-facenet). It
        may also be an ``InceptionResnetV1``, also facenet-pytorch's own. None: not trained,
        always the same meaningless weights, for tests.
    image_size : int, (int, int) or None, default=160
        Height and width of the images in pixels, or one int for both. At least 75; the published
        weights were trained on 160. Others are resized; None takes them as they are, all of one
        size.
    image_shape : tuple of int or None, default=None
        How to read 2-D rows: ``(height, width)`` or ``(height, width, 3)``; one entry may be -1.
        Not used for images.
    standardization : {"fixed", "prewhiten"}, default="fixed"
        How pixels are scaled: "fixed" is ``(x - 127.5) / 128`` of pixels in 0..255, "prewhiten"
        takes each image to mean 0 and standard deviation 1. All the weights named above want
        "fixed", FaceNet models of 2017 "prewhiten".
    normalize : bool, default=True
        Scale each vector to length 1.
    batch_size : int, default=32
        Images that go through the network at once.
    device : str, default="auto"
        Where the network runs: "cpu", "cuda", "cuda:1" and so on; "auto" is CUDA if there is a
        device, else the CPU. It is torch that must find the device.
    precision : {"float32", "bfloat16"} or None, default=None
        Numbers that the network computes in. None is that of the weights, float32. bfloat16
        needs torch, and hardware that multiplies in it to be faster; see Notes for what it does
        to vectors and accuracy.
    cache : "memory", path-like or None, default=None
        Where to keep vectors, so that each distinct image goes through the network once.
        "memory" is one cache for all estimators of the process, a path names a folder for all
        processes; None keeps none.
    n_threads : int or None, default=None
        Threads that work at the same time. They decode files and run the network. None is
        the number of CPUs that the process may use, or ``OMP_NUM_THREADS`` where that is less.
    verbose : int, default=0
        Above 0, show progress bars. Also while downloading.

    Attributes
    ----------
    weights_hash_ : str
        What identifies the weights: the SHA-256 of their file, or a hash of the module's.
    image_size_ : tuple of int
        Height and width in pixels of the images that the network gets.
    n_features_in_ : int
        Number of columns of a table, 2-D rows or one column of images. Only set after a fit on
        one.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of a DataFrame. Only set after a fit on one.

    See Also
    --------
    emotion_estimators.make_facenet_classifier : This embedder and an SVM as a pipeline.
    emotion_estimators.FineTunedFacenetClassifier : Trains the last blocks of the network, too.

    Notes
    -----
    Images should show one face each, cropped with a small margin. Grey ones are taken as RGB of
    three equal channels.

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
    >>> FacenetEmbedder(weights=None, image_size=80).transform(X).shape
    (2, 512)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseEmbedder._parameter_constraints,
        **constraints("weights", "image_size", "standardization", "device"),
        "precision": [StrOptions({"float32", "bfloat16"}), None],
    }

    _version = 1
    _n_features_out = N_FEATURES

    def __init__(
        self,
        *,
        weights: Any = "vggface2",
        image_size: int | tuple[int, int] | None = 160,
        image_shape: tuple[int, ...] | None = None,
        standardization: str = "fixed",
        normalize: bool = True,
        batch_size: int = 32,
        device: str = "auto",
        precision: str | None = None,
        cache: str | os.PathLike[str] | None = None,
        n_threads: int | None = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(
            image_shape=image_shape,
            normalize=normalize,
            batch_size=batch_size,
            cache=cache,
            n_threads=n_threads,
            verbose=verbose,
        )
        self.weights = weights
        self.image_size = image_size
        self.standardization = standardization
        self.device = device
        self.precision = precision

    def _settings(self) -> Mapping[str, Any]:
        device, precision = self._choose_device(), self.precision or "float32"
        on_torch = device != "cpu" or precision != "float32"
        return {
            "device": device.partition(":")[0],
            "precision": precision,
            # the size of a batch may change torch's last bits
            "batch_size": self.batch_size if on_torch else None,
        }

    def _check_images(self, X: Any, *, is_fit: bool) -> Images:
        images = super()._check_images(X, is_fit=is_fit)
        check_face_size(images.image_size, name=type(self).__name__)
        return images

    def _must_download(self) -> bool:
        return must_download(self.weights)

    def _find_weights(self) -> Weights:
        return find_face_weights(type(self).__name__, self.weights, verbose=bool(self.verbose))

    def _standardize(self, images: NDArray[Any]) -> NDArray[np.float32]:
        return standardize_faces(images, self.standardization)

    def _open(self, weights: Weights) -> EmbeddingNetwork:
        network = open_face_network(
            weights.read,
            fingerprint=weights.hash,
            device=self._choose_device(),
            precision=self.precision or "float32",
            n_threads=count_threads(self.n_threads),
            needed_by=type(self).__name__,
        )

        def embed(faces: NDArray[np.float32]) -> NDArray[np.float32]:
            channels_first = np.moveaxis(faces, 3, 1)  # (b, 3, h, w)
            return network(channels_first, batch_size=self.batch_size)

        return embed

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
