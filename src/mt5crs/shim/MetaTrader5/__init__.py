"""What `import MetaTrader5` finds where this folder is on the path: the drop-in module itself."""

import sys
from typing import TYPE_CHECKING

import mt5crs.MetaTrader5

if TYPE_CHECKING:
    from mt5crs.MetaTrader5 import *  # noqa: F403 - what type checkers and editors see
else:
    sys.modules[__name__] = mt5crs.MetaTrader5
    sys.modules[f"{__name__}._core"] = mt5crs.MetaTrader5  # where programs look for types, before all
