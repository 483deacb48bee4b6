"""The command ``info``: what is installed, on what it runs, and which weights there are."""

from __future__ import annotations

import argparse
import json
import platform
import re
import shutil
import textwrap
from dataclasses import asdict
from importlib import metadata
from typing import Any

from emotion_estimators import __version__
from emotion_estimators._downloads import cache_folder, is_offline
from emotion_estimators.cli.console import OK, check_output, print_line
from emotion_estimators.cli.weights import known_names
from emotion_estimators.images.threads import count_threads
from emotion_estimators.networks.onnx.session import import_onnxruntime
from emotion_estimators.weights import find_weights, list_cards

__all__ = ["info"]

_DISTRIBUTION = _COMMAND = "emotion-estimators"
_WIDTH, _NARROWEST = 100, 40  # columns where there is no terminal, and at least


def info(arguments: argparse.Namespace) -> int:
    """Print it all, or what is known of some weights."""
    check_output("info")
    names = known_names(arguments.names)
    cards = [card for card in list_cards() if card.name in names or not names]
    found: dict[str, Any] = {} if names else _installation()
    paths = [find_weights(card.name) for card in cards]
    found["weights"] = [
        {**asdict(card), "path": None if path is None else str(path)}
        for card, path in zip(cards, paths, strict=True)
    ]
    if arguments.json:
        print_line(json.dumps(found, indent=2))
    else:
        if not names:
            _print_installation(found)
        for card in found["weights"]:
            _print_card(card, is_whole=bool(names))
    return OK


def _installation() -> dict[str, Any]:
    required, extras = _requirements()
    return {
        "version": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in required},
        "extras": {
            extra: {name: _version(name) for name in names} for extra, names in extras.items()
        },
        "devices": _devices(),
        "cache": str(cache_folder("weights")),
        "offline": is_offline(),
    }


def _requirements() -> tuple[list[str], dict[str, list[str]]]:
    """Return the distributions that are needed always, and those of each extra."""
    required: list[str] = []
    extras: dict[str, list[str]] = {}
    for line in metadata.requires(_DISTRIBUTION) or []:
        requirement, _, marker = line.partition(";")
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        extra = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", marker)
        if extra is None:
            required.append(name)
        elif extra[1] != "all":  # which holds nothing of its own
            extras.setdefault(extra[1], []).append(name)
    return required, extras


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _devices() -> dict[str, Any]:
    """Return the CPUs, what ONNX Runtime runs on, and what torch does where it is installed."""
    devices: dict[str, Any] = {
        "threads": count_threads(None),
        "onnxruntime": import_onnxruntime().get_available_providers(),
    }
    if _version("torch") is not None:
        import torch

        n_devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
        devices["torch"] = ["cpu", *(torch.cuda.get_device_name(i) for i in range(n_devices))]
    return devices


def _print_installation(found: dict[str, Any]) -> None:
    _print(f"{_DISTRIBUTION} {found['version']}")
    _print(f"Python {found['python']} on {found['platform']}")
    _print(", ".join(f"{name} {version}" for name, version in found["packages"].items()))
    print_line("\nExtras")
    for extra, versions in found["extras"].items():
        missing = [name for name, version in versions.items() if version is None]
        state = f"no ({', '.join(missing)} missing)" if missing else "yes"
        there = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
        _print(f"  {extra:10} {state}{': ' * bool(there)}{there}")
    print_line("\nDevices")
    for engine, names in found["devices"].items():
        _print(f"  {engine:12} {', '.join(names) if isinstance(names, list) else names}")
    print_line()
    _print(f"Weights (cache: {found['cache']}{', offline' * found['offline']})")


def _print_card(card: dict[str, Any], *, is_whole: bool) -> None:
    """Print what is known of weights; of many figures the main ones, unless it `is_whole`."""
    _print(f"  {card['name']}: {card['task']}")
    size = "" if card["size"] is None else f", {card['size'] / 1e6:.1f} MB"
    where = card["path"] or f"not on this machine ({_COMMAND} fetch {card['name']})"
    _print(f"    file: {where}{size}")
    _print(f"    licence: {card['licence']}")
    _print(f"    trained on: {card['training_data']} ({card['training_data_terms']})")
    figures = card["figures"]
    if figures:
        _print(f"    measured on: {card['measured_on']}; where n is another, on so many")
        # those of single classes and settings have no interval, or compare with another model
        main = [one for one in figures if one[2] is not None and not one[0].startswith("compare")]
        for name, value, low, high in figures if is_whole else main:
            bounds = "" if low is None else f" ({low:.3f} to {high:.3f})"
            _print(f"      {name}: {value:.3f}{bounds}")
        if not is_whole:
            _print(f"      more: {_COMMAND} info {card['name']}")
    elif card["measured_accuracy"] is not None:
        _print(f"    accuracy: {card['measured_accuracy']:.3f} on {card['measured_on']}")
    if card["limits"]:
        _print(f"    limits: {card['limits']}")


def _print(line: str) -> None:
    """Print a line, wrapped to the terminal; what follows stands a little further in."""
    indent = " " * (len(line) - len(line.lstrip(" ")))
    wrapped = textwrap.fill(
        line.strip(" "),
        max(_NARROWEST, shutil.get_terminal_size((_WIDTH, 1)).columns),
        initial_indent=indent,
        subsequent_indent=f"{indent}    ",
        break_long_words=False,  # paths
        break_on_hyphens=False,
    )
    print_line(wrapped)
