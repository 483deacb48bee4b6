"""Grey face crops in, emotions out: a convolutional network trained from scratch.

Imports torch, skorch and onnx inside functions only, through `training` and `networks`.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import (
    Tags,
    assert_all_finite,
    check_array,
    check_consistent_length,
    check_random_state,
    column_or_1d,
)
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from emotion_estimators._optional import import_optional
from emotion_estimators._sklearn import Interval, StrOptions, fit_context
from emotion_estimators._validation import ImageBatches, check_images

if TYPE_CHECKING:
    from emotion_estimators.networks.emotion_cnn import EmotionCNN

__all__ = ["EmotionCNNClassifier"]

_LOADING_BATCH = 1024  # images decoded together
# Every prediction runs in batches of this many images, the last one padded, so that it cannot
# depend on how many images come with it.
_INFERENCE_BATCH = 32

# Live networks, kept outside the estimators so that these hold arrays only.
_NETWORKS: WeakKeyDictionary[EmotionCNNClassifier, tuple[dict[str, Any], EmotionCNN]] = (
    WeakKeyDictionary()
)


class EmotionCNNClassifier(ClassifierMixin, BaseEstimator):
    """Convolutional network for 48 x 48 grey faces, trained from scratch.

    The defaults are the recipe that trained the embedded model of this library: use it to
    train on one's own faces, with one's own labels. For emotions of faces without training,
    use the pretrained classifier.

    Parameters
    ----------
    image_size : int, (int, int) or None, default=48
        Height and width in pixels to which images are resized; None takes them as they are.
    image_shape : tuple of int or None, default=None
        How to read 2-D rows, for example ``(48, 48)``; one entry may be -1.
    stem_width : int, default=32
        Channels of the first convolution, 5 x 5, which halves the resolution.
    widths : tuple of int, default=(48, 96, 192)
        Channels of the stages of 3 x 3 convolutions; each but the first begins with a max
        pooling.
    n_blocks : tuple of int, default=(0, 1, 1)
        Residual blocks of each stage.
    dropout : float, default=0.3
        Share of the pooled features dropped in training.
    augmentation : float, default=1.0
        Strength of the random rotation, zoom, stretch, shift, contrast and brightness; 0
        trains on the images as they are and leaves mirroring out too.
    erasing : float, default=0.3
        Probability that a box of a training image is covered with one grey.
    label_smoothing : float, default=0.1
        Share of the target spread evenly over the classes.
    max_epochs : int, default=100
        Passes over the training images.
    max_time : float or None, default=None
        Seconds after which the training is over, at the end of its schedule, which is then
        drawn up over the time. What is learned in it depends on the machine's load, so the
        same seed no longer gives the same network.
    batch_size : int, default=128
        Images per training step.
    learning_rate : float, default=0.1
        Highest learning rate of stochastic gradient descent with Nesterov momentum.
    momentum : float, default=0.9
        Its momentum.
    weight_decay : float, default=5e-4
        L2 penalty on the weights, not on biases and normalisation.
    warmup : float, default=0.1
        Share of the training in which the learning rate rises linearly; it falls to zero as a
        cosine after that.
    ema_decay : float, default=0.999
        Decay per step of the moving average of the weights; the average is what is kept.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, multiplied with ``sample_weight``.
    early_stopping : bool, default=True
        Hold out a part of the training data, keep the weights of the epoch that is best on
        it, and stop when it gets no better.
    validation_fraction : float, default=0.1
        Share held out, stratified where the classes are large enough.
    n_iter_no_change : int or None, default=30
        Epochs without improvement on the held-out part before training stops; None never
        stops early and only keeps the best epoch.
    test_time_flip : bool, default=True
        Average the probabilities of each image and its mirror image.
    mixed_precision : bool or "auto", default="auto"
        Train in bfloat16; "auto" does so on a CUDA device or CPU that computes in it.
        Predictions always run in float32.
    device : str, default="auto"
        "cpu", "cuda", "cuda:1"...; "auto" is CUDA if there is a device, else the CPU.
    warm_start : bool, default=False
        Begin ``fit`` with the weights of the last one.
    on_epoch_end : callable or None, default=None
        Called as ``on_epoch_end(estimator)`` after each epoch. The estimator is usable then:
        it has the best weights so far, to be exported or scored.
    verbose : int, default=0
        Above 0, show a progress bar.
    random_state : int, RandomState instance or None, default=None
        Seed of the split, the first weights, the batches, the augmentation and the dropout.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels in sorted order.
    weights_ : dict of str to ndarray
        Weights and statistics of the network, by their names in it.
    architecture_ : dict
        Parameters with which the network was built.
    history_ : list of dict
        One record per epoch: ``epoch``, ``train_loss``, ``train_accuracy`` (on augmented
        images), ``learning_rate``, and with early stopping ``valid_loss`` and
        ``valid_accuracy``. A warm start appends.
    best_epoch_ : int
        Epoch of ``history_`` whose weights are kept.
    n_iter_ : int
        Epochs of the last ``fit``.
    image_size_ : tuple of int
        Height and width of the images the network sees.
    n_features_in_ : int
        Length of the rows seen in ``fit``, where it matters.

    Notes
    -----
    Input is converted to grey. uint8 is scaled to 0..1; the mean and standard deviation of
    the training pixels are then part of the network. All training images are held in memory
    at ``image_size``.

    The same seed gives the same network on the same machine and number of threads. The
    global random state is neither used nor changed.

    ``KeyboardInterrupt`` (Ctrl-C) during the training ends it, with a warning; the estimator
    keeps its best weights so far and is fitted.

    The estimator holds arrays, never a live network: what a CUDA device trained loads
    anywhere.

    References
    ----------
    .. [1] I. Goodfellow et al., "Challenges in Representation Learning: A Report on Three
       Machine Learning Contests", ICONIP 2013.
    .. [2] K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning for Image Recognition",
       CVPR 2016.
    .. [3] Z. Zhong et al., "Random Erasing Data Augmentation", AAAI 2020.

    Examples
    --------
    >>> from emotion_estimators.classifiers import EmotionCNNClassifier
    >>> from emotion_estimators.datasets import make_faces
    >>> X, y = make_faces(40, random_state=0)
    >>> cnn = EmotionCNNClassifier(
    ...     image_size=24, stem_width=4, widths=(8,), n_blocks=(0,), max_epochs=1,
    ...     early_stopping=False, random_state=0,
    ... )
    >>> cnn.fit(X, y).predict_proba(X).shape
    (40, 7)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "image_size": [Interval(Integral, 1, None, closed="left"), "array-like", None],
        "image_shape": ["array-like", None],
        "stem_width": [Interval(Integral, 1, None, closed="left")],
        "widths": ["array-like"],
        "n_blocks": ["array-like"],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "augmentation": [Interval(Real, 0, None, closed="left")],
        "erasing": [Interval(Real, 0, 1, closed="both")],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "max_time": [Interval(Real, 0, None, closed="neither"), None],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "momentum": [Interval(Real, 0, 1, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "warmup": [Interval(Real, 0, 1, closed="both")],
        "ema_decay": [Interval(Real, 0, 1, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), None],
        "test_time_flip": ["boolean"],
        "mixed_precision": ["boolean", StrOptions({"auto"})],
        "device": [str],
        "warm_start": ["boolean"],
        "on_epoch_end": [callable, None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    color = "grey"  # what check_images converts to

    def __init__(
        self,
        *,
        image_size: int | tuple[int, int] | None = 48,
        image_shape: tuple[int, ...] | None = None,
        stem_width: int = 32,
        widths: tuple[int, ...] = (48, 96, 192),
        n_blocks: tuple[int, ...] = (0, 1, 1),
        dropout: float = 0.3,
        augmentation: float = 1.0,
        erasing: float = 0.3,
        label_smoothing: float = 0.1,
        max_epochs: int = 100,
        max_time: float | None = None,
        batch_size: int = 128,
        learning_rate: float = 0.1,
        momentum: float = 0.9,
        weight_decay: float = 5e-4,
        warmup: float = 0.1,
        ema_decay: float = 0.999,
        class_weight: dict[Any, float] | str | None = None,
        early_stopping: bool = True,
        validation_fraction: float = 0.1,
        n_iter_no_change: int | None = 30,
        test_time_flip: bool = True,
        mixed_precision: bool | str = "auto",
        device: str = "auto",
        warm_start: bool = False,
        on_epoch_end: Callable[[EmotionCNNClassifier], object] | None = None,
        verbose: int = 0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.image_size = image_size
        self.image_shape = image_shape
        self.stem_width = stem_width
        self.widths = widths
        self.n_blocks = n_blocks
        self.dropout = dropout
        self.augmentation = augmentation
        self.erasing = erasing
        self.label_smoothing = label_smoothing
        self.max_epochs = max_epochs
        self.max_time = max_time
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.warmup = warmup
        self.ema_decay = ema_decay
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.test_time_flip = test_time_flip
        self.mixed_precision = mixed_precision
        self.device = device
        self.warm_start = warm_start
        self.on_epoch_end = on_epoch_end
        self.verbose = verbose
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> EmotionCNNClassifier:
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
        self : EmotionCNNClassifier
            The fitted estimator.

        Raises
        ------
        MissingDependencyError
            If torch or skorch is not installed.
        InvalidImagesError
            If X does not hold usable images.
        ValueError
            If y does not fit X, or a parameter is out of its range.
        """
        self._check_architecture()
        for module in ("torch", "skorch"):
            import_optional(module, extra="torch", needed_by=type(self).__name__)
        images = check_images(self, X, reset=True)
        codes = self._check_y(y, images.n_samples)
        weights = self._check_weights(sample_weight, codes)
        if images.n_samples < 2:
            raise ValueError(
                f"{type(self).__name__} needs at least 2 images to train, got n_samples = 1."
            )
        self._train(_stack(images), codes, weights)
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
        check_is_fitted(self)
        images = check_images(self, X, reset=False)
        from emotion_estimators.training.inference import predict_images

        network = self._network()
        probabilities = np.empty((images.n_samples, len(self.classes_)))
        for rows, batch in images.batches(_INFERENCE_BATCH):
            probabilities[rows] = predict_images(
                network, batch, batch_size=_INFERENCE_BATCH, flip=self.test_time_flip
            )
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
        probabilities = self.predict_proba(X)
        labels: NDArray[Any] = self.classes_[probabilities.argmax(axis=1)]
        return labels

    def export_onnx(
        self, path: str | Path, *, flip: bool | None = None, half: bool = False
    ) -> Path:
        """Write the network as an ONNX file that needs neither torch nor this class.

        Its input ``images`` is float32 (n, 1, height, width), grey in 0..1; its output
        ``probabilities`` is float32 (n, n_classes). The classes, the size and the scaling
        stand in the file's metadata, as JSON.

        Parameters
        ----------
        path : str or Path
            Where to write; the file appears whole or not at all.
        flip : bool or None, default=None
            Average over mirror images inside the graph; None does as ``test_time_flip``.
        half : bool, default=False
            Store weights as float16; the arithmetic stays float32.

        Returns
        -------
        path : Path
            The file written.
        """
        check_is_fitted(self)
        import_optional("onnx", extra="torch", needed_by=f"{type(self).__name__}.export_onnx")
        from emotion_estimators.networks.emotion_cnn_onnx import emotion_cnn_to_onnx
        from emotion_estimators.training.inference import build_network

        model = emotion_cnn_to_onnx(
            build_network(self.architecture_, self.weights_),
            self.image_size_,
            flip=self.test_time_flip if flip is None else flip,
            half=half,
            metadata={
                "classes": json.dumps(self.classes_.tolist()),
                "image_size": json.dumps(self.image_size_),
                "color": json.dumps("grey"),
                "scaling": json.dumps([0, 1]),
            },
        )
        path = Path(path)
        unfinished = path.with_name(path.name + ".part")
        unfinished.write_bytes(model.SerializeToString())
        unfinished.replace(path)
        return path

    def _check_architecture(self) -> None:
        for name, least in (("widths", 1), ("n_blocks", 0)):
            value = getattr(self, name)
            if len(value) == 0 or not all(isinstance(v, Integral) and v >= least for v in value):
                raise ValueError(
                    f"{type(self).__name__} expected {name} to be ints of at least {least}, one "
                    f"per stage, got {value!r}."
                )
        if len(self.widths) != len(self.n_blocks):
            raise ValueError(
                f"{type(self).__name__} expected widths and n_blocks to have one entry per "
                f"stage, got widths={self.widths!r}, n_blocks={self.n_blocks!r}."
            )

    def _check_y(self, y: Any, n_samples: int) -> NDArray[np.int64]:
        """Return the codes of the labels, and record ``classes_``."""
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        y = column_or_1d(y, warn=True)
        if y.dtype.kind == "f":
            assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        if len(y) != n_samples:
            raise ValueError(
                f"{type(self).__name__} expected one label per image, got {n_samples} images "
                f"and {len(y)} labels: inconsistent numbers of samples."
            )
        classes, codes = np.unique(y, return_inverse=True)
        if (
            self.warm_start
            and hasattr(self, "weights_")
            and not np.array_equal(classes, self.classes_)
        ):
            raise ValueError(
                f"{type(self).__name__} with warm_start=True was fitted on the classes "
                f"{self.classes_.tolist()}, got {classes.tolist()}. Pass all classes, or set "
                "warm_start=False to start anew."
            )
        self.classes_ = classes
        return codes.astype(np.int64)

    def _check_weights(self, sample_weight: Any, codes: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the weights of the images, of mean 1."""
        if sample_weight is None:
            weights = np.ones(len(codes))
        else:
            weights = check_array(
                sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
            )
            if weights.ndim != 1:
                raise ValueError(
                    f"{type(self).__name__} expected sample_weight of shape (n_samples,), got "
                    f"{weights.shape}: Sample weights must be 1D array or scalar."
                )
            check_consistent_length(codes, weights)
            if np.any(weights < 0) or not np.any(weights > 0):
                raise ValueError(
                    f"{type(self).__name__} expected sample_weight to be non-negative and not "
                    "all zero."
                )
        if self.class_weight is not None:
            weights = weights * compute_sample_weight(self.class_weight, self.classes_[codes])
        return weights / weights.mean()

    def _train(
        self, pixels: NDArray[Any], codes: NDArray[np.int64], weights: NDArray[np.float64]
    ) -> None:
        from emotion_estimators.training.emotion_training import train_emotion_cnn

        rng = check_random_state(self.random_state)
        train, held_out = self._split(codes, rng)
        continued = self.warm_start and hasattr(self, "weights_")
        first_weights = self.weights_ if continued else None
        if not continued:
            self.history_: list[dict[str, float]] = []
        n_before = len(self.history_)

        def on_epoch(record: dict[str, float], best: dict[str, Any] | None) -> None:
            self.history_.append({"epoch": len(self.history_) + 1, **record})
            self.n_iter_ = len(self.history_) - n_before
            if best is not None:
                self.weights_, self.best_epoch_ = best, len(self.history_)
            if self.on_epoch_end is not None:
                self.on_epoch_end(self)

        self.architecture_ = {
            "n_classes": len(self.classes_),
            "stem_width": int(self.stem_width),
            "widths": [int(v) for v in self.widths],
            "n_blocks": [int(v) for v in self.n_blocks],
        }
        result = train_emotion_cnn(
            self,
            pixels,
            codes,
            weights,
            train=train,
            held_out=held_out,
            architecture=self.architecture_,
            first_weights=first_weights,
            seed=int(rng.randint(2**31 - 1)),
            on_epoch=on_epoch,
        )
        if result.last_weights is not None:  # interrupted before one epoch was over
            self.weights_, self.n_iter_, self.best_epoch_ = result.last_weights, 0, 0
        if result.interrupted:
            warnings.warn(
                f"{type(self).__name__} was interrupted after {self.n_iter_} of "
                f"{self.max_epochs} epochs; it keeps the best weights so far, of epoch "
                f"{self.best_epoch_}.",
                stacklevel=4,
            )

    def _split(
        self, codes: NDArray[np.int64], rng: np.random.RandomState
    ) -> tuple[NDArray[np.intp], NDArray[np.intp] | None]:
        """Return the rows to train on and the rows held out, None without early stopping."""
        rows = np.arange(len(codes))
        if not self.early_stopping:
            return rows, None
        n_held_out = round(self.validation_fraction * len(codes))
        if n_held_out < 1 or len(codes) - n_held_out < 2:
            raise ValueError(
                f"{type(self).__name__} cannot hold out validation_fraction="
                f"{self.validation_fraction} of {len(codes)} images. Pass more images, or set "
                "early_stopping=False."
            )
        counts = np.bincount(codes)
        can_stratify = counts.min() >= 2 and n_held_out >= len(counts)
        train, held_out = train_test_split(
            rows,
            test_size=n_held_out,
            stratify=codes if can_stratify else None,
            random_state=rng,
        )
        return train, held_out

    def _network(self) -> EmotionCNN:
        """Return the live network of the present weights."""
        from emotion_estimators.training.device import choose_device
        from emotion_estimators.training.inference import build_network

        known = _NETWORKS.get(self)
        device = choose_device(self.device, needed_by=type(self).__name__)
        if known is None or known[0] is not self.weights_ or known[1].pixel_mean.device != device:
            network = build_network(self.architecture_, self.weights_).to(device)
            known = _NETWORKS[self] = (self.weights_, network)
        return known[1]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True  # paths
        return tags


def _stack(images: ImageBatches) -> NDArray[Any]:
    """Return all images, (n, height, width), uint8 or float32."""
    pixels: NDArray[Any] | None = None
    for rows, batch in images.batches(_LOADING_BATCH):
        if pixels is None:
            dtype = np.uint8 if batch.dtype == np.uint8 else np.float32
            pixels = np.empty((images.n_samples, *batch.shape[1:]), dtype=dtype)
        pixels[rows] = batch
    if pixels is None:
        raise ValueError("no image to train on")
    return pixels
