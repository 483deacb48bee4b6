"""A table with one 0/1 column for each label in, paths and an indicator matrix out."""

from __future__ import annotations

import os
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from emotion_estimators._sklearn import HasMethods, validate_params
from emotion_estimators.datasets._table import Table, first_lines, raise_rows, read_table
from emotion_estimators.exceptions import InvalidTableError

__all__ = ["load_multilabel_csv"]

_OWNER = "load_multilabel_csv"
_VALUES = {"0": 0.0, "0.0": 0.0, "false": 0.0, "1": 1.0, "1.0": 1.0, "true": 1.0}
_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none"})


@validate_params(
    {
        "table": [str, os.PathLike, HasMethods(["itertuples"])],
        "path": [str, os.PathLike],
        "image_column": [str],
        "label_columns": ["array-like", None],
        "partial_labels": ["boolean"],
        "delimiter": [str, None],
        "encoding": [str, None],
        "return_X_y": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def load_multilabel_csv(
    table: Any,
    path: str | os.PathLike[str],
    *,
    image_column: str = "Image_Name",
    label_columns: Sequence[str] | None = None,
    partial_labels: bool = False,
    delimiter: str | None = None,
    encoding: str | None = None,
    return_X_y: bool = False,
) -> Any:
    r"""Load images that have several labels each, from a table with one column for each label.

    Parameters
    ----------
    table : str, path-like or DataFrame
        The table: a header, then one row for each image, its file name in `image_column` and 0
        or 1 (also 0.0, 1.0, false, true) in the column of each label.
    path : str or path-like
        The folder in which the file names lie; they may hold folders.
    image_column : str, default="Image_Name"
        Name of the column with the file names.
    label_columns : sequence of str, default=None
        Names of the label columns, in the order wanted. None takes, in the order of the table,
        every other column of which more than half the filled cells are 0 or 1.
    partial_labels : bool, default=False
        Whether a label may be unknown: an empty cell, ``NA``, ``N/A``, ``NaN``, ``null`` or
        ``none``, in any case, becomes NaN. False takes that for a fault.
    delimiter : str, default=None
        What parts the cells of a file. None finds out whether it is a comma, a semicolon, a tab
        or ``|``.
    encoding : str, default=None
        Encoding of a file. None reads UTF-8, with or without a byte order mark, and UTF-16 with
        one.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        With the attributes

        data : ndarray of shape (n_samples,), dtype object
            Paths of the images, as str: X for every estimator here.
        target : ndarray of shape (n_samples, n_labels)
            int64, 0 or 1; with ``partial_labels=True`` float64, 0.0, 1.0 or NaN.
        target_names : list of str
            The label of each column of `target`.
        filenames : ndarray of shape (n_samples,), dtype object
            Names of the images, as in the table.
        rows : ndarray of int64, shape (n_samples,)
            Row of each image in the table, as messages name it: counted as a spreadsheet does
            (the header is row 1) in a file, by position from 0 in a DataFrame.
        ignored_columns : list of str
            Columns that are neither `image_column` nor a label.
        DESCR : str
            Where the images are from, and how many have each label.
    data, target : tuple of ndarray
        If ``return_X_y=True``.

    Raises
    ------
    FileNotFoundError
        If there is no file `table`.
    NotADirectoryError
        If `path` is no folder.
    ValueError
        If a file is empty, in another encoding, no table, or one of more than 64 MiB, of a cell
        of more than 131,072 characters, or of more than 16 million cells (a row counts as 8 more).
    InvalidTableError
        If columns are missing or named twice, no column is a label, there are no rows, or rows
        are at fault: cells too many or too few, no file name, a name that leads out of
        `path`, a file that is not there, an image named twice, a value that is not 0 or 1.
        The message names the first columns at fault, or the first faults of rows, up to 18; its
        attribute ``failures`` holds them all, as (row, reason).

    Warns
    -----
    UserWarning
        If a label has no positive row: nothing can be learnt or measured of it.

    See Also
    --------
    make_scenes : Generated images with several labels each.
    emotion_estimators.model_selection.multilabel_train_test_split : Split what was loaded.

    Notes
    -----
    Links below `path` are followed. Files are looked for, not decoded: damaged images are
    found, and named, by the estimator that reads them. Blanks around names and values do not
    count, nor do empty lines.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> from emotion_estimators.datasets import load_multilabel_csv
    >>> with TemporaryDirectory() as folder:
    ...     for name in ("a.png", "b.png"):
    ...         Image.new("RGB", (64, 64)).save(Path(folder) / name)
    ...     table = Path(folder) / "labels.csv"
    ...     _ = table.write_text(
    ...         "Image_Name,Classes,boat,bus\na.png,boat bus,1,1\nb.png,bus,0,1\n"
    ...     )
    ...     images = load_multilabel_csv(table, folder)
    >>> images.target_names
    ['boat', 'bus']
    >>> images.target
    array([[1, 1],
           [0, 1]])
    """
    folder = Path(path)
    table = read_table(table, owner=_OWNER, delimiter=delimiter, encoding=encoding)
    if not folder.is_dir():
        raise NotADirectoryError(f"{_OWNER} expected path to be a folder, got {folder}.")
    labels = _find_label_columns(table, image_column, label_columns)
    image_place = table.header.index(image_column)
    places = {name: place for place, name in enumerate(table.header)}
    label_places = [places[label] for label in labels]

    failures: list[tuple[int, str]] = []
    target = np.full((len(table.rows), len(labels)), np.nan)
    filenames: list[str] = []
    first_row: dict[str, int] = {}
    for place, (number, row) in enumerate(zip(table.numbers, table.rows, strict=True)):
        if len(row) != len(table.header):
            failures.append((number, f"has {len(row)} cells, the header {len(table.header)}"))
            continue
        filename = "" if row[image_place] is None else str(row[image_place])
        filenames.append(filename)
        reasons = list(_file_problems(filename, folder, number, first_row))
        for number_of_label, column in enumerate(label_places):
            label = labels[number_of_label]
            value = _read_value(row[column])
            if value is None:
                reasons.append(f"has {row[column]!r} for {label!r}: expected 0 or 1")
            elif np.isnan(value) and not partial_labels:
                reasons.append(
                    f"has no value for {label!r}: expected 0 or 1, or partial_labels=True "
                    "where it is unknown"
                )
            else:
                target[place, number_of_label] = value
        failures += [(number, reason) for reason in reasons]
    raise_rows(_OWNER, table, failures)

    positives = np.nansum(target, axis=0).astype(int).tolist()
    _warn_of_empty(table, labels, positives)
    data = np.array([str(folder / name) for name in filenames], dtype=object)
    if not partial_labels:
        target = target.astype(np.int64)
    if return_X_y:
        return data, target
    counts = ", ".join(f"{label} {n}" for label, n in zip(labels, positives, strict=True))
    return Bunch(
        data=data,
        target=target,
        target_names=labels,
        filenames=np.array(filenames, dtype=object),
        rows=np.array(table.numbers, dtype=np.int64),
        ignored_columns=[name for name in table.header if name not in {image_column, *labels}],
        DESCR=(
            f"{len(data)} images in {folder}, with {len(labels)} labels by {table.name}.\n"
            f"Images with each label: {counts}."
        ),
    )


def _find_label_columns(
    table: Table, image_column: str, label_columns: Sequence[str] | None
) -> list[str]:
    """Return the names of the label columns; raise if the columns cannot be told apart."""
    header = table.header
    named = None if label_columns is None else [str(name) for name in label_columns]
    present = set(header)
    wanted = None if named is None else set(named)
    problems = [
        f"column {name!r} is there {count} times"
        for name, count in Counter(header).items()
        if count > 1 and (name == image_column or wanted is None or name in wanted)
    ]
    missing = [name for name in (image_column, *(named or ())) if name not in present]
    problems += [f"there is no column {name!r}" for name in missing]
    if named is not None:
        problems += [
            f"label_columns names {name!r} {count} times"
            for name, count in Counter(named).items()
            if count > 1
        ]
        if image_column in named:
            problems.append(f"label_columns names {image_column!r}, the column of the images")
    if not table.rows:
        problems.append("there is no row below the header")
    if problems:
        lines = "\n  ".join(first_lines(problems))
        raise InvalidTableError(
            f"{_OWNER} cannot use {table.name}:\n  {lines}\nIt has {_names(header)}."
        )
    labels = named if named is not None else _columns_of_zeros_and_ones(table, image_column)
    if not labels:
        raise InvalidTableError(
            f"{_OWNER} expected columns of 0 and 1 in {table.name}, one for each label, got none "
            f"among {_names(header)}."
        )
    return labels


def _columns_of_zeros_and_ones(table: Table, image_column: str) -> list[str]:
    labels = []
    for place, name in enumerate(table.header):
        values = [_read_value(row[place]) for row in table.rows if place < len(row)]
        is_bit = [value is not None for value in values if value is None or not np.isnan(value)]
        if name != image_column and sum(is_bit) > 0.5 * len(is_bit):
            labels.append(name)
    return labels


def _read_value(cell: Any) -> float | None:
    """Return 0.0, 1.0, NaN where the cell is empty, or None where it holds anything else."""
    if cell is None:
        return np.nan
    if type(cell) is str and cell in _VALUES:
        return _VALUES[cell]
    text = str(cell).strip().lower()
    return np.nan if text in _MISSING else _VALUES.get(text)


def _file_problems(
    filename: str, folder: Path, number: int, first_row: dict[str, int]
) -> Iterator[str]:
    """Say what is wrong with a file name; note in which row each file comes first."""
    if not filename:
        yield "has no file name"
        return
    if _leads_out(filename):
        yield f"names {filename!r}, which leads out of the folder"
        return
    path = os.path.normpath(folder / filename)
    first = first_row.setdefault(path, number)
    if first != number:
        yield f"names {filename!r}, which row {first} names already"
    elif not os.path.isfile(path):  # noqa: PTH113 - False, no error, for names no system allows
        yield f"names {filename!r}: there is no file {path}"


def _leads_out(filename: str) -> bool:
    """Whether a name is absolute, or climbs higher than it descends, on any system."""
    if PureWindowsPath(filename).drive or filename[0] in "/\\":
        return True
    depth = 0
    for part in re.split(r"[/\\]", filename):
        depth += {"..": -1, ".": 0, "": 0}.get(part, 1)
        if depth < 0:
            return True
    return False


def _names(names: list[str]) -> str:
    return ", ".join(first_lines([repr(name) for name in names]))


def _warn_of_empty(table: Table, labels: list[str], positives: list[int]) -> None:
    empty = [label for label, count in zip(labels, positives, strict=True) if not count]
    if empty:
        warnings.warn(
            f"{_OWNER} found no row of {table.name} with 1 for {_names(empty)}: "
            "nothing can be learnt or measured of such a label.",
            stacklevel=5,
        )
