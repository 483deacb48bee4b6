"""Many images through a function, some at a time, in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import islice
from typing import Any, TypeVar

__all__ = ["count_threads", "map_in_threads", "take"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_AHEAD = 8  # images taken for each thread: few enough to hold, many to keep all busy


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


def take(items: Iterator[_Item], n: int) -> tuple[list[_Item], Exception | None]:
    """Return the next items, at most n, and the error that ended them: to be raised after them."""
    taken = []
    try:
        for item in islice(items, n):
            taken.append(item)  # noqa: PERF402 - what there is before an error
    except Exception as error:
        return taken, error
    return taken, None


def map_in_threads(
    function: Callable[[Any], _Result], items: Iterable[Any], *, n_threads: int
) -> Iterator[_Result]:
    """Yield what a function makes of images, in their order; the threads work some images ahead."""
    iterator = iter(items)
    if n_threads == 1:
        yield from map(function, iterator)
        return
    first, failure = take(iterator, _AHEAD * n_threads)
    waiting = deque(first)
    if len(waiting) == 1:
        yield function(waiting.popleft())
    while waiting:
        # where the caller forks between two results, the child has none of its parent's threads
        process = os.getpid()
        pool = ThreadPoolExecutor(n_threads)
        try:
            begun = deque(pool.submit(function, item) for item in waiting)
            while begun and os.getpid() == process:
                result = begun.popleft().result()
                waiting.popleft()
                if failure is None:
                    more, failure = take(iterator, 1)
                    waiting += more
                    begun += [pool.submit(function, item) for item in more]
                yield result
        finally:
            if os.getpid() == process:
                pool.shutdown(cancel_futures=True)
    if failure is not None:
        raise failure
