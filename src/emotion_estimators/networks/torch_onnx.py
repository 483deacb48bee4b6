"""`EmotionCNN` as an ONNX model, written node by node, one network or the mean of several.

Batch normalisation is folded into the convolutions. Imports torch, so import this module only
where it is needed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import nn

from emotion_estimators.networks._batch_norm import fold_batch_norm
from emotion_estimators.networks.emotion import EmotionCNN
from emotion_estimators.networks.layers import ConvBlock, ResidualBlock
from emotion_estimators.networks.onnx.format import FLOAT
from emotion_estimators.networks.onnx.graph import OnnxGraph

__all__ = ["emotion_cnn_to_onnx"]

# Values of a kernel from which on int8 pays for its scales, which are float32.
_LARGE = 4096


def emotion_cnn_to_onnx(
    networks: Sequence[EmotionCNN],
    image_size: tuple[int, int],
    *,
    flip: bool = False,
    stored: str = "float32",
    metadata: dict[str, str] | None = None,
) -> bytes:
    """Return networks as one ONNX model from images to class probabilities, their mean.

    Raises ValueError if the networks have different numbers of classes, or `stored` is something
    else; TypeError if a network has layers that `EmotionCNN` does not have.
    """
    n_classes = {network.head.out_features for network in networks}
    if len(n_classes) != 1:
        raise ValueError(
            "emotion_cnn_to_onnx expected networks of one number of classes, got "
            f"{sorted(n_classes)}."
        )
    if stored not in ("float32", "float16", "int8"):
        raise ValueError(
            f"emotion_cnn_to_onnx expected stored to be float32, float16 or int8, got {stored!r}."
        )
    graph = _Graph(stored)
    x = "images"
    if flip:
        ends = [graph.integers([value]) for value in (-1, np.iinfo(np.int64).min, 3, -1)]
        x = graph.node("Concat", [x, graph.node("Slice", [x, *ends])], axis=0)  # (2n, 1, h, w)
    results = [graph.network(f"{i}.", network, x) for i, network in enumerate(networks)]
    x = graph.node("Mean", results) if len(results) > 1 else results[0]
    if flip:
        x = graph.node("Mean", graph.nodes("Split", [x], 2, axis=0))
    return graph.serialise(
        "EmotionCNN",
        ("images", ["n", 1, *image_size]),
        (x, "probabilities", ["n", *n_classes]),
        opset=17,
        metadata=metadata,
    )


class _Graph(OnnxGraph):
    """A graph that adds whole layers; every method returns the name of its output."""

    def __init__(self, stored: str) -> None:
        super().__init__()
        self.stored = stored

    def network(self, prefix: str, network: EmotionCNN, x: str) -> str:
        mean = self.constant(f"{prefix}pixel_mean", network.pixel_mean.numpy())
        std = self.constant(f"{prefix}pixel_std", network.pixel_std.numpy())
        x = self.node("Div", [self.node("Sub", [x, mean]), std])
        for number, layer in enumerate(network.layers):
            name = f"{prefix}layers.{number}"
            if isinstance(layer, ConvBlock):
                x = self.conv_block(name, layer, x)
            elif isinstance(layer, ResidualBlock):
                inner = self.conv_block(f"{name}.first", layer.first, x)
                inner = self.conv_block(f"{name}.second", layer.second, inner)
                x = self.node("Relu", [self.node("Add", [x, inner])])
            elif isinstance(layer, nn.MaxPool2d):
                x = self.node("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
            else:
                raise TypeError(f"emotion_cnn_to_onnx cannot write a {type(layer).__name__}.")
        x = self.node("Flatten", [self.node("GlobalAveragePool", [x])])  # (n, c)
        weight = self.weight(f"{prefix}head.weight", network.head.weight.detach().numpy())
        bias = self.constant(f"{prefix}head.bias", network.head.bias.detach().numpy())
        return self.node("Softmax", [self.node("Gemm", [x, weight, bias], transB=1)], axis=1)

    def conv_block(self, name: str, block: ConvBlock, x: str) -> str:
        norm = block.norm
        if norm.running_mean is None or norm.running_var is None:
            raise TypeError("emotion_cnn_to_onnx needs batch normalisation with statistics.")
        kernel, shift = fold_batch_norm(
            block.conv.weight.detach().numpy(),
            scale=norm.weight.detach().numpy(),
            shift=norm.bias.detach().numpy(),
            mean=norm.running_mean.numpy(),
            var=norm.running_var.numpy(),
            epsilon=norm.eps,
        )
        pad = [int(v) for v in block.conv.padding]
        x = self.node(
            "Conv",
            [x, self.weight(f"{name}.kernel", kernel), self.constant(f"{name}.shift", shift)],
            pads=pad + pad,
            strides=list(block.conv.stride),
        )
        return self.node("Relu", [x]) if block.activate else x

    def weight(self, name: str, values: NDArray[np.float32]) -> str:
        """Add an array as it is to be stored, and what makes it float32 again."""
        if self.stored == "float32":
            return self.constant(name, values)
        if self.stored == "float16" or values.size < _LARGE:
            return self.node("Cast", [self.constant(name, values.astype(np.float16))], to=FLOAT)
        axes = tuple(range(1, values.ndim))
        scale = np.abs(values).max(axis=axes, keepdims=True) / 127  # (n_out, 1, 1, 1)
        scale[scale == 0] = 1  # a channel of zeros stays one
        steps = self.constant(name, np.rint(values / scale).astype(np.int8))
        wide = self.node("Cast", [steps], to=FLOAT)
        return self.node("Mul", [wide, self.constant(f"{name}.scale", scale.astype(np.float32))])
