"""Grey face crops in, emotions out: a convolutional network that is trained.

Imports torch and skorch inside functions only, through `training` and `networks`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from emotion_estimators._sklearn import HasMethods, Interval, constraints, fit_context
from emotion_estimators.classifiers._torch_base import SkorchNetworkClassifier
from emotion_estimators.training.checkpoints import describe_network, differences
from emotion_estimators.training.targets import Targets, taught
from emotion_estimators.validation import check_class_prior, check_votes

if TYPE_CHECKING:
    from torch import nn

    from emotion_estimators.training.first_weights import FirstWeights
    from emotion_estimators.training.progress import TrainingTask

__all__ = ["EmotionCNNClassifier"]


class EmotionCNNClassifier(SkorchNetworkClassifier):
    """Convolutional network for 48 x 48 grey faces, trained from scratch or from weights.

    Use it to train on one's own faces and labels, or to train a network of one's own on them. The
    embedded model of this library is a ``network="large"`` of this class, trained with votes.

    Parameters
    ----------
    image_size : int, (int, int) or None, default=48
        Height and width of the images in pixels, or one int for both. Others are resized; None
        takes them as they are.
    image_shape : tuple of int or None, default=None
        How to read 2-D rows: ``(height, width)`` or ``(height, width, 3)``; one entry may be -1.
    network : str, dict, torch.nn.Module or callable, default="small"
        Architecture of the network: a name, a dict of settings of the own one, or a function that
        builds it. It may also be a module of torch, which is copied. "small" takes 68 million
        multiplications a face of 48 x 48 px, "large" 170 million: it sees the face at full
        resolution. The settings, with their values in "small", which are those of a dict that
        leaves them out: ``stem_width`` (32, channels of the first convolution, 5 x 5),
        ``stem_stride`` (2, which halves the resolution; 1 keeps it and takes several times as
        long), ``widths`` ((48, 96, 192), channels of the stages of 3 x 3 convolutions, between
        which stands a max pooling), ``n_blocks`` ((0, 1, 1), residual blocks of each stage) and
        ``dropout`` (0.3, share of the pooled features dropped in training). A function is called as
        ``network(image_size, n_classes)`` and returns a module. A network of one's own gets grey
        images (n, 1, height, width), scaled to mean 0 and standard deviation 1 by the training
        pixels, and gives scores (logits) (n, n_classes).
    weights : str, path-like or None, default=None
        Pretrained weights: a registered name, or the path of a file. "embedded", whose network is
        "large", or an ``.onnx`` file that `export_onnx` wrote of the same `network`, with which
        the training begins; where its classes are others the last layer is new. None begins with
        random ones.
    augmentation : float, default=1.0
        Strength of the random changes to training images; 0 leaves all of them out. They are
        mirroring, rotation, zoom, stretch, shift, contrast and brightness.
    erasing : float, default=0.3
        Probability that a box of a training image is covered with one grey.
    mixup : float, default=0
        Above 0, blend each training image and its target with another's. The parts are drawn
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
    votes_weight : float, default=0.5
        Share of the votes in the loss, where `fit` gets any; the rest is that of the labels.
    output : {"labels", "votes"} or None, default=None
        Which of a network's outputs answers. One that was trained with votes has two: "labels"
        learned the labels, "votes" what share of people votes for each class. None is "labels".
    class_prior : "uniform", array-like of shape (n_classes,), dict or None, default=None
        How common the classes are where the images come from, as counts or shares above 0, in
        the order of ``classes_`` or by class; "uniform" takes all for equally common. Each
        probability is multiplied by it and divided by ``class_prior_``, what the network learned.
        With ``output="votes"`` the result is no share of people any more. None leaves the
        probabilities as they are.
    max_epochs : int, default=100
        Passes over the training images.
    max_time : float or None, default=None
        Seconds in which the training and its schedule end at the latest. Where they cut it short,
        the result depends on the machine and its load: a seed no longer fixes it.
    batch_size : int, default=128
        Images that go through the network at once.
    learning_rate : float, default=0.1
        Highest learning rate of the optimizer.
    weight_decay : float, default=5e-4
        L2 penalty on the weights, as the optimizer applies it; 0 is none. Not on biases and
        normalisation.
    warmup : float or None, default=0.1
        Share of the training in which the learning rate rises linearly; then it falls to zero
        as a cosine. None keeps it constant, or leaves it to one of `callbacks`.
    optimizer : callable or None, default=None
        Optimizer: a class of the wrapped library, or a ``functools.partial`` of one. It is called
        as ``optimizer(groups, lr=learning_rate)``, the groups of parameters as those of torch,
        each with its ``weight_decay``. None is SGD with Nesterov momentum of 0.9.
    ema_decay : float or None, default=0.999
        Decay per step of the moving average of the weights, which is what is kept. None keeps the
        weights themselves.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, multiplied with ``sample_weight``.
    validation_fraction : float or None, default=0.1
        Share of the training images that is held out; the weights of the epoch that is best on
        them are kept. It is stratified where the classes are large enough. None trains on all and
        keeps the last.
    n_iter_no_change : int or None, default=30
        Epochs without improvement after which training stops. Of the held-out part, or of the
        training loss where nothing is held out; None never stops early.
    test_time_augmentation : bool, default=True
        Average the answers over views of each image. They are the image and its mirror image.
    callbacks : list, tuple or None, default=None
        Callbacks of the wrapped library, copied for each fit. They are skorch's, see Notes.
    warm_start : bool, default=False
        Begin ``fit`` with the weights of the last one.
    checkpoint_dir : str, path-like or None, default=None
        Folder in which the state is written after each epoch, each fit's in
        ``<fingerprint>/last.npz``. None writes nothing.
    resume : bool, str or path-like, default=False
        Go on where an earlier fit was stopped. True goes on where this very fit was, and starts
        where it was not; a path, of a checkpoint or its folder, is taken, or refused with what
        differs. On the CPU, with the same number of threads, the weights are bit for bit those of
        a fit that was not stopped.
    device : str, default="auto"
        Where the network runs: "cpu", "cuda", "cuda:1" and so on; "auto" is CUDA if there is a
        device, else the CPU.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Numbers that the network computes in. "auto" trains in bfloat16 where the hardware
        computes in it: CUDA devices of compute capability 8 and some CPUs; predictions always run
        in float32.
    verbose : int, default=0
        Above 0, show progress bars.
    random_state : int, RandomState instance or None, default=None
        Seed of what is drawn at random; an int gives the same result each time. Here: the split,
        the first weights, the batches, the augmentation and the dropout.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels in sorted order.
    class_prior_ : ndarray of shape (n_classes,)
        How common each of ``classes_`` was in the training of the output that answers, as shares:
        the weighted mean of its targets, with label smoothing and what a teacher said.
    weights_ : dict of str to ndarray
        Weights and statistics of the network, by their names in it.
    architecture_ : dict
        Settings with which the network was built; of a network of one's own, what describes it.
    network_ : torch.nn.Module
        The network with these weights, which gives scores of images in 0..1, (n, 1, height,
        width). Built when it is first asked for.
    history_ : list of dict
        One record per epoch: ``epoch``, ``train_loss``, ``train_accuracy`` (on augmented
        images), ``learning_rate`` and, where a part is held out, ``valid_loss`` and
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
    EmotionEmbedder : The features of the embedded network, for a classifier that learns them in a
        moment.

    Notes
    -----
    Input is converted to grey; uint8 is scaled to 0..1; the mean and standard deviation of the
    training pixels are part of the network. Training holds all images in memory.

    Weights of a file have the normalisation in their convolutions. It is worked out again from 256
    of the training images, so that the first network answers as the file does. Begin with a smaller
    learning rate than from scratch, such as 0.003: a larger one loses what it knows. With a few
    dozen faces of each class `EmotionEmbedder` and a linear classifier are as good, in a second.

    A callback sees skorch's net: ``net.module_`` is trained, ``net.evaluated_module`` (the average
    of its weights) is what a held-out part judges, ``net.infer`` and ``net.predict`` ask, and the
    fit keeps. ``net.history[-1]`` has the record of the epoch and ``score``, which decides which
    one is best. A callback ends the training as it does in skorch, by ``KeyboardInterrupt`` (as
    ``skorch.callbacks.EarlyStopping`` does): the epoch ends after the batch, is judged and counts;
    so a Ctrl-C that comes while a callback runs is taken for its wish. Each fit has copies of
    them, so that a search may fit in several threads: what they note is to be written somewhere.
    Their state is no part of a checkpoint. Pass ``warmup=None`` where one sets the learning rate.

    The same seed gives the same network on the same CPU and number of threads; a CUDA device is
    asked for deterministic convolutions, but that it gives the same twice is untested. The
    state of torch's global generators is restored after a fit, and one thread of a process
    trains at a time. A prediction does not depend on the other images of X, bit for bit on the
    CPU, with the networks of this library.

    `export_onnx` writes a network that was trained with votes with the outputs ``votes``,
    ``labels`` and ``features``; `PretrainedEmotionClassifier` answers from the one that answers
    here, or from that of its own ``output``.

    What is fitted are arrays and JSON, never a live network: what a CUDA device trained loads
    anywhere. A network of one's own is built once more by `network`, which must still be the one
    that was fitted.

    ``KeyboardInterrupt`` (Ctrl-C) ends the training and is raised. After at least one epoch the
    estimator is fitted with its best weights so far, and a note of the exception says of which
    epoch; the same holds for the OSError of a checkpoint that cannot be written. Before, and after
    any other error, it is as it was.

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
    ...     image_size=24,
    ...     network={"stem_width": 4, "widths": (8,), "n_blocks": (0,)},
    ...     max_epochs=1,
    ...     random_state=0,
    ... )
    >>> cnn.fit(X, y).predict_proba(X).shape
    (40, 7)
    """

    _color: ClassVar[str] = "grey"
    _class_priors: dict[str, NDArray[np.float64]]  # by output

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **constraints("image_size", "image_shape", "network"),
        "weights": [str, os.PathLike, None],
        **constraints("augmentation", "erasing", "mixup", "label_smoothing"),
        "teacher": [HasMethods("predict_proba"), None],
        "teacher_weight": [Interval(Real, 0, 1, closed="both")],
        "votes_weight": [Interval(Real, 0, 1, closed="both")],
        "output": [str, None],
        **constraints("class_prior", "max_epochs", "max_time"),
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        **constraints(
            "learning_rate", "weight_decay", "warmup", "optimizer", "ema_decay", "class_weight",
            "validation_fraction", "n_iter_no_change", "test_time_augmentation", "callbacks",
            "warm_start", "checkpoint_dir", "resume", "device", "precision", "verbose",
            "random_state",
        ),
    }  # fmt: skip

    def __init__(
        self,
        *,
        image_size: int | tuple[int, int] | None = 48,
        image_shape: tuple[int, ...] | None = None,
        network: str | Mapping[str, Any] | Callable[..., Any] = "small",
        weights: str | os.PathLike[str] | None = None,
        augmentation: float = 1.0,
        erasing: float = 0.3,
        mixup: float = 0,
        label_smoothing: float = 0.1,
        teacher: Any = None,
        teacher_weight: float = 0.5,
        votes_weight: float = 0.5,
        output: str | None = None,
        class_prior: ArrayLike | dict[Any, float] | str | None = None,
        max_epochs: int = 100,
        max_time: float | None = None,
        batch_size: int = 128,
        learning_rate: float = 0.1,
        weight_decay: float = 5e-4,
        warmup: float | None = 0.1,
        optimizer: Callable[..., Any] | None = None,
        ema_decay: float | None = 0.999,
        class_weight: dict[Any, float] | str | None = None,
        validation_fraction: float | None = 0.1,
        n_iter_no_change: int | None = 30,
        test_time_augmentation: bool = True,
        callbacks: Sequence[Any] | None = None,
        warm_start: bool = False,
        checkpoint_dir: str | os.PathLike[str] | None = None,
        resume: bool | str | os.PathLike[str] = False,
        device: str = "auto",
        precision: str = "auto",
        verbose: int = 0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.image_size = image_size
        self.image_shape = image_shape
        self.network = network
        self.weights = weights
        self.augmentation = augmentation
        self.erasing = erasing
        self.mixup = mixup
        self.label_smoothing = label_smoothing
        self.teacher = teacher
        self.teacher_weight = teacher_weight
        self.votes_weight = votes_weight
        self.output = output
        self.class_prior = class_prior
        self.max_epochs = max_epochs
        self.max_time = max_time
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.warmup = warmup
        self.optimizer = optimizer
        self.ema_decay = ema_decay
        self.class_weight = class_weight
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.test_time_augmentation = test_time_augmentation
        self.callbacks = callbacks
        self.warm_start = warm_start
        self.checkpoint_dir = checkpoint_dir
        self.resume = resume
        self.device = device
        self.precision = precision
        self.verbose = verbose
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        votes: Any = None,
    ) -> Any:
        """Train the network.

        Parameters
        ----------
        X : ndarray, sequence or DataFrame of n images
            As `check_images` takes them: arrays (n, h, w) or (n, h, w, 3), paths, rows...
        y : array-like of shape (n,)
            Class labels, strings or numbers.
        sample_weight : array-like of shape (n,) or None, default=None
            Weights of the images in the loss and in the validation.
        votes : array-like or DataFrame of shape (n, n_classes) or None, default=None
            What people voted, counts or shares, in the order of ``classes_``; or a frame that has
            a column for each class, and may have ``contempt``, ``unknown`` and ``no_face``. The
            network then has a second output, which learns the shares; an image counts there as
            far as its votes are for one of the classes, one with zeros alone not at all. The
            labels decide which epoch is best.

        Returns
        -------
        self : estimator
            The fitted estimator.

        Raises
        ------
        MissingDependencyError
            If torch or skorch is not installed.
        InvalidImagesError
            If X does not hold usable images.
        KeyboardInterrupt
            At Ctrl-C; see Notes.
        OSError
            If a checkpoint cannot be written; FileNotFoundError if there is none to resume from, or
            no file of `weights`.
        ValueError
            If y or votes do not fit X, a parameter is out of its range, `weights` are of another
            network, or a checkpoint is damaged or of another fit.
        WeightsError
            If the file of `weights` is damaged, or none that `export_onnx` wrote.
        """
        return self._fit(X, y, sample_weight, votes=votes)

    def _check_targets(
        self, y: Any, sample_weight: Any, n_samples: int, votes: Any = None
    ) -> Targets:
        """Return what is learned: one of several classes for each image, and votes for them."""
        targets = super()._check_targets(y, sample_weight, n_samples)
        owner = type(self).__name__
        self._check_output(has_votes=votes is not None)
        check_class_prior(self.class_prior, targets.classes, name=owner)
        if votes is None:
            return targets
        if not isinstance(self.network, (str, Mapping)):
            raise ValueError(
                f"{owner} learns votes with its own networks only, got network={self.network!r}. "
                "Pass a name or a dict, or leave votes out."
            )
        shares, weights = check_votes(votes, targets.classes, n_samples=n_samples, name=owner)
        if not weights.any():
            raise ValueError(
                f"{owner} expected votes for one of the classes in a row at least, got none. Leave "
                "votes out to learn the labels alone."
            )
        return Targets(
            targets.classes,
            targets.codes,
            targets.columns | {"votes": shares},
            targets.weights | {"votes": weights * targets.weights["labels"]},
        )

    def _check_output(self, *, has_votes: bool) -> str:
        """Return the output that answers; raise ValueError if there is no such."""
        output, owner = self.output, type(self).__name__
        if output == "features":
            raise ValueError(
                f"{owner} expected output to be 'labels' or 'votes', got 'features': those of the "
                "embedded network are what EmotionEmbedder gives."
            )
        if output not in (None, "labels", "votes"):
            raise ValueError(f"{owner} expected output to be 'labels' or 'votes', got {output!r}.")
        if output == "votes" and not has_votes:
            raise ValueError(
                f"{owner} with output='votes' learns them from votes, which fit got none of. Fit "
                "with votes, or set output to None."
            )
        return output or "labels"

    def _architecture(self, image_size: tuple[int, int], targets: Targets) -> dict[str, Any]:
        """Return the settings of the network; raise ValueError if they do not fit each other."""
        n_classes = len(targets.classes)
        if not isinstance(self.network, (str, Mapping)):
            if self.weights is not None:
                raise ValueError(
                    f"{type(self).__name__} got weights={self.weights!r} for a network of one's "
                    'own. Set network="large", or weights=None.'
                )
            return {
                "n_classes": n_classes,
                "image_size": list(image_size),
                "network": describe_network(self.network),
            }
        from emotion_estimators.networks.emotion import network_settings

        own = network_settings(type(self).__name__, self.network)
        settings = {"n_classes": n_classes, **own}
        if self.weights is not None:
            self._check_architecture(settings)
        return settings | ({"has_votes": True} if "votes" in targets.columns else {})

    def _check_architecture(self, settings: dict[str, Any]) -> None:
        """Raise ValueError unless these are the settings of the network that has the weights."""
        from emotion_estimators.networks.emotion import EMOTION_NETWORKS, of_weights

        known, own = of_weights(self._first_weights().network), of_weights(settings)
        if own == known:
            return
        names: list[Any] = [n for n, one in EMOTION_NETWORKS.items() if of_weights(one) == known]
        raise ValueError(
            f"{type(self).__name__} got weights={self.weights!r} of another network than the one "
            f"that it has: {differences(known, own)}. Set network={(names or [known])[0]!r}."
        )

    def _first_weights(self) -> FirstWeights:
        """Return the weights with which a training begins."""
        self._import("torch")
        from emotion_estimators.training.first_weights import find_first_weights

        assert self.weights is not None  # noqa: S101 - asked for where there are some
        return find_first_weights(type(self).__name__, self.weights)

    def _train(self, task: TrainingTask, architecture: dict[str, Any]) -> None:
        """Train with skorch, from the weights of a file where they are given."""
        if self.weights is not None and task.first_weights is None:
            assert task.pixels is not None  # noqa: S101 - only classes with num_workers stream
            task.first_weights = self._first_weights().fit_for(
                architecture, task.classes, task.pixels[task.train]
            )
        super()._train(task, architecture)

    def _shares(self, task: TrainingTask) -> dict[str, float]:
        """Return the shares of the outputs in the loss."""
        if "votes" not in task.columns:
            return super()._shares(task)
        return {"labels": 1 - self.votes_weight, "votes": self.votes_weight}

    def _answer(self, network: Any, batch: NDArray[Any]) -> NDArray[np.float64]:
        """Return the probabilities, (n, n_classes), of a batch (n, height, width)."""
        from emotion_estimators.training.inference import class_probabilities

        output = self._check_output(has_votes="has_votes" in self.architecture_)
        probabilities = class_probabilities(
            network,
            batch,
            batch_size=self._batch,
            mirrored=self.test_time_augmentation,
            head="votes" if output == "votes" else "head",
        )
        owner = type(self).__name__
        prior = check_class_prior(self.class_prior, self.classes_, name=owner)
        if prior is None:
            return probabilities
        learned = self.class_prior_
        if learned.min() == 0:
            never = self.classes_[learned == 0].tolist()
            raise ValueError(
                f"{owner} got class_prior={self.class_prior!r}, but its training had no targets "
                f"of the classes {never}, so that it does not know them. Leave class_prior None."
            )
        from emotion_estimators.metrics import adjust_class_prior

        return adjust_class_prior(probabilities, learned, prior)

    @property
    def class_prior_(self) -> NDArray[np.float64]:
        """How common each class was in the training of the output that answers, (n_classes,)."""
        check_is_fitted(self, "weights_")
        output = self._check_output(has_votes="has_votes" in self.architecture_)
        prior: NDArray[np.float64] = self._class_priors[output].copy()
        return prior

    def _more_fitted(self, fitted: dict[str, Any], task: TrainingTask) -> dict[str, Any]:
        """Return the weighted mean of the training targets of each output."""
        priors = {}
        for name, targets in task.columns.items():
            weights = task.weights[name][task.train].astype(np.float64)  # (n_train,)
            # without any votes among the faces that are trained on, zeros
            prior = weights @ targets[task.train] / (weights.sum() or 1.0)  # (n_classes,)
            smoothing = self.label_smoothing if name == "labels" else 0.0
            priors[name] = (1 - smoothing) * prior + smoothing / len(prior)
        return super()._more_fitted(fitted, task) | {"_class_priors": priors}

    def _builder(
        self, architecture: dict[str, Any]
    ) -> Callable[[NDArray[np.float64], NDArray[np.float64]], nn.Module]:
        """Return what builds the network with which a training begins."""
        return lambda mean, std: self._build(architecture, float(mean[0]), float(std[0]))

    def _build_fitted(self, architecture: dict[str, Any]) -> nn.Module:
        """Return a network of this architecture; raise ValueError if it is not to be built."""
        if not self._is_own():
            self._check_given(architecture["network"])
        return self._build(architecture)

    def _build(
        self, architecture: dict[str, Any], mean: float = 0.0, std: float = 1.0
    ) -> nn.Module:
        """Return a new network, or the user's."""
        from emotion_estimators.networks.emotion import EmotionCNN, StandardizedNetwork
        from emotion_estimators.networks.given import given_network

        if "network" not in architecture:
            return EmotionCNN(**architecture, mean=mean, std=std)
        size, n_classes = tuple(architecture["image_size"]), architecture["n_classes"]
        return StandardizedNetwork(given_network(self.network, size, n_classes), mean=mean, std=std)

    def _named_outputs(self, network: Any) -> dict[str, Any]:
        """Return the outputs of a file, as `torch_onnx` takes them."""
        if "has_votes" not in self.architecture_:
            return {}
        return {"heads": [{"votes": network.votes, "labels": network.head}], "features": True}

    def _metadata(self) -> dict[str, str]:
        """Return what stands in an ONNX file beside the network, as JSON."""
        stated: dict[str, Any] = {}
        if self._is_own():
            from emotion_estimators.networks.emotion import of_weights

            stated["network"] = of_weights(self.architecture_)
        # of a class that the training had no targets of, no prior can be told
        priors = {k: v.tolist() for k, v in self._class_priors.items() if v.min() > 0}
        if "has_votes" in self.architecture_:
            stated |= {"output": self._check_output(has_votes=True), "class_prior": priors}
        elif priors:
            stated["class_prior"] = priors["labels"]
        return super()._metadata() | {name: json.dumps(value) for name, value in stated.items()}

    def _parts(self) -> dict[str, Any]:
        """Return what the result depends on beside data and parameters."""
        own = isinstance(self.network, (str, Mapping))
        weights = {} if self.weights is None else {"weights": self._first_weights().hash}
        return super()._parts() | weights | ({} if own else {"network": self.network})

    def _columns(
        self, targets: Targets, pixels: NDArray[Any] | None
    ) -> dict[str, NDArray[np.float32]]:
        """Return what all images are to teach, by output: labels and the teacher's share."""
        if self.teacher is None or self.teacher_weight == 0:
            return targets.columns
        assert pixels is not None  # noqa: S101 - only classes with num_workers stream them
        labels = taught(type(self).__name__, self.teacher, self.teacher_weight, targets, pixels)
        return targets.columns | {"labels": labels}
