"""Run the program: `python -m mt5crs.fleet.node`, or the packed one."""

import sys

from .main import main

sys.exit(main())
