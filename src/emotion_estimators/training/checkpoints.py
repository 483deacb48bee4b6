"""The files that let a killed training go on, each known by all that the training depends on.

Imports NumPy; knows no estimator and no framework: what is stored are nested dicts and lists of
arrays and JSON values.
"""

from __future__ import annotations

import hashlib
import json
import os
import reprlib
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from inspect import getclosurevars
from numbers import Integral, Real
from pathlib import Path
from types import CodeType, FunctionType, MethodType
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from emotion_estimators._files import whole_file

__all__ = [
    "CHECKPOINT_NAME",
    "VERSIONS",
    "Checkpoints",
    "code_of",
    "describe",
    "describe_network",
    "differences",
    "digest",
    "fingerprint",
]

CHECKPOINT_NAME = "last.npz"
VERSIONS = "versions"  # of this library, among the parts
_FORMAT = 1  # of the files
_CHECKSUM = 64  # bytes at the end of a file, its ZIP comment: SHA-256 of it with zeros there
_PIECE = 2**20  # bytes hashed at once
_N_NAMED = 6  # differences named in a message
_BRIEF = 60  # characters of a value in it
_CONTENT = "content"  # the member of the archive that holds the structure


def digest(pieces: Iterable[NDArray[Any]]) -> str:
    """Return a hash of one array that comes in pieces along its first axis."""
    state = hashlib.sha256()
    n, form = 0, ""
    for piece in pieces:
        n += len(piece)
        form = f"{piece.dtype.str}{piece.shape[1:]}"
        state.update(np.ascontiguousarray(piece).reshape(-1).view(np.uint8).data)
    state.update(f"{n}{form}".encode())
    return f"sha256:{state.hexdigest()}"


def describe(value: Any) -> Any:
    """Return JSON that is equal for equal values: arrays by a hash, numbers by what they are.

    Functions and classes are described by their names, partials also by what they are given,
    modules of torch by their parts and weights, other objects by their class and what they hold
    that is plain. Code is not described: see `code_of`.
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        number = float(value)
        if number != number:  # NaN, which is equal to nothing
            return "NaN"
        return int(number) if number.is_integer() else number
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.ndarray):
        return describe(value.tolist()) if value.dtype.hasobject else digest([value.reshape(-1)])
    if isinstance(value, Mapping):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [describe(item) for item in value]
    if isinstance(value, partial):
        given = {"args": value.args, "keywords": value.keywords}
        return {"partial": describe(value.func)} | describe(given)
    if isinstance(value, type) or hasattr(value, "__qualname__"):
        return _qualified(value)
    if hasattr(value, "detach") and hasattr(value, "numpy"):  # a tensor of torch
        return describe(value.detach().cpu().float().numpy())
    if hasattr(value, "named_modules") and hasattr(value, "state_dict"):
        parts = {name: _described_object(part) for name, part in value.named_modules()}
        return {"parts": parts, "weights": describe(value.state_dict())}
    return _described_object(value)


def code_of(value: Any) -> Any:
    """Return JSON that tells apart functions of one name, such as lambdas; None without any.

    A function is what it says, and the plain values that it takes from around it: an edited one is
    another, and so it may be under another Python. In classes nothing is looked for.
    """
    if isinstance(value, MethodType):
        value = value.__func__
    if isinstance(value, FunctionType):
        try:
            around = getclosurevars(value)
            taken = {**around.globals, **around.nonlocals}
        except ValueError:  # one of them is not there yet
            taken = {}
        plain = {name: held for name, held in taken.items() if _is_plain(held)}
        given = [value.__defaults__ or (), value.__kwdefaults__ or {}]
        text = json.dumps([_code_text(value.__code__), describe([plain, given])], sort_keys=True)
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    if isinstance(value, partial):
        value = [value.func, value.args, value.keywords]
    if isinstance(value, (list, tuple)):
        value = {str(place): item for place, item in enumerate(value)}
    if not isinstance(value, Mapping):
        return None
    inner = {str(key): code_of(item) for key, item in value.items()}
    return {key: code for key, code in inner.items() if code is not None} or None


def _code_text(code: CodeType) -> list[Any]:
    """Return what a function does, without where it stands."""
    constants = [
        _code_text(item) if isinstance(item, CodeType)
        else sorted(map(repr, item)) if isinstance(item, frozenset)  # in no order of its own
        else repr(item)
        for item in code.co_consts
    ]  # fmt: skip
    return [code.co_code.hex(), constants, list(code.co_names)]


def describe_network(network: Any) -> Any:
    """Return JSON that tells a user's network from another, whatever its weights are."""
    described = describe(network)
    if isinstance(described, dict) and "parts" in described:  # a module
        parts = described["parts"]
        return {"class": parts[""]["class"], "structure": fingerprint(parts)}
    return described


def _described_object(value: Any) -> Any:
    """Return the class of an object and its public attributes that are plain."""
    own = {
        name: item
        for name, item in getattr(value, "__dict__", {}).items()
        # modules of torch note what they are doing
        if not name.startswith("_") and name != "training" and _is_plain(item)
    }
    return {"class": _qualified(type(value))} | describe(own)


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_plain, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, str, Real, Path, np.ndarray))


def _qualified(value: Any) -> str:
    return f"{getattr(value, '__module__', '')}.{value.__qualname__}"


def fingerprint(parts: Mapping[str, Any]) -> str:
    """Return a name for a training, of all that its result depends on."""
    text = json.dumps([_FORMAT, parts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one training."""

    owner: str
    folder: Path | None
    parts: Mapping[str, Any]
    is_seeded: bool = True

    @property
    def path(self) -> Path:
        """The file of this training."""
        assert self.folder is not None  # noqa: S101 - asked for only where there is one
        return self.folder / fingerprint(self.parts) / CHECKPOINT_NAME

    def prepare(self) -> None:
        """Make the folder, before any work is done; raise OSError if that is not possible."""
        if self.folder is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(
                error.errno,
                f"{self.owner} cannot make a folder for its checkpoint ({error.strerror}). Choose "
                "another checkpoint_dir, or None to do without",
                str(self.path.parent),
            ) from error

    def save(self, state: Mapping[str, Any], *, is_over: bool) -> None:
        """Write the file, whole or not at all: the former one stays until then.

        Raises OSError if it cannot be written; TypeError if the state holds anything else.
        """
        if self.folder is None:
            return
        arrays: list[NDArray[Any]] = []
        content = {
            "format": _FORMAT,
            "parts": self.parts,
            "is_over": is_over,
            "state": _packed(state, arrays),
        }
        text = np.frombuffer(json.dumps(content).encode(), np.uint8)
        members = {_CONTENT: text} | {str(i): array for i, array in enumerate(arrays)}
        with whole_file(self.path, what=f"The checkpoint of {self.owner}") as file:
            summing = _Summing(file)
            # it gets no file that can be sought in, so that what was hashed is what stands there
            with zipfile.ZipFile(summing, "w") as archive:  # type: ignore[call-overload]
                archive.comment = b"\0" * _CHECKSUM
                for name, array in members.items():
                    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                        np.lib.format.write_array(member, array, allow_pickle=False)
            file.seek(-_CHECKSUM, 2)
            file.write(summing.sum.hexdigest().encode())

    def find(self, resume: bool | str | os.PathLike[str]) -> tuple[dict[str, Any], bool] | None:
        """Return the state to go on from and whether that is the end, or None to start.

        Raises ValueError if the file is damaged, or of another training: it says what differs. If
        True is asked for without a folder; FileNotFoundError if there is no file where a path says
        so.
        """
        if isinstance(resume, (bool, np.bool_)):
            if not resume:
                return None
            if self.folder is None:
                raise ValueError(f"{self.owner} with resume=True needs checkpoint_dir.")
            found = self._read(self.path) if self.path.is_file() else None
            if found is None:
                self._warn_of_other_versions()
            return None if found is not None and found[1] and not self.is_seeded else found
        path = Path(resume)
        if path.is_dir():
            own = path / fingerprint(self.parts) / CHECKPOINT_NAME
            others = [path / CHECKPOINT_NAME, *sorted(path.glob(f"*/{CHECKPOINT_NAME}"))]
            path = own if own.is_file() else next(filter(Path.is_file, others), others[0])
        if not path.is_file():
            raise FileNotFoundError(
                f"{self.owner} found no checkpoint {reprlib.repr(str(path))}. resume=True goes on "
                "where this very fit was, and starts where it was not."
            )
        return self._read(path)

    def _warn_of_other_versions(self) -> None:
        """Warn if a checkpoint of this training is there, but of another version of this library.

        Such a one is not gone on with: what a version trains, another need not.
        """
        assert self.folder is not None  # noqa: S101 - asked for only where there is one
        for path in self.folder.glob(f"*/{CHECKPOINT_NAME}"):
            try:
                with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                    found = json.loads(archive[_CONTENT].tobytes())["parts"]
                written_by = found[VERSIONS]
            except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
                continue  # damaged, which is no matter here
            if found != self.parts and found | {VERSIONS: None} == {**self.parts, VERSIONS: None}:
                warnings.warn(
                    f"{self.owner} starts from the beginning: the checkpoint {path} of this "
                    f"training has {differences(written_by, self.parts[VERSIONS])}. Go on with it "
                    "by the version that wrote it, or remove its folder.",
                    UserWarning,
                    stacklevel=9,  # the caller of fit, which is decorated twice
                )
                return

    def _read(self, path: Path) -> tuple[dict[str, Any], bool]:
        """Return the state in a file of this training, and whether it is over."""
        try:
            with path.open("rb") as file:
                if not _is_whole(file):
                    raise ValueError("it was cut off, or its bytes have changed")
                file.seek(0)
                content, arrays = _members(file)
            if content["format"] != _FORMAT:
                raise ValueError(f"it has format {content['format']!r}, not {_FORMAT}")
            found, is_over = content["parts"], bool(content["is_over"])
            state: dict[str, Any] = _unpacked(content["state"], arrays)
        except (ValueError, KeyError, TypeError, IndexError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"{self.owner} cannot read the checkpoint {path}: {error}. Remove the file, and "
                "the training starts from the beginning with resume=True."
            ) from error
        differing = differences(found, self.parts)
        if differing:
            raise ValueError(
                f"{self.owner} cannot go on from {path}: it is of a training with {differing}. "
                "Restore what it was, or set resume=True, which starts where this fit was not."
            )
        return state, is_over


class _Summing:
    """A binary file to be written from the beginning to the end, with a sum over all bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sum = hashlib.sha256()

    def write(self, data: Any) -> int:
        self.sum.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()


def _is_whole(file: BinaryIO) -> bool:
    """Tell whether the bytes of a file are those that were written."""
    n = file.seek(0, 2) - _CHECKSUM
    if n < 0:
        return False
    file.seek(0)
    state = hashlib.sha256()
    while n:
        piece = file.read(min(n, _PIECE))
        if not piece:
            return False
        state.update(piece)
        n -= len(piece)
    state.update(b"\0" * _CHECKSUM)
    return file.read() == state.hexdigest().encode()


def _members(file: IO[bytes]) -> tuple[Any, dict[str, NDArray[Any]]]:
    """Return the structure and the arrays of a file."""
    with np.load(file, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    return json.loads(arrays.pop(_CONTENT).tobytes()), arrays


def _packed(value: Any, arrays: list[NDArray[Any]]) -> Any:
    """Return JSON of nested dicts and lists, and put their arrays into a list."""
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {"dict": {key: _packed(item, arrays) for key, item in value.items()}}
    if isinstance(value, (list, tuple)):
        return {"list": [_packed(item, arrays) for item in value]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return {"value": value}
    raise TypeError(f"a checkpoint cannot hold {reprlib.repr(value)} ({type(value).__name__})")


def _unpacked(value: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    """Return what `_packed` was given."""
    ((kind, held),) = value.items()
    if kind == "array":
        return arrays[str(held)]
    if kind == "dict":
        return {key: _unpacked(item, arrays) for key, item in held.items()}
    if kind == "list":
        return [_unpacked(item, arrays) for item in held]
    return held


def differences(found: Any, wanted: Any) -> str:
    """Return what differs between two descriptions, in words; nothing if they are the same."""
    said = list(_different("", found, wanted))
    if len(said) > _N_NAMED:
        said = [*said[:_N_NAMED], f"{len(said) - _N_NAMED} more"]
    return ", ".join(said) or ("other settings" if found != wanted else "")


def _different(name: str, found: Any, wanted: Any) -> Iterator[str]:
    """Yield the differences of two descriptions, those inside of dicts by their names there."""
    if found == wanted:
        return
    if isinstance(found, Mapping) and isinstance(wanted, Mapping):
        for key in sorted(found.keys() | wanted.keys()):
            part = f"{name}.{key}" if name else key
            yield from _different(part, found.get(key), wanted.get(key))
    elif _are_layers(found) and _are_layers(wanted) and len(found) == len(wanted):
        for i, pair in enumerate(zip(found, wanted, strict=True)):
            yield from _different(f"{name}.{i}", *pair)
    elif any("sha256:" in str(value) for value in (found, wanted)):
        yield f"other {name}"
    else:
        yield f"{name}={_brief(found)} (now {_brief(wanted)})"


def _are_layers(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, Mapping) for item in value)


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _BRIEF else f"{text[: _BRIEF - 3]}..."
