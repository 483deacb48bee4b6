"""The few messages of the ONNX format that our graphs need, as bytes.

The package onnx would do it, too, and is what the tests compare with; it brings two more
packages, and importing it takes longer than reading and converting a model. A message of
protocol buffers is a row of fields, each a number, a kind and a value.

References
----------
The field numbers of ``onnx.proto`` (https://github.com/onnx/onnx); the encoding at
https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "DOUBLE",
    "FLOAT",
    "MAX_BYTES",
    "Message",
    "graph",
    "length_delimited",
    "model",
    "node",
    "tensor",
    "value",
]

# Its pieces, joined once at the end: weights are not copied from message to message.
Message = list[bytes]

# A message of protocol buffers, and so a model with its weights, must stay below 2 GiB.
MAX_BYTES = (1 << 31) - (1 << 24)

FLOAT, DOUBLE = 1, 11
_DATA_TYPES = {"float32": FLOAT, "int8": 3, "int64": 7, "float16": 10}
_VARINT, _BYTES, _FIXED32 = 0, 2, 5


def node(
    operator: str, inputs: Sequence[str], outputs: Sequence[str], attributes: Mapping[str, Any]
) -> Message:
    """Return a NodeProto, named as its first output."""
    return [
        *_fields(1, inputs),
        *_fields(2, outputs),
        *_field(3, outputs[0]),
        *_field(4, operator),
        *_fields(5, [_attribute(name, setting) for name, setting in attributes.items()]),
    ]


def tensor(name: str, values: NDArray[Any]) -> Message:
    """Return a TensorProto of float32, float16, int64 or int8 values."""
    little_endian = values.astype(values.dtype.newbyteorder("<"), order="C", copy=False)
    return [
        *_fields(1, values.shape),
        *_field(2, _DATA_TYPES[values.dtype.name]),
        *_field(8, name),
        *_field(9, [little_endian.tobytes()]),
    ]


def value(name: str, shape: Sequence[int | str]) -> Message:
    """Return a ValueInfoProto of float32 values; a free axis has a name."""
    axes = [_field(2 if isinstance(size, str) else 1, size) for size in shape]
    tensor_type = [*_field(1, FLOAT), *_field(2, _fields(1, axes))]
    return [*_field(1, name), *_field(2, _field(1, tensor_type))]


def graph(
    name: str,
    nodes: Sequence[Message],
    constants: Sequence[Message],
    source: Message,
    results: Sequence[Message],
) -> Message:
    """Return a GraphProto of NodeProtos, TensorProtos and the ValueInfoProtos of its ends."""
    return [
        *_fields(1, nodes),
        *_field(2, name),
        *_fields(5, constants),
        *_field(11, source),
        *_fields(12, results),
    ]


def model(
    content: Message, *, ir_version: int, opset: int, producer: str, metadata: Mapping[str, str]
) -> bytes:
    """Return a ModelProto of a GraphProto, as it stands in a file."""
    properties = [[*_field(1, key), *_field(2, text)] for key, text in metadata.items()]
    message = [
        *_field(1, ir_version),
        *_field(2, producer),
        *_field(7, content),
        *_field(8, [*_field(1, ""), *_field(2, opset)]),
        *_fields(14, properties),
    ]
    return b"".join(message)


def _attribute(name: str, setting: Any) -> Message:
    """Return an AttributeProto of an int, a float, a str, or a list of ints."""
    if isinstance(setting, list | tuple):
        return [*_field(1, name), *_fields(8, [int(v) for v in setting]), *_field(20, 7)]
    if isinstance(setting, str):
        return [*_field(1, name), *_field(4, setting), *_field(20, 3)]
    if isinstance(setting, float | np.floating):
        return [*_field(1, name), *_field(2, float(setting)), *_field(20, 1)]
    return [*_field(1, name), *_field(3, int(setting)), *_field(20, 2)]


def _fields(number: int, contents: Sequence[int | str | Message]) -> Message:
    """Return a repeated field."""
    return [piece for content in contents for piece in _field(number, content)]


def _field(number: int, content: float | np.integer[Any] | str | Message) -> Message:
    """Return a field by its number in the definition; floats in single precision."""
    if isinstance(content, int | np.integer):
        return [_varint(number << 3 | _VARINT), _varint(int(content))]
    if isinstance(content, float):
        return [_varint(number << 3 | _FIXED32), struct.pack("<f", content)]
    return length_delimited(number, [content.encode()] if isinstance(content, str) else content)


def length_delimited(number: int, pieces: Sequence[bytes | memoryview]) -> list[Any]:
    """Return a field that holds a text or a message."""
    return [_varint(number << 3 | _BYTES), _varint(sum(map(len, pieces))), *pieces]


def _varint(number: int) -> bytes:
    """Return an integer in groups of 7 bits, the lowest first."""
    number &= (1 << 64) - 1  # two's complement, as an int64 is stored
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)
