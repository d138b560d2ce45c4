"""mtcli: its commands for screen readers, in processes of their own."""

import subprocess
import sys
from pathlib import Path


def mtcli(*arguments: str) -> str:
    command = Path(sys.executable).with_name("mtcli")
    done = subprocess.run([command, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


bars = mtcli("bars", "EURUSD", "--period", "h1", "--count", "20", "--view", "ohlc").splitlines()
assert len(bars) == 20, bars
for bar in bars:
    opened, high, low, close = (float(price) for price in bar.split()[1:5])
    assert low <= min(opened, close) <= max(opened, close) <= high
assert "MetaTrader5 conectado" in mtcli("doctor")
