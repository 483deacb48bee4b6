"""A Keras architecture and its arrays, without Keras, as a serialised ONNX model.

What `keras_hdf5` does for a file, for a model that was trained in this process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimators.exceptions import WeightsError
from emotion_estimators.networks.keras_hdf5.architecture import KerasModel, parse_model
from emotion_estimators.networks.keras_hdf5.graph import OPSET, KerasGraph, Tensor
from emotion_estimators.networks.keras_hdf5.model import (
    WEIGHT_NAMES,
    Conversion,
    weight_places,
)
from emotion_estimators.networks.keras_hdf5.settings import Origin
from emotion_estimators.networks.onnx.views import add_views, mean_of_views

__all__ = ["keras_onnx"]


@dataclass(frozen=True)
class _HeldArray:
    """An array in memory that a converter of layers reads like one of a file."""

    where: str
    values: NDArray[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    def read(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        if self.values.shape != shape:
            raise WeightsError(f"{self.where}: expected shape {shape}, got {self.values.shape}")
        return np.asarray(self.values, dtype=np.float32)


def keras_onnx(
    config: Mapping[str, Any],
    weights: Mapping[str, NDArray[Any]],
    owner: str,
    *,
    shifts: Sequence[tuple[int, int]] = (),
    mirrored: bool = False,
    n_classes: int | None = None,
    stored: str = "float32",
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """Return a network of grey images, (n, 1, h, w) in 0..1, as a serialised ONNX model.

    Its input is called ``images``, its output ``probabilities``, (n, n_outputs). The output is the
    mean over views: the image, the image moved by each of `shifts`, and with `mirrored` the mirror
    images of these. With `n_classes` the first so many columns are left, and sum to 1. `stored` is
    how weights lie in the file, "float32" or "float16"; the arithmetic is float32.

    `config` is the JSON of a Sequential or functional model, `weights` has the names of its layers
    and their variables, such as "dense/kernel".

    Raises WeightsError if a layer cannot be converted, or an array is missing or has another shape.
    """
    model = parse_model(dict(config), owner, Origin("3"))
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise WeightsError(
            f"{owner}: expected a network with one input and one output, got {len(model.inputs)} "
            f"and {len(model.outputs)}"
        )
    shape = model.input_shapes[0]
    if shape is None or len(shape) != 3 or shape[2] != 1:
        raise WeightsError(
            f"{owner}: expected a network of images (n, height, width, 1), got one of {shape}"
        )
    graph = KerasGraph(stored)
    views, n_views = add_views(graph, "images", shifts, mirrored=mirrored)
    source = Tensor(views, shape, channels_first=True)
    (result,) = Conversion(graph, _arrays(model, weights, owner)).run(model, [source])
    if len(result.shape) != 1 or result.shape[0] is None:
        raise WeightsError(
            f"{owner}: expected a network that gives (n, n_outputs), got (n, *{result.shape})"
        )
    size = result.shape[0]
    output = mean_of_views(graph, result.name, n_views, size)
    if n_classes is not None and n_classes < size:
        bounds = [graph.integers([value]) for value in (0, n_classes, 1)]
        output = graph.node("Slice", [output, *bounds])
        total = graph.node("ReduceSum", [output, bounds[2]])  # over axis 1
        output, size = graph.node("Div", [output, total]), n_classes
    sides = [side or name for side, name in zip(shape, ("height", "width"), strict=False)]
    return graph.serialise(
        "keras",
        ("images", ["n", 1, *sides]),
        (output, "probabilities", ["n", size]),
        opset=OPSET,
        metadata=metadata,
    )


def _arrays(
    model: KerasModel, weights: Mapping[str, NDArray[Any]], owner: str
) -> dict[int, dict[str, _HeldArray]]:
    """Return the arrays of each layer, by its number, and by role."""
    arrays: dict[int, dict[str, _HeldArray]] = {}
    numbers: dict[str, int] = {}
    for outer in model.layers:
        for layer, role in chain.from_iterable(weight_places(outer)):
            if numbers.setdefault(layer.name, layer.number) != layer.number:
                raise WeightsError(f"{owner}: two layers with weights are called {layer.name!r}")
            words = [role, *sorted(WEIGHT_NAMES[role] - {role})]
            names = [f"{layer.name}/{word}" for word in words]
            name = next((name for name in names if name in weights), None)
            if name is None:
                raise WeightsError(f"{owner}: expected weights {names[0]}, which there are not")
            array = _HeldArray(f"{owner}, {name}", weights[name])
            arrays.setdefault(layer.number, {})[role] = array
    return arrays
