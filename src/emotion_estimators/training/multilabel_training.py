"""One multi-label training with Lightning; imports torch and pytorch_lightning."""

from __future__ import annotations

import copy
import multiprocessing
import os
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emotion_estimators.images.batches import ImageBatches
from emotion_estimators.networks.multi_label_network import MultiLabelNetwork
from emotion_estimators.training.augmentation import augment_images
from emotion_estimators.training.device import exact_convolutions
from emotion_estimators.training.multilabel_losses import make_loss, masked_mean
from emotion_estimators.training.multilabel_module import MultiLabelModule, Progress
from emotion_estimators.training.multilabel_sources import Evaluated, Sources
from emotion_estimators.training.quiet_lightning import quiet_lightning
from emotion_estimators.training.seeds import seeded
from emotion_estimators.training.training_checkpoint import save_checkpoint

__all__ = ["check_devices", "device_of_process", "train_multilabel"]

_LARGEST_BATCH = 128  # where batch_size="auto" begins to look


def check_devices(owner: str, devices: int, strategy: str, random_state: Any) -> None:
    """Raise if several devices are asked for where they cannot work.

    Parameters
    ----------
    owner : str
        Name of the estimator, for messages.
    devices : int
        How many.
    strategy : str
        Lightning's word for how they share the work.
    random_state : object
        The estimator's parameter.

    Raises
    ------
    ValueError
        If no strategy, or no seed that all processes share, is named.
    RuntimeError
        In a worker of joblib.
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
    """Return the device that Lightning gives this process where several share the training.

    Parameters
    ----------
    device : torch.device
        The one to train on where there is one only.
    devices : int
        How many.
    """
    if devices == 1 or device.type != "cuda":
        return device
    # Lightning starts a process for each further device and tells it which is its own
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def train_multilabel(
    settings: Any,
    images: ImageBatches,
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
    resumed: dict[str, Any] | None,
    checkpoint: dict[str, Any],
    on_epoch: Callable[[Progress], None],
) -> tuple[bool, dict[str, Tensor]]:
    """Train a network on some rows of the images, watched on others.

    Parameters
    ----------
    settings : object
        Holds the parameters of `LightningMultiLabelClassifier` as attributes.
    images : ImageBatches
        All images.
    targets : ndarray of shape (n, n_labels)
        0, 1 or NaN.
    weights : ndarray of shape (n,)
        Weight of each image in the loss.
    owner : str
        Name of the estimator, for messages.
    device : torch.device
        As from `choose_device`.
    precision : torch.dtype or None
        bfloat16 for mixed precision.
    train, held_out : ndarray of int, or None
        Rows to train on, and rows that choose the best epoch.
    make_network : callable
        Given images that show the pixels' mean and spread, returns the network.
    pos_weight : ndarray of shape (n_labels,), or None
        Weights of positives.
    seed : int
        Of all random numbers.
    resumed : dict or None
        A checkpoint to go on from.
    checkpoint : dict
        What each checkpoint holds beside the state of the training.
    on_epoch : callable
        Called after each epoch.

    Returns
    -------
    interrupted : bool
        Whether a ``KeyboardInterrupt`` ended the training.
    state : dict of str to Tensor
        The weights at its end, which need not be the best.

    Raises
    ------
    MemoryError
        If CUDA ran out of memory; it says which batch size to try.
    ValueError
        If the loss is no longer finite.
    """
    sources = Sources(settings, images, targets, weights.astype(np.float32), device)
    with exact_convolutions(device, full_precision=False), seeded(seed, device) as generator:
        network: Any = make_network(sources.examples(train))
        network.to(device, memory_format=torch.channels_last)
        make_losses = partial(_make_loss, settings, pos_weight)
        batch_size = settings.batch_size
        augment = _augmentation(settings, generator)
        if batch_size == "auto":
            batch_size = _largest_batch(
                network, sources, train, make_losses(device), precision, device
            )
        progress = Progress()

        def end_epoch(module: MultiLabelModule) -> None:
            if settings.checkpoint_dir is not None and module.trainer.is_global_zero:
                content = checkpoint | _state(module, generator, device)
                save_checkpoint(settings.checkpoint_dir, content)
            on_epoch(progress)

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
            progress=progress,
            on_epoch=end_epoch,
        )
        if resumed is not None:
            _restore(module, resumed, generator, device)
        is_over = progress.n_epochs >= settings.max_epochs
        try:
            interrupted = not is_over and _fit(module, settings, device, precision)
        except torch.cuda.OutOfMemoryError as error:
            height, width = images.image_size
            raise MemoryError(
                f"{owner}: CUDA ran out of memory with batch_size={batch_size} at {height} x "
                f"{width} px. Try batch_size={max(1, batch_size // 2)}, 'auto', or a smaller "
                "image_size."
            ) from error
        finally:
            module.close()
        last = network if module.average is None else module.average.module
        state = {key: tensor.detach().cpu().clone() for key, tensor in last.state_dict().items()}
    return interrupted, state


def _fit(
    module: MultiLabelModule, settings: Any, device: torch.device, precision: torch.dtype | None
) -> bool:
    """Run Lightning's Trainer and tell whether Ctrl-C ended it."""
    with quiet_lightning():
        import pytorch_lightning as pl
        from pytorch_lightning.callbacks import Checkpoint

        # copies: what callbacks count must not reach the next fit
        callbacks = copy.deepcopy(list(settings.callbacks or []))
        on_cuda = device.type == "cuda"
        trainer = pl.Trainer(
            accelerator="gpu" if on_cuda else "cpu",
            devices=[device.index] if on_cuda and settings.devices == 1 else settings.devices,
            strategy=settings.strategy,
            precision="32-true" if precision is None else "bf16-mixed",
            max_epochs=settings.max_epochs - module.progress.n_epochs,
            callbacks=callbacks,
            logger=settings.logger,
            log_every_n_steps=1,
            enable_checkpointing=any(isinstance(one, Checkpoint) for one in callbacks),
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
        )
        try:
            trainer.fit(module)
        except KeyboardInterrupt:
            return True
        except SystemExit as error:  # what Lightning makes of Ctrl-C
            if isinstance(error.__context__, KeyboardInterrupt):
                return True
            raise
        else:
            return bool(trainer.interrupted)
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
            with torch.autocast(device.type, precision, enabled=precision is not None):
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
    module: MultiLabelModule, generator: torch.Generator, device: torch.device
) -> dict[str, Any]:
    """Return all that the next epoch depends on."""
    progress = module.progress
    return {
        "network": module.network.state_dict(),
        "average": None if module.average is None else module.average.module.state_dict(),
        "optimizer": module.trainer.optimizers[0].state_dict(),
        "generator": generator.get_state(),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        "progress": vars(progress),
    }


def _restore(
    module: MultiLabelModule,
    state: dict[str, Any],
    generator: torch.Generator,
    device: torch.device,
) -> None:
    module.network.load_state_dict(state["network"])
    module.first_optimizer_state = state["optimizer"]
    module.first_average_state = state["average"]
    generator.set_state(state["generator"])
    torch.set_rng_state(state["torch"])
    if device.type == "cuda" and state["cuda"] is not None:
        torch.cuda.set_rng_state(state["cuda"], device)
    for name, value in state["progress"].items():
        setattr(module.progress, name, value)
