"""The command ``crop``: photographs to files of face crops, with the table of faces."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from emotion_estimators._files import whole_file
from emotion_estimators.analysis.columns import table_columns
from emotion_estimators.cli.console import FAILED, OK, UsageError, report
from emotion_estimators.cli.models import describe_settings, open_classifier, open_cropper
from emotion_estimators.cli.outputs import check_folder
from emotion_estimators.cli.photographs import (
    crop_stem,
    crop_targets,
    find_photographs,
    report_search,
)
from emotion_estimators.cli.predict import Run, give_prior
from emotion_estimators.cli.tables import image_name, open_table, read_rows
from emotion_estimators.exceptions import counted

__all__ = ["crop"]

_TABLE = "faces.csv"


def crop(arguments: argparse.Namespace) -> int:
    """Write the crops, and the table."""
    folder: Path = arguments.folder
    check_folder("DIR", folder)
    if arguments.resume and arguments.class_prior == "estimate":
        raise UsageError(
            "--class-prior estimate is of all images together, and --resume looks at the rest only."
        )
    if not arguments.resume and folder.is_dir() and any(folder.iterdir()):
        raise UsageError(
            f"the folder {folder} is not empty. Take a new one for the crops, or go on with those "
            "in it by --resume."
        )
    found = find_photographs(arguments.paths, leave_out=folder)
    crop_targets(found.photographs, folder)  # raises where it cannot be
    report_search("crop", found)
    if len(found.missing) == len(found.photographs):
        return FAILED  # and no folder was made
    from emotion_estimators.analysis.rows import iterate_with_crops

    cropper = open_cropper(arguments)
    if arguments.size is not None:
        cropper.set_params(image_size=arguments.size)
    classifier, classes = open_classifier(arguments)  # which may be downloaded
    give_prior(arguments, list(found.photographs), cropper, classifier, classes)
    names = {path: image_name(path) for path in found.photographs}
    folder.mkdir(parents=True, exist_ok=True)
    columns = [*table_columns(classes), "crop"]
    table, held = open_table(
        folder / _TABLE,
        columns,
        retry=set(names.values()) if arguments.resume else None,
        settings=describe_settings(arguments, classifier, cropper),
    )
    rows = chain.from_iterable(read_rows(folder / _TABLE, columns))
    begun = {row["image"]: crop_stem(row["crop"]) for row in rows if row["crop"]}
    targets = crop_targets(found.photographs, folder, begun=begun)
    pending = [path for path in found.photographs if names[path] not in held.images]
    stream = iterate_with_crops(
        "crop", pending, cropper, classifier, only_largest=arguments.largest
    )
    run = Run("crop", pending, folder / _TABLE, held)
    status = run.write(table, _save(stream, (targets[path] for path in pending), folder))
    report(
        f"crop: {counted(run.emotions.total(), 'crop')} in {folder}, listed in {folder / _TABLE}."
    )
    return max(status, FAILED if found.empty or found.unreadable else OK)


def _save(
    stream: Iterable[tuple[list[dict[str, Any]], NDArray[Any]]],
    targets: Iterator[str],
    folder: Path,
) -> Iterator[list[dict[str, Any]]]:
    """Write the crops of each photograph, then yield its rows, which name them."""
    from PIL import Image

    for (rows, crops), target in zip(stream, targets, strict=True):
        for row in rows:
            row["crop"] = None
        for row, pixels in zip(rows, crops, strict=False):  # a row says that there is no face
            name = f"{target}-{row['face']}.png"
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path, what="A crop") as file:  # never through a link to elsewhere
                Image.fromarray(pixels).save(file, format="PNG")
            row["crop"] = image_name(name)
        yield rows
