"""The command ``predict``: photographs to a table of faces."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import Any

from emotion_estimators.analysis.face_rows import iterate_faces, standard_cropper, table_columns
from emotion_estimators.classifiers.pretrained_emotion_classifier import open_classes
from emotion_estimators.cli.console import FAILED, OK, UsageError, say, track
from emotion_estimators.cli.models import open_classifier
from emotion_estimators.cli.photographs import drawing_targets, find_photographs
from emotion_estimators.cli.table_files import SUFFIXES, Held, TableWriter, open_table
from emotion_estimators.features.face_cropper import FaceCropper

__all__ = ["predict"]


def predict(arguments: argparse.Namespace) -> int:
    """Write the table, and the drawn photographs."""
    _check_out(arguments)
    photographs, empty, unreadable = find_photographs(arguments.paths, leave_out=arguments.draw)
    targets = {} if arguments.draw is None else drawing_targets(photographs, arguments.draw)
    for folder in empty:
        say(f"predict: no image in the folder {folder}.")
    for name in unreadable:
        say(f"predict: the folder {name} cannot be read and is left out.")
    classifier = open_classifier(arguments.model, arguments.jobs)
    cropper = _open_cropper(arguments.detector, arguments.jobs)
    columns = table_columns(open_classes(classifier))
    again = set(photographs) if arguments.resume else None
    writer, held = open_table(arguments.out, columns, again=again)
    todo = [path for path in photographs if path not in held.images]
    run = _Run(todo, arguments.out, held, targets)
    return max(run.write(writer, cropper, classifier), FAILED if empty or unreadable else OK)


class _Run:
    """What was asked for, and what was done of it.

    Parameters
    ----------
    todo : list of str
        Photographs that the table lacks.
    out : Path or None
        The table.
    held : Held
        What it holds already.
    targets : dict of str to Path
        Where photographs are drawn.
    """

    def __init__(
        self, todo: list[str], out: Path | None, held: Held, targets: dict[str, Path]
    ) -> None:
        self.todo = todo
        self.out = out
        self.held = held
        self.targets = targets
        self.n_done = self.n_faces = self.n_unreadable = 0

    def write(self, writer: TableWriter, cropper: Any, classifier: Any) -> int:
        """Write all that is to do; return the exit status."""
        status = OK
        # a bar within the lines of a table would spoil both
        is_apart = self.out is not None or not sys.stdout.isatty()
        try:
            with track(len(self.todo), "image", is_shown=is_apart) as bar:
                stream = iterate_faces(self.todo, cropper=cropper, classifier=classifier)
                for path, rows in zip(self.todo, stream, strict=True):
                    self._add(writer, path, rows)
                    bar.update()
        except KeyboardInterrupt:
            status = 128 + signal.SIGINT
        finally:
            writer.close()
        self._report(is_interrupted=status != OK)
        return status or (FAILED if self.n_unreadable else OK)

    def _add(self, writer: TableWriter, path: str, rows: list[dict[str, Any]]) -> None:
        faces = [row for row in rows if row["status"] == "face"]
        # drawn first: what the table holds is not looked at again
        if faces and path in self.targets:
            _draw(path, faces, self.targets[path])
        row = self.held.next_row + self.n_done
        writer.write([{**values, "row": row} for values in rows])
        self.n_done += 1
        self.n_faces += len(faces)
        self.n_unreadable += rows[0]["status"] == "unreadable"

    def _report(self, *, is_interrupted: bool) -> None:
        n = len(self.todo)
        where = "the table" if self.out is None else str(self.out)
        if is_interrupted:
            hint = "" if self.out is None else " Go on with --resume."
            say(f"predict: interrupted. {where} holds {self.n_done} of {n} images.{hint}")
        if self.n_unreadable:
            say(
                f"predict: {self.n_unreadable} of {self.n_done} images cannot be read; their rows "
                f'in {where} say "unreadable", and why.'
            )
        if sys.stderr.isatty() and not is_interrupted and self.out is not None:
            skipped = len(self.held.images)
            more = f" ({skipped} more were there already)" if skipped else ""
            say(f"{self.n_faces} faces in {self.n_done} images{more}: {where}")


def _check_out(arguments: argparse.Namespace) -> None:
    out: Path | None = arguments.out
    if out is None:
        if arguments.resume or arguments.overwrite:
            raise UsageError("--resume and --overwrite need --out TABLE.")
        return
    if out.suffix.lower() not in SUFFIXES:
        raise UsageError(f"expected --out to end in {', '.join(SUFFIXES)}, got {out}.")
    if not out.parent.is_dir():
        raise UsageError(f"there is no folder {out.parent} for --out {out.name}.")
    if out.is_dir():
        raise UsageError(f"--out {out} is a folder.")
    if out.exists() and not (arguments.resume or arguments.overwrite):
        raise UsageError(f"{out} exists. Go on with it by --resume, or --overwrite it.")


def _open_cropper(detector: str, jobs: int | None) -> FaceCropper:
    """Return a cropper whose detector is there and can be read."""
    cropper = standard_cropper(detector=detector, n_threads=jobs, verbose=int(sys.stderr.isatty()))
    try:
        cropper.prepare()
    except ConnectionError as error:
        hint = "Or take --detector cascade, which needs no download."
        raise ConnectionError(f"{error} {hint}") from error
    except (ValueError, FileNotFoundError, IsADirectoryError, ImportError) as error:
        raise UsageError(f"--detector {detector}: {error}") from error
    return cropper


def _draw(path: str, faces: list[dict[str, Any]], target: Path) -> None:
    from PIL import Image

    from emotion_estimators.inspection.draw_faces import draw_faces

    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{os.getpid()}{target.suffix}")
    Image.fromarray(draw_faces(path, faces)).save(part, quality=90)
    part.replace(target)  # whole, and never through a link to elsewhere
