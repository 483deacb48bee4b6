"""The network that a user gives, a module or what builds one; imports torch."""

from __future__ import annotations

import copy
from typing import Any

from torch import nn

__all__ = ["given_network"]


def given_network(network: Any, *arguments: Any) -> nn.Module:
    """Return a copy of a user's module, or of what the user's function makes of the arguments.

    Raises ValueError if that is no module.
    """
    # a function may give one and the same each time
    module = copy.deepcopy(network if isinstance(network, nn.Module) else network(*arguments))
    if not isinstance(module, nn.Module):
        raise ValueError(
            f"network expected to build a torch.nn.Module, got a {type(module).__name__} from "
            f"{network!r}."
        )
    return module
