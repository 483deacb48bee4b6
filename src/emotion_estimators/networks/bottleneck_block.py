"""A narrow 3 x 3 convolution between two 1 x 1 ones, beside an identity; imports torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emotion_estimators.networks.conv_block import ConvBlock
from emotion_estimators.networks.residual_block import make_shortcut

__all__ = ["BottleneckBlock"]

_EXPANSION = 4  # channels out for each channel of the 3 x 3 convolution


class BottleneckBlock(nn.Module):
    """A narrow 3 x 3 convolution between two 1 x 1 ones; starts as the identity.

    Parameters
    ----------
    n_in, n_out : int
        Channels; `n_out` is a multiple of 4.
    stride : int, default=1
        Pixels from one output to the next.
    """

    def __init__(self, n_in: int, n_out: int, *, stride: int = 1) -> None:
        super().__init__()
        width = n_out // _EXPANSION
        self.first = ConvBlock(n_in, width, kernel=1)
        self.second = ConvBlock(width, width, stride=stride)
        self.third = ConvBlock(width, n_out, kernel=1, activate=False)
        self.shortcut = make_shortcut(n_in, n_out, stride)
        nn.init.zeros_(self.third.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return maps (n, n_out, h / stride, w / stride) of maps (n, n_in, h, w)."""
        return torch.relu_(self.shortcut(x) + self.third(self.second(self.first(x))))
