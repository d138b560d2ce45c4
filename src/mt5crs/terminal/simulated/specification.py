"""`SymbolInfo` of the simulated instruments."""

from mt5crs.model import SymbolInfo
from mt5crs.terminal.simulated.accounting.formulas import price_worth
from mt5crs.terminal.simulated.accounting.money import Money
from mt5crs.terminal.simulated.instruments.catalogue import Instrument
from mt5crs.terminal.simulated.prices.expand import MINUTE_MSC
from mt5crs.terminal.simulated.prices.market import Market
from mt5crs.terminal.simulated.prices.timeframes import DAY

ZEROS: dict[type, object] = {bool: False, int: 0, float: 0.0, str: ""}
BLANK: dict[str, object] = {name: ZEROS[kind] for name, kind in SymbolInfo.__annotations__.items()}
DEPTH = 0  # no depth of market: trading is over the counter

Range = tuple[float, float]


def _fixed(symbol: Instrument) -> dict[str, object]:
    """Return what never changes of a symbol."""
    return BLANK | {
        "digits": symbol.digits,
        "spread_float": True,
        "ticks_bookdepth": DEPTH,
        "trade_calc_mode": symbol.calc_mode,
        "trade_mode": symbol.trade_mode,
        "trade_stops_level": symbol.stops_level,
        "trade_freeze_level": symbol.freeze_level,
        "trade_exemode": symbol.exemode,
        "swap_mode": symbol.swap_mode,
        "swap_rollover3days": symbol.swap_rollover3days,
        "margin_hedged_use_leg": symbol.margin_hedged_use_leg,
        "expiration_mode": symbol.expiration_mode,
        "filling_mode": symbol.filling_mode,
        "order_mode": symbol.order_mode,
        "order_gtc_mode": symbol.order_gtc_mode,
        "point": symbol.point,
        "trade_tick_size": symbol.tick_size,
        "trade_contract_size": symbol.contract_size,
        "volume_min": symbol.volume_min,
        "volume_max": symbol.volume_max,
        "volume_step": symbol.volume_step,
        "volume_limit": symbol.volume_limit,
        "swap_long": symbol.swap_long,
        "swap_short": symbol.swap_short,
        "margin_initial": symbol.margin_initial,
        "margin_maintenance": symbol.margin_maintenance,
        "margin_hedged": symbol.margin_hedged,
        "currency_base": symbol.currency_base,
        "currency_profit": symbol.currency_profit,
        "currency_margin": symbol.currency_margin,
        "description": symbol.description,
        "name": symbol.name,
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
        self._fixed = _fixed(symbol)
        self._day = -1
        self._minute = -1
        self._bids: Range = (0.0, 0.0)
        self._open = 0.0
        self._close = 0.0

    def info(self) -> SymbolInfo:
        """Return the structure at present prices."""
        symbol, name = self._symbol, self._symbol.name
        tick = self._market.tick(name)
        selected = name in self._market.selected
        low, high = self._daily_range(tick.bid)
        spread = tick.ask - tick.bid
        gain, loss = self._tick_values()
        values = self._fixed | {
            "select": selected,
            "visible": selected,
            "time": tick.time,
            "spread": round(spread / symbol.point),
            "bid": tick.bid,
            "bidhigh": high,
            "bidlow": low,
            "ask": tick.ask,
            "askhigh": symbol.normalize(high + spread),
            "asklow": symbol.normalize(low + spread),
            "trade_tick_value": gain,
            "trade_tick_value_profit": gain,
            "trade_tick_value_loss": loss,
            "session_open": self._open,
            "session_close": self._close,
            "price_change": round(100 * (tick.bid / self._close - 1), 4) if self._close else 0.0,
        }
        return SymbolInfo(values.values())

    def _tick_values(self) -> Range:
        """Return what a tick of one lot is worth as a profit and as a loss."""
        amount = self._symbol.tick_size * price_worth(self._symbol)
        gain = self._money.rate(self._symbol.currency_profit, dear=False)
        loss = self._money.rate(self._symbol.currency_profit, dear=True)
        return amount * (gain or 0.0), amount * (loss or 0.0)

    def _daily_range(self, bid: float) -> Range:
        """Return low and high of the day's bids; the bars are looked at once a minute."""
        now_msc = self._market.clock.now_msc()
        if now_msc // MINUTE_MSC != self._minute:
            self._minute = now_msc // MINUTE_MSC
            self._read_day(now_msc)
        low, high = self._bids
        self._bids = (min(low, bid) if low else bid, max(high, bid))
        return self._bids

    def _read_day(self, now_msc: int) -> None:
        today = now_msc // 1000 // DAY * DAY
        rates = self._market.rates(self._symbol.name)
        bars = rates.minutes(today, now_msc)
        self._bids = (float(bars["low"].min()), float(bars["high"].max())) if len(bars) else (0.0, 0.0)
        self._open = float(bars["open"][0]) if len(bars) else 0.0
        if today != self._day:
            self._day = today
            before = self._market.source(self._symbol.name).last_tick(today * 1000 - 1)
            self._close = float(before["bid"][0]) if len(before) else 0.0
