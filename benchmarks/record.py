"""Keep what a benchmark prints: python benchmarks/record.py docs/results/hog.md benchmarks/hog.py.

Runs the script with the rest of the arguments, shows what it prints, and, if it succeeds, writes
that as Markdown for the page of results, below a line that says when, by which command, with which
version and on which machine. Tables that are Markdown stay tables; all else is shown as printed.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from itertools import groupby
from pathlib import Path


def describe_machine() -> str:
    """Return the processor, how many CPUs this process may use, and the Python."""
    names = [platform.processor() or platform.machine()]
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        names = [line.split(":")[1].strip() for line in lines if "model name" in line] or names
    n_cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{names[0]}, {n_cpus} CPUs, {platform.system()}, Python {platform.python_version()}"


def heading(command: list[str], date: dt.date) -> str:
    """Return the line above the tables, which tests/docs/test_results.py reads."""
    return (
        f"Measured {date} by `{shlex.join(['python', *command])}` with emotion-estimators "
        f"{version('emotion-estimators')} on {describe_machine()}.\n"
    )


def to_markdown(printed: str) -> Iterator[str]:
    """Yield blocks of Markdown: tables as they are, other lines between fences."""
    for is_table, lines in groupby(printed.splitlines(), lambda line: line.startswith("|")):
        block = "\n".join(lines).strip("\n")
        if block:
            yield f"{block}\n" if is_table else f"```text\n{block}\n```\n"


def main() -> None:
    """Run the script, and write the file if it succeeded."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="file of Markdown to write")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="a script and its arguments")
    options = parser.parse_args()
    if not options.command:
        parser.error("expected a script to run, got none")
    process = subprocess.Popen(  # noqa: S603 - a script of this project
        [sys.executable, *options.command], stdout=subprocess.PIPE, text=True
    )
    printed = []
    for line in process.stdout or ():
        printed.append(line)
        print(line, end="", flush=True)
    if process.wait():
        sys.exit(process.returncode)
    today = dt.datetime.now(tz=dt.UTC).date()
    text = "\n".join([heading(options.command, today), *to_markdown("".join(printed))])
    part = options.out.with_name(f"{options.out.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(options.out)


if __name__ == "__main__":
    main()
