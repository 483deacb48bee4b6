"""What benchmarks share that measure each variant in a process of its own; imports no package."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any


def measured(command: Sequence[object], *, more: Mapping[str, str] | None = None) -> list[Any]:
    """Run a command, with `more` variables of the environment; return its lines of JSON."""
    process = subprocess.run(  # noqa: S603 - a script of this project
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(more or {})},
    )
    if process.returncode:
        raise RuntimeError(process.stderr[-2000:])
    return [json.loads(line) for line in process.stdout.splitlines() if line.startswith("{")]


def can_import(python: str, *names: str) -> bool:
    """Whether an interpreter has these packages."""
    code = f"from importlib.util import find_spec as f; assert all(map(f, {names!r}))"
    return subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 0  # noqa: S603
