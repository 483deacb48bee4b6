"""What `make docs` asks of the gallery while it runs it: time, baselines, pictures and their texts.

A part of ``conf.py``: `watch` stands in its ``reset_modules``, and as an extension it reads the
pages that Sphinx-Gallery has written. What is wrong is a warning, and so an error of ``make docs``.
"""

from __future__ import annotations

import os
import re
import warnings
from typing import Any

# Of the processor. All are to take at most 240 s together, on an idle machine half as fast as ours;
# where other work runs on the same cores the same example was seen to take 2.5 times as long.
SECONDS = 90  # for one example
ALL_SECONDS = 480  # for all together, the imports that they share included
BASELINES = ("always the same", "dummy", "shares")

_spent: dict[str, float] = {}
_filters = warnings.catch_warnings()


def _processor_seconds() -> float:
    """Return what this process and those that it started and that ended have used."""
    return sum(os.times()[:4])


def watch(_: dict[str, Any], script: str, when: str) -> None:
    """Count the processor time of an example, and make its warnings errors; called around it."""
    global _filters
    if when == "before":
        _filters = warnings.catch_warnings()
        _filters.__enter__()
        warnings.simplefilter("error", UserWarning)
        _spent[script] = -_processor_seconds()
    else:
        _spent[script] += _processor_seconds()
        _filters.__exit__(None, None, None)


def time_problems(spent: dict[str, float]) -> list[str]:
    """Return what took too long, of the processor seconds of each example."""
    problems = [
        f"{script} took {seconds:.0f} s of the processor, more than {SECONDS} s"
        for script, seconds in spent.items()
        if seconds > SECONDS
    ]
    if sum(spent.values()) > ALL_SECONDS:
        slowest = sorted(spent, key=lambda script: -spent[script])[:3]
        problems.append(
            f"the examples took {sum(spent.values()):.0f} s of the processor together, more than "
            f"{ALL_SECONDS} s; the most {', '.join(slowest)}"
        )
    return problems


def page_problems(name: str, text: str) -> list[str]:
    """Return what the page of an example lacks, of the reStructuredText that was written."""
    problems = []
    printed = "".join(re.findall(r"sphx-glr-script-out.*?(?=\n\S|\Z)", text, re.DOTALL))
    if not any(word in printed for word in BASELINES):
        problems.append(f"no baseline is printed: none of {', '.join(BASELINES)}")
    pictures = re.findall(r"^ *\.\. image-sg:: (\S+)\n +:alt:(.*)$", text, re.MULTILINE)
    if not pictures:
        problems.append("no picture: its thumbnail would be a placeholder")
    for picture, told in pictures:
        # without a title Sphinx-Gallery puts the name of the file
        if told.strip() in (
            "",
            name.removeprefix("plot_").replace("_", " "),
            name.replace("_", " "),
        ):
            problems.append(f"{picture} has no alternative text: give the figure a title")
    return problems


def setup(app: Any) -> dict[str, Any]:
    """Check the pages as they are read, and the time when all are."""
    from sphinx.util import logging

    logger = logging.getLogger(__name__)

    def read(_: Any, page: str, source: list[str]) -> None:
        folder, _, name = page.rpartition("/")
        if folder == "gallery" and name.startswith("plot_"):
            for problem in page_problems(name, source[0]):
                logger.warning("%s: %s", name, problem)

    def check_time(*_: Any) -> None:
        for problem in time_problems(_spent):
            logger.warning(problem)
        if _spent:
            logger.info(
                "%d examples took %.0f s of the processor", len(_spent), sum(_spent.values())
            )
            for script, seconds in sorted(_spent.items(), key=lambda item: -item[1]):
                logger.info("  %5.1f s %s", seconds, script)

    app.connect("source-read", read)
    app.connect("env-check-consistency", check_time)
    return {"parallel_read_safe": True}
