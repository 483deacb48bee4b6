"""Our own torch networks as ONNX models, written node by node.

One walk over the modules of `layers` serves them; FaceNet has a table of its own. Batch
normalisation is folded into the convolutions. Imports torch, so import this module only where it
is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from emotion_estimators.networks._batch_norm import fold_batch_norm
from emotion_estimators.networks.facenet.fine_tuned import FineTunedFacenet
from emotion_estimators.networks.facenet.onnx_model import (
    add_inception_resnet_v1,
    add_standardization,
)
from emotion_estimators.networks.layers import BottleneckBlock, ConvBlock, ResidualBlock
from emotion_estimators.networks.onnx.graph import OnnxGraph
from emotion_estimators.networks.onnx.views import add_views, mean_of_views

__all__ = ["torch_onnx"]

_ACTIVATIONS = {"softmax": ("Softmax", {"axis": 1}), "sigmoid": ("Sigmoid", {})}


def torch_onnx(
    networks: Sequence[nn.Module],
    image_size: tuple[int, int],
    *,
    heads: Sequence[Mapping[str, nn.Module]] | None = None,
    activation: str = "softmax",
    features: bool = False,
    mirrored: bool = False,
    stored: str = "float32",
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """Return networks as one ONNX model, from images (n, channels, *image_size) in 0..1.

    Its input is called ``images``. Each of `heads`, one mapping for each network, is an output of
    that name, (n, n_outputs) after the `activation`, "softmax" or "sigmoid"; None is the network's
    own `head` as ``probabilities``. With `features`, what stands before the heads, (n, n_features),
    is the last output, ``features``. Several networks give their mean. With `mirrored`, all outputs
    are the mean of an image and its mirror image. `stored` is how weights lie in the file,
    "float32", "float16" or "int8"; the arithmetic is float32.

    Raises ValueError if the networks do not fit each other, or `stored` is something else;
    TypeError if a network has other layers than those of this library.
    """
    if heads is None:
        own: list[Any] = [network.head for network in networks]
        heads = [{"probabilities": head} for head in own]
    operator, attributes = _ACTIVATIONS[activation]
    graph = _Graph(stored)
    images, n_views = add_views(graph, "images", mirrored=mirrored)
    given: dict[str, list[tuple[str, int]]] = {}
    for i, (network, named_heads) in enumerate(zip(networks, heads, strict=True)):
        pooled = graph.features(f"{i}.", network, images, image_size)  # (n, n_features, 1, 1)
        for name, head in named_heads.items():
            scores = graph.node("Flatten", [graph.layer(f"{i}.{name}", head, pooled)])
            value = graph.node(operator, [scores], **attributes)
            given.setdefault(name, []).append((value, _linears(head)[-1].out_features))
        if features:
            width = _linears(next(iter(named_heads.values())))[0].in_features
            given.setdefault("features", []).append((graph.node("Flatten", [pooled]), width))
    results: list[tuple[str, str, list[int | str]]] = []
    for name, values in given.items():
        sizes = {size for _, size in values}
        if len(sizes) > 1 or len(values) < len(networks):
            raise ValueError(
                f"torch_onnx expected networks of the same outputs, got {name} of "
                f"{sorted(sizes)} values from {len(values)} of {len(networks)}."
            )
        size = sizes.pop()
        mean = graph.node("Mean", [v for v, _ in values]) if len(values) > 1 else values[0][0]
        results.append((mean_of_views(graph, mean, n_views, size), name, ["n", size]))
    return graph.serialise(
        type(networks[0]).__name__,
        ("images", ["n", _n_channels(networks[0]), *image_size]),
        *results,
        opset=17,
        metadata=metadata,
    )


class _Graph(OnnxGraph):
    """A graph that adds whole modules; every method returns the name of its output."""

    def features(self, prefix: str, network: Any, x: str, image_size: tuple[int, int]) -> str:
        """Add the standardisation, the layers and the pooling of a network, (n, c, 1, 1)."""
        if isinstance(network, FineTunedFacenet):
            x = add_standardization(self, x, network.standardization, image_size)
            state = {name: _array(values) for name, values in network.facenet.state_dict().items()}
            return add_inception_resnet_v1(self, state, x, source="torch_onnx", prefix=prefix)
        mean = self.constant(f"{prefix}pixel_mean", _array(network.pixel_mean))
        std = self.constant(f"{prefix}pixel_std", _array(network.pixel_std))
        x = self.node("Div", [self.node("Sub", [x, mean]), std])
        trunk = getattr(network, "backbone", network)
        layers = trunk.layers if hasattr(trunk, "layers") else trunk
        return self.node("GlobalAveragePool", [self.layer(f"{prefix}layers", layers, x)])

    def layer(self, name: str, module: nn.Module, x: str) -> str:
        """Add a module that takes and gives maps, (n, c, h, w)."""
        # a subclass elsewhere may compute something else
        if not type(module).__module__.startswith(("torch.", "emotion_estimators.")):
            raise _cannot_write(module)
        if isinstance(module, nn.Sequential):
            for part, inner in module.named_children():
                x = self.layer(f"{name}.{part}", inner, x)
            return x
        if isinstance(module, ResidualBlock | BottleneckBlock):
            inside = beside = x
            for part, inner in module.named_children():
                if part == "shortcut":
                    beside = self.layer(f"{name}.{part}", inner, x)
                else:
                    inside = self.layer(f"{name}.{part}", inner, inside)
            return self.node("Relu", [self.node("Add", [beside, inside])])
        if isinstance(module, ConvBlock):
            x = self.convolution(name, module.conv, module.norm, x)
            return self.node("Relu", [x]) if module.activate else x
        if isinstance(module, nn.Linear):
            # A convolution rather than Gemm, whose sums ONNX Runtime orders by the number of rows.
            kernel = self.weight(f"{name}.kernel", _array(module.weight)[:, :, None, None])
            return self.node(
                "Conv", [x, kernel, self.constant(f"{name}.bias", _array(module.bias))]
            )
        if isinstance(module, nn.MaxPool2d):
            padding, dilation = _pair(module.padding), _pair(module.dilation)
            return self.node(
                "MaxPool",
                [x],
                kernel_shape=_pair(module.kernel_size),
                strides=_pair(module.stride),
                pads=padding + padding,
                **({} if set(dilation) == {1} else {"dilations": dilation}),
                ceil_mode=module.ceil_mode,
            )
        if isinstance(module, nn.ReLU):
            return self.node("Relu", [x])
        if isinstance(module, nn.Identity):
            return x
        raise _cannot_write(module)

    def convolution(self, name: str, conv: nn.Conv2d, norm: nn.BatchNorm2d, x: str) -> str:
        """Add a convolution without bias and the normalisation after it."""
        if norm.running_mean is None or norm.running_var is None:
            raise TypeError("torch_onnx needs batch normalisation with statistics.")
        kernel, shift = fold_batch_norm(
            _array(conv.weight),
            scale=_array(norm.weight),
            shift=_array(norm.bias),
            mean=_array(norm.running_mean),
            var=_array(norm.running_var),
            epsilon=norm.eps,
        )
        pad = [int(v) for v in conv.padding]
        weights = [self.weight(f"{name}.kernel", kernel), self.constant(f"{name}.shift", shift)]
        return self.node("Conv", [x, *weights], pads=pad + pad, strides=list(conv.stride))


def _cannot_write(module: nn.Module) -> TypeError:
    return TypeError(
        f"torch_onnx cannot write a {type(module).__name__}: it writes the layers of this "
        "library's own networks."
    )


def _array(tensor: Tensor) -> NDArray[np.float32]:
    return tensor.detach().cpu().float().numpy()


def _pair(value: int | tuple[int, int]) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)


def _linears(head: nn.Module) -> list[nn.Linear]:
    return [module for module in head.modules() if isinstance(module, nn.Linear)]


def _n_channels(network: nn.Module) -> int:
    """Return the channels of the images that a network takes."""
    return next(m.in_channels for m in network.modules() if isinstance(m, nn.Conv2d))
