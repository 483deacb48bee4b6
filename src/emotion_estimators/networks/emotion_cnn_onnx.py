"""An `EmotionCNN` as an ONNX model, written node by node.

Batch normalisation is folded into the convolutions. Imports torch and onnx, so import this
module only where it is needed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from torch import nn

from emotion_estimators.networks._batch_norm import fold_batch_norm
from emotion_estimators.networks._onnx_graph import OnnxGraph
from emotion_estimators.networks.conv_block import ConvBlock
from emotion_estimators.networks.emotion_cnn import EmotionCNN
from emotion_estimators.networks.residual_block import ResidualBlock

__all__ = ["emotion_cnn_to_onnx"]


def emotion_cnn_to_onnx(
    network: EmotionCNN,
    image_size: tuple[int, int],
    *,
    flip: bool = False,
    half: bool = False,
    metadata: dict[str, str] | None = None,
) -> Any:
    """Return the network as an ONNX model from images to class probabilities.

    Parameters
    ----------
    network : EmotionCNN
        A trained network on the CPU.
    image_size : tuple of int
        Height and width of the images.
    flip : bool, default=False
        Average the probabilities of each image and of its mirror image, at twice the time.
    half : bool, default=False
        Store weights as float16, which halves the file; the arithmetic stays float32.
    metadata : dict of str to str or None, default=None
        Written into the file's ``metadata_props``.

    Returns
    -------
    model : onnx.ModelProto
        Input ``images``, float32 (n, 1, height, width), scaled as in training; output
        ``probabilities``, float32 (n, n_classes).
    """
    graph = _Graph(half=half)
    x = "images"
    if flip:
        ends = [graph.integers([value]) for value in (-1, np.iinfo(np.int64).min, 3, -1)]
        x = graph.node("Concat", [x, graph.node("Slice", [x, *ends])], axis=0)  # (2n, 1, h, w)
    x = graph.node("Sub", [x, graph.constant("pixel_mean", network.pixel_mean.numpy())])
    x = graph.node("Div", [x, graph.constant("pixel_std", network.pixel_std.numpy())])
    for number, layer in enumerate(network.layers):
        name = f"layers.{number}"
        if isinstance(layer, ConvBlock):
            x = graph.conv_block(name, layer, x)
        elif isinstance(layer, ResidualBlock):
            inner = graph.conv_block(f"{name}.first", layer.first, x)
            inner = graph.conv_block(f"{name}.second", layer.second, inner)
            x = graph.node("Relu", [graph.node("Add", [x, inner])])
        elif isinstance(layer, nn.MaxPool2d):
            x = graph.node("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
        else:
            raise TypeError(f"emotion_cnn_to_onnx cannot write a {type(layer).__name__}.")
    x = graph.node("Flatten", [graph.node("GlobalAveragePool", [x])])  # (n, c)
    weight = graph.weight("head.weight", network.head.weight.detach().numpy())
    bias = network.head.bias.detach().numpy()
    x = graph.node("Gemm", [x, weight, graph.constant("head.bias", bias)], transB=1)
    x = graph.node("Softmax", [x], axis=1)
    if flip:
        x = graph.node("Mean", graph.nodes("Split", [x], 2, axis=0))
    model = graph.to_model(
        "EmotionCNN",
        ("images", ["n", 1, *image_size]),
        (x, "probabilities", ["n", len(bias)]),
        opset=17,
        metadata=metadata,
    )
    onnx.checker.check_model(model, full_check=True)
    return model


class _Graph(OnnxGraph):
    """A graph that can hold weights in half precision, and adds a convolution in one step."""

    def __init__(self, *, half: bool) -> None:
        super().__init__()
        self.half = half

    def weight(self, name: str, values: NDArray[np.float32]) -> str:
        if not self.half:
            return self.constant(name, values)
        # ONNX Runtime folds this cast when it loads the model
        half = self.constant(name, values.astype(np.float16))
        return self.node("Cast", [half], to=onnx.TensorProto.FLOAT)

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
