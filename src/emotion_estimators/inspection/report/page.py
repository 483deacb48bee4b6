"""A page of HTML that asks for nothing, written piece by piece; knows nothing of faces.

What comes from outside, such as names of files, gets into the page only as text or attributes of
elements, which the standard library's serialiser escapes. That is why there is no template.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import resources
from shutil import copyfileobj
from typing import Any, BinaryIO, TypeAlias
from xml.etree import ElementTree as ET

__all__ = ["Content", "Element", "Page", "definitions", "element", "plain_table", "to_html"]

Element: TypeAlias = ET.Element
Content: TypeAlias = "Element | str | Iterable[Content] | None"


def element(tag: str, *content: Content, **attributes: object) -> Element:
    """Return an element; content and attributes that are None are left out.

    Attributes are written as Python allows: `class_`, `aria_label`. True stands for one without
    a value.
    """
    made = ET.Element(tag)
    for name, value in attributes.items():
        if value is not None and value is not False:
            key = name.rstrip("_").replace("_", "-")
            made.set(key, "" if value is True else _harmless(_text(value)))
    _append(made, content)
    return made


def to_html(made: Element) -> bytes:
    """Return an element as the bytes that go into the page."""
    return ET.tostring(made, encoding="unicode", method="html").encode()


def plain_table(
    caption: str,
    heading: Iterable[Any],
    rows: Iterable[Iterable[Any]],
    **attributes: object,
) -> Element:
    """Return a table whose first column names the rows."""
    columns = [element("th", name, scope="col") for name in heading]
    body = [
        element("tr", [element("td" if i else "th", cell, scope=None if i else "row")
                       for i, cell in enumerate(cells)])
        for cells in rows
    ]  # fmt: skip
    table = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", columns)),
        element("tbody", body),
        **attributes,
    )
    # wide ones are scrolled, by keyboard too
    return element("div", table, class_="wide", tabindex=0, role="region", aria_label=caption)


def definitions(pairs: Iterable[tuple[str, Any]]) -> Element:
    """Return a list of names and what belongs to them."""
    items = [element("div", element("dt", name), element("dd", value)) for name, value in pairs]
    return element("dl", items)


class Page:
    """A page that is written from its head to its end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, *pieces: Element | bytes) -> None:
        """Add elements, or what `to_html` made of some."""
        for piece in pieces:
            self._file.write(piece if isinstance(piece, bytes) else to_html(piece) + b"\n")

    def copy(self, spool: BinaryIO) -> None:
        """Add all that was written to another file."""
        spool.seek(0)
        copyfileobj(spool, self._file)

    @contextmanager
    def within(self, tag: str, *content: Content, **attributes: object) -> Iterator[None]:
        """Add an element to which the block adds more."""
        end = f"</{tag}>".encode()
        self.write(to_html(element(tag, *content, **attributes)).removesuffix(end))
        yield
        self.write(end + b"\n")

    @contextmanager
    def document(self, title: str, told: str, sections: dict[str, str]) -> Iterator[None]:
        """Write all that stands around the sections, whose names by their ids are `sections`."""
        style, script = _asset("report.css"), _asset("report.js")
        # nothing is ever loaded, whatever the names of files and classes are
        policy = (
            f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; "
            f"script-src '{_digest(script)}'; base-uri 'none'; form-action 'none'"
        )
        self.write(b'<!DOCTYPE html>\n<html lang="en">\n')
        with self.within("head", element("meta", charset="utf-8")):
            self.write(
                element("meta", http_equiv="Content-Security-Policy", content=policy),
                element("meta", name="viewport", content="width=device-width, initial-scale=1"),
                element("meta", name="color-scheme", content="light dark"),
                element("meta", name="referrer", content="no-referrer"),
                element("title", title),
                element("style", style),
            )
        with self.within("body", element("a", "Skip to the content", href="#main", class_="skip")):
            links = [
                element("li", element("a", name, href=f"#{key}")) for key, name in sections.items()
            ]
            self.write(
                element("header", element("h1", title), element("p", told)),
                element("nav", element("ul", links), aria_label="Sections"),
            )
            with self.within("main", id="main"):
                yield
            self.write(element("script", script))
        self.write(b"</html>\n")

    @contextmanager
    def section(self, key: str, name: str) -> Iterator[None]:
        """Write a section with its heading."""
        heading = element("h2", name, id=f"{key}-heading")
        with self.within("section", heading, id=key, aria_labelledby=f"{key}-heading"):
            yield


def _append(made: Element, content: Content) -> None:
    """Add text and elements at the end of an element."""
    if content is None:
        return
    if isinstance(content, str):
        text = _harmless(content)
        if len(made):
            made[-1].tail = (made[-1].tail or "") + text
        else:
            made.text = (made.text or "") + text
    elif isinstance(content, ET.Element):
        made.append(content)
    else:
        for part in content:
            _append(made, part)


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _harmless(text: str) -> str:
    """Return a text in which what has no shape, or turns the line around, is escaped."""
    if text.isprintable():  # as pictures are, which are long
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)


@cache
def _asset(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")


def _digest(text: str) -> str:
    """Return the hash by which a policy lets a style or script pass."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
