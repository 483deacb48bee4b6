"""Measure what a model says of faces: by FER2013's labels, and by what ten people said.

For each output of a model, in each precision that it comes in, of faces alone and with their
mirror images::

    python examples/evaluate_faces.py --data facial_emotions/test --votes public_test_votes.csv

prints the accuracy by the label, the agreement with the clear majority (more than half of all
votes for one of the classes) and with the plurality, the mean error of the shares of people and
the gap between what is said and how many agree, with 95 % bootstrap intervals; and faces a
second, all variants taking turns. Below stands how often the label, one of the people, and the
first model agree with the clear majority. Several models, registered names or files, are compared
by several ``--model``. Faces that people were not asked about count in the label only; where there
is no table of votes it is all that is measured.

For other data sets, ``--classes`` names the classes that they have, and ``--class-prior uniform``
takes all for equally common.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimators import PretrainedEmotionClassifier
from emotion_estimators.classifiers.pretrained_emotion_classifier import open_classes, open_output
from emotion_estimators.datasets import load_image_folder, load_votes
from emotion_estimators.metrics import measure_probabilities, measure_votes
from emotion_estimators.validation import check_images, count_votes
from emotion_estimators.weights import list_cards

N_TIMED = 512  # faces
ROUNDS = 5
COLUMNS = ("label", "clear majority", "plurality", "error of shares", "gap")
VOTES_AND_LABELS = ("votes", "labels")


def variants(model: str, settings: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return a name and the parameters of each way to ask a model."""
    card = next((card for card in list_cards("emotion") if card.name == model), None)
    precisions: tuple[str | None, ...] = (None,) if card is None else card.precisions
    first = open_output(PretrainedEmotionClassifier(model=model))[0]
    outputs = VOTES_AND_LABELS if first in VOTES_AND_LABELS else (first,)
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
    measures = [(figures["labels"], ("accuracy",))]
    if "votes" in figures:
        names = ("majority_agreement", "plurality_agreement", "share_error", "reliability_gap")
        measures.append((figures["votes"], names))
    cells = [
        (measured[name], measured["bootstrap_95"][name])
        for measured, names in measures
        for name in names
    ]
    return [
        "-" if value is None else f"{value:.3f} ({low:.3f} to {high:.3f})"
        for value, (low, high) in cells
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
    print(f"| {len(X)} faces | {' | '.join(COLUMNS)} | faces/s |")
    print(f"|---{len(COLUMNS) * '|---'}|---|")
    faces = check_images(X[:N_TIMED], name="faces", image_size=(48, 48), color="grey")
    array = np.concatenate([batch for _, batch in faces.batches(N_TIMED, n_threads=1)])
    classifiers = [PretrainedEmotionClassifier(**parameters) for _, parameters in ways]
    speeds = faces_per_second(classifiers, array)
    for (name, _), classifier, speed in zip(ways, classifiers, speeds, strict=True):
        figures = measure(classifier, X, y, votes)
        cells = shown(figures)
        print(f"| {name} | {' | '.join(cells)} | {speed:,.0f} |", flush=True)
        table[name] = {**figures, "faces_per_second": speed}
    if votes is not None:
        first = next(iter(table.values()))
        label, person = agreement_of_people(y, votes, open_classes(classifiers[0]))
        n, n_clear = first["votes"]["n"], first["votes"]["n_majority"]
        print(f"\n| of {n} faces, {n_clear} with a clear majority | agrees with it |\n|---|---|")
        print(f"| FER2013's own label | {label:.3f} |")
        print(f"| one of the ten people, on average | {person:.3f} |")
        for name, _ in variants((arguments.model or ["embedded"])[0], settings):
            print(f"| {name} | {shown(table[name])[1].replace('(', '(95 %: ')} |")
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
