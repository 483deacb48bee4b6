"""A state dict in a file of ``torch.save``, read without torch and without running its pickle.

Imports NumPy and its neighbours; for `face_weights`.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from emotion_estimators.exceptions import WeightsError
from emotion_estimators.networks._plain_pickle import Call, Name, PersistentId, read_pickle

__all__ = ["read_torch_state"]

_REBUILD = {"torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter"}
# bfloat16, which NumPy lacks, is the upper half of float32.
_DTYPES = {
    "torch.DoubleStorage": "<f8",
    "torch.FloatStorage": "<f4",
    "torch.HalfStorage": "<f2",
    "torch.BFloat16Storage": "<u2",
    "torch.LongStorage": "<i8",
}
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001

_ReadBytes = Callable[[str, int, int], bytes]  # key of a storage, its values, bytes of a value


def read_torch_state(path: str | Path) -> dict[str, NDArray[Any]]:
    """Read the state dict that ``torch.save(network.state_dict(), path)`` wrote.

    Parameters
    ----------
    path : str or Path
        A file in either format of torch: a zip archive, or the one before torch 1.6.

    Returns
    -------
    state : dict of str to ndarray
        bfloat16 becomes float32; other types are kept.

    Raises
    ------
    OSError
        If the file cannot be read.
    WeightsError
        If it is damaged, or holds anything but a dict of tensors on their own.

    Notes
    -----
    The pickle in the file is interpreted, not executed: it can neither import nor call. Tensors
    of integers other than int64, of complex numbers and of quantised ones are refused.
    """
    path = Path(path)
    with path.open("rb") as stream:
        try:
            if zipfile.is_zipfile(stream):
                return _read_archive(stream, str(path))
            stream.seek(0)
            return _read_legacy(stream, str(path), path.stat().st_size)
        except WeightsError:
            raise
        # what zipfile raises on damaged archives, some of it undocumented
        except (
            zipfile.BadZipFile, EOFError, NotImplementedError, OSError, OverflowError,
            RuntimeError, ValueError, struct.error,
        ) as error:  # fmt: skip
            raise WeightsError(
                f"{path}: is damaged ({type(error).__name__}: {error}); fetch it again."
            ) from error


def _read_archive(stream: BinaryIO, source: str) -> dict[str, NDArray[Any]]:
    """Read a zip archive: data.pkl, and each storage in a member of its own."""
    with zipfile.ZipFile(stream) as archive:
        members = {info.filename.partition("/")[2]: info for info in archive.infolist()}
        if "data.pkl" not in members:
            raise WeightsError(
                f"{source}: expected a file of torch.save, got a zip archive without data.pkl."
            )
        if any(info.compress_type != zipfile.ZIP_STORED for info in members.values()):
            raise WeightsError(f"{source}: is compressed, which no file of torch.save is.")
        if "byteorder" in members and archive.read(members["byteorder"]) != b"little":
            raise WeightsError(f"{source}: was saved on a machine with the other order of bytes.")

        def read_bytes(key: str, n: int, size: int) -> bytes:
            info = members.get(f"data/{key}")
            if info is None or info.file_size != n * size:
                raise WeightsError(
                    f"{source}: expected {n * size} bytes for the storage {key:.40}, got "
                    f"{'none' if info is None else info.file_size}; the file is damaged."
                )
            return archive.read(info)

        content = read_pickle(io.BytesIO(archive.read(members["data.pkl"])), source)
        return _Tensors(source, read_bytes).state(content)


def _read_legacy(stream: BinaryIO, source: str, size: int) -> dict[str, NDArray[Any]]:
    """Read the older format: five pickles, then for each storage its length and its values."""
    try:
        magic = read_pickle(stream, source)
    except WeightsError:
        magic = None
    if magic != _LEGACY_MAGIC:
        raise WeightsError(f"{source}: expected a file of torch.save, got something else.")
    protocol, system, content, keys = (read_pickle(stream, source) for _ in range(4))
    if protocol != _LEGACY_PROTOCOL:
        raise WeightsError(f"{source}: is of another protocol of torch than {_LEGACY_PROTOCOL}.")
    if isinstance(system, dict) and system.get("little_endian") is False:
        raise WeightsError(f"{source}: was saved on a machine with the other order of bytes.")
    if not isinstance(keys, list):
        raise WeightsError(f"{source}: has no list of storages; the file is damaged.")
    sizes = {
        key: np.dtype(_DTYPES[kind]).itemsize
        for kind, key, _ in (found for _, found in _described(content, source).values())
    }
    places: dict[str, tuple[int, int]] = {}
    for key in keys:
        head = stream.read(8)
        if not isinstance(key, str) or key not in sizes:
            raise WeightsError(f"{source}: has a storage for no tensor; the file is damaged.")
        if len(head) < 8:
            raise WeightsError(f"{source}: ends before its weights do; fetch it again.")
        (n,) = struct.unpack("<q", head)
        places[key] = stream.tell(), n
        if not 0 <= n <= size or stream.seek(n * sizes[key], 1) > size:
            raise WeightsError(f"{source}: ends before its weights do; fetch it again.")

    def read_bytes(key: str, n: int, size: int) -> bytes:
        start, n_stored = places.get(key, (0, -1))
        if n_stored != n:
            raise WeightsError(
                f"{source}: expected {n} values in the storage {key:.40}, got {n_stored}; the "
                "file is damaged."
            )
        stream.seek(start)
        return stream.read(n * size)

    return _Tensors(source, read_bytes).state(content)


def _described(content: Any, source: str) -> dict[str, tuple[Call, tuple[str, str, int]]]:
    """Return the call that makes each tensor and the storage that it lies in, by its name."""
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        what = content.function.dotted if isinstance(content, Call) else type(content).__name__
        raise WeightsError(
            f"{source}: expected a state dict, which maps names to tensors, got {what:.80}. Save "
            "network.state_dict(), not the network."
        )
    described = {}
    for name, value in content.items():
        call, storage = _rebuild_call(value), _storage(value)
        if call is None or storage is None:
            what = value.function.dotted if isinstance(value, Call) else type(value).__name__
            raise WeightsError(
                f"{source}: expected {name:.60} to be a tensor of floating point numbers, got "
                f"{what:.80}. Nothing of it was executed."
            )
        described[name] = call, storage
    return described


def _storage(value: Any) -> tuple[str, str, int] | None:
    """Return type, key and number of values of a tensor's storage; None if it has none."""
    call = _rebuild_call(value)
    if call is None or not isinstance(call.arguments[0], PersistentId):
        return None
    match call.arguments[0].value:
        # the older format adds where a storage is a part of another, and None where it is none
        case ("storage", Name(dotted=kind), str(key), str(), int(n), *rest) if (
            kind in _DTYPES and n >= 0 and rest in ([], [None])
        ):
            return kind, key, n
    return None


def _rebuild_call(value: Any) -> Call | None:
    """Return the call of `_rebuild_tensor_v2`, also that within a parameter."""
    if not isinstance(value, Call) or value.function.dotted not in _REBUILD or not value.arguments:
        return None
    if value.function.dotted.endswith("_rebuild_parameter"):
        inner = value.arguments[0]
        is_tensor = isinstance(inner, Call) and inner.function.dotted.endswith("_tensor_v2")
        return _rebuild_call(inner) if is_tensor else None
    return value


class _Tensors:
    """Makes arrays of the tensors that a pickle describes."""

    def __init__(self, source: str, read_bytes: _ReadBytes) -> None:
        self.source = source
        self.read_bytes = read_bytes
        self.storages: dict[str, tuple[str, NDArray[Any]]] = {}

    def state(self, content: Any) -> dict[str, NDArray[Any]]:
        described = _described(content, self.source)
        return {name: self.tensor(name, *parts) for name, parts in described.items()}

    def tensor(self, name: str, call: Call, storage: tuple[str, str, int]) -> NDArray[Any]:
        kind, key, n = storage
        if key not in self.storages:
            # Each storage is read once, so that a small file cannot ask for much memory.
            size = np.dtype(_DTYPES[kind]).itemsize
            values = np.frombuffer(self.read_bytes(key, n, size), _DTYPES[kind])
            if len(values) != n:
                raise WeightsError(f"{self.source}: ends before its weights do; fetch it again.")
            self.storages[key] = kind, values
        known, values = self.storages[key]
        match call.arguments[1:4]:
            case (int(offset), tuple(shape), tuple(strides)) if known == kind and _lies_within(
                offset, shape, strides, n
            ):
                pass
            case _:
                raise WeightsError(
                    f"{self.source}: the shape of {name:.60} does not fit its storage; the file "
                    "is damaged."
                )
        array = np.lib.stride_tricks.as_strided(
            values[offset:], shape, [stride * values.itemsize for stride in strides]
        )
        if kind == "torch.BFloat16Storage":
            return (array.astype(np.uint32) << 16).view(np.float32)
        return array


def _lies_within(offset: int, shape: tuple[Any, ...], strides: tuple[Any, ...], n: int) -> bool:
    """Whether a view stays inside a storage of n values and has no more values than it."""
    numbers = (offset, *shape, *strides)
    if any(type(number) is not int or number < 0 for number in numbers):
        return False
    if len(shape) != len(strides) or len(shape) > 8 or math.prod(shape) > n:
        return False
    if 0 in shape:
        return offset <= n
    last = offset + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
    return bool(last < n)
