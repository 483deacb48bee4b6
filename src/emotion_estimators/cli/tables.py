"""Rows of faces to a table on disk, photograph by photograph, and back to go on with it.

While photographs are looked at, there is one file of CSV, to which the rows of each photograph are
added in one piece: the table itself, or ``NAME.rows.csv`` beside a table of another format, which
is made of it at the end. So whatever ends the process, what it did is there. The last two columns
say how a photograph was looked at: a hash of model and options, without which others would be mixed
with them where a table is gone on with; and the version of this library, which may be a later one.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Any, BinaryIO

from emotion_estimators import __version__
from emotion_estimators._files import whole_file
from emotion_estimators._optional import import_optional
from emotion_estimators.analysis.columns import BOX
from emotion_estimators.cli.console import UsageError, flush_output
from emotion_estimators.exceptions import printable, shorten

__all__ = [
    "SUFFIXES",
    "ExistingTable",
    "Table",
    "check_table",
    "image_name",
    "import_arrow",
    "open_table",
    "read_rows",
    "rows_file",
]

SUFFIXES = (".csv", ".jsonl", ".parquet")

_ROWS_PER_GROUP = 4096  # of a Parquet file
_WHOLE = ("row", "face", "frame", "track")
_SETTINGS, _VERSION = "settings", "version"
_WORDS = ("image", "status", "problem", "emotion", "smoothed", "crop", _SETTINGS, _VERSION)
_DECIMALS, _BOX_DECIMALS = 4, 1  # a ten-thousandth of a probability, a tenth of a pixel
_MARK = "\ufeff"  # before CSV, tells Excel that it is in UTF-8
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how cells begin that spreadsheets work out
_ADVICE = "Take another --out, or --overwrite it."

_Cells = list[str]  # of a row of CSV


@dataclass
class ExistingTable:
    """What a table to go on with holds: `images`, by `image_name`, and the `next_row` to add.

    `emotions` counts its faces. `latest` is the image that was added last, `retried` are those of
    which a row that says "unreadable" was left out; `versions` are those that wrote the rows.
    """

    images: set[str] = field(default_factory=set)
    latest: str = ""
    retried: set[str] = field(default_factory=set)
    emotions: Counter[str] = field(default_factory=Counter)
    versions: set[str] = field(default_factory=set)
    next_row: int = 0


class Table:
    """Takes the rows of one photograph after the other; `path` None is standard output.

    `settings` stands in each row; `copy` is a table of CSV that gets the same rows.
    """

    def __init__(
        self,
        path: Path | None,
        columns: list[str],
        *,
        settings: str = "",
        is_full: bool = False,
        is_for_excel: bool = False,
    ) -> None:
        self._path, self._columns, self._is_full = path, columns, is_full
        self._own = {_SETTINGS: settings, _VERSION: __version__}
        self.copy: Table | None = None
        if path is None:
            _print(_MARK * is_for_excel + _to_csv([columns]))
        else:
            self._file = rows_file(path).open("ab", buffering=0)

    def write(self, rows: list[dict[str, Any]]) -> None:
        """Add the rows of a photograph, all of them or, after an error, none."""
        text = _to_csv([self._cell(row, name) for name in self._columns] for row in rows)
        if self._path is None:
            _print(text)
        else:
            self._append(text, self._path)
        if self.copy is not None:
            self.copy.write(rows)

    def _append(self, text: str, path: Path) -> None:
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
                    str(path),
                ) from error
            raise

    def _cell(self, row: dict[str, Any], name: str) -> str:
        value = self._own[name] if name in self._own else row[name]
        if isinstance(value, float) and not self._is_full:
            value = round(value, _BOX_DECIMALS if name in BOX else _DECIMALS)
        return _cell(value)

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
            make(file, chain.from_iterable(_photographs(rows, self._columns)), self._columns)
        rows.unlink()

    def close(self) -> None:
        """Let the file go; its rows stay where they are."""
        if self._path is not None:
            self._file.close()
        if self.copy is not None:
            self.copy.close()


def image_name(path: str) -> str:
    """Return a path as tables name it: in UTF-8, whatever the system's encoding; else escaped.

    No spreadsheet takes it for a formula.
    """
    with suppress(UnicodeError):
        path = os.fsencode(path).decode("utf-8", "surrogateescape")
    return printable(f"./{path}" if path.startswith(_FORMULA) else path)


def rows_file(path: Path) -> Path:
    """Return the file of CSV that takes the rows of a table while it grows."""
    return path if path.suffix.lower() == ".csv" else path.with_name(f"{path.name}.rows.csv")


def open_table(
    path: Path | None,
    columns: list[str],
    *,
    retry: set[str] | None = None,
    settings: str = "",
    is_full: bool = False,
    is_for_excel: bool = False,
) -> tuple[Table, ExistingTable]:
    """Start a table (path None: CSV to standard output), or go on with one.

    `retry` None starts from nothing. Else what there is already is kept, but for the rows of these
    images, by `image_name`, if they say that it is unreadable (of videos, from some frame on), and
    for a last photograph or frame that was cut off. `settings` tells how the photographs are looked
    at, "" if none is. Without `is_full`, numbers are rounded; `is_for_excel` marks CSV, as it stays
    if it is. Raises UsageError if the table has other columns or settings, or is damaged.
    """
    held = ExistingTable()
    columns = [*columns, _SETTINGS, _VERSION]
    if path is not None:
        rows, source = rows_file(path), _source(path)
        old: Iterable[list[_Cells]] = ()
        if retry is not None and source.exists():
            old = _keep(source, columns, retry, held, settings)
            is_for_excel = is_for_excel or _is_marked(source)
        with whole_file(rows, what=f"The table {path.name}") as file:
            file.write((_MARK * (is_for_excel and rows == path)).encode())
            for cells in chain([[columns]], old):
                file.write(_to_csv(cells).encode())
    table = Table(path, columns, settings=settings, is_full=is_full, is_for_excel=is_for_excel)
    return table, held


def check_table(path: Path, columns: list[str]) -> None:
    """Raise UsageError at once if the table to go on with, if there is one, has other columns."""
    if _source(path).exists():
        next(_photographs(_source(path), [*columns, _SETTINGS, _VERSION]), None)


def read_rows(path: Path, columns: list[str]) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of each photograph, or frame, of a table that was opened."""
    columns = [*columns, _SETTINGS, _VERSION]
    for rows in _photographs(_source(path), columns):
        yield list(_values(rows, columns))


def _source(path: Path) -> Path:
    """Return the file that holds most of a table."""
    return rows_file(path) if rows_file(path).exists() else path


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


def _keep(
    path: Path, columns: list[str], retry: set[str], held: ExistingTable, settings: str
) -> Iterator[list[_Cells]]:
    """Yield the rows of each photograph to keep, and note it in `held`.

    Raises UsageError if others than these settings made them.
    """
    image, status, emotion = (columns.index(name) for name in ("image", "status", "emotion"))
    doubtful: list[list[_Cells]] = []  # what cannot be read at the end of a video, or photographs

    def keep(rows: list[_Cells]) -> list[_Cells]:
        if settings and any(cells[-2] not in ("", settings) for cells in rows):
            raise UsageError(
                f"{path} was made with another model, detector or options than these. Give those "
                f"with which it was begun. {_ADVICE}"
            )
        held.images.add(rows[0][image])
        held.latest = rows[0][image]
        held.versions.update(cells[-1] for cells in rows)
        held.next_row = max(held.next_row, int(rows[0][0]) + 1)
        held.emotions.update(cells[emotion] for cells in rows if cells[status] == "face")
        return rows

    for rows in _photographs(path, columns):
        name = rows[0][image]
        if doubtful and doubtful[0][0][image] != name:
            held.retried.add(doubtful[0][0][image])
            doubtful = []
        if rows[0][status] == "unreadable" and name in retry:
            doubtful.append(rows)
            continue
        yield from map(keep, doubtful)  # frames of a video that goes on
        doubtful = []
        yield keep(rows)
    held.retried.update(rows[0][image] for rows in doubtful)


def _photographs(path: Path, columns: list[str]) -> Iterator[list[_Cells]]:
    """Yield the rows of each photograph, without a last one that was cut off."""
    readers: dict[str, Callable[[Path], Iterator[_Cells]]]
    readers = {".csv": _read_csv, ".jsonl": _read_json, ".parquet": _read_parquet}
    try:
        lines = readers[path.suffix.lower()](path)
        heading = next(lines, None)
        is_cut = _is_cut(path)
        if heading is None or (is_cut and ",".join(columns).startswith(",".join(heading))):
            return  # cut off within the heading
        _check_columns(path, heading, columns)
        waiting: list[list[_Cells]] = []  # a cut may have spoilt the last two
        for _, group in groupby(lines, key=lambda cells: cells[:1]):
            waiting.append(list(group))
            if len(waiting) > 2:
                yield _checked(waiting.pop(0), len(columns))
        if waiting and (is_cut or len(waiting[-1][-1]) < len(columns)):
            waiting[-1].pop()
            del waiting[-1 if waiting[-1] else -2 :]
        yield from (_checked(rows, len(columns)) for rows in waiting)
    except (ValueError, RecursionError, csv.Error) as error:
        raise UsageError(f"{path} is damaged or not a table: {error}. {_ADVICE}") from error


def _checked(rows: list[_Cells], n_columns: int) -> list[_Cells]:
    """Return the rows of a photograph if each has all cells, and a number before them."""
    for cells in rows:
        if len(cells) != n_columns or not cells[0].isdecimal():
            raise ValueError(f"it has a row {shorten(cells)}")
    return rows


def _read_csv(path: Path) -> Iterator[_Cells]:
    # names of files need not be UTF-8 where others wrote them
    with path.open(encoding="utf-8-sig", errors="backslashreplace", newline="") as file:
        yield from csv.reader(file)


def _read_json(path: Path) -> Iterator[_Cells]:
    with path.open("rb") as file:
        for number, line in enumerate(file):
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError(f"it has a line {shorten(row)}")
            if number == 0:
                yield list(row)
            yield [_cell(value) for value in row.values()]


def _read_parquet(path: Path) -> Iterator[_Cells]:
    with import_arrow().parquet.ParquetFile(path) as file:  # its errors are ValueErrors
        yield file.schema_arrow.names
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


def _is_marked(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_MARK.encode())) == _MARK.encode()


def _is_cut(path: Path) -> bool:
    """Whether a file of CSV ends in the middle of a line."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(end - 1, 0))
        return path.suffix.lower() == ".csv" and file.read() != b"\n"
