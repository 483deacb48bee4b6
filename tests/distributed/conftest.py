"""A Dask cluster of two processes of this machine, and how one of them dies."""

import os
import signal
import threading
import time
from contextlib import contextmanager

import pytest

pytest.importorskip("dask", reason="Dask spreads the work")
distributed = pytest.importorskip("distributed", reason="Dask's processes come with it")


@pytest.fixture(scope="module")  # gone before other tests measure time and memory
def cluster():
    """Two worker processes of one thread each, which are replaced when they die."""
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address=":0",  # any free port: None takes one that others want, too
    ) as cluster:
        yield cluster


@pytest.fixture
def client(cluster):
    """Return the client that joblib and Dask find by themselves."""
    with distributed.Client(cluster) as client:
        client.wait_for_workers(2, timeout=60)
        yield client


@pytest.fixture
def wait_to_be_killed(tmp_path):
    """Return a function that holds the first process which calls it until `killer` came."""
    note, other = tmp_path / "process", tmp_path / "other"

    def wait():
        try:
            with note.open("x") as file:
                file.write(f"{os.getpid()}\n")
        except FileExistsError:
            other.touch()
            return
        time.sleep(60)
        raise AssertionError("nobody came")

    return wait


@pytest.fixture
def killer(tmp_path):
    """Return a block in which the process that waits is killed; it gives a list of its id.

    It is killed when the other process has begun, too: joblib hands large arguments to one of them,
    from which the other fetches them, and Dask cannot make them again where the only copy is lost.
    """
    note, other = tmp_path / "process", tmp_path / "other"

    @contextmanager
    def killer():
        killed = []

        def kill():
            deadline = time.monotonic() + 50
            while not (other.exists() and note.read_text().endswith("\n")):
                if time.monotonic() > deadline:
                    return
                time.sleep(0.01)
            killed.append(int(note.read_text()))
            os.kill(killed[0], signal.SIGKILL)

        thread = threading.Thread(target=kill)
        thread.start()
        yield killed
        thread.join()

    return killer
