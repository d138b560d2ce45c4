"""A gateway whose official package is the drop-in module, connected to another gateway.

It is a process of its own, as are those that use the module. It prints its port, and ends with its standard
input.
"""

import sys
import threading

from mt5crs.gateway.config import GatewayConfig
from mt5crs.gateway.server import Server
from mt5crs.terminal.official import OfficialTerminal

terminal = OfficialTerminal("mt5crs.MetaTrader5")  # finds the other gateway by MT5_HOST and MT5_PORT
server = Server(GatewayConfig(port=0, stream_port=0), terminal)


def _end_with_stdin() -> None:
    sys.stdin.read()
    server.stop()


threading.Thread(target=_end_with_stdin, daemon=True).start()
sys.stdout.write(f"{server.port}\n")
sys.stdout.flush()
server.run()
