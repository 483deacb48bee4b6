"""Face crops in, what the embedded emotion model sees in them out.

Imports the base of embedders and the weights; onnxruntime is imported when the network is opened.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emotion_estimators._sklearn import StrOptions, constraints
from emotion_estimators.features._embedding import (
    BaseEmbedder,
    EmbeddingNetwork,
    Weights,
    network_weights,
)
from emotion_estimators.images.threads import count_threads
from emotion_estimators.networks.onnx.network import FEATURES
from emotion_estimators.weights import fetch_weights, get_card

__all__ = ["EmotionEmbedder"]

_MODEL = "embedded"


class EmotionEmbedder(BaseEmbedder):
    """Turn face crops into the 256 numbers from which the embedded model tells emotions.

    The network learned from 28,709 faces what people see in them. What it sees serves other
    questions about expressions, too, where there are only some dozen faces of each class: a
    classifier learns on its features in a moment. Nothing is downloaded.

    Parameters
    ----------
    precision : {"float32", "int8"} or None, default=None
        Numbers that the network computes in. None takes the first on the card of the embedded
        model. Vectors of one are none of the other.
    image_shape : tuple of int or None, default=None
        How to read 2-D rows: ``(height, width)`` or ``(height, width, 3)``; one entry may be -1.
        Not used for images.
    normalize : bool, default=False
        Scale each vector to length 1.
    test_time_augmentation : bool, default=True
        Average the answers over views of each image. The views are the image and its mirror
        image.
    cache : "memory", path-like or None, default=None
        Where to keep vectors, so that each distinct image goes through the network once.
        "memory" is one cache for all estimators of the process, a path names a folder for all
        processes.
    n_threads : int or None, default=None
        Threads that work at the same time. They decode files and run the network; the vectors do
        not depend on their number. None is the number of CPUs that the process may use, or
        ``OMP_NUM_THREADS`` where that is less.
    verbose : int, default=0
        Above 0, show progress bars.

    Attributes
    ----------
    weights_hash_ : str
        SHA-256 of the file of weights.
    image_size_ : tuple of int
        Height and width in pixels of the images that the network gets.
    n_features_in_ : int
        Number of columns of a table, 2-D rows or one column of images. Only set after a fit on
        one.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of a DataFrame. Only set after a fit on one.

    See Also
    --------
    emotion_estimators.make_embedding_classifier : This embedder and a classifier as a pipeline.
    emotion_estimators.PretrainedEmotionClassifier : The emotions that the same network names.
    emotion_estimators.FacenetEmbedder : Vectors of a network that tells people apart.

    Notes
    -----
    Images are taken as grey ones and resized to 48 x 48 px. They should show one face each, upright
    and cropped as `FaceCropper` does.

    `transform` needs no fit; `fit` checks parameters, X and weights. A vector depends on its image
    alone, not on the others of X. A fitted embedder refuses to go on with other weights, and a
    cached vector is found by a hash of the pixels, the weights and all parameters that count.

    The features are what stands before the last layer: means over the picture of what the last
    convolution finds, 0 or more. Scale them before a classifier that minds their sizes.

    Examples
    --------
    >>> from emotion_estimators import EmotionEmbedder
    >>> from emotion_estimators.datasets import make_faces
    >>> X, y = make_faces(2, random_state=0)
    >>> EmotionEmbedder().transform(X).shape
    (2, 256)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "precision": [StrOptions({"float32", "int8"}), None],
        **constraints("image_shape"),
        "normalize": ["boolean"],
        **constraints("test_time_augmentation", "cache", "n_threads", "verbose"),
    }

    _version = 1
    _n_features_out = 256
    _color = "grey"
    image_size = get_card(_MODEL).image_size
    # Of these many images at a time: the network takes one after the other.
    batch_size = 64

    def __init__(
        self,
        *,
        precision: str | None = None,
        image_shape: tuple[int, ...] | None = None,
        normalize: bool = False,
        test_time_augmentation: bool = True,
        cache: str | os.PathLike[str] | None = None,
        n_threads: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.precision = precision
        self.image_shape = image_shape
        self.normalize = normalize
        self.test_time_augmentation = test_time_augmentation
        self.cache = cache
        self.n_threads = n_threads
        self.verbose = verbose

    def _settings(self) -> Mapping[str, Any]:
        return {"precision": get_card(_MODEL).at(self.precision).precision}

    def _find_weights(self) -> Weights:
        path = fetch_weights(_MODEL, precision=self.precision)
        return network_weights(type(self).__name__, path)

    def _standardize(self, images: NDArray[Any]) -> NDArray[np.float32]:
        scaled = images.astype(np.float32)  # (b, h, w)
        if images.dtype == np.uint8:
            scaled /= 255
        return scaled

    def _open(self, weights: Weights) -> EmbeddingNetwork:
        network = weights.read().at(FEATURES)
        n_threads = count_threads(self.n_threads)

        def embed(faces: NDArray[np.float32]) -> NDArray[np.float32]:
            views = [faces, faces[:, :, ::-1]] if self.test_time_augmentation else [faces]
            images = np.stack(views, axis=1).reshape(-1, *faces.shape[1:])
            run_size = len(views) * network.default_batch_size()
            vectors = network.run(images, batch_size=run_size, n_threads=n_threads)
            mean: NDArray[np.float32] = vectors.reshape(len(faces), len(views), -1).mean(axis=1)
            return mean

        return embed
