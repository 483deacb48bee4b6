"""A cache of its own for each test."""

import pytest


@pytest.fixture
def cache(cache_home):
    return cache_home / "weights"
