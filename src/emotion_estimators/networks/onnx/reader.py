"""What a model in ONNX says of itself: which other files hold its weights, and how it ends.

ONNX Runtime looks for those files in the working directory where it is given bytes, and, in
some versions, follows absolute paths and ``..`` where it is given a path. So they are read here
and written into the model, and it never sees a reference.

References
----------
The field numbers of ``onnx.proto`` (https://github.com/onnx/onnx); external data at
https://github.com/onnx/onnx/blob/main/docs/ExternalData.md.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimators._untrusted import likely_reason
from emotion_estimators.exceptions import WeightsError
from emotion_estimators.networks.onnx.format import MAX_BYTES, length_delimited

__all__ = [
    "Ending",
    "check_self_contained",
    "data_files",
    "look_at_graph",
    "read_onnx_file",
    "stored_arrays",
]

# Of all messages together; a network of some thousand nodes has 100,000.
MAX_FIELDS = 500_000
MAX_DIMS = 64  # of a tensor
MAX_TEXT = 4096  # bytes of a name; what follows is not looked at
MAX_OUTPUTS = 100  # looked at
MAX_LEVELS = 100  # of messages in messages, as protocol buffers themselves allow
# Tensors may share bytes of a file, as tied weights do; few bytes must not ask for many.
MAX_SHARING = 2

# Where messages lie that hold a TensorProto at any depth: their field, and what it holds.
_PARTS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_DIMS, _DATA_TYPE, _NAME, _RAW_DATA, _EXTERNAL_DATA, _DATA_LOCATION = 1, 2, 8, 9, 13, 14
_EXTERNAL = 1
# Bytes of a value, by the number of its type.
_WIDTHS = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 14: 8}
_WIDTHS |= {15: 16, 16: 2, 17: 1, 18: 1, 19: 1, 20: 1}

_DTYPES = {1: "<f4", 10: "<f2"}

# Operators that leave probabilities what they are, for all that matters here.
_PASSING = {
    "Cast", "Clip", "Concat", "DequantizeLinear", "Dropout", "Flatten", "Identity",
    "QuantizeLinear", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze", "ZipMap",
}  # fmt: skip
_DYNAMIC = "DynamicQuantize"
_OF_INTEGERS = ("QuantizeLinear", "QLinear", "QGemm")
# Operators that give for an image the bits they give for it alone: they go through images one by
# one, or a value or row at a time in steps that round alike wherever it lies in memory. Not so
# others that look harmless: the sums of a ReduceMean and the logarithms of a Softplus do not.
_ALIKE = {
    "Add", "AveragePool", "Cast", "Clip", "Concat", "Constant", "Conv", "DequantizeLinear", "Div",
    "Dropout", "Flatten", "GlobalAveragePool", "GlobalMaxPool", "Identity", "LeakyRelu", "MaxPool",
    "Mul", "PRelu", "Pad", "Relu", "Reshape", "Shape", "Sigmoid", "Slice", "Softmax", "Split",
    "Squeeze", "Sub", "Transpose", "Unsqueeze",
}  # fmt: skip
_ROUNDING = {"DequantizeLinear", "QLinearSigmoid", "QLinearSoftmax"}
_ACTIVATIONS = {
    "Softmax": "softmax",
    "QLinearSoftmax": "softmax",
    "Hardmax": "softmax",
    "Sigmoid": "sigmoid",
    "QLinearSigmoid": "sigmoid",
    "HardSigmoid": "sigmoid",
}


def read_onnx_file(path: Path) -> bytes:
    """Return a model with all its weights in it, also those that lie in files beside it.

    Raises OSError if the file, or one that it refers to, cannot be read; WeightsError if it is no
    model, is damaged, too large, or refers to a file that is not beside it.
    """
    serialised = _read_file(path)
    references = _Locations()
    _Walk(path, references).rewritten(memoryview(serialised))
    if not references.found:
        return serialised
    data = _Data(path, references.found, budget=MAX_BYTES - len(serialised))
    pieces = _Walk(path, data).rewritten(memoryview(serialised))
    return b"".join(pieces or [serialised])


def data_files(path: Path, digest: str) -> tuple[Path, ...]:
    """Return the files beside a model that hold weights of it, sorted.

    `digest` is the model's SHA-256: a file is read again only where it is another one. Raises as
    `read_onnx_file` does.
    """
    return tuple(_find_data(path, location) for location in _locations(path, digest))


def check_self_contained(serialised: bytes, path: Path) -> None:
    """Raise WeightsError for a model, given as bytes, whose weights lie in other files."""
    references = _Locations()
    _Walk(path, references).rewritten(memoryview(serialised))
    if references.found:
        raise WeightsError(
            f"{path}: the model has weights in another file, {_shown(min(references.found))}, "
            "and bytes alone do not tell where that lies. Pass the path of the model, with that "
            "file beside it."
        )


@dataclass(frozen=True)
class Ending:
    """Out of which activation an output comes; `is_rounded` to 8 bits after it."""

    activation: str | None = None  # "softmax" or "sigmoid"
    is_rounded: bool = False


@dataclass(frozen=True)
class Facts:
    """How the outputs of a graph end, by name, and whether images of a batch change each other.

    `has_exact_sums` says of a quantised graph that they do not, by a single bit.
    """

    endings: dict[str, Ending]
    mixes_images: bool
    has_exact_sums: bool


def look_at_graph(serialised: bytes, path: Path) -> Facts:
    """Return what the nodes of a model say of its outputs."""
    walk = _Walk(path)
    bodies = {}
    graph = memoryview(b"")
    for number, value in walk.values(memoryview(serialised)):
        if number == 7:
            graph = value
        elif number == 25:
            texts = dict(walk.texts(value, 1, 10))
            bodies[texts.get(10, ""), texts.get(1, "")] = value
    functions = {
        key: _Body(walk, body, nodes=7, outputs=5, named=False) for key, body in bodies.items()
    }
    body = _Body(walk, graph, nodes=1, outputs=12, named=True)
    # the range of values by which a tensor is rounded is then that of all images in it
    mixes_images = any(
        operator[1].startswith(_DYNAMIC)
        for one in (body, *functions.values())
        for operator, _, _ in one.makers.values()
    )
    has_exact_sums = not mixes_images and not functions and _has_exact_sums(body)
    endings = {name: _ending(body, name, functions) for name in body.results[:MAX_OUTPUTS]}
    return Facts(endings, mixes_images, has_exact_sums)


def stored_arrays(serialised: bytes, path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Return the arrays of a model by their names, and its metadata.

    Only arrays of float32 and float16 that lie in the model itself.
    """
    walk = _Walk(path)
    arrays: dict[str, NDArray[Any]] = {}
    metadata: dict[str, str] = {}
    for number, value in walk.values(memoryview(serialised)):
        if number == 14:
            entry = dict(walk.texts(value, 1, 2))
            metadata[entry.get(1, "")] = entry.get(2, "")
        elif number == 7:
            for field, message in walk.values(value):
                if field == 5:
                    arrays |= walk.array(message)
    return arrays, metadata


class _Body:
    """The nodes of a graph, or of a function: what makes each value, and which are results."""

    def __init__(
        self, walk: _Walk, message: memoryview, *, nodes: int, outputs: int, named: bool
    ) -> None:
        self.makers: dict[str, tuple[tuple[str, str], list[str], int]] = {}
        self.results: list[str] = []
        for number, value in walk.values(message):
            if number == outputs:
                self.results.append(
                    dict(walk.texts(value, 1)).get(1, "") if named else _text(value)
                )
            elif number == nodes:
                texts = list(walk.texts(value, 1, 2, 4, 7))
                once = dict(texts)
                inputs = [text for field, text in texts if field == 1]
                names = [text for field, text in texts if field == 2]
                operator = once.get(7, ""), once.get(4, "")
                self.makers |= {name: (operator, inputs, i) for i, name in enumerate(names)}


def _has_exact_sums(graph: _Body) -> bool:
    """Say whether a graph is quantised, and nothing but integers is added up in another order."""
    operators = {operator for operator, _, _ in graph.makers.values()}
    of_integers = {operator for operator in operators if operator[1].startswith(_OF_INTEGERS)}
    rest = operators - of_integers
    return bool(of_integers) and all(domain == "" and kind in _ALIKE for domain, kind in rest)


def _ending(graph: _Body, result: str, functions: Mapping[tuple[str, str], _Body]) -> Ending:
    """Return the activation from which a result comes, through what leaves it as it is."""
    is_rounded = False
    todo = [(graph, result)]
    seen = set()
    found = set()
    while todo:
        body, name = todo.pop()
        if (id(body), name) in seen:
            continue
        seen.add((id(body), name))
        operator, inputs, place = body.makers.get(name, (("", ""), [], 0))
        called = functions.get(operator)
        is_rounded = is_rounded or operator[1] in _ROUNDING
        if called is not None:
            todo += [(called, result) for result in called.results[place : place + 1]]
        elif operator[1] in _PASSING and inputs:
            every = inputs if operator[1] == "Concat" else inputs[:1]
            todo += [(body, one) for one in every]
        else:
            found.add(_ACTIVATIONS.get(operator[1]))
    return Ending(found.pop() if len(found) == 1 else None, is_rounded)


@dataclass(frozen=True)
class _Reference:
    """Where the values of a tensor lie: in which file, and which bytes of it."""

    tensor: str
    location: str
    offset: int
    n_bytes: int


@dataclass
class _Tensor:
    """A TensorProto; `kept` are its fields but for its values and where they lie."""

    name: str = ""
    data_type: int = 0
    location: int = 0
    dims: list[int] = field(default_factory=list)
    entries: dict[str, str] = field(default_factory=dict)  # of its place in another file
    raw: bytes | memoryview = b""
    kept: list[bytes | memoryview] = field(default_factory=list)

    def n_bytes(self) -> int | None:
        """Return what its values take, None where their kind is not known."""
        width = _WIDTHS.get(self.data_type)
        return width and math.prod(self.dims) * width


class _Locations:
    """Collects the files to which tensors refer, and leaves the tensors as they are."""

    def __init__(self) -> None:
        self.found: dict[str, int] = {}  # bytes asked for of each

    def __call__(self, reference: _Reference) -> bytes | None:
        asked = self.found.get(reference.location, 0)
        self.found[reference.location] = asked + reference.n_bytes
        return None


class _Data:
    """The files of a model's weights; gives the bytes of a tensor."""

    def __init__(self, path: Path, asked: Mapping[str, int], *, budget: int) -> None:
        self.path = path
        self.files = {location: _find_data(path, location) for location in asked}
        for location, file in self.files.items():
            held = file.stat().st_size
            if asked[location] > MAX_SHARING * held:
                raise WeightsError(
                    f"{path}: its tensors ask for {asked[location]:,} bytes of {file.name}, which "
                    f"holds {held:,}: that file is cut off or belongs to another model."
                )
        if sum(asked.values()) > budget:
            raise WeightsError(
                f"{path}: the model and its weights have more than the {MAX_BYTES:,} bytes that "
                "are read; a smaller network, or weights in float16, would do."
            )

    def __call__(self, reference: _Reference) -> bytes | None:
        file = self.files[reference.location]
        with file.open("rb") as stream:
            stream.seek(reference.offset)
            values = stream.read(reference.n_bytes)
        if len(values) < reference.n_bytes:
            raise WeightsError(
                f"{self.path}: tensor {_shown(reference.tensor)} needs {reference.n_bytes} bytes "
                f"of {file.name} from {reference.offset} on; that file is cut off or belongs to "
                "another model."
            )
        return values


class _Walk:
    """Goes through the messages of a model, which it counts."""

    def __init__(
        self, path: Path, place: Callable[[_Reference], bytes | None] | None = None
    ) -> None:
        self.path = path
        self.place = place
        self.n_fields = 0

    def rewritten(
        self, message: memoryview, kind: str = "model", level: int = 0
    ) -> list[bytes | memoryview] | None:
        """Return the pieces of a message with the values in it, or None if it stays as it is."""
        if kind == "tensor":
            return self._tensor(message)
        if level > MAX_LEVELS:
            raise self._damaged(f"messages more than {MAX_LEVELS} deep")
        inner = _PARTS[kind]
        pieces: list[bytes | memoryview] = []
        done = 0
        for number, value, start, end in self._fields(message):
            if number not in inner:
                continue
            if not isinstance(value, memoryview):
                raise self._damaged(f"a number where field {number} should hold a message")
            new = self.rewritten(value, inner[number], level + 1)
            if new is not None:
                pieces += [message[done:start], *length_delimited(number, new)]
                done = end
        return [*pieces, message[done:]] if pieces else None

    def values(self, message: memoryview) -> Iterator[tuple[int, memoryview]]:
        """Yield number and value of the fields that are texts or messages."""
        for number, value, _, _ in self._fields(message):
            if isinstance(value, memoryview):
                yield number, value

    def texts(self, message: memoryview, *numbers: int) -> Iterator[tuple[int, str]]:
        """Yield number and value of these fields, which are texts."""
        for number, value in self.values(message):
            if number in numbers:
                yield number, _text(value)

    def array(self, message: memoryview) -> dict[str, NDArray[Any]]:
        """Return the values of a tensor under its name; nothing where they are of another kind."""
        tensor = self._described(message)
        dtype, n_bytes = _DTYPES.get(tensor.data_type), tensor.n_bytes()
        if dtype is None or len(tensor.raw) != n_bytes:
            return {}
        return {tensor.name: np.frombuffer(tensor.raw, dtype).reshape(tensor.dims)}

    def _tensor(self, message: memoryview) -> list[bytes | memoryview] | None:
        tensor = self._described(message)
        if tensor.location != _EXTERNAL or self.place is None:
            return None
        values = self.place(self._reference(tensor))
        return None if values is None else [*tensor.kept, *length_delimited(_RAW_DATA, [values])]

    def _described(self, message: memoryview) -> _Tensor:
        tensor = _Tensor()
        for number, value, start, end in self._fields(message):
            if isinstance(value, int):
                if number == _DATA_LOCATION:
                    tensor.location = value
                    continue
                tensor.dims += [value] if number == _DIMS else []
                tensor.data_type = value if number == _DATA_TYPE else tensor.data_type
            elif number == _EXTERNAL_DATA:
                entry = dict(self.texts(value, 1, 2))
                tensor.entries[entry.get(1, "")] = entry.get(2, "")
                continue
            elif number == _RAW_DATA:
                tensor.raw = value
                continue
            elif number == _DIMS:
                tensor.dims += self._packed(value)
            elif number == _NAME:
                tensor.name = _text(value)
            tensor.kept.append(message[start:end])
            if len(tensor.dims) > MAX_DIMS:
                raise self._damaged(f"a tensor of more than {MAX_DIMS} axes")
        return tensor

    def _reference(self, tensor: _Tensor) -> _Reference:
        where = f"tensor {_shown(tensor.name)}"
        if not tensor.entries.get("location"):
            raise self._damaged(f"{where} lies in another file, which is not named")
        numbers = []
        for key, otherwise in (("offset", 0), ("length", tensor.n_bytes())):
            text = tensor.entries.get(key, "")
            if text and not (text.isascii() and text.isdigit() and len(text) < 20):
                raise self._damaged(f"{where} has {key} {_shown(text)} in its file")
            number = int(text) if text else otherwise
            if number is None or number > MAX_BYTES:
                raise self._damaged(f"{where} does not say how many bytes it has, or too many")
            numbers.append(number)
        return _Reference(tensor.name, tensor.entries["location"], *numbers)

    def _packed(self, message: memoryview) -> list[int]:
        numbers: list[int] = []
        at = 0
        while at < len(message) and len(numbers) <= MAX_DIMS:
            number, at = self._varint(message, at)
            numbers.append(number)
        return numbers

    def _fields(self, message: memoryview) -> Iterator[tuple[int, int | memoryview, int, int]]:
        """Yield number, value, start and end of each field."""
        at, size = 0, len(message)
        while at < size:
            start = at
            self.n_fields += 1
            if self.n_fields > MAX_FIELDS:
                raise self._damaged(f"more than {MAX_FIELDS:,} fields")
            tag, at = self._varint(message, at)
            number, wire_type = tag >> 3, tag & 7
            value: int | memoryview
            if wire_type == 0:
                value, at = self._varint(message, at)
            elif wire_type == 2:
                length, at = self._varint(message, at)
                value = message[at : at + length]
                at += length
            elif wire_type in (1, 5):
                at += 8 if wire_type == 1 else 4
                value = 0  # a float, which nobody asks for
            else:
                raise self._damaged(f"field {number} of kind {wire_type}")
            if number == 0 or at > size:
                raise self._damaged(f"field {number} ends after its message")
            yield number, value, start, at

    def _varint(self, message: memoryview, at: int) -> tuple[int, int]:
        number = shift = 0
        while at < len(message) and shift < 70:
            byte = message[at]
            number |= (byte & 0x7F) << shift
            at += 1
            if byte < 0x80:
                return number & (1 << 64) - 1, at
            shift += 7
        raise self._damaged("a number that does not end")

    def _damaged(self, what: str) -> WeightsError:
        return WeightsError(
            f"{self.path}: is not a model in ONNX, or is damaged ({what}); fetch or export it "
            "again."
        )


def _read_file(path: Path) -> bytes:
    """Return the bytes of a model, after a look at its size and at what else it may be."""
    with path.open("rb") as file:
        n_bytes = os.fstat(file.fileno()).st_size
        head = file.read(64)
        reason = likely_reason(head)
        if reason is not None:
            raise WeightsError(f"{path}: is not a model in ONNX; {reason}.")
        if n_bytes > MAX_BYTES:
            raise WeightsError(
                f"{path}: has {n_bytes:,} bytes; models of up to {MAX_BYTES:,} can be read."
            )
        return head + file.read(MAX_BYTES)


@lru_cache(maxsize=256)
def _locations(path: Path, digest: str) -> tuple[str, ...]:  # noqa: ARG001 - for the cache
    references = _Locations()
    _Walk(path, references).rewritten(memoryview(_read_file(path)))
    return tuple(sorted(references.found))


def _find_data(path: Path, location: str) -> Path:
    """Return the file to which a model refers, which must be beside it or in a folder there."""
    wanted = f"{path}: its weights are said to lie in {_shown(location)}"
    windows = PureWindowsPath(location)  # knows the separators of all systems
    if not location.isprintable() or windows.anchor or ".." in windows.parts:
        raise WeightsError(
            f"{wanted}; only a file beside the model is read. Put both into one folder, and save "
            "the model with the file's bare name."
        )
    file = path.parent / location
    try:
        real = file.resolve(strict=True)
    except RuntimeError as error:  # before Python 3.13
        raise WeightsError(f"{wanted}, which is a link to itself.") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(
            f"{wanted}, and there is no such file beside it. Models of this kind are two files: "
            f"put {_shown(location)} into {path.parent}."
        ) from error
    # A cache may hold both as links into one other folder.
    homes = (path.parent.resolve(), path.resolve().parent)
    if not any(real.is_relative_to(home) for home in homes):
        raise WeightsError(
            f"{wanted}, which is a link out of the model's folder, and is not read. Put the file "
            "itself there."
        )
    if not stat.S_ISREG(real.stat().st_mode):
        raise WeightsError(f"{wanted}, which is no regular file, and is not read.")
    return file


def _text(value: memoryview) -> str:
    return bytes(value[:MAX_TEXT]).decode("utf-8", errors="replace")


def _shown(text: str) -> str:
    return f"{text!r:.120}"
