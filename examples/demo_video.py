"""From a clip to a table of the faces in its frames, and their emotions over time as an image.

Pans over a real photograph of several people where the environment variable
EMOTION_ESTIMATORS_DATA names the folder that holds it, else over the portrait that comes with
the package, and prints which.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import av
import matplotlib as mpl
import numpy as np
from PIL import Image

from emotion_estimators.analysis import analyze_video
from emotion_estimators.datasets import load_sample_photograph
from emotion_estimators.images import read_image
from emotion_estimators.inspection import TimelineDisplay

mpl.use("agg")

SIZE = 640, 336
RATE, SECONDS = 25, 4


def main(argv: list[str] | None = None) -> None:
    """Write a clip, follow its faces, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("EMOTION_ESTIMATORS_DATA"), help="real photo"
    )
    parser.add_argument("--out", type=Path, default=Path("demo_output"), help="for clip and PNG")
    arguments = parser.parse_args(argv)
    arguments.out.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    clip = arguments.out / "video.mp4"
    write_clip(clip, find_photograph(arguments.data))
    table = analyze_video(clip, frame_step=5)
    print_tracks(table)
    path = arguments.out / "video_emotions.png"
    TimelineDisplay.from_predictions(table).figure_.savefig(path, dpi=120)
    print(f"Wrote {clip} and {path}.")
    print(f"Done in {time.perf_counter() - start:.0f} s.")


def find_photograph(data: Path | None) -> Any:
    """Return a photograph, uint8 RGB of shape (height, width, 3)."""
    path = Path(data or "") / "photos" / "multiface.jpg"
    if path.is_file():
        print(f"Clip: a pan over {path.name}, real.")
        return read_image(path)
    print("Clip: a pan over the portrait of the package; there is no real-data folder.")
    return read_image(load_sample_photograph())


def write_clip(path: Path, photograph: Any) -> None:
    """Write a pan over a photograph, from left to right."""
    photo = Image.fromarray(photograph)
    width = 0.7 * photo.width
    height = min(width * SIZE[1] / SIZE[0], photo.height)
    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg4", rate=RATE, width=SIZE[0], height=SIZE[1])
        stream.bit_rate = 4_000_000
        for left in np.linspace(0, photo.width - width, RATE * SECONDS):
            box = (left, 0, left + width, height)
            frame = photo.resize(SIZE, Image.Resampling.BILINEAR, box=box)
            container.mux(stream.encode(av.VideoFrame.from_image(frame)))
        container.mux(stream.encode(None))


def print_tracks(table: Any) -> None:
    """Print a line for each face that was followed."""
    faces = table[table["status"] == "face"]
    print(f"\n{table['row'].nunique()} frames looked at, {faces['track'].nunique()} tracks")
    for number, track in faces.groupby("track"):
        shares = track["smoothed"].value_counts(normalize=True)
        told = ", ".join(f"{share:.0%} {emotion}" for emotion, share in shares.items())
        print(f"  track {number}: {track['time'].min():.1f} to {track['time'].max():.1f} s: {told}")
    print()


if __name__ == "__main__":
    main()
