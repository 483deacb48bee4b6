"""Images with their targets and weights, all in memory; imports torch."""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor
from torch.utils.data import Dataset

__all__ = ["Batch", "LabelledImages", "as_network_input"]

Batch: TypeAlias = tuple[Tensor, tuple[Tensor, Tensor]]  # images, (targets, weights)


class LabelledImages(Dataset[Batch]):
    """Images with their targets and weights, all in memory, on the CPU or another device.

    `images` (n, height, width) or (n, height, width, 3); `targets` (n,) or (n, n_outputs);
    `weights` (n,).
    """

    def __init__(self, images: Tensor, targets: Tensor, weights: Tensor) -> None:
        self.images, self.targets, self.weights = images, targets, weights

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: Tensor | slice) -> Batch:
        return self.batch(rows, self.images.device)

    def batch(self, rows: Tensor | slice, device: torch.device) -> Batch:
        """Return some rows on a device; images travel as they are stored and are scaled there."""
        on_way = device.type == "cuda" and self.images.device.type == "cpu"

        def move(tensor: Tensor) -> Tensor:
            # from pinned memory a copy runs beside the computation
            part = tensor[rows].pin_memory() if on_way else tensor[rows]
            return part.to(device, non_blocking=True)

        return as_network_input(move(self.images)), (move(self.targets), move(self.weights))

    def to(self, device: torch.device) -> LabelledImages:
        """Return the same images on a device."""
        return LabelledImages(
            *(part.to(device) for part in (self.images, self.targets, self.weights))
        )

    @property
    def n_bytes(self) -> int:
        """Memory that the images take."""
        return self.images.element_size() * self.images.nelement()


def as_network_input(images: Tensor) -> Tensor:
    """Return images (n, h, w[, 3]) as (n, channels, h, w), float32; uint8 is scaled to 0..1."""
    images = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)
    # in place, in the memory of the new tensor
    return images.float().div_(255) if images.dtype == torch.uint8 else images.float()
