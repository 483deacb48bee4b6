"""A frozen InceptionResnetV1 on torch, in float32 or bfloat16, on CPU or CUDA.

Imports torch, so import this module only where it is needed.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from emotion_estimators.networks.facenet.layers import (
    LAYERS,
    N_FEATURES,
    Block,
    Conv,
    MaxPool,
    State,
    fold_state,
)
from emotion_estimators.networks.torch_settings import (
    exact_convolutions,
    limited_threads,
    torch_as_shipped,
)

__all__ = ["TorchFaceNetwork", "embed_folded", "fold_to_tensors"]

Weights = dict[str, tuple[Tensor, Tensor]]

_SINGLES_SHARE = 0.25  # of a batch: so many faces one by one take as long as a batch, or longer
_ROWS = 32  # of each product with the last layer, whose kernel goes by their number


def fold_to_tensors(state: State, *, device: str, dtype: torch.dtype) -> Weights:
    """Return weight and bias of every layer, with normalisation and scales folded in."""
    weights: Weights = {}
    for name, arrays in fold_state(state).items():
        weight, bias = (torch.from_numpy(array).to(device) for array in arrays)
        if weight.ndim == 4:
            weight = weight.to(dtype).contiguous(memory_format=torch.channels_last)
            bias = bias.to(dtype)
        weights[name] = weight, bias
    return weights


def embed_folded(weights: Weights, images: Tensor) -> Tensor:
    """Return the vectors of faces.

    `images` (n, 3, height, width); returns (n, 512) float32.
    """
    x = images
    for layer in LAYERS:
        x = _run(layer, x, weights)
    pooled = x.float().mean(dim=(2, 3))  # (n, 1792)
    weight, bias = weights["last_linear"]
    padded = functional.pad(pooled, (0, 0, 0, -len(pooled) % _ROWS))
    blocks = padded.reshape(-1, _ROWS, padded.shape[1])
    vectors = [functional.linear(rows, weight, bias) for rows in blocks]
    return torch.cat(vectors)[: len(pooled)]  # (n, 512)


def _run(layer: Conv | MaxPool | Block, x: Tensor, weights: Weights) -> Tensor:
    if isinstance(layer, MaxPool):
        return functional.max_pool2d(x, 3, stride=2)
    if isinstance(layer, Conv):
        weight, bias = weights[layer.name]
        return functional.conv2d(x, weight, bias, layer.stride, layer.padding).relu_()
    ends = []
    for branch in layer.branches:
        end = x
        for part in branch:
            end = _run(part, end, weights)
        ends.append(end)
    joined = torch.cat(ends, dim=1)  # (n, n_joined, h, w)
    if layer.scale is None:
        return joined
    total = functional.conv2d(joined, *weights[layer.name]).add_(x)  # (n, n_in, h, w)
    return total.relu_() if layer.activate else total


class TorchFaceNetwork:
    """The network on torch; see `emotion_estimators.networks.facenet.engine.FaceNetwork`."""

    def __init__(self, state: State, *, device: str, precision: str, n_threads: int) -> None:
        self.dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
        self.device = torch.device(device)
        self.n_threads = n_threads
        with torch_as_shipped():
            self.weights = fold_to_tensors(state, device=device, dtype=self.dtype)
        self._agreements: dict[tuple[int, tuple[int, ...]], bool] = {}

    def __call__(self, images: NDArray[np.float32], *, batch_size: int = 32) -> NDArray[np.float32]:
        """Return the vectors, (n, 512), of standardised faces (n, 3, height, width)."""
        embeddings = np.empty((len(images), N_FEATURES), np.float32)
        with (
            torch_as_shipped(),
            limited_threads(self.n_threads),
            exact_convolutions(self.device, full_precision=True),
            torch.inference_mode(),
        ):
            for start in range(0, len(images), batch_size):
                rows = slice(start, min(start + batch_size, len(images)))
                embeddings[rows] = self._embed_part(images[rows], batch_size)
        return embeddings

    def _embed_part(self, images: NDArray[np.float32], batch_size: int) -> NDArray[np.float32]:
        """Return what the images give in a batch of `batch_size`, of which they are a part."""
        n = len(images)
        if n < batch_size:
            if n <= batch_size * _SINGLES_SHARE and self._singles_agree(
                batch_size, images.shape[2:]
            ):
                return np.concatenate([self._embed(image[np.newaxis]) for image in images])
            padding = np.zeros((batch_size - n, *images.shape[1:]), np.float32)
            images = np.concatenate([images, padding])
        return self._embed(images)[:n]

    def _embed(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        # torch warns of arrays that cannot be written
        batch = torch.from_numpy(np.require(images, np.float32, ["C", "W"]))
        batch = batch.to(self.device, self.dtype, memory_format=torch.channels_last)
        return embed_folded(self.weights, batch).cpu().numpy()

    def _singles_agree(self, batch_size: int, size: tuple[int, ...]) -> bool:
        """Whether a face has the same vector, bit for bit, alone and in a batch, on this machine.

        Kernels may be chosen by the size of the batch, and then round differently.
        """
        key = batch_size, size
        if key not in self._agreements:
            random = np.random.default_rng(0).standard_normal((batch_size, 3, *size), np.float32)
            together = self._embed(random)
            self._agreements[key] = all(
                np.array_equal(self._embed(random[i : i + 1])[0], together[i])
                for i in (0, batch_size // 2, batch_size - 1)
            )
        return self._agreements[key]
