"""Several views of each image inside a graph, and the mean of what a network gives for them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emotion_estimators.networks.onnx.graph import OnnxGraph

__all__ = ["add_views", "mean_of_views"]

_END = np.iinfo(np.int64).max


def add_views(
    graph: OnnxGraph, images: str, shifts: Sequence[tuple[int, int]] = (), *, mirrored: bool
) -> tuple[str, int]:
    """Add images as they are, moved by `shifts`, and the mirror images of all; and their number.

    `images` (n, c, h, w); returns the views one after the other, (n_views * n, c, h, w). Shifts are
    (down, across) in pixels; the border is repeated outwards.
    """
    views = [images]
    y, x = (max((abs(shift[axis]) for shift in shifts), default=0) for axis in (0, 1))
    if y or x:
        padded = graph.node("Pad", [images, graph.integers([0, 0, y, x] * 2)], mode="edge")
        for down, across in shifts:
            starts, ends = [y + down, x + across], [down - y or _END, across - x or _END]
            views.append(_slice(graph, padded, starts, ends, axes=[2, 3], steps=[1, 1]))
    else:
        views += [images] * len(shifts)
    joined = graph.node("Concat", views, axis=0) if len(views) > 1 else images
    if not mirrored:
        return joined, len(views)
    turned = _slice(graph, joined, [-1], [-_END - 1], axes=[3], steps=[-1])
    return graph.node("Concat", [joined, turned], axis=0), 2 * len(views)


def mean_of_views(graph: OnnxGraph, values: str, n_views: int, n_columns: int) -> str:
    """Add the mean over the views.

    `values` (n_views * n, n_columns), in the order of `add_views`; returns (n, n_columns).
    """
    if n_views == 1:
        return values
    # Split would do, and is written in two ways in the opsets that graphs here have
    apart = graph.node("Reshape", [values, graph.integers([n_views, -1, n_columns])])
    places = [graph.constant(f"view {i}", np.array(i, dtype=np.int64)) for i in range(n_views)]
    return graph.node("Mean", [graph.node("Gather", [apart, place], axis=0) for place in places])


def _slice(
    graph: OnnxGraph,
    x: str,
    starts: list[int],
    ends: list[int],
    *,
    axes: list[int],
    steps: list[int],
) -> str:
    return graph.node("Slice", [x, *(map(graph.integers, (starts, ends, axes, steps)))])
