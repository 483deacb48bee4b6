"""Layers of series, (steps, channels): those of images, one pixel wide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from emotion_estimators.networks.keras_hdf5.architecture import KerasLayer
from emotion_estimators.networks.keras_hdf5.graph import KerasGraph, Tensor
from emotion_estimators.networks.keras_hdf5.settings import Settings

__all__ = ["SERIES_LAYERS", "as_image", "as_series", "layer_of_images"]

SERIES_LAYERS = {
    "AveragePooling1D", "Conv1D", "Conv1DTranspose", "Cropping1D", "DepthwiseConv1D",
    "GlobalAveragePooling1D", "GlobalMaxPooling1D", "MaxPooling1D", "SeparableConv1D",
    "UpSampling1D", "ZeroPadding1D",
}  # fmt: skip
_LENGTHS = ("kernel_size", "strides", "dilation_rate", "pool_size", "size", "output_padding")


@dataclass(frozen=True)
class _WideKernel:
    """A kernel (steps, ...) that is read as one of images, (steps, 1, ...)."""

    array: Any

    def read(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return the values; Keras 1 stored them in that shape."""
        if len(shape) != 4 or len(self.array.shape) == 4:
            return np.asarray(self.array.read(shape))
        return np.asarray(self.array.read((shape[0], *shape[2:]))).reshape(shape)


def layer_of_images(
    layer: KerasLayer, arrays: Mapping[str, Any]
) -> tuple[KerasLayer, dict[str, Any]]:
    """Return a layer of series as one of images, and its arrays."""
    settings = layer.settings
    changed: dict[str, Any] = {"data_format": None}
    for key in _LENGTHS:
        value = settings.get(key)
        length = value[0] if isinstance(value, list) and len(value) == 1 else value
        if value is not None:
            changed[key] = [length, 0 if key == "output_padding" else 1]
    for key in ("padding", "cropping"):
        value = settings.get(key)
        if value is not None and not isinstance(value, str):
            changed[key] = [value, 0]
    default = {"MaxPooling1D": "pool_size", "AveragePooling1D": "pool_size", "UpSampling1D": "size"}
    if layer.class_name in default:
        changed.setdefault(default[layer.class_name], [2, 1])
    for key, class_name in (("padding", "ZeroPadding1D"), ("cropping", "Cropping1D")):
        if layer.class_name == class_name:
            changed.setdefault(key, [1, 0])
    if settings.get("padding") == "causal":
        changed["padding"] = "valid"
    name = layer.class_name.replace("1D", "2D")
    wide = replace(layer, class_name=name, settings=settings.changed(changed))
    return wide, {role: _WideKernel(array) for role, array in arrays.items()}


def as_image(graph: KerasGraph, tensor: Tensor, settings: Settings) -> Tensor:
    """Return a series as an image one pixel wide, with zeros before it where that is causal."""
    if len(tensor.shape) != 2:
        raise settings.error(f"needs series (steps, channels), got shape {tensor.shape}")
    if settings.get("data_format") == "channels_first":
        tensor = _turned(graph, tensor)
    steps, channels = tensor.shape
    name = graph.node("Unsqueeze", [tensor.name, graph.integers([2])])
    if settings.get("padding") == "causal":
        lengths = [settings.integers_or_one(key)[0] for key in ("kernel_size", "dilation_rate")]
        missing = (lengths[0] - 1) * lengths[1]
        pads = graph.integers([0, missing, 0, 0, 0, 0, 0, 0])
        name = graph.node("Pad", [name, pads, graph.scalar(0.0)], mode="constant")
        steps = None if steps is None else steps + missing
    return Tensor(name, (steps, 1, channels))


def as_series(graph: KerasGraph, image: Tensor, settings: Settings) -> Tensor:
    """Return an image one pixel wide as the series that it is."""
    if len(image.shape) != 3:
        return image
    image = graph.channels_last(image)
    name = graph.node("Squeeze", [image.name, graph.integers([2])])
    series = Tensor(name, (image.shape[0], image.shape[2]))
    return _turned(graph, series) if settings.get("data_format") == "channels_first" else series


def _turned(graph: KerasGraph, tensor: Tensor) -> Tensor:
    name = graph.node("Transpose", [tensor.name], perm=[0, 2, 1])
    return Tensor(name, tensor.shape[::-1])
