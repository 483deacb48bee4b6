"""The optimizer of a network; imports torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn
from torch.optim import Optimizer

__all__ = ["OWN_SETTINGS", "make_optimizer"]

# What an optimizer is not to bring itself, and the parameter of the estimator for it.
OWN_SETTINGS = {"lr": "learning_rate", "weight_decay": "weight_decay"}


def make_optimizer(
    optimizer: Callable[..., Optimizer],
    module: nn.Module,
    *,
    learning_rate: float,
    weight_decay: float,
) -> Optimizer:
    """Return an optimizer of a network, whose biases and normalisation have no weight decay."""
    matrices = [each for each in module.parameters() if each.ndim >= 2]
    vectors = [each for each in module.parameters() if each.ndim < 2]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return optimizer([group for group in groups if group["params"]], lr=learning_rate)
