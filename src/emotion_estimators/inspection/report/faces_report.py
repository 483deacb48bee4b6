"""A table of faces and its photographs in, a page to look at out."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, BinaryIO, TypeAlias, cast

import numpy as np

from emotion_estimators._files import whole_file
from emotion_estimators.analysis.columns import BOX
from emotion_estimators.exceptions import InvalidImagesError, shorten
from emotion_estimators.images.items import item_path
from emotion_estimators.images.threads import count_threads, map_in_threads
from emotion_estimators.inspection.report.about import ABOUT, describe_classifier, write_about
from emotion_estimators.inspection.report.faces_table import FacesTable
from emotion_estimators.inspection.report.figures import Figures
from emotion_estimators.inspection.report.page import Page
from emotion_estimators.inspection.report.thumbnails import Thumbnail, make_thumbnail
from emotion_estimators.inspection.report.totals import Totals
from emotion_estimators.validation import iterate_images
from emotion_estimators.weights import WeightCard

__all__ = ["Rows", "write_faces_report", "write_report"]

Rows: TypeAlias = list[dict[str, Any]]  # of a photograph, or frame

# more would open in no browser; all else is in the table
_MOST_FACES, _MOST_PHOTOGRAPHS = 20_000, 2_000
_NEEDED = ("row", "image", "status", "problem", "face", *BOX, "score", "emotion", "certainty")


def write_faces_report(
    table: Any,
    path: str | os.PathLike[str],
    *,
    X: Iterable[Any] | None = None,
    classifier: Any = None,
    settings: Mapping[str, object] | None = None,
    thumbnails: bool = True,
) -> None:
    """Write a table of faces as a page to look at: one file of HTML that asks for nothing.

    Parameters
    ----------
    table : pandas.DataFrame or iterable of dict, or of lists of dict
        What `~emotion_estimators.analysis.analyze_faces` or
        `~emotion_estimators.analysis.analyze_video` returns, or the rows that
        `~emotion_estimators.analysis.iterate_faces` yields.
    path : str or path-like
        The file to write. It gets its name when it is whole.
    X : iterable or None, default=None
        The photographs of the table, all of them and in its order, as `analyze_faces` took them.
        None reads the files that the table names.
    classifier : fitted classifier or None, default=None
        What classified the faces: its settings and its card are shown. None is
        ``PretrainedEmotionClassifier()``, unless the classes are others than its own.
    settings : dict or None, default=None
        What else is shown of how the table was made, by name.
    thumbnails : bool, default=True
        Whether the page holds small copies of photographs and faces. Without them it holds
        numbers and names of files only, and no photograph is read. Of videos there are none.

    Raises
    ------
    ValueError
        If the table lacks columns.
    OSError
        If the file cannot be written.

    See Also
    --------
    write_evaluation_report : How good a classifier is, as such a page.
    draw_faces : One photograph with its faces, in full size.

    Notes
    -----
    The page shows totals, the faces in a table that sorts and filters, the photographs with
    numbered boxes, for videos the emotions over time, what could not be read and why, settings,
    the model's card and its limits. It can be read without JavaScript, too.

    Memory does not grow with the number of photographs, and the file is a few megabytes for 500
    faces. At most 20,000 faces and 2,000 photographs are shown; the totals are of all.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from emotion_estimators import FaceCropper
    >>> from emotion_estimators.analysis import iterate_faces
    >>> from emotion_estimators.inspection import write_faces_report
    >>> photo = np.full((60, 80, 3), 99, np.uint8)
    >>> cropper = FaceCropper(detector=lambda photo: [[10, 10, 20, 20]])
    >>> rows = [row for rows in iterate_faces([photo], cropper=cropper) for row in rows]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "report.html")
    ...     write_faces_report(rows, path, X=[photo])
    ...     os.path.getsize(path) < 50_000
    True
    """
    names, rows = _records(table)
    missing = [name for name in _NEEDED if name not in names]
    if missing:
        raise ValueError(
            "write_faces_report expected the table of analyze_faces or analyze_video; "
            f"{', '.join(missing)} is missing."
        )
    items = None if X is None else list(iterate_images(X, "write_faces_report"))
    classes = [name.removeprefix("emotion_") for name in names if name.startswith("emotion_")]
    card, told = describe_classifier(classifier, classes)
    write_report(
        path,
        partial(_grouped, rows),
        names,
        find=partial(_find, items) if thumbnails else None,
        card=card,
        settings={**(settings or {}), **told},
    )


def _records(table: Any) -> tuple[list[str], Rows]:
    """Return the names of the columns, and the rows, in which None is what is missing."""
    if hasattr(table, "to_dict"):
        rows = table.astype(object).where(table.notna(), None).to_dict("records")
        return list(table.columns), rows
    rows = []
    for part in table:
        for row in part if isinstance(part, list) else [part]:
            if not isinstance(row, Mapping):
                raise ValueError(
                    "write_faces_report expected a DataFrame or rows as of iterate_faces, got "
                    f"{shorten(row)} for a row."
                )
            # NaN
            rows.append({name: None if cell != cell else cell for name, cell in row.items()})
    return list(rows[0] if rows else _NEEDED), rows


def _grouped(rows: Rows) -> Iterator[Rows]:
    """Yield the rows of each photograph, or frame, in their order, as a table is not once sorted.

    Files come in the order in which they are first named.
    """
    places: dict[Any, int] = {}
    groups: dict[tuple[int, int], Rows] = {}
    for row in rows:
        place = places.setdefault(row["image"], len(places))
        groups.setdefault((place, row["row"]), []).append(row)
    return (groups[key] for key in sorted(groups))


def _find(items: list[Any] | None, row: dict[str, Any]) -> Any:
    """Return the photograph of a row: one of the items, or, without any, its file."""
    if items is None:
        return row["image"]
    item = items[row["row"]] if row["row"] < len(items) else None
    is_other = None not in (name := item_path(item), row["image"]) and name != row["image"]
    return None if is_other else item


def write_report(
    path: str | os.PathLike[str],
    read: Callable[[], Iterator[Rows]],
    columns: list[str],
    *,
    find: Callable[[dict[str, Any]], Any] | None,
    card: WeightCard | None,
    settings: Mapping[str, object],
    n_threads: int | None = None,
    follow: Callable[[Iterable[Any], int], Iterable[Any]] = lambda seen, _: seen,
) -> None:
    """Write the report of rows that can be read several times.

    `read` yields the rows of each photograph, or frame, in which None is what is missing. `find`
    returns the photograph of a row, None for one that is not there; it is None where photographs
    are left out. `follow` gets what is gone through, and how many photographs or frames that are.
    """
    totals = Totals(columns)
    for rows in read():
        totals.add(rows)
    n_images, is_video = totals.n_images, totals.is_video
    sections = {"totals": "Totals"}
    if totals.n_unreadable:
        sections["unreadable"] = "Not read"
    if totals.timelines.videos:
        sections["time"] = "Emotions over time"
    sections["faces"] = "Faces"
    if not is_video:
        sections["photographs"] = "Photographs"
    title = f"Faces in {n_images:,} {'frame' if is_video else 'photograph'}{'s' * (n_images != 1)}"
    told = f"{totals.emotions.total():,} faces. Read the limits at the end before you use this."
    with whole_file(os.fspath(path), what="The report") as file, tempfile.TemporaryFile() as spool:
        page = Page(file)
        with page.document(title, told, {**sections, **ABOUT}):
            with page.section("totals", sections["totals"]):
                totals.write(page)
            if totals.n_unreadable:
                with page.section("unreadable", sections["unreadable"]):
                    totals.write_unreadable(page)
            if totals.timelines.videos:
                with page.section("time", sections["time"]):
                    totals.timelines.write(page, read(), totals.folder)
            figures = Figures(totals, cast("BinaryIO", spool))
            looked = _look_again(read(), None if is_video else find, count_threads(n_threads))
            with page.section("faces", sections["faces"]):
                _write_faces(page, follow(looked, n_images), totals, figures, bool(find))
            if not is_video:
                with page.section("photographs", sections["photographs"]):
                    figures.write(page, is_asked=find is not None)
            write_about(page, card, settings)


def _write_faces(
    page: Page,
    looked: Iterable[tuple[int, Rows, Thumbnail | str]],
    totals: Totals,
    figures: Figures,
    has_pictures: bool,
) -> None:
    """Add the table of faces; the figures are kept for later."""
    table = FacesTable(totals, has_pictures=has_pictures and not totals.is_video)
    with table.around(page):
        for number, rows, thumbnail in looked:
            if rows[0]["status"] == "face" and table.n_rows < _MOST_FACES:
                crops = thumbnail.crops if isinstance(thumbnail, Thumbnail) else []
                table.add(page, number, rows, crops)
            if not totals.is_video and rows[0]["status"] != "unreadable":
                figures.add(number, rows, thumbnail)


def _look_again(
    groups: Iterator[Rows], find: Callable[[dict[str, Any]], Any] | None, n_threads: int
) -> Iterator[tuple[int, Rows, Thumbnail | str]]:
    """Yield the number of each photograph, its rows, and its thumbnail or why there is none."""

    def look(numbered: tuple[int, Rows]) -> tuple[int, Rows, Thumbnail | str]:
        number, rows = numbered
        if find is None or rows[0]["status"] == "unreadable":
            return number, rows, ""
        if number >= _MOST_PHOTOGRAPHS:
            return number, rows, f"only the first {_MOST_PHOTOGRAPHS:,} photographs are shown"
        item = find(rows[0])
        if item is None:
            return number, rows, "it is not among the photographs that were given"
        boxes = [[row[name] for name in BOX] for row in rows if row["status"] == "face"]
        try:
            thumbnail = make_thumbnail(item, np.array(boxes, np.float64).reshape(-1, 4))
        except InvalidImagesError as error:
            return number, rows, f"the photograph cannot be read any more: {error}"
        return number, rows, thumbnail

    return map_in_threads(look, enumerate(groups), n_threads=n_threads)
