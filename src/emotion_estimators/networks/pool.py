"""The networks that a process keeps open."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from weakref import WeakKeyDictionary, WeakValueDictionary

from emotion_estimators._forks import after_fork

__all__ = ["NetworkPool", "pool"]

_Network = TypeVar("_Network")

_OWN_BYTES = 2**24  # about what a small network takes to run
_MAX_IDLE = 4  # networks that wait for a borrower


class NetworkPool:
    """Networks by key, each opened once in a process and used by all of its threads."""

    def __init__(self, max_bytes: int = 2**30) -> None:
        self.max_bytes = max_bytes
        self._inherited: list[Any] = []
        self._begin()
        after_fork(self._renew)

    def _begin(self) -> None:
        """Hold nothing, with locks of its own."""
        self._shared: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._owned: WeakKeyDictionary[Any, dict[Hashable, Any]] = WeakKeyDictionary()
        self._idle: list[tuple[Hashable, Any]] = []
        # For as long as a thread opens the network of a key or waits for it.
        self._opening: WeakValueDictionary[Hashable, Any] = WeakValueDictionary()
        self._lock = threading.Lock()  # never held while a network is opened

    def _renew(self) -> None:
        """Begin a forked process; its parent's networks stay: closing one waits for its threads."""
        self._inherited += [self._shared, list(self._owned.values()), self._idle]
        self._begin()

    def get(
        self,
        key: Hashable,
        build: Callable[[], _Network],
        *,
        owner: object = None,
        n_bytes: int | Callable[[_Network], int] = 0,
        is_current: Callable[[_Network], bool] = lambda _: True,
    ) -> _Network:
        """Return the network of a key, opened if there is none; an error of `build` is raised."""
        network: _Network | None = self._find(owner, key)
        if network is not None and is_current(network):
            return network
        with self._lock:
            opening = self._opening.setdefault((id(owner), key), threading.Lock())
        with opening:
            network = self._find(owner, key)  # maybe another thread has opened it meanwhile
            if network is None or not is_current(network):
                network = build()
                self._keep(owner, key, network, n_bytes(network) if callable(n_bytes) else n_bytes)
        return network

    def _find(self, owner: object, key: Hashable) -> Any:
        with self._lock:
            if owner is not None:
                return self._owned.get(owner, {}).get(key)
            if key not in self._shared:
                return None
            self._shared.move_to_end(key)
            return self._shared[key][0]

    def _keep(self, owner: object, key: Hashable, network: Any, n_bytes: int) -> None:
        dropped: list[Any] = []  # closed after the lock is released
        with self._lock:
            if owner is not None:
                dropped.append(self._owned.setdefault(owner, {}).get(key))
                self._owned[owner][key] = network
                return
            self._shared[key] = network, n_bytes + _OWN_BYTES
            taken = sum(size for _, size in self._shared.values())
            while taken > self.max_bytes and len(self._shared) > 1:
                dropped.append(self._shared.popitem(last=False)[1])
                taken -= dropped[-1][1]

    @contextmanager
    def lend(self, key: Hashable, build: Callable[[], _Network]) -> Iterator[_Network]:
        """Lend an idle network of a key, or a new one, to one borrower at a time.

        For compiled Keras models: compiling takes longer than many a training, and TensorFlow
        never gives back all memory of a graph. One whose block ends with an error is not kept.
        """
        with self._lock:
            idle = self._idle
            places = [place for place, (known, _) in enumerate(idle) if known == key]
            network = idle.pop(places[0])[1] if places else None
        network = build() if network is None else network
        yield network
        with self._lock:
            if idle is self._idle:  # else this is a forked process, and the network its parent's
                idle.insert(0, (key, network))
                del idle[_MAX_IDLE:]


pool = NetworkPool()
