"""A trade request with everything that it refers to: what the checks judge."""

from typing import NamedTuple

from mt5crs.model import Tick, TradeRequest
from mt5crs.terminal.simulated.accounting.account import Account
from mt5crs.terminal.simulated.accounting.entities import BUYS, Order, Position
from mt5crs.terminal.simulated.config import SimulatedConfig
from mt5crs.terminal.simulated.instruments.catalogue import Instrument
from mt5crs.terminal.simulated.switches import Switches


class Rules(NamedTuple):
    """What the account's settings demand of every request.

    Attributes:
        hedging: Whether every opening deal is a position of its own.
        hedge_allowed: Whether such an account may hold opposite positions of a symbol.
        fifo_close: Whether the oldest position of a symbol must be closed first.
        limit_orders: The most pending orders; 0 is no limit.
        limit_positions: The most open positions; 0 is no limit.
    """

    hedging: bool
    hedge_allowed: bool
    fifo_close: bool
    limit_orders: int
    limit_positions: int

    @classmethod
    def of(cls, config: SimulatedConfig) -> "Rules":
        """Return the rules as the settings say; those of hedging accounts hold on no other."""
        hedging = config.margin_mode == "hedging"
        return cls(
            hedging,
            config.hedge_allowed or not hedging,
            config.fifo_close and hedging,
            config.limit_orders,
            config.limit_positions,
        )


class Draft(NamedTuple):
    """A request with everything that it refers to.

    Attributes:
        request: The request, its prices and volume as the server reads them.
        account: The account.
        rules: What its settings demand.
        switches: What is allowed at present.
        symbol: The instrument, of the request or of what it changes; None if unknown.
        tick: Its last tick.
        is_open: Whether its market is open.
        now_msc: Server time.
        position: The position that the request names; where it names none on a netting account, that of
            the symbol. None if it is not open.
        other: The position of `position_by`, if it is open.
        order: The pending order that the request changes, if there is one.
    """

    request: TradeRequest
    account: Account
    rules: Rules
    switches: Switches
    symbol: Instrument | None
    tick: Tick
    is_open: bool
    now_msc: int
    position: Position | None
    other: Position | None
    order: Order | None

    @property
    def instrument(self) -> Instrument:
        """The instrument, once it is known to be there."""
        assert self.symbol is not None  # noqa: S101 - the first check of every table
        return self.symbol

    @property
    def is_buy(self) -> bool:
        """Whether the request's order type buys."""
        return self.request.type in BUYS

    @property
    def opposes(self) -> bool:
        """Whether the request's order type is opposite to the position."""
        return self.position is not None and self.position.is_buy is not self.is_buy

    @property
    def reduces(self) -> bool:
        """Whether a deal would do no more than close the position or a part of it."""
        position = self.position
        return position is not None and self.opposes and self.request.volume <= position.volume
