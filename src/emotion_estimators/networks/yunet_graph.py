"""YuNet's weights in, a graph of the same network that runs quicker out.

The file gives each of its twelve outputs a branch of its own, and wants blue, green and red apart.
Here the four branches of a stride are one of 16 channels, and the pixels stay as they lie in
memory. What is computed is the same, to the last bits of a float32.

References
----------
Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 20, 2023
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimators.networks.onnx.graph import OnnxGraph

__all__ = ["RESULTS", "write_yunet"]

RESULTS = tuple((f"scores_{stride}", f"places_{stride}") for stride in (8, 16, 32))

_Arrays = Mapping[str, NDArray[Any]]
_Layer = tuple[NDArray[np.float32], NDArray[np.float32]]  # kernel, bias

_BLOCKS = (  # of the backbone, two layers each but the first; the sides are halved behind those
    ("backbone.model0.conv2", True),
    ("backbone.model1.conv1", False),
    ("backbone.model1.conv2", False),
    ("backbone.model2.conv1", False),
    ("backbone.model2.conv2", True),
    ("backbone.model3.conv1", False),
    ("backbone.model3.conv2", True),
    ("backbone.model4.conv1", False),
    ("backbone.model4.conv2", True),
    ("backbone.model5.conv1", False),
    ("backbone.model5.conv2", False),
)
_HEADS = ("cls", "obj", "bbox", "kps")
_OPSET = 17


def write_yunet(arrays: _Arrays) -> bytes | None:
    """Return the graph for the arrays of YuNet's file, None if these are not all of its own.

    It takes the rows of an RGB image as they lie, (1, 1, height, width * 3), and gives `RESULTS`:
    for the cells of a stride class and object, (1, cells, 2), box and landmarks, (1, cells, 14).
    """
    try:
        return _write(arrays)
    except (KeyError, ValueError, IndexError, StopIteration):
        return None


def _write(arrays: _Arrays) -> bytes:
    # those with a normalisation multiplied in have numbers as names, in the order of the layers
    kernels = sorted(
        int(name) for name, array in arrays.items() if name.isdecimal() and array.ndim == 4
    )
    merged = iter([(arrays[str(number)], arrays[str(number + 1)]) for number in kernels])
    graph = OnnxGraph()

    def separable(values: str, name: str, wide: _Layer) -> str:
        """Add a layer of 1 x 1, then one of 3 x 3 pixels for each channel."""
        values = _conv(graph, values, f"{name}.conv1", _named(arrays, f"{name}.conv1"))
        return graph.node("Relu", [_conv(graph, values, f"{name}.wide", wide)])

    values = graph.node("Relu", [_stem(graph, "rows", next(merged))])
    halved = []
    for name, halves in _BLOCKS:
        values = separable(values, name, next(merged))
        if name.endswith(("model3.conv2", "model4.conv2", "model5.conv2")):
            halved.append(values)
        if halves:
            values = graph.node("MaxPool", [values], kernel_shape=[2, 2], strides=[2, 2])
    neck: dict[int, str] = {}
    for level in (2, 1, 0):
        if level < 2:
            scales = graph.constant("scales", np.array([1, 1, 2, 2], np.float32))
            settings = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric"}
            settings["nearest_mode"] = "floor"
            larger = graph.node("Resize", [neck[level + 1], "", scales], **settings)
            values = graph.node("Add", [halved[level], larger])
        else:
            values = halved[level]
        neck[level] = separable(values, f"neck.lateral_convs.{level}", next(merged))
    results = []
    for level, names in enumerate(RESULTS):
        layers = [_joined(arrays, level, place) for place in ("conv1", "conv2")]
        values = _conv(graph, neck[level], f"head {level}", layers[0])
        values = _conv(graph, values, f"wide head {level}", layers[1])
        values = graph.node("Transpose", [values], perm=[0, 2, 3, 1])
        values = graph.node("Reshape", [values, graph.integers([1, -1, 16])])
        scores, places = graph.nodes("Split", [values, graph.integers([2, 14])], 2, axis=2)
        results.append((graph.node("Sigmoid", [scores]), names[0], (1, "cells", 2)))
        results.append((places, names[1], (1, "cells", 14)))
    source = "rows", (1, 1, "height", "width")
    return graph.serialise("yunet", source, *results, opset=_OPSET)


def _named(arrays: _Arrays, name: str) -> _Layer:
    return arrays[f"{name}.weight"], arrays[f"{name}.bias"]


def _joined(arrays: _Arrays, level: int, place: str) -> _Layer:
    """Return the layers of all heads of a level as one."""
    layers = [_named(arrays, f"bbox_head.multi_level_{head}.{level}.{place}") for head in _HEADS]
    kernel, bias = (np.concatenate(parts) for parts in zip(*layers, strict=True))
    return kernel, bias


def _stem(graph: OnnxGraph, rows: str, layer: _Layer) -> str:
    """Add the first layer, for red, green and blue side by side; its own order is the reverse."""
    kernel, bias = layer
    n_out, n_colors, height, width = kernel.shape
    beside = np.moveaxis(kernel[:, ::-1], 1, 3).reshape(n_out, 1, height, width * n_colors)
    inputs = [rows, graph.constant("stem", beside), graph.constant("stem.bias", bias)]
    pads = [1, n_colors, 1, n_colors]
    return graph.node("Conv", inputs, strides=[2, 2 * n_colors], pads=pads)


def _conv(graph: OnnxGraph, values: str, name: str, layer: _Layer) -> str:
    """Add a layer of 1 x 1 pixels, or of more for each channel by itself."""
    kernel, bias = layer
    pad = kernel.shape[2] // 2
    group = len(kernel) if kernel.shape[1] == 1 else 1
    inputs = [values, graph.constant(name, kernel), graph.constant(f"{name}.bias", bias)]
    return graph.node("Conv", inputs, pads=[pad] * 4, group=group)
