"""InceptionResnetV1 as an ONNX model, from NumPy arrays alone."""

from __future__ import annotations

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
from emotion_estimators.networks.onnx.graph import OnnxGraph

__all__ = ["inception_resnet_v1_to_onnx"]


def inception_resnet_v1_to_onnx(state: Mapping[str, Any]) -> bytes:
    """Return the network as an ONNX model from standardised faces to vectors.

    Raises WeightsError if the state dict is of another network.

    Batch normalisation and the scales of residual blocks are folded into the weights.
    """
    graph = _Graph(check_state(state, "inception_resnet_v1_to_onnx"))
    x = "images"
    for layer in LAYERS:
        x = graph.layer(layer, x)
    x = graph.node("GlobalAveragePool", [x])  # (n, 1792, 1, 1)
    # A convolution rather than Gemm, whose sums ONNX Runtime orders by the number of rows: each
    # face has the same vector, bit for bit, alone and in any batch.
    x = graph.node("Flatten", [graph.convolution("last_linear", x)])  # (n, 512)
    return graph.serialise(
        "InceptionResnetV1",
        ("images", ["n", 3, "height", "width"]),
        (x, "embeddings", ["n", N_FEATURES]),
        opset=17,
    )


class _Graph(OnnxGraph):
    """Adds the layers of the table; every method returns the name of its output."""

    def __init__(self, state: dict[str, Any]) -> None:
        super().__init__()
        self.weights = fold_state(state)

    def layer(self, layer: Conv | MaxPool | Block, x: str) -> str:
        if isinstance(layer, Block):
            return self.block(layer, x)
        if isinstance(layer, MaxPool):
            return self.node("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2])
        x = self.convolution(layer.name, x, stride=layer.stride, padding=layer.padding)
        return self.node("Relu", [x])

    def block(self, block: Block, x: str) -> str:
        ends = []
        for branch in block.branches:
            end = x
            for part in branch:
                end = self.layer(part, end)
            ends.append(end)
        joined = self.node("Concat", ends, axis=1)  # (n, n_joined, h, w)
        if block.scale is None:
            return joined
        total = self.node("Add", [self.convolution(block.name, joined), x])  # (n, n_in, h, w)
        return self.node("Relu", [total]) if block.activate else total

    def convolution(
        self, name: str, x: str, *, stride: int = 1, padding: tuple[int, int] = (0, 0)
    ) -> str:
        weight, bias = self.weights[name]
        kernel = weight if weight.ndim == 4 else weight[:, :, None, None]
        return self.node(
            "Conv",
            [x, self.constant(f"{name}.weight", kernel), self.constant(f"{name}.bias", bias)],
            kernel_shape=list(kernel.shape[2:]),
            strides=[stride, stride],
            pads=[*padding, *padding],
        )
