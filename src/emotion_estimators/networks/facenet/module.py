"""The face network FaceNet, InceptionResnetV1, as a torch module.

Imports torch, so import this module only where it is needed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from emotion_estimators.networks.facenet.layers import (
    BATCH_NORM_EPSILON,
    LAYERS,
    N_FEATURES,
    N_POOLED,
    Block,
    Conv,
    MaxPool,
)

__all__ = ["InceptionResnetV1"]


class _ConvNorm(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, layer: Conv) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            layer.n_in, layer.n_out, layer.kernel, layer.stride, layer.padding, bias=False
        )
        self.bn = nn.BatchNorm2d(layer.n_out, eps=BATCH_NORM_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.bn(self.conv(x)))


class _Block(nn.Module):
    """Branches side by side, and in residual blocks their sum with the input."""

    def __init__(self, layer: Block) -> None:
        super().__init__()
        self.scale = layer.scale
        self.activate = layer.activate
        self.n_branches = len(layer.branches)
        for number, branch in enumerate(layer.branches):
            parts = [_build(part) for part in branch]
            self.add_module(
                f"branch{number}", parts[0] if len(parts) == 1 else nn.Sequential(*parts)
            )
        if layer.scale is not None:
            self.conv2d = nn.Conv2d(layer.n_joined, layer.n_in, 1)

    def forward(self, x: Tensor) -> Tensor:
        branches = [getattr(self, f"branch{number}")(x) for number in range(self.n_branches)]
        joined = torch.cat(branches, dim=1)  # (n, n_joined, h, w)
        if self.scale is None:
            return joined
        total = self.conv2d(joined) * self.scale + x  # (n, n_in, h, w)
        return torch.relu(total) if self.activate else total


def _build(layer: Conv | MaxPool | Block) -> nn.Module:
    if isinstance(layer, Conv):
        return _ConvNorm(layer)
    if isinstance(layer, Block):
        return _Block(layer)
    return nn.MaxPool2d(3, stride=2)


class InceptionResnetV1(nn.Module):
    """Faces to vectors that lie close together for the same person."""

    def __init__(self) -> None:
        super().__init__()
        for layer in LAYERS:
            stage, dot, _ = layer.name.partition(".")
            if not dot:
                self.add_module(stage, _build(layer))
                continue
            if not hasattr(self, stage):
                self.add_module(stage, nn.Sequential())
            sequence: Any = getattr(self, stage)
            sequence.append(_build(layer))
        self.last_linear = nn.Linear(N_POOLED, N_FEATURES, bias=False)
        self.last_bn = nn.BatchNorm1d(N_FEATURES, eps=BATCH_NORM_EPSILON)

    def blocks(self) -> list[nn.Module]:
        """Return the layers up to the last pooling one by one, in the order they run."""
        return [self.get_submodule(layer.name) for layer in LAYERS]

    def forward(self, x: Tensor) -> Tensor:
        """Return the vectors of faces, (n, 512) of length 1.

        `x` (n, 3, height, width).
        """
        for block in self.blocks():
            x = block(x)
        x = x.mean(dim=(2, 3))  # (n, 1792)
        return nn.functional.normalize(self.last_bn(self.last_linear(x)), dim=1)
