"""What type checkers and editors see of `MetaTrader5._core`, the official package's inner module.

When a program runs, the drop-in module itself stands here, too.
"""

from mt5crs.MetaTrader5 import *  # noqa: F403
