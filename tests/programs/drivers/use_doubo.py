"""doubo: the command that places a buy and a sell order in one go, in a process of its own."""

import subprocess
import sys
from pathlib import Path

import MetaTrader5 as mt5  # noqa: N813 - its usual name

doubo = Path(sys.executable).with_name("doubo")
done = subprocess.run(
    [doubo, "place", "EURUSD", "0.1", "--sl", "500", "--tp", "1000"],
    capture_output=True,
    text=True,
    timeout=60,
    check=False,
)
assert done.returncode == 0, done.stderr
assert "Done." in done.stdout

assert mt5.initialize()
positions = mt5.positions_get(symbol="EURUSD")
assert sorted(each.type for each in positions) == [mt5.POSITION_TYPE_BUY, mt5.POSITION_TYPE_SELL]
assert {each.magic for each in positions} == {309613}
for each in positions:
    assert each.comment.startswith("doubo@")
    assert f"ticket {each.ticket}" in done.stdout
assert mt5.Close("EURUSD") is True

refused = subprocess.run(
    [doubo, "place", "NOSUCH", "0.1"], capture_output=True, text=True, timeout=60, check=False
)
assert refused.returncode != 0
assert mt5.positions_total() == 0
mt5.shutdown()
