"""The directive ``citation``: what ``CITATION.cff`` says, as a sentence and for BibTeX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

CITATION = Path(__file__).parents[2] / "CITATION.cff"


def read(path: Path = CITATION) -> dict[str, Any]:
    """Return the fields of a ``CITATION.cff``."""
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def author(entry: dict[str, str]) -> str:
    """Return the name of one author, a person's or a group's."""
    return entry.get("name") or f"{entry['given-names']} {entry['family-names']}"


def sentence(fields: dict[str, Any]) -> str:
    """Return the citation as a sentence."""
    authors = ", ".join(map(author, fields["authors"]))
    year = f" ({str(fields['date-released'])[:4]})" if "date-released" in fields else ""
    where = fields.get("doi") or fields.get("repository-code") or ""
    end = f" {where}" if where else ""
    return f"{authors}{year}. {fields['title']}. Version {fields['version']}, software.{end}"


def bibtex(fields: dict[str, Any]) -> str:
    """Return the citation as an entry of BibTeX."""
    # two pairs of braces: a group's name is not taken apart, capitals stay
    entries = {
        "author": " and ".join(
            f"{{{entry['name']}}}" if "name" in entry else author(entry)
            for entry in fields["authors"]
        ),
        "title": f"{{{fields['title']}}}",
        "year": str(fields.get("date-released", ""))[:4],
        "version": str(fields["version"]),
        "doi": fields.get("doi", ""),
        "url": fields.get("repository-code", ""),
    }
    told = [f"  {name} = {{{value}}}," for name, value in entries.items() if value]
    return (
        "\n".join(["@software{emotion_estimators,", *told, "}"])
        .replace("_", r"\_")
        .replace(r"@software{emotion\_estimators", "@software{emotion_estimators")
    )


def setup(app: Any) -> dict[str, Any]:
    """Register the directive."""
    from docutils import nodes
    from sphinx.util.docutils import SphinxDirective

    class Citation(SphinxDirective):
        """The sentence, and a block to copy."""

        def run(self) -> list[nodes.Node]:
            """Return both."""
            self.env.note_dependency(str(CITATION))
            fields = read()
            block = nodes.literal_block(text=bibtex(fields), language="bibtex")
            return [nodes.paragraph(text=sentence(fields)), block]

    app.add_directive("citation", Citation)
    return {"parallel_read_safe": True}
