"""Run the command line with `python -m mt5crs`."""

import sys

from mt5crs.cli import main

if __name__ == "__main__":
    sys.exit(main())
