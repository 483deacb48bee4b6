"""A state dict in a file of ``torch.save``, read without torch and without running its pickle."""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import struct
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from emotion_estimators._untrusted import Budget, failed_download, open_zip
from emotion_estimators.exceptions import WeightsError

__all__ = ["read_torch_state", "without_wrapper"]

# What stands before all names in the state dict of torch's DataParallel, and of torch.compile.
_WRAPPERS = ("module.", "_orig_mod.")

_Value = TypeVar("_Value")

# One instruction a byte, each of which may make an object: 2 seconds and 400 MB. A network of a
# thousand layers takes 0.2 MB.
_MAX_PICKLE_BYTES = 4 << 20
# What a pickle makes once it may use a million times: nothing long may be copied or compared.
_MAX_NAME = 1000
_MAX_ITEMS = 10
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_OTHER_ORDER = "was saved on a machine with the other order of bytes."
_SHORT = "ends before its weights do; fetch it again."


def read_torch_state(path: str | Path) -> dict[str, NDArray[Any]]:
    """Read the state dict that ``torch.save(network.state_dict(), path)`` wrote.

    Raises OSError if the file cannot be read; WeightsError if it is damaged, or holds anything but
    a dict of tensors on their own.

    Of the pickle in the file only the instructions are carried out that make numbers, texts, lists,
    dicts and descriptions of tensors: it can neither import nor call. It may have 4 MiB, the file
    100,000 tensors and storages, and all tensors together 1 MiB and 16 times the bytes of the file.
    Tensors of integers other than int64, of complex numbers and of quantised ones are refused.
    """
    path = Path(path)
    with path.open("rb", buffering=0) as file:
        budget = Budget.of_weights(str(path), path.stat().st_size)
        try:
            if zipfile.is_zipfile(file):
                with open_zip(file, max_table_bytes=_MAX_PICKLE_BYTES) as archive:
                    return _read_archive(archive, budget)
            with io.BufferedReader(file) as stream:
                return _read_legacy(stream, budget)
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


def without_wrapper(state: Mapping[str, _Value], names: Collection[str]) -> Mapping[str, _Value]:
    """Return a state dict under the names of the network, where a wrapper of it was saved.

    `names` are those that are wanted: where the state dict has one of them it stays as it is.
    """
    while state and not any(name in state for name in names):
        prefix = next((one for one in _WRAPPERS if all(key.startswith(one) for key in state)), None)
        if prefix is None:
            break
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def _read_archive(archive: zipfile.ZipFile, budget: Budget) -> dict[str, NDArray[Any]]:
    """Read a zip archive: data.pkl, and each storage in a member of its own."""
    source = budget.name
    entries = [info for info in archive.infolist() if not info.filename.endswith("/")]
    members = {info.filename.partition("/")[2]: info for info in entries}
    if "data.pkl" not in members:
        raise WeightsError(
            f"{source}: expected a file of torch.save, got a zip archive without data.pkl."
        )
    if len(members) < len(entries):
        raise WeightsError(f"{source}: has two members of one name, which torch.save never writes.")
    if any(info.compress_type != zipfile.ZIP_STORED for info in entries):
        raise WeightsError(f"{source}: is compressed, which no file of torch.save is.")
    order = members.get("byteorder")
    if order is not None and (order.file_size > 9 or archive.read(order) != b"little"):
        raise WeightsError(f"{source}: {_OTHER_ORDER}")
    if members["data.pkl"].file_size > _MAX_PICKLE_BYTES:
        raise _too_long(source)
    pickled = _StateUnpickler(io.BytesIO(archive.read(members["data.pkl"])), budget)
    tensors = _state_dict(pickled.load(), budget)
    for storage in pickled.storages.values():
        info = members.get(f"data/{storage.key}")
        if info is None or info.file_size != storage.n_bytes:
            raise WeightsError(
                f"{source}: expected {storage.n_bytes} bytes for the storage "
                f"{_shown(storage.key)}, got {'none' if info is None else info.file_size}; the "
                "file is damaged."
            )
        storage.fill(archive.read(info), source)
    return {name: tensor.view() for name, tensor in tensors.items()}


def _read_legacy(stream: BinaryIO, budget: Budget) -> dict[str, NDArray[Any]]:
    """Read the older format: five pickles, then for each storage its length and its values."""
    source, end = budget.name, stream.seek(0, io.SEEK_END)
    stream.seek(0)
    head = io.BytesIO(stream.read(_MAX_PICKLE_BYTES))
    try:
        magic = _StateUnpickler(head, budget).load()
    except WeightsError:
        magic = None
    if type(magic) is not int or magic != _LEGACY_MAGIC:
        reason = failed_download(head.getvalue()[:64]) or "it is something else"
        raise WeightsError(f"{source}: is not a file of torch.save; {reason}.")
    protocol, system = (_StateUnpickler(head, budget).load() for _ in range(2))
    pickled = _StateUnpickler(head, budget)
    content, keys = pickled.load(), _StateUnpickler(head, budget).load()
    if type(protocol) is not int or protocol != _LEGACY_PROTOCOL:
        raise WeightsError(f"{source}: is of another protocol of torch than {_LEGACY_PROTOCOL}.")
    if isinstance(system, dict) and system.get("little_endian") is False:
        raise WeightsError(f"{source}: {_OTHER_ORDER}")
    if not isinstance(keys, list):
        raise WeightsError(f"{source}: has no list of storages; the file is damaged.")
    tensors = _state_dict(content, budget)
    waiting = dict(pickled.storages)
    stream.seek(head.tell())
    for key in keys:
        storage = waiting.pop(key, None) if type(key) is str else None
        if storage is None:
            raise WeightsError(f"{source}: has a storage for no tensor; the file is damaged.")
        length = stream.read(8)
        n = struct.unpack("<q", length)[0] if len(length) == 8 else None
        if n is not None and n != storage.n:
            raise WeightsError(
                f"{source}: expected {storage.n} values in the storage {_shown(key)}, got {n}; "
                "the file is damaged."
            )
        if storage.n_bytes > end - stream.tell():
            raise WeightsError(f"{source}: {_SHORT}")
        storage.fill(stream.read(storage.n_bytes), source)
    if waiting:
        raise WeightsError(f"{source}: {_SHORT}")
    return {name: tensor.view() for name, tensor in tensors.items()}


def _state_dict(content: Any, budget: Budget) -> dict[str, _Tensor]:
    """Return what a pickle describes, if it is a dict of tensors that a file may hold."""
    source = budget.name
    if type(content) is not dict:
        raise WeightsError(
            f"{source}: expected a state dict, which maps names to tensors, got "
            f"{_described(content)}. Save network.state_dict(), not the network."
        )
    for name, value in content.items():
        if type(value) is not _Tensor:
            raise WeightsError(
                f"{source}: expected {_shown(name)} to be a tensor of floating point numbers, got "
                f"{_described(value)}. Nothing of it was executed."
            )
        if not value.lies_within():
            raise WeightsError(
                f"{source}: the shape of {_shown(name)} does not fit its storage; the file is "
                "damaged."
            )
        # many tensors may lie in one storage: here they are views, but whoever uses them copies
        budget.take(n_bytes=value.n_bytes(), n_parts=1, what=f"the tensor {_shown(name)}")
    return content


def _described(value: Any) -> str:
    return type(value).__name__.strip("_")


def _shown(text: str) -> str:
    """Return the beginning of a text of the file, without what a terminal obeys."""
    return ascii(text[:60])[1:-1]


class _Kind:
    """A type of storage that the pickle names, such as torch.FloatStorage."""

    def __init__(self, dtype: str, returned: str | None = None) -> None:
        self.dtype, self.returned = np.dtype(dtype), np.dtype(returned or dtype)


# bfloat16, which NumPy lacks, is the upper half of float32.
_BFLOAT16 = _Kind("<u2", "<f4")
_KINDS = {
    "torch.DoubleStorage": _Kind("<f8"),
    "torch.FloatStorage": _Kind("<f4"),
    "torch.HalfStorage": _Kind("<f2"),
    "torch.BFloat16Storage": _BFLOAT16,
    "torch.LongStorage": _Kind("<i8"),
}


class _Storage:
    """Values that lie outside of the pickle, and are read once."""

    __slots__ = ("key", "kind", "n", "n_bytes", "values")

    def __init__(self, kind: _Kind, key: str, n: int) -> None:
        self.kind, self.key, self.n = kind, key, n
        self.n_bytes = n * kind.dtype.itemsize
        self.values: NDArray[Any] = np.empty(0)

    def fill(self, content: bytes, source: str) -> None:
        """Take the bytes; those of bfloat16 are widened here, once for all tensors."""
        if len(content) != self.n_bytes:
            raise WeightsError(f"{source}: {_SHORT}")
        self.values = np.frombuffer(content, self.kind.dtype)
        if self.kind is _BFLOAT16:
            wide = self.values.astype("<u4")
            wide <<= 16
            wide.flags.writeable = False
            self.values = wide.view("<f4")


class _Tensor:
    """Where a tensor lies in a storage."""

    __slots__ = ("offset", "shape", "storage", "strides")

    def __init__(self, storage: _Storage, offset: Any, shape: Any, strides: Any) -> None:
        self.storage, self.offset, self.shape, self.strides = storage, offset, shape, strides

    def lies_within(self) -> bool:
        """Whether it stays inside of its storage and has no more values than that."""
        shape, strides, n = self.shape, self.strides, self.storage.n
        if type(shape) is not tuple or type(strides) is not tuple:
            return False
        if not len(shape) == len(strides) <= 8:
            return False
        numbers = (self.offset, *shape, *strides)
        if any(type(number) is not int or not 0 <= number < 1 << 60 for number in numbers):
            return False
        if math.prod(shape) > n:
            return False
        if 0 in shape:
            return bool(self.offset <= n)
        last = sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
        return bool(self.offset + last < n)

    def n_bytes(self) -> int:
        """Return the size of its values as they are returned."""
        return int(math.prod(self.shape)) * self.storage.kind.returned.itemsize

    def view(self) -> NDArray[Any]:
        """Return its values, of its shape."""
        values = self.storage.values
        size = values.itemsize
        strides = [
            0 if n < 2 else step * size for n, step in zip(self.shape, self.strides, strict=True)
        ]
        return np.ndarray(self.shape, values.dtype, values, self.offset * size, strides)


class _Dispatch(dict[int, Any]):
    """The instructions that are carried out; any other is an error that names it."""

    def __missing__(self, code: int) -> Any:
        known = {op.code: op for op in pickletools.opcodes}.get(chr(code))
        name = known.name if known else f"{code:#04x}"
        raise WeightsError(f"holds a pickle with the instruction {name}, which no state dict has.")


_INSTRUCTIONS = (
    "PROTO", "FRAME", "MARK", "STOP", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1",
    "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "EMPTY_TUPLE", "TUPLE",
    "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_LIST", "APPEND", "APPENDS", "EMPTY_DICT", "SETITEM",
    "SETITEMS", "BINPUT", "LONG_BINPUT", "MEMOIZE", "BINGET", "LONG_BINGET", "GLOBAL",
    "STACK_GLOBAL", "REDUCE", "BUILD", "BINPERSID",
)  # fmt: skip


_Unpickler: Any = pickle._Unpickler


class _StateUnpickler(_Unpickler):
    """Python's own unpickler with the instructions of a state dict, and names of ours only.

    The one in C would hash keys, such as tuples of tuples, before it could be asked.
    """

    dispatch: ClassVar = _Dispatch()

    def __init__(self, stream: io.BytesIO, budget: Budget) -> None:
        super().__init__(stream)
        self._stream, self._budget = stream, budget
        self.storages: dict[str, _Storage] = {}
        self._names: dict[str, Any] = {
            "collections.OrderedDict": _new_dict,
            "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
            "torch._utils._rebuild_parameter": _rebuild_parameter,
            **_KINDS,
        }

    def load(self) -> Any:
        """Return the value; the stream is left behind the pickle."""
        source = self._budget.name
        try:
            return super().load()
        except Exception as error:  # a damaged pickle fails in any of its instructions
            if self._stream.tell() >= _MAX_PICKLE_BYTES:
                raise _too_long(source) from None
            message = str(error)
            if not isinstance(error, WeightsError):
                message = (
                    f"its pickle is damaged ({type(error).__name__}: {message}); fetch the file "
                    "again."
                )
            elif message.startswith(source):
                raise
            raise WeightsError(f"{source}: {message}") from None

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands here for a name; nothing is imported."""
        dotted = f"{module}.{name}"
        if dotted not in self._names:
            raise WeightsError(
                "expected a state dict of floating point tensors, got "
                f"{_shown(dotted)}. Save network.state_dict(), not the network. Nothing of it "
                "was executed."
            )
        return self._names[dotted]

    def persistent_load(self, pid: Any) -> _Storage:
        """Return the storage, known by its key, that a tensor lies in."""
        match pid if type(pid) is tuple and len(pid) < _MAX_ITEMS else None:
            # the older format adds where a storage is a part of another, and None where it is none
            case ("storage", _Kind() as kind, str(key), str(), int(n), *rest) if (
                rest in ([], [None]) and 0 <= n < 1 << 60 and len(key) <= _MAX_NAME
            ):
                storage = self.storages.get(key)
                if storage is None:
                    self._budget.take(n_parts=1, what="a storage")
                    storage = self.storages[key] = _Storage(kind, key, n)
                if storage.kind is not kind or storage.n != n:
                    raise WeightsError(
                        f"describes the storage {_shown(key)} in two ways; the file is damaged."
                    )
                return storage
        raise WeightsError("describes a storage as torch does not; the file is damaged.")

    def load_reduce(self) -> None:
        """Call a function of ours."""
        arguments, function = self.stack.pop(), self.stack.pop()
        if function not in _FUNCTIONS or type(arguments) is not tuple:
            raise WeightsError("holds a pickle that calls what is no function.")
        if len(arguments) > _MAX_ITEMS:
            raise WeightsError("describes a tensor as torch does not; the file is damaged.")
        self.append(function(*arguments))

    def load_build(self) -> None:
        """Drop the attribute _metadata that torch gives to a state dict; nothing needs it."""
        self.stack.pop()
        _as_dict(self.stack[-1])

    def load_setitem(self) -> None:
        """Set an item whose key is a text."""
        value, key = self.stack.pop(), self.stack.pop()
        _set(self.stack[-1], key, value)

    def load_setitems(self) -> None:
        """Set items whose keys are texts."""
        items = self.pop_mark()
        for key, value in zip(items[::2], items[1::2], strict=True):
            _set(self.stack[-1], key, value)

    def load_long_binput(self) -> None:
        """Remember the top of the stack; numbers far apart would collide in the memo."""
        (number,) = struct.unpack("<I", self.read(4))
        if number >= _MAX_PICKLE_BYTES:
            raise WeightsError("holds a pickle with absurd numbers; the file is damaged.")
        self.memo[number] = self.stack[-1]


for _name in _INSTRUCTIONS:
    _code = getattr(pickle, _name)[0]
    _method = _Unpickler.dispatch[_code].__name__
    _StateUnpickler.dispatch[_code] = getattr(_StateUnpickler, _method)


def _new_dict() -> dict[str, Any]:
    """Stand for OrderedDict, which would take pairs, and with them any keys."""
    return {}


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
    if type(storage) is not _Storage:
        raise WeightsError("describes a tensor without a storage; the file is damaged.")
    return _Tensor(storage, offset, shape, strides)


def _rebuild_parameter(tensor: Any, *_: Any) -> Any:
    return tensor


_FUNCTIONS = (_new_dict, _rebuild_tensor, _rebuild_parameter)


def _as_dict(value: Any) -> dict[str, Any]:
    if type(value) is not dict:
        raise WeightsError(f"holds a pickle that fills a {_described(value)} as if it were a dict.")
    return value


def _set(target: Any, key: Any, value: Any) -> None:
    # The hash of a tuple of tuples of itself would take for ever, and whole numbers are chosen
    # to have one hash.
    if type(key) is not str:
        raise WeightsError(
            "holds a dict with keys other than texts, as training states do. Save "
            "network.state_dict() alone."
        )
    if len(key) > _MAX_NAME:
        raise WeightsError(f"holds a name longer than {_MAX_NAME} characters.")
    _as_dict(target)[key] = value


def _too_long(source: str) -> WeightsError:
    return WeightsError(
        f"{source}: describes its tensors in more than {_MAX_PICKLE_BYTES} bytes, which no state "
        "dict needs; the file is damaged or made to exhaust memory."
    )
