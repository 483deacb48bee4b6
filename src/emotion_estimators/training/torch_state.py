"""The state of a training with torch as arrays and JSON, and back again; imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from emotion_estimators.training.progress import Weights

__all__ = [
    "arrays_of",
    "load_optimizer_state",
    "optimizer_state",
    "random_states",
    "set_random_states",
    "tensors_of",
    "weights_of",
]


def weights_of(module: nn.Module) -> Weights:
    """Return copies of weights and statistics, which the training does not change."""
    return {name: each.detach().cpu().numpy().copy() for name, each in module.state_dict().items()}


def arrays_of(value: Any) -> Any:
    """Return nested dicts and lists with arrays in the place of tensors, and Python's numbers."""
    if isinstance(value, Tensor):
        tensor = value.detach().cpu()
        # NumPy knows no bfloat16, of which float32 holds every value
        return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    if isinstance(value, Mapping):
        return {key: arrays_of(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [arrays_of(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def tensors_of(value: Any) -> Any:
    """Return nested dicts and lists with tensors in the place of arrays."""
    if isinstance(value, (np.ndarray, np.generic)):
        return torch.tensor(value)
    if isinstance(value, Mapping):
        return {key: tensors_of(item) for key, item in value.items()}
    return [tensors_of(item) for item in value] if isinstance(value, list) else value


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Return the state of an optimizer, its parameters by their numbers as text."""
    found = optimizer.state_dict()
    return found | {"state": {str(number): each for number, each in found["state"].items()}}


def load_optimizer_state(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Give an optimizer the state that `optimizer_state` and `arrays_of` have told."""
    parameters = [each for group in optimizer.param_groups for each in group["params"]]

    def like(parameter: Tensor, value: Any) -> Any:
        """Return a value in the order of memory of its parameter, which fused kernels want."""
        tensor = tensors_of(value)
        if not isinstance(tensor, Tensor) or tensor.shape != parameter.shape:
            return tensor
        return torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor)

    numbered = {
        int(number): {name: like(parameters[int(number)], each) for name, each in values.items()}
        for number, values in state["state"].items()
    }
    optimizer.load_state_dict({**tensors_of(state), "state": numbered})


def random_states(generator: torch.Generator, device: torch.device) -> dict[str, Any]:
    """Return the states of a generator and of torch's own, of the CPU and the device."""
    return {
        "generator": generator.get_state(),
        "cpu": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
    }


def set_random_states(
    states: dict[str, Any], generator: torch.Generator, device: torch.device
) -> None:
    """Put generators where they were."""
    states = tensors_of(states)
    generator.set_state(states["generator"])
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and states["cuda"] is not None:
        torch.cuda.set_rng_state(states["cuda"], device)
