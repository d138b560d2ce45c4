# mypy: disable-error-code="import-not-found, import-untyped"
"""mt5cli: its commands, each in a process of its own, into JSON and SQLite; its Python session."""

import json
import sqlite3
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from mt5cli import build_config, calculate_spread_ratio, get_account_snapshot, mt5_session

ORDER = {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0, "type_filling": 1, "deviation": 20}


def export(to: Path, *command: str) -> None:
    subprocess.run([sys.executable, "-m", "mt5cli", "-o", to, *command], check=True, timeout=60)


now = datetime.now()  # noqa: DTZ005 - naive, as programs have it
start = now - timedelta(days=7)
with TemporaryDirectory() as name:
    folder = Path(name)
    with mt5_session(
        build_config(login="5001001", password="simulated", server="MT5CRS-Simulated")
    ) as client:
        assert len(client.copy_rates_range("EURUSD", timeframe="H1", date_from=start, date_to=now)) > 20
        assert get_account_snapshot(client)["balance"] == 10000.0
        assert 0 < calculate_spread_ratio(client, "EURUSD") < 0.01
        price = float(client.symbol_info_tick("EURUSD")["ask"].iloc[0])
        assert int(client.order_check(ORDER | {"price": price})["retcode"].iloc[0]) == 0

    request = json.dumps(ORDER | {"price": price, "deviation": 1000})
    export(folder / "sent.json", "order-send", "--request", request, "--yes")
    [sent] = json.loads((folder / "sent.json").read_text())
    assert sent["retcode"] == 10009
    with mt5_session(build_config()) as client:
        assert list(client.positions(symbol="EURUSD")["ticket"]) == [sent["order"]]
    export(folder / "closed.json", "close-positions", "--symbol", "EURUSD", "--yes")

    dates = ("--date-from", f"{start:%Y-%m-%d}", "--date-to", f"{now + timedelta(days=1):%Y-%m-%d}")
    export(folder / "history.db", "collect-history", "--symbol", "EURUSD", "--timeframe", "H1", *dates)
    with sqlite3.connect(folder / "history.db") as database:
        assert database.execute("SELECT count(*) FROM rates").fetchone()[0] > 20
        entries = database.execute("SELECT entry FROM history_deals WHERE symbol = 'EURUSD' ORDER BY ticket")
        assert [entry for (entry,) in entries] == [0, 1]
