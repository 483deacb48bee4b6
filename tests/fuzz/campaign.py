"""Damaged files against everything that reads files: ``python tests/fuzz/campaign.py --help``.

Hypothesis damages valid inputs and shrinks what it finds; a process of its own takes them, so
that a crash, a hang and an appetite for memory are findings like any other. What is found lies
in ``corpus/<target>/`` afterwards, for the tests to run it for ever.
"""

import argparse
import hashlib
import json
import os
import select
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import seeds
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
NAMES = ("images", "hdf5", "torch", "onnx", "csv", "fer2013", "folders", "cache")
MAX_SECONDS = 5.0  # of computing; other work on the machine does not count
MAX_BYTES = 1 << 30
PATIENCE = 60.0  # seconds for one that only waits
FINE = ("taken", "refused")


class Watched:
    """A target in a process of its own, which is replaced when it dies."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.process = None
        self.folder = tempfile.TemporaryDirectory(prefix="fuzz-")
        self.log = Path(self.folder.name) / "log"
        self.tally = Counter()

    def outcome(self, data: bytes) -> str:
        """Return "taken" or "refused", or say what is wrong with how the input was met."""
        result = self._outcome(data)
        self.tally[result if result in FINE else "fault"] += 1
        return result

    def _outcome(self, data: bytes) -> str:
        if self.process is None:
            self._start()
        path = Path(self.folder.name) / "input"
        path.write_bytes(data)
        self.process.stdin.write(f"{path}\n".encode())
        self.process.stdin.flush()
        started, computed = time.monotonic(), self._cpu_seconds()
        while not select.select([self.process.stdout], [], [], 0.05)[0]:
            if self._resident_bytes() > 2 * MAX_BYTES:
                self.close()
                return f"memory: more than {2 * MAX_BYTES >> 20} MiB"
            computing = self._cpu_seconds() - computed
            if computing > MAX_SECONDS or time.monotonic() - started > PATIENCE:
                where = self._stop_and_look()
                return f"hang: {computing:.1f} s of computing{where}"
        line = self.process.stdout.readline()
        if not line:
            code = self.process.wait()
            self.process = None
            return f"crash: exit status {code}{self._log_tail()}"
        answer = json.loads(line)
        if answer["bytes"] > MAX_BYTES:
            return f"memory: {answer['bytes'] / 2**20:.0f} MiB, then {answer['outcome']}"
        return answer["outcome"]

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()
            self.process = None

    def _start(self) -> None:
        command = [sys.executable, "-X", "faulthandler", str(HERE / "worker.py"), self.name]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": self.folder.name}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment
            )

    def _stop_and_look(self) -> str:
        # the process dies with the traceback of faulthandler
        self.process.send_signal(signal.SIGABRT)
        self.process.wait()
        self.close()
        return self._log_tail()

    def _log_tail(self) -> str:
        lines = [li.strip() for li in self.log.read_text(errors="replace").splitlines()]
        return "".join(f"; {line}" for line in lines if line.startswith(("Fatal", "File")))[:600]

    def _cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _resident_bytes(self) -> int:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


NUMBERS = [0, 1, 2, 8, 16, 64, 255, 256, 4096, 65535, 2**20, 2**24, 2**28, 2**31 - 1, 2**31]
NUMBERS += [2**32 - 1, 2**32, 2**40, 2**63 - 1, 2**63, 2**64 - 1]


def damages(length: int) -> st.SearchStrategy:
    """Return ways to damage bytes: as tuples of a kind, a place and values."""
    near = min(length, 512)
    place = st.one_of(st.integers(0, near), st.integers(0, length))
    number = st.sampled_from(NUMBERS) | st.integers(0, 2**64 - 1)
    return st.one_of(
        st.tuples(st.just("byte"), place, st.integers(0, 255)),
        st.tuples(st.just("flip"), place, st.integers(0, 7)),
        st.tuples(st.sampled_from(["<H", ">H", "<I", ">I", "<Q", ">Q"]), place, number),
        st.tuples(st.just("insert"), place, st.binary(max_size=20)),
        st.tuples(st.just("delete"), place, st.integers(1, 64)),
        st.tuples(st.just("repeat"), place, st.integers(1, 64), st.integers(1, 2000)),
        st.tuples(st.just("move"), place, place, st.integers(1, 64)),
        st.tuples(st.just("cut"), place),
    )


def damaged(data: bytes, steps: list) -> bytes:
    """Return the bytes after all damages; a first line that names a kind stays."""
    for kind, place, *values in steps:
        if kind == "byte":
            data = data[:place] + bytes(values) + data[place + 1 :]
        elif kind == "flip":
            if place < len(data):
                data = data[:place] + bytes([data[place] ^ 1 << values[0]]) + data[place + 1 :]
        elif kind == "insert":
            data = data[:place] + values[0] + data[place:]
        elif kind == "delete":
            data = data[:place] + data[place + values[0] :]
        elif kind == "repeat":
            data = data[:place] + data[place : place + values[0]] * values[1] + data[place:]
        elif kind == "move":
            part = data[values[0] : values[0] + values[1]]
            data = data[:place] + part + data[place + values[1] :]
        elif kind == "cut":
            data = data[:place]
        else:
            width = struct.calcsize(kind)
            number = struct.pack(kind, values[0] & (1 << 8 * width) - 1)
            data = data[:place] + number + data[place + width :]
    return data


@st.composite
def inputs(draw, valid: list[bytes]) -> bytes:
    """Draw a valid input, whole, damaged or with another one's end."""
    data = draw(st.sampled_from(valid))
    kind, newline, content = data.partition(b"\n")
    has_kind = newline and kind.isascii() and kind.decode().replace("-", "").isalpha()
    if not has_kind:
        kind, newline, content = b"", b"", data
    steps = draw(st.lists(damages(len(content)), max_size=8))
    return kind + newline + damaged(content, steps)


def replay(name: str) -> list[str]:
    """Give the valid inputs and what was once found; return what is wrong now."""
    watched = Watched(name)
    known = [(f"seed {label}", data) for label, data in seeds.SEEDS[name]()]
    known += [(str(path), path.read_bytes()) for path in sorted((CORPUS / name).glob("*"))]
    outcomes = [(label, watched.outcome(data)) for label, data in known]
    watched.close()
    print(f"{name}: {sum(watched.tally.values())} known inputs {dict(watched.tally)}", flush=True)
    return [f"{label}: {outcome}" for label, outcome in outcomes if outcome not in FINE]


def attack(name: str, minutes: float, start: int) -> list[str]:
    """Damage inputs for some minutes; return what was found, the smallest of each kind."""
    valid = [data for _, data in seeds.SEEDS[name]()]
    watched = Watched(name)
    end = time.monotonic() + 60 * minutes
    found: list[str] = []
    known: set[str] = set()

    def attempt(data: bytes) -> None:
        if time.monotonic() > end:
            return
        outcome = watched.outcome(data)
        if outcome not in FINE and fingerprint(outcome) not in known:
            last.append((data, outcome))
            raise AssertionError(outcome)

    number = start
    while time.monotonic() < end:
        last: list[tuple[bytes, str]] = []
        test = given(inputs(valid))(attempt)
        test = settings(
            max_examples=300,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
        )(test)
        try:
            seed(number)(test)()
        except Exception as error:  # hypothesis has errors of its own for faults that come and go
            if not last:
                raise
            data, outcome = min(last, key=lambda pair: len(pair[0]))
            known.add(fingerprint(outcome))
            path = CORPUS / name / hashlib.sha256(data).hexdigest()[:16]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            found.append(f"{path} ({len(data)} bytes): {outcome}")
            print(f"  {type(error).__name__}: {found[-1]}", flush=True)
        number += 1
    watched.close()
    print(f"{name}: {minutes:g} minutes, {dict(watched.tally)}, {len(found)} found", flush=True)
    return found


def fingerprint(outcome: str) -> str:
    """Return what tells one fault from another: its kind and where it was raised."""
    kind = outcome.partition(":")[0]
    place = outcome.rpartition("(")[2] if outcome.endswith(")") else ""
    return f"{kind} {place}"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(NAMES)}; by default, all")
    parser.add_argument("--minutes", type=float, default=10.0, help="for each target")
    parser.add_argument("--seed", type=int, default=0, help="of the first round")
    chosen = parser.parse_args(arguments)
    if not set(chosen.targets) <= set(NAMES):
        parser.error(f"expected targets of {', '.join(NAMES)}, got {chosen.targets}")
    wrong = []
    for name in chosen.targets or NAMES:
        wrong += replay(name)
        if chosen.minutes > 0:
            wrong += attack(name, chosen.minutes, chosen.seed)
    print(*wrong, sep="\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
