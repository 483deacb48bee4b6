"""A file of a frozen network, ONNX or Keras HDF5, opened once in a process by its kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from emotion_estimators.exceptions import WeightsError
from emotion_estimators.networks.onnx.network import OnnxNetwork
from emotion_estimators.networks.onnx.reader import read_onnx_file
from emotion_estimators.networks.pool import pool

__all__ = ["open_network"]


def open_network(
    path: Path,
    digest: str,
    *,
    providers: tuple[str, ...],
    check: Callable[[], None] = lambda: None,
) -> OnnxNetwork:
    """Return the network in a file; every caller in the process gets the same one.

    Raises OSError if the file cannot be read; WeightsError if it holds no network that takes a
    batch of images and gives one row for each.
    """

    def read() -> OnnxNetwork:
        network = _read_network(path, providers)
        check()
        return network

    key = "file", digest, path.suffix.lower(), providers
    return pool.get(key, read, n_bytes=lambda network: network.n_bytes)


def _read_network(path: Path, providers: tuple[str, ...]) -> OnnxNetwork:
    suffix = path.suffix.lower()
    if suffix == ".onnx":
        serialised = read_onnx_file(path)
    elif suffix in (".hdf5", ".h5"):
        from emotion_estimators.networks.keras_hdf5 import read_keras_hdf5

        serialised = read_keras_hdf5(path).onnx
    else:
        raise WeightsError(
            f"{path}: expected a file .onnx, .hdf5 or .h5, got {suffix or 'no suffix'}."
        )
    return OnnxNetwork.from_bytes(serialised, path, providers)
