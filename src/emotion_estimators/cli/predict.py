"""The command ``predict``: photographs or videos to a table of faces.

What finds and classifies faces is imported once there is something to look at: scikit-learn takes
a second.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from emotion_estimators import __version__
from emotion_estimators._files import whole_file
from emotion_estimators._progress import is_terminal
from emotion_estimators.analysis.columns import table_columns, video_columns
from emotion_estimators.cli.console import FAILED, OK, UsageError, check_output, report, track
from emotion_estimators.cli.models import (
    describe_settings,
    learned_prior,
    open_classifier,
    open_cropper,
    registered_classes,
    report_prior,
)
from emotion_estimators.cli.outputs import check_file, check_folder, check_writable
from emotion_estimators.cli.photographs import drawing_targets, find_photographs, report_search
from emotion_estimators.cli.reports import check_report, kept_rows
from emotion_estimators.cli.tables import (
    SUFFIXES,
    ExistingTable,
    Table,
    check_table,
    image_name,
    import_arrow,
    open_table,
    rows_file,
)
from emotion_estimators.cli.videos import (
    check_videos,
    estimate_total,
    is_video,
    look_at_videos,
    recall_videos,
)
from emotion_estimators.exceptions import InvalidImagesError, counted, shorten
from emotion_estimators.images.loader import read_item

__all__ = ["Run", "give_prior", "predict"]

UNSURE = "unsure"


def predict(arguments: argparse.Namespace) -> int:
    """Write the table, and the drawn photographs."""
    _check_out(arguments)
    check_report(arguments)
    if any(map(is_video, arguments.paths)):
        return _predict_videos(arguments)
    if arguments.frame_step is not None:
        raise UsageError("--frame-step is for videos.")
    found = find_photographs(arguments.paths, leave_out=arguments.draw)
    targets = {}
    if arguments.draw is not None:
        targets = drawing_targets(found.photographs, arguments.draw)
        check_folder("--draw", arguments.draw)
    report_search("predict", found)
    classes: Any = registered_classes(arguments.model)
    if classes is not None and arguments.resume:
        check_table(arguments.out, table_columns(classes))
    classifier, settings = None, ""
    # no download, and nothing is opened, where there is no photograph
    if classes is not None and len(found.missing) == len(found.photographs):
        rows: Any = partial(map, partial(_unreadable, table_columns(classes)))
    else:
        from emotion_estimators.analysis.rows import iterate_faces
        from emotion_estimators.classifiers.pretrained_emotion_classifier import open_output

        cropper = open_cropper(arguments)
        classifier, classes = open_classifier(arguments)  # which may be downloaded
        output, _ = open_output(classifier)
        # as quiet as the rest where nobody asks or looks
        if output is not None and (arguments.output or is_terminal(sys.stderr)):
            report(f"predict: {arguments.model} answers by its output {output}.")
        give_prior(arguments, list(found.photographs), cropper, classifier, classes)
        settings = describe_settings(arguments, classifier, cropper)
        rows = partial(iterate_faces, cropper=cropper, classifier=classifier)
    names = {path: image_name(path) for path in found.photographs}
    retry = set(names.values()) if arguments.resume else None
    table, held = open_table(
        arguments.out,
        table_columns(classes),
        retry=retry,
        settings=settings,
        is_full=arguments.full,
        is_for_excel=arguments.excel,
    )
    pending = [path for path in found.photographs if names[path] not in held.images]
    if targets and arguments.resume:
        done = found.photographs.keys() - pending
        targets = drawing_targets(found.photographs, arguments.draw, done=done)
    run = Run("predict", pending, arguments.out, held, targets=targets)
    marked = map(partial(_marked, arguments.min_certainty), rows(pending))
    with kept_rows(arguments, table, table_columns(classes)) as kept:
        status = run.write(table, marked)
        if arguments.report is not None:
            kept.write_report(status, names, classifier)
    return max(status, FAILED if found.empty or found.unreadable else OK)


def give_prior(
    arguments: argparse.Namespace,
    photographs: list[str],
    cropper: Any,
    classifier: Any,
    classes: list[str],
) -> None:
    """Say which class prior is asked for; estimate it of all faces in photographs, if it is so."""
    command = arguments.command
    if arguments.class_prior == "uniform":
        report_prior(command, classifier, f"uniform, 1/{len(classes)} for each emotion")
    if arguments.class_prior != "estimate":
        return
    from emotion_estimators.analysis.rows import iterate_faces
    from emotion_estimators.metrics import estimate_class_prior

    learned = learned_prior(classifier)
    shares = []
    with track(len(photographs), "image") as bar:
        for rows in iterate_faces(photographs, cropper=cropper, classifier=classifier):
            faces = [row for row in rows if row["status"] == "face"]
            shares += [[row[f"emotion_{name}"] for name in classes] for row in faces]
            bar.update()
    if shares:
        prior = estimate_class_prior(shares, learned)
        told = ", ".join(f"{name} {share:.3f}" for name, share in zip(classes, prior, strict=True))
        report_prior(command, classifier, told, of=f" of {counted(len(shares), 'face')}")
        classifier.set_params(class_prior=prior)


def _marked(min_certainty: float, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows in which emotions of less certainty are called unsure."""
    return [
        row | {"emotion": UNSURE} if row["status"] == "face" and row["certainty"] < min_certainty
        else row
        for row in rows
    ]  # fmt: skip


def _predict_videos(arguments: argparse.Namespace) -> int:
    """Write the table of the frames."""
    check_videos(arguments)
    found = find_photographs(arguments.paths)
    report_search("predict", found)
    classes = registered_classes(arguments.model)
    if classes is not None and arguments.resume:
        check_table(arguments.out, video_columns(classes))
    if len(found.missing) == len(found.photographs):
        return FAILED
    from emotion_estimators.analysis.rows import open_finder

    classifier, _ = open_classifier(arguments)
    cropper = open_cropper(arguments)
    finder = open_finder("predict", cropper, classifier)
    give_prior(arguments, [], cropper, classifier, finder.classes)  # says it: none is estimated
    step = arguments.frame_step or 1
    columns = video_columns(finder.classes)
    names = {path: image_name(path) for path in found.photographs}
    table, held = open_table(
        arguments.out,
        columns,
        retry=set(names.values()) if arguments.resume else None,
        settings=describe_settings(arguments, classifier, cropper),
        is_full=arguments.full,
        is_for_excel=arguments.excel,
    )
    begun = recall_videos(arguments.out, columns, finder) if held.images else {}
    # videos are looked at one after the other: all in the table are whole, but for its last
    unfinished = held.retried | {held.latest}
    done = held.images - unfinished
    pending = {path: begun.get(name) for path, name in names.items() if name not in done}
    run = Run("predict", list(pending), arguments.out, held, unit="frame")
    frames = look_at_videos(pending, finder, step)
    marked = ((path, _marked(arguments.min_certainty, rows)) for path, rows in frames)
    with kept_rows(arguments, table, columns) as kept:
        status = run.fill(table, marked, estimate_total(pending, step))
        if arguments.report is not None:
            kept.write_report(status, names, classifier)
    return status


def _unreadable(columns: list[str], path: str) -> list[dict[str, Any]]:
    """Return the row of a photograph that does not exist."""
    try:
        read_item(path)
    except InvalidImagesError as error:
        return [dict.fromkeys(columns) | {"status": "unreadable", "problem": str(error)}]
    raise OSError(f"{shorten(path)} did not exist when the command began. Run it again.")


class Run:
    """What a command was asked for, and what was done of it; of videos the `unit` is "frame"."""

    def __init__(
        self,
        command: str,
        pending: list[str],
        out: Path | None,
        held: ExistingTable,
        *,
        targets: dict[str, Path] | None = None,
        unit: str = "image",
    ) -> None:
        self.command = command
        self.pending = pending
        self.out = out
        self.held = held
        self.targets = targets or {}
        self.unit = unit
        self.n_done = self.n_unreadable = self.n_undrawn = 0
        self.emotions: Counter[str] = Counter(held.emotions)  # of all faces in the table
        others = sorted(held.versions - {__version__})
        if others:
            report(
                f"{command}: {out} has rows of emotion-estimators {shorten(', '.join(others))}, "
                f"this is {__version__}: what is added may not be comparable. The column version "
                "tells them apart; --overwrite looks at all again."
            )

    def write(self, table: Table, stream: Iterator[list[dict[str, Any]]]) -> int:
        """Write the rows of all that is pending; return the exit status."""
        return self.fill(table, zip(self.pending, stream, strict=True), len(self.pending))

    def fill(
        self,
        table: Table,
        pieces: Iterable[tuple[str, list[dict[str, Any]]]],
        total: int | None,
    ) -> int:
        """Write rows, those of an image or frame together with its path; return the exit status."""
        status = OK
        # a bar within the lines of a table would spoil both
        is_apart = self.out is not None or not is_terminal(sys.stdout)
        try:
            with track(total, self.unit, is_shown=is_apart) as bar:
                for path, rows in pieces:
                    self._add(table, path, rows)
                    bar.update()
        except KeyboardInterrupt:
            status = 128 + signal.SIGINT
        except BaseException:
            table.close()
            raise
        table.finish()
        self._report(is_interrupted=status != OK)
        return status or (FAILED if self.n_unreadable or self.n_undrawn else OK)

    def _add(self, table: Table, path: str, rows: list[dict[str, Any]]) -> None:
        faces = [row for row in rows if row["status"] == "face"]
        # drawn first: what the table holds is not looked at again
        if faces and path in self.targets:
            try:
                _draw(path, faces, self.targets[path])
            except InvalidImagesError as error:  # it was read before
                report(f"{self.command}: {shorten(path)} cannot be drawn: {error}")
                self.n_undrawn += 1
        own = {"row": self.held.next_row + self.n_done, "image": image_name(path)}
        table.write([{**values, **own} for values in rows])
        self.n_done += 1
        self.emotions.update(row["emotion"] for row in faces)
        self.n_unreadable += rows[0]["status"] == "unreadable"

    def _report(self, *, is_interrupted: bool) -> None:
        where = "the table" if self.out is None else str(self.out)
        n_before = len(self.held.images)
        if self.unit == "frame":
            done = seen = counted(self.held.next_row + self.n_done, "frame")
            unreadable = f"of the frames and videos, {self.n_unreadable}"
        else:
            done = f"{self.n_done} of {counted(len(self.pending), 'image')}"
            unreadable = f"{self.n_unreadable} of {counted(self.n_done, 'image')}"
            seen = counted(n_before + self.n_done, "image")
            seen += f" ({n_before} of them were there already)" if n_before else ""
        if is_interrupted:
            hint = "" if self.out is None else " Go on with --resume."
            report(f"{self.command}: interrupted. {where} holds {done}.{hint}")
        if self.n_unreadable:
            report(
                f'{self.command}: {unreadable} cannot be read; {where} says "unreadable" there, '
                "and why."
            )
        if not is_interrupted:
            counts = ", ".join(f"{n} {name}" for name, n in self.emotions.most_common())
            faces = counted(self.emotions.total(), "face")
            report(f"{self.command}: {faces} in {seen}{': ' * bool(counts)}{counts}.")


def _check_out(arguments: argparse.Namespace) -> None:
    if arguments.resume and arguments.class_prior == "estimate":
        raise UsageError(
            "--class-prior estimate is of all images together, and --resume looks at the rest "
            "only. Take --overwrite in place of --resume."
        )
    out: Path | None = arguments.out
    if out is None:
        if arguments.resume or (arguments.overwrite and arguments.report is None):
            raise UsageError("--resume and --overwrite need --out TABLE.")
        check_output("predict without --out")
        return
    check_file("--out", out, SUFFIXES)
    if arguments.excel and out.suffix.lower() != ".csv":
        raise UsageError(f"--excel is for a table .csv, got --out {out}.")
    if out.suffix.lower() == ".parquet":
        import_arrow()
    for path in (out, rows_file(out)):
        if path.exists() and not (arguments.resume or arguments.overwrite):
            raise UsageError(f"{path} exists. Go on with it by --resume, or --overwrite it.")
    check_writable("--out", out, out.parent)


def _draw(path: str, faces: list[dict[str, Any]], target: Path) -> None:
    from PIL import Image

    from emotion_estimators.inspection.draw_faces import draw_faces

    drawn = Image.fromarray(draw_faces(path, faces))
    target.parent.mkdir(parents=True, exist_ok=True)
    kind = "PNG" if target.suffix == ".png" else "JPEG"
    with whole_file(target, what="A drawing") as file:  # never through a link to elsewhere
        drawn.save(file, format=kind, quality=90)
