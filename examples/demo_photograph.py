"""From a photograph to a table of faces, the photograph with labels, a report, and what decided.

Takes a real photograph of several people where the environment variable EMOTION_ESTIMATORS_DATA
names the folder that holds it, else the portrait that comes with the package, and prints which.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from PIL import Image

from emotion_estimators import FaceCropper, PretrainedEmotionClassifier
from emotion_estimators.analysis import analyze_faces
from emotion_estimators.datasets import load_sample_photograph
from emotion_estimators.images import read_image
from emotion_estimators.inspection import OcclusionDisplay, draw_faces, write_faces_report

mpl.use("agg")


def main(argv: list[str] | None = None) -> None:
    """Find, classify, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("EMOTION_ESTIMATORS_DATA"), help="real photo"
    )
    parser.add_argument("--out", type=Path, default=Path("demo_output"), help="for the files")
    arguments = parser.parse_args(argv)
    arguments.out.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    photo = find_photograph(arguments.data)
    cropper = FaceCropper(image_size=96)
    classifier = PretrainedEmotionClassifier()
    table = analyze_faces([photo], cropper=cropper, classifier=classifier)
    print_table(table)
    path = arguments.out / "photograph_faces.png"
    Image.fromarray(draw_faces(photo, table)).save(path)
    print(f"Wrote {path}.")
    write_report(arguments.data, photo, cropper, classifier, arguments.out)
    if (table["status"] == "face").any():
        crop = cropper.transform([photo])[0]  # of the largest face
        save_heat_map(classifier, crop, arguments.out / "photograph_what_decided.png")
    print(f"Done in {time.perf_counter() - start:.0f} s.")


def find_photograph(data: Path | None) -> Any:
    """Return a photograph, uint8 RGB of shape (height, width, 3)."""
    path = Path(data or "") / "photos" / "multiface.jpg"
    if path.is_file():
        print(f"Photograph: {path.name}, real.")
        return read_image(path)
    print("Photograph: the portrait of the package, real; there is no real-data folder.")
    return read_image(load_sample_photograph())


def write_report(data: Path | None, photo: Any, cropper: Any, classifier: Any, out: Path) -> None:
    """Write a page to look at: all photographs of the folder, else the one that there is."""
    folder = Path(data or "") / "photos"
    photographs = sorted(folder.iterdir()) if (folder / "multiface.jpg").is_file() else [photo]
    table = analyze_faces(photographs, cropper=cropper, classifier=classifier)
    path = out / "photograph_report.html"
    write_faces_report(table, path, X=photographs, classifier=classifier)
    print(f"Wrote {path}: {len(photographs)} photographs.")


def print_table(table: Any) -> None:
    """Print the table, the probabilities in per cent."""
    probabilities = [name for name in table.columns if name.startswith("emotion_")]
    shown = table[["face", "x", "y", "width", "height", "score", "emotion", *probabilities]].copy()
    shown[probabilities] = (100 * shown[probabilities]).round()
    shown = shown.rename(
        columns={name: name.removeprefix("emotion_") + " %" for name in probabilities}
    )
    print(f"\n{shown.to_string(index=False, float_format='{:.4g}'.format)}\n")


def save_heat_map(classifier: Any, crop: Any, path: Path) -> None:
    """Write the largest face, and over it by how much each part speaks for its emotion."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 4), layout="constrained")
    left.imshow(crop)
    left.set_axis_off()
    left.set_title("the largest face")
    OcclusionDisplay.from_estimator(classifier, crop, ax=right)
    figure.savefig(path, dpi=120)
    plt.close(figure)
    print(f"Wrote {path}.")


if __name__ == "__main__":
    main()
