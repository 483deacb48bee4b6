"""A frozen InceptionResnetV1 on torch, in float32 or bfloat16, on CPU or CUDA.

Imports torch, so import this module only where it is needed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from emotion_estimators.networks._inception_resnet_v1_layers import (
    LAYERS,
    N_FEATURES,
    Block,
    Conv,
    MaxPool,
    State,
    fold_state,
)

__all__ = ["TorchFaceNetwork", "embed_folded", "fold_to_tensors"]

Weights = dict[str, tuple[Tensor, Tensor]]

_running = threading.Lock()


def fold_to_tensors(state: State, *, device: str, dtype: torch.dtype) -> Weights:
    """Return weight and bias of every layer, with normalisation and scales folded in.

    Parameters
    ----------
    state : dict of str to ndarray of float32
        A state dict with the names of facenet-pytorch.
    device : str
        Where they are to lie.
    dtype : torch.dtype
        Of the convolutions; the last layer stays float32.

    Returns
    -------
    weights : dict of str to (Tensor, Tensor)
    """
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

    Parameters
    ----------
    weights : dict of str to (Tensor, Tensor)
        As `fold_to_tensors` returns them.
    images : Tensor of shape (n, 3, height, width)
        Of the type of the weights, channels last in memory.

    Returns
    -------
    embeddings : float32 Tensor of shape (n, 512), not normalised
    """
    x = images
    for layer in LAYERS:
        x = _run(layer, x, weights)
    weight, bias = weights["last_linear"]
    return functional.linear(x.float().mean(dim=(2, 3)), weight, bias)  # (n, 512)


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
    """The network on torch; see `emotion_estimators.networks.face_network.FaceNetwork`.

    Parameters
    ----------
    state : dict of str to ndarray of float32
        A state dict with the names of facenet-pytorch.
    device : str
        "cpu" or a CUDA device.
    precision : {"float32", "bfloat16"}
        Of the convolutions.
    n_threads : int
        CPU threads.
    """

    def __init__(self, state: State, *, device: str, precision: str, n_threads: int) -> None:
        self.dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
        self.device = torch.device(device)
        self.n_threads = n_threads
        self.weights = fold_to_tensors(state, device=device, dtype=self.dtype)

    def __call__(self, images: NDArray[np.float32], *, batch_size: int = 32) -> NDArray[np.float32]:
        """Return the vectors, (n, 512), of standardised faces (n, 3, height, width)."""
        embeddings = np.empty((len(images), N_FEATURES), np.float32)
        with _threads(self.n_threads), torch.inference_mode():
            for start in range(0, len(images), batch_size):
                batch = torch.from_numpy(np.ascontiguousarray(images[start : start + batch_size]))
                n_real = len(batch)
                # Kernels may be chosen by the size of the batch, and round differently.
                batch = functional.pad(batch, (0, 0) * 3 + (0, batch_size - n_real))
                batch = batch.to(self.device, self.dtype, memory_format=torch.channels_last)
                vectors = embed_folded(self.weights, batch)
                embeddings[start : start + n_real] = vectors[:n_real].cpu().numpy()
        return embeddings


@contextmanager
def _threads(n: int) -> Iterator[None]:
    """Let torch use n threads inside the block, by one caller at a time."""
    with _running:
        before = torch.get_num_threads()
        torch.set_num_threads(n)
        try:
            yield
        finally:
            torch.set_num_threads(before)
