"""Convolution, normalisation, ReLU: the layer that networks are made of; imports torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["ConvBlock"]


class ConvBlock(nn.Module):
    """Convolution, batch normalisation and, unless `activate` is False, ReLU.

    Parameters
    ----------
    n_in, n_out : int
        Channels.
    kernel : int, default=3
        Side of the kernel; odd. The image is padded so that a stride of 1 keeps its size.
    stride : int, default=1
        Pixels from one output to the next.
    activate : bool, default=True
        Apply ReLU.
    """

    def __init__(
        self, n_in: int, n_out: int, *, kernel: int = 3, stride: int = 1, activate: bool = True
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(n_out)
        self.activate = activate

    def forward(self, x: Tensor) -> Tensor:
        """Return maps (n, n_out, h / stride, w / stride) of maps (n, n_in, h, w)."""
        maps: Tensor = self.norm(self.conv(x))
        return torch.relu_(maps) if self.activate else maps
