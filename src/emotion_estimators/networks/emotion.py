"""The network of `EmotionCNNClassifier`: grey images in, one score per class out.

Imports torch, so import this module only where a network is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from emotion_estimators.networks.layers import ConvBlock, ResidualBlock

__all__ = [
    "EMOTION_NETWORKS",
    "EmotionCNN",
    "StandardizedNetwork",
    "network_settings",
    "of_weights",
]

# 68 and 170 million multiplications for a face of 48 x 48 px.
EMOTION_NETWORKS: dict[str, dict[str, Any]] = {
    "small": {
        "stem_width": 32,
        "stem_stride": 2,
        "widths": [48, 96, 192],
        "n_blocks": [0, 1, 1],
        "dropout": 0.3,
    },
    "large": {
        "stem_width": 16,
        "stem_stride": 1,
        "widths": [32, 64, 128, 256],
        "n_blocks": [0, 1, 1, 1],
        "dropout": 0.3,
    },
}


def network_settings(owner: str, network: Any) -> dict[str, Any]:
    """Return the settings of an `EmotionCNN`, as JSON, from a name or a dict of some of them.

    Raises ValueError if there is no such name or setting, or one is out of its range.
    """
    given = EMOTION_NETWORKS.get(network) if isinstance(network, str) else dict(network)
    small = EMOTION_NETWORKS["small"]
    if given is None or not given.keys() <= small.keys():
        raise ValueError(
            f"{owner} expected network to be {' or '.join(map(repr, EMOTION_NETWORKS))}, a "
            f"dict with some of {', '.join(small)}, a function that builds a module of torch, "
            f"or such a module, got {network!r}."
        )
    settings = small | given

    def is_int(value: Any, least: int) -> bool:
        return isinstance(value, Integral) and int(value) >= least

    for name in ("stem_width", "stem_stride"):
        if not is_int(settings[name], 1):
            raise ValueError(
                f"{owner} expected {name} of network to be an int of at least 1, got "
                f"{settings[name]!r}."
            )
    for name, least in (("widths", 1), ("n_blocks", 0)):
        value = settings[name]
        is_sequence = isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, str)
        if not (is_sequence and len(value) > 0 and all(is_int(v, least) for v in value)):
            raise ValueError(
                f"{owner} expected {name} of network to be ints of at least {least}, one per "
                f"stage, got {value!r}."
            )
    if len(settings["widths"]) != len(settings["n_blocks"]):
        raise ValueError(
            f"{owner} expected widths and n_blocks of network to have one entry per stage, got "
            f"widths={settings['widths']!r}, n_blocks={settings['n_blocks']!r}."
        )
    dropout = settings["dropout"]
    if not (isinstance(dropout, Real) and 0 <= float(dropout) < 1):
        raise ValueError(
            f"{owner} expected dropout of network to be in the range [0, 1), got {dropout!r}."
        )
    return {
        "stem_width": int(settings["stem_width"]),
        "stem_stride": int(settings["stem_stride"]),
        "widths": [int(v) for v in settings["widths"]],
        "n_blocks": [int(v) for v in settings["n_blocks"]],
        "dropout": float(dropout),
    }


def of_weights(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return those settings of an `EmotionCNN` on which its weights depend."""
    return {
        name: settings.get(name) for name in ("stem_width", "stem_stride", "widths", "n_blocks")
    }


class EmotionCNN(nn.Module):
    """Plain residual network for small grey images, with one or two linear layers at its end."""

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(
        self,
        n_classes: int,
        *,
        has_votes: bool = False,
        stem_width: int,
        stem_stride: int = 2,
        widths: Sequence[int],
        n_blocks: Sequence[int],
        dropout: float = 0.0,
        mean: float = 0.0,
        std: float = 1.0,
    ) -> None:
        super().__init__()
        self.register_buffer("pixel_mean", torch.tensor(float(mean), dtype=torch.float32))
        self.register_buffer("pixel_std", torch.tensor(float(std), dtype=torch.float32))
        layers: list[nn.Module] = [ConvBlock(1, stem_width, kernel=5, stride=stem_stride)]
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
        self.votes = nn.Linear(width, n_classes) if has_votes else None
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def features(self, x: Tensor) -> Tensor:
        """Return the pooled features, (n, widths[-1]), of images (n, 1, height, width)."""
        x = (x - self.pixel_mean) / self.pixel_std
        x = self.layers(x)  # (n, c, h/2^k, w/2^k)
        return x.float().mean(dim=(2, 3))  # (n, c)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores (logits), (n, n_classes), of images (n, 1, height, width).

        Where it has votes, they are (n, 2 n_classes): those of the labels, then those of the votes.
        """
        features = self.dropout(self.features(x))
        scores: Tensor = self.head(features)
        if self.votes is not None:
            scores = torch.cat([scores, self.votes(features)], dim=1)
        return scores.float()


class StandardizedNetwork(nn.Module):
    """Another network, which gets images of mean 0 and standard deviation 1."""

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(self, network: nn.Module, *, mean: float = 0.0, std: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("pixel_mean", torch.tensor(float(mean), dtype=torch.float32))
        self.register_buffer("pixel_std", torch.tensor(float(std), dtype=torch.float32))
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Return what the network says of images (n, 1, height, width)."""
        scores: Tensor = self.network((x - self.pixel_mean) / self.pixel_std)
        return scores
