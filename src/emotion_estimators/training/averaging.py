"""The moving average of a network's weights, which rises to its full length; imports torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

__all__ = ["averaged_model", "rising_average"]


def averaged_model(module: nn.Module, *, decay: float) -> AveragedModel:
    """Return a copy of a network that follows its weights and statistics, one step at a time.

    ``update_parameters(module)`` after each step moves the copy, which is ready to predict.
    """
    average = AveragedModel(module, multi_avg_fn=rising_average(decay), use_buffers=True)
    average.n_averaged.fill_(1)  # at 0, its first update would copy the weights
    return average.eval()


def rising_average(decay: float) -> Callable[[Any, Any, Any], None]:
    """Return what `AveragedModel` calls to move an average by one step.

    The first weights count for little: after n steps the decay is n / (9 + n), up to `decay`.
    """

    @torch.no_grad()
    def update(averaged: list[Tensor], current: list[Tensor], n: Tensor | int) -> None:
        if averaged[0].is_floating_point():
            weight = 1 - min(decay, float(n) / (9 + float(n)))
            torch._foreach_lerp_(averaged, current, weight)
        else:  # counters
            torch._foreach_copy_(averaged, current)

    return update
