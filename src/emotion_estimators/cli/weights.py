"""The command ``fetch``: weights to this machine."""

from __future__ import annotations

import argparse
import sys

from emotion_estimators._progress import is_terminal
from emotion_estimators.cli.console import FAILED, OK, UsageError, print_line, report
from emotion_estimators.exceptions import WeightsError
from emotion_estimators.weights import fetch_weights, list_cards

__all__ = ["fetch", "known_names"]


def fetch(arguments: argparse.Namespace) -> int:
    """Fetch the weights named; those that fail keep none of the others back."""
    known = [card.name for card in list_cards()]
    if bool(arguments.names) == arguments.all:
        raise UsageError(f"expected either names of weights ({', '.join(known)}) or --all.")
    names = known if arguments.all else known_names(arguments.names)
    status = OK
    for name in names:
        try:
            path = fetch_weights(name, verbose=is_terminal(sys.stderr))
        except (OSError, WeightsError) as error:
            report(f"fetch: {error}")
            status = FAILED
        else:
            print_line(f"{name}\t{path}")
    return status


def known_names(names: list[str]) -> list[str]:
    """Return names of weights, each once; UsageError if there are none of such a name."""
    known = [card.name for card in list_cards()]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"no weights are called {', '.join(unknown)}; known: {', '.join(known)}.")
    return list(dict.fromkeys(names))
