"""A graph under construction: tensors, nodes and constants in, a serialised ONNX model out.

Imports NumPy and, only when serialising, onnx; for the converters of this folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["OnnxGraph", "Shape", "Tensor"]

Shape = tuple[int | None, ...]

# Gelu came with opset 20; ONNX Runtime reads it since 1.17.
OPSET = 20
IR_VERSION = 9


@dataclass(frozen=True)
class Tensor:
    """A value of the graph.

    Attributes
    ----------
    name : str
        Name of the value in the ONNX graph.
    shape : tuple of int or None
        The shape as Keras counts it: without the batch axis, channels last; None where free.
    channels_first : bool
        Whether an image tensor is stored as (batch, channels, height, width), the order ONNX
        convolves in, though `shape` says (height, width, channels).
    """

    name: str
    shape: Shape
    channels_first: bool = False

    def stored_axis(self, axis: int) -> int:
        """Where a channels-last axis, counted from 0 = batch, lies in the stored values."""
        if not self.channels_first or axis == 0:
            return axis
        return {1: 2, 2: 3, 3: 1}[axis]


class OnnxGraph:
    """Collects nodes and constants; knows in which order each image tensor is stored."""

    def __init__(self) -> None:
        self._nodes: list[tuple[str, list[str], str, dict[str, Any]]] = []
        self._constants: dict[str, np.ndarray] = {}
        self._reordered: dict[str, Tensor] = {}

    def node(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add a node with one output; return the name of the output."""
        output = f"{operator}_{len(self._nodes)}"
        self._nodes.append((operator, list(inputs), output, attributes))
        return output

    def constant(self, name: str, values: np.ndarray) -> str:
        """Add an array once under `name`; a layer called twice shares its weights this way."""
        if name not in self._constants:
            self._constants[name] = np.ascontiguousarray(values)
        return name

    def scalar(self, value: float) -> str:
        """Add a float32 number."""
        return self.constant(f"scalar {value!r}", np.array(value, dtype=np.float32))

    def integers(self, values: Sequence[int]) -> str:
        """Add a list of int64, as shapes and pads are given."""
        return self.constant(f"integers {list(values)}", np.array(values, dtype=np.int64))

    def elementwise(
        self, operator: str, tensor: Tensor, *constants: str, **attributes: Any
    ) -> Tensor:
        """Apply an operator that changes neither shape nor storage order."""
        name = self.node(operator, [tensor.name, *constants], **attributes)
        return Tensor(name, tensor.shape, tensor.channels_first)

    def channels_first(self, tensor: Tensor) -> Tensor:
        """Return the same image tensor stored as (batch, channels, height, width)."""
        return tensor if tensor.channels_first else self._reorder(tensor, [0, 3, 1, 2])

    def channels_last(self, tensor: Tensor) -> Tensor:
        """Return the same tensor stored as Keras stores it; a no-op but for image tensors."""
        return self._reorder(tensor, [0, 2, 3, 1]) if tensor.channels_first else tensor

    def _reorder(self, tensor: Tensor, order: list[int]) -> Tensor:
        # Both directions are remembered: going back is free, and one transpose serves all users.
        if tensor.name not in self._reordered:
            name = self.node("Transpose", [tensor.name], perm=order)
            turned = Tensor(name, tensor.shape, not tensor.channels_first)
            self._reordered[tensor.name] = turned
            self._reordered[name] = tensor
        return self._reordered[tensor.name]

    def to_bytes(self, source: Tensor, result: Tensor) -> bytes:
        """Serialise the model; its input is called "input" and its output "output".

        Parameters
        ----------
        source : Tensor
            The input, named "input".
        result : Tensor
            The tensor to return; brought to channels-last order first.

        Returns
        -------
        bytes
            An ONNX ModelProto.
        """
        from onnx import TensorProto, helper, numpy_helper

        last = self.channels_last(result)
        nodes = [
            helper.make_node(operator, inputs, [output], name=output, **attributes)
            for operator, inputs, output, attributes in self._nodes
        ]
        # Identity gives the output its fixed name also where the model is its input.
        nodes.append(helper.make_node("Identity", [last.name], ["output"], name="output"))
        value_infos = [
            helper.make_tensor_value_info(
                name,
                TensorProto.FLOAT,
                ["batch", *(size or f"{name}_{axis}" for axis, size in enumerate(shape, start=1))],
            )
            for name, shape in ((source.name, source.shape), ("output", last.shape))
        ]
        graph = helper.make_graph(
            nodes,
            "keras",
            value_infos[:1],
            value_infos[1:],
            [numpy_helper.from_array(array, name) for name, array in self._constants.items()],
        )
        model = helper.make_model(
            graph,
            producer_name="emotion_estimators",
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
        )
        serialised: bytes = model.SerializeToString()
        return serialised
