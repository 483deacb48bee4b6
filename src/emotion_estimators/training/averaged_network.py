"""The exponential moving average of a network's weights; imports torch."""

from __future__ import annotations

import copy

import torch
from torch import nn

__all__ = ["AveragedNetwork"]


class AveragedNetwork:
    """A copy of a network whose weights and statistics follow the original's slowly.

    Parameters
    ----------
    module : nn.Module
        The network that is trained.
    decay : float
        Share of the average that stays at each step. The first steps use a smaller one,
        (1 + step) / (10 + step), so that a short training is not averaged with its start.
    """

    def __init__(self, module: nn.Module, *, decay: float) -> None:
        self.module = copy.deepcopy(module).eval()
        self.decay = decay
        self.n_updates = 0

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Move the average towards the weights that `module` has now."""
        decay = min(self.decay, (1 + self.n_updates) / (10 + self.n_updates))
        self.n_updates += 1
        current = module.state_dict()
        for name, averaged in self.module.state_dict().items():
            if averaged.is_floating_point():
                averaged.lerp_(current[name], 1 - decay)
            else:
                averaged.copy_(current[name])
