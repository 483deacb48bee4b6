"""Time FaceNet here and in facenet-pytorch: python benchmarks/facenet.py [--device cuda].

Every variant runs in a new process, for thread pools in one process disturb each other, the
variants take turns, and figures are medians over the rounds. All have the same random weights
and are given the same standardised float32 images, 160 x 160; each is timed until its embeddings
are NumPy arrays. facenet-pytorch's module runs plainly: eval, no gradients, and on CUDA in
TensorFloat-32, torch's default, where float32 here is float32. --wheel names its wheel, which is
downloaded where the option is missing; the package is not installed.

Prints Markdown. On the CPU a second table says what `FacenetEmbedder` makes of JPEG files,
decoding and all, as a share of the rate of its network.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
import types
import zipfile
from pathlib import Path
from statistics import median
from typing import Any

from processes import measured
from record import describe_machine

BATCH = 32
REFERENCE = "facenet-pytorch"
VARIANTS = {
    "cpu": (REFERENCE, "float32", "bfloat16"),
    "cuda": (REFERENCE, "reference bfloat16", "float32", "bfloat16", "bfloat16 compiled"),
}
WHEEL_SHA256 = "ecb82b27beb226d106f2219efe8f829b01b87a8595badd01545679bdb9f19cca"


def download_wheel(folder: Path) -> Path:
    """Download facenet-pytorch, which cannot be installed beside a current torch."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
    command.append("facenet-pytorch==2.6.0")
    process = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    wheels = list(folder.glob("*.whl"))
    if not wheels:
        raise SystemExit(
            f"{process.stderr}pip finds no facenet-pytorch 2.6.0. Name it with --wheel."
        )
    return wheels[0]


def load_reference(wheel: Path) -> Any:
    """Return the module models/inception_resnet_v1.py of the wheel."""
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != WHEEL_SHA256:
        raise SystemExit(f"{wheel} is not the wheel of facenet-pytorch 2.6.0.")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.py")
        with zipfile.ZipFile(wheel) as archive:
            path.write_bytes(archive.read("facenet_pytorch/models/inception_resnet_v1.py"))
        name = "facenet_reference.models.utils.download"  # it downloads weights, not needed here
        parts = name.split(".")
        for i in range(1, len(parts) + 1):
            sys.modules[".".join(parts[:i])] = types.ModuleType(parts[i - 1])
        sys.modules[name].download_url_to_file = None  # type: ignore[attr-defined]
        spec = importlib.util.spec_from_file_location("facenet_reference.models.network", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


def start_reference(state: dict[str, Any], wheel: Path, device: str, *, half: bool) -> Any:
    """Return a function from images to embeddings."""
    import torch

    network = load_reference(wheel).InceptionResnetV1().eval()
    tensors = {name: torch.from_numpy(values) for name, values in state.items()}
    network.load_state_dict(tensors)
    dtype = torch.bfloat16 if half else torch.float32
    network = network.to(device, dtype)

    def embed(images: Any) -> Any:
        with torch.no_grad():
            return network(torch.from_numpy(images).to(device, dtype)).float().cpu().numpy()

    return embed


def start_compiled(state: dict[str, Any], device: str) -> Any:
    """Return a function from images to embeddings, compiled for each size of batch."""
    import torch

    from emotion_estimators.networks.facenet.torch_engine import embed_folded, fold_to_tensors

    weights = fold_to_tensors(state, device=device, dtype=torch.bfloat16)
    compiled = torch.compile(embed_folded, dynamic=False, mode="max-autotune")

    def embed(images: Any) -> Any:
        with torch.inference_mode():
            batch = torch.from_numpy(images).to(
                device, torch.bfloat16, memory_format=torch.channels_last
            )
            return compiled(weights, batch).cpu().numpy()

    return embed


def start(variant: str, options: argparse.Namespace) -> Any:
    """Return a function from images to embeddings."""
    from emotion_estimators.networks.facenet.engine import open_face_network, random_state

    state, device = random_state(0), options.device
    if variant in (REFERENCE, "reference bfloat16"):
        import torch

        torch.set_num_threads(options.threads)
        return start_reference(state, Path(options.wheel), device, half=variant != REFERENCE)
    if variant == "bfloat16 compiled":
        return start_compiled(state, device)
    return open_face_network(
        state, fingerprint="", device=device, precision=variant, n_threads=options.threads
    )


def seconds(function: Any, argument: Any, n: int) -> float:
    """Return the median time of n calls."""
    times = []
    for _ in range(n):
        start = time.perf_counter()
        function(argument)
        times.append(time.perf_counter() - start)
    return median(times)


def work(variant: str, options: argparse.Namespace) -> None:
    """Measure one variant in this process and print the figures as JSON."""
    import numpy as np

    # smooth images beside noise, so that embeddings differ
    rng = np.random.default_rng(0)
    coarse = rng.normal(size=(BATCH // 2, 3, 8, 8)).repeat(20, axis=2).repeat(20, axis=3)
    images = np.concatenate([coarse, rng.normal(size=(BATCH // 2, 3, 160, 160))])
    images = np.clip(images / 2, -1, 1).astype(np.float32)
    embed = start(variant, options)
    embeddings = embed(images)
    embed(images)
    figures = {"batch": seconds(embed, images, options.batches)}
    for _ in range(3):
        embed(images[:1])
    figures["one"] = seconds(embed, images[:1], options.single)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    np.save(Path(options.folder, f"{variant}.npy"), embeddings)
    print(json.dumps(figures), flush=True)


def work_on_paths(precision: str, options: argparse.Namespace) -> None:
    """Measure the embedder on files against its network, in turns, and print both rates."""
    import numpy as np
    from PIL import Image

    from emotion_estimators import FacenetEmbedder
    from emotion_estimators.networks.facenet.engine import open_face_network, random_state

    rng = np.random.default_rng(0)
    paths = []
    for number in range(options.files):
        coarse = rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)
        path = Path(options.folder, f"{number}.jpg")
        picture = Image.fromarray(coarse).resize((160, 160), Image.Resampling.BICUBIC)
        picture.save(path, quality=90)
        paths.append(str(path))
    embedder = FacenetEmbedder(
        weights=None, precision=precision, n_threads=options.threads, batch_size=BATCH
    )
    network = open_face_network(
        random_state(0), fingerprint="", precision=precision, n_threads=options.threads
    )
    images = rng.normal(size=(len(paths), 3, 160, 160)).astype(np.float32)
    embedder.fit(paths[:2])
    embedder.transform(paths)
    network(images)
    times: dict[str, list[float]] = {"files": [], "network": []}
    for _ in range(options.rounds):
        times["files"].append(seconds(embedder.transform, paths, 1))
        times["network"].append(seconds(network, images, 1))
    print(json.dumps({key: len(paths) / median(row) for key, row in times.items()}), flush=True)


def run(variant: str, options: argparse.Namespace, *, paths: bool = False) -> dict[str, float]:
    """Run one variant in a new process."""
    command = [sys.executable, __file__, "--work", variant]
    for name in ("device", "threads", "wheel", "folder", "single", "batches", "files", "rounds"):
        command += [f"--{name}", str(getattr(options, name))]
    threads = str(options.threads)
    environment = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    figures: dict[str, float] = measured(command + ["--paths"] * paths, more=environment)[-1]
    return figures


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=VARIANTS, default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=5, help=f"runs of {BATCH} images a round")
    parser.add_argument("--single", type=int, default=20, help="runs of one image a round")
    parser.add_argument("--files", type=int, default=256, help="JPEG files, 0 for none")
    parser.add_argument("--wheel", help="facenet_pytorch-2.6.0-py3-none-any.whl")
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--paths", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        (work_on_paths if options.paths else work)(options.work, options)
        return
    with tempfile.TemporaryDirectory() as options.folder:
        if not options.wheel:
            options.wheel = str(download_wheel(Path(options.folder)))
        print(f"{describe(options.device)}\n")
        print_networks(options)
        if options.device == "cpu" and options.files:
            print_paths(options)


def describe(device: str) -> str:
    """Return what ran: processor or GPU, and versions."""
    import onnxruntime
    import torch

    named = f"{torch.cuda.get_device_name()}, " if device == "cuda" else ""
    return (
        f"{named}{describe_machine()}, torch {torch.__version__}, ONNX Runtime "
        f"{onnxruntime.__version__}"
    )


def print_networks(options: argparse.Namespace) -> None:
    """Print figures, and how many times faster than the reference, in brackets."""
    import numpy as np

    rounds: dict[str, list[dict[str, float]]] = {v: [] for v in VARIANTS[options.device]}
    for _ in range(options.rounds):
        for variant, rows in rounds.items():
            rows.append(run(variant, options))
    expected = np.load(Path(options.folder, f"{REFERENCE}.npy"))
    print(
        f"| {BATCH} images, {options.device}, {options.threads} thread(s) | images/s | "
        "one image, ms | least cosine |\n|---|---|---|---|"
    )
    plain: dict[str, float] = {}
    for variant, rows in rounds.items():
        row = {key: median(figures[key] for figures in rows) for key in rows[0]}
        plain = plain or row
        cosine = (np.load(Path(options.folder, f"{variant}.npy")) * expected).sum(axis=1).min()
        print(
            f"| {variant} | {BATCH / row['batch']:.1f} ({plain['batch'] / row['batch']:.2f}x) | "
            f"{row['one'] * 1e3:.2f} ({plain['one'] / row['one']:.2f}x) | {cosine:.6f} |"
        )


def print_paths(options: argparse.Namespace) -> None:
    """Print the rate from files to embeddings beside that of the network alone."""
    print(f"\n| {options.files} JPEG files of 160 x 160 | files/s | network, images/s | share |")
    print("|---|---|---|---|")
    for precision in ("float32", "bfloat16"):
        rates = run(precision, options, paths=True)
        share = rates["files"] / rates["network"]
        print(f"| {precision} | {rates['files']:.1f} | {rates['network']:.1f} | {share:.1%} |")


if __name__ == "__main__":
    main()
