"""Convolution, pooling and padding of images: Keras' windows in ONNX's words.

Imports the graph under construction and the settings; for the layer converters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from emotion_estimators.networks.keras_hdf5.graph import KerasGraph, Shape, Tensor
from emotion_estimators.networks.keras_hdf5.settings import Settings

__all__ = ["POOLING_LAYERS", "check_images", "convolve"]

Pair = tuple[int, int]


def convolve(
    graph: KerasGraph,
    tensor: Tensor,
    settings: Settings,
    weights: Sequence[str],
    filters: int,
    size: Pair,
    groups: int,
) -> Tensor:
    """Add a convolution whose kernel is stored as ONNX wants it."""
    strides = settings.pair("strides", 1)
    dilations = settings.pair("dilation_rate", 1)
    spatial, pads = _window(settings, tensor.shape, size, strides, dilations)
    name = graph.node(
        "Conv",
        [graph.channels_first(tensor).name, *weights],
        kernel_shape=list(size),
        strides=list(strides),
        dilations=list(dilations),
        group=groups,
        **pads,
    )
    return Tensor(name, (*spatial, filters), channels_first=True)


def _window(
    settings: Settings, shape: Shape, size: Pair, strides: Pair, dilations: Pair
) -> tuple[Shape, dict[str, Any]]:
    """Size of the output, and the padding as attributes of an ONNX node."""
    padding = settings.choice("padding", {"same", "valid"}, "valid")
    output: list[int | None] = []
    before: list[int] = []
    after: list[int] = []
    free = False
    for length, window, stride, dilation in zip(shape[:2], size, strides, dilations, strict=True):
        extent = (window - 1) * dilation + 1
        if padding == "valid":
            if length is not None and length < extent:
                raise settings.error(
                    f"a window of {extent} px does not fit into images of shape {shape}"
                )
            output.append(None if length is None else (length - extent) // stride + 1)
            continue
        output.append(None if length is None else -(-length // stride))
        if length is None and stride > 1:
            free = True
            continue
        # With stride 1 the padding is the same for all lengths.
        steps = 0 if length is None else -(-length // stride) - 1
        missing = max(steps * stride + extent - (length or 1), 0)
        before.append(missing // 2)
        after.append(missing - missing // 2)
    if not free:
        return tuple(output), {"pads": before + after} if any(before + after) else {}
    # Left to the runtime, which knows the size; it does so without dilation only.
    if max(dilations) > 1:
        raise settings.error(
            "padding 'same' with both strides and dilation needs images of a fixed size"
        )
    return tuple(output), {"auto_pad": "SAME_UPPER"}


def check_images(tensor: Tensor, settings: Settings) -> None:
    """Refuse what is not images (height, width, channels), or is to be taken channels first."""
    if len(tensor.shape) != 3:
        raise settings.error(f"needs images (height, width, channels), got shape {tensor.shape}")
    if settings.get("data_format") == "channels_first":
        raise settings.error(
            "data_format='channels_first' cannot be converted; save the model with "
            "channels_last, as Keras does on CPU"
        )
    settings.choice("data_format", {"channels_last"}, "channels_last")


def _pool(operator: str, **attributes: Any) -> Callable[[KerasGraph, Tensor, Settings], Tensor]:
    def convert(graph: KerasGraph, tensor: Tensor, settings: Settings) -> Tensor:
        check_images(tensor, settings)
        size = settings.pair("pool_size", 2)
        strides = settings.pair("strides", size)
        spatial, pads = _window(settings, tensor.shape, size, strides, (1, 1))
        name = graph.node(
            operator,
            [graph.channels_first(tensor).name],
            kernel_shape=list(size),
            strides=list(strides),
            **pads,
            **attributes,
        )
        return Tensor(name, (*spatial, tensor.shape[2]), channels_first=True)

    return convert


def _global_pool(operator: str) -> Callable[[KerasGraph, Tensor, Settings], Tensor]:
    def convert(graph: KerasGraph, tensor: Tensor, settings: Settings) -> Tensor:
        check_images(tensor, settings)
        name = graph.node(operator, [graph.channels_first(tensor).name])
        if settings.flag("keepdims", default=False):
            return Tensor(name, (1, 1, tensor.shape[2]), channels_first=True)
        return Tensor(graph.node("Flatten", [name], axis=1), (tensor.shape[2],))

    return convert


def _zero_padding(graph: KerasGraph, tensor: Tensor, settings: Settings) -> Tensor:
    check_images(tensor, settings)
    value = settings.get("padding", 1)
    values = value if isinstance(value, list) and len(value) == 2 else [value, value]
    # Each axis is given as one number for both sides, or as [before, after].
    sides = [
        Settings(settings.where, {"padding": axis}).pair("padding", minimum=0) for axis in values
    ]
    (top, bottom), (left, right) = sides
    tensor = graph.channels_first(tensor)
    pads = graph.integers([0, 0, top, left, 0, 0, bottom, right])
    name = graph.node("Pad", [tensor.name, pads, graph.scalar(0.0)], mode="constant")
    spatial = [
        None if length is None else length + sum(added)
        for length, added in zip(tensor.shape[:2], sides, strict=True)
    ]
    return Tensor(name, (*spatial, tensor.shape[2]), channels_first=True)


POOLING_LAYERS: dict[str, Callable[[KerasGraph, Tensor, Settings], Tensor]] = {
    "MaxPooling2D": _pool("MaxPool"),
    # Keras averages over what lies inside the image; so does ONNX without count_include_pad.
    "AveragePooling2D": _pool("AveragePool", count_include_pad=0),
    "GlobalMaxPooling2D": _global_pool("GlobalMaxPool"),
    "GlobalAveragePooling2D": _global_pool("GlobalAveragePool"),
    "ZeroPadding2D": _zero_padding,
}
