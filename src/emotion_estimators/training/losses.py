"""Losses of one class for each image, and of several yes-or-no questions; imports torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

__all__ = [
    "LOSS_OPTIONS",
    "SoftCrossEntropy",
    "asymmetric_loss",
    "binary_cross_entropy",
    "focal_loss",
    "make_loss",
    "masked_mean",
]

# What each loss can be told, with the values of its paper.
LOSS_OPTIONS: dict[str, dict[str, float]] = {
    "bce": {},
    "focal": {"gamma": 2.0, "alpha": 0.25},
    "asymmetric": {"gamma_positive": 0.0, "gamma_negative": 4.0, "margin": 0.05},
}
_TINY = 1e-8  # keeps the logarithm finite where a probability is 0 in float32


class SoftCrossEntropy(nn.Module):
    """Weighted cross-entropy with the probability of each class as target, of all outputs.

    `shares` are those of the outputs in the loss, by name and in the order of their scores.
    """

    def __init__(self, *, shares: dict[str, float], label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.shares, self.label_smoothing = shares, label_smoothing

    def forward(self, scores: Tensor, batch: tuple[dict[str, Tensor], dict[str, Tensor]]) -> Tensor:
        """Return the mean over images of weight times loss; labels are smoothed in training.

        `scores` (n, n_classes of all outputs); `batch` targets (n, n_classes) and weights (n,), by
        output.
        """
        targets, weights = batch
        widths = [targets[name].shape[1] for name in self.shares]
        total = scores.new_zeros(())
        for (name, share), part in zip(
            self.shares.items(), torch.split(scores, widths, dim=1), strict=True
        ):
            is_smoothed = self.training and name == "labels"
            losses = F.cross_entropy(
                part,
                targets[name],
                reduction="none",
                label_smoothing=self.label_smoothing if is_smoothed else 0.0,
            )  # (n,)
            total = total + share * (losses * weights[name]).mean()
        return total


def binary_cross_entropy(scores: Tensor, targets: Tensor, *, pos_weight: Tensor | None) -> Tensor:
    """Return -w y log(p) - (1 - y) log(1 - p) for each score, p being its sigmoid."""
    positive = -F.logsigmoid(scores)
    negative = -F.logsigmoid(-scores)
    return _joined(positive, negative, targets, pos_weight)


def focal_loss(
    scores: Tensor, targets: Tensor, *, gamma: float, alpha: float, pos_weight: Tensor | None
) -> Tensor:
    """Return -a (1 - p)^g log(p) where y is 1, -(1 - a) p^g log(1 - p) where it is 0."""
    p, q = torch.sigmoid(scores), torch.sigmoid(-scores)
    positive = -alpha * q**gamma * F.logsigmoid(scores)
    negative = -(1 - alpha) * p**gamma * F.logsigmoid(-scores)
    return _joined(positive, negative, targets, pos_weight)


def asymmetric_loss(
    scores: Tensor,
    targets: Tensor,
    *,
    gamma_positive: float,
    gamma_negative: float,
    margin: float,
    pos_weight: Tensor | None,
) -> Tensor:
    """Return -(1 - p)^g+ log(p) where y is 1, -r^g- log(1 - r) where it is 0.

    r is max(p - margin, 0): negatives that are easier than the margin teach nothing.
    """
    p, q = torch.sigmoid(scores), torch.sigmoid(-scores)
    positive = -(q**gamma_positive) * F.logsigmoid(scores)
    shifted = (p - margin).clamp(min=0)
    negative = -(shifted**gamma_negative) * torch.log((1 - shifted).clamp(min=_TINY))
    return _joined(positive, negative, targets, pos_weight)


def make_loss(
    name: str, options: Mapping[str, Any], pos_weight: Tensor | None
) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the loss of this name as a function of scores and targets, element by element."""
    losses: dict[str, Callable[..., Tensor]] = {
        "bce": binary_cross_entropy,
        "focal": focal_loss,
        "asymmetric": asymmetric_loss,
    }
    return partial(losses[name], pos_weight=pos_weight, **(LOSS_OPTIONS[name] | dict(options)))


def masked_mean(losses: Callable[[Tensor, Tensor], Tensor], scores: Tensor, batch: Any) -> Tensor:
    """Return the weighted mean loss over the targets that are known.

    `scores` (n, n_labels); returns ().
    """
    targets, weights = batch
    known = ~torch.isnan(targets)
    each = losses(scores, torch.nan_to_num(targets))  # (n, n_labels)
    # `where`, not a product: an infinite loss of an unknown target must not become NaN
    each = torch.where(known, each * weights[:, None], 0.0)
    return each.sum() / known.sum().clamp(min=1)


def _joined(
    positive: Tensor, negative: Tensor, targets: Tensor, pos_weight: Tensor | None
) -> Tensor:
    if pos_weight is not None:
        positive = positive * pos_weight
    return targets * positive + (1 - targets) * negative
