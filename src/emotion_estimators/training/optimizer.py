"""The optimizer of a network; imports torch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn
from torch.optim import Optimizer

__all__ = ["make_optimizer"]

_OWN = {"lr": "learning_rate", "weight_decay": "weight_decay"}  # of a partial: of the estimator


def make_optimizer(
    owner: str,
    optimizer: Callable[..., Optimizer],
    module: nn.Module,
    *,
    learning_rate: float,
    weight_decay: float,
) -> Optimizer:
    """Return an optimizer of a network, whose biases and normalisation have no weight decay.

    Raises ValueError if `optimizer`, a partial, brings what is a parameter of the estimator.
    """
    given = optimizer.keywords if isinstance(optimizer, partial) else {}
    for name in _OWN.keys() & given.keys():
        raise ValueError(
            f"{owner} expected an optimizer without {name} of its own, got {name}={given[name]!r}. "
            f"Pass {_OWN[name]} to {owner} instead."
        )
    matrices = [each for each in module.parameters() if each.ndim >= 2]
    vectors = [each for each in module.parameters() if each.ndim < 2]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return optimizer([group for group in groups if group["params"]], lr=learning_rate)
