"""Images in, sets of labels out: a network trained with PyTorch Lightning.

Imports torch and Lightning inside functions only, through `training` and `networks`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from emotion_estimators._optional import import_optional
from emotion_estimators._progress import progress_bar
from emotion_estimators._sklearn import (
    HasMethods,
    Interval,
    StrOptions,
    fit_context,
)
from emotion_estimators.classifiers._multilabel_settings import PRESETS, with_preset
from emotion_estimators.training.label_sets import check_label_sets
from emotion_estimators.training.targets import check_weights
from emotion_estimators.validation import check_images, compare_table, record_table

__all__ = ["LightningMultiLabelClassifier"]

# Every prediction runs in batches of this many images, the last one padded, so that it cannot
# depend on how many images come with it.
_INFERENCE_BATCH = {"cpu": 32, "cuda": 128}


class LightningMultiLabelClassifier(ClassifierMixin, BaseEstimator):
    """Network for images that carry any number of labels at once, trained with Lightning.

    Use it where an image shows several things, or none: each label is a question of its own.

    Parameters
    ----------
    preset : {"original"} or None, default=None
        "original" sets what the original scripts used: timm's pretrained ``resnetv2_50`` at 384
        x 384 px, a head of 256 units, binary cross-entropy, AdamW at a constant 8e-5, batches of
        16, 10 epochs, no augmentation. It stands for the defaults: parameters that are given
        another value than their default keep it.
    image_size : int, (int, int) or None, default=None
        Height and width in pixels to which images are resized; None takes them as they are.
    image_shape : tuple of int or None, default=None
        How to read 2-D rows, for example ``(64, 64, 3)``; one entry may be -1.
    backbone : str or torch.nn.Module, default="resnet10-narrow"
        "resnet6-tiny", "resnet10-narrow", "resnet10", "resnet18", "resnet34" or "resnet50":
        residual networks of this library, for images of any size. "timm:<name>": one of timm's,
        where that is installed. A module takes standardised images (n, 3, height, width) and
        gives features (n, c) or maps (n, c, h, w); it is copied, not trained itself.
    pretrained : bool, default=False
        Let timm fetch the weights of a "timm:<name>" backbone.
    head_hidden : int or None, default=256
        Units of the layer between features and labels; None leaves it out.
    labels : array-like of shape (n_labels,) or None, default=None
        Names of the labels, in the order of the columns. None takes the columns of a DataFrame,
        else numbers from 0; of label sets it takes those that occur, sorted.
    loss : {"bce", "focal", "asymmetric"}, default="bce"
        Binary cross-entropy, focal loss [1]_ or asymmetric loss [2]_.
    loss_options : dict or None, default=None
        ``gamma`` (2) and ``alpha`` (0.25) of "focal"; ``gamma_positive`` (0),
        ``gamma_negative`` (4) and ``margin`` (0.05) of "asymmetric".
    pos_weight : float, array-like of shape (n_labels,), dict, "balanced" or None, default=None
        Factor of the loss of positives, also by label; "balanced" is the number of negatives over
        that of positives.
    threshold : float, array-like of shape (n_labels,) or "tune", default=0.5
        Least probability of a label that `predict` gives. "tune" learns one for each label from
        the held-out images, for the best F1; see Notes.
    learning_rate : float, default=2e-3
        Highest learning rate of AdamW.
    weight_decay : float, default=0.01
        Its decay of the weights, not of biases and normalisation.
    schedule : {"cosine", "constant"}, default="cosine"
        "cosine" falls to zero at the end, after a linear rise.
    warmup : float, default=0.1
        Share of the training in which the rate rises.
    max_epochs : int, default=40
        Passes over the training images.
    batch_size : int or "auto", default=32
        Images in a step, on each device. "auto" halves 128 until a step fits in memory.
    gradient_clip : float or None, default=1.0
        Largest norm of the gradient.
    ema : float or None, default=None
        Decay per step of a moving average of the weights, which is what is kept then.
    augmentation : float, default=0.3
        Strength of the random mirroring, rotation, zoom, stretch, shift, contrast and
        brightness; 0 leaves them out.
    validation_fraction : float or None, default=0.1
        Share held out: the epoch with the best macro average precision on it is kept. None keeps
        the last.
    patience : int or None, default=None
        Epochs without improvement on the held-out part before training stops; None never stops.
    precision : {"auto", "32-true", "bf16-mixed"}, default="auto"
        "auto" trains in bfloat16 where the hardware computes in it. Predictions run in float32.
    accelerator : str, default="auto"
        "cpu", "gpu", "cuda", "cuda:1"...; "auto" is CUDA if there is a device, else the CPU.
    devices : int, default=1
        Devices to train on. More than one needs ``strategy="ddp"`` and an int as
        ``random_state``.
    strategy : str, default="auto"
        "ddp" runs the whole script once for each device; see Notes.
    num_workers : int, default=0
        0 decodes all images before the training and holds them in memory, on the CUDA device if
        they fit there. Above 0, so many processes decode them as they are needed.
    callbacks : list of pytorch_lightning.Callback or None, default=None
        Called by Lightning; copies, so that what they count does not reach another fit. They see
        ``train_loss``, ``valid_loss``, ``valid_average_precision`` and ``learning_rate``.
    logger : bool or pytorch_lightning.loggers.Logger, default=False
        As of Lightning's ``Trainer``.
    checkpoint_dir : str, Path or None, default=None
        Folder in which the state is written after each epoch and kept, each fit's in
        ``<fingerprint>/last.npz``; None writes nothing. See Notes.
    resume : bool, str or Path, default=False
        True goes on where this very fit was, and starts where it was not. The path of a
        checkpoint, or of the folder that it is in, is taken, or refused if it is of another fit.
    warm_start : bool, default=False
        Begin ``fit`` with the weights of the last one.
    verbose : int, default=0
        Above 0, show progress bars.
    random_state : int, RandomState instance or None, default=None
        Seed of the split, the first weights, the batches and the augmentation.

    Attributes
    ----------
    classes_ : ndarray of shape (n_labels,)
        The labels, in the order of the columns.
    thresholds_ : ndarray of shape (n_labels,)
        Least probability at which `predict` gives a label.
    weights_ : dict of str to ndarray
        Weights and statistics of the network, by their names in it.
    architecture_ : dict
        What the network was built with.
    network_ : torch.nn.Module
        The network itself, built of ``weights_`` when asked for.
    history_ : list of dict
        One record per epoch: ``epoch``, ``train_loss``, ``learning_rate`` and, where images are
        held out, ``valid_loss`` and ``valid_average_precision``. A warm start appends.
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
    EmotionCNNClassifier : One label for each image.
    sklearn.multioutput.ClassifierChain : Several labels from features of images.

    Notes
    -----
    y is 2-D: an array of one label for each image is refused, as by scikit-learn's
    `~sklearn.multioutput.MultiOutputClassifier`, since predictions have one column for each
    label. NaN in y is a label that is not known; it counts neither in the loss nor in `score`.
    `~sklearn.model_selection.cross_val_predict` with ``method="predict_proba"`` encodes each
    column of y and makes a class of NaN: give it 0 and 1 only, or split and fit yourself.

    Input is converted to RGB. uint8 is scaled to 0..1; the mean and standard deviation of the
    training pixels, or those a timm network was trained with, are part of the network.

    ``threshold="tune"`` learns from the held-out images what probability the scores of each label
    stand for, and takes the threshold where the F1 to be expected is best [3]_. That pays where
    0.5 is far off: with "focal", "asymmetric", ``pos_weight``, or labels that are often missed.

    The same seed gives the same network on the same CPU and number of threads. Global random
    states are neither used nor changed. With a backbone of this library a prediction does not
    depend on the other images of X, bit for bit on the CPU. The estimator holds arrays, never a
    live network, but for a module that it is given as ``backbone``.

    ``KeyboardInterrupt`` (Ctrl-C) ends the training and is raised. After at least one epoch the
    estimator is fitted with its best weights so far, and a note of the exception says of which
    epoch; before, and after any other failure, it is as it was. Nothing is written unless
    ``checkpoint_dir``, ``logger`` or a callback asks for it.

    A checkpoint is of one fit only. Its fingerprint holds all that the result depends on: the
    pixels of the images as the network sees them, labels, weights, the parameters that matter,
    the split and the seed, the weights of a warm start, the kind of device, and the versions of
    this library, torch and Lightning. So the fits of a search can share ``checkpoint_dir``:
    killed and started once more with ``resume=True``, it goes on where it was, also with
    ``n_jobs=2``, and the results are those of one that was not killed. Another fit's file is
    refused with what differs, a damaged one by its checksum. To hash the images takes one pass
    over their pixels; with ``num_workers`` above 0 all of them are decoded once for that. Where
    ``random_state`` is None, a fit goes on with the seed of the one that was not finished; one
    that is over is not taken for another. If a checkpoint cannot be written, as on a full disk,
    OSError is raised, and the best weights so far are kept as at Ctrl-C.

    ``devices=2, strategy="ddp"`` is for scripts only, not for notebooks, joblib or grid searches:
    Lightning starts the script once more for each further device, with the same arguments, and
    each process runs all of it. All end with the same fitted estimator; guard what is to
    happen once with ``if os.environ.get("LOCAL_RANK", "0") == "0"``.

    References
    ----------
    .. [1] T.-Y. Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017.
    .. [2] T. Ridnik et al., "Asymmetric Loss For Multi-Label Classification", ICCV 2021,
       arXiv:2009.14119.
    .. [3] Z. Lipton et al., "Optimal Thresholding of Classifiers to Maximize F1 Measure", ECML
       PKDD 2014, arXiv:1402.1892.

    Examples
    --------
    >>> import numpy as np
    >>> from emotion_estimators.classifiers import LightningMultiLabelClassifier
    >>> X = np.random.default_rng(0).random((12, 8, 8, 3))
    >>> y = [{"boat"}, {"boat", "bus"}, set()] * 4
    >>> net = LightningMultiLabelClassifier(backbone="resnet6-tiny", max_epochs=1, random_state=0)
    >>> net.fit(X, y).predict(X).shape, net.classes_.tolist()
    ((12, 2), ['boat', 'bus'])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "preset": [StrOptions(set(PRESETS)), None],
        "image_size": [Interval(Integral, 1, None, closed="left"), tuple, list, None],
        "image_shape": [tuple, list, None],
        "backbone": [str, HasMethods(["forward", "state_dict"])],
        "pretrained": ["boolean"],
        "head_hidden": [Interval(Integral, 1, None, closed="left"), None],
        "labels": ["array-like", None],
        "loss": [StrOptions({"bce", "focal", "asymmetric"})],
        "loss_options": [dict, None],
        "pos_weight": [
            Interval(Real, 0, None, closed="neither"), "array-like", dict,
            StrOptions({"balanced"}), None,
        ],
        "threshold": [Interval(Real, 0, 1, closed="both"), "array-like", StrOptions({"tune"})],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "schedule": [StrOptions({"cosine", "constant"})],
        "warmup": [Interval(Real, 0, 1, closed="both")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "gradient_clip": [Interval(Real, 0, None, closed="neither"), None],
        "ema": [Interval(Real, 0, 1, closed="neither"), None],
        "augmentation": [Interval(Real, 0, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
        "patience": [Interval(Integral, 1, None, closed="left"), None],
        "precision": [StrOptions({"auto", "32-true", "bf16-mixed"})],
        "accelerator": [str],
        "devices": [Interval(Integral, 1, None, closed="left")],
        "strategy": [str],
        "num_workers": [Interval(Integral, 0, None, closed="left")],
        "callbacks": [list, tuple, None],
        "logger": ["boolean", HasMethods(["log_metrics"])],
        "checkpoint_dir": [str, Path, None],
        "resume": ["boolean", str, Path],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }  # fmt: skip

    def __init__(
        self,
        *,
        preset: str | None = None,
        image_size: int | tuple[int, int] | None = None,
        image_shape: tuple[int, ...] | None = None,
        backbone: Any = "resnet10-narrow",
        pretrained: bool = False,
        head_hidden: int | None = 256,
        labels: ArrayLike | None = None,
        loss: str = "bce",
        loss_options: Mapping[str, float] | None = None,
        pos_weight: Any = None,
        threshold: Any = 0.5,
        learning_rate: float = 2e-3,
        weight_decay: float = 0.01,
        schedule: str = "cosine",
        warmup: float = 0.1,
        max_epochs: int = 40,
        batch_size: int | str = 32,
        gradient_clip: float | None = 1.0,
        ema: float | None = None,
        augmentation: float = 0.3,
        validation_fraction: float | None = 0.1,
        patience: int | None = None,
        precision: str = "auto",
        accelerator: str = "auto",
        devices: int = 1,
        strategy: str = "auto",
        num_workers: int = 0,
        callbacks: Sequence[Any] | None = None,
        logger: Any = False,
        checkpoint_dir: str | Path | None = None,
        resume: bool | str | Path = False,
        warm_start: bool = False,
        verbose: int = 0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.preset = preset
        self.image_size = image_size
        self.image_shape = image_shape
        self.backbone = backbone
        self.pretrained = pretrained
        self.head_hidden = head_hidden
        self.labels = labels
        self.loss = loss
        self.loss_options = loss_options
        self.pos_weight = pos_weight
        self.threshold = threshold
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.warmup = warmup
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.gradient_clip = gradient_clip
        self.ema = ema
        self.augmentation = augmentation
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.precision = precision
        self.accelerator = accelerator
        self.devices = devices
        self.strategy = strategy
        self.num_workers = num_workers
        self.callbacks = callbacks
        self.logger = logger
        self.checkpoint_dir = checkpoint_dir
        self.resume = resume
        self.warm_start = warm_start
        self.verbose = verbose
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: Any, sample_weight: ArrayLike | None = None
    ) -> LightningMultiLabelClassifier:
        """Train the network.

        Parameters
        ----------
        X : ndarray, sequence or DataFrame of n images
            As `check_images` takes them: arrays (n, h, w) or (n, h, w, 3), paths, rows...
        y : array-like of shape (n, n_labels), or sequence of n label sets
            0, 1 and NaN for unknown; or the labels of each image: a set, or a list or tuple of
            strings.
        sample_weight : array-like of shape (n,) or None, default=None
            Weights of the images in the loss.

        Returns
        -------
        self : LightningMultiLabelClassifier

        Raises
        ------
        MissingDependencyError
            If torch, pytorch-lightning or the timm that a backbone needs is not installed.
        InvalidImagesError
            If X does not hold usable images.
        KeyboardInterrupt
            At Ctrl-C; see Notes.
        MemoryError
            If CUDA has too little memory for the batches; it says which size to try.
        OSError
            If a checkpoint cannot be written; FileNotFoundError if there is none to resume from.
        RuntimeError
            If several devices are asked for in a worker process.
        ValueError
            If y does not fit X, a parameter is out of its range, or a checkpoint is damaged or of
            another fit.
        """
        self._import("torch", "pytorch_lightning")
        owner = type(self).__name__
        settings = with_preset(self)
        images = check_images(
            X,
            name=owner,
            image_shape=self.image_shape,
            image_size=settings.image_size,
            color="rgb",
        )
        labels, targets = check_label_sets(owner, y, images.n_samples, self.labels)
        no_codes = np.zeros(images.n_samples, dtype=np.int64)
        weights = check_weights(owner, sample_weight, None, labels, no_codes)
        # before the training: what Ctrl-C keeps must be whole
        self.image_size_ = images.image_size
        record_table(self, X, images)
        from emotion_estimators.classifiers._multilabel_fit import fit_multilabel

        fit_multilabel(self, settings, images, labels, targets, weights)
        return self

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return the scores (logits) of each label for each image.

        Parameters
        ----------
        X : ndarray, sequence or DataFrame of n images
            As in `fit`.

        Returns
        -------
        scores : ndarray of shape (n, n_labels)
            float64; above 0 where the probability is above 0.5.

        Raises
        ------
        InvalidImagesError
            If X does not hold usable images.
        """
        network = self.network_
        images = check_images(
            X,
            name=type(self).__name__,
            image_shape=self.image_shape,
            image_size=with_preset(self).image_size,
            color="rgb",
            expected_size=self.image_size_,
            read_headers=False,
            check_table=partial(compare_table, self),
        )
        from emotion_estimators.training.inference import score_labels

        owner = type(self).__name__
        size = _INFERENCE_BATCH[network.pixel_mean.device.type]
        scores = np.empty((images.n_samples, len(self.classes_)))
        n_batches = -(-images.n_samples // size)
        for rows, batch in progress_bar(
            images.batches(size), desc=owner, total=n_batches, is_shown=self.verbose
        ):
            scores[rows] = score_labels(network, batch, batch_size=size)
        return scores

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each label for each image.

        Parameters
        ----------
        X : ndarray, sequence or DataFrame of n images
            As in `fit`.

        Returns
        -------
        probabilities : ndarray of shape (n, n_labels)
            float64, in the order of ``classes_``; rows do not sum to 1.
        """
        probabilities: NDArray[np.float64] = expit(self.decision_function(X))
        return probabilities

    def predict(self, X: Any) -> NDArray[np.int64]:
        """Return which labels each image has.

        Parameters
        ----------
        X : ndarray, sequence or DataFrame of n images
            As in `fit`.

        Returns
        -------
        indicators : ndarray of int64, shape (n, n_labels)
            1 where the probability is at least that of ``thresholds_``, else 0.
        """
        is_there: NDArray[np.bool_] = self.predict_proba(X) >= self.thresholds_
        return is_there.astype(np.int64)

    def predict_sets(self, X: Any) -> list[set[Any]]:
        """Return the labels of each image.

        Parameters
        ----------
        X : ndarray, sequence or DataFrame of n images
            As in `fit`.

        Returns
        -------
        sets : list of n sets
            Entries of ``classes_``.
        """
        return [set(self.classes_[row == 1].tolist()) for row in self.predict(X)]

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Return the share of images whose labels are all predicted right.

        Parameters
        ----------
        X : ndarray, sequence or DataFrame of n images
            As in `fit`.
        y : array-like of shape (n, n_labels), or sequence of n label sets
            As in `fit`; unknown labels (NaN) count as right.
        sample_weight : array-like of shape (n,) or None, default=None
            Weights of the images.

        Returns
        -------
        score : float
            Exact match, 0..1.
        """
        predicted = self.predict(X)
        owner = type(self).__name__
        _, targets = check_label_sets(owner, y, len(predicted), self.classes_)
        is_right = ((predicted == targets) | np.isnan(targets)).all(axis=1)
        weights = None if sample_weight is None else np.asarray(sample_weight)
        return float(np.average(is_right, weights=weights))

    @property
    def network_(self) -> Any:
        """The network, in evaluation mode, on the device where it predicts."""
        check_is_fitted(self, "weights_")
        self._import("torch")
        from emotion_estimators.classifiers import _multilabel_fit
        from emotion_estimators.training.inference import live_network

        device = _multilabel_fit.torch_device(type(self).__name__, self.accelerator)
        build = partial(
            _multilabel_fit.build_multilabel_network,
            self.architecture_,
            self.backbone,
            self.weights_,
        )
        return live_network(self, build, self.weights_, device)

    def _import(self, *modules: str) -> None:
        for module in modules:
            import_optional(module, extra="lightning", needed_by=type(self).__name__)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.classifier_tags.multi_label = True
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = False
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True  # paths
        return tags
