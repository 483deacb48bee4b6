"""Live networks of fitted estimators, which themselves hold arrays only; imports nothing heavy."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

__all__ = ["kept_network"]

Network = TypeVar("Network")

_KEPT: WeakKeyDictionary[Any, dict[Hashable, tuple[Any, Any]]] = WeakKeyDictionary()


def kept_network(
    owner: object, kind: Hashable, weights: Any, build: Callable[[], Network]
) -> Network:
    """Return the network of an estimator, built again only for other weights."""
    kept = _KEPT.setdefault(owner, {})
    # By process: a forked one must not use what the parent's threads and devices hold.
    key = os.getpid(), kind
    known = kept.get(key)
    if known is None or known[0] is not weights:
        known = kept[key] = (weights, build())
    return cast("Network", known[1])
