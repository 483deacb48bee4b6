"""An `EmotionCNN` as an ONNX model, written node by node.

Batch normalisation is folded into the convolutions. Written by hand rather than with
``torch.onnx``, which needs further packages and gives another graph with each version of
torch. Imports torch and onnx, so import this module only where it is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from emotion_estimators.networks.conv_block import ConvBlock
from emotion_estimators.networks.emotion_cnn import EmotionCNN
from emotion_estimators.networks.residual_block import ResidualBlock

__all__ = ["emotion_cnn_to_onnx"]

_OPSET = 17
_IR_VERSION = 8  # the oldest that holds opset 17, so that older ONNX Runtimes read the file


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
    images = "images"
    x = images
    if flip:
        mirrored = graph.node(
            "Slice",
            [x, *(graph.int64(v) for v in ([-1], [np.iinfo(np.int64).min], [3], [-1]))],
        )
        x = graph.node("Concat", [x, mirrored], axis=0)  # (2n, 1, h, w)
    x = graph.node("Sub", [x, graph.constant(network.pixel_mean.numpy())])
    x = graph.node("Div", [x, graph.constant(network.pixel_std.numpy())])
    for layer in network.layers:
        if isinstance(layer, ConvBlock):
            x = graph.conv_block(layer, x)
        elif isinstance(layer, ResidualBlock):
            inner = graph.conv_block(layer.second, graph.conv_block(layer.first, x))
            x = graph.node("Relu", [graph.node("Add", [x, inner])])
        elif isinstance(layer, nn.MaxPool2d):
            x = graph.node("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
        else:
            raise TypeError(f"emotion_cnn_to_onnx cannot write a {type(layer).__name__}.")
    x = graph.node("Flatten", [graph.node("GlobalAveragePool", [x])])  # (n, c)
    weight, bias = network.head.weight.detach().numpy(), network.head.bias.detach().numpy()
    x = graph.node("Gemm", [x, graph.weight(weight), graph.constant(bias)], transB=1)
    if flip:
        x = graph.node("Softmax", [x], axis=1)  # (2n, n_classes)
        halves = graph.nodes("Split", [x], 2, axis=0)
        graph.node("Mean", halves, output="probabilities")
    else:
        graph.node("Softmax", [x], axis=1, output="probabilities")

    shape_in = ["n", 1, *image_size]
    model = helper.make_model(
        helper.make_graph(
            graph.all_nodes,
            "EmotionCNN",
            [helper.make_tensor_value_info(images, TensorProto.FLOAT, shape_in)],
            [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", len(bias)])],
            graph.initializers,
        ),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        producer_name="emotion_estimators",
    )
    model.ir_version = _IR_VERSION
    if metadata:
        helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    return model


class _Graph:
    """Nodes and weights in the making; every method returns the name of its output."""

    def __init__(self, *, half: bool) -> None:
        self.half = half
        self.all_nodes: list[Any] = []
        self.initializers: list[Any] = []
        self._n_names = 0

    def node(self, op: str, inputs: Sequence[str], *, output: str = "", **attributes: Any) -> str:
        output = output or self._name(op.lower())
        self.all_nodes.append(helper.make_node(op, list(inputs), [output], **attributes))
        return output

    def nodes(self, op: str, inputs: Sequence[str], n_out: int, **attributes: Any) -> list[str]:
        outputs = [self._name(op.lower()) for _ in range(n_out)]
        self.all_nodes.append(helper.make_node(op, list(inputs), outputs, **attributes))
        return outputs

    def constant(self, value: NDArray[Any]) -> str:
        name = self._name("constant")
        array = np.asarray(value, dtype=np.float32)
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def int64(self, value: list[int]) -> str:
        name = self._name("index")
        self.initializers.append(numpy_helper.from_array(np.array(value, dtype=np.int64), name))
        return name

    def weight(self, value: NDArray[np.float32]) -> str:
        if not self.half:
            return self.constant(value)
        name = self._name("weight")
        self.initializers.append(numpy_helper.from_array(value.astype(np.float16), name))
        # ONNX Runtime folds this cast when it loads the model
        return self.node("Cast", [name], to=TensorProto.FLOAT)

    def conv_block(self, block: ConvBlock, x: str) -> str:
        norm = block.norm
        if norm.running_mean is None or norm.running_var is None:
            raise TypeError("emotion_cnn_to_onnx needs batch normalisation with statistics.")
        var = norm.running_var.double().numpy()
        scale = norm.weight.detach().double().numpy() / np.sqrt(var + norm.eps)  # (c_out,)
        kernel = block.conv.weight.detach().double().numpy() * scale[:, None, None, None]
        shift = norm.bias.detach().double().numpy() - norm.running_mean.double().numpy() * scale
        pad = [int(v) for v in block.conv.padding]
        x = self.node(
            "Conv",
            [x, self.weight(kernel.astype(np.float32)), self.constant(shift)],
            pads=pad + pad,
            strides=list(block.conv.stride),
        )
        return self.node("Relu", [x]) if block.activate else x

    def _name(self, stem: str) -> str:
        self._n_names += 1
        return f"{stem}_{self._n_names}"
