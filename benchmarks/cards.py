"""Processor time of each model that has a card: python benchmarks/cards.py [--rounds N].

Milliseconds for one image of a batch, with one thread, in the precision and with the views that
the card names: what stands in a card as ``milliseconds``. Images are noise, of the size that the
card says; YuNet looks at one of 320 x 320 px. The least of some rounds counts, since what else runs
on a machine only ever adds time. FaceNet's time does not depend on its weights, random here.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from emotion_estimators import FaceCropper, FacenetEmbedder, PretrainedEmotionClassifier
from emotion_estimators.weights import WeightCard, find_weights, list_cards
from record import describe_machine

YUNET_SIZE = (320, 320)


def predictor(card: WeightCard) -> Callable[[Any], Any]:
    """Return what computes on images, with one thread."""
    if card.task == "emotion":
        return PretrainedEmotionClassifier(model=card.name, n_threads=1).predict_proba
    if card.task == "face embedding":
        return FacenetEmbedder(weights=None, n_threads=1).fit_transform
    return FaceCropper(n_threads=1).detect


def measure(card: WeightCard, n_images: int, rounds: int) -> float:
    """Return the least milliseconds of processor time for an image."""
    size = YUNET_SIZE if card.image_size is None else card.image_size
    shape = (n_images, *size) if card.color == "grey" else (n_images, *size, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    predict, spent = predictor(card), []
    predict(images)
    for _ in range(rounds):
        start = time.process_time()
        predict(images)
        spent.append(time.process_time() - start)
    return 1000 * min(spent) / n_images


def main() -> None:
    """Print a row for each card."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--images", type=int, default=32)
    options = parser.parse_args()
    print(describe_machine())
    print("\n| name | ms of the processor for an image |\n|---|---|")
    for card in list_cards():
        if card.task == "emotion" and find_weights(card.name) is None:
            told = "not measured: its file is not here"
        else:
            told = f"{measure(card, options.images, options.rounds):.3g}"
        print(f"| {card.name} | {told} |", flush=True)


if __name__ == "__main__":
    main()
