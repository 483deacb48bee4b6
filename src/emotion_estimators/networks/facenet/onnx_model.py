"""InceptionResnetV1 as an ONNX model, from NumPy arrays alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from emotion_estimators.networks.facenet.layers import (
    LAYERS,
    N_FEATURES,
    Block,
    Conv,
    MaxPool,
    check_state,
    fold_state,
)
from emotion_estimators.networks.onnx.format import DOUBLE, FLOAT
from emotion_estimators.networks.onnx.graph import OnnxGraph

__all__ = ["add_inception_resnet_v1", "add_standardization", "inception_resnet_v1_to_onnx"]


def inception_resnet_v1_to_onnx(state: Mapping[str, Any]) -> bytes:
    """Return the network as an ONNX model from standardised faces to vectors.

    Raises WeightsError if the state dict is of another network.

    Batch normalisation and the scales of residual blocks are folded into the weights.
    """
    graph = OnnxGraph()
    vectors = add_inception_resnet_v1(graph, state, "images", source="inception_resnet_v1_to_onnx")
    return graph.serialise(
        "InceptionResnetV1",
        ("images", ["n", 3, "height", "width"]),
        (graph.node("Flatten", [vectors]), "embeddings", ["n", N_FEATURES]),
        opset=17,
    )


def add_inception_resnet_v1(
    graph: OnnxGraph, state: Mapping[str, Any], images: str, *, source: str, prefix: str = ""
) -> str:
    """Add the network from standardised faces (n, 3, h, w) to vectors, (n, 512, 1, 1).

    Raises WeightsError, which names the `source`, if the state dict is of another network.
    """
    layers = _Layers(graph, check_state(state, source), prefix)
    x = images
    for layer in LAYERS:
        x = layers.layer(layer, x)
    x = graph.node("GlobalAveragePool", [x])  # (n, 1792, 1, 1)
    # A convolution rather than Gemm, whose sums ONNX Runtime orders by the number of rows: each
    # face has the same vector, bit for bit, alone and in any batch.
    return layers.convolution("last_linear", x)


def add_standardization(
    graph: OnnxGraph, images: str, standardization: str, image_size: tuple[int, int]
) -> str:
    """Add what the network expects of RGB images (n, 3, *image_size) in 0..1.

    `standardization` is "fixed", or "prewhiten": each image by its own mean and deviation.
    """
    if standardization == "fixed":
        centred = graph.node("Sub", [images, graph.scalar(127.5 / 255)])
        return graph.node("Mul", [centred, graph.scalar(255 / 128)])
    wide = graph.node("Cast", [images], to=DOUBLE)  # sums of some 77,000 pixels
    over: dict[str, Any] = {"axes": [1, 2, 3], "keepdims": 1}
    centred = graph.node("Sub", [wide, graph.node("ReduceMean", [wide], **over)])
    squares = graph.node("Mul", [centred, centred])
    spread = graph.node("Sqrt", [graph.node("ReduceMean", [squares], **over)])  # (n, 1, 1, 1)
    # of pixels in 0..255; here they are in 0..1
    least = graph.scalar(1 / (255 * math.sqrt(3 * math.prod(image_size))))
    spread = graph.node("Max", [spread, graph.node("Cast", [least], to=DOUBLE)])
    return graph.node("Cast", [graph.node("Div", [centred, spread])], to=FLOAT)


class _Layers:
    """Adds the layers of the table to a graph; every method returns the name of its output."""

    def __init__(self, graph: OnnxGraph, state: dict[str, Any], prefix: str) -> None:
        self.graph = graph
        self.weights = fold_state(state)
        self.prefix = prefix

    def layer(self, layer: Conv | MaxPool | Block, x: str) -> str:
        if isinstance(layer, Block):
            return self.block(layer, x)
        if isinstance(layer, MaxPool):
            return self.graph.node("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2])
        x = self.convolution(layer.name, x, stride=layer.stride, padding=layer.padding)
        return self.graph.node("Relu", [x])

    def block(self, block: Block, x: str) -> str:
        ends = []
        for branch in block.branches:
            end = x
            for part in branch:
                end = self.layer(part, end)
            ends.append(end)
        joined = self.graph.node("Concat", ends, axis=1)  # (n, n_joined, h, w)
        if block.scale is None:
            return joined
        total = self.graph.node("Add", [self.convolution(block.name, joined), x])  # (n, n_in, h, w)
        return self.graph.node("Relu", [total]) if block.activate else total

    def convolution(
        self, name: str, x: str, *, stride: int = 1, padding: tuple[int, int] = (0, 0)
    ) -> str:
        weight, bias = self.weights[name]
        kernel = weight if weight.ndim == 4 else weight[:, :, None, None]
        name = self.prefix + name
        return self.graph.node(
            "Conv",
            [
                x,
                self.graph.weight(f"{name}.weight", kernel),
                self.graph.constant(f"{name}.bias", bias),
            ],
            kernel_shape=list(kernel.shape[2:]),
            strides=[stride, stride],
            pads=[*padding, *padding],
        )
