"""The learning rate in the course of a training; imports nothing."""

from __future__ import annotations

import math

__all__ = ["warmup_cosine"]


def warmup_cosine(progress: float, warmup: float) -> float:
    """Return the factor of the learning rate: a linear rise, then a cosine to zero."""
    if progress < warmup:
        return progress / warmup
    decline = (progress - warmup) / max(1 - warmup, 1e-12)
    return 0.5 * (1 + math.cos(math.pi * decline)) + 1e-4  # never quite 0
