"""A table of what people voted in, a frame of ten columns out, also for files in their order."""

from __future__ import annotations

import math
import os
import re
import warnings
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_estimators._optional import import_optional
from emotion_estimators._sklearn import constraints, validate_params
from emotion_estimators.datasets._table import Table, first_lines, raise_rows, read_table
from emotion_estimators.exceptions import InvalidTableError, counted, shorten
from emotion_estimators.labels import VOTE_COLUMNS

__all__ = ["USAGES", "Votes", "load_votes", "read_votes", "votes_of_files"]

USAGES = ("Training", "PublicTest", "PrivateTest")  # the splits of FER2013

_OWNER = "load_votes"
_OURS = ("file", *VOTE_COLUMNS)
# FER+'s words, in the order of `VOTE_COLUMNS`
_FERPLUS_VOTES = (
    *("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear"),
    *("contempt", "unknown", "NF"),
)
_FERPLUS = ("Usage", "Image name", *_FERPLUS_VOTES)


class Votes(NamedTuple):
    """A table of votes: names of the images, counts (n, 10), splits (n,) where it has them."""

    table: Table
    names: list[str]
    counts: NDArray[np.float64]
    usage: list[str] | None


@validate_params(
    {**constraints("path"), "files": ["array-like", None]},
    prefer_skip_nested_validation=True,
)
def load_votes(path: str | os.PathLike[str], files: Iterable[Any] | None = None) -> Any:
    r"""Load what people voted that faces show: the answer of each of ten people, counted.

    Parameters
    ----------
    path : str or path-like
        Where the data lie. A table as a file: FER+'s ``fer2013new.csv``, with the columns Usage,
        Image name, neutral, happiness, surprise, sadness, anger, disgust, fear, contempt, unknown,
        NF, or one with the columns file, neutral, happy, surprise, sad, angry, disgust, fear,
        contempt, unknown, no_face. Their order does not matter.
    files : array-like of str or path-like, or None, default=None
        Images whose votes are returned, in this order. Such as ``data`` of `load_image_folder`,
        or ``filenames`` of a zip file. None returns all rows of the table.

    Returns
    -------
    votes : pandas.DataFrame of shape (n_samples, 10)
        float64, 0 or more: how many people voted neutral, happy, surprise, sad, angry, disgust,
        fear, contempt, unknown and no_face. The index, of the name "file", is `files`, or the
        names in the table, of which FER+'s are empty where people saw no face. It is what
        ``fit(X, y, votes=...)`` and `emotion_estimators.metrics.measure_votes` take.

    Raises
    ------
    FileNotFoundError
        If there is no file `path`.
    ValueError
        If the file is empty, in another encoding, no table or larger than 64 MiB, or `files`
        holds what is no path.
    InvalidTableError
        If the columns are others, or rows are at fault: cells too many or too few, no number, a
        number below 0 or not finite, an unknown split, an image named twice. The message names the
        first rows, counted as a spreadsheet does (the header is row 1); its attribute ``failures``
        holds them all.
    MissingDependencyError
        If pandas is not installed.

    Warns
    -----
    UserWarning
        If there are no votes for some of `files`, with their number: their rows are zeros.

    See Also
    --------
    fetch_votes : Download FER+'s table.
    load_fer2013 : Load faces and votes that lie in the same order.

    Notes
    -----
    A file has the votes of the row with the same folder and file name, the last two parts of both
    paths; where a row names no folder, as in FER+'s table, the file name alone counts.

    References
    ----------
    .. [1] E. Barsoum, C. Zhang, C. Canton Ferrer, Z. Zhang, "Training Deep Networks for Facial
       Expression Recognition with Crowd-Sourced Label Distribution", ICMI 2016.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from emotion_estimators.datasets import load_votes
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "votes.csv"
    ...     _ = path.write_text(
    ...         "file,neutral,happy,surprise,sad,angry,disgust,fear,contempt,unknown,no_face\n"
    ...         "happy/1.png,1,9,0,0,0,0,0,0,0,0\n"
    ...     )
    ...     votes = load_votes(path, ["faces/happy/1.png"])
    >>> votes["happy"].tolist()
    [9.0]
    """
    import_optional("pandas", extra="table", needed_by=_OWNER)
    return votes_of_files(read_votes(path, owner=_OWNER), files, owner=_OWNER)


def read_votes(path: str | os.PathLike[str], *, owner: str) -> Votes:
    """Read a table in one of both layouts; raise InvalidTableError for rows at fault."""
    table = read_table(path, owner=owner)
    header = table.header
    is_ferplus = sorted(header) == sorted(_FERPLUS)
    if not is_ferplus and sorted(header) != sorted(_OURS):
        raise InvalidTableError(
            f"{owner} expected {table.name} to have the columns {', '.join(_OURS)}, or those of "
            f"FER+, {', '.join(_FERPLUS)}; got {', '.join(first_lines(header))}."
        )
    if not table.rows:
        raise InvalidTableError(f"{owner} found no row below the header of {table.name}.")
    columns = [header.index(name) for name in (_FERPLUS_VOTES if is_ferplus else VOTE_COLUMNS)]
    name_place = header.index("Image name" if is_ferplus else "file")
    usage_place = header.index("Usage") if is_ferplus else None
    counts = np.zeros((len(table.rows), len(columns)))
    names: list[str] = []
    usage: list[str] = []
    failures: list[tuple[int, str]] = []
    first_row: dict[str, int] = {}
    for place, (number, row) in enumerate(zip(table.numbers, table.rows, strict=True)):
        if len(row) != len(header):
            failures.append((number, f"has {len(row)} cells, the header {len(header)}"))
            continue
        name = row[name_place]
        names.append(name)
        if name:
            first = first_row.setdefault(name, number)
            if first != number:
                failures.append((number, f"names {name!r}, which row {first} names already"))
        elif not is_ferplus:
            failures.append((number, "has no file name"))
        if usage_place is not None:
            usage.append(row[usage_place])
            if row[usage_place] not in USAGES:
                expected = f"expected {', '.join(USAGES)}"
                failures.append((number, f"has the Usage {row[usage_place]!r}: {expected}"))
        for k, column in enumerate(columns):
            value = _number(row[column])
            if value is None:
                reason = f"has {row[column]!r} for {header[column]!r}: expected a number, 0 or more"
                failures.append((number, reason))
            else:
                counts[place, k] = value
    raise_rows(owner, table, failures)
    return Votes(table, names, counts, usage if is_ferplus else None)


def _number(cell: str) -> float | None:
    """Return a number that is finite and 0 or more, or None."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def votes_of_files(votes: Votes, files: Iterable[Any] | None, *, owner: str) -> Any:
    """Return a frame, (n_files, 10), of the votes for files, zeros where there are none.

    None is all rows, in the order of the table.
    """
    if files is None:
        return _frame(votes.counts, votes.names, owner)
    paths = list(files)
    for place, path in enumerate(paths):
        if not isinstance(path, str | os.PathLike):
            raise ValueError(
                f"{owner} expected files to be paths, got {shorten(path)} at place {place}. Of a "
                "zip file take the filenames of load_image_folder."
            )
    paths = [os.fspath(path) for path in paths]
    rows: dict[str, int] = {}
    failures: list[tuple[int, str]] = []
    for row, name in enumerate(votes.names):
        key = _key(name)
        if name and rows.setdefault(key, row) != row:
            first = votes.table.numbers[rows[key]]
            reason = f"names {name!r}: row {first} names a {key!r} too, which files are found by"
            failures.append((votes.table.numbers[row], reason))
    raise_rows(owner, votes.table, failures)
    counts = np.zeros((len(paths), len(VOTE_COLUMNS)))
    lost = []
    for place, path in enumerate(paths):
        key = _key(path)
        found = rows.get(key, rows.get(key.rpartition("/")[2]))
        if found is None:
            lost.append(path)
        else:
            counts[place] = votes.counts[found]
    if lost:
        warnings.warn(
            f"{owner} found no votes for {len(lost)} of {counted(len(paths), 'file')} in "
            f"{votes.table.name}, the first of them {shorten(lost[0])}: their rows are zeros.",
            stacklevel=5,
        )
    return _frame(counts, paths, owner)


def _key(path: str) -> str:
    """Return folder and file name of a path, of any system."""
    return "/".join(re.split(r"[/\\]+", path)[-2:])


def _frame(counts: NDArray[np.float64], names: list[str], owner: str) -> Any:
    """Return counts, (n, 10), as a frame whose index is the names."""
    pandas = import_optional("pandas", extra="table", needed_by=owner)
    index = pandas.Index(names, name="file", dtype=object)
    return pandas.DataFrame(counts, index=index, columns=list(VOTE_COLUMNS))
