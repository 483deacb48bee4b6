"""Arguments in, an exit status out; the commands are imported when they are called."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from emotion_estimators import __version__
from emotion_estimators.cli.console import (
    FAILED,
    MISUSED,
    UsageError,
    fill_descriptors,
    flush_output,
    let_go,
    report,
    visible,
)
from emotion_estimators.exceptions import one_screen

__all__ = ["main"]

_STATUSES = """\
exit status: 0 all went well; 1 some inputs failed, or files could not be read, downloaded or
written; 2 the command was misused; 130 interrupted."""

_PREDICT = """\
Write a table with a row for each face in photographs, and a row for each photograph without a
face or that cannot be read. Folders are searched for images, with the folders within them; how
many other files they hold, and of which kinds, is said. Interrupted, it leaves a table of the
photographs done, and --resume goes on with it; killed, it leaves their rows in TABLE.csv, or in
TABLE.jsonl.rows.csv and TABLE.parquet.rows.csv, with which --resume goes on, too."""

_EVALUATE = """\
Classify face crops whose emotion is known, and print how well: accuracy, balanced accuracy, macro
F1 and expected calibration error with 95 % bootstrap intervals, the recall of each class, and the
confusion matrix. Images that cannot be read are named and left out."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    arguments = _parser().parse_args(argv)
    fill_descriptors()
    try:
        status = _run(arguments)
        flush_output()
    except KeyboardInterrupt:
        report("interrupted.")
        status = 128 + signal.SIGINT
    except BrokenPipeError:  # whoever read the results has stopped
        status = FAILED
    except UsageError as error:
        report(f"{arguments.command}: {error}")
        status = MISUSED
    except OSError as error:
        report(f"{arguments.command}: {error}")
        status = FAILED
    finally:
        let_go(sys.stdout)
        let_go(sys.stderr)
    return status


class _Parser(argparse.ArgumentParser):
    """A parser whose messages pass nothing on that terminals obey."""

    def error(self, message: str) -> NoReturn:
        super().error(visible(one_screen(message)))


def _run(arguments: argparse.Namespace) -> int:
    if arguments.command == "predict":
        from emotion_estimators.cli.predict import predict

        return predict(arguments)
    if arguments.command == "evaluate":
        from emotion_estimators.cli.evaluate import evaluate

        return evaluate(arguments)
    if arguments.command == "fetch":
        from emotion_estimators.cli.weights import fetch

        return fetch(arguments)
    from emotion_estimators.cli.information import info

    return info(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="emotion-estimators", description="Emotions of faces in photographs.", epilog=_STATUSES
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    predict = commands.add_parser(
        "predict", help="photographs to a table of faces", description=_PREDICT, epilog=_STATUSES
    )
    predict.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="image or folder")
    _add_model(predict)
    predict.add_argument(
        "--detector",
        default="yunet",
        help="yunet (default; its file is downloaded once), cascade (nothing to download; needs "
        "scikit-image), or YuNet's file .onnx",
    )
    predict.add_argument(
        "--out",
        type=Path,
        metavar="TABLE",
        help="file .csv, .jsonl or .parquet (needs pyarrow); without it, CSV to standard output",
    )
    present = predict.add_mutually_exclusive_group()
    present.add_argument(
        "--resume",
        action="store_true",
        help="go on with TABLE: skip what it holds, but for images it says cannot be read",
    )
    present.add_argument("--overwrite", action="store_true", help="replace TABLE if it exists")
    predict.add_argument(
        "--draw",
        type=Path,
        metavar="DIR",
        help="write each photograph that shows faces into this folder, with boxes and labels",
    )
    predict.add_argument(
        "--min-certainty",
        type=_share,
        default=0.0,
        metavar="SHARE",
        help="below this certainty, in 0..1, the emotion is called unsure",
    )
    _add_answers(predict)
    _add_n_threads(predict)

    evaluate = commands.add_parser(
        "evaluate", help="how good a model is", description=_EVALUATE, epilog=_STATUSES
    )
    evaluate.add_argument(
        "path", type=Path, help="folder or zip file with one folder of face crops for each emotion"
    )
    _add_model(evaluate)
    evaluate.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="write the figures (evaluation.json) and an image (confusion_matrix.png; needs "
        "matplotlib) into this folder",
    )
    _add_answers(evaluate)
    _add_n_threads(evaluate)

    fetch = commands.add_parser(
        "fetch",
        help="download weights",
        description="Download weights for use without network, and print where they are.",
        epilog=_STATUSES,
    )
    fetch.add_argument("names", nargs="*", metavar="NAME", help="see the command info")
    fetch.add_argument("--all", action="store_true", help="all weights")

    commands.add_parser(
        "info",
        help="versions, extras, devices and weights",
        description="Print versions, extras found, devices and the cards of all weights.",
        epilog=_STATUSES,
    ).add_argument("--json", action="store_true", help="as JSON")
    return parser


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        default="embedded",
        help="emotion model: embedded (default), another name that info lists, or a file .onnx, "
        ".hdf5 or .h5",
    )


def _add_n_threads(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--n-threads", type=_positive, metavar="N", help="threads; by default one for each CPU"
    )


def _add_answers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output",
        metavar="NAME",
        help="which output of the model answers; of the embedded one votes (default), what people "
        "would say, or labels, the vocabulary of FER2013",
    )
    parser.add_argument(
        "--class-prior",
        choices=["uniform", "estimate"],
        help="how common the emotions are in these images: uniform, all alike; estimate, as all of "
        "the images together tell, which takes hundreds; by default as in the training",
    )


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"expected a number in 0..1, got {text!r}")
    return share


def _positive(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of 1 or more, got {text!r}")
    return number
