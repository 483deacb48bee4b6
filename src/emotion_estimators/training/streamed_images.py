"""Images decoded when their turn comes, by worker processes; imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from emotion_estimators.images.collection import Images
from emotion_estimators.training.labelled_images import Batch, as_network_input

__all__ = ["StreamedBatches", "StreamedImages"]


class StreamedImages(Dataset[tuple[NDArray[Any], NDArray[Any], np.float32]]):
    """Rows of images that passed `check_images`, with their targets and weights.

    `targets` (n, n_outputs); `weights` (n,) float32.
    """

    def __init__(
        self,
        images: Images,
        targets: NDArray[Any],
        weights: NDArray[np.float32],
        rows: NDArray[np.intp],
    ) -> None:
        self.images, self.targets, self.weights, self.rows = images, targets, weights, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> tuple[NDArray[Any], NDArray[Any], np.float32]:
        row = int(self.rows[i])
        image = self.images.image(row)
        if image.dtype != np.uint8:
            image = image.astype(np.float32, copy=False)
        # a copy: an image may be a view of X that is not to be written into
        return image.copy(), self.targets[row], self.weights[row]


class StreamedBatches:
    """What `TensorBatches` is, for images that are not in memory."""

    def __init__(
        self,
        dataset: StreamedImages,
        *,
        batch_size: int,
        device: torch.device,
        generator: torch.Generator,
        n_workers: int,
        shuffle: bool = True,
        transform: Callable[[Tensor], Tensor] | None = None,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        self.dataset, self.device, self.generator = dataset, device, generator
        self.n_workers, self.shuffle, self.transform, self.part = (
            n_workers,
            shuffle,
            transform,
            part,
        )
        self.batch_size = max(1, min(batch_size, len(dataset) // part[1]))

    def __len__(self) -> int:
        if not self.shuffle:
            return -(-len(self.dataset) // self.batch_size)
        return len(self.dataset) // (self.batch_size * self.part[1])

    def __iter__(self) -> Iterator[Batch]:
        rank, n_parts = self.part
        order = torch.arange(len(self.dataset))
        if self.shuffle:
            order = torch.randperm(len(self.dataset), generator=self.generator)[rank::n_parts]
            order = order[: len(self) * self.batch_size]
        loader = DataLoader(
            self.dataset,
            batch_sampler=[part.tolist() for part in torch.split(order, self.batch_size)],
            num_workers=self.n_workers,
            pin_memory=self.device.type == "cuda",
            generator=self.generator,
        )
        for images, targets, weights in loader:
            x = as_network_input(images.to(self.device, non_blocking=True))
            if self.transform is not None:
                x = self.transform(x)
            # workers make the weights in torch's default dtype, whatever that is
            yield x, (targets.to(self.device), weights.to(self.device, torch.float32))
