"""Networks kept open in a process, so that clones and copies share them; imports nothing."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from emotion_estimators._forks import after_fork

__all__ = ["SharedNetworks"]

_Network = TypeVar("_Network")


class SharedNetworks(Generic[_Network]):
    """Opens each network once per process; of too many, the one unused longest is closed.

    Parameters
    ----------
    max_open : int
        Networks kept.
    """

    def __init__(self, max_open: int) -> None:
        self.max_open = max_open
        # By process: a forked one must not use what the parent's threads and devices hold.
        self.networks: OrderedDict[tuple[int, Hashable], _Network] = OrderedDict()
        self._renew_lock()
        after_fork(self._renew_lock)

    def get(self, key: Hashable, make: Callable[[], _Network]) -> _Network:
        """Return the network of `key`; `make` is called where there is none yet."""
        process = os.getpid()
        with self.lock:
            network = self.networks.get((process, key))
            if network is None:
                network = self.networks[process, key] = make()
                of_this_process = [known for known in self.networks if known[0] == process]
                if len(of_this_process) > self.max_open:
                    del self.networks[of_this_process[0]]
            self.networks.move_to_end((process, key))
        return network

    def _renew_lock(self) -> None:
        """Give a forked process a lock of its own; the parent's may be held for ever in it."""
        self.lock = threading.Lock()
