"""skorch's training loop for image networks; imports torch and skorch."""

from __future__ import annotations

from typing import Any

import torch
from skorch import NeuralNet
from torch import Tensor, nn

__all__ = ["ImageNet", "StopTraining", "infer"]


class StopTraining(Exception):  # noqa: N818 - no error
    """Raised by a callback of `ImageNet` to end a training that is over."""


class ImageNet(NeuralNet):
    """skorch's training loop with mixed precision, weighted samples and nothing printed."""

    interruption_: KeyboardInterrupt | None

    def __init__(self, *args: Any, precision: torch.dtype | None = None, **parameters: Any) -> None:
        self.precision = precision
        super().__init__(*args, **parameters)

    @property
    def _default_callbacks(self) -> list[Any]:
        return []  # skorch's own print, and score a validation set that it draws

    def initialize_module(self) -> ImageNet:
        """Create the network, in the order of memory in which convolutions are fastest."""
        super().initialize_module()
        self.module_.to(memory_format=torch.channels_last)
        return self

    def fit_loop(self, *args: Any, **parameters: Any) -> ImageNet:
        """Train until a callback raises `StopTraining`, or to the last epoch."""
        try:
            super().fit_loop(*args, **parameters)
        except StopTraining:
            pass
        except KeyboardInterrupt as error:  # skorch takes it for a callback's wish to stop
            self.interruption_ = error
        return self

    def fit(self, X: Any, y: Any = None, **parameters: Any) -> ImageNet:
        """Train from the start, as skorch does, and let a ``KeyboardInterrupt`` through."""
        self.interruption_ = None
        super().fit(X, y, **parameters)
        if self.interruption_ is not None:
            raise self.interruption_
        return self

    def infer(self, x: Tensor, **fit_params: Any) -> Tensor:  # noqa: ARG002 - skorch's interface
        """Return the scores of images (n, 1, height, width)."""
        return infer(self.module_, x, self.precision)

    def get_loss(
        self,
        y_pred: Tensor,
        y_true: tuple[Tensor, Tensor],
        *args: Any,  # noqa: ARG002 - skorch's interface
        **kwargs: Any,  # noqa: ARG002
    ) -> Tensor:
        """Return the weighted mean loss of scores against (targets, weights)."""
        targets, weights = y_true
        loss: Tensor = (self.criterion_(y_pred, targets) * weights).mean()
        return loss


def infer(module: nn.Module, x: Tensor, precision: torch.dtype | None) -> Tensor:
    """Return the scores of images (n, 1, height, width), convolved in `precision`."""
    x = x.contiguous(memory_format=torch.channels_last)
    # A cache would outlive the step, and hold weights of before it, inside a block of the user's.
    enabled = precision is not None
    with torch.autocast(x.device.type, dtype=precision, enabled=enabled, cache_enabled=False):
        scores: Tensor = module(x)
    return scores.float()
