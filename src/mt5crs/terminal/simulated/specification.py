"""`SymbolInfo` of the simulated instruments.

Some statistics of exchanges no price can tell: how many orders rest is what the depth of market has levels,
each of the usual volume; the settlement price is the close of the day before.
"""

from mt5crs import constants as c
from mt5crs.model import SymbolInfo
from mt5crs.terminal.simulated.accounting.formulas import price_worth
from mt5crs.terminal.simulated.accounting.money import Money
from mt5crs.terminal.simulated.instruments.catalogue import BOND_MODES, FUTURES_MODES, STOCK_MODES, Instrument
from mt5crs.terminal.simulated.prices.market import Market
from mt5crs.terminal.simulated.prices.today import Today

ZEROS: dict[type, object] = {bool: False, int: 0, float: 0.0, str: ""}
BLANK: dict[str, object] = {name: ZEROS[kind] for name, kind in SymbolInfo.__annotations__.items()}
SETTLED_MODES = (*STOCK_MODES, *BOND_MODES, *FUTURES_MODES)

# Fields that are an attribute of the instrument, under the same name or with `trade_` before it.
SAME = (
    "digits", "start_time", "expiration_time", "swap_mode", "swap_rollover3days", "margin_hedged_use_leg",
    "expiration_mode", "filling_mode", "order_mode", "order_gtc_mode", "point", "volume_min", "volume_max",
    "volume_step", "volume_limit", "swap_long", "swap_short", "margin_initial", "margin_maintenance",
    "margin_hedged", "basis", "category", "currency_base", "currency_profit", "currency_margin",
    "description", "exchange", "isin", "name", "page",
)  # fmt: skip
OF_TRADE = (
    "calc_mode", "mode", "stops_level", "freeze_level", "exemode", "tick_size", "contract_size",
    "accrued_interest", "face_value", "liquidity_rate",
)  # fmt: skip


def _fixed(symbol: Instrument) -> dict[str, object]:
    """Return what never changes of a symbol."""
    same = {name: getattr(symbol, name) for name in SAME}
    of_trade = {
        f"trade_{name}": getattr(symbol, "trade_mode" if name == "mode" else name) for name in OF_TRADE
    }
    depth = symbol.book_depth, symbol.book_depth * symbol.book_volume
    return {
        **BLANK,
        **same,
        **of_trade,
        "chart_mode": c.SYMBOL_CHART_MODE_BID,  # as every bar here is made
        "spread_float": True,
        "ticks_bookdepth": symbol.book_depth,
        "session_interest": symbol.open_interest,
        "session_buy_orders": depth[0],
        "session_sell_orders": depth[0],
        "session_buy_orders_volume": depth[1],
        "session_sell_orders_volume": depth[1],
        "path": f"{symbol.path}\\{symbol.name}",
    }


class Specification:
    """Makes the `SymbolInfo` of one symbol.

    Args:
        symbol: The instrument.
        market: Its prices.
        money: Converts tick values to the account currency.
    """

    def __init__(self, symbol: Instrument, market: Market, money: Money) -> None:
        self._symbol = symbol
        self._market = market
        self._money = money
        self._today = Today(symbol, market.source(symbol.name), market.buffered(symbol.name))
        self._fixed = _fixed(symbol)

    def info(self) -> SymbolInfo:
        """Return the structure at present prices."""
        symbol, name = self._symbol, self._symbol.name
        tick = self._market.tick(name)
        today = self._today
        today.refresh(tick)
        selected = name in self._market.selected
        gain, loss = self._tick_values()
        values = {
            **self._fixed,
            "select": selected,
            "visible": selected,
            "time": tick.time,
            "spread": round((tick.ask - tick.bid) / symbol.point),
            "bid": tick.bid,
            "bidhigh": today.bid.high,
            "bidlow": today.bid.low,
            "ask": tick.ask,
            "askhigh": symbol.normalize(today.ask.high),
            "asklow": symbol.normalize(today.ask.low),
            "trade_tick_value": gain,
            "trade_tick_value_profit": gain,
            "trade_tick_value_loss": loss,
            "session_open": today.open,
            "session_close": today.close,
            "price_change": round(100 * (tick.bid / today.close - 1), 4) if today.close else 0.0,
        }
        if symbol.has_last:
            values |= self._trades()
        if symbol.calc_mode in SETTLED_MODES:
            values |= self._limits(today.close)
        return SymbolInfo(values.values())

    def _trades(self) -> dict[str, object]:
        """Return what is known of a symbol whose trades are published."""
        symbol, tick, today = self._symbol, self._market.tick(self._symbol.name), self._today
        return {
            "session_deals": today.deals,
            "volume": tick.volume,
            "volumehigh": int(today.deal.high),
            "volumelow": int(today.deal.low),
            "last": tick.last,
            "lasthigh": symbol.normalize(today.last.high),
            "lastlow": symbol.normalize(today.last.low),
            "volume_real": tick.volume_real,
            "volumehigh_real": today.deal.high,
            "volumelow_real": today.deal.low,
            "session_volume": today.volume,
            "session_turnover": today.turnover * symbol.contract_size,
            "session_aw": symbol.normalize(today.turnover / today.volume) if today.volume else 0.0,
        }

    def _limits(self, settlement: float) -> dict[str, object]:
        """Return the settlement price and how far from it prices may go, whole ticks inside."""
        symbol = self._symbol
        limits = {"session_price_settlement": settlement}
        if symbol.price_limit and settlement:
            room = symbol.price_limit / 100 * settlement // symbol.tick_size * symbol.tick_size
            limits["session_price_limit_min"] = symbol.normalize(settlement - room)
            limits["session_price_limit_max"] = symbol.normalize(settlement + room)
        return {**limits}

    def _tick_values(self) -> tuple[float, float]:
        """Return what a tick of one lot is worth as a profit and as a loss."""
        amount = self._symbol.tick_size * price_worth(self._symbol)
        gain = self._money.rate(self._symbol.currency_profit, dear=False)
        loss = self._money.rate(self._symbol.currency_profit, dear=True)
        return amount * (gain or 0.0), amount * (loss or 0.0)
