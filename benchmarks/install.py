"""Install a wheel into an empty environment and measure it: python benchmarks/install.py WHEEL...

Of wheels for several systems it takes the one for this. Prints a table of what each package takes
on the disk and all together to download, and what scikit-learn takes alone, which is the floor of
any such library; then runs the first example of README.md there without a network, compares what
it prints, and times a table of the photographs in EMOTION_ESTIMATORS_DATA. Packages named by
``--beside`` are then installed, each alone with what it needs, and their totals printed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from datetime import UTC, datetime
from pathlib import Path

from packaging.tags import sys_tags
from packaging.utils import parse_wheel_filename

README = Path(__file__).parents[1] / "README.md"
MIB = 2**20

# run by the interpreter of the environment: the bytes of each package's files, bytecode included
LIST = """
import importlib.metadata, json
sizes = {}
for package in importlib.metadata.distributions():
    paths = [package.locate_file(file) for file in package.files or ()]
    sizes[package.name] = package.version, sum(p.stat().st_size for p in paths if p.is_file())
print(json.dumps(sizes))
"""
# in front of the example: nothing that runs in this process reaches a network
OFFLINE = """
import socket
def refuse(*args, **kwargs):
    raise OSError("the example asked for the network")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
"""


def install(folder: Path, *requirements: str) -> dict[str, tuple[str, int]]:
    """Return version and bytes of every package in a new environment, pip and setuptools apart."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", *requirements], check=True)  # noqa: S603
    listed = subprocess.run([python, "-c", LIST], check=True, capture_output=True)  # noqa: S603
    sizes = json.loads(listed.stdout)
    return {name: sizes[name] for name in sizes if name not in ("pip", "setuptools")}


def choose_wheel(wheels: list[Path]) -> Path:
    """Return the first wheel that can be installed here."""
    for wheel in wheels:
        if not parse_wheel_filename(wheel.name)[3].isdisjoint(sys_tags()):
            return wheel
    sys.exit(f"none of {', '.join(wheel.name for wheel in wheels)} is for this system")


def measure_download(folder: Path, requirement: str, target: Path) -> float:
    """Return how many MB of wheels a requirement and what it needs are."""
    python = folder / "bin" / "python"
    command = [python, "-m", "pip", "download", "--quiet", "--dest", target, requirement]
    subprocess.run(command, check=True)  # noqa: S603
    return sum(path.stat().st_size for path in target.iterdir()) / 1e6


def run_alone(folder: Path, *command: str) -> tuple[str, str]:
    """Run Python there without a network; return what it prints, and how it was kept from it."""
    # nothing of the user's: neither data, nor a cache, nor a proxy
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "EMOTION_ESTIMATORS_OFFLINE": "1",
    }
    # a name space without a network, where the system lets users have one
    wrapper = ["unshare", "--map-root-user", "--net"]
    trial = [*wrapper, "true"]
    can_unshare = (
        shutil.which("unshare") is not None
        and subprocess.run(trial, capture_output=True, check=False).returncode == 0  # noqa: S603
    )
    result = subprocess.run(  # noqa: S603
        [*(wrapper if can_unshare else ()), str(folder / "bin" / "python"), "-I", *command],
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    how = "in a name space without network" if can_unshare else "with its sockets shut"
    return result.stdout, how


def run_example(folder: Path) -> None:
    """Run the first block of the README and compare what it prints, but for numbers."""
    code, expected = re.search(  # type: ignore[union-attr]
        r"```python\n(.*?)```\n\n```\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL
    ).groups()
    printed, how = run_alone(folder, "-c", OFFLINE + code)
    numbers = r"\d+\.\d{3}"
    if re.sub(numbers, "", printed) != re.sub(numbers, "", expected):
        sys.exit(f"README.md says\n{expected}\nand its example prints\n{printed}")
    print(f"The first example of README.md runs {how} and prints\n\n{printed}")


def run_photographs(folder: Path, photographs: Path) -> None:
    """Time the first table of a folder of photographs."""
    begin = time.perf_counter()
    code = f"{OFFLINE}\nimport sys\nfrom emotion_estimators.cli import main\nsys.exit(main())"
    printed, how = run_alone(folder, "-c", code, "predict", str(photographs))
    seconds = time.perf_counter() - begin
    n_faces = printed.count(",face,,")  # rows; the heading has another next column
    if not n_faces:
        sys.exit(f"no face is found in {photographs}:\n{printed}")
    n = len(list(photographs.iterdir()))
    print(f"emotion-estimators predict: {n} photographs, {n_faces} faces, {how}: {seconds:.1f} s\n")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("wheels", type=Path, nargs="+", metavar="wheel")
    parser.add_argument(
        "--beside",
        nargs="+",
        default=[],
        metavar="PACKAGE",
        help="other packages; with +, what is installed with them, as in fer+torch==2.13.0",
    )
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        floor = install(Path(temporary, "floor"), "scikit-learn")
        folder = Path(temporary, "core")
        wheel = str(choose_wheel(chosen.wheels).resolve())
        core = install(folder, wheel)
        print("| package | version | MiB | in scikit-learn's own install |\n|---|---|---|---|")
        for name, (version, size) in sorted(core.items(), key=lambda item: -item[1][1]):
            print(f"| {name} | {version} | {size / MIB:.1f} | {'yes' if name in floor else ''} |")
        for label, packages in (("all", core), ("scikit-learn alone", floor)):
            total = sum(size for _, size in packages.values()) / MIB
            print(f"| **{label}** | {len(packages)} packages | {total:.1f} | |")
        download = measure_download(folder, wheel, Path(temporary, "download"))
        print(f"\nTo download: {download:.0f} MB")
        machine = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
        print(f"\n{machine}, {datetime.now(UTC).date()}\n")
        run_example(folder)
        photographs = Path(os.environ.get("EMOTION_ESTIMATORS_DATA", "")) / "photos"
        if photographs.is_dir():
            run_photographs(folder, photographs.resolve())
        print("| package | packages | MiB |\n|---|---|---|" if chosen.beside else "")
        for name in chosen.beside:
            folder = Path(temporary, "beside")
            sizes = install(folder, *name.split("+"))
            total = sum(size for _, size in sizes.values()) / MIB
            print(f"| {name} | {len(sizes)} | {total:.0f} |", flush=True)
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
