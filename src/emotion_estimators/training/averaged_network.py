"""The exponential moving average of a network's weights; imports torch."""

from __future__ import annotations

import copy
from itertools import chain
from typing import Any

import torch
from torch import nn

__all__ = ["AveragedNetwork"]


class AveragedNetwork:
    """A copy of a network whose weights and statistics follow the original's slowly."""

    def __init__(self, module: nn.Module, *, decay: float) -> None:
        self.module = copy.deepcopy(module).eval()
        self.decay = decay
        self.n_updates = 0

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Move the average towards the weights that `module` has now."""
        decay = min(self.decay, (1 + self.n_updates) / (10 + self.n_updates))
        self.n_updates += 1
        weights, others = self._pairs(module)
        torch._foreach_lerp_([mine for mine, _ in weights], [its for _, its in weights], 1 - decay)
        for mine, its in others:
            mine.copy_(its)

    def _pairs(self, module: nn.Module) -> tuple[list[Any], list[Any]]:
        """Return (average, current) of what is averaged, and of counters."""
        pairs = zip(
            chain(self.module.parameters(), self.module.buffers()),
            chain(module.parameters(), module.buffers()),
            strict=True,
        )
        weights: list[Any] = []
        others: list[Any] = []
        for pair in pairs:
            (weights if pair[0].is_floating_point() else others).append(pair)
        return weights, others
