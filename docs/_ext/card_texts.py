"""Weight cards in, reStructuredText out: a section for each, and one table of all."""

from __future__ import annotations

import re

from emotion_estimators.weights import WeightCard


def share(value: float) -> str:
    """Return a share in 0..1 with the digits that three thousand images carry."""
    return f"{value:.3f}"


def plain(text: str) -> str:
    """Return text with what reStructuredText would take for marks escaped."""
    return re.sub(r"([*`|_\\])", r"\\\1", text)


def rows(card: WeightCard) -> list[tuple[str, str]]:
    """Return what a card says, as pairs of a name and reStructuredText."""
    unknown = "not stated"
    facts = [
        ("For", card.task),
        ("File", f"``{card.file_name}``"),
        ("Comes", "with the package" if card.url is None else f"from `{card.url} <{card.url}>`__"),
        ("Size", unknown if card.size is None else f"{card.size:,} bytes"),
        ("SHA-256", f"``{card.sha256}``"),
        ("Licence", plain(card.licence)),
        ("Labels, in order", plain(", ".join(card.labels)) or "none"),
        (
            "Input",
            f"{card.color}, "
            + ("any size" if card.image_size is None else "{} x {} px".format(*card.image_size))
            + ", black and white are {:.4g} and {:.4g}".format(*card.scaling),
        ),
        ("Learned from", plain(f"{card.training_data} (terms: {card.training_data_terms})")),
    ]
    if card.published_accuracy is not None:
        facts.append(
            (
                "Published accuracy",
                plain(f"{share(card.published_accuracy)}: {card.published_source}"),
            )
        )
    if card.measured_accuracy is None:
        facts.append(("Measured here", "nothing"))
    else:
        facts.append(
            (
                "Measured here",
                plain(f"accuracy {share(card.measured_accuracy)} on {card.measured_on}"),
            )
        )
    facts += [
        (plain(name[:1].upper() + name[1:]), figure(*values)) for name, *values in card.figures
    ]
    if card.limits:
        facts.append(("Limits", plain(card.limits)))
    return facts


def figure(value: float, low: float | None, high: float | None) -> str:
    """Return a figure, with its interval where there is one."""
    if low is None or high is None:
        return share(value)
    return f"{share(value)} (95 % interval {share(low)} to {share(high)})"


def lines(card: WeightCard) -> list[str]:
    """Return the section of a card as lines of reStructuredText."""
    table = [".. list-table::", "   :class: stack", "   :widths: 30 70", ""]
    for name, text in rows(card):
        table += [f"   * - {name}", f"     - {text}"]
    return [f".. _weights-{card.name}:", "", card.name, "~" * len(card.name), "", *table, ""]


def accuracies(card: WeightCard) -> list[str]:
    """Return how good it is, each figure by its own name: the first one of each output."""
    first = [
        next(((name, value) for name, value, *_ in card.figures if name.startswith(f"{o}: ")), None)
        for o in card.outputs
    ]
    told = [f"{name}: {share(value)}" for name, value in filter(None, first)]
    if not told and card.measured_accuracy is not None:
        told = [f"accuracy on {card.measured_on}: {share(card.measured_accuracy)}"]
    if card.published_accuracy is not None:
        told.append(f"published: {share(card.published_accuracy)} ({card.published_source})")
    return [plain(text) for text in told] or ["not measured"]


def table_row(card: WeightCard) -> list[str]:
    """Return the cells of a card in the table of all, in the order of `COLUMNS`."""
    speed, size = "not measured", "not stated"
    if card.milliseconds is not None:
        speed = f"{card.milliseconds:.2g} ms"
    if card.size is not None:
        size = f"{card.size / 1e6:.1f} MB"
    return [
        f":ref:`{card.name} <weights-{card.name}>`",
        card.task,
        " |br| ".join(accuracies(card)),
        speed,
        f"{size}, {'in the package' if card.url is None else 'downloaded once'}",
        plain(card.licence),
        plain(card.training_data_terms),
    ]


COLUMNS = (
    "name",
    "for",
    "accuracy, as it is measured",
    "time for one image",
    "file",
    "licence",
    "terms of the data it learned from",
)


def table_lines(cards: tuple[WeightCard, ...]) -> list[str]:
    """Return the table of all cards as lines of reStructuredText."""
    lines = [".. |br| raw:: html", "", "   <br>", ""]
    lines += [".. list-table::", "   :class: wide", "   :header-rows: 1"]
    lines += ["   :widths: 13 11 28 8 14 13 13", ""]
    for cells in (COLUMNS, *map(table_row, cards)):
        lines += [f"   {'* -' if i == 0 else '  -'} {cell}" for i, cell in enumerate(cells)]
    where: dict[str, list[str]] = {}  # by how it was measured, the names
    for card in cards:
        if card.milliseconds is not None:
            where.setdefault(plain(card.milliseconds_on), []).append(card.name)
    lines += ["", "Times of"]
    lines += [f"{', '.join(names)}: {how}." for how, names in where.items()]
    return [*lines, ""]
