"""What a forked process has to do first."""

import os
import signal
import warnings
from threading import Event, Thread

import pytest

from emotion_estimators._forks import ThreadLock


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_lock_that_a_thread_holds_is_free_in_a_forked_child():
    lock, taken, over = ThreadLock(), Event(), Event()

    def hold():
        with lock.held():
            taken.set()
            over.wait()

    thread = Thread(target=hold)
    thread.start()
    taken.wait()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
            child = os.fork()
        if child == 0:
            signal.alarm(60)  # ends a child that waits for a thread of its parent
            with lock.held(), lock.held():
                os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    finally:
        over.set()
        thread.join()
