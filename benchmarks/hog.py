"""Time HOGTransformer against scikit-image and OpenCV: python benchmarks/hog.py [--repeats N].

All contenders of a row take turns, so that a busy machine slows them alike; the figures are
medians. Wall-clock time is what a user waits; the CPU time of the process, which other programs
disturb less, gives the second column of ratios.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numba
import numpy as np
from joblib import Parallel, delayed
from skimage.feature import hog

from emotion_estimators import HOGTransformer

PARAMETERS = {"orientations": 9, "pixels_per_cell": (8, 8), "cells_per_block": (2, 2)}
CASES = ((2000, (48, 48)), (500, (128, 128)), (500, (128, 128, 3)))
SLOW_SHARE = 5  # the slow contenders describe every fifth image


def skimage_loop(images: np.ndarray) -> list[np.ndarray]:
    axis = -1 if images.ndim == 4 else None
    return [hog(image, channel_axis=axis, **PARAMETERS) for image in images]


def skimage_in_processes(pool: Parallel, images: np.ndarray) -> list[list[np.ndarray]]:
    return pool(delayed(skimage_loop)(part) for part in np.array_split(images, 4))


def opencv_descriptor(shape: tuple[int, ...]) -> Any:
    """Return OpenCV's descriptor of images, or the reason why there is none."""
    try:
        import cv2
    except ImportError:
        return "OpenCV is not installed"
    if not hasattr(cv2, "HOGDescriptor"):
        return f"OpenCV {cv2.__version__} has no HOGDescriptor; 4.x has"
    cv2.setNumThreads(1)
    return cv2.HOGDescriptor(shape[1::-1], (16, 16), (8, 8), (8, 8), 9)


def measure(
    contenders: dict[str, tuple[int, Callable[[], object]]], repeats: int
) -> dict[str, tuple[float, float]]:
    """Return the median wall and CPU seconds an image of each contender, taken in turns."""
    wall: dict[str, list[float]] = {name: [] for name in contenders}
    cpu: dict[str, list[float]] = {name: [] for name in contenders}
    for _, call in contenders.values():
        call()
    for _ in range(repeats):
        for name, (n, call) in contenders.items():
            started, started_cpu = time.perf_counter(), time.process_time()
            call()
            cpu[name].append((time.process_time() - started_cpu) / n)
            wall[name].append((time.perf_counter() - started) / n)
    return {name: (median(wall[name]), median(cpu[name])) for name in contenders}


def time_case(n: int, shape: tuple[int, ...], dtype: str, repeats: int, pool: Parallel) -> None:
    """Print the table of one kind of images."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n, *shape), dtype=np.uint8)
    if dtype != "uint8":
        images = (images / 255).astype(dtype)
    some = images[::SLOW_SHARE].copy()
    contenders: dict[str, tuple[int, Callable[[], object]]] = {
        "skimage, loop": (len(some), lambda: skimage_loop(some)),
        "skimage, joblib, 2 processes": (len(some), lambda: skimage_in_processes(pool, some)),
    }
    descriptor = opencv_descriptor(shape)
    if dtype == "uint8" and not isinstance(descriptor, str):
        contenders["OpenCV, 1 thread"] = n, lambda: [descriptor.compute(x) for x in images]
    for n_jobs in (1, 2):
        ours = HOGTransformer(**PARAMETERS, n_jobs=n_jobs)
        contenders[f"HOGTransformer, {n_jobs} thread{'s' * (n_jobs > 1)}"] = (
            n,
            lambda ours=ours: ours.transform(images),
        )
    seconds = measure(contenders, repeats)

    difference = np.abs(
        HOGTransformer(**PARAMETERS).transform(some[:20]) - np.array(skimage_loop(some[:20]))
    ).max()
    kind = "RGB" if len(shape) == 3 else "grey"
    print(f"\n{n} x {shape[0]} x {shape[1]} {kind}, {dtype}; off skimage by {difference:.1e}")
    print(f"{'':30}{'images/s':>10}{'us/image':>10}   x loop  x joblib  x OpenCV   (by CPU time:")
    print(f"{'':60}{'':28}    x loop  x OpenCV)")
    loop = seconds["skimage, loop"]
    opencv = seconds.get("OpenCV, 1 thread")
    for name, (wall, cpu) in seconds.items():
        row = f"{name:30}{1 / wall:10,.0f}{wall * 1e6:10.2f}{loop[0] / wall:9.1f}"
        row += f"{seconds['skimage, joblib, 2 processes'][0] / wall:10.1f}"
        row += f"{opencv[0] / wall:10.2f}" if opencv else f"{'-':>10}"
        if "1 thread" in name:
            row += f"{loop[1] / cpu:14.1f}"
            row += f"{opencv[1] / cpu:10.2f}" if opencv else f"{'-':>10}"
        print(row)
    if isinstance(descriptor, str):
        print(descriptor)
    elif dtype != "uint8":
        print("OpenCV takes uint8 only")


@numba.njit
def update_histogram(turns: int, bins: np.ndarray, values: np.ndarray, sums: np.ndarray) -> None:
    for _ in range(turns):
        for i in range(bins.size):
            b = np.uint64(bins[i])
            sums[b] = np.float32(np.float64(sums[b]) + values[i])


@numba.njit
def take_roots(turns: int, values: np.ndarray) -> None:
    for _ in range(turns):
        for i in range(values.size):
            values[i] = np.sqrt(values[i])


@numba.njit
def multiply_and_add(turns: int, values: np.ndarray) -> None:
    for _ in range(turns):
        for i in range(values.size):
            x = values[i]
            y = x
            for _ in range(12):  # unrolled: 24 operations between a load and a store
                y = y * x + np.float32(0.5)
            values[i] = y * np.float32(1e-3)


def print_floor(shape: tuple[int, ...], repeats: int) -> None:
    """Print what the parts of the work that cannot be left out take on this machine."""
    rng = np.random.default_rng(0)
    n_pixels = shape[0] * shape[1]
    n_features = (shape[0] // 8 - 1) * (shape[1] // 8 - 1) * 36
    pixels = 1024  # of one band: all arrays below stay in the first-level cache
    bins = rng.integers(0, 9 * 16, pixels).astype(np.int32)
    values = rng.random(pixels)
    source = np.zeros(2**26, np.uint8)
    target = np.zeros(2**26, np.uint8)
    turns = 1000

    def best(call: Callable[..., object], units: int, *arguments: Any) -> float:
        call(*arguments)
        times = []
        for _ in range(3 * repeats):
            started = time.process_time()
            call(*arguments)
            times.append(time.process_time() - started)
        return min(times) / units

    sums = np.zeros(9 * 16, np.float32)
    steps = turns * pixels
    # Gradient 2, squares 3, upper half plane 4, for each of 8 edges multiply, compare, add.
    operations = (2 + 3 + 4 + 8 * 3) * n_pixels
    rows = (
        (
            "bytes read and written",
            n_pixels + 8 * n_features,
            best(np.copyto, 2 * source.size, target, source),
        ),
        (
            "histogram updates, in order",
            n_pixels,
            best(update_histogram, steps, turns, bins, values, sums),
        ),
        ("square roots, float64", n_pixels, best(take_roots, steps, turns, values)),
        (
            "float32 operations, in vectors",
            operations,
            best(multiply_and_add, 25 * steps, turns, values.astype(np.float32)),
        ),
    )
    print(f"\nFloor for one {shape[0]} x {shape[1]} grey uint8 image, one thread")
    for name, count, seconds in rows:
        print(f"{name:34}{count:10,}  at {seconds * 1e9:7.4f} ns = {count * seconds * 1e6:6.2f} us")
    whole = sum(count * seconds for _, count, seconds in rows) * 1e6
    print(f"{'one after the other':34}{whole:35.2f} us, without the block norms")


FIRST_CALL = """
import time, numpy as np
from emotion_estimators import HOGTransformer
images = np.zeros((1, 48, 48), np.uint8)
started, started_cpu = time.perf_counter(), time.process_time()
HOGTransformer().transform(images)
print(f"{time.perf_counter() - started:.2f} s wall, {time.process_time() - started_cpu:.2f} s CPU")
"""


def print_first_calls() -> None:
    """Print how long the first call takes without and with the cache on disk."""
    with tempfile.TemporaryDirectory() as folder:
        for what in ("compiles", "finds the cache"):
            result = subprocess.run(  # noqa: S603 - our own code
                [sys.executable, "-c", FIRST_CALL],
                env={**os.environ, "NUMBA_CACHE_DIR": folder},
                capture_output=True,
                check=True,
                text=True,
            )
            print(f"first call in a process, {what}: {result.stdout.strip()}")


def describe_machine() -> str:
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            x.split(":")[1].strip() for x in info.read_text().splitlines() if "model name" in x
        ]
        cpu = names[0] if names else cpu
    packages = ["numpy", "numba", "scikit-image", "scikit-learn", "emotion-estimators"]
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    try:
        import cv2

        versions += f", OpenCV {cv2.__version__}"
    except ImportError:
        pass
    today = dt.datetime.now(tz=dt.UTC).date()
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return (
        f"{today}; {cpu}, {os.cpu_count()} CPUs, {platform.system()}; load {load} at the start\n"
        f"Python {platform.python_version()}, {versions}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--dtypes", nargs="+", default=["uint8", "float32", "float64"])
    options = parser.parse_args()
    print(describe_machine())
    print(f"parameters {PARAMETERS}, block_norm L2-Hys; medians of {options.repeats} turns")
    print_first_calls()
    with Parallel(n_jobs=2) as pool:
        for dtype in options.dtypes:
            for n, shape in CASES:
                time_case(n, shape, dtype, options.repeats, pool)
    for _, shape in CASES[:2]:
        print_floor(shape, options.repeats)


if __name__ == "__main__":
    main()
