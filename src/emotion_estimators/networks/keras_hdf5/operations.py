"""Arithmetic on tensors outside of layers, as ``x / 127.5 - 1``, to ONNX nodes.

Keras 3 writes such a step as an operation, tf.keras as a layer TFOpLambda.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emotion_estimators.networks.keras_hdf5.architecture import KerasLayer
from emotion_estimators.networks.keras_hdf5.graph import KerasGraph, Tensor
from emotion_estimators.networks.keras_hdf5.merging import MERGING_LAYERS
from emotion_estimators.networks.keras_hdf5.settings import Settings
from emotion_estimators.networks.keras_hdf5.windows import last_size

__all__ = ["operate"]

# By the names of Keras 3, and of functions of TensorFlow.
_ARITHMETIC = {
    "Add": "Add",
    "Subtract": "Sub",
    "Multiply": "Mul",
    "Divide": "Div",
    "TrueDivide": "Div",
    "__operators__.add": "Add",
    "math.add": "Add",
    "math.subtract": "Sub",
    "math.multiply": "Mul",
    "math.divide": "Div",
    "math.truediv": "Div",
    "nn.bias_add": "Add",
}
_LAYERS = {"Add": "Add", "Sub": "Subtract", "Mul": "Multiply"}
_SELECTIONS = ("GetItem", "__operators__.getitem")
_ALL = {"start": None, "stop": None, "step": None}


def operate(
    graph: KerasGraph,
    layer: KerasLayer,
    tensors: Sequence[Tensor],
    constants: Mapping[int, Any],
) -> Tensor:
    """Add the nodes of one operation; `constants` are its other arguments, by their place.

    Raises WeightsError where it is none of those that can be converted.
    """
    settings, name = layer.settings, layer.operation
    if name in _SELECTIONS and len(tensors) == 1 and list(constants) == [1]:
        return _select(graph, settings, tensors[0], constants[1])
    if name == "Stack" and tensors and not constants:
        return _stack(graph, settings, tensors)
    operator = _ARITHMETIC.get(name or "")
    if operator is None or len(tensors) + len(constants) != 2 or not tensors:
        raise settings.error(
            f"the operation {name!r:.80} cannot be converted; files are read without running code "
            "of others. Arithmetic of tensors and numbers can be"
        )
    if len(tensors) == 2:
        first, second = tensors
        if len(first.shape) != len(second.shape):
            raise settings.error(f"takes tensors of shapes {first.shape} and {second.shape}")
        if operator == "Div":
            second, operator = graph.elementwise("Reciprocal", second), "Mul"
        return MERGING_LAYERS[_LAYERS[operator]](graph, settings, [first, second])
    tensor = tensors[0]
    ((place, value),) = constants.items()
    if isinstance(value, list):
        tensor = graph.channels_last(tensor)
        size = last_size(tensor, settings)
        numbers = Settings(settings.where, {"values": value}).numbers("values", size)
        values = np.array(numbers, dtype=np.float32)
        digest = hashlib.sha256(values.tobytes()).hexdigest()[:16]  # other calls have other values
        operand = graph.constant(f"{layer.number} {layer.name} operand {digest}", values)
    else:
        operand = graph.scalar(Settings(settings.where, {"operand": value}).number("operand"))
    operands = [operand, tensor.name] if place == 0 else [tensor.name, operand]
    return Tensor(graph.node(operator, operands), tensor.shape, tensor.channels_first)


def _select(graph: KerasGraph, settings: Settings, tensor: Tensor, chosen: Any) -> Tensor:
    """Turn the channels round, as x[..., ::-1] makes BGR of RGB, or take one of them."""
    parts = [_part(part) for part in chosen] if isinstance(chosen, list) else []
    size = tensor.shape[-1] if tensor.shape else None
    before = [part for part in parts[:-1] if part != "..."]
    is_last = len(parts) == len(tensor.shape) + 1 or len(before) < len(parts) - 1
    if size is not None and is_last and all(part == _ALL for part in before):
        tensor = graph.channels_last(tensor)
        axis = len(tensor.shape)
        if parts[-1] == {**_ALL, "step": -1}:
            order = graph.integers(range(size - 1, -1, -1))
            return Tensor(graph.node("Gather", [tensor.name, order], axis=axis), tensor.shape)
        if isinstance(parts[-1], int) and -size <= parts[-1] < size:
            place = graph.integers([parts[-1]])
            name = graph.node("Gather", [tensor.name, place], axis=axis)
            name = graph.node("Squeeze", [name, graph.integers([axis])])
            return Tensor(name, tensor.shape[:-1])
    raise settings.error(
        f"selects {chosen!r:.80}; only one channel, or all of them in the opposite order, can be"
    )


def _stack(graph: KerasGraph, settings: Settings, tensors: Sequence[Tensor]) -> Tensor:
    """Lay tensors of one shape beside each other along a new last axis."""
    shape = tensors[0].shape
    if any(tensor.shape != shape for tensor in tensors):
        raise settings.error(f"stacks {[tensor.shape for tensor in tensors]!r:.80}")
    axis = graph.integers([len(shape) + 1])
    names = [
        graph.node("Unsqueeze", [graph.channels_last(tensor).name, axis]) for tensor in tensors
    ]
    name = graph.node("Concat", names, axis=len(shape) + 1)
    return Tensor(name, (*shape, len(tensors)))


def _part(part: Any) -> Any:
    """Return one index as "...", or start, stop and step."""
    if not isinstance(part, dict):
        return "..." if part == "..." else part
    if part.get("class_name") in ("__ellipsis__", "Ellipsis"):
        return "..."
    inner = part["config"] if isinstance(part.get("config"), dict) else part
    return {key: inner.get(key) for key in _ALL}
