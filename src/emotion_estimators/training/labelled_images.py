"""Grey images with their classes and weights, all in memory; imports torch."""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor
from torch.utils.data import Dataset

__all__ = ["Batch", "LabelledImages"]

Batch: TypeAlias = tuple[Tensor, tuple[Tensor, Tensor]]  # images, (codes, weights)


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

    def __getitem__(self, rows: Tensor | slice) -> Batch:
        images = self.images[rows][:, None]  # (n, 1, h, w)
        scaled = images.float() / 255 if images.dtype == torch.uint8 else images.float()
        return scaled, (self.codes[rows], self.weights[rows])
