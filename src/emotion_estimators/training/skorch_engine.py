"""Trainings of networks that classify images, with skorch; imports torch and skorch.

Arithmetic (schedule, best epoch, patience) is of `TrainingTask` and `Schedule`; what steps and
stops are callbacks of skorch, beside those of the user.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import partial
from threading import Event
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch import NeuralNet
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    LRScheduler,
    PassthroughScoring,
)
from skorch.helper import predefined_split
from skorch.history import History
from skorch.utils import noop
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from emotion_estimators.training.augmentation import augment_images, pixel_statistics
from emotion_estimators.training.averaging import averaged_model
from emotion_estimators.training.batches import ImageSource, LabelledImages, OrderedBatches
from emotion_estimators.training.device import (
    choose_device,
    exact_convolutions,
    training_dtype,
)
from emotion_estimators.training.losses import SoftCrossEntropy
from emotion_estimators.training.optimizer import OWN_SETTINGS, make_optimizer
from emotion_estimators.training.progress import TrainingTask, epoch_score
from emotion_estimators.training.schedule import Schedule
from emotion_estimators.training.seeds import seeded
from emotion_estimators.training.torch_state import (
    arrays_of,
    load_optimizer_state,
    optimizer_state,
    random_states,
    set_random_states,
    tensors_of,
    weights_of,
)

__all__ = ["ImageNeuralNet", "train_with_skorch"]

_EVALUATION_BATCH = 512
_SGD = partial(torch.optim.SGD, momentum=0.9, nesterov=True)


def train_with_skorch(
    task: TrainingTask,
    build: Callable[[NDArray[np.float64], NDArray[np.float64]], nn.Module],
    *,
    device: str,
    precision: str,
    ema_decay: float | None,
    label_smoothing: float,
    erasing: float,
    mixup: float,
    max_time: float | None,
    shares: dict[str, float],
) -> None:
    """Train the network that `build` makes of mean and standard deviation of its pixels.

    `shares` are those of the task's columns in the loss.

    Raises ValueError if the device is not there, or the loss is no longer finite; TypeError if a
    callback is none of skorch; KeyboardInterrupt at Ctrl-C; OSError if a checkpoint cannot be
    written.
    """
    task.check_optimizer(OWN_SETTINGS)
    where = choose_device(device, needed_by=task.owner)
    source = ImageSource(task, where)
    mean, std = pixel_statistics(source.examples())
    stop = Event()
    with exact_convolutions(where, full_precision=False), seeded(task.seed, where) as generator:
        module = build(mean, std).float()
        if task.first_weights is not None:
            module.load_state_dict(tensors_of(task.first_weights))
        batches = source.shuffled(
            batch_size=task.batch_size,
            generator=generator,
            transform=_augmentation(task, erasing, mean, std, generator),
            mixup=mixup,
        )
        dtype = training_dtype(module, (len(mean), *task.images.image_size), precision, where)
        n_steps = task.max_epochs * len(batches)
        schedule = Schedule(n_steps, warmup=task.warmup, max_time=max_time)
        batches.stop = lambda: stop.is_set() or schedule.is_over()
        held_out = _judges(source)
        with task.bar(n_steps) as bar:
            net = ImageNeuralNet(
                module,
                criterion=SoftCrossEntropy,
                criterion__label_smoothing=label_smoothing,
                criterion__shares=shares,
                optimizer=task.optimizer or _SGD,
                lr=task.learning_rate,
                weight_decay=task.weight_decay,
                max_epochs=task.max_epochs,
                batch_size=task.batch_size,
                iterator_train=partial(_given, batches),
                iterator_valid=partial(OrderedBatches, device=where),
                iterator_valid__batch_size=_EVALUATION_BATCH,
                train_split=None if held_out is None else predefined_split(held_out),
                callbacks=_callbacks(task, schedule, ema_decay, generator, bar),
                predict_nonlinearity=partial(torch.softmax, dim=-1),
                device=str(where),
                verbose=0,
                owner=task.owner,
                precision=dtype,
                stop=stop,
            )
            net.initialize()
            if task.state is not None:
                _restore(net, generator, task.state)
            net.go_on(batches.dataset, epochs=task.max_epochs - len(task.progress.history))


class ImageNeuralNet(NeuralNet):
    """skorch's training loop with mixed precision, weighted images, and Ctrl-C let through.

    A callback stops a training as it does in skorch, by ``KeyboardInterrupt``: the epoch ends
    after this batch, and with it the training. Raised anywhere else it is Ctrl-C.
    """

    interruption_: KeyboardInterrupt | None

    def __init__(
        self,
        *args: Any,
        owner: str,
        precision: torch.dtype | None,
        weight_decay: float,
        stop: Event,
        **parameters: Any,
    ) -> None:
        self.owner, self.precision, self.weight_decay, self.stop = (
            owner, precision, weight_decay, stop,
        )  # fmt: skip
        super().__init__(*args, **parameters)

    @property
    def _default_callbacks(self) -> list[Any]:
        return []  # skorch's own print, and score a validation set that it draws

    def initialize_module(self) -> ImageNeuralNet:
        """Create the network, in the order of memory in which convolutions are fastest."""
        super().initialize_module()
        self.module_.to(memory_format=torch.channels_last)
        return self

    def initialize_optimizer(self, *args: Any, **kwargs: Any) -> ImageNeuralNet:  # noqa: ARG002
        """Create the optimizer, with weight decay for some of the parameters."""
        self.optimizer_ = make_optimizer(
            self.optimizer,
            self.module_,
            learning_rate=self.lr,
            weight_decay=self.weight_decay,
        )
        return self

    @property
    def evaluated_module(self) -> nn.Module:
        """The network that predicts and is kept: the average, or the one that is trained."""
        for _, callback in self.callbacks_:
            if isinstance(callback, WeightAverage):
                module: nn.Module = callback.average_.module
                return module
        return self.module_  # type: ignore[no-any-return]

    def infer(self, x: Tensor, **fit_params: Any) -> Tensor:  # noqa: ARG002 - skorch's interface
        """Return the scores, (n, n_classes), of images (n, channels, height, width)."""
        module = self.module_ if self.module_.training else self.evaluated_module
        x = x.to(self.device).contiguous(memory_format=torch.channels_last)
        is_mixed = self.precision is not None
        # A cache would outlive the step, and hold weights of before it, in a block of the user's.
        with torch.autocast(
            x.device.type, dtype=self.precision, enabled=is_mixed, cache_enabled=False
        ):
            scores = module(x)
        if not isinstance(scores, Tensor):
            raise TypeError(
                f"{self.owner} expected a network that gives a tensor of scores, (n, n_classes), "
                f"got a {type(scores).__name__}."
            )
        return scores.float()

    def get_loss(
        self,
        y_pred: Tensor,
        y_true: Any,
        *args: Any,  # noqa: ARG002 - skorch's interface
        **kwargs: Any,  # noqa: ARG002
    ) -> Tensor:
        """Return the weighted mean loss of scores against (targets, weights)."""
        n_outputs = sum(each.shape[1] for each in y_true[0].values())
        wanted = (len(y_pred), n_outputs)
        if y_pred.shape != wanted:
            raise ValueError(
                f"{self.owner} expected a network that gives scores of shape (n, n_classes), "
                f"{wanted} for a batch, got {tuple(y_pred.shape)}."
            )
        loss: Tensor = self.criterion_(y_pred, y_true)
        return loss

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Take a step, and record the share of images that it was right about."""
        step: dict[str, Any] = super().train_step_single(batch, **fit_params)
        # the likelier class where two are mixed
        self.history.record_batch("train_accuracy", float(_is_right(step, batch).mean()))
        return step

    def validation_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Judge a batch, and record the weighted share of images that it was right about."""
        step: dict[str, Any] = super().validation_step(batch, **fit_params)
        weights = batch[1][1]["labels"]
        accuracy = float((_is_right(step, batch) * weights).mean())
        self.history.record_batch("valid_accuracy", accuracy)
        return step

    def notify(self, method_name: str, **arguments: Any) -> None:
        """Call all callbacks, also those behind one that ends the training."""
        getattr(self, method_name)(self, **arguments)
        for name, callback in self.callbacks_:
            try:
                getattr(callback, method_name)(self, **arguments)
            except KeyboardInterrupt:
                if name in _WORKING:
                    raise
                self.stop.set()
        if method_name == "on_epoch_end" and self.stop.is_set():
            raise _Stopped

    def fit_loop(self, *args: Any, **parameters: Any) -> ImageNeuralNet:
        """Train to the end, and note Ctrl-C, which skorch takes for a stop."""
        try:
            super().fit_loop(*args, **parameters)
        except _Stopped:
            pass
        except KeyboardInterrupt as error:
            self.interruption_ = error
        return self

    def go_on(self, dataset: Any, *, epochs: int) -> None:
        """Train for some epochs more; raise KeyboardInterrupt at Ctrl-C."""
        self.interruption_ = None
        self.partial_fit(dataset, epochs=epochs)
        if self.interruption_ is not None:
            raise self.interruption_


class _Stopped(KeyboardInterrupt):
    """What ends skorch's loop where a callback has asked for it."""


class WeightAverage(Callback):
    """The moving average of the weights, which is judged and kept."""

    def __init__(self, decay: float, state: dict[str, Any] | None = None) -> None:
        self.decay, self.state = decay, state

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Begin with the network as it is, or go on with the average of before."""
        self.average_ = averaged_model(net.module_, decay=self.decay)
        if self.state is not None:
            self.average_.load_state_dict(tensors_of(self.state))

    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:  # noqa: ARG002
        """Follow a step."""
        if training:
            self.average_.update_parameters(net.module_)


class GoneOnEarlyStopping(EarlyStopping):
    """skorch's early stopping, which begins where the training was stopped before."""

    def __init__(self, task: TrainingTask) -> None:
        super().__init__(
            monitor="score",
            patience=task.n_iter_no_change,
            threshold=0,
            threshold_mode="abs",
            lower_is_better=False,
            sink=noop,
        )
        self.task = task

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Begin with what is known already."""
        super().on_train_begin(net, **kwargs)
        progress = self.task.progress
        self.misses_, self.dynamic_threshold_ = progress.n_stale, progress.best_score


class StopWhenOver(Callback):
    """The end of a training whose time is over."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Stop as callbacks of skorch do."""
        if self.schedule.is_over():
            raise KeyboardInterrupt


class ProgressCheckpoint(Checkpoint):
    """Tells the task of each epoch; the task keeps the best weights and writes the file."""

    def __init__(self, task: TrainingTask, generator: torch.Generator) -> None:
        super().__init__(
            monitor=None,  # every epoch
            f_params=None,
            f_optimizer=None,
            f_criterion=None,
            f_history=None,
            event_name=None,
        )
        self.task, self.generator = task, generator

    def save_model(self, net: Any) -> None:
        """Close an epoch."""
        row = net.history[-1]
        record = {name: float(row[name]) for name in ("train_loss", "train_accuracy")}
        record["learning_rate"] = float(net.optimizer_.param_groups[0]["lr"])
        if self.task.held_out is not None:
            record |= {name: float(row[name]) for name in ("valid_loss", "valid_accuracy")}
        self.task.end_epoch(
            record,
            n_steps=sum(net.history[:, "train_batch_count"]),
            score=row["score"],
            weights=lambda: weights_of(net.evaluated_module),
            state=lambda: _state(net, self.generator),
            is_over=net.stop.is_set(),
        )


class ShownProgress(Callback):
    """One bar over all steps of the training."""

    def __init__(self, bar: Any) -> None:
        self.bar = bar

    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:  # noqa: ARG002
        """Move on by a step."""
        if training:
            self.bar.update()

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Show how good the network is."""
        row = net.history[-1]
        shown = {k: f"{v:.4f}" for k, v in row.items() if k.endswith("_accuracy")}
        self.bar.set_postfix(shown, refresh=False)


# Callbacks of ours that never stop a training: a KeyboardInterrupt out of them is Ctrl-C.
_WORKING = frozenset(
    {
        "ema", "train_loss", "train_accuracy", "valid_loss", "valid_accuracy", "score",
        "learning_rate", "progress", "bar",
    }
)  # fmt: skip


def _callbacks(
    task: TrainingTask,
    schedule: Schedule,
    ema_decay: float | None,
    generator: torch.Generator,
    bar: Any,
) -> list[tuple[str, Any] | Any]:
    """Return all callbacks in the order in which they are called."""
    for each in task.callbacks:
        callback = each[1] if isinstance(each, (tuple, list)) and len(each) == 2 else each
        is_known = isinstance(callback, Callback) or (
            isinstance(callback, type) and issubclass(callback, Callback)
        )
        if not is_known:
            raise TypeError(f"{task.owner} expected callbacks of skorch, got {callback!r}.")
    ours: list[tuple[str, Any]] = []
    if ema_decay is not None:
        state = None if task.state is None else task.state["average"]
        ours.append(("ema", WeightAverage(ema_decay, state)))
    for name in ("train", "valid") if task.held_out is not None else ("train",):
        on_train = name == "train"
        ours += [
            (f"{name}_loss", PassthroughScoring(f"{name}_loss", on_train=on_train)),
            (
                f"{name}_accuracy",
                PassthroughScoring(f"{name}_accuracy", lower_is_better=False, on_train=on_train),
            ),
        ]
    ours.append(
        (
            "score",
            EpochScoring(
                _score, name="score", lower_is_better=False, on_train=True, use_caching=False
            ),
        )
    )
    if task.warmup is not None:  # else the rate is constant, and may be another callback's
        ours.append(
            (
                "learning_rate",
                LRScheduler(
                    LambdaLR,
                    lr_lambda=schedule.rate,
                    last_epoch=task.progress.n_steps - 1,  # it counts batches
                    step_every="batch",
                ),
            )
        )
    ends: list[tuple[str, Any]] = []
    if task.n_iter_no_change is not None:
        ends.append(("n_iter_no_change", GoneOnEarlyStopping(task)))
    return [
        *ours,
        *copy.deepcopy(list(task.callbacks)),
        *ends,
        ("max_time", StopWhenOver(schedule)),
        ("progress", ProgressCheckpoint(task, generator)),
        ("bar", ShownProgress(bar)),
    ]


def _score(net: Any, *_: Any) -> float:
    return epoch_score(net.history[-1], "valid_accuracy")


def _is_right(step: dict[str, Any], batch: Any) -> Tensor:
    """Return 1.0 where the likeliest class is right, else 0.0, (n,), in float64."""
    targets = batch[1][0]["labels"]
    scores = step["y_pred"].detach()[:, : targets.shape[1]]  # those of the labels come first
    right: Tensor = scores.argmax(dim=1) == targets.argmax(dim=1)
    return right.double()


def _given(batches: Any, dataset: Any, batch_size: int) -> Any:  # noqa: ARG001 - skorch's interface
    """Return the batches that were made before."""
    return batches


def _judges(source: ImageSource) -> LabelledImages | None:
    """Return the images held out, with weights whose mean is 1, as skorch's averages want them."""
    batches = source.held_out()
    if batches is None:
        return None
    data: Any = batches.dataset
    for name, each in data.weights.items():
        # float64: accuracies that are equal must not differ by rounding
        weights = each.double()
        data.weights[name] = weights / weights.mean().clamp_min(1e-12)
    return data  # type: ignore[no-any-return]


def _augmentation(
    task: TrainingTask,
    erasing: float,
    mean: NDArray[np.float64],
    std: NDArray[np.float64],
    generator: torch.Generator,
) -> Callable[[Tensor], Tensor] | None:
    """Return what changes the images of a batch, if anything does."""
    if task.augmentation == 0 and erasing == 0:
        return None
    # of all channels together
    spread = float(std[0]) if len(std) == 1 else float(np.sqrt((std**2).mean() + mean.var()))
    return partial(
        augment_images,
        strength=task.augmentation,
        erasing=erasing,
        level=spread,
        generator=generator,
    )


def _state(net: ImageNeuralNet, generator: torch.Generator) -> dict[str, Any]:
    """Return all that the next epoch depends on, as arrays and JSON."""
    average = dict(net.callbacks_).get("ema")
    found = {
        "module": net.module_.state_dict(),
        "average": None if average is None else average.average_.state_dict(),
        "optimizer": optimizer_state(net.optimizer_),
        "random": random_states(generator, torch.device(net.device)),
        "history": [dict(_plain_items(row)) for row in net.history],
    }
    arrays: dict[str, Any] = arrays_of(found)
    return arrays


def _restore(net: ImageNeuralNet, generator: torch.Generator, state: dict[str, Any]) -> None:
    """Give a net that is initialised a state of before; its average has it already."""
    net.module_.load_state_dict(tensors_of(state["module"]))
    load_optimizer_state(net.optimizer_, state["optimizer"])
    set_random_states(state["random"], generator, torch.device(net.device))
    net.history_ = History([{**row, "batches": []} for row in state["history"]])
    for _, callback in net.callbacks_:
        if isinstance(callback, PassthroughScoring) and callback.name in net.history[0]:
            best = min if callback.lower_is_better else max
            callback.best_score_ = best(net.history[:, callback.name])


def _plain_items(row: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the numbers of a row of skorch's history, and what else a file can hold."""
    for name, value in row.items():
        plain = arrays_of(value)
        if plain is None or isinstance(plain, (bool, int, float, str)):
            yield name, plain
