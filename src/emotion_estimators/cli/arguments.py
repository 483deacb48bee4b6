"""Arguments in, an exit status out; the commands are imported when they are called."""

from __future__ import annotations

import argparse
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from emotion_estimators import __version__
from emotion_estimators.cli.console import (
    FAILED,
    MISUSED,
    OK,
    UsageError,
    fill_descriptors,
    flush_output,
    let_go,
    print_line,
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
many other files they hold, and of which kinds, is said. Of videos, each frame is taken for a
photograph, and faces are followed from frame to frame. Interrupted, it leaves a table of what is
done, and --resume goes on with it; killed, it leaves these rows in TABLE.csv, or in
TABLE.jsonl.rows.csv and TABLE.parquet.rows.csv, with which --resume goes on, too."""

_CROP = """\
Cut the faces out of photographs, each into a file DIR/NAME-NUMBER.png, and write the table that
predict writes, with one more column, crop, as DIR/faces.csv. Folders within folders are kept: of
photographs in one folder for each emotion come such folders of crops, from which classifiers learn
and which evaluate measures on. DIR must be new or empty."""

_EVALUATE = """\
Classify face crops whose emotion is known, and print how well: accuracy, balanced accuracy, macro
F1 and expected calibration error with 95 % bootstrap intervals, the recall of each class, and the
confusion matrix. Images that cannot be read are named and left out. Whole photographs are refused;
--crop cuts the largest face out of each."""
_MAX_SIDE = 4096  # pixels; crops of more take all memory


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = _parser()
    arguments = parser.parse_args(_as_values(sys.argv[1:] if argv is None else argv))
    fill_descriptors()
    try:
        status = _run(arguments) if arguments.command else _help(parser)
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


def _help(parser: argparse.ArgumentParser) -> int:
    print_line(parser.format_help().rstrip())
    return OK


def _as_values(argv: Sequence[str]) -> list[str]:
    """Return arguments such that argparse takes no number, or list of them, for an option."""
    numbers = re.compile(r"-[\d.][\d.,eE+-]*")
    return [f" {text}" if numbers.fullmatch(text) else text for text in argv]


class _Parser(argparse.ArgumentParser):
    """A parser whose messages pass nothing on that terminals obey."""

    def error(self, message: str) -> NoReturn:
        super().error(visible(one_screen(message)))


def _run(arguments: argparse.Namespace) -> int:
    if arguments.command == "predict":
        from emotion_estimators.cli.predict import predict

        return predict(arguments)
    if arguments.command == "crop":
        from emotion_estimators.cli.crop import crop

        return crop(arguments)
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
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    predict = commands.add_parser(
        "predict",
        help="photographs or videos to a table of faces",
        description=_PREDICT,
        epilog=_STATUSES,
    )
    predict.add_argument(
        "paths", nargs="+", type=_path, metavar="PATH", help="image or folder, or videos"
    )
    predict.add_argument(
        "--frame-step",
        type=_positive,
        metavar="N",
        help="of videos, look at every Nth frame only",
    )
    _add_model(predict)
    _add_detector(predict)
    predict.add_argument(
        "--out",
        type=_path,
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
        "--full",
        action="store_true",
        help="all digits: without it, boxes are rounded to tenths of a pixel, other numbers to "
        "four decimals",
    )
    predict.add_argument(
        "--excel",
        action="store_true",
        help="mark CSV as Unicode, so that Excel opens it with its umlauts",
    )
    predict.add_argument(
        "--draw",
        type=_path,
        metavar="DIR",
        help="write each photograph that shows faces into this folder, with boxes and labels",
    )
    _add_report(predict, "the faces with their photographs")
    predict.add_argument(
        "--min-certainty",
        type=_share,
        default=0.0,
        metavar="SHARE",
        help="below this certainty, in 0..1, the emotion is called unsure",
    )

    crop = commands.add_parser(
        "crop", help="photographs to face crops", description=_CROP, epilog=_STATUSES
    )
    crop.add_argument("paths", nargs="+", type=_path, metavar="PHOTOS", help="image or folder")
    crop.add_argument("folder", type=_path, metavar="DIR", help="where the crops go")
    crop.add_argument(
        "--largest", action="store_true", help="of each photograph the largest face only"
    )
    crop.add_argument(
        "--size",
        type=_sides,
        metavar="SIDE",
        help="of the crops in pixels, or HEIGHTxWIDTH; 96 by default",
    )
    crop.add_argument(
        "--resume",
        action="store_true",
        help="go on with DIR: skip what its table holds, but for images it says cannot be read",
    )
    _add_model(crop)
    _add_detector(crop)

    evaluate = commands.add_parser(
        "evaluate", help="how good a model is", description=_EVALUATE, epilog=_STATUSES
    )
    evaluate.add_argument(
        "path", type=_path, help="folder or zip file with one folder of face crops for each emotion"
    )
    whole = evaluate.add_mutually_exclusive_group()
    whole.add_argument(
        "--crop",
        action="store_true",
        help="the images are photographs: classify the largest face of each",
    )
    whole.add_argument(
        "--no-check",
        action="store_true",
        help="classify the images as they are, also where they look like whole photographs",
    )
    _add_model(evaluate)
    _add_detector(evaluate)
    evaluate.add_argument(
        "--out",
        type=_path,
        metavar="DIR",
        help="write the figures (evaluation.json) and an image (confusion_matrix.png; needs "
        "matplotlib) into this folder",
    )

    _add_report(evaluate, "the figures with the worst mistakes")

    fetch = commands.add_parser(
        "fetch",
        help="download weights",
        description="Download weights for use without network, and print where they are.",
        epilog=_STATUSES,
    )
    fetch.add_argument("names", nargs="*", metavar="NAME", help="see the command info")
    fetch.add_argument("--all", action="store_true", help="all weights")

    info = commands.add_parser(
        "info",
        help="versions, extras, devices and weights",
        description="Print versions, extras found, devices and what is known of all weights; or, "
        "of the weights that are named, all figures.",
        epilog=_STATUSES,
    )
    info.add_argument("names", nargs="*", metavar="NAME", help="weights; by default all")
    info.add_argument("--json", action="store_true", help="as JSON")
    return parser


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        default="embedded",
        help="emotion model: embedded (default), another name that info lists, or a file .onnx, "
        ".keras, .hdf5 or .h5",
    )
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
    parser.add_argument(
        "--device",
        default="auto",
        help="where the model runs: cpu, cuda, cuda:1 and so on; auto (default) is CUDA if there "
        "is a device, else the CPU",
    )
    parser.add_argument(
        "--n-threads", type=_positive, metavar="N", help="threads; by default one for each CPU"
    )
    own = parser.add_argument_group(
        "model files of your own", "What the file does not state; registered files are known."
    )
    own.add_argument(
        "--labels",
        type=_names,
        metavar="NAME,NAME,...",
        help="the emotion of each output of the network, in its order",
    )
    own.add_argument(
        "--scaling",
        nargs=2,
        type=_values,
        metavar=("LOW", "HIGH"),
        help="what black and white are in the input, such as -1 1; by default 0 1. One number, or "
        "three with commas between them, for red, green and blue",
    )
    own.add_argument("--color", choices=("grey", "rgb"), help="colour of the input")
    own.add_argument(
        "--activation",
        choices=("softmax", "sigmoid"),
        help="what makes the outputs probabilities",
    )
    own.add_argument(
        "--image-size",
        type=_sides,
        metavar="SIDE",
        help="of the input in pixels, or HEIGHTxWIDTH, for networks that take any",
    )


def _add_detector(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--detector",
        default="yunet",
        help="what finds the faces: yunet (default), another file .onnx of YuNet, or cascade "
        "(slower, for frontal faces; needs scikit-image)",
    )


def _add_report(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument(
        "--report",
        type=_path,
        metavar="FILE",
        help=f"write a page to look at, FILE.html: {what}, settings and limits",
    )
    parser.add_argument(
        "--no-thumbnails",
        action="store_true",
        help="leave photographs and faces out of the report, for people's privacy",
    )


def _path(text: str) -> Path:
    if not text:  # which pathlib would take for the working directory
        raise argparse.ArgumentTypeError("expected a path, got ''")
    return Path(text)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _values(text: str) -> float | list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 3):
        raise argparse.ArgumentTypeError(f"expected one number, or three, got {text.strip()!r}")
    return numbers[0] if len(numbers) == 1 else numbers


def _sides(text: str) -> int | tuple[int, int]:
    sides = [_positive(part) for part in text.lower().split("x")]
    if len(sides) > 2:
        raise argparse.ArgumentTypeError(f"expected one side, or HEIGHTxWIDTH, got {text!r}")
    if max(sides) > _MAX_SIDE:
        raise argparse.ArgumentTypeError(
            f"expected sides of up to {_MAX_SIDE:,} pixels, got {text!r}"
        )
    return sides[0] if len(sides) == 1 else (sides[0], sides[1])


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
