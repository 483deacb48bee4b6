"""Rows of faces to a table on disk, photograph by photograph, and back to go on with it.

While photographs are looked at, there is one file of CSV, to which the rows of each photograph are
added in one piece: the table itself, or ``NAME.rows.csv`` beside a table of another format, which
is made of it at the end. So whatever ends the process, what it did is there.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Any, BinaryIO

from emotion_estimators._files import whole_file
from emotion_estimators._optional import import_optional
from emotion_estimators.cli.console import UsageError, flush_output
from emotion_estimators.exceptions import printable, shorten

__all__ = ["SUFFIXES", "Held", "Table", "image_name", "import_arrow", "open_table", "rows_file"]

SUFFIXES = (".csv", ".jsonl", ".parquet")

_ROWS_PER_GROUP = 4096  # of a Parquet file
_WHOLE, _WORDS = ("row", "face"), ("image", "status", "problem", "emotion")
_ADVICE = "Take another --out, or --overwrite it."

_Cells = list[str]  # of a row of CSV


@dataclass
class Held:
    """What a table to go on with holds: `images`, by `image_name`, and the `next_row` to add."""

    images: set[str] = field(default_factory=set)
    next_row: int = 0


class Table:
    """Takes the rows of one photograph after the other; `path` None is standard output."""

    def __init__(self, path: Path | None, columns: list[str]) -> None:
        self._path, self._columns = path, columns
        if path is None:
            _print(_to_csv([columns]))
        else:
            self._file = rows_file(path).open("ab", buffering=0)

    def write(self, rows: list[dict[str, Any]]) -> None:
        """Add the rows of a photograph, all of them or, after an error, none."""
        text = _to_csv([_cell(row[name]) for name in self._columns] for row in rows)
        if self._path is None:
            _print(text)
            return
        end = self._file.seek(0, os.SEEK_END)
        try:
            rest = memoryview(text.encode())
            while rest:  # a disk that gets full takes a part
                rest = rest[self._file.write(rest) :]
        except BaseException as error:
            with suppress(OSError):
                self._file.truncate(end)
            if isinstance(error, OSError):
                raise OSError(
                    error.errno,
                    f"the table cannot be written ({error.strerror}). Free some space there, and "
                    "go on with --resume",
                    str(self._path),
                ) from error
            raise

    def finish(self) -> None:
        """Leave the table that was asked for."""
        self.close()
        path = self._path
        if path is None or path.suffix.lower() == ".csv":
            return
        rows = rows_file(path)
        make = _write_json if path.suffix.lower() == ".jsonl" else _write_parquet
        what = f"{path.name} (all rows are in {rows.name} beside it; go on with --resume)"
        with whole_file(path, what=what) as file:
            make(file, (row for row in _read_csv(rows, self._columns) if row), self._columns)
        rows.unlink()

    def close(self) -> None:
        """Let the file go; its rows stay where they are."""
        if self._path is not None:
            self._file.close()


def image_name(path: str) -> str:
    """Return a path as tables name it: in UTF-8, whatever the system's encoding; else escaped."""
    with suppress(UnicodeError):
        path = os.fsencode(path).decode("utf-8", "surrogateescape")
    return printable(path)


def rows_file(path: Path) -> Path:
    """Return the file of CSV that takes the rows of a table while it grows."""
    return path if path.suffix.lower() == ".csv" else path.with_name(f"{path.name}.rows.csv")


def open_table(
    path: Path | None, columns: list[str], *, retry: set[str] | None = None
) -> tuple[Table, Held]:
    """Start a table, or go on with one.

    Parameters
    ----------
    path : Path or None
        A file whose name ends in one of `SUFFIXES`; None is CSV to standard output.
    columns : list of str
        Its columns.
    retry : set of str or None, default=None
        None starts from nothing. Else what there is already is kept, but for the rows of these
        images, by `image_name`, if they say that it is unreadable, and for the last photograph
        if it was cut off.

    Returns
    -------
    table : Table
    held : Held

    Raises
    ------
    UsageError
        If the table to go on with has other columns or is damaged, or pyarrow is not installed.
    OSError
        If it cannot be read or written.
    """
    held = Held()
    if path is not None:
        rows = rows_file(path)
        source = rows if rows.exists() else path
        old: Iterable[list[_Cells]] = ()
        if retry is not None and source.exists():
            old = _keep(source, columns, retry, held)
        with whole_file(rows, what=f"The table {path.name}") as file:
            for cells in chain([[columns]], old):
                file.write(_to_csv(cells).encode())
    return Table(path, columns), held


def import_arrow() -> Any:
    """Import pyarrow with its Parquet part, or say how to install it."""
    try:
        import_optional("pyarrow.parquet", extra="parquet", needed_by="A table .parquet")
        return import_optional("pyarrow", extra="parquet", needed_by="A table .parquet")
    except ImportError as error:
        raise UsageError(str(error)) from error


def _print(text: str) -> None:
    """Write to standard output, in UTF-8 where it takes bytes."""
    binary = getattr(sys.stdout, "buffer", None)
    if binary is None:  # something like a StringIO
        sys.stdout.write(text)
    else:
        binary.write(text.encode())
    flush_output()  # of its buffer, too


def _to_csv(rows: Iterable[_Cells]) -> str:
    text = io.StringIO()
    plain = csv.writer(text, lineterminator="\n")
    quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for cells in rows:
        # a carriage return is not quoted by itself, and would end the row when it is read
        (quoted if any("\r" in cell for cell in cells) else plain).writerow(cells)
    return text.getvalue()


def _cell(value: Any) -> str:
    """Return a value as text; what is missing is empty."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return printable(value) if isinstance(value, str) else repr(value)


def _value(name: str, cell: str) -> Any:
    """Return what a cell of a column says."""
    if name == "problem":
        return cell
    if cell == "":
        return None
    if name in _WORDS:
        return cell
    # others write whole numbers with gaps as 1.0
    return int(float(cell)) if name in _WHOLE else float(cell)


def _values(rows: Iterable[_Cells], columns: list[str]) -> Iterator[dict[str, Any]]:
    for cells in rows:
        try:
            yield {name: _value(name, cell) for name, cell in zip(columns, cells, strict=True)}
        except ValueError as error:
            raise UsageError(f"A row of the table is damaged: {error}. {_ADVICE}") from error


def _write_json(file: BinaryIO, rows: Iterable[_Cells], columns: list[str]) -> None:
    for row in _values(rows, columns):
        file.write(f"{json.dumps(row, allow_nan=False)}\n".encode())


def _write_parquet(file: BinaryIO, rows: Iterable[_Cells], columns: list[str]) -> None:
    arrow = import_arrow()
    types = {name: arrow.int64() for name in _WHOLE} | {name: arrow.string() for name in _WORDS}
    schema = arrow.schema([(name, types.get(name, arrow.float64())) for name in columns])
    with arrow.parquet.ParquetWriter(file, schema) as parquet:
        values = _values(rows, columns)
        while group := list(islice(values, _ROWS_PER_GROUP)):
            parquet.write_table(arrow.Table.from_pylist(group, schema=schema))


def _keep(path: Path, columns: list[str], retry: set[str], held: Held) -> Iterator[list[_Cells]]:
    """Yield the rows of each photograph to keep, and note it in `held`."""
    read: dict[str, Callable[..., Iterator[_Cells | None]]] = {
        ".csv": _read_csv,
        ".jsonl": _read_json,
        ".parquet": _read_parquet,
    }
    place = {name: i for i, name in enumerate(columns)}
    waiting: list[_Cells] = []  # of the last photograph, which may be incomplete
    records = read[path.suffix.lower()](path, columns)

    def number_of(cells: _Cells | None) -> str | None:
        return None if cells is None else cells[place["row"]]

    for number, group in groupby(records, key=number_of):
        if number is None:  # cut off: in the middle of these, or right after them
            waiting = []
            break
        if not number.isdecimal():
            raise UsageError(f"{path} is not a table of faces: row {shorten(number)}. {_ADVICE}")
        kept, waiting = waiting, [cells for cells in group if cells is not None]
        yield from _note(kept, place, retry, held)
    yield from _note(waiting, place, retry, held)


def _note(
    rows: list[_Cells], place: dict[str, int], retry: set[str], held: Held
) -> Iterator[list[_Cells]]:
    if not rows:
        return
    image = rows[0][place["image"]]
    if rows[0][place["status"]] == "unreadable" and image in retry:
        return
    held.images.add(image)
    held.next_row = max(held.next_row, int(rows[0][place["row"]]) + 1)
    yield rows


def _read_csv(path: Path, columns: list[str]) -> Iterator[_Cells | None]:
    """Yield rows; None in place of a last one that was cut off."""
    is_cut = _is_cut(path)
    # names of files need not be UTF-8 where others wrote them
    with path.open(encoding="utf-8", errors="backslashreplace", newline="") as file:
        lines = csv.reader(file)
        try:
            heading = next(lines, columns)
            if is_cut and lines.line_num == 1 and ",".join(columns).startswith(",".join(heading)):
                return  # cut off within the heading
            _check_columns(path, heading, columns)
            last = None
            for line in lines:
                if last is not None:
                    if len(last) != len(columns):
                        message = f"{path} is damaged before line {lines.line_num}. {_ADVICE}"
                        raise UsageError(message)
                    yield last
                last = line
        except csv.Error as error:
            raise UsageError(f"{path} is damaged: {error}. {_ADVICE}") from error
        if last is not None:
            yield last if len(last) == len(columns) and not is_cut else None


def _read_json(path: Path, columns: list[str]) -> Iterator[_Cells | None]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                message = f"{path} is damaged in line {number}: {error}. {_ADVICE}"
                raise UsageError(message) from error
            _check_columns(path, list(row) if isinstance(row, dict) else [], columns)
            yield [_cell(value) for value in row.values()]


def _read_parquet(path: Path, columns: list[str]) -> Iterator[_Cells | None]:
    arrow = import_arrow()
    try:
        file = arrow.parquet.ParquetFile(path)
    except arrow.ArrowInvalid as error:
        raise UsageError(f"{path} is not a Parquet file: {error}. {_ADVICE}") from error
    with file:
        _check_columns(path, file.schema_arrow.names, columns)
        for batch in file.iter_batches():
            yield from ([_cell(value) for value in row.values()] for row in batch.to_pylist())


def _check_columns(path: Path, found: list[str], columns: list[str]) -> None:
    if found != columns:
        unknown = [name for name in found if name not in columns]
        missing = [name for name in columns if name not in found]
        raise UsageError(
            f"{path} is not a table to go on with: it lacks {shorten(missing or 'nothing')} and "
            f"has also {shorten(unknown or 'nothing')}. Was it made with another --model? {_ADVICE}"
        )


def _is_cut(path: Path) -> bool:
    """Whether a file of lines ends in the middle of one."""
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"
