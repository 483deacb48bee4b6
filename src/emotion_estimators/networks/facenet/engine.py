"""A face network ready to run: ONNX Runtime for float32 on the CPU, torch for the rest."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from emotion_estimators.networks.facenet.layers import (
    MIN_IMAGE_SIZE,
    N_FEATURES,
    check_state,
    random_state,
)
from emotion_estimators.networks.onnx.network import check_rows
from emotion_estimators.networks.onnx.session import CPU, start_session
from emotion_estimators.networks.pool import pool

__all__ = [
    "MIN_IMAGE_SIZE",
    "N_FEATURES",
    "FaceNetwork",
    "may_have_cuda",
    "open_face_network",
    "random_state",
    "state_fingerprint",
]

_N_BYTES = 200 * 2**20  # of an open network: twice its weights and more

_Embeddings = NDArray[np.float32]
State = Mapping[str, Any]


class FaceNetwork(Protocol):
    """From standardised faces to vectors; may be called by several threads at once."""

    def __call__(self, images: NDArray[np.float32], *, batch_size: int = 32) -> _Embeddings:
        """Return the vectors of faces.

        `images` (n, 3, height, width) float32; returns (n, 512) float32.
        """
        ...


def open_face_network(
    state: State | Callable[[], State],
    *,
    fingerprint: str,
    device: str = "cpu",
    precision: str = "float32",
    n_threads: int = 1,
    needed_by: str = "open_face_network",
) -> FaceNetwork:
    """Return an InceptionResnetV1 ready to run; every caller in the process gets the same one.

    Raises ValueError if there is no such precision; MissingDependencyError if torch is needed and
    not installed; WeightsError if the state dict is of another network.

    The engines were chosen by measurement (``benchmarks/facenet.py``). In float32 ONNX Runtime is
    the fastest on a CPU, needs no torch, and runs every other frozen network of the library; it
    gives each face the same vector, bit for bit, in batches of any size and with any number of
    threads. It has no bfloat16 convolutions for CPUs: those run on torch, as does CUDA. What
    bfloat16 does to the accuracy of a task is not known; its vectors have a cosine similarity of at
    least 0.9999 to those of float32 with random weights.
    """
    if precision not in ("float32", "bfloat16"):
        raise ValueError(
            f"{needed_by} expected precision to be 'float32' or 'bfloat16', got {precision!r}."
        )

    def make() -> FaceNetwork:
        given = state() if callable(state) else state
        if device == "cpu" and precision == "float32":
            return _OnnxFaceNetwork(given, n_threads)
        from emotion_estimators._optional import import_optional

        needs_torch = f"{needed_by} with device={device!r} and precision={precision!r}"
        import_optional("torch", extra="torch", needed_by=needs_torch)
        from emotion_estimators.networks.facenet.torch_engine import TorchFaceNetwork

        return TorchFaceNetwork(
            check_state(given, needed_by), device=device, precision=precision, n_threads=n_threads
        )

    key = "facenet", fingerprint, device, precision, n_threads
    return pool.get(key, make, n_bytes=_N_BYTES)


def state_fingerprint(state: State) -> str:
    """Return a text that is the same for equal state dicts only.

    Raises WeightsError if the state dict is of another network.
    """
    digest = hashlib.blake2b(digest_size=32)
    for name, values in sorted(check_state(state, "state_fingerprint").items()):
        digest.update(f"{name} {values.shape} ".encode())
        digest.update(values.data)
    return digest.hexdigest()


def may_have_cuda() -> bool:
    """Return False where there is no NVIDIA driver, without loading torch to find out."""
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


class _OnnxFaceNetwork:
    """The network on ONNX Runtime."""

    def __init__(self, state: State, n_threads: int) -> None:
        from emotion_estimators.networks.facenet.onnx_model import (
            inception_resnet_v1_to_onnx,
        )

        # Threads that wait busily between two layers save a fifth of the time of one face.
        self._session = start_session(
            inception_resnet_v1_to_onnx(state),
            Path("InceptionResnetV1"),
            (CPU,),
            n_threads=n_threads,
        )

    def __call__(self, images: NDArray[np.float32], *, batch_size: int = 32) -> _Embeddings:
        runs = []
        for start in range(0, len(images), batch_size):
            batch = np.ascontiguousarray(images[start : start + batch_size])
            runs.append(self._session.run(None, {"images": batch})[0])
            check_rows(runs[-1], (len(batch), N_FEATURES), "InceptionResnetV1")
        return np.concatenate(runs) if runs else np.empty((0, N_FEATURES), np.float32)
