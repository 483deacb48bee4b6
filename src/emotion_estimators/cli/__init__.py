"""The command line ``emotion-estimators``, a thin shell over the rest; loads nothing early."""

from emotion_estimators.cli.arguments import main

__all__ = ["main"]
