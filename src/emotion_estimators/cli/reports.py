"""The option ``--report``: rows of a finished table, or an evaluation, to a page to look at."""

from __future__ import annotations

import argparse
import signal
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotion_estimators.cli.console import UsageError, report, track
from emotion_estimators.cli.outputs import check_file, check_writable
from emotion_estimators.cli.tables import Table, open_table, read_rows

__all__ = ["KeptRows", "check_report", "kept_rows", "report_settings"]


def check_report(arguments: argparse.Namespace) -> None:
    """Raise an error, before anything costs time, where no report can be written."""
    path: Path | None = arguments.report
    if path is None:
        if arguments.no_thumbnails:
            raise UsageError("--no-thumbnails needs --report FILE.")
        return
    check_file("--report", path, (".html", ".htm"))
    is_kept = arguments.command == "predict" and not (arguments.resume or arguments.overwrite)
    if is_kept and path.exists():
        raise UsageError(f"{path} exists. Take another --report, or --overwrite it.")
    check_writable("--report", path, path.parent)


@dataclass(frozen=True)
class KeptRows:
    """Where the rows of a command are once all is done."""

    arguments: argparse.Namespace
    path: Path | None
    columns: list[str]

    def write_report(self, status: int, names: dict[str, str], classifier: Any) -> None:
        """Write the report of a finished table; say so where it was interrupted.

        `names` are those of photographs in the table, by path; `classifier` is None where none
        was opened.
        """
        if status == 128 + signal.SIGINT or self.path is None:
            report(
                f"{self.arguments.command}: no report was written, as the table is not whole."
                + " --resume writes it, too." * (self.arguments.out is not None)
            )
            return
        from emotion_estimators.classifiers.pretrained_emotion_classifier import open_card
        from emotion_estimators.inspection.report.faces_report import write_report
        from emotion_estimators.weights import list_cards

        path, columns = self.path, self.columns
        photographs = {name: path for path, name in names.items()}
        named = (card for card in list_cards("emotion") if card.name == self.arguments.model)
        write_report(
            self.arguments.report,
            lambda: read_rows(path, columns),
            columns,
            find=None
            if self.arguments.no_thumbnails
            else lambda row: photographs.get(row["image"]),
            card=next(named, None) if classifier is None else open_card(classifier),
            settings=report_settings(self.arguments, classifier),
            n_threads=self.arguments.n_threads,
            follow=_follow,
        )


@contextmanager
def kept_rows(
    arguments: argparse.Namespace, table: Table, columns: list[str]
) -> Iterator[KeptRows]:
    """Let a table keep its rows for a report, also those that go to standard output."""
    if arguments.report is None or arguments.out is not None:
        yield KeptRows(arguments, arguments.out, columns)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        table.copy, _ = open_table(path, columns)
        yield KeptRows(arguments, path, columns)


def report_settings(arguments: argparse.Namespace, classifier: Any) -> dict[str, object]:
    """Return what a command was asked for, as reports show it."""
    asked = {
        "Command": f"emotion-estimators {arguments.command}",
        "Model": arguments.model,
        "Detector": arguments.detector,
        "Class prior": arguments.class_prior or "as learned",
        "Device": arguments.device,
    }
    if getattr(arguments, "min_certainty", 0):
        asked["Called unsure"] = f"below a certainty of {arguments.min_certainty:g}"
    if getattr(arguments, "frame_step", None) is not None:
        asked["Frames"] = f"1 of every {arguments.frame_step}"
    if classifier is not None:
        asked["Classifier"] = " ".join(repr(classifier).split())
    return asked


def _follow(seen: Iterable[Any], total: int) -> Iterator[Any]:
    """Yield all, with a progress bar."""
    with track(total, "image") as bar:
        for one in seen:
            yield one
            bar.update()
