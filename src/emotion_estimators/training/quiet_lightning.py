"""Lightning without its talk on healthy runs; imports pytorch_lightning inside."""

from __future__ import annotations

import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from emotion_estimators._forks import after_fork

__all__ = ["quiet_lightning"]

_LOGGERS = ("pytorch_lightning", "lightning.pytorch", "lightning_fabric", "lightning.fabric")


_changing = threading.RLock()


def _renew_lock() -> None:
    """Give a forked process a lock of its own; the parent's may be held for ever in it."""
    global _changing
    _changing = threading.RLock()


after_fork(_renew_lock)


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keep Lightning's information and advice from being shown, its errors not.

    Warnings that Lightning's own modules issue are advice on how to call a Trainer, which the
    caller of an estimator does not; those of other libraries come through. The handler of
    Ctrl-C, which Lightning switches off for good once it was interrupted, is put back. One thread
    at a time is inside; the others wait.
    """
    in_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if in_main else None
    try:
        with _changing, _ignored_warnings(), _only_errors():
            yield
    finally:
        if in_main and handler is not None and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            signal.signal(signal.SIGINT, handler)


@contextmanager
def _only_errors() -> Iterator[None]:
    """Let Lightning's loggers say nothing below an error."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _ignored_warnings() -> Iterator[None]:
    """Add filters for warnings, and take out just these.

    ``warnings.catch_warnings`` would put back the list of all filters, and with it undo what
    another thread has changed meanwhile.
    """
    before = warnings.filters
    for module in ("pytorch_lightning", "lightning_fabric", "lightning_utilities"):
        warnings.filterwarnings("ignore", module=module)
    # PyTorch's own deprecations that Lightning still runs into
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    added = list(warnings.filters[:4])
    try:
        yield
    finally:
        # another thread may have begun or ended a block of its own, which swaps the lists
        for filters in (before, warnings.filters):
            for one in added:
                with suppress(ValueError):
                    filters.remove(one)  # type: ignore[attr-defined]
