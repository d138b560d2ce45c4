"""What `import MetaTrader5` finds where this folder is on the path: the drop-in module itself."""

import sys

import mt5crs.MetaTrader5

sys.modules[__name__] = mt5crs.MetaTrader5
