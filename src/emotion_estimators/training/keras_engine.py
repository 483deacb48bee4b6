"""Trainings with Keras, through scikeras, seeded without a change of any global state.

scikeras brings the network, the data and the callbacks together; batches, weights and random
numbers are ours. Imports keras and scikeras, so import this module only where it is needed.
"""

from __future__ import annotations

import copy
import json
import math
import random
from collections.abc import Callable, Hashable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from scikeras.wrappers import BaseWrapper

from emotion_estimators._forks import ThreadLock
from emotion_estimators.networks.pool import pool
from emotion_estimators.training.grey_augmentation import augment_grey, scaled
from emotion_estimators.training.progress import TrainingTask, Weights, epoch_score
from emotion_estimators.training.schedule import Schedule

if keras.backend.backend() == "torch":  # with it comes what torch needs in a forked process
    from emotion_estimators.training.seeds import seeded

__all__ = [
    "build_seeded",
    "keras_config",
    "keras_probabilities",
    "named_weights",
    "set_named_weights",
    "train_with_keras",
]

_EVALUATION_BATCH = 256


def train_with_keras(
    task: TrainingTask,
    build: Callable[[], Any],
    *,
    label_smoothing: float,
    first_weights: Callable[[Any, np.random.Generator], Weights] | None = None,
    key: Hashable = None,
) -> None:
    """Train a network that gives probabilities, and tell the task of each epoch.

    `build` makes it, ready to begin with; with `first_weights` it is given other ones, and one of
    the same `key` that an earlier training has compiled may take its place.
    """

    def compiled() -> Any:
        return _compiled(build(), task, label_smoothing)

    callbacks = copy.deepcopy(list(task.callbacks))
    # a callback may hold on to the network it is given, so that one is not trained again
    if key is None or callbacks or task.optimizer is not None:
        lent: Any = nullcontext(compiled())
    else:
        lent = pool.lend(("keras", key, label_smoothing, task.weight_decay), compiled)
    with lent as model:
        if first_weights is not None:
            if task.optimizer is None:  # an Adam, maybe of an earlier training
                _assign(model.optimizer.variables, [0] * len(model.optimizer.variables))
            _seed_dropouts(model, task.seed)
            weights = first_weights(model, np.random.default_rng(task.seed))
            set_named_weights(model, weights)
        if task.first_weights is not None:
            set_named_weights(model, task.first_weights)
        model.optimizer.learning_rate = task.learning_rate
        if task.state is not None:
            _assign(model.variables, task.state["variables"])
            _assign(model.optimizer.variables, task.state["optimizer"])
        _train(task, model, callbacks)


def _train(task: TrainingTask, model: Any, callbacks: list[Any]) -> None:
    """Train a compiled network from the place where the task is."""
    assert task.pixels is not None  # noqa: S101 - this engine streams nothing
    pixels, weights = task.pixels[..., np.newaxis], task.weights["labels"]  # (n, h, w, 1)
    n_labels = task.columns["labels"].shape[1]
    n_outputs = max(n_labels, 2)  # Keras warns of a single one; nothing is of the second
    targets = np.pad(task.columns["labels"], ((0, 0), (0, n_outputs - n_labels)))
    validation = None
    if task.held_out is not None:
        rows = task.held_out
        validation = (scaled(pixels[rows]), targets[rows], weights[rows])
    network = _ScikerasModel(model, task)
    schedule = Schedule(task.max_epochs * network.n_steps, warmup=task.warmup)
    with _own_random_state(task.seed), task.bar(schedule.n_steps) as bar:
        wrapper = BaseWrapper(
            model=lambda: network,
            batch_size=None,
            verbose=0,
            # ours comes last, so that it sees what the others have done
            callbacks=[*callbacks, _Bookkeeping(task, schedule, network.n_steps, bar)],
        )
        wrapper.fit(
            pixels[task.train],
            targets[task.train],
            sample_weight=weights[task.train],
            validation_data=validation,
            validation_batch_size=_EVALUATION_BATCH,
        )


def _compiled(model: Any, task: TrainingTask, label_smoothing: float) -> Any:
    """Return a network ready to be trained."""
    if task.optimizer is None:
        optimizer = keras.optimizers.Adam(weight_decay=task.weight_decay or None)
    else:
        optimizer = _optimizer(task)
    optimizer.exclude_from_weight_decay(
        var_list=[variable for variable in model.trainable_variables if len(variable.shape) < 2]
    )
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=label_smoothing, dtype="float32"),
        weighted_metrics=[keras.metrics.CategoricalAccuracy(name="accuracy", dtype="float32")],
        jit_compile=False,
    )
    optimizer.build(model.trainable_variables)
    return model


def _optimizer(task: TrainingTask) -> Any:
    """Return the optimizer that the user has chosen."""
    assert task.optimizer is not None  # noqa: S101 - asked for only then
    task.check_optimizer({name: name for name in ("learning_rate", "weight_decay")})
    wanted = "a class of keras.optimizers or a functools.partial of one"
    try:
        optimizer = task.optimizer(learning_rate=task.learning_rate, weight_decay=task.weight_decay)
    except TypeError as error:
        raise ValueError(
            f"{task.owner} calls optimizer with learning_rate and weight_decay, which failed: "
            f"{error}. Pass {wanted}."
        ) from error
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise ValueError(
            f"{task.owner} expected optimizer to be {wanted}, got one that returns "
            f"{type(optimizer).__name__}."
        )
    return optimizer


class _ScikerasModel:
    """A compiled model as scikeras asks for one, whose `fit` makes its own batches.

    Keras shuffles with the global random state of its backend, and knows no other.
    """

    compiled = True

    def __init__(self, model: Any, task: TrainingTask) -> None:
        self.model, self.task = model, task
        self.loss, self.optimizer = model.loss, model.optimizer
        self.n_steps = math.ceil(len(task.train) / int(task.batch_size))

    def fit(
        self,
        x: NDArray[Any],
        y: NDArray[np.float32],
        sample_weight: NDArray[np.float32],
        **kwargs: Any,
    ) -> Any:
        """Train on images (n, h, w, 1), targets (n, n_outputs) and weights (n,)."""
        task = self.task
        n_done = len(task.progress.history)
        batches = _Batches(x, y, sample_weight, task, self.n_steps)
        kwargs |= {"epochs": task.max_epochs, "initial_epoch": n_done, "shuffle": False}
        return self.model.fit(batches, steps_per_epoch=self.n_steps, **kwargs)


class _Batches(keras.utils.PyDataset):
    """Endless batches from the task's place on, each a pure function of the seed and its number."""

    def __init__(
        self,
        x: NDArray[Any],
        y: NDArray[np.float32],
        weights: NDArray[np.float32],
        task: TrainingTask,
        n_steps: int,
    ) -> None:
        super().__init__()
        self.x, self.y, self.weights = x, y, weights
        self.seed, self.augmentation = task.seed, task.augmentation
        self.n_steps, self.first = n_steps, task.progress.n_steps

    @property
    def num_batches(self) -> None:
        """None: there is always another one, so one iterator serves all epochs."""
        return

    def __getitem__(self, number: int) -> tuple[Any, Any, Any]:
        number += self.first
        epoch, step = divmod(number, self.n_steps)
        order = np.random.default_rng((self.seed, 0, epoch)).permutation(len(self.x))
        # parts of sizes that differ by one at most: no step rests on a few images
        rows = np.array_split(order, self.n_steps)[step]
        images = scaled(self.x[rows, :, :, 0])
        rng = np.random.default_rng((self.seed, 1, number))
        images = augment_grey(images, self.augmentation, rng)
        return images[..., np.newaxis], self.y[rows], self.weights[rows]


class _Bookkeeping(keras.callbacks.Callback):
    """Moves the learning rate and the bar, tells the task of each epoch, stops the training."""

    def __init__(self, task: TrainingTask, schedule: Schedule, n_steps: int, bar: Any) -> None:
        super().__init__()
        self.task, self.schedule, self.n_steps, self.bar = task, schedule, n_steps, bar
        self.step = task.progress.n_steps
        self.rate = 0.0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        if self.task.warmup is not None:  # else it is constant, or a callback moves it
            rate = self.task.learning_rate * self.schedule.rate(self.step)
            self.model.optimizer.learning_rate = rate
        self.step += 1
        if self.step % self.n_steps == 0:  # a callback may change it at the end of the epoch
            self.rate = float(np.float32(_copied(self.model.optimizer.learning_rate)))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.bar.update()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        record = {
            "train_loss": float(logs["loss"]),
            "train_accuracy": float(logs["accuracy"]),
            "learning_rate": self.rate,
        }
        if self.task.held_out is not None:
            record["valid_loss"] = float(logs["val_loss"])
            record["valid_accuracy"] = float(logs["val_accuracy"])
        self.task.end_epoch(
            record,
            n_steps=self.step,
            score=epoch_score(record, "valid_accuracy"),
            weights=lambda: named_weights(self.model),
            state=self._state,
            is_over=self.model.stop_training,
        )
        self.model.stop_training = self.task.is_over

    def on_train_end(self, logs: Any = None) -> None:  # noqa: ARG002
        # a callback of the user's, or a moving average of the optimizer's, may have put others in
        # the place of the last weights
        kept = self.task.progress.best_weights
        if self.task.held_out is not None or kept is None:
            return
        weights = named_weights(self.model)
        if any(not np.array_equal(kept[name], weights[name], equal_nan=True) for name in weights):
            self.task.replace_weights(weights, state=self._state)

    def _state(self) -> dict[str, Any]:
        """Return what the next epoch depends on: seeds of dropouts are among the variables."""
        return {
            "variables": [_copied(variable) for variable in self.model.variables],
            "optimizer": [_copied(variable) for variable in self.model.optimizer.variables],
        }


def _seed_dropouts(model: Any, seed: int) -> None:
    """Set dropouts to where a training begins."""
    for layer in model.layers:
        if getattr(layer, "seed_generator", None) is not None:  # a dropout of 0 has none
            layer.seed_generator.state.assign(np.array([seed, 0], dtype=np.uint32))


def _assign(variables: list[Any], values: list[Any]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(np.broadcast_to(np.asarray(value, variable.dtype), tuple(variable.shape)))


def _named_variables(model: Any) -> dict[str, Any]:
    """Return the weights of a model by names such as "dense/kernel"."""
    named: dict[str, Any] = {}
    for variable in model.weights:
        name = "/".join(variable.path.split("/")[-2:])
        if name in named:  # of a layer in a layer
            name = f"{name}_{len(named)}"
        named[name] = variable
    return named


def named_weights(model: Any) -> Weights:
    """Return copies of the weights of a model by names such as "dense/kernel"."""
    return {name: _copied(variable) for name, variable in _named_variables(model).items()}


def set_named_weights(model: Any, weights: Mapping[str, NDArray[Any]]) -> None:
    """Give a model its weights."""
    for name, variable in _named_variables(model).items():
        variable.assign(weights[name])


def _copied(variable: Any) -> NDArray[Any]:
    tensor = keras.ops.convert_to_tensor(variable)
    if keras.backend.standardize_dtype(tensor.dtype) == "bfloat16":  # which NumPy does not know
        tensor = keras.ops.cast(tensor, "float32")
    # Keras' own way makes NumPy 2 warn of TensorFlow and torch
    if keras.backend.backend() == "tensorflow":
        return np.array(tensor.numpy())
    if keras.backend.backend() == "torch":
        return np.array(tensor.detach().cpu().numpy())
    return np.array(keras.ops.convert_to_numpy(tensor))


@contextmanager
def _own_random_state(seed: int) -> Iterator[None]:
    """Let what Keras draws for itself leave no trace: torch's data loaders take a number each."""
    if keras.backend.backend() != "torch":
        yield
        return
    import torch

    with seeded(seed, torch.device("cpu")):
        yield


_building = ThreadLock()


def build_seeded(
    build: Callable[[tuple[int, int], int], Any],
    image_size: tuple[int, int],
    n_outputs: int,
    *,
    owner: str,
    seed: int,
) -> Any:
    """Return the model of a user's function, with weights that the seed fixes.

    Raises ValueError if it is not a Keras model from (n, height, width, 1) to probabilities
    (n, n_outputs).
    """
    wanted = (
        f"a keras.Model from grey images (n, {image_size[0]}, {image_size[1]}, 1) to "
        f"probabilities (n, {n_outputs})"
    )

    if isinstance(build, keras.Model):
        raise ValueError(
            f"{owner} expected network to be a function f(image_size, n_classes) that builds a "
            "model, got a model. Pass a function that returns it new at each call."
        )

    def built() -> Any:
        model = build(image_size, n_outputs)
        if not isinstance(model, keras.Model):
            raise ValueError(
                f"{owner} expected network to be a function f(image_size, n_classes) that returns "
                f"{wanted}, got one that returns {type(model).__name__}."
            )
        outputs = keras_probabilities(model, np.full((2, *image_size), 0.5, dtype=np.float32))
        shape = outputs.shape
        # softmax in float32 adds up to 1 within its rounding, in bfloat16 within 1 in 100
        if shape != (2, n_outputs) or not np.allclose(outputs.sum(axis=1), 1, rtol=0, atol=0.02):
            raise ValueError(
                f"{owner} expected network to return {wanted}, which softmax as the last "
                f"activation gives; got outputs of shape {shape} for two images"
                + (f" whose sums are {outputs.sum(axis=1)}." if outputs.ndim == 2 else ".")
            )
        return model

    # Keras names layers in the order in which a thread makes them, so that in a new one the same
    # function gives the same names; it seeds first weights with Python's random numbers.
    with _own_random_state(seed), _building.held(), ThreadPoolExecutor(1) as thread:
        state = random.getstate()
        random.seed(seed)
        try:
            return thread.submit(built).result()
        finally:
            random.setstate(state)


def keras_config(model: Any) -> dict[str, Any] | None:
    """Return a model as Keras describes it in JSON, None if Keras cannot."""
    try:
        config: dict[str, Any] = json.loads(json.dumps(keras.saving.serialize_keras_object(model)))
    except (NotImplementedError, TypeError, ValueError):  # a class of the user's
        return None
    return config


def keras_probabilities(model: Any, images: NDArray[np.float32]) -> NDArray[Any]:
    """Return what a live model says of images (n, height, width), (n, n_outputs)."""
    inputs = images[..., np.newaxis]
    if keras.backend.backend() != "torch":
        return _copied(model(inputs, training=False))
    import torch

    from emotion_estimators.networks.torch_settings import torch_as_shipped

    with torch_as_shipped(), torch.no_grad():
        return _copied(model(inputs, training=False))
