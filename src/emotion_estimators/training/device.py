"""Where a network is trained, in which precision, and with which algorithms; imports torch."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from emotion_estimators.networks.layers import StridedConv2d
from emotion_estimators.networks.torch_settings import exact_convolutions

__all__ = ["autocast_dtype", "choose_device", "exact_convolutions", "training_dtype"]


def choose_device(device: str, *, needed_by: str) -> torch.device:
    """Return the device that `device` names, with its index if it is a CUDA device.

    Raises ValueError if it is neither the CPU nor a CUDA device that torch finds.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(device)
    except RuntimeError:
        chosen = None
    if chosen is None or chosen.type not in ("cpu", "cuda"):
        raise ValueError(
            f"{needed_by} expected device to be 'auto', 'cpu' or a CUDA device such as 'cuda' or "
            f"'cuda:1', got {device!r}."
        )
    if chosen.type == "cpu":
        return torch.device("cpu")
    n_devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if n_devices == 0 or (chosen.index or 0) >= n_devices:
        raise ValueError(
            f"{needed_by} got device={device!r}, but torch finds {n_devices or 'no'} CUDA "
            f"device{'s' * (n_devices != 1)}. Use device='auto' to fall back to the CPU."
        )
    index = torch.cuda.current_device() if chosen.index is None else chosen.index
    return torch.device("cuda", index)


def autocast_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """Return the dtype in which the convolutions of training run, None for float32.

    ``"auto"`` takes bfloat16 where the hardware multiplies in it: there it is about twice as
    fast, elsewhere it is emulated and slower than float32. bfloat16 has the range of float32,
    so that gradients need no scaling.
    """
    if precision != "auto":
        return torch.bfloat16 if precision == "bfloat16" else None
    if device.type == "cuda":
        is_native = torch.version.hip or torch.cuda.get_device_capability(device) >= (8, 0)
        return torch.bfloat16 if is_native else None
    if not hasattr(torch.cpu, "get_capabilities"):
        return None
    capabilities = torch.cpu.get_capabilities()
    has_bfloat16 = capabilities.get("avx512_bf16", False) or capabilities.get("amx_bf16", False)
    return torch.bfloat16 if has_bfloat16 else None


def training_dtype(
    network: nn.Module, shape: tuple[int, ...], precision: str, device: torch.device
) -> torch.dtype | None:
    """Return the dtype of `autocast_dtype`, but None where torch would be wrong in bfloat16.

    On the CPU its strided convolutions, other than `StridedConv2d`, read memory that nobody has
    set where maps are no wider than the stride. `shape` is that of an image, (channels, height,
    width).
    """
    dtype = autocast_dtype(precision, device)
    is_right = dtype is None or device.type != "cpu" or not _has_narrow_maps(network, shape)
    return dtype if is_right else None


def _has_narrow_maps(network: nn.Module, shape: tuple[int, ...]) -> bool:
    """Tell whether a strided convolution of torch's own gets maps no wider than its stride."""
    suspects = [
        name
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d)
        and not isinstance(layer, StridedConv2d)
        and layer.stride[1] > 1
    ]
    if not suspects:
        return False
    found = []

    def look(layer: Any, given: tuple[torch.Tensor, ...]) -> None:
        found.append(given[0].shape[-1] <= layer.stride[1])

    asked = copy.deepcopy(network).eval()  # so that nothing of this reaches the network
    for name in suspects:
        asked.get_submodule(name).register_forward_pre_hook(look)
    with torch.no_grad():
        asked(torch.zeros(2, *shape))
    return any(found)
