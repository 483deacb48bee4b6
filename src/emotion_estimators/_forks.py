"""What a forked process has to do first; imports the standard library only."""

from __future__ import annotations

import os
from collections.abc import Callable

__all__ = ["after_fork"]


def after_fork(renew: Callable[[], object]) -> None:
    """Have a function called in each process that is forked from this one.

    A child has none of the threads of its parent, so that a lock that one of them holds is
    never released in it, and a pool of them never answers.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=renew)
