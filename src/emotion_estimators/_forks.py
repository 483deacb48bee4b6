"""What a forked process has to do first; imports the standard library only."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["ThreadLock", "after_fork"]


def after_fork(renew: Callable[[], object]) -> None:
    """Have a function called in each process that is forked from this one.

    A child has none of the threads of its parent, so that a lock that one of them holds is
    never released in it, and a pool of them never answers.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=renew)


class ThreadLock:
    """Lets one thread at a time into a block; a forked process has a lock of its own."""

    def __init__(self) -> None:
        self._renew()
        after_fork(self._renew)

    def _renew(self) -> None:
        self._lock = threading.RLock()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Wait until no other thread is inside; the same thread may come in again."""
        with self._lock:  # a block in which the process forks releases the one that it has taken
            yield
