"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest

_BESIDE_CHECKOUT = Path(__file__).parents[1].parent / "shared" / "data"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Return the folder of real faces, emoji, weights and photographs, or skip."""
    named = os.environ.get("EMOTION_ESTIMATORS_DATA")
    folder = Path(named) if named else _BESIDE_CHECKOUT
    if not folder.is_dir():
        pytest.skip(
            f"needs the real-data folder, and {folder} is none: set EMOTION_ESTIMATORS_DATA"
        )
    return folder
