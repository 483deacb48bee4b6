"""Image classifiers on ONNX Runtime, run in batches."""

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
from emotion_estimators.networks.onnx.layout import (
    ImageInput,
    as_rows,
    count_values,
    free_sizes,
    untrained_switches,
)
from emotion_estimators.networks.onnx.reader import Ending, look_at_graph
from emotion_estimators.networks.onnx.session import (
    CPU,
    TwoThreadSession,
    first_words,
    quiet_run,
    start_session,
)

__all__ = ["FEATURES", "OnnxNetwork", "check_rows"]

FEATURES = "features"  # the output that is what stands before the last layer

_UNKNOWN = Ending()
_CUDA_BATCH = 64
_INTEGER_BATCH = 4
_MAX_BATCH = 4096  # images that a file fixes
_MAX_VALUES = 1 << 27  # of an input of fixed size, 512 MiB


@dataclass(frozen=True)
class _Output:
    """What a network says of one of its outputs; axes of free size are None."""

    kind: str
    shape: tuple[int | None, ...]
    ending: Ending


@dataclass(frozen=True, eq=False)
class OnnxNetwork:
    """A network from images to a row of values for each, ready to run in several threads.

    Of several outputs, `at` chooses the one that `run` gives.
    """

    path: Path
    images: ImageInput
    metadata: Mapping[str, str]
    on_device: bool
    n_bytes: int
    _session: Any = field(repr=False)
    _two_threads: TwoThreadSession | None = field(repr=False)
    _outputs: Mapping[str, _Output] = field(repr=False)
    _mixes_images: bool = field(repr=False)  # that go through it at once
    _has_exact_sums: bool = field(repr=False)
    _switches: Mapping[str, NDArray[np.bool_]] = field(repr=False)  # inputs beside the images
    output: str | None = None
    n_outputs: int | None = None
    ending: Ending = _UNKNOWN

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
        facts = look_at_graph(serialised, path)
        # Whole images side by side, a thread each, are faster than small images shared by threads.
        session = start_session(serialised, path, providers)
        try:
            inputs, outputs = session.get_inputs(), session.get_outputs()
            metadata = dict(session.get_modelmeta().custom_metadata_map)
        except UnicodeDecodeError as error:
            raise WeightsError(f"{path}: holds text that is not UTF-8; it is damaged.") from error
        switches = untrained_switches(inputs)
        inputs = [one for one in inputs if one.name not in switches]
        if len(inputs) != 1 or not outputs:
            raise WeightsError(
                f"{path}: expected a network with one input, got {len(inputs)} inputs and "
                f"{len(outputs)} outputs."
            )
        images = ImageInput.read(inputs[0], path, channels_last=channels_last)
        shape = images.shape
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
            images=images,
            metadata=metadata,
            on_device=on_device,
            n_bytes=3 * len(serialised),
            _session=session,
            _two_threads=None if on_device else TwoThreadSession(start_two),
            _outputs={
                output.name: _Output(
                    output.type, free_sizes(output.shape), facts.endings.get(output.name, _UNKNOWN)
                )
                for output in outputs
            },
            _mixes_images=facts.mixes_images,
            _has_exact_sums=facts.has_exact_sums and not on_device,
            _switches=switches,
        )
        return network.at(outputs[0].name) if len(outputs) == 1 else network

    @property
    def image_size(self) -> tuple[int | None, int | None]:
        """Height and width of the images that it takes, None for any."""
        return self.images.image_size

    @property
    def n_channels(self) -> int | None:
        """The channels of the images that it takes, None where its file does not tell."""
        return self.images.n_channels

    @property
    def batch_size(self) -> int | None:
        """How many images one run takes, None for any number."""
        return self.images.shape[0]

    @property
    def activation(self) -> str | None:
        """From which activation the output comes, "softmax" or "sigmoid"."""
        return self.ending.activation

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
        try:
            n_outputs = count_values(described.kind, described.shape, self.batch_size)
        except ValueError as error:
            raise WeightsError(f"{self.path}: expected its output {output!r} {error}.") from error
        return replace(self, output=output, n_outputs=n_outputs, ending=described.ending)

    def for_images(self, image_size: tuple[int, int], color: Any) -> OnnxNetwork:
        """Return the same network, whose layout and channels are known.

        Where its file leaves them open, they are those with which it runs on a black image. `color`
        is "grey", "rgb", or anything else where it is not known; grey images may have 3 channels.

        Raises WeightsError if it runs with none, or with several.
        """
        forms = self.images.forms(image_size, color)
        if len(forms) == 1:
            settled = replace(self, images=forms[0])
            return settled if self.n_outputs is not None else settled._tried(image_size)
        running, problems = [], [f"its input has shape {self.images.shape}"]
        for form in forms:
            try:
                running.append(replace(self, images=form)._tried(image_size))
            except WeightsError as error:
                problems.append(str(error))
        if color == "grey":  # the fewest channels with which it runs
            running = [one for one in running if one.n_channels == running[0].n_channels]
        if len(running) != 1:
            raise WeightsError(
                f"{self.path}: its shape leaves open where the channels of an image are and how "
                f"many, and with {'several ways' if running else 'none'} to lay out images of "
                f"{image_size}, color {color!r:.80}, the network runs: {problems[-1]}"
            )
        return running[0]

    def _tried(self, image_size: tuple[int, int]) -> OnnxNetwork:
        """Return the network with what a run on a black image tells of its output."""
        black = self.images.zeros(image_size)
        return replace(
            self, n_outputs=self.run(black, batch_size=self.default_batch_size()).shape[1]
        )

    def default_batch_size(self) -> int:
        """Return how many images one run takes unless told otherwise."""
        # One image at a time costs a CPU next to nothing with networks of this size, needs no
        # padding for a single image, and leaves no neighbour that a result could depend on. Small
        # products of integers are a sixth quicker for a few images, and neither need padding.
        on_cpu = _INTEGER_BATCH if self._has_exact_sums else 1
        return self.batch_size or (_CUDA_BATCH if self.on_device else on_cpu)

    def run(
        self, images: NDArray[np.float32], *, batch_size: int, n_threads: int = 1
    ) -> NDArray[np.float32]:
        """Return the outputs for images.

        `images` (n, height, width) or (n, height, width, 3) float32; returns (n, n_outputs)
        float32.

        Raises WeightsError if the network cannot take images of that size, or gives something else
        than a row for each.
        """
        if len(self.images.layouts) != 1:
            raise WeightsError(
                f"{self.path}: its input of shape {self.images.shape} does not tell where the "
                "channels are; for_images finds out."
            )
        inputs = self.images.arrange(images)
        n = len(inputs)
        if self._mixes_images:
            batch_size = 1
        starts = range(0, n, batch_size)
        session = self._session
        if len(starts) == 1 and n_threads > 1 and self._two_threads is not None:
            session = self._two_threads.get() or session

        def run_from(start: int) -> NDArray[np.float32]:
            batch = inputs[start : start + batch_size]
            n_real = len(batch)
            n_run = self.batch_size or (n_real if self._has_exact_sums else batch_size)
            if self._mixes_images:  # with copies of itself
                batch = np.repeat(batch, self.batch_size or 1, axis=0)
            elif n_real < n_run:
                padding = np.zeros((n_run - n_real, *batch.shape[1:]), batch.dtype)
                batch = np.concatenate([batch, padding])
            try:
                values = {self.images.name: batch, **self._switches}
                given = session.run([self.output], values, quiet_run())[0]
            except Exception as error:  # its errors share no base class
                raise WeightsError(
                    f"ONNX Runtime cannot run the network on an input of shape {batch.shape}: "
                    f"{first_words(error)}"
                ) from error
            rows = as_rows(given, len(batch))
            check_rows(rows, (len(batch), self.n_outputs), "The network")
            return rows[:n_real]

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
