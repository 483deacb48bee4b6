"""Shuffled batches of labelled images, gathered a batch at a time; imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from emotion_estimators.training.augmentation import mix_pairs
from emotion_estimators.training.labelled_images import Batch, LabelledImages

__all__ = ["TensorBatches"]


class TensorBatches:
    """Shuffled batches of one epoch, in place of ``DataLoader``, which collates one by one."""

    def __init__(
        self,
        dataset: LabelledImages,
        *,
        batch_size: int,
        device: torch.device,
        generator: torch.Generator,
        transform: Callable[[Tensor], Tensor] | None = None,
        mixup: float = 0.0,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        self.dataset = dataset
        self.part = part
        self.batch_size = max(1, min(batch_size, len(dataset) // part[1]))
        self.device = device
        self.generator = generator
        self.transform = transform
        self.mixup = mixup

    def __len__(self) -> int:
        return len(self.dataset) // (self.batch_size * self.part[1])

    def __iter__(self) -> Iterator[Batch]:
        order = torch.randperm(len(self.dataset), generator=self.generator)
        rank, n_parts = self.part
        order = order[rank::n_parts].to(self.dataset.images.device)
        for i in range(len(self)):
            rows = order[i * self.batch_size : (i + 1) * self.batch_size]
            images, (targets, weights) = self.dataset.batch(rows, self.device)
            if self.transform is not None:
                images = self.transform(images)
            if self.mixup > 0:
                images, targets, weights = mix_pairs(
                    images, targets, weights, alpha=self.mixup, generator=self.generator
                )
            yield images, (targets, weights)
