"""True labels and probabilities in, a page that says how good they are out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_consistent_length

from emotion_estimators._files import whole_file
from emotion_estimators.exceptions import InvalidImagesError, shorten
from emotion_estimators.images.items import item_path
from emotion_estimators.images.loader import read_item
from emotion_estimators.inspection.report.about import ABOUT, describe_classifier, write_about
from emotion_estimators.inspection.report.marks import (
    bar,
    color_of,
    shared_folder,
    shown_share,
    swatch,
)
from emotion_estimators.inspection.report.page import Content, Element, Page, element, plain_table
from emotion_estimators.inspection.report.thumbnails import data_url
from emotion_estimators.metrics import measure_probabilities
from emotion_estimators.validation import iterate_images
from emotion_estimators.weights import WeightCard

__all__ = ["SCORES", "write_evaluation", "write_evaluation_report"]

_N_MISTAKES = 24
_MOST_NAMES = 1_000  # of images that were left out
_SIDE = 128  # pixels, of the images of mistakes
_PLOT, _EDGE = 320, 44  # pixels, of the reliability diagram and what stands around it
SCORES = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "ece": "Expected calibration error",
}


def write_evaluation_report(
    y: ArrayLike,
    probabilities: ArrayLike,
    classes: ArrayLike,
    path: str | os.PathLike[str],
    *,
    X: Iterable[Any] | None = None,
    classifier: Any = None,
    settings: Mapping[str, object] | None = None,
    thumbnails: bool = True,
) -> None:
    """Write how good probabilities are as a page to look at: one file that asks for nothing.

    Parameters
    ----------
    y : array-like of shape (n,)
        True labels, all among `classes`.
    probabilities : array-like of shape (n, n_classes)
        As from ``predict_proba``.
    classes : array-like of shape (n_classes,)
        As ``classes_``: sorted.
    path : str or path-like
        The file to write. It gets its name when it is whole.
    X : iterable of length n or None, default=None
        The images, as the classifier took them. None shows none.
    classifier : fitted classifier or None, default=None
        What gave the probabilities: its settings and its card are shown. None is
        ``PretrainedEmotionClassifier()``, unless the classes are others than its own.
    settings : dict or None, default=None
        What else is shown of how they were made, by name.
    thumbnails : bool, default=True
        Whether the page holds small copies of the images with the worst mistakes. Without them
        it holds numbers and names of files only.

    Raises
    ------
    ValueError
        If shapes do not match, `classes` is not sorted, or y holds another label.
    OSError
        If the file cannot be written.

    See Also
    --------
    write_faces_report : Faces of photographs as such a page.
    emotion_estimators.metrics.measure_probabilities : The figures.

    Examples
    --------
    >>> import os, tempfile
    >>> from emotion_estimators.inspection import write_evaluation_report
    >>> proba = [[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.3, 0.7]]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "report.html")
    ...     write_evaluation_report(["a", "a", "b", "b"], proba, ["a", "b"], path)
    ...     os.path.getsize(path) < 50_000
    True
    """
    names = [str(name) for name in np.asarray(classes)]
    figures = measure_probabilities(y, probabilities, classes)
    items = None if X is None else list(iterate_images(X, "write_evaluation_report"))
    check_consistent_length(y, items)
    titles = [f"image {i}" for i in range(figures["n"])]
    if items is not None:
        paths = [item_path(item) for item in items]
        folder: str | None = None
        for name in paths:
            folder = folder if name is None else shared_folder(folder, name)
        titles = [title if name is None else name.removeprefix(folder or "")
                  for name, title in zip(paths, titles, strict=True)]  # fmt: skip
    card, told = describe_classifier(classifier, names)
    write_evaluation(
        path,
        {**figures, "classes": names},
        np.asarray(y),
        np.asarray(probabilities),
        titles,
        read=None if items is None or not thumbnails else lambda i: read_item(items[i]),
        card=card,
        settings={**(settings or {}), **told},
    )


def write_evaluation(
    path: str | os.PathLike[str],
    figures: Mapping[str, Any],
    y: NDArray[Any],
    probabilities: NDArray[Any],
    titles: Sequence[str],
    *,
    read: Callable[[int], NDArray[Any] | None] | None,
    card: WeightCard | None,
    settings: Mapping[str, object],
    left_out: Sequence[tuple[str, str]] = (),
) -> None:
    """Write the report of figures that are known.

    `figures` are those of `measure_probabilities`, with the ``classes``; `read` returns the
    pixels of an image, (height, width[, 3]), by its row, None where it has none, and is None
    where images are left out; `left_out` names other images and says why they are no part of it.
    """
    classes: list[str] = figures["classes"]
    sections = {
        "figures": "Figures",
        "confusion": "Confusion matrix",
        "reliability": "Reliability",
        "mistakes": "Worst mistakes",
    }
    if left_out:
        sections["unreadable"] = "Left out"
    n = figures["n"]
    title = f"Evaluation on {n:,} image{'s' * (n != 1)}"
    lead = "How often a classifier says what the labels of these images say."
    with whole_file(os.fspath(path), what="The report") as file:
        page = Page(file)
        with page.document(title, lead, {**sections, **ABOUT}):
            with page.section("figures", sections["figures"]):
                _write_figures(page, figures, classes)
            with page.section("confusion", sections["confusion"]):
                told = "Rows are true classes, columns predicted ones. Below each number its share "
                page.write(element("p", told + "of the row, as which it is shaded."))
                page.write(_confusion(np.array(figures["confusion"]), classes))
            with page.section("reliability", sections["reliability"]):
                _write_reliability(page, figures["reliability"])
            with page.section("mistakes", sections["mistakes"]):
                _write_mistakes(page, classes, y, probabilities, titles, read)
            if left_out:
                with page.section("unreadable", sections["unreadable"]):
                    rows = [[element("bdi", shorten(name, 500)), why]
                            for name, why in left_out[:_MOST_NAMES]]  # fmt: skip
                    caption = f"Images that were left out: {len(left_out):,}"
                    page.write(plain_table(caption, ["Image", "Why"], rows))
            write_about(page, card, settings)


def _write_figures(page: Page, figures: Mapping[str, Any], classes: list[str]) -> None:
    """Add the four figures with their intervals, and the recall of each class."""
    cards = []
    for key, name in SCORES.items():
        low, high = figures["bootstrap_95"][key]
        interval = element("span", f"{low:.3f} to {high:.3f}", class_="interval")
        value = element("dd", shown_share(figures[key]), interval)
        cards.append(element("div", element("dt", name), value))
    page.write(
        element("dl", cards, class_="cards"),
        element("p", "Below each figure its 95 % bootstrap interval: between these bounds it lies "
                     "in 95 % of test sets that are drawn from these images."),
    )  # fmt: skip
    rows: list[list[Content]] = []
    for name, recall in figures["recall"].items():
        n = sum(figures["confusion"][classes.index(name)])
        told = "no images" if recall is None else shown_share(recall)
        shown = "" if recall is None else bar(recall, color_of(name, classes))
        rows.append([[swatch(name, classes), name], f"{n:,}", told, shown])
    heading = ["True class", "Images", "Recall", element("span", "bar", class_="unseen")]
    caption = "Recall: of the images of a class, the share that is recognised"
    page.write(plain_table(caption, heading, rows, class_="numbers"))


def _confusion(counts: NDArray[np.int_], classes: list[str]) -> Element:
    """Return the matrix (n_classes, n_classes) as a table, its shares as shades."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    heading = [element("td")] + [element("th", name, scope="col") for name in classes]
    body = []
    for i, name in enumerate(classes):
        cells = []
        for j in range(len(classes)):
            shade = f"h{round(10 * shares[i, j])}"
            share = element("small", f"{shares[i, j]:.2f}")
            place = f"{shade} right" if i == j else shade
            cells.append(element("td", f"{counts[i, j]:,} ", share, class_=place))
        body.append(element("tr", element("th", name, scope="row"), cells))
    table = element(
        "table", element("caption", "Images"), element("thead", element("tr", heading)),
        element("tbody", body), class_="matrix",
    )  # fmt: skip
    return element(
        "div", table, class_="wide", tabindex=0, role="region", aria_label="Confusion matrix"
    )


def _write_reliability(page: Page, bins: list[dict[str, float]]) -> None:
    """Add the diagram, and the same as a table."""

    def place(x: float, y: float) -> dict[str, object]:
        return {"x": round(_EDGE + _PLOT * x, 1), "y": round(_PLOT * (1 - y) + 12, 1)}

    def line(kind: str, x1: float, y1: float, x2: float, y2: float) -> Element:
        start, end = place(x1, y1), place(x2, y2)
        return element("line", class_=kind, x1=start["x"], y1=start["y"], x2=end["x"], y2=end["y"])

    drawn = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        drawn += [line("grid", tick, 0, tick, 1), line("grid", 0, tick, 1, tick)]
        across, down = place(tick, 0), place(0, tick)
        drawn.append(
            element("text", f"{tick:g}", x=across["x"], y=_PLOT + 30, text_anchor="middle")
        )
        drawn.append(element("text", f"{tick:g}", x=_EDGE - 8, y=down["y"], dy=4,
                             text_anchor="end"))  # fmt: skip
    drawn.append(line("ideal", 0, 0, 1, 1))
    most = max(one["n"] for one in bins)
    for one in bins:
        at = place(one["confidence"], one["accuracy"])
        drawn.append(line("line", one["confidence"], one["confidence"], one["confidence"],
                          one["accuracy"]))  # fmt: skip
        radius = round(4 + 8 * (one["n"] / most) ** 0.5, 1)
        drawn.append(element("circle", class_="point", cx=at["x"], cy=at["y"], r=radius))
    told = "mean probability of the predicted class"
    drawn.append(element("text", told, x=_EDGE + _PLOT / 2, y=_PLOT + 52, text_anchor="middle"))
    up = "share that is right"
    drawn.append(element("text", up, x=-_PLOT / 2 - 12, y=12, text_anchor="middle",
                         transform="rotate(-90)"))  # fmt: skip
    view = {"viewBox": f"0 0 {_EDGE + _PLOT + 16} {_PLOT + 60}"}
    label = f"Reliability diagram: {up} against {told}, the same as in the table below"
    page.write(
        element("p", "On the dashed line a classifier is right as often as it says; below it is "
                     "too sure of itself. The larger a circle, the more images."),
        element("svg", drawn, class_="plot square", role="img", aria_label=label, **view),
    )  # fmt: skip
    rows = [
        [f"{one['low']:.2f} to {one['high']:.2f}", f"{one['n']:,}",
         shown_share(one["confidence"]), shown_share(one["accuracy"])]
        for one in bins
    ]  # fmt: skip
    heading = ["Probability", "Images", "Mean probability", "Share that is right"]
    page.write(plain_table("Bins of the diagram", heading, rows, class_="numbers"))


def _write_mistakes(
    page: Page,
    classes: list[str],
    y: NDArray[Any],
    probabilities: NDArray[Any],
    titles: Sequence[str],
    read: Callable[[int], NDArray[Any] | None] | None,
) -> None:
    """Add the images where the most probable class is wrong and has the highest probability."""
    columns = np.argmax(probabilities, axis=1)  # (n,)
    predicted = np.array(classes, dtype=object)[columns]
    wrong = np.flatnonzero(predicted != y.astype(str))
    worst = wrong[np.argsort(-probabilities[wrong, columns[wrong]], kind="stable")][:_N_MISTAKES]
    if len(worst) == 0:
        page.write(element("p", "No image was taken for another class."))
        return
    page.write(
        element("p", f"Of {len(wrong):,} mistakes, the {len(worst):,} of which the classifier was "
                     "surest. Labels may be wrong, too.")
    )  # fmt: skip
    figures = []
    for row in worst.tolist():
        true, said = str(y[row]), str(predicted[row])
        name, picture = shorten(titles[row], 500), None
        try:
            pixels = None if read is None else read(row)
        except InvalidImagesError:  # it was there when it was classified
            pixels = None
        if pixels is not None:
            url = data_url(pixels, _SIDE)
            picture = element("img", src=url, alt=f"{name}: {true}, taken for {said}")
        told = [
            element("li", "label ", swatch(true, classes), element("b", true), " ",
                    shown_share(probabilities[row, classes.index(true)])),
            element("li", "taken for ", swatch(said, classes), element("b", said), " ",
                    shown_share(probabilities[row, columns[row]])),
        ]  # fmt: skip
        caption = element("figcaption", element("bdi", name), element("ul", told))
        figures.append(element("figure", picture, caption))
    page.write(element("div", figures, class_="figures mistakes"))
