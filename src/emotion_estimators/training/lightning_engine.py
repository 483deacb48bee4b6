"""One training of a multi-label network with Lightning; imports torch and pytorch_lightning."""

from __future__ import annotations

import copy
import inspect
import logging
import math
import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import Checkpoint
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from emotion_estimators._forks import ThreadLock
from emotion_estimators.metrics import macro_average_precision
from emotion_estimators.training.augmentation import augment_images, pixel_statistics
from emotion_estimators.training.averaging import averaged_model
from emotion_estimators.training.batches import Batch, ImageSource
from emotion_estimators.training.checkpoints import describe
from emotion_estimators.training.device import exact_convolutions, training_dtype
from emotion_estimators.training.losses import make_loss, masked_mean
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

__all__ = ["check_trainer", "describe_trainer", "device_of_process", "train_with_lightning"]

Loss = Callable[[Tensor, Tensor], Tensor]

_LARGEST_BATCH = 128  # where batch_size="auto" begins to look

# What `Trainer` is not to be told by the user, and the parameter that says so instead, if any.
_SET_HERE = {
    "accelerator": "device", "barebones": None, "callbacks": "callbacks",
    "check_val_every_n_epoch": None, "enable_checkpointing": "checkpoint_dir",
    "enable_progress_bar": "verbose", "fast_dev_run": "max_epochs",
    "gradient_clip_algorithm": "gradient_clip", "gradient_clip_val": "gradient_clip",
    "limit_val_batches": "validation_fraction", "max_epochs": "max_epochs",
    "max_steps": "max_epochs", "min_epochs": "n_iter_no_change", "min_steps": "n_iter_no_change",
    "num_sanity_val_steps": None, "overfit_batches": None, "precision": "precision",
    "reload_dataloaders_every_n_epochs": None, "use_distributed_sampler": None,
    "val_check_interval": None,
}  # fmt: skip

# Settings of a Trainer that change nothing in the result.
_WATCHING = frozenset(
    {
        "default_root_dir", "detect_anomaly", "enable_autolog_hparams", "enable_model_summary",
        "inference_mode", "log_every_n_steps", "logger", "model_registry", "profiler",
    }
)  # fmt: skip


def check_trainer(owner: str, settings: Mapping[str, Any], random_state: Any) -> None:
    """Raise unless Lightning's Trainer can be told this, and can work with it here.

    Raises ValueError if it knows no such settings, if the engine sets them itself, or if several
    devices lack a strategy or a seed that all processes share; RuntimeError if they are asked for
    in a worker of joblib.
    """
    ours = sorted(settings.keys() & _SET_HERE.keys())
    if ours:
        instead = sorted({_SET_HERE[name] or "" for name in ours} - {""})
        advice = f"Use {', '.join(instead)}" if instead else "Leave them out"
        raise ValueError(f"{owner} sets {', '.join(ours)} of the Trainer itself. {advice}.")
    unknown = sorted(settings.keys() - inspect.signature(pl.Trainer.__init__).parameters.keys())
    if unknown:
        raise ValueError(
            f"{owner} expected trainer to hold parameters of pytorch_lightning.Trainer, got "
            f"{', '.join(map(str, unknown))}."
        )
    devices, strategy = settings.get("devices", 1), settings.get("strategy", "auto")
    n_nodes = settings.get("num_nodes", 1)
    for name, value in (("devices", devices), ("num_nodes", n_nodes)):
        if not isinstance(value, int) or value < 1:
            raise ValueError(
                f"{owner} expected {name} of trainer to be a whole number above 0, got {value!r}."
            )
    if devices * n_nodes == 1:
        return
    if multiprocessing.current_process().name != "MainProcess":
        raise RuntimeError(
            f"{owner} cannot use devices={devices} inside a worker process of joblib or "
            "multiprocessing: Lightning starts the script once for each device. Set n_jobs=1 "
            "there, or devices=1 here."
        )
    if not str(strategy).startswith("ddp"):
        raise ValueError(
            f"{owner} with devices={devices} expected strategy='ddp' in trainer, got {strategy!r}."
        )
    if not isinstance(random_state, (int, np.integer)):
        raise ValueError(
            f"{owner} with devices={devices} needs an int as random_state, since all processes "
            f"must split and shuffle alike, got {random_state!r}."
        )


def describe_trainer(settings: Mapping[str, Any]) -> Any:
    """Return as JSON those settings of a Trainer that may change the result."""
    return describe({name: value for name, value in settings.items() if name not in _WATCHING})


def device_of_process(device: torch.device, n_devices: int) -> torch.device:
    """Return the device that Lightning gives this process where several share the training."""
    if n_devices == 1 or device.type != "cuda":
        return device
    # Lightning starts a process for each further device and tells it which is its own
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def train_with_lightning(
    task: TrainingTask,
    build: Callable[..., nn.Module],
    *,
    device: torch.device,
    precision: str,
    ema_decay: float | None,
    loss: str | Callable[..., Tensor],
    pos_weight: NDArray[np.float32] | None,
    gradient_clip: float | None,
    n_workers: int,
    trainer: Mapping[str, Any],
) -> None:
    """Train what `build` makes of the statistics of the pixels; tell the task of each epoch.

    `pos_weight` (n_labels,).

    Raises KeyboardInterrupt at Ctrl-C; MemoryError if CUDA ran out of memory, which says what batch
    size to try; OSError if a checkpoint cannot be written; ValueError if the loss is not finite.
    """
    task.check_optimizer(OWN_SETTINGS)
    device = device_of_process(device, trainer.get("devices", 1))
    state = task.state
    with (
        ExitStack() as opened,
        exact_convolutions(device, full_precision=False),
        seeded(task.seed, device) as generator,
    ):
        source = ImageSource(task, device, n_workers=n_workers)
        examples = source.examples()
        network = build(statistics=partial(pixel_statistics, examples))
        if task.first_weights is not None:
            network.load_state_dict(tensors_of(task.first_weights))
        dtype = training_dtype(network, examples.shape[3:] + examples.shape[1:3], precision, device)
        module_of_torch: Any = network.train()  # torch declares no `memory_format` here
        module_of_torch.to(device, memory_format=torch.channels_last)
        weight = None if pos_weight is None else torch.from_numpy(pos_weight).to(device)
        losses = make_loss(loss, weight)
        batch_size: Any = task.batch_size if state is None else state["batch_size"]
        if batch_size == "auto":
            batch_size = _largest_batch(network, source, losses, dtype)
        module = _Module(network, task, losses=losses, ema_decay=ema_decay, clip=gradient_clip)
        if state is not None:
            _restore(module, state, generator, device)
        images = _Images(
            source,
            batch_size=batch_size,
            generator=generator,
            transform=_augmentation(task.augmentation, generator),
        )
        fixed = {"batch_size": batch_size}
        following = _Following(task, module, opened, partial(_state, module, generator, fixed))
        try:
            _fit(task, module, images, following, dtype, trainer)
        except torch.cuda.OutOfMemoryError as failure:
            height, width = task.images.image_size
            raise MemoryError(
                f"{task.owner}: CUDA ran out of memory with batch_size={batch_size} at {height} x "
                f"{width} px. Try batch_size={max(1, batch_size // 2)}, 'auto', or a smaller "
                "image_size."
            ) from failure


class _Module(pl.LightningModule):
    """A network with its loss, optimizer and scores, as Lightning wants them; holds no images."""

    def __init__(
        self,
        network: nn.Module,
        task: TrainingTask,
        *,
        losses: Loss,
        ema_decay: float | None,
        clip: float | None,
    ) -> None:
        super().__init__()
        self.network = network
        self.losses, self.clip = losses, clip
        self.learning_rate, self.weight_decay = task.learning_rate, task.weight_decay
        self.warmup = task.warmup
        self.optimizer = task.optimizer or partial(torch.optim.AdamW, fused=True)
        self.optimizer_state: dict[str, Any] | None = None  # to go on from
        # in a tuple, so that it is no part of this module: no optimizer, no copy to other devices
        average = None if ema_decay is None else averaged_model(network, decay=ema_decay)
        self.averages = () if average is None else (average,)
        self._n_averaged = task.progress.n_steps
        self.record: dict[str, float] = {}  # of the present epoch
        self._loss_sum: Tensor | float = 0.0
        self._n_seen = 0
        self._answers: list[tuple[Tensor, Tensor, Tensor]] = []

    @property
    def judged(self) -> nn.Module:
        """What is judged and kept: the average, if there is one."""
        judged: nn.Module = self.averages[0].module if self.averages else self.network
        return judged

    def configure_optimizers(self) -> Any:
        """Return the optimizer, with no decay of biases and normalisation, and the schedule."""
        optimizer = make_optimizer(
            self.optimizer,
            self.network,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
        )
        if self.optimizer_state is not None:
            load_optimizer_state(optimizer, self.optimizer_state)
        if self.warmup is None:  # the rate is constant, and may be another callback's
            return optimizer
        n_steps = int(self.trainer.estimated_stepping_batches)
        schedule = Schedule(n_steps, warmup=self.warmup)
        scheduler = LambdaLR(optimizer, schedule.rate, last_epoch=self.trainer.global_step - 1)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def configure_gradient_clipping(self, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Clip here: Lightning does not clip for a fused optimizer in mixed precision."""
        if self.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.clip)

    def on_train_epoch_start(self) -> None:
        """Forget the epoch before."""
        self.record, self._loss_sum, self._n_seen, self._answers = {}, 0.0, 0, []

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002
        """Return the loss of a batch."""
        images, (targets, weights) = batch
        known = targets["labels"], weights["labels"]
        loss = masked_mean(self.losses, self.network(images).float(), known)
        self._loss_sum = self._loss_sum + loss.detach()
        self._n_seen += 1
        return loss

    def on_train_batch_end(self, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Move the average, if the optimizer made a step."""
        n_steps = self.trainer.global_step
        if self.averages and n_steps > self._n_averaged:
            self._n_averaged = n_steps
            self.averages[0].update_parameters(self.network)

    def on_validation_start(self) -> None:
        """Let all processes judge the same: their statistics of batches differ."""
        self._agree()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        """Note what the network says of held-out images."""
        images, (targets, weights) = batch
        scores = self.judged(images).float()
        loss = masked_mean(self.losses, scores, (targets["labels"], weights["labels"]))
        self._answers.append((scores, targets["labels"], loss * len(images)))

    def on_validation_epoch_end(self) -> None:
        """Score the epoch on the held-out images."""
        scores, targets, losses = zip(*self._answers, strict=True)
        self._answers = []
        y_score, y_true = (torch.cat(parts).cpu().numpy() for parts in (scores, targets))
        is_defined = np.isfinite(y_score).all() and (y_true == 1).any()
        precision = macro_average_precision(y_true, y_score) if is_defined else math.nan
        valid_loss = sum(float(loss) for loss in losses) / len(y_score)
        found = {"valid_loss": valid_loss, "valid_average_precision": float(precision)}
        self.record |= found
        self.log_dict(found, rank_zero_only=True)

    def on_train_epoch_end(self) -> None:
        """Note the loss of the epoch and the rate that it has come to."""
        loss = torch.as_tensor(self._loss_sum) / max(self._n_seen, 1)
        if self.trainer.world_size > 1:
            torch.distributed.all_reduce(loss)
            loss = loss / self.trainer.world_size
        if not self.record:  # nothing was held out
            self._agree()
        rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        found = {"train_loss": float(loss), "learning_rate": float(rate)}
        self.record = found | self.record
        self.log_dict(found, rank_zero_only=True)

    def _agree(self) -> None:
        """Take the buffers of the first process."""
        if self.trainer.world_size > 1:
            for buffer in self.judged.buffers():
                torch.distributed.broadcast(buffer, 0)


class _Images(pl.LightningDataModule):
    """The batches of a task, for Lightning."""

    def __init__(self, source: ImageSource, **settings: Any) -> None:
        super().__init__()
        self.source, self.settings = source, settings

    def train_dataloader(self) -> Any:
        """Return the batches of this process."""
        assert self.trainer is not None  # noqa: S101 - Lightning asks for them
        part = (self.trainer.global_rank, self.trainer.world_size)
        return self.source.shuffled(part=part, **self.settings)

    def val_dataloader(self) -> Any:
        """Return the batches to judge by."""
        return self.source.held_out()

    def transfer_batch_to_device(
        self,
        batch: Batch,
        device: torch.device,  # noqa: ARG002 - Lightning's interface
        dataloader_idx: int,  # noqa: ARG002
    ) -> Batch:
        """Return the batch: it comes on its device."""
        return batch


class _Following(Checkpoint):
    """Tells the task of each epoch; Lightning calls such callbacks after all others."""

    def __init__(
        self,
        task: TrainingTask,
        module: _Module,
        opened: ExitStack,
        state: Callable[[list[Any], pl.Trainer], dict[str, Any]],
    ) -> None:
        self.task, self.module, self.opened, self.state = task, module, opened, state
        self.callbacks: list[Any] = []  # of the user
        self.bar: Any = None
        self.n_steps = task.progress.n_steps

    def on_train_start(self, trainer: pl.Trainer, *_: Any) -> None:
        """Open the bar."""
        self.task.writes = trainer.is_global_zero
        self.bar = self.opened.enter_context(self.task.bar(int(trainer.estimated_stepping_batches)))

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Move the bar, if the optimizer made a step."""
        if trainer.global_step > self.n_steps:
            self.n_steps = trainer.global_step
            self.bar.update()

    def on_train_epoch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Hand on the record, weights and state of the epoch."""
        module = self.module
        self.bar.set_postfix({k: f"{v:.4f}" for k, v in module.record.items()}, refresh=False)
        self.task.end_epoch(
            module.record,
            n_steps=trainer.global_step,
            score=epoch_score(module.record, "valid_average_precision"),
            weights=lambda: weights_of(module.judged),
            state=lambda: self.state(self.callbacks, trainer),
            is_over=bool(trainer.should_stop),
        )
        if self.task.is_over:
            trainer.should_stop = True


def _fit(
    task: TrainingTask,
    module: _Module,
    images: _Images,
    following: _Following,
    dtype: torch.dtype | None,
    settings: Mapping[str, Any],
) -> None:
    """Run Lightning's Trainer; raise KeyboardInterrupt if that ended it."""
    with _quiet():
        callbacks = [copy.deepcopy(one) for one in task.callbacks]
        if task.state is not None:
            for callback, state in zip(callbacks, task.state["callbacks"], strict=True):
                callback.load_state_dict(tensors_of(state))
        following.callbacks = callbacks
        device = images.source.device
        on_cuda, n_devices = device.type == "cuda", settings.get("devices", 1)
        trainer = pl.Trainer(
            **{
                "logger": False,
                "log_every_n_steps": 1,
                "enable_model_summary": False,
                **settings,
                "accelerator": "gpu" if on_cuda else "cpu",
                "devices": [device.index] if on_cuda and n_devices == 1 else n_devices,
                "precision": "32-true" if dtype is None else "bf16-mixed",
                "max_epochs": task.max_epochs,
                "callbacks": [*callbacks, following],
                "enable_progress_bar": False,
                "num_sanity_val_steps": 0,
                "use_distributed_sampler": False,
                "limit_val_batches": 0 if task.held_out is None else 1.0,
            }
        )
        try:
            _go_on(trainer, task)
            trainer.fit(module, datamodule=images)
        except SystemExit as error:  # what Lightning makes of Ctrl-C
            if isinstance(error.__context__, KeyboardInterrupt):
                raise error.__context__ from None
            raise
        else:
            if trainer.interrupted:
                raise KeyboardInterrupt
        finally:
            # A Trainer and its parts refer to each other: left alone, they would hold the images
            # and the optimizer of every fit until Python looks for such rings.
            for part in (trainer.strategy, trainer):
                vars(part).clear()


def _go_on(trainer: pl.Trainer, task: TrainingTask) -> None:
    """Let Lightning count epochs and steps from where the training was."""
    loop: Any = trainer.fit_loop
    loop.epoch_progress.current.processed = len(task.progress.history)
    steps = loop.epoch_loop.automatic_optimization.optim_progress.optimizer.step
    steps.total.ready = steps.total.completed = task.progress.n_steps
    loop.epoch_loop._batches_that_stepped = task.progress.n_steps  # of loggers


def _augmentation(strength: float, generator: torch.Generator) -> Callable[[Tensor], Tensor] | None:
    if strength == 0:
        return None
    return partial(augment_images, strength=strength, erasing=0.0, level=0.0, generator=generator)


def _largest_batch(
    network: nn.Module, source: ImageSource, losses: Loss, dtype: torch.dtype | None
) -> int:
    """Return the largest power of 2 for which one step of a copy fits in memory."""
    device = source.device

    def step(size: int) -> None:  # a function, so that all that a trial takes goes with it
        trial = copy.deepcopy(network).train()
        optimizer = torch.optim.AdamW(trial.parameters(), lr=0.0)
        batches = source.shuffled(batch_size=size, generator=torch.Generator())
        with torch.random.fork_rng(devices=[device.index] if device.type == "cuda" else []):
            images, (targets, weights) = next(iter(batches))
            with torch.autocast(device.type, dtype, enabled=dtype is not None, cache_enabled=False):
                scores = trial(images)
            known = targets["labels"], weights["labels"]
            loss: Any = masked_mean(losses, scores.float(), known)
            loss.backward()
            optimizer.step()  # takes the memory of its state

    size = min(_LARGEST_BATCH, len(source.task.train))
    while True:
        try:
            step(size)
        except torch.cuda.OutOfMemoryError:
            if size == 1:
                raise
            size = (size + 1) // 2
        else:
            return size
        finally:
            if device.type == "cuda":
                torch.cuda.empty_cache()


def _state(
    module: _Module,
    generator: torch.Generator,
    fixed: dict[str, Any],
    callbacks: list[Any],
    trainer: pl.Trainer,
) -> dict[str, Any]:
    """Return all that the next epoch depends on beside the progress."""
    found = {
        "network": module.network.state_dict(),
        "averages": [average.state_dict() for average in module.averages],
        "optimizer": optimizer_state(trainer.optimizers[0]),
        "callbacks": [one.state_dict() for one in callbacks],
        "random": random_states(generator, module.device),
    }
    arrays: dict[str, Any] = arrays_of(found)
    return fixed | arrays


def _restore(
    module: _Module, state: dict[str, Any], generator: torch.Generator, device: torch.device
) -> None:
    """Put a training where it was when its state was written."""
    module.network.load_state_dict(tensors_of(state["network"]))
    for average, found in zip(module.averages, state["averages"], strict=True):
        average.load_state_dict(tensors_of(found))
    module.optimizer_state = state["optimizer"]
    set_random_states(state["random"], generator, device)


_LOGGERS = ("pytorch_lightning", "lightning.pytorch", "lightning_fabric", "lightning.fabric")
_changing = ThreadLock()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's information and advice from being shown, its errors not.

    Warnings that Lightning's own modules issue are advice on how to call a Trainer, which the
    caller of an estimator does not; those of other libraries come through. The handler of
    Ctrl-C, which Lightning switches off for good once it was interrupted, is put back. One thread
    at a time is inside; the others wait.
    """
    in_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if in_main else None
    try:
        with _changing.held(), _ignored_warnings(), _only_errors():
            yield
    finally:
        if in_main and handler is not None and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            signal.signal(signal.SIGINT, handler)


@contextmanager
def _only_errors() -> Iterator[None]:
    """Let Lightning's loggers say nothing below an error."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _ignored_warnings() -> Iterator[None]:
    """Add filters for warnings, and take out just these.

    ``warnings.catch_warnings`` would put back the list of all filters, and with it undo what
    another thread has changed meanwhile.
    """
    before = warnings.filters
    for module in ("pytorch_lightning", "lightning_fabric", "lightning_utilities"):
        warnings.filterwarnings("ignore", module=module)
    # PyTorch's own deprecations that Lightning still runs into
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    added = list(warnings.filters[:4])
    try:
        yield
    finally:
        # another thread may have begun or ended a block of its own, which swaps the lists
        for filters in (before, warnings.filters):
            for one in added:
                with suppress(ValueError):
                    filters.remove(one)  # type: ignore[attr-defined]
