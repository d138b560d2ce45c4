"""Archives: bars and ticks of terminals as plain Parquet files, which any program of data can read.

`scan` reads one as Polars, DuckDB or NumPy have their data, `resample` makes longer bars of what it read.
Filling and checking are `mt5crs archive pull` and its neighbours on the command line. pyarrow, Polars and
DuckDB are imported when something is read with them.
"""

from mt5crs.archive.reading import scan
from mt5crs.archive.resampling import resample

__all__ = ["resample", "scan"]
