"""Compiles the loops of HOG for wheels and editable installs, and makes links; hatchling runs it.

The C compiler is ``$CC``, else cc, gcc or clang where one works, else the clang in the package
ziglang, which is then asked for as a requirement of the build: Python alone is enough.

EMOTION_ESTIMATORS_BUILD_TARGET names the system that a wheel is for, a key of ``WHEELS``; ziglang
compiles for any of them anywhere. Without it, a wheel is for the system at hand.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

TARGET = "EMOTION_ESTIMATORS_BUILD_TARGET"
# zig's name of a target: the platforms of its wheel. The numbers are the oldest versions of glibc
# and macOS that such a wheel runs on.
WHEELS = {
    "x86_64-linux-gnu.2.17": "manylinux_2_17_x86_64.manylinux2014_x86_64",
    "aarch64-linux-gnu.2.17": "manylinux_2_17_aarch64.manylinux2014_aarch64",
    "x86_64-macos.10.13": "macosx_10_13_x86_64",
    "aarch64-macos.11.0": "macosx_11_0_arm64",
    "x86_64-windows-gnu": "win_amd64",
}
ZIGLANG = "ziglang>=0.13"
BASELINE = "-mcpu=baseline"  # or zig compiles for this very processor
FOLDER = "emotion_estimators/features/hog"
SOURCES = ("loops.c", "images.c")
FLAGS = (
    "-std=c11",
    "-O3",
    "-funroll-loops",
    # The same numbers everywhere: nothing is contracted or reordered. What is given up, errno and
    # floating-point exceptions, nobody reads, and it would keep loops from becoming vectors.
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fvisibility=hidden",
    "-fPIC",
    "-shared",
)


# where Markdown names a file beside it, as a link or an image
LOCAL_LINK = re.compile(r'(?P<before>\]\(|\bsrc=")(?!\w+:|#)(?P<path>[^)"\s]+)')
IMAGES = (".gif", ".jpg", ".png", ".svg", ".webp")


class LinksHook(MetadataHookInterface):
    """Gives the package its description and its links."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add README.md, whose links lead to the files of this version, and the project's URLs."""
        repository = self.config.get("repository", "").rstrip("/")
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        if repository:
            text = absolute_links(text, repository, f"v{metadata['version']}")
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
        metadata["urls"] = project_urls(repository) if repository else {}


def absolute_links(text: str, repository: str, tag: str) -> str:
    """Return Markdown whose links to files lead to those of a tag of a repository."""

    def link(found: re.Match[str]) -> str:
        kind = "raw" if found["path"].endswith(IMAGES) else "blob"
        return f"{found['before']}{repository}/{kind}/{tag}/{found['path']}"

    return LOCAL_LINK.sub(link, text)


def project_urls(repository: str) -> dict[str, str]:
    """Return the links that a package index shows; the documentation's is that of GitHub Pages."""
    owner, name = repository.split("/")[-2:]
    return {
        "Documentation": f"https://{owner.lower()}.github.io/{name}",
        "Source": repository,
        "Issues": f"{repository}/issues",
        "Changelog": f"{repository}/blob/main/CHANGELOG.md",
    }


class CompileError(RuntimeError):
    """The loops of HOG could not be compiled; the message holds the compiler's own."""


class HOGLibraryHook(BuildHookInterface):
    """Adds the library to a wheel, or puts it beside its source for an editable install."""

    def dependencies(self) -> list[str]:
        """Return what the build needs beside hatchling."""
        return [ZIGLANG] if "ziglang" in choose_compiler(os.environ) else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and say what is to be done with the library."""
        environment = dict(os.environ)
        if version == "editable":
            environment.pop(TARGET, None)
        target = environment.get(TARGET)
        if target and target not in WHEELS:
            raise CompileError(f"{TARGET} must be one of {', '.join(WHEELS)}, got {target!r}.")
        # Compiled elsewhere first: wheels for other systems leave the source tree as it is, and a
        # process that has loaded the library of an editable install keeps its own.
        self._folder = tempfile.TemporaryDirectory()
        name = library_name(target)
        library = Path(self._folder.name, name)
        compile_library(Path(self.root, "src", FOLDER), library, choose_compiler(environment))
        if version == "editable":
            beside = Path(self.root, "src", FOLDER, name)
            new = beside.with_name(f"{name}.new")
            shutil.copy(library, new)
            new.replace(beside)
        else:
            build_data["force_include"][str(library)] = f"{FOLDER}/{name}"
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{WHEELS[target] if target else this_platform()}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002 - hatchling's signature
        """Remove the temporary folder."""
        self._folder.cleanup()


def library_name(target: str | None) -> str:
    """Return the name of the library for a target, None for this system."""
    system = target or sys.platform
    if "windows" in system or system == "win32":
        suffix = "dll"
    elif "macos" in system or system == "darwin":
        suffix = "dylib"
    else:
        suffix = "so"
    return f"lib_hog_loops.native.{suffix}"  # as in library.py


def this_platform() -> str:
    """Return the platform tag of a wheel for this system."""
    from packaging.tags import sys_tags  # hatchling needs it, too

    # What is compiled here may need this system's C library, so it is for no other Linux.
    others = ("manylinux", "musllinux")
    return next(tag.platform for tag in sys_tags() if not tag.platform.startswith(others))


def choose_compiler(
    environment: Mapping[str, str], works: Callable[[str], bool] | None = None
) -> list[str]:
    """Return the words that a command for the compiler begins with.

    Parameters
    ----------
    environment : mapping of str to str
        CC and EMOTION_ESTIMATORS_BUILD_TARGET count.
    works : callable, default=None
        Whether a compiler of this name is there and works. None asks the system.

    Returns
    -------
    command : list of str
    """
    zig = [sys.executable, "-m", "ziglang", "cc"]
    if environment.get(TARGET):
        return [*zig, "-target", environment[TARGET], "-s"]
    if environment.get("CC"):
        named = shlex.split(environment["CC"], posix=os.name == "posix")
        is_zig = "ziglang" in named or Path(named[0]).stem == "zig"
        return [*named, *([BASELINE] if is_zig else [])]
    # On Windows, what is called gcc may be of another word length or C library than Python.
    for name in ("cc", "gcc", "clang") if os.name == "posix" else ():
        if (works or can_compile)(name):
            return [name]
    return [*zig, BASELINE, "-s"]


def can_compile(compiler: str) -> bool:
    """Return whether a compiler is there and has a linker and headers; some are mere promises."""
    if shutil.which(compiler) is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        command = [compiler, "-shared", "-fPIC", "-x", "c", "-", "-o", f"{folder}/library"]
        source = b"#include <math.h>\n#include <stdlib.h>\n"
        result = subprocess.run(command, input=source, capture_output=True, check=False)
    return result.returncode == 0


def compile_library(folder: Path, library: Path, compiler: list[str]) -> None:
    """Compile the sources in a folder into a library.

    Parameters
    ----------
    folder : Path
    library : Path
        Written.
    compiler : list of str
        As from `choose_compiler`.

    Raises
    ------
    CompileError
        If there is no such compiler, or it fails.
    """
    sources = [str(folder / name) for name in SOURCES]
    command = [*compiler, *FLAGS, *sources, "-o", str(library), "-lm"]
    if library.suffix == ".dylib":  # else the path of the temporary folder stands in it
        command.append(f"-Wl,-install_name,@rpath/{library.name}")
    cache = str(library.with_name("zig"))
    caches = {"ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}
    try:
        result = subprocess.run(
            command, env={**os.environ, **caches}, capture_output=True, text=True, check=False
        )
        failure = result.stderr or result.stdout if result.returncode else None
    except OSError as error:
        failure = str(error)
    if failure is not None:
        raise CompileError(
            f"HOGTransformer's loops could not be compiled by\n\n    {shlex.join(command)}\n\n"
            f"which says\n\n{failure.strip()}\n\n"
            "Name another C compiler, gcc or clang, by the environment variable CC. One that pip "
            f"installs: pip install ziglang, then CC='{sys.executable} -m ziglang cc'."
        )
