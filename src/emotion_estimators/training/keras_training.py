"""The training of a Keras network through scikeras, seeded without touching any global state.

scikeras brings the network, the data and the callbacks together; batches, weights and random
numbers are ours. Imports keras and scikeras, so import this module only where it is needed.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from scikeras.wrappers import BaseWrapper

from emotion_estimators._forks import after_fork
from emotion_estimators._progress import progress_bar
from emotion_estimators.training.grey_augmentation import augment_grey

if keras.backend.backend() == "torch":  # with it comes what torch needs in a forked process
    from emotion_estimators.training.seeds import seeded

__all__ = ["KerasRecipe", "TrainingNetworks", "named_weights", "train_keras"]

Weights = dict[str, NDArray[Any]]

_EVALUATION_BATCH = 256
_MAX_IDLE = 4  # networks kept for the next training


@dataclass(frozen=True)
class KerasRecipe:
    """How a network is trained."""

    epochs: int
    batch_size: int
    learning_rate: float
    annealed: bool
    augmentation: float
    patience: int | None


class BatchedSequential(keras.Sequential):
    """A Sequential model whose `fit` makes its own batches, in an order that a seed fixes.

    Keras shuffles with the global random state of its backend, and knows no other.
    """

    def fit(
        self,
        x: NDArray[np.float32],
        y: NDArray[np.float32],
        sample_weight: NDArray[np.float32],
        *,
        recipe: KerasRecipe,
        seed: int,
        **kwargs: Any,
    ) -> Any:
        """Train on images (n, h, w, 1), targets (n, n_classes) and weights (n,)."""
        batches = _Batches(x, y, sample_weight, recipe, seed)
        kwargs |= {"steps_per_epoch": batches.n_steps, "shuffle": False}
        return super().fit(batches, **kwargs)


class _Batches(keras.utils.PyDataset):
    """Endless batches, each a pure function of the seed and its number."""

    def __init__(
        self,
        x: NDArray[np.float32],
        y: NDArray[np.float32],
        weights: NDArray[np.float32],
        recipe: KerasRecipe,
        seed: int,
    ) -> None:
        super().__init__()
        self.x, self.y, self.weights = x, y, weights
        self.recipe, self.seed = recipe, seed
        self.n_steps = math.ceil(len(x) / recipe.batch_size)

    @property
    def num_batches(self) -> None:
        """None: there is always another one, so one iterator serves all epochs."""
        return

    def __getitem__(self, number: int) -> tuple[Any, Any, Any]:
        epoch, step = divmod(number, self.n_steps)
        order = np.random.default_rng((self.seed, 0, epoch)).permutation(len(self.x))
        # parts of sizes that differ by one at most: no step rests on a few images
        rows = np.array_split(order, self.n_steps)[step]
        images = self.x[rows, :, :, 0]
        rng = np.random.default_rng((self.seed, 1, number))
        images = augment_grey(images, self.recipe.augmentation, rng)
        return images[..., np.newaxis], self.y[rows], self.weights[rows]


class TrainingNetworks:
    """Compiled networks that wait for their next training.

    Building and compiling takes longer than many a training, and TensorFlow never gives back
    all memory of a compiled graph. A network is lent to one training at a time.
    """

    def __init__(self) -> None:
        self._begin()
        after_fork(self._begin)

    def _begin(self) -> None:
        self._idle: list[tuple[Any, Any]] = []
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def lend(self, key: Any, build: Callable[[], Any], *, keep: bool = True) -> Iterator[Any]:
        """Lend an idle network of this key, or a new one; take it back if all went well."""
        network = None
        with self._lock:
            for number, (known, idle) in enumerate(self._idle):
                if known == key and keep:
                    network = idle
                    del self._idle[number]
                    break
        network = build() if network is None else network
        yield network
        if keep:
            with self._lock:
                self._idle = [(key, network), *self._idle][:_MAX_IDLE]


def named_weights(model: Any) -> Weights:
    """Return copies of the weights of a model by names such as "dense/kernel"."""
    return {
        f"{layer.name}/{variable.name}": _copied(variable)
        for layer in model.layers
        for variable in layer.weights
    }


def _copied(variable: Any) -> NDArray[Any]:
    tensor = keras.ops.convert_to_tensor(variable)
    # Keras' own way makes NumPy 2 warn of TensorFlow and torch
    if keras.backend.backend() == "tensorflow":
        return np.array(tensor.numpy())
    if keras.backend.backend() == "torch":
        return np.array(tensor.detach().cpu().numpy())
    return np.array(keras.ops.convert_to_numpy(tensor))


def set_named_weights(model: Any, weights: Weights) -> None:
    """Give a model its weights."""
    for layer in model.layers:
        for variable in layer.weights:
            variable.assign(weights[f"{layer.name}/{variable.name}"])


def first_weights(model: Any, rng: np.random.Generator, *, he: bool, fixed: Weights) -> Weights:
    """Draw kernels as He or as Glorot do, uniformly; all else begins as Keras has it."""
    weights: Weights = {}
    for layer in model.layers:
        for variable in layer.weights:
            shape = tuple(variable.shape)
            if variable.name == "kernel":
                fan_in, fan_out = math.prod(shape[:-1]), math.prod(shape[:-2]) * shape[-1]
                limit = math.sqrt(6 / fan_in if he else 6 / (fan_in + fan_out))
                values = rng.uniform(-limit, limit, shape)
            else:
                values = np.full(shape, variable.name in ("gamma", "moving_variance"), float)
            weights[f"{layer.name}/{variable.name}"] = values.astype(np.float32)
    return weights | fixed


def train_keras(
    model: Any,
    images: NDArray[np.float32],
    targets: NDArray[np.float32],
    weights: NDArray[np.float64],
    held_out: NDArray[np.intp] | None,
    train: NDArray[np.intp],
    *,
    first: Weights,
    recipe: KerasRecipe,
    seed: int,
    callbacks: Sequence[Any],
    on_epoch: Callable[[dict[str, float], Weights | None], None],
    verbose: bool,
) -> None:
    """Train a compiled `BatchedSequential`.

    `images` (n, height, width, 1) float32; `targets` (n, n_classes) float32; `weights` (n,).
    """
    set_named_weights(model, first)
    for variable in model.optimizer.variables:
        variable.assign(np.zeros(tuple(variable.shape), variable.dtype))
    model.optimizer.learning_rate = recipe.learning_rate
    for layer in model.layers:
        if getattr(layer, "seed_generator", None) is not None:  # a dropout of 0 has none
            layer.seed_generator.state.assign(np.array([seed, 0], dtype=np.uint32))
    validation = None
    if held_out is not None:
        validation = (images[held_out], targets[held_out], weights[held_out].astype(np.float32))
    n_steps = recipe.epochs * math.ceil(len(train) / recipe.batch_size)
    plan = _Plan(recipe, n_steps, on_epoch, validates=validation is not None, verbose=verbose)
    wrapper = BaseWrapper(
        model=lambda: model,
        epochs=recipe.epochs,
        batch_size=None,
        verbose=0,
        callbacks=[plan, *callbacks],
    )
    try:
        with _own_random_state(seed):
            wrapper.fit(
                images[train],
                targets[train],
                sample_weight=weights[train],
                recipe=recipe,
                seed=seed,
                validation_data=validation,
                validation_batch_size=_EVALUATION_BATCH,
            )
    finally:
        plan.bar.close()
        for callback in callbacks:  # a callback must not keep a network alive, or pickle one
            callback.set_model(None)


@contextlib.contextmanager
def _own_random_state(seed: int) -> Iterator[None]:
    """Let what Keras draws for itself leave no trace: torch's data loaders take a number each."""
    if keras.backend.backend() != "torch":
        yield
        return
    import torch

    with seeded(seed, torch.device("cpu")):
        yield


class _Plan(keras.callbacks.Callback):
    """Moves the learning rate and the progress bar, keeps the best epoch, stops the training."""

    def __init__(
        self,
        recipe: KerasRecipe,
        n_steps: int,
        on_epoch: Callable[[dict[str, float], Weights | None], None],
        *,
        validates: bool,
        verbose: bool,
    ) -> None:
        super().__init__()
        self.recipe, self.n_steps, self.on_epoch = recipe, n_steps, on_epoch
        self.validates = validates
        self.bar = progress_bar(total=n_steps, desc="training", unit="step", is_shown=verbose)
        self.step = self.epoch = self.best_epoch = 0
        self.best: tuple[float, ...] | None = None

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        if self.recipe.annealed:
            self.model.optimizer.learning_rate = self.recipe.learning_rate * self._rate()
        self.step += 1

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.bar.update()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        logs = logs or {}
        self.epoch += 1
        record = {
            "train_loss": float(logs["loss"]),
            "train_accuracy": float(logs["accuracy"]),
            "learning_rate": float(np.float32(_copied(self.model.optimizer.learning_rate))),
        }
        score: tuple[float, ...] = (-record["train_loss"],)
        if self.validates:
            record["valid_loss"] = float(logs["val_loss"])
            record["valid_accuracy"] = float(logs["val_accuracy"])
            score = (record["valid_accuracy"], -record["valid_loss"])
        improved = self.best is None or score > self.best
        if improved:
            self.best, self.best_epoch = score, self.epoch
        patience = self.recipe.patience
        if patience is not None and self.epoch - self.best_epoch >= patience:
            self.model.stop_training = True
        # without validation the last weights count: a loss on augmented images is too noisy
        keeps = improved or not self.validates
        self.on_epoch(record, named_weights(self.model) if keeps else None)

    def _rate(self) -> float:
        """Return the factor of the learning rate at this step."""
        progress = (self.step + 1) / self.n_steps
        if progress < 0.1:
            return progress / 0.1
        return 0.5 * (1 + math.cos(math.pi * (progress - 0.1) / 0.9)) + 1e-4  # never quite 0
