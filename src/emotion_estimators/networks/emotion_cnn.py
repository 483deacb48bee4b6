"""The network of `EmotionCNNClassifier`: grey images in, one score per class out.

Imports torch, so import this module only where a network is needed; imports nothing of the
library.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["ConvBlock", "EmotionCNN", "ResidualBlock"]


class ConvBlock(nn.Module):
    """Convolution, batch normalisation and, unless `activate` is False, ReLU."""

    def __init__(
        self, n_in: int, n_out: int, *, kernel: int = 3, stride: int = 1, activate: bool = True
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(n_out)
        self.activate = activate

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        return torch.relu_(x) if self.activate else x


class ResidualBlock(nn.Module):
    """Two convolutions beside an identity; starts as the identity, which eases early steps."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = ConvBlock(width, width)
        self.second = ConvBlock(width, width, activate=False)
        nn.init.zeros_(self.second.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu_(x + self.second(self.first(x)))


class EmotionCNN(nn.Module):
    """Plain residual network for small grey images.

    A 5 x 5 convolution halves the resolution at once, where feature maps are largest and a
    layer is dearest. Stages of 3 x 3 convolutions follow, a max pooling between two of them,
    and a linear layer reads the mean of the last maps.

    Parameters
    ----------
    n_classes : int
        Number of scores.
    stem_width : int
        Channels of the first convolution.
    widths : sequence of int
        Channels of each stage.
    n_blocks : sequence of int
        Residual blocks of each stage; a stage without one is a single convolution.
    dropout : float
        Share of the pooled features that is dropped in training.
    mean, std : float
        Level and spread of the pixels of the training images; inputs are standardised by
        them here, so that weights and scaling never part.
    """

    def __init__(
        self,
        n_classes: int,
        *,
        stem_width: int,
        widths: Sequence[int],
        n_blocks: Sequence[int],
        dropout: float = 0.0,
        mean: float = 0.0,
        std: float = 1.0,
    ) -> None:
        super().__init__()
        self.register_buffer("pixel_mean", torch.tensor(float(mean)))
        self.register_buffer("pixel_std", torch.tensor(float(std)))
        layers: list[nn.Module] = [ConvBlock(1, stem_width, kernel=5, stride=2)]
        width = stem_width
        for stage, (n_out, n_residual) in enumerate(zip(widths, n_blocks, strict=True)):
            if stage > 0:
                # ceil_mode keeps an axis of one pixel, so images of any size pass
                layers.append(nn.MaxPool2d(2, ceil_mode=True))
            if n_out != width or n_residual == 0:
                layers.append(ConvBlock(width, n_out))
                width = n_out
            layers += [ResidualBlock(width) for _ in range(n_residual)]
        self.layers = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, n_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def features(self, x: Tensor) -> Tensor:
        """Return the pooled features, (n, widths[-1]), of images (n, 1, height, width)."""
        x = (x - self.pixel_mean) / self.pixel_std
        x = self.layers(x)  # (n, c, h/2^k, w/2^k)
        return x.float().mean(dim=(2, 3))  # (n, c)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores (logits), (n, n_classes), of images (n, 1, height, width)."""
        scores: Tensor = self.head(self.dropout(self.features(x)))  # (n, n_classes)
        return scores.float()
