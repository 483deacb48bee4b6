"""Settings of torch for the whole process, changed for a block and restored; imports torch."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

__all__ = ["exact_convolutions", "limited_threads"]

_counting = threading.Lock()
_changing = threading.Lock()


def _renew_locks() -> None:
    """Give a forked process locks of its own; the parent's may be held for ever in it."""
    global _counting, _changing
    _counting, _changing = threading.Lock(), threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)


@contextmanager
def limited_threads(n: int) -> Iterator[None]:
    """Let torch use n CPU threads inside the block, which one caller at a time runs.

    Parameters
    ----------
    n : int
        Threads.
    """
    with _counting:
        before = torch.get_num_threads()
        torch.set_num_threads(n)
        try:
            yield
        finally:
            torch.set_num_threads(before)


# Settings that blocks have changed: how many of them are running, and the value from before.
_changed: dict[str, tuple[int, Any]] = {}


@contextmanager
def exact_convolutions(device: torch.device, *, full_precision: bool) -> Iterator[None]:
    """Let CUDA convolve by deterministic algorithms inside the block; restore settings after it.

    Blocks may overlap in several threads: the last one to end restores.

    Parameters
    ----------
    device : torch.device
        Nothing is changed unless it is a CUDA device.
    full_precision : bool
        Multiply in float32, not in TensorFloat-32, of which CUDA devices keep 10 bits.
    """
    if device.type != "cuda":
        yield
        return
    cudnn = torch.backends.cudnn
    settings: list[tuple[Any, str, Any]] = [
        (cudnn, "deterministic", True),
        (cudnn, "benchmark", False),
    ]
    if full_precision:
        # torch refuses to read the older setting where the newer has been used
        newer = getattr(cudnn, "conv", None)
        settings.append(
            (newer, "fp32_precision", "ieee") if newer else (cudnn, "allow_tf32", False)
        )
    with _changing:
        for owner, name, value in settings:
            n_blocks, before = _changed.get(name, (0, getattr(owner, name)))
            _changed[name] = n_blocks + 1, before
            setattr(owner, name, value)
    try:
        yield
    finally:
        with _changing:
            for owner, name, _ in settings:
                n_blocks, before = _changed.pop(name)
                if n_blocks > 1:
                    _changed[name] = n_blocks - 1, before
                else:
                    setattr(owner, name, before)
