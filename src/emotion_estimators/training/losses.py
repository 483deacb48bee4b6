"""Losses of one class for each image, and of several yes-or-no questions; imports torch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

__all__ = [
    "LOSSES",
    "SoftCrossEntropy",
    "asymmetric_loss",
    "focal_loss",
    "make_loss",
    "masked_mean",
]

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


def focal_loss(
    scores: Tensor,
    targets: Tensor,
    *,
    gamma: float = 2.0,
    alpha: float = 0.25,
    pos_weight: Tensor | None = None,
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
    gamma_positive: float = 0.0,
    gamma_negative: float = 4.0,
    margin: float = 0.05,
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Return -(1 - p)^g+ log(p) where y is 1, -r^g- log(1 - r) where it is 0.

    r is max(p - margin, 0): negatives that are easier than the margin teach nothing.
    """
    p, q = torch.sigmoid(scores), torch.sigmoid(-scores)
    positive = -(q**gamma_positive) * F.logsigmoid(scores)
    shifted = (p - margin).clamp(min=0)
    negative = -(shifted**gamma_negative) * torch.log((1 - shifted).clamp(min=_TINY))
    return _joined(positive, negative, targets, pos_weight)


# By name, a loss of scores and targets (n, n_labels), element by element.
LOSSES: dict[str, Callable[..., Tensor]] = {
    "bce": partial(F.binary_cross_entropy_with_logits, reduction="none"),
    "focal": focal_loss,
    "asymmetric": asymmetric_loss,
}


def make_loss(
    loss: str | Callable[..., Tensor], pos_weight: Tensor | None
) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a loss, by name or as given, as a function of scores and targets."""
    function = LOSSES[loss] if isinstance(loss, str) else loss
    return function if pos_weight is None else partial(function, pos_weight=pos_weight)


def masked_mean(losses: Callable[[Tensor, Tensor], Tensor], scores: Tensor, batch: Any) -> Tensor:
    """Return the weighted mean loss over the targets that are known.

    `scores` (n, n_labels); returns ().

    Raises ValueError if `losses` gives something else than one number for each score.
    """
    targets, weights = batch
    known = ~torch.isnan(targets)
    each = losses(scores, torch.nan_to_num(targets))  # (n, n_labels)
    if each.shape != scores.shape:
        raise ValueError(
            f"loss expected to give one number for each score, {tuple(scores.shape)}, got "
            f"{tuple(each.shape)}. Losses of torch do so with reduction='none'."
        )
    # `where`, not a product: an infinite loss of an unknown target must not become NaN
    each = torch.where(known, each * weights[:, None], 0.0)
    return each.sum() / known.sum().clamp(min=1)


def _joined(
    positive: Tensor, negative: Tensor, targets: Tensor, pos_weight: Tensor | None
) -> Tensor:
    if pos_weight is not None:
        positive = positive * pos_weight
    return targets * positive + (1 - targets) * negative
