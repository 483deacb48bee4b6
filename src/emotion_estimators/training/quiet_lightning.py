"""Lightning without its talk on healthy runs; imports pytorch_lightning inside."""

from __future__ import annotations

import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quiet_lightning"]

_LOGGERS = ("pytorch_lightning", "lightning.pytorch", "lightning_fabric", "lightning.fabric")


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keep Lightning's information and advice from being shown, its errors not.

    Warnings that Lightning's own modules issue are advice on how to call a Trainer, which the
    caller of an estimator does not; those of other libraries come through. The handler of
    Ctrl-C, which Lightning switches off for good once it was interrupted, is put back.
    """
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    in_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if in_main else None
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            for module in ("pytorch_lightning", "lightning_fabric", "lightning_utilities"):
                warnings.filterwarnings("ignore", module=module)
            # PyTorch's own deprecations that Lightning still runs into
            warnings.filterwarnings("ignore", message=".*LeafSpec.*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if in_main and handler is not None and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            signal.signal(signal.SIGINT, handler)
