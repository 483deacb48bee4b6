"""One multi-label training with Lightning; imports torch and pytorch_lightning."""

from __future__ import annotations

import copy
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import Checkpoint
from torch import Tensor, nn

from emotion_estimators import __version__
from emotion_estimators.images.collection import Images
from emotion_estimators.images.threads import count_threads
from emotion_estimators.networks.backbones import TIMM_PREFIX
from emotion_estimators.networks.multi_label import MultiLabelNetwork
from emotion_estimators.training.augmentation import augment_images
from emotion_estimators.training.checkpoints import Checkpoints, describe, digest
from emotion_estimators.training.device import exact_convolutions
from emotion_estimators.training.losses import make_loss, masked_mean
from emotion_estimators.training.multilabel_module import MultiLabelModule, Progress
from emotion_estimators.training.multilabel_sources import Evaluated, Sources
from emotion_estimators.training.quiet_lightning import quiet_lightning
from emotion_estimators.training.seeds import seeded

__all__ = ["check_devices", "describe_training", "device_of_process", "train_multilabel"]

_HASHED_AT_ONCE = 256  # images that are decoded together to be hashed
_LARGEST_BATCH = 128  # where batch_size="auto" begins to look


def check_devices(owner: str, devices: int, strategy: str, random_state: Any) -> None:
    """Raise if several devices are asked for where they cannot work.

    Raises ValueError if no strategy, or no seed that all processes share, is named; RuntimeError in
    a worker of joblib.
    """
    if devices == 1:
        return
    if multiprocessing.current_process().name != "MainProcess":
        raise RuntimeError(
            f"{owner} cannot use devices={devices} inside a worker process of joblib or "
            "multiprocessing: Lightning starts the script once for each device. Set n_jobs=1 "
            "there, or devices=1 here."
        )
    if not strategy.startswith("ddp"):
        raise ValueError(
            f"{owner} with devices={devices} expected strategy='ddp', got {strategy!r}."
        )
    if not isinstance(random_state, (int, np.integer)):
        raise ValueError(
            f"{owner} with devices={devices} needs an int as random_state, since all processes "
            f"must split and shuffle alike, got {random_state!r}."
        )


def device_of_process(device: torch.device, devices: int) -> torch.device:
    """Return the device that Lightning gives this process where several share the training."""
    if devices == 1 or device.type != "cuda":
        return device
    # Lightning starts a process for each further device and tells it which is its own
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


# What changes neither the network nor its thresholds, and what `describe_training` says otherwise.
_NOT_DESCRIBED = {
    "accelerator", "backbone", "callbacks", "checkpoint_dir", "image_shape", "image_size",
    "labels", "logger", "num_workers", "pos_weight", "precision", "preset", "random_state",
    "resume", "threshold", "verbose", "warm_start",
}  # fmt: skip


def describe_training(
    settings: Any,
    images: Images,
    pixels: NDArray[Any] | None,
    *,
    device: torch.device,
    precision: torch.dtype | None,
    **others: Any,
) -> dict[str, Any]:
    """Return all that the result of a training depends on, as `Checkpoints` takes it.

    `pixels` (n, height, width, 3).
    """
    own = {name: value for name, value in vars(settings).items() if name not in _NOT_DESCRIBED}
    backbone = settings.backbone
    if isinstance(backbone, nn.Module):
        own["backbone"] = {
            "structure": {name: _plain(part) for name, part in backbone.named_modules()},
            "weights": _arrays(backbone.state_dict()),
        }
    elif backbone.startswith(TIMM_PREFIX):
        own["timm"] = version("timm")
    parts: dict[str, Any] = describe(
        own
        | others
        | {
            "images": digest([pixels] if pixels is not None else _in_pieces(images)),
            "num_workers": "0" if settings.num_workers == 0 else "above 0",
            "device": device.type,
            "precision": str(precision or torch.float32),
            "callbacks": [_plain(one) for one in settings.callbacks or []],
            "versions": {
                "emotion-estimators": __version__,
                "torch": str(torch.__version__),
                "pytorch-lightning": version("pytorch-lightning"),
            },
        }
    )
    return parts


def _in_pieces(images: Images) -> Iterator[NDArray[Any]]:
    """Yield the pixels as `stack_images` would hold them, some at a time."""
    for _, batch in images.batches(_HASHED_AT_ONCE, n_threads=count_threads(None), ahead=True):
        yield batch if batch.dtype == np.uint8 else batch.astype(np.float32, copy=False)


def _plain(value: Any) -> Any:
    """Return what describes any object: its class, and its attributes where they are plain."""
    if value is None or isinstance(value, (bool, int, float, str, Path)):
        return value
    if isinstance(value, Tensor):
        return _arrays(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if isinstance(value, pl.Callback):
        return {"class": kind} | {name: _plain(item) for name, item in vars(value).items()}
    if isinstance(value, nn.Module):  # its weights and parts stand under private names
        own = {name: item for name, item in vars(value).items() if not name.startswith("_")}
        return {"class": kind} | {name: _plain(own[name]) for name in own.keys() - {"training"}}
    return kind


def train_multilabel(
    settings: Any,
    images: Images,
    pixels: NDArray[Any] | None,
    targets: NDArray[np.float32],
    weights: NDArray[np.float64],
    *,
    owner: str,
    device: torch.device,
    precision: torch.dtype | None,
    train: NDArray[np.intp],
    held_out: NDArray[np.intp] | None,
    make_network: Callable[[NDArray[Any]], MultiLabelNetwork],
    pos_weight: NDArray[np.float32] | None,
    seed: int,
    resumed: tuple[dict[str, Any], bool] | None,
    checkpoints: Checkpoints,
) -> tuple[Progress, BaseException | None]:
    """Train a network on some rows of the images, watched on others.

    `pixels` (n, height, width, 3); `targets` (n, n_labels); `weights` (n,); `pos_weight`
    (n_labels,).

    Raises MemoryError if CUDA ran out of memory; it says which batch size to try; ValueError if the
    loss is no longer finite.
    """
    sources = Sources(settings, images, pixels, targets, weights.astype(np.float32), device)
    state, is_over = (None, False) if resumed is None else resumed
    with exact_convolutions(device, full_precision=False), seeded(seed, device) as generator:
        network: Any = make_network(sources.examples(train))
        network.to(device, memory_format=torch.channels_last)
        make_losses = partial(_make_loss, settings, pos_weight)
        batch_size = settings.batch_size if state is None else state["batch_size"]
        augment = _augmentation(settings, generator)
        if batch_size == "auto":
            batch_size = _largest_batch(
                network, sources, train, make_losses(device), precision, device
            )
        module = MultiLabelModule(
            network,
            settings=settings,
            owner=owner,
            make_loss=make_losses,
            make_batches=partial(
                sources.batches,
                train,
                batch_size=batch_size,
                generator=generator,
                transform=augment,
            ),
            held_out=None if held_out is None else Evaluated(sources, held_out),
            progress=Progress() if state is None else _progress(state["progress"]),
        )
        if state is not None:
            _restore(module, state, generator, device)
        fixed = {"seed": seed, "train": train, "held_out": held_out, "batch_size": batch_size}

        def save(trainer: pl.Trainer, callbacks: list[Any]) -> None:
            if trainer.is_global_zero:
                found = _state(module, trainer, callbacks, generator, device)
                checkpoints.save(
                    fixed | found, is_over=module.is_over() or bool(trainer.should_stop)
                )

        saving = None if checkpoints.folder is None else _Saving(save)
        error: BaseException | None = None
        try:
            if not is_over:
                _fit(module, settings, device, precision, saving, state)
        except KeyboardInterrupt as interrupt:
            error = interrupt
        except OSError as failure:
            if saving is None or saving.failure is not failure:
                raise
            error = failure
        except torch.cuda.OutOfMemoryError as failure:
            height, width = images.image_size
            raise MemoryError(
                f"{owner}: CUDA ran out of memory with batch_size={batch_size} at {height} x "
                f"{width} px. Try batch_size={max(1, batch_size // 2)}, 'auto', or a smaller "
                "image_size."
            ) from failure
        finally:
            module.close()
    return module.progress, error


class _Saving(Checkpoint):
    """Writes the state after each epoch; Lightning calls such callbacks after all others."""

    def __init__(self, save: Callable[[pl.Trainer, list[Any]], None]) -> None:
        self.save = save
        self.callbacks: list[Any] = []
        self.failure: OSError | None = None

    def on_train_epoch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,  # noqa: ARG002 - Lightning's interface
    ) -> None:
        """Write the state, or note why that is not possible."""
        try:
            self.save(trainer, self.callbacks)
        except OSError as error:
            self.failure = error
            raise


def _fit(
    module: MultiLabelModule,
    settings: Any,
    device: torch.device,
    precision: torch.dtype | None,
    saving: _Saving | None,
    state: dict[str, Any] | None,
) -> None:
    """Run Lightning's Trainer; raise KeyboardInterrupt if that ended it."""
    with quiet_lightning():
        # copies: what callbacks count must not reach the next fit
        callbacks = copy.deepcopy(list(settings.callbacks or []))
        if state is not None:
            for callback in callbacks:
                callback.load_state_dict(_tensors(state["callbacks"][callback.state_key]))
        watching = list(callbacks)
        if saving is not None:
            saving.callbacks = callbacks
            watching.append(saving)
        on_cuda = device.type == "cuda"
        trainer = pl.Trainer(
            accelerator="gpu" if on_cuda else "cpu",
            devices=[device.index] if on_cuda and settings.devices == 1 else settings.devices,
            strategy=settings.strategy,
            precision="32-true" if precision is None else "bf16-mixed",
            max_epochs=settings.max_epochs - module.progress.n_epochs,
            callbacks=watching,
            logger=settings.logger,
            log_every_n_steps=1,
            enable_checkpointing=any(isinstance(one, Checkpoint) for one in watching),
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
        )
        try:
            trainer.fit(module)
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


def _make_loss(
    settings: Any, pos_weight: NDArray[np.float32] | None, device: torch.device
) -> Callable[[Tensor, Tensor], Tensor]:
    weight = None if pos_weight is None else torch.from_numpy(pos_weight).to(device)
    return make_loss(settings.loss, settings.loss_options or {}, weight)


def _augmentation(settings: Any, generator: torch.Generator) -> Callable[[Tensor], Tensor] | None:
    if settings.augmentation == 0:
        return None
    return partial(
        augment_images,
        strength=settings.augmentation,
        erasing=0.0,
        level=0.0,
        generator=generator,
    )


def _largest_batch(
    network: Any,
    sources: Sources,
    rows: NDArray[np.intp],
    losses: Callable[[Tensor, Tensor], Tensor],
    precision: torch.dtype | None,
    device: torch.device,
) -> int:
    """Return the largest power of 2 for which one step of a copy fits in memory."""

    def step(size: int) -> None:  # a function, so that all that a trial takes goes with it
        trial = copy.deepcopy(network).train()
        optimizer = torch.optim.AdamW(trial.parameters(), lr=0.0)
        batches = sources.batches(rows, batch_size=size, generator=torch.Generator())
        with torch.random.fork_rng(devices=[device.index] if device.type == "cuda" else []):
            images, labels = next(iter(batches))
            with torch.autocast(
                device.type, precision, enabled=precision is not None, cache_enabled=False
            ):
                scores = trial(images)
            loss: Any = masked_mean(losses, scores.float(), labels)
            loss.backward()
            optimizer.step()  # takes the memory of its state

    size = min(_LARGEST_BATCH, len(rows))
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
    module: MultiLabelModule,
    trainer: pl.Trainer,
    callbacks: list[Any],
    generator: torch.Generator,
    device: torch.device,
) -> dict[str, Any]:
    """Return all that the next epoch depends on, as `Checkpoints.save` takes it."""
    optimizer = trainer.optimizers[0].state_dict()
    optimizer["state"] = {str(number): one for number, one in optimizer["state"].items()}
    found = {
        "network": module.network.state_dict(),
        "average": None if module.average is None else module.average.module.state_dict(),
        "optimizer": optimizer,
        "callbacks": {one.state_key: one.state_dict() for one in callbacks},
        "generator": generator.get_state(),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        "progress": vars(module.progress),
    }
    arrays: dict[str, Any] = _arrays(found)
    return arrays


def _restore(
    module: MultiLabelModule,
    state: dict[str, Any],
    generator: torch.Generator,
    device: torch.device,
) -> None:
    """Put a training where it was when its state was written."""
    module.network.load_state_dict(_tensors(state["network"]))
    optimizer = _tensors(state["optimizer"])
    optimizer["state"] = {int(number): one for number, one in optimizer["state"].items()}
    module.first_optimizer_state = optimizer
    module.first_average_state = _tensors(state["average"])
    generator.set_state(torch.from_numpy(state["generator"]))
    torch.set_rng_state(torch.from_numpy(state["torch"]))
    if device.type == "cuda" and state["cuda"] is not None:
        torch.cuda.set_rng_state(torch.from_numpy(state["cuda"]), device)


def _progress(state: dict[str, Any]) -> Progress:
    """Return the progress that `_state` was made of."""
    best = None if state["best"] is None else tuple(state["best"])
    return Progress(**state | {"best": best, "best_state": _tensors(state["best_state"])})


def _arrays(value: Any) -> Any:
    """Return nested dicts and lists with arrays in the place of tensors."""
    if isinstance(value, Tensor):
        tensor = value.detach().cpu()
        # NumPy knows no bfloat16, of which float32 holds every value
        return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    if isinstance(value, Mapping):
        return {key: _arrays(item) for key, item in value.items()}
    return [_arrays(item) for item in value] if isinstance(value, (list, tuple)) else value


def _tensors(value: Any) -> Any:
    """Return nested dicts and lists with tensors in the place of arrays."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    if isinstance(value, Mapping):
        return {key: _tensors(item) for key, item in value.items()}
    return [_tensors(item) for item in value] if isinstance(value, list) else value
