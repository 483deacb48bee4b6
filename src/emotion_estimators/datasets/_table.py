"""A table in, its header and rows out, with the numbers by which a reader finds the rows again.

Imports the errors, and what bounds them.
"""

from __future__ import annotations

import codecs
import csv
import io
from pathlib import Path
from typing import Any, NamedTuple

from emotion_estimators._untrusted import Budget
from emotion_estimators.exceptions import InvalidTableError, counted

__all__ = ["Table", "first_lines", "raise_rows", "read_table"]

# A cell takes up to 60 bytes, a row some hundred: a gigabyte at the most.
_MAX_BYTES = 2**26
_MAX_PARTS = 16_000_000
_PARTS_OF_A_ROW = 8
_N_NAMED = 18  # faults named in a message, whose lines are 20 at most
_MAX_LINE = 200  # characters of one of them
_MAX_MESSAGE = 1200  # of all of them
_DELIMITERS = (",", ";", "\t", "|")


class Table(NamedTuple):
    """Rows of cells under a header.

    ``numbers`` are those of a spreadsheet for a file (the header is row 1; a cell with line
    breaks is still one row), positions from 0 for a DataFrame. A missing cell is None.
    """

    header: list[str]
    rows: list[list[Any]]
    numbers: list[int]
    name: str


def read_table(
    source: Any, *, owner: str, delimiter: str | None = None, encoding: str | None = None
) -> Table:
    """Read a file or take a DataFrame; `owner` is who asks, for messages."""
    if hasattr(source, "columns") and hasattr(source, "itertuples"):
        return _from_frame(source)
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"{owner} found no table at {path}.")
    budget = Budget(
        f"{owner} cannot read {path} as a table",
        max_bytes=_MAX_BYTES,
        max_parts=_MAX_PARTS,
        error=ValueError,
    )
    budget.take(n_bytes=path.stat().st_size, what="it")
    text = _decode(path.read_bytes(), path, owner, encoding)
    lines: list[list[str]] = []
    try:
        delimiter = delimiter or _find_delimiter(text)
        # a quote that never closes is an error in strict mode, not one huge last cell
        for line in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
            budget.take(n_parts=_PARTS_OF_A_ROW + len(line), what=f"row {len(lines) + 1}")
            lines.append(line)
    except csv.Error as error:
        raise ValueError(f"{owner} cannot read {path} as a table: {error}.") from error
    filled = [(number, line) for number, line in enumerate(lines, start=1) if any(line)]
    if not filled:
        raise ValueError(f"{owner} expected a header in {path}, got an empty file.")
    (_, header), *body = filled
    return Table(
        header=[cell.strip() for cell in header],
        rows=[[cell.strip() for cell in line] for _, line in body],
        numbers=[number for number, _ in body],
        name=str(path),
    )


def raise_rows(owner: str, table: Table, failures: list[tuple[int, str]]) -> None:
    """Raise InvalidTableError that names the first rows at fault, if there are any."""
    if not failures:
        return
    lines = first_lines([f"row {number} {reason}" for number, reason in failures])
    if len(lines) > 1 and len(failures) >= len(lines) and lines[-1].startswith("and "):
        lines[-1] += " (error.failures holds all)"
    n_rows = len({number for number, _ in failures})
    raise InvalidTableError(
        f"{owner} cannot use {n_rows} of {counted(len(table.numbers), 'row')} of {table.name}:\n  "
        + "\n  ".join(lines),
        failures,
    )


def first_lines(lines: list[str]) -> list[str]:
    """Return the lines, cut, that a message has room for, and one that counts the others."""
    shown: list[str] = []
    room = _MAX_MESSAGE
    for line in lines[:_N_NAMED]:
        short = line if len(line) <= _MAX_LINE else f"{line[:_MAX_LINE]}..."
        room -= len(short)
        if room < 0:
            break
        shown.append(short)
    n_left = len(lines) - len(shown)
    return [*shown, f"and {n_left} more"] if n_left else shown


def _from_frame(frame: Any) -> Table:
    rows = [
        [None if cell is None or _is_missing(cell) else cell for cell in row]
        for row in frame.itertuples(index=False, name=None)
    ]
    header = [str(column).strip() for column in frame.columns]
    return Table(header, rows, list(range(len(rows))), "the DataFrame")


def _is_missing(cell: Any) -> bool:
    # NaN and NaT are not equal to themselves, and a comparison with pandas.NA has no truth
    try:
        return bool(cell != cell)
    except TypeError:
        return True


def _decode(content: bytes, path: Path, owner: str, encoding: str | None) -> str:
    if encoding is None:
        is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        encoding = "utf-16" if is_utf16 else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{owner} expected {path} to be encoded as {encoding}, got the byte "
            f"0x{content[error.start]:02x} in line {line}. Pass its encoding, of many older "
            'spreadsheets encoding="cp1252".'
        ) from error


def _find_delimiter(text: str) -> str:
    """Return the delimiter that parts the header into most cells."""
    lines = io.StringIO(text)  # splitlines would copy them all
    header = next((line for line in lines if line.strip()), "").splitlines()[0:1]

    def n_cells(delimiter: str) -> int:
        return len(next(csv.reader(header, delimiter=delimiter), []))

    return max(_DELIMITERS, key=n_cells)  # the first of equals: a comma
