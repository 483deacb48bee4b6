"""The compiled loops: loaded late, once, and missed with a word on what to do."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from emotion_estimators import HOGTransformer
from emotion_estimators.exceptions import MissingDependencyError
from emotion_estimators.features import _hog_library
from emotion_estimators.features._hog_library import (
    HogLoops,
    address_of,
    load_hog_loops,
    open_library,
)

IMAGES = np.zeros((1, 24, 24), np.uint8)


@pytest.fixture
def library_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Let the library be looked for at another place, where it has not been loaded from yet."""
    path = tmp_path / "library"
    monkeypatch.setattr(_hog_library, "_PATH", path)
    open_library.cache_clear()
    load_hog_loops.cache_clear()
    yield path
    open_library.cache_clear()
    load_hog_loops.cache_clear()


@pytest.mark.usefixtures("library_elsewhere")
def test_missing() -> None:
    transformer = HOGTransformer().fit(IMAGES)
    with pytest.raises(
        MissingDependencyError,
        match=r"HOGTransformer needs its compiled library, and there is no .*library\. .* "
        r"python -m pip install --editable \.",
    ):
        transformer.transform(IMAGES)


def test_of_another_system(library_elsewhere: Path) -> None:
    library_elsewhere.write_bytes(b"not for this processor")
    with pytest.raises(
        MissingDependencyError, match=r"HOGTransformer .* cannot be loaded: .* another system"
    ):
        HOGTransformer().fit_transform(IMAGES)


def test_loaded_at_first_use() -> None:
    code = (
        "import numpy\n"
        "from emotion_estimators import HOGTransformer\n"
        "from emotion_estimators.features._hog_library import open_library\n"
        f"images = numpy.zeros({IMAGES.shape})\n"
        "transformer = HOGTransformer().fit(images)\n"
        "print(open_library.cache_info().currsize)\n"
        "transformer.transform(images)\n"
        "print(open_library.cache_info().currsize)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["0", "1"]


def test_level_is_what_the_system_says_of_its_processor() -> None:
    information = Path("/proc/cpuinfo")
    if not information.exists():
        pytest.skip("the system does not tell")
    flags = set(information.read_text().split())
    expected = 0
    if platform.machine() == "x86_64" and flags >= {"avx2", "bmi1", "bmi2"}:
        wanted = {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
        expected = 2 if flags >= wanted else 1
    assert open_library().hog_loops_level() == expected


def test_the_most_instructions_are_used() -> None:
    library = open_library()
    level = library.hog_loops_level()
    best, plain = load_hog_loops(), HogLoops(library, 0)
    assert (best.histograms_of_uint8.__name__ == plain.histograms_of_uint8.__name__) == (level == 0)


def test_no_memory() -> None:
    loops = load_hog_loops()
    width = 2**50  # of a strip of pixels, and in cells: more than any address space
    no_images = np.empty(0, np.uint8)
    nothing = address_of(no_images)
    with pytest.raises(MemoryError, match="HOG finds no memory"):
        loops.histograms_of_uint8(nothing, 0, 8, width, 1, 8, 8, 9, nothing, 0, nothing)
    with pytest.raises(MemoryError, match="HOG finds no memory"):
        loops.normalise_blocks(nothing, 0, 8, width, 9, 2, 2, 3, 0, nothing)


@pytest.mark.parametrize("writeable", [True, False])
@pytest.mark.parametrize("n", [0, 3])
def test_address(n: int, writeable: bool) -> None:
    array = np.zeros((n, 2))[1:] if n else np.zeros(0)
    array.flags.writeable = writeable
    assert address_of(array) == array.ctypes.data
