"""Runs the command `tfcompress` as `python -m tfcompress`."""

import sys

from tfcompress.cli import main

if __name__ == "__main__":
    sys.exit(main())
