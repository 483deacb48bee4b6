"""Convolution, pooling, padding and sizes of images: Keras' windows in ONNX's words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from emotion_estimators.networks.keras_hdf5.graph import KerasGraph, Shape, Tensor
from emotion_estimators.networks.keras_hdf5.settings import MAX_INTEGER, Settings

__all__ = [
    "WINDOW_LAYERS",
    "Pair",
    "check_images",
    "convolve",
    "convolve_transposed",
    "last_size",
]

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
    spatial, pads = _window(
        settings, tensor.shape, size, strides, dilations, lambda extent: extent // 2
    )
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


def convolve_transposed(
    graph: KerasGraph,
    tensor: Tensor,
    settings: Settings,
    weights: Sequence[str],
    filters: int,
    size: Pair,
) -> Tensor:
    """Add a transposed convolution whose kernel is stored as ONNX wants it."""
    strides = settings.pair("strides", 1)
    dilations = settings.pair("dilation_rate", 1)
    padding = settings.choice("padding", {"same", "valid"}, "valid")
    has_rest = settings.get("output_padding") is not None
    rests = settings.pair("output_padding", minimum=0) if has_rest else (None, None)
    output: list[int | None] = []
    pads: list[Pair] = []
    added: list[int] = []
    for length, window, stride, dilation, rest in zip(
        tensor.shape[:2], size, strides, dilations, rests, strict=True
    ):
        extent = (window - 1) * dilation + 1
        # beyond (length - 1) * stride: what the windows reach, and what is kept of that
        if rest is not None:
            kept = extent + rest - (2 * (extent // 2) if padding == "same" else 0)
        else:
            kept = stride if padding == "same" else max(extent, stride)
        output.append(None if length is None else (length - 1) * stride + kept)
        # As the gradient of a convolution with that padding, which takes `kept` to `length`.
        before = max(extent - kept, 0) // 2 if padding == "same" else 0
        after = extent - kept - before
        pads.append((before, max(after, 0)))
        added.append(max(-after, 0))
    name = graph.node(
        "ConvTranspose",
        [graph.channels_first(tensor).name, *weights],
        kernel_shape=list(size),
        strides=list(strides),
        dilations=list(dilations),
        pads=[before for before, _ in pads] + [after for _, after in pads],
        **({"output_padding": added} if any(added) else {}),
    )
    return Tensor(name, (*output, filters), channels_first=True)


def _window(
    settings: Settings,
    shape: Shape,
    size: Pair,
    strides: Pair,
    dilations: Pair,
    theano_before: Callable[[int], int],
) -> tuple[Shape, dict[str, Any]]:
    """Size of the output, and the padding as attributes of an ONNX node.

    Keras spreads what "same" needs over both sides; on Theano the padding before the image is
    that of the window alone, `theano_before`.
    """
    on_theano = theano_before if settings.origin.by_theano else None
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
        before.append(missing // 2 if on_theano is None else on_theano(extent))
        after.append(max(missing - before[-1], 0))
    if not free:
        return tuple(output), {"pads": before + after} if any(before + after) else {}
    # Left to the runtime, which knows the size; it does so without dilation only.
    if max(dilations) > 1 or on_theano is not None:
        raise settings.error(
            "padding 'same' with strides, of a network with dilation or trained on Theano, needs "
            "images of a fixed size"
        )
    return tuple(output), {"auto_pad": "SAME_UPPER"}


def check_images(tensor: Tensor, settings: Settings) -> None:
    """Refuse what is not images (height, width, channels)."""
    if len(tensor.shape) != 3:
        raise settings.error(f"needs images (height, width, channels), got shape {tensor.shape}")


def _theano_pool_before(extent: int) -> int:
    return extent - 2 if extent > 2 and extent % 2 else extent - 1


def last_size(tensor: Tensor, settings: Settings) -> int:
    """Return the size of the last axis, which must be fixed."""
    if not tensor.shape or tensor.shape[-1] is None:
        raise settings.error(f"needs a fixed size on the last axis, got {tensor.shape}")
    return tensor.shape[-1]


def _images(
    graph: KerasGraph,
    operator: str,
    tensor: Tensor,
    spatial: Sequence[int | None],
    inputs: Sequence[str] = (),
    **attributes: Any,
) -> Tensor:
    """Add an operator that makes images of height and width `spatial` of others."""
    name = graph.node(operator, [graph.channels_first(tensor).name, *inputs], **attributes)
    return Tensor(name, (*spatial, tensor.shape[2]), channels_first=True)


def _pool(operator: str, **attributes: Any) -> Callable[[KerasGraph, Tensor, Settings], Tensor]:
    def convert(graph: KerasGraph, tensor: Tensor, settings: Settings) -> Tensor:
        size = settings.pair("pool_size", 2)
        strides = settings.pair("strides", size)
        spatial, pads = _window(settings, tensor.shape, size, strides, (1, 1), _theano_pool_before)
        window: dict[str, Any] = {"kernel_shape": list(size), "strides": list(strides)}
        return _images(graph, operator, tensor, spatial, **window, **pads, **attributes)

    return convert


def _global_pool(operator: str) -> Callable[[KerasGraph, Tensor, Settings], Tensor]:
    def convert(graph: KerasGraph, tensor: Tensor, settings: Settings) -> Tensor:
        pooled = _images(graph, operator, tensor, (1, 1))
        if settings.flag("keepdims", default=False):
            return pooled
        return Tensor(graph.node("Flatten", [pooled.name], axis=1), (tensor.shape[2],))

    return convert


def _sides(settings: Settings, key: str, default: int) -> tuple[Pair, Pair]:
    """Return what is added or cut, as (top, bottom), (left, right)."""
    value = settings.get(key, default)
    if isinstance(value, list) and len(value) == 4:  # Keras 1
        value = [value[:2], value[2:]]
    values = value if isinstance(value, list) and len(value) == 2 else [value, value]
    # Each axis is given as one number for both sides, or as [before, after].
    rows, columns = (Settings(settings.where, {key: v}).pair(key, minimum=0) for v in values)
    return rows, columns


def _cropping(graph: KerasGraph, tensor: Tensor, settings: Settings) -> Tensor:
    sides = _sides(settings, "cropping", 0)
    spatial = [
        None if length is None else length - sum(cut)
        for length, cut in zip(tensor.shape[:2], sides, strict=True)
    ]
    if any(length is not None and length < 1 for length in spatial):
        raise settings.error(f"cuts more than there is of images of shape {tensor.shape}")
    starts = graph.integers([before for before, _ in sides])
    ends = graph.integers([-after or MAX_INTEGER for _, after in sides])
    return _images(graph, "Slice", tensor, spatial, [starts, ends, graph.integers([2, 3])])


def _upsampling(graph: KerasGraph, tensor: Tensor, settings: Settings) -> Tensor:
    factors = settings.pair("size", 2)
    how = settings.choice("interpolation", {"nearest", "bilinear"}, "nearest")
    # Keras 2.2 and 2.3 had bilinear of TensorFlow 1, which put pixels at their corners.
    old = how == "bilinear" and settings.origin.version.startswith(("2.2.", "2.3."))
    at_corners = how == "nearest" or (old and not settings.origin.version.endswith("tf"))
    scales = graph.constant(f"scales {factors}", np.array([1, 1, *factors], dtype=np.float32))
    spatial = [
        None if length is None else length * factor
        for length, factor in zip(tensor.shape[:2], factors, strict=True)
    ]
    return _images(
        graph,
        "Resize",
        tensor,
        spatial,
        ["", scales],
        mode="nearest" if how == "nearest" else "linear",
        coordinate_transformation_mode="asymmetric" if at_corners else "half_pixel",
        **({"nearest_mode": "floor"} if how == "nearest" else {}),
    )


def _resizing(graph: KerasGraph, tensor: Tensor, settings: Settings) -> Tensor:
    for key in ("crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias"):
        if settings.flag(key, default=False):
            raise settings.error(f"{key}=True cannot be converted")
    how = settings.choice("interpolation", {"nearest", "bilinear"}, "bilinear")
    height, width = settings.integer("height"), settings.integer("width")
    channels = last_size(tensor, settings)
    batch = graph.node("Shape", [tensor.name], start=0, end=1)
    sizes = graph.node("Concat", [batch, graph.integers([channels, height, width])], axis=0)
    return _images(
        graph,
        "Resize",
        tensor,
        (height, width),
        ["", "", sizes],
        mode="nearest" if how == "nearest" else "linear",
        coordinate_transformation_mode="half_pixel",
        **({"nearest_mode": "round_prefer_ceil"} if how == "nearest" else {}),
    )


def _center_crop(graph: KerasGraph, tensor: Tensor, settings: Settings) -> Tensor:
    wanted = settings.integer("height"), settings.integer("width")
    lengths = tensor.shape[:2]
    if any(have is None or have < want for have, want in zip(lengths, wanted, strict=True)):
        raise settings.error(
            f"cuts {wanted} out of images of shape {tensor.shape}, which must be larger"
        )
    sides = [
        [(have - want) // 2, have - want - (have - want) // 2]
        for have, want in zip(lengths, wanted, strict=True)
        if have is not None
    ]
    return _cropping(graph, tensor, settings.changed({"cropping": sides}))


def _zero_padding(graph: KerasGraph, tensor: Tensor, settings: Settings) -> Tensor:
    sides = _sides(settings, "padding", 1)
    (top, bottom), (left, right) = sides
    pads = graph.integers([0, 0, top, left, 0, 0, bottom, right])
    spatial = [
        None if length is None else length + sum(added)
        for length, added in zip(tensor.shape[:2], sides, strict=True)
    ]
    return _images(graph, "Pad", tensor, spatial, [pads, graph.scalar(0.0)], mode="constant")


WINDOW_LAYERS: dict[str, Callable[[KerasGraph, Tensor, Settings], Tensor]] = {
    "MaxPooling2D": _pool("MaxPool"),
    # Keras averages over what lies inside the image; so does ONNX without count_include_pad.
    "AveragePooling2D": _pool("AveragePool", count_include_pad=0),
    "GlobalMaxPooling2D": _global_pool("GlobalMaxPool"),
    "GlobalAveragePooling2D": _global_pool("GlobalAveragePool"),
    "CenterCrop": _center_crop,
    "Cropping2D": _cropping,
    "Resizing": _resizing,
    "UpSampling2D": _upsampling,
    "ZeroPadding2D": _zero_padding,
}
