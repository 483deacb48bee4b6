"""The directive ``weight-cards``: one section for each card of `emotion_estimators.weights`."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.parsing import nested_parse_to_nodes

from emotion_estimators.weights import WeightCard, list_cards


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
    table = [".. list-table::", "   :widths: 25 75", ""]
    for name, text in rows(card):
        table += [f"   * - {name}", f"     - {text}"]
    return [f".. _weights-{card.name}:", "", card.name, "~" * len(card.name), "", *table, ""]


class WeightCards(SphinxDirective):
    """All cards, or those of the task that is named."""

    optional_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        cards = list_cards(self.arguments[0] if self.arguments else None)
        if not cards:
            raise self.error(f"weight-cards found no cards for {self.arguments}")
        content = StringList()
        for card in cards:
            for line in lines(card):
                content.append(line, "weights/registry.py")
        return nested_parse_to_nodes(self.state, content)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("weight-cards", WeightCards)
    return {"parallel_read_safe": True}
