"""The steps of the demo: each does one thing, shows it, and checks that it is true."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mt5crs import constants as c
from mt5crs.cli.demo.deals import deals_table
from mt5crs.cli.follow import event_rows
from mt5crs.cli.formats import lots, money
from mt5crs.cli.market import TICK_FIELDS, info_table, rates_table, symbols_table, tick_columns
from mt5crs.cli.options import Call
from mt5crs.cli.output import Row
from mt5crs.cli.ping import measure, summary
from mt5crs.cli.positions import positions_table
from mt5crs.cli.report import Failure
from mt5crs.cli.requests import DEVIATION, closing
from mt5crs.cli.trade import conclude, send
from mt5crs.guard.closing import market_filling
from mt5crs.model import SymbolInfo, TradePosition

if TYPE_CHECKING:
    from mt5crs.streams import Notice, TickBatch

BARS = 8
PINGS = 50
LONGEST_WATCH = 35.0
"""Seconds that a first tick is waited for: a quiet market still shows one."""
STOPS = (0.01, 0.02)
"""SL and TP as shares of the price, far enough not to be reached meanwhile."""
CLOSER = (0.008, 0.015)
"""SL and TP after the modification."""
LOTS_IN_STEPS = 10
"""The order's volume in least volumes: enough to close a part of it."""
CENT = 0.005


class Demo:
    """What the steps share.

    Args:
        call: A client of the demo's gateway.
        name: The symbol that is traded.
        seconds: How long live ticks are watched.
    """

    def __init__(self, call: Call, name: str, seconds: float) -> None:
        self.call = call
        self.client = call.client
        self.output = call.output
        self.name = name
        self.seconds = seconds
        self.balance = 0.0
        self.ticket = 0
        self.request: dict[str, Any] = {}

    @property
    def symbol(self) -> SymbolInfo:
        """The symbol as it is now."""
        return self.call.symbol(self.name)

    def position(self) -> TradePosition:
        """Return the position that the demo opened."""
        found = self.call.got(self.client.positions_get(ticket=self.ticket), "positions_get")
        check(len(found) == 1, f"position {self.ticket} is not open any more")
        position: TradePosition = found[0]
        return position

    def stops(self, shares: tuple[float, float], price: float) -> dict[str, float]:
        """Return SL and TP of a buy at a price."""
        digits = self.symbol.digits
        return {
            "sl": round(price * (1 - shares[0]), digits),
            "tp": round(price * (1 + shares[1]), digits),
        }


def check(holds: bool, otherwise: str) -> None:
    """Go on if something holds.

    Raises:
        Failure: It does not.
    """
    if not holds:
        raise Failure(f"the demo stops here: {otherwise}")


def handshake(demo: Demo) -> None:
    """Do the handshake as any program can, with nothing but a ZeroMQ socket."""
    import zmq

    from mt5crs.client.core import load_keys
    from mt5crs.client.link import connect
    from mt5crs.wire.greeting import HELLO, OK_FROM_MT5

    settings = demo.call.settings
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = connect(context, zmq.REQ, settings.host, settings.port, load_keys(settings))
    try:
        socket.rcvtimeo = socket.sndtimeo = int(settings.timeout * 1000)
        began = time.perf_counter()
        socket.send(HELLO)
        answer = socket.recv()
        took = (time.perf_counter() - began) * 1000
    except zmq.Again:
        raise Failure("the demo stops here: the gateway did not answer the handshake") from None
    finally:
        socket.close()
        context.term()
    check(answer == OK_FROM_MT5, f"the handshake was answered {answer!r}")
    demo.output.say(f"A REQ socket sent {HELLO.decode()!r}, the gateway answered {answer.decode()!r}")
    demo.output.say(f"after {took:.2f} ms, connecting included.")


def ping(demo: Demo) -> None:
    """Measure the round trip."""
    trips = measure(demo.call, PINGS, 0)
    check(None not in trips, "a ping was lost")
    demo.output.write(summary(trips))


def account(demo: Demo) -> None:
    """Show the account, and remember its balance."""
    info = demo.call.got(demo.client.account_info(), "account_info")
    demo.balance = info.balance
    demo.output.write(info_table(demo.call))


def symbols(demo: Demo) -> None:
    """Show the symbols."""
    demo.output.write(symbols_table(demo.call, ""))
    demo.output.say(f"From here on it is about {demo.name}.")


def bars(demo: Demo) -> None:
    """Show the last H1 bars."""
    table = rates_table(demo.call, demo.name, c.TIMEFRAME_H1, BARS, None, None)
    check(bool(table.rows), f"there are no H1 bars of {demo.name}")
    demo.output.write(table)


def live_ticks(demo: Demo) -> None:
    """Show ticks as they come, and at least one."""
    demo.output.say(f"Subscribed for {demo.seconds:g} s ...")
    write = demo.output.lines(tick_columns({demo.name: demo.symbol.digits}), TICK_FIELDS)
    seen = 0
    for event in demo.client.ticks(demo.name, seconds=demo.seconds):
        seen += _show(event, write)
    if not seen:
        demo.output.say(f"The market is quiet: waiting up to {LONGEST_WATCH:g} s for a tick ...")
        for event in demo.client.ticks(demo.name, seconds=LONGEST_WATCH):
            seen += _show(event, write)
            if seen:
                break
    check(seen > 0, f"no tick of {demo.name} came")
    demo.output.say(f"{seen} ticks came.")


def _show(event: "TickBatch | Notice", write: Callable[[Row], None]) -> int:
    rows = event_rows(event, as_row=False)
    for row in rows:
        write(row)
    return len(rows)


def order_check(demo: Demo) -> None:
    """Ask what an order would do to the account."""
    symbol = demo.symbol
    demo.request = {
        "action": c.TRADE_ACTION_DEAL,
        "symbol": symbol.name,
        "volume": round(LOTS_IN_STEPS * symbol.volume_min, 8),
        "type": c.ORDER_TYPE_BUY,
        "price": symbol.ask,
        "deviation": DEVIATION,
        "type_time": c.ORDER_TIME_GTC,
        "type_filling": market_filling(symbol),
        "comment": "demo",
        **demo.stops(STOPS, symbol.ask),
    }
    result = demo.call.got(demo.client.order_check(demo.request), "answer to order_check")
    check(result.retcode == 0, f"order_check says {result.retcode}, {result.comment}")
    demo.output.say(f"Buying {lots(demo.request['volume'])} lots would be accepted:")
    demo.output.say(f"margin {money(result.margin)}, free margin afterwards {money(result.margin_free)}.")


def buy(demo: Demo) -> None:
    """Buy, and check that the position is what was asked for."""
    demo.request["price"] = demo.symbol.ask
    demo.ticket = _done(demo, "buy", demo.request)
    position = demo.position()
    for name in ("volume", "sl", "tp"):
        asked, has = demo.request[name], getattr(position, name)
        check(has == asked, f"the position has {name} {has}, asked was {asked}")
    demo.output.write(positions_table(demo.call, [position]))


def modify(demo: Demo) -> None:
    """Move SL and TP, and check that they moved."""
    stops = demo.stops(CLOSER, demo.position().price_open)
    request = {
        "action": c.TRADE_ACTION_SLTP,
        "symbol": demo.name,
        "position": demo.ticket,
        **stops,
    }
    _done(demo, "modify", request)
    position = demo.position()
    check((position.sl, position.tp) == (stops["sl"], stops["tp"]), "SL and TP did not move")
    demo.output.write(positions_table(demo.call, [position]))


def close_part(demo: Demo) -> None:
    """Close half of the position, and check that half is left."""
    half = round(LOTS_IN_STEPS // 2 * demo.symbol.volume_min, 8)
    before = demo.position()
    _done(demo, "close a part", closing(demo.call, before, half, DEVIATION))
    left = demo.position().volume
    check(abs(before.volume - half - left) < demo.symbol.volume_step / 2, f"{lots(left)} lots are left")
    demo.output.say(f"{lots(half)} of {lots(before.volume)} lots are closed, {lots(left)} are left.")


def close_rest(demo: Demo) -> None:
    """Close the rest, and check that nothing is open."""
    position = demo.position()
    _done(demo, "close", closing(demo.call, position, position.volume, DEVIATION))
    check(not demo.client.positions_get(ticket=demo.ticket), f"position {demo.ticket} is still open")
    demo.output.say("Nothing is open any more.")


def deals(demo: Demo) -> None:
    """Show the deals, and check that they add up to the change of the balance."""
    found = demo.call.got(demo.client.history_deals_get(position=demo.ticket), "history_deals_get")
    check(len(found) == 3, f"{len(found)} deals were made, not 3")
    demo.output.write(deals_table(found, demo.symbol.digits))
    total = sum(deal.profit + deal.commission + deal.swap + deal.fee for deal in found)
    info = demo.call.got(demo.client.account_info(), "account_info")
    change = info.balance - demo.balance
    check(abs(total - change) < CENT, f"the deals make {total:.2f}, the balance changed by {change:.2f}")
    demo.output.say(
        f"Balance before {money(demo.balance)}, after {money(info.balance)} {info.currency}: "
        f"{change:+.2f}, which is what the deals say."
    )


def _done(demo: Demo, what: str, request: dict[str, Any]) -> int:
    """Send a request that must be carried out; return its order.

    Raises:
        Failure: It was rejected.
    """
    trade = send(demo.call, what, request)
    conclude(demo.call, [trade])
    return trade.result.order


STEPS: tuple[tuple[str, Callable[[Demo], None]], ...] = (
    ("The handshake, with a bare ZeroMQ socket", handshake),
    ("The round trip, with the client", ping),
    ("The gateway, the terminal and the account", account),
    ("The symbols", symbols),
    (f"The last {BARS} H1 bars", bars),
    ("Live ticks, from the stream", live_ticks),
    ("order_check: what would an order do?", order_check),
    ("A market order with SL and TP", buy),
    ("SL and TP moved closer", modify),
    ("A part of it closed", close_part),
    ("The rest closed", close_rest),
    ("The deals and the balance", deals),
)
