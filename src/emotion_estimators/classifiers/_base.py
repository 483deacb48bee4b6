"""What all classifiers that train a network share; imports no library of networks."""

from __future__ import annotations

import json
import os
from abc import ABCMeta, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from emotion_estimators import __version__
from emotion_estimators._files import whole_file
from emotion_estimators._optional import import_optional
from emotion_estimators._sklearn import ImageEstimator, fit_context, keep_fitted, own_random_state
from emotion_estimators.images.threads import count_threads
from emotion_estimators.networks.pool import pool
from emotion_estimators.training.checkpoints import (
    VERSIONS,
    Checkpoints,
    code_of,
    describe,
    describe_network,
    differences,
    digest,
)
from emotion_estimators.training.progress import TrainingTask, Weights
from emotion_estimators.training.targets import (
    Targets,
    check_weights,
    hold_out,
    pixel_pieces,
    stack_images,
)
from emotion_estimators.validation import (
    Images,
    check_images,
    check_labels,
    compare_table,
    record_table,
)

__all__ = ["NetworkClassifier"]

Network = TypeVar("Network")

# Parameters that change nothing in the result, and those that `_parts` describes otherwise.
_NOT_DESCRIBED = frozenset(
    {
        "callbacks", "checkpoint_dir", "class_prior", "class_weight", "device", "image_shape",
        "image_size", "labels", "n_threads", "network", "num_workers", "output", "pos_weight",
        "precision", "random_state", "resume", "teacher", "teacher_weight",
        "test_time_augmentation", "threshold", "trainer", "verbose", "warm_start", "weights",
    }
)  # fmt: skip


class NetworkClassifier(ClassifierMixin, ImageEstimator, metaclass=ABCMeta):
    """Fit, predictions and state of a classifier that trains a network.

    A class lists and assigns its own parameters, and says how its network is described, trained,
    restored and asked.
    """

    _extra: ClassVar[str]  # of the distribution, which brings the libraries
    _libraries: ClassVar[tuple[str, ...]]  # that a fit imports
    _color: ClassVar[str]
    _batch: ClassVar[int]  # images in memory at once in a prediction

    # Types only: every class assigns its own parameters.
    image_size: Any
    image_shape: Any
    network: Any
    augmentation: float
    max_epochs: int
    batch_size: Any
    learning_rate: float
    weight_decay: float
    warmup: float | None
    optimizer: Callable[..., Any] | None
    validation_fraction: float | None
    n_iter_no_change: int | None
    test_time_augmentation: bool
    callbacks: Sequence[Any] | None
    warm_start: bool
    checkpoint_dir: str | os.PathLike[str] | None
    resume: bool | str | os.PathLike[str]
    verbose: int
    random_state: int | np.random.RandomState | None

    classes_: NDArray[Any]
    weights_: Weights
    architecture_: dict[str, Any]
    history_: list[dict[str, float]]
    best_epoch_: int
    n_iter_: int
    image_size_: tuple[int, int]

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Any:
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
        self : estimator
            The fitted estimator.

        Raises
        ------
        MissingDependencyError
            If a library that trains the network is not installed.
        InvalidImagesError
            If X does not hold usable images.
        KeyboardInterrupt
            At Ctrl-C; see Notes.
        OSError
            If a checkpoint cannot be written; FileNotFoundError if there is none to resume from.
        ValueError
            If y does not fit X, a parameter is out of its range, or a checkpoint is damaged or of
            another fit.
        """
        return self._fit(X, y, sample_weight)

    def _fit(self, X: Any, y: Any, sample_weight: Any, **more: Any) -> Any:
        """Train, and assign all fitted attributes in one step; `more` is for `_check_targets`."""
        self._import(*self._libraries)
        images = self._images(X)
        targets = self._check_targets(y, sample_weight, images.n_samples, **more)
        architecture = self._architecture(images.image_size, targets)
        is_continued = self._is_continued()
        if is_continued:
            self._check_continuation(architecture, targets.classes)
        task = self._task(images, targets, architecture, is_continued=is_continued)
        error: BaseException | None = None
        try:
            if not task.is_over:
                self._train(task, architecture)
        except KeyboardInterrupt as interrupt:
            error = interrupt
        except OSError as failure:
            if failure is not task.failure:
                raise
            error = failure
        if error is not None and not task.progress.history:
            raise error
        before = self.history_ if is_continued else []
        progress = task.progress
        fitted: dict[str, Any] = {
            "classes_": targets.classes,
            "weights_": progress.best_weights,
            "architecture_": architecture,
            "history_": before
            + [{**row, "epoch": len(before) + int(row["epoch"])} for row in progress.history],
            "best_epoch_": len(before) + progress.best_epoch,
            "n_iter_": len(progress.history),
            "image_size_": images.image_size,
        }
        try:
            fitted |= self._more_fitted(fitted, task)
        except KeyboardInterrupt as interrupt:  # weights are kept with what belongs to them
            error = interrupt
            fitted |= self._more_fitted(fitted, task)
        self.__dict__.update(fitted)
        record_table(self, X, images)
        if error is not None:
            keep_fitted(
                error,
                f"{type(self).__name__} keeps the weights of epoch {self.best_epoch_}, the best "
                f"of the {self.n_iter_} that this fit had finished.",
            )
            raise error
        return self

    def _images(self, X: Any, **how: Any) -> Images:
        """Return the images of X as the network is to see them."""
        return check_images(
            X,
            name=type(self).__name__,
            image_shape=self.image_shape,
            image_size=self.image_size,
            color=self._color,
            **how,
        )

    def _check_targets(self, y: Any, sample_weight: Any, n_samples: int) -> Targets:
        """Return what is learned: here one of several classes for each image."""
        owner = type(self).__name__
        classes, codes = check_labels(y, n_samples=n_samples, name=owner)
        class_weight = getattr(self, "class_weight", None)
        weights = check_weights(owner, sample_weight, n_samples, class_weight, classes[codes])
        columns = np.eye(len(classes), dtype=np.float32)[codes]
        return Targets(classes, codes, {"labels": columns}, {"labels": weights})

    def _split(
        self, targets: Targets, rng: np.random.RandomState
    ) -> tuple[NDArray[np.intp], NDArray[np.intp] | None]:
        """Return the rows to train on and those held out, if any."""
        owner = type(self).__name__
        n_samples = len(targets.weights["labels"])
        if n_samples < 2:
            raise ValueError(
                f"{owner} needs at least 2 images to train, got n_samples = {n_samples}."
            )
        if self.validation_fraction is not None:
            return hold_out(owner, targets, self.validation_fraction, rng)
        return np.arange(n_samples), None

    def _task(
        self,
        images: Images,
        targets: Targets,
        architecture: dict[str, Any],
        *,
        is_continued: bool,
    ) -> TrainingTask:
        """Return the task of an engine, at the place where it is to begin."""
        owner = type(self).__name__
        rng = own_random_state(self.random_state)
        train, held_out = self._split(targets, rng)
        seed = int(rng.randint(2**31 - 1))
        pixels = stack_images(images) if getattr(self, "num_workers", 0) == 0 else None
        columns = self._columns(targets, pixels)
        first_weights = self.weights_ if is_continued else None
        checkpoints, found = Checkpoints(owner, None, {}), None
        if self.checkpoint_dir is not None or self.resume is not False:
            is_seeded = self.random_state is not None
            parts = describe(
                {
                    "class": owner,
                    "parameters": {
                        name: value
                        for name, value in self.get_params(deep=False).items()
                        if name not in _NOT_DESCRIBED
                    },
                    "architecture": architecture,
                    "classes": targets.classes,
                    "targets": columns,
                    "sample_weight": targets.weights,
                    "images": digest([pixels] if pixels is not None else pixel_pieces(images)),
                    "warm_start": first_weights,
                    # what was drawn of it, so that an int is what a RandomState of the same seed is
                    "random_state": np.r_[seed, train] if is_seeded else None,
                    "callbacks": list(self.callbacks or []),
                    "code": code_of(self.get_params(deep=False)),
                    VERSIONS: {"emotion-estimators": __version__},
                    **self._parts(),
                }
            )
            folder = None if self.checkpoint_dir is None else Path(self.checkpoint_dir)
            checkpoints = Checkpoints(owner, folder, parts, is_seeded=is_seeded)
            found = checkpoints.find(self.resume)
            checkpoints.prepare()
        task = TrainingTask(
            owner=owner,
            classes=targets.classes,
            images=images,
            pixels=pixels,
            columns=columns,
            weights={name: each.astype(np.float32) for name, each in targets.weights.items()},
            train=train,
            held_out=held_out,
            seed=seed,
            first_weights=first_weights,
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            warmup=self.warmup,
            optimizer=self.optimizer,
            n_iter_no_change=self.n_iter_no_change,
            callbacks=list(self.callbacks or []),
            augmentation=self.augmentation,
            verbose=bool(self.verbose),
            checkpoints=checkpoints,
        )
        if found is not None:
            task.resume(found[0], is_over=found[1])
        if task.held_out is not None:  # they are to judge: by what was asked for alone
            for name, each in targets.columns.items():
                columns[name][task.held_out] = each[task.held_out]
        return task

    def _columns(
        self,
        targets: Targets,
        pixels: NDArray[Any] | None,  # noqa: ARG002 - for classes with a teacher
    ) -> dict[str, NDArray[np.float32]]:
        """Return what all images are to teach, by output."""
        return targets.columns

    def _parts(self) -> dict[str, Any]:
        """Return what else the result of a training depends on, as `describe` takes it."""
        return {}

    def _more_fitted(
        self,
        fitted: dict[str, Any],  # noqa: ARG002 - for classes that learn more
        task: TrainingTask,  # noqa: ARG002
    ) -> dict[str, Any]:
        """Return further fitted attributes."""
        return {}

    def _is_continued(self) -> bool:
        return self.warm_start and hasattr(self, "weights_")

    def _check_continuation(self, architecture: dict[str, Any], classes: NDArray[Any]) -> None:
        """Raise ValueError unless the last fit was of the same classes and the same network."""
        owner = f"{type(self).__name__} with warm_start=True was fitted"
        if not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"{owner} on the classes {self.classes_.tolist()}, got {classes.tolist()}. Pass "
                "all of the same classes, or set warm_start=False to start from scratch."
            )
        if architecture != self.architecture_:
            raise ValueError(
                f"{owner} with another network: {differences(self.architecture_, architecture)}. "
                "Set warm_start=False to start from scratch."
            )

    def _changed(self, known: Any) -> ValueError:
        """Return the error of a user's network that is no longer the one that was fitted."""
        return ValueError(
            f"{type(self).__name__} was fitted with network={known}, which builds another one now "
            f"or has been replaced: got network={describe_network(self.network)}. Set it as it "
            "was, or fit again."
        )

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
        return self._answers(X)

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

        Raises
        ------
        InvalidImagesError
            If X does not hold usable images.
        """
        codes = self.predict_proba(X).argmax(axis=1)
        labels: NDArray[Any] = self.classes_[codes]
        return labels

    def _answers(self, X: Any) -> NDArray[np.float64]:
        """Return what the network says of each image, (n, n_classes), in padded batches."""
        check_is_fitted(self, "weights_")
        images = self._images(
            X,
            expected_size=self.image_size_,
            read_headers=False,
            check_table=partial(compare_table, self),
        )
        n_threads = 1 if len(images) == 1 else count_threads(getattr(self, "n_threads", None))
        ask = self._asked(n_threads)
        answers = np.empty((len(images), len(self.classes_)))
        batches = images.batches(
            self._batch, n_threads=n_threads, ahead=True, verbose=bool(self.verbose)
        )
        for rows, batch in batches:
            answers[rows] = ask(batch)
        return answers

    @property
    def network_(self) -> Any:
        """The network as a live model of its library, ready to predict.

        Built of ``architecture_`` and ``weights_`` when first asked for; changing it does not
        change the estimator.
        """
        check_is_fitted(self, "weights_")
        return self._live("network", self._restore)

    def _live(self, kind: Hashable, build: Callable[[], Network]) -> Network:
        """Return a network of the present weights, which the pool keeps open for the estimator."""
        weights = self.weights_
        known: tuple[Weights, Network] = pool.get(
            kind,
            lambda: (weights, build()),
            owner=self,
            is_current=lambda known: known[0] is weights,
        )
        return known[1]

    def export_onnx(
        self,
        path: str | Path,
        *,
        test_time_augmentation: bool | None = None,
        stored: str = "float32",
    ) -> Path:
        """Write the network as an ONNX file that needs neither its library nor this class.

        Its input ``images`` is float32 (n, channels, height, width) in 0..1, grey or RGB; its
        output ``probabilities`` is float32 (n, n_classes). Classes, size, color and scaling stand
        in the file's metadata, as JSON.

        Parameters
        ----------
        path : str or Path
            Where to write; the file appears whole or not at all.
        test_time_augmentation : bool or None, default=None
            Average over the views inside the graph; None does as the estimator.
        stored : {"float32", "float16"}, default="float32"
            How weights are stored; "float16" halves the file, the arithmetic stays float32.

        Returns
        -------
        path : Path
            The file.

        Raises
        ------
        MissingDependencyError
            If the library of the network, or what exports a network of one's own, is not
            installed.
        OSError
            If the file cannot be written; nothing is left of it then.
        ValueError
            If `stored` is nothing known.
        """
        check_is_fitted(self, "weights_")
        owner = type(self).__name__
        if stored not in ("float32", "float16"):
            raise ValueError(
                f"{owner}.export_onnx expected stored to be 'float32' or 'float16', got {stored!r}."
            )
        views = self.test_time_augmentation
        model = self._onnx(
            views=bool(views if test_time_augmentation is None else test_time_augmentation),
            stored=stored,
        )
        path = Path(path)
        with whole_file(path, what=f"The ONNX file of {owner}") as file:
            file.write(model)
        return path

    def _metadata(self) -> dict[str, str]:
        """Return what stands in an ONNX file beside the network, as JSON."""
        known = {
            "classes": self.classes_.tolist(),
            "image_size": self.image_size_,
            "color": self._color,
            "scaling": [0, 1],
        }
        return {name: json.dumps(value) for name, value in known.items()}

    def _import(self, *modules: str) -> None:
        for module in modules:
            import_optional(module, extra=self._extra, needed_by=type(self).__name__)

    @abstractmethod
    def _architecture(self, image_size: tuple[int, int], targets: Targets) -> dict[str, Any]:
        """Return what the network is built with, as JSON; raise ValueError if it does not fit."""

    @abstractmethod
    def _train(self, task: TrainingTask, architecture: dict[str, Any]) -> None:
        """Train a new network, which tells the task of each epoch."""

    @abstractmethod
    def _restore(self) -> Any:
        """Return the fitted network as a live model of its library."""

    @abstractmethod
    def _asked(self, n_threads: int) -> Callable[[NDArray[Any]], NDArray[np.float64]]:
        """Return what gives (n, n_classes) for a batch (n, height, width[, 3]) as it was read."""

    @abstractmethod
    def _onnx(self, *, views: bool, stored: str) -> bytes:
        """Return the fitted network as an ONNX file."""
