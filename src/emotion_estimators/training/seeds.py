"""Reproducible training that leaves the global random state as it was; imports torch."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["seeded"]

_drawing = threading.RLock()


def _renew_lock() -> None:
    """Give a forked process a lock of its own; the parent's may be held for ever in it."""
    global _drawing
    _drawing = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[torch.Generator]:
    """Seed torch inside the block; restore the state of its global generators after it.

    Initial weights and dropout take torch's global generators and know no other. So one thread
    at a time is inside; others wait.

    Parameters
    ----------
    seed : int
        Seed of all random numbers inside.
    device : torch.device
        The device that computes, as from `choose_device`; its generator is seeded and restored
        too.

    Yields
    ------
    generator : torch.Generator
        A generator of the CPU of its own, for shuffling and augmentation.
    """
    is_cuda = device.type == "cuda"
    with _drawing, torch.random.fork_rng(devices=[device.index] if is_cuda else []):
        torch.default_generator.manual_seed(seed)
        if is_cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        # one number on, so that shuffling does not repeat the stream of the weights
        yield torch.Generator().manual_seed((seed + 1) % 2**63)
