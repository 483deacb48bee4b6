"""Where a network is trained and in which precision; imports torch."""

from __future__ import annotations

import torch

__all__ = ["autocast_dtype", "choose_device"]


def choose_device(device: str, *, needed_by: str) -> torch.device:
    """Return the device that `device` names; ``"auto"`` is CUDA where it is, else the CPU.

    Raises
    ------
    ValueError
        If torch does not know the name, or CUDA is asked for and not there.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise ValueError(
            f"{needed_by} expected device to be 'auto' or a torch device such as 'cpu' or "
            f"'cuda:0', got {device!r}."
        ) from error
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"{needed_by} got device={device!r}, but torch finds no CUDA device. Use "
            "device='auto' to fall back to the CPU."
        )
    return chosen


def autocast_dtype(mixed_precision: bool | str, device: torch.device) -> torch.dtype | None:
    """Return the dtype in which the convolutions of training run, None for float32.

    ``"auto"`` takes bfloat16 where the hardware multiplies in it: there it is about twice as
    fast, elsewhere it is emulated and slower than float32.
    """
    if mixed_precision is True:
        return torch.bfloat16
    if mixed_precision is False:
        return None
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else None
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):
        return None
    capabilities = torch.cpu.get_capabilities()
    has_bfloat16 = capabilities.get("avx512_bf16", False) or capabilities.get("amx_bf16", False)
    return torch.bfloat16 if has_bfloat16 else None
