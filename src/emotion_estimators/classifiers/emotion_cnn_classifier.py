"""Grey face crops in, emotions out: a convolutional network trained from scratch.

Imports torch and skorch inside functions only, through `training` and `networks`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from emotion_estimators._files import whole_file
from emotion_estimators._optional import import_optional
from emotion_estimators._sklearn import (
    HasMethods,
    Interval,
    StrOptions,
    fit_context,
)
from emotion_estimators.training.training_set import check_weights, stack_images
from emotion_estimators.validation import (
    Images,
    check_images,
    check_labels,
    compare_table,
    record_table,
)

__all__ = ["EmotionCNNClassifier"]

# Every prediction runs in batches of this many images, the last one padded, so that it cannot
# depend on how many images come with it.
_INFERENCE_BATCH = 32


class EmotionCNNClassifier(ClassifierMixin, BaseEstimator):
    """Convolutional network for 48 x 48 grey faces, trained from scratch.

    The defaults are the recipe that trained the embedded model of this library; use it to train
    on one's own faces and labels.

    Parameters
    ----------
    image_size : int, (int, int) or None, default=48
        Height and width in pixels to which images are resized; None takes them as they are.
    image_shape : tuple of int or None, default=None
        How to read 2-D rows, for example ``(48, 48)``; one entry may be -1.
    stem_width : int, default=32
        Channels of the first convolution, 5 x 5.
    stem_stride : int, default=2
        Its stride: 2 halves the resolution, 1 keeps it, which takes several times as long.
    widths : tuple of int, default=(48, 96, 192)
        Channels of the stages of 3 x 3 convolutions; a max pooling stands between two stages.
    n_blocks : tuple of int, default=(0, 1, 1)
        Residual blocks of each stage.
    dropout : float, default=0.3
        Share of the pooled features dropped in training.
    augmentation : float, default=1.0
        Strength of the random rotation, zoom, stretch, shift, contrast and brightness; 0
        leaves all of it and the mirroring out.
    erasing : float, default=0.3
        Probability that a box of a training image is covered with one grey.
    mixup : float, default=0
        Above 0, blend each training image and its target with another's; the parts are drawn
        from a Beta(mixup, mixup) distribution.
    label_smoothing : float, default=0.1
        Share of the target spread evenly over the classes.
    teacher : estimator or None, default=None
        A fitted classifier of the same classes whose ``predict_proba`` is mixed into the
        targets of the training images. It softens labels that are wrong or doubtful.
        ``sklearn.base.clone``, and with it every search and cross-validation, copies it
        unfitted, unless it is wrapped: ``teacher=sklearn.frozen.FrozenEstimator(fitted)``.
    teacher_weight : float, default=0.5
        Share of the teacher's probabilities in the targets.
    max_epochs : int, default=100
        Passes over the training images.
    max_time : float or None, default=None
        Seconds in which the training and its schedule end at the latest. Where they cut it short,
        the result depends on the machine and its load: a seed no longer fixes it.
    batch_size : int, default=128
        Images in a training step.
    learning_rate : float, default=0.1
        Highest learning rate of stochastic gradient descent with Nesterov momentum.
    momentum : float, default=0.9
        Its momentum.
    weight_decay : float, default=5e-4
        L2 penalty on the weights, not on biases and normalisation.
    warmup : float, default=0.1
        Share of the training in which the learning rate rises linearly; then it falls to zero
        as a cosine.
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
        Train in bfloat16; "auto" does so where the hardware computes in it: CUDA devices of
        compute capability 8 and some CPUs. Predictions always run in float32.
    device : str, default="auto"
        "cpu", "cuda", "cuda:1"...; "auto" is CUDA if there is a device, else the CPU.
    warm_start : bool, default=False
        Begin ``fit`` with the weights of the last one.
    on_epoch_end : callable or None, default=None
        Called as ``on_epoch_end(estimator)`` after each epoch. The estimator has the best
        weights so far then, to be scored or exported.
    verbose : int, default=0
        Above 0, show progress bars.
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
        images), ``learning_rate`` and, with early stopping, ``valid_loss`` and
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
    PretrainedEmotionClassifier : Needs no training; also reads what `export_onnx` writes.

    Notes
    -----
    Input is converted to grey; uint8 is scaled to 0..1; the mean and standard deviation of the
    training pixels are part of the network. Training holds all images in memory.

    The same seed gives the same network on the same CPU and number of threads; a CUDA device is
    asked for deterministic convolutions, but that it gives the same twice is untested. The
    state of torch's global generators is restored after a fit, and one thread of a process
    trains at a time. A prediction does not depend on the other images of X, bit for bit on the
    CPU.

    The estimator holds arrays, never a live network: what a CUDA device trained loads anywhere.

    ``KeyboardInterrupt`` (Ctrl-C) ends the training and is raised, so that it also ends a search
    or a pipeline. After at least one epoch the estimator keeps its best weights so far and is
    fitted, and a note of the exception says of which epoch they are; before, and after any other
    error, it is as it was.

    References
    ----------
    .. [1] K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning for Image Recognition",
       CVPR 2016.
    .. [2] Z. Zhong et al., "Random Erasing Data Augmentation", AAAI 2020.
    .. [3] H. Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018.

    Examples
    --------
    >>> from emotion_estimators.classifiers import EmotionCNNClassifier
    >>> from emotion_estimators.datasets import make_faces
    >>> X, y = make_faces(40, random_state=0)
    >>> cnn = EmotionCNNClassifier(
    ...     image_size=24, stem_width=4, widths=(8,), n_blocks=(0,), max_epochs=1, random_state=0
    ... )
    >>> cnn.fit(X, y).predict_proba(X).shape
    (40, 7)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "image_size": [Interval(Integral, 1, None, closed="left"), tuple, list, None],
        "image_shape": [tuple, list, None],
        "stem_width": [Interval(Integral, 1, None, closed="left")],
        "stem_stride": [Interval(Integral, 1, None, closed="left")],
        "widths": ["array-like"],
        "n_blocks": ["array-like"],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "augmentation": [Interval(Real, 0, None, closed="left")],
        "erasing": [Interval(Real, 0, 1, closed="both")],
        "mixup": [Interval(Real, 0, None, closed="left")],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "teacher": [HasMethods("predict_proba"), None],
        "teacher_weight": [Interval(Real, 0, 1, closed="both")],
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

    def __init__(
        self,
        *,
        image_size: int | tuple[int, int] | None = 48,
        image_shape: tuple[int, ...] | None = None,
        stem_width: int = 32,
        stem_stride: int = 2,
        widths: tuple[int, ...] = (48, 96, 192),
        n_blocks: tuple[int, ...] = (0, 1, 1),
        dropout: float = 0.3,
        augmentation: float = 1.0,
        erasing: float = 0.3,
        mixup: float = 0,
        label_smoothing: float = 0.1,
        teacher: Any = None,
        teacher_weight: float = 0.5,
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
        self.stem_stride = stem_stride
        self.widths = widths
        self.n_blocks = n_blocks
        self.dropout = dropout
        self.augmentation = augmentation
        self.erasing = erasing
        self.mixup = mixup
        self.label_smoothing = label_smoothing
        self.teacher = teacher
        self.teacher_weight = teacher_weight
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

        Raises
        ------
        MissingDependencyError
            If torch or skorch is not installed.
        InvalidImagesError
            If X does not hold usable images.
        ValueError
            If y does not fit X, or a parameter is out of its range.
        """
        self._import("torch", "skorch")
        owner = type(self).__name__
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
        from emotion_estimators.classifiers._emotion_cnn_fit import fit_network

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

    def export_onnx(
        self, path: str | Path, *, flip: bool | None = None, half: bool = False
    ) -> Path:
        """Write the network as an ONNX file that needs neither torch nor this class.

        Its input ``images`` is float32 (n, 1, height, width), grey in 0..1; its output
        ``probabilities`` is float32 (n, n_classes). Classes, size and scaling stand in the
        file's metadata, as JSON.

        Parameters
        ----------
        path : str or Path
            Where to write; the file appears whole or not at all.
        flip : bool or None, default=None
            Average over mirror images inside the graph; None does as ``test_time_flip``.
        half : bool, default=False
            Store weights as float16, which halves the file; the arithmetic stays float32.

        Returns
        -------
        path : Path

        Raises
        ------
        OSError
            If the file cannot be written; nothing is left of it then.
        """
        check_is_fitted(self, "weights_")
        self._import("torch")
        from emotion_estimators.networks.torch_onnx import torch_onnx

        model = torch_onnx(
            [self._restore_network()],
            self.image_size_,
            mirrored=self.test_time_flip if flip is None else flip,
            stored="float16" if half else "float32",
            metadata={
                "classes": json.dumps(self.classes_.tolist()),
                "image_size": json.dumps(self.image_size_),
                "color": json.dumps("grey"),
                "scaling": json.dumps([0, 1]),
            },
        )
        path = Path(path)
        with whole_file(path, what=f"The ONNX file of {type(self).__name__}") as file:
            file.write(model)
        return path

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
        from emotion_estimators.networks.emotion import EmotionCNN
        from emotion_estimators.training.inference import restore_network

        return restore_network(partial(EmotionCNN, **self.architecture_), self.weights_)

    def _import(self, *modules: str) -> None:
        for module in modules:
            import_optional(module, extra="torch", needed_by=type(self).__name__)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True  # paths
        return tags
