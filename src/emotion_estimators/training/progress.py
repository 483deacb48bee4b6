"""What a training is given and what it has behind it, for every engine; imports NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimators._progress import progress_bar
from emotion_estimators.images.collection import Images
from emotion_estimators.training.checkpoints import Checkpoints

__all__ = ["Progress", "TrainingTask", "Weights", "epoch_score"]

Weights = dict[str, NDArray[Any]]


def epoch_score(record: Mapping[str, Any], metric: str) -> float:
    """Return what decides which epoch is best: a metric, and where that is equal the loss.

    Where nothing is held out, it is the loss of the training alone.
    """
    if metric not in record:
        return -float(record["train_loss"])
    value = float(record[metric])
    return (-1.0 if math.isnan(value) else value) - 1e-9 * float(record["valid_loss"])


@dataclass(frozen=True)
class Progress:
    """What a training has behind it; after each epoch another one takes its place."""

    n_steps: int = 0
    history: tuple[dict[str, float], ...] = ()
    best_score: float = -math.inf
    n_stale: int = 0  # epochs since then
    best_epoch: int = 0  # whose weights are kept: the best, or the last if nothing is held out
    best_weights: Weights | None = None

    def after_epoch(
        self,
        record: Mapping[str, float],
        *,
        n_steps: int,
        score: float,
        weights: Callable[[], Weights],
        keeps_last: bool,
    ) -> Progress:
        """Return the progress one epoch later, with its weights if they are to be kept."""
        epoch = len(self.history) + 1
        is_better = score > self.best_score
        is_kept = is_better or keeps_last or self.best_weights is None
        return Progress(
            n_steps=n_steps,
            history=(*self.history, {"epoch": epoch, **record}),
            best_score=max(score, self.best_score) if not math.isnan(score) else self.best_score,
            n_stale=0 if is_better else self.n_stale + 1,
            best_epoch=epoch if is_kept else self.best_epoch,
            best_weights=weights() if is_kept else self.best_weights,
        )

    def is_over(self, max_epochs: int, n_iter_no_change: int | None) -> bool:
        """Tell whether no epoch is left, or none is worth it."""
        is_stale = n_iter_no_change is not None and self.n_stale >= n_iter_no_change
        return len(self.history) >= max_epochs or is_stale


@dataclass(eq=False)
class TrainingTask:
    """All that an engine needs to know of a training, and where it says how far it is.

    `columns` holds the targets by output, (n, n_outputs) float32, `weights` one weight column for
    each of them, (n,) float32; `pixels` is (n, height, width[, 3]) uint8 or float32, or None where
    images are decoded as they are needed.
    """

    owner: str
    classes: NDArray[Any]
    images: Images
    pixels: NDArray[Any] | None
    columns: dict[str, NDArray[np.float32]]
    weights: dict[str, NDArray[np.float32]]
    train: NDArray[np.intp]
    held_out: NDArray[np.intp] | None
    seed: int
    first_weights: Weights | None
    max_epochs: int
    batch_size: int | str
    learning_rate: float
    weight_decay: float
    warmup: float | None
    optimizer: Callable[..., Any] | None
    n_iter_no_change: int | None
    callbacks: Sequence[Any]
    augmentation: float
    verbose: bool
    checkpoints: Checkpoints
    state: dict[str, Any] | None = None  # of the engine, where a training goes on
    is_over: bool = False  # whether there is nothing left to be done
    progress: Progress = field(default_factory=Progress)
    writes: bool = True  # False in the further processes of a distributed training
    failure: OSError | None = None  # why the last checkpoint could not be written

    def check_optimizer(self, names: Mapping[str, str]) -> None:
        """Raise ValueError if a partial as optimizer brings what is the estimator's parameter.

        `names` are those of the optimizer, with those of the estimator.
        """
        given = self.optimizer.keywords if isinstance(self.optimizer, partial) else {}
        for name in names.keys() & given.keys():
            raise ValueError(
                f"{self.owner} expected an optimizer without {name} of its own, got "
                f"{name}={given[name]!r}. Pass {names[name]} to {self.owner} instead."
            )

    def end_epoch(
        self,
        record: Mapping[str, float],
        *,
        n_steps: int,
        score: float,
        weights: Callable[[], Weights],
        state: Callable[[], dict[str, Any]],
        is_over: bool = False,
    ) -> None:
        """Note an epoch and its `record`, with ``train_loss``; write a checkpoint if one is wanted.

        `n_steps` are those of the whole training so far; `score` is what decides which epoch is
        best; `weights` and `state` (all that the next epoch depends on but the progress, nested
        dicts of arrays and JSON) are called where they are needed; `is_over` tells that the engine
        has a reason of its own to end.

        Raises ValueError if the loss is not finite; OSError, which `failure` then is, if the
        checkpoint cannot be written.
        """
        if not math.isfinite(record["train_loss"]):
            raise ValueError(
                f"{self.owner}: the training loss is {record['train_loss']}. Lower learning_rate, "
                "and look for pixels far outside 0..1."
            )
        self.progress = self.progress.after_epoch(
            record,
            n_steps=n_steps,
            score=score,
            weights=weights,
            keeps_last=self.held_out is None,
        )
        self.is_over = is_over or self.progress.is_over(self.max_epochs, self.n_iter_no_change)
        self._save(state)

    def replace_weights(self, weights: Weights, *, state: Callable[[], dict[str, Any]]) -> None:
        """Keep these weights, which took the place of the last epoch's after it.

        Raises OSError, which `failure` then is, if a checkpoint is wanted and cannot be written.
        """
        self.progress = replace(self.progress, best_weights=weights)
        self._save(state)

    def _save(self, state: Callable[[], dict[str, Any]]) -> None:
        """Write a checkpoint if one is wanted."""
        if self.checkpoints.folder is None or not self.writes:
            return
        found = {
            "progress": vars(self.progress),
            "seed": self.seed,
            "train": self.train,
            "held_out": self.held_out,
            "engine": state(),
        }
        try:
            self.checkpoints.save(found, is_over=self.is_over)
        except OSError as error:
            self.failure = error
            raise

    def resume(self, state: Mapping[str, Any], *, is_over: bool) -> None:
        """Go on from the state that a checkpoint holds."""
        kept = state["progress"]
        self.progress = Progress(**{**kept, "history": tuple(kept["history"])})
        # without a random_state, other numbers were drawn now
        self.seed, self.train, self.held_out = (
            state[name] for name in ("seed", "train", "held_out")
        )
        self.state, self.is_over = state["engine"], is_over

    def bar(self, n_steps: int) -> Any:
        """Return a progress bar over all steps of the training, to be used in a with block."""
        return progress_bar(
            total=n_steps,
            initial=self.progress.n_steps,
            desc=self.owner,
            unit="step",
            is_shown=self.verbose and self.writes,
        )
