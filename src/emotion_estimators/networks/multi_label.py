"""The network of `LightningMultiLabelClassifier`: scaling, a backbone and a head; imports torch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["MultiLabelNetwork"]


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
        mean: Sequence[float] = (0.0, 0.0, 0.0),
        std: Sequence[float] = (1.0, 1.0, 1.0),
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
