"""Convolutions of images, plain, transposed, depthwise and separable, to ONNX nodes.

Shapes here are Keras': without the batch axis, channels last.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from emotion_estimators.networks.keras_hdf5.activations import activate
from emotion_estimators.networks.keras_hdf5.architecture import KerasLayer
from emotion_estimators.networks.keras_hdf5.file import StoredArray
from emotion_estimators.networks.keras_hdf5.graph import KerasGraph, Tensor
from emotion_estimators.networks.keras_hdf5.windows import (
    Pair,
    check_images,
    convolve,
    convolve_transposed,
    last_size,
)

__all__ = ["CONVOLUTION_LAYERS", "Arrays", "LayerConverter", "add_weight"]

Arrays = dict[str, StoredArray]  # role in the layer -> array
LayerConverter = Callable[[KerasGraph, KerasLayer, Arrays, Tensor], Tensor]


def add_weight(graph: KerasGraph, layer: KerasLayer, role: str, values: np.ndarray) -> str:
    """Add a layer's array once; returns its name."""
    add = graph.weight if role.endswith("kernel") else graph.constant
    return add(f"{layer.number} {layer.name} {role}", values)


def _conv2d(graph: KerasGraph, layer: KerasLayer, arrays: Arrays, tensor: Tensor) -> Tensor:
    settings = layer.settings
    channels = _image_channels(layer, tensor)
    filters = settings.integer("filters")
    groups = settings.integer("groups", 1)
    if channels % groups or filters % groups:
        raise settings.error(f"groups={groups} must divide {channels} channels, {filters} filters")
    size = settings.pair("kernel_size")
    kernel = _kernel(layer, arrays["kernel"], size, (channels // groups, filters))
    weight = add_weight(graph, layer, "kernel", kernel.transpose(3, 2, 0, 1))
    bias = _bias(graph, layer, arrays, filters)
    result = convolve(graph, tensor, settings, [weight, *bias], filters, size, groups)
    return activate(graph, result, settings)


def _conv2d_transpose(
    graph: KerasGraph, layer: KerasLayer, arrays: Arrays, tensor: Tensor
) -> Tensor:
    settings = layer.settings
    channels = _image_channels(layer, tensor)
    filters = settings.integer("filters")
    size = settings.pair("kernel_size")
    kernel = _kernel(layer, arrays["kernel"], size, (filters, channels))
    weight = add_weight(graph, layer, "kernel", kernel.transpose(3, 2, 0, 1))
    bias = _bias(graph, layer, arrays, filters)
    result = convolve_transposed(graph, tensor, settings, [weight, *bias], filters, size)
    return activate(graph, result, settings)


def _depthwise_conv2d(
    graph: KerasGraph, layer: KerasLayer, arrays: Arrays, tensor: Tensor
) -> Tensor:
    result = _depthwise(graph, layer, arrays, tensor, with_bias=True)
    return activate(graph, result, layer.settings)


def _separable_conv2d(
    graph: KerasGraph, layer: KerasLayer, arrays: Arrays, tensor: Tensor
) -> Tensor:
    settings = layer.settings
    filters = settings.integer("filters")
    deep = _depthwise(graph, layer, arrays, tensor, with_bias=False)
    channels = last_size(deep, settings)
    kernel = arrays["pointwise_kernel"].read((1, 1, channels, filters))
    weight = add_weight(graph, layer, "pointwise_kernel", kernel.transpose(3, 2, 0, 1))
    bias = _bias(graph, layer, arrays, filters)
    name = graph.node("Conv", [deep.name, weight, *bias], kernel_shape=[1, 1])
    result = Tensor(name, (*deep.shape[:2], filters), channels_first=True)
    return activate(graph, result, settings)


def _depthwise(
    graph: KerasGraph, layer: KerasLayer, arrays: Arrays, tensor: Tensor, *, with_bias: bool
) -> Tensor:
    settings = layer.settings
    channels = _image_channels(layer, tensor)
    multiplier = settings.integer("depth_multiplier", 1)
    size = settings.pair("kernel_size")
    # On Theano, too, Keras turned these round itself, so that they lie as everywhere.
    kernel = arrays["depthwise_kernel"].read((*size, channels, multiplier))
    # (height, width, channels, multiplier) -> (channels * multiplier, 1, height, width)
    kernel = kernel.transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, *size)
    weight = add_weight(graph, layer, "depthwise_kernel", kernel)
    filters = channels * multiplier
    bias = _bias(graph, layer, arrays, filters) if with_bias else []
    return convolve(graph, tensor, settings, [weight, *bias], filters, size, channels)


def _kernel(layer: KerasLayer, array: StoredArray, size: Pair, ends: Pair) -> np.ndarray:
    """Return a kernel (height, width, *ends), whichever Keras wrote it."""
    origin = layer.settings.origin
    if origin.major == 1 and layer.settings.get("data_format") == "channels_first":
        first, second = ends
        kernel = array.read((second, first, *size)).transpose(2, 3, 1, 0)
    else:
        kernel = array.read((*size, *ends))
    return kernel[::-1, ::-1] if origin.by_theano else kernel


def _bias(graph: KerasGraph, layer: KerasLayer, arrays: Arrays, filters: int) -> list[str]:
    if "bias" not in arrays:
        return []
    return [add_weight(graph, layer, "bias", arrays["bias"].read((filters,)))]


def _image_channels(layer: KerasLayer, tensor: Tensor) -> int:
    check_images(tensor, layer.settings)
    return last_size(tensor, layer.settings)


CONVOLUTION_LAYERS: dict[str, LayerConverter] = {
    "Conv2D": _conv2d,
    "Conv2DTranspose": _conv2d_transpose,
    "DepthwiseConv2D": _depthwise_conv2d,
    "SeparableConv2D": _separable_conv2d,
}
