"""``python -m emotion_estimators.cli``, the same as ``python -m emotion_estimators``."""

import sys

from emotion_estimators.cli import main

if __name__ == "__main__":
    sys.exit(main())
