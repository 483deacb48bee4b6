"""A Keras architecture and its arrays, without Keras, as a serialised ONNX model.

What `keras_hdf5` does for a file, for a model that was trained in this process. Imports its
neighbours and NumPy; for `training`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimators.exceptions import WeightsError
from emotion_estimators.networks.keras_hdf5.architecture import parse_model
from emotion_estimators.networks.keras_hdf5.graph import KerasGraph, Tensor
from emotion_estimators.networks.keras_hdf5.layers import convert_layer, weight_roles

__all__ = ["keras_onnx"]


@dataclass(frozen=True)
class _HeldArray:
    """An array in memory that a converter of layers reads like one of a file."""

    where: str
    values: NDArray[Any]

    @property
    def size(self) -> int:
        return math.prod(self.values.shape)

    def read(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        if self.values.shape != shape:
            raise WeightsError(f"{self.where}: expected shape {shape}, got {self.values.shape}")
        return np.asarray(self.values, dtype=np.float32)


def keras_onnx(config: Mapping[str, Any], weights: Mapping[str, NDArray[Any]], owner: str) -> bytes:
    """Return a Sequential model as a serialised ONNX model.

    Raises WeightsError if a layer cannot be converted or an array has another shape.
    """
    model = parse_model(dict(config), owner, "3")
    shape = model.input_shapes[0]
    if shape is None:
        raise WeightsError(f"{owner}: the network does not say the shape of its input")
    graph = KerasGraph()
    source = Tensor("input", shape)
    values = {model.inputs[0]: source}
    for call in model.calls:
        layer = call.layer
        arrays: dict[str, Any] = {}
        for role in chain.from_iterable(weight_roles(layer)):
            name = f"{layer.name}/{role}"
            arrays[role] = _HeldArray(f"{owner}, {name}", weights[name])
        inputs = [values[key] for key in call.inputs]
        values[layer.name, call.index, 0] = convert_layer(graph, layer, arrays, inputs)
    return graph.to_bytes(source, values[model.outputs[0]])
