"""Images of emoji in, emotions out: a small Keras network trained from scratch.

Imports keras, scikeras and onnxruntime inside functions only, through `training` and
`networks`.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from functools import partial
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from emotion_estimators._forks import after_fork
from emotion_estimators._optional import import_optional
from emotion_estimators._progress import progress_bar
from emotion_estimators._sklearn import Interval, StrOptions, fit_context
from emotion_estimators.exceptions import MissingDependencyError
from emotion_estimators.images.threads import count_threads
from emotion_estimators.training.kept_networks import kept_network
from emotion_estimators.training.targets import check_weights, stack_images
from emotion_estimators.validation import (
    Images,
    check_images,
    check_labels,
    compare_table,
    record_table,
)

__all__ = ["EmojiCNNClassifier"]

_LOADING_BATCH = 256  # images in memory at once in a prediction
_VIEWS_BATCH = 32  # the same where each becomes ten
_BACKENDS = {"tensorflow", "torch", "jax"}

# Backends that a forked process has from its parent, without the threads that they wait for.
_dead_backends: set[str] = set()
after_fork(lambda: _dead_backends.update({"tensorflow", "jax"}.intersection(sys.modules)))


class EmojiCNNClassifier(ClassifierMixin, BaseEstimator):
    """Convolutional Keras network for small images such as emoji, trained from scratch.

    For a few dozen to a few thousand images: augmentation and regularisation let it learn
    from some hundred. Runs on the Keras backend that the user has chosen.

    Parameters
    ----------
    image_size : int, (int, int) or None, default=48
        Height and width in pixels to which images are resized; None takes them as they are.
    image_shape : tuple of int or None, default=None
        How to read 2-D rows, for example ``(48, 48)``; one entry may be -1.
    architecture : {"default", "original"}, default="default"
        "default" begins with a fixed layer, derivatives of Gaussians in eight directions and two
        widths, averaged over cells of 4 x 4 pixels and normalised there; trained convolutions
        with batch normalisation follow.
        "original" is the classic small network: convolutions of 32 and 64 channels without
        padding, a pooling between them, a dense layer of 64, trained with Adam at a constant
        learning rate on the images as they are.
    filters : tuple of int, default=(96, 128)
        Channels of the trained convolutions of "default".
    dropout : float, default=0.5
        Share of the features before the last layer of "default" dropped in training.
    epochs : int or "auto", default="auto"
        Passes over the images; "auto" is 240, and 45 for "original".
    batch_size : int or "auto", default="auto"
        Images in a training step at most; "auto" is 32, and 6 for "original".
    learning_rate : float or "auto", default="auto"
        Learning rate of Adam; "auto" is 0.003, and 0.001 for "original". With "default" it rises
        over the first tenth of the steps and falls to zero as a cosine.
    augmentation : float or "auto", default="auto"
        Strength of the random mirroring, warping, sharpening, blurring, relighting, inverting
        and covering; 0 leaves all of it out. "auto" is 1, and 0 for "original".
    validation_fraction : float, default=0.0
        Share held out, stratified where the classes are large enough; the weights of the epoch
        that is best on it are kept. 0 trains on all and keeps the last weights.
    patience : int, None or "auto", default="auto"
        Epochs after which training stops if neither accuracy nor loss on the held-out part, or
        the training loss where there is none, gets better; None never does. "auto" is 120, and
        None for "original".
    test_time_augmentation : bool or "auto", default="auto"
        Average the probabilities of ten views of each image: as it is and moved by 1/24 of
        its size up, down, left and right, and the mirror images of these; "auto" does so for
        "default". It makes predictions ten times slower.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, multiplied with ``sample_weight``.
    warm_start : bool, default=False
        Begin ``fit`` with the weights of the last one.
    callbacks : list of keras.callbacks.Callback or None, default=None
        Called by Keras in training. They see the network while it is trained.
    n_threads : int or None, default=None
        Threads that read and predict; None takes one for each CPU.
    verbose : int, default=0
        Above 0, show progress bars.
    random_state : int, RandomState instance or None, default=None
        Seed of the split, the first weights, the batches, the augmentation and the dropout.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels in sorted order.
    weights_ : dict of str to ndarray
        Weights and statistics of the network, by names such as "probabilities/kernel".
    architecture_ : dict
        The network as Keras describes it in JSON.
    model_ : keras.Sequential
        The network as a live Keras model, built from ``architecture_`` and ``weights_`` when
        first asked for. It takes float32 (n, height, width, 1), grey in 0..1. Changing it does
        not change the estimator. Trained on a single class it has a second output, of no class.
    history_ : list of dict
        One record per epoch: ``epoch``, ``train_loss``, ``train_accuracy`` (on augmented
        images), ``learning_rate`` and, with a held-out part, ``valid_loss`` and
        ``valid_accuracy``. A warm start appends.
    best_epoch_ : int
        Epoch of ``history_`` whose weights are kept.
    n_iter_ : int
        Epochs of the last ``fit``.
    image_size_ : tuple of int
        Height and width of the images the network sees.
    n_features_in_ : int
        Number of columns of a table, 2-D rows or one column of images. Only set after a fit on
        one.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of a DataFrame. Only set after a fit on one.

    See Also
    --------
    EmotionCNNClassifier : A larger network on torch, for tens of thousands of faces.

    Notes
    -----
    Images are converted to grey, transparent ones composited on white; uint8 is scaled to
    0..1. Training holds all images in memory.

    Training is Keras' own, through scikeras. The last few networks stay compiled for the next
    fit of the same architecture, image size and number of classes. TensorFlow never gives back
    all memory of a compiled network: some megabytes for each architecture or image size tried.

    ``KeyboardInterrupt`` (Ctrl-C) ends the training and is raised. After at least one epoch the
    estimator keeps its best weights so far, without a held-out part the last ones, and is fitted;
    a note of the exception says of which epoch they are. Before, and after any other error, it is
    as it was.

    Predictions run on ONNX Runtime, which needs no Keras, costs no tracing, and takes one image
    at a time: they do not depend on the other images of X, bit for bit.

    ``KERAS_BACKEND`` is respected and never set. The same seed gives the same network on one
    machine, backend and number of threads; another backend rounds otherwise. Global random
    states and settings of Python, NumPy, TensorFlow and torch are neither used nor changed;
    importing scikeras, however, teaches all Keras models to be pickled.

    References
    ----------
    .. [1] F. Chollet et al., Keras, https://keras.io.
    .. [2] S. Ioffe, C. Szegedy, "Batch Normalization: Accelerating Deep Network Training by
       Reducing Internal Covariate Shift", ICML 2015.

    Examples
    --------
    >>> from emotion_estimators.classifiers import EmojiCNNClassifier
    >>> classifier = EmojiCNNClassifier(architecture="original", random_state=0)
    >>> classifier.get_params()["epochs"]
    'auto'
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "image_size": [Interval(Integral, 1, None, closed="left"), tuple, list, None],
        "image_shape": [tuple, list, None],
        "architecture": [StrOptions({"default", "original"})],
        "filters": ["array-like"],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "learning_rate": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "augmentation": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "patience": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"}), None],
        "test_time_augmentation": ["boolean", StrOptions({"auto"})],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "warm_start": ["boolean"],
        "callbacks": [list, tuple, None],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    # What "auto" stands for.
    recipes: ClassVar[dict[str, dict[str, Any]]] = {
        "default": {
            "epochs": 240,
            "batch_size": 32,
            "learning_rate": 3e-3,
            "augmentation": 1.0,
            "patience": 120,
        },
        "original": {
            "epochs": 45,
            "batch_size": 6,
            "learning_rate": 1e-3,
            "augmentation": 0.0,
            "patience": None,
        },
    }

    def __init__(
        self,
        *,
        image_size: int | tuple[int, int] | None = 48,
        image_shape: tuple[int, ...] | None = None,
        architecture: str = "default",
        filters: tuple[int, ...] = (96, 128),
        dropout: float = 0.5,
        epochs: int | str = "auto",
        batch_size: int | str = "auto",
        learning_rate: float | str = "auto",
        augmentation: float | str = "auto",
        validation_fraction: float = 0.0,
        patience: int | str | None = "auto",
        test_time_augmentation: bool | str = "auto",
        class_weight: dict[Any, float] | str | None = None,
        warm_start: bool = False,
        callbacks: Sequence[Any] | None = None,
        n_threads: int | None = None,
        verbose: int = 0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.image_size = image_size
        self.image_shape = image_shape
        self.architecture = architecture
        self.filters = filters
        self.dropout = dropout
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.augmentation = augmentation
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.test_time_augmentation = test_time_augmentation
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.n_threads = n_threads
        self.verbose = verbose
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> EmojiCNNClassifier:
        """Train the network.

        Parameters
        ----------
        X : ndarray, sequence or DataFrame of n images
            As `check_images` takes them: arrays (n, h, w) or (n, h, w, 3), paths, rows...
        y : array-like of shape (n,)
            Class labels, strings or numbers.
        sample_weight : array-like of shape (n,) or None, default=None
            Weights of the images in the loss and in the validation.

        Returns
        -------
        self : EmojiCNNClassifier

        Raises
        ------
        MissingDependencyError
            If keras, scikeras or the backend that Keras is to use is not installed.
        RuntimeError
            In a process that was forked after TensorFlow or JAX had been imported.
        InvalidImagesError
            If X does not hold usable images.
        ValueError
            If y does not fit X, or a parameter is out of its range.
        """
        self._import_keras()
        owner = type(self).__name__
        filters: Any = self.filters
        if len(filters) == 0 or not all(isinstance(v, Integral) and int(v) >= 1 for v in filters):
            raise ValueError(
                f"{owner} expected filters to be ints of at least 1, one per convolution, got "
                f"{self.filters!r}."
            )
        images = check_images(
            X,
            name=owner,
            image_shape=self.image_shape,
            image_size=self.image_size,
            color="grey",
        )
        classes, codes = check_labels(y, n_samples=images.n_samples, name=owner)
        weights = check_weights(owner, sample_weight, self.class_weight, classes, codes)
        # before the training: what Ctrl-C keeps must be whole
        self.image_size_ = images.image_size
        record_table(self, X, images)
        from emotion_estimators.classifiers._emoji_cnn_fit import fit_network

        fit_network(self, stack_images(images), classes, codes, weights)
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class for each image.

        Parameters
        ----------
        X : ndarray, sequence or DataFrame of n images
            As in `fit`.

        Returns
        -------
        probabilities : ndarray of shape (n, n_classes)
            float64, in the order of ``classes_``; each row sums to 1.

        Raises
        ------
        InvalidImagesError
            If X does not hold usable images.
        """
        check_is_fitted(self, "weights_")
        images = self._check(X)
        owner = type(self).__name__
        network = kept_network(self, "onnx", self.weights_, self._restore_network)
        moved = self.test_time_augmentation
        if moved == "auto":
            moved = self.architecture_["config"]["name"] != "original"
        n_threads = 1 if images.n_samples == 1 else count_threads(self.n_threads)
        probabilities = np.empty((images.n_samples, len(self.classes_)))
        batch_size = _VIEWS_BATCH if moved else _LOADING_BATCH
        n_batches = -(-images.n_samples // batch_size)
        batches = images.batches(batch_size, n_threads=n_threads)
        for rows, batch in progress_bar(
            batches, desc=owner, total=n_batches, is_shown=self.verbose
        ):
            scale = np.float32(255 if batch.dtype == np.uint8 else 1)
            grey = batch.astype(np.float32) / scale  # (n, h, w)
            views = _views(grey) if moved else grey[:, np.newaxis]  # (n, v, h, w)
            n, n_views, height, width = views.shape
            # a run holds the views of one image: no other image is a neighbour
            outputs = network.run(
                views.reshape(n * n_views, height, width), batch_size=n_views, n_threads=n_threads
            )
            outputs = outputs.reshape(n, n_views, -1).astype(np.float64).mean(axis=1)
            outputs = outputs[:, : len(self.classes_)]  # a single class has a second output
            probabilities[rows] = outputs / outputs.sum(axis=1, keepdims=True)
        return probabilities

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class of each image.

        Parameters
        ----------
        X : ndarray, sequence or DataFrame of n images
            As in `fit`.

        Returns
        -------
        labels : ndarray of shape (n,)
            Entries of ``classes_``.
        """
        codes = self.predict_proba(X).argmax(axis=1)
        labels: NDArray[Any] = self.classes_[codes]
        return labels

    @property
    def model_(self) -> Any:
        """The network as a live ``keras.Sequential``."""
        check_is_fitted(self, "weights_")
        self._import_keras()
        from emotion_estimators.classifiers._emoji_cnn_fit import build_model

        return kept_network(
            self, "keras", self.weights_, lambda: build_model(self.architecture_, self.weights_)
        )

    def _import_keras(self) -> None:
        owner = type(self).__name__
        random_state = None if "keras" in sys.modules else random.getstate()
        try:
            import_optional("keras", extra="keras", needed_by=owner)
        except ModuleNotFoundError as error:
            backend = (error.name or "").partition(".")[0]
            if backend not in _BACKENDS:
                raise
            raise MissingDependencyError(
                f"{owner} needs the Keras backend {backend!r}, which is not installed. Install "
                f"it with: pip install {backend}, or set the environment variable "
                "KERAS_BACKEND to one that is, before Keras is imported: tensorflow, torch or jax",
                name=error.name,
            ) from error
        import_optional("scikeras", extra="keras", needed_by=owner)
        import keras

        backend = keras.backend.backend()
        if backend in _dead_backends:
            raise RuntimeError(
                f"{owner} cannot use Keras on {backend} in a process that was forked after that "
                "had been imported: it would wait for ever for threads that only its parent has. "
                "Start the process with multiprocessing.get_context('spawn')."
            )
        if random_state is not None:  # rich, which Keras imports, draws a number when imported
            random.setstate(random_state)

    def _check(self, X: Any) -> Images:
        """Return images that are like those of the fit."""
        return check_images(
            X,
            name=type(self).__name__,
            image_shape=self.image_shape,
            image_size=self.image_size,
            color="grey",
            expected_size=self.image_size_,
            read_headers=False,
            check_table=partial(compare_table, self),
        )

    def _restore_network(self) -> Any:
        from emotion_estimators.networks.keras_hdf5.memory import keras_onnx
        from emotion_estimators.networks.onnx.network import OnnxNetwork
        from emotion_estimators.networks.onnx.session import CPU

        owner = type(self).__name__
        serialised = keras_onnx(self.architecture_, self.weights_, owner)
        return OnnxNetwork.from_bytes(serialised, Path(owner), (CPU,), channels_last=False)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True  # paths
        return tags


def _views(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return each image, moved four ways too, and the mirror images, (n, 10, h, w).

    The border is repeated outwards.
    """
    rows, columns = (np.arange(size) for size in images.shape[1:])
    y, x = (round(size / 24) for size in images.shape[1:])
    moved = [
        images[:, np.clip(rows + dy, 0, rows[-1])][:, :, np.clip(columns + dx, 0, columns[-1])]
        for dy, dx in ((0, 0), (y, 0), (-y, 0), (0, x), (0, -x))
    ]
    views = np.stack(moved, axis=1)  # (n, 5, h, w)
    return np.concatenate([views, views[..., ::-1]], axis=1)
