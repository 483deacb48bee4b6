"""What each extra brings beside the core, in packages and MiB: python benchmarks/extras.py.

Reads the packages that are installed here, and downloads nothing: run it where all extras are
(`make bench` does). An extra that lacks a package is left out, and said.
"""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

PROJECT = tomllib.loads(Path(__file__).parents[1].joinpath("pyproject.toml").read_text())["project"]
MIB = 2**20


def needed(requirement: Requirement, found: set[tuple[str, str]]) -> set[str]:
    """Return the names of a package and of all that it needs here, with what extras ask for."""
    names = {requirement.name.lower().replace("_", "-")}
    for extra in ["", *requirement.extras]:
        if (requirement.name, extra) in found:
            continue
        found.add((requirement.name, extra))
        for text in distribution(requirement.name).requires or ():
            other = Requirement(text)
            if other.marker is None or other.marker.evaluate({"extra": extra}):
                names |= needed(other, found)
    return names


def all_needed(requirements: list[str]) -> set[str]:
    """Return the names of all that these lines of pyproject.toml bring."""
    names: set[str] = set()
    for text in requirements:
        requirement = Requirement(text)
        if requirement.name == PROJECT["name"]:
            for extra in requirement.extras:
                names |= all_needed(PROJECT["optional-dependencies"][extra])
        else:
            names |= needed(requirement, set())
    return names


def size(name: str) -> float:
    """Return the MiB of a package's files on the disk."""
    one = distribution(name)
    paths = [one.locate_file(file) for file in one.files or ()]
    return sum(path.stat().st_size for path in paths if path.is_file()) / MIB


def main() -> None:
    """Print a row for each extra."""
    core = all_needed(PROJECT["dependencies"])
    print("| extra | packages beside the core | MiB on the disk | the largest of them |")
    print("|---|---|---|---|")
    for extra, requirements in PROJECT["optional-dependencies"].items():
        try:
            more = all_needed(requirements) - core
        except PackageNotFoundError as error:
            print(f"| `{extra}` | not measured: {error.name} is not installed | | |")
            continue
        sizes = {name: size(name) for name in more}
        largest = sorted(sizes, key=sizes.__getitem__, reverse=True)[:3]
        told = ", ".join(f"{name} {distribution(name).version}" for name in largest)
        print(f"| `{extra}` | {len(sizes)} | {sum(sizes.values()):.0f} | {told} |")


if __name__ == "__main__":
    main()
