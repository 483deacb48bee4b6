"""Measure what a model says of faces: by FER2013's labels, and by what ten people said.

For each output of a model, in each precision that it comes in, of faces alone and with their
mirror images::

    python examples/evaluate_faces.py --data facial_emotions/test --votes public_test_votes.csv

prints the accuracy by the label, the agreement with the clear majority (more than half of all
votes for one of the classes) and with the plurality, the mean error of the shares of people and
the gap between what is said and how many agree, with 95 % bootstrap intervals; and faces a
second, all variants taking turns. Below stands how often the label, and one of the people, agree
with the clear majority. Several models, registered names or files, are compared by several
``--model``. Faces that people were not asked about count in the label only; where there is no
table of votes it is all that is measured.

For other data sets, ``--classes`` names the classes that they have, and ``--class-prior uniform``
takes all for equally common.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimators import PretrainedEmotionClassifier
from emotion_estimators.classifiers.pretrained_emotion_classifier import open_classes
from emotion_estimators.datasets import load_image_folder, load_votes
from emotion_estimators.metrics import measure_probabilities, measure_votes
from emotion_estimators.validation import check_images, count_votes
from emotion_estimators.weights import list_cards

N_TIMED = 512  # faces
ROUNDS = 5
COLUMNS = ("label", "majority", "plurality", "share error", "gap")


def variants(model: str, settings: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return a name and the parameters of each way to ask a model."""
    card = next((card for card in list_cards("emotion") if card.name == model), None)
    precisions: tuple[str | None, ...] = (None,) if card is None else card.precisions
    outputs: tuple[str | None, ...] = (card.outputs if card is not None else ()) or (None,)
    ways = []
    for precision, mirrored, output in product(precisions, (False, True), outputs):
        parameters = {
            "model": model,
            "precision": precision,
            "output": output,
            "test_time_augmentation": mirrored,
        }
        parts = [Path(model).name, precision, "mirrored" if mirrored else None, output]
        ways.append((", ".join(filter(None, parts)), {**settings, **parameters}))
    return ways


def measure(
    classifier: PretrainedEmotionClassifier, X: NDArray[Any], y: NDArray[Any], votes: Any
) -> dict[str, Any]:
    """Return the figures of a classifier by labels and by votes."""
    classes = open_classes(classifier)
    order = np.argsort(classes)
    probabilities = classifier.predict_proba(X)[:, order]
    figures = {"labels": measure_probabilities(y, probabilities, classes[order])}
    if votes is not None:
        figures["votes"] = measure_votes(votes, probabilities, classes[order])
    return figures


def agreement_of_people(y: NDArray[Any], votes: Any, classes: NDArray[Any]) -> tuple[float, float]:
    """Return how often the label, and one of those who voted, agree with the clear majority."""
    counts, totals = count_votes(votes, classes, n_samples=len(y))
    clear = counts.max(axis=1) > totals / 2
    counts, totals = counts[clear], totals[clear]
    is_named = classes[counts.argmax(axis=1)] == y[clear]
    return float(is_named.mean()), float((counts.max(axis=1) / totals).mean())


def faces_per_second(
    classifiers: list[PretrainedEmotionClassifier], X: NDArray[Any]
) -> list[float]:
    """Return how many faces each classifies in a second, the median over rounds in turns."""
    seconds: list[list[float]] = [[] for _ in classifiers]
    for classifier in classifiers:
        classifier.predict_proba(X[:8])
    for _ in range(ROUNDS):
        for classifier, times in zip(classifiers, seconds, strict=True):
            start = time.perf_counter()
            classifier.predict_proba(X)
            times.append(time.perf_counter() - start)
    return [len(X) / median(times) for times in seconds]


def shown(figures: dict[str, Any]) -> list[str]:
    """Return the cells of a row, in the order of COLUMNS."""
    labels, votes = figures["labels"], figures.get("votes")
    cells = [(labels["accuracy"], labels["bootstrap_95"]["accuracy"], labels["n"])]
    if votes is not None:
        bounds = votes["bootstrap_95"]
        for key, n in (
            ("majority_agreement", votes["n_majority"]),
            ("plurality_agreement", votes["n"]),
            ("share_error", votes["n"]),
            ("reliability_gap", votes["n"]),
        ):
            cells.append((votes[key], bounds[key], n))
    return [
        "-" if value is None else f"{value:.4f} ({low:.4f} to {high:.4f})"
        for value, (low, high), _ in cells
    ]


def main(argv: list[str] | None = None) -> None:
    """Measure all variants, print them."""
    folder = Path(os.environ.get("EMOTION_ESTIMATORS_DATA", "."))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=folder / "facial_emotions" / "test")
    parser.add_argument(
        "--votes",
        type=Path,
        help="table of votes, as load_votes reads it; for other --data there is none by itself",
    )
    parser.add_argument("--model", action="append", help="name or file; embedded by default")
    parser.add_argument("--classes", nargs="+", help="the classes that the faces have")
    parser.add_argument("--class-prior", choices=["uniform"], help="that of the faces")
    parser.add_argument("--out", type=Path, help="write all figures into this file of JSON")
    arguments = parser.parse_args(argv)
    table = folder / "ferplus" / "public_test_votes.csv"
    if arguments.votes is None and arguments.data == parser.get_default("data") and table.is_file():
        arguments.votes = table

    bunch = load_image_folder(arguments.data)
    X, y = bunch.data, np.asarray(bunch.target).astype(str)
    votes = None
    if arguments.votes is not None:
        votes = load_votes(arguments.votes, files=bunch.filenames)
    settings = {"classes": arguments.classes, "class_prior": arguments.class_prior}
    ways = [way for model in arguments.model or ["embedded"] for way in variants(model, settings)]
    table = {}
    width = max(len(name) for name, _ in ways)
    print(f"{len(X)} faces of {arguments.data}, 95 % bootstrap intervals")
    print(f"{'':{width}}  {'  '.join(f'{name:25}' for name in COLUMNS)}  faces/s")
    faces = check_images(X[:N_TIMED], name="faces", image_size=(48, 48), color="grey")
    array = np.concatenate([batch for _, batch in faces.batches(N_TIMED, n_threads=1)])
    classifiers = [PretrainedEmotionClassifier(**parameters) for _, parameters in ways]
    speeds = faces_per_second(classifiers, array)
    for (name, _), classifier, speed in zip(ways, classifiers, speeds, strict=True):
        figures = measure(classifier, X, y, votes)
        cells = shown(figures)
        print(f"{name:{width}}  {'  '.join(f'{cell:25}' for cell in cells)}  {speed:7.0f}")
        sys.stdout.flush()
        table[name] = {**figures, "faces_per_second": speed}
    first = next(iter(table.values()))
    if votes is not None:
        of = first["votes"]
        print(
            f"label: n = {first['labels']['n']}; majority: n = {of['n_majority']}; the rest: "
            f"n = {of['n']}"
        )
        label, person = agreement_of_people(y, votes, open_classes(classifiers[0]))
        print(
            f"the label agrees with the majority in {label:.4f}, one of the people in {person:.4f}"
        )
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
