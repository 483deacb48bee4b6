import os
import signal
import subprocess
import sys
import warnings
from itertools import count, islice
from threading import Event

import pytest

from emotion_estimators.images.threads import count_threads, map_in_threads

CODE = """
import os
from emotion_estimators.images.threads import count_threads
before = count_threads(None)
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
print(before, count_threads(None))
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system pins no process")
def test_pinned_process_counts_its_cpus_anew():
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    output = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=True, env=environment
    ).stdout
    before, after = map(int, output.split())
    assert 1 <= before <= len(os.sched_getaffinity(0))
    assert after == 1


def test_limit_of_the_environment(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert count_threads(None) == 1
    assert count_threads(3) == 3  # asked for by name


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("n_items", [0, 1, 5, 100])
def test_results_come_in_the_order_of_the_images(n_threads, n_items):
    results = map_in_threads(lambda item: item**2, iter(range(n_items)), n_threads=n_threads)
    assert list(results) == [item**2 for item in range(n_items)]


def test_endless_images_are_taken_a_few_ahead():
    taken = []

    def images():
        for number in count():
            taken.append(number)
            yield number

    results = map_in_threads(lambda item: item, images(), n_threads=2)
    assert list(islice(results, 40)) == list(range(40))
    assert len(taken) <= 40 + 16
    results.close()


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("n_items", [0, 5, 50])
def test_results_come_before_the_error_that_ends_the_images(n_threads, n_items):
    def images():
        yield from range(n_items)
        raise OSError("the camera is gone")

    results = []
    with pytest.raises(OSError, match="the camera is gone"):
        results.extend(map_in_threads(lambda item: item**2, images(), n_threads=n_threads))
    assert results == [item**2 for item in range(n_items)]


def test_slow_image_does_not_stop_the_threads_that_have_others():
    """The batches of before ended together: all threads but one waited for the slowest image."""
    late = Event()

    def look(number):
        if number == 16:
            late.set()
        # the last of the first sixteen
        return late.wait(60) if number == 15 else True

    assert all(map_in_threads(look, range(32), n_threads=2))


def test_error_ends_the_threads():
    seen = []

    def look(number):
        seen.append(number)
        if number == 3:
            raise ValueError("number 3")
        return number

    results = map_in_threads(look, range(1000), n_threads=2)
    with pytest.raises(ValueError, match="number 3"):
        list(results)
    assert len(seen) <= 16 + 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_child_that_is_forked_between_two_results_goes_on():
    results = map_in_threads(lambda item: item + 1, range(50), n_threads=2)
    assert next(results) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
        child = os.fork()
    if child == 0:
        signal.alarm(60)  # ends a child that waits for a thread of its parent
        os._exit(0 if list(results) == list(range(2, 51)) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert list(results) == list(range(2, 51))
