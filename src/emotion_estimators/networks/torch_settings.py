"""Settings of torch for the whole process, changed for a block and restored; imports torch."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from emotion_estimators._forks import after_fork

__all__ = ["exact_convolutions", "limited_threads", "torch_as_shipped"]

_most_threads: int | None = None  # of torch in this process; None: as many as it is given


_counting = threading.RLock()
_changing = threading.Lock()
_counted = threading.local()  # whether a thread knows how many threads torch has for it


def _begin_in_child() -> None:
    """Let torch work in a forked process, on one thread: it would wait for those of the parent."""
    global _counting, _changing, _most_threads
    _counting, _changing = threading.RLock(), threading.Lock()
    _most_threads = 1
    torch.set_num_threads(1)


after_fork(_begin_in_child)

# What has torch's default dtype unless told otherwise, and what has it for Python's floats.
_FLOATING = frozenset(
    [torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn, torch.eye, torch.linspace]
)
_OF_NUMBERS = frozenset([torch.tensor, torch.full, torch.arange, torch.scalar_tensor])


class _Float32(TorchFunctionMode):
    """Makes tensors that no dtype is asked for in float32, for one thread."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        of_floats = func in _OF_NUMBERS and any(
            isinstance(value, float) for value in (*args, *kwargs.values())
        )
        if (func in _FLOATING or of_floats) and kwargs.get("dtype") is None:
            kwargs["dtype"] = torch.float32
        return func(*args, **kwargs)


@contextmanager
def torch_as_shipped() -> Iterator[None]:
    """Compute in the block as if nobody had changed how torch makes tensors; change nothing.

    That is: float32 and the CPU where nothing else is asked for, gradients, no inference mode and
    no autocast, whatever defaults and blocks are around it. All of it is of this thread alone.
    """
    if not hasattr(_counted, "n_threads"):
        # a thread takes the number that is set at its first use of torch, and keeps it
        with _counting:
            _counted.n_threads = torch.get_num_threads()
    with ExitStack() as settings:
        settings.enter_context(torch.inference_mode(False))
        settings.enter_context(torch.enable_grad())
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                settings.enter_context(torch.autocast(device, enabled=False))
        # only where they are needed, since they slow every call of torch
        if torch.get_default_dtype() != torch.float32:
            settings.enter_context(_Float32())
        if torch.empty(0).device.type != "cpu":
            settings.enter_context(torch.device("cpu"))
        yield


@contextmanager
def limited_threads(n: int) -> Iterator[None]:
    """Let torch use n CPU threads inside the block, which one caller at a time runs."""
    with _counting:
        before = torch.get_num_threads()
        torch.set_num_threads(n if _most_threads is None else min(n, _most_threads))
        try:
            yield
        finally:
            torch.set_num_threads(before)


# Settings that blocks have changed: how many of them are running, and the value from before.
_changed: dict[str, tuple[int, Any]] = {}


@contextmanager
def exact_convolutions(device: torch.device, *, full_precision: bool) -> Iterator[None]:
    """Let CUDA convolve by deterministic algorithms inside the block; restore settings after it."""
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
