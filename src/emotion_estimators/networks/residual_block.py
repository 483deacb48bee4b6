"""Two convolutions beside an identity; imports torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emotion_estimators.networks.conv_block import ConvBlock

__all__ = ["ResidualBlock", "make_shortcut"]


class ResidualBlock(nn.Module):
    """Two convolutions beside an identity; starts as the identity, which eases early steps.

    Parameters
    ----------
    width : int
        Channels in.
    n_out : int or None, default=None
        Channels out; None for as many as come in.
    stride : int, default=1
        Pixels from one output to the next. Where it is not 1, or the channels change, a 1 x 1
        convolution stands for the identity.
    """

    def __init__(self, width: int, n_out: int | None = None, *, stride: int = 1) -> None:
        super().__init__()
        n_out = n_out or width
        self.first = ConvBlock(width, n_out, stride=stride)
        self.second = ConvBlock(n_out, n_out, activate=False)
        self.shortcut = make_shortcut(width, n_out, stride)
        nn.init.zeros_(self.second.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return maps (n, n_out, h / stride, w / stride) of maps (n, width, h, w)."""
        return torch.relu_(self.shortcut(x) + self.second(self.first(x)))


def make_shortcut(n_in: int, n_out: int, stride: int) -> nn.Module:
    """Return what stands beside the convolutions of a block: nothing, where shapes agree."""
    if stride == 1 and n_in == n_out:
        return nn.Identity()
    return ConvBlock(n_in, n_out, kernel=1, stride=stride, activate=False)
