"""The network of `LightningMultiLabelClassifier`: scaling, a backbone and a head; imports torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from emotion_estimators.networks.backbones import count_features, make_backbone, pixel_scaling

__all__ = ["MultiLabelNetwork", "first_network", "make_network"]


def first_network(
    owner: str,
    network: Any,
    architecture: Mapping[str, Any],
    *,
    weights: str | PathLike[str] | None,
    statistics: Callable[[], tuple[ArrayLike, ArrayLike]],
) -> MultiLabelNetwork:
    """Return the network with which a training begins.

    `statistics` gives mean and deviation of the channels of its pixels, (3,) each, for a backbone
    that does not say those that it was trained with.
    """
    size = tuple(architecture["image_size"])
    backbone = make_backbone(network, size, weights=weights)
    mean, std = pixel_scaling(backbone) or statistics()
    return MultiLabelNetwork(
        backbone,
        n_features=count_features(owner, backbone, size),
        n_labels=architecture["n_labels"],
        head_hidden=architecture["head_hidden"],
        mean=mean,
        std=std,
    )


def make_network(
    network: Any, architecture: Mapping[str, Any], n_features: int
) -> MultiLabelNetwork:
    """Return a network of this architecture, whose weights are then replaced."""
    return MultiLabelNetwork(
        make_backbone(network, tuple(architecture["image_size"])),
        n_features=n_features,
        n_labels=architecture["n_labels"],
        head_hidden=architecture["head_hidden"],
    )


class MultiLabelNetwork(nn.Module):
    """A backbone between the standardisation of its input and a head of one or two layers."""

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        *,
        n_features: int,
        n_labels: int,
        head_hidden: int | None,
        mean: ArrayLike = (0.0, 0.0, 0.0),
        std: ArrayLike = (1.0, 1.0, 1.0),
    ) -> None:
        super().__init__()
        self.register_buffer("pixel_mean", torch.tensor(mean, dtype=torch.float32).reshape(3, 1, 1))
        self.register_buffer("pixel_std", torch.tensor(std, dtype=torch.float32).reshape(3, 1, 1))
        self.backbone = backbone
        if head_hidden is None:
            self.head = nn.Sequential(nn.Linear(n_features, n_labels))
        else:
            self.head = nn.Sequential(
                nn.Linear(n_features, head_hidden), nn.ReLU(), nn.Linear(head_hidden, n_labels)
            )

    def features(self, x: Tensor) -> Tensor:
        """Return the features, (n, n_features), of images (n, 3, height, width) in 0..1."""
        maps: Tensor = self.backbone((x - self.pixel_mean) / self.pixel_std)
        maps = maps.float()
        return maps.mean(dim=(2, 3)) if maps.ndim == 4 else maps

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores (logits), (n, n_labels), of images (n, 3, height, width) in 0..1."""
        scores: Tensor = self.head(self.features(x))
        return scores.float()

    def independent_scores(self, features: Tensor) -> Tensor:
        """Return the scores of features, no row of which changes another's.

        A matrix product of rows rounds one and the same row differently in different places of
        a batch, as its place in memory has it. With the images along the lanes of the vector
        units, side by side in memory, all go through the same sums.
        """
        columns = features.t().contiguous()  # (n_features, n)
        for layer in self.head:
            if isinstance(layer, nn.Linear):
                columns = torch.addmm(layer.bias[:, None], layer.weight, columns)
            else:
                columns = layer(columns)
        return columns.t()
