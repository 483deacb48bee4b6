"""Gives a target its inputs: a process that may crash, hang or eat memory, and is watched.

Reads the path of an input a line, writes a line of JSON: what came of it, and the most memory.
"""

import faulthandler
import json
import os
import resource
import shutil
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

import targets

# far above what counts as a fault, so that the machine does not suffer from one
ADDRESS_SPACE = 8 << 30


def peak_bytes() -> int:
    """Return the most memory of this process since it was last set back."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status has no VmHWM")


def run(target, data: bytes) -> str:
    folder = Path(tempfile.mkdtemp())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return "taken" if target(data, folder) else "refused"
    except MemoryError as error:
        return f"MemoryError: {error}"
    except Exception as error:
        frames = [
            f"{Path(frame.filename).name}:{frame.lineno}"
            for frame in traceback.extract_tb(error.__traceback__)
        ]
        return f"{type(error).__name__}: {str(error)[:300]} ({' '.join(frames[-4:])})"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints is no answer
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    target = targets.TARGETS[sys.argv[1]]
    for line in sys.stdin:
        data = Path(line.strip()).read_bytes()
        Path("/proc/self/clear_refs").write_text("5")  # sets the most memory back
        before = peak_bytes()
        outcome = run(target, data)
        answers.write(json.dumps({"outcome": outcome, "bytes": peak_bytes() - before}) + "\n")


if __name__ == "__main__":
    main()
