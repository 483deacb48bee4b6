"""Two convolutions beside an identity; imports torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emotion_estimators.networks.conv_block import ConvBlock

__all__ = ["ResidualBlock"]


class ResidualBlock(nn.Module):
    """Two convolutions beside an identity; starts as the identity, which eases early steps.

    Parameters
    ----------
    width : int
        Channels, in and out.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = ConvBlock(width, width)
        self.second = ConvBlock(width, width, activate=False)
        nn.init.zeros_(self.second.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of the shape of x, (n, width, h, w)."""
        return torch.relu_(x + self.second(self.first(x)))
