"""InceptionResnetV1 as a table: every layer with its sizes and its names.

The one description of the network. The torch module, the ONNX graph, the check of state dicts
and the reader of Keras files are built from it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimators.exceptions import WeightsError
from emotion_estimators.networks._batch_norm import fold_batch_norm

__all__ = [
    "BATCH_NORM_EPSILON",
    "LAYERS",
    "MIN_IMAGE_SIZE",
    "N_FEATURES",
    "N_POOLED",
    "Block",
    "Conv",
    "MaxPool",
    "all_convolutions",
    "check_state",
    "fold_state",
    "random_state",
    "state_shapes",
]

State = dict[str, NDArray[np.float32]]

N_POOLED = 1792  # channels before the last pooling
N_FEATURES = 512
MIN_IMAGE_SIZE = 75  # a pixel less, and nothing is left for the last blocks
BATCH_NORM_EPSILON = 1e-3


@dataclass(frozen=True)
class Conv:
    """A convolution without bias, batch normalisation, ReLU."""

    name: str
    keras_name: str
    n_in: int
    n_out: int
    kernel: tuple[int, int]
    stride: int
    padding: tuple[int, int]


@dataclass(frozen=True)
class MaxPool:
    """The maximum of 3 x 3 pixels, every second pixel, without padding."""

    name: str


@dataclass(frozen=True)
class Block:
    """Branches side by side, their channels joined."""

    name: str
    keras_name: str
    n_in: int
    branches: tuple[tuple[Conv | MaxPool, ...], ...]
    scale: float | None
    activate: bool

    @property
    def n_joined(self) -> int:
        """Channels of all branches together."""
        lasts = [branch[-1] for branch in self.branches]
        return sum(last.n_out if isinstance(last, Conv) else self.n_in for last in lasts)


def _stem(name: str, n_in: int, n_out: int, side: int, *, stride: int = 1, pad: int = 0) -> Conv:
    keras_name = f"C{name[1:]}_{side}x{side}"
    return Conv(name, keras_name, n_in, n_out, (side, side), stride, (pad, pad))


# Channels and kernel of a convolution; "s": every second pixel, no padding.
_Recipe = tuple[int, int, int] | tuple[int, int, int, str]


def _block(
    name: str,
    keras_name: str,
    n_in: int,
    recipes: list[list[_Recipe]],
    *,
    scale: float | None,
    activate: bool = True,
) -> Block:
    """Return a block; the names in it follow from the shapes of its branches."""
    branches: list[tuple[Conv | MaxPool, ...]] = []
    for number, recipe in enumerate(recipes):
        layers: list[Conv | MaxPool] = []
        n_before = n_in
        for position, (n_out, height, width, *strided) in enumerate(recipe):
            if strided:
                place = "1a_"
            elif scale is not None and len(recipe) == 1:
                place = ""
            else:
                place = f"0{'abc'[position]}_"
            layers.append(
                Conv(
                    name=f"{name}.branch{number}{f'.{position}' if len(recipe) > 1 else ''}",
                    keras_name=f"{keras_name}_Branch_{number}_Conv2d_{place}{height}x{width}",
                    n_in=n_before,
                    n_out=n_out,
                    kernel=(height, width),
                    stride=2 if strided else 1,
                    padding=(0, 0) if strided else (height // 2, width // 2),
                )
            )
            n_before = n_out
        branches.append(tuple(layers))
    if scale is None:
        branches.append((MaxPool(f"{name}.branch{len(recipes)}"),))
    return Block(name, keras_name, n_in, tuple(branches), scale, activate)


_BLOCK35: list[list[_Recipe]] = [
    [(32, 1, 1)],
    [(32, 1, 1), (32, 3, 3)],
    [(32, 1, 1), (32, 3, 3), (32, 3, 3)],
]
_BLOCK17: list[list[_Recipe]] = [[(128, 1, 1)], [(128, 1, 1), (128, 1, 7), (128, 7, 1)]]
_BLOCK8: list[list[_Recipe]] = [[(192, 1, 1)], [(192, 1, 1), (192, 1, 3), (192, 3, 1)]]
_MIXED_6A: list[list[_Recipe]] = [
    [(384, 3, 3, "s")],
    [(192, 1, 1), (192, 3, 3), (256, 3, 3, "s")],
]
_MIXED_7A: list[list[_Recipe]] = [
    [(256, 1, 1), (384, 3, 3, "s")],
    [(256, 1, 1), (256, 3, 3, "s")],
    [(256, 1, 1), (256, 3, 3), (256, 3, 3, "s")],
]

LAYERS: tuple[Conv | MaxPool | Block, ...] = (
    _stem("conv2d_1a", 3, 32, 3, stride=2),
    _stem("conv2d_2a", 32, 32, 3),
    _stem("conv2d_2b", 32, 64, 3, pad=1),
    MaxPool("maxpool_3a"),
    _stem("conv2d_3b", 64, 80, 1),
    _stem("conv2d_4a", 80, 192, 3),
    _stem("conv2d_4b", 192, 256, 3, stride=2),
    *(_block(f"repeat_1.{i}", f"Block35_{i + 1}", 256, _BLOCK35, scale=0.17) for i in range(5)),
    _block("mixed_6a", "Mixed_6a", 256, _MIXED_6A, scale=None),
    *(_block(f"repeat_2.{i}", f"Block17_{i + 1}", 896, _BLOCK17, scale=0.1) for i in range(10)),
    _block("mixed_7a", "Mixed_7a", 896, _MIXED_7A, scale=None),
    *(_block(f"repeat_3.{i}", f"Block8_{i + 1}", 1792, _BLOCK8, scale=0.2) for i in range(5)),
    _block("block8", "Block8_6", 1792, _BLOCK8, scale=1.0, activate=False),
)


def all_convolutions() -> Iterator[Conv]:
    """Yield the convolutions with batch normalisation, in order."""
    for layer in LAYERS:
        for branch in layer.branches if isinstance(layer, Block) else ((layer,),):
            yield from (part for part in branch if isinstance(part, Conv))


def state_shapes() -> dict[str, tuple[int, ...]]:
    """Return the shape of every array that a state dict must hold, by its name."""
    shapes: dict[str, tuple[int, ...]] = {}

    def add_norm(name: str, n: int) -> None:
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.{part}"] = (n,)

    for conv in all_convolutions():
        shapes[f"{conv.name}.conv.weight"] = (conv.n_out, conv.n_in, *conv.kernel)
        add_norm(f"{conv.name}.bn", conv.n_out)
    for layer in LAYERS:
        if isinstance(layer, Block) and layer.scale is not None:
            shapes[f"{layer.name}.conv2d.weight"] = (layer.n_in, layer.n_joined, 1, 1)
            shapes[f"{layer.name}.conv2d.bias"] = (layer.n_in,)
    shapes["last_linear.weight"] = (N_FEATURES, N_POOLED)
    add_norm("last_bn", N_FEATURES)
    return shapes


def check_state(state: Mapping[str, Any], source: str) -> State:
    """Return the arrays of a state dict that a prediction needs, once all of them are right.

    Raises WeightsError if arrays are missing, unknown, of another shape or not finite: the state
    dict is of another network, or damaged.
    """
    shapes = state_shapes()
    names = [
        name
        for name in state
        if name not in {"logits.weight", "logits.bias"} and not _is_counter(name, shapes)
    ]
    missing = [name for name in shapes if name not in state]
    unknown = [name for name in names if name not in shapes]
    if missing or unknown:
        raise WeightsError(
            f"{source}: expected the state dict of an InceptionResnetV1 with the names of "
            f"facenet-pytorch; {_some('missing', missing)}, {_some('unexpected', unknown)}."
        )
    checked: State = {}
    for name, shape in shapes.items():
        values = np.asarray(state[name])
        if values.shape != shape:
            raise WeightsError(
                f"{source}: expected {name} of shape {shape}, got {values.shape}; it is the state "
                "dict of another network."
            )
        if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
            raise WeightsError(
                f"{source}: expected {name} to hold finite numbers, got "
                f"{'NaN or infinity' if values.dtype.kind == 'f' else values.dtype}."
            )
        if name.endswith(".running_var") and values.min() < 0:
            raise WeightsError(f"{source}: {name} is a variance, and holds negative numbers.")
        checked[name] = np.ascontiguousarray(values, dtype=np.float32)
    return checked


def fold_state(state: State) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Return weight and bias of every layer, with nothing left to do beside them."""

    def fold(weight: str, norm: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return fold_batch_norm(
            state[weight],
            scale=state[f"{norm}.weight"],
            shift=state[f"{norm}.bias"],
            mean=state[f"{norm}.running_mean"],
            var=state[f"{norm}.running_var"],
            epsilon=BATCH_NORM_EPSILON,
        )

    layers = {c.name: fold(f"{c.name}.conv.weight", f"{c.name}.bn") for c in all_convolutions()}
    for layer in LAYERS:
        if isinstance(layer, Block) and layer.scale is not None:
            scale = np.float32(layer.scale)
            weight, bias = (state[f"{layer.name}.conv2d.{part}"] for part in ("weight", "bias"))
            layers[layer.name] = weight * scale, bias * scale
    layers["last_linear"] = fold("last_linear.weight", "last_bn")
    return layers


def _is_counter(name: str, shapes: Mapping[str, Any]) -> bool:
    stem, _, last = name.rpartition(".")
    return last == "num_batches_tracked" and f"{stem}.running_var" in shapes


def _some(what: str, names: list[str]) -> str:
    if not names:
        return f"none {what}"
    shown = ", ".join(f"{name:.60}" for name in names[:3])
    return f"{len(names)} {what} ({shown}{', ...' if len(names) > 3 else ''})"


def random_state(seed: int | np.random.Generator) -> State:
    """Return a state dict of random weights under which distinct images stay distinct."""
    generator = np.random.default_rng(seed)
    state: State = {}
    for name, shape in state_shapes().items():
        last = name.rpartition(".")[2]
        if len(shape) > 1:
            # He et al. (2015): activations keep their size through ReLUs.
            values = generator.standard_normal(shape, dtype=np.float32)
            values *= np.float32(math.sqrt(2 / math.prod(shape[1:])))
        elif last == "running_var" or last == "weight":
            values = generator.uniform(0.8, 1.2, shape).astype(np.float32)
        else:
            values = generator.normal(0, 0.1, shape).astype(np.float32)
        state[name] = values
    return state
