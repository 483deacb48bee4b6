"""A file of a frozen network, of ONNX or Keras, opened once in a process by its kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from emotion_estimators.exceptions import WeightsError
from emotion_estimators.networks.onnx.network import OnnxNetwork
from emotion_estimators.networks.onnx.reader import read_onnx_file
from emotion_estimators.networks.pool import pool

__all__ = ["find_architecture", "open_network"]

_HDF5 = (".hdf5", ".h5")


def find_architecture(path: Path) -> Path | None:
    """Return the JSON beside an ``.h5`` of weights alone; None of any other file.

    Raises OSError if the file cannot be read.
    """
    if path.suffix.lower() not in _HDF5:
        return None
    from emotion_estimators.networks.keras_hdf5.saved import architecture_beside

    return architecture_beside(path)


def open_network(
    path: Path,
    digest: str,
    *,
    providers: tuple[str, ...],
    architecture: Path | None = None,
    check: Callable[[], None] = lambda: None,
) -> OnnxNetwork:
    """Return the network in a file; every caller in the process gets the same one.

    `architecture` is that of a file of Keras that holds weights only; `digest` is of both.

    Raises OSError if the file cannot be read; WeightsError if it holds no network that takes a
    batch of images and gives one row for each.
    """

    def read() -> OnnxNetwork:
        network = _read_network(path, providers, architecture)
        check()
        return network

    key = "file", digest, path.suffix.lower(), providers
    return pool.get(key, read, n_bytes=lambda network: network.n_bytes)


def _read_network(path: Path, providers: tuple[str, ...], architecture: Path | None) -> OnnxNetwork:
    suffix = path.suffix.lower()
    if suffix == ".onnx":
        serialised = read_onnx_file(path)
    elif suffix in (".keras", *_HDF5):
        from emotion_estimators.networks.keras_hdf5 import read_keras_hdf5

        serialised = read_keras_hdf5(path, architecture)
    else:
        raise WeightsError(
            f"{path}: expected a file .onnx, .keras, .hdf5 or .h5, got {suffix or 'no suffix'}."
        )
    return OnnxNetwork.from_bytes(serialised, path, providers)
