"""The file fer2013.csv in, faces and their labels out, with the votes of FER+ beside them."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from sklearn.utils import Bunch

from emotion_estimators._optional import import_optional
from emotion_estimators._sklearn import HasMethods, constraints, validate_params
from emotion_estimators._untrusted import Budget
from emotion_estimators.datasets._table import Table, first_lines, raise_rows
from emotion_estimators.datasets.votes_table import USAGES, read_votes, votes_of_files
from emotion_estimators.exceptions import InvalidTableError
from emotion_estimators.labels import EMOTIONS, FER_PACKAGE_LABELS, VOTE_COLUMNS
from emotion_estimators.validation import count_votes

__all__ = ["load_fer2013"]

_OWNER = "load_fer2013"
_COLUMNS = ("emotion", "pixels", "Usage")
_SIDE = 48  # pixels
_EMOTIONS = {str(number): label for number, label in enumerate(FER_PACKAGE_LABELS)}
# Three times the published file, and five times its rows; of those at fault all are kept.
_MAX_BYTES = 2**30
_MAX_ROWS = 200_000
_LONGEST_LINE = 2**16  # characters; a row of 2,304 pixels takes 9,300 at most

_DESCR = """\
FER2013
-------
{n} faces, grey, of {side} x {side} px: {usage}; {classes}.

Faces of a web search, with one label each: I. Goodfellow et al., "Challenges in Representation
Learning: A report on three machine learning contests", 2013; for research use.
{votes}"""
_DESCR_VOTES = """
Votes: what ten people each said of a face. FER+, github.com/microsoft/FERPlus (MIT); E. Barsoum,
C. Zhang, C. Canton Ferrer, Z. Zhang, "Training Deep Networks for Facial Expression Recognition
with Crowd-Sourced Label Distribution", ICMI 2016.
"""


@validate_params(
    {
        **constraints("path"),
        "votes": [str, os.PathLike, HasMethods(["itertuples"]), None],
    },
    prefer_skip_nested_validation=True,
)
def load_fer2013(path: str | os.PathLike[str], votes: Any = None) -> Any:
    r"""Load FER2013 from the file ``fer2013.csv``, as it was published.

    Parameters
    ----------
    path : str or path-like
        Where the data lie. A file with the columns emotion, an integer in 0..6, pixels, 2,304
        integers in 0..255, and Usage, one of Training, PublicTest and PrivateTest, in any order.
    votes : str, path-like, DataFrame or None, default=None
        What people voted, a row for each image. In the order of the file: FER+'s table
        ``fer2013new.csv``, or what `load_votes` or `fetch_votes` return of it. None loads none.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        With the attributes

        data : ndarray of shape (n_samples, 48, 48), dtype uint8
            Grey faces: X for every estimator here.
        target : ndarray of shape (n_samples,), dtype object
            Class names, as str, of `emotion_estimators.labels.EMOTIONS`.
        target_names : list of str
            The distinct classes, sorted.
        usage : ndarray of shape (n_samples,), dtype object
            The split of each face: "Training", "PublicTest" or "PrivateTest".
        votes : pandas.DataFrame of shape (n_samples, 10)
            As from `load_votes`. Only with `votes`.
        DESCR : str
            Description of the data.

    Raises
    ------
    FileNotFoundError
        If there is no file `path`, or no file `votes`.
    ValueError
        If the file is larger than 1 GiB, has more than 200,000 rows, a line of more than 65,536
        characters or a quotation mark that is not closed; of `votes` as from `load_votes`.
    InvalidTableError
        If columns are others, there are no rows, or rows are at fault: cells too many or too few,
        an emotion that is none, too many or too few pixels, one that is no integer in 0..255, an
        unknown split; or if `votes` has another number of rows, or another split in a row. The
        message names the first rows, counted as a spreadsheet does (the header is row 1); its
        attribute ``failures`` holds them all.
    MissingDependencyError
        If there are `votes` and pandas is not installed.

    See Also
    --------
    load_image_folder : Load the same faces as a folder of class folders.
    fetch_votes : Download FER+'s table.

    References
    ----------
    .. [1] I. Goodfellow et al., "Challenges in Representation Learning: A report on three machine
       learning contests", 2013.
    .. [2] E. Barsoum, C. Zhang, C. Canton Ferrer, Z. Zhang, "Training Deep Networks for Facial
       Expression Recognition with Crowd-Sourced Label Distribution", ICMI 2016.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from emotion_estimators.datasets import load_fer2013
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "fer2013.csv"
    ...     pixels = " ".join(["128"] * 48 * 48)
    ...     _ = path.write_text(f"emotion,pixels,Usage\n3,{pixels},Training\n")
    ...     faces = load_fer2013(path)
    >>> faces.data.shape, faces.target, faces.usage
    ((1, 48, 48), array(['happy'], dtype=object), array(['Training'], dtype=object))
    """
    if votes is not None:
        import_optional("pandas", extra="table", needed_by=_OWNER)
    table, data = _read(Path(path))
    target = np.array([_EMOTIONS[emotion] for emotion, _ in table.rows], dtype=object)
    usage = np.array([split for _, split in table.rows], dtype=object)
    classes = sorted(set(target))
    bunch = Bunch(data=data, target=target, target_names=classes, usage=usage)
    if votes is not None:
        bunch.votes = _votes_beside(table, votes)
    splits, labels = Counter(usage), Counter(target)
    bunch.DESCR = _DESCR.format(
        n=len(data),
        side=_SIDE,
        usage=", ".join(f"{name} {splits[name]}" for name in USAGES if splits[name]),
        classes=", ".join(f"{name} {labels[name]}" for name in classes),
        votes="" if votes is None else _DESCR_VOTES,
    )
    return bunch


def _read(path: Path) -> tuple[Table, Any]:
    """Return emotion and split of each row, and the faces, (n, 48, 48) uint8."""
    if not path.is_file():
        raise FileNotFoundError(f"{_OWNER} found no file at {path}.")
    budget = Budget(
        f"{_OWNER} cannot read {path}",
        max_bytes=_MAX_BYTES,
        max_parts=_MAX_ROWS,
        error=ValueError,
    )
    budget.take(n_bytes=path.stat().st_size, what="it")
    pixels = bytearray()  # grows with the file: each pixel takes two bytes of it
    table = Table([], [], [], str(path))
    failures: list[tuple[int, str]] = []
    places: list[int] = []
    # other encodings are seen by the header, or by cells that are no numbers
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        number = 0
        try:
            for number, row in enumerate(csv.reader(_lines(file, path), strict=True), start=1):
                if not any(row):
                    continue
                budget.take(n_parts=1, what=f"row {number}")
                if not places:
                    places = _find_columns([cell.strip() for cell in row], path)
                    continue
                table.numbers.append(number)
                reasons = _take(row, places, table.rows, pixels)
                failures += [(number, reason) for reason in reasons]
        except csv.Error as error:
            raise ValueError(f"{_OWNER} cannot read row {number + 1} of {path}: {error}.") from None
    if not places:
        raise InvalidTableError(f"{_OWNER} expected a header in {path}, got an empty file.")
    if not table.numbers:
        raise InvalidTableError(f"{_OWNER} found no row below the header of {path}.")
    raise_rows(_OWNER, table, failures)
    data = np.frombuffer(pixels, dtype=np.uint8)
    return table, data.reshape(-1, _SIDE, _SIDE)


def _lines(file: TextIO, path: Path) -> Iterator[str]:
    """Yield the lines of a file; raise for one that would fill the memory."""
    while line := file.readline(_LONGEST_LINE + 1):
        if len(line) > _LONGEST_LINE:
            raise ValueError(
                f"{_OWNER} expected lines of {_LONGEST_LINE} characters at most in {path}, got a "
                "longer one: this is not fer2013.csv."
            )
        yield line


def _find_columns(header: list[str], path: Path) -> list[int]:
    """Return the places of the three columns."""
    if sorted(header) != sorted(_COLUMNS):
        raise InvalidTableError(
            f"{_OWNER} expected {path} to have the columns {', '.join(_COLUMNS)}, got "
            f"{', '.join(first_lines([repr(name) for name in header]))}."
        )
    return [header.index(name) for name in _COLUMNS]


def _take(
    row: list[str], places: list[int], rows: list[list[Any]], pixels: bytearray
) -> Iterator[str]:
    """Append what a row holds; say what is wrong with it."""
    if len(row) != len(_COLUMNS):
        yield f"has {len(row)} cells, the header {len(_COLUMNS)}"
        return
    emotion, face, usage = (row[place].strip() for place in places)
    if emotion not in _EMOTIONS:
        yield f"has the emotion {emotion!r}: expected an integer in 0..{len(_EMOTIONS) - 1}"
    if usage not in USAGES:
        yield f"has the Usage {usage!r}: expected one of {', '.join(USAGES)}"
    rows.append([emotion, usage])
    # whatever fromstring makes of other characters differs with the version of NumPy
    if not (face.isascii() and face.replace(" ", "").isdecimal()):
        yield f"has {face[:40]!r} for its pixels: expected {_SIDE**2} integers in 0..255"
        return
    values = np.fromstring(face, dtype=np.int64, sep=" ")
    if len(values) != _SIDE**2:
        yield f"has {len(values)} pixels: expected {_SIDE**2} ({_SIDE} x {_SIDE})"
    elif values.max() > 255:
        yield f"has a pixel of {values.max()}: expected integers in 0..255"
    else:
        pixels += values.astype(np.uint8).tobytes()


def _votes_beside(table: Table, votes: Any) -> Any:
    """Return a frame, (n, 10), of votes that lie in the order of the faces."""
    if hasattr(votes, "itertuples"):
        frame, usage, name = votes, None, "the DataFrame votes"
        if sorted(map(str, frame.columns)) != sorted(VOTE_COLUMNS):
            raise InvalidTableError(
                f"{_OWNER} expected votes with the columns {', '.join(VOTE_COLUMNS)}, as from "
                f"load_votes, got {', '.join(first_lines(list(map(str, frame.columns))))}."
            )
        count_votes(frame, EMOTIONS, n_samples=len(frame), name=_OWNER)
        frame = frame[list(VOTE_COLUMNS)]
    else:
        read = read_votes(votes, owner=_OWNER)
        frame, usage, name = votes_of_files(read, None, owner=_OWNER), read.usage, read.table.name
        if usage is None:
            raise InvalidTableError(
                f"{_OWNER} expected FER+'s table, whose rows lie in the order of fer2013.csv, got "
                f"{name}, which has file names: load_votes finds the votes of files."
            )
    if len(frame) != len(table.rows):
        raise InvalidTableError(
            f"{_OWNER} expected a row of votes for each face in the order of fer2013.csv, got "
            f"{len(frame)} rows in {name} and {len(table.rows)} in {table.name}."
        )
    if usage is not None:
        pairs = zip(table.numbers, table.rows, usage, strict=True)
        failures = [
            (number, f"is of {split}, and its votes are of {other}")
            for number, (_, split), other in pairs
            if split != other
        ]
        raise_rows(_OWNER, table, failures)
    return frame
