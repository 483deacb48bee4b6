"""Image classifiers on ONNX Runtime, run in batches; imports its neighbours and NumPy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimators.exceptions import WeightsError
from emotion_estimators.networks.onnx.reader import last_activations
from emotion_estimators.networks.onnx.session import (
    CPU,
    TwoThreadSession,
    first_words,
    start_session,
)

__all__ = ["FEATURES", "OnnxNetwork", "check_rows"]

FEATURES = "features"  # the output that is what stands before the last layer

_CUDA_BATCH = 64
_MAX_BATCH = 4096  # images that a file fixes
_MAX_VALUES = 1 << 27  # of an input of fixed size, 512 MiB


@dataclass(frozen=True)
class _Output:
    """What a network says of one of its outputs; axes of free size are None."""

    kind: str
    shape: tuple[int | None, ...]
    activation: str | None


@dataclass(frozen=True, eq=False)
class OnnxNetwork:
    """A network from images to a row of values for each, ready to run in several threads.

    Of several outputs, `at` chooses the one that `run` gives.
    """

    path: Path
    layout: str
    image_size: tuple[int | None, int | None]
    n_channels: int
    batch_size: int | None
    metadata: Mapping[str, str]
    on_device: bool
    n_bytes: int
    _session: Any = field(repr=False)
    _input: str = field(repr=False)
    _two_threads: TwoThreadSession | None = field(repr=False)
    _outputs: Mapping[str, _Output] = field(repr=False)
    output: str | None = None
    n_outputs: int | None = None
    activation: str | None = None

    @classmethod
    def from_bytes(
        cls,
        serialised: bytes,
        path: Path,
        providers: tuple[str, ...],
        *,
        channels_last: bool | None = None,
    ) -> OnnxNetwork:
        """Return the network that a serialised model is; `path` says where it comes from.

        Where `channels_last` tells, images of 1 or 3 rows or columns are not taken for channels.
        The only output of a network is chosen.

        Raises WeightsError if it does not take a batch of images and give one row for each.
        """
        activations = last_activations(serialised, path)
        # Whole images side by side, a thread each, are faster than small images shared by threads.
        session = start_session(serialised, path, providers)
        try:
            inputs, outputs = session.get_inputs(), session.get_outputs()
            metadata = dict(session.get_modelmeta().custom_metadata_map)
        except UnicodeDecodeError as error:
            raise WeightsError(f"{path}: holds text that is not UTF-8; it is damaged.") from error
        if len(inputs) != 1 or not outputs:
            raise WeightsError(
                f"{path}: expected a network with one input, got {len(inputs)} inputs and "
                f"{len(outputs)} outputs."
            )
        if inputs[0].type != "tensor(float)":
            raise WeightsError(
                f"{path}: expected a network that takes float32, got {inputs[0].type}."
            )
        shape = _sizes(inputs[0])
        layout, image_size, n_channels = _read_shape(shape, path, channels_last=channels_last)
        n_values = math.prod(size or 1 for size in shape)
        if n_values > _MAX_VALUES or (shape[0] or 1) > _MAX_BATCH:
            raise WeightsError(
                f"{path}: its input of shape {shape} has {n_values:,} values; networks of up to "
                f"{_MAX_BATCH:,} images at once and {_MAX_VALUES:,} values can be run."
            )
        start_two = partial(start_session, serialised, path, (CPU,), n_threads=2)
        on_device = session.get_providers()[0] != CPU
        network = cls(
            path=path,
            layout=layout,
            image_size=image_size,
            n_channels=n_channels,
            batch_size=shape[0],
            metadata=metadata,
            on_device=on_device,
            n_bytes=3 * len(serialised),
            _session=session,
            _input=inputs[0].name,
            _two_threads=None if on_device else TwoThreadSession(start_two),
            _outputs={
                output.name: _Output(output.type, _sizes(output), activations.get(output.name))
                for output in outputs
            },
        )
        return network.at(outputs[0].name) if len(outputs) == 1 else network

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of all outputs."""
        return tuple(self._outputs)

    def at(self, output: str) -> OnnxNetwork:
        """Return the same network, of which `run` gives this output.

        Raises KeyError if it has none of that name; WeightsError if that is no row of values for
        each image.
        """
        described = self._outputs[output]
        if described.kind != "tensor(float)":
            raise WeightsError(
                f"{self.path}: expected its output {output!r} to be float32, got {described.kind}."
            )
        shape = described.shape
        if len(shape) != 2:
            raise WeightsError(
                f"{self.path}: expected an output of shape (n, n_classes), got {shape}."
            )
        if None not in (self.batch_size, shape[0]) and self.batch_size != shape[0]:
            raise WeightsError(
                f"{self.path}: expected a network that gives a row for each image, got "
                f"{shape[0]} rows for {self.batch_size} images."
            )
        return replace(self, output=output, n_outputs=shape[1], activation=described.activation)

    def default_batch_size(self) -> int:
        """Return how many images one run takes unless told otherwise."""
        # One image at a time costs a CPU next to nothing with networks of this size, needs no
        # padding for a single image, and leaves no neighbour that a result could depend on.
        return self.batch_size or (_CUDA_BATCH if self.on_device else 1)

    def run(
        self, images: NDArray[np.float32], *, batch_size: int, n_threads: int = 1
    ) -> NDArray[np.float32]:
        """Return the outputs for images.

        `images` (n, height, width) or (n, height, width, 3) float32; returns (n, n_outputs)
        float32.

        Raises WeightsError if the network cannot take images of that size, or gives something else
        than a row for each.
        """
        inputs = self._arrange(images)
        n = len(inputs)
        starts = range(0, n, batch_size)
        session = self._session
        if len(starts) == 1 and n_threads > 1 and self._two_threads is not None:
            session = self._two_threads.get() or session

        def run_from(start: int) -> NDArray[np.float32]:
            batch = inputs[start : start + batch_size]
            n_real = len(batch)
            if n_real < batch_size:
                padding = np.zeros((batch_size - n_real, *batch.shape[1:]), np.float32)
                batch = np.concatenate([batch, padding])
            try:
                outputs: NDArray[np.float32] = session.run([self.output], {self._input: batch})[0]
            except Exception as error:  # its errors share no base class
                raise WeightsError(
                    f"ONNX Runtime cannot run the network on an input of shape {batch.shape}: "
                    f"{first_words(error)}"
                ) from error
            check_rows(outputs, (len(batch), self.n_outputs), "The network")
            return outputs[:n_real]

        if len(starts) == 1:
            return run_from(0)
        if n_threads == 1:
            return np.concatenate([run_from(start) for start in starts])

        def run_some(some: range) -> list[NDArray[np.float32]]:
            return [run_from(start) for start in some]

        bounds = [len(starts) * k // n_threads for k in range(n_threads + 1)]
        shares = [starts[a:b] for a, b in pairwise(bounds)]
        # No pool outlives the call, so that forked processes find none without its threads.
        with ThreadPoolExecutor(n_threads) as pool:
            return np.concatenate([part for parts in pool.map(run_some, shares) for part in parts])

    def _arrange(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.layout == "nhw":
            return images
        if images.ndim == 3:
            return images[..., np.newaxis] if self.layout == "nhwc" else images[:, np.newaxis]
        if self.layout == "nchw":
            return np.ascontiguousarray(np.moveaxis(images, 3, 1))  # (n, c, h, w)
        return images


def check_rows(outputs: Any, expected: tuple[int | None, ...], owner: str) -> None:
    """Raise WeightsError unless what a network gives has this shape, None for a free axis.

    NumPy would copy the one row of a network that mixes its images to all of them.
    """
    shape = tuple(getattr(outputs, "shape", ()))
    fits = len(shape) == len(expected) and all(
        wanted in (None, got) for got, wanted in zip(shape, expected, strict=True)
    )
    if not fits:
        wanted = ", ".join("n" if size is None else str(size) for size in expected)
        raise WeightsError(
            f"{owner} gave outputs of shape {shape} for a batch of {expected[0]}, expected "
            f"({wanted}): a row for each image."
        )


def _sizes(value: Any) -> tuple[int | None, ...]:
    """Return the shape of an input or output; axes of free size have a name or None there."""
    return tuple(size if isinstance(size, int) else None for size in value.shape)


def _read_shape(
    shape: tuple[int | None, ...], path: Path, *, channels_last: bool | None
) -> tuple[str, tuple[int | None, int | None], int]:
    """Return layout, height and width, and the number of channels."""
    if len(shape) == 3:
        return "nhw", (shape[1], shape[2]), 1
    last = len(shape) == 4 and shape[3] in (1, 3) and channels_last is not False
    first = len(shape) == 4 and shape[1] in (1, 3) and not channels_last
    if last == first:
        raise WeightsError(
            f"{path}: expected an input of shape (n, height, width, channels), (n, channels, "
            f"height, width) or (n, height, width), with 1 or 3 channels, got {shape}."
        )
    if last:
        return "nhwc", (shape[1], shape[2]), shape[3] or 0
    return "nchw", (shape[2], shape[3]), shape[1] or 0
