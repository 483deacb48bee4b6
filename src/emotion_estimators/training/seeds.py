"""Reproducible training that leaves the global random state as it was; imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from emotion_estimators._forks import ThreadLock
from emotion_estimators.networks.torch_settings import torch_as_shipped

__all__ = ["seeded"]

_drawing = ThreadLock()


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[torch.Generator]:
    """Seed torch inside the block; restore the state of its global generators after it."""
    is_cuda = device.type == "cuda"
    devices = [device.index] if is_cuda else []
    with _drawing.held(), torch_as_shipped(), torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        if is_cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        # one number on, so that shuffling does not repeat the stream of the weights
        yield torch.Generator("cpu").manual_seed((seed + 1) % 2**63)
