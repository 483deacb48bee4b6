"""One training of a network that classifies images, with skorch; imports torch and skorch."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emotion_estimators.training.augmentation import augment_images
from emotion_estimators.training.device import autocast_dtype, choose_device, exact_convolutions
from emotion_estimators.training.image_net import ImageNet
from emotion_estimators.training.labelled_images import LabelledImages
from emotion_estimators.training.seeds import seeded
from emotion_estimators.training.tensor_batches import TensorBatches
from emotion_estimators.training.training_recipe import TrainingRecipe

__all__ = ["train_classifier"]

Weights = dict[str, NDArray[Any]]


def train_classifier(
    settings: Any,
    build: Callable[[float, float], nn.Module],
    pixels: NDArray[Any],
    targets: NDArray[np.float32],
    weights: NDArray[np.float64],
    *,
    train: NDArray[np.intp],
    held_out: NDArray[np.intp] | None,
    first_weights: Weights | None,
    seed: int,
    on_epoch: Callable[[dict[str, float], Weights | None], None],
) -> None:
    """Train a network on some rows of the images, watched on others.

    `pixels` (n, height, width) or (n, height, width, 3); `targets` (n, n_classes) float32;
    `weights` (n,).

    Raises ValueError if the device is not there, or the loss is no longer finite; KeyboardInterrupt
    at Ctrl-C, and where `on_epoch` raises it.
    """
    owner = type(settings).__name__
    device = choose_device(settings.device, needed_by=owner)
    precision = autocast_dtype(settings.mixed_precision, device)
    level, spread = _pixel_statistics(pixels[train])

    def dataset(rows: NDArray[np.intp]) -> LabelledImages:
        return LabelledImages(
            torch.from_numpy(pixels[rows]),
            torch.from_numpy(targets[rows]),
            torch.from_numpy(weights[rows].astype(np.float32)),
        )

    def end_epoch(record: dict[str, float], best: dict[str, Tensor] | None) -> None:
        if not math.isfinite(record["train_loss"]):
            raise ValueError(
                f"{owner}: the training loss is {record['train_loss']}. Lower learning_rate, and "
                "look for pixels far outside 0..1."
            )
        on_epoch(record, None if best is None else _arrays(best))

    with exact_convolutions(device, full_precision=False), seeded(seed, device) as generator:
        module = build(level, spread)
        if first_weights is not None:
            module.load_state_dict({k: torch.tensor(v) for k, v in first_weights.items()})
        data = dataset(train)
        batches = partial(
            TensorBatches,
            device=device,
            generator=generator,
            transform=_augmentation(settings, spread, generator),
            mixup=settings.mixup,
        )
        recipe = TrainingRecipe(
            n_steps=settings.max_epochs * len(batches(data, batch_size=settings.batch_size)),
            max_time=settings.max_time,
            warmup=settings.warmup,
            ema_decay=settings.ema_decay,
            validation=None if held_out is None else dataset(held_out),
            patience=None if held_out is None else settings.n_iter_no_change,
            on_epoch=end_epoch,
            verbose=bool(settings.verbose),
        )
        net = ImageNet(
            module,
            criterion=nn.CrossEntropyLoss,
            criterion__reduction="none",
            criterion__label_smoothing=settings.label_smoothing,
            optimizer=torch.optim.SGD,
            optimizer__momentum=settings.momentum,
            optimizer__nesterov=True,
            optimizer__weight_decay=settings.weight_decay,
            optimizer__param_groups=[
                ("*norm*", {"weight_decay": 0.0}),
                ("*bn.*", {"weight_decay": 0.0}),
                ("*bias", {"weight_decay": 0.0}),
            ],
            lr=settings.learning_rate,
            max_epochs=settings.max_epochs,
            batch_size=settings.batch_size,
            iterator_train=batches,
            train_split=None,
            callbacks=[("recipe", recipe)],
            device=str(device),
            verbose=0,
            precision=precision,
        )
        net.fit(data, None)


def _pixel_statistics(pixels: NDArray[Any]) -> tuple[float, float]:
    """Return mean and standard deviation of the pixels as the network gets them."""
    scale = 255 if pixels.dtype == np.uint8 else 1
    level = float(pixels.mean(dtype=np.float64)) / scale
    spread = float(pixels.std(dtype=np.float64)) / scale
    return level, spread if spread > 1e-6 else 1.0


def _augmentation(
    settings: Any, spread: float, generator: torch.Generator
) -> Callable[[Tensor], Tensor] | None:
    if settings.augmentation == 0 and settings.erasing == 0:
        return None
    return partial(
        augment_images,
        strength=settings.augmentation,
        erasing=settings.erasing,
        level=spread,
        generator=generator,
    )


def _arrays(state: dict[str, Tensor]) -> Weights:
    """Return a copy of a state dict as arrays."""
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in state.items()}
