"""Time videos to rows of faces: python benchmarks/video.py.

A clip of 640 x 360 px and 30 frames/s (H.264) shows one face, the portrait of the package, which
moves and grows a little. `iterate_video`, as it is, turns it into rows; a plain loop that decodes
all frames to RGB says how much of the time that takes. Each runs in a new process; times are
without imports and the first second of the clip. CPU time is that of all threads, and says more
than the clock where others use the machine: from it comes what the CPUs would do if they were all
free. For the memory, a longer clip is looked at, and what the process holds is noted after each
minute of it; there, pandas and pyarrow are kept from being imported, as where only the extra
`video` is installed: nothing of this needs them, but scikit-learn imports them where they are.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from processes import measured
from record import describe_machine

SIZE = 640, 360
RATE = 30
OURS, DECODING = "iterate_video", "decoding alone"


def write_clip(path: Path, n_frames: int) -> None:
    """Write a clip with one face that moves."""
    import av
    import numpy as np
    from PIL import Image

    from emotion_estimators.datasets import load_sample_photograph
    from emotion_estimators.images import read_image

    portrait = Image.fromarray(read_image(load_sample_photograph()))  # 512 x 512
    frames = []
    for number in range(min(n_frames, 10 * RATE)):
        swing = np.sin(2 * np.pi * number / (10 * RATE))
        width = 470 + 30 * swing
        left, top = (512 - width) * (0.5 + 0.5 * swing), 6 - 6 * swing
        box = (left, top, left + width, top + width * SIZE[1] / SIZE[0])
        frames.append(portrait.resize(SIZE, Image.Resampling.BILINEAR, box=box))
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=RATE, width=SIZE[0], height=SIZE[1])
        stream.options = {"preset": "veryfast"}
        for number in range(n_frames):
            container.mux(stream.encode(av.VideoFrame.from_image(frames[number % len(frames)])))
        container.mux(stream.encode(None))


def decode(path: str, n_threads: int) -> Any:
    """Yield the frames of a clip as RGB."""
    import av

    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = n_threads
        for frame in container.decode(stream):
            yield frame.to_ndarray(format="rgb24")


def memory(name: str) -> float:
    """Return the MiB that this process holds, "VmRSS", or held at most, "VmHWM", on Linux.

    What `resource` tells is never below what the process that started this one held.
    """
    status = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in status if line.startswith(f"{name}:"))
    return int(line.split()[1]) / 1024


def work(options: argparse.Namespace) -> None:
    """Measure one variant in this process and print the figures as JSON."""
    if options.bare:
        sys.modules |= dict.fromkeys(("pandas", "pyarrow"))  # None: cannot be imported

    from emotion_estimators.analysis import iterate_video

    n_cpus = len(os.sched_getaffinity(0))
    if options.work == OURS:
        rows: Any = iterate_video(options.clip, frame_step=options.step)
    else:
        rows = decode(options.clip, n_cpus)
    n_frames = n_faces = 0
    held = []
    start = start_cpu = 0.0
    for n_seen, of_frame in enumerate(rows, 1):
        if n_seen == RATE:  # the first second is over
            start, start_cpu, n_frames = time.perf_counter(), time.process_time(), 0
        n_frames += 1
        n_faces += sum(row["status"] == "face" for row in of_frame) if options.work == OURS else 0
        if n_seen * options.step % (60 * RATE) == 0:
            held.append(memory("VmRSS"))
    figures = {
        "seconds": (time.perf_counter() - start) / n_frames,
        "cpu": (time.process_time() - start_cpu) / n_frames,
        "faces": n_faces / n_seen,
        "held": held,
        "memory": memory("VmHWM"),
    }
    print(json.dumps(figures), flush=True)


def run(variant: str, clip: Path, *more: str) -> dict[str, Any]:
    """Run one variant in a new process."""
    command = [sys.executable, __file__, "--work", variant, "--clip", str(clip), *more]
    figures: dict[str, Any] = measured(command)[-1]
    return figures


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60, help="length of the clip that is timed")
    parser.add_argument("--minutes", type=int, default=10, help="length of the one for the memory")
    parser.add_argument("--memory-step", type=int, default=1, help="frame_step for the memory")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--clip", help=argparse.SUPPRESS)
    parser.add_argument("--bare", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--step", type=int, default=1, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options)
        return
    n_cpus = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder, "clip.mp4")
        write_clip(clip, options.seconds * RATE)
        print(
            f"{options.seconds} s of {SIZE[0]} x {SIZE[1]} px at {RATE} frames/s, one face; "
            f"{describe_machine()}, load {os.getloadavg()[0]:.1f}\n"
        )
        print(
            "| | frames/s | CPU time each | frames/s if all CPUs were free | faces | peak memory |"
        )
        print("|---|---|---|---|---|---|")
        for variant in (OURS, DECODING):
            figures = run(variant, clip)
            faces = f"{figures['faces']:.2f}" if variant == OURS else ""
            print(
                f"| {variant} | {1 / figures['seconds']:.0f} | {figures['cpu'] * 1e3:.1f} ms | "
                f"{n_cpus / figures['cpu']:.0f} | {faces} | {figures['memory']:.0f} MiB |",
                flush=True,
            )
        if options.minutes:
            write_clip(clip, options.minutes * 60 * RATE)
            figures = run(OURS, clip, "--bare", "--step", str(options.memory_step))
            held = ", ".join(f"{value:.0f}" for value in figures["held"])
            print(
                f"\nMiB held after each of {options.minutes} minutes (frame_step="
                f"{options.memory_step}): {held}; peak {figures['memory']:.0f}."
            )


if __name__ == "__main__":
    main()
