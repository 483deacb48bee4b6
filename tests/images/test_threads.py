import os
import subprocess
import sys

import pytest

from emotion_estimators.images.threads import count_threads

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
