"""Face crops in, classes out: FaceNet, of which the last blocks are trained on the faces.

Imports torch and skorch inside functions only, through `training` and `networks`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from emotion_estimators._optional import import_optional
from emotion_estimators._sklearn import (
    HasMethods,
    Interval,
    StrOptions,
    fit_context,
)
from emotion_estimators.features._facenet_inputs import check_face_size
from emotion_estimators.training.targets import check_weights, stack_images
from emotion_estimators.validation import (
    Images,
    check_images,
    check_labels,
    compare_table,
    record_table,
)

__all__ = ["FineTunedFacenetClassifier"]

# Every prediction runs in batches of this many images, the last one padded, so that it cannot
# depend on how many images come with it.
_INFERENCE_BATCH = 16


class FineTunedFacenetClassifier(ClassifierMixin, BaseEstimator):
    """FaceNet whose last blocks are trained, together with a linear classifier on its vectors.

    For more faces than an SVM on frozen vectors makes use of, and fewer than a network trained
    from scratch needs.

    Parameters
    ----------
    weights : str, path-like or module, default="vggface2"
        Where to begin, as for `FacenetEmbedder`.
    fine_tune_blocks : int, default=6
        How many of the network's 23 blocks are trained, from the end; 6 are all blocks of the
        last resolution. With 0 only the linear classifier is.
    image_size : int or tuple of int, default=160
        Size in pixels, or height and width, to which images are resized; 75 at least.
    image_shape : tuple of int or None, default=None
        How to read 2-D rows: ``(height, width)`` or ``(height, width, 3)``; one entry may
        be -1.
    standardization : {"fixed", "prewhiten"}, default="fixed"
        As for `FacenetEmbedder`.
    dropout : float, default=0.2
        Share of the vector dropped in training.
    augmentation : float, default=0.5
        Strength of the random rotation, zoom, stretch, shift, contrast and brightness; 0
        leaves all of it and the mirroring out.
    erasing : float, default=0.0
        Probability that a box of a training image is covered with one grey.
    mixup : float, default=0.0
        Above 0, each training image is blended with another.
    label_smoothing : float, default=0.1
        Share of the target spread evenly over the classes.
    max_epochs : int, default=10
        Passes over the training images.
    max_time : float or None, default=None
        Seconds in which the training and its schedule end at the latest. Where they cut it short,
        a seed no longer fixes the result.
    batch_size : int, default=32
        Images in a training step.
    learning_rate : float, default=0.01
        Highest learning rate of stochastic gradient descent with Nesterov momentum.
    momentum : float, default=0.9
        Its momentum.
    weight_decay : float, default=5e-4
        L2 penalty on the weights, not on biases and normalisation.
    warmup : float, default=0.1
        Share of the training in which the learning rate rises linearly; then it falls to zero
        as a cosine.
    ema_decay : float, default=0.99
        Decay per step of the moving average of the weights; the average is what is kept.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, multiplied with ``sample_weight``.
    early_stopping : bool, default=True
        Hold out a part of the training data, keep the weights of the epoch that is best on
        it, and stop when it gets no better.
    validation_fraction : float, default=0.1
        Share held out, stratified where the classes are large enough.
    n_iter_no_change : int or None, default=5
        Epochs without improvement on the held-out part before training stops; None never
        stops early and only keeps the best epoch.
    test_time_flip : bool, default=False
        Average the probabilities of each image and its mirror image.
    mixed_precision : bool or "auto", default="auto"
        Train in bfloat16; "auto" does so where the hardware computes in it. Predictions always
        run in float32.
    device : str, default="auto"
        "cpu", "cuda", "cuda:1"...; "auto" is CUDA if there is a device, else the CPU.
    on_epoch_end : callable or None, default=None
        Called as ``on_epoch_end(estimator)`` after each epoch.
    verbose : int, default=0
        Above 0, show progress bars.
    random_state : int, RandomState instance or None, default=None
        Seed of the split, the batches, the augmentation and the dropout.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels in sorted order.
    weights_ : dict of str to ndarray
        Weights and statistics of the whole network, by their names in it.
    architecture_ : dict
        Parameters with which the network was built.
    history_ : list of dict
        One record per epoch: ``epoch``, ``train_loss``, ``train_accuracy`` (on augmented
        images), ``learning_rate`` and, with early stopping, ``valid_loss`` and
        ``valid_accuracy``.
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
    make_facenet_classifier : An SVM on frozen vectors: fits in seconds.
    EmotionCNNClassifier : A small network trained from scratch.

    Notes
    -----
    X is what the library takes everywhere. Training holds all resized images in memory, 77 kB
    each at 160 x 160 px. The blocks that stay as they are keep the statistics of their batch
    normalisation, too.

    The same seed gives the same network on the same CPU and number of threads; a CUDA device is
    asked for deterministic convolutions, but that it gives the same twice is untested. The
    state of torch's global generators is restored after a fit, and one thread of a process
    trains at a time. A prediction does not depend on the other images of X, bit for bit on the
    CPU.

    The estimator holds arrays, 94 MB of them, never a live network: it needs the file of
    `weights` for training only, and what a CUDA device trained loads anywhere.

    ``KeyboardInterrupt`` (Ctrl-C) ends the training and is raised, so that it also ends a search
    or a pipeline. After at least one epoch the estimator keeps its best weights so far and is
    fitted, and a note of the exception says of which epoch they are; before, and after any other
    error, it is as it was.

    References
    ----------
    .. [1] F. Schroff, D. Kalenichenko, J. Philbin, "FaceNet: A Unified Embedding for Face
       Recognition and Clustering", CVPR 2015.
    .. [2] J. Yosinski, J. Clune, Y. Bengio, H. Lipson, "How transferable are features in deep
       neural networks?", NIPS 2014.

    Examples
    --------
    >>> from emotion_estimators import FineTunedFacenetClassifier
    >>> from emotion_estimators.datasets import make_faces
    >>> X, y = make_faces(4, emotions=["happy", "sad"], random_state=0)
    >>> model = FineTunedFacenetClassifier(
    ...     weights="random", image_size=75, max_epochs=1, early_stopping=False, random_state=0
    ... )
    >>> model.fit(X, y).predict_proba(X).shape
    (4, 2)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "weights": [str, os.PathLike, HasMethods("state_dict")],
        "fine_tune_blocks": [Interval(Integral, 0, 23, closed="both")],
        "image_size": [Interval(Integral, 1, None, closed="left"), tuple, list],
        "image_shape": [tuple, list, None],
        "standardization": [StrOptions({"fixed", "prewhiten"})],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "augmentation": [Interval(Real, 0, None, closed="left")],
        "erasing": [Interval(Real, 0, 1, closed="both")],
        "mixup": [Interval(Real, 0, None, closed="left")],
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
        "on_epoch_end": [callable, None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        weights: Any = "vggface2",
        fine_tune_blocks: int = 6,
        image_size: int | tuple[int, int] = 160,
        image_shape: tuple[int, ...] | None = None,
        standardization: str = "fixed",
        dropout: float = 0.2,
        augmentation: float = 0.5,
        erasing: float = 0.0,
        mixup: float = 0.0,
        label_smoothing: float = 0.1,
        max_epochs: int = 10,
        max_time: float | None = None,
        batch_size: int = 32,
        learning_rate: float = 0.01,
        momentum: float = 0.9,
        weight_decay: float = 5e-4,
        warmup: float = 0.1,
        ema_decay: float = 0.99,
        class_weight: dict[Any, float] | str | None = None,
        early_stopping: bool = True,
        validation_fraction: float = 0.1,
        n_iter_no_change: int | None = 5,
        test_time_flip: bool = False,
        mixed_precision: bool | str = "auto",
        device: str = "auto",
        on_epoch_end: Callable[[FineTunedFacenetClassifier], object] | None = None,
        verbose: int = 0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.weights = weights
        self.fine_tune_blocks = fine_tune_blocks
        self.image_size = image_size
        self.image_shape = image_shape
        self.standardization = standardization
        self.dropout = dropout
        self.augmentation = augmentation
        self.erasing = erasing
        self.mixup = mixup
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
        self.on_epoch_end = on_epoch_end
        self.verbose = verbose
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> FineTunedFacenetClassifier:
        """Train the last blocks and the classifier.

        Parameters
        ----------
        X : ndarray, sequence or DataFrame of n images
            Face crops, as the library takes them everywhere.
        y : array-like of shape (n,)
            Class labels, strings or numbers.
        sample_weight : array-like of shape (n,) or None, default=None
            Weights of the images in the loss and in the validation.

        Returns
        -------
        self : FineTunedFacenetClassifier

        Raises
        ------
        MissingDependencyError
            If torch or skorch is not installed.
        InvalidImagesError
            If X does not hold usable images.
        ValueError
            If y does not fit X, or a parameter is out of its range.
        WeightsError, OSError
            If the weights are not available, or are of another network.
        """
        self._import("torch", "skorch")
        owner = type(self).__name__
        images = check_images(
            X,
            name=owner,
            image_shape=self.image_shape,
            image_size=self.image_size,
            color="rgb",
        )
        check_face_size(images.image_size, name=owner)
        classes, codes = check_labels(y, n_samples=images.n_samples, name=owner)
        weights = check_weights(owner, sample_weight, self.class_weight, classes, codes)
        # before the training: what Ctrl-C keeps must be whole
        self.image_size_ = images.image_size
        record_table(self, X, images)
        from emotion_estimators.classifiers._fine_tuned_facenet_fit import fit_network

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
        self._import("torch")
        images = self._check(X)
        from emotion_estimators.training.inference import predict_all

        return predict_all(self, self._restore_network, images, batch_size=_INFERENCE_BATCH)

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

    def _check(self, X: Any) -> Images:
        """Return images that are like those of the fit."""
        return check_images(
            X,
            name=type(self).__name__,
            image_shape=self.image_shape,
            image_size=self.image_size,
            color="rgb",
            expected_size=self.image_size_,
            read_headers=False,
            check_table=partial(compare_table, self),
        )

    def _restore_network(self) -> Any:
        from emotion_estimators.networks.facenet.fine_tuned import FineTunedFacenet
        from emotion_estimators.training.inference import restore_network

        return restore_network(partial(FineTunedFacenet, **self.architecture_), self.weights_)

    def _import(self, *modules: str) -> None:
        for module in modules:
            import_optional(module, extra="torch", needed_by=type(self).__name__)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True  # paths
        return tags
