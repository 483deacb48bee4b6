"""FaceNet with a classifier on top, of which the last blocks can be trained.

Imports torch, so import this module only where a network is needed.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emotion_estimators.networks.facenet.module import InceptionResnetV1

__all__ = ["FineTunedFacenet"]


class FineTunedFacenet(nn.Module):
    """InceptionResnetV1 and a linear layer; the first blocks stay as they are."""

    pixel_mean: Tensor

    def __init__(
        self, n_classes: int, *, n_trained: int, standardization: str, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.n_trained = n_trained
        self.standardization = standardization
        self.register_buffer("pixel_mean", torch.tensor(127.5 / 255, dtype=torch.float32))
        self.facenet = InceptionResnetV1()
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.facenet.last_linear.out_features, n_classes)
        nn.init.zeros_(self.head.weight)  # no class is preferred at first
        nn.init.zeros_(self.head.bias)
        for part in self._frozen():
            part.requires_grad_(False)

    def train(self, mode: bool = True) -> FineTunedFacenet:
        """Let the trained part train, and leave the rest in evaluation mode."""
        super().train(mode)
        for part in self._frozen():
            part.eval()
        return self

    def features(self, x: Tensor) -> Tensor:
        """Return the vectors, (n, 512), of RGB images (n, 3, height, width) in 0..1."""
        x = self._standardize(x)
        blocks = self.facenet.blocks()
        n_frozen = len(blocks) - self.n_trained
        with torch.no_grad():
            for block in blocks[:n_frozen]:
                x = block(x)
        for block in blocks[n_frozen:]:
            x = block(x)
        pooled = x.float().mean(dim=(2, 3))  # (n, 1792)
        vectors: Tensor = self.facenet.last_bn(self.facenet.last_linear(pooled))
        return vectors.float()

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores (logits), (n, n_classes), of images (n, 3, height, width)."""
        scores: Tensor = self.head(self.dropout(self.features(x)))
        return scores.float()

    def _frozen(self) -> list[nn.Module]:
        blocks = self.facenet.blocks()
        ends = [] if self.n_trained else [self.facenet.last_linear, self.facenet.last_bn]
        return [*blocks[: len(blocks) - self.n_trained], *ends]

    def _standardize(self, x: Tensor) -> Tensor:
        if self.standardization == "fixed":
            return (x - self.pixel_mean) * (255 / 128)
        levels = x.double() * 255
        axes = (1, 2, 3)
        mean = levels.mean(dim=axes, keepdim=True)  # (n, 1, 1, 1)
        spread = levels.std(dim=axes, keepdim=True, correction=0)
        least = levels[0].numel() ** -0.5
        return ((levels - mean) / spread.clamp_min(least)).float()
