"""Where a display draws; imports matplotlib inside the function."""

from __future__ import annotations

from typing import Any

from emotion_estimators._optional import import_optional

__all__ = ["open_axes"]


def open_axes(owner: str, ax: Any, **options: Any) -> Any:
    """Return `ax`, or the Axes of a new figure of pyplot's that is made with `options`."""
    pyplot = import_optional("matplotlib.pyplot", extra="plot", needed_by=owner)
    return pyplot.subplots(layout="constrained", **options)[1] if ax is None else ax
