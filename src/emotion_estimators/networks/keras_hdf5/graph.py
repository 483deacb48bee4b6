"""The ONNX graph of a Keras model: knows in which order each image tensor is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emotion_estimators.networks.onnx.graph import OnnxGraph

__all__ = ["OPSET", "KerasGraph", "Shape", "Tensor"]

Shape = tuple[int | None, ...]

# Gelu came with opset 20; ONNX Runtime reads it since 1.17.
OPSET = 20


@dataclass(frozen=True)
class Tensor:
    """A value of the graph."""

    name: str
    shape: Shape
    channels_first: bool = False

    def stored_axis(self, axis: int) -> int:
        """Where a channels-last axis, counted from 0 = batch, lies in the stored values."""
        if not self.channels_first or axis == 0:
            return axis
        return {1: 2, 2: 3, 3: 1}[axis]


class KerasGraph(OnnxGraph):
    """Collects nodes and constants, and reorders image tensors where a node asks for it."""

    def __init__(self, stored: str = "float32") -> None:
        super().__init__(stored)
        self._reordered: dict[tuple[str, bool], Tensor] = {}

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
        # The same values may also be those of an image that Keras itself has channels first.
        key = tensor.name, tensor.channels_first
        if key not in self._reordered:
            name = self.node("Transpose", [tensor.name], perm=order)
            turned = Tensor(name, tensor.shape, not tensor.channels_first)
            self._reordered[key] = turned
            self._reordered[name, turned.channels_first] = tensor
        return self._reordered[key]

    def from_first(self, tensor: Tensor) -> Tensor:
        """Return (channels, height, width) as the image that it is; nothing is moved."""
        tensor = self.channels_last(tensor)  # as Keras has it
        channels, height, width = tensor.shape
        return Tensor(tensor.name, (height, width, channels), channels_first=True)

    def to_first(self, tensor: Tensor) -> Tensor:
        """Return an image as (channels, height, width), which `from_first` takes."""
        height, width, channels = tensor.shape
        return Tensor(self.channels_first(tensor).name, (channels, height, width))

    def to_bytes(self, source: Tensor, results: Mapping[str, Tensor]) -> bytes:
        """Serialise the model; its input is called "input", its outputs as the keys are.

        No output may be called as something else in the graph.
        """
        last = {name: self.channels_last(result) for name, result in results.items()}
        return self.serialise(
            "keras",
            (source.name, _sizes(source.name, source.shape)),
            *((result.name, name, _sizes(name, result.shape)) for name, result in last.items()),
            opset=OPSET,
        )


def _sizes(name: str, shape: Shape) -> list[int | str]:
    """Return a shape with its batch axis, free axes by a name."""
    return ["batch", *(size or f"{name}_{axis}" for axis, size in enumerate(shape, start=1))]
