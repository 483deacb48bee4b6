"""Weights of a file with which the training of an `EmotionCNN` begins; imports torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emotion_estimators._untrusted import read_json
from emotion_estimators.exceptions import WeightsError
from emotion_estimators.networks.emotion import EMOTION_NETWORKS, EmotionCNN
from emotion_estimators.networks.layers import ConvBlock
from emotion_estimators.networks.onnx.reader import data_files, read_onnx_file, stored_arrays
from emotion_estimators.networks.torch_settings import torch_as_shipped
from emotion_estimators.training.batches import as_network_input
from emotion_estimators.training.inference import predicting, restore_network
from emotion_estimators.weights import fetch_weights, file_sha256
from emotion_estimators.weights.files import files_sha256

__all__ = ["FirstWeights", "find_first_weights"]

_EMBEDDED = "embedded"
_MAX_JSON = 1_000_000  # bytes
_N_IMAGES = 256  # from which the normalisation is worked out


@dataclass(frozen=True)
class FirstWeights:
    """A file that `torch_onnx` wrote of an `EmotionCNN`, and what is known of it."""

    path: Path
    hash: str
    network: dict[str, Any]  # settings of the architecture
    classes: list[Any]
    arrays: dict[str, NDArray[Any]]

    def fit_for(
        self, architecture: Mapping[str, Any], classes: NDArray[Any], pixels: NDArray[Any]
    ) -> dict[str, NDArray[Any]]:
        """Return the weights of a network of this architecture, by their names in it.

        `classes` (n_classes,); `pixels` (n, height, width), images of the training. Where the
        classes are others than the file's, the last layers are zeros.

        Raises WeightsError if the file does not hold them.
        """

        def build() -> EmotionCNN:
            return EmotionCNN(**architecture)

        with torch_as_shipped(), torch.device("meta"):
            template = build()
        heads = {"head": ("labels", "probabilities"), "votes": ("votes",)}
        are_the_same = classes.tolist() == self.classes
        weights: dict[str, NDArray[Any]] = {
            name: np.zeros(tensor.shape, np.int64 if "tracked" in name else np.float32)
            for name, tensor in template.state_dict().items()
        }
        for name in ("pixel_mean", "pixel_std"):
            weights[name] = self._array(f"0.{name}", ())
        for name, module in template.named_modules():
            if isinstance(module, ConvBlock):
                # the file's convolutions do the work of the normalisation, which is left to do none
                for inner, outer in (("conv.weight", "kernel"), ("norm.bias", "shift")):
                    shape = weights[f"{name}.{inner}"].shape
                    weights[f"{name}.{inner}"] = self._array(f"0.{name}.{outer}", shape)
                ones = np.ones_like(weights[f"{name}.norm.bias"])
                _set_normalisation(weights, name, module.norm, 0 * ones, ones)
            elif isinstance(module, nn.Linear) and are_the_same:
                output = next((o for o in heads[name] if f"0.{o}.bias" in self.arrays), None)
                if output is None:
                    continue
                shape = weights[f"{name}.weight"].shape
                kernel = self._array(f"0.{output}.kernel", (*shape, 1, 1))
                weights[f"{name}.weight"] = kernel.reshape(shape)
                weights[f"{name}.bias"] = self._array(f"0.{output}.bias", shape[:1])
        return _with_statistics(build, weights, pixels)

    def _array(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Return an array as float32, however it is stored."""
        found = self.arrays.get(name, self.arrays.get(f"{name} in float16"))
        if found is None or found.shape != shape:
            what = "none" if found is None else f"shape {found.shape}"
            raise WeightsError(
                f"{self.path}: expected an array {name!r} of shape {shape}, got {what}: it is no "
                "file that EmotionCNNClassifier.export_onnx wrote of its own network."
            )
        return found.astype(np.float32)


def find_first_weights(owner: str, weights: str | os.PathLike[str]) -> FirstWeights:
    """Return the weights of the embedded model, or of a file.

    Raises ValueError if `weights` is neither; FileNotFoundError if there is no such file;
    WeightsError if it is no file of an `EmotionCNN`.
    """
    is_embedded = os.fspath(weights) == _EMBEDDED
    path = fetch_weights(_EMBEDDED, precision="float32") if is_embedded else Path(weights)
    wanted = (
        f"{owner} expected weights to be {_EMBEDDED!r}, the path of an .onnx file that "
        "export_onnx wrote, or None"
    )
    if path.suffix.lower() != ".onnx":
        raise ValueError(f"{wanted}, got {os.fspath(weights)!r}.")
    if not path.is_file():
        raise FileNotFoundError(f"{wanted}; there is no file {path}.")
    arrays, metadata = stored_arrays(read_onnx_file(path), path)
    known = {
        name: read_json(metadata[name], max_bytes=_MAX_JSON, name=f"{path}: its metadata {name!r}")
        for name in ("classes", "network")
        if name in metadata
    }
    # the file of 2026-11-29 does not say it
    network = known.get("network", EMOTION_NETWORKS["large"] if is_embedded else None)
    if not isinstance(network, dict) or not isinstance(known.get("classes"), list):
        raise WeightsError(
            f"{path}: its metadata do not have 'network' and 'classes': it is no file that "
            "EmotionCNNClassifier.export_onnx wrote of its own network."
        )
    # its arrays may lie in files beside it
    digest = files_sha256((path, *data_files(path, file_sha256(path))))
    return FirstWeights(path, digest, network, known["classes"], arrays)


def _set_normalisation(
    weights: dict[str, NDArray[Any]],
    name: str,
    norm: nn.BatchNorm2d,
    mean: NDArray[np.float32],
    var: NDArray[np.float32],
) -> None:
    """Let a normalisation have these statistics and go on to do nothing but add a bias.

    `weights` are changed; `mean` and `var` (n_channels,).
    """
    weights[f"{name}.norm.weight"] = np.sqrt(var + np.float32(norm.eps))
    weights[f"{name}.norm.bias"] = weights[f"{name}.norm.bias"] + mean
    weights[f"{name}.norm.running_mean"] = mean
    weights[f"{name}.norm.running_var"] = var


def _with_statistics(
    build: Callable[[], EmotionCNN], weights: dict[str, NDArray[Any]], pixels: NDArray[Any]
) -> dict[str, NDArray[Any]]:
    """Return weights of a network that answers alike, with the statistics of these images.

    In training a normalisation takes mean and variance of its batch away. So it is given scale and
    bias that bring them back, as they are in the file's network.
    """
    network = restore_network(build, weights)
    seen: dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}

    def look(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _given: Any, maps: Tensor) -> None:
            axes = (0, 2, 3)
            var = maps.var(dim=axes, unbiased=False)
            seen[name] = maps.mean(dim=axes).numpy().copy(), var.numpy().copy()

        return hook

    blocks = {n: m for n, m in network.named_modules() if isinstance(m, ConvBlock)}
    for name, block in blocks.items():
        block.conv.register_forward_hook(look(name))
    some = np.ascontiguousarray(pixels[:: -(-len(pixels) // _N_IMAGES)])
    with predicting(torch.device("cpu")):
        network.features(as_network_input(torch.from_numpy(some)))
    weights = dict(weights)
    for name, (mean, var) in seen.items():
        _set_normalisation(weights, name, blocks[name].norm, mean, var)
    return weights
