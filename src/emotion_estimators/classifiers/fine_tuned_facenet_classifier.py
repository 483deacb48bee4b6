"""Face crops in, classes out: FaceNet, of which the last blocks are trained on the faces.

Imports torch and skorch inside functions only, through `training` and `networks`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from emotion_estimators._sklearn import Interval, constraints
from emotion_estimators.classifiers._torch_base import SkorchNetworkClassifier
from emotion_estimators.features._facenet_inputs import check_face_size, find_face_weights
from emotion_estimators.training.targets import Targets

if TYPE_CHECKING:
    from emotion_estimators.networks.facenet.fine_tuned import FineTunedFacenet

__all__ = ["FineTunedFacenetClassifier"]


class FineTunedFacenetClassifier(SkorchNetworkClassifier):
    """FaceNet whose last blocks are trained, together with a linear classifier on its vectors.

    For more faces than an SVM on frozen vectors makes use of, and fewer than a network trained
    from scratch needs.

    Parameters
    ----------
    weights : str, path-like, module or None, default="vggface2"
        Pretrained weights: a registered name, or the path of a file. What else `FacenetEmbedder`
        takes is taken here; None begins with its meaningless ones.
    fine_tune_blocks : int, default=6
        How many of the network's 23 blocks are trained, from the end; 6 are all blocks of the
        last resolution. With 0 only the linear classifier is.
    image_size : int, (int, int) or None, default=160
        Height and width of the images in pixels, or one int for both. At least 75. Others are
        resized; None takes them as they are.
    image_shape : tuple of int or None, default=None
        How to read 2-D rows: ``(height, width)`` or ``(height, width, 3)``; one entry may be -1.
    standardization : {"fixed", "prewhiten"}, default="fixed"
        How pixels are scaled: "fixed" is ``(x - 127.5) / 128`` of pixels in 0..255, "prewhiten"
        takes each image to mean 0 and standard deviation 1. As for `FacenetEmbedder`.
    dropout : float, default=0.2
        Share of the vector dropped in training.
    augmentation : float, default=0.5
        Strength of the random changes to training images; 0 leaves all of them out. They are
        mirroring, rotation, zoom, stretch, shift, contrast and brightness.
    erasing : float, default=0
        Probability that a box of a training image is covered with one grey.
    mixup : float, default=0
        Above 0, blend each training image and its target with another's. The parts are drawn
        from a Beta(mixup, mixup) distribution.
    label_smoothing : float, default=0.1
        Share of the target spread evenly over the classes.
    max_epochs : int, default=10
        Passes over the training images.
    max_time : float or None, default=None
        Seconds in which the training and its schedule end at the latest. Where they cut it short,
        the result depends on the machine and its load: a seed no longer fixes it.
    batch_size : int, default=32
        Images that go through the network at once.
    learning_rate : float, default=0.01
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
    ema_decay : float or None, default=0.99
        Decay per step of the moving average of the weights, which is what is kept. None keeps the
        weights themselves.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, multiplied with ``sample_weight``.
    validation_fraction : float or None, default=0.1
        Share of the training images that is held out; the weights of the epoch that is best on
        them are kept. It is stratified where the classes are large enough. None trains on all and
        keeps the last.
    n_iter_no_change : int or None, default=5
        Epochs without improvement after which training stops. Of the held-out part, or of the
        training loss where nothing is held out; None never stops early.
    test_time_augmentation : bool, default=False
        Average the answers over views of each image. They are the image and its mirror image.
    callbacks : list, tuple or None, default=None
        Callbacks of the wrapped library, copied for each fit. They are skorch's, as for
        `EmotionCNNClassifier`.
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
        the batches, the augmentation and the dropout.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels in sorted order.
    weights_ : dict of str to ndarray
        Weights and statistics of the whole network, by their names in it.
    architecture_ : dict
        Parameters with which the network was built.
    network_ : torch.nn.Module
        The network with these weights, which gives scores of images in 0..1, (n, 3, height,
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
    make_facenet_classifier : An SVM on frozen vectors: fits in seconds.
    EmotionCNNClassifier : A small network trained from scratch.

    Notes
    -----
    Training holds all resized images in memory, 77 kB each at 160 x 160 px. The blocks that stay as
    they are keep the statistics of their batch normalisation, too.

    The same seed gives the same network on the same CPU and number of threads; a CUDA device is
    asked for deterministic convolutions, but that it gives the same twice is untested. The
    state of torch's global generators is restored after a fit, and one thread of a process
    trains at a time. A prediction does not depend on the other images of X, bit for bit on the
    CPU.

    The estimator holds arrays, 94 MB of them, never a live network: it needs the file of
    `weights` for training only, and what a CUDA device trained loads anywhere. A checkpoint takes
    three to five times as much.

    ``KeyboardInterrupt`` (Ctrl-C) ends the training and is raised. After at least one epoch the
    estimator is fitted with its best weights so far, and a note of the exception says of which
    epoch; the same holds for the OSError of a checkpoint that cannot be written. Before, and after
    any other error, it is as it was.

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
    ...     weights=None, image_size=75, max_epochs=1, validation_fraction=None, random_state=0
    ... )
    >>> model.fit(X, y).predict_proba(X).shape
    (4, 2)
    """

    _color: ClassVar[str] = "rgb"
    _batch: ClassVar[int] = 16

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **constraints("weights"),
        "fine_tune_blocks": [Interval(Integral, 0, 23, closed="both")],
        **constraints("image_size", "image_shape", "standardization"),
        "dropout": [Interval(Real, 0, 1, closed="left")],
        **constraints(
            "augmentation", "erasing", "mixup", "label_smoothing", "max_epochs", "max_time",
        ),
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
        weights: Any = "vggface2",
        fine_tune_blocks: int = 6,
        image_size: int | tuple[int, int] | None = 160,
        image_shape: tuple[int, ...] | None = None,
        standardization: str = "fixed",
        dropout: float = 0.2,
        augmentation: float = 0.5,
        erasing: float = 0,
        mixup: float = 0,
        label_smoothing: float = 0.1,
        max_epochs: int = 10,
        max_time: float | None = None,
        batch_size: int = 32,
        learning_rate: float = 0.01,
        weight_decay: float = 5e-4,
        warmup: float | None = 0.1,
        optimizer: Callable[..., Any] | None = None,
        ema_decay: float | None = 0.99,
        class_weight: dict[Any, float] | str | None = None,
        validation_fraction: float | None = 0.1,
        n_iter_no_change: int | None = 5,
        test_time_augmentation: bool = False,
        callbacks: Sequence[Any] | None = None,
        warm_start: bool = False,
        checkpoint_dir: str | os.PathLike[str] | None = None,
        resume: bool | str | os.PathLike[str] = False,
        device: str = "auto",
        precision: str = "auto",
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

    def _architecture(self, image_size: tuple[int, int], targets: Targets) -> dict[str, Any]:
        """Return the parameters of the network; raise InvalidImagesError for too small images."""
        check_face_size(image_size, name=type(self).__name__)
        return {
            "n_classes": len(targets.classes),
            "n_trained": int(self.fine_tune_blocks),
            "standardization": self.standardization,
        }

    def _builder(self, architecture: dict[str, Any]) -> Callable[..., FineTunedFacenet]:
        """Return what builds the network with which a training begins.

        Raises WeightsError, OSError if the weights are not available, or are of another network.
        """
        state = self._found_weights().read()
        return lambda mean, std: self._build_first(architecture, state)  # noqa: ARG005

    def _build_first(
        self, architecture: dict[str, Any], state: Mapping[str, Any]
    ) -> FineTunedFacenet:
        """Return a network with these weights of FaceNet."""
        import torch

        from emotion_estimators.networks.facenet.fine_tuned import FineTunedFacenet

        network = FineTunedFacenet(**architecture, dropout=self.dropout)
        known = network.facenet.state_dict()
        tensors = {name: torch.tensor(values) for name, values in state.items() if name in known}
        # weights of other sources count no batches
        network.facenet.load_state_dict(known | tensors)
        return network

    def _found_weights(self) -> Any:
        owner = type(self).__name__
        return find_face_weights(owner, self.weights, verbose=bool(self.verbose))

    def _parts(self) -> dict[str, Any]:
        """Return what the result depends on beside data and parameters."""
        return super()._parts() | {"weights": self._found_weights().hash}

    def _build_fitted(self, architecture: dict[str, Any]) -> FineTunedFacenet:
        """Return a network of this architecture, whose weights are then replaced."""
        from emotion_estimators.networks.facenet.fine_tuned import FineTunedFacenet

        return FineTunedFacenet(**architecture)
