"""Keras layers to ONNX nodes: what each layer's weights are and what it computes.

Shapes here are Keras': without the batch axis, channels last.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from emotion_estimators.networks.keras_hdf5.activations import (
    ACTIVATION_LAYERS,
    activate,
    is_softmax,
)
from emotion_estimators.networks.keras_hdf5.architecture import KerasLayer
from emotion_estimators.networks.keras_hdf5.convolutions import (
    CONVOLUTION_LAYERS,
    Arrays,
    LayerConverter,
    add_weight,
)
from emotion_estimators.networks.keras_hdf5.graph import KerasGraph, Shape, Tensor
from emotion_estimators.networks.keras_hdf5.merging import MERGING_LAYERS
from emotion_estimators.networks.keras_hdf5.series import (
    SERIES_LAYERS,
    as_image,
    as_series,
    layer_of_images,
)
from emotion_estimators.networks.keras_hdf5.windows import WINDOW_LAYERS, check_images, last_size

__all__ = ["convert_layer", "weight_roles"]

# Layers that do nothing at inference.
INERT_LAYERS = frozenset(
    {
        "ActivityRegularization",
        "AlphaDropout",
        "CastToFloat32",  # of AutoKeras
        "DropConnect",  # this and FixedDropout of the package efficientnet
        "Dropout",
        "FixedDropout",
        "GaussianDropout",
        "GaussianNoise",
        "Identity",
        "InputLayer",
        "RandomBrightness",
        "RandomColorDegeneration",
        "RandomColorJitter",
        "RandomContrast",
        "RandomErasing",
        "RandomFlip",
        "RandomGaussianBlur",
        "RandomGrayscale",
        "RandomHeight",
        "RandomHue",
        "RandomRotation",
        "RandomSaturation",
        "RandomSharpness",
        "RandomShear",
        "RandomTranslation",
        "RandomWidth",
        "RandomZoom",
        "SpatialDropout1D",
        "StochasticDepth",
        "SpatialDropout2D",
    }
)


def weight_roles(layer: KerasLayer) -> tuple[list[str], list[str]]:
    """Name the weights of a layer in Keras' order."""
    settings = layer.settings
    name = layer.class_name
    match name.replace("1D", "2D") if name in SERIES_LAYERS else name:
        case "Dense" | "Conv2D" | "Conv2DTranspose":
            trainable = ["kernel"]
        case "DepthwiseConv2D":
            trainable = ["depthwise_kernel"]
        case "SeparableConv2D":
            trainable = ["depthwise_kernel", "pointwise_kernel"]
        case "PReLU":
            return ["alpha"], []
        case "LayerScale":  # of ConvNeXt
            return ["gamma"], []
        case "BatchNormalization":
            scale = ["gamma"] if settings.flag("scale", default=True) else []
            shift = ["beta"] if settings.flag("center", default=True) else []
            return scale + shift, ["moving_mean", "moving_variance"]
        case "LayerNormalization":
            scale = ["gamma"] if settings.flag("scale", default=True) else []
            return scale + (["beta"] if settings.flag("center", default=True) else []), []
        case "Normalization":
            told = settings.get("mean") is not None and settings.get("variance") is not None
            return [], [] if told else ["mean", "variance", "count"]
        case _:
            return [], []
    return trainable + (["bias"] if settings.flag("use_bias", default=True) else []), []


def convert_layer(
    graph: KerasGraph, layer: KerasLayer, arrays: Arrays, inputs: Sequence[Tensor]
) -> Tensor:
    """Add the nodes of one call of a layer.

    Raises WeightsError where the layer, a setting of it or the shape it is given cannot be
    converted.
    """
    name = layer.class_name
    if name in MERGING_LAYERS:
        return MERGING_LAYERS[name](graph, layer.settings, inputs)
    if len(inputs) != 1:
        raise layer.settings.error(f"takes one tensor, got {len(inputs)}")
    tensor = inputs[0]
    if name in INERT_LAYERS:
        return tensor
    if name in ACTIVATION_LAYERS:
        return ACTIVATION_LAYERS[name](graph, tensor, layer.settings)
    if name in SERIES_LAYERS:
        wide, wide_arrays = layer_of_images(layer, arrays)
        image = as_image(graph, tensor, layer.settings)
        result = convert_layer(graph, wide, wide_arrays, [image])
        return as_series(graph, result, layer.settings)
    if name not in WINDOW_LAYERS and name not in WEIGHTED_LAYERS:
        raise layer.settings.error(_unknown_layer(name))
    is_first = _is_channels_first(layer, tensor)
    if is_first:
        tensor = graph.from_first(tensor)
    if name in WINDOW_LAYERS:
        check_images(tensor, layer.settings)
        result = WINDOW_LAYERS[name](graph, tensor, layer.settings)
    else:
        result = WEIGHTED_LAYERS[name](graph, layer, arrays, tensor)
    return graph.to_first(result) if is_first and len(result.shape) == 3 else result


def _is_channels_first(layer: KerasLayer, tensor: Tensor) -> bool:
    """Whether a layer takes images as (channels, height, width), whatever its neighbours do."""
    settings = layer.settings
    order = settings.choice("data_format", {"channels_first", "channels_last"}, "channels_last")
    if order == "channels_last" or len(tensor.shape) != 3:
        return False
    if is_softmax(settings):
        raise settings.error("a softmax over the columns of channels_first cannot be converted")
    return True


def _unknown_layer(name: str) -> str:
    if name in {"Lambda", "TFOpLambda", "SlicingOpLambda"}:
        return (
            f"{name} layers hold Python code or calls of TensorFlow; files are read without "
            "running code of others"
        )
    known = sorted(
        {
            *MERGING_LAYERS,
            *INERT_LAYERS,
            *ACTIVATION_LAYERS,
            *SERIES_LAYERS,
            *WINDOW_LAYERS,
            *WEIGHTED_LAYERS,
        }
    )
    return f"layers of class {name!r:.80} cannot be converted; known: {', '.join(known)}"


def _dense(graph: KerasGraph, layer: KerasLayer, arrays: Arrays, tensor: Tensor) -> Tensor:
    units = layer.settings.integer("units")
    tensor = graph.channels_last(tensor)
    features = last_size(tensor, layer.settings)
    kernel = add_weight(graph, layer, "kernel", arrays["kernel"].read((features, units)))
    shape: Shape = (*tensor.shape[:-1], units)
    if "bias" not in arrays:
        result = Tensor(graph.node("MatMul", [tensor.name, kernel]), shape)
        return activate(graph, result, layer.settings)
    bias = add_weight(graph, layer, "bias", arrays["bias"].read((units,)))
    if len(shape) == 1:
        result = Tensor(graph.node("Gemm", [tensor.name, kernel, bias]), shape)
    else:
        product = graph.node("MatMul", [tensor.name, kernel])
        result = Tensor(graph.node("Add", [product, bias]), shape)
    return activate(graph, result, layer.settings)


def _batch_normalization(
    graph: KerasGraph, layer: KerasLayer, arrays: Arrays, tensor: Tensor
) -> Tensor:
    settings = layer.settings
    if settings.get("mode", 0) != 0:
        raise settings.error("only mode 0 of Keras 1 batch normalisation can be converted")
    axis = settings.axis(len(tensor.shape) + 1)
    channels = tensor.shape[axis - 1]
    if channels is None:
        raise settings.error(f"needs a fixed size along axis {axis}, got shape {tensor.shape}")
    stored = {role: array.read((channels,)) for role, array in arrays.items()}
    epsilon = settings.number("epsilon", 1e-3)
    if (stored["moving_variance"] + epsilon <= 0).any():
        raise settings.error("holds a negative moving variance; the file is damaged")
    gamma = stored.get("gamma", np.ones(channels, np.float32))
    beta = stored.get("beta", np.zeros(channels, np.float32))
    is_first = axis == 1 and len(tensor.shape) == 3
    if is_first or (axis == len(tensor.shape) and len(tensor.shape) in {1, 3}):
        # The operator that ONNX Runtime folds into the convolution before it.
        if len(tensor.shape) == 3:
            tensor = graph.from_first(tensor) if is_first else graph.channels_first(tensor)
        values = (gamma, beta, stored["moving_mean"], stored["moving_variance"])
        roles = ("gamma", "beta", "moving_mean", "moving_variance")
        names = [add_weight(graph, layer, role, v) for role, v in zip(roles, values, strict=True)]
        result = graph.elementwise("BatchNormalization", tensor, *names, epsilon=epsilon)
        return graph.to_first(result) if is_first else result
    tensor = graph.channels_last(tensor)
    scale = gamma / np.sqrt(stored["moving_variance"].astype(np.float64) + epsilon)
    shift = beta - stored["moving_mean"] * scale
    along = [1] * axis + [channels] + [1] * (len(tensor.shape) - axis)
    factor = add_weight(graph, layer, "scale", scale.astype(np.float32).reshape(along))
    offset = add_weight(graph, layer, "shift", shift.astype(np.float32).reshape(along))
    return graph.elementwise("Add", graph.elementwise("Mul", tensor, factor), offset)


def _layer_normalization(
    graph: KerasGraph, layer: KerasLayer, arrays: Arrays, tensor: Tensor
) -> Tensor:
    settings = layer.settings
    if settings.flag("rms_scaling", default=False):
        raise settings.error("rms_scaling cannot be converted")
    rank = len(tensor.shape) + 1
    given = settings.get("axis", -1)
    axes = sorted({a % rank for a in (given if isinstance(given, list) else [given])})
    if not axes or axes[0] == 0:
        raise settings.error(f"axis={given!r:.80} of tensors with {rank} axes cannot be converted")
    tensor = graph.channels_last(tensor)
    mean = graph.node("ReduceMean", [tensor.name, graph.integers(axes)])
    centred = graph.elementwise("Sub", tensor, mean)
    square = graph.node("Mul", [centred.name, centred.name])
    variance = graph.node("ReduceMean", [square, graph.integers(axes)])
    epsilon = graph.scalar(settings.number("epsilon", 1e-3))
    spread = graph.node("Sqrt", [graph.node("Add", [variance, epsilon])])
    result = graph.elementwise("Div", centred, spread)
    for role, operator in (("gamma", "Mul"), ("beta", "Add")):
        if role in arrays:
            sizes = [tensor.shape[axis - 1] for axis in axes]
            known = tuple(size for size in sizes if size is not None)
            if len(known) < len(axes):
                raise settings.error(f"needs a fixed size along its axes, got {tensor.shape}")
            along = [1] * (rank - 1)
            for axis, size in zip(axes, known, strict=True):
                along[axis - 1] = size
            values = arrays[role].read(known).reshape(along)
            result = graph.elementwise(operator, result, add_weight(graph, layer, role, values))
    return result


def _prelu(graph: KerasGraph, layer: KerasLayer, arrays: Arrays, tensor: Tensor) -> Tensor:
    shared = layer.settings.integers("shared_axes", minimum=1)
    shape = [1 if i in shared else size for i, size in enumerate(tensor.shape, start=1)]
    if None in shape:
        raise layer.settings.error(f"needs a fixed size on unshared axes, got {tensor.shape}")
    alpha = arrays["alpha"].read(tuple(size for size in shape if size is not None))
    if tensor.channels_first:
        alpha = alpha.transpose(2, 0, 1)
    role = "alpha, channels first" if tensor.channels_first else "alpha"
    return graph.elementwise("PRelu", tensor, add_weight(graph, layer, role, alpha))


def _rescaling(graph: KerasGraph, layer: KerasLayer, _arrays: Arrays, tensor: Tensor) -> Tensor:
    settings = layer.settings
    if isinstance(settings.get("scale"), list) or isinstance(settings.get("offset"), list):
        tensor = graph.channels_last(tensor)
        size = last_size(tensor, layer.settings)
        scale = np.array(settings.numbers("scale", size), dtype=np.float32)
        offset = np.array(settings.numbers("offset", size, 0.0), dtype=np.float32)
        names = add_weight(graph, layer, "scale", scale), add_weight(graph, layer, "offset", offset)
    else:
        names = graph.scalar(settings.number("scale")), graph.scalar(settings.number("offset", 0.0))
    return graph.elementwise("Add", graph.elementwise("Mul", tensor, names[0]), names[1])


def _layer_scale(graph: KerasGraph, layer: KerasLayer, arrays: Arrays, tensor: Tensor) -> Tensor:
    tensor = graph.channels_last(tensor)
    gamma = arrays["gamma"].read((last_size(tensor, layer.settings),))
    return graph.elementwise("Mul", tensor, add_weight(graph, layer, "gamma", gamma))


def _normalization(graph: KerasGraph, layer: KerasLayer, arrays: Arrays, tensor: Tensor) -> Tensor:
    settings = layer.settings
    if settings.flag("invert", default=False):
        raise settings.error("a normalisation that is inverted cannot be converted")
    tensor = graph.channels_last(tensor)
    axes = settings.get("axis", -1)
    axes = axes if isinstance(axes, list) else [axes]
    if axes not in ([-1], [len(tensor.shape)]):
        raise settings.error(f"axis={axes!r:.80} cannot be converted; it must be the last one")
    size = last_size(tensor, layer.settings)
    if "mean" in arrays:
        mean, variance = arrays["mean"].read((size,)), arrays["variance"].read((size,))
    else:
        mean, variance = (
            np.array(settings.numbers(key, size), dtype=np.float32) for key in ("mean", "variance")
        )
    # as Keras: a variance of 0 divides by its epsilon
    spread = np.maximum(np.sqrt(np.maximum(variance, 0)), np.float32(1e-7))
    centred = graph.elementwise("Sub", tensor, add_weight(graph, layer, "mean", mean))
    return graph.elementwise("Div", centred, add_weight(graph, layer, "spread", spread))


def _permute(graph: KerasGraph, layer: KerasLayer, _arrays: Arrays, tensor: Tensor) -> Tensor:
    order = layer.settings.integers("dims", minimum=1)
    if sorted(order) != list(range(1, len(tensor.shape) + 1)):
        raise layer.settings.error(f"dims={order} is no order of the axes of {tensor.shape}")
    name = graph.node("Transpose", [graph.channels_last(tensor).name], perm=[0, *order])
    return Tensor(name, tuple(tensor.shape[axis - 1] for axis in order))


def _repeat_vector(graph: KerasGraph, layer: KerasLayer, _arrays: Arrays, tensor: Tensor) -> Tensor:
    times = layer.settings.integer("n")
    if len(tensor.shape) != 1:
        raise layer.settings.error(f"needs vectors, got shape {tensor.shape}")
    column = graph.node("Unsqueeze", [tensor.name, graph.integers([1])])
    name = graph.node("Tile", [column, graph.integers([1, times, 1])])
    return Tensor(name, (times, *tensor.shape))


def _flatten(graph: KerasGraph, layer: KerasLayer, _arrays: Arrays, tensor: Tensor) -> Tensor:
    tensor = graph.channels_last(tensor)
    if len(tensor.shape) == 2 and layer.settings.get("data_format") == "channels_first":
        tensor = Tensor(graph.node("Transpose", [tensor.name], perm=[0, 2, 1]), tensor.shape[::-1])
    size = None if None in tensor.shape else math.prod(s for s in tensor.shape if s is not None)
    return Tensor(graph.node("Flatten", [tensor.name], axis=1), (size,))


def _reshape(graph: KerasGraph, layer: KerasLayer, _arrays: Arrays, tensor: Tensor) -> Tensor:
    target = layer.settings.integers("target_shape", minimum=-1)
    tensor = graph.channels_last(tensor)
    known = math.prod(size for size in target if size != -1)
    if 0 in target or target.count(-1) > 1:
        raise layer.settings.error(f"target_shape={target} cannot be converted")
    shape: list[int | None] = [None if size == -1 else size for size in target]
    if None not in tensor.shape:
        size = math.prod(s for s in tensor.shape if s is not None)
        if size % known or (None not in shape and size != known):
            raise layer.settings.error(f"cannot reshape {tensor.shape} to {target}")
        shape = [size // known if s is None else s for s in shape]
    name = graph.node("Reshape", [tensor.name, graph.integers([0, *(s or -1 for s in shape)])])
    return Tensor(name, tuple(shape))


WEIGHTED_LAYERS: dict[str, LayerConverter] = {
    "Dense": _dense,
    **CONVOLUTION_LAYERS,
    "BatchNormalization": _batch_normalization,
    "LayerNormalization": _layer_normalization,
    "PReLU": _prelu,
    "LayerScale": _layer_scale,
    "Normalization": _normalization,
    "Permute": _permute,
    "RepeatVector": _repeat_vector,
    "Rescaling": _rescaling,
    "Flatten": _flatten,
    "Reshape": _reshape,
}
