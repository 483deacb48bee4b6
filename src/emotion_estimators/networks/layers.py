"""The layers and blocks that networks are made of; imports torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["BottleneckBlock", "ConvBlock", "ResidualBlock", "StridedConv2d", "make_shortcut"]


class StridedConv2d(nn.Conv2d):
    """``nn.Conv2d`` that is right for maps no wider than the stride.

    Differs from torch: for these, kernels of oneDNN (torch 2.13; in bfloat16 with AMX or AVX-512
    for the weights' gradient, rarely for outputs and float32) read memory that nobody has set.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return maps (n, n_out, h / stride, w / stride) of maps (n, n_in, h, w)."""
        down, across = self.stride
        if across == 1 or x.shape[3] > across:
            return super().forward(x)
        maps = nn.functional.conv2d(
            x, self.weight, self.bias, padding=self.padding, dilation=self.dilation
        )  # (n, n_out, h, w)
        return maps[:, :, ::down, ::across]


class ConvBlock(nn.Module):
    """Convolution, batch normalisation and, unless `activate` is False, ReLU."""

    def __init__(
        self, n_in: int, n_out: int, *, kernel: int = 3, stride: int = 1, activate: bool = True
    ) -> None:
        super().__init__()
        self.conv = StridedConv2d(n_in, n_out, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(n_out)
        self.activate = activate

    def forward(self, x: Tensor) -> Tensor:
        """Return maps (n, n_out, h / stride, w / stride) of maps (n, n_in, h, w)."""
        maps: Tensor = self.norm(self.conv(x))
        return torch.relu_(maps) if self.activate else maps


class ResidualBlock(nn.Module):
    """Two convolutions beside an identity; starts as the identity, which eases early steps."""

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


_EXPANSION = 4  # channels out for each channel of the 3 x 3 convolution


class BottleneckBlock(nn.Module):
    """A narrow 3 x 3 convolution between two 1 x 1 ones; starts as the identity."""

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
