"""Time multi-label training and prediction: python benchmarks/multilabel.py [--device cuda].

On the CPU: `LightningMultiLabelClassifier` beside a plain torch loop with the same network, data,
batches, precision and optimizer. On CUDA: images per second of the same two, of the loop in
float32, and of Lightning as the system before this library used it (a DataLoader that decodes
PNG files, float32, checkpoints and a logger), with the share of the matrix peak that this
card reaches in bfloat16. --quality trains ours and the former system's settings on generated
scenes and prints average precision beside the time.

Variants take turns in one process, the order turns round in each round, and figures are medians.
Needs torch, pytorch-lightning, numpy, scikit-learn, pillow and pandas alone.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from emotion_estimators.classifiers import (
    LightningMultiLabelClassifier,
    make_multilabel_classifier,
)
from emotion_estimators.networks.multi_label import MultiLabelNetwork
from emotion_estimators.networks.residual import ResidualNetwork
from emotion_estimators.training.device import autocast_dtype, exact_convolutions
from record import describe_machine

N_LABELS = 10
HIDDEN = 256


def make_data(n: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return noise and random labels: the time does not depend on what is in the images."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (n, size, size, 3), dtype=np.uint8)
    return X, (rng.random((n, N_LABELS)) < 0.2).astype(np.int64)


def make_network(backbone: str, size: int) -> MultiLabelNetwork:
    """Return the network that the classifier trains."""
    body = ResidualNetwork(backbone, (size, size))
    return MultiLabelNetwork(
        body,
        n_features=body.n_features,
        n_labels=N_LABELS,
        head_hidden=HIDDEN,
        mean=[0.5] * 3,
        std=[0.3] * 3,
    )


def classifier(backbone: str, options: argparse.Namespace, **settings: Any) -> Any:
    """Return the classifier, set to do what the loop does."""
    defaults = {
        "network": backbone,
        "head_hidden": HIDDEN,
        "max_epochs": options.epochs,
        "batch_size": options.batch_size,
        "warmup": None,
        "augmentation": 0.0,
        "validation_fraction": None,
        "gradient_clip": None,
        "device": options.device,
        "random_state": 0,
    }
    return LightningMultiLabelClassifier(**defaults | settings)


def plain_loop(
    backbone: str,
    X: np.ndarray,
    Y: np.ndarray,
    options: argparse.Namespace,
    precision: torch.dtype | None,
) -> None:
    """Train as one would write it down, data on the device."""
    device = torch.device(options.device)
    network = make_network(backbone, X.shape[1]).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.01, fused=True)
    images, targets = torch.from_numpy(X).to(device), torch.from_numpy(Y).float().to(device)
    size = options.batch_size
    network.train()
    with exact_convolutions(device, full_precision=False):
        for _ in range(options.epochs):
            order = torch.randperm(len(X)).to(device)
            for start in range(0, len(X) - size + 1, size):
                rows = order[start : start + size]
                x = images[rows].permute(0, 3, 1, 2).float() / 255
                with torch.autocast(device.type, precision, enabled=precision is not None):
                    scores = network(x)
                loss = nn.functional.binary_cross_entropy_with_logits(scores, targets[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    if device.type == "cuda":
        torch.cuda.synchronize()


def former_lightning(
    backbone: str, folder: Path, Y: np.ndarray, size: int, options: argparse.Namespace
) -> None:
    """Train as the former system did: files, a DataLoader, float32, checkpoints, a logger."""
    import pytorch_lightning as pl
    from torch.utils.data import DataLoader, Dataset

    class Files(Dataset):
        def __len__(self) -> int:
            return len(Y)

        def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
            picture = Image.open(folder / f"{i}.png").convert("RGB").resize((size, size))
            x = torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1).float() / 255
            return x, torch.from_numpy(Y[i]).float()

    class Module(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = make_network(backbone, size)

        def training_step(self, batch: Any, _: int) -> torch.Tensor:
            loss = nn.functional.binary_cross_entropy_with_logits(self.network(batch[0]), batch[1])
            self.log("train_loss", loss)
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.AdamW(self.parameters(), lr=8e-5)

    loader = DataLoader(
        Files(), batch_size=16, shuffle=True, num_workers=min(4, os.cpu_count() or 1)
    )
    with tempfile.TemporaryDirectory() as root:
        pl.Trainer(
            max_epochs=options.epochs,
            accelerator="gpu" if options.device == "cuda" else "cpu",
            devices=1,
            default_root_dir=root,
            logger=pl.loggers.CSVLogger(root),
            enable_progress_bar=False,
            enable_model_summary=False,
        ).fit(Module(), loader)


def timed(variants: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each variant; all are run once before."""
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for name in variants:
        variants[name]()
    for i in range(rounds):
        for name in list(variants)[:: 1 if i % 2 == 0 else -1]:
            start = time.perf_counter()
            variants[name]()
            seconds[name].append(time.perf_counter() - start)
    return {name: median(values) for name, values in seconds.items()}


def compare(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Print the times of ours over those of the plain loop."""
    print(
        "| backbone | side | images | training / loop | images/s | prediction / loop | images/s |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    device = torch.device(options.device)
    precision = autocast_dtype("auto", device)
    rows = []
    for backbone, size, n in options.cases:
        X, Y = make_data(n, size)
        seconds = timed(
            {
                "loop": lambda b=backbone, x=X, y=Y: plain_loop(b, x, y, options, precision),
                "ours": lambda b=backbone, x=X, y=Y: classifier(b, options).fit(x, y),
            },
            options.rounds,
        )
        fitted = classifier(backbone, options, max_epochs=1).fit(X, Y)
        network = fitted.network_
        batch = 128 if device.type == "cuda" else 32  # as ours

        def predict(x: np.ndarray = X, net: Any = network, batch: int = batch) -> np.ndarray:
            parts = []
            with torch.inference_mode(), exact_convolutions(device, full_precision=True):
                for start in range(0, len(x), batch):
                    part = torch.from_numpy(x[start : start + batch]).to(device)
                    part = part.permute(0, 3, 1, 2).float() / 255
                    parts.append(torch.sigmoid(net(part)).cpu().numpy())
            return np.concatenate(parts)

        # the order of sums in the head differs
        np.testing.assert_allclose(fitted.predict_proba(X), predict(), rtol=0, atol=1e-3)
        answers = timed(
            {"loop": predict, "ours": lambda f=fitted, x=X: f.predict_proba(x)},
            5 * options.rounds,  # they are short
        )
        row = {
            "backbone": backbone, "size": size, "images": n,
            "training": seconds["ours"] / seconds["loop"],
            "training images/s": n * options.epochs / seconds["ours"],
            "prediction": answers["ours"] / answers["loop"],
            "prediction images/s": n / answers["ours"],
        }  # fmt: skip
        rows.append(row)
        print(
            f"| {backbone} | {size} px | {n} | {row['training']:.3f} | "
            f"{row['training images/s']:.0f} | {row['prediction']:.3f} | "
            f"{row['prediction images/s']:.0f} |",
            flush=True,
        )
    return rows


def matrix_peak(dtype: torch.dtype) -> float:
    """Return the flops that the card reaches in a large matrix product."""
    a = torch.randn(8192, 8192, device="cuda", dtype=dtype)
    for _ in range(3):
        a @ a
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(20):
        a @ a
    torch.cuda.synchronize()
    return 20 * 2 * 8192**3 / (time.perf_counter() - start)


def flops_of_training(backbone: str, size: int) -> float:
    """Return the flops of one image, forward and backward."""
    from torch.utils.flop_counter import FlopCounterMode

    network = make_network(backbone, size)
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(2, 3, size, size)).sum().backward()
    return counter.get_total_flops() / 2


def compare_on_cuda(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Print images per second of ours and of what else there is."""
    peak = matrix_peak(torch.bfloat16)
    print(f"{torch.cuda.get_device_name()}: {peak / 1e12:.0f} Tflop/s in bfloat16 matrix products")
    print("Training images per second, and how many times as fast ours is:\n")
    print("| backbone | side | ours | loop, float32 | loop, bfloat16 | former | share of peak |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    rows = []
    for backbone, size, n in options.cuda_cases:
        X, Y = make_data(n, size)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for i, image in enumerate(X):
                Image.fromarray(image).save(folder / f"{i}.png", compress_level=1)
            variants: dict[str, Callable[[], Any]] = {
                "ours": lambda b=backbone, x=X, y=Y: classifier(
                    b, options, augmentation=options.augmentation
                ).fit(x, y),
                "loop, float32": lambda b=backbone, x=X, y=Y: plain_loop(b, x, y, options, None),
                "loop, bfloat16": lambda b=backbone, x=X, y=Y: plain_loop(
                    b, x, y, options, torch.bfloat16
                ),
                "former": lambda b=backbone, f=folder, y=Y, s=size: former_lightning(
                    b, f, y, s, options
                ),
            }
            seconds = timed(variants, options.rounds)
        speed = {name: n * options.epochs / value for name, value in seconds.items()}
        share = speed["ours"] * flops_of_training(backbone, size) / peak
        rows.append({"backbone": backbone, "size": size, **speed, "share of peak": share})
        shown = (f"{value:.0f} ({speed['ours'] / value:.2f}x)" for value in speed.values())
        print(f"| {backbone} | {size} px | {' | '.join(shown)} | {share:.1%} |", flush=True)
    return rows


def compare_quality(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Print average precision and time of ours and the former settings on scenes."""
    from sklearn.metrics import average_precision_score

    from emotion_estimators.datasets import make_scenes

    size = options.quality_size
    X, Y = make_scenes(2000, image_size=size, random_state=0)
    Z, W = make_scenes(500, image_size=size, random_state=1)
    own = {"network": options.quality_backbone, "device": options.device, "random_state": 0}
    former = {"weights": None, "image_size": size, "precision": "float32"}
    rows = []
    print("\n| settings | seconds | macro average precision |\n| --- | ---: | ---: |")
    for name, net in (
        ("ours", LightningMultiLabelClassifier(batch_size=64, **own)),
        ("former settings", make_multilabel_classifier(**former | own)),
    ):
        start = time.perf_counter()
        net.fit(X, Y)
        seconds = time.perf_counter() - start
        precision = average_precision_score(W, net.predict_proba(Z), average="macro")
        rows.append({"what": name, "seconds": seconds, "macro average precision": precision})
        print(f"| {name} | {seconds:.1f} | {precision:.4f} |", flush=True)
    return rows


def case(text: str) -> tuple[str, int, int]:
    """Read "resnet18:64:512": backbone, side in pixels, images."""
    backbone, size, n = text.split(":")
    return backbone, int(size), int(n)


def main(argv: list[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--augmentation", type=float, default=0.3, help="of ours, on CUDA")
    parser.add_argument(
        "--cases", type=case, nargs="+", metavar="BACKBONE:SIDE:IMAGES",
        default=[("resnet18", 64, 256), ("resnet6-tiny", 32, 2048)],
    )  # fmt: skip
    parser.add_argument(
        "--cuda-cases", type=case, nargs="+", metavar="BACKBONE:SIDE:IMAGES",
        default=[("resnet50", 384, 1024), ("resnet18", 64, 8192)],
    )  # fmt: skip
    parser.add_argument("--quality", action="store_true", help="train on scenes as well")
    parser.add_argument("--quality-size", type=int, default=384)
    parser.add_argument("--quality-backbone", default="resnet50")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args(argv)
    print(
        f"{describe_machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"medians of {options.rounds}\n"
    )
    results: dict[str, Any] = {}
    if options.device == "cuda":
        results["cuda"] = compare_on_cuda(options)
    else:
        results["cpu"] = compare(options)
    if options.quality:
        results["quality"] = compare_quality(options)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
