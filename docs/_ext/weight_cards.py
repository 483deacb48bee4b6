"""Directives: ``weight-cards``, a section for each card, and ``weight-table``, a table of all."""

from __future__ import annotations

from typing import Any

from card_texts import lines, table_lines
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.parsing import nested_parse_to_nodes

from emotion_estimators.weights import list_cards


class WeightCards(SphinxDirective):
    """All cards, or those of the task that is named."""

    optional_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Return the sections, or the table."""
        cards = list_cards(self.arguments[0] if self.arguments else None)
        if not cards:
            raise self.error(f"{self.name} found no cards for {self.arguments}")
        if self.name == "weight-table":
            written = table_lines(cards)
        else:
            written = [line for card in cards for line in lines(card)]
        return nested_parse_to_nodes(self.state, StringList(written, "weights/registry.py"))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("weight-cards", WeightCards)
    app.add_directive("weight-table", WeightCards)
    return {"parallel_read_safe": True}
