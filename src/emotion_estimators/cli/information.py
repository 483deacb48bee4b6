"""The command ``info``: what is installed, on what it runs, and which weights there are."""

from __future__ import annotations

import argparse
import json
import platform
import re
from dataclasses import asdict
from importlib import metadata
from typing import Any

from emotion_estimators import __version__
from emotion_estimators._downloads import cache_folder, is_offline
from emotion_estimators.cli.console import OK, check_output, print_line
from emotion_estimators.images.threads import count_threads
from emotion_estimators.networks.onnx.session import import_onnxruntime
from emotion_estimators.weights import find_weights, list_cards

__all__ = ["info"]

_DISTRIBUTION = "emotion-estimators"


def info(arguments: argparse.Namespace) -> int:
    """Print it all."""
    check_output("info")
    required, extras = _requirements()
    found: dict[str, Any] = {
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
        "weights": [{**asdict(card), "path": _path(card.name)} for card in list_cards()],
    }
    if arguments.json:
        print_line(json.dumps(found, indent=2))
    else:
        _print(found)
    return OK


def _requirements() -> tuple[list[str], dict[str, list[str]]]:
    """Return the distributions that are needed always, and those of each extra."""
    required: list[str] = []
    extras: dict[str, list[str]] = {}
    for line in metadata.requires(_DISTRIBUTION) or []:
        requirement, _, marker = line.partition(";")
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        extra = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", marker)
        if name == _DISTRIBUTION:  # the extra of all extras
            continue
        if extra is None:
            required.append(name)
        else:
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


def _path(name: str) -> str | None:
    path = find_weights(name)
    return None if path is None else str(path)


def _print(found: dict[str, Any]) -> None:
    print_line(f"{_DISTRIBUTION} {found['version']}")
    print_line(f"Python {found['python']} on {found['platform']}")
    print_line(", ".join(f"{name} {version}" for name, version in found["packages"].items()))
    print_line("\nExtras")
    for extra, versions in found["extras"].items():
        missing = [name for name, version in versions.items() if version is None]
        state = f"no ({', '.join(missing)} missing)" if missing else "yes"
        there = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
        print_line(f"  {extra:10} {state}{': ' * bool(there)}{there}")
    print_line("\nDevices")
    for engine, names in found["devices"].items():
        print_line(f"  {engine:12} {', '.join(names) if isinstance(names, list) else names}")
    print_line(f"\nWeights (cache: {found['cache']}{', offline' * found['offline']})")
    for card in found["weights"]:
        print_line(f"  {card['name']}: {card['task']}")
        size = "" if card["size"] is None else f", {card['size'] / 1e6:.1f} MB"
        print_line(f"    file: {_where(card)}{size}")
        print_line(f"    licence: {card['licence']}")
        print_line(f"    trained on: {card['training_data']} ({card['training_data_terms']})")
        if card["measured_accuracy"] is not None:
            print_line(f"    accuracy: {card['measured_accuracy']:.3f} on {card['measured_on']}")
        if card["limits"]:
            print_line(f"    limits: {card['limits']}")


def _where(card: dict[str, Any]) -> str:
    path: str | None = card["path"]
    return path or f"not on this machine (emotion-estimators fetch {card['name']})"
