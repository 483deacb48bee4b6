"""``python -m emotion_estimators``, where the script is not on the path."""

import sys

from emotion_estimators.cli import main

if __name__ == "__main__":
    sys.exit(main())
