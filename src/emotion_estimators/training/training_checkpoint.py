"""The file that lets a killed training go on; imports torch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

__all__ = ["CHECKPOINT_NAME", "find_checkpoint", "load_checkpoint", "save_checkpoint"]

CHECKPOINT_NAME = "last.ckpt"


def save_checkpoint(folder: str | Path, content: dict[str, Any]) -> None:
    """Write ``last.ckpt``, whole or not at all: the former one stays until then."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"{CHECKPOINT_NAME}.part"
    with unfinished.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(folder / CHECKPOINT_NAME)


def find_checkpoint(owner: str, resume_from: Any, checkpoint_dir: Any) -> Path | None:
    """Return the file to go on from, or None to begin anew.

    Parameters
    ----------
    owner : str
        Name of the estimator, for messages.
    resume_from : str, Path or None
        A file, a folder that holds one, or "last": that of `checkpoint_dir`, if there is one.
    checkpoint_dir : str, Path or None
        Where checkpoints are written.

    Raises
    ------
    ValueError
        If "last" is asked for without a `checkpoint_dir`.
    FileNotFoundError
        If a named file is not there.
    """
    if resume_from is None:
        return None
    if resume_from == "last":
        if checkpoint_dir is None:
            raise ValueError(f"{owner} with resume_from='last' needs checkpoint_dir.")
        last = Path(checkpoint_dir) / CHECKPOINT_NAME
        return last if last.is_file() else None
    path = Path(resume_from)
    if path.is_dir():
        path = path / CHECKPOINT_NAME
    if not path.is_file():
        raise FileNotFoundError(
            f"{owner} found no checkpoint {path}. resume_from='last' begins anew where there is "
            "none."
        )
    return path


def load_checkpoint(owner: str, path: Path, expected: dict[str, Any]) -> dict[str, Any]:
    """Return what `save_checkpoint` wrote; raise if it is of another training.

    Parameters
    ----------
    owner : str
        Name of the estimator, for messages.
    path : Path
        The file.
    expected : dict
        What its entry ``"training"`` must be.

    Raises
    ------
    ValueError
        If it is no such file, or the training was set up otherwise.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        found = content["training"]
    except Exception as error:  # torch raises many kinds for files that are none of its own
        raise ValueError(f"{owner} cannot read the checkpoint {path}: {error}") from error
    other = sorted(key for key in expected if found.get(key) != expected[key])
    if other:
        said = ", ".join(f"{key}={found.get(key)!r} (now {expected[key]!r})" for key in other)
        raise ValueError(
            f"{owner} cannot go on from {path}: it is of a training with {said}. Restore what it "
            "was, or begin anew with resume_from=None."
        )
    checked: dict[str, Any] = content
    return checked
