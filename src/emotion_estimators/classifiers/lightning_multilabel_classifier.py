"""Images in, sets of labels out: a network trained with PyTorch Lightning.

Imports torch and Lightning inside functions only, through `training` and `networks`.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.utils import Tags

from emotion_estimators._sklearn import Interval, StrOptions, constraints, fit_context
from emotion_estimators.classifiers._torch_base import TorchNetworkClassifier
from emotion_estimators.training.checkpoints import describe, describe_network
from emotion_estimators.training.targets import Targets, check_positive_weights, check_weights
from emotion_estimators.training.thresholds import check_thresholds, tune_thresholds
from emotion_estimators.validation.label_sets import check_label_sets
from emotion_estimators.weights import file_sha256

if TYPE_CHECKING:
    from torch import nn

    from emotion_estimators.training.progress import TrainingTask

__all__ = ["LightningMultiLabelClassifier"]

_GIVEN = "given"  # in an architecture: the network is the user's


class LightningMultiLabelClassifier(TorchNetworkClassifier):
    """Network for images that carry any number of labels at once, trained with Lightning.

    Use it where an image shows several things, or none: each label is a question of its own.

    Parameters
    ----------
    image_size : int, (int, int) or None, default=None
        Height and width of the images in pixels, or one int for both. Others are resized; None
        takes them as they are.
    image_shape : tuple of int or None, default=None
        How to read 2-D rows: ``(height, width)`` or ``(height, width, 3)``; one entry may be -1.
    network : str, dict, torch.nn.Module or callable, default="resnet10-narrow"
        Architecture of the network: a name, a dict of settings of the own one, or a function that
        builds it. It may also be a module, which is copied. "resnet6-tiny", "resnet10-narrow",
        "resnet10", "resnet18", "resnet34" and "resnet50" are residual networks, for images of
        any size; ``{"widths": (32, 64), "n_blocks": (2, 2), "bottleneck": False}`` sets their
        stages, of which "n_blocks" (1 each) and "bottleneck" may be left out. "timm:<name>" is one
        of timm's, where that is installed. A function gets the image size, (height, width).
        What it gives, and a module, takes standardised images (n, 3, height, width) and returns
        features (n, c) or maps (n, c, h, w).
    weights : str, path-like or None, default=None
        Pretrained weights: a registered name, or the path of a file. "timm" lets timm fetch those
        of a "timm:<name>" network. The file is one of ``torch.save(module.state_dict(), path)``
        that holds all weights of the network; what else it holds, as a head, is left out. None
        begins at random, a module where it is.
    head_hidden : int or None, default=256
        Units of the layer between features and labels. None leaves it out.
    labels : array-like of shape (n_labels,) or None, default=None
        Names of the labels, in the order of the outputs. None takes the columns of a DataFrame,
        else numbers from 0; of label sets it takes those that occur, sorted.
    loss : {"bce", "focal", "asymmetric"} or callable, default="bce"
        Binary cross-entropy, focal loss [1]_ (gamma 2, alpha 0.25), asymmetric loss [2]_ (gamma 0
        for positives, 4 for negatives, margin 0.05), or a function of scores (logits) and targets,
        0 or 1, both (n, n_labels), that gives a loss for each of them, as torch's do with
        ``reduction="none"``. It gets ``pos_weight`` by name where that is set.
    pos_weight : float, array-like of shape (n_labels,), dict, "balanced" or None, default=None
        Factor of the loss of positives, also by label; "balanced" is the number of negatives over
        that of positives.
    threshold : float, array-like of shape (n_labels,) or "tune", default=0.5
        Least probability of a label that `predict` gives. "tune" learns one for each label from
        the held-out images, for the best F1; see Notes.
    augmentation : float, default=0.3
        Strength of the random changes to training images; 0 leaves all of them out. They are
        mirroring, rotation, zoom, stretch, shift, contrast and brightness.
    max_epochs : int, default=40
        Passes over the training images.
    batch_size : int or "auto", default=32
        Images that go through the network at once. On each device; "auto" halves 128 until a step
        fits in memory.
    learning_rate : float, default=2e-3
        Highest learning rate of the optimizer.
    weight_decay : float, default=0.01
        L2 penalty on the weights, as the optimizer applies it; 0 is none. Not on biases and
        normalisation.
    warmup : float or None, default=0.1
        Share of the training in which the learning rate rises linearly; then it falls to zero as a
        cosine. None keeps it constant, or leaves it to one of `callbacks`.
    optimizer : callable or None, default=None
        Optimizer: a class of the wrapped library, or a ``functools.partial`` of one. None is
        ``torch.optim.AdamW``. It is called with groups of weights, which say their
        ``weight_decay``, and with ``lr=learning_rate``.
    gradient_clip : float or None, default=1.0
        Largest norm of the gradient; None does not limit it.
    ema_decay : float or None, default=None
        Decay per step of the moving average of the weights, which is what is kept. None keeps the
        weights themselves.
    validation_fraction : float or None, default=0.1
        Share of the training images that is held out; the weights of the epoch that is best on
        them are kept. That is the one of the best macro average precision. None trains on all and
        keeps the last.
    n_iter_no_change : int or None, default=None
        Epochs without improvement after which training stops. Of the held-out part, or of the
        training loss where nothing is held out; None never stops early.
    test_time_augmentation : bool, default=False
        Average the answers over views of each image. They are the image and its mirror image;
        `decision_function` gives the logits of the mean.
    device : str, default="auto"
        Where the network runs: "cpu", "cuda", "cuda:1" and so on; "auto" is CUDA if there is a
        device, else the CPU.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Numbers that the network computes in. "auto" trains in bfloat16 where the hardware computes
        in it; predictions always run in float32. On the CPU a network whose strided convolutions
        get maps no wider than their stride trains in float32: torch's are wrong there.
    num_workers : int, default=0
        0 decodes all images before the training and holds them in memory, on the CUDA device if
        they fit there. Above 0, so many processes decode them as they are needed.
    callbacks : list, tuple or None, default=None
        Callbacks of the wrapped library, copied for each fit. They are Lightning's, and can
        watch ``train_loss``, ``valid_loss``, ``valid_average_precision`` and ``learning_rate``.
    trainer : dict or None, default=None
        Further parameters of ``pytorch_lightning.Trainer``, such as ``logger``,
        ``accumulate_grad_batches``, or ``{"devices": 2, "strategy": "ddp"}``, see Notes. What has
        a parameter here is refused there. None is ``{"logger": False}``.
    checkpoint_dir : str, path-like or None, default=None
        Folder in which the state is written after each epoch, each fit's in
        ``<fingerprint>/last.npz``. None writes nothing. See Notes.
    resume : bool, str or path-like, default=False
        Go on where an earlier fit was stopped. True goes on where this very fit was, and starts
        where it was not; a path, of a checkpoint or its folder, is taken, or refused with what
        differs.
    warm_start : bool, default=False
        Begin ``fit`` with the weights of the last one.
    verbose : int, default=0
        Above 0, show progress bars.
    random_state : int, RandomState instance or None, default=None
        Seed of what is drawn at random; an int gives the same result each time. Here: the split,
        the first weights, the batches and the augmentation.

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
        The network itself, on the CPU, built of ``weights_`` when asked for.
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
    make_multilabel_classifier : The same with the settings of the original scripts.
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
    0.5 is far off: with "focal", "asymmetric", ``pos_weight``, after few epochs, or for labels
    that are often missed.

    The same seed gives the same network on the same CPU and number of threads. Global random
    states are neither used nor changed. With a network of this library a prediction does not
    depend on the other images of X, bit for bit on the CPU. The estimator holds arrays, never a
    live network, but for a module given as ``network``; that, or a function, must stay what it was
    in `fit`: predictions need its layers.

    ``KeyboardInterrupt`` (Ctrl-C) ends the training and is raised. After at least one epoch the
    estimator is fitted with its best weights so far, and a note of the exception says of which
    epoch; the same holds for the OSError of a checkpoint that cannot be written. Before, and after
    any other error, it is as it was.

    A checkpoint is of one fit only, known by all that its result depends on: images, targets,
    weights, parameters, split, seed, the kind of device, versions. So the fits of a search can
    share ``checkpoint_dir``, also with ``n_jobs=2``; another fit's file is refused with what
    differs, a damaged one by its checksum. With ``num_workers`` above 0 all images are decoded
    once for that. Where ``random_state`` is None, a fit goes on with the seed of the one that was
    not finished; one that is over is not taken for another.

    ``trainer={"devices": 2, "strategy": "ddp"}`` is for scripts only, not for notebooks, joblib or
    grid searches: Lightning starts the script once more for each further device. All processes end
    with the same fitted estimator; guard what is to happen once with
    ``if os.environ.get("LOCAL_RANK", "0") == "0"``.

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
    >>> net = LightningMultiLabelClassifier(network="resnet6-tiny", max_epochs=1, random_state=0)
    >>> net.fit(X, y).predict(X).shape, net.classes_.tolist()
    ((12, 2), ['boat', 'bus'])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **constraints("image_size", "image_shape", "network"),
        "weights": [str, os.PathLike, None],
        "head_hidden": [Interval(Integral, 1, None, closed="left"), None],
        **constraints("labels"),
        "loss": [StrOptions({"bce", "focal", "asymmetric"}), callable],
        "pos_weight": [
            Interval(Real, 0, None, closed="neither"), "array-like", dict,
            StrOptions({"balanced"}), None,
        ],
        "threshold": [Interval(Real, 0, 1, closed="both"), "array-like", StrOptions({"tune"})],
        **constraints("augmentation", "max_epochs"),
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        **constraints("learning_rate", "weight_decay", "warmup", "optimizer"),
        "gradient_clip": [Interval(Real, 0, None, closed="neither"), None],
        **constraints("ema_decay", "validation_fraction", "n_iter_no_change"),
        **constraints("test_time_augmentation", "device", "precision"),
        "num_workers": [Interval(Integral, 0, None, closed="left")],
        **constraints("callbacks"),
        "trainer": [dict, None],
        **constraints("checkpoint_dir", "resume", "warm_start", "verbose", "random_state"),
    }  # fmt: skip

    _extra: ClassVar[str] = "lightning"
    _libraries: ClassVar[tuple[str, ...]] = ("torch", "pytorch_lightning")
    _color: ClassVar[str] = "rgb"
    _activation: ClassVar[str] = "sigmoid"

    thresholds_: NDArray[np.float64]

    def __init__(
        self,
        *,
        image_size: int | tuple[int, int] | None = None,
        image_shape: tuple[int, ...] | None = None,
        network: Any = "resnet10-narrow",
        weights: str | os.PathLike[str] | None = None,
        head_hidden: int | None = 256,
        labels: ArrayLike | None = None,
        loss: str | Callable[..., Any] = "bce",
        pos_weight: Any = None,
        threshold: Any = 0.5,
        augmentation: float = 0.3,
        max_epochs: int = 40,
        batch_size: int | str = 32,
        learning_rate: float = 2e-3,
        weight_decay: float = 0.01,
        warmup: float | None = 0.1,
        optimizer: Callable[..., Any] | None = None,
        gradient_clip: float | None = 1.0,
        ema_decay: float | None = None,
        validation_fraction: float | None = 0.1,
        n_iter_no_change: int | None = None,
        test_time_augmentation: bool = False,
        device: str = "auto",
        precision: str = "auto",
        num_workers: int = 0,
        callbacks: Sequence[Any] | None = None,
        trainer: Mapping[str, Any] | None = None,
        checkpoint_dir: str | os.PathLike[str] | None = None,
        resume: bool | str | os.PathLike[str] = False,
        warm_start: bool = False,
        verbose: int = 0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.image_size = image_size
        self.image_shape = image_shape
        self.network = network
        self.weights = weights
        self.head_hidden = head_hidden
        self.labels = labels
        self.loss = loss
        self.pos_weight = pos_weight
        self.threshold = threshold
        self.augmentation = augmentation
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.warmup = warmup
        self.optimizer = optimizer
        self.gradient_clip = gradient_clip
        self.ema_decay = ema_decay
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.test_time_augmentation = test_time_augmentation
        self.device = device
        self.precision = precision
        self.num_workers = num_workers
        self.callbacks = callbacks
        self.trainer = trainer
        self.checkpoint_dir = checkpoint_dir
        self.resume = resume
        self.warm_start = warm_start
        self.verbose = verbose
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Any:
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
            If torch, pytorch-lightning or the timm that a network needs is not installed.
        InvalidImagesError
            If X does not hold usable images.
        KeyboardInterrupt
            At Ctrl-C; see Notes.
        MemoryError
            If CUDA has too little memory for the batches; it says which size to try.
        OSError
            If a checkpoint cannot be written; FileNotFoundError if there is none to resume from,
            or no file of ``weights``.
        RuntimeError
            If several devices are asked for in a worker process.
        ValueError
            If y does not fit X, a parameter is out of its range, or a checkpoint is damaged or of
            another fit.
        WeightsError
            If a file of ``weights`` is damaged or of another network.
        """
        return self._fit(X, y, sample_weight)

    def _check_targets(self, y: Any, sample_weight: Any, n_samples: int) -> Targets:
        """Return which image has which labels."""
        owner = type(self).__name__
        labels, columns = check_label_sets(owner, y, n_samples, self.labels)
        weights = check_weights(owner, sample_weight, n_samples)
        return Targets(labels, None, {"labels": columns}, {"labels": weights})

    def _architecture(self, image_size: tuple[int, int], targets: Targets) -> dict[str, Any]:
        """Return what the network is built with; raise ValueError if parameters do not fit."""
        from emotion_estimators.networks.backbones import check_backbone
        from emotion_estimators.training.device import choose_device
        from emotion_estimators.training.lightning_engine import check_trainer

        owner = type(self).__name__
        settings = self.trainer or {}
        check_trainer(owner, settings, self.random_state)
        check_backbone(owner, self.network, None if self._is_continued() else self.weights)
        choose_device(self.device, needed_by=owner)
        check_positive_weights(owner, self.pos_weight, targets.columns["labels"], targets.classes)
        fixed = check_thresholds(owner, self.threshold, len(targets.classes))
        if fixed is None and self.validation_fraction is None:
            raise ValueError(
                f"{owner} with threshold='tune' needs a held-out part: set validation_fraction."
            )
        if self.batch_size == "auto" and settings.get("devices", 1) > 1:
            raise ValueError(f"{owner} with batch_size='auto' expected devices=1 in trainer.")
        is_named = isinstance(self.network, (str, Mapping))
        return {
            "network": describe(self.network)
            if is_named
            else {_GIVEN: describe_network(self.network)},
            "image_size": list(image_size),
            "n_labels": len(targets.classes),
            "head_hidden": self.head_hidden,
        }

    def _parts(self) -> dict[str, Any]:
        """Return what the result depends on beside data and parameters."""
        from emotion_estimators.networks.backbones import is_of_timm
        from emotion_estimators.training.lightning_engine import describe_trainer

        versions = {"pytorch-lightning": version("pytorch-lightning")}
        if is_of_timm(self.network):
            versions["timm"] = version("timm")
        weights = self.weights
        if weights is not None and Path(weights).is_file():
            weights = file_sha256(Path(weights))
        return super()._parts() | {
            "libraries": versions,
            "network": describe(self.network),
            "weights": describe(weights),
            "pos_weight": describe(self.pos_weight),
            "trainer": describe_trainer(self.trainer or {}),
            "num_workers": "0" if self.num_workers == 0 else "above 0",
        }

    def _train(self, task: TrainingTask, architecture: dict[str, Any]) -> None:
        """Train with Lightning."""
        from emotion_estimators.networks.multi_label import first_network
        from emotion_estimators.training.device import choose_device
        from emotion_estimators.training.lightning_engine import train_with_lightning

        owner = type(self).__name__
        weights = self.weights if task.first_weights is None else None
        train_with_lightning(
            task,
            partial(first_network, owner, self.network, architecture, weights=weights),
            device=choose_device(self.device, needed_by=owner),
            precision=self.precision,
            ema_decay=self.ema_decay,
            loss=self.loss,
            pos_weight=check_positive_weights(
                owner, self.pos_weight, task.columns["labels"], task.classes
            ),
            gradient_clip=self.gradient_clip,
            n_workers=self.num_workers,
            trainer=self.trainer or {},
        )

    def _build_fitted(self, architecture: dict[str, Any]) -> nn.Module:
        """Return a network of this architecture, whose weights are then replaced."""
        from emotion_estimators.networks.multi_label import make_network

        network = architecture["network"]
        if isinstance(network, dict) and _GIVEN in network:
            self._check_given(network[_GIVEN])
            network = self.network
        return make_network(network, architecture, self.weights_["head.0.weight"].shape[1])

    def _is_own(self) -> bool:
        """Return whether the network is one of this library."""
        from emotion_estimators.networks.backbones import is_of_timm

        network = self.architecture_["network"]
        return _GIVEN not in network if isinstance(network, dict) else not is_of_timm(network)

    def _answer(self, network: Any, batch: NDArray[Any]) -> NDArray[np.float64]:
        """Return the scores, (n, n_labels), of a batch (n, height, width, 3)."""
        from emotion_estimators.training.inference import label_scores

        return label_scores(
            network, batch, batch_size=self._batch, mirrored=self.test_time_augmentation
        )

    def _more_fitted(self, fitted: dict[str, Any], task: TrainingTask) -> dict[str, Any]:
        """Return the thresholds; learned, if they are to be, from the held-out images."""
        fixed = check_thresholds(type(self).__name__, self.threshold, len(fitted["classes_"]))
        if fixed is not None:
            return {"thresholds_": fixed}
        assert task.held_out is not None  # noqa: S101 - `_architecture` asks for it
        trained = copy.copy(self)
        trained.__dict__.update(fitted)
        answer = trained._asked(1)
        answers = []
        for start in range(0, len(task.held_out), self._batch):
            rows = task.held_out[start : start + self._batch].tolist()
            answers.append(answer(np.stack([task.images.image(row) for row in rows])))
        targets = task.columns["labels"][task.held_out]
        return {"thresholds_": tune_thresholds(expit(np.concatenate(answers)), targets)}

    def _metadata(self) -> dict[str, str]:
        """Return what stands in an ONNX file beside the network, as JSON."""
        return super()._metadata() | {"thresholds": json.dumps(self.thresholds_.tolist())}

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
        return self._answers(X)

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
        _, targets = check_label_sets(type(self).__name__, y, len(predicted), self.classes_)
        is_right = ((predicted == targets) | np.isnan(targets)).all(axis=1)
        weights = None if sample_weight is None else np.asarray(sample_weight)
        return float(np.average(is_right, weights=weights))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.classifier_tags.multi_label = True
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = False
        return tags
