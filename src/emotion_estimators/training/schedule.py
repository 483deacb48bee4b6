"""The learning rate in the course of a training; imports the standard library only."""

from __future__ import annotations

import math
import time

__all__ = ["Schedule"]


class Schedule:
    """Factors of the learning rate: a linear rise, then a cosine to zero.

    With `max_time` (seconds) the training ends by the clock at the latest, and the rate with it.
    """

    def __init__(
        self, n_steps: int, *, warmup: float | None, max_time: float | None = None
    ) -> None:
        self.n_steps, self.warmup, self.max_time = n_steps, warmup, max_time
        self._start = time.monotonic()
        self._last = (-1, 1.0)

    def rate(self, step: int) -> float:
        """Return the factor at a step, from 0 on; the same whenever it is asked for once more."""
        if self.warmup is None:
            return 1.0
        if step != self._last[0]:  # groups of parameters ask in turn, and the clock goes on
            self._last = step, self._rate(self._share(step + 1), self.warmup)
        return self._last[1]

    def is_over(self) -> bool:
        """Tell whether the time is over."""
        return self._share(0) >= 1

    @staticmethod
    def _rate(share: float, warmup: float) -> float:
        if share < warmup:
            return share / warmup
        decline = (share - warmup) / max(1 - warmup, 1e-12)
        return 0.5 * (1 + math.cos(math.pi * decline)) + 1e-4  # never quite 0

    def _share(self, step: int) -> float:
        """Return the share of the training that is over, 0..1, by steps or by time."""
        share = step / self.n_steps
        if self.max_time is not None:
            share = max(share, (time.monotonic() - self._start) / self.max_time)
        return min(1.0, share)
