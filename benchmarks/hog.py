"""Time HOGTransformer against scikit-image and OpenCV: python benchmarks/hog.py [--repeats N].

All contenders of a row take turns, so that a busy machine slows them alike; the figures are
medians. Wall-clock time is what a user waits; the CPU time of the process, which other programs
disturb less, gives the second column of ratios.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from statistics import median
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from skimage.feature import hog

from emotion_estimators import HOGTransformer
from record import describe_machine

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
    for n_threads in (1, 2):
        ours = HOGTransformer(**PARAMETERS, n_threads=n_threads)
        contenders[f"HOGTransformer, {n_threads} thread{'s' * (n_threads > 1)}"] = (
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


FIRST_CALL = """
import time, numpy as np
from emotion_estimators import HOGTransformer
transformer = HOGTransformer()
images = np.zeros((1, 48, 48), np.uint8)
for _ in range(2):
    started = time.perf_counter()
    transformer.transform(images)
    print(f"{(time.perf_counter() - started) * 1e3:.2f} ms")
"""


def print_first_calls() -> None:
    """Print how long the first call in a process takes, which loads the library, and the next."""
    result = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", FIRST_CALL], capture_output=True, check=True, text=True
    )
    first, second = result.stdout.splitlines()
    print(f"one image: {first} for the first call in a process, {second} for the second")


def describe_start() -> str:
    packages = ["numpy", "scikit-image", "scikit-learn"]
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    try:
        import cv2

        versions += f", OpenCV {cv2.__version__}"
    except ImportError:
        pass
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return f"{describe_machine()}; load {load} at the start\n{versions}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--dtypes", nargs="+", default=["uint8", "float32", "float64"])
    options = parser.parse_args()
    print(describe_start())
    print(f"parameters {PARAMETERS}, block_norm L2-Hys; medians of {options.repeats} turns")
    print_first_calls()
    with Parallel(n_jobs=2) as pool:
        for dtype in options.dtypes:
            for n, shape in CASES:
                time_case(n, shape, dtype, options.repeats, pool)


if __name__ == "__main__":
    main()
