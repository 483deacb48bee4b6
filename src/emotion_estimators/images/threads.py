"""Many images through a function, some at a time, in order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import islice
from typing import Any, TypeVar

__all__ = ["count_threads", "map_in_threads"]

_Result = TypeVar("_Result")

_PER_THREAD = 8  # images taken at once for each thread: few enough to hold, many to keep all busy


def count_threads(n_threads: int | None) -> int:
    """Return the number of threads that a parameter asks for."""
    if n_threads is not None:
        return int(n_threads)
    # joblib sets the variable in its workers, so that together they fill the machine once
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    n_cpus = _count_cpus(affinity, os.environ.get("LOKY_MAX_CPU_COUNT"))
    return max(1, min(n_cpus, int(allowed))) if allowed.isdigit() else n_cpus


@cache
def _count_cpus(_affinity: int, _limit: str | None) -> int:
    """Return joblib's count, asked again where what it depends on has changed.

    It reads the limits of the container from files, which takes as long as a tenth of a small
    network does for an image.
    """
    from joblib import cpu_count

    return int(cpu_count())


def map_in_threads(
    function: Callable[[Any], _Result], items: Iterable[Any], *, n_threads: int
) -> Iterator[_Result]:
    """Yield what a function makes of images, in their order."""
    iterator = iter(items)
    while batch := list(islice(iterator, _PER_THREAD * n_threads)):
        if n_threads == 1 or len(batch) == 1:
            results = [function(item) for item in batch]
        else:
            # no pool outlives its batch: forked processes would find one without threads
            with ThreadPoolExecutor(n_threads) as pool:
                results = list(pool.map(function, batch))
        yield from results
