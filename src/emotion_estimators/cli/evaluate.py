"""The command ``evaluate``: how well a model classifies faces whose emotion is known."""

from __future__ import annotations

import argparse
import json
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

from emotion_estimators._files import whole_file
from emotion_estimators._optional import import_optional
from emotion_estimators.analysis.rows import look_at
from emotion_estimators.classifiers.pretrained_emotion_classifier import open_card, open_output
from emotion_estimators.cli.console import (
    FAILED,
    OK,
    UsageError,
    check_output,
    print_line,
    report,
    track,
)
from emotion_estimators.cli.models import (
    learned_prior,
    open_classifier,
    open_cropper,
    registered_classes,
)
from emotion_estimators.cli.outputs import check_folder
from emotion_estimators.cli.reports import check_report, report_settings
from emotion_estimators.datasets import load_image_folder
from emotion_estimators.exceptions import InvalidImagesError, counted, shorten
from emotion_estimators.features.faces.cropper import FaceCropper
from emotion_estimators.features.faces.prepared import PreparedCropper
from emotion_estimators.images import read_image_size
from emotion_estimators.images.collection import Photograph
from emotion_estimators.images.loader import read_item
from emotion_estimators.inspection.report.evaluation_report import SCORES, write_evaluation
from emotion_estimators.labels import EMOTIONS
from emotion_estimators.metrics import (
    adjust_class_prior,
    estimate_class_prior,
    measure_probabilities,
)

__all__ = ["evaluate"]

_N_NAMED = 15  # images named that cannot be read
_BATCH = 256  # faces between two moves of the progress bar
# what looks like whole photographs
_CHECKED, _SAMPLE = 50, 1000  # images, of so many whose size is read
_LARGE = 200  # px of a side above which an image may be a photograph
_SHARE = 0.25  # of a crop is covered by its face


def evaluate(arguments: argparse.Namespace) -> int:
    """Print the figures; write them, an image of the confusion matrix, and a report."""
    check_report(arguments)
    if arguments.out is None:
        check_output("evaluate without --out")
    else:
        check_folder("--out", arguments.out)
        _import_matplotlib()
    cropper = open_cropper(arguments)
    classes = registered_classes(arguments.model)
    if classes is None:
        _, classes = open_classifier(arguments)
    faces = _load(arguments.path, classes)  # before a registered model is downloaded
    if not (arguments.crop or arguments.no_check):
        _check_crops(faces.data, cropper)
    classifier, classes = open_classifier(arguments)
    output, _ = open_output(classifier)
    learned = learned_prior(classifier) if arguments.class_prior == "estimate" else None
    left_out = _LeftOut(arguments.path)
    probabilities = _classify(
        classifier, len(classes), faces, cropper if arguments.crop else None, left_out
    )
    is_read = ~np.isnan(probabilities[:, 0])
    if not is_read.any():
        what = "shows a face that is found" if left_out.n_faceless else "can be read"
        raise UsageError(f"no image in {arguments.path} {what}.")
    probabilities, prior = probabilities[is_read], arguments.class_prior
    if learned is not None:
        prior = estimate_class_prior(probabilities, learned)
        probabilities = adjust_class_prior(probabilities, learned, prior)
        prior = dict(zip(classes, prior.tolist(), strict=True))
    figures = measure_probabilities(faces.target[is_read], probabilities, classes)
    asked = {"model": arguments.model, "output": output, "class_prior": prior}
    figures = {**asked, "classes": classes, **figures}
    figures["n_unreadable"] = left_out.n_unreadable
    if arguments.crop:
        figures["n_without_face"] = left_out.n_faceless
    if arguments.out is not None:  # before anything is printed, which may fail
        arguments.out.mkdir(parents=True, exist_ok=True)
        with whole_file(arguments.out / "evaluation.json", what="The evaluation") as file:
            file.write(f"{json.dumps(figures, indent=2)}\n".encode())
        _draw(figures, arguments.out / "confusion_matrix.png")
    if arguments.report is not None:
        # as they were classified
        cut = cropper.prepare() if arguments.crop else None
        _write_report(arguments, figures, faces, np.flatnonzero(is_read), probabilities,
                      left_out.named, classifier, cut)  # fmt: skip
    _print(figures)
    for n, what in (
        (left_out.n_faceless, "no face is found"),
        (left_out.n_unreadable, "not readable"),
    ):
        if n:
            report(f"evaluate: left out {n} of {counted(len(is_read), 'image')}: {what}.")
    return FAILED if left_out.n_unreadable else OK


def _load(path: Path, classes: list[str]) -> Bunch:
    target = "emotions" if set(classes) <= set(EMOTIONS) else "folders"
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            loaded = load_image_folder(path, target=target)
    except (ValueError, FileNotFoundError) as error:
        said = str(error).replace("load_image_folder", "evaluate")
        parameter = ', or pass target="folders" to take the names as they are.'
        raise UsageError(said.replace(parameter, ", or move it elsewhere.")) from error
    for warning in caught:
        report(f"evaluate: {str(warning.message).removeprefix('load_image_folder ')}")
    unknown = sorted(set(loaded.target) - set(classes))
    if unknown:
        raise UsageError(
            f"{path} has folders {shorten(', '.join(unknown))}, which are not classes of the "
            f"model; it has {', '.join(classes)}."
        )
    return loaded


def _check_crops(X: NDArray[Any], cropper: FaceCropper) -> None:
    """Raise UsageError if these are whole photographs, not face crops."""
    prepared = cropper.prepare()
    n_checked = n_small = 0
    for row in np.random.default_rng(0).permutation(len(X))[:_SAMPLE]:  # of all classes
        try:
            height, width = read_image_size(X[row])
            if max(height, width) <= _LARGE:
                continue
            x, y, *sides = prepared.detect(Photograph(X[row])).boxes.T
        except InvalidImagesError:  # is named later
            continue
        inside = [  # of each box, across and down
            np.clip(start + side, 0, whole) - np.clip(start, 0, whole)
            for start, side, whole in zip((x, y), sides, (width, height), strict=True)
        ]
        n_checked += 1
        n_small += bool((inside[0] * inside[1] < _SHARE * width * height).all())
        if n_checked == _CHECKED:
            break
    if 2 * n_small > n_checked:
        raise UsageError(
            "expected face crops, and these look like whole photographs: no face covers a quarter "
            f"of the image in {n_small} of {counted(n_checked, 'image')} looked at. Cut the faces "
            "out with --crop, or go on with --no-check."
        )


@dataclass
class _LeftOut:
    """Counts the images that are left out, and names the first that cannot be read."""

    path: Path
    n_unreadable: int = 0
    n_faceless: int = 0
    named: list[tuple[str, str]] = field(default_factory=list)  # images, and why

    def add_unreadable(self, name: str, reason: str) -> None:
        if self.n_unreadable < _N_NAMED:
            report(f"evaluate: {self.path}: {reason}")
        self.n_unreadable += 1
        self.named.append((name, reason))

    def add_faceless(self, name: str) -> None:
        self.n_faceless += 1
        self.named.append((name, "shows no face that is found"))


def _classify(
    classifier: Any, n_classes: int, faces: Bunch, cropper: FaceCropper | None, left_out: _LeftOut
) -> NDArray[np.float64]:
    """Return probabilities (n, n_classes), NaN for the images that are left out."""
    X = faces.data
    probabilities = np.full((len(X), n_classes), np.nan)
    prepared = None if cropper is None else cropper.prepare()
    with track(len(X), "image") as bar:
        for start in range(0, len(X), _BATCH):
            images = dict(enumerate(X[start : start + _BATCH], start))
            if prepared is not None:
                images = _cut(images, faces.filenames, prepared, left_out)
            while images:
                rows = list(images)
                try:
                    probabilities[rows] = classifier.predict_proba(list(images.values()))
                except InvalidImagesError as error:
                    if not error.failures:
                        raise UsageError(str(error)) from error
                    for i, reason in error.failures:
                        left_out.add_unreadable(faces.filenames[rows[i]], reason)
                        del images[rows[i]]
                else:
                    break
            bar.update(min(_BATCH, len(X) - start))
    return probabilities


def _cut(
    photographs: dict[int, Any],
    names: NDArray[Any],
    prepared: PreparedCropper,
    left_out: _LeftOut,
) -> dict[int, Any]:
    """Return the crop of the largest face of each photograph that shows one, by row."""
    crops = {}
    seen = look_at(photographs.values(), prepared, only_largest=True)
    for row, (_, found) in zip(photographs, seen, strict=True):
        if isinstance(found, InvalidImagesError):
            left_out.add_unreadable(names[row], f"({names[row]}) {found}")
        elif len(found[0]) == 0:
            left_out.add_faceless(names[row])
        else:
            crops[row] = found[1][0]
    return crops


def _write_report(
    arguments: argparse.Namespace,
    figures: dict[str, Any],
    faces: Bunch,
    rows: NDArray[np.intp],
    probabilities: NDArray[np.float64],
    left_out: list[tuple[str, str]],
    classifier: Any,
    prepared: PreparedCropper | None,
) -> None:
    """Write the page to look at; `rows` (n,) of the faces have the `probabilities`."""

    def read(i: int) -> NDArray[Any] | None:
        item = faces.data[rows[i]]
        if prepared is None:
            return read_item(item)
        ((_, found),) = look_at([item], prepared, only_largest=True)
        return None if isinstance(found, InvalidImagesError) else found[1][0]

    settings = report_settings(arguments, classifier) | {"Images": arguments.path}
    if isinstance(figures["class_prior"], dict):
        prior = figures["class_prior"].items()
        settings["Class prior"] = ", ".join(f"{name} {share:.3f}" for name, share in prior)
    write_evaluation(
        arguments.report,
        figures,
        faces.target[rows],
        probabilities,
        faces.filenames[rows].tolist(),
        read=None if arguments.no_thumbnails else read,
        card=open_card(classifier),
        settings=settings,
        left_out=left_out,
    )


def _print(figures: dict[str, Any]) -> None:
    classes: list[str] = figures["classes"]
    model = figures["model"] + (f", output {figures['output']}" if figures["output"] else "")
    print_line(f"{counted(figures['n'], 'image')}, model {model}; 95 % bootstrap intervals")
    prior = figures["class_prior"]
    if prior is not None:
        shares = prior if isinstance(prior, str) else None
        shares = shares or ", ".join(f"{name} {share:.3f}" for name, share in prior.items())
        print_line(f"class prior: {shares}")
    for key, name in SCORES.items():
        low, high = figures["bootstrap_95"][key]
        print_line(f"{name[0].lower() + name[1:]:28}{figures[key]:.4f}  {low:.4f} to {high:.4f}")
    print_line("\nrecall")
    for name, value in figures["recall"].items():
        print_line(f"  {name:26}{'no images' if value is None else f'{value:.4f}'}")
    print_line("\nconfusion matrix: rows are true classes, columns predicted ones")
    width = max(8, *(len(name) + 2 for name in classes))
    print_line(" " * (width + 2) + "".join(f"{name:>{width}}" for name in classes))
    for name, counts in zip(classes, figures["confusion"], strict=True):
        print_line(f"  {name:{width}}" + "".join(f"{count:{width}}" for count in counts))


def _import_matplotlib() -> Any:
    try:
        return import_optional("matplotlib.figure", extra="plot", needed_by="evaluate --out")
    except ImportError as error:
        raise UsageError(str(error)) from error


def _draw(figures: dict[str, Any], path: Path) -> None:
    """Write the share of each true class, with the number of images."""
    counts = np.array(figures["confusion"])  # (n_classes, n_classes)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    classes = figures["classes"]
    side = 2.5 + 0.6 * len(classes)
    # a Figure of its own leaves pyplot and its choice of a window system alone
    figure = _import_matplotlib().Figure(figsize=(side, side), layout="constrained")
    ax = figure.subplots()
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ax.set_xticks(range(len(classes)), classes, rotation=45)
    ax.set_yticks(range(len(classes)), classes)
    ax.set_xlabel("predicted")
    ax.set_ylabel("true")
    for (i, j), share in np.ndenumerate(shares):
        color = "white" if share > 0.5 else "black"
        ax.text(j, i, f"{share:.2f}\n{counts[i, j]}", ha="center", va="center", color=color)
    ax.set_title(f"{counted(figures['n'], 'image')}, accuracy {figures['accuracy']:.3f}")
    with whole_file(path, what="The confusion matrix") as file:
        figure.savefig(file, format="png", dpi=120)
