"""Batch normalisation at inference as part of the layer before it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["fold_batch_norm"]

_Array = NDArray[np.float32]


def fold_batch_norm(
    weight: _Array,
    *,
    scale: _Array,
    shift: _Array,
    mean: _Array,
    var: _Array,
    epsilon: float,
) -> tuple[_Array, _Array]:
    """Return weight and bias of one layer that does the work of a layer and its normalisation.

    `weight` (n_out, ...) float32; `scale, shift, mean, var` (n_out,) float32; returns (n_out, ...)
    and (n_out,) float32.
    """
    # in double precision, so that each number is rounded once
    factor = scale.astype(np.float64) / np.sqrt(var.astype(np.float64) + epsilon)  # (n_out,)
    folded = weight * factor.reshape(-1, *[1] * (weight.ndim - 1))
    bias = shift - mean * factor
    return folded.astype(np.float32), bias.astype(np.float32)
