"""Arrays with masked values, which NumPy takes for known ones where nobody asks; imports NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["check_unmasked"]


def check_unmasked(name: str, **arrays: Any) -> None:
    """Raise ValueError if one of these, by what they are called, has masked values."""
    for called, values in arrays.items():
        if np.ma.is_masked(values):
            raise ValueError(
                f"{name} got {called} with masked values. Fill them, {called}.filled(...), or "
                "leave those rows out."
            )
