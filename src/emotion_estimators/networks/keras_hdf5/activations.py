"""Keras activations, by name and as layers, to ONNX nodes.

Functions follow the definitions of Keras, which differ between its versions for ``hard_sigmoid``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from emotion_estimators.networks.keras_hdf5.graph import KerasGraph, Tensor
from emotion_estimators.networks.keras_hdf5.settings import Settings

__all__ = ["ACTIVATION_LAYERS", "activate", "is_softmax"]

# Activations that are one ONNX operator with fixed attributes.
OPERATORS: dict[str, tuple[str, dict[str, float]]] = {
    "relu": ("Relu", {}),
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
    "softplus": ("Softplus", {}),
    "softsign": ("Softsign", {}),
    "exponential": ("Exp", {}),
    "elu": ("Elu", {"alpha": 1.0}),
    "selu": ("Selu", {}),
    "leaky_relu": ("LeakyRelu", {"alpha": 0.2}),
    "gelu": ("Gelu", {}),
    "mish": ("Mish", {}),
    "hard_silu": ("HardSwish", {}),
    "hard_swish": ("HardSwish", {}),
}
# Names of functions that TensorFlow 2.0 wrote.
FUNCTION_NAMES = {"softmax_v2": "softmax", "log_softmax_v2": "log_softmax"}
KERAS_2_SLOPE = 0.2
KERAS_3_SLOPE = 1 / 6
NAMES = sorted(
    {*OPERATORS, "linear", "relu6", "silu", "swish", "softmax", "log_softmax", "hard_sigmoid"}
)


def activate(graph: KerasGraph, tensor: Tensor, settings: Settings) -> Tensor:
    """Apply the activation that the setting ``activation`` of a layer names.

    Raises WeightsError where the activation is not one of Keras' own that can be converted.
    """
    name = _function(settings)
    if isinstance(name, dict):  # Keras 3 takes an activation layer in the place of a function
        class_name = Settings(settings.where, name).text("class_name")
        if class_name in ACTIVATION_LAYERS:
            nested = Settings(settings.where, name.get("config"), settings.origin)
            return ACTIVATION_LAYERS[class_name](graph, tensor, nested)
    if name not in NAMES:  # a list and not a set: what the file says may be unhashable
        raise settings.error(
            f"the activation {name!r:.80} cannot be converted; known: {', '.join(NAMES)}"
        )
    if name == "linear":
        return tensor
    if name in OPERATORS:
        operator, attributes = OPERATORS[name]
        return graph.elementwise(operator, tensor, **attributes)
    if name == "relu6":
        return _clip(graph, tensor, 0.0, 6.0)
    if name in {"silu", "swish"}:
        gate = graph.elementwise("Sigmoid", tensor)
        return graph.elementwise("Mul", tensor, gate.name)
    if name == "hard_sigmoid":
        slope = KERAS_3_SLOPE if settings.origin.major >= 3 else KERAS_2_SLOPE
        return graph.elementwise("HardSigmoid", tensor, alpha=slope, beta=0.5)
    return _softmax(graph, tensor, len(tensor.shape), logarithm=name == "log_softmax")


def is_softmax(settings: Settings) -> bool:
    """Whether the activation of a layer mixes the values of an axis."""
    return _function(settings) in ("softmax", "log_softmax")


def _function(settings: Settings) -> Any:
    """Return what the setting ``activation`` names, in Keras' words."""
    name = settings.get("activation", "linear")
    return FUNCTION_NAMES.get(name, name) if isinstance(name, str) else name


def _softmax(graph: KerasGraph, tensor: Tensor, axis: int, *, logarithm: bool = False) -> Tensor:
    """Apply softmax along an axis that counts from 0 = batch, channels last."""
    operator = "LogSoftmax" if logarithm else "Softmax"
    return graph.elementwise(operator, tensor, axis=tensor.stored_axis(axis))


def _activation_layer(graph: KerasGraph, tensor: Tensor, settings: Settings) -> Tensor:
    settings.get("activation") or settings.text("activation")  # the layer is nothing without it
    return activate(graph, tensor, settings)


def _relu(graph: KerasGraph, tensor: Tensor, settings: Settings) -> Tensor:
    slope = settings.number("negative_slope", 0.0)
    threshold = settings.number("threshold", 0.0)
    limited = settings.get("max_value") is not None
    maximum = settings.number("max_value") if limited else None
    if threshold == 0.0 and slope == 0.0:
        return (
            graph.elementwise("Relu", tensor)
            if maximum is None
            else _clip(graph, tensor, 0.0, maximum)
        )
    # As Keras defines it: x above the threshold, clipped; below it a slope down from there.
    above = _above(graph, tensor, threshold)
    if maximum is not None:
        above = _clip(graph, above, 0.0, maximum)
    if slope == 0.0:
        return above
    short = graph.node("Sub", [graph.scalar(threshold), tensor.name])
    short = graph.node("Mul", [graph.node("Relu", [short]), graph.scalar(slope)])
    return graph.elementwise("Sub", above, short)


def _above(graph: KerasGraph, tensor: Tensor, threshold: float) -> Tensor:
    """Keep what exceeds the threshold, zero elsewhere."""
    if threshold == 0.0:
        return graph.elementwise("Relu", tensor)
    exceeds = graph.node("Greater", [tensor.name, graph.scalar(threshold)])
    name = graph.node("Where", [exceeds, tensor.name, graph.scalar(0.0)])
    return Tensor(name, tensor.shape, tensor.channels_first)


def _clip(graph: KerasGraph, tensor: Tensor, low: float, high: float) -> Tensor:
    return graph.elementwise("Clip", tensor, graph.scalar(low), graph.scalar(high))


def _leaky_relu(graph: KerasGraph, tensor: Tensor, settings: Settings) -> Tensor:
    # Keras 3 calls alpha negative_slope; a layer has 0.3 by default, the function 0.2.
    slope = settings.number("negative_slope", settings.number("alpha", 0.3))
    return graph.elementwise("LeakyRelu", tensor, alpha=slope)


def _elu(graph: KerasGraph, tensor: Tensor, settings: Settings) -> Tensor:
    return graph.elementwise("Elu", tensor, alpha=settings.number("alpha", 1.0))


def _thresholded_relu(graph: KerasGraph, tensor: Tensor, settings: Settings) -> Tensor:
    return _above(graph, tensor, settings.number("theta", 1.0))


def _softmax_layer(graph: KerasGraph, tensor: Tensor, settings: Settings) -> Tensor:
    return _softmax(graph, tensor, settings.axis(len(tensor.shape) + 1))


ACTIVATION_LAYERS: dict[str, Callable[[KerasGraph, Tensor, Settings], Tensor]] = {
    "Activation": _activation_layer,
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "ELU": _elu,
    "ThresholdedReLU": _thresholded_relu,
    "Softmax": _softmax_layer,
}
