"""The compiled loops: loaded late, once, and missed with a word on what to do."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from emotion_estimators import HOGTransformer
from emotion_estimators.exceptions import MissingDependencyError
from emotion_estimators.features.hog import library
from emotion_estimators.features.hog.kernel import _float_edges
from emotion_estimators.features.hog.library import (
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
    monkeypatch.setattr(library, "_PATH", path)
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


def test_of_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    open_library.cache_clear()
    monkeypatch.setattr(library, "_INTERFACE", library._INTERFACE + 1)
    with pytest.raises(MissingDependencyError, match=r"compiled for another version\..*install"):
        open_library()


def test_loaded_at_first_use() -> None:
    code = (
        "import numpy\n"
        "from emotion_estimators import HOGTransformer\n"
        "from emotion_estimators.features.hog.library import open_library\n"
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


def test_fewer_bins_than_gradients_near_an_edge() -> None:
    # as when another thread writes into the images between two calls
    y, x = np.mgrid[:24, :24] / 24
    images = x * np.cos(np.radians(20)) + y * np.sin(np.radians(20))  # along an edge
    edges, n_inexact = _float_edges(9)
    near_vectors = np.empty((2, images.size))
    histograms = np.zeros((3, 3 * 9), np.float32)
    count = ctypes.c_int64()

    def call(near_bins: np.ndarray) -> None:
        load_hog_loops().histograms_of_float64(
            *(address_of(images), 1, 24, 24, 1, 0, 8, 8, 9),
            *(address_of(edges), edges.shape[1], n_inexact, 0),
            *(address_of(near_bins), len(near_bins), address_of(near_vectors)),
            *(address_of(histograms), ctypes.byref(count)),
        )

    call(np.empty(0, np.int32))
    assert count.value > 1
    # behind the one bin stand numbers that would lead far out of the histograms
    memory = np.full(1000, -(2**30), np.int32)
    memory[0] = 3
    call(memory[:1])
    assert np.isfinite(histograms).all()


@pytest.mark.parametrize("kind", [np.uint8, np.float64])
def test_memory_is_given_back(kind: type) -> None:
    pytest.importorskip("resource", reason="the system does not tell how much a process has")
    # each call takes a few hundred bytes for each pixel of a strip, which is 1.6 MB here
    code = (
        "import numpy, resource\n"
        "from emotion_estimators.features.hog.kernel import hog_descriptors\n"
        f"images = numpy.ones((1, 3, 30000), numpy.{kind.__name__})\n"
        "def call(n):\n"
        "    for _ in range(n):\n"
        "        hog_descriptors(images, pixels_per_cell=(3, 3), cells_per_block=(1, 1))\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = call(10)\n"
        "print(call(300) - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert int(done.stdout) < 20_000  # KiB on Linux, bytes on macOS


@pytest.mark.parametrize("writeable", [True, False])
@pytest.mark.parametrize("n", [0, 3])
def test_address(n: int, writeable: bool) -> None:
    array = np.zeros((n, 2))[1:] if n else np.zeros(0)
    array.flags.writeable = writeable
    assert address_of(array) == array.ctypes.data
