"""Rows of faces to a table on disk, photograph by photograph, and back to go on with it."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, groupby
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from emotion_estimators._optional import import_optional
from emotion_estimators.cli.console import UsageError

__all__ = ["SUFFIXES", "Held", "TableWriter", "open_table"]

SUFFIXES = (".csv", ".jsonl", ".parquet")

_ROWS_PER_GROUP = 4096  # of a Parquet file
_WHOLE, _WORDS = ("row", "face"), ("image", "status", "problem", "emotion")

_Row = dict[str, Any]


class TableWriter(Protocol):
    """What takes the rows of one photograph after the other."""

    def write(self, rows: list[_Row]) -> None:
        """Add the rows of a photograph."""

    def close(self) -> None:
        """Leave a whole table; it may be called at any time between two photographs."""


@dataclass
class Held:
    """What a table to go on with holds.

    Attributes
    ----------
    images : set of str
        Paths.
    next_row : int
        Number of the first photograph that is added.
    """

    images: set[str] = field(default_factory=set)
    next_row: int = 0


def open_table(
    path: Path | None, columns: list[str], *, again: set[str] | None = None
) -> tuple[TableWriter, Held]:
    """Start a table, or go on with one.

    Parameters
    ----------
    path : Path or None
        A file whose name ends in one of `SUFFIXES`; None is CSV to standard output.
    columns : list of str
        Its columns.
    again : set of str or None, default=None
        None starts anew. Else what `path` holds is kept, but for the rows of these images if
        they say that it is unreadable; and for the last photograph if the file was cut off.

    Returns
    -------
    writer : TableWriter
    held : Held

    Raises
    ------
    UsageError
        If the table to go on with has other columns or is damaged, or pyarrow is not installed.
    OSError
        If it cannot be read or written.
    """
    held = Held()
    if path is None:
        return _LineWriter(sys.stdout.buffer, _Csv(columns), columns), held
    suffix = path.suffix.lower()
    formats: dict[str, Callable[[list[_Row]], str]] = {".csv": _Csv(columns), ".jsonl": _to_json}
    lines = formats.get(suffix)
    is_new = again is None or not path.exists()
    if lines is not None and is_new:
        return _LineWriter(path.open("wb"), lines, columns), held
    old: Iterable[list[_Row]] = () if is_new else _keep(path, columns, again or set(), held)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        if lines is None:
            writer = _ParquetWriter(path, part, columns)
            try:
                for rows in old:
                    writer.write(rows)
            except BaseException:
                writer.abandon()
                raise
            return writer, held
        with part.open("wb") as file:
            copy = _LineWriter(file, lines, columns)
            for rows in old:
                copy.write(rows)
        part.replace(path)
        return _LineWriter(path.open("ab"), lines, None), held
    except BaseException:
        part.unlink(missing_ok=True)
        raise


class _LineWriter:
    """Text, of which what was written is there at once.

    Parameters
    ----------
    file : binary file
        Closed with the writer, unless it is standard output.
    to_text : callable
        From rows to lines.
    columns : list of str or None
        The heading, None if it is there.
    """

    def __init__(
        self, file: BinaryIO, to_text: Callable[[list[_Row]], str], columns: list[str] | None
    ) -> None:
        self._file = file
        self._to_text = to_text
        if columns is not None and isinstance(to_text, _Csv):
            self.write([dict(zip(columns, columns, strict=True))])

    def write(self, rows: list[_Row]) -> None:
        # names of files need not be UTF-8
        self._file.write(self._to_text(rows).encode("utf-8", "surrogateescape"))
        self._file.flush()

    def close(self) -> None:
        if self._file is not sys.stdout.buffer:
            self._file.close()


class _ParquetWriter:
    """A Parquet file, which appears when it is closed."""

    def __init__(self, path: Path, part: Path, columns: list[str]) -> None:
        self._arrow = import_arrow()
        self._path, self._part = path, part
        types = {name: self._arrow.int64() for name in _WHOLE}
        types |= {name: self._arrow.string() for name in _WORDS}
        self._schema = self._arrow.schema(
            [(name, types.get(name, self._arrow.float64())) for name in columns]
        )
        self._file = self._arrow.parquet.ParquetWriter(part, self._schema)
        self._rows: list[_Row] = []

    def write(self, rows: list[_Row]) -> None:
        self._rows += [{name: _plain(value) for name, value in row.items()} for row in rows]
        if len(self._rows) >= _ROWS_PER_GROUP:
            self._write_group()

    def close(self) -> None:
        if self._rows:
            self._write_group()
        self._file.close()
        self._part.replace(self._path)

    def abandon(self) -> None:
        """Close the file where it is; it takes nothing's place."""
        self._file.close()

    def _write_group(self) -> None:
        group, self._rows = self._rows, []
        self._file.write_table(self._arrow.Table.from_pylist(group, schema=self._schema))


class _Csv:
    """From rows to lines of CSV; missing values are empty."""

    def __init__(self, columns: list[str]) -> None:
        self._columns = columns

    def __call__(self, rows: list[_Row]) -> str:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows([_number(row[name]) for name in self._columns] for row in rows)
        return text.getvalue()


def _to_json(rows: list[_Row]) -> str:
    lines = [{name: _number(value) for name, value in row.items()} for row in rows]
    return "".join(f"{json.dumps(line, allow_nan=False)}\n" for line in lines)


def _number(value: Any) -> Any:
    """Return None in place of NaN, which JSON does not know."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _plain(value: Any) -> Any:
    """Return None in place of NaN, and text that is UTF-8."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return _number(value)


def import_arrow() -> Any:
    """Import pyarrow with its Parquet part, or say how to install it."""
    try:
        import_optional("pyarrow.parquet", extra="parquet", needed_by="A table .parquet")
    except ImportError as error:
        raise UsageError(str(error)) from error
    return import_optional("pyarrow", extra="parquet", needed_by="A table .parquet")


def _keep(path: Path, columns: list[str], again: set[str], held: Held) -> Iterator[list[_Row]]:
    """Yield the rows of each photograph to keep, and note it in `held`."""
    read = {".csv": _read_csv, ".jsonl": _read_json, ".parquet": _read_parquet}
    records = read[path.suffix.lower()](path, columns)
    waiting: list[_Row] = []  # of the last photograph, which may be incomplete
    for row_number, group in groupby(records, key=lambda row: row and row["row"]):
        if row_number is None:  # cut off: in the middle of these, or right after them
            waiting = []
            break
        yield from _note(waiting, again, held)
        waiting = [row for row in group if row is not None]
        if not str(row_number).isdecimal():
            raise UsageError(f"{path} is no table of faces: row {row_number!r}. {_ANEW}")
    yield from _note(waiting, again, held)


_ANEW = "Take another --out, or --overwrite it."


def _note(rows: list[_Row], again: set[str], held: Held) -> Iterator[list[_Row]]:
    if not rows or (rows[0]["status"] == "unreadable" and rows[0]["image"] in again):
        return
    held.images.add(rows[0]["image"])
    held.next_row = max(held.next_row, int(rows[0]["row"]) + 1)
    yield rows


def _read_csv(path: Path, columns: list[str]) -> Iterator[_Row | None]:
    """Yield rows of text; None in place of a last one that was cut off."""
    is_cut = _is_cut(path)
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        lines = csv.reader(file)
        heading = next(lines, columns)
        if is_cut and lines.line_num == 1 and ",".join(columns).startswith(",".join(heading)):
            return  # cut off within the heading
        _check_columns(path, heading, columns)
        last = None
        for line in lines:
            if last is not None:
                if len(last) != len(columns):
                    raise UsageError(f"{path} is damaged before line {lines.line_num}. {_ANEW}")
                yield dict(zip(columns, last, strict=True))
            last = line
        if last is not None:
            is_whole = len(last) == len(columns) and not is_cut
            yield dict(zip(columns, last, strict=True)) if is_whole else None


def _read_json(path: Path, columns: list[str]) -> Iterator[_Row | None]:
    is_cut = _is_cut(path)
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if is_cut and not line.endswith(b"\n"):
                yield None
                return
            try:
                row = json.loads(line)
            except ValueError as error:
                raise UsageError(f"{path} is damaged in line {number}: {error}. {_ANEW}") from error
            _check_columns(path, list(row) if isinstance(row, dict) else [], columns)
            yield row


def _read_parquet(path: Path, columns: list[str]) -> Iterator[_Row | None]:
    arrow = import_arrow()
    try:
        file = arrow.parquet.ParquetFile(path)
    except arrow.ArrowInvalid as error:
        raise UsageError(f"{path} is no Parquet file: {error}. {_ANEW}") from error
    with file:
        _check_columns(path, file.schema_arrow.names, columns)
        yield from chain.from_iterable(batch.to_pylist() for batch in file.iter_batches())


def _check_columns(path: Path, found: list[str], columns: list[str]) -> None:
    if found != columns:
        strange = [name for name in found if name not in columns]
        missing = [name for name in columns if name not in found]
        raise UsageError(
            f"{path} is no table to go on with: it lacks {missing or 'nothing'} and has also "
            f"{strange or 'nothing'}. Was it made with another --model? {_ANEW}"
        )


def _is_cut(path: Path) -> bool:
    """Whether a file of lines ends in the middle of one."""
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"
