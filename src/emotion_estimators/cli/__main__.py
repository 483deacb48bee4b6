"""``python -m emotion_estimators.cli``, where the script is not on the path."""

import sys

from emotion_estimators.cli.arguments import main

if __name__ == "__main__":
    sys.exit(main())
