"""Labelled images and the batches drawn from them, whole batches at a time; imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.utils.data import Dataset

__all__ = ["LabelledImages", "TensorBatches"]

Batch = tuple[Tensor, tuple[Tensor, Tensor]]


class LabelledImages(Dataset[Batch]):
    """Grey images with their class codes and weights, all in memory.

    Parameters
    ----------
    images : Tensor of shape (n, height, width)
        uint8 in 0..255, or float.
    codes : Tensor of shape (n,)
        int64 positions in ``classes_``.
    weights : Tensor of shape (n,)
        float32, mean about 1.
    """

    def __init__(self, images: Tensor, codes: Tensor, weights: Tensor) -> None:
        self.images, self.codes, self.weights = images, codes, weights

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: Tensor | slice) -> Batch:  # type: ignore[override]
        images = self.images[rows][:, None]  # (n, 1, h, w)
        scaled = images.float() / 255 if images.dtype == torch.uint8 else images.float()
        return scaled, (self.codes[rows], self.weights[rows])


class TensorBatches:
    """Shuffled batches of one epoch, in place of ``DataLoader``, which collates one by one.

    Parameters
    ----------
    dataset : LabelledImages
        What to draw from.
    batch_size : int
        Images of a batch. A smaller last batch is left out, unless it is the only one:
        batch normalisation needs batches of a kind.
    device : torch.device
        Where the batches go.
    generator : torch.Generator
        Shuffles.
    transform : callable or None
        Applied to the images of each batch, on the device.
    """

    def __init__(
        self,
        dataset: LabelledImages,
        *,
        batch_size: int,
        device: torch.device,
        generator: torch.Generator,
        transform: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.dataset = dataset
        self.batch_size = min(batch_size, len(dataset))
        self.device = device
        self.generator = generator
        self.transform = transform

    def __len__(self) -> int:
        return len(self.dataset) // self.batch_size

    def __iter__(self) -> Iterator[Batch]:
        order = torch.randperm(len(self.dataset), generator=self.generator)
        for rows in order[: len(self) * self.batch_size].split(self.batch_size):
            images, (codes, weights) = self.dataset[rows]
            images = images.to(self.device)
            if self.transform is not None:
                images = self.transform(images)
            yield images, (codes.to(self.device), weights.to(self.device))
