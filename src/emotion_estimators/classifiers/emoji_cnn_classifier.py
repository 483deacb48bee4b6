"""Images of emoji in, emotions out: a small Keras network trained from scratch.

Imports keras, scikeras and onnxruntime inside functions only, through `training` and
`networks`.
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from importlib.metadata import version
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emotion_estimators._forks import after_fork
from emotion_estimators._sklearn import constraints
from emotion_estimators.classifiers._base import NetworkClassifier
from emotion_estimators.exceptions import WeightsError
from emotion_estimators.networks.onnx.views import small_shifts
from emotion_estimators.training.checkpoints import describe
from emotion_estimators.training.grey_augmentation import scaled, shifted_views
from emotion_estimators.training.keras_backend import installed_backend
from emotion_estimators.training.progress import TrainingTask
from emotion_estimators.training.targets import Targets

__all__ = ["EmojiCNNClassifier"]

_EDGES: dict[str, Any] = {"filters": (96, 128), "dropout": 0.5}
_ORIGINAL_MIN_SIZE = 8  # px: two convolutions without padding and a pooling leave one pixel of 8

# Backends that a forked process has from its parent, without the threads that they wait for.
_dead_backends: set[str] = set()
after_fork(lambda: _dead_backends.update({"tensorflow", "jax"}.intersection(sys.modules)))


class EmojiCNNClassifier(NetworkClassifier):
    """Convolutional Keras network for small images such as emoji, trained from scratch.

    For a few dozen to a few thousand images: augmentation and regularisation let it learn
    from some hundred. Runs on the Keras backend that the user has chosen or has, trains networks,
    optimizers and callbacks of the user's own. `make_emoji_classifier` gives it the settings of
    the original scripts.

    Parameters
    ----------
    image_size : int, (int, int) or None, default=48
        Height and width of the images in pixels, or one int for both. Others are resized; None
        takes them as they are.
    image_shape : tuple of int or None, default=None
        How to read 2-D rows: ``(height, width)`` or ``(height, width, 3)``; one entry may be -1.
    network : str, dict or callable, default="edges"
        Architecture of the network: a name, a dict of settings of the own one, or a function that
        builds it.

        "edges" begins with a fixed layer, derivatives of Gaussians in eight directions and two
        widths, averaged over cells of 4 x 4 pixels and normalised there; trained convolutions
        with batch normalisation follow. A dict changes its settings: ``filters``, the channels of
        the trained convolutions, (96, 128) unless given, and ``dropout``, the share of the
        features before the last layer dropped in training, 0.5 unless given.
        "original" is the classic small network of the original scripts: convolutions of 32 and 64
        channels without padding, a pooling between them, a dense layer of 64.
        A function ``f(image_size, n_classes)`` gets height and width and a number of at least 2,
        and returns any `keras.Model` from (n, height, width, 1), grey in 0..1, to probabilities
        (n, n_classes), such as a softmax gives. It is called more than once for a fit, in a
        thread of its own.
    max_epochs : int, default=240
        Passes over the training images.
    batch_size : int, default=32
        Images that go through the network at once. The batches of an epoch differ by one image
        at most.
    learning_rate : float, default=0.003
        Highest learning rate of the optimizer.
    warmup : float or None, default=0.1
        Share of the training in which the learning rate rises linearly; then it falls to zero as
        a cosine. None keeps it constant, or leaves it to one of `callbacks`.
    weight_decay : float, default=0.01
        L2 penalty on the weights, as the optimizer applies it; 0 is none. Not on biases and
        normalisation.
    optimizer : callable or None, default=None
        Optimizer: a class of the wrapped library, or a ``functools.partial`` of one. It is called
        with ``learning_rate`` and ``weight_decay``. None is Adam.
    augmentation : float, default=1.0
        Strength of the random changes to training images; 0 leaves all of them out. They are
        mirrored, warped, sharpened, blurred, relit, inverted and partly covered.
    label_smoothing : float, default=0.1
        Share of the target spread evenly over the classes.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, multiplied with ``sample_weight``.
    validation_fraction : float or None, default=None
        Share of the training images that is held out; the weights of the epoch that is best on
        them are kept. It is stratified where the classes are large enough. None trains on all and
        keeps the last.
    n_iter_no_change : int or None, default=120
        Epochs without improvement after which training stops. Of the held-out part, or of the
        training loss where nothing is held out; None never stops early.
    test_time_augmentation : bool, default=True
        Average the answers over views of each image. These are ten: as it is and moved by
        1/24 of its size up, down, left and right, and the mirror images of these. It makes
        predictions ten times slower.
    warm_start : bool, default=False
        Begin ``fit`` with the weights of the last one.
    callbacks : list, tuple or None, default=None
        Callbacks of the wrapped library, copied for each fit. They are Keras's. The copies see the
        network while it is trained; what they learn is read through what they share, such as a
        list.
    checkpoint_dir : str, path-like or None, default=None
        Folder in which the state is written after each epoch, each fit's in
        ``<fingerprint>/last.npz``. None writes nothing.
    resume : bool, str or path-like, default=False
        Go on where an earlier fit was stopped. True goes on where this very fit was, and starts
        where it was not; a path, of a checkpoint or its folder, is taken, or refused with what
        differs. Callbacks begin again.
    n_threads : int or None, default=None
        Threads that work at the same time. They decode files and predict. None is the number of
        CPUs that the process may use, or ``OMP_NUM_THREADS`` where that is less.
    verbose : int, default=0
        Above 0, show progress bars.
    random_state : int, RandomState instance or None, default=None
        Seed of what is drawn at random; an int gives the same result each time. Here: the split,
        the first weights, the batches, the augmentation and the dropout.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels in sorted order.
    weights_ : dict of str to ndarray
        Weights and statistics of the network, by names such as "probabilities/kernel".
    architecture_ : dict
        How the network is built: ``network``, ``image_size``, ``n_outputs``, and ``keras``, the
        network as Keras describes it in JSON, None if Keras cannot.
    network_ : keras.Model
        The network as a live Keras model, built from ``architecture_`` and ``weights_`` when
        first asked for. It takes float32 (n, height, width, 1), grey in 0..1. Changing it does
        not change the estimator. Trained on a single class it has a second output, of no class.
    history_ : list of dict
        One record per epoch: ``epoch``, ``train_loss``, ``train_accuracy`` (on augmented
        images), ``learning_rate`` (of its last step) and, with a held-out part, ``valid_loss``
        and ``valid_accuracy``. A warm start appends.
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
    make_emoji_classifier : This classifier with the settings of the original scripts.
    EmotionCNNClassifier : A larger network on torch, for tens of thousands of faces.

    Notes
    -----
    Images are converted to grey, transparent ones composited on white; uint8 is scaled to
    0..1. Training holds all images in memory.

    Training is Keras' own, through scikeras. The last few of this library's networks stay compiled
    for the next fit with the same settings and number of classes. TensorFlow never gives back all
    memory of a compiled network: some megabytes for each architecture or image size tried, and
    for each fit with ``callbacks``, an ``optimizer`` or a ``network`` of one's own.

    ``KeyboardInterrupt`` (Ctrl-C) ends the training and is raised. After at least one epoch the
    estimator is fitted with its best weights so far, and a note of the exception says of which
    epoch; the same holds for the OSError of a checkpoint that cannot be written. Before, and after
    any other error, it is as it was.

    Predictions run on ONNX Runtime, which needs no Keras, costs no tracing, and takes one image
    at a time: they do not depend on the other images of X, bit for bit. A network of one's own
    with layers that `PretrainedEmotionClassifier` could not read from a file, or without a
    description, predicts with Keras, in batches of 32 images filled up with zeros.

    ``KERAS_BACKEND`` and ``keras.json`` are respected. Where nothing is set there and TensorFlow,
    Keras's own choice, is not installed, the first fit takes torch or JAX, and a warning says
    which. The same seed gives the same network on one
    machine, backend and number of threads; another backend rounds otherwise. Global random
    states and settings of Python, NumPy, TensorFlow and torch are neither used nor changed, but
    for one: Keras seeds the first weights of layers with Python's ``random``, which is seeded for
    the moment in which a function of one's own builds its network, and put back. Importing
    scikeras teaches all Keras models to be pickled.

    References
    ----------
    .. [1] F. Chollet et al., Keras, https://keras.io.
    .. [2] S. Ioffe, C. Szegedy, "Batch Normalization: Accelerating Deep Network Training by
       Reducing Internal Covariate Shift", ICML 2015.

    Examples
    --------
    >>> from emotion_estimators.classifiers import EmojiCNNClassifier
    >>> classifier = EmojiCNNClassifier(network={"filters": (16, 24)}, random_state=0)
    >>> classifier.get_params()["network"]
    {'filters': (16, 24)}
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = constraints(
        "image_size", "image_shape", "network", "max_epochs", "batch_size", "learning_rate",
        "warmup", "weight_decay", "optimizer", "augmentation", "label_smoothing", "class_weight",
        "validation_fraction", "n_iter_no_change", "test_time_augmentation", "warm_start",
        "callbacks", "checkpoint_dir", "resume", "n_threads", "verbose", "random_state",
    )  # fmt: skip

    _extra: ClassVar[str] = "keras"
    _libraries: ClassVar[tuple[str, ...]] = ("keras", "scikeras")
    _color: ClassVar[str] = "grey"
    _batch: ClassVar[int] = 32  # images of which the views are in memory at once

    def __init__(
        self,
        *,
        image_size: int | tuple[int, int] | None = 48,
        image_shape: tuple[int, ...] | None = None,
        network: str | dict[str, Any] | Callable[[tuple[int, int], int], Any] = "edges",
        max_epochs: int = 240,
        batch_size: int = 32,
        learning_rate: float = 0.003,
        warmup: float | None = 0.1,
        weight_decay: float = 0.01,
        optimizer: Callable[..., Any] | None = None,
        augmentation: float = 1.0,
        label_smoothing: float = 0.1,
        class_weight: dict[Any, float] | str | None = None,
        validation_fraction: float | None = None,
        n_iter_no_change: int | None = 120,
        test_time_augmentation: bool = True,
        warm_start: bool = False,
        callbacks: Sequence[Any] | None = None,
        checkpoint_dir: str | os.PathLike[str] | None = None,
        resume: bool | str | os.PathLike[str] = False,
        n_threads: int | None = None,
        verbose: int = 0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.image_size = image_size
        self.image_shape = image_shape
        self.network = network
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.warmup = warmup
        self.weight_decay = weight_decay
        self.optimizer = optimizer
        self.augmentation = augmentation
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.test_time_augmentation = test_time_augmentation
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.checkpoint_dir = checkpoint_dir
        self.resume = resume
        self.n_threads = n_threads
        self.verbose = verbose
        self.random_state = random_state

    def _architecture(self, image_size: tuple[int, int], targets: Targets) -> dict[str, Any]:
        """Return what the network is built with; "keras" is how Keras describes it."""
        described = {
            "network": self._described_network(image_size),
            "image_size": list(image_size),
            "n_outputs": max(2, len(targets.classes)),  # Keras warns of a single one
        }
        if not callable(self.network):
            return described | {"keras": json.loads(_own_config(json.dumps(described)))}
        from emotion_estimators.training.keras_engine import keras_config

        return described | {"keras": keras_config(self._build(described, seed=0))}

    def _described_network(self, image_size: tuple[int, int]) -> Any:
        """Return the parameter `network` as JSON: a name, all settings of "edges", or a function.

        Raises ValueError if there is no such network, or it needs larger images.
        """
        owner = type(self).__name__
        given = self.network
        if callable(given):
            return {"function": describe(given)}
        if given == "original":
            if min(image_size) < _ORIGINAL_MIN_SIZE:
                raise ValueError(
                    f"{owner} needs images of at least {_ORIGINAL_MIN_SIZE} x "
                    f"{_ORIGINAL_MIN_SIZE} px for network='original', got {image_size[0]} x "
                    f"{image_size[1]}."
                )
            return given
        settings: dict[str, Any] = {} if given == "edges" else given
        if not isinstance(settings, dict) or not settings.keys() <= _EDGES.keys():
            raise ValueError(
                f"{owner} expected network to be 'edges', 'original', a dict with 'filters' or "
                f"'dropout', or a function that builds one, got {given!r}."
            )
        filters, dropout = (_EDGES | settings).values()
        is_list = isinstance(filters, (list, tuple, np.ndarray)) and len(filters) > 0
        if not is_list or not all(isinstance(n, Integral) and int(n) >= 1 for n in filters):
            raise ValueError(
                f"{owner} expected network['filters'] to be ints of at least 1, one per "
                f"convolution, got {filters!r}."
            )
        if not isinstance(dropout, Real) or not 0 <= float(dropout) < 1:
            raise ValueError(
                f"{owner} expected network['dropout'] to be a number from 0 to below 1, got "
                f"{dropout!r}."
            )
        return {"filters": [int(n) for n in filters], "dropout": float(dropout)}

    def _split(
        self, targets: Targets, rng: np.random.RandomState
    ) -> tuple[NDArray[np.intp], NDArray[np.intp] | None]:
        """Return the rows to train on, which have a weight, and those held out, if any."""
        train, held_out = super()._split(targets, rng)
        train = train[targets.weights["labels"][train] > 0]  # scikeras leaves these out too
        if len(train) < 2:
            raise ValueError(
                f"{type(self).__name__} needs at least 2 images of a weight above 0 to train, got "
                f"n_samples = {len(train)}."
            )
        return train, held_out

    def _parts(self) -> dict[str, Any]:
        """Return what the result depends on beside data and parameters."""
        import keras

        backend = keras.backend.backend()
        return {"keras": version("keras"), "backend": [backend, sys.modules[backend].__version__]}

    def _train(self, task: TrainingTask, architecture: dict[str, Any]) -> None:
        """Train with Keras."""
        from emotion_estimators.training.keras_engine import train_with_keras

        build = partial(self._build, architecture, seed=task.seed)
        if _is_own(architecture):
            from emotion_estimators.networks.emoji import first_weights

            train_with_keras(
                task,
                build,
                label_smoothing=self.label_smoothing,
                first_weights=first_weights,
                key=json.dumps(architecture),
            )
        else:
            train_with_keras(task, build, label_smoothing=self.label_smoothing)

    def _build(self, architecture: dict[str, Any], *, seed: int) -> Any:
        """Return a network of this architecture, one of the user's with weights of this seed."""
        if _is_own(architecture):
            return _own_network(architecture)
        from emotion_estimators.training.keras_engine import build_seeded

        return build_seeded(
            self.network,  # a function, or the architecture is another
            tuple(architecture["image_size"]),
            architecture["n_outputs"],
            owner=type(self).__name__,
            seed=seed,
        )

    def _restore(self) -> Any:
        """Return the fitted network as a live Keras model, compiled for nothing."""
        self._import(*self._libraries)
        from emotion_estimators.training.keras_engine import keras_config, set_named_weights

        known = self.architecture_
        if not _is_own(known) and known["network"] != self._described_network(self.image_size_):
            raise self._changed(known["network"]["function"])
        model = self._build(known, seed=0)
        if not _is_own(known) and known["keras"] != keras_config(model):
            raise self._changed(known["network"]["function"])
        set_named_weights(model, self.weights_)
        return model

    def _asked(self, n_threads: int) -> Callable[[NDArray[Any]], NDArray[np.float64]]:
        """Return what answers a batch, on ONNX Runtime or else with Keras."""
        opened = self._live("onnx", self._opened)
        if opened is not None:
            # a run holds the views of one image: no other image is a neighbour
            return partial(self._answer, partial(opened.run, n_threads=n_threads), by_view=False)
        network = self._live("keras", self._restore)  # the user may change `network_`
        from emotion_estimators.training.keras_engine import keras_probabilities

        def run(images: NDArray[np.float32], *, batch_size: int) -> NDArray[Any]:
            padded = np.zeros((batch_size, *images.shape[1:]), dtype=np.float32)
            padded[: len(images)] = images
            return keras_probabilities(network, padded)[: len(images)]

        return partial(self._answer, run, by_view=True)

    def _answer(
        self, run: Callable[..., NDArray[Any]], batch: NDArray[Any], *, by_view: bool
    ) -> NDArray[np.float64]:
        """Return the probabilities, (n, n_classes), of a batch (n, height, width)."""
        grey = scaled(batch)  # (n, h, w)
        views = shifted_views(grey) if self.test_time_augmentation else grey[:, np.newaxis]
        n, n_views, height, width = views.shape
        if by_view:
            runs = [run(views[:, i], batch_size=self._batch) for i in range(n_views)]
            outputs = np.stack(runs, axis=1)  # (n, v, n_outputs)
        else:
            outputs = run(views.reshape(n * n_views, height, width), batch_size=n_views)
            outputs = outputs.reshape(n, n_views, -1)
        mean = outputs.astype(np.float64).mean(axis=1)
        probabilities = mean[:, : len(self.classes_)]  # a single class has a second output
        return np.asarray(probabilities / probabilities.sum(axis=1, keepdims=True))

    def _opened(self) -> Any:
        """Return the fitted network on ONNX Runtime, None if it cannot be written as ONNX."""
        from emotion_estimators.networks.keras_hdf5.memory import keras_onnx
        from emotion_estimators.networks.onnx.network import OnnxNetwork
        from emotion_estimators.networks.onnx.session import CPU

        owner = type(self).__name__
        if self.architecture_["keras"] is None:
            return None
        try:
            serialised = keras_onnx(self.architecture_["keras"], self.weights_, owner)
        except WeightsError:
            return None
        return OnnxNetwork.from_bytes(serialised, Path(owner), (CPU,), channels_last=False)

    def _onnx(self, *, views: bool, stored: str) -> bytes:
        """Return the fitted network as an ONNX file."""
        from emotion_estimators.networks.keras_hdf5.memory import keras_onnx

        owner = type(self).__name__
        try:
            if self.architecture_["keras"] is None:
                raise WeightsError("Keras cannot describe a model of this class")
            return keras_onnx(
                self.architecture_["keras"],
                self.weights_,
                owner,
                shifts=small_shifts(self.image_size_) if views else (),
                mirrored=views,
                n_classes=len(self.classes_),
                stored=stored,
                metadata=self._metadata(),
            )
        except WeightsError as error:
            raise WeightsError(
                f"{owner}.export_onnx cannot write this network: {error}. Layers that "
                "PretrainedEmotionClassifier reads from Keras's files can be written; others may "
                "be by Keras itself, without the views: network_.export(path, format='onnx')."
            ) from error

    def _import(self, *modules: str) -> None:
        """Import Keras, on a backend that is installed, and change nothing by it."""
        owner = type(self).__name__
        random_state = None if "keras" in sys.modules else random.getstate()
        try:
            with installed_backend(owner):
                super()._import(*modules)
        finally:
            if random_state is not None:  # rich, which Keras imports, draws a number when imported
                random.setstate(random_state)
        import keras

        backend = keras.backend.backend()
        if backend in _dead_backends:
            raise RuntimeError(
                f"{owner} cannot use Keras on {backend} in a process that was forked after that "
                "had been imported: it would wait for ever for threads that only its parent has. "
                "Start the process with multiprocessing.get_context('spawn')."
            )


def _is_own(architecture: dict[str, Any]) -> bool:
    """Tell whether a network is one of this library's."""
    return "function" not in architecture["network"]


def _own_network(architecture: dict[str, Any]) -> Any:
    """Return a network of this library, without its weights."""
    from emotion_estimators.networks.emoji import build_edges_network, build_original_network

    height, width = architecture["image_size"]
    settings, n_outputs = architecture["network"], architecture["n_outputs"]
    if settings == "original":
        return build_original_network((height, width), n_outputs)
    return build_edges_network((height, width), n_outputs, **settings)


@lru_cache(maxsize=32)
def _own_config(architecture: str) -> str:
    """Return how Keras describes a network of this library; both texts are JSON."""
    model = _own_network(json.loads(architecture))
    return json.dumps({"class_name": "Sequential", "config": model.get_config()})
