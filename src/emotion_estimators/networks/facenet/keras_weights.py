"""The weights of keras-facenet, an HDF5 file, as a state dict of InceptionResnetV1."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_estimators.exceptions import WeightsError
from emotion_estimators.networks.facenet.layers import (
    LAYERS,
    N_FEATURES,
    N_POOLED,
    Block,
    State,
    all_convolutions,
)
from emotion_estimators.networks.keras_hdf5.file import KerasFile, open_keras_file
from emotion_estimators.networks.keras_hdf5.model import last_word

__all__ = ["read_keras_facenet"]

_NORM = {"beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}


def read_keras_facenet(path: str | Path) -> State:
    """Read the network of keras-facenet, saved by ``save_weights`` or ``save``.

    Raises OSError if the file cannot be read; WeightsError if it is damaged, or of another network.

    Layers are found by the names that keras-facenet gives them, arrays in a layer by their own. Its
    batch normalisation has no scale; a scale of one stands in the state dict.
    """
    with open_keras_file(path) as file:
        reader = _Reader(file)
        for conv in all_convolutions():
            reader.kernel(
                conv.keras_name, f"{conv.name}.conv", (conv.n_out, conv.n_in, *conv.kernel)
            )
            reader.norm(f"{conv.keras_name}_BatchNorm", f"{conv.name}.bn", conv.n_out)
        for layer in LAYERS:
            if isinstance(layer, Block) and layer.scale is not None:
                name = f"{layer.keras_name}_Conv2d_1x1"
                reader.kernel(name, f"{layer.name}.conv2d", (layer.n_in, layer.n_joined, 1, 1))
                reader.vector(name, "bias", f"{layer.name}.conv2d.bias", layer.n_in)
        reader.kernel("Bottleneck", "last_linear", (N_FEATURES, N_POOLED))
        reader.norm("Bottleneck_BatchNorm", "last_bn", N_FEATURES)
        reader.finish()
    return reader.state


class _Reader:
    """Reads array by array; what is missing is reported at the end, all at once."""

    def __init__(self, file: KerasFile) -> None:
        self.file = file
        self.state: State = {}
        self.missing: list[str] = []

    def array(self, layer: str, role: str, shape: tuple[int, ...]) -> NDArray[np.float32] | None:
        found = [a for a in self.file.layer_arrays(layer) if last_word(a.name) == role]
        return found[0].read(shape) if found else None

    def kernel(self, layer: str, name: str, shape: tuple[int, ...]) -> None:
        """Keras stores (height, width, n_in, n_out), torch (n_out, n_in, height, width)."""
        values = self.array(layer, "kernel", (*shape[2:], shape[1], shape[0]))
        if values is None:
            self.missing.append(f"{layer}/kernel")
            return
        axes = (3, 2, 0, 1) if values.ndim == 4 else (1, 0)
        self.state[f"{name}.weight"] = np.ascontiguousarray(values.transpose(axes))

    def vector(self, layer: str, role: str, name: str, size: int) -> None:
        values = self.array(layer, role, (size,))
        if values is None:
            self.missing.append(f"{layer}/{role}")
        else:
            self.state[name] = values

    def norm(self, layer: str, name: str, size: int) -> None:
        for role, part in _NORM.items():
            self.vector(layer, role, f"{name}.{part}", size)
        scale = self.array(layer, "gamma", (size,))
        self.state[f"{name}.weight"] = np.ones(size, np.float32) if scale is None else scale

    def finish(self) -> None:
        if self.missing:
            shown = ", ".join(self.missing[:3]) + (", ..." if len(self.missing) > 3 else "")
            raise WeightsError(
                f"{self.file.source}: expected the weights of keras-facenet, lacks "
                f"{len(self.missing)} arrays ({shown}); it is of another network."
            )
